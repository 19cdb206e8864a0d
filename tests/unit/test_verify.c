/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_verify.c: whatever byte of a cartridge's objects is changed, verify finds it, and a reader gets what was written
 * or an error (I3). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/le.h"
#include "vtl/library/library.h"
#include "vtl/scrub/verify.h"

#define BARCODE "VER001L8"
static const atomic_bool never = false;
static char dir[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/s3vtl-verify-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return nftw(dir, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

/* ---- a cartridge with a compressed block, a raw one, filemarks, and blocks whose records need padding ---- */

static const char *const texts[] = {
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "The second block.",
    NULL,
    NULL,
    "x",
    "The last: 21 characters",
    NULL};
#define N_OBJECTS (sizeof(texts) / sizeof(texts[0]))

static struct vtl_config *config(const char *name)
{
    char path[100];
    struct errtext err;
    struct vtl_config *c = NULL;
    (void)snprintf(path, sizeof(path), "%s/%s.conf", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "[library]\nname = %s\nstate_dir = %s/%s\nslots = 2\ndrives = 1\n[store]\npath = %s/store\n", name, dir,
            name, dir);
    fclose(f);
    if (config_load(path, &c, &err))
        fail_msg("%s", err.text);
    return c;
}

static void must(int rc, const struct errtext *err)
{
    if (rc)
        fail_msg("%d: %s", rc, err ? err->text : "");
}

static json_t *call(struct library *lib, json_t *request)
{
    struct errtext err = {""};
    json_t *r = library_call(lib, request, &err);
    json_decref(request);
    if (!r)
        fail_msg("%s", err.text);
    return r;
}

static void flush(struct library *lib)
{
    bool remote = false;
    while (!remote) {
        json_t *r = call(lib, json_pack("{s:s, s:b, s:i}", "op", "flush", "remote", 1, "timeout_ms", 10000));
        remote = json_is_true(json_object_get(r, "remote"));
        json_decref(r);
    }
}

/* The heads below the newest go behind what flush waits for, and a stop does not wait for them. */
static void await_only_head(void)
{
    char pattern[200];
    size_t n = 0;
    (void)snprintf(pattern, sizeof(pattern), "%s/store/tapes/" BARCODE "/head/*", dir);
    for (int i = 0; i < 20000 && n != 1; i++) {
        glob_t g;
        assert_int_equal(glob(pattern, 0, NULL, &g), 0);
        n = g.gl_pathc;
        globfree(&g);
        usleep(1000);
    }
    assert_int_equal(n, 1);
}

static void make_cartridge(void)
{
    struct vtl_config *c = config("one");
    struct library *lib = NULL;
    struct errtext err = {""};
    json_t *r = NULL;
    must(library_init(c, &r, &err), &err);
    json_decref(r);
    must(library_open(c, LIBRARY_SERVE, &lib, &err), &err);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", BARCODE, "capacity", 0)));
    must((int)library_changer_ops()->move(lib, 0, ELEMENT_FIRST_STORAGE, ELEMENT_FIRST_DRIVE, &never), NULL);
    void *d = library_drive(lib, 0);
    const struct tape_ops *t = library_drive_ops();
    for (size_t i = 0; i < N_OBJECTS; i++)
        must(texts[i] ? (int)t->write(d, texts[i], (uint32_t)strlen(texts[i]), true, NULL, &never)
                      : (int)t->write_filemarks(d, 1, true, &never),
             NULL);
    flush(lib);
    await_only_head();
    must(library_close(lib, &err), &err);
    config_free(c);
}

/* ---- verifying ---- */

struct heard {
    unsigned n;
    uint64_t objects, first, file;
    char what[600];
};

static void hear(void *arg, const struct verify_problem *p)
{
    struct heard *h = arg;
    if (!h->n++) {
        h->first = p->first_object;
        h->file = p->file;
        (void)snprintf(h->what, sizeof(h->what), "%s", p->what);
    }
    h->objects += p->objects;
}

static struct verify_options options = {.parallel = 1};

static struct errtext told; /* by the last verify */

static int verify(struct heard *h, struct verify_result *result)
{
    char path[100];
    struct objstore *store = NULL;
    struct errtext err = {""};
    (void)snprintf(path, sizeof(path), "%s/store", dir);
    const struct objstore_config oc = {.type = "dir", .path = path, .prefix = ""};
    must(objstore_open(&oc, &store, &err), &err);
    struct verify_options o = options;
    o.problem = hear;
    o.arg = h;
    *h = (struct heard){0};
    int rc = verify_cartridge(store, BARCODE, &o, result, &err);
    told = err;
    store->ops->close(store);
    return rc;
}

static void a_whole_cartridge_is_good(void **state)
{
    (void)state;
    struct heard h;
    struct verify_result r;
    make_cartridge();
    assert_int_equal(verify(&h, &r), 0);
    assert_int_equal(h.n, 0);
    assert_int_equal(r.problems, 0);
    assert_int_equal(r.segments, 1);
    assert_int_equal(r.blocks, 4);
    assert_int_equal(r.filemarks, 3);
    assert_int_equal(r.end_object, N_OBJECTS);
}

/* ---- a store that gives nothing ---- */

static const struct objstore_ops *dir_ops;
static bool bucket_is_there;

static int no_segment(struct objstore *s, const char *key, uint64_t offset, uint64_t len, void *buf,
                      const struct obj_call *c, struct errtext *err)
{
    return strstr(key, "/seg/") ? errtext_set(err, -EIO, "get %s: no answer", key)
                                : dir_ops->get(s, key, offset, len, buf, c, err);
}

static int maybe_there(struct objstore *s, const struct obj_call *c, struct errtext *err)
{
    (void)s;
    (void)c;
    return bucket_is_there ? 0 : errtext_set(err, -EIO, "check: no answer");
}

/* What one object lacks is damage; what nobody gets any answer to is not. */
static void a_store_that_gives_nothing_is_no_damage(void **state)
{
    (void)state;
    char path[100];
    struct heard h;
    struct verify_result r;
    struct errtext err = {""};
    struct objstore *store = NULL;
    make_cartridge();
    (void)snprintf(path, sizeof(path), "%s/store", dir);
    const struct objstore_config oc = {.type = "dir", .path = path, .prefix = ""};
    must(objstore_open(&oc, &store, &err), &err);
    struct objstore_ops ops = *(dir_ops = store->ops);
    ops.get = no_segment;
    ops.check = maybe_there;
    store->ops = &ops;
    struct verify_options o = {.parallel = 1, .problem = hear, .arg = &h};
    for (int there = 0; there < 2; there++) {
        bucket_is_there = there;
        h = (struct heard){0};
        assert_int_equal(verify_cartridge(store, BARCODE, &o, &r, &err), there ? 0 : -EIO);
        assert_int_equal(h.n, there ? 1 : 0);
        assert_int_equal(r.lost_objects != 0, there);
        assert_non_null(strstr(there ? h.what : err.text, "no answer"));
    }
    store->ops->close(store);
}

/* ---- several cartridges at a time ---- */

/* A store that tells how many reads of segments are under way together; the first waits a moment for another. */
static struct {
    struct objstore base, *real;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned running, most;
} meeting = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

static int meeting_get(struct objstore *s, const char *key, uint64_t offset, uint64_t len, void *buf,
                       const struct obj_call *c, struct errtext *err)
{
    (void)s;
    bool segment = strstr(key, "/seg/");
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&meeting.lock);
    meeting.running += segment;
    if (meeting.running > meeting.most)
        meeting.most = meeting.running;
    pthread_cond_broadcast(&meeting.cond);
    while (segment && meeting.most < 2 && !pthread_cond_timedwait(&meeting.cond, &meeting.lock, &until))
        ;
    pthread_mutex_unlock(&meeting.lock);
    int rc = meeting.real->ops->get(meeting.real, key, offset, len, buf, c, err);
    pthread_mutex_lock(&meeting.lock);
    meeting.running -= segment;
    pthread_mutex_unlock(&meeting.lock);
    return rc;
}

static int meeting_head(struct objstore *s, const char *key, uint64_t *size, const struct obj_call *c,
                        struct errtext *err)
{
    (void)s;
    return meeting.real->ops->head(meeting.real, key, size, c, err);
}

static int meeting_list(struct objstore *s, const char *prefix, const char *after, bool slash, obj_list_fn fn,
                        void *arg, const struct obj_call *c, struct errtext *err)
{
    (void)s;
    return meeting.real->ops->list(meeting.real, prefix, after, slash, fn, arg, c, err);
}

static void *verify_thread(void *arg)
{
    struct verify_options o = {.parallel = 2, .gate = arg};
    struct verify_result r;
    struct errtext err = {""};
    return verify_cartridge(&meeting.base, BARCODE, &o, &r, &err) || r.problems ? &meeting : NULL;
}

/* How many segments two calls read together. */
static unsigned read_together(struct verify_gate *gate)
{
    pthread_t threads[2];
    meeting.most = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, verify_thread, gate), 0);
    for (int i = 0; i < 2; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    verify_gate_free(gate);
    return meeting.most;
}

