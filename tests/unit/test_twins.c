/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_twins.c: a state that was copied or is old, and what others put into the bucket. */
#include "tests/unit/library_rig.h"

#include <errno.h>
#include <stdlib.h>

#include "vtl/cartridge/cartridge_private.h"
#include "vtl/cartridge/commit_private.h"
#include "vtl/drive/drive_private.h"
#include "vtl/library/library_private.h"

/* A copy of the state of a library that does not run now: what "cp -a", a snapshot or a restored backup make. */
static void copy_state(const char *from, const char *to)
{
    char command[300];
    (void)snprintf(command, sizeof(command), "rm -rf %s/%s && cp -a %s/%s %s/%s", dir, to, dir, from, dir, to);
    assert_int_equal(system(command), 0);
}

static bool exists(const char *pattern)
{
    char command[300];
    (void)snprintf(command, sizeof(command), "ls %s/%s >/dev/null 2>&1", dir, pattern);
    return system(command) == 0;
}

static void put_object(const char *key, const char *text)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "mkdir -p \"$(dirname %s/store/%s)\"", dir, key);
    assert_int_equal(system(path), 0);
    (void)snprintf(path, sizeof(path), "%s/store/%s", dir, key);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static enum tape_result sync_it(void *d)
{
    return library_drive_ops()->write_filemarks(d, 0, false, &never);
}

static json_t *show(struct library *lib, const char *barcode)
{
    return call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", barcode));
}

static bool is_fenced(struct library *lib, const char *barcode)
{
    json_t *j = show(lib, barcode);
    bool fenced = json_is_true(json_object_get(j, "fenced"));
    json_decref(j);
    return fenced;
}

/* The one that wrote last goes on; the other reads what the first wrote, says so, and writes nothing. */
static void a_copy_of_a_stopped_state_reads_the_bucket(void **state)
{
    (void)state;
    static struct model m;
    struct vtl_config *one = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = new_library(one, "TWN001L8");
    move(lib, SLOT, DRIVE);
    write_model(library_drive(lib, 0), &m, 0, 20, 1);
    move(lib, DRIVE, SLOT);
    close_library(lib);

    copy_state("one", "two");
    lib = open_library(one);
    move(lib, SLOT, DRIVE);
    write_model(library_drive(lib, 0), &m, 10, 30, 500);
    assert_int_equal(sync_it(library_drive(lib, 0)), TAPE_OK);

    struct library *copy = open_library(two);
    void *d = library_drive(copy, 0);
    move(copy, SLOT, DRIVE);
    check_all(d, &m); /* not what the copy has of it */
    assert_true(status(d).write_protected);
    assert_true(status(d).alerts & TAPE_ALERT_BIT(ALERT_WRITE_PROTECT));
    assert_true(is_fenced(copy, "TWN001L8"));
    assert_int_equal(write_id(d, 900), TAPE_NOT_OWNED);
    write_model(library_drive(lib, 0), &m, m.n, 5, 700); /* the first is not disturbed */
    assert_int_equal(sync_it(library_drive(lib, 0)), TAPE_OK);
    move(copy, DRIVE, SLOT);
    move(copy, SLOT, DRIVE);
    check_all(d, &m); /* and is followed */
    close_library(copy);
    close_library(lib);
    config_free(one);
    config_free(two);
}

