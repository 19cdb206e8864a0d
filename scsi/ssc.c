/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc.c: the tape drive's command table and construction (SSC-5). */
#include "scsi/ssc_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/lto.h"
#include "scsi/spc_rows.h"
#include "scsi/ssc_keys.h"

#define NOW CMD_IMMEDIATE
#define MEDIUM CMD_NEEDS_MEDIUM
#define AT_ONCE CMD_AT_ONCE
#define SECRET CMD_SECRET

/* Time-outs are those of LTO drives; PBS waits 600 s for most commands. READ, WRITE, WRITE FILEMARKS, VERIFY and ERASE
 * have no form of 16 bytes: it belongs to explicit address mode (SSC-5 4.2.7), which LTO drives do not have (BAM 0 in
 * mode page 10h). */
/* clang-format off */
#define READ_ATTRIBUTE(action, name) \
    {0x8C, action, 16, NOW | MEDIUM, "READ ATTRIBUTE: " name, CDB(0x1f, R3, FF, 0, FF, FF2, FF4, 0x01), 60, ssc_read_attribute}

static const struct scsi_command table[] = {
    /* opcode, service action, length, flags, name, bits of the CDB, time-out, handler */
    {0x00, SA_NONE,  6, NOW,              "TEST UNIT READY",              CDB(0),                              60, ssc_test_unit_ready},
    {0x01, SA_NONE,  6, MEDIUM,           "REWIND",                       CDB(0x01),                          600, ssc_rewind},
    SPC_REQUEST_SENSE, /* 03h */
    {0x04, SA_NONE,  6, MEDIUM,           "FORMAT MEDIUM",                CDB(0x01, 0x0f),                   3000, ssc_format_medium},
    {0x05, SA_NONE,  6, NOW,              "READ BLOCK LIMITS",            CDB(0x01),                           60, ssc_read_block_limits},
    {0x08, SA_NONE,  6, MEDIUM,           "READ(6)",                      CDB(0x03, FF3),                    1200, ssc_read},
    {0x0A, SA_NONE,  6, MEDIUM | AT_ONCE, "WRITE(6)",                     CDB(0x01, FF3),                    1200, ssc_write},
    {0x0B, SA_NONE,  6, MEDIUM,           "SET CAPACITY",                 CDB(0x01, 0, FF2),                 3000, ssc_set_capacity},
    {0x10, SA_NONE,  6, MEDIUM,           "WRITE FILEMARKS(6)",           CDB(0x01, FF3),                    1200, ssc_write_filemarks},
    {0x11, SA_NONE,  6, MEDIUM,           "SPACE(6)",                     CDB(0x0f, FF3),                    2400, ssc_space},
    SPC_INQUIRY, /* 12h */
    {0x13, SA_NONE,  6, MEDIUM,           "VERIFY(6)",                    CDB(0x05, FF3),                    2400, ssc_verify},
    {0x15, SA_NONE,  6, 0,                "MODE SELECT(6)",               CDB(0x11, R2, FF),                  600, ssc_mode_select},
    {0x19, SA_NONE,  6, MEDIUM,           "ERASE(6)",                     CDB(0x03),                         3000, ssc_erase},
    {0x1A, SA_NONE,  6, 0,                "MODE SENSE(6)",                CDB(0x08, FF, FF, FF),               60, ssc_mode_sense},
    {0x1B, SA_NONE,  6, 0,                "LOAD UNLOAD",                  CDB(0x01, R2, 0x0f),                900, ssc_load_unload},
    SPC_SEND_DIAGNOSTIC, /* 1Dh */
    {0x1E, SA_NONE,  6, NOW,              "PREVENT ALLOW MEDIUM REMOVAL", CDB(R3, 0x01),                       60, ssc_prevent_allow},
    {0x2B, SA_NONE, 10, MEDIUM,           "LOCATE(10)",                   CDB(0x07, 0, FF4, 0, FF),          2400, ssc_locate},
    {0x34, SA_NONE, 10, NOW | MEDIUM,     "READ POSITION",                CDB(0x1f, R5, FF2),                  60, ssc_read_position},
    {0x44, SA_NONE, 10, NOW,              "REPORT DENSITY SUPPORT",       CDB(0x03, R5, FF2),                  60, ssc_report_density_support},
    {0x4C, SA_NONE, 10, NOW,              "LOG SELECT",                   CDB(0x03, FF, FF, R3, FF2),          60, ssc_log_select},
    {0x4D, SA_NONE, 10, NOW,              "LOG SENSE",                    CDB(0x01, FF, FF, 0, FF2, FF2),      60, ssc_log_sense},
    {0x55, SA_NONE, 10, 0,                "MODE SELECT(10)",              CDB(0x11, R5, FF2),                 600, ssc_mode_select},
    {0x5A, SA_NONE, 10, 0,                "MODE SENSE(10)",               CDB(0x18, FF, FF, R3, FF2),          60, ssc_mode_sense},
    SPC_PERSISTENT_RESERVE, /* 5Eh, 5Fh */
    {0x82, SA_NONE, 16, MEDIUM,           "ALLOW OVERWRITE",              CDB(0, 0x0f, FF, FF8),               60, ssc_allow_overwrite},
    READ_ATTRIBUTE(0x00, "ATTRIBUTE VALUES"), /* 8Ch */
    READ_ATTRIBUTE(0x01, "ATTRIBUTE LIST"),
    READ_ATTRIBUTE(0x02, "LOGICAL VOLUME LIST"),
    READ_ATTRIBUTE(0x03, "PARTITION LIST"),
    READ_ATTRIBUTE(0x05, "SUPPORTED ATTRIBUTES"),
    {0x8D, SA_NONE, 16, MEDIUM,           "WRITE ATTRIBUTE",              CDB(0x01, R3, FF, 0, FF, R2, FF4),   60, ssc_write_attribute},
    {0x91, SA_NONE, 16, MEDIUM,           "SPACE(16)",                    CDB(0x0f, R2, FF8),                2400, ssc_space},
    {0x92, SA_NONE, 16, MEDIUM,           "LOCATE(16)",                   CDB(0x3b, 0, FF, FF8),             2400, ssc_locate},
    SPC_REPORT_LUNS, /* A0h */
    {0xA2, SA_NONE, 12, 0,                "SECURITY PROTOCOL IN",         CDB(FF, FF2, 0x80, 0, FF4),         600, ssc_security_in},
    SPC_REPORT_SUPPORTED_OPERATION_CODES, /* A3h */
    {0xB5, SA_NONE, 12, SECRET,           "SECURITY PROTOCOL OUT",        CDB(FF, FF2, 0x80, 0, FF4),         600, ssc_security_out},
};
/* clang-format on */

