/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_conformance.c: what objstore.h promises, against one real store.
 *
 *   DIR_PATH                            a directory (dir store), or
 *   S3_URL S3_BUCKET S3_CREDENTIALS     an S3 service; S3_REGION S3_STYLE S3_CA_FILE if need be
 *   STORE_SLOW=1                        fewer objects, for stores where each takes long
 *   STORE_CREATES=1                     a store that is known to honour If-None-Match
 *   STORE_COMPARES=1                    a store that is known to compare x-amz-checksum-crc32c with the body
 *
 * Works below a prefix of its own and deletes what it made.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "s3backend/s3.h"

enum { SMALL_PAGE = 7, MIB = 1 << 20 };

struct fixture {
    struct objstore *store;
    bool is_s3, slow;
    char prefix[64];
    char scratch[64]; /* a directory for files of the test */
};

static const char *env(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

static struct objstore_config s3_config(const struct fixture *f)
{
    return (struct objstore_config){.type = "s3",
                                    .url = env("S3_URL"),
                                    .bucket = env("S3_BUCKET"),
                                    .prefix = f->prefix,
                                    .region = env("S3_REGION"),
                                    .credentials_file = env("S3_CREDENTIALS"),
                                    .ca_file = env("S3_CA_FILE"),
                                    .style = env("S3_STYLE"),
                                    .parallel = 4};
}

/* The store with small pages and small parts, so that a few objects need several. */
static struct objstore *open_small(const struct fixture *f)
{
    struct s3_tuning t = s3_default_tuning;
    struct objstore *s = NULL;
    struct errtext err = {""};
    struct objstore_config cfg = s3_config(f);
    t.max_keys = SMALL_PAGE;
    t.delete_batch = SMALL_PAGE;
    t.multipart_over = 6 * MIB;
    t.part_size = 5 * MIB;
    if (s3_open(&cfg, &t, &s, &err))
        fail_msg("%s", err.text);
    return s;
}

/* The expression passes ok_err as its errtext. */
#define ok(expr)                                                                                                       \
    do {                                                                                                               \
        struct errtext ok_text = {""}, *ok_err = &ok_text;                                                             \
        if ((expr) != 0)                                                                                               \
            fail_msg("%s: %s", #expr, ok_text.text);                                                                   \
    } while (0)

static void fill(unsigned char *p, size_t n, unsigned seed)
{
    uint64_t x = seed * 0x9E3779B97F4A7C15u + 1;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        p[i] = (unsigned char)x;
    }
}

static void put_text(struct objstore *s, const char *key, const char *text)
{
    const struct obj_source src = {.mem = text, .fd = -1, .len = strlen(text)};
    ok(s->ops->put(s, key, &src, NULL, ok_err));
}

/* ---- listing into a list ---- */

struct keys {
    char *v[4096];
    bool group[4096];
    uint64_t size[4096];
    size_t n, stop_at;
};

static int collect(void *arg, const struct obj_entry *e)
{
    struct keys *k = arg;
    assert_true(k->n < 4096);
    k->v[k->n] = strdup(e->key);
    k->group[k->n] = e->is_prefix;
    k->size[k->n++] = e->size;
    return k->stop_at && k->n == k->stop_at ? 77 : 0;
}

static void forget(struct keys *k)
{
    for (size_t i = 0; i < k->n; i++)
        free(k->v[i]);
    free(k);
}

static struct keys *list(struct objstore *s, const char *prefix, const char *after, bool slash)
{
    struct keys *k = calloc(1, sizeof(*k));
    ok(s->ops->list(s, prefix, after, slash, collect, k, NULL, ok_err));
    return k;
}

static void assert_list(struct objstore *s, const char *prefix, const char *after, bool slash, const char *want)
{
    struct keys *k = list(s, prefix, after, slash);
    char got[4096] = "";
    for (size_t i = 0; i < k->n; i++) {
        strcat(got, i ? " " : "");
        strcat(got, k->v[i]);
    }
    assert_string_equal(got, want);
    forget(k);
}

static void delete_all(struct objstore *s, const char *prefix)
{
    struct keys *k = list(s, prefix, NULL, false);
    ok(s->ops->del(s, (const char *const *)k->v, k->n, NULL, ok_err));
    forget(k);
}

/* ---- the list ---- */

static void check_is_content(void **state)
{
    struct fixture *f = *state;
    ok(f->store->ops->check(f->store, NULL, ok_err));
}

struct taken {
    unsigned char *buf;
    size_t len;
};

static int take(void *arg, const void *data, size_t len)
{
    struct taken *t = arg;
    memcpy(t->buf + t->len, data, len);
    t->len += len;
    return 0;
}

static int take_nothing(void *arg, const void *data, size_t len)
{
    (void)arg;
    (void)data;
    (void)len;
    fail();
    return -EIO;
}
static const struct obj_sink nothing = {take_nothing, NULL};

static void put_then_get_whole_and_ranges(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    enum { N = 3 * MIB + 17 };
    unsigned char *data = malloc(N), *got = malloc(N);
    fill(data, N, 1);
    const struct obj_source src = {.mem = data, .fd = -1, .len = N};
    ok(s->ops->put(s, "ranges/a", &src, NULL, ok_err));
    static const struct {
        uint64_t at, len;
    } r[] = {{0, N}, {0, 1}, {N - 1, 1}, {1, N - 1}, {MIB - 1, 2}, {12345, 2 * MIB}, {N - 65536, 65536}};
    for (size_t i = 0; i < sizeof(r) / sizeof(r[0]); i++) {
        memset(got, 0xEE, N);
        ok(s->ops->get(s, "ranges/a", r[i].at, r[i].len, got, NULL, ok_err));
        assert_memory_equal(got, data + r[i].at, r[i].len);
        if (r[i].len < N)
            assert_int_equal(got[r[i].len], 0xEE);
        struct taken t = {got, 0};
        memset(got, 0xEE, N);
        ok(s->ops->stream(s, "ranges/a", r[i].at, r[i].len, &(struct obj_sink){take, &t}, NULL, ok_err));
        assert_int_equal(t.len, r[i].len);
        assert_memory_equal(got, data + r[i].at, r[i].len);
    }
    free(data);
    free(got);
}

static void put_from_a_file_at_an_offset(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    enum { N = 2 * MIB, OFF = 4097 };
    unsigned char *data = malloc(N + OFF), *got = malloc(N);
    char path[128];
    fill(data, N + OFF, 2);
    snprintf(path, sizeof(path), "%s/file", f->scratch);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, N + OFF), N + OFF);
    const struct obj_source src = {.fd = fd, .offset = OFF, .len = N};
    ok(s->ops->put(s, "fromfile", &src, NULL, ok_err));
    ok(s->ops->get(s, "fromfile", 0, N, got, NULL, ok_err));
    assert_memory_equal(got, data + OFF, N);
    close(fd);
    unlink(path);
    free(data);
    free(got);
}

