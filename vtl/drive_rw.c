/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_rw.c: the data path of a drive: WRITE, WRITE FILEMARKS, READ, ERASE, FORMAT MEDIUM. */
#include <errno.h>
#include <string.h>

#include "vtl/crc32c.h"
#include "vtl/drive_private.h"

#define CLAIM_WAIT_MS 10000
#define DISK_WAIT_MS 30000

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
    pthread_mutex_lock(&d->c->lock);
    for (size_t i = 0; i < x->n_segs && x->segs[i].first_object < object; i++) {
        const struct seg_ref *r = &x->segs[i];
        uint64_t part = object - r->first_object;
        n += part >= r->objects ? r->plain_bytes
                                : (uint64_t)((double)r->plain_bytes * (double)part / (double)r->objects);
    }
    pthread_mutex_unlock(&d->c->lock);
    return n;
}

/* The cartridge becomes ours before the first write of this run. A store that does not answer stops nothing: then the
 * claim comes before the first upload. */
enum tape_result drive_claim(struct drive *d, const atomic_bool *cancel)
{
    struct cartridge *c = d->c;
    struct engine *e = d->eng;
    uint64_t until = engine_ticks() + CLAIM_WAIT_MS;
    bool asked = false;
    for (;;) {
        uint64_t seen = progress_now(&e->progress);
        pthread_mutex_lock(&c->lock);
        bool owned = c->owned, fenced = c->fenced, failing = c->failures != 0;
        c->claim_wanted = true;
        pthread_mutex_unlock(&c->lock);
        if (fenced) {
            d->fence_told = true;
            return TAPE_NOT_OWNED;
        }
        if (owned || d->claim_asked || failing || engine_ticks() >= until)
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
    pthread_mutex_lock(&c->lock);
    uint64_t end = tape_index_end_object(&c->live);
    bool protected = c->row.write_protected, worm_stops = c->row.worm && !worm_allows(d, end);
    pthread_mutex_unlock(&c->lock);
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

/* I6: waits while the spool holds more than it may. */
static enum tape_result wait_for_room(struct drive *d, uint32_t len, const atomic_bool *cancel)
{
    struct engine *e = d->eng;
    for (;;) {
        uint64_t seen = progress_now(&e->progress);
        uint64_t dirty = atomic_load(&e->dirty_bytes);
        if (dirty + len <= engine_dirty_limit(e))
            return TAPE_OK;
        pthread_mutex_lock(&d->c->lock);
        bool fenced = d->c->fenced, idle = !d->c->n_pending;
        pthread_mutex_unlock(&d->c->lock);
        if (fenced) {
            d->fence_told = true;
            return TAPE_NOT_OWNED;
        }
        if (atomic_load(cancel))
            return TAPE_CANCELLED;
        if (idle && cartridge_flush(d->c)) /* it is the open segment that fills the spool */
            return TAPE_WRITE_ERROR;
        progress_wait(&e->progress, seen, 1000);
    }
}

/* The disk is full although the spool may still grow: the cache goes first, then wait for uploads, but not for ever:
 * when the state cannot be written either, they never end. *until is 0 at the first call. */
static bool make_disk_room(struct drive *d, uint32_t len, uint64_t *until, const atomic_bool *cancel)
{
    struct engine *e = d->eng;
    uint64_t seen = progress_now(&e->progress);
    if (spool_shrink(e->spool, len + (1u << 20)))
        return true;
    pthread_mutex_lock(&d->c->lock);
    bool coming = d->c->n_pending && !d->c->fenced;
    pthread_mutex_unlock(&d->c->lock);
    uint64_t now = engine_ticks();
    *until = *until ? *until : now + DISK_WAIT_MS;
    if (!coming || !e->workers || atomic_load(cancel) || now >= *until)
        return false;
    progress_wait(&e->progress, seen, 1000);
    return true;
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

static bool is_full(const struct drive *d, uint32_t len)
{
    return d->used + len > d->capacity + margin(d->capacity);
}

enum tape_result drive_write(void *self, const void *block, uint32_t len, bool compress, const struct tape_crypt *crypt,
                             const atomic_bool *cancel)
{
    struct drive *d = self;
    bool encrypt = crypt && crypt->encrypt;
    const struct seg_key key = {encrypt ? crypt->key : NULL, encrypt ? crypt->kad : NULL, encrypt ? crypt->kad_len : 0};
    enum tape_result result = drive_begin(d, encrypt ? TAPE_WRITING_ENCRYPTED : TAPE_WRITING);
    if (result)
        return result;
    uint32_t crc = crc32c(0, block, len);
    uint64_t used = d->used;
    result = may_write(d, cancel);
    if (!result && is_full(d, len))
        result = TAPE_OVERFLOW;
    if (!result)
        result = wait_for_room(d, len, cancel);
    int rc = 0;
    if (!result) {
        uint64_t until = 0;
        do
            rc = cartridge_write(d->c, d->pos, block, len, crc, compress, encrypt ? &key : NULL);
        while (rc == -ENOSPC && make_disk_room(d, len, &until, cancel));
        result = rc ? write_failed(d, rc) : written(d, 1, len);
    }
    if (result != TAPE_OK && result != TAPE_EARLY_WARNING)
        d->used = used; /* nothing was cut */
    return drive_end(d, result);
}

enum tape_result drive_write_filemarks(void *self, uint64_t count, bool immed, const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_WRITING), warning = TAPE_OK;
    if (result)
        return result;
    if (count)
        result = may_write(d, cancel);
    if (!result && count && is_full(d, 0))
        result = TAPE_OVERFLOW;
    uint64_t until = 0;
    while (!result && count) {
        uint32_t n = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
        int rc = cartridge_filemarks(d->c, d->pos, n);
        if (rc == -ENOSPC && make_disk_room(d, 0, &until, cancel))
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

/* What stands at the position: OK is a block. */
static enum tape_result what_is_next(struct drive *d)
{
    pthread_mutex_lock(&d->c->lock);
    bool at_end = d->pos >= tape_index_end_object(&d->c->live);
    bool filemark = !at_end && tape_index_is_filemark(&d->c->live, d->pos);
    pthread_mutex_unlock(&d->c->lock);
    return at_end ? TAPE_EOD : filemark ? TAPE_FILEMARK : TAPE_OK;
}

static int read_block(struct drive *d, void *buf, uint32_t *len, const struct tape_crypt *crypt,
                      const atomic_bool *cancel, struct errtext *err)
{
    bool decrypt = crypt && crypt->decrypt;
    const struct seg_key key = {.key = decrypt ? crypt->key : NULL};
    d->reader.key = decrypt ? &key : NULL;
    d->reader.raw = crypt && crypt->raw;
    int rc = reader_read(&d->reader, d->pos, buf, *len, len, cancel, err);
    d->reader.key = NULL;
    d->reader.raw = false;
    return rc;
}

enum tape_result drive_read(void *self, void *buf, uint32_t *len, const struct tape_crypt *crypt,
                            const atomic_bool *cancel)
{
    struct drive *d = self;
    bool decrypt = crypt && crypt->decrypt;
    enum tape_result result = drive_begin(d, decrypt ? TAPE_READING_ENCRYPTED : TAPE_READING);
    if (result)
        return result;
    result = what_is_next(d);
    if (result) {
        d->pos += result == TAPE_FILEMARK;
        return drive_end(d, result);
    }
    struct errtext err = {""}, why;
    uint32_t room = *len;
    int rc = read_block(d, buf, len, crypt, cancel, &err);
    if (!rc && decrypt && !crypt->mixed && !d->reader.encrypted) {
        *len = room;
        return drive_end(d, TAPE_NOT_ENCRYPTED);
    }
    if (!rc) {
        d->pos++;
        if (buf)
            drive_count(d, &(struct tape_usage){.read_bytes = *len, .read_blocks = 1});
        return drive_end(d, TAPE_OK);
    }
    *len = room;
    if (rc == -ENOKEY || rc == -EKEYREJECTED)
        return drive_end(d, rc == -ENOKEY ? TAPE_ENCRYPTED : TAPE_WRONG_KEY);
    errtext_set(&why, rc, "drive %u, %s: object %llu: %s", d->number, d->c->row.barcode, (unsigned long long)d->pos,
                err.text[0] ? err.text : strerror(-rc));
    return drive_end(d, drive_failed(d, rc, &why, TAPE_READ_ERROR));
}

enum tape_result drive_next_block(void *self, const struct tape_crypt *crypt, enum tape_next *next, uint8_t *kad,
                                  uint8_t *kad_len, const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_READING);
    if (result)
        return result;
    *next = TAPE_NEXT_NO_BLOCK;
    *kad_len = 0;
    if (what_is_next(d) != TAPE_OK)
        return drive_end(d, TAPE_OK);
    struct errtext err = {""};
    uint8_t nothing;
    uint32_t len = 0;
    struct tape_crypt opened = *crypt;
    opened.raw = false; /* what a key would say of it is asked */
    int rc = read_block(d, &nothing, &len, &opened, cancel, &err);
    bool unreadable = rc == -ENOKEY || rc == -EKEYREJECTED;
    if (rc && !unreadable)
        return drive_end(d, drive_failed(d, rc, &err, TAPE_READ_ERROR));
    *next = unreadable ? TAPE_NEXT_UNREADABLE : d->reader.encrypted ? TAPE_NEXT_READABLE : TAPE_NEXT_PLAIN;
    *kad_len = d->reader.kad_len;
    memcpy(kad, d->reader.kad, d->reader.kad_len);
    return drive_end(d, TAPE_OK);
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
    pthread_mutex_lock(&d->c->lock);
    d->c->usage.formats += (uint64_t)n;
    d->c->usage_changed = true;
    pthread_mutex_unlock(&d->c->lock);
}

enum tape_result drive_format(void *self, const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_FORMATTING);
    if (result)
        return result;
    d->pos = 0;
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
