/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_reader_fetch.c: reading on from the store: a segment is read while it arrives, and what breaks on the way is
 * never data. */
#include "tests/lib/chunked.h"
#include "tests/unit/impostor.h"
#include "tests/unit/library_rig.h"

#include <errno.h>
#include <time.h>

#include "vtl/library/library_private.h"
#include "vtl/format/segment_private.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/cartridge/worker_private.h"

#define MIB (UINT64_C(1) << 20)
#define BARCODE "FET001L8"
enum { PATIENCE_S = 20, MAX_STREAMS = 200 };

/* ---- a store whose streams stop, break or bring a wrong byte where a test says ---- */

struct asked {
    uint64_t offset, len;
    bool canceled;
};

static struct {
    struct objstore base;
    struct objstore_ops ops;
    struct objstore *real;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t hold_at, fail_at, flip_at; /* bytes of each stream; UINT64_MAX: nowhere */
    uint64_t hold_from;                 /* the streams before that one are not held */
    struct asked streams[MAX_STREAMS];
    unsigned n_streams, gets, n_held;
    atomic_bool gave_up; /* what was held was not released in time */
} hook = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void set(uint64_t *what, uint64_t value)
{
    pthread_mutex_lock(&hook.lock);
    *what = value;
    pthread_cond_broadcast(&hook.changed);
    pthread_mutex_unlock(&hook.lock);
}

static unsigned count(const unsigned *what)
{
    pthread_mutex_lock(&hook.lock);
    unsigned n = *what;
    pthread_mutex_unlock(&hook.lock);
    return n;
}

struct passing {
    const struct obj_sink *sink;
    const struct obj_call *call;
    uint64_t number, done;
    int why; /* not the sink's */
};

/* Lock held. True: cancelled. */
static bool hold(struct passing *p, size_t len)
{
    struct timespec until, step;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    bool canceled = false;
    hook.n_held++;
    pthread_cond_broadcast(&hook.changed);
    while (p->done + len > hook.hold_at && !hook.gave_up && !(canceled = atomic_load(p->call->cancel))) {
        clock_gettime(CLOCK_REALTIME, &step);
        if (step.tv_sec > until.tv_sec)
            hook.gave_up = true;
        step.tv_nsec += 10000000;
        step.tv_sec += step.tv_nsec / 1000000000;
        step.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&hook.changed, &hook.lock, &step);
    }
    hook.n_held--;
    return canceled;
}

static int pass(void *arg, const void *data, size_t len)
{
    struct passing *p = arg;
    static __thread uint8_t copy[MIB];
    assert_true(len <= sizeof(copy));
    memcpy(copy, data, len);
    pthread_mutex_lock(&hook.lock);
    if (p->number >= hook.hold_from && p->done + len > hook.hold_at && hold(p, len))
        p->why = -ECANCELED;
    else if (p->done + len > hook.fail_at)
        p->why = -EIO;
    if (hook.flip_at >= p->done && hook.flip_at < p->done + len)
        copy[hook.flip_at - p->done] ^= 4;
    pthread_mutex_unlock(&hook.lock);
    p->done += len;
    return p->why ? p->why : p->sink->take(p->sink->arg, copy, len);
}

static int hooked_stream(struct objstore *s, const char *key, uint64_t offset, uint64_t len,
                         const struct obj_sink *sink, const struct obj_call *c, struct errtext *err)
{
    (void)s;
    struct passing p = {.sink = sink, .call = c};
    const struct obj_sink between = {pass, &p};
    pthread_mutex_lock(&hook.lock);
    p.number = hook.n_streams++;
    size_t me = p.number % MAX_STREAMS;
    hook.streams[me] = (struct asked){.offset = offset, .len = len};
    pthread_cond_broadcast(&hook.changed);
    pthread_mutex_unlock(&hook.lock);
    int rc = hook.real->ops->stream(hook.real, key, offset, len, &between, c, err);
    pthread_mutex_lock(&hook.lock);
    hook.streams[me].canceled = rc == -ECANCELED;
    pthread_cond_broadcast(&hook.changed);
    pthread_mutex_unlock(&hook.lock);
    return p.why ? errtext_set(err, p.why, "stream of %s: broken by the test", key) : rc;
}

