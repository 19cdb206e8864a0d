/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_beside.c: what others do between two steps of a rebuild or a takeover. */
#include "tests/unit/library_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "s3backend/dir.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/library_private.h"

#define BARCODE "BES001L8"
#define MANY 300 /* segments: more than a head has room for, so that there is a map */

/* ---- a store before which somebody else is at work once ---- */

static const struct objstore_ops *real;
static struct objstore_ops hooked;
static atomic_int hook; /* 1: before the next use of a key with part in it */
static bool of_puts;    /* only those count, or only others do */
static const char *part;
static void (*at_work)(void);

static void come_before(const char *key, bool put)
{
    int one = 1;
    if (atomic_load(&hook) && put == of_puts && strstr(key, part) && atomic_compare_exchange_strong(&hook, &one, 0))
        at_work();
}

static int get_behind(struct objstore *s, const char *key, uint64_t offset, uint64_t len, void *buf,
                      const struct obj_call *c, struct errtext *err)
{
    come_before(key, false);
    return real->get(s, key, offset, len, buf, c, err);
}

static int head_behind(struct objstore *s, const char *key, uint64_t *size, const struct obj_call *c,
                       struct errtext *err)
{
    come_before(key, false);
    return real->head(s, key, size, c, err);
}

static int put_behind(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                      struct errtext *err)
{
    come_before(key, true);
    return real->put(s, key, src, c, err);
}

/* In place of the store's own, which the linker leaves out then. */
int objstore_open(const struct objstore_config *cfg, struct objstore **out, struct errtext *err)
{
    int rc = dir_open(cfg->path, cfg->prefix ? cfg->prefix : "", out, err);
    if (rc)
        return rc;
    if (!real) {
        real = (*out)->ops;
        hooked = *real;
        hooked.get = get_behind;
        hooked.head = head_behind;
        hooked.put = put_behind;
    }
    (*out)->ops = &hooked;
    return 0;
}

static atomic_bool at_close; /* and not before the store */

int __real_library_close(struct library *lib, struct errtext *err);
int __wrap_library_close(struct library *lib, struct errtext *err);
int __wrap_library_close(struct library *lib, struct errtext *err)
{
    int rc = __real_library_close(lib, err);
    if (atomic_exchange(&at_close, false))
        at_work();
    return rc;
}

static void begin(const char *key, bool put, void (*work)(void))
{
    part = key;
    of_puts = put;
    at_work = work;
    atomic_store(&hook, 1);
}

static void end(void)
{
    assert_int_equal(atomic_load(&hook), 0);
}

/* ---- the gateway that writes ---- */

static struct library *owner;

static void write_one(uint64_t at, uint64_t id)
{
    move(owner, SLOT, DRIVE);
    assert_int_equal(library_drive_ops()->locate_object(library_drive(owner, 0), 0, at, &never), TAPE_OK);
    assert_int_equal(write_id(library_drive(owner, 0), id), TAPE_OK);
    move(owner, DRIVE, SLOT);
    flush_remote(owner);
}

static unsigned maps(void)
{
    char command[300];
    unsigned n = 0;
    (void)snprintf(command, sizeof(command), "ls %s/store/tapes/" BARCODE "/map 2>/dev/null | wc -l", dir);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%u", &n), 1);
    pclose(f);
    return n;
}

static void write_over(void)
{
    write_one(0, 5000);
    (void)gc_of(owner, BARCODE);
    assert_int_equal(maps(), 0);
}

static void append(void)
{
    write_one(2 * MANY, 6000);
}

static void make_owner(const struct vtl_config *c)
{
    owner = new_library(c, BARCODE);
    move(owner, SLOT, DRIVE);
    void *d = library_drive(owner, 0);
    for (uint64_t id = 1; id <= MANY; id++) { /* each a segment */
        struct errtext err = {""};
        assert_int_equal(library_drive_ops()->write(d, (const uint8_t *)&id, sizeof(id), true, NULL, &never), TAPE_OK);
        assert_int_equal(library_drive_ops()->write_filemarks(d, 1, false, &never), TAPE_OK);
        assert_int_equal(drive_flush(d, &never, &err), 0);
    }
    move(owner, DRIVE, SLOT);
    flush_remote(owner);
    assert_int_equal(maps(), 1);
}

