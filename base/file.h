/* SPDX-License-Identifier: GPL-2.0-or-later */
/* file.h: whole writes, and which errors say that the disk is full. */
#ifndef S3VTL_FILE_H
#define S3VTL_FILE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

/* Writes all len bytes at the file's offset. 0, or a negative errno, and then some of them may be there. Any thread. */
int file_write_all(int fd, const void *data, size_t len);

/* Does this negative errno say that the disk is full, or what a quota leaves of it? */
static inline bool file_disk_full(int rc)
{
    return rc == -ENOSPC || rc == -EDQUOT;
}

#endif
