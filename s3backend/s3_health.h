/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_health.h: the trouble that a store is in, told while calls still go on. */
#ifndef S3VTL_S3_HEALTH_H
#define S3VTL_S3_HEALTH_H

#include "base/lock.h"
#include "s3backend/objstore.h"

/* Calls that say nothing of each other's: a store that answers HEAD may swallow every PUT. */
enum s3_kind { S3_KIND_WRITE, S3_KIND_READ, S3_KIND_LOOK, S3_KIND_DELETE, S3_KINDS };

enum s3_health_end {
    S3_HEALTH_GOOD,   /* the store did as told, or said properly why not */
    S3_HEALTH_FAILED, /* it did not */
    S3_HEALTH_OTHER,  /* says nothing about it */
};

struct s3_health {
    struct lock lock; /* a leaf */
    struct s3_trouble {
        char text[600];               /* "": none */
        uint64_t since_ms, failed_ms; /* clock_ms when it began, and when it failed last */
        bool told;                    /* it is in the log, by itself or with that of another kind */
        unsigned stuck;               /* exchanges under way that were told as stuck */
    } kinds[S3_KINDS];
    uint64_t since_ms, ended_ms; /* of all together; 0: none, never */
    uint64_t good_ms;            /* when an exchange of whatever kind ended well last; 0: never */
    uint64_t bad_ms, failed_ms;  /* since then, the first and the last of those that failed in a row; 0: none did */
    uint64_t told_ms;            /* the newest line of this trouble; 0: none */
    void (*note)(enum log_level level, const char *line);
};

/* note: NULL, or gets a line when trouble begins and when it is over. */
void s3_health_init(struct s3_health *h, void (*note)(enum log_level level, const char *line));
void s3_health_fini(struct s3_health *h);
/* An exchange does not get on. Once for each; its end is told with was_stuck. Any thread, as the others. */
void s3_health_stuck(struct s3_health *h, enum s3_kind kind, const char *text);
/* An exchange ended. at_once: it is worth a line in the log already. */
void s3_health_ended(struct s3_health *h, enum s3_kind kind, bool was_stuck, enum s3_health_end end, const char *text,
                     bool at_once);
/* A call gave up: what it met is worth a line in the log. */
void s3_health_gave_up(struct s3_health *h, enum s3_kind kind);
/* For how long whoever asked for anything has met nothing but failure: between the first and the last of those that came
 * without a pause of two minutes. A time in which nobody asked is none of it. */
uint64_t s3_health_silent(struct s3_health *h);
/* objstore's health. */
void s3_health_get(struct s3_health *h, struct obj_health *out);

#endif
