/* SPDX-License-Identifier: GPL-2.0-or-later */
/* speed.c: one timed run over iSCSI, one command at a time: writing and reading, the same for a tape and for a disk;
 * and what else of a library is timed. */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "bench/data.h"
#include "base/be.h"

static const char usage[] =
    "usage: speed PORTAL TARGET LUN move FROM TO [DRIVE_LUN]\n"
    "       speed PORTAL TARGET LUN elements TIMES\n"
    "       speed PORTAL TARGET LUN locate FILE [BLOCK]\n"
    "       speed PORTAL TARGET LUN tape|disk write|encrypt|read noise|text TOTAL BLOCK [TRACE]\n"
    "       speed PORTAL TARGET LUN tape|disk write|read files DIRECTORY BLOCK [TRACE]\n"
    "move: MOVE MEDIUM from one element address to another; prints the milliseconds until it ended and, with "
    "DRIVE_LUN,\n"
    "that drive is ready.\n"
    "elements: READ ELEMENT STATUS of all slots with their volume tags, in pages of 1000, so often; prints\n"
    "\"SLOTS FULL MILLISECONDS\", the median.\n"
    "locate: LOCATE to a file, and with BLOCK the READ of its first block; prints the microseconds of each.\n"
    "write, read: from the start, TOTAL bytes in blocks of BLOCK; prints \"MB/S MEDIAN P999 MAX BEGAN ENDED\": the "
    "rate\n"
    "(10^6 bytes a second; a write ends when the target says that it is safe), the median, 99.9th percentile and\n"
    "maximum of the time of one command in microseconds, and the times of the clock. encrypt: the same as write, with "
    "a\n"
    "key set. TRACE: a file for lines \"BEGIN END BYTES\". files: the directory's, in order, each as a file on tape; "
    "what is "
    "read\n"
    "must be the same.\n";

enum { DISK_SECTOR = 512, TIMEOUT_S = 300 };
enum way { NO_DATA, FROM_TARGET, TO_TARGET };

struct run {
    struct iscsi_context *iscsi;
    int lun;
    bool tape, write, text, encrypt;
    struct source {
        uint8_t *data;
        size_t size;
    } * files; /* NULL: made-up data */
    size_t n_files;
    FILE *trace; /* or NULL */
    uint64_t total;
    uint32_t block;
};

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "speed: %s: %s\n", what, why);
    exit(1);
}

static uint64_t number(const char *s, uint64_t min, uint64_t max)
{
    char *end;
    unsigned long long n = strtoull(s, &end, 0);
    if (*s < '0' || *s > '9' || *end || n < min || n > max)
        fail(s, "not a number, or out of range");
    return n;
}

/* ---- commands ---- */

/* True: GOOD, and everything transferred. False: CHECK CONDITION; all else ends the program. */
static bool command(struct run *r, const char *name, const uint8_t *cdb, int cdb_len, enum way way, void *buf,
                    uint32_t len, int *key)
{
    static const int dirs[] = {SCSI_XFER_NONE, SCSI_XFER_READ, SCSI_XFER_WRITE};
    uint8_t copy[16];
    memcpy(copy, cdb, (size_t)cdb_len);
    struct scsi_task *t = scsi_create_task(cdb_len, copy, dirs[way], (int)len);
    if (!t)
        fail(name, "out of memory");
    if (way == FROM_TARGET)
        scsi_task_add_data_in_buffer(t, (int)len, buf);
    if (way == TO_TARGET)
        scsi_task_add_data_out_buffer(t, (int)len, buf);
    if (!iscsi_scsi_command_sync(r->iscsi, r->lun, t, NULL))
        fail(name, iscsi_get_error(r->iscsi));
    bool good = t->status == SCSI_STATUS_GOOD;
    if (!good && t->status != SCSI_STATUS_CHECK_CONDITION)
        fail(name, iscsi_get_error(r->iscsi));
    if (good && len && t->residual_status != SCSI_RESIDUAL_NO_RESIDUAL)
        fail(name, "not all of the data was transferred");
    *key = good ? 0 : (int)t->sense.key;
    scsi_free_scsi_task(t);
    return good;
}

static void must(struct run *r, const char *name, const uint8_t *cdb, int cdb_len, enum way way, void *buf,
                 uint32_t len)
{
    int key;
    if (!command(r, name, cdb, cdb_len, way, buf, len, &key))
        fail(name, iscsi_get_error(r->iscsi));
}

