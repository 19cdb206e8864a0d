/* SPDX-License-Identifier: GPL-2.0-or-later */
/* library.c: opening and closing the library: state, spool, store, elements, cartridges and drives. */
#include "vtl/library/element.h"
#include "vtl/library/library_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/lock.h"
#include "base/event.h"
#include "base/log.h"
#include "vtl/library/gate.h"
#include "vtl/state/chunk_index.h"
#include "vtl/library/turn.h"

#define HISTORY_S (UINT64_C(180) * 24 * 3600) /* how far back a report can look */
#define PATH_SIZE 4200
#define LOCK_WAIT_MS 5000 /* for the library, while a command has it */
#define LOCK_POLL_MS 20
#define START_LOOK_MS 3000 /* for all drives together: a store that is away must not hold up the start */

/* ---- making it from configuration and state ---- */

static struct element *add_elements(struct element *e, enum element_type type, uint16_t first, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        *e++ = (struct element){.address = (uint16_t)(first + i), .type = type};
    return e;
}

static int make_elements(struct library *lib)
{
    const struct vtl_config *cfg = lib->cfg;
    size_t others = 1 + cfg->library.drives + cfg->library.import_export;
    /* Room for all that a reload may add, as none may move; what is not used is not touched either. */
    lib->elements = calloc(others + CONFIG_MAX_SLOTS, sizeof(*lib->elements));
    lib->n_elements = lib->elements ? others + cfg->library.slots : 0;
    lib->drives = calloc(cfg->library.drives, sizeof(*lib->drives));
    if (!lib->elements || !lib->drives)
        return -ENOMEM;
    struct element *e = add_elements(lib->elements, ELEMENT_TRANSPORT, ELEMENT_FIRST_TRANSPORT, 1);
    e = add_elements(e, ELEMENT_DRIVE, ELEMENT_FIRST_DRIVE, cfg->library.drives);
    e = add_elements(e, ELEMENT_IMPORT_EXPORT, ELEMENT_FIRST_IMPORT_EXPORT, cfg->library.import_export);
    add_elements(e, ELEMENT_STORAGE, ELEMENT_FIRST_STORAGE, cfg->library.slots);
    (void)snprintf(lib->changer_serial, sizeof(lib->changer_serial), "%s000", cfg->library.serial_prefix);
    for (unsigned i = 0; i < cfg->library.drives; i++) {
        char serial[33];
        (void)snprintf(serial, sizeof(serial), "%s%03u", cfg->library.serial_prefix, i + 1);
        if (!(lib->drives[i] = drive_new(&lib->eng, i, serial)))
            return -ENOMEM;
        lib->n_drives++;
    }
    return 0;
}

struct loading {
    struct library *lib;
    struct errtext *err;
};

static int load_cartridge(void *arg, const struct db_cartridge *row)
{
    struct library *lib = arg;
    struct cartridge *c = cartridge_new(&lib->eng, row);
    int rc = c ? library_add_cartridge(lib, c) : -ENOMEM;
    if (rc)
        cartridge_free(c);
    return rc;
}

static int load_element(void *arg, const struct db_element *row)
{
    struct loading *l = arg;
    struct element *e = library_element(l->lib, row->address);
    char where[ELEMENT_NAME_SIZE];
    if (row->damaged) {
        log_err(
            "state.db: table element, row of %s: damaged (its checksum is wrong): what it says, %s, is in no element: "
            "\"s3vtl tape import\" puts it into one",
            element_name(row->address, where), row->barcode);
        return 0;
    }
    if (!e || e->type == ELEMENT_TRANSPORT)
        return errtext_set(
            l->err, -EINVAL,
            "%s: cartridge %s is in %s, which the configuration no longer has: give it back (slots, drives, "
            "import_export) and move the cartridge first",
            l->lib->cfg->file, row->barcode, element_name(row->address, where));
    memcpy(e->barcode, row->barcode, sizeof(e->barcode));
    e->source = row->source;
    e->by_operator = e->type == ELEMENT_IMPORT_EXPORT && !e->source; /* a move leaves a source, an import none */
    return 0;
}

struct stored {
    const struct library *lib;
    uint64_t *below; /* [i]: files of cartridge i of smaller numbers are cache */
};

static bool is_stored(void *arg, const char *barcode, const struct seg_id *id)
{
    const struct stored *s = arg;
    size_t i = library_position(s->lib, barcode);
    return i < s->lib->n_cartridges && !strcmp(cartridge_barcode(s->lib->cartridges[i]), barcode) &&
           id->number < s->below[i];
}

