/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_private.h: the inside of a drive, and what its files share. Each file uses only those listed above it. */
#ifndef S3VTL_DRIVE_PRIVATE_H
#define S3VTL_DRIVE_PRIVATE_H

#include "base/lock.h"
#include "vtl/cartridge/worker.h"
#include "vtl/drive/behind.h"
#include "vtl/drive/drive.h"
#include "vtl/drive/reader.h"

/*
 * op_lock: held by whoever operates the drive: its executor, or the changer that takes the cartridge out. It may be
 * held for long, so the transport's thread only tries to take it, and any other wait for it can be cancelled.
 * st_lock: guards the snapshot that tape_ops->status copies; the only lock of a drive that the transport's thread waits
 * for.
 */
struct drive {
    struct engine *eng;
    unsigned number;
    char serial[33];
    atomic_bool prevented;
    uint64_t for_medium;                      /* see struct tape_ops; the executor's thread only */
    uint64_t flush_limit_ms, remove_limit_ms; /* after that a flush, or a MOVE out of the drive, fails */
    _Atomic uint64_t flush_left;              /* bytes that a running flush waits for; 0: none runs */
    _Atomic uint64_t alerts;                  /* TapeAlert flags; the command set sets some at any time */

    struct lock op_lock; /* guards all down to st_lock */
    struct cartridge *c; /* in the drive element, or NULL */
    bool loaded;         /* threaded */
    uint64_t pos;        /* logical object number */
    uint64_t used;       /* bytes of host data before the end of data */
    bool cutting;        /* used is without what a command is about to cut */
    uint64_t capacity;   /* of the cartridge */
    uint64_t unsynced_blocks, unsynced_bytes;
    struct seg_packer *packer;  /* made when it is first used, as is behind */
    struct planner *planner;    /* likewise; used by the queue's threads, and by others while it is empty */
    uint64_t planner_mount;     /* likewise: its medium_changes: what it knows of sources is for one cartridge only */
    uint64_t ask_again_at;      /* ticks; the queue's threads' */
    bool streaming;             /* the last operation was a WRITE: the next block may be queued */
    struct tape_usage streamed; /* since then; not counted yet */
    uint64_t paced_until;       /* clock_us() before which the next WRITE is not answered */
    int lost_rc;                /* why acknowledged blocks were lost, until the host is told; else 0 */
    bool place_lost;            /* it was told: nothing is written until it repositions the tape */
    bool claim_asked;
    bool spool_told; /* the host knows that the spool lost what it wrote: the cartridge may leave */
    bool fence_told; /* the host knows that the cartridge is fenced: it may leave */
    uint64_t medium_changes;
    struct tape_usage total, mount;     /* since the start, since threading */
    uint64_t appended, fetched;         /* the cartridge's and the reader's figures that are counted already */
    uint64_t loads, seconds, cleanings; /* in the drive's life, up to the start of this run */
    uint64_t began;                     /* ticks */
    uint64_t mounted, ready;            /* ticks: when this mount began, when the cartridge was threaded */
    bool counting;                      /* a cartridge is threaded: the state's counters are behind */
    bool lost;                          /* it was so when the last run ended: reported with the first cartridge */
    struct reader reader;

    struct lock st_lock;       /* guards all below */
    struct behind *behind;     /* set once, with op_lock held too */
    const atomic_bool *fenced; /* of the cartridge in it; NULL without one */
    const atomic_int *health;  /* the same */
    struct tape_status st;
    struct cartridge_host host;        /* who writes */
    struct tape_statistics statistics; /* mounted_ms and ready_ms are ticks, as above */
    uint64_t stored_shown;             /* how much of the cartridge's appended is in statistics */
    struct tape_mam mam;
};

/* ---- drive_capacity.c: the end of the medium; op_lock held ---- */
/* The only decision on early warning: a WRITE from here on reports it. */
bool drive_past_early_warning(const struct drive *d);
/* Does a block of len bytes no longer fit? */
bool drive_is_full(const struct drive *d, uint32_t len);

/* ---- drive_usage.c: counters of a drive and its cartridge; op_lock held but for the ops ---- */
void drive_usage_begin(struct drive *d);    /* before the drive is shared */
void drive_usage_mounting(struct drive *d); /* a load begins, which may fail */
void drive_usage_threaded(struct drive *d);
void drive_usage_save(struct drive *d); /* saves what outlives this run */
/* b: of the cartridge, or NULL without one. */
void drive_usage_fill(const struct drive *d, const struct cartridge_brief *b, struct tape_statistics *out);
/* Counts what an operation did, for the drive, this mount and the cartridge. */
void drive_count(struct drive *d, const struct tape_usage *what);
void drive_statistics(void *self, struct tape_statistics *out);
void drive_alert(void *self, enum tape_alert flag);
void drive_written_by(void *self, const char *name, const char *address);

