/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pbs_stream.h: what Proxmox Backup Server writes to a tape, read as far as it takes to see where its chunks begin and
 * end. */
#ifndef S3VTL_PBS_STREAM_H
#define S3VTL_PBS_STREAM_H

#include <stdbool.h>

#include "vtl/dedup/chunk_events.h"

/*
 * A file on tape is blocks: a header of 16 bytes (magic, flags, size of the payload, number of the block in the file),
 * a payload, zeros. The payloads together are a stream: a header of 48 bytes, JSON, content. The content of a chunk
 * archive is entries: a magic, a digest, a size, a blob of that size. An entry begins and ends anywhere in a payload.
 *
 * What the content is called is not looked at: where the first entry would begin there is an entry's magic, or the file
 * has none. Nothing is believed but that: a block that is not the next one, a size that is not possible, or an entry
 * without its magic ends it, until a block of number 0 begins a file. The digest is not looked at.
 */
#define PBS_ENTRY_HEAD 48u /* of an entry, before its blob; both together are the chunk */
/* What is shorter or longer is told of as no chunk: 4 KiB, so that a stream of tiny ones makes no list as long as itself. */
#define PBS_MIN_CHUNK 4096u
#define PBS_MAX_CHUNK ((16u << 20) + 4096u)

enum pbs_state { PBS_LOST, PBS_HEADER, PBS_JSON, PBS_ENTRY, PBS_BLOB, PBS_SKIP };

/* Begun by pbs_stream_init. One thread at a time. */
struct pbs_stream {
    const struct chunk_events *events;
    void *arg;
    enum pbs_state state;
    uint32_t number;  /* of the next block */
    uint32_t got;     /* of header or head */
    uint64_t left;    /* of JSON, blob, or what is skipped */
    uint8_t head[48]; /* of the stream, or of an entry */
};

void pbs_stream_init(struct pbs_stream *s, const struct chunk_events *events, void *arg);
/* Does it begin as PBS's blocks do? */
bool pbs_is_block(const uint8_t *data, uint32_t len);
/* The next block that is written. */
void pbs_stream_block(struct pbs_stream *s, const uint8_t *data, uint32_t len);
/* What is written next does not follow what was: filemarks, or another place. */
void pbs_stream_reset(struct pbs_stream *s);

#endif