/* Marks files of cartridges that are all in the store, and in their heads, as cache; but not those that are newer than the state, which may be
 * all that is left of something (spool_drop_strays). Without the memory to find out, all are kept. */
static void find_cache(struct library *lib)
{
    struct stored s = {lib, calloc(lib->n_cartridges + 1, sizeof(*s.below))};
    for (size_t i = 0; s.below && i < lib->n_cartridges; i++) {
        struct cartridge_view v;
        cartridge_view(lib->cartridges[i], &v);
        s.below[i] = v.cache_below;
    }
    if (s.below)
        spool_mark_stored(lib->eng.spool, is_stored, &s);
    free(s.below);
}

/* After a start: recovers open segments, goes on with the backlog, and threads what is in drives. A cartridge that
 * fails is logged and left: the others must not suffer. */
static void resume(struct library *lib)
{
    if (db_history_forget(lib->eng.db, engine_time(), HISTORY_S))
        log_event(EVENT_STATE_FAILED, "state: %s", db_error(lib->eng.db));
    find_cache(lib);
    library_find_lent_cache(lib);
    uint64_t until = clock_ms() + START_LOOK_MS;
    struct errtext err = {""};
    for (size_t i = 0; i < lib->n_cartridges; i++) {
        struct cartridge *c = lib->cartridges[i];
        if (cartridge_has_work(c) && cartridge_load(c, &err)) {
            cartridge_set_trouble(c, err.text);
            log_err("%s", err.text);
        }
    }
    for (size_t i = 0; i < lib->n_elements; i++) {
        struct element *e = &lib->elements[i];
        struct drive *d = library_drive_at(lib, e);
        if (!d)
            continue;
        struct cartridge *c = e->barcode[0] ? library_cartridge(lib, e->barcode) : NULL;
        if (c && drive_insert(d, c, until, NULL, NULL, &err))
            log_event(EVENT_LOAD_FAILED, "drive %u: %s cannot be loaded: %s", drive_number(d), e->barcode, err.text);
    }
}

static int draw_id(uint32_t *id, struct errtext *err)
{
    *id = 0;
    while (!*id)
        if (getrandom(id, sizeof(*id), 0) != (ssize_t)sizeof(*id))
            return errtext_set(err, -EIO, "no random numbers: %s", strerror(errno));
    return 0;
}

/* The gateway's own id lives in the state, and so in each copy of it; the writer's is drawn at each start, and is what
 * stands in every key (I2). */
static int read_identity(struct library *lib, bool create, struct errtext *err)
{
    char writer[16];
    int rc = db_meta_get(lib->eng.db, "library", lib->id, sizeof(lib->id));
    if (!rc)
        rc = db_meta_get(lib->eng.db, "gateway", writer, sizeof(writer));
    if (!rc && !writer[0] && create) {
        uint32_t id = 0;
        if (draw_id(&id, err))
            return -EIO;
        (void)snprintf(writer, sizeof(writer), "%08x", id);
        rc = db_meta_set(lib->eng.db, "gateway", writer);
    }
    if (rc)
        return errtext_set(err, rc, "%s/state.db: %s", lib->cfg->library.state_dir, db_error(lib->eng.db));
    if (!writer[0])
        return errtext_set(err, -ENOENT, "%s: no library here: run \"s3vtl library init\"",
                           lib->cfg->library.state_dir);
    char rebuilding[8] = "";
    rc = db_meta_get(lib->eng.db, REBUILDING, rebuilding, sizeof(rebuilding));
    if (!rc && rebuilding[0] && !create)
        return errtext_set(err, -EINVAL,
                           "%s: its rebuild did not end, and cartridges are missing: run \"s3vtl library rebuild "
                           "--force\" again",
                           lib->cfg->library.state_dir);
    lib->eng.gateway = (uint32_t)strtoul(writer, NULL, 16);
    char host[256] = ""; /* more than there can be */
    if (!gethostname(host, sizeof(host) - 1))
        engine_set_host(&lib->eng, host);
    return draw_id(&lib->eng.writer, err);
}

/* A command that looks at a library which nobody serves has it for moments only: no start fails for that. */
static bool locked_soon(int fd)
{
    uint64_t until = clock_ms() + LOCK_WAIT_MS;
    while (flock(fd, LOCK_EX | LOCK_NB)) {
        if (clock_ms() >= until)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = LOCK_POLL_MS * 1000000L}, NULL);
    }
    return true;
}

