/* SPDX-License-Identifier: GPL-2.0-or-later */
/* thread.h: how every thread of the program starts: named, and without signals. */
#ifndef S3VTL_THREAD_H
#define S3VTL_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Starts fn(arg). Every signal is blocked in it: signals belong to the program's first thread, or tgtd's. name: up to
 * 15 characters, as top and gdb show it. 0 or a negative errno. Any thread. */
int thread_start(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg);
/* From now on the calling thread lets others go first where processors are short (5 nicer than before: a third of its share). */
void thread_step_back(void);
/* Joins it if it ends in time. False: it did not, and is still to be joined or detached. */
bool thread_join_within(pthread_t thread, unsigned ms);
/* The same as thread_start for a thread that nobody joins. */
int thread_start_detached(const char *name, void *(*fn)(void *), void *arg);

#endif
