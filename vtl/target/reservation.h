/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reservation.h: which commands a persistent reservation of another I_T nexus keeps out. */
#ifndef S3VTL_RESERVATION_H
#define S3VTL_RESERVATION_H

#include "scsi/lun.h"

/* What happens to a command of a nexus that neither holds the reservation nor, where that would do, is registered. */
enum reservation_class {
    RESERVATION_ALLOWED,  /* never in conflict */
    RESERVATION_READS,    /* in conflict with the exclusive access types only */
    RESERVATION_CONFLICT, /* in conflict with every type */
};
/* SPC-5 5.14 (the primary commands), SSC-5 4.2.15 and SMC-3 4.7 have the tables. Unknown opcodes: ALLOWED, they fail
 * anyway. */
enum reservation_class reservation_class(enum scsi_device_type type, uint8_t opcode);

#endif
