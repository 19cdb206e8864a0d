/* SPDX-License-Identifier: GPL-2.0-or-later */
/* inventory.c: which cartridge is in which element, kept in the store after every change. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/event.h"
#include "base/jsontext.h"
#include "base/log.h"
#include "base/thread.h"
#include "vtl/library/gate.h"
#include "vtl/library/inventory_keys.h"
#include "vtl/library/library_private.h"
#include "vtl/library/tapes.h"
#include "vtl/library/turn.h"

#define RETRY_MS 5000
#define MAX_INVENTORY (32u << 20)
#define KEY_FORMAT "gateways/%08x/inventory/%010" PRIu64 /* of a run, the how manieth */
#define OLD_BATCH 50
#define STOP_MS 5000 /* at the stop, for a store that does not answer: the next start puts it */

static int by_barcode(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The cartridges that are in no element. Collected without the lock: there may be many (I5). NULL: out of memory. */
static json_t *on_the_shelf(struct library *lib, const struct element *now, size_t n_now)
{
    typedef char name[33];
    size_t n_full = 0, n = 0;
    name *full = calloc(n_now, sizeof(*full)), *all = NULL;
    json_t *list = NULL;
    lock_take(&lib->lock);
    if (full && (all = calloc(lib->n_cartridges + 1, sizeof(*all))))
        for (n = 0; n < lib->n_cartridges; n++)
            (void)snprintf(all[n], sizeof(all[n]), "%s", cartridge_barcode(lib->cartridges[n]));
    lock_release(&lib->lock);
    for (size_t i = 0; full && i < n_now; i++)
        if (now[i].barcode[0])
            memcpy(full[n_full++], now[i].barcode, sizeof(full[0]));
    if (all) {
        list = json_array();
        qsort(full, n_full, sizeof(*full), by_barcode);
        for (size_t i = 0; i < n; i++)
            if (!bsearch(all[i], full, n_full, sizeof(*full), by_barcode))
                json_array_append_new(list, json_string(all[i]));
    }
    free(full);
    free(all);
    return list;
}

static json_t *describe(struct library *lib)
{
    json_t *list = json_array();
    lock_take(&lib->lock);
    lib->inventory_dirty = false;
    lib->inventory_put = true;
    lock_release(&lib->lock);
    size_t n;
    struct element *now = library_elements_now(lib, &n);
    for (size_t i = 0; now && i < n; i++) {
        const struct element *e = &now[i];
        if (e->barcode[0])
            json_array_append_new(list, json_pack("{s:i, s:s, s:i}", "address", (int)e->address, "barcode", e->barcode,
                                                  "source", (int)e->source));
    }
    json_t *shelf = now ? on_the_shelf(lib, now, n) : NULL;
    free(now);
    if (!shelf) {
        json_decref(list);
        return NULL;
    }
    char gateway[9];
    (void)snprintf(gateway, sizeof(gateway), "%08x", lib->eng.gateway);
    json_t *j =
        json_pack("{s:i, s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:o}", "format", 1, "library", lib->id, "name",
                  lib->cfg->library.name, "gateway", gateway, "time", (json_int_t)engine_time(), "turn",
                  (json_int_t)lib->turn, "served_as", served_as_json(lib->cfg), "elements", list, "shelf", shelf);
    if (j && lib->eng.host[0])
        json_object_set_new(j, "host", json_text(lib->eng.host));
    if (j && lib->handed_over)
        json_object_set_new(j, "handed_over", json_true());
    return j;
}

static int read_keys(struct library *lib, struct inventory_keys *k, struct errtext *err)
{
    char text[INVENTORY_KEYS_SIZE];
    if (db_meta_get(lib->eng.db, INVENTORY_KEYS, text, sizeof(text)))
        return errtext_set(err, -EIO, "state: %s", db_error(lib->eng.db));
    inventory_keys_read(k, text);
    return 0;
}

static int write_keys(struct library *lib, const struct inventory_keys *k, struct errtext *err)
{
    char text[INVENTORY_KEYS_SIZE];
    inventory_keys_write(k, text);
    int rc = db_meta_set(lib->eng.db, INVENTORY_KEYS, text);
    return rc ? errtext_set(err, rc, "state: %s", db_error(lib->eng.db)) : 0;
}

struct old {
    const struct inventory_keys *known;
    const char *but; /* the one that is put now */
    char keys[OLD_BATCH][DB_KEY_SIZE];
    size_t n;
};

static int take_old(void *arg, const struct obj_entry *e)
{
    struct old *o = arg;
    if (e->is_prefix || !strcmp(e->key, o->but) || !inventory_keys_own(o->known, e->key))
        return 0;
    (void)snprintf(o->keys[o->n++], DB_KEY_SIZE, "%s", e->key);
    return o->n == OLD_BATCH ? 1 : 0;
}

/* Of a run some of whose puts may have come to something, whatever was answered. */
static int delete_run(struct library *lib, const char *of, struct old *o, const struct obj_call *call,
                      struct errtext *err)
{
    struct objstore *store = lib->eng.store;
    const char *keys[OLD_BATCH];
    char folder[DB_KEY_SIZE];
    int rc, more;
    inventory_key_folder(of, folder);
    do {
        o->n = 0;
        rc = store->ops->list(store, folder, NULL, false, take_old, o, call, err);
        more = rc == 1;
        for (size_t i = 0; i < o->n; i++)
            keys[i] = o->keys[i];
        if (rc >= 0)
            rc = o->n ? store->ops->del(store, keys, o->n, call, err) : 0;
    } while (!rc && more);
    return rc;
}

/* What this state put before key. k: as it was before that. */
static int delete_old(struct library *lib, const struct inventory_keys *k, const char *key,
                      const struct inventory_keys *now, const struct obj_call *call, struct errtext *err)
{
    struct old o = {.known = now, .but = key};
    const char *stored[] = {k->stored};
    int rc = 0;
    if (inventory_key_up_to(k->stored, key)) /* of this run, so that nothing else is there but what failed since */
        rc = lib->eng.store->ops->del(lib->eng.store, stored, 1, call, err);
    else if (k->stored[0])
        rc = delete_run(lib, k->stored, &o, call, err);
    for (size_t i = 0; !rc && i < k->n_tried; i++)
        rc = delete_run(lib, k->tried[i], &o, call, err);
    return rc;
}

/* The state knows of it before it is put, so that it is never taken for a copy's; and those before go after. What the store
 * does not let go then is known until a later one takes it along: another one now would only be one more. */
static int put_and_supersede(struct library *lib, const char *key, const json_t *j, const struct obj_call *call,
                             struct errtext *err)
{
    struct inventory_keys before, k;
    int rc = read_keys(lib, &before, err);
    if (rc)
        return rc;
    k = before;
    inventory_keys_try(&k, key);
    rc = write_keys(lib, &k, err);
    if (!rc)
        rc = store_write_json(lib->eng.store, key, j, call, err);
    if (rc)
        return rc;
    struct errtext why = {""};
    rc = delete_old(lib, &before, key, &k, call, &why);
    if (rc == -ECANCELED) /* it is put once more, by the stop */
        return errtext_set(err, rc, "%s", why.text);
    if (rc) {
        log_warn("inventory: an older one stays: %s", why.text);
        return 0;
    }
    k = (struct inventory_keys){.n_tried = 0};
    memcpy(k.stored, key, DB_KEY_SIZE);
    return write_keys(lib, &k, err);
}

int inventory_put(struct library *lib, const struct obj_call *call, struct errtext *err)
{
    char key[DB_KEY_SIZE];
    (void)snprintf(key, sizeof(key), KEY_FORMAT, lib->eng.writer, ++lib->inventory_n);
    json_t *j = describe(lib);
    int rc = j ? put_and_supersede(lib, key, j, call, err) : errtext_set(err, -ENOMEM, "%s: out of memory", key);
    json_decref(j);
    lock_take(&lib->lock);
    lib->inventory_put = false;
    lib->inventory_dirty = lib->inventory_dirty || rc;
    lock_release(&lib->lock);
    progress_post(&lib->eng.progress);
    return rc;
}

bool inventory_is_key(const char *key)
{
    unsigned gateway;
    uint64_t n;
    char same[DB_KEY_SIZE];
    if (sscanf(key, "gateways/%8x/inventory/%" SCNu64, &gateway, &n) != 2)
        return false;
    (void)snprintf(same, sizeof(same), KEY_FORMAT, gateway, n);
    return !strcmp(key, same);
}

/* ---- copies of this gateway ---- */

struct twins {
    struct library *lib;
    const struct obj_call *call;
    struct inventory_keys known;
    json_int_t newest; /* seconds since 1970: of the newest that another run with this gateway's id put; 0: none */
    struct errtext what;
};

/* An inventory with this gateway's id that this state did not put: a copy of this state did. */
static int look_at_twin(void *arg, const struct obj_entry *e)
{
    struct twins *t = arg;
    struct errtext why = {""};
    json_t *j = NULL;
    if (e->is_prefix || !strstr(e->key, "/inventory/") || inventory_keys_own(&t->known, e->key))
        return 0;
    if (store_read_json(t->lib->eng.store, e->key, MAX_INVENTORY, t->call, &j, &why))
        return obj_canceled(t->call) ? -ECANCELED : 0;
    const char *gateway = json_string_value(json_object_get(j, "gateway"));
    json_int_t time = json_integer_value(json_object_get(j, "time"));
    if (gateway && strtoul(gateway, NULL, 16) == t->lib->eng.gateway && time >= t->newest) {
        t->newest = time;
        errtext_set(&t->what, 0, "%s", e->key);
    }
    json_decref(j);
    return 0;
}

static void warn(struct library *lib, const char *text)
{
    lock_take(&lib->lock);
    errtext_set(&lib->warning, 0, "%s", text);
    lock_release(&lib->lock);
    log_event(EVENT_COPY_SEEN, "%s", text);
}

static int look_for_twins(struct library *lib, const struct obj_call *call, struct errtext *err)
{
    struct twins t = {.lib = lib, .call = call};
    int rc = read_keys(lib, &t.known, err);
    if (!rc)
        rc = lib->eng.store->ops->list(lib->eng.store, "gateways/", NULL, false, look_at_twin, &t, call, err);
    if (rc || !t.newest)
        return rc;
    uint64_t ago = engine_time() > (uint64_t)t.newest ? engine_time() - (uint64_t)t.newest : 0;
    errtext_set(err, 0,
                "this state is older than the bucket, or a second copy of it is running: %s was put by a copy of this "
                "gateway %" PRIu64 " s ago; each cartridge is compared with the bucket when it is loaded",
                t.what.text, ago);
    warn(lib, err->text);
    return 0;
}

/* Once, when the store answers first: who else is in the bucket? */
static int look_around(struct library *lib, const struct obj_call *call, struct errtext *err)
{
    struct objstore_config here;
    config_store(lib->cfg, &here);
    int rc = gate_ask(lib->eng.store, call, err);
    if (!rc)
        rc = library_check_neighbours(&here, lib->eng.store, call, err);
    if (rc == -EEXIST)
        warn(lib, err->text);
    return rc && rc != -EEXIST ? rc : look_for_twins(lib, call, err);
}

void library_inventory_changed(struct library *lib)
{
    lock_take(&lib->lock);
    lib->inventory_dirty = true;
    lock_release(&lib->lock);
    progress_post(&lib->eng.progress);
}

static bool is_dirty(struct library *lib)
{
    lock_take(&lib->lock);
    bool dirty = lib->inventory_dirty;
    lock_release(&lib->lock);
    return dirty;
}

bool inventory_is_stored(struct library *lib)
{
    lock_take(&lib->lock);
    bool stored = !lib->inventory_dirty && !lib->inventory_put;
    lock_release(&lib->lock);
    return stored;
}

static void *inventory_thread(void *arg)
{
    struct library *lib = arg;
    const struct obj_call call = {.cancel = &lib->stop}, once = {.cancel = &lib->stop, .max_tries = 1};
    uint64_t not_before = 0;
    bool told = false, looked = false, learnt = false;
    while (!atomic_load(&lib->stop)) {
        uint64_t seen = progress_now(&lib->eng.progress);
        struct errtext err = {""};
        if (looked) {
            turn_watch(lib);
            shelf_look(lib);
        }
        if (objstore_lockable(lib->eng.store) && !atomic_exchange(&lib->locks_seen, true))
            locks_look(lib);
        if (!is_dirty(lib) || clock_ms() < not_before) {
            progress_wait(&lib->eng.progress, seen, 1000);
            continue;
        }
        int rc = looked ? 0 : look_around(lib, &call, &err);
        looked = looked || !rc;
        if (!rc)
            rc = inventory_put(lib, &call, &err);
        not_before = rc ? clock_ms() + RETRY_MS : 0;
        if (rc && rc != -ECANCELED && !told)
            log_warn("inventory: %s", err.text);
        told = rc != 0;
        if (!rc && !learnt) /* for status; the store answers just now */
            learnt = objstore_learn(lib->eng.store, &once, NULL) == 0;
    }
    return NULL;
}

int inventory_start(struct library *lib, struct errtext *err)
{
    lib->inventory_dirty = true;
    int rc = thread_start(&lib->inventory_thread, "inventory", inventory_thread, lib);
    lib->inventory_runs = !rc;
    return rc ? errtext_set(err, rc, "inventory: cannot start its thread: %s", strerror(-rc)) : 0;
}

void inventory_stop(struct library *lib)
{
    if (!lib->inventory_runs)
        return;
    atomic_store(&lib->stop, true);
    progress_post(&lib->eng.progress);
    pthread_join(lib->inventory_thread, NULL);
    lib->inventory_runs = false;
    /* tgtd waits for this, and who waits for tgtd heeds no signal. */
    struct obj_call once = {.max_tries = 1, .patience_ms = STOP_MS};
    struct errtext err = {""};
    if (is_dirty(lib) && inventory_put(lib, &once, &err))
        log_warn("inventory: %s", err.text);
}

/* ---- for a rebuild, and to compare with ---- */

struct newest {
    struct objstore *store;
    const char *name; /* NULL: any */
    char *key;
    json_t *best;
    bool named;       /* best is of that name */
    struct turn turn; /* of best */
    const struct obj_call *call;
    bool unread;        /* one of them is damaged, or could not be read; */
    int rc;             /* then 0, or why */
    struct errtext why; /* as text */
};

static bool is_newer(const struct newest *n, bool named, const struct turn *t)
{
    if (!n->best || named != n->named)
        return !n->best || named;
    if (named && t->number != n->turn.number)
        return t->number > n->turn.number;
    return t->time >= n->turn.time;
}

static int look_at(void *arg, const struct obj_entry *e)
{
    struct newest *n = arg;
    if (e->is_prefix || !strstr(e->key, "/inventory/"))
        return 0;
    json_t *j = NULL;
    struct errtext why = {""};
    int rc = store_read_json(n->store, e->key, MAX_INVENTORY, n->call, &j, &why);
    if (rc) {
        log_warn("%s: passed over", why.text);  /* an older one may do */
        n->unread = n->unread || rc != -ENOENT; /* gone: its gateway has put the next one */
        if (rc != -EBADMSG && rc != -ENOENT) {
            n->rc = rc;
            n->why = why;
        }
        return obj_canceled(n->call) ? -ECANCELED : 0;
    }
    const char *called = json_string_value(json_object_get(j, "name"));
    bool named = n->name && called && !strcmp(called, n->name);
    struct turn t;
    turn_of(j, &t);
    if (is_newer(n, named, &t)) {
        json_decref(n->best);
        n->best = j;
        n->named = named;
        n->turn = t;
        (void)snprintf(n->key, DB_KEY_SIZE, "%s", e->key);
    } else {
        json_decref(j);
    }
    return 0;
}

json_t *inventory_newest(struct objstore *store, const char *name, char key[DB_KEY_SIZE], bool *unread,
                         const atomic_bool *cancel, struct errtext *err)
{
    const struct obj_call impatient = {
        .cancel = cancel, .max_tries = 3, .patience_ms = OBJ_PATIENCE_MS}; /* as in gc.c */
    struct newest n = {.store = store, .name = name, .key = key, .call = &impatient};
    err->text[0] = '\0';
    int rc = store->ops->list(store, "gateways/", NULL, false, look_at, &n, &impatient, err);
    if (rc == -ECANCELED)
        errtext_set(err, rc, "gateways/: interrupted");
    if (!rc && n.rc && !(name ? n.named : n.best != NULL)) /* it may be that one */
        rc = errtext_set(err, n.rc, "%s", n.why.text);
    if (rc) {
        json_decref(n.best);
        n.best = NULL;
    }
    *unread = n.unread || rc;
    return n.best;
}

/* Of this run by the writer in its key, whatever is put meanwhile; of an earlier run as the state says. */
static bool is_own(const struct library *lib, const struct inventory_keys *known, const char *key)
{
    char mine[DB_KEY_SIZE];
    int n = snprintf(mine, sizeof(mine), "gateways/%08x/", lib->eng.writer);
    return !strncmp(key, mine, (size_t)n) || inventory_keys_own(known, key);
}

json_t *inventory_newest_other(struct library *lib, struct errtext *err)
{
    char key[DB_KEY_SIZE] = "";
    struct inventory_keys known;
    bool unread;
    if (read_keys(lib, &known, err))
        return NULL;
    json_t *j = inventory_newest(lib->eng.store, NULL, key, &unread, &lib->no_waiting, err);
    if (j && is_own(lib, &known, key)) {
        json_decref(j);
        j = NULL;
    }
    return j;
}