/* Unit attentions pass, and a medium that is being loaded becomes ready. */
static void ready(struct run *r)
{
    const uint8_t cdb[6] = {0x00};
    int key = 0;
    for (int i = 0; i < 30000; i++) {
        if (command(r, "TEST UNIT READY", cdb, 6, NO_DATA, NULL, 0, &key))
            return;
        if (key == SCSI_SENSE_NOT_READY)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    fail("TEST UNIT READY", iscsi_get_error(r->iscsi));
}

static void to_start(struct run *r)
{
    const uint8_t rewind[6] = {0x01};
    if (r->tape)
        must(r, "REWIND", rewind, 6, NO_DATA, NULL, 0);
}

/* Everything written so far is safe when this ends: a filemark without IMMED, or SYNCHRONIZE CACHE. */
static void finish_write(struct run *r)
{
    const uint8_t filemark[6] = {0x10, 0, 0, 0, 1}, cache[10] = {0x35};
    if (r->tape)
        must(r, "WRITE FILEMARKS", filemark, 6, NO_DATA, NULL, 0);
    else
        must(r, "SYNCHRONIZE CACHE", cache, 10, NO_DATA, NULL, 0);
}

static void transfer(struct run *r, uint64_t at, uint8_t *buf)
{
    enum way way = r->write ? TO_TARGET : FROM_TARGET;
    if (r->tape) {
        uint8_t cdb[6] = {r->write ? 0x0A : 0x08};
        put_be24(cdb + 2, r->block);
        must(r, r->write ? "WRITE" : "READ", cdb, 6, way, buf, r->block);
    } else {
        uint8_t cdb[10] = {r->write ? 0x2A : 0x28};
        put_be32(cdb + 2, (uint32_t)(at / DISK_SECTOR));
        put_be16(cdb + 7, (uint16_t)(r->block / DISK_SECTOR));
        must(r, r->write ? "WRITE" : "READ", cdb, 10, way, buf, r->block);
    }
}

/* ---- time ---- */

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- writing and reading ---- */

/* SPOUT, Set Data Encryption: all initiators, encrypt and decrypt, algorithm 1, a key of 32 bytes. */
static void set_key(struct run *r)
{
    const uint8_t cdb[12] = {0xB5, 0x20, 0, 0x10, 0, 0, 0, 0, 0, 52};
    uint8_t list[52] = {0, 0x10, 0, 48, 2 << 5, 0, 2, 2, 1};
    put_be16(list + 18, 32);
    memset(list + 20, 'k', 32);
    must(r, "SECURITY PROTOCOL OUT", cdb, 12, TO_TARGET, list, sizeof(list));
}

/* One line for each tenth of a second. */
static void trace(struct run *r, size_t done, bool last)
{
    static double from;
    static size_t at;
    double t = r->trace ? now(CLOCK_REALTIME) : 0;
    if (!r->trace || (from > 0 && t - from < 0.1 && !last))
        return;
    if (from > 0)
        fprintf(r->trace, "%.6f %.6f %zu\n", from, t, (done - at) * r->block);
    from = t;
    at = done;
}

static int no_dots(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* All of them, in memory before the clock runs. total: of whole blocks. */
static void map_files(struct run *r, const char *dir)
{
    struct dirent **names;
    int n = scandir(dir, &names, no_dots, alphasort);
    if (n <= 0 || !(r->files = calloc((size_t)n, sizeof(*r->files))))
        fail(dir, "no files there");
    for (int i = 0; i < n; i++) {
        char path[4200];
        struct stat st;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) || !st.st_size || (size_t)st.st_size % r->block)
            fail(path, "must be a file of whole blocks");
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE, fd, 0);
        if (data == MAP_FAILED)
            fail(path, "cannot be mapped");
        r->files[r->n_files++] = (struct source){data, (size_t)st.st_size};
        r->total += (uint64_t)st.st_size;
        close(fd);
        free(names[i]);
    }
    free(names);
}

/* Between files on tape: writes a filemark, which nobody waits for, or reads over one. */
static void next_file(struct run *r, uint8_t *buf)
{
    const uint8_t filemark[6] = {0x10, 1, 0, 0, 1};
    uint8_t read[6] = {0x08};
    int key = 0;
    put_be24(read + 2, r->block);
    if (r->tape && r->write)
        must(r, "WRITE FILEMARKS", filemark, 6, NO_DATA, NULL, 0);
    else if (r->tape && (command(r, "READ", read, 6, FROM_TARGET, buf, r->block, &key) || key != SCSI_SENSE_NO_SENSE))
        fail("READ", "there should be a filemark");
}

