/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_write.c: what changes the tape: WRITE, WRITE FILEMARKS, ERASE, FORMAT MEDIUM, SET CAPACITY. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/lock.h"
#include "vtl/drive/drive_private.h"

/* A WORM medium, and one that retention locks, lets filemarks before its end be overwritten, as LTO does (mode page 1Dh
 * says so): programs end a tape with two and append at the second. But never the one closest to BOP, nor a block. b: of
 * the position. */
static bool worm_allows(const struct drive *d, const struct cartridge_brief *b)
{
    return d->pos == b->end_object || (b->file > 0 && b->end_object - d->pos == b->end_file - b->file);
}

/* What is behind the position counts no longer, neither here nor for a quota: it is to be cut. */
static void cut_begins(struct drive *d)
{
    uint64_t used = cartridge_bytes_before(d->c, d->pos);
    cartridge_quota_cut_begin(d->c, d->used - used);
    d->used = used;
    d->cutting = true;
}

static void cut_ends(struct drive *d)
{
    if (d->cutting)
        cartridge_quota_cut_end(d->c);
    d->cutting = false;
}

/* May the tape be written here? A write cuts off what is behind the position: used no longer counts that, until
 * nothing_cut. */
static enum tape_result may_write(struct drive *d, const atomic_bool *cancel)
{
    struct cartridge_brief b;
    cartridge_brief(d->c, d->pos, &b);
    bool worm_stops = (b.worm || b.locked) && !worm_allows(d, &b);
    if (b.write_protected || worm_stops)
        drive_alert(d, b.write_protected ? ALERT_WRITE_PROTECT : ALERT_WORM_OVERWRITE);
    if (b.write_protected)
        return TAPE_WRITE_PROTECTED;
    if (worm_stops)
        return TAPE_WORM_OVERWRITE;
    enum tape_result result = drive_claim(d, cancel);
    if (!result && d->pos < b.end_object)
        cut_begins(d);
    return result;
}

/* The command failed before it cut anything. used: as it was before may_write. */
static enum tape_result nothing_cut(struct drive *d, uint64_t used, enum tape_result result)
{
    cartridge_quota_written(d->c, used - d->used);
    cut_ends(d);
    d->used = used;
    return result;
}

static enum tape_result written(struct drive *d, uint64_t objects, uint64_t bytes)
{
    d->pos += objects;
    cartridge_quota_written(d->c, bytes);
    cut_ends(d);
    d->used += bytes;
    d->unsynced_blocks += objects;
    d->unsynced_bytes += bytes;
    struct tape_usage n = {.written_bytes = bytes, .written_blocks = bytes != 0};
    n.written_filemarks = bytes ? 0 : objects;
    drive_count(d, &n);
    return drive_past_early_warning(d) ? TAPE_EARLY_WARNING : TAPE_OK;
}

static int pack_and_put(struct drive *d, const void *block, uint32_t len, bool compress, const struct seg_key *key,
                        const atomic_bool *cancel)
{
    struct seg_packed b;
    if (!d->packer && !(d->packer = seg_packer_new()))
        return -ENOMEM;
    const struct seg_block plain = {d->pos, block, len, crc32c(0, block, len), compress, NULL};
    int rc = seg_pack(d->packer, cartridge_id(d->c), &plain, key, &b);
    return rc ? rc : drive_put_block(d, &b, cancel);
}

/* A WRITE that may be refused or cut the tape: it is written before it is answered. */
static enum tape_result write_through(struct drive *d, const void *block, uint32_t len, bool compress,
                                      const struct tape_crypt *crypt, const atomic_bool *cancel)
{
    bool encrypt = crypt && crypt->encrypt;
    const struct seg_key key = {encrypt ? crypt->key : NULL, encrypt ? crypt->kad : NULL, encrypt ? crypt->kad_len : 0};
    uint64_t used = d->used;
    enum tape_result result = may_write(d, cancel);
    if (!result && drive_is_full(d, len))
        result = TAPE_OVERFLOW;
    if (!result)
        result = drive_wait_for_room(d, len, cancel);
    if (!result) {
        int rc = pack_and_put(d, block, len, compress, encrypt ? &key : NULL, cancel);
        result = rc ? drive_write_failed(d, rc) : written(d, 1, len);
    }
    if (result != TAPE_OK && result != TAPE_EARLY_WARNING)
        return nothing_cut(d, used, result);
    drive_stream_begin(d);
    drive_dedup_passed(d, block, len, encrypt ? &key : NULL);
    return result;
}

/* Where blocks are planned, the first one of a file must be, too: at the end of the tape, where nothing can be cut, it is
 * queued as the others are. False: it is to be written through. */
