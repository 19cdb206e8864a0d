/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_foreign.c: tapes of other programs, byte by byte: what is read of them, and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <lzo/lzo1x.h>
#include <zlib.h>

#include "base/crc32c.h"
#include "base/le.h"
#include "vtl/foreign/simh.h"

static char dir[64];
static const atomic_bool never = false;
static const struct foreign_options plainly = {.block = 0};

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/s3vtl-foreign-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    static const char *const names[] = {"tape.tap", "a",    "b",    "data.0", "indx.0",
                                        "meta.0",   "data", "indx", "meta",   "indx.1"};
    char path[100];
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    return rmdir(dir);
}

/* ---- what is made by hand ---- */

struct bytes {
    size_t n;
    uint8_t b[20000];
};

static void put(struct bytes *to, const void *data, size_t n)
{
    assert_true(to->n + n <= sizeof(to->b));
    memcpy(to->b + to->n, data, n);
    to->n += n;
}

static void word(struct bytes *to, uint32_t w)
{
    uint8_t b[4];
    put_le32(b, w);
    put(to, b, 4);
}

static void record(struct bytes *to, uint32_t flags, const char *text)
{
    uint32_t n = (uint32_t)strlen(text);
    word(to, flags | n);
    put(to, text, n + n % 2); /* the zero behind the text pads it */
    word(to, flags | n);
}

