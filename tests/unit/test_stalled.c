/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_stalled.c: operations that wait for a store: moves beside them can be aborted, and a stop ends them. */
#include "tests/unit/library_rig.h"

#include <dirent.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/thread.h"
#include "vtl/library/control.h"

#define DEADLINE_MS 60000 /* what waits for ever fails */

/* ---- a store whose operation stalls, of one thread's calls ---- */

static struct {
    struct library *lib;
    const struct objstore_ops *well;
    const char *at;     /* puts of keys with this in them stall; NULL: none */
    bool heeds;         /* a call that stalls ends when it is cancelled */
    atomic_bool stalls; /* one does now */
    atomic_bool go_on;
    char never_ends[200]; /* a call that nobody can end; "": there was none */
    unsigned n_calls;
} store;

static _Thread_local bool is_operation;

static void look_at_call(const char *what, const char *key, const struct obj_call *c)
{
    if (!is_operation)
        return;
    store.n_calls++;
    if (!c || c->cancel != &store.lib->no_waiting)
        (void)snprintf(store.never_ends, sizeof(store.never_ends), "%s %s", what, key);
}

static bool is_cancelled(const struct obj_call *c)
{
    return store.heeds && c && c->cancel && atomic_load(c->cancel);
}

static int stalled_put(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                       struct errtext *err)
{
    look_at_call("put", key, c);
    if (is_operation && store.at && strstr(key, store.at)) {
        atomic_store(&store.stalls, true);
        progress_post(&store.lib->eng.progress);
        while (!atomic_load(&store.go_on) && !is_cancelled(c)) {
            uint64_t seen = progress_now(&store.lib->eng.progress);
            if (!atomic_load(&store.go_on) && !is_cancelled(c))
                progress_wait(&store.lib->eng.progress, seen, 50);
        }
        if (is_cancelled(c))
            return errtext_set(err, -ECANCELED, "put %s: canceled", key);
    }
    return store.well->put(s, key, src, c, err);
}

static int stalled_get(struct objstore *s, const char *key, uint64_t offset, uint64_t len, void *buf,
                       const struct obj_call *c, struct errtext *err)
{
    look_at_call("get", key, c);
    return store.well->get(s, key, offset, len, buf, c, err);
}

static int stalled_head(struct objstore *s, const char *key, uint64_t *size, const struct obj_call *c,
                        struct errtext *err)
{
    look_at_call("head", key, c);
    return store.well->head(s, key, size, c, err);
}

static int stalled_list(struct objstore *s, const char *prefix, const char *after, bool slash, obj_list_fn fn,
                        void *arg, const struct obj_call *c, struct errtext *err)
{
    look_at_call("list", prefix, c);
    return store.well->list(s, prefix, after, slash, fn, arg, c, err);
}

static int stalled_del(struct objstore *s, const char *const *keys, size_t n, const struct obj_call *c,
                       struct errtext *err)
{
    look_at_call("delete", keys[0], c);
    return store.well->del(s, keys, n, c, err);
}

static void stall(struct library *lib, const char *at, bool heeds)
{
    struct objstore_ops ops = *lib->eng.store->ops;
    store.lib = lib;
    store.at = at;
    store.heeds = heeds;
    store.n_calls = 0;
    store.never_ends[0] = '\0';
    atomic_store(&store.stalls, false);
    atomic_store(&store.go_on, false);
    ops.put = stalled_put;
    ops.get = stalled_get;
    ops.head = stalled_head;
    ops.list = stalled_list;
    ops.del = stalled_del;
    exchange_ops(lib, &ops, &store.well);
}

static void await_stall(struct library *lib)
{
    uint64_t until = clock_ms() + DEADLINE_MS;
    while (!atomic_load(&store.stalls)) {
        uint64_t seen = progress_now(&lib->eng.progress);
        assert_true(clock_ms() < until);
        if (!atomic_load(&store.stalls))
            progress_wait(&lib->eng.progress, seen, 50);
    }
}

static void let_go(struct library *lib)
{
    atomic_store(&store.go_on, true);
    progress_post(&lib->eng.progress);
}

/* ---- an operation, and a command of the changer, beside the test ---- */

struct operation {
    pthread_t thread;
    struct library *lib;
    json_t *request, *answer;
    struct errtext err;
};

