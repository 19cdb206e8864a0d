/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_medium.c: TEST UNIT READY, LOAD UNLOAD, PREVENT ALLOW, ERASE, FORMAT MEDIUM, SET CAPACITY, READ BLOCK LIMITS. */
#include "base/be.h"
#include "scsi/ssc_private.h"

/* Why a medium that is not loaded is not ready. */
static enum scsi_asc not_ready(enum tape_medium medium)
{
    switch (medium) {
    case TAPE_MEDIUM_LOADING:
        return ASC_BECOMING_READY;
    case TAPE_MEDIUM_CLEANING:
        return ASC_CLEANING_CARTRIDGE_INSTALLED;
    case TAPE_MEDIUM_UNLOADED: /* as LTO drives say it; at 2/04/02 Linux's st waits two minutes for somebody to load */
    case TAPE_MEDIUM_NONE:
    case TAPE_MEDIUM_LOADED:
        break;
    }
    return ASC_MEDIUM_NOT_PRESENT;
}

bool ssc_medium_ready(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct tape_status st;
    if (ssc_work_goes_on(lun, rq) || ssc_work_failed(ssc_of(lun), rq))
        return false;
    ssc_status(ssc_of(lun), &st);
    if (st.medium == TAPE_MEDIUM_LOADED)
        return true;
    scsi_check(rq, KEY_NOT_READY, not_ready(st.medium));
    return false;
}

void ssc_test_unit_ready(struct scsi_lun *lun, struct scsi_request *rq)
{
    (void)ssc_medium_ready(lun, rq);
}

void ssc_load_unload(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    bool load = rq->cdb[4] & 0x01, eot = rq->cdb[4] & 0x04, hold = rq->cdb[4] & 0x08; /* RETEN means nothing here */
    struct tape_status st;
    if (eot && load) { /* not together: SSC-5 7.3 */
        scsi_check_cdb_field(rq, 4, 2);
        return;
    }
    ssc_status(ssc, &st);
    if (st.medium == TAPE_MEDIUM_NONE) {
        ssc_end(rq, TAPE_NOT_PRESENT, 0);
        return;
    }
    if (hold && load) /* into the drive, but not threaded: it is in the drive */
        return;
    bool fresh = st.medium != TAPE_MEDIUM_LOADED;
    ssc_moved(ssc);
    if (!load && scsi_prevented(lun)) {
        ssc->ops->alert(ssc->self, ALERT_NO_REMOVAL);
        scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_MEDIUM_REMOVAL_PREVENTED);
        return;
    }
    enum tape_result r = load ? ssc->ops->load(ssc->self, rq->cancelled) : ssc->ops->unload(ssc->self, rq->cancelled);
    ssc_end(rq, r, 0);
    if (r == TAPE_OK && load && fresh) /* the others learn of it; the one who asked knows */
        scsi_ua_raise(lun, 0, rq->nexus, ASC_NOT_READY_TO_READY_CHANGE);
}

void ssc_prevent_allow(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    ssc->ops->prevent(ssc->self, scsi_prevent_set(lun, rq->nexus, rq->cdb[4] & 0x01));
}

static enum tape_result run_erase(struct ssc_lun *ssc, const atomic_bool *cancel)
{
    return ssc->ops->erase(ssc->self, ssc->work.long_erase, cancel);
}

void ssc_erase(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    if (!ssc_may_overwrite(ssc, rq, false, 0))
        return;
    ssc->work.long_erase = rq->cdb[1] & 0x01; /* LONG */
    ssc_work_do(ssc, rq, rq->cdb[1] & 0x02, ASC_OPERATION_IN_PROGRESS, TAPE_ERASING, run_erase);
}

static enum tape_result run_format(struct ssc_lun *ssc, const atomic_bool *cancel)
{
    return ssc->ops->format(ssc->self, cancel);
}

static enum tape_result run_set_capacity(struct ssc_lun *ssc, const atomic_bool *cancel)
{
    return ssc->ops->set_capacity(ssc->self, ssc->work.proportion, cancel);
}

/* A format begins at BOP, and leaves nothing: not in append-only mode. Makes the sense if it may not be. */
static bool may_format(struct ssc_lun *ssc, struct scsi_request *rq)
{
    struct tape_status st;
    ssc_status(ssc, &st);
    if (st.object) {
        scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_POSITION_PAST_BEGINNING_OF_MEDIUM);
        return false;
    }
    return ssc_may_overwrite(ssc, rq, true, 0);
}

/* SSC-5 7.12: the initiator may use so much of the medium from now on. What was on it is gone. */
void ssc_set_capacity(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    if (!may_format(ssc, rq))
        return;
    ssc->work.proportion = get_be16(rq->cdb + 3); /* CAPACITY PROPORTION VALUE, 65535ths */
    ssc_work_do(ssc, rq, rq->cdb[1] & 0x01, ASC_OPERATION_IN_PROGRESS, TAPE_FORMATTING, run_set_capacity);
}

/* The usage map has neither VERIFY nor TRANSFER LENGTH (vendor-specific parameters): these are 5/24/00. */
void ssc_format_medium(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    if ((rq->cdb[2] & 0x0f) > 2) { /* FORMAT: default, partition, or both: there is one partition anyway */
        scsi_check_cdb_field(rq, 2, 3);
        return;
    }
    if (!may_format(ssc, rq))
        return;
    ssc_work_do(ssc, rq, rq->cdb[1] & 0x01, ASC_FORMAT_IN_PROGRESS, TAPE_FORMATTING, run_format);
}

void ssc_read_block_limits(struct scsi_lun *lun, struct scsi_request *rq)
{
    (void)lun;
    uint8_t b[6] = {0};      /* GRANULARITY 0 */
    if (rq->cdb[1] & 0x01) { /* MLOI: maximum logical object identifier, SSC-5 7.5 */
        uint8_t m[20] = {0};
        put_be64(m + 12, UINT64_MAX >> 1);
        scsi_reply(rq, m, sizeof(m), sizeof(m));
        return;
    }
    put_be24(b + 1, TAPE_MAX_BLOCK); /* MAXIMUM LOGICAL BLOCK LENGTH LIMIT */
    put_be16(b + 4, 1);              /* MINIMUM */
    scsi_reply(rq, b, sizeof(b), sizeof(b));
}