static void calls_that_share_a_gate_read_no_more_than_it_lets_in(void **state)
{
    (void)state;
    static const struct objstore_ops ops = {.get = meeting_get, .head = meeting_head, .list = meeting_list};
    char path[100];
    struct errtext err = {""};
    make_cartridge();
    (void)snprintf(path, sizeof(path), "%s/store", dir);
    const struct objstore_config oc = {.type = "dir", .path = path, .prefix = ""};
    must(objstore_open(&oc, &meeting.real, &err), &err);
    meeting.base.ops = &ops;
    assert_int_equal(read_together(verify_gate_new(1, 1)), 1);
    assert_int_equal(read_together(verify_gate_new(1, 2)), 2);
    assert_true(read_together(NULL) >= 2);
    meeting.real->ops->close(meeting.real);
}

static void an_unknown_cartridge_is_told(void **state)
{
    (void)state;
    struct heard h;
    struct verify_result r;
    make_cartridge();
    char from[100], to[100];
    (void)snprintf(from, sizeof(from), "%s/store/tapes/" BARCODE, dir);
    (void)snprintf(to, sizeof(to), "%s/store/tapes/OTHER", dir);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(verify(&h, &r), -ENOENT);
}

/* ---- every byte ---- */

static char found_path[300];

static int find_file(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)f;
    if (type == FTW_F)
        (void)snprintf(found_path, sizeof(found_path), "%s", path);
    return 0;
}

