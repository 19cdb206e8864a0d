/* SPDX-License-Identifier: GPL-2.0-or-later */
/* turn.c: whose turn it is to serve a library: written in inventories, and in the state. */
#include "vtl/library/turn.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/event.h"
#include "base/lock.h"
#include "base/log.h"

#define TURN "turn"     /* of the state: the number, and when it was handed over */
#define WATCH_MS 60000  /* a LIST, which some stores charge for */
#define TROUBLE_MS 5000 /* while the store is in trouble: when that is over, another one may have taken over */
#define MAX_INVENTORY (32u << 20)
#define PATH_SIZE 4200

/* ---- in the store ---- */

void turn_of(const json_t *inventory, struct turn *out)
{
    const char *host = json_string_value(json_object_get(inventory, "host"));
    const char *gateway = json_string_value(json_object_get(inventory, "gateway"));
    json_int_t number = json_integer_value(json_object_get(inventory, "turn"));
    json_int_t time = json_integer_value(json_object_get(inventory, "time"));
    *out = (struct turn){.number = number > 0 ? (uint64_t)number : 0,
                         .gateway = gateway ? (uint32_t)strtoul(gateway, NULL, 16) : 0,
                         .time = time > 0 ? (uint64_t)time : 0,
                         .handed_over = json_is_true(json_object_get(inventory, "handed_over"))};
    (void)snprintf(out->host, sizeof(out->host), "%s", host ? host : "");
}

static void show_time(uint64_t seconds, char out[40])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    out[0] = '\0';
    if (gmtime_r(&t, &tm))
        (void)strftime(out, 40, "%Y-%m-%d %H:%M:%S UTC", &tm);
}

void turn_who(const struct turn *t, char out[TURN_WHO_SIZE])
{
    char when[40];
    show_time(t->time, when);
    (void)snprintf(out, TURN_WHO_SIZE, "gateway %08x%s%s (%s)", t->gateway, t->host[0] ? " on host " : "", t->host,
                   when);
}

struct reading {
    struct objstore *store;
    const char *id;
    json_t *seen, *list;
    bool most; /* what cannot be read is left out */
    int later; /* with seen: why some will be read another time; 0: none */
    const struct obj_call *call;
    struct errtext *err;
};

static int read_one(void *arg, const struct obj_entry *e)
{
    struct reading *r = arg;
    struct errtext why = {""};
    json_t *j = NULL;
    if (e->is_prefix || !strstr(e->key, "/inventory/") || json_object_get(r->seen, e->key))
        return 0;
    int rc = store_read_json(r->store, e->key, MAX_INVENTORY, r->call, &j, &why);
    if (!rc && obj_canceled(r->call))
        rc = -ECANCELED;
    if (r->seen && (!rc || rc == -EBADMSG))
        json_object_set_new(r->seen, e->key, json_true());
    bool left_out = rc == -EBADMSG || (r->most && rc && rc != -ENOENT && !obj_canceled(r->call));
    if (left_out)
        log_warn("%s: passed over", why.text);
    const char *library = json_string_value(json_object_get(j, "library"));
    if (!rc && library && !strcmp(library, r->id))
        json_array_append_new(r->list, json_pack("{s:s, s:O}", "key", e->key, "inventory", j));
    json_decref(j);
    if (!rc || left_out || rc == -ENOENT) /* gone: its gateway has put the next one */
        return 0;
    if (!r->seen || obj_canceled(r->call))
        return errtext_set(r->err, rc, "%s", why.text);
    if (!r->later)
        r->later = errtext_set(r->err, rc, "%s", why.text);
    return 0;
}

static int read_all(struct reading *r, json_t **list)
{
    r->list = json_array();
    int rc = r->store->ops->list(r->store, "gateways/", NULL, false, read_one, r, r->call, r->err);
    rc = rc ? rc : r->later;
    if (rc && !r->seen) {
        json_decref(r->list);
        r->list = NULL;
    }
    *list = r->list;
    return rc;
}

