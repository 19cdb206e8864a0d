/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lending_rig.h: two tapes, of which the second leans on the first, for tests on library_rig.h. */
#ifndef S3VTL_TEST_LENDING_RIG_H
#define S3VTL_TEST_LENDING_RIG_H

#include "tests/unit/failure_help.h"

#include <errno.h>

#include "base/clock.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/library_private.h"
#include "vtl/state/db_private.h"

#define OLD "OLD001L8"
#define NEW "NEW001L8"
#define BLOCKS 30

static inline struct cartridge *tape(struct library *lib, const char *barcode)
{
    struct cartridge *c = library_cartridge(lib, barcode);
    struct errtext err = {""};
    assert_non_null(c);
    if (cartridge_load(c, &err))
        fail_msg("%s", err.text);
    return c;
}

static inline void write_blocks(struct library *lib, uint16_t slot, uint64_t id, unsigned n)
{
    move(lib, slot, DRIVE);
    for (uint64_t i = 0; i < n; i++)
        assert_int_equal(write_id(library_drive(lib, 0), id + i), TAPE_OK);
    move(lib, DRIVE, slot);
    flush_remote(lib);
}

static inline struct library *two_tapes(struct vtl_config *c)
{
    struct library *lib = new_library(c, OLD);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", NEW, "capacity", 0)));
    write_blocks(lib, SLOT, 1, BLOCKS);
    return lib;
}

static inline int lend_to(struct library *lib, const char *source, const char *leaner)
{
    struct errtext err = {""};
    struct cartridge *a = library_cartridge(lib, source), *b = library_cartridge(lib, leaner);
    int rc = -EAGAIN;
    for (int i = 0; rc == -EAGAIN && i < 200; i++) {
        uint64_t seen = progress_now(&lib->eng.progress);
        rc = cartridge_lend(a, b, &err);
        if (rc == -EAGAIN)
            progress_wait(&lib->eng.progress, seen, 100);
    }
    return rc;
}

static inline int lend(struct library *lib)
{
    return lend_to(lib, OLD, NEW);
}

static inline struct seg_source source_of(struct library *lib, const char *barcode, size_t number)
{
    struct cartridge *a = tape(lib, barcode);
    struct seg_ref ref;
    bool there = cartridge_segment(a, number, &ref);
    for (int i = 0; !there && i < 1000; i++) { /* a worker may have unloaded it since */
        a = tape(lib, barcode);
        there = cartridge_segment(a, number, &ref);
    }
    assert_true(there);
    struct seg_source s = {.id = ref.id, .size = ref.size, .crc = ref.crc};
    (void)snprintf(s.barcode, sizeof(s.barcode), "%s", barcode);
    memcpy(s.cartridge, cartridge_id(a), sizeof(s.cartridge));
    return s;
}

/* A segment of the first tape, as a source. */
static inline struct seg_source source(struct library *lib, size_t number)
{
    return source_of(lib, OLD, number);
}

/* The open segment of a tape that is in the drive; it is there as soon as the drive's queue has begun it. */
static inline int lean_of(struct library *lib, const char *barcode, const struct seg_source *s)
{
    struct cartridge *b = tape(lib, barcode);
    int rc = -EINVAL;
    for (uint64_t until = clock_ms() + 20000; rc == -EINVAL && clock_ms() < until;) {
        uint64_t seen = progress_now(&lib->eng.progress);
        lock_take(&b->lock);
        rc = cartridge_lean(b, s);
        lock_release(&b->lock);
        if (rc == -EINVAL)
            progress_wait(&lib->eng.progress, seen, 20);
    }
    return rc;
}

static inline int lean(struct library *lib, const struct seg_source *s)
{
    return lean_of(lib, NEW, s);
}

/* The second tape's first segment leans on one of the first. */
static inline struct seg_source make_lean(struct library *lib, size_t number)
{
    struct seg_source s = source(lib, number);
    move(lib, SLOT + 1, DRIVE);
    assert_int_equal(write_id(library_drive(lib, 0), 500), TAPE_OK);
    assert_int_equal(lend(lib), 0);
    assert_int_equal(lean(lib, &s), 0);
    assert_int_equal(write_id(library_drive(lib, 0), 501), TAPE_OK);
    return s;
}

static inline void unload(struct library *lib)
{
    move(lib, DRIVE, SLOT + 1);
    flush_remote(lib);
}

static inline void read_head(struct library *lib, const char *barcode, struct head *h)
{
    struct errtext err = {""};
    if (commit_read_head(lib->eng.store, barcode, NULL, h, NULL, &err))
        fail_msg("%s", err.text);
}

static inline bool is_there(const struct seg_source *s)
{
    char path[300], key[DB_KEY_SIZE];
    object_key(key, s->barcode, "seg", &s->id);
    (void)snprintf(path, sizeof(path), "%s/store/%s", dir, key);
    return !access(path, F_OK);
}

static inline unsigned segments_of(const char *barcode)
{
    char command[300];
    unsigned n = 0;
    (void)snprintf(command, sizeof(command), "ls %s/store/tapes/%s/seg 2>/dev/null | wc -l", dir, barcode);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%u", &n), 1);
    pclose(f);
    return n;
}

/* What leans is gone when this returns, and not only on its way. */
static inline void overwrite_leaner(struct library *lib)
{
    write_blocks(lib, SLOT + 1, 2000, 2);
    (void)gc_of(lib, NEW);
}

static inline void remove_tape(struct library *lib, const char *barcode)
{
    json_decref(call(lib, json_pack("{s:s, s:s, s:b}", "op", "tape-remove", "barcode", barcode, "force", 1)));
}

static inline void await_end_of(struct library *lib, bool (*is)(struct cartridge *c), struct cartridge *c)
{
    for (uint64_t until = clock_ms() + 20000; is(c) && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
    assert_false(is(c));
}

#endif
