/* SPDX-License-Identifier: GPL-2.0-or-later */
/* round.h: one round: a bucket, up to three gateways on it, and what their hosts were told. */
#ifndef S3VTL_TWINS_ROUND_H
#define S3VTL_TWINS_ROUND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/lib/leaning.h"
#include "tests/twins/history.h"
#include "tests/twins/store.h"

enum { GATEWAYS = 3, LOOKER = 2 }; /* the looker sees what the bucket alone gives */

enum fault { FAULT_WRONG, FAULT_STALE, FAULT_LOST, FAULT_SILENT, FAULT_TWICE, FAULT_DAMAGE, FAULT_SLOW, FAULT_STUCK };
#define FAULTS 8
extern const char *const fault_names[FAULTS];

struct gateway {
    pid_t pid; /* 0: it does not run */
    int to, from;
    long log_from; /* where this run's part of its log begins */
    size_t at;     /* the version that its host believes the tape to be; HISTORY_NONE: it does not know */
    size_t next;   /* what the operation that is on its way makes of it */
    bool syncs;    /* that operation is a sync to the store */
    uint64_t asked_at;
    bool out; /* its host was told that it cannot go on */
};

struct round {
    uint64_t number, random, next_id;
    const char *work; /* the directory of all rounds */
    char root[500];   /* of this one */
    unsigned faults;  /* bits of enum fault */
    char text[4000];  /* what was wrong, in lines */
    struct gateway g[GATEWAYS];
    struct history h;
    struct leaning leaning; /* at the end, of all three */
};

uint64_t round_draw(struct round *r, uint64_t below);
void round_fault(struct round *r, enum fault f, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A new bucket with one blank tape and the state of gateway 0. list_ms: the most that a LIST is held up. */
void round_begin(struct round *r, unsigned list_ms);
/* Checks what all must come to in the end, and clears up. With $KEEP what was wrong stays. */
void round_end(struct round *r, bool keep);

/* Gateway i begins to serve, made from the bucket alone if rebuild. False: it refused. */
bool round_start(struct round *r, unsigned i, bool rebuild);
/* Its tape is loaded and read: it must be current, or the gateway refuses. The position is at the end of data. */
void round_load(struct round *r, unsigned i);
/* Takes the tape over by force, and loads it. */
void round_claim(struct round *r, unsigned i);
/* Ends: at once, or cleanly. */
void round_kill(struct round *r, unsigned i);
void round_close(struct round *r, unsigned i);
/* A copy of gateway from's state becomes gateway to's, as one moment's snapshot. */
void round_copy(struct round *r, unsigned from, unsigned to);
bool round_serves(const struct round *r, unsigned i);

/* Operations: sent, and their answer taken. */
void round_send_write(struct round *r, unsigned i, bool overwrite);
void round_send_erase(struct round *r, unsigned i);
void round_send_sync(struct round *r, unsigned i);
bool round_take(struct round *r, unsigned i);
/* n blocks and filemarks, then a sync if so. False: an answer was not GOOD. */
bool round_write(struct round *r, unsigned i, unsigned n, bool sync);
/* Gateways 0 and 1 write and sync at the same time, steps times. */
void round_contest(struct round *r, unsigned steps);
/* With [dedup]: gateway i may write the lender over, or take that over first. */
void round_meddle(struct round *r, unsigned i);
void round_hook(struct round *r, unsigned i, enum store_hook what, const char *part, unsigned nth);
/* Waits until gateway i stopped at its hook; if it does not, it is stopped where it is. */
void round_await_stop(struct round *r, unsigned i);
void round_continue(struct round *r, unsigned i);
void round_land_late(struct round *r);
/* flush --remote comes back soon, whatever it says. */
void round_flush_ends(struct round *r, unsigned i);

#endif
