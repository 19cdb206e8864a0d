/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_mode.c: the drive's mode parameters: header, block descriptor, pages (SSC-5 8.3, SPC-5 7.5). */
#include <string.h>

#include "base/be.h"
#include "base/lto.h"
#include "scsi/ssc_private.h"

/* The pages' default values. What is not changeable is true of this drive, or is what LTO drives report too. Beside
 * each stand the standard's section and a second source of where its fields are. */

/* 01h Read-Write Error Recovery (SSC-5 8.3.5; mhvtl): the drive does not retry anything */
static const uint8_t error_recovery[12] = {0x01, 0x0A};
/* 0Ah/F0h Control Data Protection (SSC-5 8.3.9; LTFS): LOGICAL BLOCK PROTECTION METHOD 0, there is none */
static const uint8_t protection[32] = {0x4A, 0xF0, 0x00, 0x1C};
/* 0Fh Data Compression (SSC-5 8.3.2; sdparm): DCE, DCC, DDE; algorithm 1, which is what LTO drives call theirs (in
 * truth it is zstd) */
static const uint8_t compression[16] = {0x0F, 0x0E, 0xC0, 0x80, 0, 0, 0, 0x01, 0, 0, 0, 0x01};
static const uint8_t compression_changeable[16] = {0, 0, 0x80}; /* DCE */
/* 10h Device Configuration (SSC-5 8.3.3; sdparm): LOIS (READ POSITION knows objects); EEG; SEW 0: writes stay
 * buffered past early warning; SELECT DATA COMPRESSION ALGORITHM 1 */
static const uint8_t configuration[16] = {0x10, 0x0E, 0, 0, 0, 0, 0, 0, 0x40, 0, 0x10, 0, 0, 0, 0x01};
static const uint8_t configuration_changeable[16] = {[14] = 0xFF}; /* SELECT DATA COMPRESSION ALGORITHM */
/* 10h/01h Device Configuration Extension (SSC-5 8.3.8; sdparm): SHORT ERASE MODE 2 (end of data is recorded), PEWS 0 */
static const uint8_t extension[32] = {0x50, 0x01, 0x00, 0x1C, 0x00, 0x02};
static const uint8_t extension_changeable[32] = {[5] = 0xF0, [6] = 0xFF, [7] = 0xFF}; /* WRITE MODE, PEWS */
/* 11h Medium Partition (SSC-5 8.3.4; sdparm): MAXIMUM ADDITIONAL PARTITIONS 0; PSUM 11b (10^PARTITION UNITS bytes);
 * MEDIUM FORMAT RECOGNITION 3 (format and partitions) */
static const uint8_t partition[10] = {0x11, 0x08, 0x00, 0x00, 0x18, 0x03, 0x09};
/* 1Ah Power Condition (SPC-5 7.5.13; sdparm): no timer runs, this drive never sleeps */
static const uint8_t power[40] = {0x1A, 0x26};
/* 1Dh Medium Configuration (SSC-5 8.3.7; sdparm) */
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
    p[14] = ssc_of(lun)->compress; /* SELECT DATA COMPRESSION ALGORITHM: DCE by another name */
}

/* A list may change DCE and send this page back as it was read: then it means the change. */
static bool check_configuration(struct scsi_lun *lun, struct scsi_request *rq, const uint8_t *p, unsigned at)
{
    struct ssc_lun *ssc = ssc_of(lun);
    if (p[14] > 1)
        scsi_check_param_field(rq, at + 14, -1);
    ssc->algorithm_given = p[14] != ssc->compress;
    return p[14] <= 1;
}

static void apply_configuration(struct scsi_lun *lun, const uint8_t *p)
{
    struct ssc_lun *ssc = ssc_of(lun);
    if (ssc->algorithm_given)
        ssc->compress = p[14] == 1;
}

enum { OVERWRITE_ALLOWED = 0, APPEND_ONLY = 1 }; /* WRITE MODE, table 185 */

static void fill_extension(struct scsi_lun *lun, uint8_t *p)
{
    struct ssc_lun *ssc = ssc_of(lun);
    p[5] = (uint8_t)((ssc->append_only ? APPEND_ONLY : OVERWRITE_ALLOWED) << 4 | (p[5] & 0x0f));
    put_be16(p + 6, ssc->pews); /* PEWS */
}

/* Append-only mode does not end while a volume is mounted, so that it protects the tape for sure (SSC-5 4.2.17.3). */
static bool check_extension(struct scsi_lun *lun, struct scsi_request *rq, const uint8_t *p, unsigned at)
{
    struct ssc_lun *ssc = ssc_of(lun);
    struct tape_status st;
    unsigned mode = p[5] >> 4;
    ssc_status(ssc, &st);
    bool leaves = ssc->append_only && mode == OVERWRITE_ALLOWED && st.medium == TAPE_MEDIUM_LOADED;
    if (mode <= APPEND_ONLY && !leaves)
        return true;
    scsi_check_param_field(rq, at + 5, 7);
    return false;
}

static void apply_extension(struct scsi_lun *lun, const uint8_t *p)
{
    struct ssc_lun *ssc = ssc_of(lun);
    if (get_be16(p + 6) != ssc->pews)
        ssc_moved(ssc); /* the new zone gets its own warning */
    ssc->append_only = p[5] >> 4 == APPEND_ONLY;
    ssc->pews = get_be16(p + 6);
}

