/* SPDX-License-Identifier: GPL-2.0-or-later */
/* usage.c: see usage.h. */
#include "vtl/format/usage.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#define MOST (INT64_C(1) << 62)

/* The keys of "counters", one table. */
static const struct {
    const char *key;
    size_t at;
} keys[] = {
    {"written_bytes", offsetof(struct usage, sum.written_bytes)},
    {"written_blocks", offsetof(struct usage, sum.written_blocks)},
    {"written_filemarks", offsetof(struct usage, sum.written_filemarks)},
    {"stored_bytes", offsetof(struct usage, sum.stored_bytes)},
    {"read_bytes", offsetof(struct usage, sum.read_bytes)},
    {"read_blocks", offsetof(struct usage, sum.read_blocks)},
    {"fetched_bytes", offsetof(struct usage, sum.fetched_bytes)},
    {"write_errors", offsetof(struct usage, sum.write_errors)},
    {"read_errors", offsetof(struct usage, sum.read_errors)},
    {"mounts", offsetof(struct usage, mounts)},
    {"formats", offsetof(struct usage, formats)},
    {"first_written", offsetof(struct usage, first_written)},
    {"last_written", offsetof(struct usage, last_written)},
    {"verified", offsetof(struct usage, verified)},
    {"verified_objects", offsetof(struct usage, verified_objects)},
    {"lost_objects", offsetof(struct usage, lost_objects)},
    {"lost_from", offsetof(struct usage, lost_from)},
};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

static uint64_t *field(struct usage *u, size_t i)
{
    return (uint64_t *)(void *)((char *)u + keys[i].at);
}

void usage_decode(const char *text, struct usage *out)
{
    memset(out, 0, sizeof(*out));
    json_t *j = text ? json_loads(text, 0, NULL) : NULL, *v;
    for (size_t i = 0; j && i < N_KEYS; i++) {
        json_int_t n = json_integer_value(json_object_get(j, keys[i].key));
        *field(out, i) = n > 0 && n <= MOST ? (uint64_t)n : 0;
    }
    size_t i;
    json_array_foreach(json_object_get(j, "drives"), i, v)
    {
        const char *s = json_string_value(v);
        if (i < TAPE_LAST_DRIVES && s && strlen(s) < sizeof(out->drives[0]))
            memcpy(out->drives[i], s, strlen(s) + 1);
    }
    json_decref(j);
}

char *usage_encode(const struct usage *u)
{
    json_t *j = json_object(), *drives = json_array();
    for (size_t i = 0; i < N_KEYS; i++) {
        uint64_t n = *field((struct usage *)(uintptr_t)u, i);
        json_object_set_new(j, keys[i].key, json_integer((json_int_t)(n > MOST ? MOST : n)));
    }
    for (size_t i = 0; i < TAPE_LAST_DRIVES && u->drives[i][0]; i++)
        json_array_append_new(drives, json_string(u->drives[i]));
    json_object_set_new(j, "drives", drives);
    char *text = json_dumps(j, JSON_COMPACT);
    json_decref(j);
    return text;
}

void usage_mounted(struct usage *u, const char *serial)
{
    u->mounts++;
    memmove(u->drives[1], u->drives[0], sizeof(u->drives) - sizeof(u->drives[0]));
    (void)snprintf(u->drives[0], sizeof(u->drives[0]), "%s", serial);
}

bool usage_cut(struct usage *u, uint64_t object)
{
    bool heals = u->lost_objects && object <= u->lost_from;
    bool shorter = u->verified_objects > object;
    if (heals)
        u->lost_objects = u->lost_from = 0;
    if (shorter)
        u->verified_objects = object;
    return heals || shorter;
}

void usage_add(struct tape_usage *into, const struct tape_usage *what)
{
    into->written_bytes += what->written_bytes;
    into->written_blocks += what->written_blocks;
    into->written_filemarks += what->written_filemarks;
    into->stored_bytes += what->stored_bytes;
    into->read_bytes += what->read_bytes;
    into->read_blocks += what->read_blocks;
    into->fetched_bytes += what->fetched_bytes;
    into->write_errors += what->write_errors;
    into->read_errors += what->read_errors;
}
