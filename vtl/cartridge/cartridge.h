/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge.h: one cartridge: the host's view of it (live), its open segment, and what is not stored or not committed
 * yet. */
#ifndef S3VTL_CARTRIDGE_H
#define S3VTL_CARTRIDGE_H

#include "base/lock.h"
#include "vtl/format/usage.h"
#include "vtl/cartridge/engine.h"

/*
 * The life of a block: cartridge_write appends it to the open segment's file (it outlives the process) ->
 * cartridge_sync fsyncs it (local) -> the segment is sealed -> a worker stores it -> a commit names it in a head
 * (remote).
 *
 *  1. live is what the host sees. The rows of the state follow it: never ahead, and behind only by what recovery finds
 * again by scanning the OPEN segment's file.
 *  2. An overwrite changes live at once, but the rows it writes over stay until the new segment has a synced record
 * (apply).
 *  3. A head names only stored segments, and reaches at least row.floor.
 * lock guards everything below it. It may be held while the disk or SQLite works, never while the store does, and is
 * never taken by the transport's thread.
 */
struct pending { /* a sealed segment that is not stored yet */
    struct seg_id id;
    uint64_t size;
    bool busy;  /* a worker is storing it */
    bool tried; /* a worker has had it: the store may hold it, whatever it answered */
    bool dead;  /* overwritten: its file goes as soon as the overwrite is applied and no worker has it */
};

struct cartridge {
    struct engine *eng;
    struct lock lock;
    struct db_cartridge row;
    bool loaded; /* live and maps are filled */
    struct tape_index live;
    struct map_ref *maps; /* of the last head */
    size_t n_maps;
    uint64_t mapped_segs; /* leading segments of live that maps hold: the sum of their n_segs */

    struct seg_writer *writer; /* the open segment, or NULL */
    int writer_fd;
    struct seg_id writer_id;
    uint64_t writer_size;    /* counted in dirty_bytes */
    uint64_t writer_marked;  /* bytes that its row says are safe */
    uint64_t writer_started; /* bytes whose way to the disk has begun */
    bool writer_synced;      /* nothing appended since the last fdatasync */
    int writer_error;    /* fdatasync failed once: what it held is in doubt, and a second call would not tell (I1) */
    bool writer_sealed;  /* index and footer are written, but its row could not be changed yet */
    uint64_t written_at; /* ticks of the last append */
    bool apply_due;      /* the open segment overwrites at apply_object; rows not changed yet */
    uint64_t apply_object;

    struct pending *pending;
    size_t n_pending, room_pending;

    /* commit: see commit.h */
    bool committing;   /* a worker is at it */
    bool owned;        /* claimed in this run */
    bool fenced;       /* another gateway owns it: nothing of ours is merged */
    bool commit_soon;  /* do not wait for more */
    bool claim_wanted; /* a drive is about to write */
    bool garbage_due;  /* there may be garbage that no commit will come for */
    bool sweep_due;    /* objects of a gateway that is gone may be there; looked for when this one owns the cartridge */
    size_t cut_low;    /* fewest segments that live was cut to since the commit's snapshot */
    char **doomed;     /* garbage known at the last commit's snapshot: no head names it; NULL-terminated, or NULL */
    size_t doomed_next;
    uint64_t tried_n;       /* highest n that a head was put with, answered or not */
    uint64_t changes;       /* goes up with each change of live */
    uint64_t committed;     /* value of changes that the last head holds */
    uint64_t committed_at;  /* ticks */
    uint64_t backoff_until; /* ticks: the store failed, try again then */
    unsigned failures;
    char trouble[600];  /* the store's last complaint, "" when all is well */
    unsigned users;     /* drives that hold it: live stays loaded */
    struct usage usage; /* row.counters follows it when the row is written anyway */
    bool usage_changed; /* since then */
    uint64_t appended;  /* bytes that went into segment files in this run */
};

/* row is copied; mam and counters become the cartridge's. NULL when out of memory. */
struct cartridge *cartridge_new(struct engine *eng, const struct db_cartridge *row);
void cartridge_free(struct cartridge *c);

/* Reads the rows, recovers an OPEN segment (it is sealed), and hands what is not stored to the workers. 0 or a negative
 * errno. */
int cartridge_load(struct cartridge *c, struct errtext *err);
/* Frees the index if nobody holds the cartridge and nothing of it waits. */
void cartridge_unload_if_clean(struct cartridge *c);

/* ---- by the drive's executor. All take the lock. 0 or a negative errno: ---- */
/* Appends at the object it was packed for (what stood there and behind is gone). -ENOSPC when the disk is full: nothing
 * changed. */
int cartridge_write(struct cartridge *c, const struct seg_packed *b);
int cartridge_filemarks(struct cartridge *c, uint64_t object, uint32_t count);
/* Cuts everything at object and behind it; safe on the local disk when it returns. */
int cartridge_truncate(struct cartridge *c, uint64_t object);
/* The cartridge holds proportion 65535ths of what it was made with, from now on; in the state when it returns 0,
 * and *capacity is how much that is. */
int cartridge_set_capacity(struct cartridge *c, uint16_t proportion, uint64_t *capacity);
/* Everything acknowledged is on the local disk. */
int cartridge_sync(struct cartridge *c);
/* Seals the open segment, if any, and asks for a commit. */
int cartridge_flush(struct cartridge *c);
/* Values of changes and committed; true if a head holds everything. */
bool cartridge_is_remote(struct cartridge *c);

/* The host's attributes become these: in the state, and in a head soon. */
int cartridge_set_mam(struct cartridge *c, const struct tape_mam *mam);
/* row.counters tell the usage of now. Lock held. */
void cartridge_refresh_counters(struct cartridge *c);
/* The same, and in the state too; a head comes to hold it with the next change of the tape. */
int cartridge_save_counters(struct cartridge *c);

/* Bytes of live that no head holds yet. Lock held. */
uint64_t cartridge_not_remote(const struct cartridge *c);

/* Bytes of live's segments that are in the store. Lock held. */
uint64_t cartridge_stored_bytes(const struct cartridge *c);

/* ---- by the workers ---- */
/* Seals if the last append is older than idle ticks. */
int cartridge_idle(struct cartridge *c, uint64_t idle);
/* A sealed segment to store next: it becomes busy. False: none. Lock held. */
bool cartridge_pick_pending(struct cartridge *c, struct pending *out);
/* The worker's result for it. Lock held. stored: the object is there. */
int cartridge_pending_done(struct cartridge *c, const struct seg_id *id, bool stored);
/* Leading segments of live that are stored, so that a head may name them. Lock held. */
size_t cartridge_stored_prefix(const struct cartridge *c);

#endif
