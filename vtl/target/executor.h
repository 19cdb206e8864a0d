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
/* Nothing is queued, and nothing runs, also not behind its answer. Stays so until the caller submits something. Never
 * blocks. By the thread that submits. */
bool executor_is_idle(struct executor *e);
/* Takes back a job that did not begin yet; false: it runs, or ran. */
bool executor_remove(struct executor *e, struct exec_job *job);
/* For a job that goes on after its answer: hands it back now. Called by its run, once; run does not touch it
 * afterwards. */
void executor_hand_back(struct executor *e, struct exec_job *job);
/* The list (by next) of jobs that ran since the last call, in order; NULL if none. Clears the eventfd. */
struct exec_job *executor_done(struct executor *e);
/* Runs what is queued, then ends the thread. Jobs that ran and were not taken by executor_done are left to the caller.
 */
void executor_free(struct executor *e);

#endif
