/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_escrow.c: keys as people type them, and a file that opens with the right key only, whole or not at all. */
#include "segment_help.h"

#include <ctype.h>
#include <stdio.h>

#include "vtl/escrow/escrow_private.h"

/* ---- keys on paper ---- */

static void a_key_comes_back_as_it_was_typed(void **state)
{
    (void)state;
    uint8_t secret[ESCROW_KEY_SIZE], public_key[ESCROW_KEY_SIZE], back[ESCROW_KEY_SIZE];
    char text[ESCROW_TEXT_SIZE], typed[3 * ESCROW_TEXT_SIZE] = " ";
    struct errtext err = {""};
    assert_int_equal(escrow_key_make(secret, public_key, &err), 0);
    assert_int_equal(escrow_key_public(secret, back, &err), 0);
    assert_memory_equal(back, public_key, sizeof(back));
    escrow_key_format(ESCROW_SECRET, secret, text);
    assert_int_equal(strlen(text), strlen("escrow-secret:") + 56 + 13);
    assert_int_equal(escrow_key_parse(ESCROW_SECRET, text, back, &err), 0);
    assert_memory_equal(back, secret, sizeof(back));
    for (const char *p = text; *p; p++) { /* in small letters, each group on a line of its own */
        char c[3] = {(char)tolower((unsigned char)*p)};
        if (*p == '-' && p - text > 14)
            c[0] = '\n';
        strcat(typed, c);
    }
    memset(back, 0, sizeof(back));
    assert_int_equal(escrow_key_parse(ESCROW_SECRET, typed, back, &err), 0);
    assert_memory_equal(back, secret, sizeof(back));
}

/* RFC 7748, section 6.1: Alice's keys; and how the public one is written. */
static void known_keys_are_written_as_documented(void **state)
{
    (void)state;
    static const uint8_t alice[32] = {0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1,
                                      0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0,
                                      0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a};
    static const uint8_t alices[32] = {0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74, 0x8b, 0x7d,
                                       0xdc, 0xb4, 0x3e, 0xf7, 0x5a, 0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38,
                                       0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a};
    uint8_t got[32];
    char text[ESCROW_TEXT_SIZE];
    struct errtext err = {""};
    assert_int_equal(escrow_key_public(alice, got, &err), 0);
    assert_memory_equal(got, alices, 32);
    escrow_key_format(ESCROW_PUBLIC, alices, text);
    /* base32 of Python's base64 module for the key; the last five letters hold the check */
    assert_int_equal(strncmp(text, "escrow-public:QUQP-ACMJ-GCTV-I5EL-PXOL-IPXX-LIG3-6OQN-EY4B-V5HL-USUY-5KU3-JZV", 77),
                     0);
}

static void each_misread_letter_is_found(void **state)
{
    (void)state;
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint8_t key[ESCROW_KEY_SIZE], back[ESCROW_KEY_SIZE];
    char text[ESCROW_TEXT_SIZE];
    struct errtext err = {""};
    for (unsigned i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(i * 7 + 1);
    escrow_key_format(ESCROW_SECRET, key, text);
    for (char *p = text + 14; *p; p++) {
        char was = *p;
        for (const char *other = alphabet; was != '-' && *other; other++) {
            *p = *other;
            assert_int_equal(escrow_key_parse(ESCROW_SECRET, text, back, &err), *other == was ? 0 : -EINVAL);
        }
        *p = was;
    }
    text[strlen(text) - 1] = '\0';
    assert_int_equal(escrow_key_parse(ESCROW_SECRET, text, back, &err), -EINVAL);
    assert_non_null(strstr(err.text, "missing"));
}

static void the_other_key_is_named_as_such(void **state)
{
    (void)state;
    uint8_t key[ESCROW_KEY_SIZE] = {1};
    char text[ESCROW_TEXT_SIZE];
    struct errtext err = {""};
    escrow_key_format(ESCROW_PUBLIC, key, text);
    assert_int_equal(escrow_key_parse(ESCROW_SECRET, text, key, &err), -EINVAL);
    assert_non_null(strstr(err.text, "the other key of the pair"));
    assert_int_equal(escrow_key_parse(ESCROW_PUBLIC, "QUQP", key, &err), -EINVAL);
    assert_non_null(strstr(err.text, "escrow-public:"));
}

/* ---- the file ---- */

struct rig {
    uint8_t secret[ESCROW_KEY_SIZE];
    struct escrow_header h;
    uint8_t *data; /* the catalogue */
    size_t len;
    int sealed;
};

static void set_up(struct rig *r, size_t len, enum kind kind)
{
    struct errtext err = {""};
    struct escrow_sealed s;
    *r = (struct rig){.h = {.created = 1700000000}, .len = len, .data = malloc(len ? len : 1), .sealed = new_file()};
    assert_non_null(r->data);
    fill_block(r->data, (uint32_t)len, kind, 5);
    assert_int_equal(escrow_key_make(r->secret, r->h.to, &err), 0);
    int in = file_of(r->data, len);
    if (escrow_file_seal(&r->h, "{\"library\": \"s3vtl\"}", in, r->sealed, NULL, &s, &err))
        fail_msg("%s", err.text);
    close(in);
    size_t n;
    uint8_t *p = read_file(r->sealed, &n);
    assert_int_equal(s.size, n);
    assert_int_equal(s.crc, crc32c(0, p, n));
    free(p);
}

static void one_that_is_cancelled_ends(void **state)
{
    (void)state;
    struct rig r = {.h = {.created = 1700000000}};
    struct escrow_sealed s;
    struct errtext err = {""};
    const uint8_t data[100] = {0};
    const atomic_bool cancel = true;
    assert_int_equal(escrow_key_make(r.secret, r.h.to, &err), 0);
    int in = file_of(data, sizeof(data)), out = new_file();
    assert_int_equal(escrow_file_seal(&r.h, "{}", in, out, &cancel, &s, &err), -ECANCELED);
    close(in);
    close(out);
}

static void tear_down(struct rig *r)
{
    free(r->data);
    close(r->sealed);
}

/* 0: it opened, and everything is what it was. */
static int open_sealed(const struct rig *r, int sealed, struct errtext *err)
{
    char *manifest = NULL;
    int out = new_file();
    int rc = escrow_file_open(r->secret, sealed, out, &manifest, err);
    assert_true(!rc == !!manifest);
    if (!rc) {
        size_t n;
        uint8_t *p = read_file(out, &n);
        assert_int_equal(n, r->len);
        assert_memory_equal(p, r->data, n);
        assert_string_equal(manifest, "{\"library\": \"s3vtl\"}");
        free(p);
    }
    free(manifest);
    close(out);
    return rc;
}

static void what_was_sealed_opens_with_its_key(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4096, (1 << 18) - 1, 1 << 18, BOX_CHUNK, 3 * BOX_CHUNK + 17};
    for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct rig r;
        struct errtext err = {""};
        set_up(&r, sizes[i / 2], i % 2 ? TEXT : RANDOM);
        if (open_sealed(&r, r.sealed, &err))
            fail_msg("%zu bytes: %s", sizes[i / 2], err.text);
        tear_down(&r);
    }
}

