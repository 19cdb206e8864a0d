/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_log.c: the drive's log pages, from its status alone: they never wait. */
#include <string.h>

#include "scsi/be.h"
#include "scsi/ssc_private.h"

/* Parameter header, SPC-5 7.3.2.2; returns where the value goes. */
static uint8_t *parameter(uint8_t *p, uint16_t code, uint8_t control, uint8_t len)
{
    put_be16(p, code);
    p[2] = control;
    p[3] = len;
    memset(p + 4, 0, len);
    return p + 4;
}

#define BINARY_LIST 0x03 /* FORMAT AND LINKING */

/* 11h DT Device Status, ADC-3 6.1.2: very high frequency data. */
static size_t fill_device_status(struct scsi_lun *lun, uint8_t *buf, size_t room)
{
    (void)room;
    struct tape_status st;
    ssc_status(ssc_of(lun), &st);
    bool in = st.medium != TAPE_MEDIUM_NONE, threaded = st.medium == TAPE_MEDIUM_LOADED;
    uint8_t *v = parameter(buf, 0x0000, BINARY_LIST, 4);
    v[0] = (uint8_t)(0x01 | (st.write_protected ? 0x08 : 0) | (scsi_prevented(lun) ? 0x80 : 0)); /* DINIT, WRTP, PAMR */
    v[1] = (uint8_t)((in ? 0x14 : 0) | (threaded ? 0x03 : 0)); /* MPRSNT, MSTD; MTHRD, MOUNTED */
    v[2] = (uint8_t)st.activity;                               /* DT DEVICE ACTIVITY */
    return 8;
}

/* 12h TapeAlert Response, ADC-3 6.1.3: not cleared by being read. */
static size_t fill_alert_response(struct scsi_lun *lun, uint8_t *buf, size_t room)
{
    (void)room;
    struct tape_status st;
    ssc_status(ssc_of(lun), &st);
    put_be64(parameter(buf, 0x0000, BINARY_LIST, 8), st.alerts); /* FLAG01h is the highest bit */
    return 12;
}

/* 31h Tape Capacity, as LTO drives have it: mebibytes. */
static size_t fill_capacity(struct scsi_lun *lun, uint8_t *buf, size_t room)
{
    (void)room;
    struct tape_status st;
    ssc_status(ssc_of(lun), &st);
    uint64_t left = st.capacity > st.used ? st.capacity - st.used : 0;
    const uint64_t values[] = {left >> 20, 0, st.capacity >> 20, 0}; /* main and alternate: remaining, then maximum */
    for (uint16_t i = 0; i < 4; i++)
        put_be32(parameter(buf + 8 * i, (uint16_t)(i + 1), BINARY_LIST, 4), (uint32_t)values[i]);
    return 32;
}

static const struct log_page pages[] = {
    {0x11, 0, fill_device_status},
    {0x12, 0, fill_alert_response},
    {0x31, 0, fill_capacity},
};

void ssc_log_sense(struct scsi_lun *lun, struct scsi_request *rq)
{
    spc_log_sense(lun, rq, pages, sizeof(pages) / sizeof(pages[0]));
}
