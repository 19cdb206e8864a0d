/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_failures.c: a disk or a state that fails in the middle: what it leaves as it was, and who is told. */
#include "tests/lib/chunked.h"
#include "tests/unit/failure_help.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/cartridge/commit.h"
#include "vtl/drive/drive_private.h"
#include "vtl/library/library_private.h"

/* ---- the disk ---- */

static void each_idle_segment_that_cannot_be_sealed_is_told_once(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "IDL001L8");
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "IDL002L8", "capacity", 0)));
    move(lib, SLOT + 1, DRIVE + 1);
    struct cartridge *tape[2];
    for (unsigned i = 0; i < 2; i++) {
        struct drive *d = library_drive(lib, i);
        assert_int_equal(write_id(d, 1), TAPE_OK);
        tape[i] = d->c;
    }
    flush_remote(lib); /* the workers have nothing to say either */
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(write_id(library_drive(lib, i), 2), TAPE_OK);
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib, 0), 0, false, &never), TAPE_OK);
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib, 1), 0, false, &never), TAPE_OK);
    forget_log();
    disk_breaks();
    for (int n = 0; n < 3; n++)
        for (unsigned i = 0; i < 2; i++)
            cartridge_seal_if_idle(tape[i], 0);
    disk_works();
    assert_int_equal(times_logged("IDL001L8: sealing the idle segment: File too large"), 1);
    assert_int_equal(times_logged("IDL002L8: sealing the idle segment: File too large"), 1);
    for (unsigned i = 0; i < 2; i++)
        cartridge_seal_if_idle(tape[i], 0);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
}

/* used decides early warning: what a failed command did not cut still counts. */
static void writes_that_fail_in_the_middle_leave_early_warning_where_it_was(void **state)
{
    (void)state;
    static struct model m;
    const struct tape_ops *ops = library_drive_ops();
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "USE001L8");
    struct drive *d = library_drive(lib, 0);
    m.n = 0;
    write_model(d, &m, 0, 5, 1);
    flush_remote(lib);
    uint64_t used = status(d).used;
    d->capacity = used; /* so that the end of data is just past early warning */
    for (int erase = 0; erase < 2; erase++) {
        assert_int_equal(ops->locate_object(d, 0, 1, &never), TAPE_OK);
        disk_breaks();
        enum tape_result r = erase ? ops->erase(d, false, &never) : ops->write_filemarks(d, 1, true, &never);
        disk_works();
        assert_int_equal(r, TAPE_WRITE_ERROR);
        assert_int_equal(status(d).used, used);
        assert_int_equal(ops->space_end_of_data(d, &never), TAPE_OK);
        assert_true(status(d).past_early_warning);
    }
    check_all(d, &m);
    close_library(lib);
    config_free(c);
}

/* Others fill the spool, and the open segment is all of this tape that could make room: it cannot be sealed. */
static void a_write_that_cannot_make_room_in_the_spool_says_why(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "ROM001L8");
    struct drive *d = library_drive(lib, 0);
    const uint64_t others = engine_dirty_limit(&lib->eng);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    flush_remote(lib); /* so that no worker meets the broken disk first */
    assert_int_equal(write_id(d, 4), TAPE_OK);
    forget_log();
    atomic_fetch_add(&lib->eng.dirty_bytes, others);
    disk_breaks();
    enum tape_result r = write_id(d, 2);
    disk_works();
    atomic_fetch_sub(&lib->eng.dirty_bytes, others);
    assert_int_equal(r, TAPE_WRITE_ERROR);
    assert_int_equal(times_logged("ROM001L8: spool"), 1);
    assert_int_equal(times_logged("File too large"), 1);
    assert_int_equal(library_drive_ops()->space_end_of_data(d, &never), TAPE_OK);
    assert_true(status(d).alerts & TAPE_ALERT_BIT(ALERT_WRITE_FAILURE));
    assert_int_equal(write_id(d, 3), TAPE_OK);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    expect_id(d, 1);
    expect_id(d, 4);
    expect_id(d, 3);
    expect_result(d, TAPE_EOD);
    close_library(lib);
    config_free(c);
}

#define LARGE (6u << 20)

