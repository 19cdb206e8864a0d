/* SPDX-License-Identifier: GPL-2.0-or-later */
/* file.c: a file of another program's: opening it, reading exactly so many bytes of it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vtl/foreign/source.h"

int foreign_file_open(struct foreign_file *f, int dirfd, const char *path, const char *name, struct errtext *err)
{
    struct stat st;
    /* Not one that waits for a writer. */
    f->fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f->fd < 0 || fstat(f->fd, &st))
        return errtext_set(err, -errno, "%s: %s", name, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return errtext_set(err, -EINVAL, "%s: is no regular file: copy it to one first", name);
    f->size = (uint64_t)st.st_size;
    f->name = strdup(name);
    return f->name ? 0 : errtext_set(err, -ENOMEM, "%s: out of memory", name);
}

int foreign_file_read(const struct foreign_file *f, uint64_t at, void *buf, size_t n, const char *what,
                      struct errtext *err)
{
    uint8_t *p = buf;
    uint64_t from = at;
    while (n) {
        ssize_t got = pread(f->fd, p, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errtext_set(err, -errno, "%s: offset %" PRIu64 ": %s", f->name, at, strerror(errno));
        if (!got)
            return errtext_set(err, -EBADMSG, "%s: offset %" PRIu64 ": the file ends at %" PRIu64 ", within %s",
                               f->name, from, at, what);
        p += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

int foreign_check_length(const struct foreign_file *f, uint64_t at, uint64_t len, struct errtext *err)
{
    if (!len)
        return errtext_set(err, -EBADMSG, "%s: offset %" PRIu64 ": a block of no bytes", f->name, at);
    return len <= TAPE_MAX_BLOCK
               ? 0
               : errtext_set(err, -EFBIG,
                             "%s: offset %" PRIu64 ": a block of %" PRIu64 " bytes; a drive here takes %u at most",
                             f->name, at, len, TAPE_MAX_BLOCK);
}
