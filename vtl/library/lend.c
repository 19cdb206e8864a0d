/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lend.c: may blocks of one cartridge copy from a segment of another one? Then that one's head says so first. */
#include <errno.h>

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "vtl/library/library_private.h"
#include "vtl/state/chunk_index.h"

/* Until the source's head is in the store. What waits meanwhile is in memory; after it, blocks are stored as they are, and for
 * a while nobody waits again: a store that does not answer must not slow down who writes (I6). */
#define LEND_MS 10000
#define HASTE_MS 60000
#define AVOID_MS 60000 /* what cannot be copied from is not looked at so long */
#define PATH_SIZE 4200

struct counting {
    const char *but;
    unsigned n;
};

static int count(void *arg, const char *barcode)
{
    struct counting *x = arg;
    x->n += strcmp(barcode, x->but) != 0;
    return 0;
}

/* One object that is lost must not cost more cartridges than [dedup] sets allows: others than the one that asks. */
static bool has_enough(struct library *lib, const struct cartridge *c, const struct seg_source *s)
{
    struct counting x = {.but = cartridge_barcode(c)};
    return db_leaners_of(lib->eng.db, s->barcode, &s->id, count, &x) || x.n >= lib->cfg->dedup.sets;
}

/* To list who leans on it, it is claimed: which must not take it from a neighbour, whose cartridges this state may know, too. So
 * it is one in an element of this library; or of those on a shelf that nobody shares one that this gateway wrote, and has not given up. */
static bool may_be_claimed(const struct library *lib, struct cartridge *source, bool has_place)
{
    struct seg_id head;
    return has_place ||
           (!atomic_load(&lib->shared) && cartridge_given_up(source) == OBJ_NO && cartridge_is_ours(source, &head));
}

/* -EAGAIN: not yet. Any other error: no. */
static int try_once(struct library *lib, struct cartridge *c, const struct seg_source *s)
{
    struct errtext err = {""};
    if (!rwlock_try_read(
            &lib->tapes_lock)) /* somebody makes or removes one: the drive's queue must not wait for that */
        return -EAGAIN;
    lock_take(&lib->lock);
    struct cartridge *source = library_cartridge(lib, s->barcode);
    bool has_place = library_place(lib, s->barcode) != NULL;
    lock_release(&lib->lock);
    int rc = -ESTALE;
    if (source == c && (cartridge_holds(c, &s->id) || db_is_source(lib->eng.db, s)))
        source = NULL; /* of itself, only what it had before it was written over */
    if (source && !memcmp(cartridge_id(source), s->cartridge, sizeof(s->cartridge)) &&
        may_be_claimed(lib, source, has_place) && cartridge_is_whole(source) &&
        !db_is_damaged(lib->eng.db, s->cartridge, &s->id) && !has_enough(lib, c, s))
        rc = cartridge_lend(source, c, &err);
    rwlock_release(&lib->tapes_lock);
    return rc;
}

bool library_may_copy(void *arg, struct cartridge *c, const struct seg_source *s)
{
    struct library *lib = arg;
    uint64_t now = clock_ms(), until = now + LEND_MS;
    bool hasty = now < atomic_load(&lib->lend_hasty_until) || atomic_load(&lib->eng.unwell);
    for (;;) {
        uint64_t seen = progress_now(&lib->eng.progress);
        int rc = try_once(lib, c, s);
        bool over = clock_ms() >= until;
        if (rc == -EAGAIN && over)
            atomic_store(&lib->lend_hasty_until, clock_ms() + HASTE_MS);
        if (rc && rc != -EAGAIN && lib->eng.chunks) /* the same chunks may be elsewhere, too */
            chunk_index_avoid(lib->eng.chunks, s, AVOID_MS);
        if (rc != -EAGAIN || over || hasty || atomic_load(&lib->stop) || atomic_load(&lib->no_waiting))
            return !rc;
        progress_wait(&lib->eng.progress, seen, 200);
    }
}

void lend_open(struct library *lib)
{
    char path[PATH_SIZE];
    struct errtext err = {""};
    if (!strcmp(lib->cfg->dedup.tapes, "off"))
        return;
    (void)snprintf(path, sizeof(path), "%s/dedup.db", lib->cfg->library.state_dir);
    if (chunk_index_open(path, lib->cfg->dedup.memory, &lib->eng.chunks, &err)) {
        log_err("%s: [dedup] does nothing: what is written is stored as it is", err.text);
        return;
    }
    lib->eng.may_copy = library_may_copy;
    lib->eng.may_copy_arg = lib;
}
