/* SPDX-License-Identifier: GPL-2.0-or-later */
/* speed.c: one timed run over iSCSI, one command at a time, the same for a tape and for a disk. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "scsi/be.h"

static const char usage[] =
    "usage: speed PORTAL TARGET LUN move FROM TO\n"
    "       speed PORTAL TARGET LUN tape|disk write|read noise|text TOTAL BLOCK\n"
    "move: MOVE MEDIUM from one element address to another.\n"
    "write, read: from the start, TOTAL bytes in blocks of BLOCK; prints \"MB/S MICROSECONDS\": "
    "the rate (10^6 bytes a second; a write\n"
    "ends when the target says that it is safe), and the median time of one command.\n";

enum { DISK_SECTOR = 512, TIMEOUT_S = 300 };
enum way { NO_DATA, FROM_TARGET, TO_TARGET };

struct run {
    struct iscsi_context *iscsi;
    int lun;
    bool tape, write, text;
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
    for (int i = 0; i < 300; i++) {
        if (command(r, "TEST UNIT READY", cdb, 6, NO_DATA, NULL, 0, &key))
            return;
        if (key == SCSI_SENSE_NOT_READY)
            nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
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

/* ---- data ---- */

static void noise(uint8_t *p, size_t n)
{
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i + 8 <= n; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(p + i, &x, 8);
    }
}

/* Shrinks to about half: of each 64 bytes the second 32 are all alike. */
static void half_noise(uint8_t *p, size_t n)
{
    noise(p, n);
    for (size_t i = 0; i + 64 <= n; i += 64)
        memset(p + i + 32, 'a', 32);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void timed_run(struct run *r)
{
    size_t n = (size_t)(r->total / r->block);
    uint8_t *buf = malloc(r->block);
    double *took = calloc(n, sizeof(*took));
    if (!buf || !took)
        fail("memory", "not enough");
    if (r->text)
        half_noise(buf, r->block);
    else
        noise(buf, r->block);
    ready(r);
    to_start(r);
    double began = now(), last = began;
    for (size_t i = 0; i < n; i++) {
        if (r->write)
            memcpy(buf, &i, sizeof(i)); /* no two blocks are the same */
        transfer(r, (uint64_t)i * r->block, buf);
        double t = now();
        took[i] = t - last;
        last = t;
    }
    if (r->write)
        finish_write(r);
    double seconds = now() - began;
    qsort(took, n, sizeof(*took), by_size);
    printf("%.1f %.0f\n", (double)n * r->block / 1e6 / seconds, took[n / 2] * 1e6);
    free(took);
    free(buf);
}

static void move(struct run *r, const char *from, const char *to)
{
    uint8_t cdb[12] = {0xA5};
    put_be16(cdb + 4, (uint16_t)number(from, 0, 65535));
    put_be16(cdb + 6, (uint16_t)number(to, 0, 65535));
    ready(r);
    must(r, "MOVE MEDIUM", cdb, 12, NO_DATA, NULL, 0);
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

int main(int argc, char **argv)
{
    struct run r = {0};
    bool moving = argc == 7 && !strcmp(argv[4], "move");
    if (!moving && argc != 9) {
        fputs(usage, stderr);
        return 2;
    }
    r.lun = (int)number(argv[3], 0, 255);
    if (!moving) {
        r.tape = first_of(argv[4], "tape", "disk");
        r.write = first_of(argv[5], "write", "read");
        r.text = first_of(argv[6], "text", "noise");
        r.block = (uint32_t)number(argv[8], DISK_SECTOR, 8u << 20);
        r.total = number(argv[7], r.block, 1ull << 40);
        if (r.block % DISK_SECTOR)
            fail(argv[8], "must be a multiple of 512");
    }
    login(&r, argv[1], argv[2]);
    if (moving)
        move(&r, argv[5], argv[6]);
    else
        timed_run(&r);
    iscsi_logout_sync(r.iscsi);
    iscsi_destroy_context(r.iscsi);
    return 0;
}
