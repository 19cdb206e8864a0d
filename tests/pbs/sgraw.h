/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sgraw.h: one command as Proxmox Backup Server sends it, and its status as it understands it. */
#ifndef S3VTL_PBS_SGRAW_H
#define S3VTL_PBS_SGRAW_H

#include "tests/pbs/problem.h"
#include "tests/pbs/transport.h"

#define CDB(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* The sense triples that it knows, as key << 16 | ASC << 8 | ASCQ. 0: GOOD. -1: an error that is only text. */
enum {
    SG_GOOD = 0,
    SG_ERROR = -1,
    SG_FILEMARK = 0x00000001 | 1 << 24, /* key 0: bit 24 tells it from GOOD */
    SG_LEOM = 0x00000002 | 1 << 24,
    SG_BOP = 0x00000004 | 1 << 24,
    SG_PEWS = 0x00000007 | 1 << 24,
    SG_BECOMING_READY = 0x00020401 | 1 << 24,
    SG_NO_MEDIUM = 0x00023a00 | 1 << 24,
    SG_NO_COMMAND = 0x00052000 | 1 << 24,
    SG_MEDIUM_CHANGED = 0x00062800 | 1 << 24,
    SG_WRITE_PROTECTED = 0x00072700 | 1 << 24,
    SG_WORM_OVERWRITE = 0x0007300c | 1 << 24,
    SG_EOD = 0x00080005 | 1 << 24,
    SG_OVERFLOW = 0x000d0002 | 1 << 24,
};

/* Data-in of len bytes; *got (may be NULL) is what came. Returns SG_*; problem_text() tells of all but SG_GOOD. */
int sg_in(struct unit *u, const char *what, const uint8_t *cdb, size_t cdb_len, void *buf, uint32_t len,
          unsigned timeout_s, uint32_t *got);
int sg_out(struct unit *u, const char *what, const uint8_t *cdb, size_t cdb_len, const void *buf, uint32_t len,
           unsigned timeout_s);
/* A command without data: data-in with a buffer of 16 bytes, 64 on a changer, that stays empty. */
int sg_none(struct unit *u, const char *what, const uint8_t *cdb, size_t cdb_len, unsigned timeout_s);
int sg_none_64(struct unit *u, const char *what, const uint8_t *cdb, size_t cdb_len, unsigned timeout_s);

/* INQUIRY, which each open begins with: the type must be this one (1 tape, 8 changer). serial may be NULL. */
bool sg_inquiry(struct unit *u, uint8_t type);

#endif
