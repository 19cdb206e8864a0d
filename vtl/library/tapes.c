/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tapes.c: making and removing cartridges. */
#include "vtl/library/tapes.h"
#include "vtl/state/chunk_index.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/event.h"
#include "base/human.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/lto.h"
#include "scsi/lun.h"
#include "vtl/format/barcode.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/unmade.h"

#define DELETE_BATCH 500

/* Of a removed cartridge: a new one can be made there. */
static bool is_place(struct library *lib, const char *barcode)
{
    const struct obj_call call = library_impatient(lib);
    struct head h;
    if (place_read(lib, barcode, &h, &call, NULL))
        return false;
    head_free(&h);
    return true;
}

/* What the bucket has of that barcode: nothing that is complete, or a removed one's place; or what is for another (unmade.h)
 * to say. */
static int check_bucket(struct library *lib, const char *barcode,
                        int (*unmade)(struct library *lib, const char *barcode, const struct obj_call *call,
                                      struct errtext *err),
                        struct errtext *err)
{
    const struct obj_call call = library_impatient(lib);
    struct seg_id *heads = NULL;
    size_t n = 0;
    int rc = commit_list_heads(lib->eng.store, barcode, &heads, &n, &call, err);
    bool complete = n && heads[n - 1].number > 0;
    free(heads);
    if (!rc && complete && !is_place(lib, barcode))
        rc = unmade(lib, barcode, &call, err);
    if (rc == -EEXIST)
        errtext_set(err, rc,
                    "%s: the bucket has a cartridge of that barcode which is not in this library (s3vtl "
                    "library rebuild finds it)",
                    barcode);
    return rc;
}

int tapes_look_new(struct library *lib, const char *barcode, struct errtext *err)
{
    return check_bucket(lib, barcode, unmade_look, err);
}

static int check_new(struct library *lib, const char *barcode, struct errtext *err)
{
    if (!barcode || !barcode_ok(barcode))
        return errtext_set(err, -EINVAL, BARCODE_RULE, barcode ? barcode : "");
    if (library_cartridge(lib, barcode))
        return errtext_set(err, -EEXIST, "%s: this library has a cartridge of that barcode", barcode);
    return check_bucket(lib, barcode, unmade_clear, err);
}

/* Puts the first claim and head, here and now. Nobody else knows the cartridge yet, but loading it pokes the workers:
 * as its heads are taken, they do not claim it too. */
static int first_commit(struct library *lib, struct cartridge *c, struct errtext *err)
{
    const struct obj_call call = library_impatient(lib);
    (void)cartridge_take_heads(c);
    int rc = cartridge_load(c, err);
    if (!rc)
        rc = commit_head(c, &call, err);
    cartridge_give_heads(c);
    return rc == -EAGAIN ? 0 : rc;
}

static int add_row(struct library *lib, struct db_cartridge *row, uint16_t address, struct errtext *err)
{
    const struct obj_call call = library_impatient(lib);
    struct head h;
    struct errtext why = {""};
    int rc = place_read(lib, row->barcode, &h, &call, &why);
    if (rc && rc != -ENOENT)
        return errtext_set(err, rc, "%s", why.text);
    bool place = !rc;
    rc = place ? place_take(lib, &h, address, row) : db_cartridge_add(lib->eng.db, row, address);
    if (place)
        head_free(&h);
    return rc ? errtext_set(err, rc, "%s: state: %s", row->barcode, db_error(lib->eng.db)) : 0;
}

/* What a new cartridge is to be. */
struct wanted {
    uint64_t capacity; /* bytes; 0: that of the drive type */
    bool worm, no_dedup;
};

/* Makes its row in the state, and puts it in its element there. */
static int create_row(struct library *lib, const char *barcode, const struct wanted *w, uint16_t address,
                      struct db_cartridge *row, struct errtext *err)
{
    const struct lto_generation *g = lto_generation(lib->cfg->library.generation);
    *row = (struct db_cartridge){.generation = g->generation,
                                 .capacity = w->capacity                    ? w->capacity
                                             : barcode_is_cleaning(barcode) ? 0
                                                                            : g->capacity,
                                 .worm = w->worm,
                                 .no_dedup = w->no_dedup,
                                 .created = engine_time(),
                                 .modified = engine_time(),
                                 .next_segment = 1,
                                 .next_map = 1,
                                 .dirty = true};
    (void)snprintf(row->barcode, sizeof(row->barcode), "%s", barcode);
    if (getrandom(row->id, sizeof(row->id), 0) != (ssize_t)sizeof(row->id))
        return errtext_set(err, -EIO, "%s: no random numbers: %s", barcode, strerror(errno));
    return add_row(lib, row, address, err);
}

