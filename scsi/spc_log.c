/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spc_log.c: LOG SENSE from a table of pages (SPC-5 6.11, 7.3). */
#include <string.h>

#include "scsi/be.h"
#include "scsi/spc.h"

#define MAX_PAGE 4096

/* 00h lists pages by one byte, 00h/FFh pages and subpages by two. */
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

/* Where the parameters with code >= first begin: the list is cut before (PARAMETER POINTER). */
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
    uint8_t b[4 + MAX_PAGE] = {0};
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
            len = pages[i].fill(lun, b + 4, MAX_PAGE);
            found = true;
        }
    if (!found) {
        scsi_check_cdb_field(rq, 2, 5);
        return;
    }
    if (pointer && page) {
        size_t skip = skip_parameters(b + 4, len, pointer);
        if (skip == len) { /* behind the last one: 6.11 */
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