static void timed_files(struct run *r)
{
    uint8_t *buf = malloc(r->block);
    uint64_t at = 0;
    if (!buf)
        fail("memory", "not enough");
    ready(r);
    to_start(r);
    trace(r, 0, false);
    double clock = now(CLOCK_REALTIME), began = now(CLOCK_MONOTONIC);
    for (size_t f = 0; f < r->n_files; f++) {
        for (size_t i = 0; i < r->files[f].size; i += r->block, at += r->block) {
            transfer(r, at, r->write ? r->files[f].data + i : buf);
            if (!r->write && r->tape && memcmp(buf, r->files[f].data + i, r->block) != 0)
                fail("READ", "other bytes than those that were written");
            trace(r, at / r->block + 1, false);
        }
        next_file(r, buf);
    }
    if (r->write)
        finish_write(r);
    double seconds = now(CLOCK_MONOTONIC) - began;
    trace(r, at / r->block, true);
    printf("%.1f 0 0 0 %.6f %.6f\n", (double)at / 1e6 / seconds, clock, clock + seconds);
    free(buf);
}

static void timed_run(struct run *r)
{
    size_t n = (size_t)(r->total / r->block);
    uint8_t *buf = malloc(r->block);
    double *took = calloc(n, sizeof(*took));
    if (!buf || !took)
        fail("memory", "not enough");
    if (r->text)
        text(buf, r->block);
    else
        noise(buf, r->block);
    ready(r);
    to_start(r);
    if (r->encrypt)
        set_key(r);
    trace(r, 0, false);
    double clock = now(CLOCK_REALTIME), began = now(CLOCK_MONOTONIC), last = began;
    for (size_t i = 0; i < n; i++) {
        if (r->write)
            memcpy(buf, &i, sizeof(i)); /* no two blocks are the same */
        transfer(r, (uint64_t)i * r->block, buf);
        double t = now(CLOCK_MONOTONIC);
        took[i] = t - last;
        last = t;
        trace(r, i + 1, false);
    }
    if (r->write)
        finish_write(r);
    double seconds = now(CLOCK_MONOTONIC) - began;
    trace(r, n, true);
    qsort(took, n, sizeof(*took), by_size);
    printf("%.1f %.0f %.0f %.0f %.6f %.6f\n", (double)n * r->block / 1e6 / seconds, took[n / 2] * 1e6,
           took[(n - 1) - n / 1000] * 1e6, took[n - 1] * 1e6, clock, clock + seconds);
    free(took);
    free(buf);
}

/* ---- the rest ---- */

static void move(struct run *r, const char *from, const char *to, const char *drive)
{
    uint8_t cdb[12] = {0xA5};
    struct run d = *r;
    put_be16(cdb + 4, (uint16_t)number(from, 0, 65535));
    put_be16(cdb + 6, (uint16_t)number(to, 0, 65535));
    d.lun = drive ? (int)number(drive, 0, 255) : 0;
    ready(r);
    double began = now(CLOCK_MONOTONIC);
    must(r, "MOVE MEDIUM", cdb, 12, NO_DATA, NULL, 0);
    if (drive)
        ready(&d);
    printf("%.1f\n", (now(CLOCK_MONOTONIC) - began) * 1e3);
}

/* As a host does it: a page that is full may have another behind it. */
static unsigned all_elements(struct run *r, unsigned *full)
{
    enum { PAGE = 1000, SLOTS = 2, FIRST = 16 };
    static uint8_t buf[0xFFFF];
    uint8_t cdb[12] = {0xB8, 0x10 | SLOTS};
    unsigned all = 0, n = PAGE, from = 0;
    put_be16(cdb + 4, PAGE);
    put_be24(cdb + 7, sizeof(buf));
    for (; n >= PAGE; all += n) {
        put_be16(cdb + 2, (uint16_t)from);
        struct scsi_task *t = scsi_create_task(12, cdb, SCSI_XFER_READ, sizeof(buf));
        if (!t)
            fail("memory", "not enough");
        scsi_task_add_data_in_buffer(t, sizeof(buf), buf);
        if (!iscsi_scsi_command_sync(r->iscsi, r->lun, t, NULL) || t->status != SCSI_STATUS_GOOD)
            fail("READ ELEMENT STATUS", iscsi_get_error(r->iscsi));
        size_t got = sizeof(buf) - (t->residual_status == SCSI_RESIDUAL_UNDERFLOW ? (size_t)t->residual : 0);
        scsi_free_scsi_task(t);
        n = get_be16(buf + 2);
        size_t size = n ? get_be16(buf + 10) : 0;
        if (n && got != FIRST + n * size)
            fail("READ ELEMENT STATUS", "not all that it announced was transferred");
        for (size_t i = 0; i < n; i++)
            *full += buf[FIRST + i * size + 2] & 1;
        if (n)
            from = get_be16(buf + FIRST + (n - 1) * size) + 1u;
    }
    return all;
}

