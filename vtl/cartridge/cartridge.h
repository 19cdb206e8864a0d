/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge.h: one cartridge: the host's view of it, its open segment, and what is not stored or not committed yet. */
#ifndef S3VTL_CARTRIDGE_H
#define S3VTL_CARTRIDGE_H

#include "vtl/format/usage.h"
#include "vtl/cartridge/engine.h"

/*
 * The life of a block: cartridge_write appends it to the open segment's file (it outlives the process) ->
 * cartridge_sync fsyncs it (local) -> the segment is sealed -> a worker stores it -> a commit names it in a head
 * (remote).
 *
 * Everything here takes the cartridge's lock itself, and may wait for the disk or SQLite, never for the store. So none
 * of it is for the transport's thread (I5). Functions that can fail return 0 or a negative errno.
 */
struct cartridge;

/* row is copied; mam and counters become the cartridge's. NULL when out of memory. */
struct cartridge *cartridge_new(struct engine *eng, const struct db_cartridge *row);
/* Nobody may use it any more: workers_forget was called. NULL is fine. */
void cartridge_free(struct cartridge *c);

/* These never change while the cartridge is in memory: without the lock, any thread, valid as long as the cartridge. */
const char *cartridge_barcode(const struct cartridge *c);
const uint8_t *cartridge_id(const struct cartridge *c); /* 16 bytes */
int64_t cartridge_rowid(const struct cartridge *c);
int cartridge_generation(const struct cartridge *c);
struct engine *cartridge_engine(const struct cartridge *c);

/* Reads the rows, recovers an OPEN segment (it is sealed), and hands the backlog to the workers. */
int cartridge_load(struct cartridge *c, struct errtext *err);
/* Loaded. When all of it is stored, a head says that this gateway gives it up; on false not any more. */
void cartridge_want_release(struct cartridge *c, bool on);
/* Frees the index if nobody holds the cartridge and it has no backlog. */
void cartridge_unload_if_clean(struct cartridge *c);
/* While a drive holds it, it stays loaded, and what belongs to cartridges outside of drives is refused. */
void cartridge_hold(struct cartridge *c);
void cartridge_let_go(struct cartridge *c);
/* Did the state say at the start that it has a backlog, or garbage to delete? */
bool cartridge_has_work(struct cartridge *c);
/* It was loaded for a drive: the workers look whether the bucket's head is the one that this state knows, as a copy of
 * this gateway, or another, may have written it. */
void cartridge_want_look(struct cartridge *c);
/* From here on a drive works on what it holds, until cartridge_end_use or cartridge_let_go. */
void cartridge_begin_use(struct cartridge *c);
void cartridge_end_use(struct cartridge *c);
/* True while the owner is FENCED. Any thread, valid while the cartridge is held. */
const atomic_bool *cartridge_fenced_flag(const struct cartridge *c);
/* True while a segment that is not stored cannot be, as its file in the spool is gone or damaged: what was acknowledged is
 * not safe, and will not be. Until it is overwritten, or the file is there again. The same. */
const atomic_bool *cartridge_lost_flag(const struct cartridge *c);
/* There is work for the workers. */
void cartridge_poke(struct cartridge *c);

/* ---- what it looks like now ---- */

/* Who writes the cartridge, as far as this run knows (I7). */
enum cartridge_owner {
    CARTRIDGE_UNCLAIMED, /* nobody asked yet in this run: reading needs no claim */
    CARTRIDGE_OWNED,     /* this gateway's claim was the highest */
    CARTRIDGE_FENCED,    /* another gateway owns it: nothing of ours is merged */
};

