/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_mode.c: the drive's mode parameters: header, block descriptor, pages (SSC-5 8.3, SPC-5 7.5). */
#include <string.h>

#include "scsi/be.h"
#include "scsi/ssc_private.h"

/* 01h Read-Write Error Recovery, SSC-5 8.3.5: nothing is retried on the initiator's behalf. */
static const uint8_t error_recovery[12] = {0x01, 0x0A};
/* 02h Disconnect-Reconnect, SPC-5 7.5.9 */
static const uint8_t disconnect[16] = {0x02, 0x0E};
/* 0Ah Control, SPC-5 7.5.10: D_SENSE 0 (fixed format), QUEUE ALGORITHM MODIFIER 0 */
static const uint8_t control[12] = {0x0A, 0x0A};
/* 0Fh Data Compression, SSC-5 8.3.2: DCC, DDE; algorithm 1 (as LTO drives name theirs; the medium keeps zstd) */
static const uint8_t compression[16] = {0x0F, 0x0E, 0xC0, 0x80, 0, 0, 0, 0x01, 0, 0, 0, 0x01};
static const uint8_t compression_changeable[16] = {0, 0, 0x80}; /* DCE */
/* 10h Device Configuration, SSC-5 8.3.3: LOIS; EEG, SEW */
static const uint8_t configuration[16] = {0x10, 0x0E, 0, 0, 0, 0, 0, 0, 0x40, 0, 0x18};
/* 10h/01h Device Configuration Extension, SSC-5 8.3.8: PEWS 0 */
static const uint8_t extension[32] = {0x50, 0x01, 0x00, 0x1C};
/* 11h Medium Partition, SSC-5 8.3.4: one partition; sizes in megabytes */
static const uint8_t partition[10] = {0x11, 0x08, 0x00, 0x00, 0x10, 0x03, 0, 0, 0xFF, 0xFF};
/* 1Ch Informational Exceptions Control, SSC-5 8.3.6: DEXCPT; alerts are told in log page 12h */
static const uint8_t exceptions[12] = {0x1C, 0x0A, 0x08};
/* 1Dh Medium Configuration, SSC-5 8.3.7 */
static const uint8_t medium_configuration[32] = {0x1D, 0x1E};

static void fill_compression(struct scsi_lun *lun, uint8_t *p)
{
    p[2] = (uint8_t)(0x40 | (ssc_of(lun)->compress ? 0x80 : 0)); /* DCC, DCE */
}

static void apply_compression(struct scsi_lun *lun, const uint8_t *p)
{
    ssc_of(lun)->compress = p[2] & 0x80;
}

static void fill_configuration(struct scsi_lun *lun, uint8_t *p)
{
    p[14] = ssc_of(lun)->compress; /* SELECT DATA COMPRESSION ALGORITHM */
}

static void fill_medium_configuration(struct scsi_lun *lun, uint8_t *p)
{
    struct tape_status st;
    ssc_status(ssc_of(lun), &st);
    if (!st.worm)
        return;
    p[2] = 0x01; /* WORMM */
    p[4] = 0x01; /* WORM MODE LABEL RESTRICTIONS: none may be overwritten */
    p[5] = 0x01; /* WORM MODE FILEMARKS RESTRICTIONS: likewise */
}

static const struct mode_page pages[] = {
    {0x01, 0, sizeof(error_recovery), error_recovery, NULL, NULL, NULL},
    {0x02, 0, sizeof(disconnect), disconnect, NULL, NULL, NULL},
    {0x0A, 0, sizeof(control), control, NULL, NULL, NULL},
    {0x0F, 0, sizeof(compression), compression, compression_changeable, fill_compression, apply_compression},
    {0x10, 0, sizeof(configuration), configuration, NULL, fill_configuration, NULL},
    {0x10, 1, sizeof(extension), extension, NULL, NULL, NULL},
    {0x11, 0, sizeof(partition), partition, NULL, NULL, NULL},
    {0x1C, 0, sizeof(exceptions), exceptions, NULL, NULL, NULL},
    {0x1D, 0, sizeof(medium_configuration), medium_configuration, NULL, fill_medium_configuration, NULL},
};

static void header(struct scsi_lun *lun, uint8_t *medium_type, uint8_t *device_specific)
{
    struct ssc_lun *ssc = ssc_of(lun);
    struct tape_status st;
    ssc_status(ssc, &st);
    *medium_type = 0;
    *device_specific = (uint8_t)((st.write_protected ? 0x80 : 0) | ssc->buffered_mode << 4); /* WP, BUFFERED MODE */
}

static void descriptor(struct scsi_lun *lun, int pc, uint8_t d[8])
{
    struct ssc_lun *ssc = ssc_of(lun);
    struct tape_status st;
    ssc_status(ssc, &st);
    memset(d, 0, 8);
    if (pc == MODE_CHANGEABLE) {
        put_be24(d + 5, 0xffffff); /* BLOCK LENGTH */
        return;
    }
    d[0] = pc == MODE_DEFAULT ? ssc->drive->density : st.density; /* DENSITY CODE */
    if (pc == MODE_CURRENT)
        put_be24(d + 5, ssc->block_length);
}

/* Density: what is there, 00h (default) or 7Fh (no change), SSC-5 8.3.1. WP and SPEED come as they were sensed. */
static bool select_parameters(struct scsi_lun *lun, struct scsi_request *rq, uint8_t device_specific, const uint8_t *d,
                              unsigned descriptor_at, bool apply)
{
    struct ssc_lun *ssc = ssc_of(lun);
    unsigned mode = (device_specific >> 4) & 0x07;
    struct tape_status st;
    ssc_status(ssc, &st);
    if (mode > 1) {
        scsi_check_param_field(rq, rq->cdb[0] == 0x55 ? 3 : 2, 6);
        return false;
    }
    if (d && d[0] != 0x00 && d[0] != 0x7f && d[0] != st.density && d[0] != ssc->drive->density) {
        scsi_check_param_field(rq, descriptor_at, -1);
        return false;
    }
    if (d && get_be24(d + 5) > SSC_MAX_BLOCK) {
        scsi_check_param_field(rq, descriptor_at + 5, -1);
        return false;
    }
    if (!apply)
        return true;
    bool changed = ssc->buffered_mode != mode || (d && ssc->block_length != get_be24(d + 5));
    ssc->buffered_mode = (uint8_t)mode;
    if (d)
        ssc->block_length = get_be24(d + 5);
    if (changed)
        scsi_ua_raise(lun, 0, rq->nexus, ASC_MODE_PARAMETERS_CHANGED);
    return true;
}

static const struct mode_device device = {
    .pages = pages,
    .n_pages = sizeof(pages) / sizeof(pages[0]),
    .header = header,
    .descriptor = descriptor,
    .select = select_parameters,
};

void ssc_mode_sense(struct scsi_lun *lun, struct scsi_request *rq)
{
    spc_mode_sense(lun, rq, &device);
}

void ssc_mode_select(struct scsi_lun *lun, struct scsi_request *rq)
{
    bool before = ssc_of(lun)->compress;
    spc_mode_select(lun, rq, &device);
    if (ssc_of(lun)->compress != before)
        scsi_ua_raise(lun, 0, rq->nexus, ASC_MODE_PARAMETERS_CHANGED);
}