/* An old state that starts alone is no less old: what it had of the tape is kept, and never read. */
static void an_old_state_reads_the_bucket_and_keeps_what_only_it_has(void **state)
{
    (void)state;
    static struct model m, old;
    struct vtl_config *one = config("one", "local", "16M"), *two = config("two", "local", "16M");
    struct library *lib = new_library(one, "OLD001L8");
    char seg[100], away[100];
    move(lib, SLOT, DRIVE);
    write_model(library_drive(lib, 0), &m, 0, 20, 1);
    flush_remote(lib);
    (void)snprintf(seg, sizeof(seg), "%s/store/tapes/OLD001L8/seg", dir);
    (void)snprintf(away, sizeof(away), "%s/away", dir);
    assert_int_equal(rename(seg, away), 0);
    fclose(fopen(seg, "w")); /* no segment can be stored */
    old = m;
    write_model(library_drive(lib, 0), &old, 5, 10, 800);
    move(lib, DRIVE, SLOT);
    close_library(lib);
    copy_state("one", "two"); /* with a backlog */
    assert_int_equal(remove(seg), 0);
    assert_int_equal(rename(away, seg), 0);
    lib = open_library(one);
    m = old;
    move(lib, SLOT, DRIVE);
    write_model(library_drive(lib, 0), &m, m.n, 10, 300);
    flush_remote(lib);
    move(lib, DRIVE, SLOT);
    close_library(lib);

    lib = open_library(two);
    move(lib, SLOT, DRIVE);
    check_all(library_drive(lib, 0), &m);
    assert_true(is_fenced(lib, "OLD001L8"));
    flush_remote(lib); /* there is nothing to wait for */
    close_library(lib);
    config_free(one);
    config_free(two);
}

/* The copy claims by force, and the first is told: by its next sync, and by the status at once. */
static void who_is_fenced_hears_of_it(void **state)
{
    (void)state;
    static struct model m, mine;
    struct errtext err = {""};
    struct vtl_config *one = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = new_library(one, "HEA001L8");
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 10, 1);
    assert_int_equal(sync_it(d), TAPE_OK);
    copy_state("one", "two"); /* of a library that runs */
    struct library *copy = open_library(two);
    move(copy, DRIVE, SLOT);
    move(copy, SLOT, DRIVE);
    mine = m;
    write_model(library_drive(copy, 0), &mine, mine.n, 5, 600);
    assert_int_equal(sync_it(library_drive(copy, 0)), TAPE_OK);
    assert_int_equal(write_id(d, 77), TAPE_OK); /* it cannot know yet */
    assert_int_equal(sync_it(d), TAPE_NOT_OWNED);
    assert_true(status(d).write_protected);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    expect_result(d, TAPE_READ_ERROR); /* its view is nobody's now */
    move(lib, DRIVE, SLOT);
    move(lib, SLOT, DRIVE);
    check_all(d, &mine);
    assert_true(exists("one/spool/HEA001L8/*.bad")); /* block 77 */
    check_all(library_drive(copy, 0), &mine);
    close_library(copy);
    (void)library_close(lib, &err);
    config_free(one);
    config_free(two);
}

static void a_copy_is_told_at_the_start(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "16M"), *two = config("two", "local", "16M");
    struct library *lib = new_library(one, "TEL001L8");
    close_library(lib);
    lib = open_library(one); /* a restart of its own is nothing to tell */
    close_library(lib);
    copy_state("one", "two");
    lib = open_library(one);
    move(lib, SLOT, DRIVE);
    close_library(lib);
    lib = open_library(two);
    json_t *s = NULL;
    for (int i = 0; !s || json_is_null(json_object_get(s, "warning")); i++) {
        assert_true(i < 1000);
        usleep(10000);
        json_decref(s);
        s = call(lib, json_pack("{s:s}", "op", "status"));
    }
    assert_non_null(strstr(json_string_value(json_object_get(s, "warning")), "a second copy of it is running"));
    json_decref(s);
    close_library(lib);
    config_free(one);
    config_free(two);
}

/* ---- what others put there ---- */

#define JUNK "tapes/JNK001L8/head/99999999-ffffffff-0000000001"

static void an_object_that_is_no_head_fences_nobody(void **state)
{
    (void)state;
    static struct model m;
    struct vtl_config *c = config("one", "remote", "16M"), *other = config("two", "remote", "16M");
    struct library *lib = new_library(c, "JNK001L8");
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    write_model(d, &m, 0, 10, 1);
    put_object(JUNK, "");
    assert_int_equal(sync_it(d), TAPE_OK);
    move(lib, DRIVE, SLOT);
    close_library(lib);
    put_object("tapes/JNK001L8/head/99999999-eeeeeeee-0000000000", "{\"version\":1}\n{\"crc32c\":\"00000000\"}\n");
    lib = open_library(c);
    move(lib, SLOT, DRIVE);
    write_model(library_drive(lib, 0), &m, m.n, 5, 50); /* claims, too */
    assert_int_equal(sync_it(library_drive(lib, 0)), TAPE_OK);
    move(lib, DRIVE, SLOT);
    close_library(lib);
    rebuild_library(other);
    lib = open_library(other);
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", "JNK001L8", "force", 1)));
    assert_false(exists("store/" JUNK));
    assert_true(exists("store/tapes/JNK001L8/aside/99999999-ffffffff-0000000001"));
    move(lib, SLOT, DRIVE);
    check_all(library_drive(lib, 0), &m);
    close_library(lib);
    config_free(c);
    config_free(other);
}

