/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lock_tape.c: s3vtl tape lock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vtl/cmd/cmd.h"

#define DAY_S 86400

/* "400d" from now, or the end of a day, in UTC: seconds since 1970; 0: neither. */
static json_int_t until_of(const char *s)
{
    char *end = NULL;
    struct tm tm = {.tm_isdst = 0};
    long days = strtol(s, &end, 10);
    if (end != s && !strcmp(end, "d"))
        return days > 0 && days <= 36500 ? (json_int_t)time(NULL) + (json_int_t)days * DAY_S : 0;
    end = strptime(s, "%Y-%m-%d", &tm);
    return end && !*end ? (json_int_t)timegm(&tm) + DAY_S : 0;
}

int cmd_tape_lock(const struct command_line *given)
{
    struct command_line cl = *given;
    bool bypass = take_flag(&cl, "--bypass-governance"), off = cl.argc > 1 && !strcmp(cl.argv[1], "off");
    if (!check_arguments(&cl, off ? 2 : 3, false, "tape lock BARCODE governance|compliance UNTIL, or BARCODE off"))
        return EXIT_USAGE;
    const char *mode = cl.argv[1];
    json_int_t until = off ? 0 : until_of(cl.argv[2]);
    if (!off && strcmp(mode, "governance") != 0 && strcmp(mode, "compliance") != 0)
        return usage_error("tape lock: %s: must be governance, compliance or off", mode);
    if (!off && !until)
        return usage_error("tape lock: %s: must be a day (2031-12-31) or a number of days (400d)", cl.argv[2]);
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *r = call_library(cfg, json_pack("{s:s, s:s, s:s, s:I, s:b}", "op", "tape-lock", "barcode", cl.argv[0],
                                            "mode", off ? "" : mode, "until", until, "bypass", (int)bypass));
    if (r && cl.json)
        print_json(r);
    else if (r && !cl.quiet)
        printf("%s is %s%s%s%s\n", cl.argv[0], off ? "not locked" : "locked: ", off ? "" : mode,
               json_is_true(json_object_get(r, "committed")) ? "" : "; its head in the store does not say so yet",
               json_is_true(json_object_get(r, "object_lock_due")) ? "; the store is to lock its objects too"
               : off && json_is_true(json_object_get(r, "object_lock"))
                   ? "; the store locks what it has as long as before"
                   : "");
    json_decref(r);
    config_free(cfg);
    return r ? EXIT_DONE : EXIT_FAILED;
}
