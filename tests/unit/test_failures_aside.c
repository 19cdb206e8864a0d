/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_failures_aside.c: files of the spool that no row or no head names: they go aside, and a kill in the middle loses none. */
#include "tests/unit/failure_help.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/library/library_private.h"

#define DIED 77
static bool die_at_bad; /* the process ends as the first file goes aside */

int rename(const char *from, const char *to)
{
    size_t n = strlen(to);
    if (die_at_bad && n > 4 && !strcmp(to + n - 4, ".bad"))
        _exit(DIED);
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

/* It may be all that is left of something: of a state that is restored, and older than the spool. */
static void a_file_that_is_newer_than_the_state_is_no_cache(void **state)
{
    (void)state;
    char path[200];
    struct stat st;
    struct vtl_config *c = config("one", "local", "0");
    struct library *lib = with_tape(c, "NEW001L8");
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    flush_remote(lib);
    close_library(lib);
    (void)snprintf(path, sizeof(path), "%s/one/spool/NEW001L8/00000001-00000007-0000000999", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(block, 1, 1000, f), 1000);
    fclose(f);
    forget_log();
    lib = open_library(c);
    assert_int_equal(times_logged("0000000999: no row of the state names it, and it is newer than the state"), 1);
    close_library(lib);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 1000);
    config_free(c);
}

/* Another gateway goes on from what the bucket has of a tape, of which this state has more. */
static void take_over_a_backlog(const struct vtl_config *c, const struct vtl_config *other, struct model *m)
{
    struct library *lib = with_tape(c, "STO001L8");
    write_model(library_drive(lib, 0), m, 0, 20, 1);
    flush_remote(lib);
    store_lacks("seg", true);
    struct model *more = malloc(sizeof(*more));
    assert_non_null(more);
    *more = *m;
    write_model(library_drive(lib, 0), more, m->n, 10, 900);
    free(more);
    assert_true(sync_is_good(library_drive(lib, 0)));
    close_library(lib);
    store_lacks("seg", false);
    rebuild_library(other);
    lib = open_library(other);
    move(lib, SLOT, DRIVE);
    write_model(library_drive(lib, 0), m, m->n, 5, 500);
    flush_remote(lib);
    close_library(lib);
}

static void run(const char *fmt, ...)
{
    char command[500];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    if (system(command))
        fail_msg("%s", command);
}

/* It finds out when it loads the tape. */
static void start(const struct vtl_config *c)
{
    struct library *lib = open_library(c);
    close_library(lib);
}

