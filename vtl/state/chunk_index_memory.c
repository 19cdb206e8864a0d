/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_index_memory.c: lists of chunks in memory, the least recently used of which go. */
#include "vtl/state/chunk_index_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/le.h"

#define ROW_BUCKETS 4096u
#define ALLOCATION 16u /* what malloc adds */

struct ref {                  /* an entry of a list */
    struct ref *next, **self; /* in its bucket */
    struct list *list;
    size_t at; /* where in the list it begins */
};

struct list {
    struct list *next;          /* in its bucket, by row */
    struct list *newer, *older; /* use */
    struct chunk_row row;       /* list: this one's */
    uint64_t size;
    bool was_found;       /* something in it */
    uint64_t avoid_until; /* clock_ms(); 0: it is not avoided */
    size_t n;
    struct ref refs[];
};

struct chunk_memory {
    uint64_t most, bytes;
    size_t n_buckets; /* a power of 2 */
    struct ref **bucket;
    struct list *by_row[ROW_BUCKETS];
    struct list *newest, *oldest;
};

struct chunk_memory *chunk_memory_new(uint64_t most)
{
    struct chunk_memory *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->most = most;
    /* An entry and what is here of it are 120 bytes: about two of them in each bucket. */
    for (m->n_buckets = 256; m->n_buckets * 256 < most;)
        m->n_buckets *= 2;
    m->bucket = calloc(m->n_buckets, sizeof(struct ref *));
    m->bytes = sizeof(*m) + m->n_buckets * sizeof(struct ref *);
    if (m->bucket)
        return m;
    free(m);
    return NULL;
}

/* Ids are as good as drawn. */
static struct ref **bucket_of(const struct chunk_memory *m, const uint8_t *id)
{
    return &m->bucket[get_le32(id) & (m->n_buckets - 1)];
}

static struct list *find_row(const struct chunk_memory *m, int64_t row)
{
    struct list *l = m->by_row[(uint64_t)row % ROW_BUCKETS];
    while (l && l->row.row != row)
        l = l->next;
    return l;
}

bool chunk_memory_has(const struct chunk_memory *m, int64_t row)
{
    return find_row(m, row) != NULL;
}

static void unlink_use(struct chunk_memory *m, struct list *l)
{
    *(l->newer ? &l->newer->older : &m->newest) = l->older;
    *(l->older ? &l->older->newer : &m->oldest) = l->newer;
}

static void link_use(struct chunk_memory *m, struct list *l)
{
    l->newer = NULL;
    l->older = m->newest;
    *(l->older ? &l->older->newer : &m->oldest) = l;
    m->newest = l;
}

static void drop(struct chunk_memory *m, struct list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct ref *r = &l->refs[i];
        *r->self = r->next;
        if (r->next)
            r->next->self = r->self;
    }
    struct list **p = &m->by_row[(uint64_t)l->row.row % ROW_BUCKETS];
    while (*p != l)
        p = &(*p)->next;
    *p = l->next;
    unlink_use(m, l);
    m->bytes -= l->size;
    free((void *)(uintptr_t)l->row.list);
    free(l);
}

void chunk_memory_drop(struct chunk_memory *m, int64_t row)
{
    struct list *l = find_row(m, row);
    if (l)
        drop(m, l);
}

void chunk_memory_drop_all(struct chunk_memory *m)
{
    for (struct list *l = m->newest, *older; l; l = older) {
        older = l->older;
        m->bytes -= l->size;
        free((void *)(uintptr_t)l->row.list);
        free(l);
    }
    m->newest = m->oldest = NULL;
    memset(m->by_row, 0, sizeof(m->by_row));
    memset(m->bucket, 0, m->n_buckets * sizeof(struct ref *));
}

void chunk_memory_free(struct chunk_memory *m)
{
    if (!m)
        return;
    chunk_memory_drop_all(m);
    free(m->bucket);
    free(m);
}

/* A run of one byte, of gigabytes perhaps, is one chunk again and again. */
struct repeats {
    const uint8_t *id;
    unsigned n;
};

