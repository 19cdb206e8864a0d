/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_object_lock.c: the objects of a locked cartridge are locked in the store, all that it needs, and long enough. The
 * store here is a directory that notes which object was locked how; real ones are in tests/s3. */
#include "library_rig.h"

#include <errno.h>

#include "vtl/cartridge/object_lock.h"
#include "vtl/library/tapes.h"

#define DAY 86400
#define MOST 400

/* ---- a store that locks ---- */

struct locked {
    char key[DB_KEY_SIZE];
    struct obj_lock lock;
};

static const struct objstore_ops *inner;
static pthread_mutex_t notes = PTHREAD_MUTEX_INITIALIZER; /* guards the rest */
static struct locked all[MOST];
static size_t n_all, n_calls;
static size_t refuses_after; /* so many calls; 0: never */
static bool can_lock, refuses;
static atomic_int put_held; /* 1: the next PUT of a segment waits; 2: one does */

static struct locked *find(const char *key)
{
    for (size_t i = 0; i < n_all; i++)
        if (!strcmp(all[i].key, key))
            return &all[i];
    assert_true(n_all < MOST);
    all[n_all].lock = (struct obj_lock){.until = 0};
    (void)snprintf(all[n_all].key, sizeof(all[0].key), "%s", key);
    return &all[n_all++];
}

/* As S3 does: never for a shorter time, nor more weakly. */
static void keep(const char *key, const struct obj_lock *l)
{
    struct locked *o = find(key);
    o->lock.compliance = o->lock.compliance || l->compliance;
    o->lock.until = l->until > o->lock.until ? l->until : o->lock.until;
}

static bool lockable(struct objstore *s)
{
    (void)s;
    (void)pthread_mutex_lock(&notes);
    bool can = can_lock;
    (void)pthread_mutex_unlock(&notes);
    return can;
}

static int lock_object(struct objstore *s, const char *key, const struct obj_lock *l, const struct obj_call *c,
                       struct errtext *err)
{
    uint64_t size;
    int rc = inner->head(s, key, &size, c, err);
    (void)pthread_mutex_lock(&notes);
    n_calls++;
    if (!rc && (refuses || (refuses_after && n_calls > refuses_after)))
        rc = errtext_set(err, -EACCES, "lock %s: AccessDenied", key);
    if (!rc)
        keep(key, l);
    (void)pthread_mutex_unlock(&notes);
    return rc;
}

static int put_object(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                      struct errtext *err)
{
    int wanted = 1;
    if (strstr(key, "/seg/") && atomic_compare_exchange_strong(&put_held, &wanted, 2))
        while (atomic_load(&put_held))
            usleep(1000);
    int rc = inner->put(s, key, src, c, err);
    (void)pthread_mutex_lock(&notes);
    if (!rc && c && c->lock.until)
        keep(key, &c->lock);
    (void)pthread_mutex_unlock(&notes);
    return rc;
}

static void set(bool *flag, bool on)
{
    (void)pthread_mutex_lock(&notes);
    *flag = on;
    (void)pthread_mutex_unlock(&notes);
}

static size_t calls(void)
{
    (void)pthread_mutex_lock(&notes);
    size_t n = n_calls;
    (void)pthread_mutex_unlock(&notes);
    return n;
}

/* A commit looks at the heads once more when all is remote. */
static void await_rest(struct library *lib)
{
    for (size_t i = 0; i < lib->n_cartridges; i++) {
        while (!cartridge_take_heads(lib->cartridges[i]))
            progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
        cartridge_give_heads(lib->cartridges[i]);
    }
}

/* The library's store from now on; nobody uses it now. */
static void give_locks(struct library *lib)
{
    inventory_stop(lib);
    atomic_store(&lib->stop, false);
    flush_remote(lib);
    await_rest(lib);
    struct objstore_ops ops = *lib->eng.store->ops;
    if (ops.put != put_object) {
        ops.lockable = lockable;
        ops.lock = lock_object;
        ops.put = put_object;
        exchange_ops(lib, &ops, &inner);
    }
    set(&can_lock, true);
}

static int begin(void **state)
{
    n_all = n_calls = refuses_after = 0;
    can_lock = refuses = false;
    return setup(state);
}

