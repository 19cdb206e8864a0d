/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_drive_stream.c: blocks that a drive acknowledges before they are written, and what becomes of them. */
#include "tests/unit/failure_help.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "vtl/drive/drive_private.h"

static enum tape_result sync_it(void *d)
{
    return library_drive_ops()->write_filemarks(d, 0, false, &never);
}

static struct library *loaded(struct vtl_config **c, void **d)
{
    *c = config("one", "local", "16M");
    struct library *lib = new_library(*c, "STR001L8");
    move(lib, SLOT, DRIVE);
    *d = library_drive(lib, 0);
    return lib;
}

/* Two blocks that were acknowledged are not on the tape. */
static void lose_two(void *d)
{
    assert_int_equal(write_id(d, 1), TAPE_OK);
    disk_breaks();
    assert_int_equal(write_id(d, 2), TAPE_OK);
    (void)write_id(d, 3); /* taken, or told already; a test that needs to know asks the status */
}

static void what_could_not_be_written_is_told_once_and_leaves_no_hole(void **state)
{
    (void)state;
    struct vtl_config *c;
    void *d;
    struct library *lib = loaded(&c, &d);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    disk_breaks();
    assert_int_equal(write_id(d, 2), TAPE_OK);
    assert_int_equal(sync_it(d), TAPE_WRITE_LOST);
    disk_works();
    assert_int_equal(status(d).object, 1); /* where the tape ends */
    assert_int_equal(status(d).end_object, 1);
    assert_true(status(d).alerts & TAPE_ALERT_BIT(ALERT_WRITE_FAILURE));
    /* A host that sent more meanwhile does not get it written behind what is missing. */
    assert_int_equal(write_id(d, 3), TAPE_WRITE_ERROR);
    assert_int_equal(library_drive_ops()->write_filemarks(d, 1, true, &never), TAPE_WRITE_ERROR);
    assert_int_equal(sync_it(d), TAPE_WRITE_ERROR);
    assert_int_equal(library_drive_ops()->space_end_of_data(d, &never), TAPE_OK);
    assert_int_equal(write_id(d, 4), TAPE_OK);
    assert_int_equal(sync_it(d), TAPE_OK);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    expect_id(d, 1);
    expect_id(d, 4);
    expect_result(d, TAPE_EOD);
    struct tape_statistics s;
    library_drive_ops()->statistics(d, &s);
    assert_int_equal(s.mount.written_blocks, 2); /* what is not there does not count */
    close_library(lib);
    config_free(c);
}

/* FORMAT MEDIUM and SET CAPACITY leave a tape that is written from its beginning. */
static void a_tape_that_is_made_anew_behind_a_loss_can_be_written(void **state)
{
    (void)state;
    struct vtl_config *c;
    void *d;
    struct library *lib = loaded(&c, &d);
    const struct tape_ops *ops = library_drive_ops();
    for (int format = 0; format < 2; format++) {
        assert_int_equal(write_id(d, 1), TAPE_OK);
        disk_breaks();
        assert_int_equal(write_id(d, 2), TAPE_OK);
        assert_int_equal(sync_it(d), TAPE_WRITE_LOST);
        disk_works();
        assert_int_equal(format ? ops->format(d, &never) : ops->set_capacity(d, 0xffff, &never), TAPE_OK);
        assert_int_equal(write_id(d, 4), TAPE_OK);
        assert_int_equal(sync_it(d), TAPE_OK);
    }
    assert_int_equal(ops->rewind(d, &never), TAPE_OK);
    expect_id(d, 4);
    expect_result(d, TAPE_EOD);
    close_library(lib);
    config_free(c);
}

