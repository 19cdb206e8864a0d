/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spc_log.c: LOG SENSE and LOG SELECT from a table of pages (SPC-5 6.10, 6.11, 7.3). */
#include <string.h>

#include "base/be.h"
#include "scsi/spc.h"

static uint8_t *parameter(uint8_t *p, uint16_t code, uint8_t control, unsigned len)
{
    put_be16(p, code);   /* PARAMETER CODE */
    p[2] = control;      /* parameter control byte */
    p[3] = (uint8_t)len; /* PARAMETER LENGTH */
    return p + 4;
}

uint8_t *log_number(uint8_t *p, uint16_t code, uint8_t control, unsigned len, uint64_t value)
{
    uint8_t *v = parameter(p, code, control, len);
    spc_put_number(v, len, value);
    return v + len;
}

uint8_t *log_text(uint8_t *p, uint16_t code, unsigned len, const char *text)
{
    uint8_t *v = parameter(p, code, LOG_ASCII, len);
    spc_put_text(v, len, text);
    return v + len;
}

/* Page 00h lists pages, a byte each; 00h/FFh lists pages and subpages, two bytes each. */
static size_t fill_supported(const struct log_page *pages, size_t n, bool subpages, uint8_t *p)
{
    size_t len = 0;
    p[len++] = 0x00;
    if (subpages) {
        p[len++] = 0x00;
        p[len++] = 0x00;
        p[len++] = 0xff;
    }
    for (size_t i = 0; i < n; i++) {
        if (!subpages && pages[i].subpage)
            continue;
        p[len++] = pages[i].page;
        if (subpages)
            p[len++] = pages[i].subpage;
    }
    return len;
}

/* PARAMETER POINTER: where the parameters with a code of at least first begin. */
static size_t skip_parameters(const uint8_t *p, size_t len, unsigned first)
{
    size_t at = 0;
    while (at + 4 <= len && get_be16(p + at) < first)
        at += 4u + p[at + 3];
    return at < len ? at : len;
}

void spc_log_sense(struct scsi_lun *lun, struct scsi_request *rq, const struct log_page *pages, size_t n)
{
    uint8_t page = rq->cdb[2] & 0x3f, subpage = rq->cdb[3];
    unsigned pointer = get_be16(rq->cdb + 5);
    size_t alloc = get_be16(rq->cdb + 7), len = 0;
    uint8_t b[4 + LOG_PAGE_MAX] = {0};
    bool found = false;
    if (rq->cdb[1] & 0x01) { /* SP: nothing is saved */
        scsi_check_cdb_field(rq, 1, 0);
        return;
    }
    if (page == 0x00 && (subpage == 0x00 || subpage == 0xff)) {
        len = fill_supported(pages, n, subpage == 0xff, b + 4);
        found = true;
    }
    for (size_t i = 0; !found && i < n; i++)
        if (pages[i].page == page && pages[i].subpage == subpage) {
            len = pages[i].fill(lun, rq->nexus, b + 4);
            found = true;
        }
    if (!found) {
        scsi_check_cdb_field(rq, 2, 5);
        return;
    }
    if (pointer && page) {
        size_t skip = skip_parameters(b + 4, len, pointer);
        if (skip == len) { /* there is none such: 6.11 */
            scsi_check_cdb_field(rq, 5, -1);
            return;
        }
        memmove(b + 4, b + 4 + skip, len - skip);
        len -= skip;
    }
    b[0] = (uint8_t)(page | (subpage ? 0x40 : 0)); /* SPF, PAGE CODE */
    b[1] = subpage;
    put_be16(b + 2, (uint16_t)len); /* PAGE LENGTH */
    scsi_reply(rq, b, 4 + len, alloc);
}

/* ---- LOG SELECT ---- */

/* Does the CDB mean this page? 00h means all of them. */
static bool is_meant(const struct log_page *p, uint8_t page, uint8_t subpage)
{
    return (!page && (!subpage || subpage == 0xff)) || (p->page == page && p->subpage == subpage);
}

void spc_log_select(struct scsi_lun *lun, struct scsi_request *rq, const struct log_page *pages, size_t n)
{
    bool pcr = rq->cdb[1] & 0x02, sp = rq->cdb[1] & 0x01, reset = false;
    uint8_t page = rq->cdb[2] & 0x3f, subpage = rq->cdb[3], pc = rq->cdb[2] >> 6;
    size_t len = get_be16(rq->cdb + 7);
    if (sp) { /* nothing is saved */
        scsi_check_cdb_field(rq, 1, 0);
        return;
    }
    if (pcr && len) {
        scsi_check_cdb_field(rq, 1, 1);
        return;
    }
    bool found = false;
    for (size_t i = 0; i < n; i++)
        found = found || is_meant(&pages[i], page, subpage);
    if (!found) {
        scsi_check_cdb_field(rq, page ? 2 : 3, page ? 5 : 7);
        return;
    }
    if (len) { /* a list of values, but no parameter can be set */
        if (len < 4 || len > rq->out_len) {
            scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
            return;
        }
        rq->out_actual = (uint32_t)len;
        scsi_check_param_field(rq, 0, 5);
        return;
    }
    /* PCR, or cumulative values (PC 01b to what they are, 11b to their defaults): 6.10 table 148. */
    for (size_t i = 0; (pcr || pc == 3) && i < n; i++)
        if (is_meant(&pages[i], page, subpage) && pages[i].reset) {
            pages[i].reset(lun);
            reset = true;
        }
    if (reset)
        scsi_ua_raise(lun, 0, rq->nexus, ASC_LOG_PARAMETERS_CHANGED);
}
