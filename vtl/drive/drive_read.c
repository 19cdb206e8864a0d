/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_read.c: READ, and what the next block is. */
#include <errno.h>
#include <string.h>

#include "base/lock.h"
#include "vtl/drive/drive_private.h"

/* What is here is not what the bucket has: another gateway, or a copy of this one, wrote the tape. */
static enum tape_result stale_read(struct drive *d)
{
    struct errtext err;
    errtext_set(&err, -ESTALE,
                "drive %u, %s: this state is older than the bucket, or a second copy of it is running: nothing is read "
                "until the cartridge is loaded again",
                d->number, cartridge_barcode(d->c));
    return drive_failed(d, -ESTALE, &err, TAPE_READ_ERROR);
}

/* What stands at the position: OK is a block. */
static enum tape_result what_is_next(struct drive *d)
{
    struct cartridge_brief b;
    cartridge_brief(d->c, d->pos, &b);
    if (b.stale)
        return stale_read(d);
    return d->pos >= b.end_object ? TAPE_EOD : b.filemark ? TAPE_FILEMARK : TAPE_OK;
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
    enum tape_result result = drive_begin(d, decrypt ? TAPE_READING_ENCRYPTED : TAPE_READING, cancel);
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
        if (room)
            drive_count(d, &(struct tape_usage){.read_bytes = *len, .read_blocks = 1});
        return drive_end(d, TAPE_OK);
    }
    *len = room;
    if (rc == -ENOKEY || rc == -EKEYREJECTED)
        return drive_end(d, rc == -ENOKEY ? TAPE_ENCRYPTED : TAPE_WRONG_KEY);
    errtext_set(&why, rc, "drive %u, %s: object %llu: %s", d->number, cartridge_barcode(d->c),
                (unsigned long long)d->pos, err.text[0] ? err.text : strerror(-rc));
    return drive_end(d, drive_failed(d, rc, &why, TAPE_READ_ERROR));
}

enum tape_result drive_next_block(void *self, const struct tape_crypt *crypt, enum tape_next *next, uint8_t *kad,
                                  uint8_t *kad_len, const atomic_bool *cancel)
{
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_READING, cancel);
    if (result)
        return result;
    *next = TAPE_NEXT_NO_BLOCK;
    *kad_len = 0;
    result = what_is_next(d);
    if (result)
        return drive_end(d, result == TAPE_READ_ERROR ? result : TAPE_OK);
    struct errtext err = {""};
    uint8_t nothing;
    uint32_t len = 0;
    struct tape_crypt opened = *crypt;
    opened.raw = false; /* the question is what the key can decrypt */
    int rc = read_block(d, &nothing, &len, &opened, cancel, &err);
    bool unreadable = rc == -ENOKEY || rc == -EKEYREJECTED;
    if (rc && !unreadable)
        return drive_end(d, drive_failed(d, rc, &err, TAPE_READ_ERROR));
    *next = unreadable ? TAPE_NEXT_UNREADABLE : d->reader.encrypted ? TAPE_NEXT_READABLE : TAPE_NEXT_PLAIN;
    *kad_len = d->reader.kad_len;
    memcpy(kad, d->reader.kad, d->reader.kad_len);
    return drive_end(d, TAPE_OK);
}
