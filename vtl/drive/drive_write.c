/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_write.c: what changes the tape: WRITE, WRITE FILEMARKS, ERASE, FORMAT MEDIUM, SET CAPACITY. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/lock.h"
#include "vtl/drive/drive_private.h"

#define CLAIM_WAIT_MS 10000

/* How much goes on the tape behind early warning: room for PBS's catalog, which it writes there (2 %, or 4 GiB where
 * that is more and the tape isn't smaller). */
static uint64_t margin(uint64_t capacity)
{
    uint64_t floor = capacity < (4ull << 30) ? capacity : 4ull << 30;
    return capacity / 50 > floor ? capacity / 50 : floor;
}

/* Bytes of host data that stay when the tape is written at the position. */
static uint64_t used_before(struct drive *d, uint64_t object)
{
    struct tape_index *x = &d->c->live;
    uint64_t n = 0;
    lock_take(&d->c->lock);
    for (size_t i = 0; i < x->n_segs && x->segs[i].first_object < object; i++) {
        const struct seg_ref *r = &x->segs[i];
        uint64_t part = object - r->first_object;
        n += part >= r->objects ? r->plain_bytes
                                : (uint64_t)((double)r->plain_bytes * (double)part / (double)r->objects);
    }
    lock_release(&d->c->lock);
    return n;
}

/* The cartridge becomes ours before the first write of this run. A store that does not answer stops nothing: then the
 * claim comes before the first upload. */
enum tape_result drive_claim(struct drive *d, const atomic_bool *cancel)
{
    struct cartridge *c = d->c;
    struct engine *e = d->eng;
    uint64_t until = clock_ms() + CLAIM_WAIT_MS;
    bool asked = false;
    for (;;) {
        uint64_t seen = progress_now(&e->progress);
        lock_take(&c->lock);
        bool owned = c->owned, fenced = c->fenced, failing = c->failures != 0;
        c->claim_wanted = true;
        lock_release(&c->lock);
        if (fenced) {
            d->fence_told = true;
            return TAPE_NOT_OWNED;
        }
        if (owned || d->claim_asked || failing || clock_ms() >= until)
            break;
        if (atomic_load(cancel))
            return TAPE_CANCELLED;
        if (!asked) {
            workers_add(e->workers, c); /* which is news itself */
            asked = true;
            continue;
        }
        progress_wait(&e->progress, seen, 500);
    }
    d->claim_asked = true;
    return TAPE_OK;
}

/* A WORM medium lets filemarks before its end be overwritten, as LTO does (mode page 1Dh says so): programs end a tape
 * with two and append at the second. But never the one closest to BOP, nor a block. Lock held. */
static bool worm_allows(const struct drive *d, uint64_t end)
{
    const struct tape_index *x = &d->c->live;
    uint64_t file = tape_index_file_of(x, d->pos);
    return d->pos == end || (file > 0 && end - d->pos == tape_index_end_file(x) - file);
}

/* May the tape be written here? What stands behind the position will be gone. */
static enum tape_result may_write(struct drive *d, const atomic_bool *cancel)
{
    struct cartridge *c = d->c;
    lock_take(&c->lock);
    uint64_t end = tape_index_end_object(&c->live);
    bool protected = c->row.write_protected, worm_stops = c->row.worm && !worm_allows(d, end);
    lock_release(&c->lock);
    if (protected || worm_stops)
        drive_alert(d, protected ? ALERT_WRITE_PROTECT : ALERT_WORM_OVERWRITE);
    if (protected)
        return TAPE_WRITE_PROTECTED;
    if (worm_stops)
        return TAPE_WORM_OVERWRITE;
    enum tape_result result = drive_claim(d, cancel);
    if (!result && d->pos < end)
        d->used = used_before(d, d->pos);
    return result;
}

static enum tape_result write_failed(struct drive *d, int rc)
{
    struct errtext err;
    errtext_set(&err, rc, "drive %u, %s: spool %s/spool: %s", d->number, d->c->row.barcode,
                d->eng->cfg->library.state_dir, strerror(-rc));
    return drive_failed(d, rc, &err, TAPE_WRITE_ERROR);
}

static enum tape_result written(struct drive *d, uint64_t objects, uint64_t bytes)
{
    d->pos += objects;
    d->used += bytes;
    d->unsynced_blocks += objects;
    d->unsynced_bytes += bytes;
    struct tape_usage n = {.written_bytes = bytes, .written_blocks = bytes != 0};
    n.written_filemarks = bytes ? 0 : objects;
    drive_count(d, &n);
    return d->used >= d->capacity ? TAPE_EARLY_WARNING : TAPE_OK;
}

