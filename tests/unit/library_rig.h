/* SPDX-License-Identifier: GPL-2.0-or-later */
/* library_rig.h: a library on the directory store for tests: making, moving, and a model of what is on its tapes. */
#ifndef S3VTL_TEST_LIBRARY_RIG_H
#define S3VTL_TEST_LIBRARY_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <ftw.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "vtl/drive/drive.h"
#include "vtl/library/library_private.h"

#define SLOT ELEMENT_FIRST_STORAGE
#define DRIVE ELEMENT_FIRST_DRIVE

static const atomic_bool never = false;
static char dir[64];

/* ---- a library in a directory of its own ---- */

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

static inline void remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

static inline int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/s3vtl-library-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static inline int teardown(void **state)
{
    (void)state;
    remove_tree(dir);
    return 0;
}

/* more: lines for the end of [spool] */
static inline struct vtl_config *config_more(const char *state, const char *durability, const char *cache,
                                             const char *more)
{
    char path[100];
    struct errtext err;
    struct vtl_config *c = NULL;
    (void)snprintf(path, sizeof(path), "%s/%s.conf", dir, state);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f,
            "[library]\nname = %s\nstate_dir = %s/%s\nslots = 8\ndrives = 2\n[store]\npath = %s/store\n"
            "[spool]\nsegment_size = 1M\nmax_dirty = 64M\ncache_size = %s\nidle_seal = 1h\ndurability = %s\n%s",
            state, dir, state, dir, cache, durability, more);
    fclose(f);
    if (config_load(path, &c, &err))
        fail_msg("%s", err.text);
    return c;
}

static inline struct vtl_config *config(const char *state, const char *durability, const char *cache)
{
    return config_more(state, durability, cache, "");
}

static inline struct library *open_library(const struct vtl_config *c)
{
    struct library *lib = NULL;
    struct errtext err = {""};
    if (library_open(c, LIBRARY_SERVE, &lib, &err))
        fail_msg("%s", err.text);
    return lib;
}

static inline void close_library(struct library *lib)
{
    struct errtext err = {""};
    if (library_close(lib, &err))
        fail_msg("%s", err.text);
}

/* From now on the store does what ops says, which is copied. *was: what it did up to now. Threads may be using it: each of
 * them finds one table or the other, whole. Of all races ThreadSanitizer is to pass over this one: so it does not see these
 * stores, which is why they are not by memcpy, whose it does. */
__attribute__((noinline, unused, no_sanitize_thread)) static void
exchange_ops(struct library *lib, const struct objstore_ops *ops, const struct objstore_ops **was)
{
    static struct objstore_ops tables[16];
    static size_t n;
    assert_true(n < sizeof(tables) / sizeof(tables[0]));
    *was = lib->eng.store->ops;
    const uint8_t *from = (const uint8_t *)ops;
    volatile uint8_t *to = (volatile uint8_t *)&tables[n];
    for (size_t i = 0; i < sizeof(*ops); i++)
        to[i] = from[i];
    __atomic_store_n(&lib->eng.store->ops, &tables[n++], __ATOMIC_SEQ_CST);
}

static inline json_t *call(struct library *lib, json_t *request)
{
    struct errtext err = {""};
    json_t *r = library_call(lib, request, &err);
    json_decref(request);
    if (!r)
        fail_msg("%s", err.text);
    return r;
}

static inline void init_library(const struct vtl_config *c)
{
    json_t *r = NULL;
    struct errtext err = {""};
    if (library_init(c, &r, &err))
        fail_msg("%s", err.text);
    json_decref(r);
}

static inline void rebuild_library(const struct vtl_config *c)
{
    json_t *r = NULL;
    struct errtext err = {""};
    if (library_rebuild(c, NULL, &r, &err))
        fail_msg("%s", err.text);
    assert_int_equal(json_array_size(json_object_get(r, "failed")), 0);
    json_decref(r);
}

