/* SPDX-License-Identifier: GPL-2.0-or-later */
/* notify.h: tells people of trouble: by a program of theirs, and by a webhook. */
#ifndef S3VTL_NOTIFY_H
#define S3VTL_NOTIFY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/event.h"
#include "vtl/config/config.h"

enum notify_state { NOTIFY_BEGINS, NOTIFY_GOES_ON, NOTIFY_OVER, NOTIFY_TEST };

struct notify_message {
    char event[32]; /* an id of base/event.h; "test" */
    enum notify_state state;
    uint64_t began, ended; /* seconds since 1970; 0: not yet */
    char text[600];
};

/* ---- one way, once: notify_command.c, notify_post.c ---- */

enum { NOTIFY_COMMAND_MS = 60000, NOTIFY_POST_MS = 20000 };
/* Runs [notify] command with the message in its environment and on its standard input, and waits for its end, limit_ms at
 * most: then it is killed with all it started. stop: a descriptor that becomes readable to end it at once; -1: none. 0 or a
 * negative errno and *err. */
int notify_command(const struct vtl_config *cfg, const struct notify_message *m, unsigned limit_ms, int stop,
                   struct errtext *err);
/* POSTs it as JSON to [notify] url. The answer has to be 2xx. *err never has more of the URL than its host. stop: true ends
 * it. */
int notify_post(const struct vtl_config *cfg, const struct notify_message *m, unsigned limit_ms,
                const atomic_bool *stop, struct errtext *err);

/* "s3vtl NAME on HOST: store-down begins: TEXT" */
enum { NOTIFY_LINE = 800 };
void notify_line(const struct vtl_config *cfg, const struct notify_message *m, char line[NOTIFY_LINE]);
const char *notify_state_name(enum notify_state state);
/* "critical", "warning", or "ok" of what is over */
const char *notify_severity(const struct notify_message *m);

/* ---- both, by a thread: notify.c ---- */

struct notifier;
/* NULL in *out where neither is configured. 0 or a negative errno. cfg stays the caller's. */
int notify_start(const struct vtl_config *cfg, struct notifier **out);
/* Returns at once. What fails is logged, and tried again twice, after a while; those of the same event wait for it. When too
 * many wait, the oldest is dropped, and that is logged. NULL is fine. Any thread. */
void notify_send(struct notifier *n, const struct notify_message *m);
/* Ends what runs; what waits is dropped, and logged. NULL is fine. */
void notify_stop(struct notifier *n);

/* How many times faster everything goes, for tests: $S3VTL_NOTIFY_SPEED. 1 or more. */
unsigned notify_speed(void);

#endif
