/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_pbs.c: what Proxmox Backup Server does with single drives and the changer, command by command, where no other
 * test shows it. CDBs and lengths are those that it sends. */
#include "tests/iscsi/library.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/be.h"

#define D LUN_DRIVE0
enum { BLOCK = 262144, PROBE = 512 };

static uint8_t block[BLOCK], back[BLOCK], room[65535];

static struct session *open_blank(void)
{
    struct session *s = session_open(NULL);
    settle_all(s);
    load_blank(s, 0, "TEST01L8");
    return s;
}

/* PBS attaches a buffer of 16 bytes to each command without data. */
static void no_data(struct session *s, const uint8_t *cdb, size_t len)
{
    struct reply r;
    command(s, D, cdb, len, DATA_IN, room, 16, &r);
    assert_good(&r);
    assert_residual(&r, 16);
}
#define NO_DATA_COMMAND(s, ...) no_data(s, CDB(__VA_ARGS__))

static void space_filemarks(struct session *s, int n)
{
    NO_DATA_COMMAND(s, 0x11, 1, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, 0);
}

/* A file of n blocks and its filemark, as the end of each file of PBS. */
static void write_file(struct session *s, unsigned file, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        fill(block, BLOCK, file * 1000 + i);
        write_block(s, D, block, BLOCK);
    }
    NO_DATA_COMMAND(s, 0x10, 1, 0, 0, 1, 0);
}

static void read_file(struct session *s, unsigned file, unsigned n)
{
    struct reply r;
    for (unsigned i = 0; i < n; i++) {
        fill(block, BLOCK, file * 1000 + i);
        read_block(s, D, back, BLOCK, &r);
        assert_good(&r);
        assert_residual(&r, 0);
        assert_memory_equal(block, back, BLOCK);
    }
    read_block(s, D, back, PROBE, &r);
    assert_sense(&r, 0, 0x0001);
    assert_residual(&r, PROBE);
}

static void expect_end(struct session *s)
{
    struct reply r;
    read_block(s, D, back, BLOCK, &r);
    assert_sense(&r, 8, 0x0005);
}

static void a_file_ends_with_a_filemark_where_pbs_probes_for_it(void **state)
{
    (void)state;
    struct session *s = open_blank();
    write_file(s, 0, 1);
    write_file(s, 1, 5);
    NO_DATA_COMMAND(s, 0x10, 0, 0, 0, 0, 0);
    NO_DATA_COMMAND(s, 0x01, 0, 0, 0, 0, 0);
    read_file(s, 0, 1);
    assert_position(s, D, 2, 1);
    read_file(s, 1, 5);
    assert_position(s, D, 8, 2);
    expect_end(s);
    session_close(s);
}

static void many_filemarks_in_one_command(void **state)
{
    (void)state;
    struct session *s = open_blank();
    NO_DATA_COMMAND(s, 0x10, 0, 0, 0, 255, 0);
    assert_position(s, D, 255, 255);
    NO_DATA_COMMAND(s, 0x10, 0, 0, 0, 1, 0);
    space_filemarks(s, -256);
    assert_position(s, D, 0, 0);
    session_close(s);
}

/* label_tape, then the label of a media set; each read back as read_label does it. */
static void a_label_is_written_and_read_back(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    NO_DATA_COMMAND(s, 0x01, 0, 0, 0, 0, 0);
    expect_end(s); /* PBS labels empty tapes only */
    command(s, D, CDB(0x5A, 0, 0x1D, 0, 0, 0, 0, 0x10, 0, 0), DATA_IN, room, 4096, &r);
    assert_good(&r);
    assert_int_equal(room[8], 0x5E);
    assert_int_equal(room[18] & 1, 0);
    NO_DATA_COMMAND(s, 0x01, 0, 0, 0, 0, 0);
    NO_DATA_COMMAND(s, 0x04, 0, 0, 0, 0, 0);
    write_file(s, 0, 1);
    NO_DATA_COMMAND(s, 0x10, 0, 0, 0, 0, 0);
    NO_DATA_COMMAND(s, 0x01, 0, 0, 0, 0, 0);
    read_file(s, 0, 1);
    expect_end(s); /* no set yet */
    assert_position(s, D, 2, 1);
    NO_DATA_COMMAND(s, 0x01, 0, 0, 0, 0, 0);
    read_block(s, D, back, BLOCK, &r);
    assert_good(&r); /* now it is not empty any more */
    NO_DATA_COMMAND(s, 0x01, 0, 0, 0, 0, 0);
    space_filemarks(s, 1);
    assert_position(s, D, 2, 1);
    write_file(s, 1, 1);
    NO_DATA_COMMAND(s, 0x10, 0, 0, 0, 0, 0);
    NO_DATA_COMMAND(s, 0x01, 0, 0, 0, 0, 0);
    read_file(s, 0, 1);
    read_file(s, 1, 1);
    assert_position(s, D, 4, 2);
    session_close(s);
}