static inline struct library *new_library(const struct vtl_config *c, const char *barcode)
{
    init_library(c);
    struct library *lib = open_library(c);
    json_decref(call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", barcode, "capacity", 0)));
    return lib;
}

static inline void flush_remote(struct library *lib)
{
    bool remote = false;
    for (int i = 0; i < 12 && !remote; i++) { /* each waits 10 s at most */
        json_t *r = call(lib, json_pack("{s:s, s:b, s:i}", "op", "flush", "remote", 1, "timeout_ms", 10000));
        remote = json_is_true(json_object_get(r, "remote"));
        json_decref(r);
    }
    assert_true(remote);
}

static inline void await_inventory(struct library *lib)
{
    for (uint64_t until = clock_ms() + 20000; !inventory_is_stored(lib) && clock_ms() < until;)
        progress_wait(&lib->eng.progress, progress_now(&lib->eng.progress), 100);
    assert_true(inventory_is_stored(lib));
}

/* The heads of it that the store has. */
static inline size_t heads_of(const char *barcode)
{
    char path[200];
    size_t n = 0;
    (void)snprintf(path, sizeof(path), "%s/store/tapes/%s/head", dir, barcode);
    DIR *d = opendir(path);
    for (const struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

/* How many objects of the tape went. What is stored may still be on its way into the head: then once more. */
static inline uint64_t gc_of(struct library *lib, const char *barcode)
{
    json_t *request = json_pack("{s:s, s:s}", "op", "tape-gc", "barcode", barcode), *r = NULL;
    struct errtext err = {""};
    for (uint64_t until = clock_ms() + 20000; !r && clock_ms() < until;) { /* a count would pass in no time */
        uint64_t seen = progress_now(&lib->eng.progress);
        r = library_call(lib, request, &err);
        if (!r && !strstr(err.text, "not looked at now"))
            break;
        if (!r)
            progress_wait(&lib->eng.progress, seen, 100);
    }
    json_decref(request);
    if (!r)
        fail_msg("%s", err.text);
    uint64_t n = (uint64_t)json_integer_value(json_object_get(r, "objects"));
    json_decref(r);
    return n;
}

static inline void move(struct library *lib, uint16_t from, uint16_t to)
{
    assert_int_equal(library_changer_ops()->move(lib, 0, from, to, &never), CHANGER_OK);
}

/* ---- blocks that tell who they are ---- */

static uint8_t block[1 << 20], back[1 << 20];

static uint32_t length_of(uint64_t id)
{
    return (uint32_t)(id * 2654435761u % 300000) + 1;
}

static inline void fill(uint64_t id)
{
    uint64_t x = id * 0x9E3779B97F4A7C15u + 1;
    for (uint32_t i = 0; i < 300008; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(block + i, &x, 8);
    }
}

static inline enum tape_result write_id(void *d, uint64_t id)
{
    fill(id);
    return library_drive_ops()->write(d, block, length_of(id), true, NULL, &never);
}

static inline void expect_id(void *d, uint64_t id)
{
    uint32_t len = sizeof(back);
    assert_int_equal(library_drive_ops()->read(d, back, &len, NULL, &never), TAPE_OK);
    assert_int_equal(len, length_of(id));
    fill(id);
    assert_memory_equal(back, block, len);
}

static inline void expect_result(void *d, enum tape_result want)
{
    uint32_t len = sizeof(back);
    assert_int_equal(library_drive_ops()->read(d, back, &len, NULL, &never), want);
}

static inline struct tape_status status(void *d)
{
    struct tape_status st;
    library_drive_ops()->status(d, &st);
    return st;
}

/* ---- a model: ids of blocks, 0 for a filemark ---- */

struct model {
    uint64_t object[4000];
    size_t n;
};

static inline void check_all(void *d, const struct model *m)
{
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    for (size_t i = 0; i < m->n; i++) {
        if (m->object[i])
            expect_id(d, m->object[i]);
        else
            expect_result(d, TAPE_FILEMARK);
    }
    expect_result(d, TAPE_EOD);
}

static inline void write_model(void *d, struct model *m, size_t at, size_t n, uint64_t id)
{
    assert_int_equal(library_drive_ops()->locate_object(d, 0, at, &never), TAPE_OK);
    m->n = at;
    for (size_t i = 0; i < n; i++) {
        bool mark = (at + i) % 7 == 6;
        m->object[m->n++] = mark ? 0 : id + i;
        if (mark)
            assert_int_equal(library_drive_ops()->write_filemarks(d, 1, true, &never), TAPE_OK);
        else
            assert_int_equal(write_id(d, id + i), TAPE_OK);
    }
}

/* ---- tests ---- */

#endif
