/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reader_sources.c: blocks in pieces: the segments that they copy from, each read as the cartridge's own are.
 *
 * A few are open at a time: what was written by several threads goes to and fro between neighbours. The record that was
 * read last of each stays decoded, as the next block mostly begins in its middle.
 */
#include "vtl/drive/reader_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_SOURCES 6
#define LOOK_EVERY 8    /* blocks after which the next sources are looked for again */
#define LOOK_AHEAD 2048 /* records of the own segment in which they are */

struct slot {
    struct reader at; /* of the source; at.c: the cartridge that copies */
    struct seg_source source;
    const uint8_t *area; /* the literal area of the record of object, in at; NULL: none */
    uint64_t object;
    uint32_t len;
    uint64_t used; /* when, in blocks */
};

/* One that was asked for. */
struct coming {
    struct seg_source source;
    uint64_t until; /* the last block known to copy from it */
};

struct reader_sources {
    struct slot slots[OPEN_SOURCES];
    uint64_t blocks;
    struct coming coming[FETCH_AHEAD_MOST];
    size_t n_coming;
    uint64_t looked; /* the block at which they were looked for last */
    uint64_t known;  /* the sources of the records before this one are in coming */
};

void reader_sources_close(struct reader *r)
{
    for (size_t i = 0; r->sources && i < OPEN_SOURCES; i++)
        reader_release(&r->sources->slots[i].at);
    free(r->sources);
    r->sources = NULL;
}

static struct reader_sources *sources_of(struct reader *r)
{
    if (!r->sources && (r->sources = calloc(1, sizeof(*r->sources))))
        for (size_t i = 0; i < OPEN_SOURCES; i++)
            reader_blank(&r->sources->slots[i].at);
    return r->sources;
}

/* The slot of the source: the one that has it, or the least recently used one. */
static struct slot *slot_of(struct reader *r, const struct seg_source *source)
{
    struct reader_sources *s = r->sources;
    struct slot *oldest = &s->slots[0];
    for (size_t i = 0; i < OPEN_SOURCES; i++) {
        if (seg_source_same(&s->slots[i].source, source))
            return &s->slots[i];
        if (s->slots[i].used < oldest->used)
            oldest = &s->slots[i];
    }
    struct reader *at = &oldest->at;
    reader_close_segment(at);
    at->c = r->c;
    at->eng = r->eng;
    memcpy(at->barcode, source->barcode, sizeof(at->barcode));
    memcpy(at->cartridge, source->cartridge, sizeof(at->cartridge));
    oldest->source = *source;
    oldest->area = NULL;
    return oldest;
}

static struct seg_ref ref_of(const struct seg_source *s, uint64_t object)
{
    return (struct seg_ref){.id = s->id, .first_object = object, .objects = 1, .size = s->size, .crc = s->crc};
}

/* ---- the prefetch ---- */

static struct coming *find_coming(struct reader_sources *a, const struct seg_source *s)
{
    for (size_t i = 0; i < a->n_coming; i++)
        if (seg_source_same(&a->coming[i].source, s))
            return &a->coming[i];
    return NULL;
}

static void forget_passed(struct reader_sources *a, uint64_t block)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n_coming; i++)
        if (a->coming[i].until >= block)
            a->coming[n++] = a->coming[i];
    a->n_coming = n;
}

static bool is_missing(const struct reader *r, const struct seg_source *s)
{
    return !spool_has(r->eng->spool, s->barcode, &s->id);
}

static size_t count_missing(const struct reader *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->sources->n_coming; i++)
        n += is_missing(r, &r->sources->coming[i].source);
    return n;
}

/* For the block, by whose place a seek drops what is of no use any more. ahead: 0 is needed first. */
static void ask(struct reader *r, const struct seg_source *s, uint64_t block, unsigned ahead)
{
    struct reader_sources *a = r->sources;
    struct coming *c = find_coming(a, s);
    if (c) {
        c->until = c->until > block ? c->until : block;
        return;
    }
    const struct seg_ref ref = ref_of(s, block);
    workers_fetch(r->eng->workers, r->c, s->barcode, &ref, 0, ahead);
    c = &a->coming[a->n_coming < FETCH_AHEAD_MOST ? a->n_coming++ : FETCH_AHEAD_MOST - 1];
    *c = (struct coming){*s, block};
}

