/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify_segment.c: one stored segment, read from the store and checked; see verify.h. */
#include "vtl/scrub/verify.h"

#include <errno.h>
#include <inttypes.h>

#include "vtl/format/head.h"

#define CHUNK (UINT64_C(4) << 20)

struct stored {
    const struct verify_io *io;
    const char *key;
};

static int read_stored(void *arg, uint64_t offset, uint64_t len, void *buf, struct errtext *err)
{
    const struct stored *s = arg;
    const struct verify_io *io = s->io;
    if (io->pace)
        io->pace(io->arg, len);
    return io->store->ops->get(io->store, s->key, offset, len, buf, &io->call, err);
}

int verify_segment(const struct verify_io *io, const char *key, const struct seg_ref *ref, const struct head *head,
                   seg_found found, void *arg, uint64_t *blocks, struct errtext *err)
{
    uint64_t size = 0;
    int rc = io->store->ops->head(io->store, key, &size, &io->call, err);
    if (rc)
        return rc;
    if (size != ref->size) {
        struct errtext why;
        errtext_set(&why, -EBADMSG, "the object has %" PRIu64 " bytes, should have %" PRIu64, size, ref->size);
        found(arg, ref->first_object, ref->objects, why.text);
        return 0;
    }
    struct stored s = {io, key};
    struct seg_check c = {.bytes = {read_stored, &s, size},
                          .chunk = CHUNK,
                          .cartridge = head->cartridge,
                          .barcode = head->barcode,
                          .ref = ref,
                          .found = found,
                          .arg = arg};
    rc = seg_check(&c, err);
    *blocks += c.blocks;
    return rc;
}
