/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_private.h: what the files of a drive share. */
#ifndef S3VTL_DRIVE_PRIVATE_H
#define S3VTL_DRIVE_PRIVATE_H

#include "scsi/lun.h"
#include "vtl/cartridge/worker.h"
#include "vtl/drive/drive.h"

/* An operation on a threaded tape: begin takes op_lock (not when it fails), end publishes the status and gives it back.
 * begin fails with what is to be told of a loss; nothing waits to be written then. */
enum tape_result drive_begin(struct drive *d, enum tape_activity activity);
enum tape_result drive_end(struct drive *d, enum tape_result result);
/* The same for streaming, which leaves what waits to be written alone. */
enum tape_result drive_enter(struct drive *d, enum tape_activity activity);
void drive_leave(struct drive *d);
void drive_publish(struct drive *d, enum tape_activity activity);
uint64_t drive_end_object(struct drive *d);
int drive_make_safe(struct drive *d, bool seal, const atomic_bool *cancel, struct errtext *err);
/* Counts what an operation did, for the drive, this mount and the cartridge. op_lock held. */
void drive_count(struct drive *d, const struct tape_usage *what);
/* Logs err, sets the TapeAlert flag, and says which result the command ends with. */
enum tape_result drive_failed(struct drive *d, int rc, const struct errtext *err, enum tape_result otherwise);

/* Makes the cartridge ours, before the first write to it. op_lock held. */
enum tape_result drive_claim(struct drive *d, const atomic_bool *cancel);

/* drive_stream.c; op_lock held for all but the first */
bool drive_write_at_once(void *self, const struct tape_write *w, enum tape_result *result);
/* What follows a block that was just written at the end of data may be written behind. */
void drive_stream_begin(struct drive *d);
/* A WRITE while streaming. False: it must be written through. */
bool drive_stream(struct drive *d, const void *block, uint32_t len, bool compress, const struct tape_crypt *crypt,
                  const atomic_bool *cancel, enum tape_result *result);
/* Waits until all that was taken is written. What could not be is no longer counted, and is a loss to be told. */
void drive_settle(struct drive *d);
/* The result that tells a loss to the host, once; OK: there is none. No more is written then until the tape moves. */
enum tape_result drive_tell_loss(struct drive *d);
/* The same for who is not the host, which is still to be told: 0 or a negative errno with *err. */
int drive_loss_error(struct drive *d, struct errtext *err);

/* drive_room.c */
/* Is there room for len bytes more without any waiting? Never blocks. */
bool drive_has_room(struct drive *d, uint32_t len);
/* I6: waits while the spool holds more than it may, and before that is so for as long as keeps it from getting there.
 */
enum tape_result drive_wait_for_room(struct drive *d, uint32_t len, const atomic_bool *cancel);
/* How many microseconds a WRITE of len bytes is to take when dirty of limit bytes wait for a store that takes rate
 * bytes a second. */
uint64_t drive_pause_us(uint64_t dirty, uint64_t limit, uint64_t rate, uint32_t len);
/* The disk is full although the spool may still grow: the cache goes first, then wait for uploads, but not for ever:
 * when the state cannot be written either, they never end. *until is 0 at the first call. False: no more can be done.
 */
bool drive_make_disk_room(struct drive *d, uint32_t len, uint64_t *until, const atomic_bool *cancel);

/* drive_write.c */
bool drive_is_full(const struct drive *d, uint32_t len);
/* Appends a block, on a full disk when there is room again. 0 or a negative errno. On any thread, if no other does. */
int drive_put_block(struct drive *d, const struct seg_packed *b, const atomic_bool *cancel);

/* drive_mam.c */
void drive_mam_publish(struct drive *d); /* the cartridge in it is another. op_lock held */
void drive_mam_get(void *self, struct tape_mam *out);
enum tape_result drive_mam_set(void *self, const struct tape_mam *mam, const atomic_bool *cancel);

/* drive_usage.c */
void drive_usage_threaded(struct drive *d); /* a cartridge is threaded. op_lock held */
void drive_usage_save(struct drive *d);     /* what is to outlive this run */
/* op_lock held, and the cartridge's lock if there is one. */
void drive_usage_fill(const struct drive *d, struct tape_statistics *out);
void drive_statistics(void *self, struct tape_statistics *out);
void drive_alert(void *self, enum tape_alert flag);

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