/* A set begins anew behind the first filemark, whatever was there. */
static void a_new_set_label_cuts_the_old_files_off(void **state)
{
    (void)state;
    struct session *s = open_blank();
    for (unsigned i = 0; i < 5; i++)
        write_file(s, i, 2);
    NO_DATA_COMMAND(s, 0x01, 0, 0, 0, 0, 0);
    space_filemarks(s, 1);
    assert_position(s, D, 3, 1);
    write_file(s, 77, 1);
    NO_DATA_COMMAND(s, 0x10, 0, 0, 0, 0, 0);
    expect_end(s);
    NO_DATA_COMMAND(s, 0x11, 3, 0, 0, 0, 0);
    assert_position(s, D, 5, 2);
    NO_DATA_COMMAND(s, 0x01, 0, 0, 0, 0, 0);
    read_file(s, 0, 2);
    read_file(s, 77, 1);
    expect_end(s);
    session_close(s);
}

/* locate_file(n): n = 0 REWIND; 1 one filemark from there; else LOCATE to file n - 1, a filemark further, and look. */
static void a_file_is_found_as_pbs_looks_for_it(void **state)
{
    (void)state;
    struct session *s = open_blank();
    enum { FILES = 6 };
    for (unsigned i = 0; i < FILES; i++)
        write_file(s, i, 1 + i % 3);
    static const uint8_t order[] = {3, 5, 0, 2, 4, 1, 5, 2};
    for (size_t i = 0; i < sizeof(order); i++) {
        uint8_t n = order[i];
        uint64_t object, file;
        if (n < 2) {
            NO_DATA_COMMAND(s, 0x01, 0, 0, 0, 0, 0);
        } else {
            NO_DATA_COMMAND(s, 0x92, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0, (uint8_t)(n - 1), 0, 0, 0, 0);
        }
        if (n > 0)
            space_filemarks(s, 1);
        position(s, D, &object, &file);
        assert_int_equal(file, n);
        read_file(s, n, 1 + n % 3u);
    }
    session_close(s);
}

static void the_last_file_is_found_as_pbs_looks_for_it(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    for (unsigned i = 0; i < 4; i++)
        write_file(s, i, 2);
    NO_DATA_COMMAND(s, 0x01, 0, 0, 0, 0, 0);
    NO_DATA_COMMAND(s, 0x11, 3, 0, 0, 0, 0);
    assert_position(s, D, 12, 4);
    command(s, D, CDB(0x11, 0, 0xff, 0xff, 0xff, 0), DATA_IN, room, 16, &r); /* check_filemark */
    assert_sense(&r, 0, 0x0001);
    space_filemarks(s, 1);
    assert_position(s, D, 12, 4);
    space_filemarks(s, -2);
    space_filemarks(s, 1);
    assert_position(s, D, 9, 3);
    read_file(s, 3, 2);
    session_close(s);
}

static void mode_data_are_echoed_by_the_short_commands_too(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    command(s, D, CDB(0x1A, 0, 0x0F, 0, 0xff, 0), DATA_IN, room, 4096, &r);
    assert_good(&r);
    assert_residual(&r, 4096 - 28);
    assert_int_equal(room[0], 27);
    assert_int_equal(room[3], 8);
    room[0] = 0;
    room[2] = (uint8_t)((room[2] & 0x8f) | 0x10);
    put_be24(room + 9, 0);
    room[14] |= 0x80;
    command(s, D, CDB(0x15, 0x10, 0, 0, 0x1c, 0), DATA_OUT, room, 28, &r);
    assert_good(&r);
    assert_residual(&r, 0);
    NO_DATA_COMMAND(s, 0, 0, 0, 0, 0, 0);
    session_close(s);
}

/* ---- cartridge memory ---- */

/* READ ATTRIBUTE as PBS asks; the value of an attribute, NULL when it is not there. */
static const uint8_t *attribute(struct session *s, uint16_t id, uint16_t *len)
{
    struct reply r;
    const uint8_t *found = NULL;
    command(s, D, CDB(0x8C, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0), DATA_IN, room, 32768, &r);
    assert_good(&r);
    uint32_t end = 4 + get_be32(room);
    assert_int_equal(32768 - r.residual, end);
    uint32_t at = 4;
    while (at + 5 <= end) {
        if (get_be16(room + at) == id) {
            *len = get_be16(room + at + 3);
            found = room + at + 5;
        }
        at += 5u + get_be16(room + at + 3);
    }
    assert_int_equal(at, end);
    return found;
}