static void a_removed_cartridge_takes_nothing_of_others_with_it(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = new_library(c, "REM001L8");
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    move(lib, DRIVE, SLOT);
    put_object("tapes/REM001L8/format", "another library\n");
    put_object("tapes/REM001L8/tapes/X/seg/00000001-00000001-0000000001", "its segment\n");
    put_object("tapes/REM001L8/seg/notes/00000001-00000001-0000000001", "somebody's\n");
    put_object(JUNK, "");
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", "REM001L8", "force", 1)));
    assert_true(exists("store/tapes/REM001L8/format"));
    assert_true(exists("store/tapes/REM001L8/tapes/X/seg/00000001-00000001-0000000001"));
    assert_true(exists("store/tapes/REM001L8/seg/notes/00000001-00000001-0000000001"));
    assert_false(exists("store/tapes/REM001L8/head/*"));
    assert_false(exists("store/tapes/REM001L8/seg/0*"));
    close_library(lib);
    config_free(c);
}

static struct vtl_config *config_at(const char *name, const char *prefix)
{
    char path[100];
    struct errtext err;
    struct vtl_config *c = NULL;
    (void)snprintf(path, sizeof(path), "%s/%s.conf", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "[library]\nname = %s\nstate_dir = %s/%s\n[store]\npath = %s/store\nprefix = %s\n", name, dir, name, dir,
            prefix);
    fclose(f);
    if (config_load(path, &c, &err))
        fail_msg("%s", err.text);
    return c;
}

static void a_library_within_another_is_refused(void **state)
{
    (void)state;
    json_t *r = NULL;
    struct errtext err = {""};
    struct vtl_config *c = config_at("one", "a/b");
    init_library(c);
    config_free(c);
    c = config_at("below", "a/b/tapes/X");
    assert_int_equal(library_init(c, &r, &err), -EEXIST);
    assert_non_null(strstr(err.text, "lies within the prefix \"a/b\" of library \"one\""));
    config_free(c);
    c = config_at("above", "a");
    assert_int_equal(library_init(c, &r, &err), -EEXIST);
    assert_non_null(strstr(err.text, "has another library's within it (b/format)"));
    config_free(c);
    c = config_at("beside", "a/c");
    init_library(c);
    config_free(c);
}

/* ---- a state is no copy because it could not note what it did ---- */

static struct objstore_ops limping;
static const struct objstore_ops *well;
static unsigned n_puts, fails_at,
    lists_until; /* the put that fails; the put after which no list is answered; 0: none */

static int limping_put(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *call,
                       struct errtext *err)
{
    return ++n_puts == fails_at ? errtext_set(err, -EIO, "put %s: the test wants it", key)
                                : well->put(s, key, src, call, err);
}

static int limping_list(struct objstore *s, const char *prefix, const char *after, bool slash, obj_list_fn fn,
                        void *arg, const struct obj_call *call, struct errtext *err)
{
    return lists_until && n_puts >= lists_until ? errtext_set(err, -EIO, "list %s: the test wants it", prefix)
                                                : well->list(s, prefix, after, slash, fn, arg, call, err);
}

static struct cartridge *limp(struct library *lib, const char *barcode)
{
    struct cartridge *c = library_cartridge(lib, barcode);
    struct errtext err = {""};
    well = lib->eng.store->ops;
    limping = *well;
    limping.put = limping_put;
    limping.list = limping_list;
    lib->eng.store->ops = &limping;
    assert_int_equal(cartridge_load(c, &err), 0);
    assert_int_equal(cartridge_set_mam(c, &(struct tape_mam){0}), 0); /* so that there is something to commit */
    return c;
}