int turns_read(struct objstore *store, const char *id, json_t *seen, json_t **list, const struct obj_call *call,
               struct errtext *err)
{
    struct reading r = {.store = store, .id = id, .seen = seen, .call = call, .err = err};
    return read_all(&r, list);
}

int turns_read_most(struct objstore *store, const char *id, json_t **list, const struct obj_call *call,
                    struct errtext *err)
{
    struct reading r = {.store = store, .id = id, .most = true, .call = call, .err = err};
    return read_all(&r, list);
}

const json_t *turns_latest(const json_t *list, const char *name)
{
    const json_t *best = NULL;
    struct turn of_best = {0};
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        const json_t *inventory = json_object_get(entry, "inventory");
        const char *called = json_string_value(json_object_get(inventory, "name"));
        struct turn t;
        turn_of(inventory, &t);
        if (!called || strcmp(called, name) != 0)
            continue;
        if (!best || t.number > of_best.number || (t.number == of_best.number && t.time >= of_best.time)) {
            best = entry;
            of_best = t;
        }
    }
    return best;
}

bool turns_have_neighbour(const json_t *list, const char *name)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        const char *called = json_string_value(json_object_get(json_object_get(entry, "inventory"), "name"));
        if (called && strcmp(called, name) != 0)
            return true;
    }
    return false;
}

static void add_barcode(json_t *set, const json_t *barcode)
{
    if (json_is_string(barcode))
        json_object_set_new(set, json_string_value(barcode), json_true());
}

json_t *turns_theirs(const json_t *list, const char *name, bool shelf)
{
    json_t *theirs = json_object(), *done = json_object(), *entry, *e;
    size_t i, k;
    json_array_foreach(list, i, entry)
    {
        const char *called = json_string_value(json_object_get(json_object_get(entry, "inventory"), "name"));
        if (!called || !strcmp(called, name) || json_object_get(done, called))
            continue;
        json_object_set_new(done, called, json_true());
        const json_t *last = json_object_get(turns_latest(list, called), "inventory");
        json_array_foreach(json_object_get(last, "elements"), k, e) add_barcode(theirs, json_object_get(e, "barcode"));
        json_array_foreach(shelf ? json_object_get(last, "shelf") : NULL, k, e) add_barcode(theirs, e);
    }
    json_decref(done);
    return theirs;
}

/* ---- in the state ---- */

static int read_state(struct db *db, struct turn_state *out)
{
    char gateway[16], turn[64], rebuilding[8], inventories[INVENTORY_KEYS_SIZE];
    int rc = db_meta_get(db, "library", out->id, sizeof(out->id));
    if (!rc)
        rc = db_meta_get(db, "gateway", gateway, sizeof(gateway));
    if (!rc)
        rc = db_meta_get(db, TURN, turn, sizeof(turn));
    if (!rc)
        rc = db_meta_get(db, INVENTORY_KEYS, inventories, sizeof(inventories));
    if (!rc)
        rc = db_meta_get(db, REBUILDING, rebuilding, sizeof(rebuilding));
    if (rc)
        return rc;
    inventory_keys_read(&out->inventories, inventories);
    out->turn.gateway = (uint32_t)strtoul(gateway, NULL, 16);
    (void)sscanf(turn, "%" SCNu64 " %" SCNu64, &out->turn.number, &out->turn.time);
    out->turn.handed_over = out->turn.time != 0;
    return rebuilding[0] || !out->id[0] ? -ENOENT : 0;
}

int turn_of_state(const struct vtl_config *cfg, struct turn_state *out, struct errtext *err)
{
    char path[PATH_SIZE];
    struct db *db = NULL;
    *out = (struct turn_state){.id = ""};
    (void)snprintf(path, sizeof(path), "%s/state.db", cfg->library.state_dir);
    if (access(path, F_OK))
        return errtext_set(err, -ENOENT, "%s: no library here", cfg->library.state_dir);
    int rc = db_open(path, false, &db, err);
    if (!rc && (rc = read_state(db, out)))
        errtext_set(err, rc, "%s: %s", path, rc == -ENOENT ? "its rebuild did not end" : db_error(db));
    db_close(db);
    return rc;
}

