/* SPDX-License-Identifier: GPL-2.0-or-later */
/* inventory.c: what the backup server knows of its tapes, kept in a text file between runs. */
#include "tests/pbs/inventory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "tests/pbs/problem.h"

void make_uuid(uint8_t uuid[16])
{
    if (getrandom(uuid, 16, 0) != 16)
        abort();
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

bool uuid_is_zero(const uint8_t uuid[16])
{
    static const uint8_t zero[16];
    return !memcmp(uuid, zero, 16);
}

struct medium *inventory_find(struct inventory *v, const char *label)
{
    for (size_t i = 0; i < v->n; i++)
        if (!strcmp(v->medium[i].label, label))
            return &v->medium[i];
    return NULL;
}

struct medium *inventory_add(struct inventory *v, const char *label)
{
    struct medium *m = inventory_find(v, label);
    if (m)
        return m;
    v->medium = realloc(v->medium, (v->n + 1) * sizeof(*v->medium));
    m = &v->medium[v->n++];
    memset(m, 0, sizeof(*m));
    (void)snprintf(m->label, sizeof(m->label), "%s", label);
    make_uuid(m->uuid);
    return m;
}

struct medium *inventory_of_set(struct inventory *v, const uint8_t set[16], unsigned sequence)
{
    for (size_t i = 0; i < v->n; i++)
        if (!memcmp(v->medium[i].set, set, 16) && v->medium[i].sequence == sequence)
            return &v->medium[i];
    return NULL;
}

void set_key(const uint8_t set[16], uint8_t key[32])
{
    for (int i = 0; i < 32; i++)
        key[i] = (uint8_t)(set[i % 16] * 31 + i);
}

void medium_clear(struct medium *m)
{
    free(m->entry);
    m->entry = NULL;
    m->n = 0;
    m->full = false;
}

struct entry *medium_add(struct medium *m, enum kind kind, uint64_t file)
{
    m->entry = realloc(m->entry, (m->n + 1) * sizeof(*m->entry));
    struct entry *e = &m->entry[m->n++];
    *e = (struct entry){.kind = kind, .file = file};
    return e;
}

static void print_uuid(FILE *f, const uint8_t uuid[16])
{
    for (int i = 0; i < 16; i++)
        fprintf(f, "%02x", uuid[i]);
    fputc(' ', f);
}

static bool scan_uuid(FILE *f, uint8_t uuid[16])
{
    unsigned b;
    for (int i = 0; i < 16; i++) {
        if (fscanf(f, i ? "%2x" : " %2x", &b) != 1)
            return false;
        uuid[i] = (uint8_t)b;
    }
    return true;
}

bool inventory_save(const struct inventory *v, const char *path)
{
    FILE *f = fopen(path, "we");
    if (!f)
        return problem("%s: %s", path, strerror(errno));
    fprintf(f, "%zu\n", v->n);
    for (size_t i = 0; i < v->n; i++) {
        const struct medium *m = &v->medium[i];
        fprintf(f, "%s %s ", m->label, *m->pool ? m->pool : "-");
        print_uuid(f, m->uuid);
        print_uuid(f, m->set);
        fprintf(f, "%u %d %d %zu\n", m->sequence, m->full, m->encrypted, m->n);
        for (size_t k = 0; k < m->n; k++)
            fprintf(f, "  %d %llu %llu %llu %llu\n", m->entry[k].kind, (unsigned long long)m->entry[k].file,
                    (unsigned long long)m->entry[k].first, (unsigned long long)m->entry[k].count,
                    (unsigned long long)m->entry[k].id);
    }
    return !fclose(f) || problem("%s: %s", path, strerror(errno));
}

static bool load_medium(FILE *f, struct medium *m)
{
    int full, encrypted;
    size_t n;
    memset(m, 0, sizeof(*m));
    if (fscanf(f, "%32s %16s", m->label, m->pool) != 2 || !scan_uuid(f, m->uuid) || !scan_uuid(f, m->set) ||
        fscanf(f, "%u %d %d %zu", &m->sequence, &full, &encrypted, &n) != 4)
        return false;
    m->full = full;
    m->encrypted = encrypted;
    if (!strcmp(m->pool, "-"))
        *m->pool = '\0';
    for (size_t k = 0; k < n; k++) {
        int kind;
        unsigned long long a, b, c, d;
        if (fscanf(f, "%d %llu %llu %llu %llu", &kind, &a, &b, &c, &d) != 5)
            return false;
        *medium_add(m, (enum kind)kind, a) = (struct entry){(enum kind)kind, a, b, c, d};
    }
    return true;
}

bool inventory_load(struct inventory *v, const char *path)
{
    FILE *f = fopen(path, "re");
    memset(v, 0, sizeof(*v));
    if (!f)
        return problem("%s: %s", path, strerror(errno));
    bool good = fscanf(f, "%zu", &v->n) == 1;
    v->medium = calloc(v->n + 1, sizeof(*v->medium));
    for (size_t i = 0; good && i < v->n; i++)
        good = load_medium(f, &v->medium[i]);
    fclose(f);
    return good || problem("%s: not an inventory", path);
}

void inventory_free(struct inventory *v)
{
    for (size_t i = 0; i < v->n; i++)
        free(v->medium[i].entry);
    free(v->medium);
    memset(v, 0, sizeof(*v));
}
