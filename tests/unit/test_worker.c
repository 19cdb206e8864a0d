/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_worker.c: the list of cartridges that there may be work for, with several workers that look at the same one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "vtl/cartridge/worker.c" /* hold, release and poke are its own */

static struct engine eng;
static struct workers w;
static struct cartridge one;

static int setup(void **state)
{
    (void)state;
    progress_init(&eng.progress);
    w = (struct workers){.eng = &eng};
    lock_init(&w.lock, LOCK_WORKERS);
    cond_init(&w.cond);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(w.active);
    cond_fini(&w.cond);
    lock_fini(&w.lock);
    progress_fini(&eng.progress);
    return 0;
}

static uint64_t look_at_it(void)
{
    uint64_t pokes = 0;
    assert_ptr_equal(hold(&w, 0, &pokes), &one);
    return pokes;
}

static void what_has_nothing_to_do_leaves_the_list(void **state)
{
    (void)state;
    poke(&w, &one);
    poke(&w, &one);
    assert_int_equal(w.n_active, 1);
    release(&w, &one, true, look_at_it());
    assert_int_equal(w.n_active, 0);
    uint64_t pokes = 0;
    assert_null(hold(&w, 0, &pokes));
}

/* The first finds nothing to do. Before it says so comes a poke, and a second one looks, which has not found what the
 * poke is about either (somebody else has the heads, say). Whichever of the two is done last: it stays. */
static void a_poke_between_two_who_look_is_not_lost(void **state)
{
    (void)state;
    for (int last = 0; last < 2; last++) {
        poke(&w, &one);
        uint64_t first = look_at_it();
        poke(&w, &one);
        uint64_t second = look_at_it();
        if (last == 0)
            release(&w, &one, false, second);
        release(&w, &one, true, first);
        if (last == 1)
            release(&w, &one, false, second);
        assert_int_equal(w.n_active, 1);
        release(&w, &one, true, look_at_it());
        assert_int_equal(w.n_active, 0);
    }
}

/* One has more to store than ever goes through the line: the other is served all the same. */
static void a_long_backlog_keeps_no_other_waiting(void **state)
{
    (void)state;
    static struct pending waiting[2][8];
    static struct cartridge two[2];
    unsigned jobs[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        two[i] = (struct cartridge){
            .eng = &eng, .loaded = true, .owner = CARTRIDGE_OWNED, .pending = waiting[i], .n_pending = i ? 2 : 8};
        lock_init(&two[i].lock, LOCK_CARTRIDGE);
        poke(&w, &two[i]);
    }
    for (int n = 0; n < 4; n++) {
        struct job job;
        assert_true(find_job(&w, &job));
        assert_int_equal(job.kind, JOB_UPLOAD);
        jobs[job.c == &two[1]]++;
        release(&w, job.c, false, 0);
    }
    assert_int_equal(jobs[0], 2);
    assert_int_equal(jobs[1], 2);
    for (int i = 0; i < 2; i++)
        lock_fini(&two[i].lock);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_has_nothing_to_do_leaves_the_list),
        T(a_poke_between_two_who_look_is_not_lost),
        T(a_long_backlog_keeps_no_other_waiting),
    };
    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