static void *operation_thread(void *arg)
{
    struct operation *o = arg;
    is_operation = true;
    o->answer = library_call(o->lib, o->request, &o->err);
    return NULL;
}

static void begin(struct operation *o, struct library *lib, json_t *request)
{
    *o = (struct operation){.lib = lib, .request = request};
    assert_int_equal(thread_start(&o->thread, "operation", operation_thread, o), 0);
}

static void end(struct operation *o)
{
    assert_true(thread_join_within(o->thread, DEADLINE_MS));
    json_decref(o->request);
}

static json_t *create_seven(void)
{
    json_t *names = json_array();
    for (int i = 1; i <= 7; i++)
        json_array_append_new(names, json_sprintf("NEW00%dL8", i));
    return json_pack("{s:s, s:o}", "op", "tape-create", "barcodes", names);
}

struct command {
    pthread_t thread;
    struct library *lib;
    bool exchange;
    atomic_bool cancel;
    enum changer_result result;
};

static void *command_thread(void *arg)
{
    struct command *m = arg;
    const struct changer_ops *ops = library_changer_ops();
    m->result = m->exchange ? ops->exchange(m->lib, 0, SLOT, SLOT + 1, SLOT, &m->cancel)
                            : ops->move(m->lib, 0, SLOT, DRIVE, &m->cancel);
    return NULL;
}

static void expect_abort(struct library *lib, bool exchange)
{
    static struct command m; /* what never ends still has it */
    m = (struct command){.lib = lib, .exchange = exchange};
    assert_int_equal(thread_start(&m.thread, "changer", command_thread, &m), 0);
    atomic_store(&m.cancel, true);
    assert_true(thread_join_within(m.thread, DEADLINE_MS));
    assert_int_equal(m.result, CHANGER_CANCELLED);
}

static size_t n_cartridges(struct library *lib)
{
    json_t *r = call(lib, json_pack("{s:s}", "op", "tape-list"));
    size_t n = json_array_size(json_object_get(r, "cartridges"));
    json_decref(r);
    return n;
}

/* ---- tests ---- */

static void a_move_beside_a_create_that_stalls_can_be_aborted(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "OLD001L8");
    json_decref(call(lib, json_pack("{s:s, s:[s]}", "op", "tape-create", "barcodes", "OLD002L8")));
    struct operation o;
    stall(lib, "NEW001L8", true);
    begin(&o, lib, json_pack("{s:s, s:[s]}", "op", "tape-create", "barcodes", "NEW001L8"));
    await_stall(lib);
    expect_abort(lib, false);
    expect_abort(lib, true);
    assert_false(atomic_load(&store.go_on)); /* so it still stands */
    let_go(lib);
    end(&o);
    assert_non_null(o.answer);
    json_decref(o.answer);
    move(lib, SLOT, DRIVE);
    close_library(lib);
    config_free(c);
}

/* Of what was made before nothing stays, and the names can be used again. */
static void expect_end_of_create(bool heeds)
{
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "OLD001L8");
    struct operation o;
    stall(lib, "NEW004L8", heeds);
    begin(&o, lib, create_seven());
    await_stall(lib);
    library_stop_waiting(lib);
    if (!heeds)
        let_go(lib);
    end(&o);
    assert_null(o.answer);
    assert_non_null(strstr(o.err.text, "; none was made"));
    assert_int_equal(heads_of("NEW005L8"), 0);
    assert_int_equal(n_cartridges(lib), 1);
    close_library(lib);
    lib = open_library(c);
    assert_int_equal(n_cartridges(lib), 1);
    json_decref(call(lib, create_seven()));
    assert_int_equal(n_cartridges(lib), 8);
    assert_int_equal(heads_of("NEW004L8"), 1);
    close_library(lib);
    config_free(c);
}

static void a_stop_ends_a_create_of_many(void **state)
{
    (void)state;
    expect_end_of_create(true);
}

static void a_stop_ends_a_create_of_many_after_the_one_that_is_being_made(void **state)
{
    (void)state;
    expect_end_of_create(false);
}

static void expect_that_it_can_end(struct library *lib, json_t *request)
{
    struct errtext err = {""};
    store.n_calls = 0;
    is_operation = true;
    json_t *r = library_call(lib, request, &err);
    is_operation = false;
    json_decref(r);
    if (!r)
        fail_msg("%s: %s", json_string_value(json_object_get(request, "op")), err.text);
    if (!store.n_calls || store.never_ends[0])
        fail_msg("%s: %u calls; %s", json_string_value(json_object_get(request, "op")), store.n_calls,
                 store.never_ends);
    json_decref(request);
}