static void show_cartridge(struct library *lib, const char *barcode, uint16_t address)
{
    lock_take(&lib->lock);
    struct element *e = library_element(lib, address);
    (void)snprintf(e->barcode, sizeof(e->barcode), "%s", barcode);
    e->source = 0;
    lock_release(&lib->lock);
}

static int note_one(void *arg, const char *key)
{
    (void)key;
    *(bool *)arg = true;
    return 1;
}

/* It was made in the place of a removed one, of which others need something: its heads are what keeps that. */
static bool keeps_some(struct library *lib, struct cartridge *c)
{
    bool some = false;
    int rc = db_garbage(lib->eng.db, cartridge_rowid(c), note_one, &some);
    return rc < 0 || some;
}

/* Its row is in the state and cannot be removed: so it is in the library too, and the workers go on with it. */
static void keep_cartridge(struct library *lib, struct cartridge *c, uint16_t address, const struct errtext *why)
{
    if (library_add_cartridge(lib, c)) {
        log_err("%s: %s: the next start finds it, although it was not made", cartridge_barcode(c), why->text);
        workers_forget(lib->eng.workers, c);
        cartridge_free(c);
        return;
    }
    show_cartridge(lib, cartridge_barcode(c), address);
    library_inventory_changed(lib);
    log_err("%s: it cannot be taken back (%s): it is in the library, and its head is put as soon as that is possible",
            cartridge_barcode(c), why->text);
    cartridge_poke(c);
}

/* One of the heads that would go may be the last that knows who leans on what was there before. */
static int take_row_back(struct library *lib, struct cartridge *c, const struct db_cartridge *row, struct errtext *err)
{
    return keeps_some(lib, c) ? errtext_set(err, -EBUSY, "others lean on what was there before")
                              : unmade_take_back(lib, c, row, err);
}

/* Makes the cartridge of a row, or takes the row back. */
static int create_cartridge(struct library *lib, const struct db_cartridge *row, uint16_t address, struct errtext *err)
{
    struct errtext why = {""};
    struct cartridge *c = cartridge_new(&lib->eng, row);
    int rc = c ? first_commit(lib, c, err) : errtext_set(err, -ENOMEM, "%s: out of memory", row->barcode);
    if (!rc && library_add_cartridge(lib, c))
        rc = errtext_set(err, -ENOMEM, "%s: out of memory", row->barcode);
    if (!rc) {
        cartridge_unload_if_clean(c);
        show_cartridge(lib, row->barcode, address);
        return 0;
    }
    if (!c && db_cartridge_remove(lib->eng.db, row->rowid, row->barcode))
        log_err("%s: state: %s: the next start finds it, although it was not made", row->barcode,
                db_error(lib->eng.db));
    if (!c)
        return rc;
    workers_forget(lib->eng.workers, c);
    size_t n = strlen(err->text);
    if (!take_row_back(lib, c, row, &why)) {
        cartridge_free(c);
        return rc;
    }
    (void)snprintf(err->text + n, sizeof(err->text) - n, "; %s stays in the library: %s", row->barcode, why.text);
    keep_cartridge(lib, c, address, &why);
    return rc;
}

static int create_one(struct library *lib, const char *barcode, const struct wanted *w, json_t *created,
                      struct errtext *err)
{
    struct db_cartridge row;
    uint16_t address = library_free_slot(lib); /* there is one: check_room, under the same lock */
    int rc = create_row(lib, barcode, w, address, &row, err);
    if (!rc)
        rc = create_cartridge(lib, &row, address, err);
    if (rc)
        return rc;
    json_array_append_new(created, json_pack("{s:s, s:i}", "barcode", barcode, "address", (int)address));
    return 0;
}

