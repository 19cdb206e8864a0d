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
#include "base/many.h"
#include "vtl/format/barcode.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/library_private.h"
#include "vtl/library/turn.h"
#include "vtl/library/unmade.h"
#include "vtl/library/vanished.h"

#define PATH_SIZE 4200

int rebuild_open_store(const struct vtl_config *cfg, struct objstore **store, struct errtext *err)
{
    struct objstore_config oc;
    config_store(cfg, &oc);
    oc.note = log_note;
    oc.patience_ms = OBJ_PATIENCE_MS;
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

int library_state_id(const struct vtl_config *cfg, char id[37], struct errtext *err)
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

int library_check_format(const struct vtl_config *cfg, struct objstore *store, const struct obj_call *call,
                         struct errtext *err)
{
    char id[37];
    int rc = library_state_id(cfg, id, err);
    return rc ? rc : format_is(cfg, store, id, call, err);
}

/* Makes the state of the library called id, or opens it; closed again by the caller. lock_fd: of library_lock, or -1. */
static int make_state(const struct vtl_config *cfg, const char *id, bool rebuild, int lock_fd, struct library **lib,
                      struct errtext *err)
{
    int rc = library_open_locked(cfg, LIBRARY_CREATE, lock_fd, lib, err);
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
    int rc = library_state_id(cfg, id, err);
    if (rc)
        return rc;
    rc = format_read(store, NULL, theirs, name, err);
    if (rc && rc != -ENOENT)
        return rc;
    *existed = rc == 0;
    if (*existed && strcmp(id, theirs) != 0)
        return errtext_set(
            err, -EEXIST,
            "the store's prefix is in use by library \"%s\" (%s): choose another prefix, or take that library over "
            "with \"s3vtl library rebuild\"",
            name, theirs);
    if (*existed && id[0]) /* both are there, and of one library, which may be served */
        return 0;
    struct objstore_config here;
    config_store(cfg, &here);
    if (!*existed && (rc = library_check_neighbours(&here, store, NULL, err)))
        return rc;
    if (!id[0] && (rc = new_id(id, err)))
        return rc;
    struct library *lib = NULL;
    rc = make_state(cfg, id, false, -1, &lib, err);
    if (rc)
        return rc;
    if (!*existed)
        rc = format_write(store, id, cfg->library.name, err);
    (void)library_close(lib, NULL);
    return rc;
}

/* What a person is to know of the store; nothing if it does not tell. */
static json_t *store_advice(struct objstore *store)
{
    const struct obj_call few = {.max_tries = 2};
    struct obj_facts facts;
    json_t *list = json_array();
    (void)objstore_learn(store, &few, NULL);
    objstore_facts(store, &facts);
    const char *line;
    for (unsigned i = 0; (line = objstore_advice(&facts, i)); i++)
        json_array_append_new(list, json_string(line));
    return list;
}

int library_init(const struct vtl_config *cfg, json_t **report, struct errtext *err)
{
    struct objstore *store = NULL;
    json_t *advice = NULL;
    char id[37];
    bool existed = false;
    *report = NULL;
    int rc = rebuild_open_store(cfg, &store, err);
    if (rc)
        return rc;
    rc = init_with_store(cfg, store, id, &existed, err);
    if (!rc)
        advice = store_advice(store);
    store->ops->close(store);
    if (!rc)
        *report = json_pack("{s:s, s:s, s:b, s:o}", "library", id, "name", cfg->library.name, "created", (int)!existed,
                            "store_advice", advice);
    return rc;
}

/* ---- rebuild ---- */

struct rebuild {
    struct library *lib;
    struct objstore *store;
    const struct rebuild_options *o;
    struct vanished *named;
    json_t *cartridges, *failed; /* of the report */
    struct errtext *err;
};

/* What is rebuilt, and what there is to rebuild it from. */
struct source {
    char id[37], name[64];
    json_t *barcodes, *inventory;
    json_t *theirs;         /* barcodes that libraries of other names have, or know; NULL: not asked for */
    bool unsure;            /* what none of them has may be another's all the same */
    struct vanished *named; /* by the state that there was, and by the inventory */
    json_t *unmade;         /* what that state knew of barcodes that were removed; NULL: nothing */
    int lock_fd;            /* nobody else makes or opens the state meanwhile; -1: there is no directory of it yet */
};

/* Where the inventory has a barcode, and the library an element that is free. */
static uint16_t place_of(struct rebuild *r, const json_t *places, const char *barcode)
{
    const json_t *e = json_object_get(places, barcode);
    json_int_t address = json_integer_value(json_object_get(e, "address"));
    json_int_t source = json_integer_value(json_object_get(e, "source"));
    /* Drives begin empty: what was in one goes to where it came from. */
    json_int_t want = address >= ELEMENT_FIRST_IMPORT_EXPORT ? address : source;
    struct element *at = want > 0 && want <= UINT16_MAX ? library_element(r->lib, (uint16_t)want) : NULL;
    bool fits = at && !at->barcode[0] && at->type != ELEMENT_DRIVE && at->type != ELEMENT_TRANSPORT;
    return fits ? at->address : 0;
}

/* The inventory by barcode: its element, or true for the shelf, where what only neighbours know of goes, too. New reference. */
static json_t *places_of(const struct source *s)
{
    json_t *places = json_object(), *e, *inventory = s->inventory;
    size_t i;
    json_array_foreach(s->unsure ? s->barcodes : NULL, i, e)
        json_object_set_new(places, json_string_value(e), json_true());
    if (s->theirs)
        (void)json_object_update(places, s->theirs);
    json_array_foreach(json_object_get(inventory, "shelf"), i, e) if (json_is_string(e))
        json_object_set_new(places, json_string_value(e), json_true());
    json_array_foreach(json_object_get(inventory, "elements"), i, e)
    {
        const char *b = json_string_value(json_object_get(e, "barcode"));
        if (b)
            json_object_set(places, b, e);
    }
    return places;
}

static bool on_shelf(const json_t *places, const char *barcode)
{
    return json_is_true(json_object_get(places, barcode));
}

int rebuild_row(struct library *lib, int64_t old, const struct head *h, const struct tape_index *x, uint16_t address,
                struct db_cartridge *row, struct errtext *err)
{
    struct db *db = lib->eng.db;
    commit_row_of_head(h, x, row);
    int rc = db_cartridge_restore(db, old, row, address, x, h);
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

/* Head and index from the segments, in place of what could be read. */
static int read_deep(struct rebuild *r, const char *barcode, struct rebuild_reading *c, json_t **deep)
{
    struct head old = c->h;
    bool had = c->with_head;
    c->with_head = false;
    c->rc = rebuild_deep(r->lib, had ? &old : NULL, barcode, r->o, &c->h, &c->x, deep, &c->why);
    c->with_head = c->whole = !c->rc;
    if (had)
        head_free(&old);
    return c->rc;
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

/* Does the store give nothing at all, or is it only this cartridge? */
static bool store_is_gone(struct rebuild *r, int rc)
{
    const struct obj_call once = {.cancel = r->o->cancel, .max_tries = 1};
    return (rc == -EIO || rc == -EACCES) && r->store->ops->check(r->store, &once, NULL);
}

/* One cartridge into the state. What fails in the store's objects is reported, what fails here ends the rebuild. */
static int take_reading(struct rebuild *r, const char *barcode, struct rebuild_reading *c, uint16_t address)
{
    json_t *deep = NULL;
    bool damaged = c->rc == -EBADMSG || c->rc == -ENOENT;
    if (c->nothing && c->with_head)
        vanished_removed(r->named, barcode);
    if (c->nothing)
        return 0;
    if (c->with_head)
        vanished_seen(r->named, barcode, &c->h.id);
    if (r->o->deep && damaged)
        (void)read_deep(r, barcode, c, &deep);
    if (deep || c->rc) /* what is wrong with it is told by the way */
        vanished_seen(r->named, barcode, NULL);
    if (c->rc == -ECANCELED || store_is_gone(r, c->rc)) {
        *r->err = c->why;
        return c->rc;
    }
    if (c->rc) {
        json_array_append_new(r->failed, json_pack("{s:s, s:o, s:b}", "barcode", barcode, "error",
                                                   json_text(c->why.text), "deep_may_help", damaged && !r->o->deep));
        return 0;
    }
    int rc = add_cartridge(r, &c->h, &c->x, address);
    if (!rc)
        report_cartridge(r, barcode, address, &c->x, deep);
    json_decref(deep);
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

/* ---- all of them: read several at a time, taken in order by one thread ---- */

struct all {
    struct rebuild *r;
    json_t *places;
    const char **barcodes; /* those with a known place first, so that no other takes that place */
    size_t n, n_placed;
    struct rebuild_reading **read; /* by the same number; NULL: not read, or taken */
};

static void read_one(void *arg, size_t i)
{
    struct all *a = arg;
    a->read[i] = rebuild_read(a->r->store, a->barcodes[i], a->r->o->cancel);
}

static int take(struct all *a, size_t i, uint16_t address)
{
    int rc = take_reading(a->r, a->barcodes[i], a->read[i], address);
    rebuild_reading_free(a->read[i]);
    a->read[i] = NULL;
    return rc;
}

static int take_one(void *arg, size_t i)
{
    struct all *a = arg;
    if (!a->read[i])
        return errtext_set(a->r->err, -ENOMEM, "rebuild: out of memory");
    if (a->r->o->shelf)
        return take(a, i, 0);
    if (i >= a->n_placed)
        return take(a, i, library_free_slot(a->r->lib));
    uint16_t address = place_of(a->r, a->places, a->barcodes[i]);
    if (address || on_shelf(a->places, a->barcodes[i]))
        return take(a, i, address);
    return 0; /* another came to its place before it: any free slot, when all have theirs */
}

static void tell_count(void *arg, size_t so_far)
{
    const struct all *a = arg;
    if (a->r->o->count)
        a->r->o->count(a->r->o->arg, so_far, a->n);
}

static void sort_in(struct all *a, const json_t *barcodes)
{
    size_t last = 0;
    for (int placed = 1; placed >= 0; placed--) {
        for (size_t i = 0; i < a->n; i++) {
            const char *b = json_string_value(json_array_get(barcodes, i));
            bool is = place_of(a->r, a->places, b) || on_shelf(a->places, b);
            if (is == placed)
                a->barcodes[last++] = b;
        }
        if (placed)
            a->n_placed = last;
    }
}

static int rebuild_all(struct rebuild *r, const struct source *s)
{
    struct all a = {.r = r, .places = places_of(s), .n = json_array_size(s->barcodes)};
    a.barcodes = calloc(a.n + 1, sizeof(*a.barcodes));
    a.read = calloc(a.n + 1, sizeof(struct rebuild_reading *));
    int rc = -ENOMEM;
    if (a.barcodes && a.read) {
        sort_in(&a, s->barcodes);
        const struct many m = {.n = a.n,
                               .parallel = config_requests(r->lib->cfg),
                               .work = read_one,
                               .done = take_one,
                               .tick = tell_count,
                               .arg = &a};
        rc = many_run(&m);
    }
    for (size_t i = 0; !rc && i < a.n_placed; i++)
        if (a.read[i])
            rc = take(&a, i, library_free_slot(r->lib));
    for (size_t i = 0; a.read && i < a.n; i++)
        rebuild_reading_free(a.read[i]);
    free(a.read);
    free(a.barcodes);
    json_decref(a.places);
    if (rc == -ENOMEM && !r->err->text[0])
        errtext_set(r->err, rc, "rebuild: out of memory");
    return rc;
}

static bool is_of(const json_t *inventory, const char *library)
{
    const char *name = json_string_value(json_object_get(inventory, "name"));
    return name && !strcmp(name, library);
}

/* A library that was only renamed has its place in the inventory of its old name, which is no neighbour's. Where some
 * inventory cannot be read, that may be the one of this name: then another's says nothing of this one's places. */
static int read_neighbours(const struct vtl_config *cfg, struct objstore *store, struct source *s, bool unread,
                           const struct obj_call *call, struct errtext *err)
{
    json_t *list = NULL;
    bool ours = is_of(s->inventory, cfg->library.name);
    int rc = ours || unread ? turns_read_most(store, s->id, &list, call, err) : 0;
    s->theirs = list ? turns_theirs(list, cfg->library.name, true) : NULL;
    s->unsure = unread && (ours || turns_have_neighbour(list, cfg->library.name));
    if (unread && !ours) {
        json_decref(s->inventory);
        s->inventory = NULL;
    }
    if (s->unsure)
        log_warn(
            "an inventory cannot be read, so what no other one has goes onto the shelf: it may be another library's");
    json_decref(list);
    return rc;
}

static int read_source(const struct vtl_config *cfg, struct objstore *store, const struct rebuild_options *o,
                       struct source *s, struct errtext *err)
{
    char key[DB_KEY_SIZE];
    const struct obj_call call = {.cancel = o->cancel, .max_tries = 3, .patience_ms = OBJ_PATIENCE_MS};
    bool unread = false;
    int rc = format_read(store, &call, s->id, s->name, err);
    if (rc == -ENOENT)
        return errtext_set(
            err, rc,
            "the store's prefix holds no library (no object \"format\"); if it did, and lost it: library init, then "
            "library rebuild --force --deep");
    if (!rc)
        rc = store->ops->list(store, "tapes/", NULL, true, take_barcode, s->barcodes, &call, err);
    if (rc)
        return rc;
    struct errtext why = {""};
    s->inventory = inventory_newest(store, cfg->library.name, key, &unread, o->cancel, &why);
    if (!s->inventory && why.text[0] && (!o->deep || obj_canceled(&call)))
        return errtext_set(err, -EIO,
                           "%s: without it nobody knows which element a cartridge is in, or which library's it is; "
                           "nothing was changed; --deep rebuilds without it",
                           why.text);
    if ((rc = read_neighbours(cfg, store, s, unread, &call, err)))
        return rc;
    rc = vanished_add_inventory(s->named, s->inventory);
    return rc ? errtext_set(err, rc, "rebuild: out of memory") : 0;
}

/* The same turn as whoever put the inventory, so that neither shuts the other out: a rebuild is no takeover. */
static int go_on_as(struct library *lib, const json_t *inventory, struct errtext *err)
{
    struct turn t;
    turn_of(inventory, &t);
    return is_of(inventory, lib->cfg->library.name) ? turn_set(lib, t.number, 0, err) : 0;
}

static int rebuild_from(const struct vtl_config *cfg, struct objstore *store, const struct rebuild_options *o,
                        struct source *s, json_t **report, struct errtext *err)
{
    struct rebuild r = {
        .store = store, .o = o, .named = s->named, .cartridges = json_array(), .failed = json_array(), .err = err};
    json_t *vanished = NULL;
    int rc = make_state(cfg, s->id, true, s->lock_fd, &r.lib, err);
    if (!rc) {
        rc = unmade_write(r.lib->eng.db, s->unmade);
        rc = rc ? errtext_set(err, rc, "%s/state.db: %s", cfg->library.state_dir, db_error(r.lib->eng.db))
                : rebuild_all(&r, s);
        if (!rc && o->deep && (rc = db_leaners_complete(r.lib->eng.db, r.lib->eng.writer)))
            errtext_set(err, rc, "%s/state.db: %s", cfg->library.state_dir, db_error(r.lib->eng.db));
        if (!rc)
            rc = go_on_as(r.lib, s->inventory, err);
        if (!rc && o->shelf && !o->dry_run) /* its neighbours are to know of it */
            rc = inventory_put(r.lib, NULL, err);
        if (!rc && (rc = db_meta_set(r.lib->eng.db, REBUILDING, "")))
            errtext_set(err, rc, "%s/state.db: %s", cfg->library.state_dir, db_error(r.lib->eng.db));
        (void)library_close(r.lib, NULL);
    }
    if (!rc)
        rc = vanished_find(s->named, &vanished, err);
    *report = json_pack("{s:s, s:s, s:o, s:o, s:o*}", "library", s->id, "name", s->name, "cartridges", r.cartridges,
                        "failed", rebuild_sorted(r.failed), "vanished", vanished);
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

/* Nobody else may be using it, nor begin to, while it is set aside and made again. */
static int hold(const struct vtl_config *cfg, int *lock_fd, struct errtext *err)
{
    *lock_fd = -1;
    return access(cfg->library.state_dir, F_OK) ? 0 : library_lock(cfg, lock_fd, err);
}

/* Of a state that cannot be read nothing is known: that may be why it is made again. */
static json_t *read_unmade(const struct vtl_config *cfg)
{
    char path[PATH_SIZE];
    struct db *db = NULL;
    struct errtext why = {""};
    (void)snprintf(path, sizeof(path), "%s/state.db", cfg->library.state_dir);
    if (!has_state(cfg) || db_open(path, false, &db, &why))
        return NULL;
    json_t *known = unmade_read(db);
    db_close(db);
    return known;
}

/* As much as can be: a spool may be a mount point. */
static void move_back(const struct vtl_config *cfg, size_t n, const char *suffix)
{
    char from[PATH_SIZE], to[PATH_SIZE];
    while (n-- > 0) {
        path_in(cfg, state_names[n], suffix, from);
        path_in(cfg, state_names[n], "", to);
        if (rename(from, to) && errno != ENOENT)
            log_err("%s: %s: it was to be %s again", from, strerror(errno), to);
    }
}

/* The first n names of the old state stay beside the new one, and beside older ones: it may hold what was never stored. All of
 * them, or none: a state without its spool, or a spool without its state, is no way back. */
static int move_aside(const struct vtl_config *cfg, size_t n, struct errtext *err)
{
    char suffix[64], from[PATH_SIZE], to[PATH_SIZE];
    uint64_t time = engine_time();
    (void)snprintf(suffix, sizeof(suffix), ".before-%" PRIu64, time);
    for (unsigned i = 1; is_taken(cfg, suffix); i++)
        (void)snprintf(suffix, sizeof(suffix), ".before-%" PRIu64 "-%u", time, i);
    for (size_t i = 0; i < n; i++) {
        path_in(cfg, state_names[i], "", from);
        path_in(cfg, state_names[i], suffix, to);
        if (rename(from, to) && errno != ENOENT) {
            int rc = errtext_set(err, -errno, "%s: cannot be set aside: %s%s", from, strerror(errno),
                                 errno == EBUSY ? " (is it a mount point? What is in it must be)" : "");
            move_back(cfg, i, suffix);
            return rc;
        }
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
                       struct source *s, json_t **report, struct errtext *err)
{
    char dir[] = "/tmp/s3vtl-rebuild-XXXXXX";
    struct vtl_config there = *cfg;
    if (!mkdtemp(dir))
        return errtext_set(err, -errno, "%s: %s", dir, strerror(errno));
    there.library.state_dir = dir;
    int rc = rebuild_from(&there, store, o, s, report, err);
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return rc;
}

/* Where the new state goes. Of one that gives way the spool stays as cache, but for what no head names: a takeover each
 * day must not fill the disk. */
static int make_room(const struct vtl_config *cfg, const struct rebuild_options *o, bool left, struct errtext *err)
{
    if (o->give_way && has_state(cfg)) {
        int rc = left ? rebuild_set_aside(cfg, err) : 0;
        if (!rc && left)
            rc = move_aside(cfg, N_STATE_NAMES - 1, err);
        if (!rc)
            remove_state(cfg);
        return rc;
    }
    /* Without a state, the spool of what is all stored stays as cache. */
    return has_state(cfg) || left ? move_aside(cfg, N_STATE_NAMES, err) : 0;
}

static int rebuild_here(const struct vtl_config *cfg, struct objstore *store, const struct rebuild_options *o,
                        json_t *backlog, struct source *s, json_t **report, struct errtext *err)
{
    bool left = json_array_size(backlog) > 0;
    if (left && !o->discard_backlog && !o->give_way) {
        *report = json_pack("{s:O}", "backlog", backlog);
        return rebuild_refuse_backlog(backlog, err);
    }
    int rc = make_room(cfg, o, left, err);
    if (rc)
        return rc;
    rc = rebuild_from(cfg, store, o, s, report, err);
    if (rc)
        remove_state(cfg);
    return rc;
}

static int rebuild_with(const struct vtl_config *cfg, struct objstore *store, const struct rebuild_options *o,
                        json_t **report, struct errtext *err)
{
    json_t *backlog = NULL;
    int own_fd = -1, rc = o->dry_run || o->lock_fd ? 0 : hold(cfg, &own_fd, err);
    if (rc)
        return rc;
    struct source s = {.barcodes = json_array(),
                       .named = vanished_new(cfg, store, NULL, o->cancel),
                       .unmade = read_unmade(cfg),
                       .lock_fd = o->lock_fd ? *o->lock_fd : own_fd};
    if (!s.named || vanished_add_state(s.named, cfg))
        rc = errtext_set(err, -ENOMEM, "rebuild: out of memory");
    if (!rc)
        rc = rebuild_backlog(cfg, store, o->cancel, &backlog, err);
    if (!rc) /* while the state that there was is where it was */
        rc = read_source(cfg, store, o, &s, err);
    if (!rc && o->dry_run)
        rc = rebuild_dry(cfg, store, o, &s, report, err);
    else if (!rc)
        rc = rebuild_here(cfg, store, o, backlog, &s, report, err);
    vanished_free(s.named);
    json_decref(s.unmade);
    json_decref(s.theirs);
    json_decref(s.inventory);
    json_decref(s.barcodes);
    if (!rc && json_array_size(backlog))
        json_object_set(*report, "backlog", backlog);
    json_decref(backlog);
    if (own_fd >= 0)
        close(own_fd);
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
    int rc = rebuild_open_store(cfg, &store, err);
    if (rc)
        return rc;
    struct objstore_config here;
    struct errtext why = {""};
    config_store(cfg, &here);
    if (library_check_neighbours(&here, store, NULL, &why))
        log_warn("%s", why.text); /* what is there must be had all the same */
    rc = rebuild_with(cfg, store, o, report, err);
    if (rc && rc != -EBUSY) {
        json_decref(*report);
        *report = NULL;
    }
    store->ops->close(store);
    return rc;
}
