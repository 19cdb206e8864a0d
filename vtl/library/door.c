/* SPDX-License-Identifier: GPL-2.0-or-later */
/* door.c: what the operator moves: cartridges between elements, and the import/export elements as the door: cartridges
 * go through it to the shelf and come back. One on the shelf is in no element; its objects stay where they are. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "vtl/library/element.h"
#include "base/log.h"
#include "vtl/cartridge/commit.h"
#include "vtl/format/barcode.h"
#include "vtl/library/tapes.h"
#include "vtl/library/turn.h"

/* PREVENT ALLOW MEDIUM REMOVAL of the changer (SMC-3 6.9) locks it. */
static int check_door(struct library *lib, struct errtext *err)
{
    return atomic_load(&lib->door_locked)
               ? errtext_set(err, -EBUSY, "an initiator has locked the import/export elements (PREVENT MEDIUM REMOVAL)")
               : 0;
}

/* ---- from element to element ---- */

static int move_failed(struct library *lib, const char *barcode, uint16_t address, enum changer_result r,
                       struct errtext *err)
{
    char to[ELEMENT_NAME_SIZE];
    const struct vtl_config *cfg = lib->cfg;
    (void)element_name(address, to);
    switch (r) {
    case CHANGER_BAD_ADDRESS:
        return errtext_set(err, -EINVAL, "%s: the library has no %s: slots = %u, drives = %u, import_export = %u in %s",
                           barcode, to, atomic_load(&lib->eng.live.slots), cfg->library.drives,
                           cfg->library.import_export, cfg->file);
    case CHANGER_SOURCE_EMPTY:
        return errtext_set(err, -EINVAL, "%s: it is on the shelf: s3vtl tape import brings it back", barcode);
    case CHANGER_DESTINATION_FULL:
        return errtext_set(err, -EEXIST, "%s: %s is full", barcode, to);
    case CHANGER_REMOVAL_PREVENTED:
        return errtext_set(err, -EBUSY, "%s: an initiator keeps it in the drive (PREVENT MEDIUM REMOVAL)", barcode);
    case CHANGER_INCOMPATIBLE:
        return errtext_set(err, -EINVAL, "%s: %s takes no cartridge of its generation", barcode, to);
    case CHANGER_FLUSH_FAILED:
        return errtext_set(err, -EIO, "%s: it stays in the drive, as its data could not be made safe: see the log",
                           barcode);
    case CHANGER_CANCELLED:
        return errtext_set(err, -ECANCELED, "%s: it stays where it is: the library stops", barcode);
    case CHANGER_OK:
    case CHANGER_INTERNAL:
        break;
    }
    return errtext_set(err, -EIO, "%s: it stays where it is: see the log", barcode);
}

json_t *tapes_move(struct library *lib, const json_t *request, struct errtext *err)
{
    const char *barcode = json_string_value(json_object_get(request, "barcode"));
    json_int_t address = json_integer_value(json_object_get(request, "address"));
    if (!barcode || address < 1 || address > UINT16_MAX || !library_cartridge(lib, barcode)) {
        errtext_set(err, -ENOENT,
                    address < 1 || address > UINT16_MAX ? "%s: tape-move: an address (1 to 65535) is needed"
                                                        : "%s: no such cartridge in this library",
                    barcode ? barcode : "(no barcode)");
        return NULL;
    }
    enum changer_result r = library_move(lib, barcode, (uint16_t)address, &lib->no_waiting);
    if (r) {
        move_failed(lib, barcode, (uint16_t)address, r, err);
        return NULL;
    }
    tapes_put_inventory(lib);
    library_tell(lib, LIBRARY_ELEMENTS_CHANGED, 0);
    return json_pack("{s:s, s:i}", "barcode", barcode, "address", (int)address);
}

/* ---- through the door ---- */

/* A plan: elements as they will be. move_lock is held, so they do not change meanwhile. */
struct plan {
    struct db_element *e;
    size_t n;
};

static void add(struct plan *p, uint16_t address, const char *barcode)
{
    struct db_element *e = &p->e[p->n++];
    *e = (struct db_element){.address = address};
    (void)snprintf(e->barcode, sizeof(e->barcode), "%s", barcode);
}

static int plan_export(struct library *lib, const char *barcode, struct plan *p, struct errtext *err)
{
    const struct element *e = library_place(lib, barcode);
    if (!library_cartridge(lib, barcode))
        return errtext_set(err, -ENOENT, "%s: no such cartridge in this library", barcode);
    if (!e)
        return tapes_check_on_shelf(lib, barcode, err);
    if (e->type != ELEMENT_IMPORT_EXPORT)
        return errtext_set(err, -EINVAL,
                           "%s: it is in no import/export element: move it there first (mtx transfer, PBS: export)",
                           barcode);
    add(p, e->address, "");
    return 0;
}

static bool is_planned(const struct plan *p, const struct element *e)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->e[i].address == e->address)
            return true;
    return false;
}

