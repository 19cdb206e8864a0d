/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz_map.c: any bytes as a map, and two of them behind each other. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mend.h"
#include "vtl/format/head.h"

static bool same_index(const struct tape_index *a, const struct tape_index *b)
{
    if (a->n_segs != b->n_segs || a->n_fms != b->n_fms || tape_index_end_object(a) != tape_index_end_object(b))
        return false;
    for (size_t i = 0; i < a->n_segs; i++)
        if (seg_id_compare(&a->segs[i].id, &b->segs[i].id) || a->segs[i].first_object != b->segs[i].first_object ||
            a->segs[i].objects != b->segs[i].objects || a->segs[i].size != b->segs[i].size ||
            a->segs[i].crc != b->segs[i].crc)
            return false;
    for (size_t i = 0; i < a->n_fms; i++)
        if (a->fms[i].object != b->fms[i].object || a->fms[i].count != b->fms[i].count)
            return false;
    return true;
}

/* What an index says of itself agrees. */
static void check_index(const struct tape_index *x)
{
    uint64_t end = tape_index_end_object(x), fm, object;
    size_t at;
    must(tape_index_end_file(x) <= end && tape_index_file_of(x, end) == tape_index_end_file(x));
    for (size_t i = 0; i < x->n_segs; i++) {
        must(tape_index_segment(x, x->segs[i].first_object, &at) && at == i);
        must(tape_index_file_of(x, x->segs[i].first_object) == x->segs[i].first_file);
    }
    for (size_t i = 0; i < x->n_fms; i++) {
        must(tape_index_is_filemark(x, x->fms[i].object));
        must(tape_index_next_filemark(x, x->fms[i].object, &fm) && fm == x->fms[i].object);
        must(tape_index_prev_filemark(x, x->fms[i].object + 1, &fm) && fm == x->fms[i].object);
        must(tape_index_file_start(x, x->fms[i].file + 1, &object) && object == x->fms[i].object + 1);
    }
}

static void decode(const uint8_t *p, size_t n)
{
    struct tape_index x, back;
    struct errtext err = {""};
    const struct seg_id id = {.epoch = 1, .writer = 2, .number = 3};
    uint8_t cartridge[16] = {0};
    void *buf = NULL;
    size_t len = 0;
    if (n >= 32)
        memcpy(cartridge, p + 16, 16);
    tape_index_init(&x);
    tape_index_init(&back);
    int rc = map_decode(p, n, cartridge, &x, &err);
    must(rc ? !x.n_segs && err.text[0] : x.n_segs > 0);
    if (!rc) {
        check_index(&x);
        must(!map_encode(cartridge, &id, &x, 0, x.n_segs, &buf, &len));
        must(!map_decode(buf, len, cartridge, &back, &err) && same_index(&x, &back));
        /* A second time it does not join, and nothing changes. */
        must(map_decode(buf, len, cartridge, &back, &err) && same_index(&x, &back));
        tape_index_truncate(&back, tape_index_end_object(&x) / 2);
        check_index(&back);
        free(buf);
    }
    tape_index_free(&x);
    tape_index_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    bool mended = take8(&in);
    uint8_t *p = exactly(in.left);
    memcpy(p, in.p, in.left);
    if (mended)
        mend_map(p, in.left);
    decode(p, in.left);
    free(p);
    return 0;
}