static bool is_fenced(void)
{
    json_t *r = call(owner, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", BARCODE));
    bool fenced = json_is_true(json_object_get(r, "fenced"));
    json_decref(r);
    return fenced;
}

/* By another gateway, before whose first look at a key of what, or put of one, the owner is at work. New reference. */
static json_t *rebuild_while(const char *what, bool put, void (*work)(void))
{
    struct vtl_config *c = config("two", "remote", "16M");
    const struct rebuild_options o = {.deep = true, .shelf = true};
    struct errtext err = {""};
    json_t *r = NULL;
    begin(what, put, work);
    if (library_rebuild(c, &o, &r, &err))
        fail_msg("%s", err.text);
    end();
    config_free(c);
    return r;
}

/* ---- tests ---- */

static void a_tape_whose_maps_go_while_it_is_read_is_read_again(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    make_owner(c);
    json_t *r = rebuild_while("/map/", false, write_over), *one = json_array_get(json_object_get(r, "cartridges"), 0);
    assert_int_equal(json_array_size(json_object_get(r, "failed")), 0);
    assert_int_equal(json_integer_value(json_object_get(one, "objects")), 1);
    assert_null(json_object_get(one, "deep"));
    json_decref(r);
    write_one(1, 5001);
    assert_false(is_fenced());
    close_library(owner);
    config_free(c);
}

/* Of a tape that has lost its map, and to which the owner appends just before that. */
static void a_deep_rebuild_gives_way(const char *what, bool put)
{
    char command[300];
    struct head h;
    struct errtext err = {""};
    (void)snprintf(command, sizeof(command), "rm -r %s/store/tapes/" BARCODE "/map", dir);
    assert_int_equal(system(command), 0);
    json_t *r = rebuild_while(what, put, append), *one = json_array_get(json_object_get(r, "failed"), 0);
    assert_non_null(one);
    assert_non_null(strstr(json_string_value(json_object_get(one, "error")), "its heads changed while it was read"));
    json_decref(r);
    (void)snprintf(command, sizeof(command), "! ls %s/store/tapes/" BARCODE "/head | grep -e -0000000000$", dir);
    assert_int_equal(system(command), 0); /* no claim stays */
    assert_int_equal(commit_read_head(owner->eng.store, BARCODE, NULL, &h, NULL, &err), 0);
    assert_int_equal(h.end_object, 2 * MANY + 1);
    head_free(&h);
}

static void a_deep_rebuild_takes_no_tape_that_was_written_meanwhile(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    make_owner(c);
    a_deep_rebuild_gives_way("/seg/", false);
    write_one(2 * MANY + 1, 6001);
    assert_false(is_fenced());
    close_library(owner);
    config_free(c);
}

/* What was acknowledged before the claim is not passed over. */
static void nor_one_that_was_written_right_before_its_claim(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    make_owner(c);
    a_deep_rebuild_gives_way("-0000000000", true);
    close_library(owner);
    config_free(c);
}

static void nobody_can_have_it(void)
{
    char path[100];
    (void)snprintf(path, sizeof(path), "%s/one/lock", dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    close(fd);
}

/* While it reads what is to take the state's place nobody begins to serve from that. */
static void a_rebuild_keeps_the_library_to_itself(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    const struct rebuild_options o = {.force = true};
    struct errtext err = {""};
    json_t *r = NULL;
    close_library(new_library(c, BARCODE));
    begin("format", false, nobody_can_have_it);
    if (library_rebuild(c, &o, &r, &err))
        fail_msg("%s", err.text);
    end();
    assert_int_equal(json_array_size(json_object_get(r, "cartridges")), 1);
    json_decref(r);
    close_library(open_library(c)); /* and lets it go */
    config_free(c);
}

/* From the first step, which makes the state, to the last, which claims all that is in it. */
static void so_does_a_takeover(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    const struct takeover_options o = {.force = true};
    struct errtext err = {""};
    json_t *r = NULL;
    close_library(new_library(c, BARCODE));
    remove_tree(c->library.state_dir);
    at_work = nobody_can_have_it;
    atomic_store(&at_close, true);
    if (library_take_over(c, &o, &r, &err))
        fail_msg("%s", err.text);
    assert_false(atomic_load(&at_close));
    json_decref(r);
    close_library(open_library(c));
    config_free(c);
}

static void take_over_too(void)
{
    char path[100];
    struct objstore *s = NULL;
    struct errtext err = {""};
    (void)snprintf(path, sizeof(path), "%s/store", dir);
    assert_int_equal(dir_open(path, "", &s, &err), 0);
    json_t *j = NULL;
    assert_int_equal(store_read_json(s, "format", 1u << 20, NULL, &j, &err), 0);
    json_t *inventory = json_pack("{s:O, s:s, s:s, s:i}", "library", json_object_get(j, "library"), "name", "one",
                                  "gateway", "00000001", "turn", 99);
    assert_int_equal(store_write_json(s, "gateways/00000001/inventory/0000000001", inventory, NULL, &err), 0);
    json_decref(inventory);
    json_decref(j);
    s->ops->close(s);
}

static void a_takeover_that_gives_way_leaves_the_library_handed_over(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "remote", "16M");
    const struct takeover_options o = {.force = false};
    struct errtext err = {""};
    json_t *r = NULL;
    close_library(new_library(c, BARCODE));
    if (library_hand_over(c, &err))
        fail_msg("%s", err.text);
    begin("/inventory/", true, take_over_too);
    assert_int_equal(library_take_over(c, &o, &r, &err), -EPERM);
    end();
    assert_non_null(strstr(err.text, "takes the library over, too"));
    assert_int_equal(library_may_serve(c, &err), -EPERM);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_tape_whose_maps_go_while_it_is_read_is_read_again),
        TEST(a_deep_rebuild_takes_no_tape_that_was_written_meanwhile),
        TEST(nor_one_that_was_written_right_before_its_claim),
        TEST(a_rebuild_keeps_the_library_to_itself),
        TEST(so_does_a_takeover),
        TEST(a_takeover_that_gives_way_leaves_the_library_handed_over),
    };
    return cmocka_run_group_tests_name("beside", tests, NULL, NULL);
}
