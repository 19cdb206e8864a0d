/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_mode.c: the mode pages that Proxmox Backup Server reads, and the one that it writes back. */
#include "tests/pbs/drive.h"

#include <string.h>

#include "base/be.h"

enum { HEADER = 8, DESCRIPTOR = 8, PAGE = HEADER + DESCRIPTOR, ROOM = 4096 };

/* MODE SENSE(10): header, one block descriptor of 8 bytes, then the page, of just this length. */
static bool sense_page(struct drive *d, uint8_t page, uint8_t subpage, uint8_t b[ROOM], uint32_t page_len)
{
    uint32_t got;
    TRY(sg_in(d->unit, "MODE SENSE(10)", CDB(0x5A, 0, page, subpage, 0, 0, 0, ROOM >> 8, 0, 0), b, ROOM, 60, &got) ==
        SG_GOOD);
    if (got < PAGE + 2 || get_be16(b) + 2u > got)
        return problem("MODE SENSE(10) %02xh: %u bytes, mode data length %u", page, got, get_be16(b));
    if (get_be16(b + 6) != DESCRIPTOR)
        return problem("MODE SENSE(10) %02xh: block descriptor length %u", page, get_be16(b + 6));
    if (get_be16(b) + 2u < PAGE + page_len || (b[PAGE] & 0x3f) != page)
        return problem("MODE SENSE(10) %02xh: page %02x, mode data length %u", page, b[PAGE], get_be16(b));
    uint32_t says = b[PAGE] & 0x40 ? 4u + get_be16(b + PAGE + 2) : 2u + b[PAGE + 1];
    if (says != page_len)
        return problem("MODE SENSE(10) %02xh: page of %u bytes, %u expected", page, says, page_len);
    return true;
}

static bool compression_page(struct drive *d, uint8_t b[ROOM], struct compression *c)
{
    TRY(sense_page(d, 0x0F, 0, b, 16));
    c->write_protect = b[3] & 0x80;
    c->buffer_mode = b[3] >> 4 & 7;
    c->density = b[8];
    c->block_length = get_be24(b + 13);
    c->compression = b[PAGE + 2] & 0x80;
    return true;
}

bool drive_compression(struct drive *d, struct compression *c)
{
    uint8_t b[ROOM];
    return compression_page(d, b, c);
}

/* What was sensed goes back with compression on, variable blocks and buffered mode; all else is echoed, write protect
 * and the PS bit too. */
bool drive_default_options(struct drive *d)
{
    uint8_t b[ROOM];
    struct compression c;
    TRY(compression_page(d, b, &c));
    put_be16(b, 0);
    b[3] = (uint8_t)((b[3] & 0x8f) | 0x10);
    put_be24(b + 13, 0);
    b[PAGE + 2] |= 0x80;
    return sg_out(d->unit, "MODE SELECT(10)", CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, PAGE + 16, 0), b, PAGE + 16, 600) ==
           SG_GOOD;
}

bool drive_medium_configuration(struct drive *d, uint8_t *density, bool *worm)
{
    uint8_t b[ROOM];
    TRY(sense_page(d, 0x1D, 0, b, 32));
    *density = b[8];
    *worm = b[PAGE + 2] & 1;
    return true;
}

bool drive_clear_pews(struct drive *d)
{
    uint8_t b[ROOM];
    TRY(sense_page(d, 0x10, 1, b, 32));
    put_be16(b, 0);
    put_be16(b + PAGE + 6, 0);
    return sg_out(d->unit, "MODE SELECT(10)", CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, PAGE + 32, 0), b, PAGE + 32, 600) ==
           SG_GOOD;
}
