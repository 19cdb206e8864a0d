/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_behind_plan.c: blocks that a planner holds back on their way through the queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "vtl/drive/behind.h"

#define MOST 500

/* A planner that holds back the newest few blocks, and a writer. Each is used by one thread at a time: there is no lock,
 * and the sanitizer would see it. */
struct rig {
    size_t hold;      /* blocks that it keeps to itself while it may */
    uint64_t refuses; /* the object that it does not take */
    uint64_t stale;   /* the object whose pieces turn out to be gone */
    uint8_t key_seen[MOST];
    struct behind_block *held[MOST];
    size_t first, n_held, most_held;
    uint64_t object[MOST];
    bool made[MOST];
    size_t n;
};

static bool plan(void *arg, struct behind_block *b, const struct seg_key *key)
{
    struct rig *r = arg;
    r->key_seen[b->object] = key ? key->key[0] : 0;
    if (b->object == r->refuses)
        return false;
    r->held[r->first + r->n_held++] = b;
    if (r->n_held > r->most_held)
        r->most_held = r->n_held;
    return true;
}

static struct behind_block *planned(void *arg, bool drain)
{
    struct rig *r = arg;
    if (r->n_held <= (drain ? 0 : r->hold))
        return NULL;
    struct behind_block *b = r->held[r->first++];
    r->n_held--;
    b->make = calloc(1, sizeof(*b->make));
    return b;
}

static int pack(void *arg, struct seg_packer *p, const struct behind_block *b, const struct seg_key *key,
                struct seg_packed *out)
{
    (void)arg;
    (void)p;
    (void)key;
    *out = (struct seg_packed){.r = {.object = b->object}, .make = b->make};
    return 0;
}

static int put(void *arg, const struct seg_packed *b)
{
    struct rig *r = arg;
    if (b->make && b->r.object == r->stale)
        return -ESTALE;
    r->object[r->n] = b->r.object;
    r->made[r->n++] = b->make != NULL;
    return 0;
}

static int mark(void *arg, uint64_t object, uint32_t count)
{
    struct rig *r = arg;
    assert_int_equal(count, 1);
    r->object[r->n++] = object;
    return 0;
}

/* The same, but the last one that it is asked for takes it long to say there is none. */
static _Atomic int asked; /* 1: it is to take long, 2: it does, 3: it did */
static struct behind *_Atomic asked_queue;

static struct behind_block *planned_slowly(void *arg, bool drain)
{
    struct behind_block *b = planned(arg, drain);
    if (b || !drain || atomic_load(&asked) != 1)
        return b;
    atomic_store(&asked, 2);
    while (behind_bytes(asked_queue)) /* others write what there is */
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); /* and whoever waits for that wakes up */
    atomic_store(&asked, 3);
    return NULL;
}

static const struct behind_ops ops = {.pack = pack, .put = put, .mark = mark, .plan = plan, .planned = planned};

static _Atomic uint64_t total;

static struct behind *new_queue(struct rig *r, size_t hold)
{
    *r = (struct rig){.hold = hold, .refuses = UINT64_MAX, .stale = UINT64_MAX};
    struct behind *q = behind_new(1 << 20, &total, &ops, r);
    assert_non_null(q);
    behind_set_planning(q, true);
    return q;
}

static enum behind_push push(struct behind *q, uint64_t object, const struct tape_crypt *crypt)
{
    void *data = calloc(1, 1000);
    enum behind_push r = behind_push(q, data, 1000, object, false, crypt);
    if (r != BEHIND_TAKEN)
        free(data);
    return r;
}

static void drain(struct behind *q, int rc)
{
    struct behind_loss loss;
    behind_drain(q, &loss);
    assert_int_equal(loss.rc, rc);
}

