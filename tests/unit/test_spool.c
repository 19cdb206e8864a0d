/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_spool.c: what the spool finds in its directory: its own, which must be readable, and what others left there. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "vtl/state/spool.h"

static const struct seg_id one = {1, 0xa, 1}, two = {1, 0xa, 2};
#define ONE "00000001-0000000a-0000000001"
#define TWO "00000001-0000000a-0000000002"

struct place {
    char dir[64], spool[80], log[8192];
};

/* The linker puts this in place of the library's own: what was synced since n_synced was 0. */
static ino_t synced[16];
static size_t n_synced;
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    struct stat st;
    if (n_synced < sizeof(synced) / sizeof(synced[0]) && !fstat(fd, &st))
        synced[n_synced++] = st.st_ino;
    return __real_fsync(fd);
}

static bool is_synced(const char *path)
{
    struct stat st;
    bool is = false;
    assert_int_equal(stat(path, &st), 0);
    for (size_t i = 0; i < n_synced; i++)
        is = is || synced[i] == st.st_ino;
    return is;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

static const char *in(const struct place *p, const char *name)
{
    static char path[200];
    (void)snprintf(path, sizeof(path), "%s/%s", p->spool, name);
    return path;
}

static void make_file(const struct place *p, const char *name)
{
    FILE *f = fopen(in(p, name), "w");
    assert_non_null(f);
    fputs("content", f);
    fclose(f);
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/s3vtl-spool-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    (void)snprintf(p->spool, sizeof(p->spool), "%s/spool", p->dir);
    assert_int_equal(mkdir(p->spool, 0700), 0);
    assert_int_equal(mkdir(in(p, "SPO001L8"), 0700), 0);
    make_file(p, "SPO001L8/" ONE);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    (void)nftw(p->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(p);
    return 0;
}

/* The log meanwhile is kept in p->log. */
static int open_spool(struct place *p, struct spool **s, struct errtext *err)
{
    char path[80];
    (void)snprintf(path, sizeof(path), "%s/log", p->dir);
    int was = dup(2), log = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(was >= 0 && log >= 0);
    fflush(stderr);
    dup2(log, 2);
    int rc = spool_open(p->spool, 1 << 20, s, err);
    fflush(stderr);
    dup2(was, 2);
    close(was);
    ssize_t n = pread(log, p->log, sizeof(p->log) - 1, 0);
    p->log[n > 0 ? n : 0] = '\0';
    close(log);
    return rc;
}

static unsigned times(const char *text, const char *word)
{
    unsigned n = 0;
    for (const char *t = text; (t = strstr(t, word)); t++)
        n++;
    return n;
}

static void what_is_not_ours_is_passed_over_and_named_once(void **state)
{
    struct place *p = *state;
    struct spool *s = NULL;
    struct errtext err = {""};
    static const char *const strays[] = {"lost+found",      "notes.txt",           ".hidden",      "nowhere",
                                         "SPO001L8/README", "SPO001L8/other.part", "SPO001L8/" TWO};
    assert_int_equal(mkdir(in(p, "lost+found"), 0), 0);
    assert_int_equal(symlink("/nowhere/at/all", in(p, "nowhere")), 0);
    assert_int_equal(mkdir(in(p, "SPO001L8/" TWO), 0700), 0); /* no file, though of a segment's name */
    make_file(p, "notes.txt");
    make_file(p, ".hidden");
    make_file(p, "SPO001L8/README");
    make_file(p, "SPO001L8/other.part");
    if (open_spool(p, &s, &err))
        fail_msg("%s", err.text);
    assert_true(spool_has(s, "SPO001L8", &one));
    assert_false(spool_has(s, "SPO001L8", &two));
    for (size_t i = 0; i < sizeof(strays) / sizeof(strays[0]); i++) {
        char line[300];
        struct stat st;
        (void)snprintf(line, sizeof(line), "%s is not the library's", in(p, strays[i]));
        assert_int_equal(times(p->log, line), 1);
        assert_int_equal(lstat(in(p, strays[i]), &st), 0);
    }
    assert_int_equal(times(p->log, "\n"), sizeof(strays) / sizeof(strays[0]));
    spool_close(s);
}

static void what_is_ours_is_not_told_of(void **state)
{
    struct place *p = *state;
    struct spool *s = NULL;
    struct errtext err = {""};
    make_file(p, "SPO001L8/" TWO ".part");
    make_file(p, "SPO001L8/" TWO ".bad");
    if (open_spool(p, &s, &err))
        fail_msg("%s", err.text);
    assert_string_equal(p->log, "");
    assert_int_equal(access(in(p, "SPO001L8/" TWO ".part"), F_OK), -1); /* unfinished: it goes */
    assert_int_equal(access(in(p, "SPO001L8/" TWO ".bad"), F_OK), 0);
    spool_close(s);
}

static off_t size_of(const struct place *p, const char *name)
{
    struct stat st;
    return stat(in(p, name), &st) ? -1 : st.st_size;
}

/* A kill left the second name: a takeover had begun. */
static void the_copy_of_a_file_with_two_names_is_a_file_of_its_own(void **state)
{
    struct place *p = *state;
    struct spool *s = NULL;
    struct errtext err = {""};
    if (open_spool(p, &s, &err))
        fail_msg("%s", err.text);
    off_t size = size_of(p, "SPO001L8/" ONE);
    assert_true(size > 0);
    assert_int_equal(spool_name_bad(s, "SPO001L8", &one), 0);
    assert_int_equal(spool_keep_copy(s, "SPO001L8", &one), 0);
    assert_int_equal(size_of(p, "SPO001L8/" ONE), size);
    assert_int_equal(size_of(p, "SPO001L8/" ONE ".bad"), size);
    assert_int_equal(truncate(in(p, "SPO001L8/" ONE), 0), 0);
    assert_int_equal(size_of(p, "SPO001L8/" ONE ".bad"), size);
    assert_int_equal(unlink(in(p, "SPO001L8/" ONE)), 0);
    assert_int_equal(spool_keep_copy(s, "SPO001L8", &one), -ENOENT);
    assert_int_equal(size_of(p, "SPO001L8/" ONE ".bad"), size); /* what is there stays */
    spool_close(s);
}

/* Not even root can open a directory when no more files may be open. */
static void what_is_ours_and_unreadable_is_an_error_that_names_it(void **state)
{
    struct place *p = *state;
    struct spool *s = NULL;
    struct errtext err = {""};
    struct rlimit all, few;
    char want[300];
    int next = dup(0);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    few = all;
    few.rlim_cur = (rlim_t)next + 1; /* the spool itself */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int rc = spool_open(p->spool, 1 << 20, &s, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
    assert_int_equal(rc, -EMFILE);
    assert_null(s);
    (void)snprintf(want, sizeof(want), "%s: %s", in(p, "SPO001L8"), strerror(EMFILE));
    assert_string_equal(err.text, want);
}

/* Whoever made it may have been killed, or be at it just now, before its entry was safe. */
static void a_directory_that_is_there_is_made_safe_with_each_file_in_it(void **state)
{
    struct place *p = *state;
    struct spool *s = NULL;
    struct errtext err = {""};
    assert_int_equal(open_spool(p, &s, &err), 0);
    n_synced = 0;
    int fd = spool_create(s, "SPO001L8", &two);
    assert_true(fd >= 0);
    close(fd);
    assert_true(is_synced(in(p, "SPO001L8")));
    assert_true(is_synced(p->spool));
    spool_close(s);
}

#define SIZE 7 /* of what make_file makes */

static bool stays(const struct place *p, const char *name)
{
    return !access(in(p, name), F_OK);
}

static bool is_one(void *arg, const struct seg_id *id)
{
    return *(bool *)arg && !seg_id_compare(id, &one);
}

/* Two files of a cache that has no room. */
static struct spool *two_files(struct place *p)
{
    struct spool *s = NULL;
    struct errtext err = {""};
    make_file(p, "SPO001L8/" TWO);
    assert_int_equal(open_spool(p, &s, &err), 0);
    spool_set_cache_size(s, 0);
    return s;
}

static void what_no_head_names_yet_goes_last(void **state)
{
    struct place *p = *state;
    bool but = true;
    struct spool *s = two_files(p);
    spool_stored_unnamed(s, "SPO001L8", &one, SIZE, SIZE);
    spool_stored(s, "SPO001L8", &two, SIZE);
    assert_true(stays(p, "SPO001L8/" ONE));
    assert_false(stays(p, "SPO001L8/" TWO));
    assert_int_equal(spool_shrink(s, 1, false), 0);
    spool_named(s, "OTHER1L8", is_one, &(bool){false});
    spool_named(s, "SPO001L8", is_one, &but);
    assert_true(stays(p, "SPO001L8/" ONE));
    but = false;
    spool_named(s, "SPO001L8", is_one, &but);
    assert_false(stays(p, "SPO001L8/" ONE));
    assert_int_equal(spool_cache_bytes(s), 0);
    spool_close(s);
}

static void what_no_head_names_yet_has_a_bound_and_goes_for_a_full_disk(void **state)
{
    struct place *p = *state;
    struct spool *s = two_files(p);
    spool_stored_unnamed(s, "SPO001L8", &one, SIZE, 2 * SIZE - 1);
    assert_true(stays(p, "SPO001L8/" ONE));
    spool_stored_unnamed(s, "SPO001L8", &two, SIZE, 2 * SIZE - 1);
    assert_false(stays(p, "SPO001L8/" ONE)); /* the older one */
    assert_true(stays(p, "SPO001L8/" TWO));
    assert_int_equal(spool_shrink(s, 1, true), SIZE);
    assert_false(stays(p, "SPO001L8/" TWO));
    spool_close(s);
}

/* What is read of the store may name it. */
static void the_only_copy_is_neither_dropped_nor_replaced_as_cache_is(void **state)
{
    struct place *p = *state;
    struct spool *s = NULL;
    struct errtext err = {""};
    struct stat st;
    assert_int_equal(open_spool(p, &s, &err), 0);
    spool_drop_cached(s, "SPO001L8", &one);
    assert_true(stays(p, "SPO001L8/" ONE));
    int download = spool_download(s, "SPO001L8", &two);
    assert_int_equal(write(download, "of the store", 12), 12);
    int fd = spool_create(s, "SPO001L8", &two);
    assert_int_equal(write(fd, "ours", 4), 4);
    assert_int_equal(spool_download_end(s, "SPO001L8", &two, 12, true), -EEXIST);
    assert_false(stays(p, "SPO001L8/" TWO ".part"));
    assert_int_equal(spool_shrink(s, UINT64_MAX, true), 0);
    assert_int_equal(stat(in(p, "SPO001L8/" TWO), &st), 0);
    assert_int_equal(st.st_size, 4);
    close(download);
    close(fd);
    spool_stored(s, "SPO001L8", &one, SIZE);
    spool_drop_cached(s, "SPO001L8", &one);
    assert_false(stays(p, "SPO001L8/" ONE));
    spool_close(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_not_ours_is_passed_over_and_named_once),
        T(what_is_ours_is_not_told_of),
        T(the_copy_of_a_file_with_two_names_is_a_file_of_its_own),
        T(what_is_ours_and_unreadable_is_an_error_that_names_it),
        T(a_directory_that_is_there_is_made_safe_with_each_file_in_it),
        T(what_no_head_names_yet_goes_last),
        T(what_no_head_names_yet_has_a_bound_and_goes_for_a_full_disk),
        T(the_only_copy_is_neither_dropped_nor_replaced_as_cache_is),
    };
    return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
