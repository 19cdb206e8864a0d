/* SPDX-License-Identifier: GPL-2.0-or-later */
/* process.h: the referee's processes: gateways, copies of their states, the command. */
#ifndef S3VTL_TWINS_PROCESS_H
#define S3VTL_TWINS_PROCESS_H

#include "tests/twins/round.h"

#define PATH_ROOM 1000

/* Runs a program to its end; its output goes to file. Its exit status. */
int process_run(const char *file, char *const argv[]);
void process_start(struct round *r, unsigned i, bool rebuild);
void process_send(struct round *r, unsigned i, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Its answer's number, the rest in text (GATEWAY_LINE bytes). -1: there was none within the time, and it is killed. */
int process_answer(struct round *r, unsigned i, unsigned timeout_ms, char *text);
/* The log of this run says that another gateway was at the tape. */
bool process_complained(const struct round *r, unsigned i);

#endif
