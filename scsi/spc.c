/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spc.c: INQUIRY, REQUEST SENSE, REPORT SUPPORTED OPERATION CODES, SEND DIAGNOSTIC: the same for drive and changer. */
#include "scsi/spc.h"

#include <string.h>

#include "base/be.h"

#define STANDARD_LEN 96
#define VERSION_SPC4 0x06 /* as LTO-5 to LTO-9 drives report; every tool knows it */

uint64_t scsi_identity_naa(const char *serial)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *serial; serial++)
        h = (h ^ (unsigned char)*serial) * 0x100000001b3u;
    return (h & 0x0fffffffffffffffu) | 0x3000000000000000u; /* NAA 3h: locally assigned */
}

void spc_put_text(uint8_t *p, size_t len, const char *text)
{
    memset(p, ' ', len);
    memcpy(p, text, strnlen(text, len));
}

void spc_put_number(uint8_t *p, size_t len, uint64_t n)
{
    if (len < 8 && n >> (8 * len))
        n = UINT64_MAX;
    for (size_t i = 0; i < len; i++, n >>= 8)
        p[len - 1 - i] = (uint8_t)n;
}

/* ---- INQUIRY ---- */

static void standard_inquiry(struct scsi_lun *lun, struct scsi_request *rq, size_t alloc)
{
    uint8_t b[STANDARD_LEN] = {0};
    b[0] = (uint8_t)lun->id.type;              /* PERIPHERAL QUALIFIER 0, PERIPHERAL DEVICE TYPE */
    b[1] = lun->id.removable ? 0x80 : 0;       /* RMB */
    b[2] = VERSION_SPC4;                       /* VERSION */
    b[3] = 0x02;                               /* RESPONSE DATA FORMAT */
    b[4] = STANDARD_LEN - 5;                   /* ADDITIONAL LENGTH */
    b[7] = 0x02;                               /* CMDQUE */
    spc_put_text(b + 8, 8, lun->id.vendor);    /* T10 VENDOR IDENTIFICATION */
    spc_put_text(b + 16, 16, lun->id.product); /* PRODUCT IDENTIFICATION */
    spc_put_text(b + 32, 4, lun->id.revision); /* PRODUCT REVISION LEVEL */
    for (size_t i = 0; i < 8; i++)
        put_be16(b + 58 + 2 * i, lun->version_descriptors[i]); /* VERSION DESCRIPTOR */
    scsi_reply(rq, b, sizeof(b), alloc);
}

static size_t vpd_serial(struct scsi_lun *lun, uint8_t *p)
{
    size_t n = strlen(lun->id.serial);
    memcpy(p, lun->id.serial, n); /* PRODUCT SERIAL NUMBER; no padding, as udev makes a link of it */
    return n;
}

static size_t vpd_identification(struct scsi_lun *lun, uint8_t *p)
{
    /* NAA (7.8.6.6) comes first, as scsi_id prefers it to a T10 vendor ID. */
    p[0] = 0x01; /* CODE SET binary */
    p[1] = 0x03; /* ASSOCIATION logical unit, DESIGNATOR TYPE NAA */
    p[3] = 8;
    put_be64(p + 4, lun->id.naa);
    size_t n = strlen(lun->id.serial);
    uint8_t *t = p + 12; /* 7.8.6.4: T10 vendor ID based */
    t[0] = 0x02;         /* CODE SET ASCII */
    t[1] = 0x01;
    t[3] = (uint8_t)(24 + n);
    spc_put_text(t + 4, 8, lun->id.vendor);
    spc_put_text(t + 12, 16, lun->id.product);
    memcpy(t + 28, lun->id.serial, n);
    return 12 + 28 + n;
}

static size_t vpd_extended(struct scsi_lun *lun, uint8_t *p)
{
    (void)lun;
    memset(p, 0, 60);
    p[1] = 0x01; /* SIMPSUP: simple task attribute (byte 5 of the page) */
    return 60;
}

static size_t vpd_sequential(struct scsi_lun *lun, uint8_t *p)
{
    p[0] = lun->id.worm_capable ? 0x01 : 0; /* WORM, SSC-5 8.5.2 */
    p[1] = 0;
    return 2;
}

/* clang-format off */
static const struct vpd_page {
    uint8_t page;
    bool tape_only;
    size_t (*fill)(struct scsi_lun *lun, uint8_t *p); /* what follows the header of 4 bytes */
} vpd_pages[] = {
    {0x80, false, vpd_serial},
    {0x83, false, vpd_identification},
    {0x86, false, vpd_extended},
    {0xB0, true,  vpd_sequential},
    {0xB1, true,  vpd_serial}, /* manufacturer-assigned serial number, SSC-5 8.5.3 */
};
/* clang-format on */

static bool vpd_has(const struct scsi_lun *lun, const struct vpd_page *v)
{
    return !v->tape_only || lun->id.type == SCSI_TYPE_TAPE;
}

static void vpd_inquiry(struct scsi_lun *lun, struct scsi_request *rq, uint8_t page, size_t alloc)
{
    uint8_t b[256] = {(uint8_t)lun->id.type, page};
    size_t n = 0;
    bool found = page == 0x00;
    if (page == 0x00)
        b[4 + n++] = 0x00;
    for (size_t i = 0; i < sizeof(vpd_pages) / sizeof(vpd_pages[0]); i++) {
        const struct vpd_page *v = &vpd_pages[i];
        if (!vpd_has(lun, v))
            continue;
        if (page == 0x00)
            b[4 + n++] = v->page;
        else if (v->page == page) {
            n = v->fill(lun, b + 4);
            found = true;
        }
    }
    if (!found) {
        scsi_check_cdb_field(rq, 2, -1);
        return;
    }
    put_be16(b + 2, (uint16_t)n); /* PAGE LENGTH */
    scsi_reply(rq, b, 4 + n, alloc);
}

