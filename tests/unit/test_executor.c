/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_executor.c: jobs run in order on a thread of their own, and come back in order. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "vtl/target/executor.h"

struct counting_job {
    struct exec_job job;
    int *ran; /* only the executor's thread writes it while jobs run */
    int order;
    pthread_t thread;
};

static void count_run(struct exec_job *job)
{
    struct counting_job *c = (struct counting_job *)job;
    c->order = (*c->ran)++;
    c->thread = pthread_self();
}

/* Waits until the executor has something; fails after ten seconds. */
static struct exec_job *await_done(struct executor *e)
{
    struct pollfd p = {.fd = executor_done_fd(e), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
    return executor_done(e);
}

struct long_job {
    struct exec_job job;
    struct executor *executor;
    atomic_bool may_end;
    bool ended;
};

static void hand_back_and_go_on(struct exec_job *job)
{
    struct long_job *l = (struct long_job *)job;
    executor_hand_back(l->executor, job);
    while (!atomic_load(&l->may_end)) /* the test says when; it holds the memory longer than a caller need */
        (void)poll(NULL, 0, 1);
    l->ended = true;
}

static void a_job_that_goes_on_is_handed_back_before_its_end_and_once(void **state)
{
    (void)state;
    int ran = 0;
    struct executor *e = executor_new("after");
    assert_non_null(e);
    struct long_job first = {.job = {.run = hand_back_and_go_on}, .executor = e};
    struct counting_job second = {.job = {.run = count_run}, .ran = &ran};
    executor_submit(e, &first.job);
    executor_submit(e, &second.job);
    assert_ptr_equal(await_done(e), &first.job);
    assert_null(first.job.next);
    assert_false(first.ended);
    assert_null(executor_done(e)); /* the second waits for the whole of the first */
    atomic_store(&first.may_end, true);
    assert_ptr_equal(await_done(e), &second.job);
    assert_null(second.job.next);
    assert_true(first.ended);
    assert_null(executor_done(e));
    executor_free(e);
}

static void runs_jobs_in_order_and_returns_them_in_order(void **state)
{
    (void)state;
    enum { N = 2000 };
    int ran = 0;
    struct counting_job *jobs = calloc(N, sizeof(*jobs));
    assert_non_null(jobs);
    struct executor *e = executor_new("order");
    assert_non_null(e);
    for (int i = 0; i < N; i++) {
        jobs[i] = (struct counting_job){.job = {.run = count_run}, .ran = &ran};
        executor_submit(e, &jobs[i].job);
    }
    int back = 0;
    while (back < N) {
        struct exec_job *next;
        for (struct exec_job *j = await_done(e); j; j = next) {
            next = j->next;
            assert_ptr_equal(j, &jobs[back].job);
            assert_int_equal(jobs[back].order, back);
            back++;
        }
    }
    assert_null(executor_done(e));
    executor_free(e);
    free(jobs);
}

static void runs_on_one_thread_that_is_not_the_callers(void **state)
{
    (void)state;
    int ran = 0;
    struct counting_job a = {.job = {.run = count_run}, .ran = &ran}, b = a;
    struct executor *e = executor_new("thread");
    executor_submit(e, &a.job);
    assert_ptr_equal(await_done(e), &a.job);
    executor_submit(e, &b.job);
    assert_ptr_equal(await_done(e), &b.job);
    assert_false(pthread_equal(a.thread, pthread_self()));
    assert_true(pthread_equal(a.thread, b.thread));
    executor_free(e);
}

static void done_clears_the_eventfd(void **state)
{
    (void)state;
    int ran = 0;
    struct counting_job a = {.job = {.run = count_run}, .ran = &ran};
    struct executor *e = executor_new("eventfd");
    struct pollfd p = {.fd = executor_done_fd(e), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 0);
    assert_null(executor_done(e));
    executor_submit(e, &a.job);
    assert_ptr_equal(await_done(e), &a.job);
    assert_int_equal(poll(&p, 1, 0), 0);
    executor_free(e);
}

struct gate_job {
    struct exec_job job;
    int enter[2], leave[2]; /* pipes: tells that it runs; waits until it may end */
};

static void gate_run(struct exec_job *job)
{
    struct gate_job *g = (struct gate_job *)job;
    char c = 'x';
    assert_int_equal(write(g->enter[1], &c, 1), 1);
    assert_int_equal(read(g->leave[0], &c, 1), 1);
}

static void gate_open(struct gate_job *g)
{
    g->job = (struct exec_job){.run = gate_run};
    assert_int_equal(pipe(g->enter), 0);
    assert_int_equal(pipe(g->leave), 0);
}

static void gate_close(struct gate_job *g)
{
    for (int i = 0; i < 2; i++) {
        close(g->enter[i]);
        close(g->leave[i]);
    }
}

static void submit_does_not_wait_for_a_running_job(void **state)
{
    (void)state;
    int ran = 0;
    char c;
    struct gate_job g;
    gate_open(&g);
    struct counting_job a = {.job = {.run = count_run}, .ran = &ran};
    struct executor *e = executor_new("gate");
    executor_submit(e, &g.job);
    assert_int_equal(read(g.enter[0], &c, 1), 1); /* it runs, and will not end before we say so */
    executor_submit(e, &a.job);
    assert_null(executor_done(e));
    assert_int_equal(write(g.leave[1], "x", 1), 1);
    struct exec_job *first = await_done(e);
    assert_ptr_equal(first, &g.job);
    assert_ptr_equal(first->next ? first->next : await_done(e), &a.job);
    executor_free(e);
    gate_close(&g);
}

static void free_runs_what_is_queued(void **state)
{
    (void)state;
    int ran = 0;
    char c;
    struct gate_job g;
    gate_open(&g);
    struct counting_job jobs[20];
    struct executor *e = executor_new("free");
    executor_submit(e, &g.job);
    assert_int_equal(read(g.enter[0], &c, 1), 1);
    for (int i = 0; i < 20; i++) {
        jobs[i] = (struct counting_job){.job = {.run = count_run}, .ran = &ran};
        executor_submit(e, &jobs[i].job);
    }
    assert_int_equal(write(g.leave[1], "x", 1), 1);
    executor_free(e);
    assert_int_equal(ran, 20);
    gate_close(&g);
}

static void a_job_that_waits_can_be_taken_back(void **state)
{
    (void)state;
    int ran = 0;
    char c;
    struct gate_job g;
    struct counting_job a = {.job = {.run = count_run}, .ran = &ran}, b = a, d = a, last = a;
    gate_open(&g);
    struct executor *e = executor_new("remove");
    executor_submit(e, &g.job);
    assert_int_equal(read(g.enter[0], &c, 1), 1);
    executor_submit(e, &a.job);
    executor_submit(e, &b.job);
    executor_submit(e, &d.job);
    assert_false(executor_remove(e, &g.job)); /* it runs */
    assert_true(executor_remove(e, &b.job));
    assert_false(executor_remove(e, &b.job));
    assert_true(executor_remove(e, &d.job)); /* the last one: what is submitted now stands behind a */
    executor_submit(e, &last.job);
    assert_int_equal(write(g.leave[1], "x", 1), 1);
    executor_free(e);
    assert_int_equal(ran, 2);
    assert_int_equal(a.order, 0);
    assert_int_equal(last.order, 1);
    gate_close(&g);
}

static void mask_run(struct exec_job *job)
{
    struct counting_job *c = (struct counting_job *)job;
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    c->order = sigismember(&now, SIGTERM) && sigismember(&now, SIGALRM);
}

static void signals_stay_with_the_callers_thread(void **state)
{
    (void)state;
    struct counting_job a = {.job = {.run = mask_run}};
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    struct executor *e = executor_new("signals");
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    executor_submit(e, &a.job);
    assert_ptr_equal(await_done(e), &a.job);
    assert_int_equal(a.order, 1);
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    executor_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_that_goes_on_is_handed_back_before_its_end_and_once),
        cmocka_unit_test(runs_jobs_in_order_and_returns_them_in_order),
        cmocka_unit_test(runs_on_one_thread_that_is_not_the_callers),
        cmocka_unit_test(done_clears_the_eventfd),
        cmocka_unit_test(submit_does_not_wait_for_a_running_job),
        cmocka_unit_test(free_runs_what_is_queued),
        cmocka_unit_test(a_job_that_waits_can_be_taken_back),
        cmocka_unit_test(signals_stay_with_the_callers_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
