/* SPDX-License-Identifier: GPL-2.0-or-later */
/* archives.c: chunk archives, snapshots and catalogs: written, and read with every byte compared. */
#include "tests/pbs/archives.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"

const uint8_t magic_chunks[8] = {0x6D, 0x31, 0x63, 0x6D, 0xD7, 0x02, 0x83, 0xBF};
const uint8_t magic_snapshot[8] = {0xDA, 0x16, 0x15, 0xD0, 0x11, 0xE2, 0x9A, 0x62};
const uint8_t magic_catalog[8] = {0xB3, 0xEC, 0x71, 0xF0, 0xAD, 0xEC, 0x02, 0x60};
static const uint8_t magic_chunk[8] = {0x48, 0x57, 0x6D, 0xF2, 0xDE, 0x42, 0x8F, 0xDC};

enum { CHUNK_MIN = 32768, CHUNK_SPREAD = 524288, CHUNK_HEADER = 48, BLOB = 400000, ENTRY = 33 };

/* ---- content that its number tells ---- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ x >> 27) * 0x94D049BB133111EBull;
    return x ^ x >> 31;
}

static size_t chunk_length(uint64_t n)
{
    return CHUNK_MIN + mix(n * 3 + 1) % CHUNK_SPREAD;
}

/* Every fifth compresses well; the others not at all, as PBS's own compressed chunks. */
static void make_content(uint8_t *p, size_t len, uint64_t n)
{
    uint64_t x = mix(n + 77);
    for (size_t i = 0; i < len; i += 8) {
        uint8_t word[8];
        put_le64(word, n % 5 ? mix(x + i) : x + (i >> 12));
        memcpy(p + i, word, len - i < 8 ? len - i : 8);
    }
}

static void make_digest(uint8_t digest[32], uint64_t n)
{
    for (uint64_t i = 0; i < 4; i++)
        put_le64(digest + 8 * i, i ? mix(n * 4 + i) : n);
}

static void chunk_header(uint8_t h[CHUNK_HEADER], uint64_t n)
{
    memcpy(h, magic_chunk, 8);
    make_digest(h + 8, n);
    put_le64(h + 40, chunk_length(n));
}

/* ---- writing ---- */

static bool put_chunk(struct writer *w, uint64_t n)
{
    uint8_t h[CHUNK_HEADER], *p = malloc(CHUNK_MIN + CHUNK_SPREAD);
    size_t len = chunk_length(n);
    chunk_header(h, n);
    make_content(p, len, n);
    bool good = writer_put(w, h, sizeof(h)) && writer_put(w, p, len);
    free(p);
    return good;
}

static bool finish(struct writer *w, bool good, bool incomplete, bool *leom)
{
    if (!good) {
        writer_drop(w);
        return false;
    }
    good = writer_close(w, incomplete);
    *leom |= w->leom;
    return good;
}

bool chunks_write(struct drive *d, uint64_t *next, uint64_t end, bool *leom)
{
    struct writer w;
    TRY(writer_open(&w, d));
    w.stop = true;
    bool good = content_put(&w, magic_chunks, "{\"store\":\"tests\"}");
    /* what was being written when the warning came does not count: it is written again on the next tape */
    for (uint64_t n = *next; good && n < end && !w.leom; n++) {
        good = put_chunk(&w, n);
        if (!w.leom)
            *next = n + 1;
    }
    return finish(&w, good, false, leom);
}

static bool put_snapshot(struct writer *w, const struct entry *e)
{
    char json[100];
    uint8_t numbers[24], digest[32], *blob = malloc(BLOB);
    (void)snprintf(json, sizeof(json), "{\"snapshot\":\"vm/%llu/2026-11-23T00:00:00Z\",\"store\":\"tests\"}",
                   (unsigned long long)e->id);
    put_le64(numbers, e->id);
    put_le64(numbers + 8, e->first);
    put_le64(numbers + 16, e->count);
    make_content(blob, BLOB, ~e->id);
    bool good = content_put(w, magic_snapshot, json) && writer_put(w, numbers, sizeof(numbers));
    for (uint64_t i = 0; good && i < e->count; i++) {
        make_digest(digest, e->first + i);
        good = writer_put(w, digest, sizeof(digest));
    }
    good = good && writer_put(w, blob, BLOB);
    free(blob);
    return good;
}