/* Append-only mode stays: a reset must not open a tape that somebody protected. */
static void reset(struct scsi_lun *lun)
{
    struct ssc_lun *ssc = ssc_of(lun);
    ssc->block_length = 0;
    ssc->buffered_mode = 1;
    ssc->compress = true;
    ssc->pews = 0;
    ssc_moved(ssc);
    ssc_keys_reset(ssc->keys);
}

static uint64_t medium_number(struct scsi_lun *lun)
{
    struct tape_status st;
    ssc_status(ssc_of(lun), &st);
    return st.medium_changes;
}

/* A command may wait for long: for the data of the one before it, or until a move out of the drive has flushed. */
static void for_medium(struct scsi_lun *lun, uint64_t medium_changes)
{
    struct ssc_lun *ssc = ssc_of(lun);
    if (ssc->ops->for_medium)
        ssc->ops->for_medium(ssc->self, medium_changes);
}

static void nexus_gone(struct scsi_lun *lun, uint64_t nexus)
{
    ssc_keys_nexus_gone(ssc_of(lun)->keys, nexus);
}

static void destroy(struct scsi_lun *lun)
{
    ssc_keys_free(ssc_of(lun)->keys);
    scsi_lun_fini(lun);
    free(lun);
}

struct scsi_lun *ssc_lun_new(const struct scsi_identity *id, const struct ssc_options *opt, const struct tape_ops *ops,
                             void *self)
{
    const struct lto_generation *drive = lto_generation(opt->generation);
    struct ssc_lun *ssc = drive ? calloc(1, sizeof(*ssc)) : NULL;
    if (!ssc)
        return NULL;
    scsi_lun_init(&ssc->lun, id, table, sizeof(table) / sizeof(table[0]));
    /* SAM-5, SPC-4, SSC-4, iSCSI: SPC-5 table 150 */
    static const uint16_t versions[] = {0x00A0, 0x0460, 0x0520, 0x0960};
    memcpy(ssc->lun.version_descriptors, versions, sizeof(versions));
    ssc->lun.medium_ready = ssc_medium_ready;
    ssc->lun.medium = medium_number;
    ssc->lun.for_medium = for_medium;
    ssc->lun.in_progress = ssc_work_goes_on;
    ssc->lun.at_once = ssc_write_at_once;
    ssc->lun.reset = reset;
    ssc->lun.destroy = destroy;
    ssc->lun.nexus_gone = nexus_gone;
    ssc->keys = ssc_keys_new();
    if (!ssc->keys) { /* no locked memory: such a drive could not keep its keys secret */
        scsi_lun_fini(&ssc->lun);
        free(ssc);
        return NULL;
    }
    ssc->ops = ops;
    ssc->self = self;
    ssc->drive = drive;
    reset(&ssc->lun);
    return &ssc->lun;
}
