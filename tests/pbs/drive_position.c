/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_position.c: how Proxmox Backup Server finds its way on a tape. */
#include "tests/pbs/drive.h"

#include "base/be.h"

bool drive_position(struct drive *d, struct position *p)
{
    uint8_t b[32];
    uint32_t got;
    TRY(sg_in(d->unit, "READ POSITION", CDB(0x34, 0x06, 0, 0, 0, 0, 0, 0, 0, 0), b, sizeof(b), 30, &got) == SG_GOOD);
    if (got != sizeof(b) || get_be32(b + 4))
        return problem("READ POSITION: %u bytes, partition %u", got, get_be32(b + 4));
    p->object = get_be64(b + 8);
    p->file = get_be64(b + 16);
    return true;
}

bool drive_rewind(struct drive *d)
{
    return sg_none(d->unit, "REWIND", CDB(0x01, 0, 0, 0, 0, 0), 600) == SG_GOOD;
}

static int space(struct drive *d, uint8_t code, int count)
{
    return sg_none(
        d->unit, "SPACE",
        CDB(0x11, code, (uint8_t)((unsigned)count >> 16), (uint8_t)((unsigned)count >> 8), (uint8_t)count, 0), 600);
}

bool drive_space_filemarks(struct drive *d, int count)
{
    return space(d, 1, count) == SG_GOOD;
}

int drive_space_blocks(struct drive *d, int count)
{
    return space(d, 0, count);
}

/* Is there a filemark in front? Then the drive stopped on its near side, and it is passed again. */
static bool check_filemark(struct drive *d, bool *there)
{
    struct position p;
    *there = true;
    TRY(drive_position(d, &p));
    if (!p.object)
        return true;
    switch (drive_space_blocks(d, -1)) {
    case SG_GOOD:
        *there = false;
        return drive_space_blocks(d, 1) == SG_GOOD;
    case SG_FILEMARK:
        return drive_space_filemarks(d, 1);
    default:
        return false;
    }
}

bool drive_move_to_eom(struct drive *d, bool write_missing)
{
    bool there;
    TRY(space(d, 3, 0) == SG_GOOD);
    if (!write_missing)
        return true;
    TRY(check_filemark(d, &there));
    return there || sg_none(d->unit, "WRITE FILEMARKS", CDB(0x10, 0, 0, 0, 1, 0), 600) == SG_GOOD;
}

bool drive_move_to_last_file(struct drive *d)
{
    struct position p;
    bool there;
    TRY(drive_move_to_eom(d, false) && check_filemark(d, &there) && drive_position(d, &p));
    if (!p.file)
        return problem("move_to_last_file failed - media contains no data");
    if (p.file == 1)
        return drive_rewind(d);
    return drive_space_filemarks(d, -2) && drive_space_filemarks(d, 1);
}

/* To the file before by its number, then over its filemark. */
static bool locate_with_offset(struct drive *d, uint64_t file, int64_t offset, uint64_t *found)
{
    uint8_t cdb[16] = {0x92, 0x08};
    struct position p;
    put_be64(cdb + 4, file - 1 + (uint64_t)offset);
    TRY(sg_none(d->unit, "LOCATE", cdb, sizeof(cdb), 600) == SG_GOOD && drive_space_filemarks(d, 1));
    if (d->offset_known)
        *found = file;
    else
        TRY(drive_position(d, &p) && (*found = p.file, true));
    return true;
}

bool drive_locate_file(struct drive *d, uint64_t file)
{
    uint64_t found;
    if (file < 2)
        return drive_rewind(d) && (!file || drive_space_filemarks(d, 1));
    TRY(locate_with_offset(d, file, d->file_offset, &found));
    if (found != file) {
        d->file_offset = (int64_t)(file - found);
        TRY(locate_with_offset(d, file, d->file_offset, &found));
        if (found != file)
            return problem("LOCATE: file %llu instead of %llu", (unsigned long long)found, (unsigned long long)file);
    }
    d->offset_known = true;
    return true;
}
