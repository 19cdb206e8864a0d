/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_format.c: FORMAT MEDIUM and ERASE as Proxmox Backup Server uses them, and IMMED while the store does not answer.
 */
#include "tests/iscsi/library.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/be.h"

#define D LUN_DRIVE0

/*
 * Before the first write of a run the drive claims the cartridge, for which it reads the head in the store. A lease on
 * that file makes its open() wait until the lease ends: so long the drive is at it, without a clock.
 */
static int leased = -1;

static void hold_head(const char *barcode)
{
    char dir[300], path[600] = "";
    const char *store = getenv("S3VTL_TEST_STORE");
    assert_non_null(store);
    (void)snprintf(dir, sizeof(dir), "%s/tapes/%s/head", store, barcode);
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
    closedir(d);
    (void)signal(SIGIO, SIG_IGN); /* told when somebody waits */
    leased = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(leased >= 0);
    if (fcntl(leased, F_SETLEASE, F_WRLCK))
        fail_msg("%s: no lease: %s", path, strerror(errno));
}

static void release_head(void)
{
    if (leased >= 0) {
        (void)fcntl(leased, F_SETLEASE, F_UNLCK);
        close(leased);
    }
    leased = -1;
}

static int end(void **state)
{
    release_head();
    return sessions_end(state);
}

/* wait_until_ready: TEST UNIT READY until it is GOOD. Returns how often it was not; each time with this sense. */
static unsigned wait_ready(struct session *s, unsigned asc)
{
    struct reply r;
    uint8_t room[16];
    for (unsigned n = 0; n < 6000; n++) {
        command(s, D, CDB(0, 0, 0, 0, 0, 0), DATA_IN, room, sizeof(room), &r);
        if (r.status == 0)
            return n;
        assert_sense(&r, 2, asc);
        assert_int_equal(r.sense[15] & 0x80, 0x80);
        (void)usleep(10000); /* the interval of a poll, as PBS has it, only shorter */
    }
    fail_msg("not ready for a minute");
    return 0;
}

static void format_immed_is_answered_while_it_goes_on(void **state)
{
    (void)state;
    struct session *s = session_open(NULL), *t = session_open(&(struct session_options){.name = "other"});
    struct reply r;
    uint8_t b[512];
    settle_all(s);
    load_tape(s, 0, "FORM01L8");
    settle_all(t);
    hold_head("FORM01L8");
    command(s, D, CDB(0x04, 1, 0, 0, 0, 0), DATA_IN, b, 16, &r);
    assert_good(&r);
    for (int i = 0; i < 3; i++) {
        command(s, D, CDB(0, 0, 0, 0, 0, 0), DATA_IN, b, 16, &r);
        assert_sense(&r, 2, 0x0404);
        read_block(t, D, b, sizeof(b), &r); /* nobody waits for it */
        assert_sense(&r, 2, 0x0404);
        command(t, D, CDB(0x4D, 0, 0x51, 0, 0, 0, 0, 0x20, 0, 0), DATA_IN, b, sizeof(b), &r);
        assert_good(&r);
        assert_int_equal(b[10], 0x0A); /* DT DEVICE ACTIVITY: formatting */
        command(t, D, CDB(0x03, 0, 0, 0, 252, 0), DATA_IN, b, 252, &r);
        assert_good(&r);
        assert_int_equal(get_be16(b + 12), 0x0404);
    }
    release_head();
    (void)wait_ready(s, 0x0404);
    assert_position(s, D, 0, 0);
    read_block(s, D, b, sizeof(b), &r);
    assert_sense(&r, 8, 0x0005);
    session_close(t);
    session_close(s);
}

static void erase_immed_is_answered_while_it_goes_on(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    struct reply r;
    uint8_t b[512];
    settle_all(s);
    load_tape(s, 0, "FORM02L8");
    hold_head("FORM02L8");
    command(s, D, CDB(0x19, 3, 0, 0, 0, 0), DATA_IN, b, 16, &r); /* LONG, IMMED */
    assert_good(&r);
    command(s, D, CDB(0, 0, 0, 0, 0, 0), DATA_IN, b, 16, &r);
    assert_sense(&r, 2, 0x0407);
    release_head();
    (void)wait_ready(s, 0x0407);
    session_close(s);
}

/* A session that ends meanwhile takes nothing with it. */
static void the_work_outlives_its_session(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    struct reply r;
    settle_all(s);
    load_tape(s, 0, "FORM03L8");
    hold_head("FORM03L8");
    command(s, D, CDB(0x04, 1, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    session_cut(s);
    s = session_open(NULL);
    settle_all(s);
    command(s, D, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 2, 0x0404);
    release_head();
    (void)wait_ready(s, 0x0404);
    session_close(s);
}

/* format_media for LTO-5 to LTO-8, fast and slow, then for LTO-9, slow: REWIND; FORMAT; TEST UNIT READY ...; ERASE. */
static void the_ways_of_pbs_to_format(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    struct reply r;
    uint8_t room[16], block[512] = {1};
    settle_all(s);
    load_tape(s, 0, "FORM01L8");
    for (int way = 0; way < 4; way++) {
        for (int i = 0; i < 3; i++) {
            write_block(s, D, block, sizeof(block));
            filemarks(s, D, 1);
        }
        command(s, D, CDB(0x01, 0, 0, 0, 0, 0), DATA_IN, room, 16, &r);
        assert_good(&r);
        assert_residual(&r, 16);
        if (way < 3) {
            command(s, D, CDB(0x04, way == 2, 0, 0, 0, 0), DATA_IN, room, 16, &r);
            assert_good(&r);
            assert_residual(&r, 16);
        }
        (void)wait_ready(s, 0x0404);
        if (way > 0) {
            command(s, D, CDB(0x19, way < 3, 0, 0, 0, 0), DATA_IN, room, 16, &r);
            assert_good(&r);
        }
        assert_position(s, D, 0, 0);
        read_block(s, D, block, sizeof(block), &r);
        assert_sense(&r, 8, 0x0005);
    }
    session_close(s);
}

static void erase_keeps_what_is_before_it(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    struct reply r;
    uint8_t block[512], back[512];
    settle_all(s);
    load_blank(s, 0, "FORM01L8");
    for (uint8_t long_erase = 0; long_erase < 2; long_erase++) {
        rewind_tape(s, D);
        for (unsigned i = 0; i < 4; i++) {
            fill(block, sizeof(block), i);
            write_block(s, D, block, sizeof(block));
        }
        command(s, D, CDB(0x92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
        assert_good(&r);
        command(s, D, CDB(0x19, long_erase, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
        assert_good(&r);
        assert_position(s, D, 2, 0);
        read_block(s, D, back, sizeof(back), &r);
        assert_sense(&r, 8, 0x0005);
        rewind_tape(s, D);
        for (unsigned i = 0; i < 2; i++) {
            fill(block, sizeof(block), i);
            read_block(s, D, back, sizeof(back), &r);
            assert_good(&r);
            assert_memory_equal(block, back, sizeof(block));
        }
    }
    session_close(s);
}

#define T(f) cmocka_unit_test_teardown(f, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(format_immed_is_answered_while_it_goes_on),
        T(erase_immed_is_answered_while_it_goes_on),
        T(the_work_outlives_its_session),
        T(the_ways_of_pbs_to_format),
        T(erase_keeps_what_is_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
