/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report.h: operations of rpc.c's table for the night report and for who watches the library. */
#ifndef S3VTL_REPORT_H
#define S3VTL_REPORT_H

#include "vtl/library/library_private.h"

/* {"since":SECONDS} -> {"happenings":[{"number","event","text","began","told","ended"}...]}: trouble that is not over, or
 * was not then. Waits for nobody but SQLite. */
json_t *library_happenings(struct library *lib, const json_t *request, struct errtext *err);
/* {"number":N or 0,"event":ID,"text":T,"began":S,"told":S,"ended":S} -> {"number":N}: keeps that. The same. */
json_t *library_happened(struct library *lib, const json_t *request, struct errtext *err);
/* Adds "written" ([{"barcode","host","address","began","last_written","bytes","synced","accepted","in_library"}...]: with a
 * WRITE since then), "happenings", "since", "now" and "damaged_records" to the answer. tapes_lock read. */
int library_report_add(struct library *lib, const json_t *request, json_t *report, struct errtext *err);

#endif
