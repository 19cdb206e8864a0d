/* SPDX-License-Identifier: GPL-2.0-or-later */
/* changer.c: struct changer_ops over the library's elements: snapshots for the transport's thread, moves for the
 * executor. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/event.h"
#include "base/lto.h"
#include "scsi/lun.h"
#include "vtl/format/barcode.h"
#include "vtl/library/library_private.h"

const char *library_changer_serial(struct library *lib)
{
    return lib->changer_serial;
}

static void changer_layout(void *self, struct changer_layout *out)
{
    const struct library *lib = self;
    *out = (struct changer_layout){.transports = 1,
                                   .drives = (uint16_t)lib->cfg->library.drives,
                                   .import_exports = (uint16_t)lib->cfg->library.import_export,
                                   .slots = (uint16_t)atomic_load(&lib->eng.live.slots)};
}

static void describe(struct library *lib, const struct element *e, struct changer_element *out)
{
    *out = (struct changer_element){.address = e->address,
                                    .type = e->type,
                                    .full = e->barcode[0] != '\0',
                                    .source_valid = e->source != 0,
                                    .source = e->source,
                                    .access = true,
                                    .by_operator = e->by_operator};
    memcpy(out->barcode, e->barcode, sizeof(out->barcode));
    struct drive *d = library_drive_at(lib, e);
    if (d) {
        out->access = !drive_is_prevented(d);
        out->vendor = LIBRARY_VENDOR;
        out->product = lto_generation(lib->cfg->library.generation)->product;
        out->serial = drive_serial(d);
    }
    if (e->type == ELEMENT_TRANSPORT)
        out->access = false;
}

static size_t changer_elements(void *self, int type, uint16_t start, size_t max, struct changer_element *out)
{
    struct library *lib = self;
    size_t n = 0;
    lock_take(&lib->lock);
    for (size_t i = 0; i < lib->n_elements && n < max; i++) {
        const struct element *e = &lib->elements[i];
        if (e->address >= start && (!type || (int)e->type == type))
            describe(lib, e, &out[n++]);
    }
    lock_release(&lib->lock);
    return n;
}

static void changer_wake(void *self)
{
    struct library *lib = self;
    progress_post(&lib->eng.progress);
}

static void changer_prevent(void *self, bool prevented)
{
    struct library *lib = self;
    atomic_store(&lib->door_locked, prevented);
}

/* ---- moves; move_lock held, so that elements do not change under us ---- */

static bool element_ok(struct library *lib, uint16_t address)
{
    const struct element *e = library_element(lib, address);
    return e && e->type != ELEMENT_TRANSPORT;
}

/* Without workers no drive holds anything: its element is only a place. */
static enum changer_result leave_drive(struct library *lib, struct drive *d, const atomic_bool *cancel)
{
    struct errtext err = {""};
    if (!lib->eng.workers)
        return CHANGER_OK;
    int rc = drive_remove(d, cancel, &err);
    if (!rc)
        return CHANGER_OK;
    if (rc == -EBUSY)
        return CHANGER_REMOVAL_PREVENTED;
    log_event(EVENT_LOAD_FAILED, "%s: it stays in the drive", err.text);
    return rc == -ECANCELED ? CHANGER_CANCELLED : CHANGER_FLUSH_FAILED;
}

/* Source to remember: the last storage or import/export element. */
static uint16_t origin(const struct element *from)
{
    return from->type == ELEMENT_DRIVE ? from->source : from->address;
}

static void tell_hosts(void *arg, unsigned drive)
{
    library_tell(arg, LIBRARY_DRIVE_MEDIUM_CHANGED, drive);
}

static void into_drive(struct library *lib, struct drive *d, const char *barcode)
{
    struct errtext err = {""};
    struct cartridge *c = lib->eng.workers ? library_cartridge(lib, barcode) : NULL;
    if (!c)
        return;
    /* With one that cleans the drive does not become ready. */
    drive_tell_fn *tell = barcode_is_cleaning(barcode) ? NULL : tell_hosts;
    if (drive_insert(d, c, clock_ms() + DRIVE_LOOK_MS, tell, lib, &err))
        log_event(EVENT_LOAD_FAILED, "drive %u: %s cannot be loaded: %s", drive_number(d), barcode, err.text);
    drive_clean(d);
}

/* A drive takes cartridges of its own generation and of older ones, and any that cleans. */
static bool fits_drive(struct library *lib, const char *barcode)
{
    const struct cartridge *c = library_cartridge(lib, barcode);
    return c && (barcode_is_cleaning(barcode) || cartridge_generation(c) <= lib->cfg->library.generation);
}

static int set_elements(struct library *lib, const struct db_element *rows, size_t n)
{
    int rc = db_elements_set(lib->eng.db, rows, n);
    if (rc) {
        log_event(EVENT_STATE_FAILED, "state: %s", db_error(lib->eng.db));
        return rc;
    }
    lock_take(&lib->lock);
    for (size_t i = 0; i < n; i++) {
        struct element *e = library_element(lib, rows[i].address);
        memcpy(e->barcode, rows[i].barcode, sizeof(e->barcode));
        e->source = rows[i].source;
        e->by_operator = false;
    }
    lock_release(&lib->lock);
    library_inventory_changed(lib);
    return 0;
}

