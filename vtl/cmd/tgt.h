/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tgt.h: a tgtd of our own: starting it with our module in it, and asking it over its management socket. */
#ifndef S3VTL_TGT_H
#define S3VTL_TGT_H

#include <stdbool.h>
#include <sys/types.h>

#include "vtl/config/config.h"

struct tgt {
    pid_t pid;     /* 0: not running */
    int status;    /* waitpid's, once it ended */
    int log_fd;    /* what it writes; the caller reads */
    char ipc[108]; /* management socket */
};

/*
 * Starts tgtd in the foreground, as the user that this process is, listening on the configuration's portal only, with
 * our module preloaded and a management socket below state_dir, so that a tgtd the host uses for other things is never
 * met. tgtd lets nobody manage it but its own user and group, so both must stay what they are. It dies with this
 * process. 0 once it answers; else a negative errno and *err.
 */
int tgt_start(struct tgt *t, const struct vtl_config *cfg, const char *module, struct errtext *err);
/* One target with the changer and the drives, accounts and access lists; initiators may log in when it returns 0. The
 * first logical unit opens the library inside tgtd, which may take a while. */
int tgt_configure(struct tgt *t, const struct vtl_config *cfg, struct errtext *err);
/* True once it ended, by itself or told to. */
bool tgt_ended(struct tgt *t);
/* Takes the target away (which closes the library) and ends tgtd; kills it if it does not end in time. 0 after a clean
 * end. */
int tgt_stop(struct tgt *t, struct errtext *err);

#endif
