/* SPDX-License-Identifier: GPL-2.0-or-later */
/* worker_private.h: what worker.c, upload.c and fetch.c share. */
#ifndef S3VTL_WORKER_PRIVATE_H
#define S3VTL_WORKER_PRIVATE_H

#include "base/lock.h"
#include "vtl/cartridge/commit_private.h"
#include "vtl/cartridge/worker.h"

struct active { /* a cartridge that there may be work for */
    struct cartridge *c;
    unsigned refs;  /* threads that look at it */
    uint64_t pokes; /* how often there was news of it */
};

#define FETCH_QUEUE 256
struct fetch {           /* a segment on its way from the store */
    struct cartridge *c; /* whose reader wants it; NULL: free */
    char barcode[33];    /* below whose keys it is: that of c, or of one that it copies from */
    struct seg_ref ref;  /* its objects: those of c that need it */
    bool running, failed, no_room;
    bool waited; /* somebody waits, or did, for what is not there yet */
    atomic_bool cancel;
    unsigned ahead;    /* segments between it and its reader */
    uint64_t order;    /* of asking; no two are the same */
    int fd;            /* while it runs: the unfinished file, which holds bytes */
    uint64_t from, to; /* [from, to), growing to the segment's end, and then */
    uint64_t rest;     /* [0, rest), growing to from */
    uint64_t wanted;   /* somebody waits for the byte before this one; 0: nobody */
    struct errtext err;
};

struct workers {
    struct engine *eng;
    atomic_bool stop;   /* also cancels transfers */
    pthread_t *threads; /* room for all that there may ever be */
    size_t n_threads;
    unsigned n_parallel;              /* threads of each kind were started for so many transfers */
    atomic_uint n_uploads, n_fetches; /* the number of the next thread */
    struct lock lock;                 /* guards active */
    struct cond cond;
    struct active *active;
    size_t n_active, room_active;
    size_t next; /* where the next search for a job begins */
    struct lock idle_lock;
    struct cond idle_cond;
    struct lock fetch_lock;  /* guards fetch, fetch_order and cache_error */
    struct cond fetch_cond;  /* for the threads: there is something to fetch */
    struct cond fetch_moved; /* for all others: a fetch has ended, or come as far as wanted */
    struct fetch fetch[FETCH_QUEUE];
    uint64_t fetch_order;
    int cache_error; /* why the last download could not be kept, told already; 0: it could */
};

/* ---- upload.c ---- */
/* Checks the file of a segment that is busy, byte by byte, and stores it; then it is no longer busy. -ENODATA: the file is
 * gone or damaged, and told. */
int upload_segment(struct cartridge *c, const struct pending *seg, const struct obj_call *call, struct errtext *err);

/* ---- fetch.c ---- */
void fetch_init(struct workers *w);
void fetch_fini(struct workers *w);
/* Cancels all and wakes the threads, which see w->stop. */
void fetch_stop(struct workers *w);
void *fetch_thread(void *workers);
/* live.parallel has changed. */
void fetch_look_again(struct workers *w);
/* Waits until no fetch of c runs, and drops those that wait. */
void fetch_forget(struct workers *w, struct cartridge *c);

#endif
