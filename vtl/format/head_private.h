/* SPDX-License-Identifier: GPL-2.0-or-later */
/* head_private.h: what the codecs of head and map share. */
#ifndef S3VTL_HEAD_PRIVATE_H
#define S3VTL_HEAD_PRIVATE_H

#include "vtl/format/barcode.h"
#include "vtl/format/head.h"
#include "vtl/format/segment_private.h"

#define HEAD_VERSION_1 1 /* its rows have no CRCs */
#define HEAD_VERSION 2
#define MAP_MAX_SEGS 10000000u
#define MAP_MAX_SIZE (UINT64_C(1) << 30)

/* Names the fields that break a rule of the format, or NULL. */
const char *head_wrong(const struct head *h);

#endif