/* A commit whose head is stored, but which is not known to be: the claim's two puts, its own, and no list behind that. */
static void commit_unheard(struct cartridge *c)
{
    const struct obj_call call = {0};
    n_puts = fails_at = 0;
    lists_until = 3;
    assert_int_equal(commit_head(c, &call, NULL), -EIO);
    assert_int_equal(n_puts, 3);
    lists_until = 0;
}

static void expect_not_fenced(const struct vtl_config *c, const char *barcode, const struct model *m)
{
    struct library *lib = open_library(c);
    move(lib, SLOT, DRIVE);
    assert_false(is_fenced(lib, barcode));
    check_all(library_drive(lib, 0), m);
    assert_int_equal(write_id(library_drive(lib, 0), 2000), TAPE_OK);
    move(lib, DRIVE, SLOT);
    assert_false(is_fenced(lib, barcode));
    close_library(lib);
}

static struct model unheard;

static struct vtl_config *with_a_tape(void)
{
    struct vtl_config *c = config("one", "remote", "16M");
    struct library *lib = new_library(c, "UNH001L8");
    move(lib, SLOT, DRIVE);
    write_model(library_drive(lib, 0), &unheard, 0, 20, 1);
    move(lib, DRIVE, SLOT);
    close_library(lib);
    return c;
}

static struct library *open_quiet(const struct vtl_config *c)
{
    struct library *lib = NULL;
    assert_int_equal(library_open(c, 0, &lib, NULL), 0);
    return lib;
}

/* The next commit notes its own head, and does not get to put it. */
static void a_head_that_was_put_unheard_is_known_after_another_try(void **state)
{
    (void)state;
    const struct obj_call call = {0};
    struct vtl_config *c = with_a_tape();
    struct library *lib = open_quiet(c);
    struct cartridge *tape = limp(lib, "UNH001L8");
    commit_unheard(tape);
    n_puts = 0;
    fails_at = 1;
    assert_int_equal(commit_head(tape, &call, NULL), -EIO);
    lib->eng.store->ops = well;
    close_library(lib);
    expect_not_fenced(c, "UNH001L8", &unheard);
    config_free(c);
}

/* Nor does the next claim, of the next start. */
static void a_head_that_was_put_unheard_is_known_after_another_claim(void **state)
{
    (void)state;
    const struct obj_call call = {0};
    struct vtl_config *c = with_a_tape();
    struct library *lib = open_quiet(c);
    commit_unheard(limp(lib, "UNH001L8"));
    lib->eng.store->ops = well;
    close_library(lib);
    lib = open_quiet(c);
    struct cartridge *tape = limp(lib, "UNH001L8");
    n_puts = 0;
    fails_at = 2; /* the claim is there, the head with the state is not */
    assert_int_equal(commit_head(tape, &call, NULL), -EIO);
    assert_int_equal(n_puts, 2);
    lib->eng.store->ops = well;
    close_library(lib);
    expect_not_fenced(c, "UNH001L8", &unheard);
    config_free(c);
}

/* A crash in "tape create", between the put of the first head and the note that it is there. */
static void a_first_head_that_was_put_unheard_is_known(void **state)
{
    (void)state;
    static struct model none;
    struct vtl_config *c = config("one", "remote", "16M");
    close_library(new_library(c, "UNH002L8"));
    struct library *lib = open_quiet(c);
    struct cartridge *tape = library_cartridge(lib, "UNH002L8");
    tape->row.tried = tape->row.head;
    tape->row.head = (struct seg_id){.epoch = 0};
    assert_int_equal(db_cartridge_update(lib->eng.db, &tape->row), 0);
    close_library(lib);
    expect_not_fenced(c, "UNH002L8", &none);
    config_free(c);
}

/* A claim that came to nothing went with the cartridge that is exchanged for the bucket's: the next one of this run, which
 * says another time, has another key (I2). */
