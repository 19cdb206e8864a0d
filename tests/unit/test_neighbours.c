/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_neighbours.c: two libraries of different names with one prefix: what one of them has, the other leaves alone. */
#include "tests/unit/library_rig.h"

#include <errno.h>

#include "s3backend/dir.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/tapes.h"

#define THEIRS "NBR001L8"
#define LATER "NBR002L8"
#define OURS "OWN001L8"
#define DOOR ELEMENT_FIRST_IMPORT_EXPORT

/* ---- a store that does not give what is below one key ---- */

static const struct objstore_ops *usual;
static struct objstore_ops with_gaps;
static char gap[64];        /* set while nobody reads */
static atomic_bool gap_is;  /* from now on */
static atomic_int unbidden; /* reads of inventories that nobody could end */

static int get_but_gap(struct objstore *s, const char *key, uint64_t offset, size_t len, void *buf,
                       const struct obj_call *c, struct errtext *err)
{
    if (!atomic_load(&gap_is))
        return usual->get(s, key, offset, len, buf, c, err);
    if (!strncmp(key, "gateways/", 9) && (!c || c->cancel != &never || !c->max_tries))
        atomic_fetch_add(&unbidden, 1);
    return gap[0] && !strncmp(key, gap, strlen(gap)) ? errtext_set(err, -EIO, "get %s: no host has it", key)
                                                     : usual->get(s, key, offset, len, buf, c, err);
}

/* In place of the store's own, which the linker leaves out then. */
int objstore_open(const struct objstore_config *cfg, struct objstore **out, struct errtext *err)
{
    int rc = dir_open(cfg->path, cfg->prefix ? cfg->prefix : "", out, err);
    if (rc)
        return rc;
    if (!usual) {
        usual = (*out)->ops;
        with_gaps = *usual;
        with_gaps.get = get_but_gap;
    }
    (*out)->ops = &with_gaps;
    return 0;
}

static void begin_gap(uint32_t writer)
{
    (void)snprintf(gap, sizeof(gap), "gateways/%08x/", writer);
    atomic_store(&unbidden, 0);
    atomic_store(&gap_is, true);
}

static json_t *request(const char *op, const char *barcode)
{
    return json_pack("{s:s, s:[s]}", "op", op, "barcodes", barcode);
}

static void create(struct library *lib, const char *barcode)
{
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", barcode, "capacity", 0)));
}

static void rebuild_on_shelf(const struct vtl_config *c)
{
    const struct rebuild_options o = {.shelf = true};
    struct errtext err = {""};
    json_t *r = NULL;
    if (library_rebuild(c, &o, &r, &err))
        fail_msg("%s", err.text);
    json_decref(r);
}

/* From a gateway that is gone with all that it had; how many cartridges it claims. */
static json_int_t take_over(const struct vtl_config *c)
{
    struct errtext err = {""};
    json_t *r = NULL;
    remove_tree(c->library.state_dir);
    if (library_take_over(c, &(struct takeover_options){.force = true}, &r, &err))
        fail_msg("%s", err.text);
    json_int_t n = json_integer_value(json_object_get(r, "claimed"));
    json_decref(r);
    return n;
}

static json_int_t place_in(struct library *lib, const char *barcode)
{
    json_t *r = call(lib, json_pack("{s:s, s:s}", "op", "tape-show", "barcode", barcode));
    json_int_t address = json_integer_value(json_object_get(r, "address"));
    json_decref(r);
    return address;
}

/* Its workers store nothing of it until then; 0: now. */
static void set_backoff(struct library *lib, const char *barcode, uint64_t until)
{
    struct cartridge *c = library_cartridge(lib, barcode);
    lock_take(&c->lock);
    c->backoff_until = until;
    lock_release(&c->lock);
    cartridge_poke(c);
}

static bool wants_release(struct library *lib, const char *barcode)
{
    struct cartridge *c = library_cartridge(lib, barcode);
    lock_take(&c->lock);
    bool wants = c->release;
    lock_release(&c->lock);
    return wants;
}