bool turn_is_own(const struct turn_state *s, const json_t *entry)
{
    const char *key = json_string_value(json_object_get(entry, "key"));
    return key && inventory_keys_own(&s->inventories, key);
}

static void handed_over_text(const char *name, uint64_t when, struct errtext *out)
{
    char time[40];
    show_time(when, time);
    errtext_set(
        out, 0,
        "this gateway handed library \"%s\" over (%s), so that another one serves it: \"s3vtl takeover\" takes it "
        "back",
        name, time);
}

static void taken_over_text(const char *name, const struct turn *by, struct errtext *out)
{
    char who[TURN_WHO_SIZE];
    turn_who(by, who);
    errtext_set(
        out, 0,
        "library \"%s\" was taken over by %s, and this gateway's writes are refused: \"s3vtl takeover\" takes it back "
        "once that one has handed it over, and with --force if it is gone",
        name, who);
}

int turn_load(struct library *lib, struct errtext *err)
{
    char text[64] = "";
    uint64_t handed_over = 0;
    int rc = db_meta_get(lib->eng.db, TURN, text, sizeof(text));
    if (rc)
        return errtext_set(err, rc, "%s/state.db: %s", lib->cfg->library.state_dir, db_error(lib->eng.db));
    (void)sscanf(text, "%" SCNu64 " %" SCNu64, &lib->turn, &handed_over);
    lib->handed_over = handed_over != 0;
    if (handed_over)
        handed_over_text(lib->cfg->library.name, handed_over, &lib->warning);
    return 0;
}

int turn_set(struct library *lib, uint64_t number, uint64_t handed_over, struct errtext *err)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64, number, handed_over);
    int rc = db_meta_set(lib->eng.db, TURN, text);
    if (rc)
        return errtext_set(err, rc, "%s/state.db: %s", lib->cfg->library.state_dir, db_error(lib->eng.db));
    lib->turn = number;
    lib->handed_over = handed_over != 0;
    return 0;
}

/* ---- another one's turn ---- */

/* One of the same name with a higher turn; NULL: none. Borrowed. */
static const json_t *later(const json_t *list, const char *name, uint64_t number, struct turn *out)
{
    const json_t *entry = turns_latest(list, name);
    turn_of(json_object_get(entry, "inventory"), out);
    return entry && out->number > number ? entry : NULL;
}

json_t *library_begin_handover(struct library *lib, const json_t *request, struct errtext *err)
{
    (void)request;
    if (!lib->eng.workers || atomic_load(&lib->taken_over)) {
        errtext_set(err, -EPERM, "%s",
                    atomic_load(&lib->taken_over) ? "another gateway has the library" : "nobody serves the library");
        return NULL;
    }
    atomic_store(&lib->hand_over, true);
    return json_pack("{s:i}", "serve", (int)getppid()); /* it runs within serve's tgtd */
}

int library_may_serve(const struct vtl_config *cfg, struct errtext *err)
{
    struct turn_state s;
    int rc = turn_of_state(cfg, &s, err);
    if (rc || !s.turn.handed_over)
        return rc;
    struct errtext text;
    handed_over_text(cfg->library.name, s.turn.time, &text);
    return errtext_set(err, -EPERM, "%s", text.text);
}

int library_check_turn(const struct vtl_config *cfg, struct objstore *store, const struct obj_call *call,
                       struct errtext *err)
{
    struct turn_state s;
    struct turn by;
    struct errtext text;
    json_t *list = NULL;
    int rc = turn_of_state(cfg, &s, err);
    if (!rc)
        rc = turns_read(store, s.id, NULL, &list, call, err);
    if (!rc && later(list, cfg->library.name, s.turn.number, &by)) {
        taken_over_text(cfg->library.name, &by, &text);
        rc = errtext_set(err, -EPERM, "%s", text.text);
    }
    json_decref(list);
    return rc;
}

