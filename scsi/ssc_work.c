/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_work.c: ERASE, FORMAT MEDIUM and SET CAPACITY with IMMED: answered when all is checked, done behind the answer.
 */
#include "scsi/ssc_private.h"

static void work_after(struct scsi_lun *lun, const atomic_bool *cancelled)
{
    struct ssc_lun *ssc = ssc_of(lun);
    enum tape_result r = ssc->work.run(ssc, cancelled);
    if (r != TAPE_OK && r != TAPE_CANCELLED) /* cancelled: the logical unit ends, there is nobody to tell */
        atomic_store(&ssc->work.failed, (int)r);
    atomic_store(&ssc->work.asc, 0);
}

void ssc_work_do(struct ssc_lun *ssc, struct scsi_request *rq, bool immed, enum scsi_asc asc,
                 enum tape_activity activity, enum tape_result (*run)(struct ssc_lun *ssc, const atomic_bool *cancel))
{
    struct tape_status st;
    if (!immed || !rq->can_defer) {
        ssc_end(rq, run(ssc, rq->cancelled), 0);
        return;
    }
    /* What can be known now is not left to a deferred error. */
    ssc_status(ssc, &st);
    if (st.write_protected) {
        ssc_end(rq, TAPE_WRITE_PROTECTED, 0);
    } else if (st.worm && !ssc_at_end(&st)) {
        ssc_end(rq, TAPE_WORM_OVERWRITE, 0);
    } else {
        ssc->work.run = run;
        ssc->work.activity = activity;
        atomic_store(&ssc->work.asc, (int)asc);
        rq->after = work_after;
    }
}

/* How far it is cannot be said: it waits for the store to say whose the cartridge is, and is done in no time then. So
 * the PROGRESS INDICATION is 0 until all is done. */
bool ssc_work_goes_on(struct scsi_lun *lun, struct scsi_request *rq)
{
    int asc = atomic_load(&ssc_of(lun)->work.asc);
    if (!asc)
        return false;
    scsi_check(rq, KEY_NOT_READY, (enum scsi_asc)asc);
    scsi_sense_progress(rq, 0);
    return true;
}

/* An IMMED command is answered before the drive begins, which would call itself idle until then. */
enum tape_activity ssc_activity(struct ssc_lun *ssc, const struct tape_status *st)
{
    return st->activity == TAPE_IDLE && atomic_load(&ssc->work.asc) ? ssc->work.activity : st->activity;
}

bool ssc_work_failed(struct ssc_lun *ssc, struct scsi_request *rq)
{
    enum tape_result r = (enum tape_result)atomic_exchange(&ssc->work.failed, TAPE_OK);
    if (r == TAPE_OK)
        return false;
    ssc_end(rq, r, 0);
    scsi_sense_deferred(rq);
    return true;
}
