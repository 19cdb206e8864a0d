/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reader_private.h: what the files of the reader share. Each file uses only those listed above it. */
#ifndef S3VTL_READER_PRIVATE_H
#define S3VTL_READER_PRIVATE_H

#include "vtl/drive/reader.h"

#define FETCH_AHEAD_MOST 64 /* sources that are asked for ahead */
#define READER_PEEK 4096    /* bytes of a record of which only the sources are wanted */

/* One call of reader_read. */
struct read_job {
    uint64_t object;
    void *buf; /* NULL with room 0: no data */
    size_t room;
    uint32_t *len; /* becomes the block's true length */
    /* Not NULL: what is wanted is the literal area of the record, which becomes this, and *len its bytes. It is the
     * reader's, until its next read. */
    const uint8_t **area;
    bool onward; /* the read is sequential, so that fetching whole segments pays */
    const atomic_bool *cancel;
    struct errtext *err;
};

/* ---- reader_record.c: records from a file, checked and delivered ---- */
void reader_blank(struct reader *r);
void reader_release(struct reader *r); /* all that it has open, and its memory */
int reader_grow(uint8_t **buf, size_t *room, size_t need);
/* -EBADMSG: the file is shorter. */
int reader_pread(int fd, void *buf, size_t len, uint64_t offset);
/* Checks the record of job->object, and hands its block over (I3). x: the index of its segment, if it is known; the
 * record must be the one that it names. */
int reader_deliver(struct reader *r, const struct read_job *job, const struct seg_index *x, const uint8_t *rec,
                   size_t size);
/* Where the open segment has the record of the object. */
int reader_find(struct reader *r, uint64_t object, uint64_t *offset, uint32_t *size, struct errtext *err);
/* Closes the segment, wherever it was read from. */
void reader_close_segment(struct reader *r);
/* Closes the file of the download that was followed. */
void reader_follow_no_more(struct reader *r);

/* ---- reader_places.c: a segment in a local file, or in a window of its object; ref holds job->object ---- */
/* It is in the store: so a local file is but a copy. */
bool reader_is_stored(const struct reader *r, const struct seg_ref *ref);
/* Is the index of this segment open? */
bool reader_is_open(const struct reader *r, const struct seg_ref *ref);
/* From the open segment. -ENOENT: it is not there. */
int reader_from_open(struct reader *r, const struct read_job *job);
/* From a local file. -ENOENT: there is none. */
int reader_from_file(struct reader *r, const struct seg_ref *ref, const struct read_job *job);
/* Opens the index at the end of the object in the store, which must be the one that ref names. */
int reader_open_object(struct reader *r, const struct seg_ref *ref, const struct read_job *job);
/* From a window of the object in the store. */
int reader_from_window(struct reader *r, const struct seg_ref *ref, const struct read_job *job);
/* Does the window hold it already? */
bool reader_in_window(const struct reader *r, const struct seg_ref *ref, uint64_t object);

/* ---- reader_follow.c: a segment that is still being downloaded ---- */
bool reader_is_followed(const struct reader *r, const struct seg_ref *ref);
/* The block from the unfinished file, as soon as it has arrived. -ENOENT: there is no such download, or no more. */
int reader_follow(struct reader *r, const struct seg_ref *ref, const struct read_job *job);

/* ---- reader_copies.c: the local copy of a stored segment, or the store's ---- */
/* -ENOENT: the store's has to do; what is wrong with the local one is told. */
int reader_from_local(struct reader *r, const struct seg_ref *ref, const struct read_job *job);
/* From a running download. -ENOENT: a window of the object has to do: the cache has no room, the file is gone again, or
 * what arrived was damaged. */
int reader_from_download(struct reader *r, const struct seg_ref *ref, const struct read_job *job);
/* The record of job->object in a segment that is stored, whatever tape it is of. */
int reader_read_source(struct reader *r, const struct seg_ref *ref, struct read_job *job);

/* ---- reader_ahead.c: the prefetch ---- */
/* How many segments to ask for ahead, at most and now. */
uint64_t reader_most_ahead(const struct reader *r);
uint64_t reader_ahead_now(const struct reader *r);
/* Asks for segment i, which holds object, unless that was done since the last seek (again: even so). */
void reader_fetch(struct reader *r, const struct seg_ref *ref, size_t i, uint64_t object, bool again);
/* Asks for segments behind number i: the more, the longer the read has been sequential. */
void reader_fetch_ahead(struct reader *r, size_t i);
/* A seek to object, in segment i: cancels every fetch that is of no use there. */
void reader_seek(struct reader *r, uint64_t object, size_t i);
void reader_fetch_nothing(struct reader *r);

/* ---- reader_sources.c: what blocks in pieces copy from ---- */
/* The block in pieces whose record is rec: struct reader's open_pieces. */
int reader_open_pieces(struct reader *r, const struct read_job *job, const struct seg_record *d, const uint8_t *rec);
void reader_sources_close(struct reader *r); /* of another cartridge, or of another place on this one */

#endif
