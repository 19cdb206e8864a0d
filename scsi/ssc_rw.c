/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_rw.c: READ(6), WRITE(6), VERIFY(6), WRITE FILEMARKS, in variable and fixed block mode (SSC-5 7.4 to 7.9). */
#include "base/be.h"
#include "scsi/ssc_keys.h"
#include "scsi/ssc_private.h"

#define FIXED 0x01
#define SILI 0x02

/* What FIXED, TRANSFER LENGTH and the block length ask for. */
struct transfer {
    uint32_t block; /* bytes of a block */
    uint32_t count; /* blocks; 0: nothing to do */
};

/* Makes the sense if that cannot be. */
static bool decode(struct ssc_lun *ssc, struct scsi_request *rq, struct transfer *t)
{
    uint32_t length = get_be24(rq->cdb + 2); /* TRANSFER LENGTH */
    bool fixed = rq->cdb[1] & FIXED;
    if (fixed && !ssc->block_length) {
        scsi_check_cdb_field(rq, 1, 0);
        return false;
    }
    if (!fixed && length > TAPE_MAX_BLOCK) {
        scsi_check_cdb_field(rq, 2, -1);
        return false;
    }
    t->block = fixed ? ssc->block_length : length;
    t->count = fixed ? length : length ? 1 : 0;
    return true;
}

/* Calls run with the data encryption parameters in force for the nexus, whose key is gone afterwards. Makes the
 * sense if the nexus is locked to others (SSC-5 4.2.21.7). */
static void with_keys(struct ssc_lun *ssc, struct scsi_request *rq, const struct transfer *t,
                      void (*run)(struct ssc_lun *ssc, struct scsi_request *rq, const struct transfer *t,
                                  const struct tape_crypt *crypt))
{
    struct tape_crypt crypt = {.key = NULL};
    struct tape_status st;
    ssc_status(ssc, &st);
    if (ssc_keys_use(ssc->keys, rq->nexus, st.medium_changes, &crypt))
        run(ssc, rq, t, &crypt);
    else
        scsi_check(rq, KEY_DATA_PROTECT, ASC_DATA_ENCRYPTION_KEY_INSTANCE_COUNTER_HAS_CHANGED);
    ssc_keys_done(ssc->keys);
}

static void incorrect_length(struct scsi_request *rq, int64_t information)
{
    scsi_check(rq, KEY_NO_SENSE, ASC_NONE);
    scsi_sense_flags(rq, SENSE_ILI);
    scsi_sense_info(rq, information);
}

/* One block of any length: SSC-5 7.4, FIXED 0. */
static void read_variable(struct ssc_lun *ssc, struct scsi_request *rq, const struct transfer *t,
                          const struct tape_crypt *crypt)
{
    uint32_t length = t->block;
    uint32_t room = length < rq->in_len ? length : rq->in_len, actual = room;
    enum tape_result r = ssc->ops->read(ssc->self, rq->in, &actual, crypt, rq->cancelled);
    if (r != TAPE_OK) {
        ssc_end(rq, r, length);
        return;
    }
    rq->in_actual = actual < room ? actual : room;
    /* SILI keeps quiet about short blocks, and with block length 0 (variable) about long ones too. */
    bool silent = (rq->cdb[1] & SILI) && (actual < length || !ssc->block_length);
    if (actual != length && !silent)
        incorrect_length(rq, (int64_t)length - actual);
}

/* Blocks of the same length, one after another: SSC-5 7.4, FIXED 1. INFORMATION counts blocks. */
static void read_fixed(struct ssc_lun *ssc, struct scsi_request *rq, const struct transfer *t,
                       const struct tape_crypt *crypt)
{
    for (uint32_t done = 0; done < t->count; done++) {
        uint32_t room = rq->in_len - rq->in_actual, actual;
        if (room > t->block)
            room = t->block;
        actual = room;
        enum tape_result r = ssc->ops->read(ssc->self, rq->in + rq->in_actual, &actual, crypt, rq->cancelled);
        if (r != TAPE_OK) {
            ssc_end(rq, r, (int64_t)t->count - done);
            return;
        }
        if (actual != t->block) {
            rq->in_actual += actual < room ? actual : room;
            incorrect_length(rq, (int64_t)t->count - done);
            return;
        }
        rq->in_actual += room;
    }
}

void ssc_read(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    struct transfer t;
    if ((rq->cdb[1] & (FIXED | SILI)) == (FIXED | SILI)) {
        scsi_check_cdb_field(rq, 1, 1);
        return;
    }
    if (decode(ssc, rq, &t) && t.count)
        with_keys(ssc, rq, &t, rq->cdb[1] & FIXED ? read_fixed : read_variable);
}

