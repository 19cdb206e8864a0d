/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_head.c: heads and their envelope: what is encoded comes back, and nothing else gets in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "vtl/format/head.h"

/* A head with two maps, two inline segments (the first is cut in the middle by its successor) and filemarks. */
static void make_head(struct head *h)
{
    head_init(h);
    h->id = (struct seg_id){12, 0x00c0ffee, 34};
    for (uint8_t i = 0; i < 16; i++)
        h->cartridge[i] = (uint8_t)(i * 16 + 1);
    strcpy(h->barcode, "S3V001L8");
    strcpy(h->host, "backup-1 (rack 3)");
    h->gateway = 0x0badcafe;
    h->claimed = 1767225550;
    h->generation = 8;
    h->capacity = 6000000000000;
    h->full_capacity = 12000000000000;
    h->worm = true;
    h->no_dedup = true;
    h->created = 1700000000;
    h->modified = 1700000100;
    h->next_segment = 602;
    h->next_map = 3;
    h->mam = json_pack("{s:s}", "0x0801", "application\nof \"mine\"");
    h->counters = json_pack("{s:i}", "mounts", 5);
    h->n_maps = 2;
    h->maps = calloc(2, sizeof(*h->maps));
    assert_non_null(h->maps);
    h->maps[0] = (struct map_ref){{11, 0x00c0ffee, 1}, 256, 0, 20000, 0};
    h->maps[1] = (struct map_ref){{12, 0x00c0ffee, 2}, 200, 40000, 15000, 0xfedcba98};
    struct seg_ref segs[] = {
        {{12, 0x00c0ffee, 600}, 70000, 9, 150, 2, 41943040, 37000000, 0},
        {{12, 0x00c0ffee, 601}, 70150, 11, 10, 3, 3000000, 1800000, 0xffffffff},
    };
    struct seg_fm_run fms[] = {{70010, 1}, {70149, 3}, {70159, 1}};
    assert_int_equal(tape_index_build(&h->inl, segs, 2, fms, 3), 0);
    h->end_object = 70160;
    h->end_file = 14;
}

static void encode(const struct head *h, char **buf, size_t *len)
{
    assert_int_equal(head_encode(h, buf, len), 0);
}

static void assert_same(const struct head *a, const struct head *b)
{
    char *p, *q;
    size_t n, m;
    encode(a, &p, &n);
    encode(b, &q, &m);
    assert_int_equal(n, m);
    assert_memory_equal(p, q, n);
    free(p);
    free(q);
}

static void head_round_trip(void **state)
{
    (void)state;
    struct head h, back;
    char *buf;
    size_t len;
    make_head(&h);
    encode(&h, &buf, &len);
    struct errtext err = {""};
    assert_int_equal(head_decode(buf, len, &back, &err), 0);
    assert_int_equal(seg_id_compare(&back.id, &h.id), 0);
    assert_memory_equal(back.cartridge, h.cartridge, 16);
    assert_string_equal(back.barcode, h.barcode);
    assert_int_equal(back.capacity, h.capacity);
    assert_int_equal(back.full_capacity, h.full_capacity);
    assert_true(back.worm);
    assert_true(back.no_dedup);
    assert_false(back.write_protected);
    assert_true(json_equal(back.mam, h.mam));
    assert_true(json_equal(back.counters, h.counters));
    assert_int_equal(back.n_maps, 2);
    assert_memory_equal(back.maps, h.maps, 2 * sizeof(*h.maps));
    assert_string_equal(back.host, h.host);
    assert_int_equal(back.gateway, 0x0badcafe);
    assert_int_equal(back.claimed, 1767225550);
    assert_int_equal(back.inl.n_segs, 2);
    assert_int_equal(back.inl.segs[1].plain_bytes, 1800000);
    assert_int_equal(back.inl.segs[0].crc, 0);
    assert_int_equal(back.inl.segs[1].crc, 0xffffffff);
    assert_int_equal(back.inl.n_fms, 3);
    assert_int_equal(tape_index_file_of(&back.inl, 70150), 11);
    assert_int_equal(back.end_object, 70160);
    assert_int_equal(back.end_file, 14);
    assert_int_equal(back.next_segment, 602);
    assert_int_equal(back.next_map, 3);
    assert_same(&h, &back);
    head_free(&back);
    head_free(&h);
    free(buf);
}