/* Rows first, files after: a row without its file would keep the cartridge from being loaded. The segment's header fits
 * on the disk, its first record does not. */
static void a_segment_that_got_no_record_keeps_its_file_while_its_row_stays(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "ROW001L8");
    void *d = library_drive(lib, 0);
    uint8_t *large = calloc(1, LARGE);
    assert_non_null(large);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    flush_remote(lib);
    state_refuses("one", "DELETE", "segment");
    forget_log();
    files_end_at(LARGE - (1 << 20));
    enum tape_result r = library_drive_ops()->write(d, large, LARGE, false, NULL, &never);
    disk_works();
    free(large);
    assert_int_equal(r, TAPE_WRITE_ERROR);
    assert_int_equal(times_logged(STATE_ERROR), 1); /* it came so far */
    state_works("one");
    close_library(lib);
    lib = open_library(c);
    d = library_drive(lib, 0);
    assert_int_equal(status(d).medium, TAPE_MEDIUM_LOADED);
    expect_id(d, 1);
    expect_result(d, TAPE_EOD);
    assert_int_equal(write_id(d, 2), TAPE_OK);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
}

/* What could neither be made whole nor removed stays, of a name that is not used again. */
static void a_file_that_could_not_be_removed_stops_one_write_only(void **state)
{
    (void)state;
    char name[SEG_NAME_SIZE], path[300];
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "NUM001L8");
    struct drive *d = library_drive(lib, 0);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    flush_remote(lib);
    lock_take(&d->c->lock);
    const struct seg_id next = {d->c->row.head.epoch, lib->eng.writer, d->c->row.next_segment};
    lock_release(&d->c->lock);
    seg_id_format(&next, name);
    (void)snprintf(path, sizeof(path), "%s/one/spool/NUM001L8/%s", dir, name);
    fclose(fopen(path, "w"));
    assert_int_equal(write_id(d, 2), TAPE_WRITE_ERROR);
    assert_int_equal(library_drive_ops()->space_end_of_data(d, &never), TAPE_OK);
    assert_int_equal(write_id(d, 3), TAPE_OK);
    flush_remote(lib);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    expect_id(d, 1);
    expect_id(d, 3);
    expect_result(d, TAPE_EOD);
    close_library(lib);
    config_free(c);
}

/* ---- the state ---- */

static bool has_bad_files(const char *barcode)
{
    char command[200];
    (void)snprintf(command, sizeof(command), "ls %s/one/spool/%s/*.bad >/dev/null 2>&1", dir, barcode);
    return system(command) == 0;
}

static json_t *claim(struct library *lib, const char *barcode, struct errtext *err)
{
    json_t *q = json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", barcode, "force", 1);
    json_t *r = library_call(lib, q, err);
    json_decref(q);
    return r;
}

/* Another gateway goes on from the first head, and this one has blocks that no head will ever name. */
static void write_past_each_other(struct library *lib, struct model *m, const struct vtl_config *other)
{
    void *d = library_drive(lib, 0);
    m->n = 0;
    write_model(d, m, 0, 20, 1);
    flush_remote(lib);
    workers_stop(&lib->eng); /* so that it does not find out by itself */
    rebuild_library(other);
    struct library *lib2 = open_library(other);
    struct model *theirs = malloc(sizeof(*theirs));
    assert_non_null(theirs);
    *theirs = *m;
    move(lib2, SLOT, DRIVE);
    write_model(library_drive(lib2, 0), theirs, m->n, 10, 500);
    flush_remote(lib2);
    close_library(lib2);
    free(theirs);
    write_model(d, m, m->n, 5, 900);
    struct errtext err = {""};
    assert_int_equal(drive_remove(d, &never, &err), 0); /* without workers, a move concerns the elements only */
    move(lib, DRIVE, SLOT);
}

