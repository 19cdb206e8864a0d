/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge_private.h: a cartridge from inside: its state, and what the files of this room share. */
#ifndef S3VTL_CARTRIDGE_PRIVATE_H
#define S3VTL_CARTRIDGE_PRIVATE_H

#include <stddef.h>
#include <string.h>

#include "base/lock.h"
#include "vtl/cartridge/cartridge.h"

/*
 *  1. live is what the host sees. The rows of the state follow it: never ahead, and behind only by what recovery finds
 *     again by scanning the open segment's file.
 *  2. An overwrite changes live at once, but the rows it writes over stay until the new segment has a synced record
 *     (open.overwrites).
 *  3. A head names only stored segments, and reaches at least row.floor.
 *
 * The owner (I7). A cartridge leaves FENCED only by "tape claim --force", which makes a new struct cartridge:
 *
 *                        the claim is the highest
 *      load -> UNCLAIMED ------------------------> OWNED
 *                  |                                 |
 *                  |   a head that is none of ours   |
 *                  +------------> FENCED <-----------+
 *
 * At each load the heads in the bucket are looked at (DUE_LOOK). One that this state neither recorded nor was about to
 * put (row.head; row.tried, and those of its run before it) is another gateway's, or that of a copy of this one: then the rows become the bucket's view,
 * which is read, and what only this state holds goes aside (commit_look). While a drive works on the old view, that
 * waits for the next load, and the old view is not read any more (row.fenced STALE).
 *
 * The open segment:
 *
 *              first record             fdatasync                 index, footer             its row
 *      CLOSED --------------> DIRTY ------------------> SYNCED ------------------> SEALED ----------> CLOSED, and one
 *                               ^                         |      (from DIRTY too)                     more is pending
 *                               +-------------------------+
 *                                      append
 *
 *      BROKEN: an fdatasync failed. What the file held is in doubt, and a second call would not tell: nothing more is
 *              acknowledged, until the next start recovers what is there.
 *
 * A pending segment: waiting -> busy (a worker stores it) -> gone, or waiting again. dead: overwritten meanwhile. lost:
 * its file is gone or damaged, and nothing but an overwrite or the file's return helps.
 */
enum open_state { OPEN_CLOSED, OPEN_DIRTY, OPEN_SYNCED, OPEN_SEALED, OPEN_BROKEN };

struct open_segment {
    enum open_state state; /* all below holds but when CLOSED */
    struct seg_writer *writer;
    int fd;
    struct seg_id id;
    uint64_t size;            /* counted in dirty_bytes */
    uint64_t marked;          /* bytes that its row says are safe */
    uint64_t started;         /* bytes whose way to the disk has begun */
    int error;                /* why it is BROKEN */
    uint64_t written_at;      /* ticks of the last append */
    bool overwrites;          /* it overwrites at overwrites_at; rows not changed yet */
    uint64_t overwrites_at;   /* object */
    struct seg_source *leans; /* what its blocks copy from, as the state has it already */
    size_t n_leans, room_leans;
};

#define SEGMENT_FAULT_SIZE 200
struct pending { /* a sealed segment that is not stored yet */
    struct seg_id id;
    uint64_t size;
    bool busy;         /* a worker is storing it */
    bool tried;        /* a worker has had it: the store may hold it, whatever it answered */
    bool dead;         /* overwritten: its file goes as soon as the overwrite is applied and no worker has it */
    uint64_t again_at; /* ticks: then the file is looked at once more */
    /* "", or what is wrong with its file: it cannot be stored, and holds up what is behind it. */
    char lost[SEGMENT_FAULT_SIZE];
    uint64_t since; /* seconds since 1970: it waits */
    bool uncounted; /* its size is not in dirty_bytes: it is lost, and stops nobody else */
};