static void await_release(struct library *lib, const char *barcode)
{
    for (uint64_t until = clock_ms() + 20000; wants_release(lib, barcode) && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
    assert_false(wants_release(lib, barcode));
}

static void write_one(struct library *lib, uint64_t id)
{
    assert_int_equal(write_id(library_drive(lib, 0), id), TAPE_OK);
    assert_int_equal(library_drive_ops()->write_filemarks(library_drive(lib, 0), 0, false, &never), TAPE_OK);
}

/* Its head is the one that the other's rebuild saw, and what comes behind it is on its gateway's disk only. */
static void what_a_neighbour_writes_behind_a_head_that_is_known_is_not_to_be_had(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct library *lib = new_library(one, THEIRS);
    struct errtext err = {""};
    move(lib, SLOT, DRIVE);
    write_one(lib, 1);
    flush_remote(lib);
    await_inventory(lib);
    rebuild_on_shelf(two);
    struct library *other = open_library(two);
    set_backoff(lib, THEIRS, UINT64_MAX);
    write_one(lib, 2);
    json_t *q = request("tape-import", THEIRS), *r = library_call(other, q, &err);
    assert_null(r);
    assert_non_null(strstr(err.text, "has not given it up"));
    assert_int_equal(place_in(other, THEIRS), 0);
    set_backoff(lib, THEIRS, 0);
    move(lib, DRIVE, DOOR);
    json_decref(call(lib, request("tape-export", THEIRS)));
    for (uint64_t until = clock_ms() + 20000; !(r = library_call(other, q, &err)) && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
    assert_non_null(r); /* given up, and then it is */
    json_decref(r);
    json_decref(q);
    assert_int_equal(place_in(other, THEIRS), DOOR);
    close_library(other);
    close_library(lib);
    config_free(one);
    config_free(two);
}

static void is_refused(struct library *lib, json_t *q)
{
    struct errtext err = {""};
    assert_null(library_call(lib, q, &err));
    json_decref(q);
    if (!strstr(err.text, THEIRS ": owned by gateway"))
        fail_msg("%s", err.text);
}

/* Blank, as far as this one knows. */
static void what_a_neighbour_writes_is_neither_removed_nor_changed(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct library *lib = new_library(one, THEIRS);
    flush_remote(lib);
    await_inventory(lib);
    rebuild_on_shelf(two);
    struct library *other = open_library(two);
    move(lib, SLOT, DRIVE);
    set_backoff(lib, THEIRS, UINT64_MAX);
    write_one(lib, 1);
    is_refused(other, json_pack("{s:s, s:s}", "op", "tape-remove", "barcode", THEIRS));
    is_refused(other, json_pack("{s:s, s:s}", "op", "tape-claim", "barcode", THEIRS)); /* but by force */
    is_refused(other, json_pack("{s:s, s:s, s:b}", "op", "tape-protect", "barcode", THEIRS, "on", 1));
    is_refused(other, json_pack("{s:s, s:s, s:s, s:I}", "op", "tape-lock", "barcode", THEIRS, "mode", "governance",
                                "until", (json_int_t)engine_time() + 86400));
    set_backoff(lib, THEIRS, 0);
    move(lib, DRIVE, SLOT);
    flush_remote(lib);
    close_library(other);
    close_library(lib);
    config_free(one);
    config_free(two);
}

static int no_answer(struct objstore *s, const char *prefix, const char *start_after, bool slash, obj_list_fn fn,
                     void *arg, const struct obj_call *c, struct errtext *err)
{
    (void)s;
    (void)start_after;
    (void)slash;
    (void)fn;
    (void)arg;
    (void)c;
    return errtext_set(err, -EIO, "list %s: no answer", prefix);
}

/* Whose it is, nobody can say then, also of what this gateway gave up. What it wrote last itself, and has not, comes in as ever. */
static void what_a_neighbour_wrote_is_not_to_be_had_while_the_store_does_not_answer(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct library *lib = new_library(one, THEIRS);
    struct errtext err = {""};
    flush_remote(lib);
    await_inventory(lib);
    rebuild_on_shelf(two);
    struct library *other = open_library(two);
    create(other, OURS);
    create(other, LATER);
    flush_remote(other);
    set_backoff(other, OURS, UINT64_MAX);
    move(other, SLOT, DOOR);
    json_decref(call(other, request("tape-export", OURS)));
    move(other, SLOT + 1, DOOR);
    json_decref(call(other, request("tape-export", LATER)));
    await_release(other, LATER);
    inventory_stop(other);
    atomic_store(&other->stop, false);
    atomic_store(&other->shared, false);
    const struct objstore_ops *was, *silenced;
    struct objstore_ops silent = *other->eng.store->ops;
    silent.list = no_answer;
    exchange_ops(other, &silent, &was);
    static const char *const not_now[] = {THEIRS, LATER};
    for (size_t i = 0; i < 2; i++) {
        json_t *q = request("tape-import", not_now[i]);
        assert_null(library_call(other, q, &err));
        json_decref(q);
        assert_non_null(strstr(err.text, "whether another library has it cannot be found out now"));
    }
    json_decref(call(other, request("tape-import", OURS)));
    exchange_ops(other, was, &silenced);
    close_library(other);
    close_library(lib);
    config_free(one);
    config_free(two);
}

/* ---- given up, and taken ---- */

/* Two libraries of one shelf: lib has a cartridge, which other knows. */
struct pair {
    struct vtl_config *one, *two;
    struct library *lib, *other;
};

static struct pair new_pair(void)
{
    struct pair p = {.one = config("one", "local", "64M"), .two = config("two", "local", "64M")};
    p.lib = new_library(p.one, THEIRS);
    move(p.lib, SLOT, DRIVE);
    write_one(p.lib, 1);
    flush_remote(p.lib);
    await_inventory(p.lib);
    rebuild_on_shelf(p.two);
    p.other = open_library(p.two);
    await_inventory(p.other);
    return p;
}

static void end_pair(struct pair *p)
{
    close_library(p->other);
    close_library(p->lib);
    config_free(p->one);
    config_free(p->two);
}

static void give_up(struct library *lib)
{
    move(lib, DRIVE, DOOR);
    json_decref(call(lib, request("tape-export", THEIRS)));
    await_release(lib, THEIRS);
}

/* As soon as it has been given up. */
static void import_soon(struct library *lib)
{
    struct errtext err = {""};
    json_t *q = request("tape-import", THEIRS), *r = NULL;
    for (uint64_t until = clock_ms() + 20000; !(r = library_call(lib, q, &err)) && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
    if (!r)
        fail_msg("%s", err.text);
    json_decref(r);
    json_decref(q);
}

static void read_head(struct library *lib, const char *barcode, struct head *h)
{
    struct errtext err = {""};
    if (commit_read_head(lib->eng.store, barcode, NULL, h, NULL, &err))
        fail_msg("%s", err.text);
}

static json_t *verified(struct library *lib)
{
    char id[33];
    for (int i = 0; i < 16; i++)
        (void)snprintf(id + 2 * i, 3, "%02x", cartridge_id(library_cartridge(lib, THEIRS))[i]);
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i}", "op", "tape-verified", "barcode", THEIRS, "cartridge", id,
                     "objects", 2, "lost", 0, "from", 0);
}

static void an_import_claims_what_a_neighbour_gave_up(void **state)
{
    (void)state;
    struct pair p = new_pair();
    give_up(p.lib);
    import_soon(p.other);
    is_refused(p.lib, request("tape-import", THEIRS));
    is_refused(p.lib, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", THEIRS, "force", 1));
    is_refused(p.lib, json_pack("{s:s, s:s, s:b}", "op", "tape-protect", "barcode", THEIRS, "on", 1));
    move(p.other, DOOR, DRIVE);
    write_one(p.other, 2);
    flush_remote(p.other);
    end_pair(&p);
}

/* The state has lost its row, and the element names it still. */
static void what_no_cartridge_is_of_can_be_exported(void **state)
{
    (void)state;
    struct pair p = new_pair();
    lock_take(&p.lib->lock);
    (void)snprintf(library_element(p.lib, DOOR)->barcode, sizeof(library_element(p.lib, DOOR)->barcode), LATER);
    lock_release(&p.lib->lock);
    json_t *r = call(p.lib, json_pack("{s:s, s:b}", "op", "tape-export", "all", 1));
    assert_int_equal(json_array_size(json_object_get(r, "exported")), 1);
    json_decref(r);
    end_pair(&p);
}

static void what_was_given_up_is_not_taken_back_by_verify_and_gc(void **state)
{
    (void)state;
    struct pair p = new_pair();
    give_up(p.lib);
    json_decref(call(p.lib, verified(p.lib))); /* before anybody has it, and after */
    assert_int_equal(gc_of(p.lib, THEIRS), 0);
    import_soon(p.other);
    json_decref(call(p.lib, verified(p.lib)));
    assert_int_equal(gc_of(p.lib, THEIRS), 0);
    move(p.other, DOOR, DRIVE);
    write_one(p.other, 2);
    flush_remote(p.other);
    json_decref(call(p.lib, verified(p.lib)));
    assert_int_equal(gc_of(p.lib, THEIRS), 0);
    flush_remote(p.lib); /* whatever it had to do is done */
    write_one(p.other, 3);
    flush_remote(p.other);
    assert_int_equal(atomic_load(&p.lib->eng.fences), 0);
    assert_int_equal(atomic_load(&p.other->eng.fences), 0);
    end_pair(&p);
}

static void what_comes_back_to_who_gave_it_up_is_claimed_too(void **state)
{
    (void)state;
    struct pair p = new_pair();
    give_up(p.lib);
    json_decref(call(p.lib, request("tape-import", THEIRS)));
    is_refused(p.other, request("tape-import", THEIRS));
    end_pair(&p);
}

static const struct objstore_ops *heard;

static int put_heads_unheard(struct objstore *s, const char *key, const struct obj_source *src,
                             const struct obj_call *c, struct errtext *err)
{
    int rc = heard->put(s, key, src, c, err);
    return strstr(key, "/head/") ? errtext_set(err, -EIO, "put %s: the answer was lost", key) : rc;
}

static bool is_released(struct library *lib, const char *barcode)
{
    struct head h;
    read_head(lib, barcode, &h);
    bool released = h.released;
    head_free(&h);
    return released;
}

static void await_released(struct library *lib, const char *barcode)
{
    bool released = false;
    for (uint64_t until = clock_ms() + 20000; !released && clock_ms() < until;) {
        uint64_t seen = progress_now(&lib->eng.progress);
        if (!(released = is_released(lib, barcode)))
            progress_wait(&lib->eng.progress, seen, 100);
    }
    assert_true(released);
}

/* This run owns it, as far as it knows, and nothing is to be put: but the bucket says that anybody may have it. */
static void so_is_what_was_given_up_unheard(void **state)
{
    (void)state;
    struct pair p = new_pair();
    const struct objstore_ops *unheard;
    struct objstore_ops deaf = *p.lib->eng.store->ops;
    move(p.lib, DRIVE, DOOR);
    flush_remote(p.lib);
    deaf.put = put_heads_unheard;
    exchange_ops(p.lib, &deaf, &heard);
    json_decref(call(p.lib, request("tape-export", THEIRS)));
    await_released(p.other, THEIRS);
    set_backoff(p.lib, THEIRS, UINT64_MAX);
    exchange_ops(p.lib, heard, &unheard);
    json_decref(call(p.lib, request("tape-import", THEIRS)));
    assert_false(is_released(p.lib, THEIRS));
    is_refused(p.other, request("tape-import", THEIRS));
    set_backoff(p.lib, THEIRS, 0);
    end_pair(&p);
}

static char late_key[DB_KEY_SIZE];
static atomic_bool is_late;

/* The request is on its way, and will come in the end. */
static int put_heads_late(struct objstore *s, const char *key, const struct obj_source *src, const struct obj_call *c,
                          struct errtext *err)
{
    if (!strstr(key, "/head/"))
        return heard->put(s, key, src, c, err);
    int rc = heard->put(s, "late", src, c, err);
    (void)snprintf(late_key, sizeof(late_key), "%s", key);
    atomic_store(&is_late, true);
    return rc ? rc : errtext_set(err, -EIO, "put %s: no answer", key);
}

static void await_late(struct library *lib)
{
    for (uint64_t until = clock_ms() + 20000; !atomic_load(&is_late) && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
    assert_true(atomic_load(&is_late));
}

static void it_comes(void)
{
    char from[300], to[400];
    (void)snprintf(from, sizeof(from), "%s/store/late", dir);
    (void)snprintf(to, sizeof(to), "%s/store/%s", dir, late_key);
    assert_int_equal(rename(from, to), 0);
}

/* The bucket does not say so yet, and may at any time. */
static void take_back_before_it_comes(json_t *how)
{
    struct pair p = new_pair();
    const struct objstore_ops *late;
    struct objstore_ops slow = *p.lib->eng.store->ops;
    atomic_store(&is_late, false);
    move(p.lib, DRIVE, DOOR);
    flush_remote(p.lib);
    slow.put = put_heads_late;
    exchange_ops(p.lib, &slow, &heard);
    json_decref(call(p.lib, request("tape-export", THEIRS)));
    await_late(p.lib);
    set_backoff(p.lib, THEIRS, UINT64_MAX);
    exchange_ops(p.lib, heard, &late);
    json_decref(call(p.lib, how));
    it_comes();
    assert_false(is_released(p.other, THEIRS));
    is_refused(p.other, request("tape-import", THEIRS));
    set_backoff(p.lib, THEIRS, 0);
    end_pair(&p);
}

static void what_may_be_given_up_yet_is_claimed_by_who_imports_it(void **state)
{
    (void)state;
    take_back_before_it_comes(request("tape-import", THEIRS));
}

static void and_by_who_claims_it(void **state)
{
    (void)state;
    take_back_before_it_comes(json_pack("{s:s, s:s}", "op", "tape-claim", "barcode", THEIRS));
}

/* Else it is nobody's to have: in no element here, and not given up. */
static void what_an_import_claimed_that_failed_is_given_up_again(void **state)
{
    (void)state;
    struct pair p = new_pair();
    struct errtext err = {""};
    give_up(p.lib);
    json_t *q = json_pack("{s:s, s:[s, s]}", "op", "tape-import", "barcodes", THEIRS, "NONE01L8");
    assert_null(library_call(p.other, q, &err));
    json_decref(q);
    assert_non_null(strstr(err.text, "no such cartridge"));
    import_soon(p.lib);
    end_pair(&p);
}

/* A change of what is on the shelf, and nobody's so far, leaves it there for everybody. */
static void what_is_changed_on_the_shelf_is_given_up_with_the_change(void **state)
{
    (void)state;
    struct pair p = new_pair();
    struct head h;
    give_up(p.lib);
    json_decref(call(p.lib, json_pack("{s:s, s:s, s:b}", "op", "tape-protect", "barcode", THEIRS, "on", 1)));
    import_soon(p.other);
    read_head(p.other, THEIRS, &h);
    assert_true(h.write_protected);
    head_free(&h);
    end_pair(&p);
}

static void so_is_what_is_changed_without_a_running_library(void **state)
{
    (void)state;
    struct pair p = new_pair();
    struct errtext err = {""};
    struct head h;
    give_up(p.lib);
    close_library(p.lib);
    assert_int_equal(library_open(p.one, 0, &p.lib, &err), 0);
    json_decref(call(p.lib, json_pack("{s:s, s:s, s:b}", "op", "tape-protect", "barcode", THEIRS, "on", 1)));
    read_head(p.lib, THEIRS, &h);
    assert_true(h.write_protected);
    assert_true(h.released);
    head_free(&h);
    json_decref(call(p.lib, verified(p.lib)));
    assert_int_equal(gc_of(p.lib, THEIRS), 0);
    json_decref(call(p.lib, request("tape-import", THEIRS)));
    is_refused(p.other, request("tape-import", THEIRS));
    json_decref(call(p.lib, request("tape-export", THEIRS)));
    json_decref(call(p.other, request("tape-import", THEIRS)));
    end_pair(&p);
}

/* The upload goes on after the restart, and what it was for is known still. */
static void what_was_exported_is_given_up_after_a_restart(void **state)
{
    (void)state;
    struct pair p = new_pair();
    set_backoff(p.lib, THEIRS, UINT64_MAX);
    write_one(p.lib, 2);
    move(p.lib, DRIVE, DOOR);
    json_decref(call(p.lib, request("tape-export", THEIRS)));
    is_refused(p.other, request("tape-import", THEIRS));
    close_library(p.lib);
    p.lib = open_library(p.one);
    import_soon(p.other);
    end_pair(&p);
}

/* Whether the shelf is shared could not be found out then. */
static void what_was_exported_while_the_store_did_not_answer_is_given_up_later(void **state)
{
    (void)state;
    struct pair p = new_pair();
    const struct objstore_ops *was, *silenced;
    struct objstore_ops silent = *p.lib->eng.store->ops;
    atomic_store(&p.lib->shared, false);
    silent.list = no_answer;
    exchange_ops(p.lib, &silent, &was);
    move(p.lib, DRIVE, DOOR);
    json_decref(call(p.lib, request("tape-export", THEIRS)));
    exchange_ops(p.lib, was, &silenced);
    atomic_store(&p.lib->shared, true); /* as the next look finds */
    import_soon(p.other);
    end_pair(&p);
}

static const struct objstore_ops *plain;
static struct library *committing; /* NULL: nothing is to be committed any more */
static pthread_t looking;

static void commit_something(struct library *lib)
{
    struct cartridge *c = library_cartridge(lib, THEIRS);
    struct seg_id before, now;
    bool ours = true;
    (void)cartridge_is_ours(c, &before);
    assert_int_equal(cartridge_set_verified(c, 2, 0, 0, &ours), 0);
    tapes_commit_row(c);
    for (uint64_t until = clock_ms() + 20000; clock_ms() < until;) {
        uint64_t seen = progress_now(&lib->eng.progress);
        (void)cartridge_is_ours(c, &now);
        if (seg_id_compare(&before, &now) && now.number > 1)
            return;
        progress_wait(&lib->eng.progress, seen, 100);
    }
    fail();
}

/* The head is read; and by the time that it is looked at, it is one of before. */
static int get_then_commit(struct objstore *s, const char *key, uint64_t offset, uint64_t len, void *buf,
                           const struct obj_call *c, struct errtext *err)
{
    int rc = plain->get(s, key, offset, len, buf, c, err);
    if (!pthread_equal(pthread_self(), looking) || !committing || !strstr(key, "/head/"))
        return rc;
    struct library *lib = committing;
    committing = NULL;
    commit_something(lib);
    return rc;
}

static void what_is_committed_while_it_is_looked_at_is_given_up_all_the_same(void **state)
{
    (void)state;
    looking = pthread_self();
    struct pair p = new_pair();
    const struct objstore_ops *others;
    struct objstore_ops ops = *p.lib->eng.store->ops, silent = ops;
    move(p.lib, DRIVE, DOOR);
    flush_remote(p.lib);
    inventory_stop(p.lib);
    atomic_store(&p.lib->stop, false);
    atomic_store(&p.lib->shared, false);
    silent.list = no_answer;
    exchange_ops(p.lib, &silent, &plain);
    json_decref(call(p.lib, request("tape-export", THEIRS)));
    ops.get = get_then_commit;
    committing = p.lib;
    exchange_ops(p.lib, &ops, &others);
    atomic_store(&p.lib->shared, true);
    shelf_look(p.lib);
    assert_null(committing);
    exchange_ops(p.lib, plain, &others);
    import_soon(p.other);
    end_pair(&p);
}

/* "s3vtl tape export" there is what the other one's refusal tells. */
static void what_was_exported_before_there_was_a_neighbour_can_be_exported_again(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct library *lib = new_library(one, THEIRS);
    struct errtext err = {""};
    move(lib, SLOT, DOOR);
    json_decref(call(lib, request("tape-export", THEIRS)));
    flush_remote(lib);
    await_inventory(lib);
    json_t *q = request("tape-export", THEIRS);
    assert_null(library_call(lib, q, &err));
    assert_string_equal(err.text, THEIRS ": it is on the shelf already");
    rebuild_on_shelf(two);
    struct library *other = open_library(two);
    await_inventory(other);
    json_t *r = call(lib, json_incref(q));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(r, "exported"), 0), "address")),
                     0);
    json_decref(r);
    await_release(lib, THEIRS);
    assert_null(library_call(lib, q, &err));
    assert_non_null(strstr(err.text, "given up"));
    import_soon(other);
    assert_null(library_call(lib, q, &err));
    assert_non_null(strstr(err.text, "owned by gateway"));
    json_decref(q);
    close_library(other);
    close_library(lib);
    config_free(one);
    config_free(two);
}

