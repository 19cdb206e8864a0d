/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_reader_lies.c: a record that names as what it copies from what it never was, or what is gone: it does no harm to what
 * it names, and the error names it. */
#include "tests/unit/held_store.h"
#include "tests/unit/lending_rig.h"

#include "base/crc32c.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/drive/drive_private.h"
#include "vtl/drive/reader_private.h"
#include "vtl/format/segment_private.h"

#define LEN 65536u

/* The segment of the tape in the second drive that is open, or waits to be stored. */
static struct seg_source only_here(struct drive *d)
{
    struct cartridge *c = d->c;
    struct seg_source s = {.crc = 77};
    lock_take(&c->lock);
    bool open = c->open.state != OPEN_CLOSED;
    assert_true(open || c->n_pending == 1);
    s.id = open ? c->open.id : c->pending[0].id;
    s.size = open ? c->open.size : c->pending[0].size;
    lock_release(&c->lock);
    memcpy(s.cartridge, cartridge_id(c), sizeof(s.cartridge));
    (void)snprintf(s.barcode, sizeof(s.barcode), "%s", cartridge_barcode(c));
    return s;
}

/* Reads a block of the tape in the drive that says it is a copy out of s. */
static int read_copy(struct drive *d, const struct seg_source *s, bool onward)
{
    const struct seg_piece piece = {0, LEN, 0, 0};
    const struct seg_make make = {.sources = s, .pieces = &piece, .n_sources = 1, .n_pieces = 1};
    const struct seg_block b = {.data = block, .len = LEN, .crc_plain = crc32c(0, block, LEN), .make = &make};
    struct seg_packer *p = seg_packer_new();
    struct seg_packed packed;
    struct seg_record r;
    uint8_t rec[4096] = {0};
    uint32_t len = LEN;
    struct errtext err = {""};
    assert_non_null(p);
    assert_int_equal(seg_pack(p, cartridge_id(d->c), &b, NULL, &packed), 0);
    uint32_t size = seg_packed_size(&packed);
    assert_true(size <= sizeof(rec));
    seg_record_encode(&packed.r, rec);
    memcpy(rec + SEG_RECORD_SIZE, packed.payload, packed.r.stored_len);
    seg_packer_free(p);
    assert_int_equal(seg_record_decode(rec, size, &r, NULL), 0);
    const struct read_job job = {
        .buf = back, .room = sizeof(back), .len = &len, .onward = onward, .cancel = &never, .err = &err};
    lock_take(&d->op_lock);
    int rc = d->reader.open_pieces(&d->reader, &job, &r, rec);
    lock_release(&d->op_lock);
    return rc;
}

static void a_record_that_names_what_is_only_here_takes_none_of_it(void **state)
{
    (void)state;
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_tape(c, "LIE001L8");
    struct drive *liar = library_drive(lib, 0), *d = library_drive(lib, 1);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", "TWO001L8", "capacity", 0)));
    move(lib, SLOT + 1, DRIVE + 1);
    hold_segments(lib);
    for (uint64_t id = 1; id <= 2; id++)
        assert_int_equal(write_id(d, id), TAPE_OK);
    assert_true(sync_is_good(d));
    for (int sealed = 0; sealed < 2; sealed++) {
        if (sealed)
            assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
        struct seg_source s = only_here(d);
        for (int onward = 0; onward < 2; onward++) {
            assert_int_not_equal(read_copy(liar, &s, onward), 0);
            char name[SEG_NAME_SIZE], path[300];
            seg_id_format(&s.id, name);
            (void)snprintf(path, sizeof(path), "%s/one/spool/%s/%s", dir, s.barcode, name);
            assert_int_equal(access(path, F_OK), 0);
        }
    }
    let_segments_go();
    flush_remote(lib);
    expect_id(d, 1);
    expect_id(d, 2);
    expect_result(d, TAPE_EOD);
    close_library(lib);
    config_free(c);
}

/* A block at the end of the open segment of the tape in the drive, all of it a copy of the first one of ref. */
static uint64_t append_copy(struct drive *d, const struct seg_source *s, const struct seg_ref *ref)
{
    uint64_t id = ref->first_object + 1, object = status(d).object;
    const struct seg_piece piece = {0, length_of(id), ref->first_object, 0};
    const struct seg_make make = {.sources = s, .pieces = &piece, .n_sources = 1, .n_pieces = 1};
    struct seg_block b = {.object = object, .data = block, .len = length_of(id), .make = &make};
    struct seg_packer *p = seg_packer_new();
    struct seg_packed packed;
    assert_non_null(p);
    fill(id);
    b.crc_plain = crc32c(0, block, b.len);
    assert_int_equal(seg_pack(p, cartridge_id(d->c), &b, NULL, &packed), 0);
    assert_int_equal(cartridge_write(d->c, &packed), 0);
    seg_packer_free(p);
    return object;
}

static void an_open_segment_that_copies_from_what_is_gone_says_what_that_is(void **state)
{
    (void)state;
    struct vtl_config *c = config_more("one", "remote", "16M", "[dedup]\ntapes = *\n");
    struct library *lib = two_tapes(c);
    struct seg_source s = make_lean(lib, 1);
    struct drive *d = library_drive(lib, 0);
    struct seg_ref ref;
    uint32_t len = 0;
    char key[DB_KEY_SIZE], path[300];
    struct errtext err = {""};
    assert_true(cartridge_segment(tape(lib, OLD), 1, &ref));
    lock_take(&d->op_lock);
    drive_drain(d);
    uint64_t object = append_copy(d, &s, &ref);
    assert_int_equal(reader_read(&d->reader, object, back, sizeof(back), &len, &never, &err), 0);
    assert_int_equal(len, length_of(ref.first_object + 1));
    assert_memory_equal(back, block, len);
    reader_sources_close(&d->reader);
    spool_drop_cached(lib->eng.spool, s.barcode, &s.id);
    object_key(key, s.barcode, "seg", &s.id);
    (void)snprintf(path, sizeof(path), "%s/store/%s", dir, key);
    assert_int_equal(remove(path), 0);
    int rc = reader_read(&d->reader, object, back, sizeof(back), &len, &never, &err);
    lock_release(&d->op_lock);
    assert_int_equal(rc, -EIO);
    if (!strstr(err.text, "is a copy out of cartridge " OLD) || !strstr(err.text, "no such object"))
        fail_msg("%s", err.text);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_record_that_names_what_is_only_here_takes_none_of_it),
        T(an_open_segment_that_copies_from_what_is_gone_says_what_that_is),
    };
    return cmocka_run_group_tests_name("reader_lies", tests, NULL, NULL);
}