static void check(const struct rig *r, size_t n)
{
    assert_int_equal(r->n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(r->object[i], i);
}

static void what_is_planned_is_written_in_order(void **state)
{
    (void)state;
    static struct rig r;
    struct behind *q = new_queue(&r, 7);
    for (uint64_t i = 0; i < 400; i++)
        assert_int_equal(push(q, i, NULL), BEHIND_TAKEN);
    drain(q, 0);
    check(&r, 400);
    for (size_t i = 0; i < 400; i++)
        assert_true(r.made[i]);
    assert_int_equal(r.most_held, 8); /* the one that made it let go of one */
    behind_free(q);
}

static void what_is_held_back_is_written_when_nothing_more_comes(void **state)
{
    (void)state;
    static struct rig r;
    struct behind *q = new_queue(&r, 100);
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(push(q, i, NULL), BEHIND_TAKEN);
    uint64_t began = clock_ms();
    while (behind_bytes(q))
        behind_wait_room(q, 1 << 20);
    assert_true(clock_ms() - began < 10000);
    check(&r, 5);
    behind_free(q);
}

static void the_end_of_the_queue_writes_what_is_held_back(void **state)
{
    (void)state;
    static struct rig r;
    struct behind *q = new_queue(&r, 100);
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(push(q, i, NULL), BEHIND_TAKEN);
    behind_free(q);
    check(&r, 5);
}

static void a_block_that_the_planner_refuses_comes_after_those_before_it(void **state)
{
    (void)state;
    static struct rig r;
    struct behind *q = new_queue(&r, 50);
    r.refuses = 20;
    for (uint64_t i = 0; i < 30; i++)
        assert_int_equal(push(q, i, NULL), BEHIND_TAKEN);
    drain(q, 0);
    check(&r, 30);
    for (size_t i = 0; i < 30; i++)
        assert_int_equal(r.made[i], i != 20);
    behind_free(q);
}

static void what_copies_from_something_gone_is_written_as_it_is(void **state)
{
    (void)state;
    static struct rig r;
    struct behind *q = new_queue(&r, 3);
    r.stale = 11;
    for (uint64_t i = 0; i < 30; i++)
        assert_int_equal(push(q, i, NULL), BEHIND_TAKEN);
    drain(q, 0);
    check(&r, 30);
    for (size_t i = 0; i < 30; i++)
        assert_int_equal(r.made[i], i != 11);
    behind_free(q);
}

static void blocks_with_and_without_a_key_are_not_planned_together(void **state)
{
    (void)state;
    static struct rig r;
    static const uint8_t key[TAPE_KEY_SIZE] = {42};
    const struct tape_crypt crypt = {.encrypt = true, .key = key};
    struct behind *q = new_queue(&r, 100);
    assert_int_equal(push(q, 0, NULL), BEHIND_TAKEN);
    assert_int_equal(push(q, 1, &crypt), BEHIND_DRAIN);
    drain(q, 0);
    assert_int_equal(push(q, 1, &crypt), BEHIND_TAKEN);
    assert_int_equal(push(q, 2, NULL), BEHIND_DRAIN);
    drain(q, 0);
    check(&r, 2);
    assert_int_equal(r.key_seen[0], 0);
    assert_int_equal(r.key_seen[1], 42);
    behind_free(q);
}

static void planning_can_be_off(void **state)
{
    (void)state;
    static struct rig r;
    struct behind *q = new_queue(&r, 100);
    behind_set_planning(q, false);
    for (uint64_t i = 0; i < 30; i++)
        assert_int_equal(push(q, i, NULL), BEHIND_TAKEN);
    drain(q, 0);
    check(&r, 30);
    assert_int_equal(r.most_held, 0);
    behind_set_planning(q, true);
    assert_int_equal(push(q, 30, NULL), BEHIND_TAKEN);
    drain(q, 0);
    assert_true(r.made[30]);
    behind_free(q);
}

static atomic_bool first_packed;
/* The first block keeps its thread busy, so that the other one plans those behind it. */
static int pack_first_late(void *arg, struct seg_packer *p, const struct behind_block *b, const struct seg_key *key,
                           struct seg_packed *out)
{
    if (!b->object)
        atomic_store(&first_packed, true);
    while (!b->object && atomic_load(&asked) < 2)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return pack(arg, p, b, key, out);
}

/* Whoever drained it uses the planner, or frees it. */
static void the_planner_is_at_rest_once_the_queue_is_drained(void **state)
{
    (void)state;
    static struct rig r;
    static const struct behind_ops slow = {
        .pack = pack_first_late, .put = put, .plan = plan, .planned = planned_slowly};
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        skip(); /* one thread does all */
    r = (struct rig){.hold = 4, .refuses = UINT64_MAX, .stale = UINT64_MAX};
    struct behind *q = behind_new(1 << 20, &total, &slow, &r);
    assert_non_null(q);
    atomic_store(&asked_queue, q);
    atomic_store(&asked, 1);
    behind_set_planning(q, true);
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(push(q, i, NULL), BEHIND_TAKEN);
    while (!atomic_load(&first_packed))
        behind_wait_room(q, 1 << 20);
    drain(q, 0);
    assert_int_equal(atomic_load(&asked), 3);
    check(&r, 5);
    behind_free(q);
}

static void filemarks_go_through_the_planner_whatever_the_key(void **state)
{
    (void)state;
    static struct rig r;
    const uint8_t key[TAPE_KEY_SIZE] = {7};
    const struct tape_crypt crypt = {.key = key, .encrypt = true};
    struct behind *q = new_queue(&r, 100);
    uint64_t object = 0;
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        for (int i = 0; i < 10; i++) {
            assert_int_equal(behind_push_filemarks(q, object++, 1), BEHIND_TAKEN);
            assert_int_equal(push(q, object++, encrypted ? &crypt : NULL), BEHIND_TAKEN);
        }
        assert_int_equal(behind_push_filemarks(q, object++, 1), BEHIND_TAKEN);
        assert_int_equal(push(q, object, encrypted ? NULL : &crypt), BEHIND_DRAIN); /* as ever */
        drain(q, 0);
        check(&r, object);
    }
    assert_int_equal(r.n_held, 0);
    assert_true(r.first == object); /* all of them */
    behind_free(q);
}

