/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_position.c: REWIND, SPACE and LOCATE: searches of the index in memory, no request to the store. */
#include "vtl/drive/drive_private.h"

/* Leaving the end of data seals the open segment and uploads it, as the host may never sync it (PBS's last catalog). */
static enum tape_result leave_end(struct drive *d, const atomic_bool *cancel)
{
    int rc = drive_sync(d, true, cancel);
    if (rc)
        return drive_write_failed(d, rc);
    if (!engine_waits_for(d->eng, DURABILITY_REMOTE)) /* as safe as a sync would make it */
        d->unsynced_blocks = d->unsynced_bytes = 0;
    return TAPE_OK;
}

enum tape_result drive_rewind(void *self, const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_REWINDING, cancel);
    if (result)
        return result;
    result = leave_end(d, cancel);
    if (!result)
        d->pos = 0;
    return drive_end(d, result);
}

static uint64_t magnitude(int64_t n)
{
    return n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
}

/* Moves by *n, or as far as there is tape; *n becomes what is left. */
typedef enum tape_result space_fn(struct drive *d, uint64_t *n);

/* *count becomes what is left, with its sign. Only at its end does a SPACE know whether it left the end of data. */
static enum tape_result space(struct drive *d, int64_t *count, const atomic_bool *cancel, space_fn *ahead,
                              space_fn *back)
{
    enum tape_result result = drive_begin(d, TAPE_LOCATING, cancel);
    if (result)
        return result;
    uint64_t n = magnitude(*count);
    bool forward = *count >= 0;
    result = forward ? ahead(d, &n) : back(d, &n);
    *count = forward ? (int64_t)n : (int64_t)(0 - n);
    enum tape_result failed = d->pos < drive_end_object(d) ? leave_end(d, cancel) : TAPE_OK;
    return drive_end(d, failed ? failed : result);
}

/* Goes forward n blocks, but not beyond a filemark or the end; *n becomes how many are left. */
static enum tape_result blocks_forward(struct drive *d, uint64_t *n)
{
    uint64_t fm = 0, end = drive_end_object(d);
    bool has = cartridge_next_filemark(d->c, d->pos, &fm);
    uint64_t limit = has ? fm : end, left = limit - d->pos;
    if (*n <= left) {
        d->pos += *n;
        *n = 0;
        return TAPE_OK;
    }
    d->pos = has ? fm + 1 : end;
    *n -= left;
    return has ? TAPE_FILEMARK : TAPE_EOD;
}

static enum tape_result blocks_back(struct drive *d, uint64_t *n)
{
    uint64_t fm = 0;
    bool has = cartridge_prev_filemark(d->c, d->pos, &fm);
    uint64_t left = d->pos - (has ? fm + 1 : 0);
    if (*n <= left) {
        d->pos -= *n;
        *n = 0;
        return TAPE_OK;
    }
    d->pos = has ? fm : 0;
    *n -= left;
    return has ? TAPE_FILEMARK : TAPE_BOP;
}

enum tape_result drive_space_blocks(void *self, int64_t *count, const atomic_bool *cancel)
{
    return space(self, count, cancel, blocks_forward, blocks_back);
}

static enum tape_result filemarks_forward(struct drive *d, uint64_t *n)
{
    struct cartridge_brief b;
    cartridge_brief(d->c, d->pos, &b);
    uint64_t object = 0, left = b.end_file - b.file;
    if (*n > left) {
        d->pos = b.end_object;
        *n -= left;
        return TAPE_EOD;
    }
    if (*n && cartridge_file_start(d->c, b.file + *n, &object))
        d->pos = object;
    *n = 0;
    return TAPE_OK;
}

static enum tape_result filemarks_back(struct drive *d, uint64_t *n)
{
    struct cartridge_brief b;
    cartridge_brief(d->c, d->pos, &b);
    uint64_t object = 0;
    if (*n > b.file) {
        d->pos = 0;
        *n -= b.file;
        return TAPE_BOP;
    }
    /* Filemark number file - n, counted from 0, is the one before the start of the file behind it. */
    if (cartridge_file_start(d->c, b.file - *n + 1, &object))
        d->pos = object - 1;
    *n = 0;
    return TAPE_OK;
}

enum tape_result drive_space_filemarks(void *self, int64_t *count, const atomic_bool *cancel)
{
    return space(self, count, cancel, filemarks_forward, filemarks_back);
}

enum tape_result drive_space_end(void *self, const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_LOCATING, cancel);
    if (result)
        return result;
    d->pos = drive_end_object(d);
    return drive_end(d, result);
}

/* found: the place exists, and is object. */
static enum tape_result locate(struct drive *d, bool found, uint64_t object, const atomic_bool *cancel)
{
    uint64_t end = drive_end_object(d);
    enum tape_result result = found && object < end ? leave_end(d, cancel) : TAPE_OK;
    if (result)
        return drive_end(d, result);
    d->pos = found && object <= end ? object : end;
    return drive_end(d, found && object <= end ? TAPE_OK : TAPE_EOD);
}

enum tape_result drive_locate_object(void *self, uint32_t partition, uint64_t object, const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_LOCATING, cancel);
    if (result)
        return result;
    return partition ? drive_end(d, TAPE_NO_SUCH_PLACE) : locate(d, true, object, cancel);
}

enum tape_result drive_locate_file(void *self, uint32_t partition, uint64_t file, const atomic_bool *cancel)
{
    struct drive *d = self;
    uint64_t object = 0;
    enum tape_result result = drive_begin(d, TAPE_LOCATING, cancel);
    if (result)
        return result;
    if (partition)
        return drive_end(d, TAPE_NO_SUCH_PLACE);
    bool found = cartridge_file_start(d->c, file, &object);
    return locate(d, found, object, cancel);
}
