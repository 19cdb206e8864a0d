/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_format.c: the worked examples of vtl/FORMAT.md are what the program writes, byte for byte (I10). Run in the top
 * directory. */
#include "segment_help.h"

#include <stdio.h>

#include "vtl/format/head.h"

/* The text of vtl/FORMAT.md between "```<kind> <name>" and the next "```". The caller frees it. */
static char *example(const char *opening)
{
    FILE *f = fopen("vtl/FORMAT.md", "r");
    if (!f)
        fail_msg("vtl/FORMAT.md: %s (run in the top directory)", strerror(errno));
    char *line = NULL, *text = NULL;
    size_t room = 0, len = 0;
    FILE *out = open_memstream(&text, &len);
    bool inside = false;
    assert_non_null(out);
    while (getline(&line, &room, f) > 0) {
        if (inside && !strncmp(line, "```", 3))
            break;
        if (inside)
            fputs(line, out);
        line[strcspn(line, "\n")] = 0;
        inside = inside || !strcmp(line, opening);
    }
    free(line);
    fclose(f);
    fclose(out);
    return text;
}

/* The way that FORMAT.md shows bytes: offset, 16 bytes, what is printable of them. */
static char *dump(const uint8_t *p, size_t len)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    for (size_t at = 0; at < len; at += 16) {
        fprintf(out, "%04zx ", at);
        for (size_t i = at; i < at + 16; i++)
            i < len ? fprintf(out, " %02x", p[i]) : fprintf(out, "   ");
        fprintf(out, "  ");
        for (size_t i = at; i < at + 16 && i < len; i++)
            fputc(p[i] >= ' ' && p[i] < 127 ? p[i] : '.', out);
        fputc('\n', out);
    }
    fclose(out);
    return text;
}

static void compare(const char *opening, char *is)
{
    char *doc = example(opening);
    if (strcmp(doc, is)) {
        fprintf(stderr, "# vtl/FORMAT.md should have:\n%s\n%s```\n", opening, is); /* too long for print_message */
        fail();
    }
    free(doc);
    free(is);
}

static const struct seg_id segment_id = {1, 0x5e11a7e5, 0};
static const uint8_t cartridge[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                      0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

static uint32_t segment_crc; /* of the footer of the document's segment */

static uint8_t *make_segment(size_t *len)
{
    struct seg_header h = {.barcode = "S3V001L8", .id = segment_id, .created = 1767225600};
    memcpy(h.cartridge, cartridge, 16);
    struct seg_writer *w = NULL;
    struct seg_totals t;
    int fd = new_file();
    assert_int_equal(seg_writer_create(fd, &h, &w), 0);
    add_block(w, (const uint8_t *)"Hello, tape!", 12, false);
    add_block(w, (const uint8_t *)"Second block", 12, false);
    assert_int_equal(seg_writer_filemarks(w, 2), 0);
    assert_int_equal(seg_writer_seal(w), 0);
    seg_writer_totals(w, &t);
    segment_crc = t.crc;
    seg_writer_free(w);
    uint8_t *p = read_file(fd, len);
    close(fd);
    return p;
}

static void segment_of_the_document(void **state)
{
    (void)state;
    size_t len;
    uint8_t *p = make_segment(&len);
    compare("```hex segment", dump(p, len));
    free(p);
}

static void make_index(struct tape_index *x)
{
    size_t len;
    free(make_segment(&len));
    struct seg_ref r = {
        .id = segment_id, .objects = 4, .filemarks = 2, .size = len, .plain_bytes = 24, .crc = segment_crc};
    struct seg_fm_run run = {2, 2};
    tape_index_init(x);
    assert_int_equal(tape_index_append(x, &r, &run, 1), 0);
}

static const struct seg_source source = {.cartridge = {0xaa, 0xbb, 0xcc, 0xdd, [15] = 0xee},
                                         .barcode = "S3V000L8",
                                         .id = {3, 0x5e11a7e5, 41},
                                         .size = 41943040,
                                         .crc = 0x8a3c7caf};

static void map_of_the_document(void **state)
{
    (void)state;
    struct tape_index x;
    struct seg_id id = {1, 0x5e11a7e5, 0};
    void *p;
    size_t len;
    make_index(&x);
    assert_int_equal(map_encode(cartridge, &id, &x, 0, 1, &p, &len), 0);
    compare("```hex map", dump(p, len));
    free(p);
    assert_int_equal(leans_add(&x.leans, 0, &source), 0);
    assert_int_equal(map_encode(cartridge, &id, &x, 0, 1, &p, &len), 0);
    compare("```hex map of version 3", dump(p, len));
    free(p);
    tape_index_free(&x);
}

static char *encoded(const struct head *h)
{
    char *buf;
    size_t len;
    assert_int_equal(head_encode(h, &buf, &len), 0);
    char *text = strndup(buf, len);
    free(buf);
    return text;
}

static void heads_of_the_document(void **state)
{
    (void)state;
    struct head h;
    head_init(&h);
    h.id = (struct seg_id){1, 0x5e11a7e5, 0};
    memcpy(h.cartridge, cartridge, 16);
    strcpy(h.barcode, "S3V001L8");
    strcpy(h.host, "backup-1");
    h.gateway = 0x9a7e3a11;
    h.claimed = 1767225550;
    h.claim = true;
    compare("```json claim", encoded(&h));
    h.claim = false;
    h.id.number = 2;
    h.generation = 8;
    h.capacity = 12000000000000;
    h.created = 1767225500;
    h.modified = 1767225600;
    h.next_segment = 1;
    h.counters = json_pack("{s:i}", "mounts", 1);
    make_index(&h.inl);
    h.end_object = 4;
    h.end_file = 2;
    compare("```json head", encoded(&h));
    struct head_leaner leaner = {"S3V002L8", {0x22, [15] = 0x44}, {7, 0x5e11a7e5, 3}};
    assert_int_equal(leans_add(&h.inl.leans, 0, &source), 0);
    h.at_rest = true;
    h.leaners = &leaner;
    h.n_leaners = 1;
    compare("```json head of version 3", encoded(&h));
    h.retention = (struct retention){RETENTION_COMPLIANCE, 1924992000};
    compare("```json head of version 4", encoded(&h));
    h.leaners = NULL;
    head_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segment_of_the_document),
        cmocka_unit_test(map_of_the_document),
        cmocka_unit_test(heads_of_the_document),
    };
    return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
