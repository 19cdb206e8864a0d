/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz_planner.c: what a host writes, as orders: streams of chunks with anything wrong in them. Whatever it is, the pieces
 * of each block are the block. */
#include "base/le.h"
#include "tests/fuzz/fuzz.h"
#include "vtl/dedup/planner.h"

enum { BLOCKS = 400, SEGMENTS = 8, MOST = 20000 };

static struct {
    struct planner *p;
    struct input in;
    uint64_t object, expected, bytes;
    uint8_t *literals[BLOCKS];
    uint32_t length[BLOCKS];
    struct seg_source seg[SEGMENTS];
    struct chunk_list *list[SEGMENTS];
    uint64_t first[SEGMENTS];
    unsigned n;
    uint8_t refused;
    uint8_t *buf; /* the block that is being made */
    uint32_t used, size, number;
} f;

static void find(void *arg, const uint8_t id[SEG_CHUNK_ID], uint32_t length, bool again, struct chunk_places *out)
{
    (void)arg;
    (void)again;
    for (unsigned i = 0; i + 1 < f.n; i++) {
        size_t len, at = 0;
        const void *list = chunk_list_bytes(f.list[i], &len);
        struct chunk_entry e;
        while (chunk_list_next(list, len, &at, &e) > 0)
            if (e.chunk_length == length && !memcmp(e.id, id, SEG_CHUNK_ID))
                must(!chunk_places_add(out, &f.seg[i], f.first[i], &e));
    }
}

static bool may_use(void *arg, const struct seg_source *s)
{
    (void)arg;
    return !(f.refused >> (s->crc - 1) & 1);
}

static void begin_segment(uint64_t object)
{
    if (f.n == SEGMENTS)
        return;
    f.seg[f.n] = (struct seg_source){.id = {1, 1, f.n + 1}, .crc = f.n + 1, .size = 5000};
    f.first[f.n] = object;
    f.list[f.n] = chunk_list_new(object);
    must(f.list[f.n]);
    f.n++;
}

static void check(const struct plan *x)
{
    uint32_t at = 0, lit = 0, copied = 0;
    must(x->object == f.expected++);
    uint8_t *own = exactly(x->len);
    for (size_t i = 0; i < x->n_pieces; i++) {
        const struct seg_piece *c = &x->pieces[i];
        must(c->length && c->length <= x->len - at);
        if (c->source == SEG_LITERAL) {
            memcpy(own + lit, (const uint8_t *)x->data + at, c->length);
            lit += c->length;
        } else {
            must(c->source < x->n_sources && c->object < x->object);
            must(c->offset <= f.length[c->object] && c->length <= f.length[c->object] - c->offset);
            must(!memcmp(f.literals[c->object] + c->offset, (const uint8_t *)x->data + at, c->length));
            copied += c->length;
        }
        at += c->length;
    }
    must(x->n_pieces ? at == x->len && copied == x->copied : !x->copied);
    if (!x->n_pieces)
        memcpy(own, x->data, lit = x->len);
    f.literals[x->object] = own;
    f.length[x->object] = lit;
    must(!chunk_list_add(f.list[f.n - 1], x->object, x->parts, x->n_parts));
}

static void take(bool drain)
{
    struct plan x;
    while (planner_next(f.p, drain, &x)) {
        check(&x);
        free(x.handle);
        planner_pop(f.p);
    }
}

static void push(const uint8_t *data, uint32_t len)
{
    if (f.object == BLOCKS || f.bytes > (2u << 20))
        return;
    uint8_t *b = exactly(len);
    memcpy(b, data, len);
    f.bytes += len;
    must(!planner_push(f.p, b, f.object++, b, len));
    if (f.object % 3) /* now and then somebody has time to help */
        while (planner_help(f.p))
            continue;
    take(false);
}

