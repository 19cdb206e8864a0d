/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow_age.h: how old the newest escrow is, and when the next one is due: pure functions of what is known. */
#ifndef S3VTL_ESCROW_AGE_H
#define S3VTL_ESCROW_AGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "vtl/escrow/escrow.h"

/* The last one that was made from this state, and what came of it since: <state_dir>/escrow.json. */
struct escrow_last {
    char id[ESCROW_ID_SIZE]; /* of the library; "": not known */
    uint64_t created;        /* 0: none */
    uint64_t missing;        /* bytes that it names and that were not off-site */
    bool whole;              /* everything that it names was */
    uint32_t content;        /* of what, as escrow_content_of */
    uint64_t changed;        /* when it was first seen that something is committed which it does not know; 0: not yet */
    uint64_t failed;         /* none could be made since then; 0: the last try went well */
    char why[300];           /* why not */
};
/* Which commits there are, and for which public key and place, as a sum: an escrow of another one is none of this. cartridges:
 * of the library's status or list; 0 if there are none. */
uint32_t escrow_content_of(const json_t *cartridges, const char *key, const char *where);
/* Which objects there are that others are found by: the commits, and, for the inventory, where each cartridge is. Two sums
 * are equal if nothing of that changed. cartridges: of the library's list. */
uint32_t escrow_names_of(const json_t *cartridges);
/* Since when something is committed that no escrow knows; 0: nothing is. */
uint64_t escrow_waits_since(const struct escrow_last *last, uint32_t content);
/* True: there should be a newer one, and text says why. */
bool escrow_is_old(const struct escrow_last *last, uint32_t content, uint64_t now, char *text, size_t room);

/* What one look decides by. Plain figures. */
struct escrow_due {
    uint64_t now;
    uint64_t every; /* seconds */
    bool waits;     /* one failed just now */
    bool offsite;   /* all that the store accepted is off-site, or it does not tell */
};
/* Should one be made now? Not while a job goes on, as long as that can be waited for. */
bool escrow_is_due(const struct escrow_due *d, const struct escrow_last *last, uint32_t content);

#endif
