/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_worm.c: cartridges that may be written once, that retention locks, and whose write protect tab is set. */
#include "tests/iscsi/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"

#define D LUN_DRIVE0
enum { LABEL = 262144 };

static uint8_t label[LABEL], back[LABEL];

static struct session *open_with(const char *barcode)
{
    struct session *s = session_open(NULL);
    settle_all(s);
    load_tape(s, 0, barcode);
    return s;
}

static void refuse(struct session *s, const uint8_t *cdb, size_t cdb_len, unsigned key, unsigned asc)
{
    struct reply r;
    uint64_t object, file, object_after, file_after;
    position(s, D, &object, &file);
    command(s, D, cdb, cdb_len, NO_DATA, NULL, 0, &r);
    assert_sense(&r, key, asc);
    position(s, D, &object_after, &file_after);
    assert_int_equal(object, object_after);
    assert_int_equal(file, file_after);
}

static void refuse_write(struct session *s, unsigned asc)
{
    struct reply r;
    command(s, D, RW6(0x0A, 0, 512), DATA_OUT, label, 512, &r);
    assert_sense(&r, 7, asc);
    assert_int_equal(sense_information(&r), 512);
    assert_residual(&r, 512);
}

static void to_end(struct session *s)
{
    struct reply r;
    command(s, D, CDB(0x11, 3, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
}

static void mode_page(struct session *s, uint8_t page, uint8_t *b)
{
    struct reply r;
    command(s, D, CDB(0x5A, 0, page, 0, 0, 0, 0, 0x10, 0, 0), DATA_IN, b, 4096, &r);
    assert_good(&r);
}

static void a_worm_tape_says_what_it_is(void **state)
{
    (void)state;
    struct session *s = open_with("WORM01L8");
    uint8_t b[4096];
    mode_page(s, 0x1D, b);
    assert_int_equal(b[16], 0x1D);
    assert_int_equal(b[17], 0x1E);
    assert_int_equal(b[18], 0x01); /* WORMM */
    assert_int_equal(b[20], 0x00);
    assert_int_equal(b[21], 0x02);
    assert_int_equal(b[3], 0x10); /* it can be written */
    struct reply r;
    command(s, D, CDB(0x12, 1, 0xB0, 0, 255, 0), DATA_IN, b, 255, &r);
    assert_good(&r);
    assert_int_equal(b[4], 0x01); /* and the drive can do it */
    session_close(s);
}

/* The label of Proxmox Backup Server, the set's label behind it, and files. The tape is blank: each run makes a new
 * library. */
static void a_worm_tape_is_labelled_and_appended_to(void **state)
{
    (void)state;
    struct session *s = open_with("WORM01L8");
    struct reply r;
    to_end(s);
    assert_position(s, D, 0, 0);
    command(s, D, CDB(0x19, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r); /* nothing to erase */
    assert_good(&r);
    command(s, D, CDB(0x04, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    for (unsigned i = 0; i < 3; i++) { /* label; set label; a file of two blocks */
        fill(label, LABEL, i);
        write_block(s, D, label, LABEL);
        if (i == 2)
            write_block(s, D, label, LABEL);
        command(s, D, CDB(0x10, 1, 0, 0, 1, 0), NO_DATA, NULL, 0, &r);
        assert_good(&r);
        command(s, D, CDB(0x10, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
        assert_good(&r);
        rewind_tape(s, D);
        for (unsigned k = 0; k <= i; k++) {
            fill(label, LABEL, k);
            read_block(s, D, back, LABEL, &r);
            assert_good(&r);
            assert_memory_equal(label, back, LABEL);
            command(s, D, CDB(0x11, 1, 0, 0, 1, 0), NO_DATA, NULL, 0, &r);
            assert_good(&r);
        }
    }
    assert_position(s, D, 7, 3);
    session_close(s);
}

static void what_is_on_a_worm_tape_stays(void **state)
{
    (void)state;
    struct session *s = open_with("WORM01L8");
    struct reply r;
    static const uint8_t places[] = {0, 1, 2, 4, 5};
    for (size_t i = 0; i < sizeof(places); i++) {
        command(s, D, CDB(0x92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, places[i], 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
        assert_good(&r);
        refuse_write(s, 0x300C);
        refuse(s, CDB(0x10, 0, 0, 0, 1, 0), 7, 0x300C);
        refuse(s, CDB(0x19, 0, 0, 0, 0, 0), 7, 0x300C);
        refuse(s, CDB(0x19, 1, 0, 0, 0, 0), 7, 0x300C);
        command(s, D, CDB(0x10, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r); /* a flush is no write */
        assert_good(&r);
    }
    rewind_tape(s, D);
    refuse(s, CDB(0x04, 0, 0, 0, 0, 0), 7, 0x300C);
    refuse(s, CDB(0x04, 1, 0, 0, 0, 0), 7, 0x300C);
    refuse(s, CDB(0x0B, 0, 0, 0x80, 0, 0), 7, 0x300C);
    to_end(s);
    assert_position(s, D, 7, 3);
    rewind_tape(s, D);
    fill(label, LABEL, 0);
    read_block(s, D, back, LABEL, &r);
    assert_good(&r);
    assert_memory_equal(label, back, LABEL);
    session_close(s);
}

static void write_files(struct session *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        fill(label, LABEL, i);
        write_block(s, D, label, LABEL);
        filemarks(s, D, 1);
    }
}

static void refuse_all_overwrites(struct session *s)
{
    struct reply r;
    static const uint8_t before[] = {0, 1, 2, 4};
    for (size_t i = 0; i < sizeof(before); i++) {
        command(s, D, CDB(0x92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, before[i], 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
        assert_good(&r);
        refuse_write(s, 0x300C);
        refuse(s, CDB(0x10, 0, 0, 0, 1, 0), 7, 0x300C);
        refuse(s, CDB(0x19, 0, 0, 0, 0, 0), 7, 0x300C);
        refuse(s, CDB(0x19, 1, 0, 0, 0, 0), 7, 0x300C);
    }
    rewind_tape(s, D);
    refuse(s, CDB(0x19, 2, 0, 0, 0, 0), 7, 0x300C); /* IMMED: before the answer */
    refuse(s, CDB(0x04, 0, 0, 0, 0, 0), 7, 0x300C);
    refuse(s, CDB(0x04, 1, 0, 0, 0, 0), 7, 0x300C);
    refuse(s, CDB(0x0B, 0, 0, 0x80, 0, 0), 7, 0x300C);
}

/* Retention makes an ordinary tape one that is appended to only, and the drive does not call it WORM. */
static void a_locked_tape_is_appended_to_only(void **state)
{
    (void)state;
    struct session *s = open_with("LOCK01L8");
    struct reply r;
    uint8_t b[4096];
    mode_page(s, 0x1D, b);
    assert_int_equal(b[18], 0x00);
    assert_int_equal(b[3], 0x10);
    write_files(s, 3);
    refuse_all_overwrites(s);
    to_end(s);
    assert_position(s, D, 6, 3);
    write_block(s, D, label, LABEL);
    rewind_tape(s, D);
    for (unsigned i = 0; i < 3; i++) {
        fill(label, LABEL, i);
        read_block(s, D, back, LABEL, &r);
        assert_good(&r);
        assert_memory_equal(label, back, LABEL);
        command(s, D, CDB(0x11, 1, 0, 0, 1, 0), NO_DATA, NULL, 0, &r);
        assert_good(&r);
    }
    session_close(s);
}

static void filemarks_at_its_end_may_be_written_over(void **state)
{
    (void)state;
    struct session *s = open_with("WORM01L8");
    struct reply r;
    to_end(s);
    filemarks(s, D, 1); /* the second of two, as programs end a tape */
    assert_position(s, D, 8, 4);
    command(s, D, CDB(0x11, 1, 0xff, 0xff, 0xff, 0), NO_DATA, NULL, 0, &r); /* back before it */
    assert_good(&r);
    assert_position(s, D, 7, 3);
    write_block(s, D, label, 512);
    assert_position(s, D, 8, 3);
    to_end(s);
    assert_position(s, D, 8, 3);
    session_close(s);
    s = open_with("WORM02L8");
    filemarks(s, D, 1);
    rewind_tape(s, D);
    refuse_write(s, 0x300C); /* not the one closest to BOP */
    session_close(s);
}

/* ---- the write protect tab ---- */

static int protect(const char *barcode, const char *on)
{
    char line[600];
    const char *tool = getenv("S3VTL_TEST_COMMAND");
    assert_non_null(tool);
    (void)snprintf(line, sizeof(line), "%s tape protect %s %s >/dev/null 2>&1", tool, barcode, on);
    return system(line); /* NOLINT(cert-env33-c): the suite's own command */
}

static void a_protected_tape_is_read_only(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    struct reply r;
    uint8_t b[4096];
    settle_all(s);
    load_blank(s, 0, "PLAIN1L8");
    fill(label, LABEL, 9);
    write_block(s, D, label, LABEL);
    filemarks(s, D, 1);
    assert_int_not_equal(protect("PLAIN1L8", "on"), 0); /* it is in the drive */
    mode_page(s, 0x0F, b);
    assert_int_equal(b[3], 0x10);
    empty_drive(s, 0);
    assert_int_equal(protect("PLAIN1L8", "on"), 0);
    load_tape(s, 0, "PLAIN1L8");
    mode_page(s, 0x0F, b);
    assert_int_equal(b[3], 0x90); /* WP */
    b[0] = b[1] = 0;
    command(s, D, CDB(0x55, 0x10, 0, 0, 0, 0, 0, 0, 32, 0), DATA_OUT, b, 32, &r); /* echoed as it was sensed */
    assert_good(&r);
    for (int at_end = 0; at_end <= 1; at_end++) {
        refuse_write(s, 0x2700);
        refuse(s, CDB(0x10, 0, 0, 0, 1, 0), 7, 0x2700);
        refuse(s, CDB(0x19, 0, 0, 0, 0, 0), 7, 0x2700);
        refuse(s, CDB(0x19, 1, 0, 0, 0, 0), 7, 0x2700);
        if (!at_end) {
            refuse(s, CDB(0x04, 0, 0, 0, 0, 0), 7, 0x2700);
            refuse(s, CDB(0x04, 1, 0, 0, 0, 0), 7, 0x2700);
            refuse(s, CDB(0x0B, 0, 0, 0x80, 0, 0), 7, 0x2700);
        }
        command(s, D, CDB(0x10, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
        assert_good(&r);
        to_end(s);
        assert_position(s, D, 2, 1);
    }
    rewind_tape(s, D);
    read_block(s, D, back, LABEL, &r);
    assert_good(&r);
    assert_memory_equal(label, back, LABEL);
    empty_drive(s, 0);
    assert_int_equal(protect("PLAIN1L8", "off"), 0);
    load_blank(s, 0, "PLAIN1L8");
    write_block(s, D, label, 512);
    session_close(s);
}

static void a_blank_protected_tape_cannot_be_labelled(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    settle_all(s);
    load_tape(s, 0, "GUARD1L8"); /* made so before the library served */
    refuse_write(s, 0x2700);
    refuse(s, CDB(0x04, 0, 0, 0, 0, 0), 7, 0x2700);
    struct reply r;
    read_block(s, D, back, 512, &r);
    assert_sense(&r, 8, 0x0005);
    session_close(s);
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_worm_tape_says_what_it_is),
        T(a_worm_tape_is_labelled_and_appended_to),
        T(what_is_on_a_worm_tape_stays),
        T(filemarks_at_its_end_may_be_written_over),
        T(a_locked_tape_is_appended_to_only),
        T(a_protected_tape_is_read_only),
        T(a_blank_protected_tape_cannot_be_labelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
