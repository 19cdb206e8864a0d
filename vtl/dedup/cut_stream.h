/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cut_stream.h: a stream of which nothing is known, cut into chunks by its content. */
#ifndef S3VTL_CUT_STREAM_H
#define S3VTL_CUT_STREAM_H

#include "vtl/dedup/chunk_events.h"

/*
 * A chunk ends where a rolling hash over the 64 bytes before has some bits clear: so the same content is cut in the same
 * places, whatever is before it, and a byte more at the begin of a file changes little more than its first chunk (FastCDC: Xia et al.,
 * USENIX ATC 2016, with its normalisation by one bit). The contents of the blocks count as one stream, whatever their
 * length.
 *
 * Measured on 704 MB of files as one tar, and again after 1.5 % of the files had changed, grown, come or gone: with a mean
 * of 64 KiB 2.7 % of the second one are new, of 256 KiB 7.6 %, of 1 MiB 20.8 %. What the mean saves, the list of chunks
 * costs, hence 256 KiB. Of the same files as blocks of Bacula's, which has a header with number and checksum every
 * 64,512 bytes, next to nothing is found again with any of these; with 16 KiB a quarter. To cut takes a core for 2 GB/s, and the
 * chunks' ids another for 1.2.
 */
#define CUT_MIN (64u << 10)
#define CUT_MEAN_BITS 18 /* 256 KiB */
#define CUT_MAX (1u << 20)

/* Begun by cut_stream_init. One thread at a time. */
struct cut_stream {
    const struct chunk_events *events;
    void *arg;
    uint64_t gear[256]; /* what each byte adds to the hash */
    uint64_t hash;
    uint32_t length; /* of the chunk, so far; 0: none is begun */
};

void cut_stream_init(struct cut_stream *s, const struct chunk_events *events, void *arg);
/* The next block that is written. */
void cut_stream_block(struct cut_stream *s, const uint8_t *data, uint32_t len);
/* What is written next does not follow what was: filemarks, or another place. */
void cut_stream_reset(struct cut_stream *s);

#endif