bool snapshot_write(struct drive *d, const struct entry *e, bool *incomplete, bool *leom)
{
    struct writer w;
    TRY(writer_open(&w, d));
    w.stop = true;
    bool good = put_snapshot(&w, e);
    *incomplete = w.leom;
    return finish(&w, good, w.leom, leom);
}

static bool put_catalog(struct writer *w, const struct medium *of, uint64_t padding)
{
    char json[200], uuid[37], set[37];
    uint8_t b[ENTRY];
    uuid_text(of->uuid, uuid);
    uuid_text(of->set, set);
    (void)snprintf(json, sizeof(json), "{\"uuid\":\"%s\",\"media_set_uuid\":\"%s\",\"seq_nr\":%u}", uuid, set,
                   of->sequence);
    TRY(content_put(w, magic_catalog, json));
    put_le64(b, of->n);
    put_le64(b + 8, padding);
    TRY(writer_put(w, b, 16));
    for (size_t i = 0; i < of->n; i++) {
        const struct entry *e = &of->entry[i];
        b[0] = (uint8_t)e->kind;
        put_le64(b + 1, e->file);
        put_le64(b + 9, e->first);
        put_le64(b + 17, e->count);
        put_le64(b + 25, e->id);
        TRY(writer_put(w, b, sizeof(b)));
    }
    memset(b, 0x5A, sizeof(b));
    for (uint64_t i = 0; i < padding; i += sizeof(b))
        TRY(writer_put(w, b, padding - i < sizeof(b) ? padding - i : sizeof(b)));
    return true;
}

bool catalog_write(struct drive *d, const struct medium *of, uint64_t padding, bool *leom)
{
    struct writer w;
    TRY(writer_open(&w, d));
    bool good = put_catalog(&w, of, padding);
    return finish(&w, good, false, leom);
}

/* ---- reading ---- */

/* The next chunk, compared. *there false: the archive ends here, perhaps within a chunk (*cut). */
static bool get_chunk(struct reader *r, uint64_t *n, bool *there, bool *cut)
{
    uint8_t h[CHUNK_HEADER], want[CHUNK_HEADER];
    size_t got;
    *there = false;
    TRY(reader_get(r, h, sizeof(h), &got));
    *cut = got && got < sizeof(h);
    if (got < sizeof(h))
        return true;
    *n = get_le64(h + 8);
    chunk_header(want, *n);
    if (memcmp(h, want, sizeof(h)))
        return problem("a chunk's header is not as it was written (number %llx)", (unsigned long long)*n);
    size_t len = chunk_length(*n);
    uint8_t *p = malloc(len), *original = malloc(len);
    make_content(original, len, *n);
    bool good = reader_get(r, p, len, &got);
    if (good && memcmp(p, original, got))
        good = problem("chunk %llu is not as it was written", (unsigned long long)*n);
    free(p);
    free(original);
    *cut = got < len;
    *there = got == len;
    return good;
}

static bool get_chunks(struct reader *r, const struct content *c, struct found *f)
{
    bool there = true;
    if (strcmp(c->json, "{\"store\":\"tests\"}"))
        return problem("chunk archive of %s", c->json);
    f->kind = CHUNKS;
    while (there) {
        uint64_t n;
        TRY(get_chunk(r, &n, &there, &f->cut));
        if (!there)
            break;
        if (f->count && n != f->first + f->count)
            return problem("chunk %llu comes after %llu", (unsigned long long)n,
                           (unsigned long long)(f->first + f->count - 1));
        if (!f->count++)
            f->first = n;
    }
    return true;
}

static bool get_snapshot(struct reader *r, const struct content *c, struct found *f)
{
    uint8_t numbers[24], digest[32], want[32];
    char json[100];
    f->kind = SNAPSHOT;
    TRY(reader_must(r, numbers, sizeof(numbers)));
    f->id = get_le64(numbers);
    f->first = get_le64(numbers + 8);
    f->count = get_le64(numbers + 16);
    (void)snprintf(json, sizeof(json), "{\"snapshot\":\"vm/%llu/2026-11-23T00:00:00Z\",\"store\":\"tests\"}",
                   (unsigned long long)f->id);
    if (strcmp(c->json, json))
        return problem("snapshot %llu says %s", (unsigned long long)f->id, c->json);
    for (uint64_t i = 0; i < f->count; i++) {
        TRY(reader_must(r, digest, sizeof(digest)));
        make_digest(want, f->first + i);
        if (memcmp(digest, want, sizeof(digest)))
            return problem("snapshot %llu: digest %llu is wrong", (unsigned long long)f->id, (unsigned long long)i);
    }
    uint8_t *blob = malloc(BLOB), *original = malloc(BLOB);
    make_content(original, BLOB, ~f->id);
    bool good = reader_must(r, blob, BLOB) && (!memcmp(blob, original, BLOB) || problem("a snapshot's blob is wrong"));
    free(blob);
    free(original);
    return good;
}

