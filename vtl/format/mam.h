/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mam.h: the host's attributes of a cartridge as its row and its heads keep them (FORMAT.md, "mam"). */
#ifndef S3VTL_MAM_H
#define S3VTL_MAM_H

#include <jansson.h>

#include "scsi/tape_ops.h"

/* text NULL or no object: none. What is not an attribute as FORMAT.md has it is passed over, and so is what is one too
 * many. */
void mam_decode(const char *text, struct tape_mam *out);
/* For people: {"application_name":"Proxmox Backup Server", ...}; binary ones by identifier, in hexadecimal. New
 * reference. */
json_t *mam_show(const struct tape_mam *m);
/* malloc'd JSON; NULL when out of memory. */
char *mam_encode(const struct tape_mam *m);

#endif
