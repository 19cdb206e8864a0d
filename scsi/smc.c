/* SPDX-License-Identifier: GPL-2.0-or-later */
/* smc.c: the medium changer's command table and construction (SMC-3). */
#include "scsi/smc_private.h"

#include <stdlib.h>
#include <string.h>

#include "scsi/spc_rows.h"

#define NOW CMD_IMMEDIATE

/* clang-format off */
static const struct scsi_command table[] = {
    /* opcode, service action, length, flags, name, bits of the CDB, time-out, handler */
    {0x00, SA_NONE,  6, NOW, "TEST UNIT READY",                      CDB(0),                             60, smc_test_unit_ready},
    SPC_REQUEST_SENSE, /* 03h */
    {0x07, SA_NONE,  6, 0,   "INITIALIZE ELEMENT STATUS",            CDB(0),                           1800, smc_initialize},
    SPC_INQUIRY, /* 12h */
    {0x15, SA_NONE,  6, 0,   "MODE SELECT(6)",                       CDB(0x11, R2, FF),                 300, smc_mode_select},
    {0x1A, SA_NONE,  6, NOW, "MODE SENSE(6)",                        CDB(0x08, FF, FF, FF),             300, smc_mode_sense},
    SPC_SEND_DIAGNOSTIC, /* 1Dh */
    {0x1E, SA_NONE,  6, NOW, "PREVENT ALLOW MEDIUM REMOVAL",         CDB(R3, 0x01),                      60, smc_prevent_allow},
    {0x2B, SA_NONE, 10, 0,   "POSITION TO ELEMENT",                  CDB(0, FF2, FF2, R2, 0x01),        300, smc_position},
    {0x37, SA_NONE, 10, 0,   "INITIALIZE ELEMENT STATUS WITH RANGE", CDB(0x03, FF2, R2, FF2),          1800, smc_initialize_range},
    {0x4D, SA_NONE, 10, NOW, "LOG SENSE",                            CDB(0x01, FF, FF, 0, FF2, FF2),     60, smc_log_sense},
    {0x55, SA_NONE, 10, 0,   "MODE SELECT(10)",                      CDB(0x11, R5, FF2),                300, smc_mode_select},
    {0x5A, SA_NONE, 10, NOW, "MODE SENSE(10)",                       CDB(0x18, FF, FF, R3, FF2),        300, smc_mode_sense},
    SPC_PERSISTENT_RESERVE, /* 5Eh, 5Fh */
    SPC_REPORT_LUNS, /* A0h */
    SPC_REPORT_SUPPORTED_OPERATION_CODES, /* A3h */
    {0xA5, SA_NONE, 12, 0,   "MOVE MEDIUM",                          CDB(0, FF2, FF2, FF2, R2, 0x01),   900, smc_move},
    {0xA6, SA_NONE, 12, 0,   "EXCHANGE MEDIUM",                      CDB(0, FF2, FF2, FF2, FF2, 0x03),  900, smc_exchange},
    {0xB8, SA_NONE, 12, NOW, "READ ELEMENT STATUS",                  CDB(0x1f, FF2, FF2, 0x03, FF3),    300, smc_read_element_status},
};
/* clang-format on */

static void destroy(struct scsi_lun *lun)
{
    scsi_lun_fini(lun);
    free(lun);
}

struct scsi_lun *smc_lun_new(const struct scsi_identity *id, const struct changer_ops *ops, void *self)
{
    struct smc_lun *smc = calloc(1, sizeof(*smc));
    if (!smc)
        return NULL;
    scsi_lun_init(&smc->lun, id, table, sizeof(table) / sizeof(table[0]));
    /* SAM-5, SPC-4, SMC-3, iSCSI: SPC-5 table 150 */
    static const uint16_t versions[] = {0x00A0, 0x0460, 0x0480, 0x0960};
    memcpy(smc->lun.version_descriptors, versions, sizeof(versions));
    smc->lun.destroy = destroy;
    smc->ops = ops;
    smc->self = self;
    return &smc->lun;
}
