/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mam.h: the host's attributes of a cartridge, as its row in the state and its heads keep them (FORMAT.md, "mam"). */
#ifndef S3VTL_MAM_H
#define S3VTL_MAM_H

#include <jansson.h>

#include "scsi/tape_facts.h"

/* text NULL or not an object: no attributes. Skips whatever is not an attribute by FORMAT.md, and any beyond the most
 * that it allows. */
void mam_decode(const char *text, struct tape_mam *out);
/* For people to read: {"application_name":"Proxmox Backup Server", ...}; binary attributes by identifier, in
 * hexadecimal. New reference. */
json_t *mam_show(const struct tape_mam *m);
/* malloc'd JSON; NULL if out of memory. */
char *mam_encode(const struct tape_mam *m);

#endif