static int lock_file(const char *state_dir, const char *path, int fd, struct errtext *err)
{
    char who[32] = "";
    if (!locked_soon(fd)) {
        ssize_t n = pread(fd, who, sizeof(who) - 1, 0);
        who[n > 0 ? n : 0] = '\0';
        return errtext_set(err, -EBUSY, "%s: in use by process %s", state_dir, n > 0 ? who : "(unknown)");
    }
    (void)snprintf(who, sizeof(who), "%ld", (long)getpid());
    if (ftruncate(fd, 0) || pwrite(fd, who, strlen(who), 0) < 0)
        return errtext_set(err, -errno, "%s: %s", path, strerror(errno));
    return 0;
}

int library_lock(const struct vtl_config *cfg, int *fd, struct errtext *err)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/lock", cfg->library.state_dir);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0)
        return errtext_set(err, -errno, "%s: %s", path, strerror(errno));
    int rc = lock_file(cfg->library.state_dir, path, *fd, err);
    if (rc) {
        close(*fd);
        *fd = -1;
    }
    return rc;
}

static int open_parts(struct library *lib, unsigned flags, struct errtext *err)
{
    const struct vtl_config *cfg = lib->cfg;
    char path[PATH_SIZE];
    struct objstore_config oc;
    bool create = flags & LIBRARY_CREATE;
    if (create && mkdir(cfg->library.state_dir, 0700) && errno != EEXIST)
        return errtext_set(err, -errno, "%s: %s", cfg->library.state_dir, strerror(errno));
    if (access(cfg->library.state_dir, F_OK))
        return errtext_set(err, -ENOENT, "%s: no library here: run \"s3vtl library init\"", cfg->library.state_dir);
    int rc = lib->lock_fd < 0 ? library_lock(cfg, &lib->lock_fd, err) : 0;
    if (rc)
        return rc;
    (void)snprintf(path, sizeof(path), "%s/state.db", cfg->library.state_dir);
    if (!create && access(path, F_OK))
        return errtext_set(err, -ENOENT, "%s: no library here: run \"s3vtl library init\"", cfg->library.state_dir);
    rc = db_open(path, create, &lib->eng.db, err);
    if (!rc)
        rc = read_identity(lib, create, err);
    if (!rc)
        rc = turn_load(lib, err);
    if (rc)
        return rc;
    (void)snprintf(path, sizeof(path), "%s/spool", cfg->library.state_dir);
    rc = spool_open(path, cfg->spool.cache_size, &lib->eng.spool, err);
    if (rc)
        return rc;
    config_store(cfg, &oc);
    oc.note = log_note;
    oc.patience_ms = flags & LIBRARY_SERVE ? 0 : OBJ_PATIENCE_MS;
    rc = objstore_open(&oc, &lib->eng.store, err);
    if (rc || create) /* whoever makes the state knows whose prefix it is */
        return rc;
    struct objstore *inner = lib->eng.store;
    lib->eng.store = NULL;
    rc = gate_open(cfg, lib->id, inner, &lib->eng.store, err);
    lib->gate = lib->eng.store;
    if (!rc && (flags & LIBRARY_SERVE))
        lend_open(lib);
    return rc;
}

static int load_state(struct library *lib, struct errtext *err)
{
    struct loading l = {lib, err};
    err->text[0] = '\0';
    engine_begin_time(&lib->eng);
    int rc = make_elements(lib);
    if (!rc)
        rc = db_cartridges(lib->eng.db, load_cartridge, lib);
    if (!rc)
        rc = db_elements(lib->eng.db, load_element, &l);
    if (rc && !err->text[0])
        errtext_set(err, rc, "%s/state.db: %s", lib->cfg->library.state_dir,
                    rc == -EIO ? db_error(lib->eng.db) : strerror(-rc));
    return rc;
}

/* ---- what initiators know of the elements ---- */

/* In the state: how many elements there were when they were served last; "" after a change that was told to nobody. */
#define ELEMENTS_KNOWN "elements_known"

static uint32_t elements_sum(const struct library *lib)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < lib->n_elements; i++) {
        sum = crc32c(sum, &lib->elements[i].address, sizeof(lib->elements[i].address));
        sum = crc32c(sum, lib->elements[i].barcode, strlen(lib->elements[i].barcode));
    }
    return sum;
}

