/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz_changer.c: any sequence of requests to a changer, before elements of which no cartridge may be lost or doubled.
 */
#include "base/be.h"
#include "scsi/changer_ops.h"
#include "scsi/sense.h"
#include "tests/fuzz/requests.h"

#define MAX_ELEMENTS 1200

struct library {
    struct changer_layout layout;
    struct changer_element e[MAX_ELEMENTS]; /* in order of address */
    size_t n;
    unsigned cartridges;
    bool prevented;
    enum changer_result next; /* of the next operation on the transport; CHANGER_OK: it works */
};

/* ---- the elements ---- */

static void add(struct library *l, enum element_type type, uint16_t first, unsigned count, unsigned full)
{
    for (unsigned i = 0; i < count; i++) {
        struct changer_element *e = &l->e[l->n++];
        *e = (struct changer_element){.address = (uint16_t)(first + i), .type = type, .access = true};
        if (type == ELEMENT_DRIVE) {
            e->vendor = "IBM";
            e->product = "ULT3580-TD8";
            e->serial = "FUZZ000001";
        }
        if (i >= full)
            continue;
        e->full = true;
        e->by_operator = type == ELEMENT_IMPORT_EXPORT;
        (void)snprintf(e->barcode, sizeof(e->barcode), "FZ%04uL8", l->cartridges++);
    }
}

static struct changer_element *find(struct library *l, uint16_t address)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->e[i].address == address)
            return &l->e[i];
    return NULL;
}

/* Every cartridge there was is in exactly one element. */
static void check_cartridges(const struct library *l)
{
    bool seen[MAX_ELEMENTS] = {false};
    unsigned n = 0;
    for (size_t i = 0; i < l->n; i++) {
        unsigned number = 0;
        must(l->e[i].full == !!l->e[i].barcode[0]);
        if (!l->e[i].full)
            continue;
        must(sscanf(l->e[i].barcode, "FZ%4uL8", &number) == 1 && number < l->cartridges && !seen[number]);
        seen[number] = true;
        n++;
    }
    must(n == l->cartridges);
}

static void layout(void *self, struct changer_layout *out)
{
    *out = ((struct library *)self)->layout;
}

static size_t elements(void *self, int type, uint16_t start, size_t max, struct changer_element *out)
{
    const struct library *l = self;
    size_t n = 0;
    must(max);
    for (size_t i = 0; i < l->n && n < max; i++)
        if (l->e[i].address >= start && (!type || (int)l->e[i].type == type))
            out[n++] = l->e[i];
    return n;
}

static void wake(void *self)
{
    (void)self;
}

static void prevent(void *self, bool prevented)
{
    ((struct library *)self)->prevented = prevented;
}

static enum changer_result hindered(struct library *l, const atomic_bool *cancel)
{
    enum changer_result r = l->next;
    l->next = CHANGER_OK;
    return cancel && atomic_load(cancel) ? CHANGER_CANCELLED : r;
}

static void put(struct changer_element *to, const struct changer_element *what)
{
    to->full = true;
    memcpy(to->barcode, what->barcode, sizeof(to->barcode));
    to->source_valid = true;
    to->source = what->type == ELEMENT_STORAGE ? what->address : what->source;
}

static void clear(struct changer_element *e)
{
    e->full = e->source_valid = false;
    e->barcode[0] = '\0';
}

static enum changer_result move(void *self, uint16_t transport, uint16_t source, uint16_t destination,
                                const atomic_bool *cancel)
{
    struct library *l = self;
    struct changer_element *from = find(l, source), *to = find(l, destination);
    enum changer_result r = hindered(l, cancel);
    if (transport > 1 || !from || !to || from->type == ELEMENT_TRANSPORT || to->type == ELEMENT_TRANSPORT)
        return CHANGER_BAD_ADDRESS;
    if (!from->full)
        return CHANGER_SOURCE_EMPTY;
    if (from == to || r)
        return r;
    if (to->full)
        return CHANGER_DESTINATION_FULL;
    put(to, from);
    clear(from);
    return CHANGER_OK;
}

static enum changer_result exchange(void *self, uint16_t transport, uint16_t source, uint16_t first, uint16_t second,
                                    const atomic_bool *cancel)
{
    struct library *l = self;
    struct changer_element *a = find(l, source), *b = find(l, first), *c = find(l, second);
    enum changer_result r = hindered(l, cancel);
    if (transport > 1 || !a || !b || !c || a == b)
        return CHANGER_BAD_ADDRESS;
    if (a->type == ELEMENT_TRANSPORT || b->type == ELEMENT_TRANSPORT || c->type == ELEMENT_TRANSPORT)
        return CHANGER_BAD_ADDRESS;
    if (!a->full || !b->full)
        return CHANGER_SOURCE_EMPTY;
    if (b == c || (c != a && c->full))
        return CHANGER_DESTINATION_FULL;
    if (r)
        return r;
    struct changer_element was_a = *a, was_b = *b;
    clear(a);
    put(c, &was_b);
    put(b, &was_a);
    return CHANGER_OK;
}

static enum changer_result position(void *self, uint16_t transport, uint16_t destination)
{
    struct library *l = self;
    enum changer_result r = hindered(l, NULL);
    return transport > 1 || !find(l, destination) ? CHANGER_BAD_ADDRESS : r;
}

