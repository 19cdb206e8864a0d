/* SPDX-License-Identifier: GPL-2.0-or-later */
/* engine.h: what every part below the library shares: the store, the state, the spool, and the news that something
 * progressed. */
#ifndef S3VTL_ENGINE_H
#define S3VTL_ENGINE_H

#include <stdatomic.h>

#include "base/lock.h"
#include "s3backend/objstore.h"
#include "vtl/config/live.h"
#include "vtl/format/source.h"
#include "vtl/state/db.h"
#include "vtl/state/spool.h"
#include "vtl/cartridge/offsite.h"
#include "vtl/cartridge/quota.h"
#include "vtl/cartridge/retain.h"
#include "vtl/cartridge/upload_rate.h"

/* Anything that waits looks at its condition, and again whenever the count moved. */
struct progress {
    struct lock lock; /* a leaf */
    struct cond cond;
    uint64_t count;
};
void progress_init(struct progress *p);
void progress_fini(struct progress *p);
uint64_t progress_now(struct progress *p);
void progress_post(struct progress *p);
/* Waits until the count is no longer seen, ms at most. Take seen before looking at the condition, so that no news is
 * lost. */
void progress_wait(struct progress *p, uint64_t seen, unsigned ms);

/* Made once by the library; the same for all its cartridges, and constant but for live, progress and the figures. */
struct workers;
struct cartridge;
struct engine {
    const struct vtl_config *cfg; /* but for what is in live */
    struct live_settings live;
    struct objstore *store;
    struct db *db;
    struct spool *spool;
    struct chunk_index *chunks; /* what is stored already, for blocks in pieces; NULL: there are none */
    /* May blocks of c copy from that segment from now on, until the store holds a head that says so no more? May wait for
     * the store, some seconds. Any thread that holds no lock. */
    bool (*may_copy)(void *arg, struct cartridge *c, const struct seg_source *s);
    void *may_copy_arg;
    struct workers *workers; /* NULL: no background work (the command without a running library) */
    void (*poke)(struct workers *w, struct cartridge *c); /* theirs */
    char host[65];                                        /* of this gateway: printable ASCII; "": not known */
    uint32_t gateway;                                     /* this gateway's id; a copy of its state has the same */
    uint32_t writer; /* drawn at each start: in every key that this run writes (I2) */
    struct progress progress;
    atomic_bool
        stopping; /* the library makes all safe, and ends: nothing more is acknowledged that is not safe itself */
    _Atomic uint64_t dirty_bytes;   /* in the spool, not stored yet */
    _Atomic uint64_t waiting_bytes; /* acknowledged, not in the spool yet */
    struct upload_rate upload_rate;
    struct offsite offsite;
    struct quota quota;
    struct retain retain;
    _Atomic unsigned failing; /* cartridges whose last job of some kind failed */
    atomic_uint fences;       /* goes up with each cartridge that is fenced */
    atomic_bool unwell;       /* one failed since the store last took a head */
    int64_t clock;            /* engine_time() at the begin, minus clock_boot_s() */
};
/* Does a sync wait for that, or for more? */
bool engine_waits_for(struct engine *e, enum durability d);
/* How many dirty bytes there may be before WRITE waits: max_dirty, and with durability = remote or offsite no more than
 * a flush can wait for. */
uint64_t engine_dirty_limit(struct engine *e);
/* What counts against it: bytes that are acknowledged and not as safe as durability asks, in the spool or, with offsite,
 * in the store. At once. */
uint64_t engine_dirty(struct engine *e);
/* What of max_dirty the spool does not need now, in bytes. */
uint64_t engine_spool_left(struct engine *e);

/* A cartridge begins to fail, or no longer does. */
void engine_failing(struct engine *e, bool begins);
/* The store took a head. Says that it takes data again, if it had not, nothing else fails, and the store does not tell
 * by itself when it is well again (its health). */
void engine_took_head(struct engine *e);
/* Bytes a second that the store takes; 0: unknown, as nothing was sent yet or the store is in trouble. */
uint64_t engine_upload_rate(struct engine *e);
/* What of a host's name may stand in a head: 64 characters at most, those that are no printable ASCII as "?". */
void engine_set_host(struct engine *e, const char *name);

/* There is work for the cartridge: the workers, if there are any, look at it soon. Any thread; c's lock may be held. */
void engine_poke(struct engine *e, struct cartridge *c);

/* Seconds since 1970, by this host's clock, which somebody may set. */
uint64_t engine_time(void);
/* The clocks that a lock goes by: this host's, and one that nobody sets here: the store's, or, where it has none, this
 * host's as it was when the library was opened, and what has gone by since. A lock is over when both say so: earliest;
 * 0: the store has told none yet, and nothing is over. A new one begins at the latest. Any thread, at once. */
uint64_t engine_earliest_time(struct engine *e);
uint64_t engine_latest_time(struct engine *e);
/* The library was opened now. */
void engine_begin_time(struct engine *e);

#endif