/* ---- what is to be locked ---- */

struct looking {
    uint64_t least;
    bool compliance;
    size_t found;
    char bad[DB_KEY_SIZE + 40];
};

static int look(void *arg, const struct obj_entry *e)
{
    struct looking *l = arg;
    (void)pthread_mutex_lock(&notes);
    const struct locked *o = find(e->key);
    l->found++;
    if (o->lock.until < l->least || o->lock.compliance < l->compliance)
        (void)snprintf(l->bad, sizeof(l->bad), "%s is locked until %llu", e->key, (unsigned long long)o->lock.until);
    (void)pthread_mutex_unlock(&notes);
    return 0;
}

/* All objects of that kind of a tape. */
static size_t all_locked(struct library *lib, const char *barcode, const char *kind, bool compliance, uint64_t least)
{
    char prefix[80];
    struct errtext err = {""};
    struct looking l = {.least = least, .compliance = compliance};
    (void)snprintf(prefix, sizeof(prefix), "tapes/%s/%s/", barcode, kind);
    assert_int_equal(inner->list(lib->eng.store, prefix, NULL, false, look, &l, NULL, &err), 0);
    if (l.bad[0])
        fail_msg("%s", l.bad);
    return l.found;
}

static struct cartridge_view view(struct library *lib, const char *barcode)
{
    struct cartridge_view v;
    cartridge_view(library_cartridge(lib, barcode), &v);
    return v;
}

/* Until the store has locked what it is to lock, and a head says so. */
static void await_locked(struct library *lib, const char *barcode)
{
    for (uint64_t until = clock_ms() + 20000; clock_ms() < until;) {
        uint64_t seen = progress_now(&lib->eng.progress);
        struct cartridge_view v = view(lib, barcode);
        if (!v.object_lock_due && v.backlog.remote)
            return;
        progress_wait(&lib->eng.progress, seen, 100);
    }
    fail_msg("%s: %s", barcode, view(lib, barcode).object_lock_trouble);
}

static void lock_tape(struct library *lib, const char *barcode, const char *mode, uint64_t days, bool bypass)
{
    json_decref(
        call(lib, json_pack("{s:s, s:s, s:s, s:I, s:b}", "op", "tape-lock", "barcode", barcode, "mode", mode, "until",
                            days ? (json_int_t)(engine_time() + days * DAY) : 0, "bypass", (int)bypass)));
}

static void append(struct library *lib, uint16_t slot, uint64_t from, uint64_t to)
{
    move(lib, slot, DRIVE);
    void *d = library_drive(lib, 0);
    assert_int_equal(library_drive_ops()->space_end_of_data(d, &never), TAPE_OK);
    for (uint64_t i = from; i <= to; i++)
        assert_int_equal(write_id(d, i), TAPE_OK);
    move(lib, DRIVE, slot);
}

/* ---- tests ---- */

static void what_is_there_is_locked_with_the_tape(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = new_library(c, "LCK001L8");
    append(lib, SLOT, 1, 40);
    give_locks(lib);
    assert_int_equal(calls(), 0);
    lock_tape(lib, "LCK001L8", "compliance", 30, false);
    await_locked(lib, "LCK001L8");
    uint64_t until = view(lib, "LCK001L8").retention.until;
    assert_true(all_locked(lib, "LCK001L8", "seg", true, until) > 3);
    assert_true(all_locked(lib, "LCK001L8", "head", true, until) > 0);
    struct retention told = view(lib, "LCK001L8").object_lock;
    assert_int_equal(told.mode, RETENTION_COMPLIANCE);
    assert_int_equal(told.until % DAY, 0);
    assert_true(told.until >= until && told.until < until + DAY);
    close_library(lib);
    config_free(c);
}

static void what_comes_after_it_is_locked_as_it_is_put(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = new_library(c, "LCK001L8");
    give_locks(lib);
    lock_tape(lib, "LCK001L8", "governance", 30, false);
    await_locked(lib, "LCK001L8");
    size_t before = calls();
    append(lib, SLOT, 1, 40);
    flush_remote(lib);
    assert_int_equal(calls(), before); /* by no other request than its PUT */
    assert_true(all_locked(lib, "LCK001L8", "seg", false, view(lib, "LCK001L8").retention.until) > 3);
    close_library(lib);
    config_free(c);
}

