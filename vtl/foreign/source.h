/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source.h: what is read of another program's tape, one thing after the other, whoever keeps it. */
#ifndef S3VTL_FOREIGN_SOURCE_H
#define S3VTL_FOREIGN_SOURCE_H

#include <assert.h>
#include <stdio.h>

#include "scsi/tape_facts.h"
#include "vtl/foreign/foreign.h"

enum foreign_thing { FOREIGN_BLOCK, FOREIGN_FILEMARK, FOREIGN_END };

struct foreign_item {
    enum foreign_thing thing;
    uint32_t len; /* of a block: 1 to TAPE_MAX_BLOCK */
};

/* A file that is open for reading. */
struct foreign_file {
    int fd; /* -1: none */
    uint64_t size;
    char *name; /* for people */
};

struct foreign_ops {
    const char *kind;
    /* The next thing. buf has room for TAPE_MAX_BLOCK bytes; NULL: the block is looked at as far as it can be without
     * reading it. Errors as foreign_check's. */
    int (*next)(struct foreign_source *s, uint8_t *buf, struct foreign_item *item, struct errtext *err);
    void (*rewind)(struct foreign_source *s);
};

/* Of SIMH's .tap one file; of mhVTL's directory data, indx and meta; else each file of the tape. */
struct foreign_source {
    const struct foreign_ops *ops;
    struct foreign_options options;
    struct foreign_file *files;
    int n_files;
    int file;           /* plain files: which one is read */
    uint64_t at;        /* bytes into it; mhVTL: things so far */
    uint64_t filemarks; /* mhVTL: so far */
    uint64_t end;       /* mhVTL: of the last block, in data */
    uint8_t *packed;    /* mhVTL: scratch for a compressed block, of FOREIGN_PACKED bytes; NULL: not needed yet */
};

static_assert(FOREIGN_MAX_BLOCK == TAPE_MAX_BLOCK, "what a drive takes");

/* What may a block of TAPE_MAX_BLOCK become when it does not shrink: LZO's worst case, which is the larger one. */
#define FOREIGN_PACKED (TAPE_MAX_BLOCK + TAPE_MAX_BLOCK / 16 + 67)

extern const struct foreign_ops simh_ops, mhvtl_ops, plain_ops;

/* Opens path (below the directory dirfd, or AT_FDCWD); name is copied. -EINVAL: it is no regular file. */
int foreign_file_open(struct foreign_file *f, int dirfd, const char *path, const char *name, struct errtext *err);
/* All n bytes at that offset, or -EBADMSG: the file ends before; what: what they are, for people. */
int foreign_file_read(const struct foreign_file *f, uint64_t at, void *buf, size_t n, const char *what,
                      struct errtext *err);
/* A block that has no place on a tape here: -EFBIG, or -EBADMSG if it is empty; 0: it has. what, at: where it stands. */
int foreign_check_length(const struct foreign_file *f, uint64_t at, uint64_t len, struct errtext *err);
/* Takes over the directory, which stays open. */
int mhvtl_open(struct foreign_source *s, int dirfd, const char *path, struct errtext *err);

/* ---- simh_out.c: a .tap as it is written ---- */
struct simh_out {
    FILE *f;
    const char *path;
    struct foreign_totals totals;
};
/* A copy of fd is written to, through a buffer. */
int simh_out_begin(struct simh_out *o, int fd, const char *path, struct errtext *err);
int simh_out_block(struct simh_out *o, const void *block, uint32_t len, struct errtext *err);
int simh_out_filemark(struct simh_out *o, struct errtext *err);
/* whole: ends the medium, and syncs. Frees what o holds in any case. */
int simh_out_end(struct simh_out *o, bool whole, struct errtext *err);

#endif