/* Whatever it asks of the store is cancelled by library_stop_waiting. */
static void no_operation_waits_longer_than_the_library(void **state)
{
    (void)state;
    struct vtl_config *c = config_more("one", "local", "64M", "\n[library]\nimport_export = 2\n");
    struct library *lib = new_library(c, "OLD001L8");
    move(lib, SLOT, DRIVE);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(write_id(library_drive(lib, 0), i), TAPE_OK);
    move(lib, DRIVE, ELEMENT_FIRST_IMPORT_EXPORT);
    flush_remote(lib);
    stall(lib, NULL, true);
    expect_that_it_can_end(lib, create_seven());
    expect_that_it_can_end(lib, json_pack("{s:s, s:s}", "op", "tape-gc", "barcode", "OLD001L8"));
    expect_that_it_can_end(lib, json_pack("{s:s, s:b}", "op", "strangers", "tidy", 1));
    expect_that_it_can_end(lib, json_pack("{s:s}", "op", "vanished"));
    expect_that_it_can_end(lib, json_pack("{s:s, s:[s]}", "op", "tape-export", "barcodes", "OLD001L8"));
    expect_that_it_can_end(lib, json_pack("{s:s, s:[s]}", "op", "tape-import", "barcodes", "OLD001L8"));
    expect_that_it_can_end(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", "OLD001L8", "force", 1));
    expect_that_it_can_end(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", "OLD001L8", "force", 1));
    close_library(lib);
    config_free(c);
}

/* ---- beside a flush ---- */

static atomic_bool made;

/* Segments are not taken, by any thread; all else is. */
static int put_no_segment(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                          struct errtext *err)
{
    while (strstr(key, "/seg/") && !atomic_load(&store.go_on)) {
        uint64_t seen = progress_now(&store.lib->eng.progress);
        if (c && c->cancel && atomic_load(c->cancel))
            return errtext_set(err, -ECANCELED, "put %s: canceled", key);
        progress_wait(&store.lib->eng.progress, seen, 50);
    }
    return store.well->put(s, key, src, c, err);
}

static void *flush_again_and_again(void *arg)
{
    struct library *lib = arg;
    json_t *request = json_pack("{s:s, s:b, s:i}", "op", "flush", "remote", 1, "timeout_ms", 10000);
    while (!atomic_load(&made))
        json_decref(library_call(lib, request, NULL));
    json_decref(request);
    return NULL;
}

/* Two of them in turns would hold the cartridges for ever. */
static void who_waits_for_a_store_that_is_away_does_not_hold_up_a_create(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "OLD001L8");
    struct objstore_ops ops = *lib->eng.store->ops;
    pthread_t flushes[2];
    struct operation o;
    stall(lib, NULL, true);
    ops.put = put_no_segment;
    exchange_ops(lib, &ops, &(const struct objstore_ops *){NULL});
    atomic_store(&made, false);
    move(lib, SLOT, DRIVE);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(write_id(library_drive(lib, 0), i), TAPE_OK);
    move(lib, DRIVE, SLOT);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(thread_start(&flushes[i], "flush", flush_again_and_again, lib), 0);
    begin(&o, lib, create_seven());
    end(&o);
    assert_non_null(o.answer);
    json_decref(o.answer);
    atomic_store(&made, true);
    let_go(lib);
    for (unsigned i = 0; i < 2; i++)
        assert_true(thread_join_within(flushes[i], DEADLINE_MS));
    close_library(lib);
    config_free(c);
}

/* ---- threads ---- */

/* The number of the thread of that name, as the kernel has it; 0: there is none. */
static int thread_of(const char *name)
{
    DIR *tasks = opendir("/proc/self/task");
    int found = 0;
    assert_non_null(tasks);
    for (const struct dirent *e; !found && (e = readdir(tasks));) {
        char path[64], is[32] = "";
        (void)snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (f && fscanf(f, "%31s", is) == 1 && !strcmp(is, name))
            found = atoi(e->d_name);
        if (f)
            fclose(f);
    }
    closedir(tasks);
    return found;
}

static bool is_asleep(int thread)
{
    char path[64], state = 0;
    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", thread);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
    fclose(f);
    return state == 'S';
}

static void await_news(struct library *lib, uint64_t until)
{
    assert_true(clock_ms() < until);
    progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 5);
}

