/* SPDX-License-Identifier: GPL-2.0-or-later */
/* db.h: the gateway's state in SQLite: elements, cartridges, segments, heads, and what is still to be deleted. */
#ifndef S3VTL_DB_H
#define S3VTL_DB_H

#include "vtl/format/head.h"
#include "vtl/format/tapeindex.h"

/*
 * What the state keeps (WAL, synchronous=FULL: a call that returned 0 survives power loss):
 *  1. A segment row is OPEN (its file is scanned at the next start: its bytes may be ahead of or behind the last sync),
 * SEALED (its file is whole and fsynced) or STORED (the object is in the store; a local file is only a cache). At most
 * one row of a cartridge is OPEN.
 *  2. SEALED and STORED rows of a cartridge, in order of first_object, are gapless from object 0. The OPEN row begins
 * at or before their end; what it writes over is removed only when its own bytes are safe (I4).
 *  3. A garbage row names an object that no head committed from now on will name.
 *  4. Each row has a checksum, which every reader checks: -EBADMSG, and db_error names table, row and the way out. A
 * damaged row can be deleted, and not be changed.
 * Every call is one transaction, thread-safe, and may block (never call it on the transport's thread). The fn of a query
 * is called in the middle of it: it calls nothing of this file, and takes no lock but those below "state: database" in
 * LOCK_RANKS. What it returns, if not 0, ends the query and is its result.
 */
struct db;

enum seg_state { SEG_OPEN = 0, SEG_SEALED = 1, SEG_STORED = 2 };

/* Another gateway, or a copy of this one, wrote the cartridge: read only here until it is claimed by force. */
enum db_fence {
    DB_NOT_FENCED,
    DB_FENCED_READER, /* the rows are the bucket's view: what is read is right */
    DB_FENCED_STALE,  /* they are what this gateway had: nothing of them is read */
};

/* What a host wrote to a cartridge in one go: while it stayed mounted, and no other host wrote. Times are seconds since
 * 1970, 0: not yet. For what is off-site there is to be one more. */
struct db_written {
    uint8_t id[16]; /* of the cartridge */
    char barcode[33];
    char host[224], address[64]; /* as the host called itself, and where it was; "": not known */
    uint64_t began, last;        /* the first WRITE and the last */
    uint32_t run;                /* the gateway's: two may have begun within one second */
    uint64_t bytes;              /* of the host */
    uint64_t synced;             /* acknowledged as safe: the last sync behind all of them */
    uint64_t accepted;           /* a head names all of them */
    bool damaged;                /* by db_written: the row is not what was written */
};

struct db_cartridge {
    int64_t rowid;
    char barcode[33];
    uint8_t id[16];
    int generation;
    bool worm;
    bool no_dedup; /* it neither copies from others nor do others copy from it */
    uint64_t created, modified;
    uint64_t capacity;      /* available: SET CAPACITY may have made it less */
    uint64_t full_capacity; /* then what it was made with; else 0 */
    bool write_protected;
    struct retention retention;
    struct retention object_lock; /* how the store locks all objects of it, and those that it leans on, at least */
    uint64_t next_segment, next_map;
    struct seg_id head;  /* the last head that this gateway committed or adopted; epoch 0: none */
    struct seg_id tried; /* the head that it was about to put last: it may have landed, whatever was answered */
    enum db_fence fenced;
    uint64_t commit_segs; /* how many leading segments that head names as they are now */
    uint64_t floor;       /* a commit must reach this object, so that an overwrite is never half visible (I4) */
    bool dirty;           /* the state differs from that head */
    bool rebuilt;         /* from the bucket, and no sweep looked yet for what nobody committed */
    bool released; /* a head that gives it up was about to be put, and none since that does not is the last one */
    bool damaged;  /* by db_cartridges: a row of it, or of its segments, is not what was written */
    char *mam, *counters;             /* JSON text or NULL; owned by the row's reader */
    const struct db_written *written; /* what goes on: its row is written whenever this one is; NULL: nothing */
    /* sums over the segments, filled by db_cartridges only */
    uint64_t used_bytes;                  /* of the host */
    uint64_t local_bytes, accepted_bytes; /* as struct cartridge_amounts has them */
    uint64_t unstored_rows;               /* not STORED */
    uint64_t garbage;                     /* rows */
};

