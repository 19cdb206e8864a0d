/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_list.c: see chunk_list.h. */
#include "vtl/format/chunk_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"

/* An entry: id, length of the chunk, from, number of runs; then the runs: object, count, offset, length. */
enum { ENTRY_SIZE = SEG_CHUNK_ID + 12, RUN_SIZE = 16, AT_LENGTH = SEG_CHUNK_ID, AT_FROM = 36, AT_RUNS = 40 };

/* ---- making a list ---- */

struct chunk_list {
    uint64_t first;
    uint8_t *buf;
    size_t len, room;
    /* The entry that may still grow: where it begins, and its last run as it will be stored. */
    bool open;
    size_t entry;
    uint32_t got, n_runs, n; /* n: entries that are closed */
    struct chunk_run last;
};

struct chunk_list *chunk_list_new(uint64_t first_object)
{
    struct chunk_list *l = calloc(1, sizeof(*l));
    if (l)
        l->first = first_object;
    return l;
}

void chunk_list_free(struct chunk_list *l)
{
    if (!l)
        return;
    free(l->buf);
    free(l);
}

static int reserve(struct chunk_list *l, size_t more)
{
    if (l->len + more > CHUNK_LIST_MAX)
        return -EFBIG;
    if (l->len + more <= l->room)
        return 0;
    size_t room = l->room ? 2 * l->room : 8192;
    uint8_t *p = realloc(l->buf, room); /* more is far less than what it grows by */
    if (!p)
        return -ENOMEM;
    l->buf = p;
    l->room = room;
    return 0;
}

static void put_run(uint8_t *p, const struct chunk_run *r)
{
    put_le32(p, (uint32_t)r->object);
    put_le32(p + 4, r->count);
    put_le32(p + 8, r->offset);
    put_le32(p + 12, r->length);
}

/* Nothing more is appended to the entry: its last run is stored, or all of it taken back. */
static void close_entry(struct chunk_list *l)
{
    if (!l->open)
        return;
    l->open = false;
    if (l->got < CHUNK_MIN_PART && l->got < get_le32(l->buf + l->entry + AT_LENGTH)) {
        l->len = l->entry;
        return;
    }
    put_run(l->buf + l->len - RUN_SIZE, &l->last);
    put_le32(l->buf + l->entry + AT_RUNS, l->n_runs);
    l->n++;
}

static bool is_possible(const struct seg_chunk_part *p)
{
    return p->length && p->chunk_length <= CHUNK_MAX_LENGTH && p->from < p->chunk_length &&
           p->length <= p->chunk_length - p->from && p->length <= TAPE_MAX_BLOCK &&
           p->offset <= TAPE_MAX_BLOCK - p->length;
}

static bool goes_on(const struct chunk_list *l, const struct seg_chunk_part *p)
{
    if (!l->open)
        return false;
    const uint8_t *e = l->buf + l->entry;
    return l->n_runs < CHUNK_MAX_RUNS && !memcmp(e, p->id, SEG_CHUNK_ID) &&
           get_le32(e + AT_LENGTH) == p->chunk_length && get_le32(e + AT_FROM) + l->got == p->from;
}

static int begin_entry(struct chunk_list *l, const struct chunk_run *r, const struct seg_chunk_part *p)
{
    close_entry(l);
    int rc = reserve(l, ENTRY_SIZE + RUN_SIZE);
    if (rc)
        return rc;
    uint8_t *e = l->buf + l->len;
    memcpy(e, p->id, SEG_CHUNK_ID);
    put_le32(e + AT_LENGTH, p->chunk_length);
    put_le32(e + AT_FROM, p->from);
    l->entry = l->len;
    l->len += ENTRY_SIZE + RUN_SIZE;
    l->open = true;
    l->n_runs = 1;
    l->got = p->length;
    l->last = *r;
    return 0;
}

/* Can the last run take this one in? */
static bool join(struct chunk_run *last, const struct chunk_run *r)
{
    if (last->count == 1 && r->object == last->object && r->offset == last->offset + last->length) {
        last->length += r->length;
        return true;
    }
    if (r->object == last->object + last->count && r->offset == last->offset && r->length == last->length) {
        last->count++;
        return true;
    }
    return false;
}

static int continue_entry(struct chunk_list *l, const struct chunk_run *r)
{
    if (!join(&l->last, r)) {
        int rc = reserve(l, RUN_SIZE);
        if (rc) {
            close_entry(l); /* the part so far is one, too */
            return rc;
        }
        put_run(l->buf + l->len - RUN_SIZE, &l->last);
        l->len += RUN_SIZE;
        l->n_runs++;
        l->last = *r;
    }
    l->got += r->length;
    return 0;
}

int chunk_list_add(struct chunk_list *l, uint64_t object, const struct seg_chunk_part *parts, size_t n)
{
    int first_rc = 0;
    if (object < l->first || object - l->first > UINT32_MAX)
        return n ? -EINVAL : 0;
    for (size_t i = 0; i < n; i++) {
        const struct seg_chunk_part *p = &parts[i];
        const struct chunk_run r = {object - l->first, 1, p->offset, p->length};
        int rc = !is_possible(p) ? -EINVAL : goes_on(l, p) ? continue_entry(l, &r) : begin_entry(l, &r, p);
        if (rc && !first_rc)
            first_rc = rc;
    }
    return first_rc;
}

