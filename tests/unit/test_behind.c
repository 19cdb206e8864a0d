/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_behind.c: the queue of blocks that are acknowledged before they are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vtl/drive/behind.h"

/* A writer that waits at a gate and notes what passes. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t may;          /* so many blocks may pass */
    uint64_t n, at, fails; /* passed; the one that is at the gate; the object that fails */
    uint64_t object[100];
    uint8_t key[100];
};

/* What becomes of a block here: its number, and the first byte of the key. */
static int note(void *arg, struct seg_packer *p, const struct behind_block *b, const struct seg_key *key,
                struct seg_packed *out)
{
    (void)arg;
    (void)p;
    *out = (struct seg_packed){.r = {.object = b->object, .flags = key ? key->key[0] : 0}};
    return 0;
}

static int pass(void *arg, const struct seg_packed *b)
{
    struct gate *g = arg;
    pthread_mutex_lock(&g->lock);
    g->at = b->r.object;
    pthread_cond_broadcast(&g->moved);
    while (g->n >= g->may)
        pthread_cond_wait(&g->moved, &g->lock);
    int rc = b->r.object == g->fails ? -ENOSPC : 0;
    g->object[g->n] = b->r.object;
    g->key[g->n++] = b->r.flags;
    pthread_mutex_unlock(&g->lock);
    return rc;
}

static int pass_filemarks(void *arg, uint64_t object, uint32_t count)
{
    return pass(arg, &(struct seg_packed){.r = {.object = object, .flags = (uint8_t)(100 + count)}});
}

static const struct behind_ops ops = {.pack = note, .put = pass, .mark = pass_filemarks};

static void open_gate(struct gate *g, uint64_t may)
{
    pthread_mutex_lock(&g->lock);
    g->may = may;
    pthread_cond_broadcast(&g->moved);
    pthread_mutex_unlock(&g->lock);
}

