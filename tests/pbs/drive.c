/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive.c: a tape drive as Proxmox Backup Server opens, reads and writes it. */
#include "tests/pbs/drive.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define READY_LIMIT_S 600

static int test_unit_ready(struct drive *d)
{
    return sg_none(d->unit, "TEST UNIT READY", CDB(0, 0, 0, 0, 0, 0), 30);
}

/* PBS asks each second. A drive of this library is ready when MOVE MEDIUM is, but for a tape that is being fetched. */
static bool wait_until_ready(struct drive *d, int limit_s)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    for (int i = 0; i < limit_s * 10; i++) {
        if (test_unit_ready(d) == SG_GOOD)
            return true;
        nanosleep(&pause, NULL);
    }
    return problem("wait_until_ready failed - got timeout");
}

bool drive_open_bare(struct drive *d, struct host *h, int index)
{
    memset(d, 0, sizeof(*d));
    d->index = index;
    d->changer = true;
    d->unit = unit_open(h, index);
    if (!d->unit)
        return false;
    if (sg_inquiry(d->unit, 1))
        return true;
    unit_close(d->unit);
    return false;
}

bool drive_open(struct drive *d, struct host *h, int index)
{
    TRY(drive_open_bare(d, h, index));
    if (test_unit_ready(d) != SG_GOOD && d->changer)
        (void)sg_none(d->unit, "LOAD UNLOAD", CDB(0x1B, 0, 0, 0, 1, 0), 600); /* whatever it says */
    if (wait_until_ready(d, READY_LIMIT_S) && drive_default_options(d))
        return true;
    unit_close(d->unit);
    return false;
}

bool drive_close(struct drive *d)
{
    bool off = drive_key_off(d);
    unit_close(d->unit);
    d->unit = NULL;
    return off;
}

int drive_write(struct drive *d, const void *block)
{
    int r = sg_out(d->unit, "WRITE", CDB(0x0A, 0, 0x04, 0, 0, 0), block, BLOCK, 600);
    return r == SG_PEWS ? SG_LEOM : r; /* PBS 4 takes it for the same */
}

int drive_read(struct drive *d, void *block, uint32_t len)
{
    uint32_t got = 0;
    int r = sg_in(d->unit, "READ", CDB(0x08, 0x02, (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, 0), block,
                  len, 600, &got);
    if (r == SG_GOOD && got != len) {
        problem_set("READ: unexpected block len (%u != %u)", got, len);
        return SG_ERROR;
    }
    return r;
}

bool drive_filemark(struct drive *d)
{
    int r = sg_none(d->unit, "WRITE FILEMARKS", CDB(0x10, 1, 0, 0, 1, 0), 600);
    return r == SG_GOOD || r == SG_LEOM || r == SG_PEWS;
}

bool drive_sync(struct drive *d)
{
    int r = sg_none(d->unit, "WRITE FILEMARKS (flush)", CDB(0x10, 0, 0, 0, 0, 0), 600);
    return r == SG_GOOD || r == SG_LEOM || r == SG_PEWS;
}

bool drive_unload(struct drive *d)
{
    return sg_none(d->unit, "LOAD UNLOAD (unload)", CDB(0x1B, 0, 0, 0, 0, 0), 600) == SG_GOOD;
}

bool drive_load(struct drive *d)
{
    return sg_none(d->unit, "LOAD UNLOAD (load)", CDB(0x1B, 0, 0, 0, 1, 0), 600) == SG_GOOD;
}

int drive_erase(struct drive *d, bool fast)
{
    return sg_none(d->unit, "ERASE", CDB(0x19, fast ? 0 : 1, 0, 0, 0, 0), 600);
}

static int format_medium(struct drive *d, bool immediate)
{
    return sg_none(d->unit, "FORMAT MEDIUM", CDB(0x04, immediate, 0, 0, 0, 0), 600);
}

/* WORM media cannot be formatted: they must be blank. LTO-5 to LTO-8 are formatted, and erased too if it may take its
 * time; LTO-9 is only erased in the fast way, because its format takes hours. */
static bool format(struct drive *d, bool fast)
{
    uint8_t density = 0;
    bool worm = false;
    if (!OPTIONAL(drive_medium_configuration(d, &density, &worm)))
        d->warnings++;
    if (worm) {
        struct position p;
        TRY(drive_move_to_eom(d, false) && drive_position(d, &p));
        return !p.object || problem("format failed - detected WORM media with data");
    }
    TRY(drive_rewind(d));
    bool formatted = density == 0x58 || density == 0x5A || density == 0x5C || density == 0x5D || density == 0x5E;
    if (formatted) {
        TRY(format_medium(d, false) == SG_GOOD);
        return fast || drive_erase(d, false) == SG_GOOD;
    }
    if (density == 0x60 && !fast)
        TRY(format_medium(d, true) == SG_GOOD && wait_until_ready(d, 7200));
    return drive_erase(d, fast) == SG_GOOD;
}

bool drive_format(struct drive *d, bool fast)
{
    TRY(format(d, fast));
    drive_clear_attributes(d);
    return true;
}
