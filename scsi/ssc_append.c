/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_append.c: append-only mode with ALLOW OVERWRITE, and programmable early warning (SSC-5 4.2.6, 4.2.17, 7.1). */
#include "base/be.h"
#include "scsi/ssc_private.h"

void ssc_moved(struct ssc_lun *ssc)
{
    ssc->in_pews = false;
    ssc->overwrite.allowed = OVERWRITE_NONE;
}

/* ---- append-only mode ---- */

/* As on a WORM medium, filemarks just before end of data may go: programs end a tape with two, and append at the
 * second. */
bool ssc_at_end(const struct tape_status *st)
{
    return st->object == st->end_object || (st->file > 0 && st->end_object - st->object == st->end_file - st->file);
}

bool ssc_may_overwrite(struct ssc_lun *ssc, struct scsi_request *rq, bool format, int64_t residual)
{
    struct tape_status st;
    if (!ssc->append_only)
        return true;
    ssc_status(ssc, &st);
    const struct ssc_overwrite o = ssc->overwrite;
    if (st.write_protected || (!format && ssc_at_end(&st)) || (format && !st.end_object))
        return true; /* a write protected tape answers for itself */
    bool here = o.medium == st.medium_changes && o.object == st.object;
    if (here && o.allowed == (format ? OVERWRITE_FORMAT : OVERWRITE_HERE)) {
        ssc->overwrite.allowed = OVERWRITE_NONE; /* once */
        return true;
    }
    ssc_end(rq, TAPE_WORM_OVERWRITE, residual);
    return false;
}

/* ALLOW OVERWRITE, SSC-5 7.1: allows one overwrite in append-only mode, at this very position. */
void ssc_allow_overwrite(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    struct tape_status st;
    unsigned what = rq->cdb[2] & 0x0f; /* ALLOW OVERWRITE */
    ssc_status(ssc, &st);
    if (what > OVERWRITE_FORMAT) {
        scsi_check_cdb_field(rq, 2, 3);
        return;
    }
    ssc->overwrite.allowed = OVERWRITE_NONE;
    if (what == OVERWRITE_NONE)
        return;
    if (rq->cdb[3]) { /* PARTITION */
        scsi_check_cdb_field(rq, 3, -1);
        return;
    }
    bool here = what == OVERWRITE_HERE ? get_be64(rq->cdb + 4) == st.object : st.object == 0;
    if (!here) { /* LOGICAL OBJECT IDENTIFIER is elsewhere, or a format would not begin at BOP */
        scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_SEQUENTIAL_POSITIONING_ERROR);
        return;
    }
    ssc->overwrite = (struct ssc_overwrite){.allowed = what, .object = st.object, .medium = st.medium_changes};
}

/* ---- programmable early warning ---- */

/* The zone begins PEWS megabytes before early warning. Only at end of data, where all writes happen, is it known how
 * much lies before the position. */
bool ssc_in_pews(const struct ssc_lun *ssc, const struct tape_status *st)
{
    return ssc->pews && st->medium == TAPE_MEDIUM_LOADED && st->object == st->end_object &&
           st->used + ssc->pews * 1000000ull >= st->capacity;
}

/* Warns once each time a write enters the zone. EOM stays 0: it means early warning itself (SPC-5 4.4.2). */
void ssc_note_pews(struct ssc_lun *ssc, struct scsi_request *rq)
{
    struct tape_status st;
    if (!ssc->pews)
        return;
    ssc_status(ssc, &st);
    bool told = ssc->in_pews && ssc->pews_medium == st.medium_changes;
    ssc->in_pews = ssc_in_pews(ssc, &st);
    ssc->pews_medium = st.medium_changes;
    if (!ssc->in_pews || told || rq->status != SCSI_GOOD)
        return;
    scsi_check(rq, KEY_NO_SENSE, ASC_PROGRAMMABLE_EARLY_WARNING_DETECTED);
    scsi_sense_info(rq, 0); /* nothing is left over */
}