static void a_claim_that_came_to_nothing_is_not_put_again_with_other_words(void **state)
{
    (void)state;
    struct vtl_config *c = with_a_tape(), *two = config("two", "remote", "16M");
    struct errtext err = {""};
    json_t *report = NULL;
    struct head h;
    assert_int_equal(library_rebuild(two, NULL, &report, &err), 0);
    json_decref(report);
    struct library *lib = open_library(two), *old;
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", "UNH001L8", "force", 1)));
    close_library(lib);
    old = open_quiet(c);
    struct cartridge *tape = library_cartridge(old, "UNH001L8");
    lock_take(&tape->lock);
    uint64_t lost = tape->claim_epoch = tape->row.head.epoch + 5;
    lock_release(&tape->lock);
    json_decref(call(old, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", "UNH001L8", "force", 1)));
    assert_int_equal(commit_read_head(old->eng.store, "UNH001L8", NULL, &h, NULL, &err), 0);
    assert_true(h.id.epoch > lost);
    head_free(&h);
    close_library(old);
    config_free(two);
    config_free(c);
}

/* A store in which another gateway commits between a list of the heads and the look at its own in it. */
static const struct objstore_ops *usual_ops;
static struct head other_head;
static unsigned other_commits;

static int head_meanwhile(struct objstore *store, const char *key, uint64_t *size, const struct obj_call *c,
                          struct errtext *err)
{
    char was[DB_KEY_SIZE];
    const char *keys[] = {was};
    struct engine e = {.store = store};
    object_key(was, other_head.barcode, "head", &other_head.id);
    if (!strcmp(key, was) && other_commits) {
        other_commits--;
        other_head.id.number++;
        assert_int_equal(commit_put_head(&e, &other_head, c, err), 0);
        assert_int_equal(usual_ops->del(store, keys, 1, c, err), 0);
    }
    return usual_ops->head(store, key, size, c, err);
}

static void a_head_that_makes_room_for_the_next_one_while_it_is_looked_at_counts(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "64M");
    struct library *lib = new_library(c, "TWI001L8");
    struct objstore *store = lib->eng.store;
    struct errtext err = {""};
    struct seg_id *heads = NULL;
    flush_remote(lib);
    inventory_stop(lib); /* nobody uses the store now */
    size_t n = 0;
    assert_int_equal(commit_read_head(store, "TWI001L8", NULL, &other_head, NULL, &err), 0);
    const struct seg_id mine = other_head.id;
    const struct head_search search = {.trusted = &mine, .n_trusted = 1};
    other_head.id = (struct seg_id){mine.epoch + 1, 0x0ddba11, 1};
    assert_int_equal(commit_put_head(&lib->eng, &other_head, NULL, &err), 0);
    struct objstore_ops ops = *store->ops;
    const struct objstore_ops *changed;
    ops.head = head_meanwhile;
    exchange_ops(lib, &ops, &usual_ops);
    other_commits = 2;
    assert_int_equal(commit_real_heads(store, "TWI001L8", &search, &heads, &n, NULL, NULL, &err), 0);
    assert_true(n > 0);
    assert_int_equal(seg_id_compare(&heads[n - 1], &other_head.id), 0);
    free(heads);
    exchange_ops(lib, usual_ops, &changed);
    head_free(&other_head);
    close_library(lib);
    config_free(c);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_copy_of_a_stopped_state_reads_the_bucket),
        T(an_old_state_reads_the_bucket_and_keeps_what_only_it_has),
        T(who_is_fenced_hears_of_it),
        T(a_copy_is_told_at_the_start),
        T(an_object_that_is_no_head_fences_nobody),
        T(a_removed_cartridge_takes_nothing_of_others_with_it),
        T(a_library_within_another_is_refused),
        T(a_head_that_was_put_unheard_is_known_after_another_try),
        T(a_head_that_was_put_unheard_is_known_after_another_claim),
        T(a_first_head_that_was_put_unheard_is_known),
        T(a_claim_that_came_to_nothing_is_not_put_again_with_other_words),
        T(a_head_that_makes_room_for_the_next_one_while_it_is_looked_at_counts),
    };
    return cmocka_run_group_tests_name("twins", tests, NULL, NULL);
}
