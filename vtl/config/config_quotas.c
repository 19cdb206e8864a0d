/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_quotas.c: what [quota] says: library = 20T, pools = PBS*:15T WEEK*:5T. */
#include <stdio.h>
#include <string.h>

#include "vtl/config/config_private.h"

#define TEXT_ROOM 4200

bool config_copy_pattern(const char *word, char *out, size_t room)
{
    return (size_t)snprintf(out, room, "%s", word) < room &&
           !word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-*?[]!")];
}

/* PATTERN:SIZE */
static bool parse_one(char *word, struct config_quota *q)
{
    char *colon = strrchr(word, ':');
    if (!colon || colon == word || !config_parse_size(colon + 1, &q->bytes) || q->bytes < CONFIG_MIN_QUOTA)
        return false;
    *colon = '\0';
    return config_copy_pattern(word, q->pattern, sizeof(q->pattern));
}

int config_quotas(uint64_t library, const char *pools, struct config_quota out[CONFIG_MAX_QUOTAS])
{
    char words[TEXT_ROOM], *save = NULL;
    int n = 0;
    if (library)
        out[n++] = (struct config_quota){.pattern = "*", .bytes = library};
    if ((size_t)snprintf(words, sizeof(words), "%s", pools) >= sizeof(words))
        return -1;
    for (char *w = strtok_r(words, " \t", &save); w; w = strtok_r(NULL, " \t", &save), n++)
        if (n == CONFIG_MAX_QUOTAS || !parse_one(w, &out[n]))
            return -1;
    return n;
}
