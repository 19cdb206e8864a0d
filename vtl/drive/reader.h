/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reader.h: where a drive reads a block: the open segment, a local file, a window of the object, or a prefetch. */
#ifndef S3VTL_READER_H
#define S3VTL_READER_H

#include "vtl/cartridge/worker.h"
#include "vtl/format/source.h"

/*
 * A random read costs at most two requests: the segment's index and a window of it. Sequential reads prefetch whole
 * segments in parallel, so that the store is read at its full rate, and follow the nearest download: a block is read as
 * soon as it has arrived. A seek cancels the prefetch for another place. Every block passes both its CRCs (I3). One
 * thread at a time (the drive's lock).
 */
struct reader_sources;
struct read_job;

struct reader {
    struct cartridge *c; /* whose blocks are read; NULL: none */
    struct engine *eng;
    char barcode[33];      /* of the segments that are open here: those of c, or ones that blocks of c copy from */
    uint8_t cartridge[16]; /* id of the cartridge that they were written to */
    uint64_t next_object;  /* one behind the last object read */
    struct seg_id id;      /* of what follows; epoch 0: nothing open */
    int fd;                /* the local file, or -1: then window */
    struct seg_index *index;
    struct seg_id walked;          /* the last segment of which was told that its end is damaged */
    struct fetch_part part;        /* the file of a download that is followed; then fd is -1 */
    uint64_t walk_at, walk_object; /* while there is no index: where a record begins, and its object; 0: not known */
    uint64_t run;                  /* bytes read sequentially, since the last seek */
    bool asked;                    /* since then: asked_seg and segments behind it were asked for */
    size_t asked_seg;
    uint64_t asked_ahead;
    uint8_t *record; /* scratch for one record */
    size_t record_room;
    uint8_t *window; /* bytes [window_at, window_at + window_len) of the object in the store */
    uint64_t window_at, window_len;
    size_t window_room;
    const struct seg_key *key; /* for encrypted blocks, during a read */
    bool raw;                  /* encrypted blocks are read as they are stored, during a read */
    bool encrypted;            /* the block that was read last; then also what was kept with it: */
    uint8_t kad[TAPE_KAD_MAX], kad_len;
    struct seg_id told; /* of the local file that could not be opened last */
    struct seg_scratch scratch;
    /* Makes a block in pieces of what it copies from, each of which has a reader of its own. NULL: this is one of these. */
    int (*open_pieces)(struct reader *r, const struct read_job *job, const struct seg_record *d, const uint8_t *rec);
    struct reader_sources *sources; /* what blocks in pieces copy from; NULL: none yet, or this is the reader of one */
    bool source_failed;             /* of the read that failed: it was a source, not the cartridge's own segment */
    uint64_t fetched;               /* bytes of the records that were delivered, in all */
};

void reader_init(struct reader *r);
void reader_set(struct reader *r, struct cartridge *c); /* another cartridge, or none: closes all that is open */
void reader_fini(struct reader *r);

/* Reads the block at object: up to room bytes to buf (NULL with room 0: no data), *len becomes its true length
 * (raw: that of its record).
 * 0; -EBADMSG or -EIO with *err (missing or wrong: MEDIUM ERROR); -ENOKEY: encrypted; -ECANCELED. */
int reader_read(struct reader *r, uint64_t object, void *buf, size_t room, uint32_t *len, const atomic_bool *cancel,
                struct errtext *err);

#endif
