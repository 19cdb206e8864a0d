/* SPDX-License-Identifier: GPL-2.0-or-later */
/* smc_status.c: READ ELEMENT STATUS (SMC-3 6.11), from a snapshot of the elements. */
#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "scsi/smc_private.h"

#define HEADER_LEN 8 /* element status data */
#define PAGE_LEN 8   /* element status page header */
#define DESCRIPTOR_LEN 12
#define VOLUME_TAG_LEN 36
#define DVCID_LEN 34 /* vendor 8, product 16, serial 10 */

struct reply {
    struct scsi_request *rq;
    bool voltag, dvcid;
    size_t alloc; /* what the initiator takes of the reply */
    size_t at;    /* its length so far; may be beyond alloc */
    size_t page_at;
    int page_type; /* of the open page; 0: none is */
    uint32_t count;
    uint16_t first;
};

/* Puts bytes at an offset, as far as the allocation length goes. */
static void put(struct reply *r, size_t at, const uint8_t *p, size_t n)
{
    size_t room = r->alloc < r->rq->in_len ? r->alloc : r->rq->in_len;
    for (size_t i = 0; i < n && at + i < room; i++)
        r->rq->in[at + i] = p[i];
}

static size_t descriptor_length(const struct reply *r, enum element_type type)
{
    return (size_t)DESCRIPTOR_LEN + (r->voltag ? VOLUME_TAG_LEN : 0u) +
           (type == ELEMENT_DRIVE && r->dvcid ? 4u + DVCID_LEN : 0u);
}

static void close_page(struct reply *r)
{
    if (!r->page_type)
        return;
    uint8_t h[PAGE_LEN] = {(uint8_t)r->page_type, r->voltag ? 0x80 : 0};              /* ELEMENT TYPE CODE, PVOLTAG */
    put_be16(h + 2, (uint16_t)descriptor_length(r, (enum element_type)r->page_type)); /* ELEMENT DESCRIPTOR LENGTH */
    put_be24(h + 5, (uint32_t)(r->at - r->page_at - PAGE_LEN)); /* BYTE COUNT OF DESCRIPTOR DATA AVAILABLE */
    put(r, r->page_at, h, sizeof(h));
    r->page_type = 0;
}

static size_t describe(const struct reply *r, const struct changer_element *e, uint8_t *d)
{
    size_t len = descriptor_length(r, e->type);
    memset(d, 0, len);
    put_be16(d, e->address);   /* ELEMENT ADDRESS */
    d[2] = e->full ? 0x01 : 0; /* FULL */
    if (e->type != ELEMENT_TRANSPORT && e->access)
        d[2] |= 0x08; /* ACCESS */
    if (e->type == ELEMENT_IMPORT_EXPORT)
        d[2] |= (uint8_t)(0x30 | (e->by_operator ? 0x02 : 0)); /* INENAB, EXENAB, IMPEXP */
    if (e->full && e->source_valid) {
        d[9] = 0x80;                 /* SVALID */
        put_be16(d + 10, e->source); /* SOURCE STORAGE ELEMENT ADDRESS */
    }
    uint8_t *p = d + DESCRIPTOR_LEN;
    if (r->voltag) {
        if (e->full)
            spc_put_text(p, 32, e->barcode); /* PRIMARY VOLUME TAG; the last four bytes stay zero */
        p += VOLUME_TAG_LEN;
    }
    if (e->type == ELEMENT_DRIVE && r->dvcid) {
        p[0] = 0x02;      /* CODE SET ASCII */
        p[1] = 0x01;      /* IDENTIFIER TYPE: T10 vendor ID based */
        p[3] = DVCID_LEN; /* IDENTIFIER LENGTH */
        spc_put_text(p + 4, 8, e->vendor);
        spc_put_text(p + 12, 16, e->product);
        spc_put_text(p + 28, 10, e->serial);
    }
    return len;
}

static void add(struct reply *r, const struct changer_element *e)
{
    uint8_t d[DESCRIPTOR_LEN + VOLUME_TAG_LEN + 4 + DVCID_LEN];
    if (r->page_type != (int)e->type) {
        close_page(r);
        r->page_type = (int)e->type;
        r->page_at = r->at;
        r->at += PAGE_LEN;
    }
    size_t len = describe(r, e, d);
    put(r, r->at, d, len);
    r->at += len;
    if (!r->count++)
        r->first = e->address;
}

void smc_read_element_status(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct smc_lun *smc = smc_of(lun);
    int type = rq->cdb[1] & 0x0f;
    uint16_t start = get_be16(rq->cdb + 2), left = get_be16(rq->cdb + 4);
    struct reply r = {.rq = rq,
                      .voltag = rq->cdb[1] & 0x10,
                      .dvcid = rq->cdb[6] & 0x01,
                      .alloc = get_be24(rq->cdb + 7),
                      .at = HEADER_LEN};
    if (type > ELEMENT_DRIVE) {
        scsi_check_cdb_field(rq, 1, 3);
        return;
    }
    /* All elements at once: with a move between two looks its cartridge would be in two elements, or in none. */
    struct changer_element *all = left ? malloc(left * sizeof(*all)) : NULL;
    if (left && !all) {
        rq->status = SCSI_TASK_SET_FULL;
        return;
    }
    size_t n = left ? smc->ops->elements(smc->self, type, start, left, all) : 0;
    for (size_t i = 0; i < n; i++)
        add(&r, &all[i]);
    free(all);
    close_page(&r);
    uint8_t h[HEADER_LEN] = {0};
    put_be16(h, r.first);                           /* FIRST ELEMENT ADDRESS REPORTED */
    put_be16(h + 2, (uint16_t)r.count);             /* NUMBER OF ELEMENTS AVAILABLE */
    put_be24(h + 5, (uint32_t)(r.at - HEADER_LEN)); /* BYTE COUNT OF REPORT AVAILABLE */
    put(&r, 0, h, sizeof(h));
    size_t sent = r.at < r.alloc ? r.at : r.alloc;
    rq->in_actual = (uint32_t)(sent < rq->in_len ? sent : rq->in_len);
}