static void empty_object(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    uint64_t size = 99;
    char c = 'x';
    put_text(s, "empty", "");
    ok(s->ops->head(s, "empty", &size, NULL, ok_err));
    assert_int_equal(size, 0);
    ok(s->ops->get(s, "empty", 0, 0, &c, NULL, ok_err));
    assert_int_equal(c, 'x');
}

static void head_tells_the_size(void **state)
{
    struct fixture *f = *state;
    uint64_t size = 0;
    put_text(f->store, "head/five", "12345");
    ok(f->store->ops->head(f->store, "head/five", &size, NULL, ok_err));
    assert_int_equal(size, 5);
}

static void missing_objects_are_enoent(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    struct errtext err = {""};
    uint64_t size;
    char c;
    assert_int_equal(s->ops->head(s, "no/such", &size, NULL, &err), -ENOENT);
    assert_non_null(strstr(err.text, "no/such"));
    err.text[0] = 0;
    assert_int_equal(s->ops->get(s, "no/such", 0, 1, &c, NULL, &err), -ENOENT);
    assert_non_null(strstr(err.text, "no/such"));
    err.text[0] = 0;
    assert_int_equal(s->ops->stream(s, "no/such", 0, 1, &nothing, NULL, &err), -ENOENT);
    assert_non_null(strstr(err.text, "no/such"));
    put_text(s, "is/there", "x");
    assert_int_equal(s->ops->head(s, "is", &size, NULL, &err), -ENOENT);
}

