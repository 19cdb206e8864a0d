/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scenarios.h: the ways in which a gateway comes to exist twice, or to go back in time. */
#ifndef S3VTL_TWINS_SCENARIOS_H
#define S3VTL_TWINS_SCENARIOS_H

#include "tests/twins/round.h"

struct scenario {
    const char *name, *what; /* what holds */
    unsigned list_ms;        /* LIST is held up so long */
    void (*play)(struct round *r);
};
#define SCENARIOS 8
extern const struct scenario scenarios[SCENARIOS];

#endif
