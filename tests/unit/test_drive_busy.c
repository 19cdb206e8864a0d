/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_drive_busy.c: what others may ask of a drive while it works. */
#include "tests/unit/library_rig.h"

#include <semaphore.h>
#include <time.h>

#include "base/thread.h"
#include "vtl/drive/drive_private.h"

static struct library *loaded(struct vtl_config **c, void **d)
{
    *c = config("one", "local", "16M");
    struct library *lib = new_library(*c, "BSY001L8");
    move(lib, SLOT, DRIVE);
    *d = library_drive(lib, 0);
    return lib;
}

/* ---- the status, at any time ---- */

struct asker {
    void *d;
    atomic_bool stop;
    sem_t began;
    bool odd;
};

static void *ask(void *arg)
{
    struct asker *a = arg;
    for (bool first = true; !atomic_load(&a->stop); first = false) {
        struct tape_status st;
        library_drive_ops()->status(a->d, &st);
        a->odd |= st.object > st.end_object || st.end_object > 2;
        if (first)
            sem_post(&a->began);
    }
    return NULL;
}

/* The first WRITE makes the queue that the status looks at: the tsan build sees a look without the lock. */
static void the_status_may_be_asked_while_the_first_write_makes_the_queue(void **state)
{
    (void)state;
    struct vtl_config *c;
    struct asker a = {.stop = false};
    pthread_t thread;
    struct library *lib = loaded(&c, &a.d);
    sem_init(&a.began, 0, 0);
    assert_int_equal(thread_start(&thread, "ask", ask, &a), 0);
    sem_wait(&a.began);
    enum tape_result first = write_id(a.d, 1), second = write_id(a.d, 2);
    atomic_store(&a.stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(first, TAPE_OK);
    assert_int_equal(second, TAPE_OK);
    assert_non_null(((struct drive *)a.d)->behind);
    assert_false(a.odd);
    sem_destroy(&a.began);
    close_library(lib);
    config_free(c);
}

/* ---- ABORT TASK ---- */

enum operation { REWIND, READ, WRITE, FILEMARKS, LOCATE, LOAD, UNLOAD, OPERATIONS };

struct command {
    void *d;
    enum operation operation;
    atomic_bool cancel;
    sem_t began, ended;
    enum tape_result result;
};

static enum tape_result operate(struct command *k)
{
    const struct tape_ops *ops = library_drive_ops();
    uint32_t len = sizeof(back);
    switch (k->operation) {
    case REWIND:
        return ops->rewind(k->d, &k->cancel);
    case READ:
        return ops->read(k->d, back, &len, NULL, &k->cancel);
    case WRITE:
        return ops->write(k->d, block, 1000, false, NULL, &k->cancel);
    case FILEMARKS:
        return ops->write_filemarks(k->d, 1, false, &k->cancel);
    case LOCATE:
        return ops->locate_object(k->d, 0, 0, &k->cancel);
    case LOAD:
        return ops->load(k->d, &k->cancel);
    case UNLOAD:
        return ops->unload(k->d, &k->cancel);
    case OPERATIONS:
        break;
    }
    return TAPE_INTERNAL;
}

static void *run(void *arg)
{
    struct command *k = arg;
    sem_post(&k->began);
    k->result = operate(k);
    sem_post(&k->ended);
    return NULL;
}

/* Did it end within 10 s? */
static bool ends_soon(struct command *k)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    return sem_timedwait(&k->ended, &until) == 0;
}

/* op_lock is held meanwhile, as by a LOCATE that waits for the store. */
static void a_cancelled_command_does_not_wait_for_a_busy_drive(void **state)
{
    (void)state;
    struct vtl_config *c;
    void *d;
    struct library *lib = loaded(&c, &d);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    for (enum operation o = REWIND; o < OPERATIONS; o++) {
        struct command k = {.d = d, .operation = o};
        pthread_t thread;
        sem_init(&k.began, 0, 0);
        sem_init(&k.ended, 0, 0);
        lock_take(&((struct drive *)d)->op_lock);
        int started = thread_start(&thread, "command", run, &k);
        if (!started)
            sem_wait(&k.began);
        atomic_store(&k.cancel, true);
        bool ended = !started && ends_soon(&k);
        lock_release(&((struct drive *)d)->op_lock);
        assert_int_equal(started, 0);
        pthread_join(thread, NULL);
        if (!ended)
            fail_msg("operation %d waited until the drive was free", (int)o);
        assert_int_equal(k.result, TAPE_CANCELLED);
        sem_destroy(&k.began);
        sem_destroy(&k.ended);
    }
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK); /* and the drive is as it was */
    expect_id(d, 1);
    expect_result(d, TAPE_EOD);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_status_may_be_asked_while_the_first_write_makes_the_queue),
        T(a_cancelled_command_does_not_wait_for_a_busy_drive),
    };
    return cmocka_run_group_tests_name("drive_busy", tests, NULL, NULL);
}