/* The only object of a kind. */
static int open_only(const char *kind, off_t *size)
{
    char path[200];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/store/tapes/" BARCODE "/%s", dir, kind);
    assert_int_equal(nftw(path, find_file, 8, FTW_PHYS), 0);
    assert_int_equal(chmod(found_path, 0600), 0);
    int fd = open(found_path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && !fstat(fd, &st));
    *size = st.st_size;
    return fd;
}

static void flip(int fd, off_t at, uint8_t mask)
{
    uint8_t b;
    assert_int_equal(pread(fd, &b, 1, at), 1);
    b ^= mask;
    assert_int_equal(pwrite(fd, &b, 1, at), 1);
}

/* A fresh library from the bucket: every object is what was written, or an error. Returns how many were errors. */
static unsigned read_all(const char *name)
{
    struct vtl_config *c = config(name);
    struct library *lib = NULL;
    struct errtext err = {""};
    json_t *r = NULL;
    unsigned bad = 0;
    must(library_rebuild(c, &(struct rebuild_options){.force = true}, &r, &err), &err);
    bool failed = json_array_size(json_object_get(r, "failed"));
    json_decref(r);
    if (failed) {
        config_free(c);
        return N_OBJECTS;
    }
    must(library_open(c, LIBRARY_SERVE, &lib, &err), &err);
    must((int)library_changer_ops()->move(lib, 0, ELEMENT_FIRST_STORAGE, ELEMENT_FIRST_DRIVE, &never), NULL);
    void *d = library_drive(lib, 0);
    for (size_t i = 0; i < N_OBJECTS; i++) {
        char buf[1000];
        uint32_t len = sizeof(buf);
        must((int)library_drive_ops()->locate_object(d, 0, i, &never), NULL);
        enum tape_result t = library_drive_ops()->read(d, buf, &len, NULL, &never);
        if (t == TAPE_READ_ERROR) {
            bad++;
        } else if (!texts[i]) {
            assert_int_equal(t, TAPE_FILEMARK);
        } else {
            assert_int_equal(t, TAPE_OK);
            assert_int_equal(len, strlen(texts[i]));
            assert_memory_equal(buf, texts[i], len);
        }
    }
    must(library_close(lib, &err), &err);
    config_free(c);
    return bad;
}