static char *in_dir(const char *name)
{
    static char path[100];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void save(const char *name, const void *data, size_t n)
{
    FILE *f = fopen(in_dir(name), "we");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* ---- what is read of it, as text: the blocks' bytes, "|" for a filemark, "." between blocks ---- */

static int read_all(char *path, const struct foreign_options *o, char *out, size_t room, struct errtext *err)
{
    struct foreign_source *s = NULL;
    struct foreign_item item = {.thing = FOREIGN_BLOCK};
    struct foreign_totals t;
    uint8_t *buf = malloc(TAPE_MAX_BLOCK);
    char *paths[] = {path};
    size_t n = 0;
    assert_non_null(buf);
    out[0] = '\0';
    int rc = foreign_open(paths, 1, o, &s, err);
    if (!rc)
        rc = foreign_check(s, &t, &never, err);
    while (!rc && !(rc = s->ops->next(s, buf, &item, err)) && item.thing != FOREIGN_END)
        n += (size_t)snprintf(out + n, room - n, item.thing == FOREIGN_FILEMARK ? "|" : "%.*s.", (int)item.len, buf);
    assert_true(rc ? err->text[0] : !err->text[0]);
    foreign_close(s);
    free(buf);
    return rc;
}

static void reads(char *path, const struct foreign_options *o, const char *want)
{
    char out[4096];
    struct errtext err = {""};
    if (read_all(path, o, out, sizeof(out), &err))
        fail_msg("%s", err.text);
    assert_string_equal(out, want);
}

static void refuses(char *path, const struct foreign_options *o, int want, const char *why)
{
    char out[4096];
    struct errtext err = {""};
    int rc = read_all(path, o, out, sizeof(out), &err);
    if (rc != want || !strstr(err.text, why))
        fail_msg("%d, not %d; \"%s\" has no \"%s\"", rc, want, err.text, why);
}

/* ---- SIMH's .tap ---- */

static void a_tap_is_records_filemarks_gaps_and_an_end(void **state)
{
    struct bytes t = {.n = 0};
    (void)state;
    record(&t, 0, "even");
    record(&t, 0, "odd");
    word(&t, SIMH_FILEMARK);
    word(&t, SIMH_GAP);
    word(&t, SIMH_GAP);
    record(&t, 0, "x");
    put(&t, "\xFF\xFF\xFE\xFF\xFF\xFF", 6); /* a half gap, and a whole one that begins within its word */
    record(&t, 0, "y");
    word(&t, SIMH_FILEMARK);
    word(&t, SIMH_FILEMARK);
    word(&t, SIMH_END);
    put(&t, "of an older tape", 16);
    save("tape.tap", t.b, t.n);
    reads(in_dir("tape.tap"), &plainly, "even.odd.|x.y.||");
    save("tape.tap", t.b, t.n - 20); /* the end of the file is the end of the medium, too */
    reads(in_dir("tape.tap"), &plainly, "even.odd.|x.y.||");
    save("tape.tap", t.b, 0);
    reads(in_dir("tape.tap"), &plainly, "");
}

static void a_tap_that_is_cut_is_refused_wherever_that_is(void **state)
{
    struct bytes t = {.n = 0};
    bool whole[200] = {true};
    char out[100];
    (void)state;
    record(&t, 0, "abcde");
    whole[t.n] = true; /* between two things nothing shows that something is missing */
    word(&t, SIMH_FILEMARK);
    whole[t.n] = true;
    record(&t, 0, "fghi");
    whole[t.n] = true;
    word(&t, SIMH_END);
    for (size_t n = 0; n < t.n; n++) {
        struct errtext err = {""};
        save("tape.tap", t.b, n);
        int rc = read_all(in_dir("tape.tap"), &plainly, out, sizeof(out), &err);
        assert_int_equal(rc, whole[n] ? 0 : -EBADMSG);
        assert_true(whole[n] || (strstr(err.text, "offset ") && strstr(err.text, "the file ends at ")));
    }
}

static void a_record_that_was_read_with_an_error_needs_a_word(void **state)
{
    struct bytes t = {.n = 0};
    (void)state;
    record(&t, 0, "good");
    record(&t, 0x80000000u, "bad");
    save("tape.tap", t.b, t.n);
    refuses(in_dir("tape.tap"), &plainly, -ENOTSUP, "offset 12: a record of 3 bytes that was read with an error");
    reads(in_dir("tape.tap"), &(struct foreign_options){.keep_errors = true}, "good.bad.");
}

static void what_has_no_place_on_a_tape_is_refused_by_its_name(void **state)
{
    static const struct {
        uint32_t word;
        const char *name;
    } bad[] = {{0x10000004, "private data record (word 0x10000004, class 1)"},
               {0x60000004, "private data record"},
               {0x70000000, "private marker"},
               {0x90000004, "reserved data record"},
               {0xD0000004, "reserved data record"},
               {0xE0000004, "tape description record"},
               {0xF0000000, "reserved marker"},
               {0xFFFFFFFD, "reserved marker"},
               {0xFFFF0000, "reserved marker"}};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bytes t = {.n = 0};
        word(&t, SIMH_FILEMARK);
        word(&t, bad[i].word);
        put(&t, "abcd", 4);
        word(&t, bad[i].word);
        save("tape.tap", t.b, t.n);
        refuses(in_dir("tape.tap"), &plainly, -ENOTSUP, bad[i].name);
        refuses(in_dir("tape.tap"), &plainly, -ENOTSUP, "tape.tap: offset 4: ");
    }
}

static void lengths_that_cannot_be_are_refused(void **state)
{
    static const struct {
        uint32_t first, second;
        int rc;
        const char *why;
    } bad[] = {{4, 5, -EBADMSG, "length word 0x00000004 before it and 0x00000005 behind it (offset 8)"},
               {4, 0x80000004u, -EBADMSG, "they must be the same"},
               {6, 6, -EBADMSG, "a record of 6 bytes is not all there: the file ends at 12"},
               {TAPE_MAX_BLOCK, 4, -EBADMSG, "not all there"},
               {TAPE_MAX_BLOCK + 1, 4, -EFBIG, "a block of 8388609 bytes; a drive here takes 8388608 at most"},
               {0x00FFFFFF, 4, -EFBIG, "a block of 16777215 bytes"},
               {0x0FFFFFFF, 4, -EFBIG, "a block of 268435455 bytes"},
               {0x80000000u, 0x80000000u, -EBADMSG, "a block of no bytes"}};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bytes t = {.n = 0};
        word(&t, bad[i].first);
        put(&t, "abcd", 4);
        word(&t, bad[i].second);
        save("tape.tap", t.b, t.n);
        refuses(in_dir("tape.tap"), &(struct foreign_options){.keep_errors = true}, bad[i].rc, bad[i].why);
    }
}

