/* SPDX-License-Identifier: GPL-2.0-or-later */
/* executor.h: one thread per logical unit that runs requests in order and hands them back by an eventfd. */
#ifndef S3VTL_EXECUTOR_H
#define S3VTL_EXECUTOR_H

#include <stdbool.h>

struct executor;
struct exec_job {
    struct exec_job *next;
    void (*run)(struct exec_job *job); /* on the executor's thread */
};
/* done_fd of the executor becomes readable when executor_done has something. NULL when out of resources. */
struct executor *executor_new(const char *name);
int executor_done_fd(const struct executor *e);
void executor_submit(struct executor *e, struct exec_job *job);
/* True if nothing is queued and nothing runs, not even a job that was handed back early; it stays so until the caller
 * submits a job. Never blocks. Only by the thread that submits. */
bool executor_is_idle(struct executor *e);
/* Takes back a job that has not begun; false: it runs, or has run. */
bool executor_remove(struct executor *e, struct exec_job *job);
/* Hands a job back that goes on after its answer. Called once, by its run, which does not touch it afterwards. */
void executor_hand_back(struct executor *e, struct exec_job *job);
/* Returns the jobs that ran since the last call, in order (by next); NULL: none. Clears the eventfd. */
struct exec_job *executor_done(struct executor *e);
/* Runs what is queued, then ends the thread. Jobs that ran and were not taken by executor_done are left to the caller.
 */
void executor_free(struct executor *e);

#endif
