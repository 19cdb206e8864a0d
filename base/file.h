/* SPDX-License-Identifier: GPL-2.0-or-later */
/* file.h: whole writes. */
#ifndef S3VTL_FILE_H
#define S3VTL_FILE_H

#include <stddef.h>

/* Writes all len bytes at the file's offset. 0, or a negative errno, and then some of them may be there. Any thread. */
int file_write_all(int fd, const void *data, size_t len);

#endif