static void elements(struct run *r, const char *times)
{
    size_t n = (size_t)number(times, 1, 100000);
    double *took = calloc(n, sizeof(*took));
    unsigned slots = 0, full = 0;
    if (!took)
        fail("memory", "not enough");
    ready(r);
    for (size_t i = 0; i < n; i++) {
        double began = now(CLOCK_MONOTONIC);
        full = 0;
        slots = all_elements(r, &full);
        took[i] = now(CLOCK_MONOTONIC) - began;
    }
    qsort(took, n, sizeof(*took), by_size);
    printf("%u %u %.2f\n", slots, full, took[n / 2] * 1e3);
    free(took);
}

static void locate(struct run *r, const char *file, const char *block)
{
    uint8_t cdb[16] = {0x92, 0x08};
    put_be64(cdb + 4, number(file, 0, 1ull << 40));
    ready(r);
    double began = now(CLOCK_MONOTONIC);
    must(r, "LOCATE", cdb, 16, NO_DATA, NULL, 0);
    double there = now(CLOCK_MONOTONIC);
    printf("%.0f", (there - began) * 1e6);
    if (block) {
        r->tape = true;
        r->block = (uint32_t)number(block, 1, 8u << 20);
        uint8_t *buf = malloc(r->block);
        if (!buf)
            fail("memory", "not enough");
        transfer(r, 0, buf);
        printf(" %.0f", (now(CLOCK_MONOTONIC) - there) * 1e6);
        free(buf);
    }
    printf("\n");
}

static void login(struct run *r, const char *portal, const char *target)
{
    r->iscsi = iscsi_create_context("iqn.2026-11.s3vtl:bench");
    if (!r->iscsi)
        fail("memory", "not enough");
    iscsi_set_targetname(r->iscsi, target);
    iscsi_set_session_type(r->iscsi, ISCSI_SESSION_NORMAL);
    iscsi_set_header_digest(r->iscsi, ISCSI_HEADER_DIGEST_NONE);
    iscsi_set_noautoreconnect(r->iscsi, 1);
    iscsi_set_timeout(r->iscsi, TIMEOUT_S);
    if (iscsi_connect_sync(r->iscsi, portal) || iscsi_login_sync(r->iscsi))
        fail(target, iscsi_get_error(r->iscsi));
}

/* Is a one of two words, and is it the first? */
static bool first_of(const char *a, const char *first, const char *second)
{
    if (strcmp(a, first) != 0 && strcmp(a, second) != 0)
        fail(a, usage);
    return !strcmp(a, first);
}

/* tape|disk write|encrypt|read noise|text TOTAL BLOCK [TRACE], or files DIRECTORY BLOCK [TRACE] */
static void take_run(struct run *r, int argc, char **a)
{
    r->tape = first_of(a[0], "tape", "disk");
    r->encrypt = !strcmp(a[1], "encrypt");
    r->write = r->encrypt || first_of(a[1], "write", "read");
    r->block = (uint32_t)number(a[4], DISK_SECTOR, 8u << 20);
    if (!strcmp(a[2], "files") && !r->encrypt) {
        map_files(r, a[3]);
    } else {
        r->text = first_of(a[2], "text", "noise");
        r->total = number(a[3], r->block, 1ull << 40);
    }
    if (r->block % DISK_SECTOR)
        fail(a[4], "must be a multiple of 512");
    if (argc == 6 && !(r->trace = fopen(a[5], "w")))
        fail(a[5], "can't be written");
}

int main(int argc, char **argv)
{
    struct run r = {0};
    static const struct {
        const char *name;
        int min, max; /* arguments behind it */
    } verbs[] = {{"move", 2, 3}, {"elements", 1, 1}, {"locate", 1, 2}, {"tape", 4, 5}, {"disk", 4, 5}};
    size_t v = 0, n_verbs = sizeof(verbs) / sizeof(verbs[0]);
    while (argc > 4 && v < n_verbs && strcmp(argv[4], verbs[v].name) != 0)
        v++;
    if (argc < 5 || v == n_verbs || argc - 5 < verbs[v].min || argc - 5 > verbs[v].max) {
        fputs(usage, stderr);
        return 2;
    }
    r.lun = (int)number(argv[3], 0, 255);
    if (v >= 3)
        take_run(&r, argc - 4, argv + 4);
    login(&r, argv[1], argv[2]);
    switch (v) {
    case 0:
        move(&r, argv[5], argv[6], argc > 7 ? argv[7] : NULL);
        break;
    case 1:
        elements(&r, argv[5]);
        break;
    case 2:
        locate(&r, argv[5], argc > 6 ? argv[6] : NULL);
        break;
    default:
        r.files ? timed_files(&r) : timed_run(&r);
    }
    iscsi_logout_sync(r.iscsi);
    iscsi_destroy_context(r.iscsi);
    if (r.trace && fclose(r.trace))
        fail("TRACE", "can't be written");
    return 0;
}