int db_open(const char *path, bool create, struct db **out, struct errtext *err);
void db_close(struct db *db);
/* Why this thread's last call for this state failed, in one line for the log and the operator; "" when it did not fail.
 * Valid until the next call of this thread, whatever others do meanwhile. */
const char *db_error(struct db *db);

/* A change that failed may be there all the same after a restart, until another one was saved. Saves one if that is so:
 * before anything is called safe that says otherwise. At once when nothing is in doubt. 0 or a negative errno. */
int db_settle_doubt(struct db *db);

/* The highest epoch of cartridges that were removed. */
#define EPOCH_FLOOR "epoch_floor"
/* "" when the key is not there. */
int db_meta_get(struct db *db, const char *key, char *buf, size_t room);
int db_meta_set(struct db *db, const char *key, const char *value);
/* Those whose keys begin so, in their order. fn calls nothing of the state; not 0 ends it. */
typedef int (*db_meta_fn)(void *arg, const char *key, const char *value);
int db_meta_each(struct db *db, const char *prefix, db_meta_fn fn, void *arg);

/* Elements that are full: address, barcode, source (0: none). */
struct db_element {
    uint16_t address, source;
    char barcode[33]; /* "": empty */
    bool damaged;     /* by db_elements: the row is not what was written */
};
int db_elements(struct db *db, int (*fn)(void *arg, const struct db_element *e), void *arg);
int db_elements_set(struct db *db, const struct db_element *e, size_t n); /* all n in one transaction */

int db_cartridges(struct db *db, int (*fn)(void *arg, const struct db_cartridge *c), void *arg);
/* Makes the row (rowid is set) and puts it into an element (address 0: on no element). */
int db_cartridge_add(struct db *db, struct db_cartridge *c, uint16_t address);
int db_cartridge_update(struct db *db, const struct db_cartridge *c); /* all columns but barcode and id */
int db_cartridge_remove(struct db *db, int64_t rowid, const char *barcode);
/* Is the cartridge's row, and are all rows of it, those that were written, and are none of them gone? */
int db_cartridge_check(struct db *db, int64_t rowid);

typedef int (*db_segment_fn)(void *arg, enum seg_state state, const struct seg_ref *ref, const struct seg_fm_run *fms,
                             size_t n_fms);
/* In order of first_object, the OPEN one last. */
int db_segments(struct db *db, int64_t cartridge, db_segment_fn fn, void *arg);
/* A new OPEN segment (only id, first_object, first_file of ref count), and the cartridge's next_segment with it. */
int db_segment_open(struct db *db, const struct db_cartridge *c, const struct seg_ref *ref);
/* The OPEN segment goes on under another name, which takes the cartridge's next_segment. What was safe of it still is. */
int db_segment_rename(struct db *db, const struct db_cartridge *c, const struct seg_id *from, const struct seg_id *to);
/* So many bytes of an OPEN segment's file are safe: its row's size. */
int db_segment_synced(struct db *db, const struct db_cartridge *c, const struct seg_id *id, uint64_t bytes);
/* An OPEN segment that turned out empty: forget it. */
int db_segment_drop(struct db *db, int64_t cartridge, const struct seg_id *id);

/* One change of the segments of a cartridge, applied as a whole, together with db_cartridge_update(c). */
struct db_change {
    bool truncate; /* cut everything at object and behind, but the segment "sealed" */
    uint64_t object;
    const struct seg_ref *cut; /* the last one left, as it is now; NULL if none is left or none was cut */
    const struct seg_fm_run *cut_fms;
    size_t n_cut_fms;
    const struct seg_ref *sealed; /* this OPEN row becomes SEALED with these figures; NULL: none */
    const struct seg_fm_run *sealed_fms;
    size_t n_sealed_fms;
    bool sealed_stays_open; /* only truncate on behalf of an OPEN segment that is safe now; it goes on growing */
};
/* Keys of STORED and SEALED segments that fell out become garbage rows. */
int db_change(struct db *db, const struct db_cartridge *c, const struct db_change *ch);
int db_segment_stored(struct db *db, int64_t cartridge, const struct seg_id *id);
/* A cartridge as the bucket has it, with all its segments STORED, in place of the one with rowid old (0: none): whole or
 * not at all, as a cartridge without its segments would be written over. What the segments lean on comes with x, maps and
 * leaners with the head, and what that keeps becomes garbage. c->rowid is set: to old, if there was one. */