static void a_claim_that_fails_in_the_state_changes_nothing(void **state)
{
    (void)state;
    static struct model m;
    struct errtext err = {""};
    struct vtl_config *c = config("one", "local", "16M"), *other = config("two", "remote", "16M");
    struct library *lib = with_tape(c, "CLM001L8");
    write_past_each_other(lib, &m, other);
    uint64_t dirty = atomic_load(&lib->eng.dirty_bytes);
    assert_true(dirty > 0);
    state_refuses("one", "INSERT", "segment");
    assert_null(claim(lib, "CLM001L8", &err));
    state_works("one");
    if (!strstr(err.text, STATE_ERROR))
        fail_msg("%s", err.text);
    assert_int_equal(atomic_load(&lib->eng.dirty_bytes), dirty);
    assert_false(has_bad_files("CLM001L8"));
    struct cartridge_view v;
    cartridge_view(library_cartridge(lib, "CLM001L8"), &v);
    assert_int_equal(v.end_object, m.n);
    json_t *r = claim(lib, "CLM001L8", &err);
    assert_non_null(r);
    assert_int_equal(json_integer_value(json_object_get(r, "kept_bytes")), dirty);
    json_decref(r);
    assert_int_equal(atomic_load(&lib->eng.dirty_bytes), 0);
    assert_true(has_bad_files("CLM001L8"));
    close_library(lib);
    config_free(other);
    config_free(c);
}

static void a_cleaning_that_cannot_be_counted_says_why(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "CLN001L1");
    state_refuses("one", "UPDATE", "cartridge");
    forget_log();
    move(lib, SLOT, DRIVE);
    assert_int_equal(times_logged("the cleaning is not counted: CLN001L1: state: " STATE_ERROR), 1);
    move(lib, DRIVE, SLOT);
    state_works("one");
    close_library(lib);
    config_free(c);
}

/* SQLite finds it here before the libc's. */
static atomic_bool no_sync, no_spool_sync;
/* The first change behind the next sync of a spool's file is written and not synced, and nothing is written after it. */
static atomic_bool state_breaks;
static atomic_bool state_breaks_now;

static void path_of_fd(int fd, char path[300])
{
    char link[40];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, 299);
    path[n > 0 ? n : 0] = '\0';
}

static atomic_bool watch_spool;      /* until the first sync of a file in it */
static atomic_size_t spool_written;  /* bytes, while it is watched */
static atomic_int spool_writes = -1; /* so many more go to files of the spool; negative: all */
static atomic_llong synced_size;     /* of the file of the spool that was synced last */

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    char path[300] = "";
    if (watch_spool || spool_writes >= 0)
        path_of_fd(fd, path);
    if (strstr(path, "/spool/") && spool_writes >= 0 && spool_writes-- == 0) {
        spool_writes = 0;
        errno = ENOSPC;
        return -1;
    }
    ssize_t n = syscall(SYS_pwritev, fd, iov, count, offset, 0);
    if (n > 0 && strstr(path, "/spool/"))
        spool_written += (size_t)n;
    return n;
}

int fdatasync(int fd)
{
    char path[300];
    path_of_fd(fd, path);
    bool is_spool = strstr(path, "/spool/") != NULL;
    if (is_spool)
        watch_spool = false;
    size_t n = strlen(path);
    bool breaks = n > 4 && !strcmp(path + n - 4, "-wal") && atomic_exchange(&state_breaks_now, false);
    if (breaks)
        disk_breaks();
    if (no_sync || breaks || (is_spool && no_spool_sync)) {
        errno = EIO;
        return -1;
    }
    struct stat st;
    if (is_spool && !fstat(fd, &st))
        synced_size = st.st_size;
    if (is_spool && atomic_exchange(&state_breaks, false))
        state_breaks_now = true;
    return fsync(fd);
}

/* In "copy", what the disk has now. */
static void copy_state(void)
{
    char command[300];
    (void)snprintf(command, sizeof(command), "ulimit -f unlimited; rm -rf %s/copy && cp -a %s/one %s/copy", dir, dir,
                   dir);
    assert_int_equal(system(command), 0);
}

/* The state of a gateway that is gone at once, as another finds it. */
static void check_copy(const struct model *m)
{
    struct vtl_config *copy = config("copy", "local", "16M");
    copy_state();
    struct library *lib = open_library(copy);
    check_all(library_drive(lib, 0), m);
    close_library(lib);
    config_free(copy);
}