static void await_at(struct gate *g, uint64_t object)
{
    pthread_mutex_lock(&g->lock);
    while (g->at != object)
        pthread_cond_wait(&g->moved, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static struct gate new_gate(uint64_t may)
{
    return (struct gate){PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, may, 0, 0, UINT64_MAX, {0}, {0}};
}

static enum behind_push push(struct behind *q, uint64_t object, uint32_t len, const struct tape_crypt *crypt)
{
    void *data = calloc(1, len);
    enum behind_push r = behind_push(q, data, len, object, false, crypt);
    if (r != BEHIND_TAKEN)
        free(data);
    return r;
}

/* The linker puts this in place of the library's own. */
static atomic_bool no_packer;
struct seg_packer *__real_seg_packer_new(void);
struct seg_packer *__wrap_seg_packer_new(void);
struct seg_packer *__wrap_seg_packer_new(void)
{
    return atomic_exchange(&no_packer, false) ? NULL : __real_seg_packer_new();
}

static void a_lack_of_memory_loses_what_is_queued_and_no_more(void **state)
{
    (void)state;
    struct gate g = new_gate(UINT64_MAX);
    struct behind_loss loss;
    _Atomic uint64_t total = 0;
    atomic_store(&no_packer, true);
    struct behind *q = behind_new(1 << 20, &total, &ops, &g);
    assert_non_null(q);
    assert_int_equal(push(q, 1, 10, NULL), BEHIND_TAKEN);
    behind_drain(q, &loss);
    assert_int_equal(loss.rc, -ENOMEM);
    assert_int_equal(loss.blocks, 1);
    assert_int_equal(push(q, 1, 10, NULL), BEHIND_TAKEN);
    behind_drain(q, &loss);
    assert_int_equal(loss.rc, 0);
    assert_int_equal(g.n, 1);
    behind_free(q);
}

static void blocks_are_written_in_order(void **state)
{
    (void)state;
    struct gate g = new_gate(UINT64_MAX);
    struct behind_loss loss;
    _Atomic uint64_t total = 0;
    struct behind *q = behind_new(1 << 20, &total, &ops, &g);
    assert_non_null(q);
    for (uint64_t i = 1; i <= 50; i++)
        assert_int_equal(push(q, i, 1000, NULL), BEHIND_TAKEN);
    behind_drain(q, &loss);
    assert_int_equal(loss.rc, 0);
    assert_int_equal(g.n, 50);
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(g.object[i], i + 1);
    assert_int_equal(behind_bytes(q), 0);
    assert_int_equal(total, 0);
    behind_free(q);
}

static void no_more_waits_than_there_is_room_for(void **state)
{
    (void)state;
    struct gate g = new_gate(0);
    _Atomic uint64_t total = 5;
    struct behind *q = behind_new(100000, &total, &ops, &g);
    assert_int_equal(push(q, 1, 40000, NULL), BEHIND_TAKEN);
    assert_int_equal(push(q, 2, 40000, NULL), BEHIND_TAKEN);
    assert_int_equal(push(q, 3, 40000, NULL), BEHIND_FULL);
    assert_int_equal(push(q, 3, 18000, NULL), BEHIND_TAKEN);
    assert_in_range(behind_bytes(q), 98000, 100000);
    assert_int_equal(total, behind_bytes(q) + 5);
    open_gate(&g, 1); /* the first leaves */
    enum behind_push r;
    while ((r = push(q, 4, 40000, NULL)) == BEHIND_FULL)
        behind_wait_room(q, 40000);
    assert_int_equal(r, BEHIND_TAKEN);
    open_gate(&g, UINT64_MAX);
    behind_free(q); /* writes what waits */
    assert_int_equal(g.n, 4);
    assert_int_equal(total, 5);
}

static void a_block_larger_than_the_room_goes_alone(void **state)
{
    (void)state;
    struct gate g = new_gate(0);
    _Atomic uint64_t total = 0;
    struct behind *q = behind_new(1000, &total, &ops, &g);
    assert_int_equal(push(q, 1, 5000, NULL), BEHIND_TAKEN);
    assert_int_equal(push(q, 2, 1, NULL), BEHIND_FULL);
    open_gate(&g, UINT64_MAX);
    behind_free(q);
    assert_int_equal(g.n, 1);
}

/* There is never a hole. */
static void nothing_is_written_after_a_failure_until_it_was_told(void **state)
{
    (void)state;
    struct gate g = new_gate(0);
    struct behind_loss loss;
    _Atomic uint64_t total = 0;
    struct behind *q = behind_new(1 << 20, &total, &ops, &g);
    g.fails = 2;
    for (uint64_t i = 1; i <= 4; i++)
        assert_int_equal(push(q, i, 100 * (uint32_t)i, NULL), BEHIND_TAKEN);
    open_gate(&g, 2);
    enum behind_push r;
    while ((r = push(q, 5, 500, NULL)) != BEHIND_DRAIN) /* until the second has failed */
        ;
    assert_int_equal(r, BEHIND_DRAIN);
    open_gate(&g, UINT64_MAX);
    behind_drain(q, &loss);
    assert_int_equal(loss.rc, -ENOSPC);
    assert_int_equal(loss.object, 2);
    assert_true(loss.blocks >= 3 && loss.bytes >= 900);
    assert_int_equal(g.n, 2);
    behind_drain(q, &loss);
    assert_int_equal(loss.rc, 0);
    g.fails = UINT64_MAX;
    assert_int_equal(push(q, 2, 100, NULL), BEHIND_TAKEN);
    behind_drain(q, &loss);
    behind_free(q);
    assert_int_equal(total, 0);
}

static void each_block_keeps_the_key_it_came_with(void **state)
{
    (void)state;
    struct gate g = new_gate(0);
    struct behind_loss loss;
    _Atomic uint64_t total = 0;
    struct behind *q = behind_new(1 << 20, &total, &ops, &g);
    uint8_t one[TAPE_KEY_SIZE], two[TAPE_KEY_SIZE];
    memset(one, 1, sizeof(one));
    memset(two, 2, sizeof(two));
    struct tape_crypt a = {.key = one, .encrypt = true, .kad_len = 3, .kad = "abc"}, b = a, c = a;
    b.key = two;
    c.kad[0] = 'x';
    assert_int_equal(push(q, 1, 100, &a), BEHIND_TAKEN);
    await_at(&g, 1);
    assert_int_equal(push(q, 2, 100, NULL), BEHIND_TAKEN); /* in clear, in between */
    assert_int_equal(push(q, 3, 100, &a), BEHIND_TAKEN);
    assert_int_equal(push(q, 4, 100, &b), BEHIND_DRAIN); /* another key */
    assert_int_equal(push(q, 4, 100, &c), BEHIND_DRAIN); /* other data kept with it */
    memset(one, 9, sizeof(one));                         /* the caller's copy is its own */
    open_gate(&g, UINT64_MAX);
    behind_drain(q, &loss);
    assert_int_equal(loss.rc, 0);
    assert_int_equal(push(q, 4, 100, &b), BEHIND_TAKEN);
    behind_drain(q, &loss);
    behind_free(q);
    assert_memory_equal(g.key, ((uint8_t[]){1, 0, 1, 2}), 4);
}

/* ---- several threads ---- */

struct crew {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    unsigned packing, most;
    uint64_t n, object[400];
};

/* Takes its time; once it does, waits for a second one beside it. */
static int pack_slowly(void *arg, struct seg_packer *p, const struct behind_block *b, const struct seg_key *key,
                       struct seg_packed *out)
{
    struct crew *c = arg;
    (void)p;
    (void)key;
    *out = (struct seg_packed){.r = {.object = b->object}};
    pthread_mutex_lock(&c->lock);
    if (++c->packing > c->most)
        c->most = c->packing;
    pthread_cond_broadcast(&c->moved);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += b->object < 10 ? 2000000 : 0; /* this is what makes it slow */
    until.tv_sec += b->object < 10 ? until.tv_nsec / 1000000000 : 30;
    until.tv_nsec %= 1000000000;
    for (int rc = 0; c->most < 2 && !rc;)
        rc = pthread_cond_timedwait(&c->moved, &c->lock, &until);
    c->packing--;
    pthread_mutex_unlock(&c->lock);
    return 0;
}

static int put_next(void *arg, const struct seg_packed *b)
{
    struct crew *c = arg;
    c->object[c->n++] = b->r.object; /* one at a time: there is no lock */
    return 0;
}

static void what_takes_long_is_packed_by_several_and_written_in_order(void **state)
{
    (void)state;
    static const struct behind_ops slow = {.pack = pack_slowly, .put = put_next};
    struct crew c = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0, {0}};
    struct behind_loss loss;
    _Atomic uint64_t total = 0;
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        print_message("# one processor: there is one thread\n");
        return;
    }
    struct behind *q = behind_new(1 << 20, &total, &slow, &c);
    for (uint64_t i = 0; i < 400; i++)
        assert_int_equal(push(q, i, 100, NULL), BEHIND_TAKEN);
    behind_drain(q, &loss);
    assert_int_equal(loss.rc, 0);
    assert_int_equal(c.n, 400);
    for (uint64_t i = 0; i < 400; i++)
        assert_int_equal(c.object[i], i);
    assert_true(c.most > 1);
    behind_free(q);
}

