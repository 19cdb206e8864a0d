/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_key.c: encryption by the drive: SECURITY PROTOCOL 20h as Proxmox Backup Server speaks it. */
#include "tests/pbs/drive.h"

#include <string.h>

#include "base/be.h"

enum { ROOM = 8196, AES_256_GCM = 0x00010014, MODE_OFF = 0x0000, MODE_MIXED = 0x0203 };

static int security_in(struct drive *d, uint8_t page, uint8_t *b, uint32_t *got)
{
    return sg_in(d->unit, "SECURITY PROTOCOL IN", CDB(0xA2, 0x20, 0, page, 0, 0, 0, 0, ROOM >> 8, ROOM & 0xff, 0, 0), b,
                 ROOM, 60, got);
}

/* The index of the first descriptor that is AES-256-GCM by hardware, both ways. (PBS takes a drive that refuses the
 * page for one without encryption; this library has it, also in an empty drive.) */
static bool find_algorithm(struct drive *d, uint8_t *algorithm)
{
    uint8_t b[ROOM];
    uint32_t got;
    TRY(security_in(d, 0x10, b, &got) == SG_GOOD);
    for (uint32_t at = 20; at + 24 <= got; at += 24) {
        const uint8_t *a = b + at;
        if (get_be16(a + 2) != 0x14)
            return problem("SPIN 0010h: descriptor length %u", get_be16(a + 2));
        if ((a[4] & 0x0f) == 0x0a && get_be16(a + 10) == 32 && get_be32(a + 20) == AES_256_GCM) {
            *algorithm = a[0];
            return true;
        }
    }
    return problem("drive does not support AES-GCM");
}

/* Encryption mode << 8 | decryption mode. */
static bool status(struct drive *d, unsigned *modes)
{
    uint8_t b[ROOM];
    uint32_t got;
    TRY(security_in(d, 0x20, b, &got) == SG_GOOD);
    if (got < 24 || get_be16(b) != 0x0020)
        return problem("SPIN 0020h: %u bytes, page %04x", got, get_be16(b));
    *modes = get_be16(b + 5);
    if (*modes != 0 && *modes != 0x0201 && *modes != 0x0202 && *modes != 0x0203)
        return problem("SPIN 0020h: modes %04x", *modes);
    return true;
}

static bool set(struct drive *d, uint8_t algorithm, const uint8_t *key)
{
    uint8_t b[52] = {0x00, 0x10};
    uint8_t len = key ? 52 : 20;
    unsigned modes;
    put_be16(b + 2, (uint16_t)(len - 4));
    b[4] = 0x40; /* scope: all I_T nexuses */
    b[6] = key ? 2 : 0;
    b[7] = key ? 3 : 0;
    b[8] = algorithm;
    if (key) {
        put_be16(b + 18, 32);
        memcpy(b + 20, key, 32);
    }
    TRY(sg_out(d->unit, "SECURITY PROTOCOL OUT", CDB(0xB5, 0x20, 0, 0x10, 0, 0, 0, 0, 0, len, 0, 0), b, len, 60) ==
        SG_GOOD);
    TRY(status(d, &modes));
    if (modes != (key ? MODE_MIXED : MODE_OFF))
        return problem("got unexpected encryption mode %04x", modes);
    return true;
}

bool drive_key_off(struct drive *d)
{
    uint8_t algorithm = 0;
    return find_algorithm(d, &algorithm) && set(d, algorithm, NULL);
}

bool drive_key_on(struct drive *d, const uint8_t key[32])
{
    uint8_t algorithm = 0;
    return sg_inquiry(d->unit, 1) && find_algorithm(d, &algorithm) && set(d, algorithm, key);
}

void drive_key_is_on(struct drive *d, bool *on)
{
    unsigned modes = 0;
    *on = OPTIONAL(status(d, &modes)) && modes;
}
