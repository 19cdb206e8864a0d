/* SPDX-License-Identifier: GPL-2.0-or-later */
/* client.h: one session of an initiator that outlives its target: commands of drive and changer whose end is told, not
 * demanded. One thread uses a client. */
#ifndef S3VTL_SOAK_CLIENT_H
#define S3VTL_SOAK_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANGER_LUN 1
#define DRIVE_LUN 2 /* of drive 0 */
#define FIRST_DRIVE 0x0100

enum outcome {
    GOOD,
    CHECK,  /* CHECK CONDITION: key and asc tell why */
    BROKEN, /* the session is gone; whether the command was done nobody knows */
};

struct answer {
    enum outcome outcome;
    unsigned key, asc; /* asc: ASC << 8 | ASCQ */
    uint32_t got;      /* bytes of data-in */
};

struct client;
/* NULL: the target does not take it; *why is the text then. */
struct client *client_login(const char *portal, const char *target, unsigned drive, char *why, size_t room);
void client_logout(struct client *c); /* and frees it */
void client_cut(struct client *c);    /* the connection drops as it is */

struct answer client_ready(struct client *c, int lun); /* TEST UNIT READY until it is not a unit attention */
int client_drive(const struct client *c);              /* the LUN of its drive */

struct answer tape_write(struct client *c, const uint8_t *block, uint32_t len);
struct answer tape_read(struct client *c, uint8_t *block, uint32_t room);
struct answer tape_marks(struct client *c, unsigned n, bool immed); /* 0, not IMMED: a sync */
struct answer tape_locate(struct client *c, uint64_t object);
struct answer tape_space_files(struct client *c, int n);
struct answer tape_space_end(struct client *c);
struct answer tape_rewind(struct client *c);
struct answer tape_erase(struct client *c);
struct answer tape_format(struct client *c);
struct answer tape_load(struct client *c, bool load);
struct answer tape_position(struct client *c, uint64_t *object, uint64_t *file);

enum element_type { STORAGE = 2, DOOR = 3, DRIVE = 4 };
struct element {
    enum element_type type;
    uint16_t address;
    bool full;
    char barcode[33];
};
/* All elements, at most room; *n of them. */
struct answer changer_elements(struct client *c, struct element *e, size_t room, size_t *n);
struct answer changer_move(struct client *c, uint16_t from, uint16_t to);

#endif
