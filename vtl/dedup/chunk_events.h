/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_events.h: what a stream's chunks are told by, whatever says where they begin and end. */
#ifndef S3VTL_CHUNK_EVENTS_H
#define S3VTL_CHUNK_EVENTS_H

#include <stdint.h>

/* What is told of a block while its bytes are looked at. The bytes of a chunk come in order. */
struct chunk_events {
    void (*begin)(void *arg);                                                  /* a chunk, perhaps */
    void (*bytes)(void *arg, uint32_t offset, const uint8_t *p, uint32_t len); /* of it: where in the block */
    void (*end)(void *arg);                                                    /* it was one, and is complete */
    void (*abandon)(void *arg);                                                /* it was none, or its end never comes */
};

#endif
