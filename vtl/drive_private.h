/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_private.h: what drive.c and drive_rw.c share. */
#ifndef S3VTL_DRIVE_PRIVATE_H
#define S3VTL_DRIVE_PRIVATE_H

#include "scsi/lun.h"
#include "vtl/drive.h"
#include "vtl/worker.h"

/* An operation on a threaded tape: begin takes op_lock (not when it fails), end publishes the status and gives it back.
 */
enum tape_result drive_begin(struct drive *d, enum tape_activity activity);
enum tape_result drive_end(struct drive *d, enum tape_result result);
void drive_publish(struct drive *d, enum tape_activity activity);
uint64_t drive_end_object(struct drive *d);
int drive_make_safe(struct drive *d, bool seal, const atomic_bool *cancel, struct errtext *err);
/* Counts what an operation did, for the drive, this mount and the cartridge. op_lock held. */
void drive_count(struct drive *d, const struct tape_usage *what);
/* Logs err, sets the TapeAlert flag, and says which result the command ends with. */
enum tape_result drive_failed(struct drive *d, int rc, const struct errtext *err, enum tape_result otherwise);

/* Makes the cartridge ours, before the first write to it. op_lock held. */
enum tape_result drive_claim(struct drive *d, const atomic_bool *cancel);

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