static enum changer_result move_locked(struct library *lib, uint16_t source, uint16_t destination,
                                       const atomic_bool *cancel)
{
    if (!element_ok(lib, source) || !element_ok(lib, destination))
        return CHANGER_BAD_ADDRESS;
    const struct element *from = library_element(lib, source), *to = library_element(lib, destination);
    if (!from->barcode[0])
        return CHANGER_SOURCE_EMPTY;
    if (source == destination)
        return CHANGER_OK;
    if (to->barcode[0])
        return CHANGER_DESTINATION_FULL;
    struct drive *out = library_drive_at(lib, from), *in = library_drive_at(lib, to);
    if (in && !fits_drive(lib, from->barcode))
        return CHANGER_INCOMPATIBLE;
    if (out) {
        enum changer_result r = leave_drive(lib, out, cancel);
        if (r)
            return r;
    }
    struct db_element rows[2] = {{.address = source}, {.address = destination, .source = origin(from)}};
    memcpy(rows[1].barcode, from->barcode, sizeof(rows[1].barcode));
    if (set_elements(lib, rows, 2)) {
        if (out)
            into_drive(lib, out, from->barcode);
        return CHANGER_INTERNAL;
    }
    /* A drive that is empty now tells nothing: it went from ready to not ready, and a unit attention would hit what a
     * host still has to say to it, as to clear its key. */
    if (in)
        into_drive(lib, in, rows[1].barcode);
    return CHANGER_OK;
}

/* Whoever makes or removes cartridges may hold it for minutes, and a host that gives its command up waits for the answer. */
static bool begin_move(struct library *lib, const atomic_bool *cancel)
{
    return !lock_take_until(&lib->move_lock, UINT64_MAX, cancel);
}

enum changer_result library_move(struct library *lib, const char *barcode, uint16_t destination,
                                 const atomic_bool *cancel)
{
    if (!begin_move(lib, cancel))
        return CHANGER_CANCELLED;
    const struct element *from = library_place(lib, barcode);
    enum changer_result r = from ? move_locked(lib, from->address, destination, cancel) : CHANGER_SOURCE_EMPTY;
    lock_release(&lib->move_lock);
    return r;
}

static enum changer_result changer_move(void *self, uint16_t transport, uint16_t source, uint16_t destination,
                                        const atomic_bool *cancel)
{
    struct library *lib = self;
    if (transport && transport != ELEMENT_FIRST_TRANSPORT)
        return CHANGER_BAD_ADDRESS;
    if (!begin_move(lib, cancel))
        return CHANGER_CANCELLED;
    enum changer_result r = move_locked(lib, source, destination, cancel);
    lock_release(&lib->move_lock);
    return r;
}

static enum changer_result exchange_locked(struct library *lib, uint16_t source, uint16_t first, uint16_t second,
                                           const atomic_bool *cancel)
{
    if (!element_ok(lib, source) || !element_ok(lib, first) || !element_ok(lib, second) || first == source ||
        first == second)
        return CHANGER_BAD_ADDRESS;
    const struct element *a = library_element(lib, source), *b = library_element(lib, first),
                         *c = library_element(lib, second);
    if (!a->barcode[0] || !b->barcode[0])
        return CHANGER_SOURCE_EMPTY;
    if (second != source && c->barcode[0])
        return CHANGER_DESTINATION_FULL;
    struct drive *da = library_drive_at(lib, a), *db = library_drive_at(lib, b), *dc = library_drive_at(lib, c);
    if ((db && !fits_drive(lib, a->barcode)) || (dc && !fits_drive(lib, b->barcode)))
        return CHANGER_INCOMPATIBLE;
    if (lib->eng.workers && db && drive_is_prevented(db)) /* before the first one is rewound for nothing */
        return CHANGER_REMOVAL_PREVENTED;
    enum changer_result r = da ? leave_drive(lib, da, cancel) : CHANGER_OK;
    if (!r && db && (r = leave_drive(lib, db, cancel)) && da)
        into_drive(lib, da, a->barcode);
    if (r)
        return r;
    struct db_element rows[3] = {
        {.address = source}, {.address = first, .source = origin(a)}, {.address = second, .source = origin(b)}};
    memcpy(rows[1].barcode, a->barcode, sizeof(rows[1].barcode));
    memcpy(rows[2].barcode, b->barcode, sizeof(rows[2].barcode));
    bool swap = second == source;
    if (set_elements(lib, swap ? rows + 1 : rows, swap ? 2 : 3)) {
        if (da)
            into_drive(lib, da, a->barcode);
        if (db)
            into_drive(lib, db, b->barcode);
        return CHANGER_INTERNAL;
    }
    if (db)
        into_drive(lib, db, rows[1].barcode);
    if (dc)
        into_drive(lib, dc, rows[2].barcode);
    return CHANGER_OK;
}

static enum changer_result changer_exchange(void *self, uint16_t transport, uint16_t source, uint16_t destination1,
                                            uint16_t destination2, const atomic_bool *cancel)
{
    struct library *lib = self;
    if (transport && transport != ELEMENT_FIRST_TRANSPORT)
        return CHANGER_BAD_ADDRESS;
    if (!begin_move(lib, cancel))
        return CHANGER_CANCELLED;
    enum changer_result r = exchange_locked(lib, source, destination1, destination2, cancel);
    lock_release(&lib->move_lock);
    return r;
}

static enum changer_result changer_position(void *self, uint16_t transport, uint16_t destination)
{
    struct library *lib = self;
    bool ok = (!transport || transport == ELEMENT_FIRST_TRANSPORT) && library_element(lib, destination);
    return ok ? CHANGER_OK : CHANGER_BAD_ADDRESS;
}

/* Elements are known at any time: there is nothing to scan. */
static enum changer_result changer_initialize(void *self, const atomic_bool *cancel)
{
    (void)self;
    (void)cancel;
    return CHANGER_OK;
}

static const struct changer_ops ops = {
    .layout = changer_layout,
    .elements = changer_elements,
    .wake = changer_wake,
    .prevent = changer_prevent,
    .move = changer_move,
    .exchange = changer_exchange,
    .position = changer_position,
    .initialize = changer_initialize,
};

const struct changer_ops *library_changer_ops(void)
{
    return &ops;
}
