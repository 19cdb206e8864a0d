/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spc_rows.h: how a row of a command table is written, and the rows that every table has (SPC-5). */
#ifndef S3VTL_SPC_ROWS_H
#define S3VTL_SPC_ROWS_H

#include "scsi/spc.h"

/* clang-format off */

/* A usage map (SPC-5 6.32.3): the bits of the CDB that may be set, from byte 1 on. Byte 0 is the opcode in any case. */
#define CDB(...) {0, __VA_ARGS__}
/* A field of so many bytes, all of whose bits may be set, and so many reserved bytes. */
#define FF  0xff
#define FF2 FF, FF
#define FF3 FF2, FF
#define FF4 FF2, FF2
#define FF8 FF4, FF4
#define R2  0, 0
#define R3  R2, 0
#define R5  R3, R2

/* REPORT SUPPORTED OPERATION CODES lists commands in the order of the table, so each of these stands at its place. */
#define SPC_REQUEST_SENSE   {0x03, SA_NONE,  6, CMD_IMMEDIATE | CMD_IGNORES_UA, "REQUEST SENSE",   CDB(0x01, R2, FF),       60, spc_request_sense}
#define SPC_INQUIRY         {0x12, SA_NONE,  6, CMD_IMMEDIATE | CMD_IGNORES_UA, "INQUIRY",         CDB(0x01, FF, FF2),      60, spc_inquiry}
#define SPC_SEND_DIAGNOSTIC {0x1D, SA_NONE,  6, 0,                              "SEND DIAGNOSTIC", CDB(0xf7, 0, FF2),      300, spc_send_diagnostic}
#define SPC_REPORT_LUNS     {0xA0, SA_NONE, 12, CMD_TRANSPORT,                  "REPORT LUNS",     CDB(0, FF, R3, FF4),     60, NULL}
#define SPC_REPORT_SUPPORTED_OPERATION_CODES \
    {0xA3, 0x0C, 12, CMD_IMMEDIATE, "REPORT SUPPORTED OPERATION CODES", CDB(0x1f, 0x87, FF, FF2, FF4), 60, spc_report_supported_opcodes}

#define SPC_RESERVE_IN(action, name)  {0x5E, action, 10, CMD_TRANSPORT, "PERSISTENT RESERVE IN: "  name, CDB(0x1f, R5, FF2),     60, NULL}
#define SPC_RESERVE_OUT(action, name) {0x5F, action, 10, CMD_TRANSPORT, "PERSISTENT RESERVE OUT: " name, CDB(0x1f, FF, R2, FF4), 60, NULL}
#define SPC_PERSISTENT_RESERVE                                    \
    SPC_RESERVE_IN( 0x00, "READ KEYS"),                           \
    SPC_RESERVE_IN( 0x01, "READ RESERVATION"),                    \
    SPC_RESERVE_IN( 0x02, "REPORT CAPABILITIES"),                 \
    SPC_RESERVE_OUT(0x00, "REGISTER"),                            \
    SPC_RESERVE_OUT(0x01, "RESERVE"),                             \
    SPC_RESERVE_OUT(0x02, "RELEASE"),                             \
    SPC_RESERVE_OUT(0x03, "CLEAR"),                               \
    SPC_RESERVE_OUT(0x04, "PREEMPT"),                             \
    SPC_RESERVE_OUT(0x06, "REGISTER AND IGNORE EXISTING KEY")

/* clang-format on */

#endif
