/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tgt.h: our own tgtd: starts it with our module, configures it over its management socket, and stops it. */
#ifndef S3VTL_TGT_H
#define S3VTL_TGT_H

#include <stdbool.h>
#include <sys/types.h>

#include "vtl/config/config.h"

struct tgt {
    pid_t pid;     /* 0: not running */
    int status;    /* from waitpid, once it ended */
    int log_fd;    /* its output, for the caller to read */
    int stop_fd;   /* a connection to the library in it that takes no other's place (CONTROL_STOP_FD); or -1 */
    char ipc[108]; /* management socket */
};

/* Asks the tgtd in $PATH for its version: 0, or a negative errno and *err if the module does not know its structs. */
int tgt_check_version(struct errtext *err);
/*
 * Starts tgtd in the foreground, as the user of this process, listening on the configured portal only, with our module
 * preloaded and its management socket below state_dir, apart from any tgtd that the host uses for other things. tgtd
 * lets only its own user and group manage it, so both must not change afterwards. tgtd dies with this process. 0 once
 * it answers, else a negative errno and *err.
 */
int tgt_start(struct tgt *t, const struct vtl_config *cfg, const char *module, struct errtext *err);
/* Creates the target with changer, drives, accounts and access lists; once it returns 0, initiators may log in. The
 * first logical unit opens the library inside tgtd, which may take a while. */
int tgt_configure(struct tgt *t, const struct vtl_config *cfg, struct errtext *err);
/* True once it has ended, by itself or on request. */
bool tgt_ended(struct tgt *t);
/* Deletes the target (which closes the library) and stops tgtd; kills it if it does not end in time (-ETIMEDOUT). 0
 * after a clean end, with all as safe as the configuration asks. */
int tgt_stop(struct tgt *t, struct errtext *err);

#endif
