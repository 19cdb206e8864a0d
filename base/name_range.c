/* SPDX-License-Identifier: GPL-2.0-or-later */
/* name_range.c: see name_range.h. */
#include "base/name_range.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DIGITS 9u

#define RULE                                                                                                           \
    "%s: must be a name, or names that count up such as PBS{001..100}L8: both numbers of 1 to 9 digits, as many each"

static unsigned digits_at(const char *s)
{
    return (unsigned)strspn(s, "0123456789");
}

/* "{001..100}" at s: 0, and where it ends. */
static int parse_braces(const char *s, struct name_range *r, const char **end)
{
    unsigned n = digits_at(s + 1);
    const char *dots = s + 1 + n, *second = dots + 2;
    if (!n || n > MAX_DIGITS || strncmp(dots, "..", 2) != 0 || digits_at(second) != n || second[n] != '}')
        return -EINVAL;
    r->digits = n;
    r->first = (uint32_t)strtoul(s + 1, NULL, 10);
    r->last = (uint32_t)strtoul(second, NULL, 10);
    *end = second + n + 1;
    return r->first <= r->last ? 0 : -EINVAL;
}

int name_range_parse(const char *word, struct name_range *out, struct errtext *err)
{
    struct name_range r = {.digits = 0};
    size_t before = strcspn(word, "{}");
    const char *after = word + before;
    int rc = *after ? parse_braces(after, &r, &after) : 0;
    if (!rc && (strpbrk(after, "{}") || before + r.digits + strlen(after) >= NAME_RANGE_SIZE))
        rc = -EINVAL;
    if (rc)
        return errtext_set(err, rc, RULE, word);
    memcpy(r.before, word, before);
    memcpy(r.after, after, strlen(after));
    *out = r;
    return 0;
}

uint32_t name_range_count(const struct name_range *r)
{
    return r->last - r->first + 1;
}

void name_range_name(const struct name_range *r, uint32_t i, char name[NAME_RANGE_SIZE])
{
    size_t n = strlen(r->before);
    uint32_t number = r->first + i;
    memcpy(name, r->before, n);
    for (unsigned d = r->digits; d-- > 0; number /= 10)
        name[n + d] = (char)('0' + number % 10);
    memcpy(name + n + r->digits, r->after, strlen(r->after) + 1);
}

bool name_range_has(const struct name_range *r, const char *name)
{
    size_t before = strlen(r->before);
    if (!r->digits)
        return !strcmp(name, r->before);
    if (strncmp(name, r->before, before) != 0 || digits_at(name + before) < r->digits ||
        strcmp(name + before + r->digits, r->after) != 0)
        return false;
    unsigned long n = 0;
    for (unsigned i = 0; i < r->digits; i++)
        n = n * 10 + (unsigned long)(name[before + i] - '0');
    return n >= r->first && n <= r->last;
}
