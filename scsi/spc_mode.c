/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spc_mode.c: MODE SENSE and MODE SELECT, 6 and 10, from a table of pages (SPC-5 6.14 to 6.17, 7.5). */
#include <string.h>

#include "base/be.h"
#include "scsi/spc.h"

#define MAX_PAGE 255
#define MAX_DATA 2048

/* 02h Disconnect-Reconnect, 7.5.9: iSCSI negotiates what it would say. */
const uint8_t spc_disconnect_page[16] = {0x02, 0x0E};
/* 0Ah Control, 7.5.10: D_SENSE 0 (fixed format), QUEUE ALGORITHM MODIFIER 0, TAS 0, AUTOLOAD MODE 0 */
const uint8_t spc_control_page[12] = {0x0A, 0x0A};
/* 1Ch Informational Exceptions Control, 7.5.12 (SSC-5 8.3.6, SMC-3 7.3.6): DEXCPT; what there is to tell is in the log
 * pages */
const uint8_t spc_exceptions_page[12] = {0x1C, 0x0A, 0x08};

/* The page with the values of page control pc; returns its length. */
static size_t make_page(struct scsi_lun *lun, const struct mode_page *p, int pc, uint8_t *out)
{
    memcpy(out, p->defaults, p->len);
    if (pc == MODE_CHANGEABLE) {
        size_t head = p->subpage ? 4 : 2;
        if (p->changeable)
            memcpy(out + head, p->changeable + head, p->len - head);
        else
            memset(out + head, 0, p->len - head);
    } else if (pc == MODE_CURRENT && p->fill) {
        p->fill(lun, out);
    }
    return p->len;
}

#define ALL_PAGES 0x3f
#define ALL_SUBPAGES 0xff

static bool wanted(const struct mode_page *p, uint8_t page, uint8_t subpage)
{
    return (page == ALL_PAGES || p->page == page) && (subpage == ALL_SUBPAGES || p->subpage == subpage);
}

void spc_mode_sense(struct scsi_lun *lun, struct scsi_request *rq, const struct mode_device *dev)
{
    bool ten = rq->cdb[0] == 0x5A, dbd = rq->cdb[1] & 0x08;
    int pc = rq->cdb[2] >> 6;
    uint8_t page = rq->cdb[2] & 0x3f, subpage = rq->cdb[3];
    size_t alloc = ten ? get_be16(rq->cdb + 7) : rq->cdb[4];
    if (pc == MODE_SAVED) {
        scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_SAVING_PARAMETERS_NOT_SUPPORTED);
        return;
    }
    if (page == ALL_PAGES && subpage != 0x00 && subpage != ALL_SUBPAGES) { /* table 166: reserved */
        scsi_check_cdb_field(rq, 3, -1);
        return;
    }
    uint8_t b[MAX_DATA] = {0};
    size_t head = ten ? 8 : 4, at = head;
    uint8_t medium = 0, specific = 0;
    dev->header(lun, &medium, &specific);
    b[ten ? 2 : 1] = medium;   /* MEDIUM TYPE */
    b[ten ? 3 : 2] = specific; /* DEVICE-SPECIFIC PARAMETER */
    /* Header and descriptor have current values whatever PC says: it is about pages only (6.14.1). */
    if (dev->descriptor && !dbd) {
        dev->descriptor(lun, b + at);
        b[ten ? 7 : 3] = 8; /* BLOCK DESCRIPTOR LENGTH */
        at += 8;
    }
    bool found =
        dev->descriptor && page == 0x00 && subpage == 0x00; /* page 00h of a tape: header and descriptor only (SSC-5) */
    for (size_t i = 0; i < dev->n_pages; i++)
        if (wanted(&dev->pages[i], page, subpage) && at + dev->pages[i].len <= sizeof(b)) {
            at += make_page(lun, &dev->pages[i], pc, b + at);
            found = true;
        }
    if (!found) {
        scsi_check_cdb_field(rq, 2, 5);
        return;
    }
    if (ten)
        put_be16(b, (uint16_t)(at - 2)); /* MODE DATA LENGTH */
    else
        b[0] = (uint8_t)(at - 1 > 255 ? 255 : at - 1);
    scsi_reply(rq, b, at, alloc);
}

