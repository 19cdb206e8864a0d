/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reader_private.h: what reader.c and reader_follow.c share. */
#ifndef S3VTL_READER_PRIVATE_H
#define S3VTL_READER_PRIVATE_H

#include "vtl/drive/reader.h"

void reader_close_segment(struct reader *r);
int reader_grow(uint8_t **buf, size_t *room, size_t need);
/* -EBADMSG: the file is shorter. */
int reader_pread(int fd, void *buf, size_t len, uint64_t offset);
/* Checks a record and hands its block over. */
int reader_deliver(struct reader *r, const uint8_t *rec, size_t size, uint64_t object, void *buf, size_t room,
                   uint32_t *len, struct errtext *err);
int reader_find(struct reader *r, uint64_t object, uint64_t *offset, uint32_t *size, struct errtext *err);

/* ---- reader_follow.c ---- */
/* Asks for segment i, which holds object, to be fetched, if that was not done since the last seek (again: or if it
 * was).
 */
void reader_fetch(struct reader *r, const struct seg_ref *ref, size_t i, uint64_t object, bool again);
/* Asks for the segments behind number i, the more the longer it has been read on. */
void reader_fetch_ahead(struct reader *r, size_t i);
/* Reading begins anew at object of segment i (of no segment: c is to go): what is of no use for that is not fetched. */
void reader_seek(struct reader *r, uint64_t object, size_t i);
void reader_fetch_nothing(struct reader *r);
/* Forgets the file of the download. */
void reader_follow_no_more(struct reader *r);
/* The block from the file of an unfinished download, as soon as it is in there. -ENOENT: there is none, or no more. */
int reader_follow(struct reader *r, const struct seg_ref *ref, uint64_t object, void *buf, size_t room, uint32_t *len,
                  const atomic_bool *cancel, struct errtext *err);

#endif
