/* SPDX-License-Identifier: GPL-2.0-or-later */
/* history.h: all that a tape may hold, as what the hosts were told makes it: a tree of versions, one for each operation
 * that changes the tape, each a child of what its host believed the tape to be. */
#ifndef S3VTL_TWINS_HISTORY_H
#define S3VTL_TWINS_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_OBJECTS = 300, MAX_VERSIONS = 600 };

struct content {
    size_t n;
    uint64_t object[MAX_OBJECTS]; /* ids of blocks, 0 for a filemark */
};

struct version {
    size_t parent; /* of version 0, itself */
    bool synced;   /* a host was told that it is in the store */
    struct content c;
};

struct history {
    size_t n;
    struct version v[MAX_VERSIONS];
};

void history_start(struct history *h); /* version 0: the blank tape */
/* A host's operation at object cut of version parent, which appends object (NULL: none, an ERASE). */
size_t history_add(struct history *h, size_t parent, size_t cut, const uint64_t *object);
/* Nothing that a host was told is in the store is missing from it: it comes after every synced version. */
bool history_is_current(const struct history *h, size_t version);
/* The version that c is; a current one if there is, else any; history_none if nobody ever made it. */
#define HISTORY_NONE ((size_t)-1)
size_t history_find(const struct history *h, const struct content *c);

#endif