/* What a drive looks at with each command: cheap. */
struct cartridge_brief {
    enum cartridge_owner owner;
    bool failing; /* the store's last answer for it was an error */
    bool looking; /* whether the bucket's head is the one that this state knows is being found out */
    bool stale;   /* it is not, and what is here must not be read */
    bool write_protected, worm;
    bool locked; /* by its retention: only appending is allowed */
    uint64_t capacity;
    uint64_t file; /* filemarks before the object that was asked for */
    bool filemark; /* that object is one */
    uint64_t end_object, end_file;
    uint64_t appended; /* bytes that went into segment files in this run */
    uint64_t created;
    size_t pending;      /* sealed segments that are not stored yet */
    uint64_t open_bytes; /* of the open segment, in engine.dirty_bytes */
    bool broken;         /* no room on the disk helps it: its sync failed */
    struct usage usage;
};
void cartridge_brief(struct cartridge *c, uint64_t object, struct cartridge_brief *out);
/* Nothing of it was found to be lost, by verify or at a start. */
bool cartridge_is_whole(struct cartridge *c);

/*
 * How much of a cartridge is where, in bytes as they are stored. Every figure that is shown comes from here: "only on
 * this disk" is local, "accepted by the store" is accepted, "off-site" is offsite. Each byte is in one of them, and
 * together they are the whole cartridge. Where the store does not tell, nothing is off-site.
 */
struct cartridge_amounts {
    uint64_t local;    /* the backlog: what no head in the store names, and a rebuild would not bring back */
    uint64_t unsent;   /* of local: what the store has not taken yet */
    uint64_t accepted; /* what a head in the store names, and is not known to be off-site */
    uint64_t offsite;  /* what a head names, and the service has not on its own disk only */
};

struct cartridge_backlog {
    struct cartridge_amounts amounts;
    uint64_t since; /* seconds since 1970: the oldest of it waits, as far as this run knows; 0: there is nothing */
    bool remote;    /* nothing: the last head holds all that was acknowledged */
    bool offsite;   /* and it is off-site, with all that it names */
    bool fenced;
    bool spool_lost;   /* a file of it is gone or damaged */
    bool lost;         /* what is not remote never will be: spool files are gone, and trouble names them */
    char trouble[600]; /* the store's last complaint, "" when all is well */
};
void cartridge_backlog(struct cartridge *c, struct cartridge_backlog *out);

/*
 * How much redundancy the store's service has left for its objects, as the service told last. In thousandths: 1000 is as it
 * should be, at 0 no host may fail any more, below 0 too few hosts are left to read something.
 */
enum { CARTRIDGE_WHOLE = 1000, CARTRIDGE_HEALTH_UNKNOWN = 2000 };
struct cartridge_health {
    int health;        /* of its worst object */
    size_t weak;       /* objects below [store] health_warning, */
    bool weak_or_more; /* or at least so many */
};
/* Any thread, at once; each field for itself. */
void cartridge_get_health(const struct cartridge *c, struct cartridge_health *out);
/* The health alone. Any thread, valid while the cartridge is held. */
const atomic_int *cartridge_health_flag(const struct cartridge *c);
/* By one thread only: what the service tells now of some of its objects; then, that this was all, or that it could not tell
 * all, and what was known stays. */
void cartridge_health_add(struct cartridge *c, int health, size_t weak, bool or_more);
void cartridge_health_end(struct cartridge *c, bool answered);

/* For people and programs that list cartridges. */
struct cartridge_view {
    bool loaded, held, write_protected, worm;
    struct retention retention;
    bool locked;                   /* it holds now */
    struct retention object_lock;  /* how the store locks all its objects, at least */
    bool object_lock_due;          /* it is to lock them for longer, or more strongly */
    char object_lock_trouble[600]; /* why it does not; "": it did not fail */
    uint64_t capacity, used_bytes;
    uint64_t segments, end_file, end_object; /* loaded only */
    uint64_t created, modified;
    struct seg_id head; /* epoch 0: none */
    struct usage usage;
    uint64_t cache_below;   /* at the start: its spool files of smaller numbers are cache */
    uint64_t unstored_rows; /* until it is loaded: segments of which the state says that they are not in the store */
    struct cartridge_backlog backlog;
};
void cartridge_view(struct cartridge *c, struct cartridge_view *out);

