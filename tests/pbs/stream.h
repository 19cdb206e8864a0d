/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stream.h: a tape file as a stream of bytes: blocks of 256 KiB with a header of 16 bytes, then a filemark. */
#ifndef S3VTL_PBS_STREAM_H
#define S3VTL_PBS_STREAM_H

#include "tests/pbs/drive.h"

enum { BLOCK_HEADER = 16, BLOCK_ROOM = BLOCK - BLOCK_HEADER };

struct writer {
    struct drive *drive;
    uint8_t *block;
    uint32_t fill, sequence;
    bool leom;       /* latched: a block of this file was behind early warning */
    bool stop;       /* then what is put is dropped; catalogs go on */
    uint64_t blocks; /* written */
};
bool writer_open(struct writer *w, struct drive *d);
/* May write blocks. After it: w->leom. */
bool writer_put(struct writer *w, const void *p, size_t len);
/* The last block, marked END_OF_STREAM, and the filemark. Frees; also after a failure. */
bool writer_close(struct writer *w, bool incomplete);
void writer_drop(struct writer *w);

struct reader {
    struct drive *drive;
    uint8_t *block;
    uint32_t size, at, sequence;
    bool last, incomplete; /* the block at hand ends the stream; and it is not whole */
    uint64_t blocks;
};
/* SG_GOOD: there is a file, its first block is at hand. SG_EOD; SG_FILEMARK: an empty file; SG_ERROR. */
int reader_open(struct reader *r, struct drive *d);
/* Fewer than len bytes only at the end of the stream. */
bool reader_get(struct reader *r, void *p, size_t len, size_t *got);
/* Exactly len bytes. */
bool reader_must(struct reader *r, void *p, size_t len);
/* What is left of the stream is read and dropped. */
bool reader_skip(struct reader *r, uint64_t *skipped);
void reader_close(struct reader *r);

#endif