static void empty_cartridge_round_trip(void **state)
{
    (void)state;
    struct head h, back;
    char *buf;
    size_t len;
    head_init(&h);
    h.id = (struct seg_id){1, 0xffffffff, 1};
    strcpy(h.barcode, "A1");
    h.generation = 5;
    encode(&h, &buf, &len);
    assert_int_equal(head_decode(buf, len, &back, NULL), 0);
    assert_int_equal(back.inl.n_segs + back.n_maps, 0);
    assert_null(back.mam);
    assert_null(back.counters);
    assert_same(&h, &back);
    head_free(&back);
    free(buf);
}

static void claim_holds_no_state(void **state)
{
    (void)state;
    struct head h, back;
    char *buf;
    size_t len;
    make_head(&h);
    h.claim = true;
    assert_int_equal(head_encode(&h, &buf, &len), -EINVAL); /* n of a claim is 0 */
    h.id.number = 0;
    encode(&h, &buf, &len);
    assert_null(memmem(buf, len, "segments", 8));
    assert_int_equal(head_decode(buf, len, &back, NULL), 0);
    assert_true(back.claim);
    assert_int_equal(back.n_maps + back.inl.n_segs + back.end_object, 0);
    assert_int_equal(back.id.epoch, 12);
    head_free(&back);
    h.claim = false;
    free(buf);
    assert_int_equal(head_encode(&h, &buf, &len), -EINVAL);
    head_free(&h);
}

static void open_segment_is_never_encoded(void **state)
{
    (void)state;
    struct head h;
    char *buf;
    size_t len;
    make_head(&h);
    h.inl.segs[1].size = 0;
    assert_int_equal(head_encode(&h, &buf, &len), -EINVAL);
    assert_null(buf);
    head_free(&h);
}

/* Each change of one field breaks a rule: it is neither encoded, nor decoded when somebody else encoded it. */
static void rules_hold_for_encoding(void **state)
{
    (void)state;
    for (int i = 0; i < 18; i++) {
        struct head h;
        char *buf;
        size_t len;
        make_head(&h);
        switch (i) {
        case 0:
            h.id.epoch = 0;
            break;
        case 1:
            h.id.epoch = 100000000;
            break;
        case 2:
            h.generation = 4;
            break;
        case 3:
            h.generation = 10;
            break;
        case 4:
            strcpy(h.barcode, "a/b");
            break;
        case 5:
            h.end_object++;
            break;
        case 6:
            h.end_file--;
            break;
        case 7:
            h.maps[0].first_object = 1;
            break;
        case 8:
            h.maps[1].first_object = 0;
            break;
        case 9:
            h.maps[1].n_segs = 0;
            break;
        case 10:
            h.maps[1].first_object = 70000;
            break;
        case 11:
            h.capacity = UINT64_MAX;
            break;
        case 12:
            h.n_maps = 0;
            break;
        case 13:
            json_decref(h.mam);
            h.mam = json_integer(3);
            break;
        case 14:
            h.full_capacity = h.capacity - 1;
            break;
        case 15:
            h.full_capacity = UINT64_MAX;
            break;
        case 16:
            memset(h.host, 'x', sizeof(h.host)); /* 65 */
            break;
        case 17:
            strcpy(h.host, "r\xc3\xb6");
            break;
        }
        assert_int_equal(head_encode(&h, &buf, &len), -EINVAL);
        head_free(&h);
    }
}

/* ---- decoding what is not right ---- */

