/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crc32c.h: CRC32C (Castagnoli, RFC 3720 appendix B.4), by the fastest way that this CPU has. */
#ifndef S3VTL_CRC32C_H
#define S3VTL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues crc (0 to start) over len bytes. crc32c(0, "123456789", 9) == 0xE3069283. Any thread. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* The CRC32C of one piece after another, from theirs alone: crc32c_join(first, crc32c_power(length of the second in
 * bytes), second). The power is worth keeping where many pieces have one length. Any thread. */
uint32_t crc32c_power(uint64_t len);
uint32_t crc32c_join(uint32_t first, uint32_t power, uint32_t second);

#endif
