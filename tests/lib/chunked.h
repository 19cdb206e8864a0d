/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunked.h: blocks as Proxmox Backup Server writes them, a whole file each with one chunk, of which there are few: with
 * [dedup] they copy from each other's tapes. For all suites that break things. */
#ifndef S3VTL_TESTS_CHUNKED_H
#define S3VTL_TESTS_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNKED_MAX 260000u
#define CHUNKED_CONFIG "[dedup]\ntapes = *\n"

/* The highest byte of an id: other ones have other chunks. PBS writes none twice to one tape, and what a tape has itself
 * it does not copy. */
#define CHUNKED_GENERATION(id) ((uint64_t)(id) >> 56)

/* $TEST_DEDUP is set: the blocks of this run are these, and its libraries have CHUNKED_CONFIG. */
bool chunked(void);
/* Length and every byte follow from the id, which can be read from it; 0: from what is none. buf: CHUNKED_MAX bytes. */
uint32_t chunked_length(uint64_t id);
void chunked_fill(uint64_t id, uint8_t *buf);
uint64_t chunked_id(const uint8_t *buf, size_t len);

#endif
