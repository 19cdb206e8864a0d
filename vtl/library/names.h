/* SPDX-License-Identifier: GPL-2.0-or-later */
/* names.h: the words of "status" for what has a number in SCSI. */
#ifndef S3VTL_NAMES_H
#define S3VTL_NAMES_H

#include "scsi/changer_ops.h"
#include "scsi/tape_ops.h"

/* Never NULL, whatever the value is. Any thread. */
const char *element_type_name(enum element_type type);
/* A job with encryption has the same word as one without. */
const char *activity_name(enum tape_activity activity);

#endif
