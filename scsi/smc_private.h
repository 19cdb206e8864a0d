/* SPDX-License-Identifier: GPL-2.0-or-later */
/* smc_private.h: what the files of the medium changer share. */
#ifndef S3VTL_SMC_PRIVATE_H
#define S3VTL_SMC_PRIVATE_H

#include "scsi/changer_ops.h"
#include "scsi/spc.h"

struct smc_lun {
    struct scsi_lun lun; /* first */
    const struct changer_ops *ops;
    void *self;
};

static inline struct smc_lun *smc_of(struct scsi_lun *lun)
{
    return (struct smc_lun *)lun;
}

void smc_test_unit_ready(struct scsi_lun *lun, struct scsi_request *rq);
void smc_initialize(struct scsi_lun *lun, struct scsi_request *rq);
void smc_initialize_range(struct scsi_lun *lun, struct scsi_request *rq);
void smc_prevent_allow(struct scsi_lun *lun, struct scsi_request *rq);
void smc_position(struct scsi_lun *lun, struct scsi_request *rq);
void smc_move(struct scsi_lun *lun, struct scsi_request *rq);
void smc_exchange(struct scsi_lun *lun, struct scsi_request *rq);
void smc_mode_sense(struct scsi_lun *lun, struct scsi_request *rq);
void smc_mode_select(struct scsi_lun *lun, struct scsi_request *rq);
void smc_log_sense(struct scsi_lun *lun, struct scsi_request *rq);
void smc_read_element_status(struct scsi_lun *lun, struct scsi_request *rq);

#endif
