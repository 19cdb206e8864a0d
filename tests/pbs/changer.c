/* SPDX-License-Identifier: GPL-2.0-or-later */
/* changer.c: the changer's status in seven commands, with the checks of Proxmox Backup Server's parser. */
#include "tests/pbs/changer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/be.h"

enum { TRANSPORT = 1, STORAGE = 2, DOOR = 3, DRIVE = 4 };
enum { VOLTAG = 0x10, ROOM = 65535, AT_ONCE = 1000 };

struct elements {
    struct element *e;
    unsigned n;
};

static bool mode_page(struct unit *u, unsigned count[5], unsigned *attentions)
{
    uint8_t b[255];
    uint32_t got = 0;
    const struct timespec pause = {.tv_nsec = 200000000};
    /* PBS repeats it for 5 s: it takes the unit attentions */
    for (int i = 0; sg_in(u, "MODE SENSE(6)", CDB(0x1A, 0x08, 0x1D, 0, 0xFF, 0), b, sizeof(b), 300, &got) != SG_GOOD;
         i++) {
        if (i == 25)
            return false;
        ++*attentions;
        nanosleep(&pause, NULL);
    }
    if (got < 24 || b[0] != 23 || b[4] != 0x1D || b[5] != 0x12)
        return problem("MODE SENSE(6) 1Dh: %u bytes, begins %02x .. %02x %02x", got, b[0], b[4], b[5]);
    count[TRANSPORT] = get_be16(b + 8);
    count[STORAGE] = get_be16(b + 12);
    count[DOOR] = get_be16(b + 16);
    count[DRIVE] = get_be16(b + 20);
    return true;
}

/* All 36 bytes: NULs at both ends go, then blanks. */
static void take_tag(const uint8_t *p, char tag[37])
{
    size_t from = 0, to = 36;
    while (from < to && !p[from])
        from++;
    while (to > from && !p[to - 1])
        to--;
    while (from < to && p[from] == ' ')
        from++;
    while (to > from && p[to - 1] == ' ')
        to--;
    memcpy(tag, p + from, to - from);
    tag[to - from] = '\0';
}

static void take_identifier(const uint8_t *p, size_t len, struct element *e)
{
    if (len < 4 || (p[0] != 2) || len < 4u + p[3])
        return;
    const uint8_t *serial = p + 4;
    size_t n = p[3];
    if (p[1] == 1) {
        if (n != 34)
            return;
        serial += 24;
        n = 10;
    } else if (p[1]) {
        return;
    }
    if (n > sizeof(e->serial) - 1)
        return;
    memcpy(e->serial, serial, n);
    e->serial[n] = '\0';
}

static bool take_descriptor(const uint8_t *p, size_t len, uint8_t type, uint8_t flags, struct elements *all)
{
    if (len < 12 + (flags & 0x80 ? 36u : 0u) + (flags & 0x40 ? 36u : 0u))
        return problem("READ ELEMENT STATUS: a descriptor of %zu bytes with flags %02x", len, flags);
    all->e = realloc(all->e, (all->n + 1) * sizeof(*all->e));
    struct element *e = &all->e[all->n++];
    memset(e, 0, sizeof(*e));
    e->address = get_be16(p);
    e->full = p[2] & 1;
    e->from_known = p[9] & 0x80;
    e->from = get_be16(p + 10);
    size_t at = 12;
    if (flags & 0x80) {
        if (e->full) {
            e->tagged = true;
            take_tag(p + at, e->tag);
        }
        at += 36;
    }
    at += flags & 0x40 ? 36 : 0;
    if (type == DRIVE)
        take_identifier(p + at, len - at, e);
    return true;
}

/* One reply; its byte count must have arrived. */
static bool take_reply(const uint8_t *b, uint32_t got, struct elements *all)
{
    if (got < 8)
        return problem("READ ELEMENT STATUS: %u bytes", got);
    uint32_t end = get_be24(b + 5);
    if (end > got - 8)
        return problem("READ ELEMENT STATUS: byte count %u, but %u bytes came", end, got - 8);
    if (!get_be16(b + 2))
        return true;
    end += 8;
    for (uint32_t at = 8; at < end;) {
        if (at + 8 > end)
            return problem("READ ELEMENT STATUS: the page header at %u is cut", at);
        uint8_t type = b[at], flags = b[at + 1];
        uint32_t len = get_be16(b + at + 2), bytes = get_be24(b + at + 5);
        if (type < TRANSPORT || type > DRIVE || !len)
            return problem("READ ELEMENT STATUS: type %u, descriptor length %u", type, len);
        at += 8;
        if (bytes > end - at)
            bytes = end - at;
        for (uint32_t i = 0; i + len <= bytes; i += len)
            TRY(take_descriptor(b + at + i, len, type, flags, all));
        at += bytes;
    }
    return true;
}

