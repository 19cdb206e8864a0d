/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_check.h: is every byte of a sealed segment the one that was written, and if not, which blocks suffer? */
#ifndef S3VTL_SEGMENT_CHECK_H
#define S3VTL_SEGMENT_CHECK_H

#include "vtl/format/tapeindex.h"

/* Called for each run of objects that cannot be read back, in order. objects 0: something is wrong by which no block is
 * lost (padding; index or footer, where the records tell the same). */
typedef void (*seg_found)(void *arg, uint64_t first_object, uint64_t objects, const char *what);

struct seg_check {
    struct seg_bytes bytes;
    uint64_t chunk; /* bytes read at a time, at least; from the beginning to the end, after a look at the end */
    const uint8_t *cartridge;
    const char *barcode;
    const struct seg_ref
        *ref; /* what the tape knows of it. What is beyond its objects was overwritten, and counts not */
    seg_found found;
    void *arg;       /* found's */
    uint64_t blocks; /* good ones, counted */
};
/*
 * Reads the segment and checks header, records (all their bytes, by their stored CRC), index and footer, that they fit
 * together and that they are those of ref. Needs no key. 0, also where something was found; a negative errno with *err:
 * it cannot be read.
 */
int seg_check(struct seg_check *c, struct errtext *err);

#endif