/* Before it finds out. */
static void claim_by_force(const struct vtl_config *c)
{
    struct library *lib = NULL;
    struct errtext err = {""};
    if (!library_open(c, 0, &lib, &err))
        json_decref(library_call(
            lib, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", "STO001L8", "force", 1), &err));
}

static void kill_while_files_go_aside(void (*by)(const struct vtl_config *c))
{
    static struct model m;
    struct vtl_config *c = config("one", "local", "16M"), *other = config("two", "remote", "16M");
    m.n = 0;
    take_over_a_backlog(c, other, &m);
    run("cd %s/one/spool/STO001L8 && for f in *; do test -e ../../../store/tapes/STO001L8/seg/$f || echo $f; done "
        ">%s/list && test -s %s/list",
        dir, dir, dir);
    pid_t pid = fork();
    if (!pid) {
        die_at_bad = true;
        by(c);
        _exit(0);
    }
    int died = 0;
    assert_int_equal(waitpid(pid, &died, 0), pid);
    assert_true(WIFEXITED(died) && WEXITSTATUS(died) == DIED);
    struct library *lib = open_library(c);
    check_all(library_drive(lib, 0), &m); /* what the bucket has */
    close_library(lib);
    run("cd %s/one/spool/STO001L8 && while read f; do test -s $f.bad || exit 1; done <%s/list", dir, dir);
    config_free(other);
    config_free(c);
}

static void a_kill_while_files_go_aside_loses_none(void **state)
{
    (void)state;
    kill_while_files_go_aside(start);
}

static void a_kill_while_a_claim_puts_files_aside_loses_none(void **state)
{
    (void)state;
    kill_while_files_go_aside(claim_by_force);
}

/* The state knows that another gateway has the tape, but not what the bucket has of it: the store is not asked here. */
static void what_a_fenced_tape_has_fills_no_spool_after_a_restart(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct cartridge_view v;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "STO001L8");
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    flush_remote(lib);
    store_lacks("seg", true);
    assert_int_equal(write_id(library_drive(lib, 0), 2), TAPE_OK);
    assert_true(sync_is_good(library_drive(lib, 0)));
    struct cartridge *tape = library_cartridge(lib, "STO001L8");
    lock_take(&tape->lock);
    cartridge_fence(tape, DB_FENCED_STALE);
    lock_release(&tape->lock);
    (void)library_close(lib, &err);
    assert_int_equal(library_open(c, 0, &lib, &err), 0); /* no threads */
    tape = library_cartridge(lib, "STO001L8");
    assert_int_equal(cartridge_load(tape, &err), 0);
    cartridge_view(tape, &v);
    assert_int_equal(v.end_object, 2);
    assert_int_equal(atomic_load(&lib->eng.dirty_bytes), 0);
    (void)library_close(lib, &err);
    store_lacks("seg", false);
    config_free(c);
}

/* Bytes of what model has from object at on. */
static uint64_t bytes_from(const struct model *m, size_t at)
{
    uint64_t n = 0;
    for (; at < m->n; at++)
        n += m->object[at] ? length_of(m->object[at]) : 0;
    return n;
}

/* A tape of which the store has all objects, and no head names the last ten blocks. It is another gateway's then. */
static void lose_what_no_head_names(const struct vtl_config *c, const struct vtl_config *other, struct model *m)
{
    struct library *lib = with_tape(c, "STO001L8");
    write_model(library_drive(lib, 0), m, 0, 20, 1);
    flush_remote(lib);
    store_lacks("head", true);
    write_model(library_drive(lib, 0), m, 20, 10, 900);
    assert_int_equal(library_drive_ops()->rewind(library_drive(lib, 0), &never), TAPE_OK);
    for (uint64_t until = clock_ms() + 20000; atomic_load(&lib->eng.dirty_bytes);) {
        uint64_t seen = progress_now(&lib->eng.progress);
        assert_true(clock_ms() < until);
        if (atomic_load(&lib->eng.dirty_bytes))
            progress_wait(&lib->eng.progress, seen, 100);
    }
    close_library(lib);
    store_lacks("head", false);
    rebuild_library(other);
    lib = open_library(other);
    move(lib, SLOT, DRIVE);
    assert_int_equal(library_drive_ops()->space_end_of_data(library_drive(lib, 0), &never), TAPE_OK);
    assert_int_equal(write_id(library_drive(lib, 0), 500), TAPE_OK);
    flush_remote(lib);
    close_library(lib);
}

static void what_no_head_names_stays_in_the_spool_and_goes_aside(void **state)
{
    (void)state;
    static struct model m;
    char command[200], size[40] = "";
    struct vtl_config *c = config("one", "local", "0"), *other = config("two", "remote", "16M");
    m.n = 0;
    lose_what_no_head_names(c, other, &m);
    forget_log();
    struct library *lib = open_library(c); /* it finds out */
    close_library(lib);
    (void)snprintf(command, sizeof(command), "cat %s/one/spool/STO001L8/*.bad | wc -c", dir);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    assert_non_null(fgets(size, sizeof(size), p));
    pclose(p);
    assert_true(strtoull(size, NULL, 10) > bytes_from(&m, 20));
    assert_int_equal(times_logged("they are lost"), 0);
    config_free(other);
    config_free(c);
}

static void what_no_head_names_and_is_gone_is_told(void **state)
{
    (void)state;
    static struct model m;
    struct vtl_config *c = config("one", "local", "0"), *other = config("two", "remote", "16M");
    m.n = 0;
    lose_what_no_head_names(c, other, &m);
    run("rm %s/one/spool/STO001L8/*", dir);
    forget_log();
    struct library *lib = open_library(c);
    close_library(lib);
    assert_int_equal(times_logged("in its spool no more: they are lost"), 1);
    config_free(other);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_file_that_is_newer_than_the_state_is_no_cache),
        T(a_kill_while_files_go_aside_loses_none),
        T(a_kill_while_a_claim_puts_files_aside_loses_none),
        T(what_a_fenced_tape_has_fills_no_spool_after_a_restart),
        T(what_no_head_names_stays_in_the_spool_and_goes_aside),
        T(what_no_head_names_and_is_gone_is_told),
    };
    return cmocka_run_group_tests_name("failures_aside", tests, NULL, NULL);
}