/* What a byte's value changes is no matter of threads: ThreadSanitizer gets some of them, the other builds each. */
#ifdef __SANITIZE_THREAD__
#define STEP 21
#else
#define STEP 1
#endif

static void every_byte_of_a_segment_is_checked(void **state)
{
    (void)state;
    struct heard h;
    struct verify_result r;
    off_t size = 0;
    make_cartridge();
    int fd = open_only("seg", &size);
    for (off_t i = 0; i < size; i += STEP) {
        uint8_t mask = (uint8_t)(1u << (i % 8));
        flip(fd, i, mask);
        assert_int_equal(verify(&h, &r), 0);
        if (!r.problems)
            fail_msg("byte %ld of %ld: nothing was found", (long)i, (long)size);
        unsigned bad = i % 7 == 0 ? read_all("again") : 0;
        /* What a reader cannot get must have been told as lost. */
        if (bad > r.lost_objects)
            fail_msg("byte %ld: %u objects cannot be read, %llu were told: %s", (long)i, bad,
                     (unsigned long long)r.lost_objects, h.what);
        flip(fd, i, mask);
    }
    assert_int_equal(verify(&h, &r), 0);
    assert_int_equal(r.problems, 0);
    close(fd);
}

/* Index and footer, whichever of their bytes: told, and every block is read all the same. */
static void a_damaged_end_of_a_segment_loses_no_block(void **state)
{
    (void)state;
    struct heard h;
    struct verify_result r;
    off_t size = 0;
    uint8_t b[8];
    make_cartridge();
    int fd = open_only("seg", &size);
    assert_int_equal(pread(fd, b, 8, size - SEG_FOOTER_SIZE + 8), 8);
    off_t index = (off_t)get_le64(b);
    assert_true(index > SEG_HEADER_SIZE && index < size - SEG_FOOTER_SIZE);
    for (off_t i = index; i < size; i += STEP) {
        flip(fd, i, 0x11);
        assert_int_equal(verify(&h, &r), 0);
        assert_int_equal(r.problems, 1);
        assert_int_equal(r.lost_objects, 0);
        assert_int_equal(r.blocks, 4);
        assert_non_null(strstr(h.what, "no block is lost"));
        if (i % 5 == 0 || i == size - 1)
            assert_int_equal(read_all("again"), 0);
        flip(fd, i, 0x11);
    }
    close(fd);
}

/* One block is lost for itself, not all of them for the index. */
static void a_damaged_end_and_a_damaged_block_lose_that_block(void **state)
{
    (void)state;
    struct heard h;
    struct verify_result r;
    off_t size = 0;
    make_cartridge();
    int fd = open_only("seg", &size);
    flip(fd, size - SEG_FOOTER_SIZE - 1, 1);
    flip(fd, SEG_HEADER_SIZE + SEG_RECORD_SIZE, 1);
    assert_int_equal(verify(&h, &r), 0);
    assert_int_equal(r.problems, 2);
    assert_int_equal(r.lost_objects, 1);
    assert_int_equal(read_all("again"), 1);
    close(fd);
}

static void every_byte_of_a_head_is_checked(void **state)
{
    (void)state;
    struct heard h;
    struct verify_result r;
    off_t size = 0;
    make_cartridge();
    int fd = open_only("head", &size);
    for (off_t i = 0; i < size; i += STEP) {
        flip(fd, i, 1);
        assert_int_equal(verify(&h, &r), -EBADMSG);
        if (i % 40 == 0)
            assert_int_equal(read_all("again"), N_OBJECTS);
        flip(fd, i, 1);
    }
    assert_int_equal(verify(&h, &r), 0);
    close(fd);
}

/* Below it is one that can be read: that one is not "written faster than it can be verified". */
static void a_head_that_is_none_is_told_above_another(void **state)
{
    (void)state;
    struct heard h;
    struct verify_result r;
    off_t size = 0;
    char above[310];
    make_cartridge();
    int fd = open_only("head", &size);
    close(fd);
    (void)snprintf(above, sizeof(above), "%s", found_path);
    above[strlen(above) - 3] = '9'; /* its name says another number than its content */
    assert_int_equal(link(found_path, above), 0);
    assert_int_equal(verify(&h, &r), -EBADMSG);
    assert_non_null(strstr(told.text, above + strlen(above) - 10));
    assert_non_null(strstr(told.text, "tape claim " BARCODE " --force"));
    assert_int_equal(unlink(above), 0);
    assert_int_equal(verify(&h, &r), 0);
}