static void range_beyond_the_end_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    struct errtext err = {""};
    struct obj_call once = {.max_tries = 1};
    char buf[16];
    put_text(s, "short", "12345");
    assert_int_equal(s->ops->get(s, "short", 3, 3, buf, &once, &err), -EIO);
    assert_true(err.text[0] != 0);
    err.text[0] = 0;
    assert_int_equal(s->ops->stream(s, "short", 3, 3, &nothing, &once, &err), -EIO);
    assert_true(err.text[0] != 0);
    ok(s->ops->check(s, NULL, ok_err)); /* the store still lives */
}

static void bad_keys_are_refused(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    static const char *const bad[] = {"", "/a", "a//b", "a/", ".", "..", "a/../b", "a b", "a%", "\xC3\xA4", "a\nb"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct errtext err = {""};
        uint64_t size;
        char c = 0;
        const struct obj_source src = {.mem = "x", .fd = -1, .len = 1};
        assert_int_equal(s->ops->put(s, bad[i], &src, NULL, &err), -EINVAL);
        assert_int_equal(s->ops->get(s, bad[i], 0, 1, &c, NULL, &err), -EINVAL);
        assert_int_equal(s->ops->head(s, bad[i], &size, NULL, &err), -EINVAL);
        assert_int_equal(s->ops->del(s, &bad[i], 1, NULL, &err), -EINVAL);
    }
}

static void same_content_may_be_put_again(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    char got[6] = "";
    put_text(s, "again/x", "hello");
    put_text(s, "again/x", "hello");
    ok(s->ops->get(s, "again/x", 0, 5, got, NULL, ok_err));
    assert_string_equal(got, "hello");
}

/* I2. S3 can't refuse everywhere; the dir store does. */
static void other_content_is_refused_by_dir(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    struct errtext err = {""};
    char got[6] = "";
    put_text(s, "fixed/x", "hello");
    static const char *const other[] = {"hellO", "hell", "hello!"};
    for (size_t i = 0; i < 3; i++) {
        const struct obj_source src = {.mem = other[i], .fd = -1, .len = strlen(other[i])};
        assert_int_equal(s->ops->put(s, "fixed/x", &src, NULL, &err), -EEXIST);
    }
    ok(s->ops->get(s, "fixed/x", 0, 5, got, NULL, ok_err));
    assert_string_equal(got, "hello");
}