/* The compressed text fills its last chunk exactly. */
static void a_last_chunk_may_be_a_full_one(void **state)
{
    (void)state;
    struct rig r;
    struct errtext err = {""};
    bool met = false;
    for (size_t len = BOX_CHUNK - 120; !met && len < BOX_CHUNK; len++) { /* noise grows by zstd's frame, and no more */
        set_up(&r, len, RANDOM);
        met = file_size(r.sealed) == ESCROW_HEADER_SIZE + BOX_CHUNK + BOX_TAG;
        assert_int_equal(open_sealed(&r, r.sealed, &err), 0);
        tear_down(&r);
    }
    assert_true(met);
}

static void another_key_does_not_open_it_and_is_named(void **state)
{
    (void)state;
    struct rig r;
    struct errtext err = {""};
    uint8_t other[ESCROW_KEY_SIZE];
    char wanted[ESCROW_TEXT_SIZE];
    set_up(&r, 5000, RANDOM);
    escrow_key_format(ESCROW_PUBLIC, r.h.to, wanted);
    assert_int_equal(escrow_key_make(r.secret, other, &err), 0);
    assert_int_equal(open_sealed(&r, r.sealed, &err), -EKEYREJECTED);
    assert_non_null(strstr(err.text, wanted));
    tear_down(&r);
}

static void a_changed_bit_anywhere_is_found(void **state)
{
    (void)state;
    struct rig r;
    struct errtext err = {""};
    set_up(&r, BOX_CHUNK + 5000, RANDOM);
    size_t n;
    uint8_t *p = read_file(r.sealed, &n);
    for (size_t at = 0; at < n; at += at < 200 ? 1 : 51787) {
        p[at] ^= 4;
        int fd = file_of(p, n);
        assert_int_equal(open_sealed(&r, fd, &err), -EBADMSG);
        close(fd);
        p[at] ^= 4;
    }
    free(p);
    tear_down(&r);
}

static void a_file_that_was_cut_or_grew_does_not_open(void **state)
{
    (void)state;
    struct rig r;
    struct errtext err = {""};
    set_up(&r, 2 * BOX_CHUNK + 5000, RANDOM);
    const uint64_t whole = file_size(r.sealed), chunk = BOX_CHUNK + BOX_TAG;
    const uint64_t cuts[] = {
        0, 1, ESCROW_HEADER_SIZE, ESCROW_HEADER_SIZE + chunk, ESCROW_HEADER_SIZE + 2 * chunk, whole - 1, whole + 1};
    for (size_t i = sizeof(cuts) / sizeof(cuts[0]); i-- > 0;) {
        assert_int_equal(ftruncate(r.sealed, (off_t)cuts[i]), 0);
        assert_int_equal(open_sealed(&r, r.sealed, &err), -EBADMSG);
    }
    tear_down(&r);
}

static void a_later_version_is_named(void **state)
{
    (void)state;
    struct rig r;
    struct errtext err = {""};
    uint8_t h[ESCROW_HEADER_SIZE];
    set_up(&r, 100, TEXT);
    assert_int_equal(pread(r.sealed, h, sizeof(h), 0), sizeof(h));
    h[8] = 2;
    uint32_t crc = crc32c(0, h, 124);
    memcpy(h + 124, &crc, 4);
    assert_int_equal(pwrite(r.sealed, h, sizeof(h), 0), sizeof(h));
    assert_int_equal(open_sealed(&r, r.sealed, &err), -EPROTONOSUPPORT);
    assert_non_null(strstr(err.text, "version 2"));
    tear_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_is_cancelled_ends),
        cmocka_unit_test(a_key_comes_back_as_it_was_typed),
        cmocka_unit_test(known_keys_are_written_as_documented),
        cmocka_unit_test(each_misread_letter_is_found),
        cmocka_unit_test(the_other_key_is_named_as_such),
        cmocka_unit_test(what_was_sealed_opens_with_its_key),
        cmocka_unit_test(a_last_chunk_may_be_a_full_one),
        cmocka_unit_test(another_key_does_not_open_it_and_is_named),
        cmocka_unit_test(a_changed_bit_anywhere_is_found),
        cmocka_unit_test(a_file_that_was_cut_or_grew_does_not_open),
        cmocka_unit_test(a_later_version_is_named),
    };
    return cmocka_run_group_tests_name("escrow", tests, NULL, NULL);
}
