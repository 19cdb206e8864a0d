/* SPDX-License-Identifier: GPL-2.0-or-later */
/* smc_move.c: MOVE MEDIUM, EXCHANGE MEDIUM and all else that the transport element does. */
#include "base/be.h"
#include "scsi/smc_private.h"

/* A result as status and sense. */
static void end(struct scsi_request *rq, enum changer_result r)
{
    static const struct {
        enum scsi_sense_key key;
        enum scsi_asc asc;
    } senses[] = {
        [CHANGER_BAD_ADDRESS] = {KEY_ILLEGAL_REQUEST, ASC_INVALID_ELEMENT_ADDRESS},
        [CHANGER_SOURCE_EMPTY] = {KEY_ILLEGAL_REQUEST, ASC_MEDIUM_SOURCE_ELEMENT_EMPTY},
        [CHANGER_DESTINATION_FULL] = {KEY_ILLEGAL_REQUEST, ASC_MEDIUM_DESTINATION_ELEMENT_FULL},
        [CHANGER_REMOVAL_PREVENTED] = {KEY_ILLEGAL_REQUEST, ASC_MEDIUM_REMOVAL_PREVENTED},
        [CHANGER_INCOMPATIBLE] = {KEY_ILLEGAL_REQUEST, ASC_INCOMPATIBLE_MEDIUM_INSTALLED},
        [CHANGER_FLUSH_FAILED] = {KEY_HARDWARE_ERROR, ASC_MEDIA_LOAD_OR_EJECT_FAILED},
        [CHANGER_INTERNAL] = {KEY_HARDWARE_ERROR, ASC_INTERNAL_TARGET_FAILURE},
    };
    if (r == CHANGER_OK)
        return;
    if (r == CHANGER_CANCELLED)
        rq->status = SCSI_TASK_ABORTED;
    else
        scsi_check(rq, senses[r].key, senses[r].asc);
}

void smc_test_unit_ready(struct scsi_lun *lun, struct scsi_request *rq)
{
    (void)lun; /* always ready: the library knows its elements without a scan */
    (void)rq;
}

void smc_initialize(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct smc_lun *smc = smc_of(lun);
    end(rq, smc->ops->initialize(smc->self, rq->cancelled));
}

void smc_initialize_range(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct smc_lun *smc = smc_of(lun);
    struct changer_element first;
    bool range = rq->cdb[1] & 0x01; /* RANGE: the addresses count */
    if (range && !smc->ops->elements(smc->self, 0, get_be16(rq->cdb + 2), 1, &first))
        end(rq, CHANGER_BAD_ADDRESS);
    else
        end(rq, smc->ops->initialize(smc->self, rq->cancelled));
}

void smc_prevent_allow(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct smc_lun *smc = smc_of(lun);
    smc->ops->prevent(smc->self, scsi_prevent_set(lun, rq->nexus, rq->cdb[4] & 0x01));
}

void smc_position(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct smc_lun *smc = smc_of(lun);
    if (rq->cdb[8] & 0x01) /* INVERT: the media have one side */
        scsi_check_cdb_field(rq, 8, 0);
    else
        end(rq, smc->ops->position(smc->self, get_be16(rq->cdb + 2), get_be16(rq->cdb + 4)));
}

void smc_move(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct smc_lun *smc = smc_of(lun);
    if (rq->cdb[10] & 0x01)
        scsi_check_cdb_field(rq, 10, 0);
    else
        end(rq, smc->ops->move(smc->self, get_be16(rq->cdb + 2), get_be16(rq->cdb + 4), get_be16(rq->cdb + 6),
                               rq->cancelled));
}

void smc_exchange(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct smc_lun *smc = smc_of(lun);
    if (rq->cdb[10] & 0x03) /* INV1, INV2 */
        scsi_check_cdb_field(rq, 10, rq->cdb[10] & 0x02 ? 1 : 0);
    else
        end(rq, smc->ops->exchange(smc->self, get_be16(rq->cdb + 2), get_be16(rq->cdb + 4), get_be16(rq->cdb + 6),
                                   get_be16(rq->cdb + 8), rq->cancelled));
}
