/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spawn.h: starts another program with something on its standard input. */
#ifndef S3VTL_SPAWN_H
#define S3VTL_SPAWN_H

#include <sys/types.h>

/*
 * argv[0] is an absolute path; env NULL: this process's. Its standard output and error are our standard error; it has a
 * process group of its own, no signal blocked or ignored, and of our descriptors only those three. *in: what it reads;
 * the caller closes it, and waits for *pid. 0 or a negative errno. Any thread.
 */
int spawn_with_input(char *const argv[], char *const env[], pid_t *pid, int *in);

#endif
