/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_objstore_dir.c: what the dir store does beyond the conformance list: crashes, a full disk, its own directories.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "s3backend/objstore.h"

/* In place of libc's: what is made durable is noted, while that is asked for. */
static bool note_syncs;
static char synced[3][200];
static size_t n_synced;

int fsync(int fd)
{
    char link[64];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if (note_syncs && n_synced < 3) {
        ssize_t n = readlink(link, synced[n_synced], sizeof(synced[0]) - 1);
        synced[n_synced++][n > 0 ? n : 0] = '\0';
    }
    return (int)syscall(SYS_fsync, fd);
}

static struct objstore *open_dir(const char *path, const char *prefix)
{
    const struct objstore_config c = {.type = "dir", .path = path, .prefix = prefix};
    struct objstore *s = NULL;
    struct errtext err = {""};
    if (objstore_open(&c, &s, &err))
        fail_msg("%s", err.text);
    return s;
}

static int set_up(void **state)
{
    char *dir = strdup("/tmp/s3vtl-dir-XXXXXX");
    *state = mkdtemp(dir);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    char cmd[128];
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", (char *)*state);
    int rc = system(cmd);
    free(*state);
    return rc;
}

static int put(struct objstore *s, const char *key, const void *p, size_t n, struct errtext *err)
{
    const struct obj_source src = {.mem = p, .fd = -1, .len = n};
    return s->ops->put(s, key, &src, NULL, err);
}

static void must_put(struct objstore *s, const char *key)
{
    struct errtext err = {""};
    if (put(s, key, "x", 1, &err))
        fail_msg("%s", err.text);
}

static bool exists(const char *dir, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

struct seen {
    unsigned n;
    char first[800];
};

static int count(void *arg, const struct obj_entry *e)
{
    struct seen *c = arg;
    if (!c->n++)
        snprintf(c->first, sizeof(c->first), "%s", e->key);
    return 0;
}

static struct seen list(struct objstore *s, const char *prefix, bool slash)
{
    struct seen c = {0};
    struct errtext err = {""};
    if (s->ops->list(s, prefix, NULL, slash, count, &c, NULL, &err))
        fail_msg("%s", err.text);
    return c;
}

static void half_written_objects_are_invisible(void **state)
{
    const char *dir = *state;
    struct objstore *s = open_dir(dir, "");
    char path[128];
    snprintf(path, sizeof(path), "%s/.tmp/put-1-1", dir);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(list(s, "", false).n, 0);
    assert_int_equal(list(s, "", true).n, 0);
    assert_int_equal(list(s, ".tmp/", false).n, 0);
    assert_int_equal(list(s, ".t", false).n, 0);
    struct errtext err;
    uint64_t size;
    assert_int_equal(put(s, ".tmp/x", "x", 1, &err), -EINVAL);
    assert_int_equal(s->ops->head(s, ".tmp/put-1-1", &size, NULL, &err), -EINVAL);
    s->ops->close(s);
}

static void old_leftovers_are_swept_young_ones_stay(void **state)
{
    const char *dir = *state;
    char path[128];
    struct objstore *first = open_dir(dir, "");
    first->ops->close(first);
    for (int i = 0; i < 2; i++) {
        struct timespec t[2] = {{.tv_sec = time(NULL) - (i ? 100000 : 100)},
                                {.tv_sec = time(NULL) - (i ? 100000 : 100)}};
        snprintf(path, sizeof(path), "%s/.tmp/put-1-%d", dir, i);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_int_equal(futimens(fd, t), 0);
        close(fd);
    }
    struct objstore *s = open_dir(dir, "");
    assert_true(exists(dir, ".tmp/put-1-0"));
    assert_false(exists(dir, ".tmp/put-1-1"));
    s->ops->close(s);
}

static void empty_directories_go_with_the_last_object(void **state)
{
    const char *dir = *state, *keys[] = {"a/b/c/1", "a/b/2"};
    struct errtext err = {""};
    struct objstore *s = open_dir(dir, "p/q");
    must_put(s, keys[0]);
    must_put(s, keys[1]);
    assert_int_equal(s->ops->del(s, &keys[0], 1, NULL, &err), 0);
    assert_false(exists(dir, "p/q/a/b/c"));
    assert_true(exists(dir, "p/q/a/b"));
    assert_int_equal(s->ops->del(s, &keys[1], 1, NULL, &err), 0);
    assert_false(exists(dir, "p/q/a"));
    assert_true(exists(dir, "p/q"));
    s->ops->close(s);
}

static void expect_synced(struct objstore *s, const char *const *keys, size_t n, const char *dir, const char *what)
{
    char path[200];
    struct errtext err = {""};
    (void)snprintf(path, sizeof(path), "%s%s", dir, what);
    n_synced = 0;
    note_syncs = true;
    assert_int_equal(s->ops->del(s, keys, n, NULL, &err), 0);
    note_syncs = false;
    assert_int_equal(n_synced, 1);
    assert_string_equal(synced[0], path);
}

/* Else a power loss brings back what was acknowledged as gone, and nobody knows of it any more. */
static void what_is_deleted_is_so_durably(void **state)
{
    const char *dir = *state, *keys[] = {"a/b/1", "a/b/2", "a/b/3", "a/4", "5"};
    struct objstore *s = open_dir(dir, "p");
    for (size_t i = 0; i < 5; i++)
        must_put(s, keys[i]);
    expect_synced(s, keys, 2, dir, "/p/a/b");   /* once for both */
    expect_synced(s, keys + 2, 1, dir, "/p/a"); /* which went with it */
    expect_synced(s, keys + 3, 1, dir, "/p");
    expect_synced(s, keys + 4, 1, dir, "/p");
    s->ops->close(s);
}

/* A crash between making a directory and its object leaves one; it holds no key. */
static void an_empty_directory_is_no_group(void **state)
{
    const char *dir = *state;
    char path[128];
    struct objstore *s = open_dir(dir, "");
    snprintf(path, sizeof(path), "%s/empty", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    must_put(s, "full/x");
    struct seen c = list(s, "", true);
    assert_int_equal(c.n, 1);
    assert_string_equal(c.first, "full/");
    s->ops->close(s);
}

static void a_and_a_slash_b_cannot_both_be(void **state)
{
    struct errtext err = {""};
    struct objstore *s = open_dir(*state, "");
    must_put(s, "a");
    assert_int_equal(put(s, "a/b", "x", 1, &err), -EIO);
    assert_non_null(strstr(err.text, "can't hold both"));
    must_put(s, "d/x");
    assert_int_equal(put(s, "d", "x", 1, &err), -EIO);
    assert_non_null(strstr(err.text, "can't hold both"));
    s->ops->close(s);
}

static void a_prefix_cannot_leave_the_store(void **state)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/store", (char *)*state);
    struct objstore *s = open_dir(path, ""), *outer = open_dir(*state, "");
    must_put(outer, "secret/x");
    static const char *const out[] = {"../secret/", "..", "a/../../secret/", "/tmp/", "/", "//"};
    for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++)
        assert_int_equal(list(s, out[i], false).n, 0);
    outer->ops->close(outer);
    s->ops->close(s);
}