static void count_elements(const struct library *lib, unsigned slots, char text[48])
{
    (void)snprintf(text, 48, "%u %u %u", lib->cfg->library.drives, lib->cfg->library.import_export, slots);
}

static int begin_telling(struct library *lib, struct errtext *err)
{
    char known[48] = "", now[48];
    count_elements(lib, lib->cfg->library.slots, now);
    int rc = db_meta_get(lib->eng.db, ELEMENTS_KNOWN, known, sizeof(known));
    lib->elements_new = strcmp(known, now) != 0;
    if (!rc && lib->elements_new)
        rc = db_meta_set(lib->eng.db, ELEMENTS_KNOWN, now);
    return rc ? errtext_set(err, rc, "%s/state.db: %s", lib->cfg->library.state_dir, db_error(lib->eng.db)) : 0;
}

void library_add_slots(struct library *lib, unsigned slots)
{
    char now[48];
    lock_take(&lib->lock);
    unsigned had = atomic_load(&lib->eng.live.slots);
    add_elements(&lib->elements[lib->n_elements], ELEMENT_STORAGE, (uint16_t)(ELEMENT_FIRST_STORAGE + had),
                 slots - had);
    lib->n_elements += slots - had;
    atomic_store(&lib->eng.live.slots, slots);
    lock_release(&lib->lock);
    library_tell(lib, LIBRARY_ELEMENTS_CHANGED, 0);
    count_elements(lib, slots, now);
    if (db_meta_set(lib->eng.db, ELEMENTS_KNOWN, now)) /* told once more at the next start, then */
        log_event(EVENT_STATE_FAILED, "state: %s", db_error(lib->eng.db));
}

/* What was changed without serving was told to nobody. */
static void end_untold(struct library *lib)
{
    if (elements_sum(lib) != lib->elements_begin && db_meta_set(lib->eng.db, ELEMENTS_KNOWN, ""))
        log_event(EVENT_STATE_FAILED, "state: %s", db_error(lib->eng.db));
}

bool library_elements_are_new(const struct library *lib)
{
    return lib->elements_new;
}

static void free_library(struct library *lib)
{
    for (unsigned i = 0; i < lib->n_drives; i++)
        drive_free(lib->drives[i]);
    for (size_t i = 0; i < lib->n_cartridges; i++)
        cartridge_free(lib->cartridges[i]);
    config_free(lib->taken);
    json_decref(lib->inventories_seen);
    free(lib->shelf.barcodes);
    json_decref(lib->rules);
    free(lib->cartridges);
    free(lib->drives);
    free(lib->elements);
    if (lib->eng.store)
        lib->eng.store->ops->close(lib->eng.store);
    chunk_index_close(lib->eng.chunks);
    spool_close(lib->eng.spool);
    db_close(lib->eng.db);
    if (lib->lock_fd >= 0)
        close(lib->lock_fd);
    progress_fini(&lib->eng.progress);
    upload_rate_fini(&lib->eng.upload_rate);
    offsite_fini(&lib->eng.offsite);
    quota_fini(&lib->eng.quota);
    retain_fini(&lib->eng.retain);
    store_health_fini(&lib->health);
    lock_fini(&lib->lock);
    lock_fini(&lib->move_lock);
    lock_fini(&lib->reload_lock);
    rwlock_fini(&lib->tapes_lock);
    free(lib);
}

/* What becomes of the data in the store, and how the store is. */
static int start_asking(struct library *lib, struct errtext *err)
{
    int rc = offsite_watch_start(lib, err);
    if (!rc && (rc = store_health_start(lib, err)))
        offsite_watch_stop(lib);
    return rc;
}

static void stop_watching(struct library *lib)
{
    quota_watch_stop(lib);
    blanks_stop(lib);
    chunk_watch_stop(lib);
}

/* What only looks at the library itself. */
static int start_watching(struct library *lib, struct errtext *err)
{
    int rc = chunk_watch_start(lib, err);
    if (!rc)
        rc = blanks_start(lib, err);
    if (!rc)
        rc = quota_watch_start(lib, err);
    if (rc)
        stop_watching(lib);
    return rc;
}

static void init_engine(struct engine *e, const struct vtl_config *cfg)
{
    e->cfg = cfg;
    live_settings_take(&e->live, cfg);
    progress_init(&e->progress);
    upload_rate_init(&e->upload_rate);
    offsite_init(&e->offsite);
    quota_init(&e->quota, cfg);
    retain_init(&e->retain, cfg);
}