static void a_longer_lock_reaches_all_objects(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = new_library(c, "LCK001L8");
    give_locks(lib);
    lock_tape(lib, "LCK001L8", "governance", 3, false);
    append(lib, SLOT, 1, 40);
    await_locked(lib, "LCK001L8");
    lock_tape(lib, "LCK001L8", "compliance", 60, false);
    await_locked(lib, "LCK001L8");
    assert_true(all_locked(lib, "LCK001L8", "seg", true, view(lib, "LCK001L8").retention.until) > 3);
    close_library(lib);
    config_free(c);
}

static size_t random_block(uint64_t id)
{
    const size_t len = 600000; /* of which only one fits into a segment of 1 MiB */
    uint64_t x = id * 0x9E3779B97F4A7C15u + 1;
    for (size_t i = 0; i + 8 <= len; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(block + i, &x, 8);
    }
    return len;
}

/* More than a batch, and maps. */
static void a_tape_of_many_segments_is_locked_to_the_last(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = new_library(c, "LCK001L8");
    move(lib, SLOT, DRIVE);
    void *d = library_drive(lib, 0);
    for (uint64_t i = 1; i <= 270; i++)
        assert_int_equal(library_drive_ops()->write(d, block, (uint32_t)random_block(i), true, NULL, &never), TAPE_OK);
    move(lib, DRIVE, SLOT);
    give_locks(lib);
    lock_tape(lib, "LCK001L8", "governance", 30, false);
    await_locked(lib, "LCK001L8");
    uint64_t until = view(lib, "LCK001L8").retention.until;
    assert_true(all_locked(lib, "LCK001L8", "seg", false, until) > 256);
    assert_true(all_locked(lib, "LCK001L8", "map", false, until) > 0);
    close_library(lib);
    config_free(c);
}

static void whoever_starts_later_goes_on_with_it(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = new_library(c, "LCK001L8");
    append(lib, SLOT, 1, 40);
    lock_tape(lib, "LCK001L8", "governance", 30, false); /* which this store cannot */
    flush_remote(lib);
    assert_false(view(lib, "LCK001L8").object_lock_due);
    close_library(lib);
    lib = open_library(c);
    give_locks(lib);
    assert_true(view(lib, "LCK001L8").object_lock_due);
    locks_look(lib); /* as the inventory's thread does, which does not run here */
    await_locked(lib, "LCK001L8");
    assert_true(all_locked(lib, "LCK001L8", "seg", false, view(lib, "LCK001L8").retention.until) > 3);
    close_library(lib);
    config_free(c);
}

/* The head says what is locked, so that nothing is asked again. */
static void a_rebuilt_library_knows_what_is_locked(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M"), *other = config("two", "remote", "64M");
    struct library *lib = new_library(c, "LCK001L8");
    append(lib, SLOT, 1, 40);
    give_locks(lib);
    lock_tape(lib, "LCK001L8", "governance", 30, false);
    await_locked(lib, "LCK001L8");
    struct retention before = view(lib, "LCK001L8").object_lock;
    close_library(lib);
    rebuild_library(other);
    lib = open_library(other);
    give_locks(lib);
    struct retention after = view(lib, "LCK001L8").object_lock;
    assert_int_equal(after.until, before.until);
    assert_int_equal(after.mode, before.mode);
    assert_false(view(lib, "LCK001L8").object_lock_due);
    close_library(lib);
    config_free(c);
    config_free(other);
}

/* Whoever wrote it last locks it: to do so in its place would take it from them. */
static void what_another_gateway_wrote_last_is_not_claimed_for_it(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M"), *other = config("two", "remote", "64M");
    struct library *lib = new_library(c, "LCK001L8");
    append(lib, SLOT, 1, 10);
    lock_tape(lib, "LCK001L8", "governance", 30, false);
    flush_remote(lib);
    close_library(lib);
    rebuild_library(other);
    lib = open_library(other);
    give_locks(lib);
    struct seg_id before = view(lib, "LCK001L8").head;
    assert_false(view(lib, "LCK001L8").object_lock_due);
    locks_look(lib);
    append(lib, SLOT, 11, 20); /* now it is this one's */
    flush_remote(lib);
    await_locked(lib, "LCK001L8");
    assert_int_equal(before.epoch + 1, view(lib, "LCK001L8").head.epoch);
    assert_true(all_locked(lib, "LCK001L8", "seg", false, view(lib, "LCK001L8").retention.until) > 1);
    close_library(lib);
    config_free(c);
    config_free(other);
}