struct rival {
    struct objstore *s;
    pthread_t thread;
    char content[65536];
    int rc;
};

static void *put_rival(void *arg)
{
    struct rival *r = arg;
    r->rc = put(r->s, "same/key", r->content, sizeof(r->content), NULL);
    return NULL;
}

/* Two handles on one directory, many threads, one key: one content wins, the others are told, nothing is mixed. */
static void one_of_many_rivals_wins(void **state)
{
    enum { N = 8 };
    struct objstore *s[2] = {open_dir(*state, ""), open_dir(*state, "")};
    struct rival *r = calloc(N, sizeof(*r));
    for (int i = 0; i < N; i++) {
        r[i].s = s[i % 2];
        memset(r[i].content, 'a' + i, sizeof(r[i].content));
        assert_int_equal(pthread_create(&r[i].thread, NULL, put_rival, &r[i]), 0);
    }
    int won = -1;
    for (int i = 0; i < N; i++) {
        pthread_join(r[i].thread, NULL);
        assert_true(r[i].rc == 0 || r[i].rc == -EEXIST);
        if (r[i].rc == 0) {
            assert_int_equal(won, -1);
            won = i;
        }
    }
    assert_true(won >= 0);
    char *got = malloc(65536);
    struct errtext err;
    assert_int_equal(s[0]->ops->get(s[0], "same/key", 0, 65536, got, NULL, &err), 0);
    assert_memory_equal(got, r[won].content, 65536);
    free(got);
    free(r);
    s[0]->ops->close(s[0]);
    s[1]->ops->close(s[1]);
}

struct churn {
    struct objstore *s;
    pthread_t thread;
    int number, rc;
};

/* ---- a file system that can do less ---- */

static bool no_flag, no_link; /* renameat2 knows no RENAME_NOREPLACE; there are no links */

int __real_renameat2(int from, const char *old, int to, const char *name, unsigned flags);
int __wrap_renameat2(int from, const char *old, int to, const char *name, unsigned flags);
int __wrap_renameat2(int from, const char *old, int to, const char *name, unsigned flags)
{
    if (!no_flag)
        return __real_renameat2(from, old, to, name, flags);
    errno = EINVAL;
    return -1;
}