static void what_was_exported_before_there_was_a_neighbour_is_given_up_to_it(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct library *lib = new_library(one, THEIRS);
    move(lib, SLOT, DOOR);
    json_decref(call(lib, request("tape-export", THEIRS)));
    flush_remote(lib);
    await_inventory(lib);
    rebuild_on_shelf(two);
    struct library *other = open_library(two);
    await_inventory(other);
    close_library(lib);
    lib = open_library(one); /* else it looks once a minute */
    import_soon(other);
    close_library(other);
    close_library(lib);
    config_free(one);
    config_free(two);
}

/* It is on this shelf, too: but who wrote it has it. In order of barcode it comes before one that is given up. */
static void what_a_rebuild_put_on_the_shelf_is_not_given_up_for_another(void **state)
{
    (void)state;
    struct pair p = new_pair();
    struct head h;
    create(p.other, OURS);
    flush_remote(p.other);
    set_backoff(p.other, OURS, UINT64_MAX);
    move(p.other, SLOT, DOOR);
    json_decref(call(p.other, request("tape-export", OURS)));
    close_library(p.other);
    p.other = open_library(p.two);
    await_released(p.other, OURS);
    read_head(p.other, THEIRS, &h);
    assert_false(h.released);
    assert_int_equal(h.gateway, p.lib->eng.gateway);
    head_free(&h);
    end_pair(&p);
}