/* Of nothing yet but the configuration, and a copy of the lock, if there is one. */
static int new_library(const struct vtl_config *cfg, int lock_fd, struct library **out, struct errtext *err)
{
    struct library *lib = calloc(1, sizeof(*lib));
    if (!lib)
        return errtext_set(err, -ENOMEM, "library: out of memory");
    lib->cfg = cfg;
    lib->lock_fd = lock_fd < 0 ? -1 : fcntl(lock_fd, F_DUPFD_CLOEXEC, 0);
    if (lock_fd >= 0 && lib->lock_fd < 0) {
        int rc = errtext_set(err, -errno, "%s/lock: %s", cfg->library.state_dir, strerror(errno));
        free(lib);
        return rc;
    }
    init_engine(&lib->eng, cfg);
    store_health_init(&lib->health);
    blanks_init(lib);
    lock_init(&lib->lock, LOCK_LIBRARY);
    rules_take(lib, cfg);
    lock_init(&lib->reload_lock, LOCK_RELOAD);
    lock_init(&lib->move_lock, LOCK_MOVE);
    rwlock_init(&lib->tapes_lock, LOCK_TAPES);
    *out = lib;
    return 0;
}

int library_open(const struct vtl_config *cfg, unsigned flags, struct library **out, struct errtext *err)
{
    return library_open_locked(cfg, flags, -1, out, err);
}

int library_open_locked(const struct vtl_config *cfg, unsigned flags, int lock_fd, struct library **out,
                        struct errtext *err)
{
    struct errtext own = {""};
    struct library *lib = NULL;
    err = err ? err : &own;
    *out = NULL;
    int rc = new_library(cfg, lock_fd, &lib, err);
    if (rc)
        return rc;
    rc = open_parts(lib, flags, err);
    if (!rc)
        rc = load_state(lib, err);
    lib->elements_begin = elements_sum(lib);
    if (!rc && (flags & LIBRARY_SERVE))
        rc = begin_telling(lib, err);
    if (!rc && (flags & LIBRARY_SERVE))
        rc = library_accept(lib, err); /* whoever lets it be served was asked */
    if (!rc && (flags & LIBRARY_SERVE))
        rc = workers_start(&lib->eng, err);
    if (!rc && (flags & LIBRARY_SERVE))
        resume(lib);
    if (!rc && (flags & LIBRARY_SERVE))
        rc = inventory_start(lib, err);
    if (!rc && (flags & LIBRARY_SERVE) && (rc = start_asking(lib, err)))
        inventory_stop(lib);
    if (!rc && (flags & LIBRARY_SERVE) && (rc = start_watching(lib, err))) {
        store_health_stop(lib);
        offsite_watch_stop(lib);
        inventory_stop(lib);
    }
    if (rc) {
        workers_stop(&lib->eng);
        free_library(lib);
        return rc;
    }
    *out = lib;
    return 0;
}

void library_stop_waiting(struct library *lib)
{
    atomic_store(&lib->no_waiting, true);
    progress_post(&lib->eng.progress);
}

enum library_stop library_stop_of(const struct library *lib)
{
    if (atomic_load(&lib->no_waiting))
        return LIBRARY_ENDS;
    return atomic_load(&lib->eng.stopping) ? LIBRARY_FLUSHES : LIBRARY_GOES_ON;
}

void library_wait_again(struct library *lib)
{
    atomic_store(&lib->no_waiting, false);
}

int library_close(struct library *lib, struct errtext *err)
{
    int rc = 0;
    for (unsigned i = 0; lib->eng.workers && i < lib->n_drives; i++) {
        struct errtext why = {""};
        int one = drive_flush(lib->drives[i], &lib->no_waiting, &why);
        drive_usage_end(lib->drives[i]);
        if (one && !rc) {
            rc = one;
            errtext_set(err, rc, "%s", why.text);
        }
    }
    if (!lib->eng.workers)
        end_untold(lib);
    stop_watching(lib);
    store_health_stop(lib);
    offsite_watch_stop(lib);
    inventory_stop(lib);
    workers_stop(&lib->eng);
    free_library(lib);
    return rc;
}

/* ---- for the logical units ---- */

const struct tape_ops *library_drive_ops(void)
{
    return &drive_tape_ops;
}

void *library_drive(struct library *lib, unsigned i)
{
    return i < lib->n_drives ? lib->drives[i] : NULL;
}

const char *library_drive_serial(struct library *lib, unsigned i)
{
    return i < lib->n_drives ? drive_serial(lib->drives[i]) : NULL;
}