bool drive_is_full(const struct drive *d, uint32_t len)
{
    return d->used + len > d->capacity + margin(d->capacity);
}

int drive_put_block(struct drive *d, const struct seg_packed *b, const atomic_bool *cancel)
{
    uint64_t until = 0;
    int rc;
    do
        rc = cartridge_write(d->c, b);
    while (rc == -ENOSPC && drive_make_disk_room(d, b->r.length, &until, cancel));
    return rc;
}

static int pack_and_put(struct drive *d, const void *block, uint32_t len, bool compress, const struct seg_key *key,
                        const atomic_bool *cancel)
{
    struct seg_packed b;
    if (!d->packer && !(d->packer = seg_packer_new()))
        return -ENOMEM;
    int rc = seg_pack(d->packer, d->c->row.id, d->pos, block, len, crc32c(0, block, len), compress, key, &b);
    return rc ? rc : drive_put_block(d, &b, cancel);
}

/* A WRITE that may be refused, or cuts the tape: written when it is answered. */
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
        result = rc ? write_failed(d, rc) : written(d, 1, len);
    }
    if (result != TAPE_OK && result != TAPE_EARLY_WARNING)
        d->used = used; /* nothing was cut */
    else
        drive_stream_begin(d);
    return result;
}

enum tape_result drive_write(void *self, const void *block, uint32_t len, bool compress, const struct tape_crypt *crypt,
                             const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_enter(d, crypt && crypt->encrypt ? TAPE_WRITING_ENCRYPTED : TAPE_WRITING);
    if (result)
        return result;
    if (d->streaming && drive_stream(d, block, len, compress, crypt, cancel, &result)) {
        drive_leave(d);
        return result;
    }
    drive_settle(d);
    result = drive_tell_loss(d);
    if (!result)
        result = d->place_lost ? TAPE_WRITE_ERROR : write_through(d, block, len, compress, crypt, cancel);
    return drive_end(d, result);
}

enum tape_result drive_write_filemarks(void *self, uint64_t count, bool immed, const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_WRITING), warning = TAPE_OK;
    if (result)
        return result;
    if (d->place_lost) /* what was to be before it is not there */
        return drive_end(d, TAPE_WRITE_ERROR);
    if (count)
        result = may_write(d, cancel);
    if (!result && count && drive_is_full(d, 0))
        result = TAPE_OVERFLOW;
    uint64_t until = 0;
    while (!result && count) {
        uint32_t n = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
        int rc = cartridge_filemarks(d->c, d->pos, n);
        if (rc == -ENOSPC && drive_make_disk_room(d, 0, &until, cancel))
            continue;
        if (rc)
            result = write_failed(d, rc);
        else
            warning = written(d, n, 0);
        count -= rc ? 0 : n;
    }
    struct errtext err = {""};
    if (!result && !immed) {
        int rc = drive_make_safe(d, false, cancel, &err);
        if (rc)
            result = drive_failed(d, rc, &err, TAPE_WRITE_ERROR);
    }
    return drive_end(d, result ? result : warning);
}

static enum tape_result cut_here(struct drive *d, const atomic_bool *cancel)
{
    enum tape_result result = may_write(d, cancel);
    if (result)
        return result;
    int rc = cartridge_truncate(d->c, d->pos);
    if (rc)
        return write_failed(d, rc);
    d->used = used_before(d, d->pos);
    return TAPE_OK;
}

enum tape_result drive_erase(void *self, bool long_erase, const atomic_bool *cancel)
{
    (void)long_erase; /* the objects are deleted either way */
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_ERASING);
    return result ? result : drive_end(d, cut_here(d, cancel));
}

static void count_format(struct drive *d, int n)
{
    lock_take(&d->c->lock);
    d->c->usage.formats += (uint64_t)n;
    d->c->usage_changed = true;
    lock_release(&d->c->lock);
}

enum tape_result drive_format(void *self, const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_FORMATTING);
    if (result)
        return result;
    d->pos = 0;
    d->place_lost = false;
    count_format(d, 1); /* before, so that the head of the blank tape tells it too */
    result = cut_here(d, cancel);
    if (result)
        count_format(d, -1);
    return drive_end(d, result);
}

enum tape_result drive_set_capacity(void *self, uint16_t proportion, const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_FORMATTING);
    if (result)
        return result;
    d->pos = 0;
    result = cut_here(d, cancel);
    int rc = result ? 0 : cartridge_set_capacity(d->c, proportion, &d->capacity);
    return drive_end(d, rc ? write_failed(d, rc) : result);
}
