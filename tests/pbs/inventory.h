/* SPDX-License-Identifier: GPL-2.0-or-later */
/* inventory.h: what the backup server knows of its tapes: labels, media sets, and each tape's catalog. */
#ifndef S3VTL_PBS_INVENTORY_H
#define S3VTL_PBS_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kind { NOTHING, CHUNKS, SNAPSHOT, CATALOG, INCOMPLETE_SNAPSHOT };

/* One archive of a tape. Chunks are numbered through a datastore; a snapshot refers to a run of them. */
struct entry {
    enum kind kind;
    uint64_t file;
    uint64_t first, count; /* chunks */
    uint64_t id;           /* snapshot: its number; catalog: of which medium (sequence number) */
};

struct medium {
    char label[33], pool[17];
    uint8_t uuid[16], set[16]; /* set: zero without media-set label */
    unsigned sequence;         /* in its set */
    bool full, encrypted;      /* encrypted: the archives, by the key of the set */
    struct entry *entry;
    size_t n;
};

struct inventory {
    struct medium *medium;
    size_t n;
};

struct medium *inventory_find(struct inventory *v, const char *label); /* NULL: unknown */
struct medium *inventory_add(struct inventory *v, const char *label);  /* or what is there; a new uuid */
/* The key of an encrypted media set: PBS derives it from the pool's key and the set's uuid. */
void set_key(const uint8_t set[16], uint8_t key[32]);
/* The medium of a set by its number there. */
struct medium *inventory_of_set(struct inventory *v, const uint8_t set[16], unsigned sequence);
/* Forgets what is on it, as a new set begins. */
void medium_clear(struct medium *m);
struct entry *medium_add(struct medium *m, enum kind kind, uint64_t file);
void make_uuid(uint8_t uuid[16]);
bool uuid_is_zero(const uint8_t uuid[16]);

bool inventory_save(const struct inventory *v, const char *path);
bool inventory_load(struct inventory *v, const char *path);
void inventory_free(struct inventory *v);

#endif
