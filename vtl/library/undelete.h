/* SPDX-License-Identifier: GPL-2.0-or-later */
/* undelete.h: a bucket that keeps versions as it was at some time: what somebody deleted or wrote over since then is back. */
#ifndef S3VTL_UNDELETE_H
#define S3VTL_UNDELETE_H

#include <jansson.h>

#include "vtl/config/config.h"

struct undelete_options {
    uint64_t since_ms; /* 1970: as it was then, by the store's clock */
    bool newer_heads;  /* heads that came after that go: the cartridges are what they were */
    bool dry_run;      /* nothing is changed */
    void (*count)(void *arg, uint64_t keys,
                  uint64_t restored); /* now and then, from the caller's thread; may be NULL */
    void *arg;
};
/*
 * Nobody serves the library meanwhile, here or elsewhere. Objects are never changed (I2), so what a key had at that time is
 * right, and all above it is not. What came under new keys stays, but for heads with newer_heads, which are deleted as ever
 * and stay as versions. Needs the right to delete versions.
 *
 * *report: {"deleted","overwritten","newer","heads":[barcode...],"heads_removed","refused","error"}: objects that were deleted
 * or written over since, and are back (with dry_run: would be) but for what was refused: so many versions could not be
 * removed, the first as error says; objects that are newer; cartridges with heads that are, each once. New reference. 0 or a
 * negative errno with *err: what was done by then stays done, and *report is NULL; it can be run again.
 */
int library_undelete(const struct vtl_config *cfg, const struct undelete_options *o, json_t **report,
                     struct errtext *err);

#endif
