/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gc.c: s3vtl library gc: one request for each cartridge, so that a failure stops none of the others. */
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

/* False after a message; the caller goes on with the others. */
static bool one(const struct vtl_config *cfg, const char *barcode, bool dry_run, json_t *results)
{
    json_t *r =
        call_library(cfg, json_pack("{s:s, s:s, s:b}", "op", "tape-gc", "barcode", barcode, "dry_run", dry_run));
    return r && !json_array_append_new(results, r);
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
        printf("%-16s not in this library: %lld objects, %s\n", barcode_of(r), (long long)number(r, "objects"),
               json_is_true(json_object_get(r, "head"))
                   ? "a complete cartridge: \"s3vtl library rebuild\" finds it"
                   : "no head: an interrupted removal, or a cartridge that lost its heads; kept");
}

int cmd_library_gc(const struct command_line *given)
{
    struct command_line cl = *given;
    bool dry_run = take_flag(&cl, "--dry-run"), good = true;
    if (!check_arguments(&cl, 0, false, "library gc [--dry-run]"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *list = call_library(cfg, json_pack("{s:s}", "op", "tape-list")), *results = json_array(), *t;
    json_t *others = list ? call_library(cfg, json_pack("{s:s}", "op", "strangers")) : NULL;
    size_t i;
    json_array_foreach(json_object_get(list, "cartridges"), i, t) good =
        one(cfg, barcode_of(t), dry_run, results) && good;
    const json_t *strangers = json_object_get(others, "strangers");
    if (others && cl.json) {
        json_t *all = json_pack("{s:O, s:O}", "cartridges", results, "strangers", strangers);
        print_json(all);
        json_decref(all);
    } else if (others) {
        print(results, strangers, dry_run);
    }
    json_decref(results);
    json_decref(list);
    json_decref(others);
    config_free(cfg);
    return others && good ? EXIT_DONE : EXIT_FAILED;
}
