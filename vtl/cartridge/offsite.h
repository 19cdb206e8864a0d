/* SPDX-License-Identifier: GPL-2.0-or-later */
/* offsite.h: what of the accepted bytes is off-site, as the store told last; who waits for it; how fast it goes. */
#ifndef S3VTL_OFFSITE_H
#define S3VTL_OFFSITE_H

#include <stdatomic.h>

#include "base/lock.h"
#include "s3backend/objstore.h"

/*
 * A store is asked up to which moment all that it had accepted is off-site. So whatever notes when it was accepted, after
 * the store's answer, is off-site once that moment lies behind it. Nothing of this outlives the process: after a start
 * all counts as accepted just then, and the store is asked again.
 */
enum { OFFSITE_MARKS = 64 };
struct offsite {
    atomic_bool told;           /* the store tells; else nothing of it is ever called off-site */
    _Atomic uint64_t newest_ms; /* when something counted as accepted last: offsite_now */
    _Atomic uint64_t before_ms; /* never falls. clock_ms(); 0: of nothing is it known */
    _Atomic uint64_t wanted_ms; /* somebody waited for it then; 0: never */
    _Atomic uint64_t since_ms;  /* and had begun to */
    _Atomic uint64_t taken;     /* bytes of segments that the store took in this run */
    _Atomic uint64_t gone;      /* of them: off-site */
    _Atomic uint64_t rate;      /* bytes a second that go off-site, while some wait; 0: not known */
    struct lock lock;           /* a leaf; guards the rest */
    struct offsite_mark {
        uint64_t at_ms, taken;
    } marks[OFFSITE_MARKS]; /* of the last questions: what was taken when each began */
    size_t n_marks;         /* counts on; the i-th is at i % OFFSITE_MARKS */
    uint64_t busy_ms;       /* since then bytes wait; 0: none do */
    struct obj_offsite last;
    struct errtext trouble; /* the store did not answer; "": it did */
    struct errtext hurried; /* what it said when it was asked to hurry; "": nothing */
};

void offsite_init(struct offsite *o);
void offsite_fini(struct offsite *o);

/* clock_ms(), for something that counts as accepted from now on. */
uint64_t offsite_now(struct offsite *o);
/* Is what was accepted at that time, noted after the store's answer, off-site? Any thread, at once. */
bool offsite_has(const struct offsite *o, uint64_t accepted_ms);
/* Somebody waits for it: the store is asked often, and to hurry. To be called again at least each second. */
void offsite_want(struct offsite *o);
bool offsite_is_wanted(const struct offsite *o, uint64_t now_ms);
/* The store took a segment. */
void offsite_take(struct offsite *o, uint64_t bytes, uint64_t now_ms);
/* Bytes of segments that the store took in this run and that are not off-site as far as is known. */
uint64_t offsite_waiting(const struct offsite *o);

/* By who asks the store: before each question, and with its answer. err NULL: it answered. */
void offsite_ask(struct offsite *o, uint64_t now_ms);
void offsite_answer(struct offsite *o, const struct obj_offsite *answer, const struct errtext *err, uint64_t now_ms);
/* It was asked to hurry; what it said to that, "": nothing. */
void offsite_hurried(struct offsite *o, const struct errtext *said);
/* The last answer, and what failed since: a question, or a request to hurry; "": nothing. In one line why not everything
 * is off-site, when it is not. */
void offsite_last(struct offsite *o, struct obj_offsite *answer, struct errtext *trouble);
void offsite_why(struct offsite *o, struct errtext *why);

#endif
