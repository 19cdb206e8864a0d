/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_encryption.c: a drive's encryption over iSCSI, on real tapes: what is written with a key is read with it only,
 * and is nowhere to be found in the clear; nor is the key. */
#include "tests/iscsi/library.h"
#include "tests/iscsi/raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"

#define D LUN_DRIVE0
static uint8_t block[65536], got[65536];

static struct session *open_loaded(void)
{
    struct session *s = session_open(NULL);
    settle_all(s);
    load_blank(s, 0, "TEST01L8");
    return s;
}

static void key_of(unsigned n, uint8_t key[32])
{
    for (unsigned i = 0; i < 32; i++)
        key[i] = (uint8_t)('A' + (n * 7 + i * i * 11) % 57); /* printable; no piece of one is in another */
}

/* As PBS sends it; n 0: off. decryption: 2 decrypt, 3 mixed. */
static void send_key(struct session *s, unsigned n, uint8_t scope, uint8_t decryption, struct reply *r)
{
    uint8_t list[52] = {0, 0x10};
    size_t len = n ? 52 : 20;
    put_be16(list + 2, (uint16_t)(len - 4));
    list[4] = (uint8_t)(scope << 5);
    list[6] = n ? 2 : 0;
    list[7] = n ? decryption : 0;
    list[8] = 1;
    put_be16(list + 18, n ? 32 : 0);
    if (n)
        key_of(n, list + 20);
    command(s, D, CDB(0xB5, 0x20, 0, 0x10, 0, 0, 0, 0, 0, (uint8_t)len, 0, 0), DATA_OUT, list, len, r);
}

static void set_key(struct session *s, unsigned n, uint8_t scope, uint8_t decryption)
{
    struct reply r;
    send_key(s, n, scope, decryption, &r);
    assert_good(&r);
    assert_residual(&r, 0);
}

static void expect_status(struct session *s, uint8_t encryption, uint8_t decryption)
{
    struct reply r;
    uint8_t page[8196];
    command(s, D, CDB(0xA2, 0x20, 0, 0x20, 0, 0, 0, 0, 0x20, 0x04, 0, 0), DATA_IN, page, sizeof(page), &r);
    assert_good(&r);
    assert_true(sizeof(page) - r.residual >= 24);
    assert_int_equal(get_be16(page), 0x20);
    assert_int_equal(page[5], encryption);
    assert_int_equal(page[6], decryption);
}

/* Text, so that it compresses and would be seen. */
static void make_block(unsigned n)
{
    char line[64];
    int len = snprintf(line, sizeof(line), "the secret text number %u of this test. ", n);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (uint8_t)line[i % (size_t)len];
}

static void write_text(struct session *s, unsigned n)
{
    struct reply r;
    make_block(n);
    command(s, D, CDB(0x0A, 0, 0x01, 0, 0, 0), DATA_OUT, block, sizeof(block), &r);
    assert_good(&r);
}

static void read_any(struct session *s, struct reply *r)
{
    memset(got, 0, sizeof(got));
    command(s, D, CDB(0x08, 0, 0x01, 0, 0, 0), DATA_IN, got, sizeof(got), r);
}

static void expect_text(struct session *s, unsigned n)
{
    struct reply r;
    read_any(s, &r);
    assert_good(&r);
    make_block(n);
    assert_memory_equal(got, block, sizeof(block));
}

static void do_good(struct session *s, const uint8_t *cdb, size_t len)
{
    struct reply r;
    uint8_t sixteen[16];
    command(s, D, cdb, len, DATA_IN, sixteen, sizeof(sixteen), &r);
    assert_good(&r);
}
#define REWIND CDB(0x01, 0, 0, 0, 0, 0)
#define FILEMARK CDB(0x10, 0, 0, 0, 1, 0)