/* Why nothing that is no more needed of it is deleted for now; "": it is. */
#define CARTRIDGE_WHY_SIZE 250
void cartridge_kept_why(struct cartridge *c, char out[CARTRIDGE_WHY_SIZE]);

/* Object of the next filemark at object or behind it, of the last one before it, and of the first object of a file.
 * False: there is none. */
bool cartridge_next_filemark(struct cartridge *c, uint64_t object, uint64_t *filemark);
bool cartridge_prev_filemark(struct cartridge *c, uint64_t object, uint64_t *filemark);
bool cartridge_file_start(struct cartridge *c, uint64_t file, uint64_t *object);
/* Bytes of host data before object; a segment that holds it counts in proportion. UINT64_MAX: all. */
uint64_t cartridge_bytes_before(struct cartridge *c, uint64_t object);

/* The segment that holds an object, and its number; -ENOENT: none. */
int cartridge_segment_of(struct cartridge *c, uint64_t object, struct seg_ref *ref, size_t *number);
/* By number; ref->size 0: it is open. False: there are not so many. */
bool cartridge_segment(struct cartridge *c, size_t number, struct seg_ref *ref);
/* Is it one of the tape's as it is now? */
bool cartridge_holds(struct cartridge *c, const struct seg_id *id);
/* Is its object in the store? */
bool cartridge_is_stored(struct cartridge *c, const struct seg_id *id);
/* The record of an object of the open segment, read from its file to *buf, which grows (realloc). -ENOENT: it is not
 * there. */
int cartridge_read_open(struct cartridge *c, uint64_t object, uint8_t **buf, size_t *room, uint32_t *size);

/* ---- by the drive ---- */

/* Which quotas it counts for, as bits. Any thread, at once. */
uint32_t cartridge_quota_rules(struct cartridge *c);
/* What quotas leave for it. Any thread, at once; T. */
struct quota_room cartridge_quota_left(struct cartridge *c);
/* A host wrote so many bytes to it, or is about to cut them off, and did or could not: for its quotas. The same. */
void cartridge_quota_written(struct cartridge *c, uint64_t bytes);
void cartridge_quota_cut_begin(struct cartridge *c, uint64_t bytes);
void cartridge_quota_cut_end(struct cartridge *c);

/* Appends at the object it was packed for (what stood there and behind is gone). -ENOSPC when the disk is full: nothing
 * changed. */
int cartridge_write(struct cartridge *c, const struct seg_packed *b);
int cartridge_filemarks(struct cartridge *c, uint64_t object, uint32_t count);
/* Cuts everything at object and behind it; safe on the local disk when it returns. */
int cartridge_truncate(struct cartridge *c, uint64_t object);
/* Everything acknowledged is on the local disk. */
int cartridge_sync(struct cartridge *c);
/* Seals the open segment, if any, and asks for a commit. */
int cartridge_flush(struct cartridge *c);
/* A drive is about to write: a claim is wanted. Returns who owns the cartridge now; *failing: the store's last answer
 * was an error. */
enum cartridge_owner cartridge_want_claim(struct cartridge *c, bool *failing);

/* The leaner may copy out of the source, once this returned 0: a committed head of the source lists it. -EAGAIN: the workers
 * are at it, or at the claim of one of the two; ask again when the engine progressed. -EROFS: one of them is fenced.
 * -EBUSY: the source is being written over. They may be the same: a tape may lean on what it had before it was written over.
 * *err: where it is none of these. Asked again for each mount of the leaner, and when cartridge_lean says -ESTALE. */
int cartridge_lend(struct cartridge *source, struct cartridge *leaner, struct errtext *err);

/* ---- what is kept with it: in the state when these return 0, and in a head soon ---- */