static bool stream_at_once(struct drive *d, const void *block, uint32_t len, bool compress,
                           const struct tape_crypt *crypt, const atomic_bool *cancel, enum tape_result *result)
{
    if (!drive_dedups(d) || d->pos != drive_end_object(d) || may_write(d, cancel))
        return false;
    drive_stream_begin(d);
    return d->streaming && drive_stream(d, block, len, compress, crypt, cancel, result);
}

enum tape_result drive_write(void *self, const void *block, uint32_t len, bool compress, const struct tape_crypt *crypt,
                             const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_enter(d, crypt && crypt->encrypt ? TAPE_WRITING_ENCRYPTED : TAPE_WRITING, cancel);
    if (result)
        return result;
    if (drive_stops(d)) {
        drive_leave(d);
        return TAPE_CANCELLED;
    }
    if (d->streaming && drive_stream(d, block, len, compress, crypt, cancel, &result)) {
        drive_leave(d);
        return result;
    }
    drive_drain(d);
    result = drive_tell_loss(d);
    if (!result && d->place_lost)
        result = TAPE_WRITE_ERROR;
    if (!result && stream_at_once(d, block, len, compress, crypt, cancel, &result)) {
        drive_leave(d);
        return result;
    }
    if (!result)
        result = write_through(d, block, len, compress, crypt, cancel);
    return drive_end(d, result);
}

/* Filemarks at the position. OK or EARLY_WARNING: all are written. */
static enum tape_result put_filemarks(struct drive *d, uint64_t count, const atomic_bool *cancel)
{
    uint64_t used = d->used;
    bool some = false;
    enum tape_result result = may_write(d, cancel);
    if (!result && drive_is_full(d, 0))
        result = TAPE_OVERFLOW;
    while ((!result || result == TAPE_EARLY_WARNING) && count) {
        uint32_t n = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
        int rc = drive_put_filemarks(d, d->pos, n, cancel);
        result = rc ? drive_write_failed(d, rc) : written(d, n, 0);
        some = some || !rc;
        count -= rc ? 0 : n;
    }
    return count && !some ? nothing_cut(d, used, result) : result;
}

enum tape_result drive_write_filemarks(void *self, uint64_t count, bool immed, const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_enter(d, TAPE_WRITING, cancel);
    if (result)
        return result;
    bool may_queue = immed && count && count <= UINT32_MAX && d->streaming && !drive_stops(d);
    if (may_queue && drive_stream_filemarks(d, (uint32_t)count, cancel, &result)) {
        drive_leave(d);
        return result;
    }
    drive_drain(d);
    result = drive_tell_loss(d);
    if (!result && d->place_lost) /* the blocks before it were lost */
        result = TAPE_WRITE_ERROR;
    if (!result && immed && drive_stops(d))
        result = TAPE_CANCELLED;
    if (!result && count)
        result = put_filemarks(d, count, cancel);
    if (immed || (result && result != TAPE_EARLY_WARNING))
        return drive_end(d, result);
    struct errtext err = {""};
    int rc = drive_make_safe(d, false, d->flush_limit_ms, cancel, &err);
    return drive_end(d, rc ? drive_failed(d, rc, &err, TAPE_WRITE_ERROR) : result);
}

static enum tape_result cut_here(struct drive *d, const atomic_bool *cancel)
{
    uint64_t used = d->used;
    enum tape_result result = drive_stops(d) ? TAPE_CANCELLED : may_write(d, cancel);
    if (result)
        return result;
    uint64_t until = 0;
    int rc;
    do
        rc = cartridge_truncate(d->c, d->pos);
    while (drive_await_disk_room(d, rc, &until, cancel));
    if (rc)
        return nothing_cut(d, used, drive_write_failed(d, rc));
    cut_ends(d);
    return TAPE_OK;
}

enum tape_result drive_erase(void *self, bool long_erase, const atomic_bool *cancel)
{
    (void)long_erase; /* the objects are deleted either way */
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_ERASING, cancel);
    return result ? result : drive_end(d, cut_here(d, cancel));
}

enum tape_result drive_format(void *self, const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_FORMATTING, cancel);
    if (result)
        return result;
    d->pos = 0;
    d->place_lost = false;
    cartridge_count_format(d->c, 1); /* before the cut, so that the head of the blank tape has it */
    result = cut_here(d, cancel);
    if (result)
        cartridge_count_format(d->c, -1);
    return drive_end(d, result);
}

enum tape_result drive_set_capacity(void *self, uint16_t proportion, const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_FORMATTING, cancel);
    if (result)
        return result;
    d->pos = 0;
    d->place_lost = false;
    result = cut_here(d, cancel);
    int rc = result ? 0 : cartridge_set_capacity(d->c, proportion, &d->capacity);
    return drive_end(d, rc ? drive_write_failed(d, rc) : result);
}