/* What is in use is compared with the bucket now, and refuses writes then; all other cartridges are when they are loaded. */
static void look_at_all(struct library *lib)
{
    rwlock_read(&lib->tapes_lock);
    for (size_t i = 0; i < lib->n_cartridges; i++) {
        struct cartridge_view v;
        cartridge_view(lib->cartridges[i], &v);
        if (v.loaded)
            cartridge_want_look(lib->cartridges[i]);
    }
    rwlock_release(&lib->tapes_lock);
}

static void tell_taken_over(struct library *lib, const struct turn *by)
{
    struct errtext text;
    atomic_store(&lib->taken_over, true);
    taken_over_text(lib->cfg->library.name, by, &text);
    lock_take(&lib->lock);
    lib->warning = text;
    lock_release(&lib->lock);
    log_event(EVENT_TAKEN_OVER, "%s", text.text);
    look_at_all(lib);
}

/* Once, until it can be; a store that is in trouble is told of anyway. */
static void tell_failed(struct library *lib, int rc, const struct errtext *why)
{
    struct obj_health health;
    objstore_health(lib->eng.store, &health);
    if (rc && rc != -ECANCELED && !lib->turn_failed && !health.text[0])
        log_warn("whether another gateway has taken over, or shares the shelf, cannot be found out now: %s", why->text);
    lib->turn_failed = rc != 0;
}

void turn_watch(struct library *lib)
{
    const struct obj_call once = {.cancel = &lib->stop, .max_tries = 1};
    struct errtext why = {""};
    struct turn by;
    json_t *list = NULL;
    struct obj_health health;
    objstore_health(lib->eng.store, &health);
    if (health.text[0] && lib->turn_next_ms > clock_ms() + TROUBLE_MS)
        lib->turn_next_ms = clock_ms() + TROUBLE_MS;
    unsigned fences = atomic_load(&lib->eng.fences);
    if (atomic_load(&lib->taken_over) || (clock_ms() < lib->turn_next_ms && fences == lib->turn_fences))
        return;
    lib->turn_fences = fences;
    lib->turn_next_ms = clock_ms() + WATCH_MS;
    if (!lib->inventories_seen)
        lib->inventories_seen = json_object();
    int rc = turns_read(lib->eng.store, lib->id, lib->inventories_seen, &list, &once, &why);
    tell_failed(lib, rc, &why);
    if (rc)
        lib->turn_next_ms = clock_ms() + TROUBLE_MS;
    if (turns_have_neighbour(list, lib->cfg->library.name))
        atomic_store(&lib->shared, true);
    if (later(list, lib->cfg->library.name, lib->turn, &by))
        tell_taken_over(lib, &by);
    json_decref(list);
}

enum obj_known turn_shared(struct library *lib)
{
    const struct obj_call few = {.cancel = &lib->no_waiting, .max_tries = 1, .patience_ms = OBJ_PATIENCE_MS};
    struct errtext why = {""};
    struct obj_health health;
    json_t *list = NULL;
    objstore_health(lib->eng.store, &health);
    if (atomic_load(&lib->shared))
        return OBJ_YES;
    if (health.text[0])
        return OBJ_UNKNOWN;
    if (turns_read(lib->eng.store, lib->id, NULL, &list, &few, &why)) {
        log_warn("whether another library shares the shelf cannot be found out now: %s", why.text);
        return OBJ_UNKNOWN;
    }
    atomic_store(&lib->shared, turns_have_neighbour(list, lib->cfg->library.name));
    json_decref(list);
    return atomic_load(&lib->shared) ? OBJ_YES : OBJ_NO;
}