void spc_inquiry(struct scsi_lun *lun, struct scsi_request *rq)
{
    size_t alloc = get_be16(rq->cdb + 3);
    if (rq->cdb[1] & 0x01) /* EVPD */
        vpd_inquiry(lun, rq, rq->cdb[2], alloc);
    else if (rq->cdb[2])
        scsi_check_cdb_field(rq, 2, -1);
    else
        standard_inquiry(lun, rq, alloc);
}

/* ---- REQUEST SENSE ---- */

void spc_request_sense(struct scsi_lun *lun, struct scsi_request *rq)
{
    if (rq->cdb[1] & 0x01) { /* DESC: there is no descriptor format (D_SENSE 0) */
        scsi_check_cdb_field(rq, 1, 0);
        return;
    }
    uint16_t ua = scsi_ua_take(lun, rq->nexus);
    struct scsi_request made = *rq;
    if (ua)
        scsi_check(&made, KEY_UNIT_ATTENTION, ua);
    else if (!lun->in_progress || !lun->in_progress(lun, &made)) /* with progress, 6.39 */
        scsi_check(&made, KEY_NO_SENSE, ASC_NONE);
    scsi_reply(rq, made.sense, made.sense_len, rq->cdb[4]);
}

/* ---- SEND DIAGNOSTIC ---- */

void spc_send_diagnostic(struct scsi_lun *lun, struct scsi_request *rq)
{
    (void)lun;
    if (get_be16(rq->cdb + 3)) /* PARAMETER LIST LENGTH: there are no diagnostic pages; that none is sent is no error */
        scsi_check_cdb_field(rq, 3, -1);
    else if (!(rq->cdb[1] & 0x04) && rq->cdb[1] & 0xe0) /* SELF-TEST CODE: there is only the default one, SELFTEST */
        scsi_check_cdb_field(rq, 1, 7);
}

/* ---- REPORT SUPPORTED OPERATION CODES ---- */

#define TIMEOUTS_LEN 12 /* command timeouts descriptor, 6.32.4 */

static void put_timeouts(uint8_t *p, const struct scsi_command *row)
{
    memset(p, 0, TIMEOUTS_LEN);
    put_be16(p, TIMEOUTS_LEN - 2); /* DESCRIPTOR LENGTH */
    put_be32(p + 8, row->timeout); /* RECOMMENDED COMMAND TIMEOUT */
}

/* 6.32.2: all commands. */
static void report_all(struct scsi_lun *lun, struct scsi_request *rq, bool rctd, size_t alloc)
{
    uint8_t b[4 + 256 * (8 + TIMEOUTS_LEN)];
    size_t at = 4;
    for (size_t i = 0; i < lun->table_len && at + 8 + TIMEOUTS_LEN <= sizeof(b); i++) {
        const struct scsi_command *row = &lun->table[i];
        uint8_t *d = b + at;
        bool action = row->service_action != SA_NONE;
        memset(d, 0, 8);
        d[0] = row->opcode;
        if (action)
            put_be16(d + 2, (uint16_t)row->service_action);
        d[5] = (uint8_t)((rctd ? 0x02 : 0) | (action ? 0x01 : 0)); /* CTDP, SERVACTV */
        put_be16(d + 6, row->cdb_len);                             /* CDB LENGTH */
        at += 8;
        if (rctd) {
            put_timeouts(b + at, row);
            at += TIMEOUTS_LEN;
        }
    }
    put_be32(b, (uint32_t)(at - 4)); /* COMMAND DATA LENGTH */
    scsi_reply(rq, b, at, alloc);
}

/* 6.32.3: one command. */
static void report_one(struct scsi_request *rq, const struct scsi_command *row, bool rctd, size_t alloc)
{
    uint8_t b[4 + 16 + TIMEOUTS_LEN] = {0};
    size_t len = 4;
    if (!row) {
        b[1] = 0x01; /* SUPPORT: not supported */
    } else {
        b[1] = (uint8_t)(0x03 | (rctd ? 0x80 : 0)); /* SUPPORT: as the standard says; CTDP */
        put_be16(b + 2, row->cdb_len);              /* CDB SIZE */
        memcpy(b + 4, row->usage, row->cdb_len);    /* CDB USAGE DATA */
        b[4] = row->opcode;
        if (row->service_action != SA_NONE) /* the action itself, not a mask */
            b[5] = (uint8_t)((b[5] & 0xe0) | (row->service_action & 0x1f));
        len += row->cdb_len;
        if (rctd) {
            put_timeouts(b + len, row);
            len += TIMEOUTS_LEN;
        }
    }
    scsi_reply(rq, b, len, alloc);
}

void spc_report_supported_opcodes(struct scsi_lun *lun, struct scsi_request *rq)
{
    bool rctd = rq->cdb[2] & 0x80, other = false;
    unsigned options = rq->cdb[2] & 0x07;
    size_t alloc = get_be32(rq->cdb + 6);
    int action = get_be16(rq->cdb + 4);
    if (options == 0) {
        report_all(lun, rq, rctd, alloc);
        return;
    }
    const struct scsi_command *row = scsi_find_command(lun, rq->cdb[3], action, &other);
    bool has_actions = other || (row && row->service_action != SA_NONE);
    /* 001b for a code with service actions, 010b for one without: table 274 */
    if ((options == 1 && has_actions) || (options == 2 && row && !has_actions)) {
        scsi_check_cdb_field(rq, 2, 2);
        return;
    }
    if (options > 3) {
        scsi_check_cdb_field(rq, 2, 2);
        return;
    }
    report_one(rq, row, rctd, alloc);
}