static void every_flipped_byte_is_found(void **state)
{
    (void)state;
    struct head h, back;
    char *buf;
    size_t len;
    make_head(&h);
    encode(&h, &buf, &len);
    for (size_t at = 0; at < len; at++)
        for (int bit = 0; bit < 8; bit++) {
            struct errtext err = {""};
            buf[at] = (char)(buf[at] ^ (1 << bit));
            assert_int_equal(head_decode(buf, len, &back, &err), -EBADMSG);
            assert_true(err.text[0]);
            assert_null(back.maps);
            buf[at] = (char)(buf[at] ^ (1 << bit));
        }
    assert_int_equal(head_decode(buf, len, &back, NULL), 0);
    head_free(&back);
    head_free(&h);
    free(buf);
}

static void truncated_head_is_found(void **state)
{
    (void)state;
    struct head h, back;
    char *buf;
    size_t len;
    make_head(&h);
    encode(&h, &buf, &len);
    for (size_t n = 0; n < len; n++) {
        char *part = malloc(n ? n : 1); /* of exactly n bytes */
        assert_non_null(part);
        memcpy(part, buf, n);
        assert_int_equal(head_decode(part, n, &back, NULL), -EBADMSG);
        free(part);
    }
    char *more = malloc(len + 1);
    assert_non_null(more);
    memcpy(more, buf, len);
    more[len] = '\n';
    assert_int_equal(head_decode(more, len + 1, &back, NULL), -EBADMSG);
    free(more);
    head_free(&h);
    free(buf);
}

/* Takes the good head, applies change to its JSON, seals it again, and decodes. */
static int decode_changed(void (*change)(json_t *j, size_t i), size_t i)
{
    struct head h, back;
    char *buf, *changed;
    size_t len;
    make_head(&h);
    encode(&h, &buf, &len);
    json_t *j = json_open(buf, len, NULL);
    assert_non_null(j);
    change(j, i);
    assert_int_equal(json_seal(j, &changed, &len), 0);
    int rc = head_decode(changed, len, &back, NULL);
    if (!rc)
        head_free(&back);
    json_decref(j);
    free(changed);
    free(buf);
    head_free(&h);
    return rc;
}

static const char *required[] = {"version",   "epoch",        "writer",   "n",          "claim",           "barcode",
                                 "cartridge", "generation",   "capacity", "worm",       "write_protected", "created",
                                 "modified",  "next_segment", "next_map", "end_object", "end_file",        "maps",
                                 "segments",  "filemarks"};

static void drop_field(json_t *j, size_t i)
{
    assert_int_equal(json_object_del(j, required[i]), 0);
}

static void retype_field(json_t *j, size_t i)
{
    json_t *v = json_object_get(j, required[i]);
    json_object_set_new(j, required[i], json_is_string(v) ? json_integer(5) : json_string("5"));
}

static void negate_number(json_t *j, size_t i)
{
    if (json_is_integer(json_object_get(j, required[i])))
        json_object_set_new(j, required[i], json_integer(-1));
    else
        json_object_set_new(j, required[i], json_null());
}

static void every_field_is_required_and_typed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
        assert_int_equal(decode_changed(drop_field, i), -EBADMSG);
        assert_int_equal(decode_changed(retype_field, i), -EBADMSG);
        assert_int_equal(decode_changed(negate_number, i), -EBADMSG);
    }
}

static void set_text(json_t *j, size_t i)
{
    static const char *texts[][2] = {{"barcode", ""},
                                     {"barcode", "../../x"},
                                     {"barcode", "0123456789012345678901234567890123"},
                                     {"cartridge", "00"},
                                     {"cartridge", "0112131415161718191a1b1c1d1e1f2g"},
                                     {"writer", "00C0FFEE"},
                                     {"mam", "text"},
                                     {"gateway", "0BADCAFE"},
                                     {"gateway", "badcafe"},
                                     {"host", "a\nb"},
                                     {"host", "01234567890123456789012345678901234567890123456789012345678901234"},
                                     {"counters", "text"}};
    json_object_set_new(j, texts[i][0], json_string(texts[i][1]));
}

