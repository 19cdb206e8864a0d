/* SPDX-License-Identifier: GPL-2.0-or-later */
/* event.h: what monitoring may match in the log: one table of events, each with a name that never changes. */
#ifndef S3VTL_EVENT_H
#define S3VTL_EVENT_H

#include <stddef.h>

#include "base/log.h"

enum event {
    EVENT_STORE_DOWN,
    EVENT_STORE_UP,
    EVENT_BACKLOG_OLD,
    EVENT_BACKLOG_OVER,
    EVENT_DISK_FILLING,
    EVENT_DISK_FREE,
    EVENT_DAMAGE,
    EVENT_SPOOL_LOST,
    EVENT_WRITE_LOST,
    EVENT_FENCED,
    EVENT_LOCK_BYPASSED,
    EVENT_OBJECT_LOCK_FAILED,
    EVENT_COPY_SEEN,
    EVENT_TAKEN_OVER,
    EVENT_LOAD_FAILED,
    EVENT_STATE_FAILED,
    EVENT_NO_ANSWER,
    EVENT_ANSWERS,
    EVENT_NOTIFY_FAILED,
    EVENT_UPLOAD_FAILED,
    EVENT_CACHE_DAMAGED,
    EVENT_CONNECTION_ENDED,
    EVENT_RECOVERED_SEGMENT,
    EVENT_HEALTH_LOW,
    EVENT_HEALTH_OVER,
    EVENT_SERVICE_UNWELL,
    EVENT_SERVICE_WELL,
    EVENT_RELOADED,
    EVENT_RELOAD_REFUSED,
    EVENT_ESCROW_FAILED,
    EVENT_ESCROW_OLD,
    EVENT_ESCROW_OVER,
    EVENT_BLANKS_FEW,
    EVENT_BLANKS_ENOUGH,
    EVENT_QUOTA_NEAR,
    EVENT_QUOTA_OVER,
    EVENT_VERIFY_LATE,
    EVENT_VERIFY_OVER,
    EVENT_CERTIFICATE_TAKEN,
    EVENT_CERTIFICATE_REFUSED,
    EVENT_COUNT
};

struct event_described {
    const char *id; /* "store-down" */
    enum log_level level;
    const char *meaning, *mend; /* for docs/monitoring.md, whose table is made of them */
};

/* e < EVENT_COUNT. Constant; any thread. */
const struct event_described *event_describe(enum event e);
static inline const char *event_id(enum event e)
{
    return event_describe(e)->id;
}
/* The event of that name; EVENT_COUNT: there is none. */
enum event event_of(const char *id);

/* One line of the log, at the event's level, that ends with its name: "s3vtl: ... [store-down]". What is too long is cut
 * before that. Any thread. */
void log_event(enum event e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