static int hooked_get(struct objstore *s, const char *key, uint64_t offset, uint64_t len, void *buf,
                      const struct obj_call *c, struct errtext *err)
{
    (void)s;
    pthread_mutex_lock(&hook.lock);
    hook.gets += strstr(key, "/seg/") != NULL; /* workers look at heads, and others' inventories */
    pthread_mutex_unlock(&hook.lock);
    return hook.real->ops->get(hook.real, key, offset, len, buf, c, err);
}
static int hooked_put(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                      struct errtext *err)
{
    (void)s;
    return hook.real->ops->put(hook.real, key, src, c, err);
}
static int hooked_head(struct objstore *s, const char *key, uint64_t *size, const struct obj_call *c,
                       struct errtext *err)
{
    (void)s;
    return hook.real->ops->head(hook.real, key, size, c, err);
}
static int hooked_list(struct objstore *s, const char *prefix, const char *after, bool slash, obj_list_fn fn, void *arg,
                       const struct obj_call *c, struct errtext *err)
{
    (void)s;
    return hook.real->ops->list(hook.real, prefix, after, slash, fn, arg, c, err);
}
static int hooked_del(struct objstore *s, const char *const *keys, size_t n, const struct obj_call *c,
                      struct errtext *err)
{
    (void)s;
    return hook.real->ops->del(hook.real, keys, n, c, err);
}
static void hooked_close(struct objstore *s)
{
    (void)s;
    hook.real->ops->close(hook.real);
}

static void hook_in(struct library *lib)
{
    inventory_stop(lib); /* which uses the store, now and then */
    hook.real = lib->eng.store;
    hook.ops = (struct objstore_ops){.type = hook.real->ops->type,
                                     .put = hooked_put,
                                     .get = hooked_get,
                                     .stream = hooked_stream,
                                     .head = hooked_head,
                                     .list = hooked_list,
                                     .del = hooked_del,
                                     .close = hooked_close};
    hook.base.ops = &hook.ops;
    hook.hold_at = hook.fail_at = hook.flip_at = UINT64_MAX;
    hook.hold_from = 0;
    hook.n_streams = hook.gets = hook.n_held = 0;
    hook.gave_up = false;
    lib->eng.store = &hook.base;
}

/* ---- a tape in the store, and nothing of it here ---- */

struct rig {
    struct vtl_config *cfg;
    struct library *lib;
    void *drive;
    struct model m;
};

static struct rig rig(unsigned segment_mib, const char *cache, unsigned parallel, size_t objects)
{
    struct rig r = {.cfg = config("one", "local", cache)};
    r.cfg->spool.segment_size = segment_mib * MIB;
    r.cfg->store.parallel = parallel;
    r.lib = new_library(r.cfg, BARCODE);
    move(r.lib, SLOT, DRIVE);
    write_model(library_drive(r.lib, 0), &r.m, 0, objects, 1);
    move(r.lib, DRIVE, SLOT);
    flush_remote(r.lib);
    close_library(r.lib);
    char path[100];
    (void)snprintf(path, sizeof(path), "%s/one", dir);
    remove_tree(path);
    rebuild_library(r.cfg);
    r.lib = open_library(r.cfg);
    hook_in(r.lib);
    move(r.lib, SLOT, DRIVE);
    r.drive = library_drive(r.lib, 0);
    return r;
}

static void end(struct rig *r)
{
    assert_false(hook.gave_up);
    close_library(r->lib);
    config_free(r->cfg);
}

static void locate(struct rig *r, uint64_t object)
{
    assert_int_equal(library_drive_ops()->locate_object(r->drive, 0, object, &never), TAPE_OK);
}

/* Reads objects [at, end); returns the bytes of the blocks. */
static uint64_t read_on(struct rig *r, size_t at, size_t to)
{
    uint64_t bytes = 0;
    for (size_t i = at; i < to; i++) {
        if (r->m.object[i])
            expect_id(r->drive, r->m.object[i]);
        else
            expect_result(r->drive, TAPE_FILEMARK);
        bytes += r->m.object[i] ? length_of(r->m.object[i]) : 0;
    }
    return bytes;
}

/* How many objects fit into so many bytes from object at on, with all that is stored around them. */
static size_t within(const struct rig *r, size_t at, uint64_t bytes)
{
    for (uint64_t sum = 0; at < r->m.n; at++)
        if ((sum += (r->m.object[at] ? length_of(r->m.object[at]) : 0) + 500) > bytes)
            break;
    return at;
}

