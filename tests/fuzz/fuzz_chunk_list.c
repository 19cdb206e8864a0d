/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz_chunk_list.c: any bytes as a list of chunks, and any parts added to one. */
#include "tests/fuzz/fuzz.h"
#include "vtl/format/chunk_list.h"

/* What an entry says of itself holds, and places take it. */
static void check_entry(const struct chunk_entry *e, struct chunk_places *p)
{
    const struct seg_source s = {.crc = 1};
    uint64_t sum = 0;
    must(e->length && e->length <= e->chunk_length - e->from && e->n_runs && e->n_runs <= CHUNK_MAX_RUNS);
    for (uint32_t i = 0; i < e->n_runs; i++) {
        struct chunk_run r;
        chunk_entry_run(e, i, 5, &r);
        must(r.count && r.length && r.offset + r.length <= TAPE_MAX_BLOCK);
        sum += (uint64_t)r.count * r.length;
    }
    must(sum == e->length);
    must(!chunk_places_add(p, &s, 5, e));
    must(p->n <= CHUNK_MAX_PLACES);
}

static size_t read_list(const uint8_t *list, size_t len, bool good)
{
    struct chunk_places p = {0};
    struct chunk_entry e;
    size_t at = 0, n = 0;
    int rc;
    while ((rc = chunk_list_next(list, len, &at, &e)) > 0) {
        check_entry(&e, &p);
        n++;
    }
    must(!good || !rc);
    (void)chunk_places_cover(&p, 100000);
    chunk_places_free(&p);
    return n;
}

static void make_list(struct input *in)
{
    struct chunk_list *l = chunk_list_new(take8(in));
    size_t len, parts = 0;
    uint64_t object = 0;
    must(l);
    while (in->left) {
        struct seg_chunk_part p = {.chunk_length = take16(in) * 16u, .from = take16(in), .offset = take16(in)};
        p.length = take16(in);
        p.id[0] = take8(in) % 3;
        object += take8(in) % 3;
        int rc = chunk_list_add(l, object, &p, 1);
        parts += !rc;
    }
    const void *list = chunk_list_bytes(l, &len);
    size_t n = read_list(list, len, true);
    must(n <= parts && n == chunk_list_count(l));
    chunk_list_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    if (take8(&in) % 2) {
        make_list(&in);
        return 0;
    }
    uint8_t *p = exactly(in.left);
    memcpy(p, in.p, in.left);
    (void)read_list(p, in.left, false);
    free(p);
    return 0;
}
