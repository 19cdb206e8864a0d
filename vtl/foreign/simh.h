/* SPDX-License-Identifier: GPL-2.0-or-later */
/* simh.h: the words of SIMH's .tap ("SIMH Magtape Representation and Handling"), all little-endian. */
#ifndef S3VTL_FOREIGN_SIMH_H
#define S3VTL_FOREIGN_SIMH_H

#include "vtl/foreign/source.h"

#define SIMH_FILEMARK 0x00000000u
#define SIMH_END 0xFFFFFFFFu
#define SIMH_GAP 0xFFFFFFFEu
#define SIMH_HALF_GAP 0xFFFEFFFFu
#define SIMH_LENGTH 0x0FFFFFFFu /* of a record's word; the classic format uses 24 bits of them */
#define SIMH_CLASS_SHIFT 28

enum simh_class { SIMH_GOOD = 0, SIMH_BAD = 8 };

#endif