static bool is_here(struct rig *r, size_t segment)
{
    struct cartridge *c = library_cartridge(r->lib, BARCODE);
    struct seg_ref ref;
    assert_true(cartridge_segment(c, segment, &ref));
    return spool_has(r->lib->eng.spool, BARCODE, &ref.id);
}

static void await(bool (*fn)(void))
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&hook.lock);
    int rc = 0;
    while (!fn() && !rc)
        rc = pthread_cond_timedwait(&hook.changed, &hook.lock, &until);
    pthread_mutex_unlock(&hook.lock);
    assert_int_equal(rc, 0);
}

static unsigned fetches(struct rig *r)
{
    struct workers *w = r->lib->eng.workers;
    unsigned n = 0;
    lock_take(&w->fetch_lock);
    for (size_t i = 0; i < FETCH_QUEUE; i++)
        n += w->fetch[i].c && !w->fetch[i].failed;
    lock_release(&w->fetch_lock);
    return n;
}

/* Until no fetch runs. */
static void await_rest(struct rig *r)
{
    struct workers *w = r->lib->eng.workers;
    lock_take(&w->fetch_lock);
    for (size_t i = 0; i < FETCH_QUEUE; i++)
        while (w->fetch[i].c && !w->fetch[i].failed)
            cond_wait(&w->fetch_moved, &w->fetch_lock);
    lock_release(&w->fetch_lock);
}

/* As of a tape of version 1: the footers of its segments are not known. */
static void forget_crcs(struct rig *r)
{
    struct cartridge *c = library_cartridge(r->lib, BARCODE);
    lock_take(&c->lock);
    for (size_t i = 0; i < c->live.n_segs; i++)
        c->live.segs[i].crc = 0;
    lock_release(&c->lock);
}

/* ---- tests ---- */

static void a_block_is_read_while_its_segment_arrives(void **state)
{
    (void)state;
    struct rig r = rig(16, "64M", 2, 150);
    set(&hook.hold_at, 5 * MIB);
    size_t n = within(&r, 0, 4 * MIB);
    assert_true(read_on(&r, 0, n) > 3 * MIB); /* the window has 2 MiB */
    assert_false(hook.gave_up);
    assert_false(is_here(&r, 0));
    set(&hook.hold_at, UINT64_MAX);
    (void)read_on(&r, n, r.m.n);
    await_rest(&r); /* the last block is read before the index behind it is there */
    assert_true(is_here(&r, 0));
    /* Index and window of the first block, and nothing twice: the rest came as streams. */
    assert_int_equal(count(&hook.gets), 2);
    end(&r);
}

/* Behind the first segment: one request more, for the end of the second. */
static void the_next_segment_is_followed_by_its_index(void **state)
{
    (void)state;
    struct rig r = rig(8, "64M", 1, 150);
    size_t first = within(&r, 0, 8 * MIB), more = within(&r, first, 5 * MIB);
    set(&hook.hold_from, 1);
    set(&hook.hold_at, 7 * MIB);
    (void)read_on(&r, 0, more);
    assert_int_equal(count(&hook.gets), 3);
    set(&hook.hold_at, UINT64_MAX);
    (void)read_on(&r, more, r.m.n);
    check_all(r.drive, &r.m);
    end(&r);
}

/* Behind the first segment of version 1 there is no index: records are found one after the other. */
static void the_next_segment_is_followed_without_its_index(void **state)
{
    (void)state;
    struct rig r = rig(8, "64M", 1, 150);
    forget_crcs(&r);
    size_t first = within(&r, 0, 8 * MIB), more = within(&r, first, 5 * MIB);
    set(&hook.hold_from, 1);
    set(&hook.hold_at, 7 * MIB);
    (void)read_on(&r, 0, more);
    assert_int_equal(count(&hook.gets), 2);
    set(&hook.hold_at, UINT64_MAX);
    (void)read_on(&r, more, r.m.n);
    assert_int_equal(count(&hook.gets), 2);
    check_all(r.drive, &r.m);
    end(&r);
}

/* Lets go what is held when the drive waits for it. */
static void *release_when_wanted(void *arg)
{
    struct workers *w = ((struct library *)arg)->eng.workers;
    for (bool wanted = false; !wanted;) {
        struct timespec t = {.tv_nsec = 2000000}; /* nobody tells that somebody waits */
        nanosleep(&t, NULL);
        lock_take(&w->fetch_lock);
        for (size_t i = 0; i < FETCH_QUEUE; i++)
            wanted = wanted || (w->fetch[i].c && w->fetch[i].wanted > 4 * MIB);
        lock_release(&w->fetch_lock);
    }
    set(&hook.hold_at, UINT64_MAX);
    return NULL;
}