int __real_linkat(int from, const char *old, int to, const char *name, int flags);
int __wrap_linkat(int from, const char *old, int to, const char *name, int flags);
int __wrap_linkat(int from, const char *old, int to, const char *name, int flags)
{
    if (!no_link)
        return __real_linkat(from, old, to, name, flags);
    errno = EPERM;
    return -1;
}

static enum obj_known creates(struct objstore *s)
{
    struct obj_facts facts;
    objstore_facts(s, &facts);
    return facts.creates;
}

static void assert_never_overwrites(struct objstore *s, const char *key)
{
    struct errtext err;
    assert_int_equal(put(s, key, "one", 3, &err), 0);
    assert_int_equal(put(s, key, "one", 3, &err), 0);
    assert_int_equal(put(s, key, "two", 3, &err), -EEXIST);
}

/* A link does as well; without it only a look before is left, and that is told. */
static void without_noreplace_nothing_is_overwritten(void **state)
{
    struct objstore *s = open_dir(*state, "");
    no_flag = true;
    assert_never_overwrites(s, "a/linked");
    assert_int_equal(creates(s), OBJ_YES);
    no_link = true;
    assert_never_overwrites(s, "a/looked");
    assert_int_equal(creates(s), OBJ_NO);
    no_flag = no_link = false;
    char tmp[256];
    snprintf(tmp, sizeof(tmp), "%s/.tmp", (const char *)*state);
    assert_int_equal(rmdir(tmp), 0); /* nothing is left there */
    s->ops->close(s);
}

static void *put_and_delete(void *arg)
{
    struct churn *c = arg;
    char key[64];
    const char *k = key;
    snprintf(key, sizeof(key), "x/y/%d", c->number);
    for (int i = 0; i < 100 && c->rc == 0; i++) {
        c->rc = put(c->s, key, "x", 1, NULL);
        if (c->rc == 0)
            c->rc = c->s->ops->del(c->s, &k, 1, NULL, NULL);
    }
    return NULL;
}

