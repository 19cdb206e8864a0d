/* SPDX-License-Identifier: GPL-2.0-or-later */
/* metrics_text.h: the library's answers in Prometheus' text format. */
#ifndef S3VTL_METRICS_TEXT_H
#define S3VTL_METRICS_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/strbuf.h"

struct metrics_seen {
    const json_t *figures;         /* the operation "figures"; NULL: no answer in time */
    const json_t *status;          /* "status"; likewise */
    uint64_t disk_free, disk_size; /* of state_dir's file system; disk_size 0: not known */
    uint64_t now;                  /* seconds since 1970 */
    bool has_escrow;               /* the configuration has a place for escrows. The rest is as in escrower.h: */
    uint64_t escrow_created, escrow_waits;
    bool escrow_trouble;
};
void metrics_text(const struct metrics_seen *s, struct strbuf *out);

#endif
