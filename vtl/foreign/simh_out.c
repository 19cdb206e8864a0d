/* SPDX-License-Identifier: GPL-2.0-or-later */
/* simh_out.c: writes SIMH's .tap. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/le.h"
#include "vtl/foreign/simh.h"

static int failed(const struct simh_out *o, struct errtext *err)
{
    int rc = errno ? -errno : -EIO;
    return errtext_set(err, rc, "%s: %s", o->path, strerror(-rc));
}

static int put(struct simh_out *o, const void *data, size_t len, struct errtext *err)
{
    errno = 0;
    return fwrite(data, 1, len, o->f) == len ? 0 : failed(o, err);
}

static int put_word(struct simh_out *o, uint32_t word, struct errtext *err)
{
    uint8_t b[4];
    put_le32(b, word);
    return put(o, b, sizeof(b), err);
}

int simh_out_begin(struct simh_out *o, int fd, const char *path, struct errtext *err)
{
    int copy = dup(fd);
    *o = (struct simh_out){.f = copy < 0 ? NULL : fdopen(copy, "w"), .path = path};
    if (o->f)
        return 0;
    int rc = failed(o, err);
    if (copy >= 0)
        close(copy);
    return rc;
}

int simh_out_block(struct simh_out *o, const void *block, uint32_t len, struct errtext *err)
{
    static const uint8_t pad = 0;
    int rc = put_word(o, len, err);
    if (!rc)
        rc = put(o, block, len, err);
    if (!rc && len % 2)
        rc = put(o, &pad, 1, err);
    if (!rc)
        rc = put_word(o, len, err);
    o->totals.blocks++;
    o->totals.bytes += len;
    return rc;
}

int simh_out_filemark(struct simh_out *o, struct errtext *err)
{
    o->totals.filemarks++;
    return put_word(o, SIMH_FILEMARK, err);
}

/* The end is always marked, so that a file that was cut short can be told from a whole one. */
int simh_out_end(struct simh_out *o, bool whole, struct errtext *err)
{
    int rc = whole ? put_word(o, SIMH_END, err) : 0;
    errno = 0;
    if (whole && !rc && (fflush(o->f) || fsync(fileno(o->f))))
        rc = failed(o, err);
    errno = 0;
    if (fclose(o->f) && whole && !rc)
        rc = failed(o, err);
    o->f = NULL;
    return rc;
}
