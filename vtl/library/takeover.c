/* SPDX-License-Identifier: GPL-2.0-or-later */
/* takeover.c: s3vtl takeover: this gateway takes the library over from another one of the same configuration. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/many.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/turn.h"

struct takeover {
    const struct vtl_config *cfg;
    const struct takeover_options *o;
    struct objstore *store;
    struct turn_state state; /* of this gateway; its id is "" when there is none */
    json_t *list;            /* all inventories */
    const json_t *last;      /* the one of this library's last turn, in list; NULL: none */
    struct turn turn;        /* its */
    int lock_fd;             /* of the state that is made, until the library is taken; -1: it is not made */
    struct errtext *err;
};

/* ---- what there is ---- */

static int look(struct takeover *t)
{
    char id[37], name[64];
    int rc = format_read(t->store, NULL, id, name, t->err);
    if (rc == -ENOENT)
        return errtext_set(t->err, rc,
                           "the store's prefix holds no library (no object \"format\"): is [store] in %s right?",
                           t->cfg->file);
    if (!rc)
        rc = turns_read(t->store, id, NULL, &t->list, NULL, t->err);
    if (rc)
        return rc;
    t->last = turns_latest(t->list, t->cfg->library.name);
    turn_of(json_object_get(t->last, "inventory"), &t->turn);
    rc = turn_of_state(t->cfg, &t->state, t->err);
    if (!rc && strcmp(t->state.id, id) != 0)
        return errtext_set(t->err, -EINVAL, "%s is of another library (%s) than the store's prefix (%s)",
                           t->cfg->library.state_dir, t->state.id, id);
    if (rc == -ENOENT)
        t->state.id[0] = '\0';
    return rc == -ENOENT ? 0 : rc;
}

/* Is nothing in the bucket that this state did not bring about? Of a state that never put an inventory its turn says so. */
static bool has_it(const struct takeover *t)
{
    if (!t->state.id[0])
        return false;
    if (!t->last)
        return true;
    return turn_is_own(&t->state, t->last) || t->state.turn.number > t->turn.number;
}

/* ---- taking it ---- */

static uint64_t next_turn(const struct takeover *t)
{
    uint64_t n = t->state.id[0] ? t->state.turn.number : 0;
    return (t->turn.number > n ? t->turn.number : n) + 1;
}

struct claiming {
    struct takeover *t;
    struct library *lib;
    json_t *theirs; /* in elements of libraries that share this prefix under other names */
    bool shared;    /* there are such */
    bool *skip;     /* of each cartridge: it is not this library's */
    int *rc;
    struct errtext *why;
    size_t n, claimed;
};

/* Whose is it? On a shelf that is shared, that of whoever wrote it last and has not given it up: who exported it may still be
 * storing it. */
static int look_whose(struct claiming *a, size_t i, const struct obj_call *call)
{
    const char *barcode = cartridge_barcode(a->lib->cartridges[i]);
    struct head h;
    a->skip[i] = json_object_get(a->theirs, barcode) != NULL;
    if (a->skip[i] || !a->shared || library_place(a->lib, barcode))
        return 0;
    int rc = commit_read_head(a->lib->eng.store, barcode, NULL, &h, call, &a->why[i]);
    if (rc)
        return rc;
    a->skip[i] = h.released || h.gateway != a->t->turn.gateway;
    head_free(&h);
    return 0;
}

static void claim_one(void *arg, size_t i)
{
    const struct obj_call call = {.max_tries = 4, .patience_ms = OBJ_PATIENCE_MS};
    struct claiming *a = arg;
    struct cartridge *c = a->lib->cartridges[i];
    a->rc[i] = look_whose(a, i, &call);
    if (a->rc[i] || a->skip[i])
        return;
    a->rc[i] = cartridge_load(c, &a->why[i]);
    if (!a->rc[i])
        a->rc[i] = commit_claim(c, &call, &a->why[i]);
    cartridge_unload_if_clean(c);
}

/* Its old gateway was faster with one more commit: as the bucket has it now. */
static int claim_again(struct claiming *a, const char *barcode)
{
    json_t *request = json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", barcode, "force", 1);
    json_t *r = library_call(a->lib, request, a->t->err);
    json_decref(request);
    json_decref(r);
    return r ? 0 : -EIO;
}