static void flush(uint8_t flags, uint32_t size)
{
    static const uint8_t magic[8] = {0xDC, 0xBD, 0xAF, 0xCA, 0xEB, 0xA0, 0xA5, 0x28};
    memcpy(f.buf, magic, 8);
    put_le32(f.buf + 8, flags | size << 8);
    put_le32(f.buf + 12, f.number++);
    push(f.buf, f.size);
    f.used = 0;
}

static void payload(const uint8_t *p, size_t n)
{
    while (n) {
        uint32_t room = f.size - 16 - f.used, m = n < room ? (uint32_t)n : room;
        memcpy(f.buf + 16 + f.used, p, m);
        f.used += m;
        p += m;
        n -= m;
        if (f.used == f.size - 16)
            flush(0, f.used);
    }
}

static void begin_stream(void)
{
    uint8_t h[48] = {0x63, 0xEE, 0x14, 0x9F, 0xCD, 0xF2, 0x9B, 0x0C};
    f.size = 17 + take16(&f.in) % 12000;
    f.used = f.number = 0;
    h[40] = take8(&f.in) % 4;
    payload(h, sizeof(h));
    payload((const uint8_t *)"abcd", h[40]);
}

/* One of eight contents; the size is that or anything. */
static void entry(bool lie)
{
    static uint8_t blob[MOST];
    uint8_t what = take8(&f.in) % 8, h[48] = {0x48, 0x57, 0x6D, 0xF2, 0xDE, 0x42, 0x8F, 0xDC};
    uint64_t size = 3000 + what * 2000u, told = size;
    if (lie)
        told = (uint64_t)take16(&f.in) << take8(&f.in) % 64;
    put_le64(h + 40, told);
    for (size_t i = 0; i < size; i++)
        blob[i] = (uint8_t)((i * (what + 3u)) >> 3);
    payload(h, sizeof(h));
    payload(blob, size);
}

static void any_block(void)
{
    uint8_t b[64];
    uint32_t n = 1 + take8(&f.in) % sizeof(b);
    take_bytes(&f.in, b, n);
    push(b, n);
}

/* As of another program: long enough to be cut. */
static void long_block(void)
{
    uint32_t x = take8(&f.in) % 4 + 1u, n = 40000 + take8(&f.in) * 100u;
    uint8_t *b = exactly(n);
    for (uint32_t i = 0; i < n; i++)
        b[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
    push(b, n);
    free(b);
}

static void order(void)
{
    switch (take8(&f.in) % 12) {
    case 0:
        return begin_stream();
    case 1:
        return entry(true);
    case 2:
        return any_block();
    case 3:
        return planner_reset(f.p);
    case 4:
        return take(true);
    case 5:
        return flush(take8(&f.in), take8(&f.in) % 2 ? f.used : take16(&f.in));
    case 6:
        f.number += take8(&f.in) % 3;
        return;
    case 7:
        f.refused = take8(&f.in);
        return;
    case 8:
        take(true);
        return begin_segment(f.expected);
    case 9:
        return long_block();
    default:
        return entry(false);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct planner_ops ops = {find, may_use};
    memset(&f, 0, sizeof(f));
    f.in = (struct input){data, size};
    struct planner_config c = {.window = 1000 + take16(&f.in), .sight = 1 + take8(&f.in) % 8};
    uint8_t fair = take8(&f.in);
    c.fair = fair % 100;
    c.cut = fair >= 200;
    c.window += c.cut ? 1u << 20 : 0;
    f.buf = exactly(32768);
    f.p = planner_new(&c, &ops, NULL);
    must(f.p);
    f.size = 1000;
    begin_segment(0);
    begin_stream();
    while (f.in.left)
        order();
    take(true);
    must(f.expected == f.object && !planner_held(f.p));
    planner_free(f.p);
    for (size_t i = 0; i < BLOCKS; i++)
        free(f.literals[i]);
    for (unsigned i = 0; i < f.n; i++)
        chunk_list_free(f.list[i]);
    free(f.buf);
    return 0;
}
