/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_accept.c: s3vtl config accept: the next start may change what hosts know the library by. */
#include <stdio.h>

#include "vtl/cmd/cmd.h"
#include "vtl/library/library.h"

static int accept_losses(struct library *lib, bool quiet, struct errtext *err)
{
    struct errtext losses;
    int rc = library_losses(lib, &losses, err);
    if (!rc)
        rc = library_accept(lib, err);
    if (!rc && !quiet)
        printf("accepted: %s\n", losses.text[0] ? losses.text : "hosts lose nothing");
    return rc;
}

int cmd_config_accept(const struct command_line *cl)
{
    if (!check_arguments(cl, 0, false, "config accept"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(cl);
    if (!cfg)
        return EXIT_FAILED;
    struct errtext err = {""};
    struct library *lib = NULL;
    int rc = library_open(cfg, 0, &lib, &err);
    if (!rc) {
        rc = accept_losses(lib, cl->quiet, &err);
        int closed = library_close(lib, rc ? NULL : &err);
        rc = rc ? rc : closed;
    }
    if (rc)
        fail("%s", err.text);
    config_free(cfg);
    return rc ? EXIT_FAILED : EXIT_DONE;
}
