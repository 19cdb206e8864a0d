/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spc.h: commands that both device types share (SPC-5), and the table-driven MODE and LOG pages. */
#ifndef S3VTL_SPC_H
#define S3VTL_SPC_H

#include "scsi/lun.h"

/* Handlers */
void spc_inquiry(struct scsi_lun *lun, struct scsi_request *rq);       /* 6.6, with the VPD pages */
void spc_request_sense(struct scsi_lun *lun, struct scsi_request *rq); /* 6.39: a unit attention, else no sense */
void spc_report_supported_opcodes(struct scsi_lun *lun, struct scsi_request *rq); /* 6.32 */
void spc_send_diagnostic(struct scsi_lun *lun, struct scsi_request *rq); /* 6.42: the default self-test passes */

/* Fields of len bytes: a text, left-aligned and padded with blanks; a number, big-endian, all bits one if it does not
 * fit: counters saturate (SPC-5 7.3.2.2, 7.4.2.2). */
void spc_put_text(uint8_t *p, size_t len, const char *text);
void spc_put_number(uint8_t *p, size_t len, uint64_t n);

/* ---- mode pages ---- */
enum { MODE_CURRENT = 0, MODE_CHANGEABLE = 1, MODE_DEFAULT = 2, MODE_SAVED = 3 };

struct mode_page {
    uint8_t page, subpage;     /* subpage 0: page_0 format (header of 2 bytes); else sub_page format (4 bytes) */
    uint8_t len;               /* of the page with its header */
    const uint8_t *defaults;   /* the page, header included (PS 0, SPF, codes and length right) */
    const uint8_t *changeable; /* as long, header 0; NULL: nothing is */
    void (*fill)(struct scsi_lun *lun, uint8_t *page); /* puts current values over the defaults; NULL: there are none */
    /* May the changeable fields have these values? If not, makes the sense; the page is at that byte of the list. NULL:
     * they may. */
    bool (*check)(struct scsi_lun *lun, struct scsi_request *rq, const uint8_t *page, unsigned at);
    void (*apply)(struct scsi_lun *lun, const uint8_t *page); /* takes what MODE SELECT set; NULL: nothing changes */
};
/* len and defaults of a row. */
#define MODE_PAGE(bytes) sizeof(bytes), bytes

/* What a parameter list has before its pages, and at which byte of it. */
struct mode_parameters {
    uint8_t device_specific;
    unsigned device_specific_at;
    const uint8_t *descriptor; /* 8 bytes; NULL: none came */
    unsigned descriptor_at;
};

/* What a device type has. Functions may be NULL: header then says 0 and 0, there is no block descriptor, and select
 * takes all. */
struct mode_device {
    const struct mode_page *pages; /* in order of page and subpage */
    size_t n_pages;
    void (*header)(struct scsi_lun *lun, uint8_t *medium_type, uint8_t *device_specific);
    void (*descriptor)(struct scsi_lun *lun, uint8_t descriptor[8]);
    /* May MODE SELECT set these? If not, makes the sense. With apply, takes them. */
    bool (*select)(struct scsi_lun *lun, struct scsi_request *rq, const struct mode_parameters *p, bool apply);
};

/* Pages that every device type has, with nothing changeable in them. */
extern const uint8_t spc_disconnect_page[16], spc_control_page[12], spc_exceptions_page[12];
void spc_mode_sense(struct scsi_lun *lun, struct scsi_request *rq, const struct mode_device *dev);  /* 6 and 10 */
void spc_mode_select(struct scsi_lun *lun, struct scsi_request *rq, const struct mode_device *dev); /* 6 and 10 */

/* ---- log pages ---- */
struct log_page {
    uint8_t page, subpage;
    /* Writes the parameters, without the page header, to buf (LOG_PAGE_MAX bytes). Returns their length. */
    size_t (*fill)(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf);
    void (*reset)(struct scsi_lun *lun); /* sets its counters to 0 for LOG SELECT; NULL: none can be */
};
#define LOG_PAGE_MAX 4096

/* One parameter: header (SPC-5 7.3.2.2; control: FORMAT AND LINKING and the like) and a value of len bytes, big-endian
 * for log_number. Returns behind it. */
enum { LOG_COUNTER = 0x00, LOG_ASCII = 0x01, LOG_BINARY = 0x03 };
uint8_t *log_number(uint8_t *p, uint16_t code, uint8_t control, unsigned len, uint64_t value);
uint8_t *log_text(uint8_t *p, uint16_t code, unsigned len, const char *text); /* padded with blanks */
/* The table has all pages, in order, but 00h and 00h/FFh, which list them. */
void spc_log_sense(struct scsi_lun *lun, struct scsi_request *rq, const struct log_page *pages, size_t n);
/* 6.10: resets counters (PCR); a parameter cannot be set. */
void spc_log_select(struct scsi_lun *lun, struct scsi_request *rq, const struct log_page *pages, size_t n);

#endif
