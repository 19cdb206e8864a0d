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

/* ---- another cartridge ---- */

static enum tape_result change(void *d, unsigned which)
{
    const struct tape_ops *ops = library_drive_ops();
    const struct tape_mam mam = {.n = 1, .v = {{.id = 0x0805, .len = 1}}};
    switch (which) {
    case 0:
        return ops->write_filemarks(d, 1, false, &never);
    case 1:
        return ops->erase(d, false, &never);
    case 2:
        return ops->format(d, &never);
    case 3:
        return ops->set_capacity(d, 1000, &never);
    case 4:
        return ops->mam_set(d, &mam, &never);
    case 5:
        return ops->space_end_of_data(d, &never);
    default:
        return write_id(d, 99);
    }
}

static void bring(struct library *lib, const char *barcode, uint16_t to)
{
    assert_int_equal(library_move(lib, barcode, to, &never), CHANGER_OK);
}

/* Commands that were sent to a drive may wait while the changer takes its cartridge out and puts another one in. */
static void a_command_for_one_cartridge_is_nothing_to_the_next(void **state)
{
    (void)state;
    const struct tape_ops *ops = library_drive_ops();
    struct vtl_config *c;
    void *d;
    struct library *lib = loaded(&c, &d);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "BSY002L8", "capacity", 0)));
    assert_int_equal(write_id(d, 1), TAPE_OK);
    assert_int_equal(write_id(d, 2), TAPE_OK);
    uint64_t capacity = status(d).capacity;
    bring(lib, "BSY001L8", SLOT + 4);
    bring(lib, "BSY002L8", DRIVE);
    assert_string_equal(status(d).barcode, "BSY002L8");
    ops->for_medium(d, status(d).medium_changes);
    assert_int_equal(change(d, 0), TAPE_OK); /* for this very one */
    ops->for_medium(d, status(d).medium_changes);
    bring(lib, "BSY002L8", SLOT + 5);
    bring(lib, "BSY001L8", DRIVE);
    for (unsigned which = 0; which < 7; which++)
        assert_int_equal(change(d, which), TAPE_NOT_PRESENT);
    expect_result(d, TAPE_NOT_PRESENT);
    assert_int_equal(status(d).object, 0);
    assert_int_equal(status(d).capacity, capacity);
    ops->for_medium(d, status(d).medium_changes);
    expect_id(d, 1);
    expect_id(d, 2);
    expect_result(d, TAPE_EOD);
    close_library(lib);
    config_free(c);
}

/* Nor what waits for a drive that has had none. */
static void a_command_for_an_empty_drive_is_nothing_to_the_first_cartridge(void **state)
{
    (void)state;
    const struct tape_ops *ops = library_drive_ops();
    struct vtl_config *c;
    void *d;
    struct library *lib = loaded(&c, &d);
    assert_int_equal(write_id(d, 1), TAPE_OK);
    assert_int_equal(write_id(d, 2), TAPE_OK);
    bring(lib, "BSY001L8", SLOT + 4);
    close_library(lib);
    lib = open_library(c);
    d = library_drive(lib, 0);
    ops->for_medium(d, status(d).medium_changes);
    bring(lib, "BSY001L8", DRIVE);
    for (unsigned which = 0; which < 7; which++)
        assert_int_equal(change(d, which), TAPE_NOT_PRESENT);
    ops->for_medium(d, status(d).medium_changes);
    expect_id(d, 1);
    expect_id(d, 2);
    expect_result(d, TAPE_EOD);
    close_library(lib);
    config_free(c);
}

struct told {
    void *d;
    unsigned times;
    bool ready;
    uint64_t medium;
};

static void note(void *arg, enum library_event ev, unsigned drive)
{
    struct told *t = arg;
    if (ev != LIBRARY_DRIVE_MEDIUM_CHANGED || drive)
        return;
    t->times++;
    t->ready = status(t->d).medium == TAPE_MEDIUM_LOADED;
    t->medium = status(t->d).medium_changes;
}

/* A command that comes in between would otherwise be for the new cartridge, and nobody know that it is one. */
static void a_new_cartridge_is_told_of_before_it_is_ready(void **state)
{
    (void)state;
    struct vtl_config *c;
    struct told t = {.times = 0};
    struct library *lib = loaded(&c, &t.d);
    library_set_listener(lib, note, &t);
    bring(lib, "BSY001L8", SLOT + 4);
    assert_int_equal(t.times, 0);
    bring(lib, "BSY001L8", DRIVE);
    assert_int_equal(t.times, 1);
    assert_false(t.ready);
    assert_int_equal(status(t.d).medium, TAPE_MEDIUM_LOADED);
    assert_int_not_equal(status(t.d).medium_changes, t.medium); /* one that came before is not for it */
    library_set_listener(lib, NULL, NULL);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_status_may_be_asked_while_the_first_write_makes_the_queue),
        T(a_cancelled_command_does_not_wait_for_a_busy_drive),
        T(a_command_for_one_cartridge_is_nothing_to_the_next),
        T(a_command_for_an_empty_drive_is_nothing_to_the_first_cartridge),
        T(a_new_cartridge_is_told_of_before_it_is_ready),
    };
    return cmocka_run_group_tests_name("drive_busy", tests, NULL, NULL);
}