/* Without a running library nobody else puts the inventory. */
void tapes_put_inventory(struct library *lib)
{
    const struct obj_call call = library_impatient(lib);
    struct errtext err = {""};
    library_inventory_changed(lib);
    if (!lib->inventory_runs && inventory_put(lib, &call, &err))
        log_warn("inventory: %s", err.text);
}

int tapes_check_named(const json_t *barcodes, struct errtext *err)
{
    json_t *seen = json_object();
    int rc = seen ? 0 : -ENOMEM; /* library_call says it */
    for (size_t i = 0; !rc && i < json_array_size(barcodes); i++) {
        const char *barcode = json_string_value(json_array_get(barcodes, i));
        if (!barcode)
            rc = errtext_set(err, -EINVAL, "barcodes: number %zu is no text: each must be a barcode", i + 1);
        else if (json_object_get(seen, barcode))
            rc = errtext_set(err, -EINVAL, "%s: named twice: name each cartridge once", barcode);
        else if (json_object_set_new(seen, barcode, json_true()))
            rc = -ENOMEM;
    }
    json_decref(seen);
    return rc;
}

static int check_data(const json_t *barcodes, struct errtext *err)
{
    for (size_t i = 0; i < json_array_size(barcodes); i++) {
        const char *barcode = json_string_value(json_array_get(barcodes, i));
        if (barcode && barcode_is_cleaning(barcode))
            return errtext_set(err, -EINVAL,
                               "%s: a cleaning cartridge (CLN...) has no data: --capacity, --worm and "
                               "--no-dedup are for others",
                               barcode);
    }
    return 0;
}

/* With too little room for all none is made: nobody is to find out which. A cartridge in a drive keeps a slot to go back
 * to: without one the drive could not be emptied. move_lock held, so it stays so. */
static int check_room(struct library *lib, size_t wanted, struct errtext *err)
{
    size_t kept, n = library_free_slots(lib, &kept);
    if (n >= wanted + kept)
        return 0;
    char back[80] = "";
    if (kept)
        (void)snprintf(back, sizeof(back), ", %zu needed for what is in a drive", kept);
    return errtext_set(err, -ENOSPC,
                       "no free slots for %zu cartridge%s: %zu of %u are free%s, and none was made (slots = in %s)",
                       wanted, wanted == 1 ? "" : "s", n, atomic_load(&lib->eng.live.slots), back, lib->cfg->file);
}

/* What can be wrong with any is found before the first is made. */
static int check_all_new(struct library *lib, const json_t *barcodes, struct errtext *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < json_array_size(barcodes); i++)
        rc = check_new(lib, json_string_value(json_array_get(barcodes, i)), err);
    return rc ? rc : check_room(lib, json_array_size(barcodes), err);
}

/* One that was made is no cartridge of the library any more. It is blank, and nobody moved it meanwhile: move_lock is held. */
static int take_back(struct library *lib, const char *barcode, struct errtext *err)
{
    struct cartridge *c = library_cartridge(lib, barcode);
    if (keeps_some(lib, c))
        return errtext_set(err, -EBUSY, "%s: others lean on what was there before", barcode);
    struct db_cartridge row = {.rowid = cartridge_rowid(c)};
    (void)snprintf(row.barcode, sizeof(row.barcode), "%s", barcode);
    memcpy(row.id, cartridge_id(c), sizeof(row.id));
    workers_forget(lib->eng.workers, c);
    int rc = unmade_take_back(lib, c, &row, err);
    if (rc) {
        cartridge_poke(c);
        return rc;
    }
    lock_take(&lib->lock);
    library_place(lib, barcode)->barcode[0] = '\0';
    lock_release(&lib->lock);
    library_drop_cartridge(lib, c);
    cartridge_free(c);
    return 0;
}

/* The store failed in between: those that were made are taken back, the last one first. Adds to *err what became of them. */
static void take_all_back(struct library *lib, const json_t *created, struct errtext *err)
{
    size_t made = json_array_size(created), left = made, n = strlen(err->text);
    struct errtext why = {""};
    while (left &&
           !take_back(lib, json_string_value(json_object_get(json_array_get(created, left - 1), "barcode")), &why))
        left--;
    if (left)
        (void)snprintf(err->text + n, sizeof(err->text) - n, "; the first %zu were made, and stay: %s", left, why.text);
    else if (made)
        (void)snprintf(err->text + n, sizeof(err->text) - n, "; none was made");
}

