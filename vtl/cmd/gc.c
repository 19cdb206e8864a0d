/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gc.c: s3vtl library gc: many cartridges at a time; a failure stops none of the others. */
#include <stdio.h>

#include "vtl/cmd/cmd.h"

static json_int_t number(const json_t *j, const char *key)
{
    return json_integer_value(json_object_get(j, key));
}

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

static bool collect(const struct vtl_config *cfg, const json_t *cartridges, const json_t *vanished, bool dry_run,
                    bool quiet, json_t *results)
{
    struct counter counter;
    size_t n = json_array_size(cartridges);
    bool good = true;
    counter_init(&counter, "gc", quiet);
    for (size_t i = 0; i < n; i += BATCH) {
        size_t end = i + BATCH < n ? i + BATCH : n;
        json_t *requests = requests_of(cartridges, i, end, vanished, dry_run);
        good = take_answers(call_each(cfg, requests), results) && good;
        counter_show(&counter, end, n);
    }
    return good;
}

static void print(const json_t *results, const json_t *strangers, bool dry_run)
{
    json_int_t objects = 0, bytes = 0;
    char size[32];
    size_t i;
    json_t *r;
    json_array_foreach(results, i, r)
    {
        objects += number(r, "objects");
        bytes += number(r, "bytes");
        if (number(r, "objects"))
            printf("%-16s %lld objects, %s\n", barcode_of(r), (long long)number(r, "objects"),
                   human_size(number(r, "bytes"), size));
    }
    printf("%lld objects (%s) that no head names%s\n", (long long)objects, human_size(bytes, size),
           dry_run ? "" : ": deleted");
    json_array_foreach(strangers, i, r)
    {
        const char *error = json_string_value(json_object_get(r, "error"));
        printf("%-16s not in this library: %lld objects, %s\n", barcode_of(r), (long long)number(r, "objects"),
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
    json_t *vanished = list ? vanished_ask(cfg, NULL, NULL, NULL) : NULL;
    json_t *others = vanished ? call_library(cfg, json_pack("{s:s}", "op", "strangers")) : NULL;
    bool good =
        others && collect(cfg, json_object_get(list, "cartridges"), vanished, dry_run, cl.json || cl.quiet, results);
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