static int take_claim(void *arg, size_t i)
{
    struct claiming *a = arg;
    int rc = a->rc[i];
    a->claimed += !a->skip[i] && !rc;
    return rc && rc != -EPERM ? errtext_set(a->t->err, rc, "%s", a->why[i].text) : 0;
}

static void tell_claims(void *arg, size_t so_far)
{
    const struct claiming *a = arg;
    if (a->t->o->count)
        a->t->o->count(a->t->o->arg, so_far, a->n);
}

/* From here on whoever had them can commit nothing. Two passes, as taking one as the bucket has it changes the list. */
static int claim_all(struct takeover *t, struct library *lib, size_t *claimed)
{
    const char *name = t->cfg->library.name;
    struct claiming a = {.t = t,
                         .lib = lib,
                         .theirs = turns_theirs(t->list, name, false),
                         .shared = turns_have_neighbour(t->list, name),
                         .n = lib->n_cartridges};
    a.skip = calloc(a.n + 1, sizeof(*a.skip));
    a.rc = calloc(a.n + 1, sizeof(*a.rc));
    a.why = calloc(a.n + 1, sizeof(*a.why));
    int rc = a.skip && a.rc && a.why ? 0 : errtext_set(t->err, -ENOMEM, "takeover: out of memory");
    const struct many m = {.n = a.n,
                           .parallel = config_requests(t->cfg),
                           .work = claim_one,
                           .done = take_claim,
                           .tick = tell_claims,
                           .arg = &a};
    if (!rc)
        rc = many_run(&m);
    for (size_t i = 0; !rc && i < a.n; i++) {
        char barcode[33]; /* the cartridge itself is made anew */
        (void)snprintf(barcode, sizeof(barcode), "%s", cartridge_barcode(lib->cartridges[i]));
        if (a.rc[i] == -EPERM && !(rc = claim_again(&a, barcode)))
            a.claimed++;
    }
    *claimed = a.claimed;
    free(a.skip);
    free(a.rc);
    free(a.why);
    json_decref(a.theirs);
    return rc;
}

/* Inventories of earlier turns say nothing any more. Each was read: it is this library's. */
static int forget_earlier(struct takeover *t)
{
    size_t i;
    json_t *entry;
    int rc = 0;
    json_array_foreach(t->list, i, entry)
    {
        const json_t *inventory = json_object_get(entry, "inventory");
        const char *name = json_string_value(json_object_get(inventory, "name"));
        const char *key = json_string_value(json_object_get(entry, "key"));
        if (!rc && name && !strcmp(name, t->cfg->library.name) && !turn_is_own(&t->state, entry))
            rc = t->store->ops->del(t->store, &key, 1, NULL, t->err);
    }
    return rc;
}

/* Two that take over at once would each have some of the cartridges: the one that sees the other gives way. */
static int check_alone(struct takeover *t, struct library *lib)
{
    struct turn other;
    char who[TURN_WHO_SIZE];
    size_t i;
    json_t *entry, *list = NULL;
    int rc = turns_read(t->store, lib->id, NULL, &list, NULL, t->err);
    json_array_foreach(list, i, entry)
    {
        const json_t *inventory = json_object_get(entry, "inventory");
        const char *name = json_string_value(json_object_get(inventory, "name"));
        turn_of(inventory, &other);
        if (rc || !name || strcmp(name, t->cfg->library.name) != 0 || other.gateway == lib->eng.gateway ||
            other.number < lib->turn)
            continue;
        turn_who(&other, who);
        rc = errtext_set(t->err, -EPERM, "%s takes the library over, too: let one of the two do it again, with --force",
                         who);
    }
    json_decref(list);
    return rc;
}

/* One that does not end leaves a state that nobody serves, and that the next one makes again. */
static int mark(struct takeover *t, struct library *lib, const char *unfinished)
{
    int rc = db_meta_set(lib->eng.db, REBUILDING, unfinished);
    return rc ? errtext_set(t->err, rc, "%s/state.db: %s", t->cfg->library.state_dir, db_error(lib->eng.db)) : 0;
}