int tapes_make(struct library *lib, const char *barcode, struct errtext *err)
{
    const struct wanted as_usual = {.capacity = 0};
    json_t *created = json_array();
    int rc = check_new(lib, barcode, err);
    if (!rc)
        rc = check_room(lib, 1, err);
    if (!rc)
        rc = create_one(lib, barcode, &as_usual, created, err);
    json_decref(created);
    if (!rc)
        tapes_put_inventory(lib);
    return rc;
}

json_t *tapes_create(struct library *lib, const json_t *request, struct errtext *err)
{
    const json_t *barcodes = json_object_get(request, "barcodes");
    json_int_t capacity = json_integer_value(json_object_get(request, "capacity"));
    const struct wanted w = {.capacity = capacity > 0 ? (uint64_t)capacity : 0,
                             .worm = json_is_true(json_object_get(request, "worm")),
                             .no_dedup = json_is_true(json_object_get(request, "no_dedup"))};
    if (!json_is_array(barcodes) || !json_array_size(barcodes) || capacity < 0) {
        errtext_set(err, -EINVAL, "tape-create: barcodes (a list) and capacity (0 or more bytes) are needed");
        return NULL;
    }
    json_t *created = json_array();
    int rc = tapes_check_named(barcodes, err);
    if (!rc && (w.capacity || w.worm || w.no_dedup))
        rc = check_data(barcodes, err);
    if (!rc)
        rc = check_all_new(lib, barcodes, err);
    for (size_t i = 0; !rc && i < json_array_size(barcodes); i++)
        rc = create_one(lib, json_string_value(json_array_get(barcodes, i)), &w, created, err);
    if (rc)
        take_all_back(lib, created, err);
    if (json_array_size(created))
        tapes_put_inventory(lib);
    if (rc) {
        json_decref(created);
        return NULL;
    }
    return json_pack("{s:o}", "created", created);
}

/* ---- removing ---- */

struct batch {
    const char *prefix;
    const struct kept *kept; /* NULL: nothing */
    char *keys[DELETE_BATCH];
    size_t n;
};

/* Only what this program names so: somebody else may keep objects below our keys. */
static int take_key(void *arg, const struct obj_entry *e)
{
    struct batch *b = arg;
    struct seg_id id;
    if (e->is_prefix || !object_name_at(e->key, b->prefix, &id) || (b->kept && kept_has_key(b->kept, e->key)))
        return 0;
    if (!(b->keys[b->n] = strdup(e->key)))
        return -ENOMEM;
    return ++b->n == DELETE_BATCH ? 1 : 0;
}

static int delete_kind(struct library *lib, const char *barcode, const char *kind, const struct kept *kept,
                       struct errtext *err)
{
    const struct obj_call call = library_impatient(lib);
    struct objstore *store = lib->eng.store;
    char prefix[DB_KEY_SIZE];
    (void)snprintf(prefix, sizeof(prefix), "tapes/%s/%s/", barcode, kind);
    int rc;
    do {
        struct batch b = {.prefix = prefix, .kept = kept};
        rc = store->ops->list(store, prefix, NULL, false, take_key, &b, &call, err);
        int more = rc == 1;
        if (rc >= 0 && b.n)
            rc = store->ops->del(store, (const char *const *)b.keys, b.n, &call, err);
        for (size_t i = 0; i < b.n; i++)
            free(b.keys[i]);
        rc = rc < 0 ? rc : more;
    } while (rc > 0);
    return rc;
}

/* Heads first: without one, what is left is nobody's and never read again. If others lean on some of it, that stays, and a
 * head that says so. Maps last: should it fail in between, they say what there was. */
