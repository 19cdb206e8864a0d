/* SPDX-License-Identifier: GPL-2.0-or-later */
/* secret.h: memory for keys and passwords (I9): pages of their own, locked, in no core dump, and empty in a child. */
#ifndef S3VTL_SECRET_H
#define S3VTL_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed. NULL with errno when the memory cannot be had, or not be locked (RLIMIT_MEMLOCK). Any thread. */
void *secret_new(size_t size);
/* Wiped first. p may be NULL; size is that of secret_new. */
void secret_free(void *p, size_t size);
/* Copies and compares n bytes one by one. memcpy, memcmp and the assignment of a structure leave what they moved in vector
 * registers, where nobody wipes it, and from there it comes to a stack: whoever saves the registers (ld.so at the first call
 * of a function, a signal handler, ThreadSanitizer) saves it along. Any thread. */
void secret_copy(void *to, const void *from, size_t n);
bool secret_equal(const void *a, const void *b, size_t n);

/* This process leaves no core dump, and no other of its user may look into it: what it is told passes through buffers
 * that are not ours. But with SECRET_CORE_DUMPS in the environment, not empty, it does. After the last change of its
 * user, which would undo it. */
#define SECRET_CORE_DUMPS "S3VTL_CORE_DUMPS"
void secret_no_core_dumps(void);

#endif