/* One attribute in each command; length 0 clears. */
static void write_attribute(struct session *s, uint16_t id, uint8_t format, uint8_t len, const char *value)
{
    uint8_t list[4 + 5 + 160] = {0};
    struct reply r;
    put_be32(list, 5u + len);
    put_be16(list + 4, id);
    list[6] = format;
    put_be16(list + 7, len);
    if (len)
        memcpy(list + 9, value, strlen(value));
    command(s, D, CDB(0x8D, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (uint8_t)(9 + len), 0, 0), DATA_OUT, list, 9u + len,
            &r);
    assert_good(&r);
    assert_residual(&r, 0);
}

static const struct {
    uint16_t id;
    uint8_t format, len;
    const char *value;
} written[] = {{0x0800, 1, 8, "Proxmox"},
               {0x0801, 1, 32, "Proxmox Backup Server"},
               {0x0802, 1, 8, "3.2.4"},
               {0x0803, 2, 160, "TEST01L8"},
               {0x0808, 2, 160, "daily"}};
enum { WRITTEN = sizeof(written) / sizeof(*written) };

static void attributes_are_written_read_and_cleared_as_pbs_does(void **state)
{
    (void)state;
    struct session *s = open_blank();
    uint16_t len;
    for (size_t i = 0; i < WRITTEN; i++)
        write_attribute(s, written[i].id, written[i].format, written[i].len, written[i].value);
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < WRITTEN; i++) {
            const uint8_t *v = attribute(s, written[i].id, &len);
            assert_non_null(v);
            assert_int_equal(len, written[i].len);
            assert_string_equal((const char *)v, written[i].value);
        }
        NO_DATA_COMMAND(s, 0x1B, 0, 0, 0, 0, 0); /* out and in again */
        NO_DATA_COMMAND(s, 0x1B, 0, 0, 0, 1, 0);
        settle(s, D);
    }
    for (size_t i = 0; i < WRITTEN; i++) {
        write_attribute(s, written[i].id, written[i].format, 0, NULL);
        assert_null(attribute(s, written[i].id, &len));
    }
    session_close(s);
}

static void attributes_of_an_empty_drive_are_not_ready(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    empty_drive(s, 0);
    settle(s, D);
    command(s, D, CDB(0x8C, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0), DATA_IN, room, 32768, &r);
    assert_sense(&r, 2, 0x3A00);
    session_close(s);
}

/* get_drive_and_media_status, of a drive with a tape that does nothing. */
static void the_status_of_a_drive_in_its_order(void **state)
{
    (void)state;
    struct session *s = open_blank();
    struct reply r;
    uint16_t len;
    write_file(s, 0, 3);
    NO_DATA_COMMAND(s, 0x10, 0, 0, 0, 0, 0); /* nothing waits to be written */
    command(s, D, CDB(0x03, 0, 0, 0, 0xFC, 0), DATA_IN, room, 252, &r);
    assert_good(&r);
    command(s, D, CDB(0x5A, 0, 0x0F, 0, 0, 0, 0, 0x10, 0, 0), DATA_IN, room, 4096, &r);
    assert_good(&r);
    command(s, D, CDB(0x4D, 0, 0x51, 0, 0, 0, 0, 0x20, 0, 0), DATA_IN, room, 8192, &r);
    assert_good(&r);
    assert_int_equal(room[10], 0); /* no activity */
    command(s, D, CDB(0x4D, 0, 0x52, 0, 0, 0, 0, 2, 0, 0), DATA_IN, room, 512, &r);
    assert_good(&r);
    static const uint8_t no_alert[8] = {0};
    assert_memory_equal(room + 8, no_alert, 8);
    NO_DATA_COMMAND(s, 0, 0, 0, 0, 0, 0);
    assert_position(s, D, 4, 1);
    const uint8_t *date = attribute(s, 0x0406, &len);
    assert_non_null(date);
    assert_int_equal(len, 8);
    for (int i = 0; i < 8; i++)
        assert_in_range(date[i], '0', '9');
    assert_non_null(attribute(s, 0x0220, &len));
    assert_int_equal(len, 8);
    assert_non_null(attribute(s, 0x0221, &len));
    assert_int_equal(len, 8);
    command(s, D, CDB(0x4D, 0, 0x57, 0, 0, 0, 0, 0x20, 0, 0), DATA_IN, room, 8192, &r);
    assert_good(&r);
    assert_int_equal(room[0] & 0x7f, 0x17);
    assert_int_equal(get_be16(room + 4), 0);
    assert_int_not_equal(room[8], 0); /* the page is valid */
    session_close(s);
}

