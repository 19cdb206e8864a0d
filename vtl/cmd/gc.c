/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gc.c: s3vtl library gc: many cartridges at a time; a failure stops none of the others. */
#include <stdio.h>

#include "vtl/library/control.h"
#include "vtl/cmd/cmd.h"

static const char *barcode_of(const json_t *j)
{
    return json_string_value(json_object_get(j, "barcode"));
}

/* False after a message for each that failed; the others' results are added. */
static bool take_answers(json_t *answers, json_t *results)
{
    bool good = answers != NULL;
    size_t i;
    json_t *a;
    json_array_foreach(answers, i, a)
    {
        if (json_is_true(json_object_get(a, "ok"))) {
            json_array_append(results, json_object_get(a, "result"));
        } else {
            const char *error = json_string_value(json_object_get(a, "error"));
            fail("%s", error ? error : "no answer");
            good = false;
        }
    }
    json_decref(answers);
    return good;
}

/* Of those that are in the bucket. */
static json_t *requests_of(const json_t *cartridges, size_t from, size_t to, const json_t *vanished, bool dry_run)
{
    json_t *requests = json_array();
    for (size_t i = from; i < to; i++) {
        const char *barcode = barcode_of(json_array_get(cartridges, i));
        if (!vanished_text(vanished, barcode))
            json_array_append_new(
                requests, json_pack("{s:s, s:s, s:b}", "op", "tape-gc", "barcode", barcode, "dry_run", (int)dry_run));
    }
    return requests;
}

struct collecting {
    const struct vtl_config *cfg;
    const json_t *vanished; /* those that are not in the bucket */
    bool dry_run;
    struct progress *progress;
    json_t *results;
    int owing_fd; /* control_ask, of the thread that shows the progress */
};

static void poll(void *arg, char text[PROGRESS_TROUBLE])
{
    struct collecting *c = arg;
    json_decref(ask_trouble(c->cfg, &c->owing_fd, text));
}

/* As many at a time as go side by side, so that one sees it move. When one fails because of the store, so do the
 * others: a store that is in trouble is not asked for the rest. */
static bool collect(const struct collecting *c, const json_t *cartridges)
{
    size_t n = json_array_size(cartridges), step = config_requests(c->cfg) < BATCH ? config_requests(c->cfg) : BATCH;
    char trouble[PROGRESS_TROUBLE] = "";
    int owing_fd = -1;
    bool good = true;
    struct progress_state s = {.of_pieces = n};
    for (size_t i = 0; i < n && !trouble[0]; i += step) {
        size_t end = i + step < n ? i + step : n;
        progress_set(c->progress, &s);
        json_t *requests = requests_of(cartridges, i, end, c->vanished, c->dry_run);
        bool one = take_answers(call_each(c->cfg, requests), c->results);
        if (!one)
            json_decref(ask_trouble(c->cfg, &owing_fd, trouble));
        s.pieces = end;
        good = good && one;
    }
    control_ask_end(&owing_fd);
    progress_set(c->progress, &s);
    if (trouble[0] && s.pieces < n)
        fail("gc ends after %zu of %zu cartridges, as the store is in trouble: run it again", (size_t)s.pieces, n);
    return good;
}

/* A cartridge that was removed while others leaned on it. */
static void print_kept(const json_t *stranger, const json_t *kept_for)
{
    size_t i;
    json_t *b;
    printf("%-16s removed: %lld objects kept for", barcode_of(stranger), (long long)json_number(stranger, "objects"));
    json_array_foreach(kept_for, i, b) printf(" %s", json_string_value(b));
    printf("\n");
}

static void print(const json_t *results, const json_t *strangers, bool dry_run)
{
    json_int_t objects = 0, bytes = 0, others = 0, shared = 0;
    char size[HUMAN_ROOM];
    const char *other = "";
    size_t i;
    json_t *r;
    json_array_foreach(results, i, r)
    {
        objects += json_number(r, "objects");
        bytes += json_number(r, "bytes");
        if (json_object_get(r, "written_by") && !others++)
            other = json_words(r, "written_by");
        shared += json_is_true(json_object_get(r, "on_shared_shelf"));
        if (json_number(r, "objects"))
            printf("%-16s %lld objects, %s\n", barcode_of(r), (long long)json_number(r, "objects"),
                   json_size(r, "bytes", size));
    }
    printf("%lld objects (%s) that no head names%s\n", (long long)objects, human_size((uint64_t)bytes, size),
           dry_run ? "" : ": deleted");
    if (others)
        printf("%lld cartridge%s written last by another gateway (%s): what nobody names there is deleted once this "
               "one has "
               "written them\n",
               (long long)others, others == 1 ? "" : "s", other);
    if (shared)
        printf("%lld cartridge%s on a shelf that another library shares: what nobody names there is deleted by whoever "
               "imports them\n",
               (long long)shared, shared == 1 ? "" : "s");
    json_array_foreach(strangers, i, r)
    {
        const char *error = json_string_value(json_object_get(r, "error"));
        const json_t *kept_for = json_object_get(r, "kept_for");
        if (kept_for) {
            print_kept(r, kept_for);
            continue;
        }
        printf("%-16s not in this library: %lld objects, %s\n", barcode_of(r), (long long)json_number(r, "objects"),
               error ? error
               : json_is_true(json_object_get(r, "head"))
                   ? "a complete cartridge: \"s3vtl library rebuild\" finds it"
                   : "no head: an interrupted removal, or a cartridge that lost its heads; kept");
    }
}

/* Of what is in no library, too, a head must be one that can be read. */
static bool can_be_read(const json_t *strangers)
{
    size_t i;
    json_t *s;
    bool good = true;
    json_array_foreach(strangers, i, s)
    {
        const char *error = json_string_value(json_object_get(s, "error"));
        if (error)
            fail("%s", error);
        good = good && !error;
    }
    return good;
}

int cmd_library_gc(const struct command_line *given)
{
    struct command_line cl = *given;
    bool dry_run = take_flag(&cl, "--dry-run");
    if (!check_arguments(&cl, 0, false, "library gc [--dry-run]"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *list = call_library(cfg, json_pack("{s:s}", "op", "tape-list")), *results = json_array();
    struct collecting c = {.cfg = cfg, .dry_run = dry_run, .results = results, .owing_fd = -1};
    c.progress = progress_start("gc", cl.json || cl.quiet, poll, &c);
    json_t *vanished = list ? vanished_ask(cfg, NULL, NULL, NULL) : NULL;
    c.vanished = vanished;
    json_t *others =
        vanished ? call_library(cfg, json_pack("{s:s, s:b}", "op", "strangers", "tidy", (int)!dry_run)) : NULL;
    bool good = others && collect(&c, json_object_get(list, "cartridges"));
    progress_end(c.progress);
    control_ask_end(&c.owing_fd);
    const json_t *strangers = json_object_get(others, "strangers");
    if (others && cl.json) {
        json_t *all = json_pack("{s:O, s:O, s:O}", "cartridges", results, "strangers", strangers, "vanished", vanished);
        print_json(all);
        json_decref(all);
    } else if (others) {
        print(results, strangers, dry_run);
    }
    good = can_be_read(strangers) && good;
    good = !vanished_tell(vanished) && good;
    json_decref(vanished);
    json_decref(results);
    json_decref(list);
    json_decref(others);
    config_free(cfg);
    return good ? EXIT_DONE : EXIT_FAILED;
}
