/* SPDX-License-Identifier: GPL-2.0-or-later */
/* released.c: what is on a shelf that several libraries share is given up, so that any of them may take it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/tapes.h"
#include "vtl/library/turn.h"

#define EACH_MS 10000 /* so long the next one waits for the one before: each is in memory until all of it is stored */
#define AGAIN_MS 5000

/* Once all of it is stored, its next head says so. */
static int give_up(struct library *lib, struct cartridge *c, struct errtext *err)
{
    if (lib->eng.workers) /* first, so that no worker unloads it again before it is done */
        cartridge_want_release(c, true);
    const struct obj_call call = library_impatient(lib);
    int rc = cartridge_load(c, err);
    return rc || lib->eng.workers ? rc : commit_release(c, &call, err);
}

void tapes_give_up(struct library *lib, const json_t *exported)
{
    size_t i;
    json_t *e;
    if (!json_array_size(exported) || turn_shared(lib) != OBJ_YES)
        return; /* not known: when it is, shelf_look does it */
    json_array_foreach(exported, i, e)
    {
        struct cartridge *c = library_cartridge(lib, json_string_value(json_object_get(e, "barcode")));
        struct errtext why = {""};
        if (c && give_up(lib, c, &why)) /* none: the state has lost its row */
            log_warn("%s", why.text);
    }
}

int tapes_begin_change(struct library *lib, struct cartridge *c, bool *claimed, struct errtext *err)
{
    const struct obj_call call = library_impatient(lib);
    int rc = tapes_check_whose(lib, c, err);
    if (!rc)
        rc = cartridge_load(c, err);
    *claimed = !rc && tapes_may_be_theirs(lib, c) == OBJ_YES;
    if (!*claimed)
        return rc;
    rc = tapes_take_heads(lib, c, err);
    if (rc)
        return rc;
    if (cartridge_given_up(c) != OBJ_NO)
        cartridge_disown(c);
    rc = commit_claim(c, &call, err);
    if (rc)
        cartridge_give_heads(c);
    return rc;
}

void tapes_end_change(struct library *lib, struct cartridge *c, bool claimed)
{
    struct errtext why = {""};
    if (!claimed)
        return;
    if (give_up(lib, c, &why)) /* before a worker has the heads: else the claim is what the next one finds */
        log_warn("%s", why.text);
    cartridge_give_heads(c);
}

/* Does this gateway hold it still, by the head that the bucket has (NULL: none)? *given_up: it has given it up. */
static int holds(struct library *lib, struct cartridge *c, const struct head *h, bool *held, bool *given_up)
{
    struct seg_id last;
    bool ours = h ? tapes_head_is_ours(lib, c, h) : cartridge_is_ours(c, &last);
    *given_up = ours && h && h->released;
    *held = ours && !*given_up;
    return *given_up ? cartridge_note_given_up(c) : 0;
}

int tapes_check_on_shelf(struct library *lib, const char *barcode, struct errtext *err)
{
    const struct obj_call call = library_impatient(lib);
    enum obj_known shared = turn_shared(lib);
    char who[COMMIT_WHO_SIZE] = "another gateway";
    bool held = false, given_up = false;
    struct head h;
    if (shared != OBJ_YES)
        return errtext_set(err, -EINVAL, "%s: it is on the shelf already%s", barcode,
                           shared == OBJ_NO ? "" : "; whether another library shares that cannot be found out now");
    struct cartridge *c = library_cartridge(lib, barcode);
    int rc = tapes_take_heads(lib, c, err); /* so that no commit is under way meanwhile */
    if (rc)
        return rc;
    rc = commit_read_head(lib->eng.store, barcode, NULL, &h, &call, err);
    bool none = rc == -ENOENT, unread = rc && !none;
    if (!unread)
        rc = holds(lib, c, none ? NULL : &h, &held, &given_up);
    cartridge_give_heads(c);
    if (unread)
        return rc;
    if (rc)
        errtext_set(err, rc, "%s: state: %s", barcode, db_error(lib->eng.db));
    if (!none) {
        commit_who(&lib->eng, &h, who);
        head_free(&h);
    }
    if (rc || held)
        return rc;
    return given_up ? errtext_set(err, -EINVAL,
                                  "%s: it is on the shelf already, and given up: any library that shares "
                                  "the shelf may import it",
                                  barcode)
                    : errtext_set(err, -EINVAL, "%s: it is on the shelf already, owned by %s", barcode, who);
}