int db_cartridge_restore(struct db *db, int64_t old, struct db_cartridge *c, uint16_t address,
                         const struct tape_index *x, const struct head *h);
/* The same for the cartridge of row c->rowid, which stays where it is. */
int db_cartridge_adopt(struct db *db, struct db_cartridge *c, const struct tape_index *x, const struct head *h);

int db_maps(struct db *db, int64_t cartridge, int (*fn)(void *arg, const struct map_ref *m), void *arg);
/* A head is committed, which lists these leaners: the cartridge's columns and its maps; maps that it no longer names become
 * garbage. */
int db_committed(struct db *db, const struct db_cartridge *c, const struct map_ref *maps, size_t n_maps,
                 const struct head_leaner *leaners, size_t n_leaners);

/* Does the state have that segment of the cartridge with this id, be it live or garbage? 1, 0, or a negative errno. */
int db_has_segment(struct db *db, const uint8_t cartridge[16], const struct seg_id *id);

/* Objects of a cartridge to delete. */
int db_garbage(struct db *db, int64_t cartridge, int (*fn)(void *arg, const char *key), void *arg);
int db_garbage_add(struct db *db, int64_t cartridge, const char *const *keys, size_t n);
int db_garbage_done(struct db *db, int64_t cartridge, const char *const *keys, size_t n);
/* No head that counts names it, and it stays for those that lean on it: it leans on nothing itself any more. */
int db_garbage_stays(struct db *db, int64_t cartridge, const char *const *keys, size_t n);

/* ---- what leans on what: a segment that holds copies on those that they are out of ---- */

/* Segment, of the cartridge with that rowid, is about to copy out of the source. In the state when this returns 0, also
 * if it was before. -ESTALE: not this source, or not now: it must be a live STORED row, among those that its cartridge's
 * last committed head names, of the same size and CRC; or garbage that a cartridge leans on already. It is not marked as
 * damaged. Neither cartridge is
 * fenced; and that head lists the leaner, if it is another one, as of this run of its gateway, with n not below rested: the
 * last head that the leaner tried to put at rest in this run (0: none), behind which it may not copy before it is listed
 * anew. The leaner's segment needs no row yet. */
int db_lean_add(struct db *db, int64_t leaner, const struct seg_id *segment, uint64_t rested,
                const struct seg_source *s);
/* The segments of whatever cartridges that this one's lean on, each once, in order of barcode and name, from the one
 * behind after on (NULL: the first). */
int db_sources(struct db *db, int64_t cartridge, const struct seg_source *after,
               int (*fn)(void *arg, const struct seg_source *s), void *arg);
/* Is it such a segment, whoever may lean on it? 0, or -ESTALE. */
int db_is_source(struct db *db, const struct seg_source *s);
typedef int (*db_lean_fn)(void *arg, const struct seg_id *segment, const struct seg_source *s);
/* What a cartridge leans on, in order of its segments' names. segment: only this one's; NULL: all. */
int db_leans(struct db *db, int64_t cartridge, const struct seg_id *segment, db_lean_fn fn, void *arg);
int db_has_leans(struct db *db, int64_t cartridge, bool *has);
/* Segments below that barcode's keys that cartridges of this state lean on which are not fenced, but for the one with the
 * rowid but (0: all); in order of their names. */
int db_leaned_on(struct db *db, const char *barcode, int64_t but, int (*fn)(void *arg, const struct seg_id *id),
                 void *arg);
/* Which cartridges of this state lean on a segment: their barcodes. */
int db_leaners_of(struct db *db, const char *barcode, const struct seg_id *id,
                  int (*fn)(void *arg, const char *barcode), void *arg);