/* ---- MODE SELECT ---- */

static const struct mode_page *find_page(const struct mode_device *dev, uint8_t page, uint8_t subpage)
{
    for (size_t i = 0; i < dev->n_pages; i++)
        if (dev->pages[i].page == page && dev->pages[i].subpage == subpage)
            return &dev->pages[i];
    return NULL;
}

/* Only changeable bits may differ from the current values. at: offset of the page in the list, for the field pointer.
 */
static bool check_page(struct scsi_lun *lun, struct scsi_request *rq, const struct mode_page *p, const uint8_t *in,
                       size_t at)
{
    uint8_t now[MAX_PAGE];
    make_page(lun, p, MODE_CURRENT, now);
    for (size_t i = p->subpage ? 4 : 2; i < p->len; i++) {
        uint8_t may = p->changeable ? p->changeable[i] : 0;
        uint8_t wrong = (now[i] ^ in[i]) & (uint8_t)~may;
        int bit = 7;
        while (wrong && !(wrong & (1u << bit)))
            bit--;
        if (wrong) {
            scsi_check_param_field(rq, (unsigned)(at + i), bit);
            return false;
        }
    }
    return !p->check || p->check(lun, rq, in, (unsigned)at);
}

/* Walks the pages of a parameter list, first to check, then to apply. */
static bool walk_pages(struct scsi_lun *lun, struct scsi_request *rq, const struct mode_device *dev,
                       const uint8_t *list, size_t len, size_t at, bool apply)
{
    while (at < len) {
        const uint8_t *in = list + at;
        bool sub = in[0] & 0x40; /* SPF */
        size_t head = sub ? 4 : 2;
        if (len - at < head) {
            scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
            return false;
        }
        size_t page_len = head + (sub ? get_be16(in + 2) : in[1]);
        const struct mode_page *p = find_page(dev, in[0] & 0x3f, sub ? in[1] : 0);
        if (!p) {
            scsi_check_param_field(rq, (unsigned)at, 5);
            return false;
        }
        if (page_len != p->len) {
            scsi_check_param_field(rq, (unsigned)(at + (sub ? 2 : 1)), -1);
            return false;
        }
        if (len - at < page_len) {
            scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
            return false;
        }
        if (!apply && !check_page(lun, rq, p, in, at))
            return false;
        if (apply && p->apply)
            p->apply(lun, in);
        at += page_len;
    }
    return true;
}

void spc_mode_select(struct scsi_lun *lun, struct scsi_request *rq, const struct mode_device *dev)
{
    bool ten = rq->cdb[0] == 0x55, sp = rq->cdb[1] & 0x01;
    size_t len = ten ? get_be16(rq->cdb + 7) : rq->cdb[4], head = ten ? 8 : 4;
    if (sp) { /* nothing is saved */
        scsi_check_cdb_field(rq, 1, 0);
        return;
    }
    if (!len) /* no data to transfer is no error: 6.14 */
        return;
    if (len < head || len > rq->out_len) {
        scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
        return;
    }
    const uint8_t *list = rq->out;
    rq->out_actual = (uint32_t)len;
    size_t descriptors = ten ? get_be16(list + 6) : list[3];
    if (ten && (list[4] & 0x01)) { /* LONGLBA */
        scsi_check_param_field(rq, 4, 0);
        return;
    }
    if (descriptors != 0 && (descriptors != 8 || !dev->descriptor)) {
        scsi_check_param_field(rq, ten ? 6 : 3, -1);
        return;
    }
    if (len < head + descriptors) {
        scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
        return;
    }
    const uint8_t *descriptor = descriptors ? list + head : NULL;
    for (int apply = 0; apply <= 1; apply++) {
        if (!dev->select(lun, rq, list[ten ? 3 : 2], descriptor, (unsigned)head, apply))
            return;
        if (!walk_pages(lun, rq, dev, list, len, head + descriptors, apply))
            return;
    }
}