/* ---- a stop ---- */

/* The spool is full with so much room left that no change of its counts lets another one in. */
enum { LARGE = 1000000 };

struct writer {
    pthread_t thread;
    struct library *lib;
    atomic_uint n; /* blocks that were taken */
    enum tape_result result;
};

static void *writer_thread(void *arg)
{
    struct writer *w = arg;
    void *d = library_drive(w->lib, 0);
    for (;; atomic_fetch_add(&w->n, 1)) {
        fill(atomic_load(&w->n));
        w->result = library_drive_ops()->write(d, block, LARGE, false, NULL, &never);
        if (w->result)
            return NULL;
    }
}

/* A store that takes nothing, and a drive that writes until it has to wait. */
static struct library *fill_the_spool(const struct vtl_config *c, struct writer *w)
{
    struct library *lib = new_library(c, "OLD001L8");
    struct objstore_ops ops = *lib->eng.store->ops;
    stall(lib, NULL, true);
    ops.put = put_no_segment;
    exchange_ops(lib, &ops, &(const struct objstore_ops *){NULL});
    move(lib, SLOT, DRIVE);
    *w = (struct writer){.lib = lib};
    assert_int_equal(thread_start(&w->thread, "writer", writer_thread, w), 0);
    return lib;
}

static json_t *stop_flush(void)
{
    return json_pack("{s:s, s:b}", "op", "flush", "stop", 1);
}

/* All that was acknowledged is on the disk, which is all that is asked: nothing is to be waited for. */
static void a_stop_does_not_wait_for_a_write_that_waits_for_room(void **state)
{
    (void)state;
    static struct writer w; /* what never ends still has it */
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = fill_the_spool(c, &w);
    uint64_t until = clock_ms() + DEADLINE_MS;
    while (engine_dirty(&lib->eng) + LARGE <= engine_dirty_limit(&lib->eng) || !is_asleep(thread_of("writer")))
        await_news(lib, until);
    static struct operation o;
    begin(&o, lib, stop_flush());
    end(&o);
    if (!o.answer)
        fail_msg("%s", o.err.text);
    json_decref(o.answer);
    assert_true(thread_join_within(w.thread, DEADLINE_MS));
    assert_int_equal(w.result, TAPE_CANCELLED);
    close_library(lib);
    lib = open_library(c);
    move(lib, DRIVE, SLOT);
    move(lib, SLOT, DRIVE);
    for (unsigned i = 0; i < atomic_load(&w.n); i++) {
        uint32_t len = sizeof(back);
        assert_int_equal(library_drive_ops()->read(library_drive(lib, 0), back, &len, NULL, &never), TAPE_OK);
        assert_int_equal(len, LARGE);
        fill(i);
        assert_memory_equal(back, block, LARGE);
    }
    expect_result(library_drive(lib, 0), TAPE_EOD);
    close_library(lib);
    config_free(c);
}

/* Else a host could be told that a block is taken that no flush makes safe any more. */
static void a_drive_takes_nothing_once_a_stop_has_begun(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = new_library(c, "OLD001L8");
    void *d = library_drive(lib, 0);
    const struct tape_ops *ops = library_drive_ops();
    enum tape_result result = TAPE_OK;
    move(lib, SLOT, DRIVE);
    for (unsigned i = 0; i < 3; i++) /* it streams */
        assert_int_equal(write_id(d, i), TAPE_OK);
    json_decref(call(lib, stop_flush()));
    const struct tape_write w = {.block = block, .len = 100, .compress = true};
    assert_false(ops->write_at_once(d, &w, &result));
    assert_int_equal(write_id(d, 3), TAPE_CANCELLED);
    assert_int_equal(ops->write_filemarks(d, 1, true, &never), TAPE_CANCELLED);
    assert_int_equal(ops->write_filemarks(d, 0, false, &never), TAPE_OK);
    assert_int_equal(ops->erase(d, false, &never), TAPE_CANCELLED);
    assert_int_equal(ops->format(d, &never), TAPE_CANCELLED);
    library_stop_waiting(lib); /* as tgtd does */
    close_library(lib);
    config_free(c);
}

