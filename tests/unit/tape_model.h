/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tape_model.h: a drive whose tape is a few counters, and one command on it: for tests of the SSC command set alone. */
#ifndef S3VTL_TEST_TAPE_MODEL_H
#define S3VTL_TEST_TAPE_MODEL_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/be.h"
#include "scsi/lun.h"
#include "scsi/tape_ops.h"

/* The tape: only status, no contents. A write appends or cuts, as a drive's does. */
static struct tape_status tape;
static unsigned tape_calls; /* of operations that change or move it */

static void model_status(void *self, struct tape_status *out)
{
    (void)self;
    *out = tape;
}
static struct tape_statistics statistics;
static void model_statistics(void *self, struct tape_statistics *out)
{
    (void)self;
    *out = statistics;
}
static void model_alert(void *self, enum tape_alert flag)
{
    (void)self;
    tape.alerts |= TAPE_ALERT_BIT(flag);
}
static struct tape_mam mam;
static void model_mam_get(void *self, struct tape_mam *out)
{
    (void)self;
    *out = mam;
}
static enum tape_result model_mam_set(void *self, const struct tape_mam *m, const atomic_bool *cancel)
{
    (void)self, (void)cancel;
    if (tape.write_protected)
        return TAPE_WRITE_PROTECTED;
    tape_calls++;
    mam = *m;
    return TAPE_OK;
}
static void model_wake(void *self)
{
    (void)self;
}
static void model_prevent(void *self, bool prevented)
{
    (void)self, (void)prevented;
}
static enum tape_result model_append(uint64_t objects, uint64_t files, uint64_t bytes)
{
    tape_calls++;
    if (tape.write_protected)
        return TAPE_WRITE_PROTECTED;
    tape.object += objects;
    tape.file += files;
    tape.used += bytes;
    tape.end_object = tape.object;
    tape.end_file = tape.file;
    tape.past_early_warning = tape.used >= tape.capacity;
    return tape.past_early_warning ? TAPE_EARLY_WARNING : TAPE_OK;
}
static enum tape_result sync_result; /* of filemarks, once they are written */
static enum tape_result model_filemarks(void *self, uint64_t count, bool immed, const atomic_bool *cancel)
{
    (void)self, (void)immed, (void)cancel;
    enum tape_result r = count ? model_append(count, count, 0) : TAPE_OK;
    return r == TAPE_OK ? sync_result : r;
}
static enum tape_result model_locate(void *self, uint32_t partition, uint64_t object, const atomic_bool *cancel)
{
    (void)self, (void)cancel;
    tape_calls++;
    if (partition)
        return TAPE_NO_SUCH_PLACE;
    tape.object = object > tape.end_object ? tape.end_object : object;
    tape.file = tape.object == tape.end_object ? tape.end_file : 0; /* as far as the tests go */
    return object > tape.end_object ? TAPE_EOD : TAPE_OK;
}
static enum tape_result model_rewind(void *self, const atomic_bool *cancel)
{
    return model_locate(self, 0, 0, cancel);
}
static enum tape_result model_end(void *self, const atomic_bool *cancel)
{
    return model_locate(self, 0, tape.end_object, cancel);
}
static enum tape_result model_cut(void)
{
    tape_calls++;
    if (tape.write_protected)
        return TAPE_WRITE_PROTECTED;
    tape.end_object = tape.object;
    tape.end_file = tape.file;
    if (!tape.object)
        tape.used = 0;
    return TAPE_OK;
}
static enum tape_result model_erase(void *self, bool long_erase, const atomic_bool *cancel)
{
    (void)self, (void)long_erase, (void)cancel;
    return model_cut();
}
static enum tape_result model_format(void *self, const atomic_bool *cancel)
{
    (void)self, (void)cancel;
    return model_cut();
}

