/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_mam.c: the cartridge memory: what Proxmox Backup Server writes there, and reads for its status. Failures are
 * warnings to it. */
#include "tests/pbs/drive.h"

#include <stdlib.h>
#include <string.h>

#include "scsi/be.h"

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

static bool take_usage(const uint8_t *b, uint32_t got, struct usage *u)
{
    unsigned seen = 0;
    if (got < 4 || get_be32(b) + 4u > got)
        return problem("READ ATTRIBUTE: %u bytes, length %u", got, got < 4 ? 0 : get_be32(b));
    uint32_t end = 4 + get_be32(b);
    for (uint32_t at = 4; at < end;) {
        if (at + 5 > end || at + 5u + get_be16(b + at + 3) > end)
            return problem("READ ATTRIBUTE: the attribute at %u is cut", at);
        uint16_t id = get_be16(b + at), len = get_be16(b + at + 3);
        const uint8_t *v = b + at + 5;
        if ((id == 0x0406 || id == 0x0220 || id == 0x0221) && len != 8)
            return problem("READ ATTRIBUTE: %04xh has %u bytes", id, len);
        if (id == 0x0406)
            memcpy(u->manufactured, v, 8), seen |= 1;
        else if (id == 0x0220)
            u->mib_written = get_be64(v), seen |= 2;
        else if (id == 0x0221)
            u->mib_read = get_be64(v), seen |= 4;
        at += 5u + len;
    }
    u->present = seen == 7 && strspn(u->manufactured, "0123456789") == 8;
    return u->present || problem("READ ATTRIBUTE: 0406h, 0220h or 0221h is missing");
}

bool drive_usage(struct drive *d, struct usage *u)
{
    uint8_t *b = malloc(ROOM);
    uint32_t got;
    memset(u, 0, sizeof(*u));
    bool there = sg_in(d->unit, "READ ATTRIBUTE", CDB(0x8C, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ROOM >> 8, 0, 0, 0), b,
                       ROOM, 60, &got) == SG_GOOD &&
                 take_usage(b, got, u);
    free(b);
    return there;
}
