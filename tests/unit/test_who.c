/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_who.c: each head and claim says who put it, and who is fenced is told by whom. */
#include <errno.h>

#include "tests/unit/library_rig.h"

#include "vtl/cartridge/commit.h"
#include "vtl/library/library_private.h"

#define TAPE "WHO001L8"

/* ---- what is put ---- */

static struct objstore_ops watched;
static const struct objstore_ops *real;
static unsigned claims, heads, wrong;
static struct engine *putting;

static void look_at_head(const struct obj_source *src)
{
    struct head h;
    assert_int_equal(head_decode(src->mem, src->len, &h, NULL), 0);
    claims += h.claim;
    heads += !h.claim;
    uint64_t now = engine_time();
    wrong += strcmp(h.host, putting->host) != 0 || !h.host[0] || h.gateway != putting->gateway || h.claimed > now ||
             h.claimed + 60 < now;
    head_free(&h);
}

static int watch_put(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                     struct errtext *err)
{
    if (strstr(key, "/head/"))
        look_at_head(src);
    return real->put(s, key, src, c, err);
}

static struct library *open_watched(const struct vtl_config *c)
{
    struct library *lib = NULL;
    struct errtext err = {""};
    if (library_open(c, 0, &lib, &err)) /* no thread looks at the operations while they are exchanged */
        fail_msg("%s", err.text);
    claims = heads = wrong = 0;
    putting = &lib->eng;
    real = lib->eng.store->ops;
    watched = *real;
    watched.put = watch_put;
    lib->eng.store->ops = &watched;
    return lib;
}

static void each_head_and_claim_says_who_put_it(void **state)
{
    (void)state;
    char host[256] = "";
    struct vtl_config *c = config("one", "local", "16M");
    init_library(c);
    struct library *lib = open_watched(c);
    assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
    assert_string_equal(lib->eng.host, host);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", TAPE, "capacity", 0)));
    assert_int_equal(claims, 1);
    assert_true(heads >= 2); /* the claim's own, and what was committed */
    assert_int_equal(wrong, 0);
    close_library(lib);
    config_free(c);
}

/* The head that a takeover goes on from was another's: the own one does not say so. */
static void a_head_taken_over_is_signed_anew(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M"), *two = config("two", "local", "16M");
    close_library(new_library(c, TAPE));
    rebuild_library(two);
    struct library *lib = open_watched(two);
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", TAPE, "force", 1)));
    assert_int_equal(claims, 1);
    assert_true(heads >= 1);
    assert_int_equal(wrong, 0);
    close_library(lib);
    config_free(c);
    config_free(two);
}

static char *said[2];
static unsigned n_said;

/* A claim is put unheard: its answer never comes, though it may land. */
static int lose_claim(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                      struct errtext *err)
{
    struct head h;
    if (!strstr(key, "/head/"))
        return real->put(s, key, src, c, err);
    assert_int_equal(head_decode(src->mem, src->len, &h, NULL), 0);
    bool claim = h.claim;
    head_free(&h);
    if (!claim)
        return real->put(s, key, src, c, err);
    assert_true(n_said < 2);
    assert_true(asprintf(&said[n_said++], "%s %.*s", key, (int)src->len, (const char *)src->mem) > 0);
    return errtext_set(err, -EIO, "no answer");
}

/* Else the first, landing late, would be another object under the same key (I2). */
static void a_claim_tried_again_says_the_same(void **state)
{
    (void)state;
    struct errtext err = {""};
    struct vtl_config *c = config("one", "local", "16M"), *two = config("two", "local", "16M");
    close_library(new_library(c, TAPE));
    rebuild_library(two);
    struct library *lib = open_watched(two);
    watched.put = lose_claim;
    json_t *q = json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", TAPE, "force", 1);
    assert_null(library_call(lib, q, &err));
    for (uint64_t then = engine_time(); engine_time() == then;)
        ;
    assert_null(library_call(lib, q, &err));
    assert_int_equal(n_said, 2);
    assert_string_equal(said[0], said[1]);
    json_decref(q);
    free(said[0]);
    free(said[1]);
    close_library(lib);
    config_free(c);
    config_free(two);
}

static void a_hosts_name_becomes_what_a_head_may_hold(void **state)
{
    (void)state;
    static struct engine e;
    char longest[200];
    engine_set_host(&e, "b\xc3\xbc\n1.example");
    assert_string_equal(e.host, "b???1.example");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    engine_set_host(&e, longest);
    assert_int_equal(strlen(e.host), 64);
    engine_set_host(&e, "");
    assert_string_equal(e.host, "");
}

/* ---- who is fenced ---- */