/* A delete takes away the directory that a put has just made. */
static void puts_beside_deletes_in_one_directory(void **state)
{
    enum { N = 4 };
    struct objstore *s = open_dir(*state, "");
    struct churn c[N];
    for (int i = 0; i < N; i++) {
        c[i] = (struct churn){.s = s, .number = i};
        assert_int_equal(pthread_create(&c[i].thread, NULL, put_and_delete, &c[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(c[i].thread, NULL);
        assert_int_equal(c[i].rc, 0);
    }
    assert_int_equal(list(s, "", false).n, 0);
    s->ops->close(s);
}

enum { CRASH_SIZE = 100000 };

/* Puts object after object and tells each that is acknowledged, until it's killed. */
static void child_puts(const char *dir, int tell)
{
    struct objstore *s = open_dir(dir, "");
    char *data = malloc(CRASH_SIZE);
    for (unsigned i = 0;; i++) {
        char key[32];
        snprintf(key, sizeof(key), "crash/%06u", i);
        memset(data, (int)('a' + i % 26), CRASH_SIZE);
        if (put(s, key, data, CRASH_SIZE, NULL) || write(tell, &i, sizeof(i)) != sizeof(i))
            _exit(1);
    }
}

static int check_whole(void *arg, const struct obj_entry *e)
{
    struct objstore *s = arg;
    unsigned i = (unsigned)strtoul(e->key + 6, NULL, 10);
    char *data = malloc(CRASH_SIZE);
    struct errtext err = {""};
    assert_int_equal(e->size, CRASH_SIZE);
    assert_int_equal(s->ops->get(s, e->key, 0, CRASH_SIZE, data, NULL, &err), 0);
    for (size_t k = 0; k < CRASH_SIZE; k++)
        assert_int_equal(data[k], 'a' + i % 26);
    free(data);
    return 0;
}

static void kill_9_leaves_whole_objects_and_all_acknowledged(void **state)
{
    const char *dir = *state;
    int p[2];
    assert_int_equal(pipe(p), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(p[0]);
        child_puts(dir, p[1]);
    }
    close(p[1]);
    unsigned last = 0, i;
    while (last < 20 && read(p[0], &i, sizeof(i)) == (ssize_t)sizeof(i))
        last = i;
    assert_int_equal(kill(pid, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    while (read(p[0], &i, sizeof(i)) == (ssize_t)sizeof(i))
        last = i;
    close(p[0]);
    struct objstore *s = open_dir(dir, "");
    struct errtext err = {""};
    assert_int_equal(s->ops->list(s, "crash/", NULL, false, check_whole, s, NULL, &err), 0);
    assert_true(list(s, "crash/", false).n >= last + 1);
    s->ops->close(s);
}

/* In a child with a mount namespace of its own: a tmpfs of 256 KiB. 0 right, 77 may not mount, else wrong. */
static int full_disk_child(const char *dir)
{
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("tmpfs", dir, "tmpfs", 0, "size=256k"))
        return 77;
    struct objstore *s = open_dir(dir, "");
    struct errtext err = {""};
    char *big = calloc(1, 1 << 20), c = 0;
    if (put(s, "small", "x", 1, &err) || put(s, "big", big, 1 << 20, &err) != -EIO)
        return 1;
    if (!strstr(err.text, "full") || !strstr(err.text, "put big") || !strstr(err.text, dir))
        return 2;
    if (list(s, "", false).n != 1 || s->ops->get(s, "small", 0, 1, &c, NULL, &err) || c != 'x')
        return 3;
    /* The half that was written is gone: there is room again. */
    return put(s, "other", big, 100 << 10, &err) ? 4 : 0;
}

static void a_full_disk_is_told_and_leaves_nothing(void **state)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(full_disk_child(*state));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("# needs the right to mount\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_removed_directory_fails_the_check(void **state)
{
    char path[128], cmd[160];
    struct errtext err = {""};
    snprintf(path, sizeof(path), "%s/store", (char *)*state);
    struct objstore *s = open_dir(path, "");
    assert_int_equal(s->ops->check(s, NULL, &err), 0);
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", path);
    assert_int_equal(system(cmd), 0);
    assert_int_equal(s->ops->check(s, NULL, &err), -EIO);
    assert_non_null(strstr(err.text, "was removed"));
    s->ops->close(s);
}

/* A file system that does not say what its entries are: NFS, some of FUSE, XFS without ftype. */
static bool no_types;
static int stat_error;

struct dirent *__real_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir)
{
    struct dirent *e = __real_readdir(dir);
    if (e && no_types)
        e->d_type = DT_UNKNOWN;
    return e;
}

int __real_fstatat(int dir, const char *name, struct stat *st, int flags);
int __wrap_fstatat(int dir, const char *name, struct stat *st, int flags);
int __wrap_fstatat(int dir, const char *name, struct stat *st, int flags)
{
    if (!stat_error || strcmp(name, "b") != 0)
        return __real_fstatat(dir, name, st, flags);
    errno = stat_error;
    return -1;
}

/* Else the head of a tape that is the newest may be missing. */
static void a_list_without_an_entry_that_cannot_be_looked_at_is_an_error(void **state)
{
    struct objstore *s = open_dir(*state, "");
    struct errtext err = {""};
    struct seen c = {.n = 0};
    must_put(s, "a");
    must_put(s, "b");
    must_put(s, "c/d");
    no_types = true;
    assert_int_equal(list(s, "", false).n, 3);
    stat_error = ESTALE;
    assert_true(s->ops->list(s, "", NULL, false, count, &c, NULL, &err) < 0);
    assert_true(err.text[0]);
    stat_error = ENOENT; /* just deleted */
    assert_int_equal(list(s, "", false).n, 2);
    stat_error = 0;
    no_types = false;
    s->ops->close(s);
}

#define each(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static void bytes_that_are_not_those_of_the_known_sum_are_not_stored(void **state)
{
    struct objstore *s = open_dir(*state, "");
    struct errtext err = {""};
    struct obj_source src = {.mem = "123456789", .fd = -1, .len = 9, .has_crc = true, .crc32c = 0xE3069283};
    assert_int_equal(s->ops->put(s, "good", &src, NULL, &err), 0);
    src.crc32c ^= 1;
    assert_int_equal(s->ops->put(s, "bad", &src, NULL, &err), -EIO);
    assert_non_null(strstr(err.text, "not what it was"));
    assert_true(exists(*state, "good"));
    assert_false(exists(*state, "bad"));
    s->ops->close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(bytes_that_are_not_those_of_the_known_sum_are_not_stored),
        each(half_written_objects_are_invisible),
        each(a_list_without_an_entry_that_cannot_be_looked_at_is_an_error),
        each(old_leftovers_are_swept_young_ones_stay),
        each(empty_directories_go_with_the_last_object),
        each(what_is_deleted_is_so_durably),
        each(an_empty_directory_is_no_group),
        each(a_and_a_slash_b_cannot_both_be),
        each(a_prefix_cannot_leave_the_store),
        each(one_of_many_rivals_wins),
        each(without_noreplace_nothing_is_overwritten),
        each(puts_beside_deletes_in_one_directory),
        each(kill_9_leaves_whole_objects_and_all_acknowledged),
        each(a_full_disk_is_told_and_leaves_nothing),
        each(a_removed_directory_fails_the_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
