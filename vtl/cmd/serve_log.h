/* SPDX-License-Identifier: GPL-2.0-or-later */
/* serve_log.h: what our tgtd writes to its standard error becomes serve's log. */
#ifndef S3VTL_SERVE_LOG_H
#define S3VTL_SERVE_LOG_H

#include <pthread.h>

struct serve_log {
    int fd; /* -1: not begun */
    pthread_t thread;
};

/* Starts the thread that copies what comes from fd, which it takes over, until tgtd ends. 0 or a negative errno: then fd is
 * still the caller's. */
int serve_log_start(struct serve_log *l, int fd);
/* Waits for its end: tgtd has ended. Harmless where nothing was begun. */
void serve_log_end(struct serve_log *l);

#endif
