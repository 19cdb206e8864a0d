/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream.c: a tape file as a stream of bytes. The block's header is little-endian: magic, flags, size, sequence. */
#include "tests/pbs/stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/le.h"

enum { END_OF_STREAM = 1, INCOMPLETE = 2 }; /* flags */
static const uint8_t magic[8] = {0xDC, 0xBD, 0xAF, 0xCA, 0xEB, 0xA0, 0xA5, 0x28};

bool writer_open(struct writer *w, struct drive *d)
{
    memset(w, 0, sizeof(*w));
    w->drive = d;
    w->block = calloc(1, BLOCK);
    return w->block || problem("out of memory");
}

static bool write_block(struct writer *w, uint8_t flags)
{
    memcpy(w->block, magic, 8);
    put_le32(w->block + 8, w->fill << 8 | flags);
    put_le32(w->block + 12, w->sequence++);
    memset(w->block + BLOCK_HEADER + w->fill, 0, BLOCK_ROOM - w->fill);
    int r = drive_write(w->drive, w->block);
    w->leom |= r == SG_LEOM;
    w->fill = 0;
    w->blocks++;
    return r == SG_GOOD || r == SG_LEOM;
}

bool writer_put(struct writer *w, const void *p, size_t len)
{
    const uint8_t *from = p;
    while (len && !(w->leom && w->stop)) {
        size_t n = BLOCK_ROOM - w->fill < len ? BLOCK_ROOM - w->fill : len;
        memcpy(w->block + BLOCK_HEADER + w->fill, from, n);
        w->fill += (uint32_t)n;
        from += n;
        len -= n;
        if (w->fill == BLOCK_ROOM)
            TRY(write_block(w, 0));
    }
    return true;
}

bool writer_close(struct writer *w, bool incomplete)
{
    bool good = write_block(w, incomplete ? END_OF_STREAM | INCOMPLETE : END_OF_STREAM) && drive_filemark(w->drive);
    writer_drop(w);
    return good;
}

void writer_drop(struct writer *w)
{
    free(w->block);
    w->block = NULL;
}

/* The block that is marked as the last must be followed by a filemark: a read of 512 bytes must meet it. */
static bool probe_filemark(struct drive *d)
{
    uint8_t b[512];
    switch (drive_read(d, b, sizeof(b))) {
    case SG_FILEMARK:
        return true;
    case SG_GOOD:
        return problem("detected tape block after block-stream end marker");
    case SG_EOD:
        return problem("got unexpected end of tape");
    default:
        return false;
    }
}

static int next_block(struct reader *r)
{
    int n = drive_read(r->drive, r->block, BLOCK);
    if (n != SG_GOOD)
        return n;
    uint32_t word = get_le32(r->block + 8), flags = word & 0xff;
    if (memcmp(r->block, magic, 8) || flags & ~3u || word >> 8 > BLOCK_ROOM || get_le32(r->block + 12) != r->sequence) {
        problem_set("block %u has magic %02x.., flags %02x, size %u, sequence %u", r->sequence, r->block[0], flags,
                    word >> 8, get_le32(r->block + 12));
        return SG_ERROR;
    }
    r->sequence++;
    r->blocks++;
    r->size = word >> 8;
    r->at = 0;
    r->last = flags & END_OF_STREAM;
    r->incomplete = flags & INCOMPLETE;
    if (!r->last && r->size != BLOCK_ROOM) {
        problem_set("block %u is not full, and not the last", r->sequence - 1);
        return SG_ERROR;
    }
    return !r->last || probe_filemark(r->drive) ? SG_GOOD : SG_ERROR;
}

int reader_open(struct reader *r, struct drive *d)
{
    memset(r, 0, sizeof(*r));
    r->drive = d;
    r->block = malloc(BLOCK);
    int n = next_block(r);
    if (n != SG_GOOD)
        reader_close(r);
    return n;
}

bool reader_get(struct reader *r, void *p, size_t len, size_t *got)
{
    uint8_t *to = p;
    *got = 0;
    while (len) {
        if (r->at == r->size) {
            if (r->last)
                return true;
            TRY(next_block(r) == SG_GOOD);
            continue;
        }
        size_t n = r->size - r->at < len ? r->size - r->at : len;
        memcpy(to, r->block + BLOCK_HEADER + r->at, n);
        r->at += (uint32_t)n;
        to += n;
        len -= n;
        *got += n;
    }
    return true;
}

bool reader_must(struct reader *r, void *p, size_t len)
{
    size_t got;
    TRY(reader_get(r, p, len, &got));
    return got == len || problem("the stream ends after %zu of %zu bytes", got, len);
}

bool reader_skip(struct reader *r, uint64_t *skipped)
{
    *skipped = r->size - r->at;
    while (!r->last) {
        TRY(next_block(r) == SG_GOOD);
        *skipped += r->size;
    }
    r->at = r->size;
    return true;
}

void reader_close(struct reader *r)
{
    free(r->block);
    r->block = NULL;
}
