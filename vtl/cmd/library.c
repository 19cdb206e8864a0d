/* SPDX-License-Identifier: GPL-2.0-or-later */
/* library.c: s3vtl library init and rebuild, s3vtl status, s3vtl flush. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vtl/library/element.h"
#include "vtl/library/library.h"
#include "vtl/cmd/cmd.h"

#define FLUSH_REMOTE_STEP_MS 5000

static json_int_t number(const json_t *j, const char *key)
{
    return json_integer_value(json_object_get(j, key));
}

static const char *text(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "-";
}

int cmd_library_init(const struct command_line *cl)
{
    if (!check_arguments(cl, 0, false, "library init"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *r = NULL;
    struct errtext err = {""};
    int rc = library_init(cfg, &r, &err);
    if (rc)
        fail("%s", err.text);
    else if (cl->json)
        print_json(r);
    else if (!cl->quiet)
        printf("library %s (%s) %s\n", json_string_value(json_object_get(r, "name")),
               json_string_value(json_object_get(r, "library")),
               json_is_true(json_object_get(r, "created")) ? "initialised" : "already exists");
    size_t i;
    json_t *line;
    json_array_foreach(json_object_get(r, "store_advice"), i, line) if (!cl->quiet)
        fprintf(stderr, "s3vtl: note: %s\n", json_string_value(line));
    json_decref(r);
    config_free(cfg);
    return rc ? EXIT_FAILED : EXIT_DONE;
}

static void print_missing(const char *barcode, const json_t *deep)
{
    size_t i;
    json_t *h;
    printf("    from %lld segments, %lld of them unreadable\n", (long long)number(deep, "segments"),
           (long long)number(deep, "unreadable"));
    if (!json_is_true(json_object_get(deep, "attributes_known")))
        printf("    capacity, generation and attributes are guessed, so it is write protected until "
               "\"s3vtl tape protect %s off\"\n",
               barcode);
    json_array_foreach(json_object_get(deep, "missing"), i, h) printf(
        "    lost: from file %lld, objects %lld to %lld (segment %s)%s\n", (long long)number(h, "file"),
        (long long)number(h, "object"), (long long)(number(h, "object") + number(h, "objects") - 1), text(h, "segment"),
        json_is_true(json_object_get(h, "inferred")) ? ": the data right before it may be older than what was lost"
                                                     : "");
}

static void print_backlog(FILE *to, const json_t *backlog)
{
    size_t i;
    json_t *t;
    char size[32];
    json_array_foreach(backlog, i, t)
        fprintf(to, "  %-16s only in the spool: %lld segments, %s (%lld bytes)\n", text(t, "barcode"),
                (long long)number(t, "segments"), human_size(number(t, "bytes"), size), (long long)number(t, "bytes"));
}

static void print_rebuilt(const json_t *r)
{
    size_t i;
    json_t *t;
    printf("library %s (%s): %zu cartridges\n", text(r, "name"), text(r, "library"),
           json_array_size(json_object_get(r, "cartridges")));
    json_array_foreach(json_object_get(r, "cartridges"), i, t)
    {
        char where[32], size[32];
        printf("  %-16s %-18s %lld files, %s\n", text(t, "barcode"),
               element_name((uint16_t)number(t, "address"), where), (long long)number(t, "files"),
               human_size(number(t, "bytes"), size));
        if (json_object_get(t, "deep"))
            print_missing(text(t, "barcode"), json_object_get(t, "deep"));
    }
}

static void print_scan(void *arg, const char *barcode, uint64_t done, uint64_t total)
{
    (void)arg;
    if (done % 16 && done < total)
        return;
    progress_bar(barcode, done, total);
    fprintf(stderr, "%llu of %llu segments%s", (unsigned long long)done, (unsigned long long)total,
            done < total ? "\033[K" : "\r\033[K");
}

static void show_count(void *arg, uint64_t done, uint64_t total)
{
    counter_show(arg, done, total);
}

int cmd_library_rebuild(const struct command_line *given)
{
    struct command_line cl = *given;
    struct counter showing;
    struct rebuild_options o = {.force = take_flag(&cl, "--force"),
                                .deep = take_flag(&cl, "--deep"),
                                .discard_backlog = take_flag(&cl, "--discard-backlog"),
                                .dry_run = take_flag(&cl, "--dry-run"),
                                .progress = isatty(STDERR_FILENO) && !cl.quiet ? print_scan : NULL,
                                .count = show_count,
                                .arg = &showing};
    if (!check_arguments(&cl, 0, false, "library rebuild [--force] [--deep] [--discard-backlog] [--dry-run]"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *r = NULL, *t;
    struct errtext err = {""};
    size_t i, bad = 0;
    counter_init(&showing, "rebuild", cl.json || cl.quiet);
    int rc = library_rebuild(cfg, &o, &r, &err);
    if (rc) {
        print_backlog(stderr, json_object_get(r, "backlog"));
        fail("%s", err.text);
    }
    bad = json_array_size(json_object_get(r, "failed"));
    if (!rc && cl.json)
        print_json(r);
    else if (!rc)
        print_rebuilt(r);
    if (!rc && !cl.json)
        print_backlog(stdout, json_object_get(r, "backlog"));
    json_array_foreach(json_object_get(r, "failed"), i, t)
        fail("%s could not be rebuilt: %s%s", text(t, "barcode"), text(t, "error"),
             json_is_true(json_object_get(t, "deep_may_help")) ? " (--deep rebuilds it from its segments)" : "");
    bad += vanished_tell(json_object_get(r, "vanished"));
    if (!rc && o.dry_run && !cl.json)
        puts("--dry-run: nothing was changed");
    json_decref(r);
    config_free(cfg);
    return rc || bad ? EXIT_FAILED : EXIT_DONE;
}

static void print_flush_bar(json_int_t all, json_int_t left, json_int_t rate, bool done)
{
    char amount[32], speed[32];
    progress_bar("flush", (uint64_t)(all - left), (uint64_t)all);
    fprintf(stderr, "%s left at %s/s", human_size(left, amount), human_size(rate, speed));
    if (rate)
        fprintf(stderr, ", %lld s", (long long)(left / rate));
    fputs(done ? "\033[K\n" : "\033[K", stderr);
}

/* Has the library wait for a short while at a time, so that no wait is left in it when we are interrupted. */
static bool flush_remote(const struct vtl_config *cfg, bool quiet)
{
    char told[600] = "";
    json_int_t most = 0;
    bool bar = isatty(STDERR_FILENO);
    for (;;) {
        json_t *r = call_library(
            cfg, json_pack("{s:s, s:b, s:i}", "op", "flush", "remote", 1, "timeout_ms", FLUSH_REMOTE_STEP_MS));
        bool done = json_is_true(json_object_get(r, "remote")), failed = !r;
        const char *waiting = json_string_value(json_object_get(r, "waiting"));
        json_int_t left = number(r, "left_bytes"), rate = number(r, "upload_rate");
        most = left > most ? left : most;
        if (quiet)
            ;
        else if (bar && r)
            print_flush_bar(most, left, rate, done);
        else if (waiting && strcmp(told, waiting) != 0) {
            (void)snprintf(told, sizeof(told), "%s", waiting);
            fprintf(stderr, "s3vtl: waiting: %s\n", told);
        }
        json_decref(r);
        if (done || failed)
            return done;
    }
}

