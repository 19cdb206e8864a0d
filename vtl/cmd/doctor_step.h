/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_step.h: what the files of s3vtl doctor share: a line for each thing looked at, and steps that never wait silently. */
#ifndef S3VTL_DOCTOR_STEP_H
#define S3VTL_DOCTOR_STEP_H

#include <stdatomic.h>

#include "vtl/cmd/cmd.h"
#include "vtl/cmd/port_holder.h"

enum finding {
    FINDING_GOOD,
    FINDING_NOTE,    /* nothing wrong, and yet to be known */
    FINDING_WRONG,   /* with its mend */
    FINDING_SKIPPED, /* not looked at, because of something wrong above */
};

/* No step waits longer without a word, and none that does not get on waits longer at all. */
#define DOCTOR_LIMIT_MS 12000
/* A transfer that gets on is ended after this, and its rate counts. */
#define DOCTOR_TRANSFER_MS 60000

struct doctor {
    const struct vtl_config *cfg;
    bool json, quiet;
    json_t *lines; /* of --json */
    unsigned n_wrong;
    int signals; /* a signalfd: SIGINT and SIGTERM end the examination, after what it stored is deleted */
    bool interrupted;
    bool left;              /* a step did not even end when it was told to: what it uses has to stay as it is */
    atomic_bool cancel;     /* for the calls of the step under way */
    _Atomic uint64_t moved; /* bytes that it has moved: as long as this grows it gets on */
    void *kept, *step;      /* that */
    bool served;            /* the library answers on its control socket */
    bool port_taken;        /* holder is of the portal's port */
    struct port_holder holder;
};

/* One line of the result. mend: what to do about something wrong, else NULL. The first thread only, as the others. */
void doctor_say(struct doctor *d, enum finding finding, const char *name, const char *mend, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/*
 * Does fn(arg) on a thread of its own and returns what it returned. When it does not get on for DOCTOR_LIMIT_MS, or was
 * interrupted, d->cancel becomes true; -ETIMEDOUT or -EINTR then. A step that does not even end then (it waits for a name
 * server, or a file server) is left behind, d->left says so, and no other begins: -ETIMEDOUT.
 */
int doctor_step(struct doctor *d, const char *name, int (*fn)(void *arg), void *arg);

/* doctor_host.c: the state, disk room, limits, the port, tgt. */
void doctor_host(struct doctor *d);
/* doctor_store.c: all about the store. */
void doctor_store(struct doctor *d);
/* doctor_objects.c: objects put, read, listed and deleted, below doctor/ whatever the store's prefix is. */
void doctor_objects(struct doctor *d, struct objstore *store);

#endif
