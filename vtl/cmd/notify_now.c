/* SPDX-License-Identifier: GPL-2.0-or-later */
/* notify_now.c: s3vtl notify --test: a message by all ways, now. */
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "vtl/cmd/cmd.h"
#include "vtl/cmd/notify.h"

static int test_ways(const struct command_line *cl, const struct vtl_config *cfg)
{
    struct errtext err;
    int status = EXIT_DONE;
    struct notify_message m = {.event = "test", .state = NOTIFY_TEST, .began = (uint64_t)time(NULL)};
    (void)snprintf(m.text, sizeof(m.text), "a test message; nothing is wrong");
    (void)signal(SIGPIPE, SIG_IGN);
    if (!cfg->notify.command[0] && !cfg->notify.url[0])
        return fail("%s: neither [notify] command nor url is set", cfg->file);
    if (cfg->notify.command[0]) {
        if (notify_command(cfg, &m, NOTIFY_COMMAND_MS, -1, &err))
            status = fail("%s", err.text);
        else if (!cl->quiet)
            printf("%s ran, and ended well\n", cfg->notify.command);
    }
    if (cfg->notify.url[0]) {
        if (notify_post(cfg, &m, NOTIFY_POST_MS, NULL, &err))
            status = fail("%s", err.text);
        else if (!cl->quiet)
            puts("the webhook took it");
    }
    return status;
}

int cmd_notify(const struct command_line *given)
{
    struct command_line cl = *given;
    if (!take_flag(&cl, "--test"))
        return usage_error("notify: only \"notify --test\" is there: serve sends what is true");
    if (!check_arguments(&cl, 0, false, "notify --test"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    int status = test_ways(&cl, cfg);
    config_free(cfg);
    return status;
}
