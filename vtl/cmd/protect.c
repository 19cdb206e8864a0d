/* SPDX-License-Identifier: GPL-2.0-or-later */
/* protect.c: s3vtl tape protect. */
#include <stdio.h>
#include <string.h>

#include "vtl/cmd/cmd.h"

int cmd_tape_protect(const struct command_line *cl)
{
    if (!check_arguments(cl, 2, false, "tape protect BARCODE on|off"))
        return EXIT_USAGE;
    bool on = !strcmp(cl->argv[1], "on");
    if (!on && strcmp(cl->argv[1], "off") != 0)
        return usage_error("tape protect: %s: must be on or off", cl->argv[1]);
    struct vtl_config *cfg = load_config(cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *r =
        call_library(cfg, json_pack("{s:s, s:s, s:b}", "op", "tape-protect", "barcode", cl->argv[0], "on", (int)on));
    if (r && cl->json)
        print_json(r);
    else if (r && !cl->quiet)
        printf("%s is %s\n", cl->argv[0], on ? "write protected" : "not write protected");
    json_decref(r);
    config_free(cfg);
    return r ? EXIT_DONE : EXIT_FAILED;
}
