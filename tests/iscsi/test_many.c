/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_many.c: a library of as many slots as S3VTL_TEST_SLOTS says, of which the first holds TEST01L8: status in PBS's
 * pages and as a whole, and a cartridge at the far end. */
#include "tests/iscsi/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/be.h"

#define C LUN_CHANGER
#define DESCRIPTOR 48
#define PAGE 1000

static unsigned slots;
static uint8_t buf[1 << 24];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Storage elements from start on, at most max; returns how many there were, each in its place. */
static unsigned status(struct session *s, unsigned start, unsigned max, uint32_t alloc)
{
    struct reply r;
    command(s, C,
            CDB(0xB8, 0x12, (uint8_t)(start >> 8), (uint8_t)start, (uint8_t)(max >> 8), (uint8_t)max, 0,
                (uint8_t)(alloc >> 16), (uint8_t)(alloc >> 8), (uint8_t)alloc, 0, 0),
            DATA_IN, buf, alloc, &r);
    assert_good(&r);
    unsigned n = get_be16(buf + 2);
    size_t len = n ? 16 + (size_t)n * DESCRIPTOR : 8;
    assert_int_equal(get_be24(buf + 5) + 8, len);
    assert_int_equal(alloc - r.residual, len < alloc ? len : alloc);
    for (unsigned i = 0; i < n && 16 + (i + 1) * DESCRIPTOR <= alloc; i++)
        assert_int_equal(get_be16(buf + 16 + i * DESCRIPTOR), (start > SLOT ? start : SLOT) + i);
    return n;
}

/* As PBS: as long as a page is full there may be another. Returns all; *pages how many commands it took. */
static unsigned in_pages(struct session *s, unsigned *pages, int *full_at)
{
    unsigned start = 0, n = PAGE, all = 0;
    *full_at = -1;
    for (*pages = 0; n >= PAGE; all += n, ++*pages) {
        n = status(s, start, PAGE, 0xFFFF);
        for (unsigned i = 0; i < n; i++)
            if (buf[16 + i * DESCRIPTOR + 2] & 0x01)
                *full_at = (int)(all + i);
        start = n ? get_be16(buf + 16 + (size_t)(n - 1) * DESCRIPTOR) + 1u : start;
    }
    return all;
}

static void pages_of_a_thousand_hold_every_slot_once(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    unsigned pages;
    int at;
    settle_all(s);
    double began = now();
    assert_int_equal(in_pages(s, &pages, &at), slots);
    printf("# %u slots in %u pages: %.1f ms\n", slots, pages, (now() - began) * 1000);
    assert_int_equal(pages, slots / PAGE + 1);
    assert_int_equal(at, 0);
    session_close(s);
}

static void one_answer_holds_all_or_is_cut(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    settle_all(s);
    double began = now();
    assert_int_equal(status(s, 0, 0xFFFF, sizeof(buf) - 1), slots);
    printf("# %u slots in one answer: %.1f ms\n", slots, (now() - began) * 1000);
    for (uint32_t alloc = 8; alloc < 16 + 3 * DESCRIPTOR; alloc += 7)
        assert_int_equal(status(s, 0, 0xFFFF, alloc), slots);
    session_close(s);
}

static void a_cartridge_goes_to_the_last_slot_and_back(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    struct reply r;
    unsigned pages;
    int at;
    uint16_t last = (uint16_t)(SLOT + slots - 1);
    settle_all(s);
    move(s, SLOT, last, &r);
    assert_good(&r);
    assert_int_equal(in_pages(s, &pages, &at), slots);
    assert_int_equal(at, slots - 1);
    move(s, last, (uint16_t)(last + 1), &r);
    assert_sense(&r, 5, 0x2101);
    move(s, last, DRIVE, &r);
    assert_good(&r);
    move(s, DRIVE, SLOT, &r);
    assert_good(&r);
    session_close(s);
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(pages_of_a_thousand_hold_every_slot_once),
        T(one_answer_holds_all_or_is_cut),
        T(a_cartridge_goes_to_the_last_slot_and_back),
    };
    slots = (unsigned)atoi(getenv("S3VTL_TEST_SLOTS"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