static void a_takeover_leaves_alone_what_a_neighbour_put_on_the_shelf_and_still_stores(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct library *lib = new_library(one, THEIRS);
    move(lib, SLOT, DRIVE);
    write_one(lib, 1);
    flush_remote(lib);
    await_inventory(lib);
    rebuild_on_shelf(two);
    set_backoff(lib, THEIRS, UINT64_MAX);
    write_one(lib, 2);
    move(lib, DRIVE, DOOR);
    json_decref(call(lib, request("tape-export", THEIRS)));
    await_inventory(lib);
    assert_int_equal(take_over(two), 0);
    set_backoff(lib, THEIRS, 0);
    flush_remote(lib);
    close_library(lib);
    config_free(one);
    config_free(two);
}

static void of_a_shared_shelf_a_takeover_claims_what_its_own_library_has_not_given_up(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct library *lib = new_library(one, THEIRS);
    flush_remote(lib);
    await_inventory(lib);
    rebuild_on_shelf(two);
    struct library *other = open_library(two);
    create(other, OURS);
    flush_remote(other);
    set_backoff(other, OURS, UINT64_MAX);
    move(other, SLOT, DOOR);
    json_decref(call(other, request("tape-export", OURS)));
    close_library(other);
    assert_int_equal(take_over(two), 1);
    other = open_library(two);
    json_decref(call(other, request("tape-import", OURS)));
    move(other, DOOR, SLOT);
    move(other, SLOT, DOOR);
    json_decref(call(other, request("tape-export", OURS)));
    await_release(other, OURS);
    close_library(other);
    assert_int_equal(take_over(two), 0);
    close_library(lib);
    config_free(one);
    config_free(two);
}