/* A thousand at a time, until fewer come. */
static bool query(struct unit *u, uint8_t type, uint8_t bits, bool identifiers, struct elements *all)
{
    uint8_t *b = malloc(ROOM);
    unsigned before, start = 0;
    uint32_t got;
    bool good;
    do {
        before = all->n;
        good = sg_in(u, "READ ELEMENT STATUS",
                     CDB(0xB8, bits | type, (uint8_t)(start >> 8), (uint8_t)start, AT_ONCE >> 8, AT_ONCE & 0xff,
                         identifiers, 0, 0xFF, 0xFF, 0, 0),
                     b, ROOM, 300, &got) == SG_GOOD &&
               take_reply(b, got, all);
        if (good && all->n > before && all->e[before].address < start)
            good = problem("READ ELEMENT STATUS: element %04x before the start", all->e[before].address);
        if (good && all->n > before)
            start = all->e[all->n - 1].address + 1u;
    } while (good && all->n - before >= AT_ONCE);
    free(b);
    return good;
}

static bool counted(const char *what, unsigned got, unsigned expected)
{
    return got == expected || problem("got wrong number of %s elements: %u, %u expected", what, got, expected);
}

/* The serial numbers of drives come by a query of their own; PBS does without if it fails. */
static bool name_drives(struct unit *u, struct elements *drives)
{
    struct elements ids = {NULL, 0};
    bool good = query(u, DRIVE, 0, true, &ids);
    good = good && counted("identified data transfer", ids.n, drives->n);
    for (unsigned i = 0; good && i < ids.n; i++) {
        if (ids.e[i].address != drives->e[i].address)
            good = problem("drive %u is at %04x and at %04x", i, drives->e[i].address, ids.e[i].address);
        memcpy(drives->e[i].serial, ids.e[i].serial, sizeof(ids.e[i].serial));
    }
    free(ids.e);
    return good;
}

bool changer_status(struct unit *u, struct changer_status *s)
{
    unsigned count[5];
    struct elements slots = {NULL, 0}, drives = {NULL, 0}, arms = {NULL, 0};
    memset(s, 0, sizeof(*s));
    bool good = sg_inquiry(u, 8) && mode_page(u, count, &s->attentions) && query(u, STORAGE, VOLTAG, false, &slots) &&
                counted("storage", slots.n, count[STORAGE]) && query(u, DOOR, VOLTAG, false, &slots) &&
                counted("import/export", slots.n - count[STORAGE], count[DOOR]) &&
                query(u, DRIVE, VOLTAG, false, &drives) && counted("data transfer", drives.n, count[DRIVE]) &&
                name_drives(u, &drives) && query(u, TRANSPORT, VOLTAG, false, &arms) &&
                counted("transport", arms.n, count[TRANSPORT]) &&
                ((slots.n && drives.n) || problem("no slots or no drives"));
    s->transport = arms.n ? arms.e[0].address : 0;
    free(arms.e);
    s->drive = drives.e;
    s->drives = drives.n;
    s->slot = slots.e;
    s->slots = slots.n;
    s->storage = good ? count[STORAGE] : 0;
    if (!good)
        changer_status_free(s);
    return good;
}

void changer_status_free(struct changer_status *s)
{
    free(s->drive);
    free(s->slot);
    memset(s, 0, sizeof(*s));
}

unsigned status_slot_of(const struct changer_status *s, const char *label)
{
    for (unsigned i = 0; i < s->slots; i++)
        if (s->slot[i].tagged && !strcmp(s->slot[i].tag, label))
            return i + 1;
    return 0;
}

const struct element *status_drive_of(const struct changer_status *s, const char *label)
{
    for (unsigned i = 0; i < s->drives; i++)
        if (s->drive[i].tagged && !strcmp(s->drive[i].tag, label))
            return &s->drive[i];
    return NULL;
}