static void what_is_written_as_a_tap_is_what_the_format_says(void **state)
{
    struct simh_out o;
    struct errtext err = {""};
    struct bytes t = {.n = 0};
    uint8_t back[200];
    (void)state;
    record(&t, 0, "even");
    record(&t, 0, "odd");
    word(&t, SIMH_FILEMARK);
    word(&t, SIMH_FILEMARK);
    word(&t, SIMH_END);
    FILE *f = fopen(in_dir("tape.tap"), "w+e");
    assert_non_null(f);
    assert_int_equal(simh_out_begin(&o, fileno(f), "tape.tap", &err), 0);
    assert_int_equal(simh_out_block(&o, "even", 4, &err), 0);
    assert_int_equal(simh_out_block(&o, "odd", 3, &err), 0);
    assert_int_equal(simh_out_filemark(&o, &err), 0);
    assert_int_equal(simh_out_filemark(&o, &err), 0);
    assert_int_equal(simh_out_end(&o, true, &err), 0);
    assert_int_equal(o.totals.blocks, 2);
    assert_int_equal(o.totals.bytes, 7);
    assert_int_equal(o.totals.filemarks, 2);
    rewind(f);
    assert_int_equal(fread(back, 1, sizeof(back), f), t.n);
    assert_memory_equal(back, t.b, t.n);
    assert_int_equal(fclose(f), 0);
}

static void a_full_disk_is_told(void **state)
{
    struct simh_out o;
    struct errtext err = {""};
    FILE *f = fopen("/dev/full", "we");
    (void)state;
    assert_non_null(f);
    assert_int_equal(simh_out_begin(&o, fileno(f), "x.tap", &err), 0);
    assert_int_equal(simh_out_block(&o, "even", 4, &err), 0);
    assert_int_equal(simh_out_end(&o, true, &err), -ENOSPC);
    assert_string_equal(err.text, "x.tap: No space left on device");
    assert_int_equal(fclose(f), 0);
}

/* ---- plain files ---- */

static void plain_files_are_cut_into_blocks_and_end_in_filemarks(void **state)
{
    char a[100], b[100], out[100] = "";
    char *paths[] = {a, b};
    const struct foreign_options o = {.block = 4};
    struct foreign_source *s = NULL;
    struct foreign_totals t;
    struct errtext err = {""};
    (void)state;
    save("a", "abcdefghij", 10);
    save("b", "", 0);
    (void)snprintf(a, sizeof(a), "%s", in_dir("a"));
    (void)snprintf(b, sizeof(b), "%s", in_dir("b"));
    assert_int_equal(foreign_open(paths, 2, &o, &s, &err), 0);
    assert_int_equal(foreign_check(s, &t, &never, &err), 0);
    assert_int_equal(t.blocks, 3);
    assert_int_equal(t.bytes, 10);
    assert_int_equal(t.filemarks, 2);
    foreign_close(s);
    reads(a, &o, "abcd.efgh.ij.|");
    assert_int_equal(foreign_open(paths, 2, &plainly, &s, &err), -EINVAL);
    assert_non_null(strstr(err.text, "plain files need --block SIZE"));
    refuses(dir, &o, -EINVAL, "is a directory: --block is for plain files");
    refuses((char *)"/dev/null", &o, -EINVAL, "/dev/null: is no regular file");
    assert_int_equal(read_all((char *)"/no/such.tap", &plainly, out, sizeof(out), &err), -ENOENT);
}

/* ---- a directory of mhVTL's ---- */

struct mhvtl {
    struct bytes data, indx, meta;
    uint32_t n, filemarks;
};

static void header(struct mhvtl *m, uint32_t type, uint32_t flags, uint32_t size, uint32_t disk, uint32_t crc)
{
    uint8_t h[512] = {0};
    put_le64(h, m->data.n);
    put_le32(h + 8, type);
    put_le32(h + 12, flags);
    put_le32(h + 16, m->n++);
    put_le32(h + 20, size);
    put_le32(h + 24, disk);
    put_le32(h + 28, crc);
    put(&m->indx, h, sizeof(h));
}

static void filemark(struct mhvtl *m)
{
    uint8_t n[4];
    header(m, 3, 0, 0, 0, 0);
    put_le32(n, m->n - 1);
    put(&m->meta, n, 4);
    m->filemarks++;
}

