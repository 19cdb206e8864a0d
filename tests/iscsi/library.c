/* SPDX-License-Identifier: GPL-2.0-or-later */
/* library.c: what tests do with the changer and the drives, in CDBs. */
#include "tests/iscsi/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"

#define STATUS_ROOM 16384

/* READ ELEMENT STATUS of one element type (0: all), with voltags. Returns the bytes that came. */
static size_t element_status(struct session *s, uint8_t *buf, uint8_t type)
{
    struct reply r;
    command(s, LUN_CHANGER, CDB(0xB8, (uint8_t)(0x10 | type), 0, 0, 0xff, 0xff, 0, 0, 0x40, 0, 0, 0), DATA_IN, buf,
            STATUS_ROOM, &r);
    assert_good(&r);
    return STATUS_ROOM - r.residual;
}

static void take_barcode(const uint8_t *tag, char barcode[33])
{
    memcpy(barcode, tag, 32);
    barcode[32] = '\0';
    for (size_t n = 32; n && (barcode[n - 1] == ' ' || !barcode[n - 1]); n--)
        barcode[n - 1] = '\0';
}

/* Calls fn for each descriptor until it returns true. */
typedef bool (*element_fn)(void *arg, uint8_t type, const uint8_t *descriptor);
static bool each_element(struct session *s, element_fn fn, void *arg)
{
    uint8_t *buf = malloc(STATUS_ROOM);
    assert_non_null(buf);
    size_t got = element_status(s, buf, 0), at = 8;
    bool found = false;
    assert_true(got >= 8);
    size_t end = 8 + get_be24(buf + 5);
    assert_true(end <= got);
    while (!found && at + 8 <= end) {
        const uint8_t *page = buf + at;
        size_t len = get_be16(page + 2), bytes = get_be24(page + 5);
        assert_true(len >= 12 && at + 8 + bytes <= end);
        for (size_t i = 0; !found && i + len <= bytes; i += len)
            found = fn(arg, page[0], page + 8 + i);
        at += 8 + bytes;
    }
    free(buf);
    return found;
}

struct search {
    const char *barcode; /* look for it */
    uint16_t address;    /* or for this one; the answer */
    bool full;
    char found[33];
};

static bool match_barcode(void *arg, uint8_t type, const uint8_t *d)
{
    struct search *q = arg;
    (void)type;
    if (!(d[2] & 1))
        return false;
    take_barcode(d + 12, q->found);
    q->address = get_be16(d);
    return !strcmp(q->found, q->barcode);
}

static bool match_address(void *arg, uint8_t type, const uint8_t *d)
{
    struct search *q = arg;
    (void)type;
    if (get_be16(d) != q->address)
        return false;
    q->full = d[2] & 1;
    take_barcode(d + 12, q->found);
    return true;
}

static bool match_free_slot(void *arg, uint8_t type, const uint8_t *d)
{
    struct search *q = arg;
    q->address = get_be16(d);
    return type == 2 && !(d[2] & 1);
}

uint16_t find_cartridge(struct session *s, const char *barcode)
{
    struct search q = {.barcode = barcode};
    if (!each_element(s, match_barcode, &q))
        fail_msg("no element holds %s", barcode);
    return q.address;
}

bool element_full(struct session *s, uint16_t address, char barcode[33])
{
    struct search q = {.address = address};
    if (!each_element(s, match_address, &q))
        fail_msg("no element %04x", address);
    if (barcode)
        memcpy(barcode, q.found, 33);
    return q.full;
}

void move(struct session *s, uint16_t from, uint16_t to, struct reply *r)
{
    uint8_t room[64];
    command(s, LUN_CHANGER,
            CDB(0xA5, 0, 0, 1, (uint8_t)(from >> 8), (uint8_t)from, (uint8_t)(to >> 8), (uint8_t)to, 0, 0, 0, 0),
            DATA_IN, room, sizeof(room), r);
}

void empty_drive(struct session *s, unsigned drive)
{
    struct search q = {.barcode = NULL};
    struct reply r;
    if (!element_full(s, (uint16_t)(DRIVE + drive), NULL))
        return;
    if (!each_element(s, match_free_slot, &q))
        fail_msg("no free slot");
    move(s, (uint16_t)(DRIVE + drive), q.address, &r);
    assert_good(&r);
}

void load_tape(struct session *s, unsigned drive, const char *barcode)
{
    int lun = LUN_DRIVE0 + (int)drive;
    uint16_t target = (uint16_t)(DRIVE + drive);
    struct reply r;
    settle(s, LUN_CHANGER);
    uint16_t at = find_cartridge(s, barcode);
    if (at != target) {
        empty_drive(s, drive);
        move(s, at, target, &r);
        assert_good(&r);
    }
    settle(s, lun);
    command(s, lun, CDB(0x1B, 0, 0, 0, 1, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    settle(s, lun);
    rewind_tape(s, lun);
}

void load_blank(struct session *s, unsigned drive, const char *barcode)
{
    struct reply r;
    int lun = LUN_DRIVE0 + (int)drive;
    load_tape(s, drive, barcode);
    command(s, lun, CDB(0x04, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    assert_position(s, lun, 0, 0);
}

void write_block(struct session *s, int lun, const void *block, uint32_t len)
{
    struct reply r;
    command(s, lun, RW6(0x0A, 0, len), DATA_OUT, (void *)(uintptr_t)block, len, &r);
    assert_good(&r);
    assert_residual(&r, 0);
}

void read_block(struct session *s, int lun, void *block, uint32_t len, struct reply *r)
{
    command(s, lun, RW6(0x08, 2, len), DATA_IN, block, len, r);
}

void filemarks(struct session *s, int lun, uint8_t n)
{
    struct reply r;
    command(s, lun, CDB(0x10, 0, 0, 0, n, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
}

void rewind_tape(struct session *s, int lun)
{
    struct reply r;
    command(s, lun, CDB(0x01, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
}

void position(struct session *s, int lun, uint64_t *object, uint64_t *file)
{
    uint8_t p[32];
    struct reply r;
    command(s, lun, CDB(0x34, 0x06, 0, 0, 0, 0, 0, 0, 0, 0), DATA_IN, p, sizeof(p), &r);
    assert_good(&r);
    assert_residual(&r, 0);
    *object = get_be64(p + 8);
    *file = get_be64(p + 16);
}

void assert_position_at(struct session *s, int lun, uint64_t object, uint64_t file, const char *file_name, int line)
{
    uint64_t o, f;
    position(s, lun, &o, &f);
    if (o == object && f == file)
        return;
    print_error("at object %llu, file %llu; expected object %llu, file %llu\n", (unsigned long long)o,
                (unsigned long long)f, (unsigned long long)object, (unsigned long long)file);
    _fail(file_name, line);
}

void fill(uint8_t *p, size_t len, uint64_t seed)
{
    uint64_t x = seed * 0x9E3779B97F4A7C15ull + 1;
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        p[i] = (uint8_t)(x >> 24);
    }
}

int operator_says(const char *arguments)
{
    char line[600];
    (void)snprintf(line, sizeof(line), "%s %s >/dev/null 2>&1", getenv("S3VTL_TEST_COMMAND"), arguments);
    int rc = system(line);
    return rc < 0 ? -1 : rc >> 8;
}