/* ---- drive_loss.c: errors, and acknowledged blocks that could not be written; op_lock held ---- */
/* Logs err, sets the TapeAlert flag, and returns the command's result. */
enum tape_result drive_failed(struct drive *d, int rc, const struct errtext *err, enum tape_result otherwise);
/* The spool could not be written. */
enum tape_result drive_write_failed(struct drive *d, int rc);
/* Waits until every queued block is written. Those that could not be are no longer counted, and the host is yet to be
 * told. */
void drive_drain(struct drive *d);
/* The result that tells the host of a loss, once; OK: there is none. Nothing more is written then until it repositions
 * the tape. */
enum tape_result drive_tell_loss(struct drive *d);
/* The same for any other caller; the host is still to be told. 0 or a negative errno with *err. */
int drive_loss_error(struct drive *d, struct errtext *err);
/* Since the tape was threaded? op_lock held. */
bool drive_has_written(const struct drive *d);
/* Has the spool lost what was written and synced, so that the store never gets it, and the host does not know yet? Any
 * thread, never blocks; op_lock held. */
bool drive_spool_loss(const struct drive *d);
/* I1: nothing is safe that the spool has lost. 0, or -ENODATA with *err for as long as that is so. */
int drive_spool_error(struct drive *d, struct errtext *err);

/* ---- drive_core.c: an operation's begin and end, and what is shown of the drive ---- */
/* An operation on a threaded tape: drive_begin takes op_lock and drains the queue; drive_end publishes the status and
 * releases op_lock. When drive_begin fails, because of a loss too, op_lock is not held. */
enum tape_result drive_begin(struct drive *d, enum tape_activity activity, const atomic_bool *cancel);
enum tape_result drive_end(struct drive *d, enum tape_result result);
/* The same for streaming, without draining the queue. */
enum tape_result drive_enter(struct drive *d, enum tape_activity activity, const atomic_bool *cancel);
void drive_leave(struct drive *d);
/* Is the library about to end? What is acknowledged from then on no flush would make safe. */
bool drive_stops(const struct drive *d);
/* Takes op_lock for a command; TAPE_CANCELLED if *cancel becomes true first. */
enum tape_result drive_take(struct drive *d, const atomic_bool *cancel);
void drive_publish(struct drive *d, enum tape_activity activity);
/* The cartridge in the drive is this one, or none: the status tells at once when it is fenced. */
void drive_watch_cartridge(struct drive *d, const struct cartridge *c);
uint64_t drive_end_object(struct drive *d);
bool drive_cleans(const struct drive *d); /* a cleaning cartridge is in it */
void drive_status(void *self, struct tape_status *out);
void drive_wake(void *self);
void drive_for_medium(void *self, uint64_t medium_changes);
void drive_prevent(void *self, bool prevented);

/* ---- drive_room.c: how fast a drive may write (I6) ---- */
/* Can len more bytes be taken without any waiting? Never blocks. */
bool drive_has_room(struct drive *d, uint32_t len);
/* I6: waits while the spool is over its limit, and slows down before, so that it does not get there. */
enum tape_result drive_wait_for_room(struct drive *d, uint32_t len, const atomic_bool *cancel);
/* How many microseconds a WRITE of len bytes should take while dirty of limit bytes wait for a store that takes rate
 * bytes a second. */
uint64_t drive_pause_us(uint64_t dirty, uint64_t limit, uint64_t rate, uint32_t len);
/* If rc says that the disk is full, but the spool is below its limit: evicts cache, or waits for uploads. Not for ever: if
 * the state cannot be written either, they never end. *until is 0 at the first call. False: nothing more can be done. */
bool drive_make_disk_room(struct drive *d, int rc, uint32_t len, uint64_t *until, const atomic_bool *cancel);
/* Appends a block, or filemarks; on a full disk, once there is room again. 0 or a negative errno. Any thread, but one at a time. */
int drive_put_block(struct drive *d, const struct seg_packed *b, const atomic_bool *cancel);
int drive_put_filemarks(struct drive *d, uint64_t object, uint32_t count, const atomic_bool *cancel);
/* The same for what has removed all cache itself, and loses no block if it fails: it does not wait while the store takes
 * nothing. */
bool drive_await_disk_room(struct drive *d, int rc, uint64_t *until, const atomic_bool *cancel);
/* All that the cartridge acknowledged is on the local disk, and with seal its open segment is sealed, once this returns 0;
 * on a full disk, once there is room. */