/* ---- what was not given up when it was exported: the store did not answer, there was no neighbour yet, or a restart came ---- */

/* *last: the head that this state knows. NULL: it is not one that this gateway may have to give up; what a rebuild put on the
 * shelf is another's. tapes_lock read. */
static struct cartridge *find_held(struct library *lib, const char *barcode, struct seg_id *last)
{
    lock_take(&lib->lock);
    struct cartridge *c = library_place(lib, barcode) ? NULL : library_cartridge(lib, barcode);
    lock_release(&lib->lock);
    return c && cartridge_is_ours(c, last) && cartridge_given_up(c) != OBJ_YES ? c : NULL;
}

static bool is_held(struct library *lib, const char *barcode, struct seg_id *last)
{
    rwlock_read(&lib->tapes_lock);
    bool held = find_held(lib, barcode, last) != NULL;
    rwlock_release(&lib->tapes_lock);
    return held;
}

/* *begun: it is being given up now. The store is asked without a lock; whoever imports it meanwhile has the last word. -EAGAIN: it
 * was committed meanwhile, and what the store said is of before. */
static int give_up_held(struct library *lib, const char *barcode, bool *begun, const struct obj_call *call,
                        struct errtext *err)
{
    struct head h;
    struct seg_id before, last;
    bool given_up = false;
    *begun = false;
    if (!is_held(lib, barcode, &before))
        return 0;
    int rc = commit_read_head(lib->eng.store, barcode, NULL, &h, call, err);
    bool none = rc == -ENOENT;
    if (rc && !none)
        return rc;
    rwlock_read(&lib->tapes_lock);
    struct cartridge *c = find_held(lib, barcode, &last);
    rc = c ? holds(lib, c, none ? NULL : &h, begun, &given_up) : 0;
    if (rc)
        errtext_set(err, rc, "%s: state: %s", barcode, db_error(lib->eng.db));
    else if (*begun)
        rc = give_up(lib, c, err);
    else if (c && !given_up && seg_id_compare(&before, &last))
        rc = -EAGAIN;
    rwlock_release(&lib->tapes_lock);
    if (!none)
        head_free(&h);
    return rc;
}

/* The one before is given up, or takes its time. */
static bool may_go_on(struct library *lib, struct shelf *s)
{
    if (clock_ms() < s->again_at)
        return false;
    if (!s->until)
        return true;
    struct seg_id last;
    if (clock_ms() < s->until && is_held(lib, s->barcodes[s->at], &last))
        return false;
    s->until = 0;
    s->at++;
    return true;
}

void shelf_look(struct library *lib)
{
    const struct obj_call call = {.cancel = &lib->stop, .max_tries = 1, .patience_ms = OBJ_PATIENCE_MS};
    struct shelf *s = &lib->shelf;
    if (!atomic_load(&lib->shared))
        return;
    if (!atomic_exchange(&s->seen, true)) {
        free(s->barcodes);
        s->barcodes = library_barcodes(lib, &s->n);
        s->at = 0;
        s->until = s->again_at = 0;
    }
    while (s->at < s->n && !atomic_load(&lib->stop) && may_go_on(lib, s) && s->at < s->n) {
        struct errtext err = {""};
        bool begun = false;
        int rc = give_up_held(lib, s->barcodes[s->at], &begun, &call, &err);
        bool bad = rc == -EBADMSG || rc == -EPROTONOSUPPORT; /* that one's head: the others have theirs */
        if (bad)
            log_warn("%s: it cannot be given up: %s", s->barcodes[s->at], err.text);
        if (rc == -EAGAIN)
            continue;
        if (rc && !bad)
            s->again_at = clock_ms() + AGAIN_MS;
        else if (begun)
            s->until = clock_ms() + EACH_MS;
        else
            s->at++;
    }
}

void tapes_give_up_again(struct library *lib, const json_t *barcodes)
{
    size_t i;
    json_t *b;
    atomic_store(&lib->shelf.seen, false);
    progress_post(&lib->eng.progress);
    if (lib->eng.workers || turn_shared(lib) != OBJ_YES)
        return;
    json_array_foreach(barcodes, i, b)
    {
        struct errtext why = {""};
        struct seg_id last;
        struct cartridge *c = find_held(lib, json_string_value(b), &last);
        if (c && give_up(lib, c, &why))
            log_warn("%s", why.text);
    }
}
