/* SPDX-License-Identifier: GPL-2.0-or-later */
/* human.h: how figures are shown to people: one unit system, everywhere. */
#ifndef S3VTL_HUMAN_H
#define S3VTL_HUMAN_H

#include <stdint.h>

#define HUMAN_ROOM 32

/* "114.5 MB", "12 TB", "0 B": powers of 1000, as capacities of tapes are sold and PBS shows them. Returns buf. */
const char *human_size(uint64_t bytes, char buf[HUMAN_ROOM]);
/* "2026-11-26 22:10", local time; 0, seconds since 1970: "never". Returns buf. */
const char *human_time(uint64_t seconds, char buf[HUMAN_ROOM]);
/* "45 s", "12 min", "3 h 20 min", "2 d 4 h". Returns buf. */
const char *human_duration(uint64_t seconds, char buf[HUMAN_ROOM]);

#endif