/* What the workers are to do when they may. */
enum due {
    DUE_CLAIM = 1,   /* a drive is about to write */
    DUE_COMMIT = 2,  /* do not wait for more */
    DUE_GARBAGE = 4, /* there may be garbage that no commit will come for */
    DUE_SWEEP = 8,   /* objects of a gateway that is gone may be there: looked for once this one is OWNED */
    DUE_LIST = 32,   /* a head is to list who wants to lean: with what is stored by now, whatever else is open */
    DUE_LOOK = 16,   /* it was loaded: is the bucket's head the one that this state knows? */
    DUE_HEADS = 64,  /* heads below the recorded one are still there, once this one is OWNED */
};

struct cartridge {
    struct engine *eng;
    struct lock lock; /* guards all below; held while the disk or SQLite works, never while the store does */
    struct db_cartridge row;
    bool loaded; /* live and maps are filled */
    struct tape_index live;
    struct map_ref *maps; /* of the last head */
    size_t n_maps;
    uint64_t mapped_segs; /* leading segments of live that maps hold: the sum of their n_segs */

    struct open_segment open;
    struct seg_id undropped; /* its row could not be dropped, though nothing is in it; epoch 0: none */
    struct pending *pending;
    size_t n_pending, room_pending;

    /* commit: see commit.h */
    enum cartridge_owner owner;
    unsigned due;                    /* enum due */
    uint64_t claimed;                /* seconds since 1970: when this run put its claim; 0: not yet */
    char winner[300];                /* who owns it, once FENCED; "": not known in this run */
    bool release;                    /* it is to be given up, by its next head that holds all */
    bool heads_taken;                /* somebody works on the heads */
    bool look_failed;                /* the store did not answer the last look */
    struct seg_id junk;              /* an object in head/ that is no head, told already */
    bool in_use;                     /* a drive works on live as it is: it is not exchanged now */
    atomic_bool fenced_flag;         /* owner is FENCED, for who may not take the lock */
    _Atomic uint64_t quota_rules;    /* quota_rules()' */
    uint64_t retained;               /* appended, when cartridge_retain last looked */
    struct obj_lock locking;         /* how the store is being told to lock its objects: see object_lock.h */
    size_t locked_segs;              /* so many leading segments of live are, */
    struct seg_source locked_source; /* and of those that they lean on all up to that one */
    uint64_t lock_again;             /* ticks: it failed, try again then; 0: it did not */
    char lock_trouble[600];          /* why; "": it did not */
    atomic_bool lost_flag;           /* a pending segment is lost and not dead; the same */
    uint64_t accepted_ms;   /* clock_ms(): when the store took the last head, or this was made: see offsite.h */
    size_t offsite_segs;    /* leading segments of live that were off-site before that */
    uint64_t offsite_bytes; /* of them */
    size_t cut_low;         /* fewest segments that live was cut to since the commit's snapshot */
    uint64_t cut_object;    /* and at the lowest of these objects; UINT64_MAX: it was not */
    char **doomed; /* garbage known at the last commit's snapshot: no head names it; NULL-terminated, or NULL */
    size_t doomed_next;
    size_t doomed_kept;                /* of those before it, how many stay */
    size_t garbage_kept;               /* when all garbage was gone through last: how much stayed, and is still there */
    struct kept *kept;                 /* what of it stays, as others lean on it; NULL: not asked yet */
    char kept_why[CARTRIDGE_WHY_SIZE]; /* who may lean on all of it, at the last look; "": nobody */
    bool leaning;                      /* in this run it was listed as a leaner */
    uint64_t rested;                   /* n of the last head of this run that was put as one at rest; 0: none */
    uint64_t claim_epoch;              /* highest that this run put a claim with, answered or not */
    uint64_t claim_time;               /* seconds since 1970: what that claim says */
    uint64_t tried_n;                  /* highest n that a head was put with, answered or not */
    uint64_t changes;                  /* goes up with each change of live */
    uint64_t committed;                /* value of changes that the last head holds */
    uint64_t committed_at;             /* ticks */
    uint64_t changed_since;            /* seconds since 1970: changes that may be in no head began about then */
    uint64_t backoff_until;            /* ticks: the store failed, try again then */
    unsigned failures;
    unsigned failing;          /* which kinds of job failed last time: bits */
    bool counted_failing;      /* in engine.failing */
    char trouble[600];         /* the store's last complaint, "" when all is well */
    int idle_error;            /* why the idle segment could not be sealed, told already */
    unsigned users;            /* drives that hold it: live stays loaded */
    struct usage usage;        /* row.counters follows it when the row is written anyway */
    bool usage_changed;        /* since then */
    uint64_t appended;         /* bytes that went into segment files in this run */
    struct db_written written; /* by the host that writes; bytes 0: nothing in this mount. row.written is this */
    bool unsynced;             /* and no sync came behind it */