/* What was put without a lock, while it was off or the store could not, is locked once it can. */
static void what_was_put_without_it_is_locked_later(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = new_library(c, "LCK001L8");
    give_locks(lib);
    append(lib, SLOT, 1, 10);
    lock_tape(lib, "LCK001L8", "governance", 30, false);
    await_locked(lib, "LCK001L8");
    atomic_store(&lib->eng.live.object_lock, false);
    append(lib, SLOT, 11, 40);
    flush_remote(lib);
    assert_int_equal(view(lib, "LCK001L8").object_lock.mode, RETENTION_NONE);
    close_library(lib); /* so the state says it, too */
    lib = open_library(c);
    give_locks(lib);
    assert_true(view(lib, "LCK001L8").object_lock_due);
    locks_look(lib);
    await_locked(lib, "LCK001L8");
    assert_true(all_locked(lib, "LCK001L8", "seg", false, view(lib, "LCK001L8").retention.until) > 3);
    close_library(lib);
    config_free(c);
}

static void a_store_that_refuses_holds_up_nothing_and_is_told(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = new_library(c, "LCK001L8");
    append(lib, SLOT, 1, 40);
    give_locks(lib);
    set(&refuses, true);
    lock_tape(lib, "LCK001L8", "governance", 30, false);
    for (uint64_t until = clock_ms() + 20000; !view(lib, "LCK001L8").object_lock_trouble[0] && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
    assert_non_null(strstr(view(lib, "LCK001L8").object_lock_trouble, "AccessDenied"));
    assert_true(view(lib, "LCK001L8").object_lock_due);
    append(lib, SLOT, 41, 80);
    flush_remote(lib);
    json_t *r = call(lib, json_pack("{s:s}", "op", "status"));
    const json_t *locks = json_object_get(r, "locks");
    assert_int_equal(json_integer_value(json_object_get(locks, "object_lock_waiting")), 1);
    assert_non_null(strstr(json_string_value(json_object_get(locks, "object_lock_trouble")), "AccessDenied"));
    json_decref(r);
    set(&refuses, false);
    workers_try_again(lib->eng.workers);
    await_locked(lib, "LCK001L8");
    assert_string_equal(view(lib, "LCK001L8").object_lock_trouble, "");
    assert_true(all_locked(lib, "LCK001L8", "seg", false, view(lib, "LCK001L8").retention.until) > 3);
    close_library(lib);
    config_free(c);
}

static int take_first(void *arg, const struct obj_entry *e)
{
    (void)snprintf(arg, DB_KEY_SIZE, "%s", e->key);
    return 1;
}

/* One that is gone cannot be locked; the others are. */
static void an_object_that_is_gone_holds_up_no_other(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = new_library(c, "LCK001L8");
    append(lib, SLOT, 1, 40);
    give_locks(lib);
    char first[DB_KEY_SIZE] = "";
    const char *key = first;
    struct errtext err = {""};
    assert_int_equal(inner->list(lib->eng.store, "tapes/LCK001L8/seg/", NULL, false, take_first, first, NULL, &err), 1);
    assert_int_equal(inner->del(lib->eng.store, &key, 1, NULL, &err), 0);
    lock_tape(lib, "LCK001L8", "governance", 30, false);
    await_locked(lib, "LCK001L8");
    assert_true(all_locked(lib, "LCK001L8", "seg", false, view(lib, "LCK001L8").retention.until) > 3);
    close_library(lib);
    config_free(c);
}

/* In the middle of it the lock is taken off, the tape is written over, and locked again: from its beginning. */
static void what_is_written_over_meanwhile_is_locked_from_its_beginning(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = new_library(c, "LCK001L8");
    move(lib, SLOT, DRIVE);
    void *d = library_drive(lib, 0);
    for (uint64_t i = 1; i <= 150; i++)
        assert_int_equal(library_drive_ops()->write(d, block, (uint32_t)random_block(i), true, NULL, &never), TAPE_OK);
    move(lib, DRIVE, SLOT);
    give_locks(lib);
    (void)pthread_mutex_lock(&notes);
    refuses_after = 100;
    (void)pthread_mutex_unlock(&notes);
    lock_tape(lib, "LCK001L8", "governance", 30, false);
    for (uint64_t until = clock_ms() + 20000; !view(lib, "LCK001L8").object_lock_trouble[0] && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
    assert_true(calls() > 100);
    lock_tape(lib, "LCK001L8", "", 0, true);
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(d, 1), TAPE_OK); /* at its beginning */
    move(lib, DRIVE, SLOT);
    (void)pthread_mutex_lock(&notes);
    refuses_after = 0;
    (void)pthread_mutex_unlock(&notes);
    lock_tape(lib, "LCK001L8", "governance", 30, false);
    workers_try_again(lib->eng.workers);
    await_locked(lib, "LCK001L8");
    assert_true(all_locked(lib, "LCK001L8", "seg", false, view(lib, "LCK001L8").retention.until) > 0);
    close_library(lib);
    config_free(c);
}

/* What was being put when the lock was made longer has the shorter one, and is not there while the others are locked. */
static void what_is_on_its_way_meanwhile_is_locked_once_it_is_there(void **state)
{
    (void)state;
    const struct obj_call call = {.max_tries = 1};
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "LCK001L8");
    append(lib, SLOT, 1, 4);
    give_locks(lib);
    lock_tape(lib, "LCK001L8", "governance", 30, false);
    await_locked(lib, "LCK001L8");
    atomic_store(&put_held, 1);
    append(lib, SLOT, 5, 5);
    for (uint64_t until = clock_ms() + 20000; atomic_load(&put_held) != 2 && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
    assert_int_equal(atomic_load(&put_held), 2);
    lock_tape(lib, "LCK001L8", "governance", 60, false);
    struct cartridge *t = library_cartridge(lib, "LCK001L8");
    assert_true(cartridge_take_heads(t)); /* as the worker that chose it just before */
    object_lock_some(t, &call);
    cartridge_give_heads(t);
    assert_true(view(lib, "LCK001L8").object_lock_due);
    atomic_store(&put_held, 0);
    await_locked(lib, "LCK001L8");
    assert_true(all_locked(lib, "LCK001L8", "seg", false, view(lib, "LCK001L8").retention.until) > 1);
    close_library(lib);
    config_free(c);
}

/* Taken off by name, the store keeps what it has; what comes then is not locked, and nobody says that it is. */
static void a_lock_that_is_taken_off_is_claimed_no_more(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = new_library(c, "LCK001L8");
    give_locks(lib);
    append(lib, SLOT, 1, 10);
    lock_tape(lib, "LCK001L8", "governance", 300, false);
    await_locked(lib, "LCK001L8");
    lock_tape(lib, "LCK001L8", "", 0, true);
    append(lib, SLOT, 11, 40);
    flush_remote(lib);
    assert_int_equal(view(lib, "LCK001L8").object_lock.mode, RETENTION_NONE);
    lock_tape(lib, "LCK001L8", "governance", 30, false);
    await_locked(lib, "LCK001L8");
    assert_true(all_locked(lib, "LCK001L8", "seg", false, view(lib, "LCK001L8").retention.until) > 3);
    close_library(lib);
    config_free(c);
}

/* ---- what it leans on ---- */

static struct seg_source source(struct library *lib, size_t number)
{
    struct cartridge *a = library_cartridge(lib, "LCK001L8");
    struct seg_ref ref;
    struct errtext err = {""};
    bool there = false;
    for (int i = 0; !there && i < 1000; i++) { /* a worker may unload it */
        assert_int_equal(cartridge_load(a, &err), 0);
        there = cartridge_segment(a, number, &ref);
    }
    assert_true(there);
    struct seg_source s = {.id = ref.id, .size = ref.size, .crc = ref.crc};
    (void)snprintf(s.barcode, sizeof(s.barcode), "LCK001L8");
    memcpy(s.cartridge, cartridge_id(a), sizeof(s.cartridge));
    return s;
}

/* The second tape, which is in a drive, leans on a segment of the first as soon as it may. */
static struct seg_source lean_on(struct library *lib, size_t number, uint64_t id)
{
    struct seg_source s = source(lib, number);
    struct cartridge *a = library_cartridge(lib, "LCK001L8"), *b = library_cartridge(lib, "LCK002L8");
    struct errtext err = {""};
    int rc = -EAGAIN;
    assert_int_equal(write_id(library_drive(lib, 0), id), TAPE_OK);
    for (uint64_t until = clock_ms() + 20000; rc && clock_ms() < until;) {
        uint64_t seen = progress_now(&lib->eng.progress);
        rc = cartridge_lend(a, b, &err);
        lock_take(&b->lock);
        rc = rc ? rc : cartridge_lean(b, &s);
        lock_release(&b->lock);
        if (rc)
            progress_wait(&lib->eng.progress, seen, 20);
    }
    assert_int_equal(rc, 0);
    return s;
}

static struct obj_lock lock_of(const struct seg_source *s)
{
    char key[DB_KEY_SIZE];
    object_key(key, s->barcode, "seg", &s->id);
    (void)pthread_mutex_lock(&notes);
    struct obj_lock l = find(key)->lock;
    (void)pthread_mutex_unlock(&notes);
    return l;
}

static void what_a_locked_tape_leans_on_is_locked_too(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = new_library(c, "LCK001L8");
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "LCK002L8", "capacity", 0)));
    append(lib, SLOT, 1, 40);
    give_locks(lib);
    struct seg_source other = source(lib, 1);
    move(lib, SLOT + 1, DRIVE);
    struct seg_source first = lean_on(lib, 2, 500);
    move(lib, DRIVE, SLOT + 1);
    flush_remote(lib);
    lock_tape(lib, "LCK002L8", "compliance", 30, false);
    await_locked(lib, "LCK002L8");
    uint64_t until = view(lib, "LCK002L8").retention.until;
    assert_true(lock_of(&first).until >= until && lock_of(&first).compliance);
    move(lib, SLOT + 1, DRIVE); /* locked already, and it comes to lean on more: on what is before the other, too */
    assert_int_equal(library_drive_ops()->space_end_of_data(library_drive(lib, 0), &never), TAPE_OK);
    struct seg_source second = lean_on(lib, 0, 501);
    move(lib, DRIVE, SLOT + 1);
    flush_remote(lib);
    await_locked(lib, "LCK002L8");
    assert_true(lock_of(&second).until >= until && lock_of(&second).compliance);
    assert_int_equal(lock_of(&other).until, 0);
    close_library(lib);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_there_is_locked_with_the_tape, begin, teardown),
        cmocka_unit_test_setup_teardown(what_comes_after_it_is_locked_as_it_is_put, begin, teardown),
        cmocka_unit_test_setup_teardown(a_longer_lock_reaches_all_objects, begin, teardown),
        cmocka_unit_test_setup_teardown(a_tape_of_many_segments_is_locked_to_the_last, begin, teardown),
        cmocka_unit_test_setup_teardown(whoever_starts_later_goes_on_with_it, begin, teardown),
        cmocka_unit_test_setup_teardown(a_rebuilt_library_knows_what_is_locked, begin, teardown),
        cmocka_unit_test_setup_teardown(what_another_gateway_wrote_last_is_not_claimed_for_it, begin, teardown),
        cmocka_unit_test_setup_teardown(what_was_put_without_it_is_locked_later, begin, teardown),
        cmocka_unit_test_setup_teardown(a_store_that_refuses_holds_up_nothing_and_is_told, begin, teardown),
        cmocka_unit_test_setup_teardown(an_object_that_is_gone_holds_up_no_other, begin, teardown),
        cmocka_unit_test_setup_teardown(what_is_written_over_meanwhile_is_locked_from_its_beginning, begin, teardown),
        cmocka_unit_test_setup_teardown(what_is_on_its_way_meanwhile_is_locked_once_it_is_there, begin, teardown),
        cmocka_unit_test_setup_teardown(a_lock_that_is_taken_off_is_claimed_no_more, begin, teardown),
        cmocka_unit_test_setup_teardown(what_a_locked_tape_leans_on_is_locked_too, begin, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