/* ---- work of the planner's that needs no turn ---- */

/* A planner that gives a block back once somebody has done a part of the work for it; a rig that many use. */
static struct parts {
    struct rig r;
    _Atomic uint64_t taken, begun, done; /* blocks, in their order */
    _Atomic unsigned helping, most_helping, lingering;
} parts;

static bool plan_in_parts(void *arg, struct behind_block *b, const struct seg_key *key)
{
    (void)plan(arg, b, key);
    atomic_fetch_add(&parts.taken, 1);
    return true;
}

static bool help_first(void)
{
    uint64_t mine = atomic_load(&parts.begun);
    do
        if (mine == atomic_load(&parts.taken))
            return false;
    while (!atomic_compare_exchange_weak(&parts.begun, &mine, mine + 1));
    unsigned n = atomic_fetch_add(&parts.helping, 1) + 1;
    if (n > atomic_load(&parts.most_helping))
        atomic_store(&parts.most_helping, n);
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    atomic_fetch_sub(&parts.helping, 1);
    while (atomic_load(&parts.done) != mine) /* those before it */
        nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
    atomic_fetch_add(&parts.done, 1);
    return true;
}

static bool help(void *arg)
{
    (void)arg;
    return help_first();
}

static struct behind_block *planned_in_parts(void *arg, bool drain)
{
    struct rig *r = arg;
    while (drain && atomic_load(&parts.done) != atomic_load(&parts.taken))
        (void)help_first();
    return r->first < atomic_load(&parts.done) ? planned(arg, drain) : NULL;
}

static struct behind *new_queue_in_parts(size_t hold, bool (*helps)(void *))
{
    static struct behind_ops in_parts = {.pack = pack, .put = put, .plan = plan_in_parts, .planned = planned_in_parts};
    parts = (struct parts){.r = {.hold = hold, .refuses = UINT64_MAX, .stale = UINT64_MAX}};
    in_parts.help = helps;
    struct behind *q = behind_new(1 << 20, &total, &in_parts, &parts.r);
    assert_non_null(q);
    behind_set_planning(q, true);
    return q;
}