static void without_a_neighbour_a_takeover_claims_the_shelf_too(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, OURS);
    create(lib, LATER);
    move(lib, SLOT, DOOR);
    json_decref(call(lib, request("tape-export", OURS)));
    close_library(lib);
    assert_int_equal(take_over(c), 2);
    config_free(c);
}

/* Else the neighbour's cartridge stands in two libraries, and whoever writes to it here takes it from there. */
static void what_only_a_neighbour_knows_comes_into_no_slot(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct library *lib = new_library(one, THEIRS);
    await_inventory(lib);
    rebuild_on_shelf(two);
    struct library *other = open_library(two);
    create(other, OURS);
    close_library(other);
    create(lib, LATER); /* of which the other has not heard yet */
    await_inventory(lib);
    assert_int_equal(take_over(two), 1);
    other = open_library(two);
    assert_int_equal(place_in(other, OURS), SLOT);
    assert_int_equal(place_in(other, THEIRS), 0);
    assert_int_equal(place_in(other, LATER), 0);
    close_library(other);
    close_library(lib);
    config_free(one);
    config_free(two);
}

static unsigned heads_asked;

static int count_head(struct objstore *s, const char *key, uint64_t *size, const struct obj_call *c,
                      struct errtext *err)
{
    heads_asked++;
    return usual->head(s, key, size, c, err);
}

