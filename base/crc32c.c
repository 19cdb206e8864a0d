/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crc32c.c: CRC32C by the CPU's instruction where there is one, by tables elsewhere; see crc32c.h. */
#include "base/crc32c.h"

#include <endian.h>
#include <string.h>

/*
 * Table k maps a byte to its effect on the CRC when k more bytes follow in the same step. A CRC is linear, so an entry
 * is the exclusive or of the entries of its single bits: those eight are given, and the compiler makes the other 248.
 */
#define BIT(i, b, v) (((i) >> (b)) & 1 ? (v) : 0u)
#define ENTRY(i, a, b, c, d, e, f, g, h)                                                                               \
    BIT(i, 0, a) ^ BIT(i, 1, b) ^ BIT(i, 2, c) ^ BIT(i, 3, d) ^ BIT(i, 4, e) ^ BIT(i, 5, f) ^ BIT(i, 6, g) ^           \
        BIT(i, 7, h)
#define ENTRIES4(i, ...)                                                                                               \
    ENTRY(i, __VA_ARGS__), ENTRY((i) + 1, __VA_ARGS__), ENTRY((i) + 2, __VA_ARGS__), ENTRY((i) + 3, __VA_ARGS__)
#define ENTRIES16(i, ...)                                                                                              \
    ENTRIES4(i, __VA_ARGS__), ENTRIES4((i) + 4, __VA_ARGS__), ENTRIES4((i) + 8, __VA_ARGS__),                          \
        ENTRIES4((i) + 12, __VA_ARGS__)
#define ENTRIES64(i, ...)                                                                                              \
    ENTRIES16(i, __VA_ARGS__), ENTRIES16((i) + 16, __VA_ARGS__), ENTRIES16((i) + 32, __VA_ARGS__),                     \
        ENTRIES16((i) + 48, __VA_ARGS__)
#define TABLE(...)                                                                                                     \
    {                                                                                                                  \
        ENTRIES64(0, __VA_ARGS__), ENTRIES64(64, __VA_ARGS__), ENTRIES64(128, __VA_ARGS__),                            \
            ENTRIES64(192, __VA_ARGS__)                                                                                \
    }

static const uint32_t table[8][256] = {
    TABLE(0xf26b8303u, 0xe13b70f7u, 0xc79a971fu, 0x8ad958cfu, 0x105ec76fu, 0x20bd8edeu, 0x417b1dbcu, 0x82f63b78u),
    TABLE(0x13a29877u, 0x274530eeu, 0x4e8a61dcu, 0x9d14c3b8u, 0x3fc5f181u, 0x7f8be302u, 0xff17c604u, 0xfbc3faf9u),
    TABLE(0xa541927eu, 0x4f6f520du, 0x9edea41au, 0x38513ec5u, 0x70a27d8au, 0xe144fb14u, 0xc76580d9u, 0x8b277743u),
    TABLE(0xdd45aab8u, 0xbf672381u, 0x7b2231f3u, 0xf64463e6u, 0xe964b13du, 0xd725148bu, 0xaba65fe7u, 0x52a0c93fu),
    TABLE(0x38116facu, 0x7022df58u, 0xe045beb0u, 0xc5670b91u, 0x8f2261d3u, 0x1ba8b557u, 0x37516aaeu, 0x6ea2d55cu),
    TABLE(0xef306b19u, 0xdb8ca0c3u, 0xb2f53777u, 0x6006181fu, 0xc00c303eu, 0x85f4168du, 0x0e045bebu, 0x1c08b7d6u),
    TABLE(0x68032cc8u, 0xd0065990u, 0xa5e0c5d1u, 0x4e2dfd53u, 0x9c5bfaa6u, 0x3d5b83bdu, 0x7ab7077au, 0xf56e0ef4u),
    TABLE(0x493c7d27u, 0x9278fa4eu, 0x211d826du, 0x423b04dau, 0x847609b4u, 0x0d006599u, 0x1a00cb32u, 0x34019664u),
};

uint32_t crc32c_portable(uint32_t crc, void *dst, const void *src, size_t len)
{
    const uint8_t *s = src;
    uint8_t *d = dst;
    crc = ~crc;
    for (; len >= 8; len -= 8, s += 8) {
        uint64_t v;
        memcpy(&v, s, sizeof(v));
        v = le64toh(v);
        if (d) {
            memcpy(d, s, 8);
            d += 8;
        }
        v ^= crc;
        crc = table[7][v & 0xff] ^ table[6][(v >> 8) & 0xff] ^ table[5][(v >> 16) & 0xff] ^ table[4][(v >> 24) & 0xff] ^
              table[3][(v >> 32) & 0xff] ^ table[2][(v >> 40) & 0xff] ^ table[1][(v >> 48) & 0xff] ^ table[0][v >> 56];
    }
    for (; len; len--, s++) {
        if (d)
            *d++ = *s;
        crc = table[0][(crc ^ *s) & 0xff] ^ (crc >> 8);
    }
    return ~crc;
}

#if defined(__x86_64__)
#include <immintrin.h>

