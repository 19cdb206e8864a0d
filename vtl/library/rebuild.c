/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rebuild.c: library init, and library rebuild: a new state from the bucket alone (I8). */
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/jsontext.h"
#include "base/lock.h"
#include "base/log.h"
#include "vtl/format/barcode.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/library_private.h"

#define PATH_SIZE 4200

static int open_store(const struct vtl_config *cfg, struct objstore **store, struct errtext *err)
{
    struct objstore_config oc;
    config_store(cfg, &oc);
    int rc = objstore_open(&oc, store, err);
    if (rc)
        return rc;
    struct obj_call once = {.max_tries = 2};
    rc = (*store)->ops->check(*store, &once, err);
    if (rc)
        (*store)->ops->close(*store);
    return rc;
}

static int new_id(char id[37], struct errtext *err)
{
    uint8_t r[16];
    if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
        return errtext_set(err, -EIO, "no random numbers: %s", strerror(errno));
    char *p = id;
    for (int i = 0; i < 16; i++)
        p += sprintf(p, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", r[i]);
    return 0;
}

static bool has_state(const struct vtl_config *cfg)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/state.db", cfg->library.state_dir);
    return access(path, F_OK) == 0;
}

/* The id in the state, "" when there is no state. */
static int state_id(const struct vtl_config *cfg, char id[37], struct errtext *err)
{
    char path[PATH_SIZE];
    struct db *db = NULL;
    id[0] = '\0';
    if (!has_state(cfg))
        return 0;
    (void)snprintf(path, sizeof(path), "%s/state.db", cfg->library.state_dir);
    int rc = db_open(path, false, &db, err);
    if (!rc && (rc = db_meta_get(db, "library", id, 37)))
        errtext_set(err, rc, "%s: %s", path, db_error(db));
    db_close(db);
    return rc;
}

int library_check_format(const struct vtl_config *cfg, struct objstore *store, struct errtext *err)
{
    char id[37], theirs[37] = "", name[64] = "";
    int rc = state_id(cfg, id, err);
    if (!rc)
        rc = format_read(store, theirs, name, err);
    if (rc == -ENOENT)
        return errtext_set(err, rc,
                           "the store's prefix holds no library (no object \"format\"), and %s has one: is [store] in "
                           "%s the right place?",
                           cfg->library.state_dir, cfg->file);
    if (!rc && strcmp(id, theirs) != 0)
        return errtext_set(
            err, -EINVAL,
            "the store's prefix is of library \"%s\" (%s), and %s is of another one (%s): which of the two "
            "does %s mean?",
            name, theirs, cfg->library.state_dir, id, cfg->file);
    return rc;
}

/* Makes or opens the state of the library called id; the caller closes it. */
static int make_state(const struct vtl_config *cfg, const char *id, bool rebuild, struct library **lib,
                      struct errtext *err)
{
    int rc = library_open(cfg, LIBRARY_CREATE, lib, err);
    if (rc)
        return rc;
    rc = db_meta_set((*lib)->eng.db, "library", id);
    if (!rc && rebuild)
        rc = db_meta_set((*lib)->eng.db, REBUILDING, "1");
    (void)snprintf((*lib)->id, sizeof((*lib)->id), "%s", id);
    if (rc) {
        errtext_set(err, rc, "%s/state.db: %s", cfg->library.state_dir, db_error((*lib)->eng.db));
        (void)library_close(*lib, NULL);
    }
    return rc;
}

static int init_with_store(const struct vtl_config *cfg, struct objstore *store, char id[37], bool *existed,
                           struct errtext *err)
{
    char theirs[37] = "", name[64] = "";
    int rc = state_id(cfg, id, err);
    if (rc)
        return rc;
    rc = format_read(store, theirs, name, err);
    if (rc && rc != -ENOENT)
        return rc;
    *existed = rc == 0;
    if (*existed && strcmp(id, theirs) != 0)
        return errtext_set(
            err, -EEXIST,
            "the store's prefix is in use by library \"%s\" (%s): choose another prefix, or take that library over "
            "with \"s3vtl library rebuild\"",
            name, theirs);
    struct objstore_config here;
    config_store(cfg, &here);
    if (!*existed && (rc = library_check_neighbours(&here, store, err)))
        return rc;
    if (!id[0] && (rc = new_id(id, err)))
        return rc;
    struct library *lib = NULL;
    rc = make_state(cfg, id, false, &lib, err);
    if (rc)
        return rc;
    if (!*existed)
        rc = format_write(store, id, cfg->library.name, err);
    (void)library_close(lib, NULL);
    return rc;
}

