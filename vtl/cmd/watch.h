/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch.h: what is trouble, when it is told, and when it is over: a pure function of time and figures. */
#ifndef S3VTL_WATCH_H
#define S3VTL_WATCH_H

#include <stdint.h>

#include <jansson.h>

#include "base/event.h"

enum watch_kind {
    WATCH_STORE,
    WATCH_BACKLOG,
    WATCH_DISK,
    WATCH_DAMAGE,
    WATCH_FENCED,
    WATCH_LOST,
    WATCH_HEALTH,
    WATCH_SERVICE,
    WATCH_SILENT,
    WATCH_ESCROW,
    WATCH_BLANKS,
    WATCH_QUOTA,
    WATCH_VERIFY,
    WATCH_KINDS
};

/* All that one look saw. Times are seconds since 1970. */
struct watch_seen {
    uint64_t now;
    const json_t *figures, *status; /* the library's answers; NULL: it gave none */
    uint64_t disk_free, disk_size;  /* bytes; size 0: not known */
    uint64_t least_free;            /* [notify] disk_free; 0: never trouble */
    uint64_t backlog_age;           /* [notify] backlog_age, in seconds */
    const char *escrow;             /* what is wrong with escrows; "": nothing, or none are wanted; NULL: not known */
    uint64_t escrow_since;          /* it is so since then; 0: not known */
};

/* What it means for one kind of trouble. */
struct watch_sign {
    enum { WATCH_NOT_KNOWN, WATCH_GOOD, WATCH_BAD } is; /* not known: nor between good and bad, so nothing changes */
    uint64_t since;                                     /* bad since then; 0: since this look */
    uint64_t weight;                                    /* what is worse than it was is told again */
    char text[600];
};
void watch_look(const struct watch_seen *seen, struct watch_sign signs[WATCH_KINDS]);

/*
 * One kind of trouble:
 *
 *            bad            bad for so long                 good for so long
 *   none ---------> begun ------------------> told --------------------------> none, which is told
 *     ^               |                        | ^ |
 *     +---------------+                        +-+ every repeat, or worse
 *      good for so long: not worth a word
 */
struct watch_trouble {
    uint64_t began;      /* 0: none */
    uint64_t good_since; /* 0: the last look that told anything saw it */
    uint64_t told;       /* when last; 0: not yet */
    uint64_t weight;     /* as it was told; WATCH_WEIGHT_UNKNOWN: by an earlier run */
    int64_t number;      /* in the library's state; 0: not there */
    char text[600];
};
#define WATCH_WEIGHT_UNKNOWN UINT64_MAX

enum watch_says { WATCH_SAYS_NOTHING, WATCH_BEGINS, WATCH_GOES_ON, WATCH_IS_OVER };
/* now and repeat in seconds. After WATCH_IS_OVER *t still tells of it (over since good_since): watch_clear. */
enum watch_says watch_step(struct watch_trouble *t, enum watch_kind kind, const struct watch_sign *s, uint64_t now,
                           uint64_t repeat);
void watch_clear(struct watch_trouble *t);
/* The event of its beginning, and of its end. */
enum event watch_event(enum watch_kind kind, enum watch_says says);
/* The kind whose beginning is that event; WATCH_KINDS: none. */
enum watch_kind watch_kind_of(enum event e);

#endif