static void texts_are_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < 12; i++)
        assert_int_equal(decode_changed(set_text, i), -EBADMSG);
}

/* Changes one element of one row of one array. */
static void change_row(json_t *j, size_t i)
{
    static const char *names[] = {"maps", "segments", "filemarks"};
    json_t *row = json_array_get(json_object_get(j, names[i / 100]), i / 10 % 10);
    size_t at = i % 10 / 2;
    json_t *v = json_array_get(row, at);
    if (i % 2)
        json_array_remove(row, at);
    else if (json_is_integer(v))
        json_array_set_new(row, at, json_integer(-7));
    else
        json_array_set_new(row, at, json_string("00000012-00c0ffee-600"));
}

static void rows_are_checked(void **state)
{
    (void)state;
    const size_t rows[] = {2, 2, 3}, columns[] = {5, 5, 2};
    for (size_t a = 0; a < 3; a++)
        for (size_t r = 0; r < rows[a]; r++)
            for (size_t c = 0; c < columns[a]; c++)
                for (size_t how = 0; how < 2; how++)
                    assert_int_equal(decode_changed(change_row, a * 100 + r * 10 + c * 2 + how), -EBADMSG);
}

static void break_join(json_t *j, size_t i)
{
    json_t *segs = json_object_get(j, "segments"), *fms = json_object_get(j, "filemarks");
    switch (i) {
    case 0:
        json_array_set_new(json_array_get(segs, 1), 1, json_integer(70151));
        break; /* a hole */
    case 1:
        json_array_set_new(json_array_get(segs, 1), 2, json_integer(12));
        break; /* files do not join */
    case 2:
        json_array_set_new(json_array_get(segs, 1), 3, json_integer(INT64_MAX));
        break;
    case 3:
        json_array_set_new(json_array_get(fms, 2), 0, json_integer(70151));
        break; /* overlap */
    case 4:
        json_array_set_new(json_array_get(fms, 2), 0, json_integer(70160));
        break; /* behind the end */
    case 5:
        json_array_set_new(json_array_get(fms, 0), 1, json_integer(2));
        break; /* one too many */
    case 6:
        json_array_remove(fms, 0);
        break;
    case 7:
        json_array_set_new(json_array_get(segs, 1), 5, json_integer(0));
        break; /* an open segment */
    case 8:
        json_object_set_new(j, "end_object", json_integer(70161));
        break;
    case 9:
        json_object_set_new(j, "maps", json_array());
        break; /* begins in the middle of nowhere */
    case 10:
        json_object_set_new(j, "segments", json_object());
        break;
    case 11:
        json_object_set_new(j, "version", json_integer(0));
        break;
    case 12:
        json_object_set_new(j, "n", json_integer(0));
        break;
    case 13:
        json_object_set_new(j, "claim", json_true());
        break;
    }
}

/* Rows of version 1, without CRCs. */
static void make_version_1(json_t *j, size_t i)
{
    static const char *names[] = {"maps", "segments"};
    for (size_t a = 0; a < 2; a++) {
        size_t r;
        json_t *row;
        json_array_foreach(json_object_get(j, names[a]), r, row) json_array_remove(row, json_array_size(row) - 1);
    }
    json_object_set_new(j, "version", json_integer(i ? 2 : 1));
}

static void a_head_of_version_1_is_read(void **state)
{
    (void)state;
    struct head h, back;
    char *buf, *changed;
    size_t len;
    make_head(&h);
    encode(&h, &buf, &len);
    json_t *j = json_open(buf, len, NULL);
    make_version_1(j, 0);
    assert_int_equal(json_seal(j, &changed, &len), 0);
    assert_int_equal(head_decode(changed, len, &back, NULL), 0);
    assert_int_equal(back.maps[1].size, 15000);
    assert_int_equal(back.maps[1].crc, 0);
    assert_int_equal(back.inl.segs[1].plain_bytes, 1800000);
    assert_int_equal(back.inl.segs[1].crc, 0);
    json_decref(j);
    free(changed);
    free(buf);
    head_free(&back);
    head_free(&h);
    assert_int_equal(decode_changed(make_version_1, 1), -EBADMSG); /* rows of the other version */
}