    /* Without the lock: see cartridge_get_health */
    atomic_int health;
    atomic_size_t weak;
    atomic_bool weak_or_more;
    struct cartridge_health health_next; /* of the thread that asks */
};

/* What is to be freed of a full disk, at least, for the end of a segment and its rows. */
#define CARTRIDGE_ROOM (1u << 20)

/* ---- all with the lock held, but where said ---- */

/* Takes a changed row over. What stands before created says which cartridge it is, never changes while it is in memory,
 * and is read without the lock: so it is not written either. */
static inline void cartridge_set_row(struct cartridge *c, const struct db_cartridge *row)
{
    const size_t from = offsetof(struct db_cartridge, created);
    lock_assert_held(&c->lock);
    memcpy((char *)&c->row + from, (const char *)row + from, sizeof(*row) - from);
    c->row.written = &c->written;
}

static inline bool cartridge_is_committed(const struct cartridge *c)
{
    lock_assert_held(&c->lock);
    return c->changes == c->committed;
}

/* All that its last head names, and the head. */
static inline bool cartridge_is_offsite(const struct cartridge *c)
{
    lock_assert_held(&c->lock);
    return offsite_has(&c->eng->offsite, c->accepted_ms);
}

/* The store took a head, which names what the one before it did, and more. Called before row.commit_segs says so. */
void cartridge_note_accepted(struct cartridge *c);

static inline void cartridge_count_change(struct cartridge *c)
{
    if (cartridge_is_committed(c))
        c->changed_since = engine_time();
    c->changes++;
}

/* Writes a changed row to the state and takes it over; a head will hold it soon. */
int cartridge_change_row(struct cartridge *c, struct db_cartridge *row);
/* What was written since the last sync locks the cartridge where [retention] says so: longer or more strongly, never less. */
int cartridge_retain(struct cartridge *c);
/* row.counters tell the usage of now. */
void cartridge_refresh_counters(struct cartridge *c);
/* Cuts live at object, and with it pending segments, maps and what the last head still holds. */
void cartridge_cut_live(struct cartridge *c, uint64_t object);
/* Maps hold no more than the leading segments that the last head still names as they are. */
void cartridge_cut_maps(struct cartridge *c);
/* Makes ch cut the rows at object: *runs (malloc'd) belongs to it. */
int cartridge_change_cut(const struct cartridge *c, uint64_t object, struct db_change *ch, struct seg_fm_run **runs);
void cartridge_free_doomed(struct cartridge *c);
/* The owner is FENCED from now on, and the state knows it. */
void cartridge_fence(struct cartridge *c, enum db_fence fenced);
/* What is to be known of it, in the log and as its trouble. Without the lock. */
void cartridge_tell(struct cartridge *c, const struct errtext *err);
/* A job of that kind (a bit) failed: told, and tried again after a while that grows. Without the lock. */
void cartridge_try_again(struct cartridge *c); /* now, whatever failed before */
void cartridge_note_failure(struct cartridge *c, unsigned kind, const struct errtext *err);
/* It did not. The trouble is over when no kind of job fails any more. Without the lock. */
void cartridge_note_success(struct cartridge *c, unsigned kind);
/* Nothing is to be done for it: what failed last is over, or came to nothing. With the lock. */
void cartridge_end_trouble(struct cartridge *c);
/* It no longer counts as one that fails: nothing more of it will be tried. With the lock. */
void cartridge_stop_failing(struct cartridge *c);
/* This state recorded that head, or was about to put it: after the recorded one, by the run that tried last. */
bool cartridge_knows_head(const struct cartridge *c, const struct seg_id *head);
/* The bucket's view, of head h and index x, becomes that of the cartridge, which is FENCED then. *kept: bytes that only
 * this state held; they stay beside the spool's files as *.bad. x is taken over on success. */
