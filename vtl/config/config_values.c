/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_values.c: sizes and times as people write them. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vtl/config/config.h"

/* The factor that a unit stands for; 0: it is none. Tapes and disks are sold in powers of 1000 (GB, TB), so with a B the
 * unit is what it says there; K, M, G and T alone are powers of 1024, as they always were here and in most tools. */
static uint64_t unit_factor(const char *unit)
{
    static const char prefixes[] = "KMGTP";
    if (!unit[0] || !strcmp(unit, "B"))
        return 1;
    const char *p = strchr(prefixes, toupper((unsigned char)unit[0]));
    bool binary = !unit[1] || !strcmp(unit + 1, "i") || !strcmp(unit + 1, "iB");
    if (!p || (!binary && strcmp(unit + 1, "B") != 0))
        return 0;
    uint64_t factor = 1;
    for (const char *q = prefixes; q <= p; q++)
        factor *= binary ? 1024 : 1000;
    return factor;
}

bool config_parse_size(const char *s, uint64_t *bytes)
{
    char *end;
    if (!isdigit((unsigned char)s[0]))
        return false;
    errno = 0;
    unsigned long long n = strtoull(s, &end, 10);
    const char *unit = end + strspn(end, " \t"); /* "64 GB", as people write it */
    uint64_t factor = *end && !*unit ? 0 : unit_factor(unit);
    if (!factor || errno || n > (uint64_t)INT64_MAX / factor)
        return false;
    *bytes = (uint64_t)n * factor;
    return true;
}

bool config_parse_fraction(const char *s, unsigned *thousandths)
{
    unsigned n = s[0] == '1' ? 1000 : 0, worth = 100;
    if ((s[0] != '0' && s[0] != '1') || (s[1] && (s[1] != '.' || !s[2])))
        return false;
    for (const char *p = s[1] ? s + 2 : ""; *p; p++, worth /= 10) {
        if (!isdigit((unsigned char)*p) || !worth)
            return false;
        n += (unsigned)(*p - '0') * worth;
    }
    *thousandths = n;
    return n <= 1000;
}

void config_show_fraction(unsigned thousandths, char *buf, size_t room)
{
    (void)snprintf(buf, room, "%u.%03u", thousandths / 1000, thousandths % 1000);
    for (size_t n = strlen(buf); n && (buf[n - 1] == '0' || buf[n - 1] == '.'); n--) {
        bool point = buf[n - 1] == '.';
        buf[n - 1] = '\0';
        if (point)
            break;
    }
}

bool config_parse_time(const char *s, uint64_t *ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    char *end;
    if (!isdigit((unsigned char)s[0]))
        return false;
    errno = 0;
    unsigned long long n = strtoull(s, &end, 10);
    for (size_t i = 0; !errno && i < sizeof(units) / sizeof(units[0]); i++)
        if (!strcmp(end, units[i].unit) && n < UINT64_MAX / units[i].ms) {
            *ms = n * units[i].ms;
            return true;
        }
    return false;
}
