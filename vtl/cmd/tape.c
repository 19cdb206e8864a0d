/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tape.c: s3vtl tape create, list, show, claim and remove. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vtl/format/barcode.h"
#include "vtl/library/element.h"
#include "vtl/cmd/cmd.h"

int cmd_tape_create(const struct command_line *given)
{
    struct command_line cl = *given;
    const char *capacity = NULL;
    uint64_t bytes = 0;
    bool worm = take_flag(&cl, "--worm"), no_dedup = take_flag(&cl, "--no-dedup");
    if (!take_value(&cl, "--capacity", &capacity) ||
        !check_arguments(&cl, 1, true, "tape create BARCODE... [--capacity SIZE] [--worm] [--no-dedup]"))
        return EXIT_USAGE;
    if (capacity && (!config_parse_size(capacity, &bytes) || bytes < 1 << 20 || bytes > 1ull << 60))
        return usage_error("--capacity %s: must be a size of at least 1M, such as 12TB", capacity);
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *barcodes = barcodes_given(cl.argc, cl.argv); /* all are checked first: a typing mistake creates none */
    if (!barcodes) {
        config_free(cfg);
        return EXIT_FAILED;
    }
    barcodes_warn(barcodes, cfg->library.generation);
    json_t *r =
        call_library(cfg, json_pack("{s:s, s:o, s:I, s:b, s:b}", "op", "tape-create", "barcodes", barcodes, "capacity",
                                    (json_int_t)bytes, "worm", (int)worm, "no_dedup", (int)no_dedup));
    if (r && cl.json) {
        print_json(r);
    } else if (r && !cl.quiet) {
        size_t i;
        json_t *t;
        json_array_foreach(json_object_get(r, "created"), i, t)
        {
            char where[32];
            printf("%s is in %s\n", json_string_value(json_object_get(t, "barcode")),
                   element_name((uint16_t)json_integer_value(json_object_get(t, "address")), where));
        }
    }
    json_decref(r);
    config_free(cfg);
    return r ? EXIT_DONE : EXIT_FAILED;
}

enum { OWN_ROOM = HUMAN_ROOM + 16 };

static const char *type_of(const json_t *t, char buf[32])
{
    if (json_object_get(t, "cleanings_left"))
        return "cleaning";
    (void)snprintf(buf, 32, "LTO-%d%s", (int)json_number(t, "generation"),
                   json_is_true(json_object_get(t, "worm")) ? " WORM" : "");
    return buf;
}

/* " locked until ...", or "". */
static const char *lock_of(const json_t *t, char buf[HUMAN_ROOM + 16])
{
    char day[HUMAN_ROOM];
    (void)snprintf(buf, HUMAN_ROOM + 16, " locked until %s", human_time((uint64_t)json_number(t, "retain_until"), day));
    return json_is_true(json_object_get(t, "locked")) ? buf : "";
}

/* Of its own, on this disk and in the store, and how many times as much hosts wrote. */
static const char *own_of_cartridge(const json_t *t, char text[OWN_ROOM])
{
    char size[HUMAN_ROOM];
    double used = (double)json_number(t, "used_bytes"),
           own = (double)json_number(t, "local_only_bytes") + (double)json_number(t, "stored_bytes");
    (void)snprintf(text, OWN_ROOM, own > 0 ? "%s %5.1f:1" : "%s", human_size((uint64_t)own, size), used / own);
    return text;
}

/* dedup: with a column for what is stored of each. */
static void print_cartridges(const json_t *list, bool dedup)
{
    char own[OWN_ROOM] = "", where[ELEMENT_NAME_SIZE], type[32], used[USED_ROOM], local[HUMAN_ROOM],
         lock[HUMAN_ROOM + 16];
    int width = column_width(list, "barcode", 7);
    size_t i;
    json_t *t;
    printf("%-*s %-17s %-10s %21s  %17s%s\n", width, "BARCODE", "WHERE", "TYPE", "USED             ",
           "ONLY ON THIS DISK", dedup ? "              STORED" : "");
    json_array_foreach(list, i, t)
    {
        printf("%-*s %-17s %-10s %s  %17s%*s%s%s%s%s%s\n", width, json_words(t, "barcode"),
               element_name((uint16_t)json_number(t, "address"), where), type_of(t, type), used_of_cartridge(t, used),
               json_size(t, "local_only_bytes", local), dedup ? 20 : 0, dedup ? own_of_cartridge(t, own) : "",
               json_is_true(json_object_get(t, "write_protected")) ? " write protected" : "", lock_of(t, lock),
               json_is_true(json_object_get(t, "fenced")) ? " FENCED" : "",
               json_number(t, "lost_objects") ? " DAMAGED" : "", json_number(t, "weak_objects") ? " WEAK" : "");
        if (json_is_string(json_object_get(t, "trouble")))
            printf("    %s\n", json_words(t, "trouble"));
    }
}