static void a_loss_keeps_the_cartridge_in_the_drive_until_it_was_told(void **state)
{
    (void)state;
    struct vtl_config *c;
    void *d;
    struct library *lib = loaded(&c, &d);
    lose_two(d);
    enum changer_result r = library_changer_ops()->move(lib, 0, DRIVE, SLOT, &never);
    disk_works();
    assert_int_not_equal(r, CHANGER_OK);
    move(lib, DRIVE, SLOT);
    move(lib, SLOT, DRIVE);
    expect_id(d, 1);
    expect_result(d, TAPE_EOD);
    close_library(lib);
    config_free(c);
}

static void a_flush_by_the_operator_fails_and_the_host_is_still_told(void **state)
{
    (void)state;
    struct vtl_config *c;
    void *d;
    struct errtext err = {""};
    struct library *lib = loaded(&c, &d);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    disk_breaks();
    assert_int_equal(write_id(d, 2), TAPE_OK);
    int rc = drive_flush(d, &never, &err);
    disk_works();
    assert_int_equal(rc, -EFBIG);
    assert_non_null(strstr(err.text, "acknowledged could not be written"));
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_WRITE_LOST);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    expect_id(d, 1);
    expect_result(d, TAPE_EOD);
    close_library(lib);
    config_free(c);
}

static void took(void *arg)
{
    ++*(int *)arg;
}

static bool at_once(void *d, uint64_t id, int *n)
{
    enum tape_result r = TAPE_INTERNAL;
    uint32_t len = length_of(id);
    void *data = malloc(len);
    fill(id);
    memcpy(data, block, len);
    const struct tape_write w = {.block = data, .len = len, .taken = took, .arg = n};
    bool done = library_drive_ops()->write_at_once(d, &w, &r);
    if (!done)
        free(data);
    else
        assert_int_equal(r, TAPE_OK);
    return done;
}

static void only_what_goes_on_at_the_end_of_data_is_taken_at_once(void **state)
{
    (void)state;
    struct vtl_config *c;
    void *d;
    int n = 0;
    struct library *lib = loaded(&c, &d);
    assert_false(at_once(d, 1, &n)); /* the first may be refused, or cut the tape */
    assert_int_equal(write_id(d, 1), TAPE_OK);
    assert_true(at_once(d, 2, &n));
    assert_true(at_once(d, 3, &n));
    assert_int_equal(status(d).object, 3);
    assert_int_equal(library_drive_ops()->locate_object(d, 0, 1, &never), TAPE_OK);
    assert_false(at_once(d, 4, &n)); /* it overwrites */
    assert_int_equal(write_id(d, 4), TAPE_OK);
    assert_true(at_once(d, 5, &n));
    assert_int_equal(sync_it(d), TAPE_OK);
    assert_false(at_once(d, 6, &n));
    assert_int_equal(n, 3); /* memory that changed hands: none of these is small */
    move(lib, DRIVE, SLOT);
    assert_false(at_once(d, 6, &n));
    move(lib, SLOT, DRIVE);
    expect_id(d, 1);
    expect_id(d, 4);
    expect_id(d, 5);
    expect_result(d, TAPE_EOD);
    close_library(lib);
    config_free(c);
}

static void keys_may_change_from_block_to_block(void **state)
{
    (void)state;
    struct vtl_config *c;
    void *d;
    struct library *lib = loaded(&c, &d);
    uint8_t keys[3][TAPE_KEY_SIZE];
    for (uint8_t k = 0; k < 3; k++)
        memset(keys[k], k + 1, TAPE_KEY_SIZE);
    for (uint64_t i = 0; i < 30; i++) {
        struct tape_crypt w = {.key = keys[i / 4 % 3], .encrypt = i / 4 % 3 != 0};
        fill(i);
        assert_int_equal(library_drive_ops()->write(d, block, length_of(i), true, &w, &never), TAPE_OK);
    }
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    for (uint64_t i = 0; i < 30; i++) {
        struct tape_crypt r = {.key = keys[i / 4 % 3], .decrypt = i / 4 % 3 != 0};
        uint32_t len = sizeof(back);
        assert_int_equal(library_drive_ops()->read(d, back, &len, &r, &never), TAPE_OK);
        fill(i);
        assert_int_equal(len, length_of(i));
        assert_memory_equal(back, block, len);
    }
    close_library(lib);
    config_free(c);
}

