/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_status.c: log pages 11h, 12h and 17h with the strictness of Proxmox Backup Server's parsers, and its status. */
#include "tests/pbs/drive.h"

#include <string.h>

#include "base/be.h"

enum { ROOM = 8192 };

/* The page's header: its code without SPF, subpage 0, and a length that arrived. */
static bool log_page(struct drive *d, uint8_t page, uint32_t room, unsigned timeout_s, uint8_t *b, uint32_t *len)
{
    uint32_t got;
    TRY(sg_in(d->unit, "LOG SENSE", CDB(0x4D, 0, 0x40 | page, 0, 0, 0, 0, (uint8_t)(room >> 8), (uint8_t)room, 0), b,
              room, timeout_s, &got) == SG_GOOD);
    if (got < 4 || (b[0] & 0x7f) != page || b[1] || get_be16(b + 2) + 4u > got)
        return problem("LOG SENSE %02xh: %u bytes, begins %02x %02x %02x %02x", page, got, b[0], b[1], b[2], b[3]);
    *len = get_be16(b + 2) + 4u;
    return true;
}

/* Steps through parameters; false at the end. An overlong one is a problem, and *bad. */
static bool next_parameter(const uint8_t *b, uint32_t end, uint32_t *at, uint16_t *code, const uint8_t **value,
                           uint8_t *len, bool *bad)
{
    if (*at >= end)
        return false;
    *bad = *at + 4 > end || *at + 4u + b[*at + 3] > end;
    if (*bad)
        return problem("LOG SENSE %02xh: the parameter at %u is cut", b[0] & 0x3fu, *at);
    *code = get_be16(b + *at);
    *len = b[*at + 3];
    *value = b + *at + 4;
    *at += 4u + *len;
    return true;
}

bool drive_activity(struct drive *d, unsigned *activity)
{
    uint8_t b[ROOM], len;
    const uint8_t *v;
    uint32_t end, at = 4;
    uint16_t code;
    bool found = false, bad = false;
    TRY(log_page(d, 0x11, ROOM, 1, b, &end));
    while (next_parameter(b, end, &at, &code, &v, &len, &bad)) {
        if (code)
            continue;
        if (len != 4 || !(v[0] & 1) || v[2] > 0x0f)
            return problem("LOG SENSE 11h: VHF data of %u bytes: %02x, activity %02x", len, v[0], v[2]);
        *activity = v[2];
        found = true;
    }
    return !bad && (found || problem("LOG SENSE 11h: no VHF data"));
}

bool drive_alerts(struct drive *d, uint64_t *flags)
{
    uint8_t b[512];
    uint32_t end;
    TRY(log_page(d, 0x12, sizeof(b), 60, b, &end));
    if (end != 16 || get_be16(b + 4) || b[7] != 8)
        return problem("LOG SENSE 12h: length %u, parameter %u of %u bytes", end - 4, get_be16(b + 4), b[7]);
    *flags = get_be64(b + 8); /* flag 1 is the most significant bit */
    return true;
}

bool drive_no_critical_alert(struct drive *d)
{
    static const uint8_t critical[] = {0x04, 0x05, 0x06, 0x09, 0x0E, 0x10, 0x16, 0x17, 0x1E, 0x1F,
                                       0x21, 0x26, 0x29, 0x2D, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39};
    uint64_t flags;
    TRY(drive_alerts(d, &flags));
    for (size_t i = 0; i < sizeof(critical); i++)
        if (flags >> (64 - critical[i]) & 1)
            return problem("TapeAlert %02xh is set", critical[i]);
    return true;
}

static bool take_counter(uint64_t *to, const uint8_t *v, uint8_t len)
{
    if (!len || len > 8)
        return problem("LOG SENSE 17h: a counter of %u bytes", len);
    for (*to = 0; len; len--)
        *to = *to << 8 | *v++;
    return true;
}

bool drive_statistics(struct drive *d, struct statistics *s)
{
    uint8_t b[ROOM], len;
    const uint8_t *v;
    uint32_t end, at = 4;
    uint16_t code;
    uint64_t valid = 0;
    bool bad = false;
    memset(s, 0, sizeof(*s));
    TRY(log_page(d, 0x17, ROOM, 60, b, &end));
    while (next_parameter(b, end, &at, &code, &v, &len, &bad)) {
        uint64_t other;
        uint64_t *to = code == 0x0000   ? &valid
                       : code == 0x0001 ? &s->mounts
                       : code == 0x0016 ? &s->capacity_mb
                       : code == 0x0017 ? &s->used_mb
                       : code == 0x0101 ? &s->bom_passes
                       : code == 0x0102 ? &s->middle_passes
                                        : &other;
        bool counter = to != &other || (code >= 0x0002 && code <= 0x0015 && code != 0x000A && code != 0x000B) ||
                       code == 0x0080 || code == 0x0081;
        if (counter)
            TRY(take_counter(to, v, len));
    }
    if (bad)
        return false;
    s->present = valid;
    return s->present || problem("LOG SENSE 17h: the page is not valid");
}

/* Moving: what the drive is at. Position and statistics are left out then. */
bool drive_get_status(struct drive *d, struct drive_status *s)
{
    uint8_t b[252];
    memset(s, 0, sizeof(*s));
    (void)sg_in(d->unit, "REQUEST SENSE", CDB(0x03, 0, 0, 0, 0xFC, 0), b, sizeof(b), 30, NULL);
    TRY(drive_compression(d, &s->mode));
    bool moving = drive_activity(d, &s->activity) && s->activity;
    if (!moving && !OPTIONAL(drive_alerts(d, &s->alerts)))
        d->warnings++;
    s->ready = sg_none(d->unit, "TEST UNIT READY", CDB(0, 0, 0, 0, 0, 0), 30) == SG_GOOD;
    if (!s->ready)
        return true;
    if (!moving)
        TRY(drive_position(d, &s->position));
    if (!OPTIONAL(drive_usage(d, &s->usage)))
        d->warnings++;
    if (!moving && !OPTIONAL(drive_statistics(d, &s->statistics)))
        d->warnings++;
    return true;
}