/* The sources of one record of the own segment. False: it cannot be had now. */
static bool ask_for_record(struct reader *r, struct seg_scratch *scratch, uint64_t block, size_t *missing)
{
    struct seg_record d;
    struct seg_pieced p;
    uint64_t offset = 0;
    uint32_t size = 0;
    uint8_t rec[READER_PEEK];
    if (seg_index_find(r->index, block, &offset, &size))
        return false;
    if (size > sizeof(rec))
        return true; /* mostly its own bytes, or a filemark */
    if (reader_pread(r->fd, rec, size, offset) || seg_record_decode(rec, size, &d, NULL))
        return false;
    if (d.type != SEG_BLOCK || !(d.flags & SEG_PIECES) ||
        seg_pieces_open(&d, rec, r->cartridge, r->key, scratch, &p, NULL))
        return true;
    for (uint32_t i = 0; i < p.n_sources; i++) {
        struct seg_source s;
        seg_pieced_source(&p, i, &s);
        *missing += !find_coming(r->sources, &s) && is_missing(r, &s);
        ask(r, &s, block, (unsigned)r->sources->n_coming + 1);
    }
    return true;
}

/* Of a sequential read: the sources of the blocks that follow, as their records name them, until so many are on their way
 * as would be of the own segments. The one that is here already counts for nothing: between two that are missing there may
 * be many of it. The own segment is a file then: it is small, and fetched whole. */
static void fetch_ahead(struct reader *r, const struct seg_source *now, uint64_t block)
{
    struct reader_sources *a = r->sources;
    struct seg_scratch scratch = {0};
    if (find_coming(a, now) && block - a->looked < LOOK_EVERY)
        return;
    a->looked = block;
    forget_passed(a, block);
    ask(r, now, block, 0);
    if (a->known <= block)
        a->known = block + 1;
    size_t missing = count_missing(r), most = (size_t)reader_ahead_now(r) + 1;
    while (r->index && r->fd >= 0 && missing < most && a->n_coming < FETCH_AHEAD_MOST &&
           a->known < block + LOOK_AHEAD && ask_for_record(r, &scratch, a->known, &missing))
        a->known++;
    seg_scratch_free(&scratch);
}

/* ---- a copy ---- */

struct copying {
    struct reader *r;
    const struct read_job *job;
};

/* Its record becomes the one that the slot has. */
static int read_record(struct reader *r, struct slot *s, const struct seg_piece *piece, const struct read_job *job)
{
    const struct seg_ref ref = ref_of(&s->source, piece->object);
    struct read_job sub = {.object = piece->object,
                           .len = &s->len,
                           .cancel = job->cancel,
                           .err = job->err,
                           .area = &s->area,
                           .onward = job->onward};
    s->area = NULL;
    s->object = piece->object;
    s->at.key = r->key;
    int rc = reader_read_source(&s->at, &ref, &sub);
    s->at.key = NULL;
    if (rc)
        s->area = NULL;
    return rc;
}

static int copy(void *arg, const struct seg_source *from, const struct seg_piece *piece, uint8_t *to,
                struct errtext *err)
{
    const struct copying *c = arg;
    struct reader *r = c->r;
    int rc = 0;
    struct slot *s = slot_of(r, from);
    s->used = ++r->sources->blocks;
    if (c->job->onward && r->eng->workers)
        fetch_ahead(r, from, c->job->object);
    if (!s->area || s->object != piece->object)
        rc = read_record(r, s, piece, c->job);
    if (!rc && (piece->offset > s->len || piece->length > s->len - piece->offset))
        rc = errtext_set(err, -EBADMSG, "it has no bytes %u to %u of object %llu", piece->offset,
                         piece->offset + piece->length, (unsigned long long)piece->object);
    if (!rc) {
        memcpy(to, s->area + piece->offset, piece->length);
        return 0;
    }
    struct errtext why = *err;
    char name[SEG_NAME_SIZE];
    seg_id_format(&from->id, name);
    r->source_failed = true;
    return errtext_set(err, rc, "block %llu is a copy out of cartridge %s, segment %s: %.300s",
                       (unsigned long long)c->job->object, from->barcode, name, why.text);
}

int reader_open_pieces(struct reader *r, const struct read_job *job, const struct seg_record *d, const uint8_t *rec)
{
    struct seg_pieced p;
    struct copying c = {r, job};
    if (!sources_of(r))
        return errtext_set(job->err, -ENOMEM, "block %llu: out of memory", (unsigned long long)job->object);
    int rc = seg_pieces_open(d, rec, r->cartridge, r->key, &r->scratch, &p, job->err);
    if (rc)
        return rc;
    uint8_t *to = job->buf, *block = to && job->room >= p.length ? to : malloc(p.length);
    if (!block)
        return errtext_set(job->err, -ENOMEM, "block %llu: out of memory", (unsigned long long)job->object);
    rc = seg_pieces_make(&p, copy, &c, block, job->err);
    if (!rc && block != to && to)
        memcpy(to, block, job->room);
    if (block != to)
        free(block);
    return rc;
}