static int plan_import(struct library *lib, const char *barcode, struct plan *p, struct errtext *err)
{
    if (!library_cartridge(lib, barcode))
        return errtext_set(err, -ENOENT, "%s: no such cartridge in this library", barcode);
    if (library_place(lib, barcode))
        return errtext_set(err, -EEXIST, "%s: it is in the library already", barcode);
    for (size_t i = 0; i < lib->n_elements; i++) {
        const struct element *e = &lib->elements[i];
        if (e->type == ELEMENT_IMPORT_EXPORT && !e->barcode[0] && !is_planned(p, e)) {
            add(p, e->address, barcode);
            return 0;
        }
    }
    return errtext_set(err, -ENOSPC, "%s: no free import/export element: the library has %u", barcode,
                       lib->cfg->library.import_export);
}

/* The state first; then memory, all at once for readers. */
static int carry_out(struct library *lib, const struct plan *p, struct errtext *err)
{
    int rc = p->n ? db_elements_set(lib->eng.db, p->e, p->n) : 0;
    if (rc)
        return errtext_set(err, rc, "%s/state.db: %s", lib->cfg->library.state_dir, db_error(lib->eng.db));
    lock_take(&lib->lock);
    for (size_t i = 0; i < p->n; i++) {
        struct element *e = library_element(lib, p->e[i].address);
        memcpy(e->barcode, p->e[i].barcode, sizeof(e->barcode));
        e->source = 0;
        e->by_operator = e->barcode[0];
    }
    lock_release(&lib->lock);
    if (p->n) {
        tapes_put_inventory(lib);
        library_tell(lib, LIBRARY_IMPORT_EXPORT_ACCESSED, 0);
    }
    return 0;
}

/* ---- a shelf that is shared ---- */

/* Of one on the shelf that another gateway wrote last, as far as this state knows, or that this one gave up, the store is asked
 * whose it is. */
static int fetch(struct library *lib, const char *barcode, enum obj_known shared, struct errtext *err)
{
    struct cartridge *c = library_cartridge(lib, barcode);
    struct seg_id last;
    bool given_up = c && cartridge_given_up(c) != OBJ_NO;
    if (!barcode_ok(barcode) || (c && (library_place(lib, barcode) || (shared == OBJ_NO && !given_up))))
        return 0;
    if (c && shared == OBJ_UNKNOWN)
        return cartridge_is_ours(c, &last) && !given_up
                   ? 0
                   : errtext_set(err, -EAGAIN,
                                 "%s: whether another library has it cannot be found out now, as the store does not "
                                 "answer: try again",
                                 barcode);
    return tapes_take_released(lib, barcode, err);
}

static int fetch_all(struct library *lib, const json_t *barcodes, struct errtext *err)
{
    enum obj_known shared = json_array_size(barcodes) ? turn_shared(lib) : OBJ_NO;
    int rc = 0;
    for (size_t i = 0; !rc && i < json_array_size(barcodes); i++) {
        const char *barcode = json_string_value(json_array_get(barcodes, i));
        struct cartridge *c;
        rc = fetch(lib, barcode, shared, err);
        if (!rc && (c = library_cartridge(lib, barcode)))
            cartridge_want_release(c, false);
    }
    return rc;
}

static json_t *go(struct library *lib, const json_t *request, bool out, struct errtext *err)
{
    const json_t *barcodes = json_object_get(request, "barcodes");
    size_t n = json_array_size(barcodes), most = lib->n_elements + n;
    struct plan p = {.e = calloc(most ? most : 1, sizeof(*p.e))};
    json_t *done = json_array();
    int rc = p.e ? check_door(lib, err) : -ENOMEM;
    if (!rc)
        rc = tapes_check_named(barcodes, err);
    if (!rc && !out)
        rc = fetch_all(lib, barcodes, err);
    bool all = out && json_is_true(json_object_get(request, "all"));
    for (size_t i = 0; !rc && all && i < lib->n_elements; i++) {
        const struct element *e = &lib->elements[i];
        if (e->type != ELEMENT_IMPORT_EXPORT || !e->barcode[0])
            continue;
        add(&p, e->address, "");
        json_array_append_new(done, json_pack("{s:s, s:i}", "barcode", e->barcode, "address", (int)e->address));
    }
    for (size_t i = 0; !rc && !all && i < n; i++) {
        const char *barcode = json_string_value(json_array_get(barcodes, i));
        size_t planned = p.n;
        rc = out ? plan_export(lib, barcode, &p, err) : plan_import(lib, barcode, &p, err);
        if (!rc)
            json_array_append_new(done, json_pack("{s:s, s:i}", "barcode", barcode, "address",
                                                  p.n > planned ? (int)p.e[planned].address : 0));
    }
    if (!rc)
        rc = carry_out(lib, &p, err);
    if (!rc && out)
        tapes_give_up(lib, done);
    if (rc && !out)
        tapes_give_up_again(lib, barcodes);
    free(p.e);
    if (rc) {
        json_decref(done);
        return NULL;
    }
    return json_pack("{s:o}", out ? "exported" : "imported", done);
}

json_t *tapes_export(struct library *lib, const json_t *request, struct errtext *err)
{
    return go(lib, request, true, err);
}

json_t *tapes_import(struct library *lib, const json_t *request, struct errtext *err)
{
    return go(lib, request, false, err);
}
