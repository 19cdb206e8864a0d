/* SPDX-License-Identifier: GPL-2.0-or-later */
/* library.h: what tests do with the changer and the drives, in CDBs. */
#ifndef S3VTL_TEST_LIBRARY_H
#define S3VTL_TEST_LIBRARY_H

#include "tests/iscsi/initiator.h"

enum { SLOT = 0x0400, DRIVE = 0x0100, DOOR = 0x0300 }; /* first addresses */

/* The element that holds a cartridge; the test fails if none does. */
uint16_t find_cartridge(struct session *s, const char *barcode);
/* Is the element full, and with what? */
bool element_full(struct session *s, uint16_t address, char barcode[33]);
void move(struct session *s, uint16_t from, uint16_t to, struct reply *r);
/* The cartridge is loaded in the drive, blank or as it is, position BOP, no unit attention is pending for this session.
 */
void load_tape(struct session *s, unsigned drive, const char *barcode);
void load_blank(struct session *s, unsigned drive, const char *barcode);
void empty_drive(struct session *s, unsigned drive); /* whatever is in it goes to a free slot */

/* Commands of a drive that must succeed. lun: LUN_DRIVE0.. */
void write_block(struct session *s, int lun, const void *block, uint32_t len);
void read_block(struct session *s, int lun, void *block, uint32_t len, struct reply *r); /* READ(6), variable, SILI */
void filemarks(struct session *s, int lun, uint8_t n);
void rewind_tape(struct session *s, int lun);
void position(struct session *s, int lun, uint64_t *object, uint64_t *file); /* READ POSITION, long form */
#define assert_position(s, lun, object, file) assert_position_at((s), (lun), (object), (file), __FILE__, __LINE__)
void assert_position_at(struct session *s, int lun, uint64_t object, uint64_t file, const char *file_name, int line);

/* The exit status of s3vtl with these arguments, on this library; may go on as a shell does. */
int operator_says(const char *arguments);

/* CDBs of READ(6) and WRITE(6): bits of byte 1 and a 24 bit length. */
#define RW6(op, bits, len) CDB((op), (bits), (uint8_t)((len) >> 16), (uint8_t)((len) >> 8), (uint8_t)(len), 0)
/* Bytes that differ for each seed and place, so that a misplaced block is seen. */
void fill(uint8_t *p, size_t len, uint64_t seed);

#endif