static void filemarks_are_written_in_their_turn(void **state)
{
    (void)state;
    struct gate g = new_gate(0);
    struct behind_loss loss;
    _Atomic uint64_t total = 0;
    const uint8_t key[TAPE_KEY_SIZE] = {7};
    const struct tape_crypt crypt = {.key = key, .encrypt = true};
    struct behind *q = behind_new(1 << 20, &total, &ops, &g);
    assert_non_null(q);
    assert_int_equal(push(q, 1, 10, &crypt), BEHIND_TAKEN);
    assert_int_equal(behind_push_filemarks(q, 2, 3), BEHIND_TAKEN);
    assert_int_equal(push(q, 5, 10, &crypt), BEHIND_TAKEN); /* of the same key as before */
    assert_int_equal(behind_push_filemarks(q, 6, 1), BEHIND_TAKEN);
    open_gate(&g, UINT64_MAX);
    behind_drain(q, &loss);
    assert_int_equal(loss.rc, 0);
    assert_int_equal(g.n, 4);
    static const uint64_t objects[] = {1, 2, 5, 6};
    static const uint8_t keys[] = {7, 103, 7, 101};
    assert_memory_equal(g.object, objects, sizeof(objects));
    assert_memory_equal(g.key, keys, sizeof(keys));
    behind_free(q);
}

static void lost_filemarks_are_told_apart_from_lost_blocks(void **state)
{
    (void)state;
    struct gate g = new_gate(0);
    struct behind_loss loss;
    _Atomic uint64_t total = 0;
    struct behind *q = behind_new(1 << 20, &total, &ops, &g);
    assert_non_null(q);
    g.fails = 1;
    for (uint64_t object = 1; object < 10; object += 3) {
        assert_int_equal(behind_push_filemarks(q, object, 2), BEHIND_TAKEN);
        assert_int_equal(push(q, object + 2, 10, NULL), BEHIND_TAKEN);
    }
    open_gate(&g, UINT64_MAX);
    behind_drain(q, &loss);
    assert_int_equal(loss.rc, -ENOSPC);
    assert_int_equal(loss.object, 1);
    assert_int_equal(loss.filemarks, 6);
    assert_int_equal(loss.blocks, 3);
    assert_int_equal(loss.bytes, 30);
    assert_int_equal(g.n, 1);
    behind_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filemarks_are_written_in_their_turn),
        cmocka_unit_test(lost_filemarks_are_told_apart_from_lost_blocks),
        cmocka_unit_test(blocks_are_written_in_order),
        cmocka_unit_test(a_lack_of_memory_loses_what_is_queued_and_no_more),
        cmocka_unit_test(no_more_waits_than_there_is_room_for),
        cmocka_unit_test(a_block_larger_than_the_room_goes_alone),
        cmocka_unit_test(nothing_is_written_after_a_failure_until_it_was_told),
        cmocka_unit_test(each_block_keeps_the_key_it_came_with),
        cmocka_unit_test(what_takes_long_is_packed_by_several_and_written_in_order),
    };
    return cmocka_run_group_tests_name("behind", tests, NULL, NULL);
}
