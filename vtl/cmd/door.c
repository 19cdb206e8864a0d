/* SPDX-License-Identifier: GPL-2.0-or-later */
/* door.c: s3vtl tape move, export and import: between elements, to the shelf and back. */
#include <stdio.h>

#include "vtl/library/element.h"
#include "vtl/cmd/cmd.h"

static int carry(struct command_line *cl, const char *op, const char *result, const char *text, bool all)
{
    struct vtl_config *cfg = load_config(cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *barcodes = json_array(), *t;
    size_t i;
    for (int k = 0; k < cl->argc; k++)
        json_array_append_new(barcodes, json_string(cl->argv[k]));
    json_t *r = call_library(cfg, json_pack("{s:s, s:o, s:b}", "op", op, "barcodes", barcodes, "all", (int)all));
    if (r && cl->json)
        print_json(r);
    else if (r && !cl->quiet)
        json_array_foreach(json_object_get(r, result), i, t)
        {
            char where[32];
            const char *barcode = json_string_value(json_object_get(t, "barcode"));
            uint16_t address = (uint16_t)json_integer_value(json_object_get(t, "address"));
            if (address)
                printf("%s %s %s\n", barcode, text, element_name(address, where));
            else
                printf("%s is on the shelf, and given up once all of it is stored\n", barcode);
        }
    json_decref(r);
    config_free(cfg);
    return r ? EXIT_DONE : EXIT_FAILED;
}

int cmd_tape_move(const struct command_line *given)
{
    static const char usage[] = "tape move BARCODE slot|drive|import/export NUMBER";
    struct command_line cl = *given;
    if (!check_arguments(&cl, 3, false, usage))
        return EXIT_USAGE;
    uint16_t address = element_address(cl.argv[1], cl.argv[2]);
    if (!address)
        return usage_error("%s %s: no such element; usage: s3vtl %s", cl.argv[1], cl.argv[2], usage);
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *r = call_library(
        cfg, json_pack("{s:s, s:s, s:i}", "op", "tape-move", "barcode", cl.argv[0], "address", (int)address));
    char where[ELEMENT_NAME_SIZE];
    if (r && cl.json)
        print_json(r);
    else if (r && !cl.quiet)
        printf("%s is in %s\n", cl.argv[0], element_name(address, where));
    json_decref(r);
    config_free(cfg);
    return r ? EXIT_DONE : EXIT_FAILED;
}

int cmd_tape_export(const struct command_line *given)
{
    struct command_line cl = *given;
    bool all = take_flag(&cl, "--all");
    if (all && cl.argc)
        return usage_error("--all cannot be combined with barcodes; usage: s3vtl tape export BARCODE...|--all");
    if (!check_arguments(&cl, all ? 0 : 1, !all, "tape export BARCODE...|--all"))
        return EXIT_USAGE;
    return carry(&cl, "tape-export", "exported", "is on the shelf, taken from", all);
}

int cmd_tape_import(const struct command_line *given)
{
    struct command_line cl = *given;
    if (!check_arguments(&cl, 1, true, "tape import BARCODE..."))
        return EXIT_USAGE;
    return carry(&cl, "tape-import", "imported", "is in", false);
}
