/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_mam.c: the cartridge memory: what Proxmox Backup Server writes there, and reads for its status. Failures are
 * warnings to it. */
#include "tests/pbs/drive.h"

#include <stdlib.h>
#include <string.h>

#include "base/be.h"

enum { ASCII = 1, TEXT = 2, ROOM = 32768 };

/* One attribute, padded with NULs; len 0 clears it. */
static void write_attribute(struct drive *d, uint16_t id, uint8_t format, uint16_t len, const char *value)
{
    uint8_t b[4 + 5 + 160] = {0};
    size_t n = strlen(value);
    put_be32(b, 5u + len);
    put_be16(b + 4, id);
    b[6] = format;
    put_be16(b + 7, len);
    memcpy(b + 9, value, n < len ? n : len);
    uint32_t all = 9u + len;
    const uint8_t cdb[16] = {[0] = 0x8D, [1] = 1, [13] = (uint8_t)all};
    if (!OPTIONAL(sg_out(d->unit, "WRITE ATTRIBUTE", cdb, sizeof(cdb), b, all, 60) == SG_GOOD))
        d->warnings++;
}

static void write_application(struct drive *d)
{
    write_attribute(d, 0x0800, ASCII, 8, "Proxmox");
    write_attribute(d, 0x0801, ASCII, 32, "Proxmox Backup Server");
    write_attribute(d, 0x0802, ASCII, 8, "3.2.4");
}

void drive_write_attributes(struct drive *d, const char *label, const char *pool)
{
    write_application(d);
    if (label)
        write_attribute(d, 0x0803, TEXT, 160, label);
    if (pool && *pool)
        write_attribute(d, 0x0808, TEXT, 160, pool);
}

void drive_clear_attributes(struct drive *d)
{
    static const uint16_t ids[] = {0x0800, 0x0801, 0x0802, 0x0803, 0x0808};
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
        write_attribute(d, ids[i], i < 3 ? ASCII : TEXT, 0, "");
}

/* READ ATTRIBUTE, all values from the first. Steps through them with fn, which says whether to go on. */
typedef bool (*attribute_fn)(void *arg, uint16_t id, const uint8_t *value, uint16_t len);
static bool each_attribute(struct drive *d, attribute_fn fn, void *arg)
{
    static const uint8_t cdb[16] = {[0] = 0x8C, [12] = ROOM >> 8};
    uint8_t *b = malloc(ROOM);
    uint32_t got = 0, at = 4;
    bool good = sg_in(d->unit, "READ ATTRIBUTE", cdb, sizeof(cdb), b, ROOM, 60, &got) == SG_GOOD;
    if (good && (got < 4 || get_be32(b) + 4u != got))
        good = problem("READ ATTRIBUTE: %u bytes, length %u", got, got < 4 ? 0 : get_be32(b));
    while (good && at < got) {
        if (at + 5 > got || at + 5u + get_be16(b + at + 3) > got)
            good = problem("READ ATTRIBUTE: the attribute at %u is cut", at);
        good = good && fn(arg, get_be16(b + at), b + at + 5, get_be16(b + at + 3));
        at += good ? 5u + get_be16(b + at + 3) : 0;
    }
    free(b);
    return good;
}

static bool take_usage(void *arg, uint16_t id, const uint8_t *value, uint16_t len)
{
    struct usage *u = arg;
    if ((id == 0x0406 || id == 0x0220 || id == 0x0221) && len != 8)
        return problem("READ ATTRIBUTE: %04xh has %u bytes", id, len);
    if (id == 0x0406)
        memcpy(u->manufactured, value, 8);
    else if (id == 0x0220)
        u->mib_written = get_be64(value);
    else if (id == 0x0221)
        u->mib_read = get_be64(value), u->present = true;
    return true;
}

bool drive_usage(struct drive *d, struct usage *u)
{
    memset(u, 0, sizeof(*u));
    TRY(each_attribute(d, take_usage, u));
    u->present = u->present && strspn(u->manufactured, "0123456789") == 8;
    return u->present || problem("READ ATTRIBUTE: 0406h, 0220h or 0221h is missing");
}

struct wanted {
    uint16_t id, len;
    char *text;
    bool found;
};

static bool take_wanted(void *arg, uint16_t id, const uint8_t *value, uint16_t len)
{
    struct wanted *w = arg;
    if (id != w->id)
        return true;
    if (len != w->len)
        return problem("READ ATTRIBUTE: %04xh has %u bytes, not %u", id, len, w->len);
    memcpy(w->text, value, len);
    w->text[len] = '\0';
    for (size_t n = len; n && (w->text[n - 1] == ' ' || !w->text[n - 1]); n--)
        w->text[n - 1] = '\0';
    w->found = true;
    return true;
}

bool drive_attribute(struct drive *d, uint16_t id, uint16_t len, char *text)
{
    struct wanted w = {.id = id, .len = len, .text = text};
    return each_attribute(d, take_wanted, &w) && (w.found || problem("READ ATTRIBUTE: no %04xh", id));
}