int library_init(const struct vtl_config *cfg, json_t **report, struct errtext *err)
{
    struct objstore *store = NULL;
    char id[37];
    bool existed = false;
    *report = NULL;
    int rc = open_store(cfg, &store, err);
    if (rc)
        return rc;
    rc = init_with_store(cfg, store, id, &existed, err);
    store->ops->close(store);
    if (!rc)
        *report = json_pack("{s:s, s:s, s:b}", "library", id, "name", cfg->library.name, "created", (int)!existed);
    return rc;
}

/* ---- rebuild ---- */

struct rebuild {
    struct library *lib;
    const struct rebuild_options *o;
    json_t *cartridges, *failed; /* of the report */
    struct errtext *err;
};

static uint16_t place_of(struct rebuild *r, const json_t *inventory, const char *barcode)
{
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(inventory, "elements"), i, e)
    {
        const char *b = json_string_value(json_object_get(e, "barcode"));
        if (!b || strcmp(b, barcode))
            continue;
        json_int_t address = json_integer_value(json_object_get(e, "address"));
        json_int_t source = json_integer_value(json_object_get(e, "source"));
        /* Drives begin empty: what was in one goes back to its source. */
        json_int_t want = address >= ELEMENT_FIRST_IMPORT_EXPORT ? address : source;
        struct element *at = want > 0 && want <= UINT16_MAX ? library_element(r->lib, (uint16_t)want) : NULL;
        if (at && !at->barcode[0] && at->type != ELEMENT_DRIVE && at->type != ELEMENT_TRANSPORT)
            return at->address;
    }
    return 0;
}

int rebuild_row(struct library *lib, int64_t old, const struct head *h, const struct tape_index *x, uint16_t address,
                struct db_cartridge *row, struct errtext *err)
{
    struct db *db = lib->eng.db;
    commit_row_of_head(h, x, row);
    int rc = db_cartridge_restore(db, old, row, address, x, h->maps, h->n_maps);
    if (rc) {
        free(row->mam);
        free(row->counters);
        return errtext_set(err, rc, "%s: state: %s", h->barcode, db_error(db));
    }
    if (address) {
        lock_take(&lib->lock);
        struct element *e = library_element(lib, address);
        memcpy(e->barcode, row->barcode, sizeof(e->barcode));
        lock_release(&lib->lock);
    }
    return 0;
}

static int add_cartridge(struct rebuild *r, const struct head *h, const struct tape_index *x, uint16_t address)
{
    struct db_cartridge row;
    int rc = rebuild_row(r->lib, 0, h, x, address, &row, r->err);
    if (!rc) {
        free(row.mam);
        free(row.counters);
    }
    return rc;
}

/* Reads the winning head and all that it names. *with_head: the head is good, whatever became of the rest. */
static int read_cartridge(struct rebuild *r, const char *barcode, struct head *h, struct tape_index *x, bool *with_head,
                          struct errtext *why)
{
    struct objstore *store = r->lib->eng.store;
    struct obj_call call = {.cancel = r->o->cancel};
    int rc = commit_read_head(store, barcode, NULL, h, &call, why);
    *with_head = !rc;
    return rc ? rc : commit_read_index(store, h, x, &call, why);
}

static int read_deep(struct rebuild *r, const char *barcode, struct head *h, struct tape_index *x, bool with_head,
                     json_t **deep, struct errtext *why)
{
    struct head old = *h;
    int rc = rebuild_deep(r->lib, with_head ? &old : NULL, barcode, r->o, h, x, deep, why);
    if (with_head)
        head_free(&old);
    return rc;
}

static void report_cartridge(struct rebuild *r, const char *barcode, uint16_t address, const struct tape_index *x,
                             json_t *deep)
{
    json_t *j =
        json_pack("{s:s, s:o, s:I, s:I, s:I}", "barcode", barcode, "address",
                  address ? json_integer(address) : json_null(), "objects", (json_int_t)tape_index_end_object(x),
                  "files", (json_int_t)tape_index_end_file(x), "bytes", (json_int_t)tape_index_plain_bytes(x));
    if (deep)
        json_object_set(j, "deep", deep);
    json_array_append_new(r->cartridges, j);
}

static int any(void *arg, const struct obj_entry *e)
{
    (void)e;
    *(bool *)arg = true;
    return 1;
}