static void whoever_has_nothing_else_to_do_helps_the_planner(void **state)
{
    (void)state;
    struct behind *q = new_queue_in_parts(2, help);
    for (uint64_t i = 0; i < 400; i++)
        assert_int_equal(push(q, i, NULL), BEHIND_TAKEN);
    while (behind_bytes(q) > 10 * 1512) /* nobody drains: they all but the last few are helped along */
        behind_wait_room(q, 1 << 20);
    if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
        assert_true(parts.most_helping > 1);
    drain(q, 0);
    check(&parts.r, 400);
    behind_free(q);
}

/* What it did is known, and it has not come back yet. */
static bool help_and_linger(void *arg)
{
    if (!help(arg))
        return false;
    atomic_fetch_add(&parts.lingering, 1);
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    atomic_fetch_sub(&parts.lingering, 1);
    return true;
}

static void nobody_helps_once_the_queue_is_drained(void **state)
{
    (void)state;
    struct behind *q = new_queue_in_parts(2, help_and_linger);
    for (uint64_t i = 0; i < 60;) {
        for (unsigned n = 0; n < 6; n++)
            assert_int_equal(push(q, i++, NULL), BEHIND_TAKEN);
        drain(q, 0);
        assert_int_equal(atomic_load(&parts.lingering), 0);
    }
    check(&parts.r, 60);
    behind_free(q);
}

/* ---- what comes while a thread only looks for work ---- */

static _Atomic int looking; /* 1: it looks, 2: let it find nothing */

static bool help_finds_nothing(void *arg)
{
    (void)arg;
    int was = 0;
    if (atomic_compare_exchange_strong(&looking, &was, 1))
        while (atomic_load(&looking) != 2)
            sched_yield();
    return false;
}

static void *let_it_find_nothing(void *arg)
{
    (void)arg;
    while (atomic_load(&looking) != 1)
        sched_yield();
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); /* the drain begins to wait */
    atomic_store(&looking, 2);
    return NULL;
}

/* Of a queue with one thread, which else waits for 200 ms each time before it looks by itself. */
static void a_drain_is_seen_while_a_thread_looks_for_work(void **state)
{
    (void)state;
    enum { ROUNDS = 20 };
    unsigned slow = 0;
    static const struct behind_ops looks = {
        .pack = pack, .put = put, .plan = plan, .planned = planned, .help = help_finds_nothing};
    for (int i = 0; i < ROUNDS; i++) {
        static struct rig r;
        pthread_t other;
        r = (struct rig){.hold = 100, .refuses = UINT64_MAX, .stale = UINT64_MAX};
        atomic_store(&looking, 0);
        struct behind *q = behind_new(1 << 20, &total, &looks, &r);
        assert_non_null(q);
        behind_set_planning(q, true);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); /* its thread waits: no other is started */
        assert_int_equal(push(q, 0, NULL), BEHIND_TAKEN);
        assert_int_equal(pthread_create(&other, NULL, let_it_find_nothing, NULL), 0);
        while (!atomic_load(&looking))
            sched_yield();
        uint64_t began = clock_ms();
        drain(q, 0);
        slow += clock_ms() - began >= 200;
        pthread_join(other, NULL);
        check(&r, 1);
        behind_free(q);
    }
    assert_true(slow < ROUNDS / 2); /* a machine that is busy may be slow now and then */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_planned_is_written_in_order),
        cmocka_unit_test(what_is_held_back_is_written_when_nothing_more_comes),
        cmocka_unit_test(the_end_of_the_queue_writes_what_is_held_back),
        cmocka_unit_test(a_block_that_the_planner_refuses_comes_after_those_before_it),
        cmocka_unit_test(what_copies_from_something_gone_is_written_as_it_is),
        cmocka_unit_test(blocks_with_and_without_a_key_are_not_planned_together),
        cmocka_unit_test(planning_can_be_off),
        cmocka_unit_test(the_planner_is_at_rest_once_the_queue_is_drained),
        cmocka_unit_test(filemarks_go_through_the_planner_whatever_the_key),
        cmocka_unit_test(whoever_has_nothing_else_to_do_helps_the_planner),
        cmocka_unit_test(nobody_helps_once_the_queue_is_drained),
        cmocka_unit_test(a_drain_is_seen_while_a_thread_looks_for_work),
    };
    return cmocka_run_group_tests_name("behind_plan", tests, NULL, NULL);
}