static enum tape_result model_set_capacity(void *self, uint16_t proportion, const atomic_bool *cancel)
{
    (void)self, (void)cancel;
    enum tape_result r = model_cut();
    if (r == TAPE_OK)
        tape.capacity = proportion;
    return r;
}
static struct tape_crypt crypt_seen; /* of the last write or read; the key itself is in key_seen */
static uint8_t key_seen[TAPE_KEY_SIZE];
static enum tape_result read_result;
static enum tape_next next_is;
static void see_crypt(const struct tape_crypt *crypt)
{
    crypt_seen = *crypt;
    if (crypt->key)
        memcpy(key_seen, crypt->key, sizeof(key_seen));
}
static enum tape_result model_read(void *self, void *buf, uint32_t *len, const struct tape_crypt *crypt,
                                   const atomic_bool *cancel)
{
    (void)self, (void)cancel;
    see_crypt(crypt);
    if (read_result == TAPE_OK && buf)
        memset(buf, 0x5a, *len);
    return read_result;
}
static enum tape_result model_next(void *self, const struct tape_crypt *crypt, enum tape_next *next, uint8_t *kad,
                                   uint8_t *kad_len, const atomic_bool *cancel)
{
    (void)self, (void)cancel;
    see_crypt(crypt);
    *next = next_is;
    *kad_len = 0;
    (void)kad;
    return TAPE_OK;
}
static enum tape_result model_write(void *self, const void *block, uint32_t len, bool compress,
                                    const struct tape_crypt *crypt, const atomic_bool *cancel)
{
    (void)self, (void)block, (void)compress, (void)cancel;
    see_crypt(crypt);
    return model_append(1, 0, len);
}
static const struct tape_ops model_ops = {
    .status = model_status,
    .statistics = model_statistics,
    .alert = model_alert,
    .mam_get = model_mam_get,
    .mam_set = model_mam_set,
    .wake = model_wake,
    .write = model_write,
    .read = model_read,
    .next_block = model_next,
    .write_filemarks = model_filemarks,
    .space_end_of_data = model_end,
    .locate_object = model_locate,
    .rewind = model_rewind,
    .load = model_rewind,
    .erase = model_erase,
    .format = model_format,
    .set_capacity = model_set_capacity,
    .prevent = model_prevent,
};

/* ---- one command ---- */

static struct scsi_lun *drive;
static uint8_t in[4096];
static struct scsi_request rq;
static const atomic_bool never = false;
static bool can_defer; /* of the transport */

static void command_of(uint64_t nexus, const uint8_t *cdb, size_t len, uint32_t room, const void *out, uint32_t out_len)
{
    uint8_t full[16] = {0};
    const struct scsi_command *row = NULL;
    memcpy(full, cdb, len);
    rq = (struct scsi_request){.cdb = full,
                               .cdb_len = 16,
                               .nexus = nexus,
                               .in = in,
                               .in_len = room,
                               .out = out,
                               .out_len = out_len,
                               .can_defer = can_defer,
                               .cancelled = &never};
    memset(in, 0xEE, sizeof(in));
    if (scsi_lun_route(drive, &rq, &row) != SCSI_ROUTE_DONE)
        scsi_lun_run(drive, row, &rq);
    rq.cdb = NULL;
}
#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define COMMAND(...) command_of(7, BYTES(__VA_ARGS__), sizeof(in), NULL, 0)
#define COMMAND_IN(room, ...) command_of(7, BYTES(__VA_ARGS__), room, NULL, 0)
#define COMMAND_OUT(data, n, ...) command_of(7, BYTES(__VA_ARGS__), 0, data, n)

#define assert_good() assert_int_equal(rq.status, SCSI_GOOD)
#define assert_sense(key, asc)                                                                                         \
    do {                                                                                                               \
        assert_int_equal(rq.status, SCSI_CHECK_CONDITION);                                                             \
        assert_int_equal(rq.sense[2] & 0x0f, key);                                                                     \
        assert_int_equal(get_be16(rq.sense + 12), asc);                                                                \
    } while (0)
/* A drive with a blank tape; for cmocka's setup and teardown of a test. */
static int model_setup(void **state)
{
    (void)state;
    const struct scsi_identity id = {.type = SCSI_TYPE_TAPE, .vendor = "V", .product = "P", .serial = "S"};
    const struct ssc_options o = {.generation = 8};
    tape = (struct tape_status){.medium = TAPE_MEDIUM_LOADED, .density = 0x5e, .capacity = 12000000000000u};
    statistics = (struct tape_statistics){.mounts = 0};
    mam = (struct tape_mam){.n = 0};
    read_result = TAPE_OK;
    next_is = TAPE_NEXT_NO_BLOCK;
    tape_calls = 0;
    can_defer = false;
    drive = ssc_lun_new(&id, &o, &model_ops, NULL);
    return drive ? 0 : -1;
}
static int model_teardown(void **state)
{
    (void)state;
    drive->destroy(drive);
    return 0;
}

/* SENSE KEY SPECIFIC points at a byte of the CDB (in_cdb) or of the parameter list. */
#define assert_field(in_cdb, byte)                                                                                     \
    do {                                                                                                               \
        assert_int_equal(rq.sense[15] & 0xC0, (in_cdb) ? 0xC0 : 0x80);                                                 \
        assert_int_equal(get_be16(rq.sense + 16), byte);                                                               \
    } while (0)

#endif