/* Of one chunk in a row, no more are of use than there are places. */
static bool is_of_use(struct repeats *r, const struct chunk_entry *e)
{
    bool again = r->id && !memcmp(r->id, e->id, SEG_CHUNK_ID);
    *r = (struct repeats){e->id, again ? r->n + 1 : 1};
    return r->n <= CHUNK_MAX_PLACES;
}

static int count_entries(const struct chunk_row *r, size_t *n)
{
    struct chunk_entry e;
    struct repeats repeats = {.n = 0};
    size_t at = 0;
    int rc;
    for (*n = 0; (rc = chunk_list_next(r->list, r->len, &at, &e)) > 0;)
        *n += is_of_use(&repeats, &e);
    return rc;
}

/* In order, so that of entries of one chunk the last is found first. */
static void link_entries(struct chunk_memory *m, struct list *l)
{
    struct chunk_entry e;
    struct repeats repeats = {.n = 0};
    size_t at = 0;
    for (size_t i = 0; i < l->n;) {
        size_t begins = at;
        (void)chunk_list_next(l->row.list, l->row.len, &at, &e);
        if (!is_of_use(&repeats, &e))
            continue;
        struct ref *r = &l->refs[i++], **b = bucket_of(m, e.id);
        *r = (struct ref){*b, b, l, begins};
        if (*b)
            (*b)->self = &r->next;
        *b = r;
    }
}

int chunk_memory_add(struct chunk_memory *m, const struct chunk_row *r)
{
    size_t n;
    int rc = count_entries(r, &n);
    if (rc)
        return rc;
    chunk_memory_drop(m, r->row);
    uint64_t size = sizeof(struct list) + n * sizeof(struct ref) + r->len + 2 * (uint64_t)ALLOCATION;
    for (struct list *l = m->oldest, *newer; l && m->bytes + size > m->most; l = newer) {
        newer = l->newer;
        drop(m, l);
    }
    struct list *l = malloc(sizeof(*l) + n * sizeof(l->refs[0]));
    void *copy = malloc(r->len ? r->len : 1);
    if (!l || !copy) {
        free(l);
        free(copy);
        return -ENOMEM;
    }
    memcpy(copy, r->list, r->len);
    struct list **p = &m->by_row[(uint64_t)r->row % ROW_BUCKETS];
    *l = (struct list){.next = *p, .row = *r, .size = size, .n = n};
    l->row.list = copy;
    *p = l;
    link_use(m, l);
    link_entries(m, l);
    m->bytes += size;
    return 0;
}

void chunk_memory_find(struct chunk_memory *m, const uint8_t id[SEG_CHUNK_ID], uint32_t length,
                       struct chunk_places *out, const struct chunk_row **fresh)
{
    for (struct ref *r = *bucket_of(m, id); r; r = r->next) {
        struct list *l = r->list;
        struct chunk_entry e;
        size_t at = r->at;
        if (l->avoid_until && clock_ms() < l->avoid_until)
            continue;
        if (memcmp((const uint8_t *)l->row.list + at, id, SEG_CHUNK_ID) != 0 ||
            chunk_list_next(l->row.list, l->row.len, &at, &e) <= 0 || e.chunk_length != length)
            continue;
        (void)chunk_places_add(out, &l->row.s, l->row.first_object, &e); /* out of memory: not found */
        unlink_use(m, l);
        link_use(m, l);
        if (fresh && !l->was_found && !*fresh) {
            l->was_found = true;
            *fresh = &l->row;
        }
    }
}

/* Rare: whoever is refused a source remembers it himself. */
void chunk_memory_avoid(struct chunk_memory *m, const struct seg_source *s, uint64_t until_ms)
{
    for (struct list *l = m->newest; l; l = l->older)
        if (seg_source_same(&l->row.s, s))
            l->avoid_until = until_ms;
}

uint64_t chunk_memory_bytes(const struct chunk_memory *m)
{
    return m->bytes;
}