static bool get_catalog(struct reader *r, const struct content *c, struct found *f, struct medium *m)
{
    uint8_t b[ENTRY];
    uint64_t last = 1;
    f->kind = CATALOG;
    TRY(json_uuid(c->json, "uuid", f->catalog_of) && reader_must(r, b, 16));
    uint64_t n = get_le64(b), padding = get_le64(b + 8);
    if (m)
        medium_clear(m);
    for (uint64_t i = 0; i < n; i++) {
        TRY(reader_must(r, b, sizeof(b)));
        struct entry e = {(enum kind)b[0], get_le64(b + 1), get_le64(b + 9), get_le64(b + 17), get_le64(b + 25)};
        if (e.kind < CHUNKS || e.kind > INCOMPLETE_SNAPSHOT || e.file <= last)
            return problem("catalog entry %llu: kind %d, file %llu after %llu", (unsigned long long)i, e.kind,
                           (unsigned long long)e.file, (unsigned long long)last);
        last = e.file;
        if (m)
            *medium_add(m, e.kind, e.file) = e;
    }
    for (uint64_t i = 0; i < padding; i += sizeof(b)) {
        size_t len = padding - i < sizeof(b) ? padding - i : sizeof(b);
        TRY(reader_must(r, b, len));
        for (size_t k = 0; k < len; k++)
            if (b[k] != 0x5A)
                return problem("the catalog's padding is wrong at %llu", (unsigned long long)(i + k));
    }
    return true;
}

/* catalogs_only: anything else is left behind its first block, its kind NOTHING. */
static bool get_archive(struct reader *r, bool catalogs_only, struct found *f, struct medium *m)
{
    struct content c;
    uint64_t rest;
    TRY(content_get(r, &c));
    if (catalogs_only && !content_is(&c, magic_catalog))
        return true;
    if (content_is(&c, magic_chunks))
        TRY(get_chunks(r, &c, f));
    else if (content_is(&c, magic_snapshot))
        TRY(get_snapshot(r, &c, f) || (r->last && r->incomplete));
    else if (content_is(&c, magic_catalog))
        TRY(get_catalog(r, &c, f, m));
    else
        return problem("unknown content %02x%02x..", c.magic[0], c.magic[1]);
    TRY(reader_skip(r, &rest));
    f->incomplete = r->incomplete;
    f->blocks = r->blocks;
    return !rest || f->cut || f->incomplete || problem("%llu bytes behind the archive", (unsigned long long)rest);
}

static int read_archive(struct drive *d, bool catalogs_only, struct found *f, struct medium *m)
{
    struct reader r;
    memset(f, 0, sizeof(*f));
    int n = reader_open(&r, d);
    if (n == SG_FILEMARK) {
        problem_set("an empty file");
        return SG_ERROR;
    }
    if (n != SG_GOOD)
        return n;
    bool good = get_archive(&r, catalogs_only, f, m);
    reader_close(&r);
    return good ? SG_GOOD : SG_ERROR;
}

int archive_read(struct drive *d, struct found *f, struct medium *m)
{
    return read_archive(d, false, f, m);
}

int catalog_read(struct drive *d, struct found *f, struct medium *m)
{
    return read_archive(d, true, f, m);
}

bool chunks_read_until(struct drive *d, uint64_t want)
{
    struct reader r;
    struct content c;
    uint64_t n = 0;
    bool there = true, cut;
    TRY(reader_open(&r, d) == SG_GOOD);
    bool good = content_get(&r, &c) && (content_is(&c, magic_chunks) || problem("not a chunk archive"));
    while (good && there && n != want)
        good = get_chunk(&r, &n, &there, &cut);
    reader_close(&r);
    return good && (there || problem("chunk %llu is not in its archive", (unsigned long long)want));
}