/* The host's attributes. */
int cartridge_set_mam(struct cartridge *c, const struct tape_mam *mam);
void cartridge_get_mam(struct cartridge *c, struct tape_mam *mam);
/* The cartridge holds proportion 65535ths of what it was made with, from now on; *capacity is how much that is. */
int cartridge_set_capacity(struct cartridge *c, uint16_t proportion, uint64_t *capacity);
/* The write protect tab. -EBUSY: it is in a drive. */
/* Locks or unlocks it; what holds is only ever lengthened, unless it is governance and bypass. -EPERM: that, or another
 * gateway owns it; -EBUSY: it is in a drive. */
int cartridge_set_retention(struct cartridge *c, const struct retention *r, bool bypass, struct errtext *err);
int cartridge_set_write_protected(struct cartridge *c, bool on, struct errtext *err);
/* What a scrub found: up to which object, how many of these cannot be read back, the first of them. *ours: may a head of
 * this gateway come to hold it, and does one; else its next one does, or another gateway's own scrub tells it. */
int cartridge_set_verified(struct cartridge *c, uint64_t objects, uint64_t lost, uint64_t from, bool *ours);
/* A cleaning cartridge is used once more; *used false: it is used up, and nothing was counted. */
int cartridge_use_cleaning(struct cartridge *c, const char *serial, bool *used);

/* ---- counters: in memory, and in the state with cartridge_save_counters or the next change ---- */
void cartridge_count(struct cartridge *c, const struct tape_usage *n);
/* So many bytes of that host's are on it; in the state with the next sync, seal or commit. */
struct cartridge_host {
    char name[224], address[64];
};
/* Are its blocks stored without what other cartridges hold, as far as that is possible? */
bool cartridge_dedups(const struct cartridge *c);
void cartridge_count_written(struct cartridge *c, const struct cartridge_host *by, uint64_t bytes);
void cartridge_count_mount(struct cartridge *c, const char *serial);
void cartridge_count_format(struct cartridge *c, int n);
int cartridge_save_counters(struct cartridge *c);

/* ---- by the library ---- */

/* The text is the cartridge's trouble until the store takes something of it. */
void cartridge_set_trouble(struct cartridge *c, const char *text);
/* One at a time works on a cartridge's heads: the workers, or who takes them. False: somebody else has them now
 * (progress is posted when they are given back). */
bool cartridge_take_heads(struct cartridge *c);
void cartridge_give_heads(struct cartridge *c);
/* Does this state go on from that head of the bucket? It may be newer than what the state recorded, as its answer was
 * lost: what is only here is no less valid for that. */
bool cartridge_goes_on_from(struct cartridge *c, const struct seg_id *head);
/* This gateway wrote it last, as far as it knows. *head: the last head it knows of. */
bool cartridge_is_ours(struct cartridge *c, struct seg_id *head);
/* Has it been given up, as far as this state knows? OBJ_UNKNOWN: a head that says so may be in the store, whatever was
 * answered. Unless OBJ_NO, somebody else may have it by now. */
enum obj_known cartridge_given_up(struct cartridge *c);
/* The bucket's head says so, and it is the one that this state knows. */
int cartridge_note_given_up(struct cartridge *c);
/* It is claimed anew, also if this run did already: its last head gave it up. Its heads are taken. */
void cartridge_disown(struct cartridge *c);
/* Of the heads and claims that this gateway put of it, or was about to. */
uint64_t cartridge_highest_epoch(struct cartridge *c);
/* It gives way to the bucket's view, whose index is bucket: what no head names stays beside the spool's files, as *.bad.
 * Returns the bytes kept so. After this only cartridge_free. */
uint64_t cartridge_set_aside(struct cartridge *c, const struct tape_index *bucket);
/* Before its rows change: from here on what cartridge_set_aside keeps is not lost by a crash. */
int cartridge_name_aside(struct cartridge *c, const struct tape_index *bucket, struct errtext *err);
/* They did not change after all. */
void cartridge_not_aside(struct cartridge *c, const struct tape_index *bucket);
/* It is removed with all it holds: its backlog counts no more. After this only cartridge_free. */
void cartridge_drop_backlog(struct cartridge *c);

#endif