static void a_download_that_breaks_is_an_error_never_data(void **state)
{
    (void)state;
    struct rig r = rig(16, "64M", 2, 100);
    pthread_t releaser;
    hook.hold_at = hook.fail_at = 5 * MIB;
    assert_int_equal(pthread_create(&releaser, NULL, release_when_wanted, r.lib), 0);
    size_t i = within(&r, 0, 4 * MIB);
    (void)read_on(&r, 0, i);
    for (;; i++) { /* what had arrived may be read: then it is right */
        uint32_t len = sizeof(back);
        enum tape_result rc = library_drive_ops()->read(r.drive, back, &len, NULL, &never);
        if (rc == TAPE_READ_ERROR)
            break;
        assert_int_equal(rc, r.m.object[i] ? TAPE_OK : TAPE_FILEMARK);
        assert_true(i < within(&r, 0, 6 * MIB));
    }
    pthread_join(releaser, NULL);
    assert_false(is_here(&r, 0));
    set(&hook.fail_at, UINT64_MAX);
    (void)read_on(&r, i, r.m.n); /* the store is well again, and the position is that of the block */
    end(&r);
}

static void what_broke_before_it_was_needed_is_no_error(void **state)
{
    (void)state;
    struct rig r = rig(16, "64M", 2, 100);
    set(&hook.fail_at, 3 * MIB);
    (void)read_on(&r, 0, 4); /* from the window */
    await_rest(&r);
    assert_int_equal(count(&hook.n_streams), 1);
    set(&hook.fail_at, UINT64_MAX);
    (void)read_on(&r, 4, r.m.n);
    end(&r);
}

static void what_is_damaged_on_the_way_is_read_again(void **state)
{
    (void)state;
    struct rig r = rig(16, "64M", 2, 100);
    set(&hook.flip_at, 4 * MIB);
    size_t n = within(&r, 0, 5 * MIB);
    (void)read_on(&r, 0, n);
    assert_true(count(&hook.gets) > 2); /* the block itself came from the store once more */
    set(&hook.flip_at, UINT64_MAX);
    check_all(r.drive, &r.m);
    end(&r);
}

/* A header that is no segment's: what follows it is nobody's. */
static void a_damaged_beginning_is_read_again(void **state)
{
    (void)state;
    struct rig r = rig(8, "64M", 1, 150);
    size_t first = within(&r, 0, 8 * MIB);
    forget_crcs(&r);
    (void)read_on(&r, 0, 4); /* from the window */
    await_rest(&r);
    assert_true(is_here(&r, 0));
    set(&hook.flip_at, 20);
    set(&hook.hold_at, 7 * MIB); /* so that the next one is followed */
    (void)read_on(&r, 4, first + 3);
    assert_true(count(&hook.gets) > 2);
    set(&hook.flip_at, UINT64_MAX);
    set(&hook.hold_at, UINT64_MAX);
    (void)read_on(&r, first + 3, r.m.n);
    check_all(r.drive, &r.m);
    end(&r);
}

/* The second segment's header names another cartridge, and its CRC is right. */
static void change_owner(struct rig *r)
{
    uint8_t raw[SEG_HEADER_SIZE];
    struct seg_header h;
    struct errtext err;
    char name[SEG_NAME_SIZE], path[200];
    struct seg_ref ref;
    assert_true(cartridge_segment(library_cartridge(r->lib, BARCODE), 1, &ref));
    seg_id_format(&ref.id, name);
    (void)snprintf(path, sizeof(path), "%s/store/tapes/" BARCODE "/seg/%s", dir, name);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fread(raw, 1, sizeof(raw), f), sizeof(raw));
    assert_int_equal(seg_header_decode(raw, sizeof(raw), &h, &err), 0);
    h.cartridge[5] ^= 1;
    assert_int_equal(seg_header_encode(&h, raw), 0);
    rewind(f);
    assert_int_equal(fwrite(raw, 1, sizeof(raw), f), sizeof(raw));
    fclose(f);
}