/*
 * The instruction takes three cycles but one can start each cycle, so three stretches of the data are worked on at
 * once. The CRC of the whole is that of its parts moved on by the bytes that follow them: a multiplication by a
 * constant, x^(8 n - 33) for n bytes.
 */
#define LONG_STRETCH 1024
#define MOVE_1024 0x170076fau
#define MOVE_2048 0xa51b6135u
#define SHORT_STRETCH 128
#define MOVE_128 0x0d3b6092u
#define MOVE_256 0xb9e02b86u

#define X86_CRC __attribute__((target("sse4.2,pclmul"), always_inline)) static inline

X86_CRC uint64_t load64(const uint8_t *s)
{
    uint64_t v;
    memcpy(&v, s, sizeof(v));
    return v;
}

/* The same with the word copied to d, unless that is NULL (which the compiler knows where this is inlined). */
X86_CRC uint64_t step64(uint64_t crc, uint8_t *d, const uint8_t *s, size_t at)
{
    uint64_t v = load64(s + at);
    if (d)
        memcpy(d + at, &v, sizeof(v));
    return _mm_crc32_u64(crc, v);
}

X86_CRC uint64_t move(uint64_t crc, uint32_t by)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi64_si128((long long)(uint64_t)by), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

X86_CRC uint64_t three(uint64_t crc, uint8_t *d, const uint8_t *s, size_t stretch, uint32_t by_one, uint32_t by_two)
{
    uint64_t a = crc, b = 0, c = 0;
    for (size_t i = 0; i < stretch; i += 8) {
        a = step64(a, d, s, i);
        b = step64(b, d, s, stretch + i);
        c = step64(c, d, s, 2 * stretch + i);
    }
    return move(a, by_two) ^ move(b, by_one) ^ c;
}

X86_CRC uint32_t x86_crc(uint32_t start, uint8_t *d, const uint8_t *s, size_t len)
{
    uint64_t crc = (uint32_t)~start;
    while (len >= 3 * LONG_STRETCH) {
        crc = three(crc, d, s, LONG_STRETCH, MOVE_1024, MOVE_2048);
        s += 3 * LONG_STRETCH;
        d = d ? d + 3 * LONG_STRETCH : NULL;
        len -= 3 * LONG_STRETCH;
    }
    while (len >= 3 * SHORT_STRETCH) {
        crc = three(crc, d, s, SHORT_STRETCH, MOVE_128, MOVE_256);
        s += 3 * SHORT_STRETCH;
        d = d ? d + 3 * SHORT_STRETCH : NULL;
        len -= 3 * SHORT_STRETCH;
    }
    size_t i = 0;
    for (; i + 8 <= len; i += 8)
        crc = step64(crc, d, s, i);
    for (; i < len; i++) {
        if (d)
            d[i] = s[i];
        crc = _mm_crc32_u8((uint32_t)crc, s[i]);
    }
    return ~(uint32_t)crc;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t by_cpu(uint32_t crc, const void *data, size_t len)
{
    return x86_crc(crc, NULL, data, len);
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t by_cpu_copy(uint32_t crc, void *dst, const void *src,
                                                                     size_t len)
{
    return x86_crc(crc, dst, src, len);
}

static int cpu_can(void)
{
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

/* Clang 14 declares these instructions only when all code may use them. */
#elif defined(__aarch64__) && defined(__linux__) && (!defined(__clang__) || defined(__ARM_FEATURE_CRC32))
#include <arm_acle.h>
#include <sys/auxv.h>
#include <asm/hwcap.h>

#ifdef __clang__
#define ARM_CRC
#else
#define ARM_CRC __attribute__((target("+crc")))
#endif

ARM_CRC static uint32_t by_cpu_copy(uint32_t crc, void *dst, const void *src, size_t len)
{
    const uint8_t *s = src;
    uint8_t *d = dst;
    size_t i = 0;
    crc = ~crc;
    for (; i + 8 <= len; i += 8) {
        uint64_t v;
        memcpy(&v, s + i, sizeof(v));
        if (d)
            memcpy(d + i, &v, sizeof(v));
        crc = __crc32cd(crc, v);
    }
    for (; i < len; i++) {
        if (d)
            d[i] = s[i];
        crc = __crc32cb(crc, s[i]);
    }
    return ~crc;
}

static uint32_t by_cpu(uint32_t crc, const void *data, size_t len)
{
    return by_cpu_copy(crc, NULL, data, len);
}

static int cpu_can(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}

#else

static uint32_t by_cpu(uint32_t crc, const void *data, size_t len)
{
    return crc32c_portable(crc, NULL, data, len);
}

static uint32_t by_cpu_copy(uint32_t crc, void *dst, const void *src, size_t len)
{
    return crc32c_portable(crc, dst, src, len);
}

static int cpu_can(void)
{
    return 0;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    return cpu_can() ? by_cpu(crc, data, len) : crc32c_portable(crc, NULL, data, len);
}

uint32_t crc32c_copy(uint32_t crc, void *dst, const void *src, size_t len)
{
    return cpu_can() ? by_cpu_copy(crc, dst, src, len) : crc32c_portable(crc, dst, src, len);
}