static void block(struct mhvtl *m, uint32_t flags, const char *text)
{
    uint8_t packed[500], work[LZO1X_1_MEM_COMPRESS];
    lzo_uint l = sizeof(packed);
    uLongf z = sizeof(packed);
    uint32_t n = (uint32_t)strlen(text), disk = n;
    if (flags & 1) {
        assert_int_equal(compress(packed, &z, (const Bytef *)text, n), Z_OK);
        disk = (uint32_t)z;
    } else if (flags & 4) {
        assert_int_equal(lzo1x_1_compress((const uint8_t *)text, n, packed, &l, work), LZO_E_OK);
        disk = (uint32_t)l;
    } else {
        memcpy(packed, text, n);
    }
    header(m, 11, flags, n, disk, flags & 8 ? crc32c(0, text, n) : 0);
    put(&m->data, packed, disk);
}

static void save_mhvtl(const struct mhvtl *m, const char *suffix, size_t mam)
{
    struct bytes meta = {.n = 0};
    uint8_t head[512] = {0}, chip[1024] = {1, 2, 3};
    char name[16];
    put(&meta, chip, mam);
    put_le32(head, m->filemarks);
    put(&meta, head, sizeof(head));
    put(&meta, m->meta.b, m->meta.n);
    (void)snprintf(name, sizeof(name), "data%s", suffix);
    save(name, m->data.b, m->data.n);
    (void)snprintf(name, sizeof(name), "indx%s", suffix);
    save(name, m->indx.b, m->indx.n);
    (void)snprintf(name, sizeof(name), "meta%s", suffix);
    save(name, meta.b, meta.n);
}

#define TEXT "which shrinks which shrinks which shrinks which shrinks"

static struct mhvtl *new_tape(void)
{
    struct mhvtl *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    block(m, 0, "plain");
    block(m, 8, "with a CRC");
    filemark(m);
    block(m, 1, TEXT);
    block(m, 4, TEXT);
    block(m, 4 | 8, TEXT);
    filemark(m);
    filemark(m);
    return m;
}
#define SHOWN "plain.with a CRC.|" TEXT "." TEXT "." TEXT ".||"

static void a_directory_of_mhvtl_is_read(void **state)
{
    struct mhvtl *m = new_tape();
    (void)state;
    save_mhvtl(m, ".0", 0);
    save("indx.1", "", 0); /* a second partition without anything in it */
    reads(dir, &plainly, SHOWN);
    save("indx.1", m->indx.b, 512);
    refuses(dir, &plainly, -ENOTSUP, "/indx.1: a tape with more than one partition");
    free(m);
}

static void an_older_one_too(void **state)
{
    struct mhvtl *m = new_tape();
    (void)state;
    save_mhvtl(m, "", 1024);
    reads(dir, &plainly, SHOWN);
    free(m);
}

static void a_directory_that_is_none_of_mhvtl_is_told(void **state)
{
    (void)state;
    refuses(dir, &plainly, -ENOENT, "has no data.0 and no data: is it a tape of mhVTL's?");
    save("data.0", "", 0);
    refuses(dir, &plainly, -ENOENT, "has no indx.0 and no indx");
}

static void what_is_cut_of_it_is_missed(void **state)
{
    struct mhvtl *m = new_tape();
    (void)state;
    for (size_t n = 0; n < m->indx.n; n += n < 640 ? 1 : 128) {
        save_mhvtl(m, ".0", 0);
        save("indx.0", m->indx.b, n);
        refuses(dir, &plainly, -EBADMSG,
                n % 512       ? "indx.0: offset "
                : n < 6 * 512 ? "are not those that"
                              : "meta.0: tells of 3 filemarks");
    }
    for (size_t n = 0; n < m->data.n; n++) {
        save_mhvtl(m, ".0", 0);
        save("data.0", m->data.b, n);
        refuses(dir, &plainly, -EBADMSG, "data.0: offset ");
    }
    for (size_t n = 0; n < 512 + 12; n++) {
        uint8_t meta[512 + 12] = {3};
        save_mhvtl(m, ".0", 0);
        save("meta.0", meta, n);
        refuses(dir, &plainly, -EBADMSG, "meta.0: its ");
    }
    free(m);
}