static enum changer_result initialize(void *self, const atomic_bool *cancel)
{
    return hindered(self, cancel);
}

static const struct changer_ops ops = {
    .layout = layout,
    .elements = elements,
    .wake = wake,
    .prevent = prevent,
    .move = move,
    .exchange = exchange,
    .position = position,
    .initialize = initialize,
};

/* ---- what must hold ---- */

/* The whole reply, page by page, beside the elements. */
static void check_status(const struct exchange *x, struct library *l)
{
    const uint8_t *in = x->in;
    uint32_t alloc = get_be24(x->cdb + 7), len = x->rq.in_actual;
    must(len <= alloc);
    if (len < 8)
        return;
    uint32_t bytes = get_be24(in + 5);
    unsigned count = get_be16(in + 2), seen = 0;
    uint32_t whole = bytes + 8 < alloc ? bytes + 8 : alloc;
    must(len == (whole < x->rq.in_len ? whole : x->rq.in_len) && count <= get_be16(x->cdb + 4));
    if (len < bytes + 8)
        return;
    uint16_t last = 0;
    int last_type = 0;
    for (uint32_t at = 8; at < len;) {
        must(len - at >= 8);
        uint32_t page = get_be24(in + at + 5), size = get_be16(in + at + 2), end = at + 8 + page;
        int type = in[at];
        must(type != last_type); /* one page a type */
        last_type = type;
        must(end <= len && size >= 12 && page && page % size == 0);
        must(!(in[at + 1] & 0x80) == !(x->cdb[1] & 0x10));
        for (at += 8; at < end; at += size, seen++) {
            const struct changer_element *e = find(l, get_be16(in + at));
            must(e && (int)e->type == type && e->full == (in[at + 2] & 0x01) && e->address > last);
            must(e->address >= get_be16(x->cdb + 2));
            if (size >= 48 && (x->cdb[1] & 0x10) && e->full)
                must(!memcmp(in + at + 12, e->barcode, strlen(e->barcode)));
            last = e->address;
        }
    }
    must(seen == count && (!count || get_be16(in) >= get_be16(x->cdb + 2)));
}

/* ---- steps ---- */

static void event(struct scsi_lun *lun, struct library *l, struct input *in)
{
    static const enum changer_result failures[] = {CHANGER_REMOVAL_PREVENTED, CHANGER_INCOMPATIBLE,
                                                   CHANGER_FLUSH_FAILED, CHANGER_INTERNAL};
    uint8_t what = take8(in), how = take8(in);
    switch (what % 4) {
    case 0:
        scsi_lun_reset(lun);
        break;
    case 1:
        scsi_ua_raise(lun, how % 4u, 0, how & 4 ? ASC_POWER_ON_RESET : ASC_IMPORT_OR_EXPORT_ELEMENT_ACCESSED);
        break;
    case 2:
        if (scsi_nexus_gone(lun, 1 + how % 3u))
            prevent(l, scsi_prevented(lun));
        break;
    default:
        l->next = failures[how % (sizeof(failures) / sizeof(failures[0]))];
        break;
    }
}

static void command(struct scsi_lun *lun, struct library *l, uint8_t bits, struct input *in)
{
    static struct changer_element before[MAX_ELEMENTS];
    struct exchange x;
    exchange_take(&x, bits, in);
    memcpy(before, l->e, l->n * sizeof(before[0]));
    bool run = exchange_route(&x, lun);
    exchange_run(&x, lun);
    must(!x.rq.after);
    if (x.rq.status != SCSI_GOOD || (x.row->flags & CMD_IMMEDIATE))
        must(!memcmp(before, l->e, l->n * sizeof(before[0])));
    check_cartridges(l);
    if (run && x.cdb[0] == 0xB8 && x.rq.status == SCSI_GOOD)
        check_status(&x, l);
    exchange_free(&x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    uint8_t how = take8(&in);
    const struct scsi_identity id = {.type = SCSI_TYPE_CHANGER,
                                     .vendor = "S3VTL",
                                     .product = "LIBRARY",
                                     .revision = "0001",
                                     .serial = "FUZZ000000",
                                     .removable = true};
    struct library *l = calloc(1, sizeof(*l));
    must(l);
    unsigned slots = how & 4 ? 1000 : 1 + how % 32u, drives = 1 + how % 3u, doors = how % 5u;
    l->layout = (struct changer_layout){1, (uint16_t)drives, (uint16_t)doors, (uint16_t)slots};
    add(l, ELEMENT_TRANSPORT, ELEMENT_FIRST_TRANSPORT, 1, 0);
    add(l, ELEMENT_DRIVE, ELEMENT_FIRST_DRIVE, drives, how & 1);
    add(l, ELEMENT_IMPORT_EXPORT, ELEMENT_FIRST_IMPORT_EXPORT, doors, how & 2);
    add(l, ELEMENT_STORAGE, ELEMENT_FIRST_STORAGE, slots, slots - 1);
    struct scsi_lun *lun = smc_lun_new(&id, &ops, l);
    must(lun);
    for (int i = 0; i < MAX_STEPS && in.left; i++) {
        uint8_t bits = take8(&in);
        if (bits & STEP_EVENT)
            event(lun, l, &in);
        else
            command(lun, l, bits, &in);
    }
    lun->destroy(lun);
    free(l);
    return 0;
}
