/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doctor.c: s3vtl doctor, or config check --online: examines this host and the store, and says of each thing whether it is
 * good, and of what is wrong what to do.
 *
 * It works before library init, beside a library that is served, and without a store. What it stores is below doctor/ in
 * the store's prefix, where no cartridge is, and is deleted again.
 */
#include "vtl/cmd/doctor_step.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/secret.h"
#include "vtl/library/control.h"
#include "vtl/cmd/owner.h"

#define STATUS_MS 5000 /* for the library's answer */

/* As the command line's other users of the configuration do, but what only root can see is looked at before. */
static struct vtl_config *load(struct doctor *d, const char *file)
{
    struct vtl_config *cfg = NULL;
    struct errtext err = {""};
    if (config_load(file, &cfg, &err)) {
        doctor_say(d, FINDING_WRONG, "config", "correct it; \"s3vtl config check\" shows the settings in force", "%s",
                   err.text);
        return NULL;
    }
    d->port_taken = port_holder_find(cfg->iscsi.portal, &d->holder);
    if (owner_become(cfg, &err)) {
        doctor_say(d, FINDING_WRONG, "config", "give the file to the user that serves: chown, and chmod 600", "%s",
                   err.text);
        config_free(cfg);
        return NULL;
    }
    secret_no_core_dumps();
    struct vtl_config *same = NULL;
    if (cfg->web.listen[0] && config_load_console(file, &same, &err))
        doctor_say(d, FINDING_WRONG, "config", "correct it; the console does not start before that", "%s", err.text);
    else
        doctor_say(d, FINDING_GOOD, "config", NULL, "%s", file);
    config_free(same);
    return cfg;
}

static bool is_served(const struct vtl_config *cfg)
{
    json_t *answer = NULL, *ask = json_pack("{s:s}", "op", "status");
    struct errtext why = {""};
    int rc = control_call(cfg, ask, STATUS_MS, &answer, &why);
    json_decref(ask);
    json_decref(answer);
    return !rc;
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int end(struct doctor *d)
{
    if (d->json) {
        json_t *all = json_pack("{s:b, s:O}", "good", (int)(!d->n_wrong && !d->interrupted), "checks", d->lines);
        print_json(all);
        json_decref(all);
    } else if (d->interrupted) {
        (void)fail("interrupted");
    } else if (!d->n_wrong && !d->quiet) {
        puts("all good");
    } else if (d->n_wrong) {
        (void)fail("%u of this %s wrong", d->n_wrong, d->n_wrong == 1 ? "is" : "are");
    }
    json_decref(d->lines);
    if (d->signals >= 0)
        close(d->signals);
    return d->n_wrong || d->interrupted ? EXIT_FAILED : EXIT_DONE;
}

int doctor(const struct command_line *cl)
{
    struct doctor *d = calloc(1, sizeof(*d));
    if (!d)
        return fail("out of memory");
    *d = (struct doctor){.json = cl->json, .quiet = cl->quiet, .lines = json_array(), .signals = open_signals()};
    struct vtl_config *cfg = load(d, cl->config_file);
    d->cfg = cfg;
    if (cfg) {
        d->served = is_served(cfg);
        doctor_host(d);
        if (!d->interrupted)
            doctor_store(d);
    }
    int status = end(d);
    if (d->left)
        return status; /* with all that the step uses */
    config_free(cfg);
    free(d);
    return status;
}

int cmd_doctor(const struct command_line *cl)
{
    return check_arguments(cl, 0, false, "doctor") ? doctor(cl) : EXIT_USAGE;
}