static void what_another_cartridge_stored_is_not_followed(void **state)
{
    (void)state;
    struct rig r = rig(8, "64M", 1, 150);
    size_t first = within(&r, 0, 8 * MIB);
    forget_crcs(&r);
    change_owner(&r);
    (void)read_on(&r, 0, 4);
    await_rest(&r);
    set(&hook.hold_at, 7 * MIB);
    (void)read_on(&r, 4, first + 3);
    assert_true(count(&hook.gets) > 2); /* the index at its end, which is its own, decides */
    set(&hook.hold_at, UINT64_MAX);
    end(&r);
}

/* Not even its first block, though the download has not ended. */
static void a_foreign_segment_is_never_followed(void **state)
{
    (void)state;
    struct rig r = rig(8, "64M", 1, 150);
    struct seg_ref ref;
    char name[SEG_NAME_SIZE], path[200];
    assert_true(cartridge_segment(library_cartridge(r.lib, BARCODE), 1, &ref));
    seg_id_format(&ref.id, name);
    (void)snprintf(path, sizeof(path), "%s/store/tapes/" BARCODE "/seg/%s", dir, name);
    make_impostor(path);
    set(&hook.hold_from, 1);
    set(&hook.hold_at, 7 * MIB);
    (void)read_on(&r, 0, ref.first_object);
    assert_int_not_equal(r.m.object[ref.first_object], 0);
    expect_result(r.drive, TAPE_READ_ERROR);
    assert_false(is_here(&r, 1));
    make_impostor(path); /* the right one is back */
    set(&hook.hold_at, UINT64_MAX);
    (void)read_on(&r, ref.first_object, r.m.n);
    end(&r);
}

static bool one_is_held(void)
{
    return hook.n_held == 1;
}

static bool last_is_canceled(void)
{
    return hook.streams[hook.n_streams - 1].canceled;
}

static void a_seek_drops_what_was_fetched_ahead(void **state)
{
    (void)state;
    struct rig r = rig(1, "64M", 1, 200);
    size_t n = within(&r, 0, 8 * MIB);
    (void)read_on(&r, 0, n);
    await_rest(&r);
    set(&hook.hold_at, 0); /* from here on: the next one runs and gets nothing, one more waits behind it */
    for (; fetches(&r) < 2; n++)
        (void)read_on(&r, n, n + 1);
    await(one_is_held);
    unsigned streams = count(&hook.n_streams);
    locate(&r, 1);
    (void)read_on(&r, 1, 4); /* from the cache */
    await(last_is_canceled);
    (void)read_on(&r, 4, within(&r, 0, 2 * MIB));
    await_rest(&r);
    assert_int_equal(count(&hook.n_streams), streams); /* the one that waited never began */
    set(&hook.hold_at, UINT64_MAX);
    check_all(r.drive, &r.m);
    end(&r);
}

static void an_unload_ends_what_runs(void **state)
{
    (void)state;
    struct rig r = rig(16, "64M", 1, 100);
    set(&hook.hold_at, 5 * MIB);
    (void)read_on(&r, 0, within(&r, 0, 4 * MIB));
    await(one_is_held);
    move(r.lib, DRIVE, SLOT);
    await(last_is_canceled);
    set(&hook.hold_at, UINT64_MAX);
    move(r.lib, SLOT, DRIVE);
    check_all(r.drive, &r.m);
    end(&r);
}

static void reading_from_the_middle_begins_there(void **state)
{
    (void)state;
    struct rig r = rig(16, "64M", 1, 100);
    size_t at = within(&r, 0, 8 * MIB), to = within(&r, at, 5 * MIB);
    set(&hook.hold_at, 6 * MIB);
    locate(&r, at);
    (void)read_on(&r, at, to);
    assert_false(hook.gave_up);
    assert_true(hook.streams[0].offset > 7 * MIB && hook.streams[0].offset < 9 * MIB);
    set(&hook.hold_at, UINT64_MAX);
    (void)read_on(&r, to, r.m.n);
    await_rest(&r);
    check_all(r.drive, &r.m); /* what is before it came too */
    assert_int_equal(hook.streams[1].offset, 0);
    assert_int_equal(hook.streams[1].len, hook.streams[0].offset);
    assert_int_equal(count(&hook.n_streams), 2);
    end(&r);
}

static void without_a_cache_a_window_serves_many_blocks(void **state)
{
    (void)state;
    struct rig r = rig(16, "0", 2, 100);
    (void)read_on(&r, 0, within(&r, 0, 12 * MIB));
    assert_int_equal(count(&hook.n_streams), 0);
    assert_true(count(&hook.gets) <= 5); /* the index, and windows of 2, 4, 8 MiB */
    end(&r);
}

