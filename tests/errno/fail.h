/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fail.h: the file operations of this process, SQLite's too, counted by where they are called, and made to fail. */
#ifndef S3VTL_ERRNO_FAIL_H
#define S3VTL_ERRNO_FAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fail_op {
    FAIL_OPEN,
    FAIL_CLOSE,
    FAIL_READ,
    FAIL_WRITE,
    FAIL_SYNC,
    FAIL_TRUNCATE,
    FAIL_ALLOCATE,
    FAIL_RENAME,
    FAIL_LINK,
    FAIL_UNLINK,
    FAIL_MKDIR,
    FAIL_STAT,
    FAIL_LIST,
    FAIL_MMAP,
    FAIL_SOCKET, /* socket, accept4, pipe2, eventfd */
    FAIL_MEMORY, /* malloc, calloc, realloc */
    FAIL_OPS
};

/* Where an operation is called, told by what kind it is and by the functions that led there. */
struct fail_site {
    uint64_t hash; /* of all that led there */
    uint64_t own;  /* of the library's functions among them */
    enum fail_op op;
    unsigned calls;
    char path[100]; /* of the first call, its end */
    void *frames[12];
};

#define FAIL_SITES 16384

enum fail_how {
    FAIL_NOT,
    FAIL_ONCE, /* that call only */
    FAIL_ON,   /* from that call on all that the error can come from: a full disk, a table of files that is full ... */
};

/* In memory that is shared with forked processes: a run may be of several, one after the other. */
struct fail_shared {
    struct fail_site sites[FAIL_SITES];
    bool counting; /* sites get their calls */
    enum fail_how how;
    int error;
    enum fail_op op; /* the site's */
    uint64_t site;   /* its hash ... */
    unsigned call;   /* ... and which of its calls, from 0: the one to fail */
    unsigned seen;   /* calls of it so far */
    bool on;         /* FAIL_ON has begun */
    uint64_t fired;
};

/* Once, before anything is forked. memory: allocations are looked at too, which is slow. NULL: out of memory. */
struct fail_shared *fail_begin(bool memory);
/* Only files below this directory count from now on; NULL: none, and nothing fails. */
void fail_below(const char *root);
/* The calling thread is the test's own: what it does neither counts nor fails. Nests. */
void fail_spare(bool spare);
void fail_heal(void);
/* A fault that lasts has begun. */
bool fail_lasts(void);
const char *fail_op_name(enum fail_op op);
/* Prints who called, outermost last. */
void fail_print_site(const struct fail_site *s);

#endif