/* PARTITION SIZE[0] in the smallest unit in which it fits: 10^3, 10^6 or 10^9 bytes. */
static void fill_partition(struct scsi_lun *lun, uint8_t *p)
{
    struct tape_status st;
    ssc_status(ssc_of(lun), &st);
    uint64_t unit = 1000;
    p[6] = 3; /* PARTITION UNITS */
    while (st.capacity / unit > 0xFFFE && p[6] < 9) {
        unit *= 1000;
        p[6] = (uint8_t)(p[6] + 3);
    }
    put_be16(p + 8, (uint16_t)(st.capacity / unit > 0xFFFF ? 0xFFFF : st.capacity / unit));
}

static void fill_medium_configuration(struct scsi_lun *lun, uint8_t *p)
{
    struct tape_status st;
    ssc_status(ssc_of(lun), &st);
    if (!st.worm)
        return;
    p[2] = 0x01; /* WORMM */
    p[4] = 0x00; /* WORM MODE LABEL RESTRICTIONS: no block may be overwritten */
    p[5] = 0x02; /* WORM MODE FILEMARKS RESTRICTIONS: filemarks just before end of data may be, except the first */
}

/* clang-format off */
static const struct mode_page pages[] = {
    /* page, subpage, defaults, changeable bits, fill, check, apply */
    {0x01, 0x00, MODE_PAGE(error_recovery),       NULL,                     NULL,                      NULL,                NULL},
    {0x02, 0x00, MODE_PAGE(spc_disconnect_page),  NULL,                     NULL,                      NULL,                NULL},
    {0x0A, 0x00, MODE_PAGE(spc_control_page),     NULL,                     NULL,                      NULL,                NULL},
    {0x0A, 0xF0, MODE_PAGE(protection),           NULL,                     NULL,                      NULL,                NULL},
    {0x0F, 0x00, MODE_PAGE(compression),          compression_changeable,   fill_compression,          NULL,                apply_compression},
    {0x10, 0x00, MODE_PAGE(configuration),        configuration_changeable, fill_configuration,        check_configuration, apply_configuration},
    {0x10, 0x01, MODE_PAGE(extension),            extension_changeable,     fill_extension,            check_extension,     apply_extension},
    {0x11, 0x00, MODE_PAGE(partition),            NULL,                     fill_partition,            NULL,                NULL},
    {0x1A, 0x00, MODE_PAGE(power),                NULL,                     NULL,                      NULL,                NULL},
    {0x1C, 0x00, MODE_PAGE(spc_exceptions_page),  NULL,                     NULL,                      NULL,                NULL},
    {0x1D, 0x00, MODE_PAGE(medium_configuration), NULL,                     fill_medium_configuration, NULL,                NULL},
};
/* clang-format on */

static void header(struct scsi_lun *lun, uint8_t *medium_type, uint8_t *device_specific)
{
    struct ssc_lun *ssc = ssc_of(lun);
    struct tape_status st;
    ssc_status(ssc, &st);
    const struct lto_generation *medium = lto_by_density(st.density);
    *medium_type = medium ? lto_medium_type(medium, st.worm) : 0; /* programs know WORM media by it */
    *device_specific = (uint8_t)((st.write_protected ? 0x80 : 0) | ssc->buffered_mode << 4); /* WP, BUFFERED MODE */
}

static void descriptor(struct scsi_lun *lun, uint8_t d[8])
{
    struct ssc_lun *ssc = ssc_of(lun);
    struct tape_status st;
    ssc_status(ssc, &st);
    memset(d, 0, 8);                    /* NUMBER OF LOGICAL BLOCKS 0: all of the tape */
    d[0] = st.density;                  /* DENSITY CODE */
    put_be24(d + 5, ssc->block_length); /* BLOCK LENGTH */
}

/* DENSITY CODE may be the medium's or the drive's, 00h (default) or 7Fh (no change): SSC-5 8.3.1. WP and SPEED mean
 * nothing here: an initiator sends back what it read. */
static bool select_parameters(struct scsi_lun *lun, struct scsi_request *rq, const struct mode_parameters *p,
                              bool apply)
{
    struct ssc_lun *ssc = ssc_of(lun);
    unsigned mode = (p->device_specific >> 4) & 0x07; /* BUFFERED MODE */
    const uint8_t *d = p->descriptor;
    struct tape_status st;
    ssc_status(ssc, &st);
    if (mode > 1) {
        scsi_check_param_field(rq, p->device_specific_at, 6);
        return false;
    }
    if (d && d[0] != 0x00 && d[0] != 0x7f && d[0] != st.density && d[0] != ssc->drive->density) {
        scsi_check_param_field(rq, p->descriptor_at, -1);
        return false;
    }
    if (d && get_be24(d + 5) > TAPE_MAX_BLOCK) { /* BLOCK LENGTH */
        scsi_check_param_field(rq, p->descriptor_at + 5, -1);
        return false;
    }
    if (!apply)
        return true;
    ssc->buffered_mode = (uint8_t)mode;
    if (d)
        ssc->block_length = get_be24(d + 5);
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

/* All that MODE SELECT can change, as one number. */
static uint64_t parameters(const struct ssc_lun *ssc)
{
    return (uint64_t)ssc->block_length << 32 | (uint64_t)ssc->pews << 8 | (uint64_t)ssc->buffered_mode << 2 |
           (uint64_t)ssc->compress << 1 | (uint64_t)ssc->append_only;
}

void ssc_mode_select(struct scsi_lun *lun, struct scsi_request *rq)
{
    uint64_t before = parameters(ssc_of(lun));
    spc_mode_select(lun, rq, &device);
    if (parameters(ssc_of(lun)) != before)
        scsi_ua_raise(lun, 0, rq->nexus, ASC_MODE_PARAMETERS_CHANGED);
}
