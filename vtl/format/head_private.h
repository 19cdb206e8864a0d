/* SPDX-License-Identifier: GPL-2.0-or-later */
/* head_private.h: what the codecs of head and map share. */
#ifndef S3VTL_HEAD_PRIVATE_H
#define S3VTL_HEAD_PRIVATE_H

#include "vtl/format/barcode.h"
#include "vtl/format/head.h"
#include "vtl/format/segment_private.h"

#define HEAD_VERSION_1 1 /* its rows have no CRCs */
#define HEAD_VERSION_2 2 /* nothing of it leans, and nobody on it */
#define HEAD_VERSION_3 3 /* no retention */
#define HEAD_VERSION 4
#define MAP_MAX_SEGS 10000000u
#define MAP_MAX_SIZE (UINT64_C(1) << 30)

/* Names the fields that break a rule of the format, or NULL. */
const char *head_wrong(const struct head *h);

/* ---- retention.c: what only version 4 has ---- */
const char *retention_wrong(const struct retention *r);
bool retention_put(json_t *j, const char *name, const struct retention *r); /* false: out of memory */
bool retention_get(const json_t *j, const char *name, struct retention *r);

/* ---- head_leans.c: what only version 3 has ---- */
bool head_has_leans(const struct head *h);
const char *head_leans_wrong(const struct head *h);
bool head_put_leans(json_t *j, const struct head *h); /* false: out of memory */
int head_get_leans(const json_t *j, struct head *h);  /* 0, -EBADMSG or -ENOMEM */
/* The table of the cartridges that a list of leans names: the place of a source's in v, which has room for it. */
struct lean_place {
    const struct seg_source *source; /* the first one of that cartridge */
};
size_t lean_place(struct lean_place *v, size_t *n, const struct seg_source *s);

#endif