int drive_sync(struct drive *d, bool seal, const atomic_bool *cancel);

/* ---- drive_flush.c ---- */
/* I1: when this returns 0, everything acknowledged is at the configured durability. seal: also starts its upload.
 * op_lock held. */
int drive_make_safe(struct drive *d, bool seal, uint64_t limit_ms, const atomic_bool *cancel, struct errtext *err);
/* Takes op_lock of a drive that may be busy for long: gives up after limit_ms, or when *cancel becomes true. */
int drive_wait_for(struct drive *d, uint64_t limit_ms, const atomic_bool *cancel, struct errtext *err);

/* ---- drive_dedup.c: blocks in pieces ---- */
/* Are blocks of the cartridge in it to be stored without what others hold? op_lock held, as for the next. */
bool drive_dedups(const struct drive *d);
/* The queue is empty, and what comes next does not follow what was written. Are its blocks planned? */
bool drive_dedup_begin(struct drive *d);
/* A block was written through, and blocks that follow it are planned: they can be read only with it. */
void drive_dedup_passed(struct drive *d, const void *block, uint32_t len, const struct seg_key *key);
/* Bytes of blocks that are held back by it, at most. */
uint64_t drive_dedup_room(const struct drive *d);
bool drive_plan(void *self, struct behind_block *b, const struct seg_key *key); /* struct behind_ops */
struct behind_block *drive_planned(void *self, bool drain);
bool drive_plan_help(void *self);

/* What a block was to copy from may not be copied from any more, since the last answer: is it so again? By the queue's
 * threads, one at a time. */
bool drive_ask_again(struct drive *d, const struct seg_make *m);

/* ---- drive_stream.c: streaming; op_lock held for all but the first ---- */
bool drive_write_at_once(void *self, const struct tape_write *w, enum tape_result *result);
/* A block was just written at the end of data: those that follow may be queued. */
void drive_stream_begin(struct drive *d);
/* A WRITE while streaming. False: it must be written through. */
bool drive_stream(struct drive *d, const void *block, uint32_t len, bool compress, const struct tape_crypt *crypt,
                  const atomic_bool *cancel, enum tape_result *result);

/* WRITE FILEMARKS with IMMED while streaming: they are queued, so that the drive streams on. False: they must be written at
 * once. */
bool drive_stream_filemarks(struct drive *d, uint32_t count, const atomic_bool *cancel, enum tape_result *result);

/* ---- drive_claim.c ---- */
/* Claims the cartridge, before the first write to it. op_lock held. */
enum tape_result drive_claim(struct drive *d, const atomic_bool *cancel);

/* ---- drive_mam.c ---- */
void drive_mam_publish(struct drive *d); /* another cartridge is in the drive. op_lock held */
void drive_mam_get(void *self, struct tape_mam *out);
enum tape_result drive_mam_set(void *self, const struct tape_mam *mam, const atomic_bool *cancel);

/* ---- drive_mount.c ---- */
enum tape_result drive_load(void *self, const atomic_bool *cancel);
enum tape_result drive_unload(void *self, const atomic_bool *cancel);

/* ---- drive_position.c ---- */
enum tape_result drive_rewind(void *self, const atomic_bool *cancel);
enum tape_result drive_space_blocks(void *self, int64_t *count, const atomic_bool *cancel);
enum tape_result drive_space_filemarks(void *self, int64_t *count, const atomic_bool *cancel);
enum tape_result drive_space_end(void *self, const atomic_bool *cancel);
enum tape_result drive_locate_object(void *self, uint32_t partition, uint64_t object, const atomic_bool *cancel);
enum tape_result drive_locate_file(void *self, uint32_t partition, uint64_t file, const atomic_bool *cancel);

/* ---- drive_write.c, drive_read.c ---- */
enum tape_result drive_write(void *self, const void *block, uint32_t len, bool compress, const struct tape_crypt *crypt,
                             const atomic_bool *cancel);
enum tape_result drive_write_filemarks(void *self, uint64_t count, bool immed, const atomic_bool *cancel);
enum tape_result drive_read(void *self, void *buf, uint32_t *len, const struct tape_crypt *crypt,
                            const atomic_bool *cancel);
enum tape_result drive_next_block(void *self, const struct tape_crypt *crypt, enum tape_next *next, uint8_t *kad,
                                  uint8_t *kad_len, const atomic_bool *cancel);
enum tape_result drive_erase(void *self, bool long_erase, const atomic_bool *cancel);
enum tape_result drive_set_capacity(void *self, uint16_t proportion, const atomic_bool *cancel);
enum tape_result drive_format(void *self, const atomic_bool *cancel);

#endif
