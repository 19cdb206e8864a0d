/* SPDX-License-Identifier: GPL-2.0-or-later */
/* claim.c: tape claim: takes a cartridge over, as the bucket has it, from a gateway that is gone. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/human.h"
#include "base/log.h"
#include "vtl/format/barcode.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/tapes.h"
#include "vtl/library/turn.h"
#include "vtl/library/unmade.h"

/* A takeover: the cartridge as the bucket has it, and as this library has it. */
struct takeover {
    struct library *lib;
    const char *barcode;
    struct cartridge *c; /* NULL: not in this library so far */
    struct head head;
    struct tape_index index;
    bool to_shelf; /* not into a slot, if it was not in this library */
    bool other;    /* another gateway's, or a copy's of this one */
    uint64_t kept; /* bytes that no head names; they stay here */
};

static int read_bucket(struct takeover *t, struct errtext *err)
{
    const struct obj_call call = library_impatient(t->lib);
    struct objstore *store = t->lib->eng.store;
    bool with_head;
    int rc = commit_read_tape(store, t->barcode, &t->head, &t->index, &with_head, &call, err);
    bool removed = with_head && t->head.removed;
    if (!rc && removed)
        tape_index_free(&t->index);
    if (with_head && (rc || removed))
        head_free(&t->head);
    return removed ? errtext_set(err, -ENOENT,
                                 "%s: it was removed, and its place is kept for tapes that lean on it: \"s3vtl tape "
                                 "create\" makes a new one there",
                                 t->barcode)
                   : rc;
}

static bool is_ours(const struct takeover *t)
{
    return t->c && tapes_head_is_ours(t->lib, t->c, &t->head);
}

/* Nobody else is at it, as far as this state can know. */
static bool is_free(const struct takeover *t)
{
    return t->c && cartridge_goes_on_from(t->c, &t->head.id) &&
           (is_ours(t) || t->head.released || library_place(t->lib, t->barcode) || turn_shared(t->lib) == OBJ_NO);
}

static int may_take(const struct takeover *t, bool force, struct errtext *err)
{
    uint64_t ago = engine_time() > t->head.modified ? engine_time() - t->head.modified : 0;
    struct cartridge_view v = {.held = false};
    if (t->c)
        cartridge_view(t->c, &v);
    if (v.held)
        return errtext_set(err, -EBUSY, "%s: it is in a drive: move it to a slot first", t->barcode);
    if (force || is_free(t))
        return 0;
    char who[COMMIT_WHO_SIZE];
    commit_who(&t->lib->eng, &t->head, who);
    return errtext_set(err, -EPERM,
                       "%s: owned by %s, which changed it last %" PRIu64 " s ago: --force takes it over as the bucket "
                       "has it; what that gateway has not stored is lost to it then, and it can write no more",
                       t->barcode, who, ago);
}

/* Makes the cartridge that the library has from now on. */
static int make_cartridge(struct takeover *t, struct db_cartridge *row, struct errtext *err)
{
    t->c = cartridge_new(&t->lib->eng, row);
    free(row->mam);
    free(row->counters);
    int rc = t->c ? library_add_cartridge(t->lib, t->c) : -ENOMEM;
    if (!rc)
        return 0;
    cartridge_free(t->c);
    t->c = NULL;
    return errtext_set(err, rc, "%s: out of memory: it is there again at the next start", t->barcode);
}

/* Replaces the cartridge by that of the bucket, in the state in one transaction. Rows first: what no head names is
 * neither merged (I7) nor deleted, but its files are set aside only once no row names them. */
/* What this state knows of the very cartridge. */
static void keep_lock(struct cartridge *c, struct head *h)
{
    struct cartridge_view v;
    cartridge_view(c, &v);
    if (!memcmp(cartridge_id(c), h->cartridge, sizeof(h->cartridge)))
        retention_keep_compliance(&v.retention, &h->retention);
}

static int take(struct takeover *t, struct errtext *err)
{
    struct library *lib = t->lib;
    struct cartridge *old = t->c;
    const struct element *place = old ? library_place(lib, t->barcode) : NULL;
    uint16_t address = place ? place->address : old || t->to_shelf ? 0 : library_free_slot(lib);
    struct db_cartridge row;
    char size[HUMAN_ROOM];
    workers_forget(lib->eng.workers, old);
    /* A claim that came to nothing is forgotten with it, and must not be put again with other words (I2). */
    int rc = old ? unmade_keep_epoch(lib, old, err) : 0;
    if (!rc && old)
        rc = cartridge_name_aside(old, &t->index, err);
    if (!rc && old)
        keep_lock(old, &t->head);
    if (!rc)
        rc = rebuild_row(lib, old ? cartridge_rowid(old) : 0, &t->head, &t->index, address, &row, err);
    if (rc && old)
        cartridge_not_aside(old, &t->index);
    if (rc && old)
        cartridge_poke(old);
    if (rc)
        return rc;
    if (old) {
        t->kept = cartridge_set_aside(old, &t->index);
        library_drop_cartridge(lib, old);
        cartridge_free(old);
    }
    if (t->kept)
        log_warn("%s: %s that no head of the bucket names are kept as spool/%s/*.bad", t->barcode,
                 human_size(t->kept, size), t->barcode);
    rc = make_cartridge(t, &row, err);
    if (rc)
        return rc;
    tapes_put_inventory(lib);
    library_tell(lib, LIBRARY_ELEMENTS_CHANGED, 0);
    return 0;
}