int cmd_flush(const struct command_line *given)
{
    struct command_line cl = *given;
    bool remote = take_flag(&cl, "--remote");
    if (!check_arguments(&cl, 0, false, "flush [--remote]"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    bool done;
    if (remote) {
        done = flush_remote(cfg, cl.quiet);
    } else {
        json_t *r = call_library(cfg, json_pack("{s:s}", "op", "flush"));
        done = r != NULL;
        json_decref(r);
    }
    config_free(cfg);
    return done ? EXIT_DONE : EXIT_FAILED;
}

/* ---- status ---- */

static const json_t *cartridge_of(const json_t *status, const char *barcode)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(status, "cartridges"), i, c) if (!strcmp(text(c, "barcode"), barcode)) return c;
    return NULL;
}

static void print_flush(json_int_t left, json_int_t rate)
{
    char a[32];
    printf("  %s left to store", human_size(left, a));
    if (rate)
        printf(", about %lld s", (long long)(left / rate));
}

static void print_store(const json_t *store)
{
    size_t i;
    json_t *line;
    if (json_is_string(json_object_get(store, "trouble")))
        printf("the store is in trouble, for %lld s: %s\n", (long long)number(store, "since_ms") / 1000,
               text(store, "trouble"));
    json_array_foreach(json_object_get(store, "advice"), i, line) printf("note: %s\n", json_string_value(line));
}

static void print_status(const json_t *s)
{
    const json_t *spool = json_object_get(s, "spool");
    char a[32], b[32], d[32], e[32], used[USED_ROOM];
    size_t i;
    json_t *j;
    printf("library %s   durability %s   backlog %s of %s   cache %s of %s\n", text(s, "name"),
           text(spool, "durability"), human_size(number(spool, "dirty_bytes"), a),
           human_size(number(spool, "dirty_limit"), b), human_size(number(spool, "cache_bytes"), d),
           human_size(number(spool, "cache_size"), e));
    if (json_is_string(json_object_get(s, "warning")))
        printf("WARNING: %s\n", text(s, "warning"));
    print_store(json_object_get(s, "store"));
    printf("\n%-7s %-4s %-12s %-12s %-16s %8s %10s\n", "DRIVE", "LUN", "SERIAL", "STATE", "BARCODE", "FILE", "BLOCK");
    json_array_foreach(json_object_get(s, "drives"), i, j)
    {
        bool in = json_is_string(json_object_get(j, "barcode"));
        printf("%-7zu %-4d %-12s %-12s %-16s ", i, (int)number(j, "lun"), text(j, "serial"), text(j, "state"),
               text(j, "barcode"));
        if (in)
            printf("%8lld %10lld", (long long)number(j, "file"), (long long)number(j, "block"));
        else
            printf("%8s %10s", "-", "-");
        if (number(j, "flush_left_bytes"))
            print_flush(number(j, "flush_left_bytes"), number(spool, "upload_rate"));
        putchar('\n');
    }
    printf("\n%-18s %-7s %-16s %12s    %-10s %12s\n", "ELEMENT", "ADDRESS", "BARCODE", "USED", "CAPACITY", "BACKLOG");
    json_array_foreach(json_object_get(s, "elements"), i, j)
    {
        const char *barcode = json_string_value(json_object_get(j, "barcode"));
        if (!barcode)
            continue;
        const json_t *c = cartridge_of(s, barcode);
        printf("%-18s %#06x  %-16s %s %12s %s\n", element_name((uint16_t)number(j, "address"), a),
               (unsigned)number(j, "address"), barcode, used_of_cartridge(c, used),
               human_size(number(c, "not_remote_bytes"), b),
               json_is_string(json_object_get(c, "trouble")) ? text(c, "trouble") : "");
    }
}

int cmd_status(const struct command_line *cl)
{
    if (!check_arguments(cl, 0, false, "status"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *r = call_library(cfg, json_pack("{s:s}", "op", "status"));
    if (r && cl->json)
        print_json(r);
    else if (r)
        print_status(r);
    json_decref(r);
    config_free(cfg);
    return r ? EXIT_DONE : EXIT_FAILED;
}