/* ---- beside one who makes cartridges ---- */

static void ask_and_leave(const struct vtl_config *c)
{
    static const char request[] = "{\"op\":\"status\"}\n";
    struct errtext err = {""};
    int fd = control_connect(c, DEADLINE_MS, &err);
    if (fd < 0)
        fail_msg("%s", err.text);
    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    close(fd);
}

/* Their requests stay. Whoever looks whether the gateway lives finds a place all the same. */
static void who_asked_for_status_and_left_keeps_nobody_from_the_pulse(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "OLD001L8");
    struct control_server *server = NULL;
    struct errtext err = {""};
    json_t *request = json_pack("{s:s}", "op", "pulse"), *r = NULL;
    if (control_server_start(lib, c, &server, &err))
        fail_msg("%s", err.text);
    library_begin_change(lib);
    for (unsigned i = 0; i < 20; i++)
        ask_and_leave(c);
    int rc;
    uint64_t until = clock_ms() + DEADLINE_MS;
    do { /* until the server has read what they asked, they count as those who are about to ask */
        assert_true(clock_ms() < until);
        rc = control_call(c, request, DEADLINE_MS, &r, &err);
    } while (rc == -EREMOTEIO);
    assert_int_equal(rc, 0);
    json_decref(r);
    json_decref(request);
    library_end_change(lib);
    control_server_stop(server);
    close_library(lib);
    config_free(c);
}

/* ---- beside a move that waits for the store ---- */

struct mover {
    pthread_t thread;
    struct library *lib;
    enum changer_result result;
};

static void *mover_thread(void *arg)
{
    struct mover *m = arg;
    m->result = library_changer_ops()->move(m->lib, 0, DRIVE, SLOT, &never);
    return NULL;
}

/* A call of one that is to answer, on a thread of its own: one that waits for ever fails. */
static void expect_answer(struct library *lib, const char *op)
{
    static struct operation o; /* what never ends still has it */
    begin(&o, lib, json_pack("{s:s}", "op", op));
    end(&o);
    if (!o.answer)
        fail_msg("%s: %s", op, o.err.text);
    json_decref(o.answer);
}

/* The store is away, and a host has its tape taken out of the drive: that waits. So does who wants to make cartridges, but
 * nobody who only asks waits for him. */
static void a_change_that_waits_for_a_move_holds_up_nobody(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = new_library(c, "OLD001L8");
    struct objstore_ops ops = *lib->eng.store->ops;
    struct mover m = {.lib = lib};
    struct operation o;
    stall(lib, NULL, true);
    ops.put = put_no_segment;
    exchange_ops(lib, &ops, &(const struct objstore_ops *){NULL});
    move(lib, SLOT, DRIVE);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(write_id(library_drive(lib, 0), i), TAPE_OK);
    assert_int_equal(thread_start(&m.thread, "mover", mover_thread, &m), 0);
    uint64_t until = clock_ms() + DEADLINE_MS;
    while (!drive_flush_left(lib->drives[0])) /* it holds what moves take, and waits for the store */
        await_news(lib, until);
    begin(&o, lib, create_seven());
    int thread = 0;
    while (!atomic_load(&lib->n_changing) || !(thread = thread_of("operation")) || !is_asleep(thread))
        await_news(lib, until);
    expect_answer(lib, "status");
    expect_answer(lib, "tape-list");
    let_go(lib);
    assert_true(thread_join_within(m.thread, DEADLINE_MS));
    assert_int_equal(m.result, CHANGER_OK);
    end(&o);
    assert_non_null(o.answer);
    json_decref(o.answer);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_move_beside_a_create_that_stalls_can_be_aborted),
        T(a_stop_ends_a_create_of_many),
        T(a_stop_ends_a_create_of_many_after_the_one_that_is_being_made),
        T(no_operation_waits_longer_than_the_library),
        T(who_waits_for_a_store_that_is_away_does_not_hold_up_a_create),
        T(a_change_that_waits_for_a_move_holds_up_nobody),
        T(a_stop_does_not_wait_for_a_write_that_waits_for_room),
        T(a_drive_takes_nothing_once_a_stop_has_begun),
        T(who_asked_for_status_and_left_keeps_nobody_from_the_pulse),
    };
    return cmocka_run_group_tests_name("stalled", tests, NULL, NULL);
}