static void a_damaged_block_is_told_by_file_and_object(void **state)
{
    (void)state;
    struct heard h;
    struct verify_result r;
    off_t size = 0;
    uint8_t bytes[4000];
    make_cartridge();
    int fd = open_only("seg", &size);
    assert_true(size < (off_t)sizeof(bytes) && pread(fd, bytes, (size_t)size, 0) == size);
    uint8_t *at = memmem(bytes, (size_t)size, "The last", 8);
    assert_non_null(at);
    flip(fd, at - bytes, 1);
    assert_int_equal(verify(&h, &r), 0);
    assert_int_equal(r.problems, 1);
    assert_int_equal(h.first, 5);
    assert_int_equal(h.objects, 1);
    assert_int_equal(h.file, 2);
    assert_non_null(strstr(h.what, "CRC"));
    close(fd);
}

static void a_lost_segment_is_told_whole(void **state)
{
    (void)state;
    struct heard h;
    struct verify_result r;
    off_t size = 0;
    make_cartridge();
    close(open_only("seg", &size));
    assert_int_equal(unlink(found_path), 0);
    assert_int_equal(verify(&h, &r), 0);
    assert_int_equal(r.problems, 1);
    assert_int_equal(r.lost_objects, N_OBJECTS);
}

static void a_shortened_segment_is_told(void **state)
{
    (void)state;
    struct heard h;
    struct verify_result r;
    off_t size = 0;
    make_cartridge();
    int fd = open_only("seg", &size);
    assert_int_equal(ftruncate(fd, size - 8), 0);
    close(fd);
    assert_int_equal(verify(&h, &r), 0);
    assert_int_equal(r.lost_objects, N_OBJECTS);
    assert_non_null(strstr(h.what, "bytes, should have"));
}

/* ---- resuming ---- */

static struct seg_id bad_one;
static unsigned bad_told;

static void remember(void *arg, const struct verify_progress *p)
{
    (void)arg;
    bad_told = (unsigned)p->n_bad;
    if (p->n_bad)
        bad_one = p->bad[0];
}

static void a_resumed_run_looks_again_at_what_was_bad(void **state)
{
    (void)state;
    struct heard h;
    struct verify_result r;
    off_t size = 0;
    make_cartridge();
    int fd = open_only("seg", &size);
    flip(fd, size / 2, 1);
    close(fd);
    options = (struct verify_options){.parallel = 1, .progress = remember};
    assert_int_equal(verify(&h, &r), 0);
    assert_int_equal(bad_told, 1);
    /* The interrupted run had passed the whole tape. */
    options = (struct verify_options){.parallel = 1, .from_object = N_OBJECTS, .from_written = {UINT64_MAX, 0, 0}};
    assert_int_equal(verify(&h, &r), 0);
    assert_int_equal(r.problems, 0);
    options.again = &bad_one;
    options.n_again = 1;
    assert_int_equal(verify(&h, &r), 0);
    assert_int_not_equal(r.problems, 0);
    options = (struct verify_options){.parallel = 1};
}

/* ---- what it found is kept with the cartridge ---- */

static json_t *found_json(const struct verify_result *r)
{
    char id[33];
    for (int i = 0; i < 16; i++)
        (void)snprintf(id + 2 * i, 3, "%02x", r->cartridge[i]);
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "op", "tape-verified", "barcode", BARCODE, "cartridge", id,
                     "objects", (json_int_t)r->end_object, "lost", (json_int_t)r->lost_objects, "from",
                     (json_int_t)r->lost_from);
}

static uint64_t lost_now(struct library *lib, bool *alert)
{
    struct tape_status st;
    struct tape_statistics s;
    library_drive_ops()->status(library_drive(lib, 0), &st);
    library_drive_ops()->statistics(library_drive(lib, 0), &s);
    *alert = st.alerts & TAPE_ALERT_BIT(ALERT_MEDIA);
    return s.lost_objects;
}

