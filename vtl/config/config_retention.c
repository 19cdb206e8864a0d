/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_retention.c: what [retention] tapes says: PBS*:governance:90d YEAR*:compliance:3650d. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vtl/config/config_private.h"

#define TEXT_ROOM 4200
#define DAY_S 86400
#define MOST_DAYS 36500

/* "90d" */
static bool parse_days(const char *text, uint64_t *seconds)
{
    char *end = NULL;
    unsigned long days = strchr("123456789", text[0]) ? strtoul(text, &end, 10) : 0;
    *seconds = (uint64_t)days * DAY_S;
    return days >= 1 && days <= MOST_DAYS && !strcmp(end, "d");
}

/* PATTERN:MODE:DAYS */
static bool parse_one(char *word, struct config_retention *r)
{
    char *mode = strchr(word, ':'), *days = mode ? strchr(mode + 1, ':') : NULL;
    if (!days || mode == word)
        return false;
    *mode++ = *days++ = '\0';
    r->compliance = !strcmp(mode, "compliance");
    return (r->compliance || !strcmp(mode, "governance")) && parse_days(days, &r->seconds) &&
           config_copy_pattern(word, r->pattern, sizeof(r->pattern));
}

int config_retention(const char *tapes, struct config_retention out[CONFIG_MAX_RETENTION])
{
    char words[TEXT_ROOM], *save = NULL;
    int n = 0;
    if ((size_t)snprintf(words, sizeof(words), "%s", tapes) >= sizeof(words))
        return -1;
    for (char *w = strtok_r(words, " \t", &save); w; w = strtok_r(NULL, " \t", &save), n++)
        if (n == CONFIG_MAX_RETENTION || !parse_one(w, &out[n]))
            return -1;
    return n;
}