/* Back-pressure grows from three quarters of the limit on: twice the store's rate there, the rate itself half-way. */
static void writes_slow_down_before_they_have_to_wait(void **state)
{
    (void)state;
    const uint64_t limit = 400, rate = 1000000;
    assert_int_equal(drive_pause_us(300, limit, rate, 1000), 0);
    assert_int_equal(drive_pause_us(350, limit, 0, 1000), 0); /* nothing is known of the store */
    assert_int_equal(drive_pause_us(350, limit, rate, 1000), 1000);
    assert_int_equal(drive_pause_us(375, limit, rate, 1000), 2000);
    assert_in_range(drive_pause_us(301, limit, rate, 1000), 500, 510);
    assert_int_equal(drive_pause_us(400, limit, rate, 1000), 500000); /* no longer than half a second at a time */
}

static enum tape_result marks(void *d, uint64_t n)
{
    return library_drive_ops()->write_filemarks(d, n, true, &never);
}

static void a_drive_streams_on_behind_filemarks_with_immed(void **state)
{
    (void)state;
    struct vtl_config *c;
    void *d;
    int n = 0;
    struct library *lib = loaded(&c, &d);
    struct tape_statistics s;
    assert_int_equal(write_id(d, 1), TAPE_OK);
    assert_int_equal(marks(d, 1), TAPE_OK);
    assert_true(at_once(d, 2, &n));
    assert_int_equal(marks(d, 3), TAPE_OK);
    assert_int_equal(status(d).object, 6);
    assert_int_equal(status(d).end_object, 6);
    assert_int_equal(status(d).file, 4);
    assert_int_equal(status(d).end_file, 4);
    assert_int_equal(status(d).blocks_in_buffer, 6);
    assert_true(at_once(d, 7, &n));
    library_drive_ops()->statistics(d, &s);
    assert_int_equal(s.mount.written_filemarks, 4);
    assert_int_equal(sync_it(d), TAPE_OK);
    assert_int_equal(status(d).file, 4);
    library_drive_ops()->statistics(d, &s);
    assert_int_equal(s.mount.written_filemarks, 4);
    assert_int_equal(s.mount.written_blocks, 3);
    assert_int_equal(marks(d, 1), TAPE_OK); /* not streaming: written before it is answered */
    assert_false(at_once(d, 9, &n));
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    expect_id(d, 1);
    expect_result(d, TAPE_FILEMARK);
    expect_id(d, 2);
    for (int i = 0; i < 3; i++)
        expect_result(d, TAPE_FILEMARK);
    expect_id(d, 7);
    expect_result(d, TAPE_FILEMARK);
    expect_result(d, TAPE_EOD);
    close_library(lib);
    config_free(c);
}

static void filemarks_behind_what_is_lost_are_lost_and_told_too(void **state)
{
    (void)state;
    struct vtl_config *c;
    void *d;
    struct library *lib = loaded(&c, &d);
    struct tape_statistics s;
    assert_int_equal(write_id(d, 1), TAPE_OK);
    assert_int_equal(marks(d, 1), TAPE_OK);
    assert_int_equal(sync_it(d), TAPE_OK);
    assert_int_equal(write_id(d, 3), TAPE_OK); /* streams again */
    disk_breaks();
    assert_int_equal(write_id(d, 4), TAPE_OK);
    enum tape_result r = marks(d, 2); /* queued, or it has failed by now */
    assert_true(r == TAPE_OK || r == TAPE_WRITE_LOST);
    if (!r)
        assert_int_equal(sync_it(d), TAPE_WRITE_LOST);
    disk_works();
    assert_int_equal(status(d).object, 3);
    assert_int_equal(status(d).file, 1);
    assert_int_equal(status(d).end_file, 1);
    library_drive_ops()->statistics(d, &s);
    assert_int_equal(s.mount.written_blocks, 2);
    assert_int_equal(s.mount.written_filemarks, 1);
    assert_int_equal(marks(d, 1), TAPE_WRITE_ERROR); /* nothing is written behind what is missing */
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    expect_id(d, 1);
    expect_result(d, TAPE_FILEMARK);
    expect_id(d, 3);
    expect_result(d, TAPE_EOD);
    close_library(lib);
    config_free(c);
}

