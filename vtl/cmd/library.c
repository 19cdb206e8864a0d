/* SPDX-License-Identifier: GPL-2.0-or-later */
/* library.c: s3vtl library init and rebuild, s3vtl flush. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vtl/library/control.h"
#include "vtl/library/element.h"
#include "vtl/library/library.h"
#include "vtl/cmd/cmd.h"

#define FLUSH_REMOTE_STEP_MS 1000

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
    printf("    from %lld segments, %lld of them unreadable\n", (long long)json_number(deep, "segments"),
           (long long)json_number(deep, "unreadable"));
    if (!json_is_true(json_object_get(deep, "attributes_known")))
        printf("    capacity, generation and attributes are guessed, so it is write protected until "
               "\"s3vtl tape protect %s off\"\n",
               barcode);
    json_array_foreach(json_object_get(deep, "missing"), i, h) printf(
        "    lost: from file %lld, objects %lld to %lld (segment %s)%s\n", (long long)json_number(h, "file"),
        (long long)json_number(h, "object"), (long long)(json_number(h, "object") + json_number(h, "objects") - 1),
        json_words(h, "segment"),
        json_is_true(json_object_get(h, "inferred")) ? ": the data right before it may be older than what was lost"
                                                     : "");
}

void print_only_here(FILE *to, const json_t *backlog)
{
    size_t i;
    json_t *t;
    char size[32];
    json_array_foreach(backlog, i, t)
        fprintf(to, "  %-16s only on this disk: %lld segments, %s (%lld bytes)\n", json_words(t, "barcode"),
                (long long)json_number(t, "segments"), json_size(t, "bytes", size), (long long)json_number(t, "bytes"));
}

static void print_rebuilt(const json_t *r)
{
    size_t i;
    json_t *t;
    printf("library %s (%s): %zu cartridges\n", json_words(r, "name"), json_words(r, "library"),
           json_array_size(json_object_get(r, "cartridges")));
    json_array_foreach(json_object_get(r, "cartridges"), i, t)
    {
        char where[32], size[32];
        printf("  %-16s %-18s %lld files, %s\n", json_words(t, "barcode"),
               element_name((uint16_t)json_number(t, "address"), where), (long long)json_number(t, "files"),
               json_size(t, "bytes", size));
        if (json_object_get(t, "deep"))
            print_missing(json_words(t, "barcode"), json_object_get(t, "deep"));
    }
}

static void show_scan(void *arg, const char *barcode, uint64_t done, uint64_t total)
{
    progress_part(arg, barcode, done, total);
}

static void show_count(void *arg, uint64_t done, uint64_t total)
{
    const struct progress_state s = {.pieces = done, .of_pieces = total};
    progress_set(arg, &s);
}

static int print_rebuild(const struct command_line *cl, const struct rebuild_options *o, int rc, const json_t *r,
                         const struct errtext *err)
{
    size_t i;
    json_t *t;
    if (rc) {
        print_only_here(stderr, json_object_get(r, "backlog"));
        return fail("%s", err->text);
    }
    if (cl->json) {
        print_json(r);
    } else {
        print_rebuilt(r);
        print_only_here(stdout, json_object_get(r, "backlog"));
    }
    json_array_foreach(json_object_get(r, "failed"), i, t)
        fail("%s could not be rebuilt: %s%s", json_words(t, "barcode"), json_words(t, "error"),
             json_is_true(json_object_get(t, "deep_may_help")) ? " (--deep rebuilds it from its segments)" : "");
    bool vanished = vanished_tell(json_object_get(r, "vanished"));
    if (o->dry_run && !cl->json)
        puts("--dry-run: nothing was changed");
    return vanished || json_array_size(json_object_get(r, "failed")) ? EXIT_FAILED : EXIT_DONE;
}

int cmd_library_rebuild(const struct command_line *given)
{
    struct command_line cl = *given;
    struct progress *progress = NULL;
    struct rebuild_options o = {.force = take_flag(&cl, "--force"),
                                .deep = take_flag(&cl, "--deep"),
                                .shelf = take_flag(&cl, "--shelf"),
                                .discard_backlog = take_flag(&cl, "--discard-backlog"),
                                .dry_run = take_flag(&cl, "--dry-run"),
                                .progress = show_scan,
                                .count = show_count};
    if (!check_arguments(&cl, 0, false, "library rebuild [--force] [--deep] [--discard-backlog] [--shelf] [--dry-run]"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *r = NULL;
    struct errtext err = {""};
    o.arg = progress = progress_start("rebuild", cl.json || cl.quiet, NULL, NULL);
    int rc = library_rebuild(cfg, &o, &r, &err);
    progress_end(progress);
    int status = print_rebuild(&cl, &o, rc, r, &err);
    json_decref(r);
    config_free(cfg);
    return status;
}

struct flushing {
    const struct vtl_config *cfg;
    struct progress *progress;
    bool offsite;
    uint64_t most; /* bytes to store: a job may go on meanwhile */
    int owing_fd;  /* control_ask */
};

/* The store's own word on what is off-site, unless there is worse to tell. */
static void add_offsite_trouble(const json_t *r, char text[PROGRESS_TROUBLE])
{
    const json_t *said = json_object_get(json_object_get(json_object_get(r, "store"), "offsite"), "trouble");
    if (!text[0] && json_is_string(said))
        (void)snprintf(text, PROGRESS_TROUBLE, "%s", json_string_value(said));
}

static void poll_flush(void *arg, char text[PROGRESS_TROUBLE])
{
    struct flushing *f = arg;
    json_t *r = ask_trouble(f->cfg, &f->owing_fd, text);
    uint64_t left = (uint64_t)json_number(json_object_get(r, "spool"), "unsent_bytes");
    if (f->offsite) {
        left += (uint64_t)json_number(r, "accepted_bytes");
        add_offsite_trouble(r, text);
    }
    f->most = left > f->most ? left : f->most;
    const struct progress_state s = {.bytes = f->most - left, .of_bytes = f->most};
    if (r)
        progress_set(f->progress, &s);
    json_decref(r);
}

/* Has the library wait for a short while at a time, so that no wait is left in it when we are interrupted. */
static bool flush_stored(const struct vtl_config *cfg, bool offsite, bool quiet)
{
    struct flushing f = {.cfg = cfg, .offsite = offsite, .owing_fd = -1};
    bool done = false, failed = false;
    f.progress = progress_start("flush", quiet, poll_flush, &f);
    while (!done && !failed) {
        const char *level = offsite ? "offsite" : "remote";
        json_t *r = call_library(
            cfg, json_pack("{s:s, s:b, s:i}", "op", "flush", level, 1, "timeout_ms", FLUSH_REMOTE_STEP_MS));
        done = json_is_true(json_object_get(r, level));
        failed = !r;
        json_decref(r);
    }
    progress_end(f.progress);
    control_ask_end(&f.owing_fd);
    return done;
}

int cmd_flush(const struct command_line *given)
{
    struct command_line cl = *given;
    bool remote = take_flag(&cl, "--remote"), offsite = take_flag(&cl, "--offsite");
    if (!check_arguments(&cl, 0, false, "flush [--remote|--offsite]"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    bool done;
    if (remote || offsite) {
        done = flush_stored(cfg, offsite, cl.quiet || cl.json);
    } else {
        json_t *r = call_library(cfg, json_pack("{s:s}", "op", "flush"));
        done = r != NULL;
        json_decref(r);
    }
    config_free(cfg);
    return done ? EXIT_DONE : EXIT_FAILED;
}