int cmd_tape_list(const struct command_line *cl)
{
    if (!check_arguments(cl, 0, false, "tape list"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *r = call_library(cfg, json_pack("{s:s}", "op", "tape-list"));
    if (r && cl->json) {
        print_json(r);
    } else if (r) {
        print_cartridges(json_object_get(r, "cartridges"), json_is_true(json_object_get(r, "dedup")));
    }
    json_decref(r);
    config_free(cfg);
    return r ? EXIT_DONE : EXIT_FAILED;
}

/* A member for people: the figures that are dates and sizes as such. */
static void print_pair(const char *group, const char *key, const json_t *v)
{
    static const char *const dates[] = {"created",  "modified",     "first_written",    "last_written",
                                        "verified", "retain_until", "object_lock_until"};
    char name[64], shown[HUMAN_ROOM], *s = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    const char *text = json_is_string(v) ? json_string_value(v) : s;
    size_t n = strlen(key);
    (void)snprintf(name, sizeof(name), "%s%s%s", group, *group ? "." : "", key);
    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++)
        if (json_is_integer(v) && !strcmp(key, dates[i]))
            text = human_time((uint64_t)json_integer_value(v), shown);
    if (json_is_integer(v) && n > 6 && !strcmp(key + n - 6, "_bytes"))
        text = human_size((uint64_t)json_integer_value(v), shown);
    if (json_is_real(v)) {
        (void)snprintf(shown, sizeof(shown), "%.3g", json_real_value(v));
        text = shown;
    }
    if (!strcmp(name, "address"))
        text = element_name((uint16_t)json_integer_value(v), shown);
    (void)printf("%-26s %s\n",
                 !strcmp(name, "local_only_bytes") ? "only on this disk"
                 : !strcmp(name, "accepted_bytes") ? "accepted by the store"
                 : !strcmp(name, "offsite_bytes")  ? "off-site"
                 : !strcmp(name, "health")         ? "health in the store"
                 : !strcmp(name, "address")        ? "where"
                                                   : name,
                 text);
    free(s);
}

int cmd_tape_show(const struct command_line *cl)
{
    if (!check_arguments(cl, 1, false, "tape show BARCODE"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *r = call_library(cfg, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", cl->argv[0]));
    if (r && cl->json) {
        print_json(r);
    } else if (r) {
        const char *key;
        json_t *v;
        json_object_foreach(r, key, v)
        {
            const char *inner;
            json_t *w;
            json_object_foreach(v, inner, w) print_pair(key, inner, w);
            if (!json_is_object(v))
                print_pair("", key, v);
        }
    }
    json_decref(r);
    config_free(cfg);
    return r ? EXIT_DONE : EXIT_FAILED;
}

int cmd_tape_claim(const struct command_line *given)
{
    struct command_line cl = *given;
    bool force = take_flag(&cl, "--force");
    char size[32];
    if (!check_arguments(&cl, 1, false, "tape claim BARCODE [--force]"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *r =
        call_library(cfg, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", cl.argv[0], "force", (int)force));
    if (r && cl.json) {
        print_json(r);
    } else if (r && !cl.quiet) {
        printf("%s belongs to this gateway", cl.argv[0]);
        if (json_is_true(json_object_get(r, "other")))
            printf(", taken over from %s", json_words(r, "from"));
        printf(": %s\n", json_size(r, "used_bytes", size));
        if (json_number(r, "kept_bytes"))
            printf("%s written by this gateway are in no head of the bucket: kept in its spool as *.bad\n",
                   json_size(r, "kept_bytes", size));
    }
    json_decref(r);
    config_free(cfg);
    return r ? EXIT_DONE : EXIT_FAILED;
}

/* And what that freed, and what not. */
static void print_removed(const json_t *r)
{
    char size[HUMAN_ROOM];
    size_t i;
    json_t *t;
    printf("%s removed", json_words(r, "removed"));
    if (json_number(r, "freed_by_removal_bytes"))
        printf(": %s freed", json_size(r, "freed_by_removal_bytes", size));
    if (json_number(r, "needed_by_others_bytes"))
        printf("; %s stay in the store, %s", json_size(r, "needed_by_others_bytes", size),
               json_array_size(json_object_get(r, "lends_to")) ? "for" : "as others may copy from it still");
    else if (json_is_true(json_object_get(r, "kept")))
        printf("; what other cartridges copy from stays in the store");
    json_array_foreach(json_object_get(r, "lends_to"), i, t) printf("%s %s", i ? "," : "", json_words(t, "barcode"));
    printf("\n");
}

int cmd_tape_remove(const struct command_line *given)
{
    struct command_line cl = *given;
    bool force = take_flag(&cl, "--force");
    if (!check_arguments(&cl, 1, false, "tape remove BARCODE [--force]"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *r = call_library(
        cfg, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", cl.argv[0], "force", (int)force));
    if (r && cl.json)
        print_json(r);
    else if (r && !cl.quiet)
        print_removed(r);
    json_decref(r);
    config_free(cfg);
    return r ? EXIT_DONE : EXIT_FAILED;
}