/* To leave the end of data makes what is before it as safe as a sync does. */
static void what_leaving_the_end_made_safe_is_not_buffered(void **state)
{
    (void)state;
    struct vtl_config *c;
    void *d;
    struct library *lib = loaded(&c, &d);
    for (uint64_t id = 1; id <= 3; id++)
        assert_int_equal(write_id(d, id), TAPE_OK);
    assert_int_equal(status(d).blocks_in_buffer, 3);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    assert_int_equal(status(d).blocks_in_buffer, 0);
    assert_int_equal(status(d).bytes_in_buffer, 0);
    assert_int_equal(write_id(d, 4), TAPE_OK);
    assert_int_equal(status(d).blocks_in_buffer, 1);
    close_library(lib);
    config_free(c);
}

/* Of all threads of that name: the lowest and the highest of how nice they are. */
static unsigned nice_of(const char *name, int *least, int *most)
{
    unsigned n = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (struct dirent *e; (e = readdir(tasks));) {
        char path[300], comm[20] = "";
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
        FILE *f = fopen(path, "r");
        bool read = f && fgets(comm, sizeof(comm), f);
        if (f)
            (void)fclose(f);
        comm[strcspn(comm, "\n")] = '\0';
        if (!read || strcmp(comm, name) != 0)
            continue;
        int nice = getpriority(PRIO_PROCESS, (id_t)strtol(e->d_name, NULL, 10));
        *least = !n || nice < *least ? nice : *least;
        *most = !n || nice > *most ? nice : *most;
        n++;
    }
    (void)closedir(tasks);
    return n;
}

static void uploads_let_what_the_host_waits_for_go_first(void **state)
{
    (void)state;
    struct vtl_config *c;
    void *d;
    int least = 0, most = 0, own = getpriority(PRIO_PROCESS, 0), nicer = own < 14 ? own + 5 : 19;
    struct library *lib = loaded(&c, &d);
    assert_int_equal(write_id(d, 1), TAPE_OK); /* it streams */
    flush_remote(lib);                         /* a worker works */
    uint64_t until = clock_ms() + 30000;
    while ((!nice_of("upload", &least, &most) || least != nicer) && clock_ms() < until)
        sched_yield(); /* one may begin only now */
    assert_int_equal(least, nicer);
    assert_int_equal(most, nicer);
    assert_true(nice_of("behind", &least, &most) > 0);
    assert_int_equal(most, own);
    assert_true(nice_of("fetch", &least, &most) > 0);
    assert_int_equal(most, own);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_could_not_be_written_is_told_once_and_leaves_no_hole),
        T(a_tape_that_is_made_anew_behind_a_loss_can_be_written),
        T(a_loss_keeps_the_cartridge_in_the_drive_until_it_was_told),
        T(a_flush_by_the_operator_fails_and_the_host_is_still_told),
        T(only_what_goes_on_at_the_end_of_data_is_taken_at_once),
        T(keys_may_change_from_block_to_block),
        T(a_drive_streams_on_behind_filemarks_with_immed),
        T(filemarks_behind_what_is_lost_are_lost_and_told_too),
        T(what_leaving_the_end_made_safe_is_not_buffered),
        T(uploads_let_what_the_host_waits_for_go_first),
        cmocka_unit_test(writes_slow_down_before_they_have_to_wait),
    };
    return cmocka_run_group_tests_name("drive_stream", tests, NULL, NULL);
}
