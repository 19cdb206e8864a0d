/* SPDX-License-Identifier: GPL-2.0-or-later */
/* model.c: see model.h. */
#include "tests/soak/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/chunked.h"

/* ---- blocks ---- */

static uint64_t mixed(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Chunks change as time goes by: what a tape has itself it does not copy. */
#define ID_BITS 56
static uint64_t with_generation(uint64_t id)
{
    return (id >> 6) << ID_BITS | id;
}

uint64_t block_id(const uint8_t *block, uint32_t len)
{
    uint64_t id = 0;
    if (chunked())
        return chunked_id(block, len) & ((UINT64_C(1) << ID_BITS) - 1);
    if (len >= sizeof(id))
        memcpy(&id, block, sizeof(id));
    return id;
}

uint32_t block_length(uint64_t id)
{
    if (chunked())
        return chunked_length(with_generation(id));
    uint64_t x = mixed(id);
    uint32_t r = (uint32_t)(x >> 16);
    switch (x % 16) {
    case 0:
    case 1:
    case 2:
        return 8 + r % 4089;
    case 3:
    case 4:
    case 5:
    case 6:
        return 64u << 10;
    case 7:
    case 8:
        return 8 + r % (128u << 10);
    case 9:
        return 8 + r % (MAX_BLOCK - 7);
    case 10:
        return MAX_BLOCK;
    default:
        return 256u << 10;
    }
}

void block_fill(uint64_t id, uint8_t *block)
{
    if (chunked()) {
        chunked_fill(with_generation(id), block);
        return;
    }
    uint32_t len = block_length(id), i = 8;
    uint64_t x = mixed(id) | 1;
    bool packs = id % 4 == 0; /* every fourth compresses */
    memcpy(block, &id, 8);
    for (; i + 8 <= len; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        uint64_t v = packs ? id + (i >> 10) : x;
        memcpy(block + i, &v, 8);
    }
    for (; i < len; i++)
        block[i] = (uint8_t)(id + i);
}

bool block_is_right(uint64_t id, const uint8_t *block, uint32_t len)
{
    static _Thread_local uint8_t want[MAX_BLOCK];
    if (!id || len != block_length(id))
        return false;
    block_fill(id, want);
    return !memcmp(block, want, len);
}

/* ---- tapes ---- */

void tape_init(struct tape *t, const char *barcode, uint64_t first_id)
{
    memset(t, 0, sizeof(*t));
    (void)snprintf(t->barcode, sizeof(t->barcode), "%s", barcode);
    t->next_id = first_id;
    t->object = calloc(MAX_OBJECTS, sizeof(*t->object));
    t->safe = calloc(MAX_OBJECTS, sizeof(*t->safe));
    if (!t->object || !t->safe)
        abort();
}

static size_t apply(uint64_t *object, const struct step *s)
{
    size_t n = s->cut;
    for (unsigned i = 0; i < s->n; i++)
        object[n++] = s->object;
    return n;
}

void tape_begin(struct tape *t, size_t cut, uint64_t object, unsigned n)
{
    if (t->steps == MAX_STEPS || cut + n > MAX_OBJECTS || t->pending)
        abort();
    t->step[t->steps++] = (struct step){.cut = cut, .object = object, .n = n};
    t->pending = true;
}

void tape_done(struct tape *t)
{
    t->pending = false;
    t->n = apply(t->object, &t->step[t->steps - 1]);
}

void tape_synced(struct tape *t)
{
    memcpy(t->safe, t->object, t->n * sizeof(*t->safe));
    t->n_safe = t->n;
    t->steps = 0;
    t->pending = t->crashed = false;
}

uint64_t tape_files_before(const struct tape *t, size_t object)
{
    uint64_t files = 0;
    for (size_t i = 0; i < object; i++)
        files += !t->object[i];
    return files;
}

/* The first state that the tape may be in. Without a crash only the last command is in doubt. */
static size_t first_state(const struct tape *t)
{
    return t->crashed ? 0 : t->steps - t->pending;
}

/* The tape after so many steps; its length. */
static size_t state_after(const struct tape *t, size_t steps, uint64_t *object)
{
    size_t n = t->n_safe;
    memcpy(object, t->safe, n * sizeof(*object));
    for (size_t i = 0; i < steps; i++)
        n = apply(object, &t->step[i]);
    return n;
}

size_t tape_common(const struct tape *t)
{
    size_t from = first_state(t), least = from == t->steps ? t->n : SIZE_MAX;
    for (size_t i = from; i < t->steps; i++)
        if (t->step[i].cut < least)
            least = t->step[i].cut;
    return least;
}

bool tape_resolve(struct tape *t, const uint64_t *tail, size_t n, size_t *undone)
{
    static _Thread_local uint64_t object[MAX_OBJECTS];
    size_t common = tape_common(t), first = first_state(t);
    for (size_t k = t->steps + 1; k-- > first;) {
        size_t length = state_after(t, k, object);
        if (length != common + n || memcmp(object + common, tail, n * sizeof(*tail)) != 0)
            continue;
        *undone = t->steps - k;
        t->steps = k;
        t->pending = false;
        t->n = length;
        memcpy(t->object, object, length * sizeof(*object));
        return true;
    }
    return false;
}

bool tape_save(const struct tape *t, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return false;
    fprintf(f, "%s %zu\n", t->barcode, t->n_safe);
    for (size_t i = 0; i < t->n_safe; i++)
        fprintf(f, "%" PRIx64 "\n", t->safe[i]);
    return !fclose(f);
}

bool tape_restore(struct tape *t, const char *path)
{
    FILE *f = fopen(path, "r");
    char barcode[33];
    size_t n = 0, i = 0;
    if (!f)
        return false;
    if (fscanf(f, "%32s %zu", barcode, &n) == 2 && n <= MAX_OBJECTS) {
        tape_init(t, barcode, 0);
        while (i < n && fscanf(f, "%" SCNx64, &t->object[i]) == 1)
            i++;
        t->n = i;
        tape_synced(t);
    }
    return !fclose(f) && i == n && *t->barcode;
}
