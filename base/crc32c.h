/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crc32c.h: CRC32C (Castagnoli, RFC 3720 appendix B.4), with the CPU's instruction where there is one. */
#ifndef S3VTL_CRC32C_H
#define S3VTL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues crc (0 to start) over len bytes. crc32c(0, "123456789", 9) == 0xE3069283. Any thread. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* The same while copying src to dst (one pass over the memory). */
uint32_t crc32c_copy(uint32_t crc, void *dst, const void *src, size_t len);
/* Both without the CPU's instruction (dst NULL: no copy); for CPUs that lack it, and for the tests. */
uint32_t crc32c_portable(uint32_t crc, void *dst, const void *src, size_t len);

#endif