/* Whatever else it holds. */
static void make_version_5(json_t *j, size_t i)
{
    json_object_set_new(j, "version", json_integer(5));
    if (i)
        json_object_del(j, "segments");
}

static void a_head_of_a_later_version_is_no_damage(void **state)
{
    (void)state;
    struct head h, back;
    struct errtext err = {""};
    char *buf, *changed;
    size_t len;
    make_head(&h);
    encode(&h, &buf, &len);
    json_t *j = json_open(buf, len, NULL);
    for (size_t i = 0; i < 2; i++) {
        free(i ? changed : NULL);
        make_version_5(j, i);
        assert_int_equal(json_seal(j, &changed, &len), 0);
        assert_int_equal(head_decode(changed, len, &back, &err), -EPROTONOSUPPORT);
        assert_string_equal(err.text, "this head is of format version 5; this s3vtl reads 1 to 4");
    }
    changed[10] ^= 1; /* that is damage */
    assert_int_equal(head_decode(changed, len, &back, &err), -EBADMSG);
    free(changed);
    free(buf);
    json_decref(j);
    head_free(&h);
}

static void number_version_1(json_t *j, size_t i)
{
    (void)i;
    json_object_set_new(j, "version", json_integer(1));
}

static void large_crc(json_t *j, size_t i)
{
    json_t *row = json_array_get(json_object_get(j, i ? "segments" : "maps"), 1);
    json_array_set_new(row, i ? 7 : 4, json_integer(0x100000000));
}

static void a_crc_has_32_bits_and_version_2(void **state)
{
    (void)state;
    assert_int_equal(decode_changed(number_version_1, 0), -EBADMSG);
    assert_int_equal(decode_changed(large_crc, 0), -EBADMSG);
    assert_int_equal(decode_changed(large_crc, 1), -EBADMSG);
}

static void a_claim_may_say_who_made_it(void **state)
{
    (void)state;
    struct head h, back;
    char *buf;
    size_t len;
    make_head(&h);
    h.claim = true;
    h.id.number = 0;
    encode(&h, &buf, &len);
    assert_int_equal(head_decode(buf, len, &back, NULL), 0);
    assert_string_equal(back.host, "backup-1 (rack 3)");
    assert_int_equal(back.gateway, 0x0badcafe);
    assert_int_equal(back.claimed, 1767225550);
    free(buf);
    head_free(&back);
    head_free(&h);
}

static void segments_that_do_not_join_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 14; i++)
        assert_int_equal(decode_changed(break_join, i), -EBADMSG);
}

/* ---- who leans on whom: version 3 ---- */

static const struct seg_source source_a = {
    .cartridge = {1, 2, 3}, .barcode = "SRC001L8", .id = {3, 7, 12}, .size = 4096, .crc = 99};
static const struct seg_source source_b = {
    .cartridge = {4}, .barcode = "SRC002L8", .id = {4, 7, 1}, .size = 8192, .crc = 1};

static void make_leaning_head(struct head *h)
{
    make_head(h);
    h->leaners = calloc(2, sizeof(*h->leaners));
    assert_non_null(h->leaners);
    h->n_leaners = 2;
    h->leaners[0] = (struct head_leaner){"NEW001L8", {0xaa, 0xbb}, {5, 0x0000beef, 17}};
    h->leaners[1] = (struct head_leaner){"NEW002L8", {0xcc}, {6, 0x0000beef, 0}};
    h->at_rest = true;
    assert_int_equal(leans_add(&h->inl.leans, 0, &source_a), 0);
    assert_int_equal(leans_add(&h->inl.leans, 0, &source_b), 0);
    assert_int_equal(leans_add(&h->inl.leans, 1, &source_a), 0);
    assert_int_equal(leans_add(&h->pending, 0, &source_b), 0);
}

