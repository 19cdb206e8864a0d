/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_log.c: the table of the drive's log pages, and those about the drive. All come from memory, so they never
 * wait. */
#include "scsi/ssc_private.h"

/* The drive's counters since LOG SELECT last set them to 0. */
static struct tape_usage counted(struct ssc_lun *ssc)
{
    struct tape_statistics s;
    ssc_statistics(ssc, &s);
    const struct tape_usage *now = &s.drive, *base = &ssc->log_base;
    return (struct tape_usage){.written_bytes = now->written_bytes - base->written_bytes,
                               .stored_bytes = now->stored_bytes - base->stored_bytes,
                               .read_bytes = now->read_bytes - base->read_bytes,
                               .fetched_bytes = now->fetched_bytes - base->fetched_bytes,
                               .write_errors = now->write_errors - base->write_errors,
                               .read_errors = now->read_errors - base->read_errors};
}

/* SPC-5 7.3.6. 0000h to 0004h count corrected errors, which this medium does not have. */
static size_t error_counters(uint8_t *buf, uint64_t bytes, uint64_t uncorrected)
{
    uint8_t *p = buf;
    for (uint16_t code = 0; code <= 4; code++)
        p = log_number(p, code, LOG_COUNTER, 4, 0);
    p = log_number(p, 0x0005, LOG_COUNTER, 8, bytes); /* total bytes processed */
    p = log_number(p, 0x0006, LOG_COUNTER, 4, uncorrected);
    return (size_t)(p - buf);
}

static size_t fill_write_errors(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf)
{
    (void)nexus;
    struct tape_usage u = counted(ssc_of(lun));
    return error_counters(buf, u.written_bytes, u.write_errors);
}

static size_t fill_read_errors(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf)
{
    (void)nexus;
    struct tape_usage u = counted(ssc_of(lun));
    return error_counters(buf, u.read_bytes, u.read_errors);
}

/* 0Ch Sequential-Access Device, SSC-5 8.2.3; capacities in megabytes. */
static size_t fill_sequential(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf)
{
    (void)nexus;
    struct tape_status st;
    ssc_status(ssc_of(lun), &st);
    struct tape_usage u = counted(ssc_of(lun));
    uint8_t *p = buf;
    p = log_number(p, 0x0000, LOG_COUNTER, 8, u.written_bytes); /* received with WRITEs */
    p = log_number(p, 0x0001, LOG_COUNTER, 8, u.stored_bytes);  /* written to the medium */
    p = log_number(p, 0x0002, LOG_COUNTER, 8, u.fetched_bytes); /* read from the medium */
    p = log_number(p, 0x0003, LOG_COUNTER, 8, u.read_bytes);    /* sent for READs */
    if (st.medium == TAPE_MEDIUM_LOADED) {
        p = log_number(p, 0x0004, LOG_BINARY, 4, st.used / 1000000);     /* from BOP to end of data */
        p = log_number(p, 0x0005, LOG_BINARY, 4, st.capacity / 1000000); /* from BOP to early warning */
    }
    p = log_number(p, 0x0100, LOG_BINARY, 8, 0); /* cleaning required */
    return (size_t)(p - buf);
}

static void reset_counters(struct scsi_lun *lun)
{
    struct tape_statistics s;
    ssc_statistics(ssc_of(lun), &s);
    ssc_of(lun)->log_base = s.drive;
}

/* 11h DT Device Status, ADC-3 6.1.2: very high frequency data. */
static size_t fill_device_status(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf)
{
    (void)nexus;
    struct tape_status st;
    ssc_status(ssc_of(lun), &st);
    bool in = st.medium != TAPE_MEDIUM_NONE, threaded = st.medium == TAPE_MEDIUM_LOADED;
    uint8_t *end = log_number(buf, 0x0000, LOG_BINARY, 4, 0), *v = buf + 4;
    v[0] = (uint8_t)(0x01 | (st.write_protected ? 0x08 : 0) | (scsi_prevented(lun) ? 0x80 : 0)); /* DINIT, WRTP, PAMR */
    v[1] = (uint8_t)((in ? 0x14 : 0) | (threaded ? 0x03 : 0)); /* MPRSNT, MSTD; MTHRD, MOUNTED */
    v[2] = (uint8_t)ssc_activity(ssc_of(lun), &st);            /* DT DEVICE ACTIVITY */
    return (size_t)(end - buf);
}