static void write_blocks(struct ssc_lun *ssc, struct scsi_request *rq, const struct transfer *t,
                         const struct tape_crypt *crypt)
{
    if ((uint64_t)t->block * t->count > rq->out_len) { /* the initiator sent less than its CDB says */
        scsi_check_cdb_field(rq, 2, -1);
        return;
    }
    if (!ssc_may_overwrite(ssc, rq, false, rq->cdb[1] & FIXED ? t->count : t->block))
        return;
    bool warned = false;
    for (uint32_t done = 0; done < t->count; done++) {
        enum tape_result r =
            ssc->ops->write(ssc->self, rq->out + rq->out_actual, t->block, ssc->compress, crypt, rq->cancelled);
        if (r != TAPE_OK && r != TAPE_EARLY_WARNING) {
            ssc_end(rq, r, rq->cdb[1] & FIXED ? (int64_t)t->count - done : t->block);
            return;
        }
        warned = warned || r == TAPE_EARLY_WARNING;
        rq->out_actual += t->block;
    }
    /* BUFFERED MODE 0: GOOD means that it is safe. */
    enum tape_result safe =
        ssc->buffered_mode ? TAPE_OK : ssc->ops->write_filemarks(ssc->self, 0, false, rq->cancelled);
    if (safe != TAPE_OK)
        ssc_end(rq, safe, 0);
    else if (warned)
        ssc_end(rq, TAPE_EARLY_WARNING, 0);
    ssc_note_pews(ssc, rq);
}

void ssc_write(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    struct transfer t;
    if (decode(ssc, rq, &t) && t.count)
        with_keys(ssc, rq, &t, write_blocks);
}

static void give_out(void *rq)
{
    ((struct scsi_request *)rq)->give_out(rq);
}

/* A block that the drive can take with its memory, and that needs no sense. All else is left to ssc_write. */
bool ssc_write_at_once(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    struct tape_crypt crypt = {.key = NULL};
    uint32_t len = get_be24(rq->cdb + 2); /* TRANSFER LENGTH */
    bool plain = !(rq->cdb[1] & FIXED) && ssc->buffered_mode && !ssc->append_only && !ssc->pews;
    /* The drive would keep all of a large buffer for a small block. */
    bool fits = len && len <= TAPE_MAX_BLOCK && rq->out_len >= len && rq->out_len / 2 <= len;
    struct tape_status st;
    if (!plain || !fits || !rq->give_out || !ssc->ops->write_at_once)
        return false;
    ssc_status(ssc, &st);
    const struct tape_write w = {
        .block = rq->out, .len = len, .compress = ssc->compress, .crypt = &crypt, .taken = give_out, .arg = rq};
    enum tape_result r;
    bool done =
        ssc_keys_use(ssc->keys, rq->nexus, st.medium_changes, &crypt) && ssc->ops->write_at_once(ssc->self, &w, &r);
    ssc_keys_done(ssc->keys);
    if (!done)
        return false;
    rq->out_actual = len;
    ssc_end(rq, r, 0);
    return true;
}

static void verify_blocks(struct ssc_lun *ssc, struct scsi_request *rq, const struct transfer *t,
                          const struct tape_crypt *crypt)
{
    bool fixed = rq->cdb[1] & FIXED;
    for (uint32_t done = 0; done < t->count; done++) {
        uint32_t actual = 0;
        uint8_t nothing; /* all that READ would find wrong is found, the key too */
        enum tape_result r = ssc->ops->read(ssc->self, &nothing, &actual, crypt, rq->cancelled);
        if (r != TAPE_OK) {
            ssc_end(rq, r, fixed ? (int64_t)t->count - done : t->block);
            return;
        }
        if (actual != t->block) {
            incorrect_length(rq, fixed ? (int64_t)t->count - done : (int64_t)t->block - actual);
            return;
        }
    }
}

void ssc_verify(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    struct transfer t;
    if (decode(ssc, rq, &t))
        with_keys(ssc, rq, &t, verify_blocks);
}

void ssc_write_filemarks(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    bool immed = rq->cdb[1] & 0x01;
    uint32_t count = get_be24(rq->cdb + 2);
    if (count && !ssc_may_overwrite(ssc, rq, false, count))
        return;
    struct tape_status before, after;
    ssc_status(ssc, &before);
    enum tape_result r = ssc->ops->write_filemarks(ssc->self, count, immed, rq->cancelled);
    ssc_status(ssc, &after);
    /* With early warning all are written, and so they are when only what they sync cannot be made safe. */
    uint64_t written = after.object > before.object ? after.object - before.object : 0;
    ssc_end(rq, r, written < count ? (int64_t)(count - written) : 0);
    if (count)
        ssc_note_pews(ssc, rq);
}