/* Only a locked one is of the version that an older s3vtl refuses. */
static void a_lock_makes_it_a_head_that_older_ones_refuse(void **state)
{
    (void)state;
    struct head h, back;
    char *buf;
    size_t len;
    struct errtext err = {""};
    make_head(&h);
    h.retention = (struct retention){RETENTION_COMPLIANCE, 1900000000};
    encode(&h, &buf, &len);
    assert_non_null(strstr(buf, "\"version\":4"));
    if (head_decode(buf, len, &back, &err))
        fail_msg("%s", err.text);
    assert_int_equal(back.retention.mode, RETENTION_COMPLIANCE);
    assert_int_equal(back.retention.until, 1900000000);
    assert_int_equal(back.n_leaners, 0);
    head_free(&back);
    free(buf);
    h.retention.until = 0; /* until never */
    assert_int_equal(head_encode(&h, &buf, &len), -EINVAL);
    h.retention = (struct retention){RETENTION_NONE, 0};
    encode(&h, &buf, &len);
    assert_non_null(strstr(buf, "\"version\":2"));
    free(buf);
    head_free(&h);
}

static void how_the_store_locks_it_is_told_beside_its_own_lock(void **state)
{
    (void)state;
    struct head h, back;
    char *buf;
    size_t len;
    struct errtext err = {""};
    make_head(&h);
    h.retention = (struct retention){RETENTION_GOVERNANCE, 1900000000};
    h.object_lock = (struct retention){RETENTION_COMPLIANCE, 1900800000};
    encode(&h, &buf, &len);
    if (head_decode(buf, len, &back, &err))
        fail_msg("%s", err.text);
    assert_int_equal(back.object_lock.mode, RETENTION_COMPLIANCE);
    assert_int_equal(back.object_lock.until, 1900800000);
    assert_int_equal(back.retention.mode, RETENTION_GOVERNANCE);
    head_free(&back);
    free(buf);
    h.retention = (struct retention){RETENTION_NONE, 0}; /* by itself it says nothing */
    assert_int_equal(head_encode(&h, &buf, &len), -EINVAL);
    h.retention = (struct retention){RETENTION_GOVERNANCE, 1900000000};
    h.object_lock.until = 0;
    assert_int_equal(head_encode(&h, &buf, &len), -EINVAL);
    h.object_lock = (struct retention){RETENTION_NONE, 0};
    encode(&h, &buf, &len);
    assert_null(strstr(buf, "object_lock"));
    free(buf);
    head_free(&h);
}

static void a_head_with_leans_round_trip(void **state)
{
    (void)state;
    struct head h, back;
    char *buf;
    size_t len;
    struct errtext err = {""};
    make_leaning_head(&h);
    encode(&h, &buf, &len);
    assert_non_null(strstr(buf, "\"version\":3"));
    if (head_decode(buf, len, &back, &err))
        fail_msg("%s", err.text);
    assert_true(back.at_rest);
    assert_false(back.removed);
    assert_int_equal(back.n_leaners, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(back.leaners[i].barcode, h.leaners[i].barcode);
        assert_memory_equal(back.leaners[i].cartridge, h.leaners[i].cartridge, 16);
        assert_int_equal(seg_id_compare(&back.leaners[i].head, &h.leaners[i].head), 0);
    }
    assert_int_equal(back.inl.leans.n, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct lean *a = &back.inl.leans.v[i], *b = &h.inl.leans.v[i];
        assert_int_equal(a->segment, b->segment);
        assert_memory_equal(a->source.cartridge, b->source.cartridge, 16);
        assert_string_equal(a->source.barcode, b->source.barcode);
        assert_int_equal(seg_id_compare(&a->source.id, &b->source.id), 0);
        assert_int_equal(a->source.size, b->source.size);
        assert_int_equal(a->source.crc, b->source.crc);
    }
    assert_int_equal(back.pending.n, 1);
    assert_string_equal(back.pending.v[0].source.barcode, "SRC002L8");
    assert_same(&h, &back);
    free(buf);
    head_free(&back);
    head_free(&h);
}