/* 12h TapeAlert Response, ADC-3 6.1.3: reading it clears no flag. */
static size_t fill_alert_response(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf)
{
    (void)nexus;
    struct tape_status st;
    ssc_status(ssc_of(lun), &st);
    return (size_t)(log_number(buf, 0x0000, LOG_BINARY, 8, st.alerts) - buf); /* FLAG01h is the highest bit */
}

/* 2Eh TapeAlert, SSC-5 8.2.6: each initiator reads each flag once. */
static size_t fill_alerts(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf)
{
    struct tape_status st;
    ssc_status(ssc_of(lun), &st);
    uint64_t fresh = scsi_alerts_new(lun, nexus, st.alerts);
    uint8_t *p = buf;
    for (uint16_t flag = 1; flag <= 64; flag++)
        p = log_number(p, flag, LOG_COUNTER, 1, fresh >> (64 - flag) & 1);
    return (size_t)(p - buf);
}

/* 0Dh Temperature, SPC-5 7.3.21: FFh, as there is no thermometer, and no temperature would be too high. */
static size_t fill_temperature(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf)
{
    (void)lun;
    (void)nexus;
    uint8_t *p = log_number(buf, 0x0000, LOG_BINARY, 2, 0xFF);         /* TEMPERATURE */
    return (size_t)(log_number(p, 0x0001, LOG_BINARY, 2, 0xFF) - buf); /* REFERENCE TEMPERATURE */
}

/* 15h Service Buffers Information, ADC-3 6.1.5: there are none. */
static size_t fill_service_buffers(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf)
{
    (void)lun;
    (void)nexus;
    (void)buf;
    return 0;
}

/* clang-format off */
/* Beside each: the standard or manual, and a second source of its parameters. sg_logs is of sg3_utils; LTO-6 is what an
 * IBM ULT3580-TD6 answers; Ultrium what IBM's and HP's manuals of the first Ultrium drives have. */
static const struct log_page pages[] = {
    {0x02, 0, fill_write_errors,    reset_counters}, /* SPC-5 7.3.6; LTO-6 */
    {0x03, 0, fill_read_errors,     reset_counters}, /* SPC-5 7.3.6; LTO-6 */
    {0x0C, 0, fill_sequential,      reset_counters}, /* SSC-5 8.2.3; sg_logs, Ultrium (length of 0100h) */
    {0x0D, 0, fill_temperature,     NULL},           /* SPC-5 7.3.21; sg_logs */
    {0x11, 0, fill_device_status,   NULL},           /* ADC-3 6.1.2; sg_logs, LTO-6 */
    {0x12, 0, fill_alert_response,  NULL},           /* ADC-3 6.1.3; LTO-6 */
    {0x14, 0, ssc_log_device,       NULL},           /* SSC-5 8.2.5; sg_logs, LTO-6 */
    {0x15, 0, fill_service_buffers, NULL},           /* ADC-3 6.1.5; sg_logs */
    {0x17, 0, ssc_log_volume,       NULL},           /* SSC-5 8.2.7; sg_logs, LTO-6 */
    {0x1B, 0, ssc_log_compression,  NULL},           /* SSC-5 8.2.8; LTO-6 */
    {0x2E, 0, fill_alerts,          NULL},           /* SSC-5 8.2.6; LTO-6 */
    {0x30, 0, ssc_log_usage,        NULL},           /* Ultrium; LTO-6 */
    {0x31, 0, ssc_log_capacity,     NULL},           /* Ultrium; LTO-6 (mebibytes) */
    {0x32, 0, ssc_log_compression,  NULL},           /* Ultrium; LTO-6 */
};
/* clang-format on */

void ssc_log_sense(struct scsi_lun *lun, struct scsi_request *rq)
{
    spc_log_sense(lun, rq, pages, sizeof(pages) / sizeof(pages[0]));
}

void ssc_log_select(struct scsi_lun *lun, struct scsi_request *rq)
{
    spc_log_select(lun, rq, pages, sizeof(pages) / sizeof(pages[0]));
}
