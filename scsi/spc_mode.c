/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spc_mode.c: MODE SENSE and MODE SELECT from a table of pages (SPC-5 6.14 to 6.17, 7.5). */
#include <string.h>

#include "base/be.h"
#include "scsi/spc.h"

#define MAX_PAGE 255
#define MAX_DATA 2048

/* 02h Disconnect-Reconnect (7.5.9; sdparm): all 0, as iSCSI negotiates these things */
const uint8_t spc_disconnect_page[16] = {0x02, 0x0E};
/* 0Ah Control (7.5.10; sdparm): D_SENSE 0 (fixed format), QUEUE ALGORITHM MODIFIER 0, TAS 0, AUTOLOAD MODE 0 */
const uint8_t spc_control_page[12] = {0x0A, 0x0A};
/* 1Ch Informational Exceptions Control (7.5.12 (SSC-5 8.3.6, SMC-3 7.3.6); sdparm): DEXCPT: exceptions are in log
 * pages only */
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

/* Where the forms of 6 and of 10 bytes differ. */
struct mode_form {
    bool ten;
    size_t length;                                            /* ALLOCATION LENGTH, PARAMETER LIST LENGTH */
    size_t head;                                              /* bytes of the mode parameter header */
    unsigned medium_type, device_specific, descriptor_length; /* fields of the header */
};

static struct mode_form form_of(const uint8_t *cdb)
{
    if (cdb[0] == 0x15 || cdb[0] == 0x1A)
        return (struct mode_form){false, cdb[4], 4, 1, 2, 3};
    return (struct mode_form){true, get_be16(cdb + 7), 8, 2, 3, 6};
}

/* Header and block descriptor; returns their length. They have current values whatever PC says: that is about pages
 * only (6.14.1). */
static size_t make_head(struct scsi_lun *lun, const struct mode_device *dev, const struct mode_form *f, bool dbd,
                        uint8_t *b)
{
    if (dev->header)
        dev->header(lun, &b[f->medium_type], &b[f->device_specific]);
    if (!dev->descriptor || dbd)
        return f->head;
    b[f->descriptor_length + (f->ten ? 1 : 0)] = 8; /* BLOCK DESCRIPTOR LENGTH */
    dev->descriptor(lun, b + f->head);
    return f->head + 8;
}

void spc_mode_sense(struct scsi_lun *lun, struct scsi_request *rq, const struct mode_device *dev)
{
    struct mode_form f = form_of(rq->cdb);
    int pc = rq->cdb[2] >> 6;
    uint8_t page = rq->cdb[2] & 0x3f, subpage = rq->cdb[3];
    if (pc == MODE_SAVED) {
        scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_SAVING_PARAMETERS_NOT_SUPPORTED);
        return;
    }
    if (page == ALL_PAGES && subpage != 0x00 && subpage != ALL_SUBPAGES) { /* table 166: reserved */
        scsi_check_cdb_field(rq, 3, -1);
        return;
    }
    uint8_t b[MAX_DATA] = {0};
    size_t at = make_head(lun, dev, &f, rq->cdb[1] & 0x08, b);       /* DBD */
    bool found = dev->descriptor && page == 0x00 && subpage == 0x00; /* a tape's page 00h has no more (SSC-5) */
    for (size_t i = 0; i < dev->n_pages; i++)
        if (wanted(&dev->pages[i], page, subpage) && at + dev->pages[i].len <= sizeof(b)) {
            at += make_page(lun, &dev->pages[i], pc, b + at);
            found = true;
        }
    if (!found) {
        scsi_check_cdb_field(rq, 2, 5);
        return;
    }
    if (f.ten)
        put_be16(b, (uint16_t)(at - 2)); /* MODE DATA LENGTH */
    else
        b[0] = (uint8_t)(at - 1 > 255 ? 255 : at - 1);
    scsi_reply(rq, b, at, f.length);
}

/* ---- MODE SELECT ---- */

static const struct mode_page *find_page(const struct mode_device *dev, uint8_t page, uint8_t subpage)
{
    for (size_t i = 0; i < dev->n_pages; i++)
        if (dev->pages[i].page == page && dev->pages[i].subpage == subpage)
            return &dev->pages[i];
    return NULL;
}

/* Only changeable bits may differ from the current values. The page is at that byte of the list. */
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

/* Walks the pages of a parameter list of len bytes, from at on: first to check, then to apply. */
static bool walk_pages(struct scsi_lun *lun, struct scsi_request *rq, const struct mode_device *dev, size_t len,
                       size_t at, bool apply)
{
    while (at < len) {
        const uint8_t *in = rq->out + at;
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

/* Header and block descriptor of the list; false with the sense. *pages is where the pages begin. */
static bool take_head(struct scsi_request *rq, const struct mode_device *dev, const struct mode_form *f,
                      struct mode_parameters *p, size_t *pages)
{
    const uint8_t *list = rq->out;
    size_t descriptors = f->ten ? get_be16(list + f->descriptor_length) : list[f->descriptor_length];
    if (f->ten && (list[4] & 0x01)) { /* LONGLBA */
        scsi_check_param_field(rq, 4, 0);
        return false;
    }
    if (descriptors != 0 && (descriptors != 8 || !dev->descriptor)) {
        scsi_check_param_field(rq, f->descriptor_length, -1);
        return false;
    }
    if (f->length < f->head + descriptors) {
        scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
        return false;
    }
    *p = (struct mode_parameters){.device_specific = list[f->device_specific],
                                  .device_specific_at = f->device_specific,
                                  .descriptor = descriptors ? list + f->head : NULL,
                                  .descriptor_at = (unsigned)f->head};
    *pages = f->head + descriptors;
    return true;
}

void spc_mode_select(struct scsi_lun *lun, struct scsi_request *rq, const struct mode_device *dev)
{
    struct mode_form f = form_of(rq->cdb);
    struct mode_parameters p;
    size_t pages;
    if (rq->cdb[1] & 0x01) { /* SP: nothing is saved */
        scsi_check_cdb_field(rq, 1, 0);
        return;
    }
    if (!f.length) /* no data is no error: 6.14 */
        return;
    if (f.length < f.head || f.length > rq->out_len) {
        scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
        return;
    }
    rq->out_actual = (uint32_t)f.length;
    if (!take_head(rq, dev, &f, &p, &pages))
        return;
    for (int apply = 0; apply <= 1; apply++) {
        if (dev->select && !dev->select(lun, rq, &p, apply))
            return;
        if (!walk_pages(lun, rq, dev, f.length, pages, apply))
            return;
    }
}