static void a_block_is_read_with_its_key_only(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    struct reply r;
    set_key(s, 1, 2, 3);
    expect_status(s, 2, 3);
    write_text(s, 1);
    write_text(s, 2);
    do_good(s, FILEMARK);
    do_good(s, REWIND);
    expect_text(s, 1);
    set_key(s, 0, 2, 0);
    expect_status(s, 0, 0);
    for (int i = 0; i < 2; i++) { /* the position stays */
        read_any(s, &r);
        assert_sense(&r, 7, 0x7401);
    }
    set_key(s, 2, 2, 3);
    read_any(s, &r);
    assert_sense(&r, 7, 0x7403);
    assert_true(!memcmp(got, (uint8_t[32]){0}, 32));
    set_key(s, 1, 2, 3);
    expect_text(s, 2);
    set_key(s, 0, 2, 0);
    session_close(s);
}

static void verify_answers_as_read_does(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    struct reply r;
    set_key(s, 1, 2, 3);
    write_text(s, 1);
    write_text(s, 2);
    do_good(s, REWIND);
    set_key(s, 0, 2, 0);
    command(s, D, RW6(0x13, 0, sizeof(block)), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 7, 0x7401);
    set_key(s, 2, 2, 3);
    command(s, D, RW6(0x13, 0, sizeof(block)), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 7, 0x7403);
    assert_position(s, D, 0, 0);
    set_key(s, 1, 2, 3);
    command(s, D, RW6(0x13, 0, sizeof(block)), NO_DATA, NULL, 0, &r);
    assert_good(&r);
    expect_text(s, 2);
    set_key(s, 0, 2, 0);
    session_close(s);
}

/* PBS: labels in the clear, archives with the key, read in mixed mode. */
static void a_tape_holds_both_kinds(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    struct reply r;
    uint8_t page[100];
    write_text(s, 1);
    do_good(s, FILEMARK);
    set_key(s, 3, 2, 3);
    write_text(s, 2);
    do_good(s, FILEMARK);
    do_good(s, REWIND);
    command(s, D, CDB(0xA2, 0x20, 0, 0x21, 0, 0, 0, 0, 0, 100, 0, 0), DATA_IN, page, 100, &r);
    assert_good(&r);
    assert_int_equal(page[12], 3);
    expect_text(s, 1);
    read_any(s, &r);
    assert_sense(&r, 0, 0x0001);
    command(s, D, CDB(0xA2, 0x20, 0, 0x21, 0, 0, 0, 0, 0, 100, 0, 0), DATA_IN, page, 100, &r);
    assert_int_equal(page[12], 5);
    assert_int_equal(get_be64(page + 4), 2);
    expect_text(s, 2);
    do_good(s, REWIND);
    set_key(s, 3, 2, 2); /* only what is encrypted */
    read_any(s, &r);
    assert_sense(&r, 7, 0x7402);
    do_good(s, CDB(0x11, 1, 0, 0, 1, 0));
    expect_text(s, 2);
    set_key(s, 0, 2, 0);
    session_close(s);
}

static void a_local_key_is_not_the_others(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    struct session *other = session_open(&(struct session_options){.name = "other"});
    struct reply r;
    settle_all(other);
    set_key(s, 4, 1, 3);
    write_text(s, 1);
    do_good(s, FILEMARK);
    do_good(s, REWIND);
    expect_status(other, 0, 0);
    read_any(other, &r);
    assert_sense(&r, 7, 0x7401);
    expect_text(s, 1);
    session_close(s);
    session_close(other);
}

static void the_key_stays_over_an_unload_until_it_is_cleared(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    set_key(s, 5, 2, 3);
    write_text(s, 1);
    do_good(s, FILEMARK);
    do_good(s, CDB(0x1B, 0, 0, 0, 0, 0));
    expect_status(s, 2, 3);
    do_good(s, CDB(0x1B, 0, 0, 0, 1, 0));
    expect_text(s, 1);
    set_key(s, 0, 2, 0);
    session_close(s);
}

/* grep tells by 0 that it found, by 1 that it did not. */
static int grep(const char *pattern, const char *where)
{
    char command_line[600];
    (void)snprintf(command_line, sizeof(command_line), "grep -rqaF '%s' %s", pattern, where);
    int rc = system(command_line);
    return rc < 0 ? -1 : rc >> 8;
}

