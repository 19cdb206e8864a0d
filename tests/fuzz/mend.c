/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mend.c: makes the CRCs of a damaged object right; offsets as in vtl/FORMAT.md. */
#include "tests/fuzz/mend.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "vtl/format/segment_private.h"

/* What a block in pieces holds itself, when it is neither compressed nor encrypted. */
static void mend_literals(uint8_t *p, size_t n)
{
    size_t literals = n >= 16 ? get_le32(p + 12) : n;
    if (n >= 16 && literals <= n - 16)
        put_le32(p + 8, crc32c(0, p + n - literals, literals));
}

/* One record; returns its length, 0 if none can be there. */
static size_t mend_record(uint8_t *p, size_t n)
{
    if (n < SEG_RECORD_SIZE)
        return 0;
    size_t ext = get_le16(p + 6), stored = get_le32(p + 20);
    size_t size = seg_pad8(SEG_RECORD_SIZE + ext + stored);
    if (size > n)
        return 0;
    if (p[4] == SEG_BLOCK && p[5] == SEG_PIECES)
        mend_literals(p + SEG_RECORD_SIZE + ext, stored);
    put_le32(p + 28, crc32c(0, p + SEG_RECORD_SIZE, ext + stored));
    if (p[4] == SEG_BLOCK && !p[5])
        put_le32(p + 24, crc32c(0, p + SEG_RECORD_SIZE + ext, stored));
    put_le32(p + 36, crc32c(0, p, 36));
    return size;
}

/* The table is made to say what the records, which are mended already, have. */
static void mend_table(const uint8_t *p, uint64_t records_end, uint8_t *table, uint64_t size)
{
    uint64_t at = SEG_HEADER_SIZE;
    for (uint64_t i = 0; i + 4 <= size && at + SEG_RECORD_SIZE <= records_end; i += 4) {
        put_le32(table + i, get_le32(p + at + 36));
        at += seg_pad8((uint64_t)SEG_RECORD_SIZE + get_le16(p + at + 6) + get_le32(p + at + 20));
    }
}

static void mend_tail(uint8_t *p, size_t n)
{
    uint8_t *footer = p + n - SEG_FOOTER_SIZE;
    uint64_t entries = (uint64_t)get_le32(footer + 16) * SEG_INDEX_ENTRY_SIZE, records = get_le64(footer + 40);
    bool old = !memcmp(footer, SEG_FOOTER_MAGIC_1, 8);
    uint64_t table = records <= n ? seg_table_size(old ? SEG_VERSION_1 : SEG_VERSION, records) : 0;
    if (entries + table <= n - SEG_FOOTER_SIZE) {
        uint64_t index = n - SEG_FOOTER_SIZE - table - entries;
        mend_table(p, index, footer - table, table);
        put_le32(footer + 20, crc32c(0, p + index, entries + table));
    }
    put_le32(footer + 60, crc32c(0, footer, 60));
}

void mend_segment(uint8_t *p, size_t n)
{
    if (n < SEG_HEADER_SIZE)
        return;
    put_le32(p + 188, crc32c(0, p, 188));
    size_t at = SEG_HEADER_SIZE, size;
    while (n - at >= 4 && get_le32(p + at) == 0x31434552u && (size = mend_record(p + at, n - at)))
        at += size;
    const uint8_t *end = p + n - SEG_FOOTER_SIZE;
    if (n - at >= SEG_FOOTER_SIZE && (!memcmp(end, SEG_FOOTER_MAGIC, 8) || !memcmp(end, SEG_FOOTER_MAGIC_1, 8) ||
                                      !memcmp(end, SEG_FOOTER_MAGIC_PIECES, 8)))
        mend_tail(p, n);
}

void mend_map(uint8_t *p, size_t n)
{
    if (n < 100)
        return;
    put_le32(p + 92, crc32c(0, p, 92));
    put_le32(p + n - 4, crc32c(0, p, n - 4));
}
