/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_escrow_make.c: an escrow is called whole only if nothing came in while the store's catalogue was copied. */
#include "library_rig.h"

#include <errno.h>
#include <fcntl.h>

#include "vtl/cmd/escrow.h"
#include "vtl/escrow/escrow_key.h"

/* A service whose own disk is empty whenever it is asked, and what happens while it copies its catalogue. */
static struct world {
    unsigned head, address; /* of the library's one cartridge; head 0: the library does not answer */
    uint64_t brought, missing;
    unsigned backups, lists;
    void (*during)(struct world *w);
} world;

static json_t *list_cartridges(void *arg)
{
    struct world *w = arg;
    char head[20];
    w->lists++;
    (void)snprintf(head, sizeof(head), "%u", w->head);
    return w->head ? json_pack("[{s:s, s:s, s:i}]", "barcode", "ESC001L8", "head", head, "address", (int)w->address)
                   : NULL;
}

/* NOLINTBEGIN: the linker's names */
void __wrap_objstore_facts(struct objstore *s, struct obj_facts *out);
void __wrap_objstore_facts(struct objstore *s, struct obj_facts *out)
{
    (void)s;
    *out = (struct obj_facts){.service = OBJ_SERVICE_S3D};
}

int __wrap_objstore_hurry(struct objstore *s, const struct obj_call *c, struct errtext *err);
int __wrap_objstore_hurry(struct objstore *s, const struct obj_call *c, struct errtext *err)
{
    (void)s;
    (void)c;
    (void)err;
    return 0;
}

int __wrap_objstore_offsite(struct objstore *s, struct obj_offsite *out, const struct obj_call *c, struct errtext *err);
int __wrap_objstore_offsite(struct objstore *s, struct obj_offsite *out, const struct obj_call *c, struct errtext *err)
{
    (void)s;
    (void)c;
    (void)err;
    *out = (struct obj_offsite){.before_ms = clock_ms(), .missing = world.missing, .brought = world.brought};
    return 0;
}

int __wrap_objstore_backup(struct objstore *s, const char *path, const struct obj_call *c, struct errtext *err);
int __wrap_objstore_backup(struct objstore *s, const char *path, const struct obj_call *c, struct errtext *err)
{
    (void)s;
    (void)c;
    (void)err;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "catalogue", 9), 9);
    close(fd);
    world.backups++;
    if (world.during)
        world.during(&world);
    return 0;
}
/* NOLINTEND */

/* Of a command line's, which none is here. */
json_t *call_library(const struct vtl_config *cfg, json_t *request);
json_t *call_library(const struct vtl_config *cfg, json_t *request)
{
    (void)cfg;
    json_decref(request);
    return NULL;
}

static struct vtl_config *begin(void (*during)(struct world *w))
{
    uint8_t secret[ESCROW_KEY_SIZE], to[ESCROW_KEY_SIZE];
    char text[ESCROW_TEXT_SIZE], more[400], path[100];
    struct errtext err = {""};
    static const char *const dirs[] = {"elsewhere", "exchange"};
    world = (struct world){.head = 1, .address = 1000, .during = during};
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, dirs[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    assert_int_equal(escrow_key_make(secret, to, &err), 0);
    escrow_key_format(ESCROW_PUBLIC, to, text);
    (void)snprintf(more, sizeof(more), "[escrow]\npath = %s/elsewhere\nexchange = %s/exchange\npublic_key = %s\n", dir,
                   dir, text);
    struct vtl_config *c = config_more("gateway", "remote", "16M", more);
    json_t *report = NULL;
    if (library_init(c, &report, &err))
        fail_msg("%s", err.text);
    json_decref(report);
    return c;
}

static struct escrow_making make(const struct vtl_config *c)
{
    struct errtext err = {""};
    struct escrow_making x = {.cfg = c, .cancel = &never, .cartridges = list_cartridges, .arg = &world};
    if (escrow_make(&x, &err))
        fail_msg("%s", err.text);
    return x;
}

static uint32_t content_now(const struct vtl_config *c)
{
    json_t *list = list_cartridges(&world);
    uint32_t content = escrow_content_now(c, list);
    json_decref(list);
    return content;
}

/* What was made is there, and status will say this of it. */
static void check_last(const struct vtl_config *c, const struct escrow_making *x)
{
    struct escrow_last last;
    escrow_last_read(c, &last);
    assert_true(last.created && x->made.key[0]);
    assert_int_equal(last.whole, x->whole);
    assert_int_equal(last.content, x->content);
}

static void nothing_came_in_so_it_is_whole(void **state)
{
    (void)state;
    struct vtl_config *c = begin(NULL);
    world.brought = 7;
    struct escrow_making x = make(c);
    assert_true(x.whole);
    assert_int_equal(world.backups, 1);
    assert_int_equal(x.content, content_now(c));
    check_last(c, &x);
    config_free(c);
}

static void commit(struct world *w)
{
    w->head++;
}

static void load(struct world *w)
{
    w->address++;
}

static void bring(struct world *w)
{
    w->brought++;
}

static void accept_more(struct world *w)
{
    w->missing = 1000;
}

/* The answers behind the copy say that all is off-site, of what came in meanwhile, too. */
static void what_came_in_and_left_again_makes_it_not_whole(void **state)
{
    (void)state;
    static void (*const all[])(struct world *) = {commit, load, bring, accept_more};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct vtl_config *c = begin(all[i]);
        struct escrow_making x = make(c);
        assert_false(x.whole);
        assert_int_equal(world.backups, 3);
        check_last(c, &x);
        config_free(c);
        teardown(NULL);
        assert_int_equal(mkdir(dir, 0700), 0);
    }
}

static void commit_once(struct world *w)
{
    w->head++;
    w->during = NULL;
}

static void what_came_in_once_is_in_the_next_copy(void **state)
{
    (void)state;
    struct vtl_config *c = begin(commit_once);
    uint32_t before = content_now(c);
    struct escrow_making x = make(c);
    assert_true(x.whole);
    assert_int_equal(world.backups, 2);
    assert_int_not_equal(x.content, before);
    assert_int_equal(x.content, content_now(c)); /* so none is made for that commit */
    check_last(c, &x);
    config_free(c);
}

static void stop_answering(struct world *w)
{
    w->head = 0;
}

static void none_is_made_by_a_library_that_does_not_say_what_is_committed(void **state)
{
    (void)state;
    struct vtl_config *c = begin(stop_answering);
    struct errtext err = {""};
    struct escrow_last last;
    struct escrow_making x = {.cfg = c, .cancel = &never, .cartridges = list_cartridges, .arg = &world};
    assert_int_equal(escrow_make(&x, &err), -EIO);
    assert_non_null(strstr(err.text, "does not say what is committed"));
    assert_false(x.whole);
    escrow_last_read(c, &last);
    assert_true(last.failed && !last.created);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_came_in_so_it_is_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(what_came_in_and_left_again_makes_it_not_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(what_came_in_once_is_in_the_next_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(none_is_made_by_a_library_that_does_not_say_what_is_committed, setup, teardown),
    };
    return cmocka_run_group_tests_name("escrow_make", tests, NULL, NULL);
}
