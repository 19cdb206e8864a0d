/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_many.c: pieces of work side by side, results in order (base/many.h). */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/many.h"

#define MOST 1000

struct place {
    atomic_uint running, most, begun;
    atomic_bool worked[MOST];
    size_t expected, end_at;
    pthread_t caller;
    size_t told;
    unsigned gate; /* how many must run at once before any goes on */
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned met;
};

/* The first of them wait for each other: so many run at a time. */
static void work(void *arg, size_t i)
{
    struct place *p = arg;
    unsigned n = atomic_fetch_add(&p->running, 1) + 1, most = atomic_load(&p->most);
    atomic_fetch_add(&p->begun, 1);
    while (n > most && !atomic_compare_exchange_weak(&p->most, &most, n))
        ;
    pthread_mutex_lock(&p->lock);
    p->met++;
    pthread_cond_broadcast(&p->cond);
    while (p->met < p->gate)
        pthread_cond_wait(&p->cond, &p->lock);
    pthread_mutex_unlock(&p->lock);
    atomic_store(&p->worked[i], true);
    atomic_fetch_sub(&p->running, 1);
}

static int done(void *arg, size_t i)
{
    struct place *p = arg;
    assert_int_equal(i, p->expected++);
    assert_true(atomic_load(&p->worked[i]));
    assert_true(pthread_equal(pthread_self(), p->caller));
    return p->end_at && i + 1 == p->end_at ? -EPERM : 0;
}

static void tick(void *arg, size_t so_far)
{
    struct place *p = arg;
    assert_true(so_far >= p->told);
    p->told = so_far;
}

static int run(struct place *p, size_t n, unsigned parallel, unsigned gate, size_t end_at)
{
    *p = (struct place){.caller = pthread_self(), .gate = gate, .end_at = end_at};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->cond, NULL);
    const struct many m = {.n = n, .parallel = parallel, .work = work, .done = done, .tick = tick, .arg = p};
    return many_run(&m);
}

static void results_come_in_order_from_as_many_threads_as_asked(void **state)
{
    (void)state;
    static struct place p;
    assert_int_equal(run(&p, MOST, 8, 8, 0), 0);
    assert_int_equal(p.expected, MOST);
    assert_int_equal(p.told, MOST);
    assert_int_equal(atomic_load(&p.most), 8);
}

static void fewer_pieces_than_threads_are_no_trouble(void **state)
{
    (void)state;
    static struct place p;
    assert_int_equal(run(&p, 3, 8, 3, 0), 0);
    assert_int_equal(p.expected, 3);
    assert_int_equal(run(&p, 0, 8, 0, 0), 0);
    assert_int_equal(run(&p, 5, 0, 0, 0), 0);
    assert_int_equal(p.expected, 5);
}

static void whoever_takes_the_results_can_end_it(void **state)
{
    (void)state;
    static struct place p;
    assert_int_equal(run(&p, MOST, 4, 4, 10), -EPERM);
    assert_int_equal(p.expected, 10);
    assert_true(atomic_load(&p.begun) <= 10 + 4 * 4); /* what waits for its turn is bounded */
    assert_int_equal(atomic_load(&p.running), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_come_in_order_from_as_many_threads_as_asked),
        cmocka_unit_test(fewer_pieces_than_threads_are_no_trouble),
        cmocka_unit_test(whoever_takes_the_results_can_end_it),
    };
    return cmocka_run_group_tests_name("many", tests, NULL, NULL);
}