static void lists_in_byte_order(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    static const char *const keys[] = {"o/b/2", "o/a0", "o/b/10", "o/A", "o/b1", "o/a_", "o/aa/x/y", "o/b/1"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        put_text(s, keys[i], "x");
    assert_list(s, "o/", NULL, false, "o/A o/a0 o/a_ o/aa/x/y o/b/1 o/b/10 o/b/2 o/b1");
    assert_list(s, "o/b", NULL, false, "o/b/1 o/b/10 o/b/2 o/b1");
    assert_list(s, "o/b/1", NULL, false, "o/b/1 o/b/10");
    assert_list(s, "o/none", NULL, false, "");
    assert_list(s, "nothing/here/", NULL, false, "");
    delete_all(s, "o/");
}

/* '-' and '.' come before '/', digits after it: a walk over directories gets it wrong. */
static void byte_order_around_slash(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    static const char *const keys[] = {"w/a/x", "w/a-b", "w/a.b", "w/a0"};
    struct errtext err = {""};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        put_text(s, keys[i], "x");
    assert_list(s, "w/", NULL, false, "w/a-b w/a.b w/a/x w/a0");
    assert_list(s, "w/", NULL, true, "w/a-b w/a.b w/a/ w/a0");
    assert_int_equal(s->ops->del(s, keys, 4, NULL, &err), 0);
}

static void delimiter_groups(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    static const char *const keys[] = {"d/top", "d/x/1", "d/x/2", "d/y/z/3", "d2/q"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        put_text(s, keys[i], "xy");
    struct keys *k = list(s, "d/", NULL, true);
    assert_int_equal(k->n, 3);
    assert_string_equal(k->v[0], "d/top");
    assert_false(k->group[0]);
    assert_int_equal(k->size[0], 2);
    assert_string_equal(k->v[1], "d/x/");
    assert_true(k->group[1]);
    assert_string_equal(k->v[2], "d/y/");
    forget(k);
    assert_list(s, "d", NULL, true, "d/ d2/");
    assert_list(s, "d/x/", NULL, true, "d/x/1 d/x/2");
    delete_all(s, "d");
    /* Not asked by groups: SeaweedFS shows a directory for a while after its last key is gone. */
    assert_list(s, "d", NULL, false, "");
}

static void start_after_begins_behind(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    static const char *const keys[] = {"s/1", "s/2", "s/3/a", "s/3/b", "s/4"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        put_text(s, keys[i], "x");
    assert_list(s, "s/", "s/2", false, "s/3/a s/3/b s/4");
    assert_list(s, "s/", "s/20", false, "s/3/a s/3/b s/4");
    assert_list(s, "s/", "s/3/a", false, "s/3/b s/4");
    assert_list(s, "s/", "s/4", false, "");
    assert_list(s, "s/", "a", false, "s/1 s/2 s/3/a s/3/b s/4");
    delete_all(s, "s/");
}

static void callback_ends_the_list(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    struct errtext err = {""};
    struct keys *k = calloc(1, sizeof(*k));
    put_text(s, "e/1", "x");
    put_text(s, "e/2", "x");
    k->stop_at = 1;
    assert_int_equal(s->ops->list(s, "e/", NULL, false, collect, k, NULL, &err), 77);
    assert_int_equal(k->n, 1);
    forget(k);
    delete_all(s, "e/");
}

/* Several pages of keys and of groups: by a lowered page size on S3, by number elsewhere. */
static void pages_are_followed(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->is_s3 ? open_small(f) : f->store;
    enum { N = 3 * SMALL_PAGE + 2 };
    for (int i = 0; i < N; i++) {
        char key[32];
        snprintf(key, sizeof(key), "p/%02d/k", i);
        put_text(s, key, "x");
    }
    for (int groups = 0; groups < 2; groups++) {
        struct keys *k = list(s, "p/", NULL, groups);
        assert_int_equal(k->n, N);
        for (int i = 0; i < N; i++) {
            char key[32];
            snprintf(key, sizeof(key), groups ? "p/%02d/" : "p/%02d/k", i);
            assert_string_equal(k->v[i], key);
        }
        forget(k);
    }
    delete_all(s, "p/"); /* several batches too */
    assert_list(s, "p/", NULL, false, "");
    if (f->is_s3)
        s->ops->close(s);
}

struct filler {
    struct objstore *s;
    int first, step, n, failed;
    pthread_t thread;
};

static void *put_every_nth(void *arg)
{
    struct filler *f = arg;
    const struct obj_source src = {.mem = "", .fd = -1, .len = 0};
    for (int i = f->first; i < f->n && !f->failed; i += f->step) {
        char key[32];
        struct errtext err = {""};
        snprintf(key, sizeof(key), "k/%05d", i);
        if (f->s->ops->put(f->s, key, &src, NULL, &err)) {
            fprintf(stderr, "# %s\n", err.text);
            f->failed = 1;
        }
    }
    return NULL;
}

/* More than one page of the usual size. Empty objects: a renterd without packing keeps 12 MiB and more for a single
 * byte. */
static void a_thousand_keys_and_more(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    enum { THREADS = 8 };
    struct filler fill_by[THREADS];
    const int n = f->slow ? 23 : 1003;
    for (int i = 0; i < THREADS; i++) {
        fill_by[i] = (struct filler){.s = s, .first = i, .step = THREADS, .n = n};
        assert_int_equal(pthread_create(&fill_by[i].thread, NULL, put_every_nth, &fill_by[i]), 0);
    }
    int failed = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(fill_by[i].thread, NULL);
        failed += fill_by[i].failed;
    }
    assert_int_equal(failed, 0);
    struct keys *k = list(s, "k/", NULL, false);
    assert_int_equal(k->n, n);
    for (int i = 0; i < n; i++) {
        char key[32];
        snprintf(key, sizeof(key), "k/%05d", i);
        assert_string_equal(k->v[i], key);
    }
    forget(k);
    delete_all(s, "k/");
    assert_list(s, "k/", NULL, false, "");
}

static void deleting_a_missing_key_is_no_error(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    put_text(s, "del/there", "x");
    const char *keys[] = {"del/gone", "del/there", "del/there/deeper", "other/none"};
    ok(s->ops->del(s, keys, 4, NULL, ok_err));
    ok(s->ops->del(s, keys, 4, NULL, ok_err));
    ok(s->ops->del(s, keys, 0, NULL, ok_err));
    assert_list(s, "del/", NULL, false, "");
}

static void a_bad_key_does_not_stop_the_delete(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    struct errtext err = {""};
    put_text(s, "db/1", "x");
    put_text(s, "db/2", "x");
    const char *keys[] = {"db/1", "bad key", "db/2"};
    assert_int_equal(s->ops->del(s, keys, 3, NULL, &err), -EINVAL);
    assert_non_null(strstr(err.text, "bad key"));
    assert_list(s, "db/", NULL, false, "");
}

static void multipart_round_trip(void **state)
{
    struct fixture *f = *state;
    enum { N = 11 * MIB + 3 };
    struct objstore *s = open_small(f);
    unsigned char *data = malloc(N), *got = malloc(N);
    uint64_t size = 0;
    fill(data, N, 3);
    const struct obj_source src = {.mem = data, .fd = -1, .len = N};
    ok(s->ops->put(s, "multi/part", &src, NULL, ok_err));
    ok(s->ops->head(s, "multi/part", &size, NULL, ok_err));
    assert_int_equal(size, N);
    ok(s->ops->get(s, "multi/part", 0, N, got, NULL, ok_err));
    assert_memory_equal(got, data, N);
    ok(s->ops->get(s, "multi/part", 5 * MIB - 10, 20, got, NULL, ok_err));
    assert_memory_equal(got, data + 5 * MIB - 10, 20);
    s->ops->close(s);
    free(data);
    free(got);
}

/* ---- at once ---- */

struct worker {
    struct objstore *s;
    int number, failed;
    pthread_t thread;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    enum { N = 300 * 1024 };
    unsigned char *data = malloc(N), *got = malloc(N);
    for (int i = 0; i < 4 && !w->failed; i++) {
        char key[64];
        struct errtext err = {""};
        snprintf(key, sizeof(key), "many/%d/%d", w->number, i);
        fill(data, N, (unsigned)(w->number * 100 + i + 10));
        const struct obj_source src = {.mem = data, .fd = -1, .len = N};
        if (w->s->ops->put(w->s, key, &src, NULL, &err) || w->s->ops->get(w->s, key, 0, N, got, NULL, &err) ||
            memcmp(data, got, N) != 0) {
            fprintf(stderr, "# %s: %s\n", key, err.text);
            w->failed = 1;
        }
    }
    free(data);
    free(got);
    return NULL;
}

static void many_threads_at_once(void **state)
{
    struct fixture *f = *state;
    enum { THREADS = 12 };
    struct worker w[THREADS];
    for (int i = 0; i < THREADS; i++) {
        w[i] = (struct worker){.s = f->store, .number = i};
        assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    int failed = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(w[i].thread, NULL);
        failed += w[i].failed;
    }
    assert_int_equal(failed, 0);
    struct keys *k = list(f->store, "many/", NULL, false);
    assert_int_equal(k->n, THREADS * 4);
    forget(k);
    delete_all(f->store, "many/");
}

static void cancel_ends_a_call(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    atomic_bool cancel = true;
    struct obj_call c = {.cancel = &cancel};
    struct errtext err = {""};
    uint64_t size;
    char got[5];
    struct keys *k = calloc(1, sizeof(*k));
    const struct obj_source src = {.mem = "hello", .fd = -1, .len = 5};
    put_text(s, "c/x", "hello");
    assert_int_equal(s->ops->put(s, "c/y", &src, &c, &err), -ECANCELED);
    assert_int_equal(s->ops->get(s, "c/x", 0, 5, got, &c, &err), -ECANCELED);
    assert_int_equal(s->ops->head(s, "c/x", &size, &c, &err), -ECANCELED);
    assert_int_equal(s->ops->list(s, "c/", NULL, false, collect, k, &c, &err), -ECANCELED);
    forget(k);
}

static enum obj_known creates(struct objstore *s)
{
    struct obj_facts facts;
    s->ops->facts(s, &facts);
    return facts.creates;
}

/* A store of its own finds out whether the service can, and leaves nothing behind. Where it can't (trap 9), a put goes
 * through all the same. */
static void if_none_match_never_overwrites(void **state)
{
    struct fixture *f = *state;
    struct objstore *s = f->store;
    const struct obj_call c = {.if_none_match = true};
    const struct obj_source one = {.mem = "one", .fd = -1, .len = 3}, two = {.mem = "two", .fd = -1, .len = 3};
    struct errtext err = {""};
    char got[3];
    ok(objstore_learn(s, NULL, ok_err));
    assert_list(s, "create-probe", NULL, false, "");
    assert_int_not_equal(creates(s), OBJ_UNKNOWN);
    if (!f->is_s3 || env("STORE_CREATES"))
        assert_int_equal(creates(s), OBJ_YES);
    ok(s->ops->put(s, "new/a", &one, &c, ok_err));
    ok(s->ops->put(s, "new/a", &one, &c, ok_err)); /* the same content */
    if (creates(s) == OBJ_YES) {
        assert_int_equal(s->ops->put(s, "new/a", &two, &c, &err), -EEXIST);
        print_message("# %s\n", err.text);
    }
    ok(s->ops->get(s, "new/a", 0, 3, got, NULL, ok_err));
    assert_memory_equal(got, "one", 3);
}

struct rival {
    struct objstore *s;
    pthread_t thread;
    char text[8];
    int rc;
};

static void *put_rival(void *arg)
{
    struct rival *r = arg;
    const struct obj_source src = {.mem = r->text, .fd = -1, .len = sizeof(r->text)};
    const struct obj_call c = {.if_none_match = true};
    struct errtext err;
    r->rc = r->s->ops->put(r->s, "rivals/a", &src, &c, &err);
    return NULL;
}

/* Only where the store can. */
static void of_rivals_one_wins(void **state)
{
    struct fixture *f = *state;
    struct rival r[8];
    char got[8];
    unsigned won = 0;
    ok(objstore_learn(f->store, NULL, ok_err));
    if (creates(f->store) != OBJ_YES)
        return;
    for (int i = 0; i < 8; i++) {
        r[i] = (struct rival){.s = f->store};
        snprintf(r[i].text, sizeof(r[i].text), "rival %d", i);
        assert_int_equal(pthread_create(&r[i].thread, NULL, put_rival, &r[i]), 0);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(r[i].thread, NULL);
    ok(f->store->ops->get(f->store, "rivals/a", 0, 8, got, NULL, ok_err));
    for (int i = 0; i < 8; i++) {
        assert_true(r[i].rc == 0 || r[i].rc == -EEXIST);
        won += r[i].rc == 0;
        assert_int_equal(r[i].rc == 0, memcmp(got, r[i].text, 8) == 0);
    }
    assert_int_equal(won, 1);
}

static struct objstore *open_other(const struct objstore_config *cfg)
{
    struct objstore *s = NULL;
    ok(objstore_open(cfg, &s, ok_err));
    return s;
}

/* A store of its own, which knows nothing yet: after two objects it is known whether the store compares a checksum, and
 * the question has left nothing behind. STORE_COMPARES: it has to. */
static void whether_checksums_are_compared_is_found_out(void **state)
{
    struct fixture *f = *state;
    enum { N = 2 * MIB };
    uint64_t size;
    unsigned char *data = malloc(N);
    struct objstore_config cfg = s3_config(f);
    struct objstore *s = open_other(&cfg);
    const struct obj_source small = {.mem = "x", .fd = -1, .len = 1}, big = {.mem = data, .fd = -1, .len = N};
    fill(data, N, 3);
    ok(s->ops->put(s, "sum/small", &small, NULL, ok_err));
    ok(s->ops->put(s, "sum/big", &big, NULL, ok_err));
    int found = atomic_load(&((struct s3_store *)s)->checksum);
    assert_true(found == S3_CHECKSUM_COMPARED || found == S3_CHECKSUM_UNUSED);
    if (env("STORE_COMPARES"))
        assert_int_equal(found, S3_CHECKSUM_COMPARED);
    struct errtext err;
    assert_int_equal(s->ops->head(s, "checksum-probe", &size, NULL, &err), -ENOENT);
    s->ops->close(s);
    free(data);
}

/* ---- what a person gets wrong ---- */

/* Each call on a store that can't work: a clear line with all of the words, and the code. */
static void assert_all_fail(struct objstore *s, int check_code, int code, const char *word, const char *word2)
{
    const struct obj_call once = {.max_tries = 1};
    const struct obj_source src = {.mem = "x", .fd = -1, .len = 1};
    struct errtext err = {""};
    char c;
    struct keys *k = calloc(1, sizeof(*k));
    assert_int_equal(s->ops->check(s, &once, &err), check_code);
    print_message("# %s\n", err.text);
    assert_non_null(strstr(err.text, word));
    assert_non_null(strstr(err.text, word2));
    assert_int_equal(s->ops->put(s, "a", &src, &once, &err), code);
    assert_non_null(strstr(err.text, word2));
    assert_int_equal(s->ops->get(s, "a", 0, 1, &c, &once, &err), code);
    assert_non_null(strstr(err.text, word2));
    assert_int_equal(s->ops->list(s, "", NULL, false, collect, k, &once, &err), code);
    assert_non_null(strstr(err.text, word2));
    assert_int_equal(k->n, 0);
    forget(k);
}

static void a_missing_bucket_is_named(void **state)
{
    struct fixture *f = *state;
    struct objstore_config cfg = s3_config(f);
    cfg.bucket = "no-such-bucket-here";
    struct objstore *s = open_other(&cfg);
    const struct obj_call once = {.max_tries = 1};
    struct errtext err = {""};
    struct keys *k = calloc(1, sizeof(*k));
    char c;
    assert_int_equal(s->ops->check(s, &once, &err), -ENOENT);
    print_message("# %s\n", err.text);
    assert_non_null(strstr(err.text, "bucket no-such-bucket-here does not exist"));
    /* Never "no such object": that would look like an empty library. */
    assert_int_equal(s->ops->get(s, "a", 0, 1, &c, &once, &err), -EIO);
    print_message("# %s\n", err.text);
    assert_non_null(strstr(err.text, "no-such-bucket-here"));
    assert_int_equal(s->ops->list(s, "", NULL, false, collect, k, &once, &err), -EIO);
    assert_non_null(strstr(err.text, "no-such-bucket-here"));
    forget(k);
    s->ops->close(s);
}

static void write_credentials(const struct fixture *f, char path[128], const char *access, const char *secret)
{
    snprintf(path, 128, "%s/credentials", f->scratch);
    FILE *o = fopen(path, "w");
    assert_non_null(o);
    fchmod(fileno(o), 0600);
    fprintf(o, "access_key = %s\nsecret_key = %s\n", access, secret);
    fclose(o);
}

static void read_credentials(char access[256], char secret[256])
{
    FILE *i = fopen(env("S3_CREDENTIALS"), "r");
    assert_non_null(i);
    assert_int_equal(fscanf(i, " access_key = %255s secret_key = %255s", access, secret), 2);
    fclose(i);
}

static void a_wrong_secret_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[128], access[256], secret[256];
    read_credentials(access, secret);
    secret[0] = secret[0] == 'x' ? 'y' : 'x';
    write_credentials(f, path, access, secret);
    struct objstore_config cfg = s3_config(f);
    cfg.credentials_file = path;
    struct objstore *s = open_other(&cfg);
    assert_all_fail(s, -EACCES, -EACCES, env("S3_BUCKET"), "wrong key, secret, or clock");
    s->ops->close(s);
    unlink(path);
}

static void a_wrong_access_key_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[128];
    write_credentials(f, path, "NOSUCHKEYNOSUCHKEY00", "0123456789012345678901234567890123456789");
    struct objstore_config cfg = s3_config(f);
    cfg.credentials_file = path;
    struct objstore *s = open_other(&cfg);
    assert_all_fail(s, -EACCES, -EACCES, env("S3_BUCKET"), "key");
    s->ops->close(s);
    unlink(path);
}

/* Over TLS only: the store's certificate is our CA's, and the system doesn't know it. */
static void an_unknown_certificate_is_refused(void **state)
{
    struct objstore_config cfg = s3_config(*state);
    cfg.ca_file = NULL;
    struct objstore *s = open_other(&cfg);
    assert_all_fail(s, -EIO, -EIO, "certificate", "ca_file");
    s->ops->close(s);
}

static void an_unreachable_port_is_an_error(void **state)
{
    struct fixture *f = *state;
    char url[64];
    /* A port that is bound and does not listen: nobody else can take it meanwhile. */
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d", ntohs(a.sin_port));
    struct objstore_config cfg = s3_config(f);
    cfg.url = url;
    struct objstore *s = open_other(&cfg);
    assert_all_fail(s, -EIO, -EIO, url, "onnect");
    s->ops->close(s);
    close(fd);
}

/* ---- set up ---- */

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct errtext err = {""};
    f->is_s3 = env("S3_URL") != NULL;
    f->slow = env("STORE_SLOW") != NULL;
    snprintf(f->prefix, sizeof(f->prefix), "conformance-%ld-%ld/x", (long)time(NULL), (long)getpid());
    snprintf(f->scratch, sizeof(f->scratch), "/tmp/s3vtl-conformance-XXXXXX");
    if (!mkdtemp(f->scratch))
        return -1;
    struct objstore_config cfg = s3_config(f);
    if (!f->is_s3)
        cfg = (struct objstore_config){.type = "dir", .path = env("DIR_PATH"), .prefix = f->prefix};
    if (objstore_open(&cfg, &f->store, &err)) {
        fprintf(stderr, "store_conformance: %s\n", err.text);
        return -1;
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (!f)
        return 0; /* it could not be set up, and that was told */
    delete_all(f->store, "");
    f->store->ops->close(f->store);
    rmdir(f->scratch);
    free(f);
    return 0;
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(check_is_content),
        cmocka_unit_test(put_then_get_whole_and_ranges),
        cmocka_unit_test(put_from_a_file_at_an_offset),
        cmocka_unit_test(empty_object),
        cmocka_unit_test(head_tells_the_size),
        cmocka_unit_test(missing_objects_are_enoent),
        cmocka_unit_test(range_beyond_the_end_is_an_error),
        cmocka_unit_test(bad_keys_are_refused),
        cmocka_unit_test(same_content_may_be_put_again),
        cmocka_unit_test(lists_in_byte_order),
        cmocka_unit_test(byte_order_around_slash),
        cmocka_unit_test(delimiter_groups),
        cmocka_unit_test(start_after_begins_behind),
        cmocka_unit_test(callback_ends_the_list),
        cmocka_unit_test(pages_are_followed),
        cmocka_unit_test(a_thousand_keys_and_more),
        cmocka_unit_test(deleting_a_missing_key_is_no_error),
        cmocka_unit_test(a_bad_key_does_not_stop_the_delete),
        cmocka_unit_test(many_threads_at_once),
        cmocka_unit_test(cancel_ends_a_call),
        cmocka_unit_test(if_none_match_never_overwrites),
        cmocka_unit_test(of_rivals_one_wins),
    };
    const struct CMUnitTest s3_only[] = {
        cmocka_unit_test(multipart_round_trip),          cmocka_unit_test(whether_checksums_are_compared_is_found_out),
        cmocka_unit_test(a_missing_bucket_is_named),     cmocka_unit_test(a_wrong_secret_is_refused),
        cmocka_unit_test(a_wrong_access_key_is_refused), cmocka_unit_test(an_unreachable_port_is_an_error),
    };
    const struct CMUnitTest tls_only[] = {
        cmocka_unit_test(an_unknown_certificate_is_refused),
    };
    const struct CMUnitTest dir_only[] = {
        cmocka_unit_test(other_content_is_refused_by_dir),
    };
    if (!env("DIR_PATH") && !(env("S3_URL") && env("S3_BUCKET") && env("S3_CREDENTIALS"))) {
        fprintf(stderr, "store_conformance: set DIR_PATH, or S3_URL, S3_BUCKET and S3_CREDENTIALS\n");
        return 2;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int failed = cmocka_run_group_tests_name("every store", all, set_up, tear_down);
    if (env("S3_URL"))
        failed += cmocka_run_group_tests_name("S3", s3_only, set_up, tear_down);
    if (env("S3_CA_FILE"))
        failed += cmocka_run_group_tests_name("TLS", tls_only, set_up, tear_down);
    if (!env("S3_URL"))
        failed += cmocka_run_group_tests_name("dir", dir_only, set_up, tear_down);
    return failed != 0;
}