static int delete_objects(struct library *lib, const char *barcode, const struct kept *kept, struct errtext *err)
{
    static const char *const kinds[] = {"head", "seg", "map"};
    int rc = 0;
    for (size_t i = kept ? 1 : 0; !rc && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        rc = delete_kind(lib, barcode, kinds[i], kept, err);
    return rc;
}

static int may_remove(struct library *lib, struct cartridge *c, bool force, struct errtext *err)
{
    struct cartridge_view v;
    char size[HUMAN_ROOM];
    cartridge_view(c, &v);
    if (v.held)
        return errtext_set(err, -EBUSY, "%s: it is in a drive: move it to a slot first", cartridge_barcode(c));
    if ((v.used_bytes || (!v.loaded && v.unstored_rows)) && !force)
        return errtext_set(err, -ENOTEMPTY, "%s: it holds %s of data: --force removes it with them",
                           cartridge_barcode(c), human_size(v.used_bytes, size));
    return tapes_check_unlocked(lib, c, err);
}

/* Only the owner removes (I7). What has no head is nobody's: by force it goes, too, unless others lean on it: without a head
 * there is no place to keep it at. */
static int claim_to_remove(struct library *lib, struct cartridge *c, bool force, struct kept **kept,
                           struct errtext *err)
{
    const struct obj_call call = library_impatient(lib);
    int rc = commit_claim(c, &call, err);
    if (rc == -ENOENT && force)
        return commit_check_unneeded(c, &call, err);
    if (rc)
        return rc;
    workers_forget(lib->eng.workers, c);    /* what of it was to be tidied up goes, too */
    rc = tapes_check_unlocked(lib, c, err); /* by the head that the claim found */
    return rc ? rc : commit_leave_place(c, kept, &call, err);
}

static int remove_objects(struct library *lib, struct cartridge *c, bool force, json_t *answer, struct errtext *err)
{
    struct kept *kept = NULL;
    int rc = claim_to_remove(lib, c, force, &kept, err);
    if (!rc)
        rc = unmade_keep_epoch(lib, c, err);
    if (!rc)
        rc = delete_objects(lib, cartridge_barcode(c), kept, err);
    if (!rc)
        shares_of_removed(c, kept, answer);
    kept_free(kept);
    return rc;
}

/* Its last head may say that it was removed, and the workers put one above it, for which it must be loaded. */
static void go_on_with(struct cartridge *c)
{
    struct errtext err = {""};
    if (cartridge_load(c, &err))
        log_event(EVENT_STATE_FAILED, "%s", err.text);
    cartridge_poke(c);
}

/* Of the store and of the state. */
static int remove_stored(struct library *lib, struct cartridge *c, bool force, json_t *answer, struct errtext *err)
{
    int rc = shares_after_removal(lib, c, answer, err);
    if (rc)
        return rc;
    workers_forget(lib->eng.workers, c);
    rc = remove_objects(lib, c, force, answer, err);
    if (rc) {
        go_on_with(c);
        return rc;
    }
    rc = db_cartridge_remove(lib->eng.db, cartridge_rowid(c), cartridge_barcode(c));
    return rc ? errtext_set(err, rc, "%s: state: %s", cartridge_barcode(c), db_error(lib->eng.db)) : 0;
}

/* Of memory and of the disk. */
static void forget(struct library *lib, struct cartridge *c)
{
    lock_take(&lib->lock);
    struct element *e = library_place(lib, cartridge_barcode(c));
    if (e) {
        e->barcode[0] = '\0';
        e->source = 0;
    }
    lock_release(&lib->lock);
    library_drop_cartridge(lib, c);
    cartridge_drop_backlog(c);
    if (lib->eng.chunks)
        (void)chunk_index_drop_cartridge(lib->eng.chunks, cartridge_id(c)); /* a cache */
    spool_remove_all(lib->eng.spool, cartridge_barcode(c));
    cartridge_free(c);
}

json_t *tapes_remove(struct library *lib, const json_t *request, struct errtext *err)
{
    const char *barcode = json_string_value(json_object_get(request, "barcode"));
    bool force = json_is_true(json_object_get(request, "force"));
    struct cartridge *c = barcode ? library_cartridge(lib, barcode) : NULL;
    if (!c) {
        errtext_set(err, -ENOENT, "%s: no such cartridge in this library", barcode ? barcode : "(no barcode)");
        return NULL;
    }
    if (may_remove(lib, c, force, err) || tapes_check_whose(lib, c, err))
        return NULL;
    json_t *answer = json_pack("{s:s}", "removed", barcode);
    if (!answer || remove_stored(lib, c, force, answer, err)) {
        json_decref(answer);
        return NULL;
    }
    forget(lib, c);
    tapes_put_inventory(lib);
    return answer;
}
