/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_work.c: ERASE, FORMAT MEDIUM and SET CAPACITY with IMMED: the answer comes after the checks, the work after the
 * answer. */
#include "scsi/ssc_private.h"

static void work_after(struct scsi_lun *lun, const atomic_bool *cancelled)
{
    struct ssc_lun *ssc = ssc_of(lun);
    enum tape_result r = ssc->work.run(ssc, cancelled);
    if (r != TAPE_OK && r != TAPE_CANCELLED) /* cancelled: the logical unit ends, and nobody is left to ask */
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
    /* An error that is known now is not deferred. */
    ssc_status(ssc, &st);
    if (st.write_protected) {
        ssc_end(rq, TAPE_WRITE_PROTECTED, 0);
    } else if ((st.worm || st.locked) && !ssc_at_end(&st)) {
        ssc_end(rq, TAPE_WORM_OVERWRITE, 0);
    } else {
        ssc->work.run = run;
        ssc->work.activity = activity;
        atomic_store(&ssc->work.asc, (int)asc);
        rq->after = work_after;
    }
}

/* PROGRESS INDICATION stays 0: nearly all of the time goes to waiting until the store says whose the cartridge is. */
bool ssc_work_goes_on(struct scsi_lun *lun, struct scsi_request *rq)
{
    int asc = atomic_load(&ssc_of(lun)->work.asc);
    if (!asc)
        return false;
    scsi_check(rq, KEY_NOT_READY, (enum scsi_asc)asc);
    scsi_sense_progress(rq, 0);
    return true;
}

/* Between the answer of an IMMED command and its work the drive itself is idle. */
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