/* The first half of the key as it is in memory, as hexadecimal, as base64: none of it is anywhere. */
static void neither_text_nor_key_is_on_any_disk(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    struct reply r;
    char where[400], text[33] = "";
    uint8_t key[32];
    const char *store = getenv("S3VTL_TEST_STORE");
    assert_non_null(store);
    (void)snprintf(where, sizeof(where), "%s %s/../state %s/../serve.log", store, store, store);
    srand(7);
    for (size_t i = 0; i < sizeof(block); i++) /* nothing that compresses */
        block[i] = (uint8_t)rand();
    /* Without a key it is found: so the search can find. */
    memcpy(block + 1000, "this-is-in-the-clear-9471", 25);
    command(s, D, CDB(0x0A, 0, 0x01, 0, 0, 0), DATA_OUT, block, sizeof(block), &r);
    assert_good(&r);
    memcpy(block + 1000, "this-was-encrypted-5582--", 25);
    set_key(s, 1, 2, 3);
    command(s, D, CDB(0x0A, 0, 0x01, 0, 0, 0), DATA_OUT, block, sizeof(block), &r);
    assert_good(&r);
    do_good(s, FILEMARK);
    do_good(s, CDB(0x1B, 0, 0, 0, 0, 0));
    assert_int_equal(grep("this-is-in-the-clear-9471", where), 0);
    assert_int_equal(grep("this-was-encrypted-5582", where), 1);
    key_of(1, key);
    for (int i = 0; i < 8; i++)
        text[i] = (char)key[i];
    assert_int_equal(grep(text, where), 1);
    for (int i = 0; i < 16; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", key[i]);
    assert_int_equal(grep(text, where), 1);
    set_key(s, 0, 2, 0);
    session_close(s);
}

static int shell(const char *line)
{
    int rc = system(line);
    return rc < 0 ? -1 : rc >> 8;
}

/* tests/reader knows nothing but FORMAT.md. */
static void the_independent_reader_opens_it_with_the_key(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    const char *store = getenv("S3VTL_TEST_STORE"), *program = getenv("S3VTL_TEST_COMMAND");
    char line[1200], hex[65] = "", path[300];
    uint8_t key[32];
    assert_true(store && program);
    set_key(s, 6, 2, 3);
    write_text(s, 1);
    write_text(s, 2);
    do_good(s, FILEMARK);
    do_good(s, CDB(0x1B, 0, 0, 0, 0, 0));
    set_key(s, 0, 2, 0);
    (void)snprintf(line, sizeof(line), "%s flush --remote", program);
    assert_int_equal(shell(line), 0);
    key_of(6, key);
    for (int i = 0; i < 32; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", key[i]);
    const char *reader = "build/venv/bin/python tests/reader/s3vtl_reader.py --barcode TEST01L8 --dir";
    (void)snprintf(line, sizeof(line), "%s %s --out %s/../out --key %s", reader, store, store, hex);
    assert_int_equal(shell(line), 0);
    (void)snprintf(path, sizeof(path), "%s/../out/file-00000", store);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (unsigned n = 1; n <= 2; n++) {
        make_block(n);
        assert_int_equal(fread(got, 1, sizeof(got), f), sizeof(got));
        assert_memory_equal(got, block, sizeof(block));
    }
    assert_int_equal(fgetc(f), EOF);
    fclose(f);
    (void)snprintf(line, sizeof(line), "%s %s --out %s/../out2 2>&1 | grep -q 'is encrypted: --key'", reader, store,
                   store);
    assert_int_equal(shell(line), 0);
    hex[0] = hex[0] == '4' ? '5' : '4';
    (void)snprintf(line, sizeof(line), "%s %s --out %s/../out3 --key %s 2>&1 | grep -q 'with another key'", reader,
                   store, store, hex);
    assert_int_equal(shell(line), 0);
    session_close(s);
}

/* The whole of the only segment; NULL and 0 if there is none. */
static uint8_t *segment(size_t *len)
{
    char line[700];
    uint8_t *b = malloc(1 << 20);
    (void)snprintf(line, sizeof(line), "cat %s/tapes/TEST01L8/seg/*", getenv("S3VTL_TEST_STORE"));
    FILE *f = popen(line, "r");
    *len = f && b ? fread(b, 1, 1 << 20, f) : 0;
    if (f)
        pclose(f);
    return b;
}

/* What a raw read shows is what is stored, all of it: no more is known to whoever has the bucket. */
static void a_raw_read_shows_the_record_as_it_is_stored(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    struct reply r;
    static uint8_t raw[2 * sizeof(block)];
    const uint8_t list[20] = {0, 0x10, 0, 0x10, 0x40, 0, 0, 1 /* RAW */, 1};
    size_t len;
    write_text(s, 1);
    set_key(s, 6, 2, 3);
    srand(8);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (uint8_t)rand();
    command(s, D, CDB(0x0A, 0, 0x01, 0, 0, 0), DATA_OUT, block, sizeof(block), &r);
    assert_good(&r);
    do_good(s, FILEMARK);
    do_good(s, REWIND);
    assert_int_equal(operator_says("flush --remote"), 0);
    command(s, D, CDB(0xB5, 0x20, 0, 0x10, 0, 0, 0, 0, 0, 20, 0, 0), DATA_OUT, (void *)(uintptr_t)list, 20, &r);
    assert_good(&r);
    expect_status(s, 0, 1);
    expect_text(s, 1); /* it was never encrypted */
    command(s, D, CDB(0x08, 0x02, 0x02, 0, 0, 0), DATA_IN, raw, sizeof(raw), &r);
    assert_good(&r);
    size_t size = sizeof(raw) - r.residual;
    assert_true(size > sizeof(block));
    assert_null(memmem(raw, size, block + 100, 64));
    uint8_t *stored = segment(&len);
    assert_non_null(memmem(stored, len, raw, size));
    free(stored);
    assert_position(s, D, 2, 0);
    set_key(s, 0, 2, 0);
    session_close(s);
}

static void raw_settle(struct raw *r, struct pdu *p)
{
    do
        assert_true(raw_finish(r, raw_command(r, D, CDB(0, 0, 0, 0, 0, 0), FLAG_FINAL | ATTR_SIMPLE, 0, NULL, 0), NULL,
                               NULL, 0, p));
    while (p->bhs[3]);
}

/* The first PDU about it, whatever else comes before. */
static void raw_await(struct raw *r, uint32_t itt, struct pdu *p)
{
    do
        assert_true(raw_receive(r, p));
    while (get_be32(p->bhs + 16) != itt);
}

/* A reset takes the keys away, and aborts what waits at the drive. The next command tells that there was one; what was
 * aborted may still wait then. Not buffered, writes are slow enough for that. */
static void nothing_is_written_in_the_clear_behind_a_reset(void **state)
{
    (void)state;
    enum { WRITES = 120 };
    struct session *s = open_loaded();
    struct raw writer, other;
    struct pdu pdu = {.data = NULL};
    struct reply r;
    uint8_t unbuffered[12] = {[3] = 8};
    unsigned blocks = 0;
    raw_open_as(&writer, false, "writer", 71);
    raw_open_as(&other, false, "other", 72);
    raw_settle(&writer, &pdu);
    raw_settle(&other, &pdu);
    command(s, D, CDB(0x15, 0x10, 0, 0, 12, 0), DATA_OUT, unbuffered, sizeof(unbuffered), &r);
    assert_good(&r);
    raw_settle(&writer, &pdu);
    set_key(s, 7, 2, 3);
    raw_settle(&writer, &pdu);
    fill(block, sizeof(block), 5);
    for (unsigned i = 0; i < WRITES; i++)
        raw_command(&writer, D, CDB(0x0A, 0, 0x01, 0, 0, 0), FLAG_FINAL | FLAG_WRITE | ATTR_SIMPLE, sizeof(block),
                    block, sizeof(block));
    /* Answered at once: the writes have all come. */
    raw_await(&writer,
              raw_command(&writer, D, CDB(0x12, 0, 0, 0, 36, 0), FLAG_FINAL | FLAG_READ | ATTR_SIMPLE, 36, NULL, 0),
              &pdu);
    raw_task_request(&other, TASK_LUN_RESET, D, NO_TAG);
    raw_await(&other, raw_command(&other, D, CDB(0, 0, 0, 0, 0, 0), FLAG_FINAL | ATTR_SIMPLE, 0, NULL, 0), &pdu);
    assert_int_equal(pdu.bhs[3], 2);
    assert_int_equal(get_be16(pdu.data + 2 + 12), 0x2900);
    raw_close(&writer);
    raw_close(&other);
    pdu_free(&pdu);
    settle(s, D);
    set_key(s, 7, 2, 2); /* only what is encrypted is read */
    do_good(s, REWIND);
    for (read_any(s, &r); !r.status; read_any(s, &r))
        blocks++;
    assert_sense(&r, 8, 0x0005);
    assert_true(blocks > 0);
    set_key(s, 0, 2, 0);
    session_close(s);
}

/* A session that sent nothing but INQUIRY has a unit attention of each reset since it logged in. When it is heard of, they are
 * old: the key is of a job that began behind them. */
static void an_old_reset_takes_no_key_of_a_later_job(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    struct raw late;
    struct pdu pdu = {.data = NULL};
    struct reply r;
    unsigned blocks = 0;
    raw_open_as(&late, false, "late", 73);
    assert_true(raw_finish(
        &late, raw_command(&late, D, CDB(0x12, 0, 0, 0, 36, 0), FLAG_FINAL | FLAG_READ | ATTR_SIMPLE, 36, NULL, 0),
        NULL, block, sizeof(block), &pdu));
    assert_int_equal(reset_lun(s, D), TMF_COMPLETE);
    settle(s, D);
    set_key(s, 7, 2, 3);
    write_text(s, 1);
    raw_settle(&late, &pdu);
    write_text(s, 2);
    set_key(s, 7, 2, 2); /* only what is encrypted is read */
    do_good(s, REWIND);
    for (read_any(s, &r); !r.status; read_any(s, &r))
        blocks++;
    assert_sense(&r, 8, 0x0005);
    assert_int_equal(blocks, 2);
    set_key(s, 0, 2, 0);
    raw_close(&late);
    pdu_free(&pdu);
    session_close(s);
}

/* RFC 7143 and SAM-5 know no reset in silence: whoever is known hears of it, also where tgt has told its attention already. */
static void a_reset_that_tgt_tells_of_counts_too(void **state)
{
    (void)state;
    struct session *s = open_loaded(), *other = session_open(&(struct session_options){.name = "other", .isid = 74});
    struct reply r;
    uint8_t keys[8];
    settle_all(other);
    settle(s, D);
    set_key(s, 7, 2, 3);
    settle(other, D);
    assert_int_equal(reset_lun(s, D), TMF_COMPLETE);
    command(s, D, CDB(0x5E, 0, 0, 0, 0, 0, 0, 0, 8, 0), DATA_IN, keys, sizeof(keys), &r); /* PERSISTENT RESERVE IN */
    assert_sense(&r, 6, 0x2900);
    expect_status(s, 0, 0);
    command(other, D, CDB(0, 0, 0, 0, 0, 0), NO_DATA, NULL, 0, &r);
    assert_sense(&r, 6, 0x2900);
    session_close(other);
    session_close(s);
}

/* The process that serve started. */
static long tgtd(void)
{
    char path[500];
    long serve = 0, child = 0;
    (void)snprintf(path, sizeof(path), "%s/../serve.pid", getenv("S3VTL_TEST_STORE"));
    FILE *f = fopen(path, "r");
    assert_true(f && fscanf(f, "%ld", &serve) == 1);
    fclose(f);
    (void)snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", serve, serve);
    f = fopen(path, "r");
    assert_true(f && fscanf(f, "%ld", &child) == 1);
    fclose(f);
    return child;
}

static unsigned count_in(const uint8_t *p, size_t len, const uint8_t *what, size_t n)
{
    unsigned found = 0;
    for (const uint8_t *at = p; (at = memmem(at, len - (size_t)(at - p), what, n)); at++)
        found++;
    return found;
}

/* How often the middle of the key is in tgtd's memory. (malloc writes to the beginning of what is free.) */
static unsigned copies_of_key(unsigned n)
{
    char path[60], line[500];
    uint8_t key[32];
    unsigned found = 0, regions = 0;
    unsigned long from, to;
    key_of(n, key);
    long pid = tgtd();
    (void)snprintf(path, sizeof(path), "/proc/%ld/maps", pid);
    FILE *maps = fopen(path, "r");
    (void)snprintf(path, sizeof(path), "/proc/%ld/mem", pid);
    FILE *mem = fopen(path, "r");
    assert_true(maps && mem);
    setvbuf(mem, NULL, _IONBF, 0);
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx rw", &from, &to) != 2 || !strstr(line, " rw") || to - from > 1ul << 30)
            continue;
        uint8_t *p = malloc(to - from);
        assert_non_null(p);
        size_t n_read = fseek(mem, (long)from, SEEK_SET) ? 0 : fread(p, 1, to - from, mem);
        regions += n_read != 0;
        unsigned here = count_in(p, n_read, key + 12, 12);
        if (here)
            print_message("# key %u: %u times in %s", n, here, line);
        found += here;
        free(p);
    }
    fclose(maps);
    fclose(mem);
    assert_true(regions > 10);
    return found;
}

/* tgt itself refuses what another's reservation forbids: no command of ours runs, and the buffer is tgt's. */
static void a_key_that_is_refused_is_nowhere_in_memory(void **state)
{
    (void)state;
    struct session *s = open_loaded();
    struct session *holder = session_open(&(struct session_options){.name = "holder", .isid = 31});
    struct reply r;
    uint8_t list[24] = {[15] = 9};
    settle_all(holder);
    set_key(s, 41, 2, 3);
    assert_true(copies_of_key(41) > 0); /* where it must be: so the search can find */
    set_key(s, 0, 2, 0);
    assert_int_equal(copies_of_key(41), 0);
    command(holder, D, CDB(0x5F, 0, 0, 0, 0, 0, 0, 0, 24, 0), DATA_OUT, list, 24, &r);
    assert_good(&r);
    list[7] = 9;
    command(holder, D, CDB(0x5F, 1, 3, 0, 0, 0, 0, 0, 24, 0), DATA_OUT, list, 24, &r);
    assert_good(&r);
    bool refused = true;
    for (int i = 0; i < 32; i++) {
        send_key(s, 42, 2, 3, &r);
        refused = refused && r.status == 0x18;
    }
    settle(holder, D); /* tgt's loop has gone on, and let go of the last one */
    unsigned copies = copies_of_key(42);
    command(holder, D, CDB(0x5F, 3, 0, 0, 0, 0, 0, 0, 24, 0), DATA_OUT, list, 24, &r);
    assert_good(&r);
    assert_true(refused);
    assert_int_equal(copies, 0);
    session_close(holder);
    session_close(s);
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_block_is_read_with_its_key_only),
        T(verify_answers_as_read_does),
        T(a_tape_holds_both_kinds),
        T(a_local_key_is_not_the_others),
        T(the_key_stays_over_an_unload_until_it_is_cleared),
        T(a_raw_read_shows_the_record_as_it_is_stored),
        T(the_independent_reader_opens_it_with_the_key),
        T(neither_text_nor_key_is_on_any_disk),
        T(a_key_that_is_refused_is_nowhere_in_memory),
        T(nothing_is_written_in_the_clear_behind_a_reset),
        T(an_old_reset_takes_no_key_of_a_later_job),
        T(a_reset_that_tgt_tells_of_counts_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