/* What else is in the bucket may be any number of things. */
static void libraries_below_are_looked_for_in_so_many_places_only(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "64M");
    struct objstore_config here;
    struct objstore *store = NULL;
    struct errtext err = {""};
    char path[200];
    config_store(c, &here);
    assert_int_equal(objstore_open(&here, &store, &err), 0);
    for (unsigned i = 0; i < 300; i++) {
        (void)snprintf(path, sizeof(path), "p%03u/x", i);
        const struct obj_source src = {.mem = "x", .fd = -1, .len = 1};
        assert_int_equal(store->ops->put(store, path, &src, NULL, &err), 0);
    }
    struct objstore_ops counting = *store->ops;
    counting.head = count_head;
    store->ops = &counting;
    heads_asked = 0;
    assert_int_equal(library_check_neighbours(&here, store, NULL, &err), 0);
    assert_in_range(heads_asked, 1, 200);
    store->ops->close(store);
    config_free(c);
}

/* ---- inventories that cannot be read ---- */

/* Two libraries with a cartridge each in a slot; the second has also heard of the first one's. The runs that put their
 * inventories. */
static void two_libraries(const struct vtl_config *one, const struct vtl_config *two, uint32_t writers[2])
{
    struct library *lib = new_library(one, THEIRS);
    writers[0] = lib->eng.writer;
    flush_remote(lib);
    await_inventory(lib);
    rebuild_on_shelf(two);
    struct library *other = open_library(two);
    writers[1] = other->eng.writer;
    create(other, OURS);
    flush_remote(other);
    await_inventory(other);
    close_library(other);
    close_library(lib);
}

