/* SPDX-License-Identifier: GPL-2.0-or-later */
/* undelete.c: s3vtl library undelete. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/human.h"
#include "vtl/cmd/cmd.h"
#include "vtl/library/control.h"
#include "vtl/library/undelete.h"

#define ASK_MS 2000

#define USAGE "library undelete --since TIME [--newer-heads] [--dry-run]"

/* "3h" ago, or "2026-11-20" or "2026-11-20T14:30" in UTC: milliseconds since 1970; 0: neither, or to come. */
static uint64_t since_of(const char *s)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"};
    uint64_t ago, now = (uint64_t)time(NULL) * 1000;
    if (config_parse_time(s, &ago))
        return ago && ago < now ? now - ago : 0;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm tm = {.tm_isdst = 0};
        const char *end = strptime(s, forms[i], &tm);
        time_t t = end && !*end ? timegm(&tm) : -1;
        if (t > 0)
            return (uint64_t)t * 1000 < now ? (uint64_t)t * 1000 : 0;
    }
    return 0;
}

static void show_count(void *arg, uint64_t keys, uint64_t restored)
{
    const struct progress_state s = {.pieces = restored, .of_pieces = keys};
    progress_set(arg, &s);
}

static const char *plural(json_int_t n)
{
    return n == 1 ? "" : "s";
}

static void print_report(const json_t *r, bool newer_heads)
{
    json_int_t deleted = json_number(r, "deleted"), overwritten = json_number(r, "overwritten"),
               newer = json_number(r, "newer");
    const json_t *heads = json_object_get(r, "heads"), *b;
    size_t i;
    printf("%lld object%s deleted since then, %lld written over: %s\n", (long long)deleted, plural(deleted),
           (long long)overwritten,
           json_is_true(json_object_get(r, "dry_run")) ? "nothing was changed"
           : json_number(r, "refused")                 ? "back, but for what follows"
                                                       : "back");
    if (newer)
        printf("%lld object%s newer\n", (long long)newer, newer == 1 ? " is" : "s are");
    if (json_array_size(heads)) {
        printf(newer_heads ? "newer heads deleted of" : "newer heads stay, and count (--newer-heads deletes them):");
        json_array_foreach(heads, i, b) printf(" %s", json_string_value(b));
        putchar('\n');
    }
    if (!json_is_true(json_object_get(r, "dry_run")) && (deleted || overwritten))
        puts("\"s3vtl library rebuild --force\" makes the library from what is there now");
}

/* Does nobody serve it here? Whoever listens and does not answer is busy, with this very store, it may be. */
static bool is_quiet(const struct vtl_config *cfg)
{
    int fd = control_connect(cfg, ASK_MS, NULL);
    if (fd == -ENOENT || fd == -ECONNREFUSED)
        return true;
    if (fd >= 0)
        close(fd);
    return !fail("the library is served: stop it first (systemctl stop s3vtl), or take --dry-run");
}

int cmd_library_undelete(const struct command_line *given)
{
    struct command_line cl = *given;
    const char *since = NULL;
    struct undelete_options o = {
        .newer_heads = take_flag(&cl, "--newer-heads"), .dry_run = take_flag(&cl, "--dry-run"), .count = show_count};
    if (!take_value(&cl, "--since", &since) || !check_arguments(&cl, 0, false, USAGE))
        return EXIT_USAGE;
    if (!since)
        return usage_error(
            "library undelete: --since is needed: a time such as 3h, 2026-11-20 or 2026-11-20T14:30 (UTC)");
    o.since_ms = since_of(since);
    if (!o.since_ms)
        return usage_error("--since %s: must be a time that has been, such as 3h, 2026-11-20 or 2026-11-20T14:30 (UTC)",
                           since);
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    struct errtext err = {""};
    json_t *r = NULL;
    bool good = o.dry_run || is_quiet(cfg);
    if (good) {
        struct progress *progress = progress_start("undelete", cl.json || cl.quiet, NULL, NULL);
        o.arg = progress;
        good = !library_undelete(cfg, &o, &r, &err);
        progress_end(progress);
        if (!good)
            fail("%s", err.text);
    }
    if (good && cl.json)
        print_json(r);
    else if (good && !cl.quiet)
        print_report(r, o.newer_heads);
    if (json_number(r, "refused"))
        good = !fail("%lld version%s could not be removed, the first: %s", (long long)json_number(r, "refused"),
                     plural(json_number(r, "refused")), json_words(r, "error"));
    json_decref(r);
    config_free(cfg);
    return good ? EXIT_DONE : EXIT_FAILED;
}
