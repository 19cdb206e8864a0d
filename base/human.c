/* SPDX-License-Identifier: GPL-2.0-or-later */
/* human.c: see human.h. */
#include "base/human.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *human_size(uint64_t bytes, char buf[HUMAN_ROOM])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double n = (double)bytes;
    unsigned u = 0;
    while (n >= (u ? 999.95 : 1000) && u + 1 < sizeof(units) / sizeof(units[0])) {
        n /= 1000;
        u++;
    }
    char digits[HUMAN_ROOM - 4];
    int len = snprintf(digits, sizeof(digits), "%.*f", u ? 1 : 0, n);
    if (u && len > 2 && !strcmp(digits + len - 2, ".0"))
        digits[len - 2] = '\0';
    (void)snprintf(buf, HUMAN_ROOM, "%s %s", digits, units[u]);
    return buf;
}

const char *human_time(uint64_t seconds, char buf[HUMAN_ROOM])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    if (!seconds || !localtime_r(&t, &tm) || !strftime(buf, HUMAN_ROOM, "%Y-%m-%d %H:%M", &tm))
        (void)snprintf(buf, HUMAN_ROOM, "never");
    return buf;
}

const char *human_duration(uint64_t seconds, char buf[HUMAN_ROOM])
{
    uint64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
    if (seconds < 120)
        (void)snprintf(buf, HUMAN_ROOM, "%" PRIu64 " s", seconds);
    else if (minutes < 120)
        (void)snprintf(buf, HUMAN_ROOM, "%" PRIu64 " min", minutes);
    else if (hours < 48)
        (void)snprintf(buf, HUMAN_ROOM, "%" PRIu64 " h %" PRIu64 " min", hours, minutes % 60);
    else
        (void)snprintf(buf, HUMAN_ROOM, "%" PRIu64 " d %" PRIu64 " h", days, hours % 24);
    return buf;
}