/* ---- nothing syncs the last catalog of a job ---- */

/* The newest segment of a cartridge in the store: names rise, and what an erase made garbage goes in its own time. */
static void newest_segment(const char *barcode, char name[256])
{
    char dir[300];
    const char *store = getenv("S3VTL_TEST_STORE");
    assert_non_null(store);
    (void)snprintf(dir, sizeof(dir), "%s/tapes/%s/seg", store, barcode);
    DIR *d = opendir(dir);
    name[0] = '\0';
    for (const struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.' && strcmp(e->d_name, name) > 0)
            (void)snprintf(name, 256, "%s", e->d_name);
    if (d)
        closedir(d);
}

/* Sooner than the idle timer (30 s) would bring it. */
static void await_segment(const char *barcode, const char *before, const char *why)
{
    char now[256];
    for (unsigned i = 0; i < 750; i++) {
        newest_segment(barcode, now);
        if (strcmp(now, before) > 0)
            return;
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    fail_msg("nothing was stored within 15 s of %s", why);
}

static void data_reach_the_store_when_the_tape_moves_away(void **state)
{
    (void)state;
    struct session *s = open_blank();
    char before[256];
    for (unsigned way = 0; way < 3; way++) {
        NO_DATA_COMMAND(s, 0x11, 3, 0, 0, 0, 0);
        newest_segment("TEST01L8", before);
        write_file(s, 10 + way, 2);
        if (way == 0)
            NO_DATA_COMMAND(s, 0x01, 0, 0, 0, 0, 0);
        else if (way == 1)
            space_filemarks(s, -1);
        else
            NO_DATA_COMMAND(s, 0x92, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0);
        await_segment("TEST01L8", before, way == 0 ? "REWIND" : way == 1 ? "SPACE" : "LOCATE");
    }
    session_close(s);
}

/* ---- changer ---- */

/* One READ ELEMENT STATUS as the parser takes it apart: all lengths must join. Returns the addresses. */
static size_t element_status(struct session *s, uint8_t type, uint8_t dvcid, uint16_t address[64])
{
    struct reply r;
    command(s, LUN_CHANGER, CDB(0xB8, type, 0, 0, 0x03, 0xE8, dvcid, 0, 0xFF, 0xFF, 0, 0), DATA_IN, room, 65535, &r);
    assert_good(&r);
    size_t got = 65535 - r.residual, n = get_be16(room + 2);
    assert_int_equal(get_be24(room + 5), got - 8);
    if (!n)
        return 0;
    assert_int_equal(room[8], type & 0x0f);
    assert_int_equal(room[9] & 0x80, type & 0x10 ? 0x80 : 0);
    size_t len = get_be16(room + 10);
    assert_int_equal(get_be24(room + 13), n * len);
    assert_int_equal(got, 16 + n * len);
    assert_true(len >= 12 + (type & 0x10 ? 36u : 0));
    assert_true(n <= 64);
    for (size_t i = 0; i < n; i++)
        address[i] = get_be16(room + 16 + i * len);
    return n;
}

static void the_status_of_the_library_in_seven_commands(void **state)
{
    (void)state;
    struct session *s = session_open(NULL);
    struct reply r;
    uint8_t page[255];
    uint16_t address[5][64], again[64];
    settle_all(s);
    command(s, LUN_CHANGER, CDB(0x12, 0, 0, 0, 0x24, 0), DATA_IN, room, 36, &r);
    assert_good(&r);
    assert_int_equal(room[0] & 0x1f, 8);
    command(s, LUN_CHANGER, CDB(0x1A, 0x08, 0x1D, 0, 0xFF, 0), DATA_IN, page, sizeof(page), &r);
    assert_good(&r);
    static const int count_at[] = {0, 8, 12, 16, 20};
    static const uint8_t order[] = {2, 3, 4, 4, 1};
    for (int i = 0; i < 5; i++) {
        uint8_t type = order[i];
        bool dvcid = i == 3;
        size_t n =
            element_status(s, (uint8_t)(type | (dvcid ? 0 : 0x10)), (uint8_t)dvcid, dvcid ? again : address[type]);
        assert_int_equal(n, get_be16(page + count_at[type]));
        for (size_t k = 1; k < n; k++)
            assert_true((dvcid ? again : address[type])[k] > (dvcid ? again : address[type])[k - 1]);
        if (dvcid)
            assert_memory_equal(again, address[4], n * sizeof(*again));
    }
    session_close(s);
}

static void of_two_moves_at_once_one_is_done_and_one_fails(void **state)
{
    (void)state;
    struct session *a = session_open(&(struct session_options){.name = "a", .isid = 1});
    struct session *b = session_open(&(struct session_options){.name = "b", .isid = 2});
    settle_all(a);
    empty_drive(a, 0);
    empty_drive(a, 1);
    settle_all(b);
    for (int round = 0; round < 10; round++) {
        uint16_t at = find_cartridge(a, "TEST03L8");
        const uint16_t to[2] = {round % 2 ? SLOT + 12 : DOOR, round % 2 ? SLOT + 13 : DOOR + 1};
        struct pending *p[2];
        for (int i = 0; i < 2; i++)
            p[i] = submit(
                i ? b : a, LUN_CHANGER,
                CDB(0xA5, 0, 0, 0, (uint8_t)(at >> 8), (uint8_t)at, (uint8_t)(to[i] >> 8), (uint8_t)to[i], 0, 0, 0, 0),
                DATA_IN, room + 64 * i, 64);
        const struct reply *r[2] = {await(p[0]), await(p[1])};
        int winner = r[0]->status == 0 ? 0 : 1;
        assert_good(r[winner]);
        assert_sense(r[!winner], 5, 0x3B0E);
        assert_int_equal(find_cartridge(b, "TEST03L8"), to[winner]);
        assert_false(element_full(b, to[!winner], NULL));
        pending_free(p[0]);
        pending_free(p[1]);
    }
    session_close(a);
    session_close(b);
}

static void tool(const char *words)
{
    char line[600];
    const char *s3vtl = getenv("S3VTL_TEST_COMMAND");
    assert_non_null(s3vtl);
    (void)snprintf(line, sizeof(line), "%s %s >/dev/null 2>&1", s3vtl, words);
    assert_int_equal(system(line), 0); /* NOLINT(cert-env33-c): the suite's own command */
}

static void barcodes_differ_by_case(void **state)
{
    (void)state;
    tool("tape create case01L8 CASE01L8");
    struct session *s = session_open(NULL);
    settle_all(s);
    assert_int_not_equal(find_cartridge(s, "case01L8"), find_cartridge(s, "CASE01L8"));
    session_close(s);
    tool("tape remove case01L8");
    tool("tape remove CASE01L8");
}

/* ---- the checklist ---- */

static void every_command_of_the_checklist_is_supported(void **state)
{
    (void)state;
    static const uint8_t drive[] = {0x00, 0x01, 0x03, 0x04, 0x05, 0x08, 0x0A, 0x10, 0x11, 0x12, 0x15, 0x19,
                                    0x1A, 0x1B, 0x1E, 0x34, 0x44, 0x4D, 0x55, 0x5A, 0x91, 0x92, 0xA0};
    static const uint8_t changer[] = {0x00, 0x03, 0x07, 0x12, 0x1A, 0xA0, 0xA5, 0xB8};
    struct session *s = session_open(NULL);
    settle_all(s);
    for (size_t i = 0; i < sizeof(drive) + sizeof(changer); i++) {
        bool of_drive = i < sizeof(drive);
        uint8_t one[64], opcode = of_drive ? drive[i] : changer[i - sizeof(drive)];
        struct reply r;
        command(s, of_drive ? D : LUN_CHANGER, CDB(0xA3, 0x0C, 1, opcode, 0, 0, 0, 0, 0, sizeof(one), 0, 0), DATA_IN,
                one, sizeof(one), &r);
        assert_good(&r);
        if ((one[1] & 7) != 3)
            fail_msg("%02x of the %s is not supported", opcode, of_drive ? "drive" : "changer");
    }
    session_close(s);
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_file_ends_with_a_filemark_where_pbs_probes_for_it),
        T(many_filemarks_in_one_command),
        T(a_label_is_written_and_read_back),
        T(a_new_set_label_cuts_the_old_files_off),
        T(a_file_is_found_as_pbs_looks_for_it),
        T(the_last_file_is_found_as_pbs_looks_for_it),
        T(mode_data_are_echoed_by_the_short_commands_too),
        T(attributes_are_written_read_and_cleared_as_pbs_does),
        T(attributes_of_an_empty_drive_are_not_ready),
        T(the_status_of_a_drive_in_its_order),
        T(data_reach_the_store_when_the_tape_moves_away),
        T(the_status_of_the_library_in_seven_commands),
        T(of_two_moves_at_once_one_is_done_and_one_fails),
        T(barcodes_differ_by_case),
        T(every_command_of_the_checklist_is_supported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
