/* SPDX-License-Identifier: GPL-2.0-or-later */
/* seeds.h: what the fuzzers begin with, written at build time by the program "seeds". */
#ifndef S3VTL_FUZZ_SEEDS_H
#define S3VTL_FUZZ_SEEDS_H

#include <stddef.h>

/* One file of the directory of a fuzzer's seeds, made as needed; ends the program when it cannot. */
void seed_write(const char *fuzzer, const char *name, const void *data, size_t len);

void seeds_scsi(void);
void seeds_stored(void);
void seeds_text(void);
void seeds_foreign(void);

#endif