static void a_head_without_leans_is_of_version_2(void **state)
{
    (void)state;
    struct head h;
    char *buf;
    size_t len;
    make_head(&h);
    encode(&h, &buf, &len);
    assert_non_null(strstr(buf, "\"version\":2"));
    assert_null(strstr(buf, "at_rest"));
    free(buf);
    head_free(&h);
}

static void the_head_of_a_removed_cartridge_keeps_its_place(void **state)
{
    (void)state;
    struct head h, back;
    char *buf;
    size_t len;
    head_init(&h);
    h.id = (struct seg_id){1, 0xffffffff, 1};
    strcpy(h.barcode, "A1");
    h.generation = 5;
    h.removed = true;
    h.kept = calloc(2, sizeof(*h.kept));
    assert_non_null(h.kept);
    h.n_kept = 2;
    h.kept[0] = source_a.id;
    h.kept[1] = source_b.id;
    encode(&h, &buf, &len);
    assert_int_equal(head_decode(buf, len, &back, NULL), 0);
    assert_true(back.removed);
    assert_int_equal(back.n_kept, 2);
    assert_int_equal(seg_id_compare(&back.kept[1], &source_b.id), 0);
    assert_same(&h, &back);
    free(buf);
    head_free(&back);
    h.removed = false; /* a tape that is there keeps nothing beside its segments */
    assert_int_equal(head_encode(&h, &buf, &len), -EINVAL);
    head_free(&h);
}

static void change_leans(json_t *j, size_t i)
{
    json_t *leaner = json_array_get(json_object_get(j, "leaners"), 1);
    json_t *lean = json_array_get(json_object_get(j, "leans"), 2),
           *pending = json_array_get(json_object_get(j, "pending"), 0);
    json_t *source = json_array_get(json_object_get(j, "sources"), 1);
    switch (i) {
    case 0:
        json_object_del(j, "at_rest");
        break;
    case 1:
        json_object_set_new(j, "leaners", json_integer(1));
        break;
    case 2:
        json_array_set_new(leaner, 0, json_string("../x"));
        break;
    case 3:
        json_array_set_new(leaner, 1, json_string("00"));
        break;
    case 4:
        json_array_set_new(leaner, 2, json_integer(0));
        break;
    case 5:
        json_array_set_new(leaner, 3, json_string("beef"));
        break;
    case 6:
        json_array_remove(leaner, 4);
        break;
    case 7:
        json_array_set_new(lean, 0, json_integer(2)); /* of two segments */
        break;
    case 8:
        json_array_set_new(lean, 1, json_integer(2)); /* of two sources */
        break;
    case 9:
        json_array_set_new(lean, 2, json_string("x"));
        break;
    case 10:
        json_array_set_new(lean, 4, json_integer(0)); /* what binds nothing */
        break;
    case 11:
        json_array_set_new(json_array_get(json_object_get(j, "leans"), 0), 0, json_integer(1)); /* out of order */
        break;
    case 12:
        json_array_set_new(pending, 2, json_integer(0));
        break;
    case 13:
        json_array_set_new(source, 0, json_string(""));
        break;
    case 14:
        json_array_remove(source, 1);
        break;
    case 15:
        json_object_del(j, "sources");
        break;
    case 16:
        json_object_set_new(j, "removed", json_true()); /* with segments */
        break;
    case 17:
        json_object_set_new(j, "kept", json_pack("[s]", "00000003-00000007-0000000012"));
        break;
    }
}