/* Claims it in the bucket: from here on the other gateway's commits fail. The heads are taken. */
static int claim(struct library *lib, struct cartridge *c, struct errtext *err)
{
    const struct obj_call call = library_impatient(lib);
    int rc = cartridge_load(c, err);
    if (!rc)
        rc = commit_claim(c, &call, err);
    if (!rc)
        cartridge_poke(c);
    return rc;
}

/* By the head in the bucket, or by one that was not heard of, and may come to be there. */
static bool is_given_up(const struct takeover *t)
{
    return t->head.released || (t->c && cartridge_given_up(t->c) != OBJ_NO);
}

/* The heads are taken, so that no commit is under way while the bucket is compared with the state. */
static int compare_and_take(struct takeover *t, bool force, struct errtext *err)
{
    int rc = t->c ? tapes_take_heads(t->lib, t->c, err) : 0;
    if (rc)
        return rc;
    rc = read_bucket(t, err);
    if (!rc)
        rc = may_take(t, force, err);
    bool ours = !rc && t->c && cartridge_goes_on_from(t->c, &t->head.id);
    t->other = !ours;
    if (ours && is_given_up(t))
        cartridge_disown(t->c);
    if (t->c && !ours)
        cartridge_give_heads(t->c);
    if (!rc && !ours && !(rc = take(t, err)))
        rc = tapes_take_heads(t->lib, t->c, err);
    if (rc)
        return rc;
    rc = claim(t->lib, t->c, err);
    cartridge_give_heads(t->c);
    return rc;
}

json_t *tapes_claim(struct library *lib, const json_t *request, struct errtext *err)
{
    struct takeover t = {.lib = lib, .barcode = json_string_value(json_object_get(request, "barcode"))};
    const struct obj_call call = library_impatient(lib);
    bool force = json_is_true(json_object_get(request, "force"));
    if (!t.barcode || !barcode_ok(t.barcode)) {
        errtext_set(err, -EINVAL, BARCODE_RULE, t.barcode ? t.barcode : "");
        return NULL;
    }
    head_init(&t.head);
    tape_index_init(&t.index);
    t.c = library_cartridge(lib, t.barcode);
    int rc = t.c ? cartridge_load(t.c, err) : 0;
    if (!rc && force)
        rc = commit_clear_heads(lib->eng.store, t.barcode, &call, err);
    if (!rc)
        rc = compare_and_take(&t, force, err);
    char before[COMMIT_WHO_SIZE];
    commit_who(&lib->eng, &t.head, before);
    uint64_t used = tape_index_plain_bytes(&t.index);
    tape_index_free(&t.index);
    head_free(&t.head);
    if (rc)
        return NULL;
    return json_pack("{s:s, s:s, s:b, s:I, s:I}", "barcode", t.barcode, "from", before, "other", (int)t.other,
                     "used_bytes", (json_int_t)used, "kept_bytes", (json_int_t)t.kept);
}

/* ---- from the shelf that several gateways share ---- */

static int may_take_released(const struct takeover *t, struct errtext *err)
{
    char who[COMMIT_WHO_SIZE];
    if (t->c && cartridge_has_work(t->c))
        return errtext_set(
            err, -EPERM,
            "%s: this gateway has of it what no head in the bucket names: \"s3vtl tape claim %s --force\" "
            "takes it as the bucket has it, and keeps that as *.bad",
            t->barcode, t->barcode);
    if (t->head.released)
        return 0;
    commit_who(&t->lib->eng, &t->head, who);
    return errtext_set(
        err, -EPERM,
        "%s: owned by %s, which has not given it up: \"s3vtl tape export\" there does, once all of it is "
        "stored; if that gateway is gone, \"s3vtl tape claim %s --force\"",
        t->barcode, who, t->barcode);
}

/* What is given up is claimed before it is in an element: else a host could write to it here, while another library takes it,
 * too. */
static int compare_and_take_released(struct takeover *t, struct errtext *err)
{
    int rc = t->c ? tapes_take_heads(t->lib, t->c, err) : 0;
    if (rc)
        return rc;
    struct seg_id last;
    bool sure = t->c && cartridge_is_ours(t->c, &last) && cartridge_given_up(t->c) == OBJ_NO;
    rc = read_bucket(t, err);
    bool unread = rc == -EIO && sure; /* the store is away: the look at the next load finds out */
    bool ours = unread || (!rc && is_ours(t)), released = !rc && is_given_up(t);
    rc = unread ? 0 : rc;
    if (!rc && !ours)
        rc = may_take_released(t, err);
    if (t->c && !ours)
        cartridge_give_heads(t->c);
    if (!rc && !ours && !(rc = take(t, err)))
        rc = tapes_take_heads(t->lib, t->c, err);
    if (rc)
        return rc;
    cartridge_want_release(t->c, false); /* from here on no worker gives it up */
    if (released)
        cartridge_disown(t->c);
    rc = released ? claim(t->lib, t->c, err) : 0;
    cartridge_give_heads(t->c);
    return rc;
}

int tapes_take_released(struct library *lib, const char *barcode, struct errtext *err)
{
    struct takeover t = {.lib = lib, .barcode = barcode, .to_shelf = true};
    head_init(&t.head);
    tape_index_init(&t.index);
    t.c = library_cartridge(lib, barcode);
    bool known = t.c != NULL;
    int rc = known ? cartridge_load(t.c, err) : 0;
    if (!rc)
        rc = compare_and_take_released(&t, err);
    tape_index_free(&t.index);
    head_free(&t.head);
    if (rc == -ENOENT && !known)
        return errtext_set(err, rc, "%s: no such cartridge in this library, nor in the bucket", barcode);
    return rc;
}
