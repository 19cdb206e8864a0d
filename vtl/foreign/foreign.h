/* SPDX-License-Identifier: GPL-2.0-or-later */
/* foreign.h: tapes of other programs, into a cartridge and out of one: the door of this room. */
#ifndef S3VTL_FOREIGN_H
#define S3VTL_FOREIGN_H

#include "vtl/library/library.h"

#define FOREIGN_MAX_BLOCK (8u << 20) /* bytes: what a drive takes at most */

/* How a tape is kept by others. */
struct foreign_source;

struct foreign_options {
    uint32_t block;   /* the files are plain data: they are cut into blocks of so many bytes; 0: they are not */
    bool keep_errors; /* records that were read with an error when the file was made count as good ones */
};

struct foreign_totals {
    uint64_t blocks, filemarks, bytes;
};

/*
 * Opens what is to be imported, and reads nothing of it yet: a directory is a tape of mhVTL's; with a block size each file
 * is a file of the tape; else the one file is SIMH's .tap. All of it is open when this returns: the process may lose the
 * right to open it. paths are borrowed until foreign_close. 0 or a negative errno with *err.
 */
int foreign_open(char *const paths[], int n, const struct foreign_options *o, struct foreign_source **out,
                 struct errtext *err);
void foreign_close(struct foreign_source *s);
const char *foreign_kind(const struct foreign_source *s); /* "SIMH .tap", for people */

/* Walks over the whole source without writing anything: is it sound, and does each block fit a drive? 0; -EBADMSG: it is
 * damaged, or not of its kind; -ENOTSUP: what it holds has no place on a tape here; -EFBIG: a block that is too long;
 * -ECANCELED; or the file's own error. *err says which file, and where in it. */
int foreign_check(struct foreign_source *s, struct foreign_totals *totals, const atomic_bool *cancel,
                  struct errtext *err);

/* What both of the following tell while they run, on the caller's thread. */
struct foreign_watch {
    void (*progress)(void *arg, uint64_t bytes, uint64_t of_bytes);
    void *arg;
    const atomic_bool *cancel;
};

/*
 * Writes a source that foreign_check was content with onto a blank cartridge, through a drive as a host does, and brings
 * the cartridge back to where it was. lib is open with LIBRARY_SERVE, and nobody else uses it. 0: all of it is as safe as the configured
 * durability asks for. Else a negative errno with *err, and the cartridge is blank again, or *err says what stays on it.
 */
int foreign_import(struct library *lib, const char *barcode, struct foreign_source *s,
                   const struct foreign_totals *totals, const struct foreign_watch *w, struct errtext *err);

/* Writes all of a cartridge to fd, which is empty, as SIMH's .tap, and syncs it. path is its name for people. The same
 * otherwise; the cartridge does not change. On an error fd holds a part of it. */
int foreign_export(struct library *lib, const char *barcode, int fd, const char *path, const struct foreign_watch *w,
                   struct foreign_totals *totals, struct errtext *err);

#endif
