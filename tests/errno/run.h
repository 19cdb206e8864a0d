/* SPDX-License-Identifier: GPL-2.0-or-later */
/* run.h: what a library and its host do in a run, what then must be on the tapes, and the look at it afterwards. */
#ifndef S3VTL_ERRNO_RUN_H
#define S3VTL_ERRNO_RUN_H

#include "tests/crash/lib.h"
#include "tests/errno/fail.h"

#define RUN_OBJECTS 120
#define RUN_PAST 160

struct content { /* of a tape: ids of blocks, 0 for a filemark */
    unsigned n;
    uint64_t object[RUN_OBJECTS];
};

struct tape {
    bool created; /* acknowledged */
    bool doubt;   /* something failed since it was looked at */
    unsigned n_past;
    struct content
        past[RUN_PAST]; /* what it may hold: from the last acknowledged sync on; the last is what is thought */
};

/* In memory that the processes of a run share. */
struct run {
    bool patient;      /* what lasts is healed only before the check, not after a step */
    bool made;         /* init was acknowledged */
    unsigned failures; /* operations that said that they failed */
    unsigned leans;    /* with $TEST_DEDUP: segments that tapes copied from */
    unsigned lasted;   /* steps with a fault that lasts */
    uint64_t next;
    struct tape tape[TAPES];
};

struct run *run_new(void);
/* This process's own copies of both. */
void run_own(struct fail_shared **shared, struct run **r);

/* The parts; each in a process of its own. False: something is as it must not be, and stderr says what. */
bool run_first(struct run *r, const char *root);  /* ends like a kill, with a segment open */
bool run_second(struct run *r, const char *root); /* stops and starts once more in between */
bool run_check(struct run *r, const char *root);  /* nothing fails any more */
/* Does the log, up to here, tell of a failure? */
bool run_told(const char *log);

#endif
