/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify_due.h: which cartridges are verified next, so that all are in time; and what of a day's budget is spent. */
#ifndef S3VTL_VERIFY_DUE_H
#define S3VTL_VERIFY_DUE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "vtl/config/config.h"

/*
 * cartridges: as status or tape-list lists them. A cartridge is due when half of every, in seconds, has gone by since
 * it was verified whole, or since it was written first; late when all of it has. So even if all are due on one day, the other half is left for
 * reading them. One of which the store has nothing, or that
 * another gateway owns, is neither. Pure functions; any thread.
 */
struct verify_ages {
    size_t stored, due, late;
    uint64_t oldest;  /* seconds since the longest ago; 0: nothing is stored */
    char barcode[33]; /* of that one */
};
void verify_ages(const json_t *cartridges, uint64_t now, uint64_t every, struct verify_ages *out);
/* Barcodes of those that are due: those that begun says an interrupted run began first, then the longest ago. New
 * reference; NULL when out of memory. */
json_t *verify_due(const json_t *cartridges, uint64_t now, uint64_t every,
                   bool (*begun)(void *arg, const char *barcode), void *arg);

/* What runs with a budget read today, local time, is in <state_dir>/verify/.spent: no cartridge is called so. */
uint64_t verify_spent(const struct vtl_config *cfg);
/* So much more was read; *all: of today, by all runs, of which several may be at work. 0; or a negative errno with *err: it could
 * not be written, so that nobody knows of it later. */
int verify_spend(const struct vtl_config *cfg, uint64_t more, uint64_t *all, struct errtext *err);

#endif
