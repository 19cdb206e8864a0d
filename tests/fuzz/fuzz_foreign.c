/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz_foreign.c: any bytes as a .tap of SIMH's, or as the three files of a tape of mhVTL's. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/le.h"
#include "tests/fuzz/fuzz.h"
#include "vtl/foreign/source.h"

static const atomic_bool never = false;

static struct foreign_file file_of(const uint8_t *p, size_t n)
{
    static char name[] = "x";
    struct foreign_file f = {.fd = memfd_create(name, MFD_CLOEXEC), .size = n, .name = name};
    must(f.fd >= 0 && write(f.fd, p, n) == (ssize_t)n);
    return f;
}

/* What the first walk lets pass is what is read then: as many things, none of them too long. */
static void read_all(struct foreign_source *s)
{
    struct foreign_totals t, read = {.blocks = 0};
    struct foreign_item item = {.thing = FOREIGN_BLOCK};
    struct errtext err = {""};
    uint8_t *buf = NULL;
    int rc = foreign_check(s, &t, &never, &err);
    must(!rc == !err.text[0]);
    if (!rc)
        must((buf = malloc(TAPE_MAX_BLOCK)) != NULL);
    while (!rc && !(rc = s->ops->next(s, buf, &item, &err)) && item.thing != FOREIGN_END) {
        must(item.thing != FOREIGN_BLOCK || (item.len && item.len <= TAPE_MAX_BLOCK));
        read.blocks += item.thing == FOREIGN_BLOCK;
        read.bytes += item.thing == FOREIGN_BLOCK ? item.len : 0;
        read.filemarks += item.thing == FOREIGN_FILEMARK;
    }
    must(rc || (read.blocks == t.blocks && read.bytes == t.bytes && read.filemarks == t.filemarks));
    must(!rc || rc == -EBADMSG || rc == -ENOTSUP || rc == -EFBIG);
    free(buf);
}

/* Numbers of blocks are made right, or nearly nothing would get past them. */
static void mend_numbers(uint8_t *indx, size_t n)
{
    for (uint32_t i = 0; (i + 1) * (size_t)512 <= n; i++)
        put_le32(indx + i * (size_t)512 + 16, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct foreign_file files[3];
    uint8_t kind = take8(&in);
    struct foreign_source s = {.ops = kind & 1 ? &mhvtl_ops : &simh_ops,
                               .options = {.keep_errors = kind & 2},
                               .files = files,
                               .n_files = kind & 1 ? 3 : 1};
    size_t meta = kind & 1 ? take8(&in) * (size_t)4 + 512 : 0, first = kind & 1 ? take8(&in) : 0;
    uint8_t *p = exactly(in.left);
    memcpy(p, in.p, in.left);
    meta = meta > in.left ? in.left : meta;
    first = first > in.left - meta ? in.left - meta : first;
    size_t indx = in.left - meta - first;
    if (kind & 4)
        mend_numbers(p + first, indx);
    files[0] = kind & 1 ? file_of(p, first) : file_of(p, in.left);
    files[1] = file_of(p + first, kind & 1 ? indx : 0);
    files[2] = file_of(p + first + indx, kind & 1 ? meta : 0);
    read_all(&s);
    for (int i = 0; i < 3; i++)
        close(files[i].fd);
    free(s.packed);
    free(p);
    return 0;
}
