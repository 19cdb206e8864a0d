/* SPDX-License-Identifier: GPL-2.0-or-later */
/* smc_mode.c: the changer's mode pages (SMC-3 7.3) and log pages. */
#include "base/be.h"
#include "scsi/smc_private.h"

/* 1Dh Element Address Assignment (SMC-3 7.3.4; sdparm) */
static void fill_addresses(struct scsi_lun *lun, uint8_t *p)
{
    struct smc_lun *smc = smc_of(lun);
    struct changer_layout l;
    smc->ops->layout(smc->self, &l);
    put_be16(p + 2, l.transports ? ELEMENT_FIRST_TRANSPORT : 0); /* FIRST MEDIUM TRANSPORT ELEMENT ADDRESS */
    put_be16(p + 4, l.transports);                               /* NUMBER OF ... */
    put_be16(p + 6, l.slots ? ELEMENT_FIRST_STORAGE : 0);        /* FIRST STORAGE ELEMENT ADDRESS */
    put_be16(p + 8, l.slots);
    put_be16(p + 10, l.import_exports ? ELEMENT_FIRST_IMPORT_EXPORT : 0); /* FIRST IMPORT EXPORT ELEMENT ADDRESS */
    put_be16(p + 12, l.import_exports);
    put_be16(p + 14, l.drives ? ELEMENT_FIRST_DRIVE : 0); /* FIRST DATA TRANSFER ELEMENT ADDRESS */
    put_be16(p + 16, l.drives);
}

static const uint8_t addresses[20] = {0x1D, 0x12};
/* 1Eh Transport Geometry Parameters (7.3.5; sdparm): one transport, which cannot rotate */
static const uint8_t geometry[4] = {0x1E, 0x02, 0x00, 0x00};
/* 1Fh Device Capabilities (7.3.3; mhvtl): storage, import/export elements and drives hold media, the transport does
 * not; all moves and exchanges among the three work. */
static const uint8_t capabilities[20] = {
    0x1F, 0x12, 0x0E, 0x00, 0x00, 0x0E, 0x0E, 0x0E, /* MT->, ST->, I/E->, DT-> : to ST, I/E, DT */
    0x00, 0x00, 0x00, 0x00, 0x00, 0x0E, 0x0E, 0x0E, /* exchanges */
    0x00, 0x00, 0x00, 0x00,
};

/* clang-format off */
static const struct mode_page pages[] = {
    /* page, subpage, defaults, changeable bits, fill, check, apply */
    {0x02, 0, MODE_PAGE(spc_disconnect_page), NULL, NULL,           NULL, NULL},
    {0x0A, 0, MODE_PAGE(spc_control_page),    NULL, NULL,           NULL, NULL},
    {0x1C, 0, MODE_PAGE(spc_exceptions_page), NULL, NULL,           NULL, NULL},
    {0x1D, 0, MODE_PAGE(addresses),           NULL, fill_addresses, NULL, NULL},
    {0x1E, 0, MODE_PAGE(geometry),            NULL, NULL,           NULL, NULL},
    {0x1F, 0, MODE_PAGE(capabilities),        NULL, NULL,           NULL, NULL},
};
/* clang-format on */

static const struct mode_device device = {.pages = pages, .n_pages = sizeof(pages) / sizeof(pages[0])};

void smc_mode_sense(struct scsi_lun *lun, struct scsi_request *rq)
{
    spc_mode_sense(lun, rq, &device);
}

void smc_mode_select(struct scsi_lun *lun, struct scsi_request *rq)
{
    spc_mode_select(lun, rq, &device);
}

void smc_log_sense(struct scsi_lun *lun, struct scsi_request *rq)
{
    spc_log_sense(lun, rq, NULL, 0);
}