/* The ERASE whose rows could not be synced is in the WAL, and would be done by the next start. */
static void a_sync_is_not_good_while_a_change_that_failed_may_still_come(void **state)
{
    (void)state;
    static struct model m;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = new_library(c, "DBT001L8");
    void *d = library_drive(lib, 0);
    const struct tape_ops *ops = library_drive_ops();
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 20, 1);
    flush_remote(lib);
    assert_int_equal(ops->locate_object(d, 0, 5, &never), TAPE_OK);
    no_sync = true;
    assert_int_equal(ops->erase(d, false, &never), TAPE_WRITE_ERROR);
    assert_int_not_equal(ops->write_filemarks(d, 0, false, &never), TAPE_OK);
    no_sync = false;
    check_all(d, &m);
    assert_int_equal(ops->write_filemarks(d, 0, false, &never), TAPE_OK);
    check_copy(&m);
    close_library(lib);
    config_free(c);
}

/* A library that writes a tape, and is killed behind what ends it. Its open segment is there, and the row of that. */
static void die_behind(const struct vtl_config *c, const char *barcode, struct model *m, bool (*end)(void *d))
{
    memset(m, 0, sizeof(*m));
    pid_t pid = fork();
    if (!pid) {
        struct library *lib = with_tape(c, barcode);
        void *d = library_drive(lib, 0);
        write_model(d, m, 0, 20, 1);
        _exit(!end(d));
    }
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    for (size_t i = 0; i < 20; i++)
        m->object[m->n++] = i % 7 == 6 ? 0 : 1 + i;
}

static bool seal_and_fail_to_sync(void *d)
{
    if (!sync_is_good(d)) /* nothing is on its way to the file any more */
        return false;
    no_spool_sync = true;
    return library_drive_ops()->rewind(d, &never) == TAPE_WRITE_ERROR;
}

/* The newest file of a tape in the spool of "one". */
static off_t size_of_newest(const char *barcode, char name[64])
{
    char path[500];
    struct dirent **list;
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/one/spool/%s", dir, barcode);
    int n = scandir(path, &list, NULL, alphasort);
    assert_true(n > 2);
    (void)snprintf(name, 64, "%.63s", list[n - 1]->d_name);
    (void)snprintf(path, sizeof(path), "%s/one/spool/%s/%s", dir, barcode, name);
    assert_int_equal(stat(path, &st), 0);
    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
    return st.st_size;
}

/* The kernel dropped what it could not write, tells of it once, and goes on reading it from its memory. */
static void a_sealed_segment_whose_sync_failed_is_written_anew_by_the_next_start(void **state)
{
    (void)state;
    static struct model m;
    char before[64], name[64];
    struct vtl_config *c = config("one", "local", "16M");
    die_behind(c, "AGN001L8", &m, seal_and_fail_to_sync);
    off_t size = size_of_newest("AGN001L8", before);
    forget_log();
    spool_written = 0;
    watch_spool = true;
    struct library *lib = open_library(c);
    assert_int_equal(times_logged("AGN001L8: recovered the open segment"), 1);
    assert_false(watch_spool);
    assert_int_equal(spool_written, size);
    assert_int_equal(size_of_newest("AGN001L8", name), size);
    assert_string_equal(name, before); /* it was sealed, and stays what it is */
    check_all(library_drive(lib, 0), &m);
    flush_remote(lib);
    close_library(lib);
    config_free(c);
}

static bool write_chunked(void *d, uint64_t id)
{
    chunked_fill(id, block);
    return library_drive_ops()->write(d, block, chunked_length(id), true, NULL, &never) == TAPE_OK;
}

/* Of a segment that cannot be sealed there is more in its file than before: that the next sync does not make safe by itself
 * would be told as damage, after a power loss. */