static void reload(struct library *lib)
{
    const struct changer_ops *c = library_changer_ops();
    must((int)c->move(lib, 0, ELEMENT_FIRST_DRIVE, ELEMENT_FIRST_STORAGE, &never), NULL);
    must((int)c->move(lib, 0, ELEMENT_FIRST_STORAGE, ELEMENT_FIRST_DRIVE, &never), NULL);
}

/* The head of the store holds what was found, so that a library that only has the bucket knows it. */
static void expect_after_rebuild(uint64_t lost)
{
    struct vtl_config *c = config("again");
    struct library *lib = NULL;
    struct errtext err = {""};
    json_t *r = NULL;
    must(library_rebuild(c, &(struct rebuild_options){.force = true}, &r, &err), &err);
    json_decref(r);
    must(library_open(c, 0, &lib, &err), &err);
    r = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", BARCODE));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(r, "counters"), "lost_objects")), lost);
    assert_true(json_integer_value(json_object_get(json_object_get(r, "counters"), "verified")) > 0);
    json_decref(r);
    must(library_close(lib, &err), &err);
    config_free(c);
}

static void what_was_found_is_kept_until_it_is_overwritten(void **state)
{
    (void)state;
    struct heard h;
    struct verify_result r;
    off_t size = 0;
    uint8_t bytes[4000];
    bool alert = false;
    make_cartridge();
    int fd = open_only("seg", &size);
    assert_true(pread(fd, bytes, sizeof(bytes), 0) == size);
    flip(fd, (uint8_t *)memmem(bytes, (size_t)size, "The last", 8) - bytes, 1);
    close(fd);
    assert_int_equal(verify(&h, &r), 0);
    assert_int_equal(r.lost_from, 5);

    struct vtl_config *c = config("one");
    struct library *lib = NULL;
    struct errtext err = {""};
    must(library_open(c, LIBRARY_SERVE, &lib, &err), &err);
    json_t *j = call(lib, found_json(&r));
    assert_true(json_is_true(json_object_get(j, "recorded")));
    json_decref(j);
    (void)lost_now(lib, &alert);
    assert_true(alert); /* it is in the drive */
    reload(lib);
    assert_int_equal(lost_now(lib, &alert), 1);
    assert_true(alert);
    flush(lib);
    must(library_close(lib, &err), &err);
    expect_after_rebuild(1);

    /* Behind it: still there. In front of it: gone, and no alert at the next load. */
    must(library_open(c, LIBRARY_SERVE, &lib, &err), &err);
    void *d = library_drive(lib, 0);
    must((int)library_drive_ops()->locate_object(d, 0, 6, &never), NULL);
    must((int)library_drive_ops()->write(d, "new", 3, true, NULL, &never), NULL);
    assert_int_equal(lost_now(lib, &alert), 1);
    must((int)library_drive_ops()->locate_object(d, 0, 5, &never), NULL);
    must((int)library_drive_ops()->write(d, "new", 3, true, NULL, &never), NULL);
    reload(lib);
    assert_int_equal(lost_now(lib, &alert), 0);
    assert_false(alert);
    r.cartridge[0] ^= 1; /* another one of that barcode, which is no more */
    j = call(lib, found_json(&r));
    assert_true(json_is_false(json_object_get(j, "recorded")));
    json_decref(j);
    assert_int_equal(lost_now(lib, &alert), 0);
    flush(lib);
    must(library_close(lib, &err), &err);
    expect_after_rebuild(0);
    config_free(c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_whole_cartridge_is_good, setup, teardown),
        cmocka_unit_test_setup_teardown(calls_that_share_a_gate_read_no_more_than_it_lets_in, setup, teardown),
        cmocka_unit_test_setup_teardown(a_store_that_gives_nothing_is_no_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_cartridge_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(every_byte_of_a_segment_is_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_end_of_a_segment_loses_no_block, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_end_and_a_damaged_block_lose_that_block, setup, teardown),
        cmocka_unit_test_setup_teardown(a_head_that_is_none_is_told_above_another, setup, teardown),
        cmocka_unit_test_setup_teardown(every_byte_of_a_head_is_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_block_is_told_by_file_and_object, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_segment_is_told_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_shortened_segment_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_resumed_run_looks_again_at_what_was_bad, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_found_is_kept_until_it_is_overwritten, setup, teardown),
    };
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
