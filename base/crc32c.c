/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crc32c.c: CRC32C by isa-l, which chooses at run time what this CPU does best; see crc32c.h. */
#include "base/crc32c.h"

#include <isa-l/crc.h>

/* isa-l's length is an int. */
enum { MOST = 1 << 30 };

/* isa-l's assembly is not instrumented: the sanitizers are told what it reads. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
void __asan_loadN(void *p, long len);
#define TELL_SANITIZER(p, len) __asan_loadN(p, (long)(len))
#elif defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
void __tsan_read_range(void *p, long len);
#define TELL_SANITIZER(p, len) __tsan_read_range(p, (long)(len))
#else
#define TELL_SANITIZER(p, len) ((void)0)
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    unsigned char *p = (unsigned char *)(uintptr_t)data; /* which isa-l only reads */
    if (len)
        TELL_SANITIZER(p, len);
    crc = ~crc; /* isa-l neither begins nor ends with the inversion that the standard wants */
    while (len) {
        int n = len < MOST ? (int)len : MOST;
        crc = crc32_iscsi(p, n, crc);
        p += n;
        len -= (size_t)n;
    }
    return ~crc;
}
