/* SPDX-License-Identifier: GPL-2.0-or-later */
/* contents.c: the elements and cartridges of the library as they are in memory. */
#include "vtl/library/library_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* A move out of a drive may wait for the store for minutes. Who waits for its end holds up nobody. */
static void await_move(struct library *lib)
{
    lock_take(&lib->move_lock);
    lock_release(&lib->move_lock);
}

void library_begin_change(struct library *lib)
{
    atomic_fetch_add(&lib->n_changing, 1);
    progress_post(&lib->eng.progress);
    rwlock_write(&lib->tapes_lock);
    while (!lock_try(&lib->move_lock)) {
        rwlock_release(&lib->tapes_lock);
        await_move(lib);
        rwlock_write(&lib->tapes_lock);
    }
    atomic_fetch_sub(&lib->n_changing, 1);
    progress_post(&lib->eng.progress);
}

void library_end_change(struct library *lib)
{
    lock_release(&lib->move_lock);
    rwlock_release(&lib->tapes_lock);
}

struct element *library_element(struct library *lib, uint16_t address)
{
    size_t lo = 0, hi = lib->n_elements;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (lib->elements[mid].address < address)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < lib->n_elements && lib->elements[lo].address == address ? &lib->elements[lo] : NULL;
}

struct element *library_elements_now(struct library *lib, size_t *n)
{
    *n = lib->n_elements;
    struct element *copy = malloc(*n * sizeof(*copy));
    lock_take(&lib->lock);
    if (copy)
        memcpy(copy, lib->elements, *n * sizeof(*copy));
    lock_release(&lib->lock);
    return copy;
}

size_t library_position(const struct library *lib, const char *barcode)
{
    size_t lo = 0, hi = lib->n_cartridges;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(cartridge_barcode(lib->cartridges[mid]), barcode) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct cartridge *library_cartridge(struct library *lib, const char *barcode)
{
    size_t i = library_position(lib, barcode);
    return i < lib->n_cartridges && !strcmp(cartridge_barcode(lib->cartridges[i]), barcode) ? lib->cartridges[i] : NULL;
}

barcode_text *library_barcodes(struct library *lib, size_t *n)
{
    *n = 0;
    lock_take(&lib->lock);
    barcode_text *v = calloc(lib->n_cartridges + 1, sizeof(*v));
    for (; v && *n < lib->n_cartridges; ++*n)
        memcpy(v[*n], cartridge_barcode(lib->cartridges[*n]), sizeof(v[*n]));
    lock_release(&lib->lock);
    return v;
}

int library_add_cartridge(struct library *lib, struct cartridge *c)
{
    int rc = 0;
    lock_take(&lib->lock);
    if (lib->n_cartridges == lib->room_cartridges &&
        !array_grow(&lib->cartridges, &lib->room_cartridges, sizeof(*lib->cartridges)))
        rc = -ENOMEM;
    if (!rc) {
        size_t i = library_position(lib, cartridge_barcode(c));
        memmove(&lib->cartridges[i + 1], &lib->cartridges[i], (lib->n_cartridges - i) * sizeof(*lib->cartridges));
        lib->cartridges[i] = c;
        lib->n_cartridges++;
        atomic_store(&lib->locks_seen, false);
    }
    lock_release(&lib->lock);
    return rc;
}

void library_drop_cartridge(struct library *lib, struct cartridge *c)
{
    lock_take(&lib->lock);
    size_t i = library_position(lib, cartridge_barcode(c));
    if (i < lib->n_cartridges && lib->cartridges[i] == c) {
        memmove(&lib->cartridges[i], &lib->cartridges[i + 1], (lib->n_cartridges - i - 1) * sizeof(*lib->cartridges));
        lib->n_cartridges--;
    }
    lock_release(&lib->lock);
}

struct element *library_place(struct library *lib, const char *barcode)
{
    for (size_t i = 0; i < lib->n_elements; i++)
        if (!strcmp(lib->elements[i].barcode, barcode))
            return &lib->elements[i];
    return NULL;
}

/* What is in a drive came from there. */
static bool is_origin(const struct library *lib, uint16_t address)
{
    for (size_t i = 0; i < lib->n_elements; i++)
        if (lib->elements[i].type == ELEMENT_DRIVE && lib->elements[i].barcode[0] && lib->elements[i].source == address)
            return true;
    return false;
}

/* A cartridge in a drive goes back to a slot, unless it came through the door, and that place is empty still. */
static bool needs_slot(struct library *lib, const struct element *e)
{
    if (e->type != ELEMENT_DRIVE || !e->barcode[0])
        return false;
    const struct element *from = library_element(lib, e->source);
    return !from || from->type != ELEMENT_IMPORT_EXPORT || from->barcode[0];
}

size_t library_free_slots(struct library *lib, size_t *kept)
{
    size_t n = 0;
    *kept = 0;
    for (size_t i = 0; i < lib->n_elements; i++) {
        n += lib->elements[i].type == ELEMENT_STORAGE && !lib->elements[i].barcode[0];
        *kept += needs_slot(lib, &lib->elements[i]);
    }
    return n;
}

uint16_t library_free_slot(struct library *lib)
{
    for (size_t i = 0; i < lib->n_elements; i++) {
        const struct element *e = &lib->elements[i];
        if (e->type == ELEMENT_STORAGE && !e->barcode[0] && !is_origin(lib, e->address))
            return e->address;
    }
    return 0;
}

struct drive *library_drive_at(struct library *lib, const struct element *e)
{
    return e->type == ELEMENT_DRIVE ? lib->drives[e->address - ELEMENT_FIRST_DRIVE] : NULL;
}

void library_tell(struct library *lib, enum library_event ev, unsigned drive)
{
    if (lib->listener)
        lib->listener(lib->listener_arg, ev, drive);
}

void library_set_listener(struct library *lib, library_event_fn fn, void *arg)
{
    lib->listener_arg = arg;
    lib->listener = fn;
}
