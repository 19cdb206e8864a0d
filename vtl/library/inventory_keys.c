/* SPDX-License-Identifier: GPL-2.0-or-later */
/* inventory_keys.c: see inventory_keys.h. */
#include "vtl/library/inventory_keys.h"

#include <stdio.h>
#include <string.h>

#define NONE "-"

static void take(struct inventory_keys *k, bool first, const char *word)
{
    if (first)
        (void)snprintf(k->stored, sizeof(k->stored), "%s", strcmp(word, NONE) ? word : "");
    else if (k->n_tried < INVENTORY_RUNS)
        (void)snprintf(k->tried[k->n_tried++], DB_KEY_SIZE, "%s", word);
}

void inventory_keys_read(struct inventory_keys *k, const char *text)
{
    char word[DB_KEY_SIZE];
    int n = 0;
    *k = (struct inventory_keys){.n_tried = 0};
    for (bool first = true; sscanf(text, "%127s%n", word, &n) == 1; first = false, text += n)
        take(k, first, word);
}

void inventory_keys_write(const struct inventory_keys *k, char text[INVENTORY_KEYS_SIZE])
{
    size_t at = (size_t)snprintf(text, INVENTORY_KEYS_SIZE, "%s", k->stored[0] ? k->stored : NONE);
    for (size_t i = 0; i < k->n_tried; i++)
        at += (size_t)snprintf(text + at, INVENTORY_KEYS_SIZE - at, " %s", k->tried[i]);
}

static size_t folder_length(const char *key)
{
    const char *slash = strrchr(key, '/');
    return slash ? (size_t)(slash - key) + 1 : 0;
}

static bool same_run(const char *a, const char *b)
{
    size_t n = folder_length(a);
    return n && n == folder_length(b) && !strncmp(a, b, n);
}

void inventory_keys_try(struct inventory_keys *k, const char *key)
{
    size_t i = 0;
    while (i < k->n_tried && !same_run(k->tried[i], key))
        i++;
    if (i == INVENTORY_RUNS) {
        memmove(k->tried[0], k->tried[1], sizeof(k->tried[0]) * (INVENTORY_RUNS - 1));
        i--;
    }
    k->n_tried = i < k->n_tried ? k->n_tried : i + 1;
    (void)snprintf(k->tried[i], DB_KEY_SIZE, "%s", key);
}

/* Numbers are of fixed width. */
bool inventory_key_up_to(const char *key, const char *last)
{
    return same_run(key, last) && strlen(key) == strlen(last) && strcmp(key, last) <= 0;
}

bool inventory_keys_own(const struct inventory_keys *k, const char *key)
{
    bool own = inventory_key_up_to(key, k->stored);
    for (size_t i = 0; i < k->n_tried; i++)
        own = own || inventory_key_up_to(key, k->tried[i]);
    return own;
}

void inventory_key_folder(const char *key, char out[DB_KEY_SIZE])
{
    (void)snprintf(out, DB_KEY_SIZE, "%.*s", (int)folder_length(key), key);
}