int cartridge_adopt(struct cartridge *c, const struct head *h, struct tape_index *x, uint64_t *kept,
                    struct errtext *err);

/* The open segment is about to copy out of s, whose cartridge lent to this one: as db_lean_add. */
int cartridge_lean(struct cartridge *c, const struct seg_source *s);
struct kept;

/* ---- cartridge_pending.c ---- */
/* Notes a sealed segment that is not stored. Does not count its bytes. */
int cartridge_push_pending(struct cartridge *c, const struct seg_id *id, uint64_t size);
/* Files of overwritten segments go, once no row names them. If a worker has had one, an object of that name may be in
 * the store, whatever was answered: it is garbage. */
void cartridge_bury_dead(struct cartridge *c);
/* What a fenced cartridge holds can never be stored: it no longer counts against the spool's limit, so that it stops
 * nobody else. */
void cartridge_uncount(struct cartridge *c);
/* Of a pending segment, the bytes in dirty_bytes. */
uint64_t cartridge_counted(const struct pending *p);
/* How large the open segment is, in dirty_bytes. */
void cartridge_count_open(struct cartridge *c, uint64_t size);
/* A sealed segment to store next: it becomes busy. False: none. */
bool cartridge_pick_pending(struct cartridge *c, struct pending *out);
/* lost_flag follows what is pending. */
void cartridge_note_lost(struct cartridge *c);
/* The file of a segment that a worker has is not what it was: told once, and in cartridge_backlog. */
void cartridge_pending_lost(struct cartridge *c, const struct seg_id *id, const char *what);
/* Some is lost, and nothing else waits to be stored. */
bool cartridge_rest_is_lost(const struct cartridge *c);
/* Composes what is lost, if anything is. */
void cartridge_lost_text(const struct cartridge *c, char *text, size_t room);
/* The worker's result for it. stored: the object is there. */
int cartridge_pending_done(struct cartridge *c, const struct pending *seg, bool stored);
/* The object of a segment is there, and no head names it yet: until one does its file is the last cache to go. Another
 * gateway that takes the cartridge over deletes the object. */
void cartridge_note_stored(struct cartridge *c, const struct seg_id *id, uint64_t size);
/* A head names what row.commit_segs says: from now on that is cache as any. */
void cartridge_note_named(struct cartridge *c);
/* Leading segments of live that are stored, so that a head may name them. */
size_t cartridge_stored_prefix(const struct cartridge *c);
/* Do they reach row.floor, below which no head may end? */
bool cartridge_reaches_floor(const struct cartridge *c);
/* Is there something that a head could hold and none does? */
bool cartridge_can_commit(const struct cartridge *c);

/* ---- cartridge_recover.c ---- */
/* The segment of an OPEN row, of which synced bytes were safe, as the process left it. */
int cartridge_recover_open(struct cartridge *c, const struct seg_id *id, uint64_t synced, struct errtext *err);

/* ---- by the workers; without the lock ---- */
/* Seals if the last append is older than idle ticks. */
void cartridge_seal_if_idle(struct cartridge *c, uint64_t idle);

#endif