static void what_is_damaged_in_its_blocks_is_found(void **state)
{
    struct mhvtl *m = new_tape();
    (void)state;
    m->data.b[6] ^= 1;
    save_mhvtl(m, ".0", 0);
    refuses(dir, &plainly, -EBADMSG, "data.0: offset 5: block 1 has not the CRC that indx has");
    m->data.b[6] ^= 1;
    m->data.b[16] ^= 0xFF;
    save_mhvtl(m, ".0", 0);
    refuses(dir, &plainly, -EBADMSG, "block 3 cannot be unpacked (zlib)");
    m->data.b[16] ^= 0xFF;
    put_le32(m->indx.b + (size_t)3 * 512 + 20, 400); /* it says more than it gives */
    save_mhvtl(m, ".0", 0);
    refuses(dir, &plainly, -EBADMSG, "block 3 cannot be unpacked (zlib)");
    put_le32(m->indx.b + (size_t)3 * 512 + 20, (uint32_t)strlen(TEXT));
    put_le32(m->indx.b + (size_t)4 * 512 + 20, 400);
    save_mhvtl(m, ".0", 0);
    refuses(dir, &plainly, -EBADMSG, "block 4 cannot be unpacked (LZO)");
    put_le32(m->indx.b + (size_t)4 * 512 + 20, 3); /* or less */
    save_mhvtl(m, ".0", 0);
    refuses(dir, &plainly, -EBADMSG, "block 4 cannot be unpacked (LZO)");
    free(m);
}

static void hostile_headers_are_refused(void **state)
{
    static const struct {
        size_t at;
        uint32_t value;
        int rc;
        const char *why;
    } bad[] = {{8, 14, -ENOTSUP, "block 0 is of type 14: only data (11) and filemarks (3)"},
               {12, 2, -ENOTSUP, "block 0 is encrypted"},
               {12, 16, -ENOTSUP, "block 0 has a flag that is not known"},
               {12, 5, -ENOTSUP, "block 0 is said to be compressed in two ways"},
               {16, 7, -EBADMSG, "the header of block 0 has number 7"},
               {20, 0, -EBADMSG, "a block of no bytes"},
               {20, 0xFFFFFFFFu, -EFBIG, "a block of 4294967295 bytes"},
               {24, 0, -EBADMSG, "cannot be 0 bytes in data"},
               {24, 4, -EBADMSG, "has 5 bytes, and cannot be 4 bytes in data"},
               {24, 0xFFFFFFFFu, -EBADMSG, "cannot be 4294967295 bytes in data"},
               {0, 0xFFFFFFFFu, -EBADMSG, "data.0: offset 4294967295: block 0 (5 bytes) is not all there"},
               {4, 0xFFFFFFFFu, -EBADMSG, "block 0 (5 bytes) is not all there"}};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct mhvtl *m = new_tape();
        put_le32(m->indx.b + bad[i].at, bad[i].value);
        save_mhvtl(m, ".0", 0);
        refuses(dir, &plainly, bad[i].rc, bad[i].why);
        free(m);
    }
}

/* It would not fit where it is read to. */
static void a_compressed_block_that_is_longer_than_any_can_be_is_refused(void **state)
{
    struct mhvtl *m = new_tape();
    (void)state;
    put_le32(m->indx.b + 12, 1);
    put_le32(m->indx.b + 24, FOREIGN_PACKED + 1);
    save_mhvtl(m, ".0", 0);
    assert_int_equal(truncate(in_dir("data.0"), FOREIGN_PACKED + 1), 0);
    refuses(dir, &plainly, -EBADMSG, "block 0 has 5 bytes, and cannot be 8912964 bytes in data");
    free(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_tap_is_records_filemarks_gaps_and_an_end),
        TEST(a_tap_that_is_cut_is_refused_wherever_that_is),
        TEST(a_record_that_was_read_with_an_error_needs_a_word),
        TEST(what_has_no_place_on_a_tape_is_refused_by_its_name),
        TEST(lengths_that_cannot_be_are_refused),
        TEST(what_is_written_as_a_tap_is_what_the_format_says),
        TEST(a_full_disk_is_told),
        TEST(plain_files_are_cut_into_blocks_and_end_in_filemarks),
        TEST(a_directory_of_mhvtl_is_read),
        TEST(an_older_one_too),
        TEST(a_directory_that_is_none_of_mhvtl_is_told),
        TEST(what_is_cut_of_it_is_missed),
        TEST(what_is_damaged_in_its_blocks_is_found),
        TEST(hostile_headers_are_refused),
        TEST(a_compressed_block_that_is_longer_than_any_can_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
