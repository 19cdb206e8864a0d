/* SPDX-License-Identifier: GPL-2.0-or-later */
/* service.h: what systemd is told of a library that serves. */
#ifndef S3VTL_SERVICE_H
#define S3VTL_SERVICE_H

#include "vtl/config/config.h"

/* "ready ..." on standard output, and READY=1. */
void service_ready(const struct vtl_config *cfg);
enum { SERVICE_EVERY_MS = 5000, SERVICE_ASK_MS = 2000 };
/* What serve goes by of how the library is. */
struct service_pulse {
    int log_level;    /* that is wanted now, as a reload may have changed it */
    uint64_t reloads; /* that the library has taken */
};
/* Asks the library how it is, for at most SERVICE_ASK_MS: STATUS= says it, and an answer is a sign of life (WATCHDOG=1).
 * Call it every SERVICE_EVERY_MS. False: no answer. */
bool service_pulse(const struct vtl_config *cfg, struct service_pulse *p);
/* Tells the library that nobody waits for its flush any more, nor is to wait for anything: commands of hosts end. Else the same,
 * but systemd hears nothing of it. */
bool service_end(const struct vtl_config *cfg, struct service_pulse *p);
/* A reload on SIGHUP, which systemd did not begin, has begun or is over. */
void service_reloading(void);
void service_reloaded(void);
/* The stop has begun, and may take ten minutes. */
void service_stopping(void);
/* The last line on standard error, and the last STATUS=. */
void service_stopped(const char *text);

#endif