static int rebuild_again(const struct vtl_config *c, bool deep, struct errtext *err)
{
    const struct rebuild_options o = {.force = true, .deep = deep, .cancel = &never};
    json_t *r = NULL;
    int rc = library_rebuild(c, &o, &r, err);
    json_decref(r);
    assert_int_equal(atomic_load(&unbidden), 0);
    atomic_store(&gap_is, false);
    return rc;
}

static void expect_places(const struct vtl_config *c, json_int_t ours, json_int_t theirs)
{
    struct library *lib = open_library(c);
    assert_int_equal(place_in(lib, OURS), ours);
    assert_int_equal(place_in(lib, THEIRS), theirs);
    close_library(lib);
}

/* The neighbour's inventory, which can be read, would put its cartridges into this library's slots. */
static void without_its_own_inventory_a_rebuild_changes_nothing(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct errtext err = {""};
    char command[300];
    uint32_t writers[2];
    two_libraries(one, two, writers);
    begin_gap(writers[1]);
    assert_int_equal(rebuild_again(two, false, &err), -EIO);
    assert_non_null(strstr(err.text, "no host has it"));
    (void)snprintf(command, sizeof(command), "test -e %s/two/state.db && ! ls %s/two | grep before", dir, dir);
    assert_int_equal(system(command), 0); /* NOLINT: of a test */
    begin_gap(writers[1]);
    if (rebuild_again(two, true, &err)) /* which is to go on without */
        fail_msg("%s", err.text);
    expect_places(two, 0, 0);
    config_free(one);
    config_free(two);
}

