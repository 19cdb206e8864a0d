/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_rates.c: limits of rate, which may depend on the day and the time: "20M mon-fri 08:00-18:00, unlimited". */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vtl/config/config_private.h"

#define LEAST_RATE (128u << 10) /* below, 64 transfers would look as if they stood still */
#define RIGHT                                                                                                          \
    "must be bytes a second from 128K on, such as 20M, or some for times, such as \"20M mon-fri 08:00-18:00, "         \
    "unlimited\": the first that holds counts"

static const char days[7][4] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

static int day_number(const char *s)
{
    for (int i = 0; i < 7; i++)
        if (!strncasecmp(s, days[i], 3))
            return i;
    return -1;
}

/* "mon-fri", "sat"; a run may go past Saturday. */
static bool take_days(const char *word, uint8_t *out)
{
    int from = day_number(word), to = from;
    if (from < 0 || (word[3] && word[3] != '-'))
        return false;
    if (word[3] && ((to = day_number(word + 4)) < 0 || word[7]))
        return false;
    *out = (uint8_t)(1u << to);
    for (int d = from; d != to; d = (d + 1) % 7)
        *out |= (uint8_t)(1u << d);
    return true;
}

static bool take_minute(const char *s, const char *end, uint16_t *out)
{
    unsigned h, m;
    int n = 0;
    if (!isdigit((unsigned char)s[0]) || sscanf(s, "%2u:%2u%n", &h, &m, &n) != 2 || s + n != end || m > 59 ||
        h * 60 + m > OBJ_MINUTES)
        return false;
    *out = (uint16_t)(h * 60 + m);
    return true;
}

static bool take_hours(const char *word, struct obj_rate *r)
{
    const char *dash = strchr(word, '-');
    return dash && take_minute(word, dash, &r->from) && take_minute(dash + 1, word + strlen(word), &r->to) &&
           r->from != r->to && r->from != OBJ_MINUTES && r->to != 0;
}

static bool take_rate(const char *word, const char *unit, uint64_t *bytes)
{
    char text[64];
    if (!unit && !strcasecmp(word, "unlimited")) {
        *bytes = 0;
        return true;
    }
    int n = snprintf(text, sizeof(text), "%s%s%s", word, unit ? " " : "", unit ? unit : "");
    return n > 0 && (size_t)n < sizeof(text) && config_parse_size(text, bytes) && *bytes >= LEAST_RATE;
}

/* One entry: a rate, and perhaps days and hours, in any order. */
static bool take_entry(char *entry, bool rate_optional, struct obj_rate *out)
{
    struct obj_rate r = {.days = OBJ_ALL_DAYS, .from = 0, .to = OBJ_MINUTES};
    bool rate = false, day = false, hours = false;
    char *save = NULL, *word = strtok_r(entry, " \t", &save);
    while (word) {
        char *next = strtok_r(NULL, " \t", &save);
        if (strchr(word, ':')) {
            if (hours || !take_hours(word, &r))
                return false;
            hours = true;
        } else if (!day && take_days(word, &r.days)) {
            day = true;
        } else if (!rate && next && !word[strspn(word, "0123456789")] &&
                   take_rate(word, next, &r.bytes)) { /* "20 MB" */
            rate = true;
            next = strtok_r(NULL, " \t", &save);
        } else if (!rate && take_rate(word, NULL, &r.bytes)) {
            rate = true;
        } else {
            return false;
        }
        word = next;
    }
    *out = r;
    return rate || (rate_optional && (day || hours));
}

static const char *parse(const char *value, bool rate_optional, const char *right, struct obj_rates *out)
{
    struct obj_rates rates = {.n = 0};
    char *copy = strdup(value), *rest = copy;
    const char *wrong = copy ? NULL : "out of memory";
    if (copy && !strcasecmp(copy, "unlimited"))
        rest = NULL;
    while (!wrong && rest) {
        char *entry = strsep(&rest, ",");
        if (rates.n == OBJ_MAX_RATES)
            wrong = "has more than 12 entries";
        else if (!take_entry(entry, rate_optional, &rates.of[rates.n++]))
            wrong = right;
    }
    free(copy);
    if (!wrong)
        *out = rates;
    return wrong;
}

const char *config_parse_rates(const char *value, struct obj_rates *out)
{
    return parse(value, false, RIGHT, out);
}

const char *config_parse_window(const char *value, struct obj_rates *out)
{
    return parse(
        value, true,
        "must be unlimited, or times, each perhaps with bytes a second from 128K on, such as \"20M 01:00-06:00, "
        "sat-sun\": the first that holds counts",
        out);
}
