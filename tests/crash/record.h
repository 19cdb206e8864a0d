/* SPDX-License-Identifier: GPL-2.0-or-later */
/* record.h: the log of what a program did to the files below one directory: record.c writes it, disk.c reads it. */
#ifndef S3VTL_CRASH_RECORD_H
#define S3VTL_CRASH_RECORD_H

#include <stdint.h>

/* In the order in which they happened: an event is logged under one lock with what it tells of. */
enum record_type {
    RECORD_CREATE = 1, /* path, inode: a file that was not there */
    RECORD_MKDIR,      /* path */
    RECORD_WRITE,      /* inode, offset, data */
    RECORD_TRUNCATE,   /* inode, offset: the new size */
    RECORD_SYNC,       /* inode: fsync or fdatasync returned 0 */
    RECORD_SYNC_DIR,   /* path: the same, of a directory */
    RECORD_RENAME,     /* path, to */
    RECORD_UNLINK,     /* path: file or directory */
    RECORD_MARK,       /* data: what the program says it is about to do, or has done */
};

#define RECORD_MAGIC 0x43455243u
#define RECORD_MARKS "marks" /* what is written to this file below the root are marks */

/* Followed by path, to (relative to the root, no NUL) and data. */
struct record {
    uint32_t magic, type;
    uint64_t inode, offset;
    uint32_t path_len, to_len;
    uint64_t data_len;
};

#endif
