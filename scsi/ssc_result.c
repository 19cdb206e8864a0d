/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_result.c: results of the tape as status and sense (SSC-5 4.2.18, SPC-5 annex D). */
#include "scsi/ssc_private.h"

/* clang-format off */
/* information: INFORMATION says what was not done. */
static const struct sense {
    enum scsi_sense_key key;
    enum scsi_asc asc;
    uint8_t flags;
    bool information;
} senses[] = {
    [TAPE_FILEMARK]        = {KEY_NO_SENSE,        ASC_FILEMARK_DETECTED,                             SENSE_FILEMARK, true},
    [TAPE_EOD]             = {KEY_BLANK_CHECK,     ASC_END_OF_DATA_DETECTED,                          0,              true},
    [TAPE_BOP]             = {KEY_NO_SENSE,        ASC_BEGINNING_OF_PARTITION_MEDIUM_DETECTED,        SENSE_EOM,      true},
    [TAPE_EARLY_WARNING]   = {KEY_NO_SENSE,        ASC_END_OF_PARTITION_MEDIUM_DETECTED,              SENSE_EOM,      true},
    [TAPE_OVERFLOW]        = {KEY_VOLUME_OVERFLOW, ASC_END_OF_PARTITION_MEDIUM_DETECTED,              SENSE_EOM,      true},
    [TAPE_NOT_PRESENT]     = {KEY_NOT_READY,       ASC_MEDIUM_NOT_PRESENT,                            0,              false},
    [TAPE_CLEANS]          = {KEY_NOT_READY,       ASC_CLEANING_CARTRIDGE_INSTALLED,                  0,              false},
    [TAPE_WRITE_PROTECTED] = {KEY_DATA_PROTECT,    ASC_WRITE_PROTECTED,                               0,              true},
    [TAPE_WORM_OVERWRITE]  = {KEY_DATA_PROTECT,    ASC_WORM_MEDIUM_OVERWRITE_ATTEMPTED,               0,              true},
    [TAPE_READ_ERROR]      = {KEY_MEDIUM_ERROR,    ASC_UNRECOVERED_READ_ERROR,                        0,              true},
    [TAPE_WRITE_ERROR]     = {KEY_MEDIUM_ERROR,    ASC_WRITE_ERROR,                                   0,              true},
    [TAPE_WRITE_LOST]      = {KEY_MEDIUM_ERROR,    ASC_WRITE_ERROR,                                   0,              false},
    [TAPE_NOT_OWNED]       = {KEY_DATA_PROTECT,    ASC_WRITE_PROTECTED,                               0,              true},
    [TAPE_ENCRYPTED]       = {KEY_DATA_PROTECT,    ASC_UNABLE_TO_DECRYPT_DATA,                        0,              true},
    [TAPE_NOT_ENCRYPTED]   = {KEY_DATA_PROTECT,    ASC_UNENCRYPTED_DATA_ENCOUNTERED_WHILE_DECRYPTING, 0,              true},
    [TAPE_WRONG_KEY]       = {KEY_DATA_PROTECT,    ASC_INCORRECT_DATA_ENCRYPTION_KEY,                 0,              true},
    [TAPE_NO_SUCH_PLACE]   = {KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB,                          0,              false},
    [TAPE_INTERNAL]        = {KEY_HARDWARE_ERROR,  ASC_INTERNAL_TARGET_FAILURE,                       0,              false},
};
/* clang-format on */

void ssc_end(struct scsi_request *rq, enum tape_result r, int64_t residual)
{
    if (r == TAPE_OK)
        return;
    if (r == TAPE_CANCELLED) {
        rq->status = SCSI_TASK_ABORTED;
        return;
    }
    const struct sense *s = &senses[r];
    scsi_check(rq, s->key, s->asc);
    scsi_sense_flags(rq, s->flags);
    if (s->information)
        scsi_sense_info(rq, residual);
    if (r == TAPE_WRITE_LOST)
        scsi_sense_deferred(rq);
}