/* A cartridge is read to its end at a cancelled download of a segment that is wanted again at once. */
static void what_was_dropped_can_be_wanted_again(void **state)
{
    (void)state;
    struct rig r = rig(1, "64M", 2, 200);
    for (unsigned k = 0; k < 12; k++) {
        size_t at = k % 2 ? 5 : 100 + k;
        locate(&r, at);
        (void)read_on(&r, at, at + 30);
    }
    check_all(r.drive, &r.m);
    end(&r);
}

/* ---- a tape that copies from another one ---- */

enum { CHUNKED = 250 };

/* Each has a chunk of its own. */
static uint64_t chunked_of(unsigned i)
{
    return (uint64_t)(i + 1) << 56 | i;
}

static void write_chunked(struct library *lib, uint16_t slot)
{
    move(lib, slot, DRIVE);
    for (unsigned i = 0; i < CHUNKED; i++) {
        chunked_fill(chunked_of(i), block);
        assert_int_equal(
            library_drive_ops()->write(library_drive(lib, 0), block, chunked_length(chunked_of(i)), true, NULL, &never),
            TAPE_OK);
    }
    move(lib, DRIVE, slot);
    flush_remote(lib);
}

static void read_chunked(void *drive, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        uint32_t len = sizeof(back);
        assert_int_equal(library_drive_ops()->read(drive, back, &len, NULL, &never), TAPE_OK);
        chunked_fill(chunked_of(i), block);
        assert_int_equal(len, chunked_length(chunked_of(i)));
        assert_memory_equal(back, block, len);
    }
}

/* Of the first tape's segment: its first block, and only the store has it from now on. */
static unsigned only_in_the_store(struct library *lib, size_t segment)
{
    struct cartridge *c = library_cartridge(lib, BARCODE);
    struct errtext err = {""};
    struct seg_ref ref;
    assert_int_equal(cartridge_load(c, &err), 0);
    assert_true(cartridge_segment(c, segment, &ref));
    spool_remove(lib->eng.spool, BARCODE, &ref.id);
    return (unsigned)ref.first_object;
}

static bool two_are_held(void)
{
    return hook.n_held == 2;
}

/* Between two that must be fetched there are many that are here. */
static void what_it_copies_from_is_fetched_ahead(void **state)
{
    (void)state;
    struct vtl_config *cfg = config_more("one", "local", "64M", "[dedup]\ntapes = *\n");
    struct library *lib = new_library(cfg, BARCODE);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "FET002L8", "capacity", 0)));
    write_chunked(lib, SLOT);
    write_chunked(lib, SLOT + 1);
    close_library(lib);
    config_free(cfg);
    cfg = config("one", "local", "64M"); /* without [dedup] nothing but reads uses the store from now on */
    cfg->store.parallel = 4;
    lib = open_library(cfg);
    hook_in(lib);
    set(&hook.hold_at, 0);
    unsigned first = only_in_the_store(lib, 8);
    assert_true(only_in_the_store(lib, 12) > first);
    move(lib, SLOT + 1, DRIVE);
    read_chunked(library_drive(lib, 0), 0, first - 20);
    await(two_are_held);
    set(&hook.hold_at, UINT64_MAX);
    read_chunked(library_drive(lib, 0), first - 20, CHUNKED);
    assert_int_equal(count(&hook.n_streams), 2);
    assert_int_equal(count(&hook.gets), 0);
    assert_false(hook.gave_up);
    close_library(lib);
    config_free(cfg);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_block_is_read_while_its_segment_arrives),
        T(the_next_segment_is_followed_by_its_index),
        T(the_next_segment_is_followed_without_its_index),
        T(a_download_that_breaks_is_an_error_never_data),
        T(what_broke_before_it_was_needed_is_no_error),
        T(what_is_damaged_on_the_way_is_read_again),
        T(a_damaged_beginning_is_read_again),
        T(what_another_cartridge_stored_is_not_followed),
        T(a_foreign_segment_is_never_followed),
        T(a_seek_drops_what_was_fetched_ahead),
        T(an_unload_ends_what_runs),
        T(reading_from_the_middle_begins_there),
        T(without_a_cache_a_window_serves_many_blocks),
        T(what_was_dropped_can_be_wanted_again),
        T(what_it_copies_from_is_fetched_ahead),
    };
    return cmocka_run_group_tests_name("reader_fetch", tests, NULL, NULL);
}