static void leans_and_leaners_are_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < 18; i++) {
        struct head h, back;
        char *buf, *changed;
        size_t len;
        make_leaning_head(&h);
        encode(&h, &buf, &len);
        json_t *j = json_open(buf, len, NULL);
        change_leans(j, i);
        assert_int_equal(json_seal(j, &changed, &len), 0);
        if (head_decode(changed, len, &back, NULL) != -EBADMSG)
            fail_msg("change %zu got in", i);
        free(changed);
        free(buf);
        json_decref(j);
        head_free(&h);
    }
}

/* ---- the envelope ---- */

static json_t *open_text(const char *line, const char *seal)
{
    char buf[512];
    int n = snprintf(buf, sizeof(buf), "%s\n", line);
    n += snprintf(buf + n, sizeof(buf) - (size_t)n, seal, crc32c(0, buf, (size_t)n));
    return json_open(buf, (size_t)n, NULL);
}

static void envelope_has_one_form(void **state)
{
    (void)state;
    const char *seal = "{\"crc32c\":\"%08x\"}\n";
    json_t *j = open_text("{\"a\":1}", seal);
    assert_non_null(j);
    json_decref(j);
    assert_null(open_text("{\"a\":1}", "{\"crc32c\":\"%08x\"}"));    /* no newline */
    assert_null(open_text("{\"a\":1}", "{\"crc32c\": \"%08x\"}\n")); /* a blank */
    assert_null(open_text("{\"a\":1}", "{\"crc32c\":\"%08X\"}\n"));  /* this sum has letters */
    assert_null(open_text("{\"a\":1}\n", seal));                     /* three lines */
    assert_null(open_text("{\"a\":1", seal));                        /* right sum, wrong JSON */
    assert_null(open_text("{\"a\":1,\"a\":2}", seal));               /* which? */
    assert_null(open_text("", seal));
    assert_null(json_open("", 0, NULL));
}

static void hostile_json_is_refused(void **state)
{
    (void)state;
    size_t n = 300000;
    char *deep = malloc(n + 100);
    assert_non_null(deep);
    memset(deep, '[', n);
    deep[n] = '\n';
    int m = snprintf(deep + n + 1, 99, "{\"crc32c\":\"%08x\"}\n", crc32c(0, deep, n + 1));
    assert_null(json_open(deep, n + 1 + (size_t)m, NULL));
    free(deep);
    assert_null(open_text("{\"a\":99999999999999999999999}", "{\"crc32c\":\"%08x\"}\n"));
    assert_null(open_text("{\"a\":\"\xff\xfe\"}", "{\"crc32c\":\"%08x\"}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_of_version_1_is_read),
        cmocka_unit_test(a_lock_makes_it_a_head_that_older_ones_refuse),
        cmocka_unit_test(how_the_store_locks_it_is_told_beside_its_own_lock),
        cmocka_unit_test(a_head_with_leans_round_trip),
        cmocka_unit_test(a_head_without_leans_is_of_version_2),
        cmocka_unit_test(the_head_of_a_removed_cartridge_keeps_its_place),
        cmocka_unit_test(leans_and_leaners_are_checked),
        cmocka_unit_test(a_head_of_a_later_version_is_no_damage),
        cmocka_unit_test(a_crc_has_32_bits_and_version_2),
        cmocka_unit_test(a_claim_may_say_who_made_it),
        cmocka_unit_test(head_round_trip),
        cmocka_unit_test(empty_cartridge_round_trip),
        cmocka_unit_test(claim_holds_no_state),
        cmocka_unit_test(open_segment_is_never_encoded),
        cmocka_unit_test(rules_hold_for_encoding),
        cmocka_unit_test(every_flipped_byte_is_found),
        cmocka_unit_test(truncated_head_is_found),
        cmocka_unit_test(every_field_is_required_and_typed),
        cmocka_unit_test(texts_are_checked),
        cmocka_unit_test(rows_are_checked),
        cmocka_unit_test(segments_that_do_not_join_are_refused),
        cmocka_unit_test(envelope_has_one_form),
        cmocka_unit_test(hostile_json_is_refused),
    };
    return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}
