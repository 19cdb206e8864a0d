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
#define LOOK_AHEAD 2048 /* records of the own segment in which the next sources are looked for */

struct slot {
    struct reader at; /* of the source; at.c: the cartridge that copies */
    struct seg_source source;
    const uint8_t *area; /* the literal area of the record of object, in at; NULL: none */
    uint64_t object;
    uint32_t len;
    uint64_t used; /* when, in blocks */
};

struct reader_sources {
    struct slot slots[OPEN_SOURCES];
    uint64_t blocks;
    struct seg_source asked[FETCH_AHEAD_MOST]; /* by the last prefetch, in the order in which they are needed */
    size_t n_asked;
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

/* Where in the last prefetch it is; n_asked: nowhere. */
static size_t place_in(const struct reader_sources *a, const struct seg_source *s)
{
    size_t i = 0;
    while (i < a->n_asked && !seg_source_same(&a->asked[i], s))
        i++;
    return i;
}

static void ask(struct reader *r, const struct seg_source *s, uint64_t object)
{
    struct reader_sources *a = r->sources;
    if (place_in(a, s) < a->n_asked)
        return;
    const struct seg_ref ref = ref_of(s, object);
    workers_fetch(r->eng->workers, r->c, s->barcode, &ref, 0, (unsigned)a->n_asked);
    a->asked[a->n_asked++] = *s;
}

/* The sources of one record of the own segment. False: it cannot be had now. */
static bool ask_for_record(struct reader *r, size_t most, struct seg_scratch *scratch, uint64_t object)
{
    struct seg_record d;
    struct seg_pieced p;
    uint64_t offset = 0;
    uint32_t size = 0;
    uint8_t rec[READER_PEEK];
    if (seg_index_find(r->index, object, &offset, &size))
        return false;
    if (size > sizeof(rec))
        return true; /* mostly its own bytes, or a filemark */
    if (reader_pread(r->fd, rec, size, offset) || seg_record_decode(rec, size, &d, NULL))
        return false;
    if (d.type != SEG_BLOCK || !(d.flags & SEG_PIECES) ||
        seg_pieces_open(&d, rec, r->cartridge, r->key, scratch, &p, NULL))
        return true;
    for (uint32_t i = 0; i < p.n_sources && r->sources->n_asked < most; i++) {
        struct seg_source s;
        seg_pieced_source(&p, i, &s);
        ask(r, &s, object);
    }
    return true;
}

/* A sequential read has come to the second half of what was asked for: now those that follow, as the records behind this
 * one name them. The own segment is a file then: it is small, and fetched whole. */
static void fetch_ahead(struct reader *r, const struct seg_source *now, uint64_t object)
{
    struct seg_scratch scratch = {0};
    size_t most = (size_t)reader_ahead_now(r) + 1;
    if (2 * place_in(r->sources, now) < r->sources->n_asked)
        return;
    most = most > FETCH_AHEAD_MOST ? FETCH_AHEAD_MOST : most;
    r->sources->n_asked = 0;
    ask(r, now, object);
    for (uint64_t i = 1; r->index && r->fd >= 0 && r->sources->n_asked < most && i < LOOK_AHEAD; i++)
        if (!ask_for_record(r, most, &scratch, object + i))
            break;
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