/* Else it is a claim that came to nothing. */
static bool has_segments(struct rebuild *r, const char *barcode)
{
    char prefix[DB_KEY_SIZE];
    bool has = false;
    (void)snprintf(prefix, sizeof(prefix), "tapes/%s/seg/", barcode);
    int rc = r->lib->eng.store->ops->list(r->lib->eng.store, prefix, NULL, false, any, &has, NULL, NULL);
    return rc < 0 || has;
}

/* One cartridge from its winning head, or from its segments. Damage in the store is reported; what fails here ends the
 * rebuild. */
static int rebuild_one(struct rebuild *r, const char *barcode, uint16_t address)
{
    struct head h;
    struct tape_index x;
    struct errtext why = {""};
    json_t *deep = NULL;
    bool with_head = false;
    int rc = read_cartridge(r, barcode, &h, &x, &with_head, &why);
    bool no_head = rc == -ENOENT && !with_head, damaged = rc == -EBADMSG || (rc == -ENOENT && with_head);
    if (r->o->deep && (no_head || damaged)) {
        rc = read_deep(r, barcode, &h, &x, with_head, &deep, &why);
        if (rc == -ENOENT && no_head)
            return 0;
        with_head = false;
    }
    if (rc && with_head)
        head_free(&h);
    if (no_head && !r->o->deep && !has_segments(r, barcode))
        return 0;
    if (rc == -ECANCELED) {
        *r->err = why;
        return rc;
    }
    if (rc) {
        json_array_append_new(r->failed, json_pack("{s:s, s:o}", "barcode", barcode, "error", json_text(why.text)));
        return 0;
    }
    rc = add_cartridge(r, &h, &x, address);
    if (!rc)
        report_cartridge(r, barcode, address, &x, deep);
    json_decref(deep);
    tape_index_free(&x);
    head_free(&h);
    return rc;
}

static int take_barcode(void *arg, const struct obj_entry *e)
{
    json_t *list = arg;
    const char *b = e->key + strlen("tapes/");
    size_t n = strlen(b);
    char barcode[33];
    if (!e->is_prefix || n < 2 || n > 33)
        return 0;
    memcpy(barcode, b, n - 1);
    barcode[n - 1] = '\0';
    if (!barcode_ok(barcode))
        return 0;
    return json_array_append_new(list, json_string(barcode)) ? -ENOMEM : 0;
}

static bool has_text(const json_t *list, const char *text)
{
    size_t i;
    json_t *t;
    json_array_foreach(list, i, t) if (json_is_string(t) && !strcmp(json_string_value(t), text)) return true;
    return false;
}

static int rebuild_all(struct rebuild *r, const json_t *inventory, const json_t *barcodes)
{
    /* Known places first, so that a cartridge without one does not take another's slot. */
    size_t n = json_array_size(barcodes);
    bool *placed = calloc(n ? n : 1, sizeof(*placed));
    const json_t *shelf = json_object_get(inventory, "shelf");
    int rc = placed ? 0 : errtext_set(r->err, -ENOMEM, "rebuild: out of memory");
    for (size_t i = 0; !rc && i < n; i++) {
        const char *barcode = json_string_value(json_array_get(barcodes, i));
        uint16_t address = place_of(r, inventory, barcode);
        placed[i] = address || has_text(shelf, barcode);
        if (placed[i])
            rc = rebuild_one(r, barcode, address);
    }
    for (size_t i = 0; !rc && i < n; i++)
        if (!placed[i])
            rc = rebuild_one(r, json_string_value(json_array_get(barcodes, i)), library_free_slot(r->lib));
    free(placed);
    return rc;
}

static int rebuild_state(const struct vtl_config *cfg, struct objstore *store, const struct rebuild_options *o,
                         json_t **report, struct errtext *err)
{
    char id[37], name[64];
    int rc = format_read(store, id, name, err);
    if (rc == -ENOENT)
        return errtext_set(
            err, rc,
            "the store's prefix holds no library (no object \"format\"); if it did, and lost it: library init, then "
            "library rebuild --force --deep");
    if (rc)
        return rc;
    json_t *barcodes = json_array();
    rc = store->ops->list(store, "tapes/", NULL, true, take_barcode, barcodes, NULL, err);
    json_t *inventory = rc ? NULL : inventory_newest(store, err);
    if (!rc && !inventory && err->text[0] && !o->deep)
        rc = -EIO;
    struct rebuild r = {.o = o, .cartridges = json_array(), .failed = json_array(), .err = err};
    if (!rc)
        rc = make_state(cfg, id, true, &r.lib, err);
    if (!rc) {
        rc = rebuild_all(&r, inventory, barcodes);
        if (!rc && (rc = db_meta_set(r.lib->eng.db, REBUILDING, "")))
            errtext_set(err, rc, "%s/state.db: %s", cfg->library.state_dir, db_error(r.lib->eng.db));
        (void)library_close(r.lib, NULL);
    }
    json_decref(inventory);
    json_decref(barcodes);
    *report =
        json_pack("{s:s, s:s, s:o, s:o}", "library", id, "name", name, "cartridges", r.cartridges, "failed", r.failed);
    return rc;
}

