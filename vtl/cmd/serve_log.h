/* SPDX-License-Identifier: GPL-2.0-or-later */
/* serve_log.h: what our tgtd writes to its standard error becomes serve's log. */
#ifndef S3VTL_SERVE_LOG_H
#define S3VTL_SERVE_LOG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/log.h"

struct serve_log {
    int fd;           /* -1: not begun */
    atomic_int level; /* what is less is not passed on: enum log_level */
    pthread_t thread;
};

/* Starts the thread that copies what comes from fd, which it takes over, until tgtd ends. 0 or a negative errno: then fd is
 * still the caller's. */
int serve_log_start(struct serve_log *l, int fd);
/* Is a line of this level wanted? Any thread. */
bool serve_log_wants(struct serve_log *l, enum log_level level);
/* 0: as it is. Any thread. */
void serve_log_set_level(struct serve_log *l, int level);
/* Waits for its end: tgtd has ended. Harmless where nothing was begun. */
void serve_log_end(struct serve_log *l);

#endif