static void a_sync_behind_a_seal_that_failed_makes_safe_what_it_left(void **state)
{
    (void)state;
    char name[64], path[300];
    struct vtl_config *c = config_more("one", "local", "16M", CHUNKED_CONFIG);
    struct vtl_config *copy = config_more("copy", "local", "16M", CHUNKED_CONFIG);
    struct library *lib = with_tape(c, "TAIL01L8");
    void *d = library_drive(lib, 0);
    assert_true(write_chunked(d, 1) && write_chunked(d, 2) && sync_is_good(d));
    off_t size = size_of_newest("TAIL01L8", name);
    spool_writes = 1; /* the list of chunks, and not the index */
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_WRITE_ERROR);
    spool_writes = -1;
    assert_true(size_of_newest("TAIL01L8", name) > size);
    assert_true(sync_is_good(d));
    copy_state();
    (void)snprintf(path, sizeof(path), "%s/copy/spool/TAIL01L8/%s", dir, name);
    assert_int_equal(truncate(path, synced_size), 0);
    close_library(lib);
    forget_log();
    lib = open_library(copy);
    d = library_drive(lib, 0);
    assert_int_equal(times_logged("DAMAGED"), 0);
    assert_int_equal(times_logged("TAIL01L8: recovered the open segment"), 1);
    for (uint64_t id = 1; id <= 2; id++) {
        uint32_t len = sizeof(back);
        assert_int_equal(library_drive_ops()->read(d, back, &len, NULL, &never), TAPE_OK);
        assert_int_equal(chunked_id(back, len), id);
    }
    close_library(lib);
    config_free(copy);
    config_free(c);
}

/* The segment has its new name in the WAL only, and no sync says whether it stays there: the next start may find either
 * name in the state. */
static void a_recovery_whose_change_failed_may_find_it_made_by_the_next(void **state)
{
    (void)state;
    static struct model m;
    struct errtext err = {""};
    struct vtl_config *c = config("one", "local", "16M"), *copy = config("copy", "local", "16M");
    die_behind(c, "REN001L8", &m, sync_is_good);
    forget_log();
    state_breaks = true;
    struct library *lib = open_library(c);
    assert_false(state_breaks || state_breaks_now); /* it came so far */
    copy_state();
    disk_works();
    (void)library_close(lib, &err);
    assert_int_equal(times_logged("REN001L8: recovered the open segment"), 0);
    lib = open_library(copy);
    assert_int_equal(times_logged("REN001L8: recovered the open segment"), 1);
    assert_int_equal(times_logged("none was synced"), 0);
    check_all(library_drive(lib, 0), &m);
    close_library(lib);
    config_free(copy);
    config_free(c);
}

static int take_synced(void *arg, const struct db_written *w)
{
    *(uint64_t *)arg = w->synced;
    return 0;
}

/* The report of a gateway that is killed then says so. */
static void a_sync_behind_an_idle_seal_is_in_the_state(void **state)
{
    (void)state;
    uint64_t synced = 1;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "WHO001L8");
    void *d = library_drive(lib, 0);
    assert_int_equal(write_id(d, 1), TAPE_OK); /* the first one is in its file then */
    cartridge_seal_if_idle(library_cartridge(lib, "WHO001L8"), 0);
    assert_int_equal(db_written(lib->eng.db, 0, take_synced, &synced), 0);
    assert_int_equal(synced, 0);
    assert_true(sync_is_good(d));
    assert_int_equal(db_written(lib->eng.db, 0, take_synced, &synced), 0);
    assert_int_not_equal(synced, 0);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_idle_segment_that_cannot_be_sealed_is_told_once),
        T(writes_that_fail_in_the_middle_leave_early_warning_where_it_was),
        T(a_write_that_cannot_make_room_in_the_spool_says_why),
        T(a_segment_that_got_no_record_keeps_its_file_while_its_row_stays),
        T(a_file_that_could_not_be_removed_stops_one_write_only),
        T(a_claim_that_fails_in_the_state_changes_nothing),
        T(a_cleaning_that_cannot_be_counted_says_why),
        T(a_sync_is_not_good_while_a_change_that_failed_may_still_come),
        T(a_sealed_segment_whose_sync_failed_is_written_anew_by_the_next_start),
        T(a_sync_behind_a_seal_that_failed_makes_safe_what_it_left),
        T(a_sync_behind_an_idle_seal_is_in_the_state),
        T(a_recovery_whose_change_failed_may_find_it_made_by_the_next),
    };
    return cmocka_run_group_tests_name("failures", tests, NULL, NULL);
}