static void path_in(const struct vtl_config *cfg, const char *name, const char *suffix, char buf[PATH_SIZE])
{
    (void)snprintf(buf, PATH_SIZE, "%s/%s%s", cfg->library.state_dir, name, suffix);
}

static const char *const state_names[] = {"state.db", "state.db-wal", "state.db-shm", "spool"};
#define N_STATE_NAMES (sizeof(state_names) / sizeof(state_names[0]))

static bool is_taken(const struct vtl_config *cfg, const char *suffix)
{
    char path[PATH_SIZE];
    for (size_t i = 0; i < N_STATE_NAMES; i++) {
        path_in(cfg, state_names[i], suffix, path);
        if (!access(path, F_OK))
            return true;
    }
    return false;
}

/* The old state stays beside the new one, and beside older ones: it may hold what was never stored. */
static int move_aside(const struct vtl_config *cfg, struct errtext *err)
{
    char suffix[64], from[PATH_SIZE], to[PATH_SIZE];
    uint64_t time = engine_time();
    (void)snprintf(suffix, sizeof(suffix), ".before-%" PRIu64, time);
    for (unsigned i = 1; is_taken(cfg, suffix); i++)
        (void)snprintf(suffix, sizeof(suffix), ".before-%" PRIu64 "-%u", time, i);
    struct library *lib = NULL; /* nobody else may be using it */
    int rc = library_open(cfg, 0, &lib, err);
    if (rc == -EBUSY)
        return rc;
    if (!rc)
        (void)library_close(lib, NULL);
    for (size_t i = 0; i < N_STATE_NAMES; i++) {
        path_in(cfg, state_names[i], "", from);
        path_in(cfg, state_names[i], suffix, to);
        if (rename(from, to) && errno != ENOENT)
            return errtext_set(err, -errno, "%s: %s", from, strerror(errno));
    }
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

static void remove_state(const struct vtl_config *cfg)
{
    static const char *const names[] = {"state.db", "state.db-wal", "state.db-shm"};
    char path[PATH_SIZE];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_in(cfg, names[i], "", path);
        (void)unlink(path);
    }
}

/* A state in a directory of its own, which is gone afterwards. */
static int rebuild_dry(const struct vtl_config *cfg, struct objstore *store, const struct rebuild_options *o,
                       json_t **report, struct errtext *err)
{
    char dir[] = "/tmp/s3vtl-rebuild-XXXXXX";
    struct vtl_config there = *cfg;
    if (!mkdtemp(dir))
        return errtext_set(err, -errno, "%s: %s", dir, strerror(errno));
    there.library.state_dir = dir;
    int rc = rebuild_state(&there, store, o, report, err);
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return rc;
}

static int rebuild_here(const struct vtl_config *cfg, struct objstore *store, const struct rebuild_options *o,
                        json_t **report, struct errtext *err)
{
    int rc = has_state(cfg) ? move_aside(cfg, err) : 0;
    if (rc)
        return rc;
    rc = rebuild_state(cfg, store, o, report, err);
    if (rc)
        remove_state(cfg);
    return rc;
}

int library_rebuild(const struct vtl_config *cfg, const struct rebuild_options *o, json_t **report, struct errtext *err)
{
    static const struct rebuild_options none;
    struct objstore *store = NULL;
    o = o ? o : &none;
    *report = NULL;
    if (has_state(cfg) && !o->force && !o->dry_run)
        return errtext_set(
            err, -EEXIST,
            "%s has a state already: --force sets it aside (as state.db.before-<time>) and makes a new one",
            cfg->library.state_dir);
    int rc = open_store(cfg, &store, err);
    if (rc)
        return rc;
    struct objstore_config here;
    struct errtext why = {""};
    config_store(cfg, &here);
    if (library_check_neighbours(&here, store, &why))
        log_line("%s", why.text); /* what is there must be had all the same */
    rc = o->dry_run ? rebuild_dry(cfg, store, o, report, err) : rebuild_here(cfg, store, o, report, err);
    if (rc) {
        json_decref(*report);
        *report = NULL;
    }
    store->ops->close(store);
    return rc;
}