/* How much cartridges share, by the rows here: segments of the one that is leaned on. */
struct db_share {
    char barcode[33]; /* of the other */
    uint64_t segments, bytes;
};
/* lent: for each other one that leans on the cartridge; else for each that it leans on. */
int db_shares(struct db *db, const char *barcode, bool lent, int (*fn)(void *arg, const struct db_share *s), void *arg);

/* Bytes of the segments below that barcode's keys that others of this state lean on: *all, and *live those of the
 * cartridge's live ones. */
int db_needed_by_others(struct db *db, int64_t cartridge, const char *barcode, uint64_t *live, uint64_t *all);

/* Who may lean on a cartridge. */
struct db_leaner {
    struct head_leaner wanted; /* as its next head is to list it */
    struct seg_id named;       /* as its last committed head does; epoch 0: not */
};
int db_leaners(struct db *db, int64_t source, int (*fn)(void *arg, const struct db_leaner *l), void *arg);
/* The next head of the source is to list l, unless it is to list it already as of the same run and with an n of least or
 * more. *listed: the last one does. */
int db_lend(struct db *db, int64_t source, const struct head_leaner *l, uint64_t least, bool *listed);
/* Until the next head is committed no lean on the source is added. */
int db_lend_no_more(struct db *db, int64_t source);
/* If it is a cartridge of this state that is not fenced, *tried is the last head that this state was about to put of it
 * (epoch 0: none, or no such cartridge), and *leans whether it leans on segments below that barcode's keys. The rows of all
 * that it leans on are checked. */
int db_leaner_here(struct db *db, const struct head_leaner *l, const char *barcode, struct seg_id *tried, bool *leans);
/* Who leans, as the leans of this state say, on cartridges of which that run put the last head, is listed by their next one: a
 * head that is made where all others are lost knows nobody. */
int db_leaners_complete(struct db *db, uint32_t writer);
/* The next head is not to list it; from now on, until one lists it anew, it adds no lean. One that leans, as a cartridge of this
 * state which no other gateway owns, stays listed. */
int db_leaner_drop(struct db *db, int64_t source, const struct head_leaner *l);

/* ---- segments of which verify found something lost: nothing is copied out of them any more ---- */

/* A verify of the cartridge found just these of what it holds. What it held before, and is kept for others, stays as it was
 * marked. */
int db_damaged_found(struct db *db, const uint8_t cartridge[16], const struct seg_id *ids, size_t n);
/* Others found these, which the cartridge had. */
int db_damaged_add(struct db *db, const uint8_t cartridge[16], const struct seg_id *ids, size_t n);
/* 1, 0, or a negative errno. */
int db_is_damaged(struct db *db, const uint8_t cartridge[16], const struct seg_id *id);

/* ---- what was written, and what trouble there was: for the report ---- */

/* Trouble, told or not, over or not. */
struct db_happening {
    int64_t number; /* 0: a new one */
    char event[32]; /* of base/event.h */
    char text[600];
    uint64_t began, told, ended; /* seconds since 1970; 0: not yet */
    bool damaged;                /* by db_happenings */
};
/* With the last WRITE since then. */
int db_written(struct db *db, uint64_t since, int (*fn)(void *arg, const struct db_written *w), void *arg);
/* Those that are not over, or were not then. */
int db_happenings(struct db *db, uint64_t since, int (*fn)(void *arg, const struct db_happening *h), void *arg);
/* A new one gets its number. */
int db_happening_put(struct db *db, struct db_happening *h);
/* Forgets what was over so many seconds before now, or before the last that is known: now may be of a clock that is ahead. */
int db_history_forget(struct db *db, uint64_t now, uint64_t seconds);

/* The key of a cartridge's object: tapes/<barcode>/<kind>/<name>, kind seg, map or head. */
#define DB_KEY_SIZE 128
/* The name of an object right below prefix ("tapes/<barcode>/<kind>/"). False: it is nothing that this program named. */
bool object_name_at(const char *key, const char *prefix, struct seg_id *id);
void object_key(char out[DB_KEY_SIZE], const char *barcode, const char *kind, const struct seg_id *id);

#endif