/* It was handed over, and is as long as it was not taken back: else the next serve would begin beside whoever took it. */
static void stay_handed_over(struct takeover *t, struct library *lib)
{
    struct errtext why = {""};
    if (turn_set(lib, lib->turn, t->state.turn.time, &why) || inventory_put(lib, NULL, &why))
        log_err("the library is not taken back, and may not be handed over any more: %s", why.text);
}

static int begin_turn(struct takeover *t, struct library *lib, bool claim, size_t *claimed)
{
    int rc = claim ? mark(t, lib, "1") : 0;
    if (!rc)
        rc = turn_set(lib, next_turn(t), 0, t->err);
    if (!rc && claim && t->last)
        rc = served_as_take(lib, json_object_get(json_object_get(t->last, "inventory"), "served_as"), t->err);
    if (!rc)
        rc = inventory_put(lib, NULL, t->err);
    if (!rc && claim)
        rc = claim_all(t, lib, claimed);
    if (!rc)
        rc = check_alone(t, lib);
    if (rc && !claim)
        stay_handed_over(t, lib);
    return rc || !claim ? rc : mark(t, lib, "");
}

static int take(struct takeover *t, bool claim, size_t *claimed)
{
    struct library *lib = NULL;
    int rc = library_open_locked(t->cfg, 0, t->lock_fd, &lib, t->err);
    if (rc)
        return rc;
    rc = begin_turn(t, lib, claim, claimed);
    int closed = library_close(lib, rc ? NULL : t->err);
    if (!rc && !closed)
        rc = turn_of_state(t->cfg, &t->state, t->err);
    return rc ? rc : closed ? closed : forget_earlier(t);
}

static int may_take(const struct takeover *t)
{
    char who[TURN_WHO_SIZE];
    if (t->o->force || !t->last || t->turn.handed_over)
        return 0;
    turn_who(&t->turn, who);
    return errtext_set(
        t->err, -EPERM,
        "%s has the library: \"s3vtl handover\" there gives it up; if that gateway is gone, --force takes it "
        "over without what only its disk has, and it can write no more",
        who);
}

/* A serve that begins between the two steps would serve what is not claimed. */
static int hold(struct takeover *t)
{
    const char *dir = t->cfg->library.state_dir;
    if (mkdir(dir, 0700) && errno != EEXIST)
        return errtext_set(t->err, -errno, "%s: %s", dir, strerror(errno));
    return library_lock(t->cfg, &t->lock_fd, t->err);
}

static int take_from_other(struct takeover *t, json_t **report)
{
    const struct rebuild_options o = {
        .force = true, .give_way = true, .lock_fd = &t->lock_fd, .count = t->o->count, .arg = t->o->arg};
    size_t claimed = 0;
    int rc = may_take(t);
    if (!rc)
        rc = hold(t);
    if (!rc)
        rc = library_rebuild(t->cfg, &o, report, t->err);
    if (!rc)
        rc = take(t, true, &claimed);
    if (rc)
        return rc;
    char who[TURN_WHO_SIZE] = "";
    if (t->last)
        turn_who(&t->turn, who);
    json_object_set_new(*report, "from", t->last ? json_string(who) : json_null());
    json_object_set_new(*report, "claimed", json_integer((json_int_t)claimed));
    return 0;
}

/* It stays, or comes back as it was. */
static int keep(struct takeover *t, json_t **report)
{
    size_t claimed = 0;
    bool back = t->state.turn.handed_over;
    int rc = back ? take(t, false, &claimed) : 0;
    if (!rc)
        *report = json_pack("{s:s, s:s, s:b, s:b}", "library", t->state.id, "name", t->cfg->library.name, "had_it", 1,
                            "back", (int)back);
    return rc;
}

int library_take_over(const struct vtl_config *cfg, const struct takeover_options *o, json_t **report,
                      struct errtext *err)
{
    struct takeover t = {.cfg = cfg, .o = o, .lock_fd = -1, .err = err};
    *report = NULL;
    int rc = rebuild_open_store(cfg, &t.store, err);
    if (rc)
        return rc;
    rc = look(&t);
    if (!rc)
        rc = has_it(&t) ? keep(&t, report) : take_from_other(&t, report);
    if (rc) {
        json_decref(*report);
        *report = NULL;
    }
    json_decref(t.list);
    t.store->ops->close(t.store);
    if (t.lock_fd >= 0)
        close(t.lock_fd);
    return rc;
}
