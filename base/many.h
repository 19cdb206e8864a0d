/* SPDX-License-Identifier: GPL-2.0-or-later */
/* many.h: a number of independent pieces of work, several at a time, whose results are taken in order. */
#ifndef S3VTL_MANY_H
#define S3VTL_MANY_H

#include <stddef.h>

struct many {
    size_t n;
    unsigned parallel;                 /* pieces at a time */
    void (*work)(void *arg, size_t i); /* on several threads, in no order */
    int (*done)(void *arg,
                size_t i); /* on the caller's thread, for 0, 1, 2 ... once its work is done; not 0: the end */
    void (*tick)(void *arg,
                 size_t so_far); /* the same: pieces that are done; often, and twice a second at least. Or NULL */
    void *arg;
};

/*
 * 0 when done was called for all, else what it returned last: work that was begun is then finished, no more is begun,
 * and what it left belongs to the caller. No more than a few times parallel of the results wait for done. The caller's
 * locks stay held meanwhile: work takes only such as may be taken below them. Threads that cannot be started are done
 * without.
 */
int many_run(const struct many *m);

#endif
