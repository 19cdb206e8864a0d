/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_chunk_index.c: chunks are found where they were put, as long as that is there, within a bound, and whatever becomes
 * of the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vtl/state/chunk_index_private.h"

enum { PER_SEGMENT = 27, LENGTH = 50000 };
#define MEMORY (4u << 20)

struct rig {
    char dir[64], path[80];
    struct chunk_index *x;
};

static struct chunk_index *open_index(const char *path, uint64_t memory)
{
    struct chunk_index *x = NULL;
    struct errtext err = {""};
    assert_int_equal(chunk_index_open(path, memory, &x, &err), 0);
    return x;
}

static int begin(void **state)
{
    struct rig *r = calloc(1, sizeof(*r));
    (void)snprintf(r->dir, sizeof(r->dir), "/tmp/s3vtl-chunks-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    (void)snprintf(r->path, sizeof(r->path), "%s/dedup.db", r->dir);
    r->x = open_index(r->path, MEMORY);
    *state = r;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int end(void **state)
{
    struct rig *r = *state;
    chunk_index_close(r->x);
    nftw(r->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(r);
    return 0;
}

static void reopen(struct rig *r)
{
    chunk_index_close(r->x);
    r->x = open_index(r->path, MEMORY);
}

/* ---- segments with chunks by number ---- */

static void id_of(uint64_t chunk, uint8_t id[SEG_CHUNK_ID])
{
    for (size_t i = 0; i < SEG_CHUNK_ID; i++) {
        chunk = (chunk ^ chunk >> 29) * UINT64_C(0xBF58476D1CE4E5B9) + 0x9E37;
        id[i] = (uint8_t)(chunk >> 56);
    }
}

static struct seg_source source(uint8_t cartridge, uint64_t number)
{
    struct seg_source s = {
        .barcode = "CHUNK1L8", .id = {4, 77, number}, .size = 1000 + number, .crc = (uint32_t)number + 1};
    memset(s.cartridge, cartridge, sizeof(s.cartridge));
    return s;
}

static void put_one(struct chunk_index *x, const struct seg_source *s, uint64_t first, uint64_t n)
{
    struct chunk_list *l = chunk_list_new(100);
    size_t len;
    for (uint64_t i = 0; i < n; i++) {
        struct seg_chunk_part p = {.chunk_length = LENGTH, .length = LENGTH, .offset = (uint32_t)i};
        id_of(first + i, p.id);
        assert_int_equal(chunk_list_add(l, 100 + i, &p, 1), 0);
    }
    const void *list = chunk_list_bytes(l, &len);
    assert_int_equal(chunk_index_put(x, s, 100, list, len), 0);
    chunk_list_free(l);
}

/* Segment n has chunks from n * PER_SEGMENT on. */
static void put(struct chunk_index *x, uint8_t cartridge, uint64_t n)
{
    struct seg_source s = source(cartridge, n);
    put_one(x, &s, n * PER_SEGMENT, PER_SEGMENT);
}

/* How many places; each is checked. */
static unsigned places(struct chunk_index *x, uint64_t chunk, bool in_memory)
{
    struct chunk_places p = {0};
    uint8_t id[SEG_CHUNK_ID];
    id_of(chunk, id);
    chunk_index_find(x, id, LENGTH, in_memory, &p);
    for (unsigned i = 0; i < p.n; i++) {
        const struct chunk_place *at = &p.place[i];
        const struct chunk_run *run = &p.runs[at->run];
        struct seg_source s = source(at->source.cartridge[0], chunk / PER_SEGMENT);
        assert_memory_equal(at->source.cartridge, s.cartridge, sizeof(s.cartridge));
        assert_string_equal(at->source.barcode, s.barcode);
        assert_int_equal(seg_id_compare(&at->source.id, &s.id), 0);
        assert_int_equal(at->source.size, s.size);
        assert_int_equal(at->source.crc, s.crc);
        assert_int_equal(at->length, LENGTH);
        assert_int_equal(at->n_runs, 1);
        assert_int_equal(run->object, 100 + chunk % PER_SEGMENT);
        assert_int_equal(run->offset, chunk % PER_SEGMENT);
    }
    unsigned n = p.n;
    chunk_places_free(&p);
    return n;
}

static unsigned found(struct chunk_index *x, uint64_t first, uint64_t n)
{
    unsigned sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum += places(x, first + i, false) > 0;
    return sum;
}

/* ---- tests ---- */

static void what_was_put_is_found_also_after_a_restart(void **state)
{
    struct rig *r = *state;
    for (uint64_t n = 0; n < 20; n++)
        put(r->x, 1, n);
    for (unsigned i = 0; i < 2; i++, reopen(r)) {
        assert_int_equal(found(r->x, 0, 20 * PER_SEGMENT), 20 * PER_SEGMENT);
        assert_int_equal(found(r->x, 20 * PER_SEGMENT, 1000), 0);
    }
    struct chunk_index_figures f;
    chunk_index_figures(r->x, &f);
    assert_int_equal(f.segments, 20);
    assert_int_equal(f.hooks, 20 * PER_SEGMENT);
    assert_true(f.disk > 0);
}

static void a_chunk_of_another_length_is_another_chunk(void **state)
{
    struct rig *r = *state;
    struct chunk_places p = {0};
    uint8_t id[SEG_CHUNK_ID];
    put(r->x, 1, 0);
    id_of(5, id);
    chunk_index_find(r->x, id, LENGTH + 1, false, &p);
    assert_int_equal(p.n, 0);
    /* And so is one whose hook is the same. */
    id[SEG_CHUNK_ID - 1] ^= 1;
    chunk_index_find(r->x, id, LENGTH, false, &p);
    assert_int_equal(p.n, 0);
    chunk_places_free(&p);
}

static void one_lookup_brings_its_neighbours(void **state)
{
    struct rig *r = *state;
    for (uint64_t n = 0; n < 3; n++)
        put(r->x, 1, n);
    assert_int_equal(places(r->x, 5, true), 0);
    assert_int_equal(places(r->x, 5, false), 1);
    for (uint64_t i = 0; i < 2 * PER_SEGMENT; i++)
        assert_int_equal(places(r->x, i, true), 1); /* and the next segment's */
    assert_int_equal(places(r->x, 2 * PER_SEGMENT, true), 0);
    assert_int_equal(places(r->x, PER_SEGMENT, false), 1); /* goes on there */
    assert_int_equal(places(r->x, 2 * PER_SEGMENT, true), 1);
}

static void a_chunk_on_several_tapes_is_found_on_all(void **state)
{
    struct rig *r = *state;
    for (uint8_t c = 1; c <= 3; c++)
        put(r->x, c, 0);
    assert_int_equal(places(r->x, 7, false), 3);
    const struct seg_source s = source(2, 0);
    assert_int_equal(chunk_index_drop(r->x, s.cartridge, &s.id), 0);
    assert_int_equal(places(r->x, 7, false), 2);
}

/* What nobody may copy from hides nothing: the same chunks of another tape are found. */
static void what_is_avoided_is_looked_for_elsewhere(void **state)
{
    struct rig *r = *state;
    put(r->x, 1, 3);
    assert_int_equal(places(r->x, 3 * PER_SEGMENT, false), 1);
    put(r->x, 2, 3); /* which is on disk only */
    struct seg_source s = source(1, 3);
    chunk_index_avoid(r->x, &s, 60000);
    assert_int_equal(places(r->x, 3 * PER_SEGMENT, false), 1);
    struct chunk_places p = {0};
    uint8_t id[SEG_CHUNK_ID];
    id_of(3 * PER_SEGMENT + 1, id);
    chunk_index_find(r->x, id, LENGTH, false, &p);
    assert_int_equal(p.n, 1);
    assert_int_equal(p.place[0].source.cartridge[0], 2);
    chunk_places_free(&p);
    chunk_index_avoid(r->x, &s, 0);
    assert_int_equal(places(r->x, 3 * PER_SEGMENT + 1, false), 2);
}

static void what_is_dropped_is_not_found(void **state)
{
    struct rig *r = *state;
    struct chunk_index_figures f;
    for (uint64_t n = 0; n < 1100; n++) /* more than go at a time */
        put(r->x, 1, n);
    put(r->x, 2, 2000);
    const struct seg_source s = source(1, 3);
    assert_int_equal(places(r->x, 3 * PER_SEGMENT, false), 1);
    assert_int_equal(chunk_index_drop(r->x, s.cartridge, &s.id), 0);
    assert_int_equal(chunk_index_drop(r->x, s.cartridge, &s.id), 0); /* no more there */
    assert_int_equal(found(r->x, 3 * PER_SEGMENT, PER_SEGMENT), 0);
    assert_int_equal(found(r->x, 4 * PER_SEGMENT, PER_SEGMENT), PER_SEGMENT);
    assert_int_equal(chunk_index_drop_cartridge(r->x, s.cartridge), 0);
    assert_int_equal(found(r->x, 0, 100 * PER_SEGMENT), 0);
    assert_int_equal(found(r->x, 2000 * PER_SEGMENT, PER_SEGMENT), PER_SEGMENT);
    chunk_index_figures(r->x, &f);
    assert_int_equal(f.segments, 1);
    assert_int_equal(f.hooks, PER_SEGMENT);
}

static void a_segment_that_is_put_again_is_replaced(void **state)
{
    struct rig *r = *state;
    struct chunk_index_figures f;
    struct seg_source s = source(1, 0);
    put_one(r->x, &s, 5 * PER_SEGMENT, 10);
    assert_int_equal(places(r->x, 5 * PER_SEGMENT + 20, false), 0);
    put(r->x, 1, 0);
    assert_int_equal(found(r->x, 0, PER_SEGMENT), PER_SEGMENT);
    chunk_index_figures(r->x, &f);
    assert_int_equal(f.segments, 1);
    assert_int_equal(f.hooks, PER_SEGMENT);
    assert_int_equal(chunk_index_put(r->x, &s, 100, NULL, 0), 0);
    assert_int_equal(found(r->x, 0, PER_SEGMENT), 0);
}

static void a_segment_without_chunks_is_known(void **state)
{
    struct rig *r = *state;
    const struct seg_source s = source(1, 5), other = source(2, 5);
    assert_false(chunk_index_has(r->x, s.cartridge, &s.id));
    assert_int_equal(chunk_index_put(r->x, &s, 100, NULL, 0), 0);
    put(r->x, 1, 6);
    assert_true(chunk_index_has(r->x, s.cartridge, &s.id));
    assert_true(chunk_index_has(r->x, s.cartridge, &(struct seg_id){4, 77, 6}));
    assert_false(chunk_index_has(r->x, s.cartridge, &(struct seg_id){4, 77, 7}));
    assert_false(chunk_index_has(r->x, other.cartridge, &s.id));
    reopen(r);
    assert_true(chunk_index_has(r->x, s.cartridge, &s.id));
    assert_int_equal(chunk_index_drop(r->x, s.cartridge, &s.id), 0);
    assert_false(chunk_index_has(r->x, s.cartridge, &s.id));
}

/* Fewer chunks have hooks, and those of a tape that is read on are all found once one of it is. */
static void hooks_are_few_and_enough(void **state)
{
    struct rig *r = *state;
    struct chunk_index_figures f;
    enum { N = 400 };
    chunk_index_set_most(r->x, 500);
    for (uint64_t n = 0; n < N; n++)
        put(r->x, 1, n);
    chunk_index_figures(r->x, &f);
    assert_in_range(f.level, 4, 6);
    assert_in_range(f.hooks, CHUNK_HOOKS * N, CHUNK_HOOKS * N + 500);
    reopen(r);
    assert_true(found(r->x, 0, N * PER_SEGMENT) > N * PER_SEGMENT * 95 / 100);
    /* The hooks of each go with it. */
    const struct seg_source s = source(1, 0);
    assert_int_equal(chunk_index_drop_cartridge(r->x, s.cartridge), 0);
    chunk_index_figures(r->x, &f);
    assert_int_equal(f.hooks, 0);
    assert_int_equal(f.segments, 0);
}

static void memory_is_bounded(void **state)
{
    struct rig *r = *state;
    struct chunk_index_figures f;
    chunk_index_close(r->x);
    r->x = open_index(r->path, 1 << 20);
    for (uint64_t n = 0; n < 1000; n++)
        put(r->x, 1, n);
    for (uint64_t n = 0; n < 1000; n++) {
        assert_int_equal(places(r->x, n * PER_SEGMENT, false), 1);
        chunk_index_figures(r->x, &f);
        assert_in_range(f.memory, 1, 1 << 20);
    }
    assert_true(f.loaded >= 900);
    assert_int_equal(places(r->x, 999 * PER_SEGMENT + 1, true), 1); /* the newest are there */
    assert_int_equal(places(r->x, 1, true), 0);                     /* the oldest are not */
}

/* Else each of them is looked at whenever one of them is looked for, or goes. */
static void one_chunk_in_a_row_is_kept_a_few_times(void **state)
{
    enum { TIMES = 2000 };
    struct rig *r = *state;
    struct chunk_index_figures before, after;
    struct seg_source s = source(1, 1);
    struct chunk_places p = {0};
    struct chunk_list *l = chunk_list_new(100);
    struct seg_chunk_part part = {.chunk_length = LENGTH, .length = LENGTH};
    size_t len;
    id_of(5, part.id);
    for (uint64_t i = 0; i < TIMES; i++) {
        part.offset = (uint32_t)i;
        assert_int_equal(chunk_list_add(l, 100 + i, &part, 1), 0);
    }
    chunk_index_figures(r->x, &before);
    const void *list = chunk_list_bytes(l, &len);
    assert_int_equal(chunk_index_put(r->x, &s, 100, list, len), 0);
    chunk_index_find(r->x, part.id, LENGTH, false, &p);
    assert_in_range(p.n, 1, CHUNK_MAX_PLACES);
    chunk_index_figures(r->x, &after);
    assert_in_range(after.memory, before.memory + len, before.memory + len + TIMES);
    chunk_places_free(&p);
    chunk_list_free(l);
    assert_int_equal(chunk_index_drop(r->x, s.cartridge, &s.id), 0);
    chunk_index_figures(r->x, &after);
    assert_int_equal(after.memory, before.memory);
}

static void what_is_no_list_is_refused(void **state)
{
    struct rig *r = *state;
    const struct seg_source s = source(1, 0);
    uint8_t noise[100] = {1};
    assert_int_equal(chunk_index_put(r->x, &s, 0, noise, sizeof(noise)), -EINVAL);
}

static void others_may_not_look(void **state)
{
    struct rig *r = *state;
    struct stat st;
    put(r->x, 1, 0);
    assert_int_equal(stat(r->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void overwrite(const char *path, off_t from)
{
    char noise[4096];
    struct stat st;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && !fstat(fd, &st));
    memset(noise, 'x', sizeof(noise));
    for (off_t at = from; at < st.st_size; at += (off_t)sizeof(noise))
        assert_int_equal(pwrite(fd, noise, sizeof(noise), at), sizeof(noise));
    close(fd);
}

static void assert_bad_is_kept(const struct rig *r)
{
    char bad[100];
    (void)snprintf(bad, sizeof(bad), "%s.bad", r->path);
    assert_int_equal(access(bad, F_OK), 0);
}

/* From its beginning, and from a place on that is only read when something is looked for. */
static void a_damaged_file_is_put_aside(void **state)
{
    struct rig *r = *state;
    static const off_t from[] = {0, 16384};
    for (size_t i = 0; i < 2; i++) {
        for (uint64_t n = 0; n < 200; n++)
            put(r->x, 1, n);
        chunk_index_close(r->x);
        overwrite(r->path, from[i]);
        r->x = open_index(r->path, MEMORY);
        (void)found(r->x, 0, 100);
        put(r->x, 1, 0); /* whatever this finds */
        put(r->x, 1, 0);
        assert_int_equal(found(r->x, 0, PER_SEGMENT), PER_SEGMENT);
        assert_bad_is_kept(r);
    }
}

static void change(const struct rig *r, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(r->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* SQLite does not see that a row is not what it was: it would be a wrong copy. */
static void a_row_that_was_changed_is_not_believed(void **state)
{
    struct rig *r = *state;
    static const char *const changes[] = {
        "UPDATE segment SET list=substr(list,1,length(list)-1)||x'05' WHERE number=1",
        "UPDATE segment SET crc=crc+1 WHERE number=1",
        "UPDATE segment SET size=size+1 WHERE number=1",
        "UPDATE segment SET first_object=first_object+1 WHERE number=1",
        "UPDATE segment SET barcode='OTHER1L8' WHERE number=1",
        "UPDATE segment SET cartridge=x'02020202020202020202020202020202' WHERE number=1",
        "UPDATE segment SET epoch=epoch+1 WHERE number=1",
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        for (uint64_t n = 0; n < 3; n++)
            put(r->x, 1, n);
        chunk_index_close(r->x);
        change(r, changes[i]);
        r->x = open_index(r->path, MEMORY);
        assert_int_equal(found(r->x, PER_SEGMENT, PER_SEGMENT), 0);
        assert_int_equal(found(r->x, 2 * PER_SEGMENT, PER_SEGMENT), PER_SEGMENT);
        change(r, "DELETE FROM segment WHERE number=1");
    }
}

static void another_version_is_put_aside(void **state)
{
    struct rig *r = *state;
    put(r->x, 1, 0);
    chunk_index_close(r->x);
    change(r, "PRAGMA user_version=2");
    r->x = open_index(r->path, MEMORY);
    assert_int_equal(found(r->x, 0, PER_SEGMENT), 0);
    assert_bad_is_kept(r);
}

static void a_place_that_cannot_be_opened_is_named(void **state)
{
    (void)state;
    struct chunk_index *x;
    struct errtext err = {""};
    assert_int_equal(chunk_index_open("/nowhere/dedup.db", MEMORY, &x, &err), -ENOENT);
    assert_null(x);
    assert_non_null(strstr(err.text, "/nowhere/dedup.db"));
}

/* ---- threads ---- */

static void *puts_and_drops(void *arg)
{
    for (uint64_t n = 0; n < 100; n++) {
        const struct seg_source s = source(9, n);
        put(arg, 9, n);
        if (n % 3 == 0)
            (void)chunk_index_drop(arg, s.cartridge, &s.id);
    }
    return NULL;
}

static void any_thread_may_ask(void **state)
{
    struct rig *r = *state;
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, puts_and_drops, r->x), 0);
    for (unsigned i = 0; i < 20; i++)
        (void)found(r->x, 0, 100);
    pthread_join(t, NULL);
    for (uint64_t n = 0; n < 100; n++)
        assert_int_equal(places(r->x, n * PER_SEGMENT, false), n % 3 != 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(what_was_put_is_found_also_after_a_restart),
        TEST(a_chunk_of_another_length_is_another_chunk),
        TEST(one_lookup_brings_its_neighbours),
        TEST(a_chunk_on_several_tapes_is_found_on_all),
        TEST(what_is_dropped_is_not_found),
        TEST(what_is_avoided_is_looked_for_elsewhere),
        TEST(a_segment_that_is_put_again_is_replaced),
        TEST(a_segment_without_chunks_is_known),
        TEST(hooks_are_few_and_enough),
        TEST(memory_is_bounded),
        TEST(one_chunk_in_a_row_is_kept_a_few_times),
        TEST(what_is_no_list_is_refused),
        TEST(others_may_not_look),
        TEST(a_damaged_file_is_put_aside),
        TEST(a_row_that_was_changed_is_not_believed),
        TEST(another_version_is_put_aside),
        cmocka_unit_test(a_place_that_cannot_be_opened_is_named),
        TEST(any_thread_may_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