/* The bucket is looked at beside the load. */
static void expect_trouble(struct library *lib, const char *text)
{
    uint64_t until = clock_ms() + 30000;
    for (bool found = false; !found;) {
        uint64_t seen = progress_now(&lib->eng.progress);
        json_t *j = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", TAPE));
        const char *trouble = json_string_value(json_object_get(j, "trouble"));
        found = trouble && strstr(trouble, text);
        if (!found && clock_ms() > until)
            fail_msg("%s has no \"%s\"", trouble ? trouble : "no trouble", text);
        json_decref(j);
        if (!found)
            progress_wait(&lib->eng.progress, seen, 100);
    }
}

/* How a head's writer is named, up to the time. */
static void name_of(const struct library *lib, const char *who, char out[200])
{
    (void)snprintf(out, 200, "owned by %s %s%08x%s on host %s since 20", who, *who == 'a' ? "(" : "", lib->eng.gateway,
                   *who == 'a' ? ")" : "", lib->eng.host);
}

static enum tape_result sync_it(void *d)
{
    return library_drive_ops()->write_filemarks(d, 0, false, &never);
}

static void who_is_fenced_is_told_by_which_gateway(void **state)
{
    (void)state;
    char want[200];
    struct errtext err = {""};
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = new_library(c, TAPE);
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    assert_int_equal(sync_it(library_drive(lib, 0)), TAPE_OK);
    rebuild_library(two);
    assert_int_equal(write_id(library_drive(lib, 0), 2), TAPE_OK); /* which the other's state does not know of */
    assert_int_equal(sync_it(library_drive(lib, 0)), TAPE_OK);
    struct library *other = open_library(two);
    json_t *q = json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", TAPE, "force", 0);
    assert_null(library_call(other, q, &err)); /* nor is it had without force */
    name_of(lib, "gateway", want);
    assert_non_null(strstr(err.text, want));
    json_object_set_new(q, "force", json_true());
    json_t *r = call(other, q);
    assert_non_null(strstr(json_string_value(json_object_get(r, "from")), want + strlen("owned by ")));
    json_decref(r);
    assert_int_equal(write_id(library_drive(lib, 0), 3), TAPE_OK);
    assert_int_equal(sync_it(library_drive(lib, 0)), TAPE_NOT_OWNED);
    name_of(other, "gateway", want);
    expect_trouble(lib, want);
    move(lib, DRIVE, SLOT);
    close_library(other);
    (void)library_close(lib, &err);
    config_free(c);
    config_free(two);
}

/* What a rebuild found is the other's until this one has taken it; then it is this one's, in each later run. */
static void gc_leaves_a_tape_to_its_gateway_and_knows_its_own(void **state)
{
    (void)state;
    struct errtext err = {""};
    char want[200];
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = new_library(c, TAPE);
    name_of(lib, "gateway", want);
    close_library(lib);
    rebuild_library(two);
    json_t *gc = json_pack("{s:s, s:s}", "op", "tape-gc", "barcode", TAPE);
    struct library *other = open_watched(two); /* no thread claims it meanwhile */
    json_t *r = library_call(other, gc, &err); /* nothing is wrong */
    assert_non_null(strstr(json_string_value(json_object_get(r, "written_by")), want + strlen("owned by ")));
    assert_int_equal(json_integer_value(json_object_get(r, "objects")), 0);
    json_decref(r);
    json_decref(call(other, json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", TAPE, "force", 1)));
    close_library(other);
    other = open_watched(two);
    json_decref(call(other, gc));
    close_library(other);
    config_free(c);
    config_free(two);
}

static void who_is_fenced_is_told_of_a_copy(void **state)
{
    (void)state;
    char command[300], want[200];
    struct vtl_config *c = config("one", "remote", "16M"), *two = config("two", "remote", "16M");
    struct library *lib = new_library(c, TAPE);
    close_library(lib);
    (void)snprintf(command, sizeof(command), "cp -a %s/one %s/two", dir, dir);
    assert_int_equal(system(command), 0);
    lib = open_library(c);
    move(lib, SLOT, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 1), TAPE_OK);
    assert_int_equal(sync_it(library_drive(lib, 0)), TAPE_OK);
    struct library *copy = open_library(two);
    move(copy, SLOT, DRIVE);
    name_of(lib, "a copy of this gateway", want);
    expect_trouble(copy, want + strlen("owned by "));
    assert_int_equal(write_id(library_drive(copy, 0), 2), TAPE_NOT_OWNED);
    move(copy, DRIVE, SLOT);
    close_library(copy);
    close_library(lib);
    config_free(c);
    config_free(two);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(each_head_and_claim_says_who_put_it),    T(a_head_taken_over_is_signed_anew),
        T(a_claim_tried_again_says_the_same),      cmocka_unit_test(a_hosts_name_becomes_what_a_head_may_hold),
        T(who_is_fenced_is_told_by_which_gateway), T(gc_leaves_a_tape_to_its_gateway_and_knows_its_own),
        T(who_is_fenced_is_told_of_a_copy),
    };
    return cmocka_run_group_tests_name("who", tests, NULL, NULL);
}
