/* SPDX-License-Identifier: GPL-2.0-or-later */
/* unsaved.c: see unsaved.h. */
#include "vtl/cmd/unsaved.h"

#include <stdbool.h>
#include <stddef.h>

#define MOST 32 /* of a kind: then the oldest goes */

static bool is_over(const json_t *record)
{
    return json_integer_value(json_object_get(record, "ended")) != 0;
}

void unsaved_put(struct unsaved *u, enum watch_kind kind, json_t *record)
{
    if (!u->of[kind])
        u->of[kind] = json_array();
    size_t n = json_array_size(u->of[kind]);
    if (n && !is_over(json_array_get(u->of[kind], n - 1)))
        json_array_remove(u->of[kind], --n);
    if (record && n == MOST)
        json_array_remove(u->of[kind], 0);
    if (record)
        json_array_append(u->of[kind], record);
}

void unsaved_try(struct unsaved *u, enum watch_kind kind, int (*save)(void *arg, const json_t *record, int64_t *number),
                 void *arg, int64_t *number)
{
    while (json_array_size(u->of[kind])) {
        const json_t *record = json_array_get(u->of[kind], 0);
        int64_t counted = 0;
        if (save(arg, record, &counted))
            return;
        if (!is_over(record))
            *number = counted;
        json_array_remove(u->of[kind], 0);
    }
}

void unsaved_free(struct unsaved *u)
{
    for (unsigned k = 0; k < WATCH_KINDS; k++)
        json_decref(u->of[k]);
}
