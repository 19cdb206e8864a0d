/* SPDX-License-Identifier: GPL-2.0-or-later */
/* web.c: s3vtl web: the console, a process of its own beside the one that serves. */
#include <errno.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "vtl/cmd/cmd.h"
#include "vtl/cmd/port_listen.h"
#include "vtl/web/web.h"

static void ready(const struct vtl_config *cfg)
{
    printf("ready: the console is on %s://%s/\n", cfg->web.tls_certificate[0] ? "https" : "http", cfg->web.listen);
    (void)fflush(stdout);
    (void)sd_notify(0, "READY=1");
}

int cmd_web(const struct command_line *cl)
{
    if (!check_arguments(cl, 0, false, "web"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_console_config(cl);
    if (!cfg)
        return EXIT_CONFIG;
    struct errtext err = {""};
    int rc = 0, fd = -1;
    if (!cfg->web.listen[0])
        rc = errtext_set(&err, -EINVAL, "%s: [web] listen is not set: it is the console's port, such as 127.0.0.1:8098",
                         cfg->file);
    else if ((fd = port_listen(cfg, "web", cfg->web.listen, WEB_CONNECTIONS, &err)) < 0)
        rc = fd;
    else
        rc = web_run(cfg, fd, ready, &err);
    if (rc)
        fail("%s", err.text);
    config_free(cfg);
    return rc ? EXIT_FAILED : EXIT_DONE;
}
