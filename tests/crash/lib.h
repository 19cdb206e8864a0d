/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib.h: the library of the crash tests: a drive, TAPES cartridges, small segments, the directory store below
 * ROOT/store. */
#ifndef S3VTL_CRASH_LIB_H
#define S3VTL_CRASH_LIB_H

#include "tests/crash/ops.h"
#include "vtl/library/library.h"

#define LIB_STORE "store" /* below the root: another machine's disk */

/* CRASH_DURABILITY=remote: so is the library. CRASH_CACHE: its cache_size. */
bool lib_remote(void);
/* All print why to stderr when they fail (NULL, false). */
struct vtl_config *lib_config(const char *root);
struct library *lib_open(const struct vtl_config *c);
/* library init, and the cartridges. */
struct library *lib_make(const struct vtl_config *c);
uint16_t lib_slot(unsigned tape);
const char *lib_barcode(unsigned tape);
int lib_write(void *drive, const void *block, uint32_t len);
/* Waits until all is in the store, and what is garbage is not. */
bool lib_drain(struct library *lib);

#endif