const void *chunk_list_bytes(struct chunk_list *l, size_t *len)
{
    close_entry(l);
    *len = l->len;
    return l->buf;
}

size_t chunk_list_size(const struct chunk_list *l)
{
    return l->len;
}

uint32_t chunk_list_count(struct chunk_list *l)
{
    close_entry(l);
    return l->n;
}

/* ---- reading one ---- */

void chunk_entry_run(const struct chunk_entry *e, uint32_t i, uint64_t first_object, struct chunk_run *out)
{
    const uint8_t *p = e->runs + (size_t)i * RUN_SIZE;
    *out = (struct chunk_run){first_object + get_le32(p), get_le32(p + 4), get_le32(p + 8), get_le32(p + 12)};
}

/* The length of the part, or 0: its runs are not possible. */
static uint32_t runs_length(const struct chunk_entry *e)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < e->n_runs; i++) {
        struct chunk_run r;
        chunk_entry_run(e, i, 0, &r);
        if (!r.count || !r.length || r.length > TAPE_MAX_BLOCK || r.offset > TAPE_MAX_BLOCK - r.length ||
            r.object + r.count - 1 > UINT32_MAX)
            return 0;
        sum += (uint64_t)r.count * r.length;
        if (sum > e->chunk_length - e->from)
            return 0;
    }
    return (uint32_t)sum;
}

int chunk_list_next(const void *list, size_t len, size_t *at, struct chunk_entry *out)
{
    if (*at == len)
        return 0;
    if (*at > len || len - *at < ENTRY_SIZE)
        return -EBADMSG;
    const uint8_t *p = (const uint8_t *)list + *at;
    *out = (struct chunk_entry){.id = p,
                                .chunk_length = get_le32(p + AT_LENGTH),
                                .from = get_le32(p + AT_FROM),
                                .n_runs = get_le32(p + AT_RUNS),
                                .runs = p + ENTRY_SIZE};
    if (out->n_runs > CHUNK_MAX_RUNS || out->n_runs > (len - *at - ENTRY_SIZE) / RUN_SIZE ||
        out->chunk_length > CHUNK_MAX_LENGTH || out->from >= out->chunk_length)
        return -EBADMSG;
    out->length = runs_length(out);
    *at += ENTRY_SIZE + (size_t)out->n_runs * RUN_SIZE;
    return out->length ? 1 : -EBADMSG;
}

/* ---- where a chunk was found ---- */

static int reserve_runs(struct chunk_places *p, size_t more)
{
    if (p->n_runs + more <= p->room)
        return 0;
    size_t room = p->n_runs + more + 8;
    struct chunk_run *runs = realloc(p->runs, room * sizeof(*runs));
    if (!runs)
        return -ENOMEM;
    p->runs = runs;
    p->room = room;
    return 0;
}

/* The runs of a place that another one takes go: lists that name one chunk over and over must not fill the memory. */
static void drop_runs(struct chunk_places *p, const struct chunk_place *gone)
{
    size_t behind = gone->run + gone->n_runs;
    memmove(p->runs + gone->run, p->runs + behind, (p->n_runs - behind) * sizeof(*p->runs));
    p->n_runs -= gone->n_runs;
    for (unsigned i = 0; i < p->n; i++)
        if (p->place[i].run >= behind)
            p->place[i].run -= gone->n_runs;
}

int chunk_places_add(struct chunk_places *p, const struct seg_source *s, uint64_t first_object,
                     const struct chunk_entry *e)
{
    unsigned at = p->n;
    if (at == CHUNK_MAX_PLACES) {
        at = 0;
        for (unsigned i = 1; i < CHUNK_MAX_PLACES; i++)
            if (p->place[i].length < p->place[at].length)
                at = i;
        if (p->place[at].length >= e->length)
            return 0;
    }
    int rc = reserve_runs(p, e->n_runs);
    if (rc)
        return rc;
    if (at < p->n)
        drop_runs(p, &p->place[at]);
    p->place[at] = (struct chunk_place){*s, e->from, e->length, p->n_runs, e->n_runs};
    for (uint32_t i = 0; i < e->n_runs; i++)
        chunk_entry_run(e, i, first_object, &p->runs[p->n_runs++]);
    p->n += at == p->n;
    return 0;
}

void chunk_places_free(struct chunk_places *p)
{
    free(p->runs);
    *p = (struct chunk_places){0};
}

bool chunk_places_cover(const struct chunk_places *p, uint32_t length)
{
    uint32_t to = 0;
    for (bool grew = true; grew && to < length;) {
        grew = false;
        for (unsigned i = 0; i < p->n; i++)
            if (p->place[i].from <= to && p->place[i].from + p->place[i].length > to) {
                to = p->place[i].from + p->place[i].length;
                grew = true;
            }
    }
    return to >= length;
}