static void a_rebuild_goes_on_without_a_neighbour_s_inventory(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct errtext err = {""};
    uint32_t writers[2];
    two_libraries(one, two, writers);
    struct library *lib = open_library(one); /* of which the second has not heard */
    writers[0] = lib->eng.writer;
    create(lib, LATER);
    flush_remote(lib);
    await_inventory(lib);
    close_library(lib);
    begin_gap(writers[0]);
    if (rebuild_again(two, false, &err))
        fail_msg("%s", err.text);
    expect_places(two, SLOT, 0);
    lib = open_library(two);
    assert_int_equal(place_in(lib, LATER), 0);
    close_library(lib);
    config_free(one);
    config_free(two);
}

static void a_damaged_inventory_gives_its_library_no_places_of_a_neighbour(void **state)
{
    (void)state;
    struct vtl_config *one = config("one", "local", "64M"), *two = config("two", "local", "64M");
    struct errtext err = {""};
    char command[300];
    uint32_t writers[2];
    two_libraries(one, two, writers);
    (void)snprintf(command, sizeof(command), "for f in %s/store/gateways/%08x/inventory/*; do echo damaged >$f; done",
                   dir, writers[1]);
    assert_int_equal(system(command), 0); /* NOLINT: of a test */
    atomic_store(&gap_is, false);
    if (rebuild_again(two, false, &err))
        fail_msg("%s", err.text);
    expect_places(two, 0, 0);
    config_free(one);
    config_free(two);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_a_neighbour_writes_behind_a_head_that_is_known_is_not_to_be_had),
        T(what_a_neighbour_writes_is_neither_removed_nor_changed),
        T(what_a_neighbour_wrote_is_not_to_be_had_while_the_store_does_not_answer),
        T(an_import_claims_what_a_neighbour_gave_up),
        T(what_no_cartridge_is_of_can_be_exported),
        T(what_was_given_up_is_not_taken_back_by_verify_and_gc),
        T(what_comes_back_to_who_gave_it_up_is_claimed_too),
        T(so_is_what_was_given_up_unheard),
        T(what_may_be_given_up_yet_is_claimed_by_who_imports_it),
        T(and_by_who_claims_it),
        T(what_an_import_claimed_that_failed_is_given_up_again),
        T(what_is_changed_on_the_shelf_is_given_up_with_the_change),
        T(so_is_what_is_changed_without_a_running_library),
        T(what_was_exported_is_given_up_after_a_restart),
        T(what_was_exported_while_the_store_did_not_answer_is_given_up_later),
        T(what_is_committed_while_it_is_looked_at_is_given_up_all_the_same),
        T(what_was_exported_before_there_was_a_neighbour_can_be_exported_again),
        T(what_was_exported_before_there_was_a_neighbour_is_given_up_to_it),
        T(what_a_rebuild_put_on_the_shelf_is_not_given_up_for_another),
        T(a_takeover_leaves_alone_what_a_neighbour_put_on_the_shelf_and_still_stores),
        T(of_a_shared_shelf_a_takeover_claims_what_its_own_library_has_not_given_up),
        T(without_a_neighbour_a_takeover_claims_the_shelf_too),
        T(what_only_a_neighbour_knows_comes_into_no_slot),
        T(libraries_below_are_looked_for_in_so_many_places_only),
        T(without_its_own_inventory_a_rebuild_changes_nothing),
        T(a_rebuild_goes_on_without_a_neighbour_s_inventory),
        T(a_damaged_inventory_gives_its_library_no_places_of_a_neighbour),
    };
    return cmocka_run_group_tests_name("neighbours", tests, NULL, NULL);
}
