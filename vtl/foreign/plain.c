/* SPDX-License-Identifier: GPL-2.0-or-later */
/* plain.c: files as dd reads them off a tape: each is one file of it, cut into blocks, and a filemark follows. */
#include <inttypes.h>

#include "vtl/foreign/source.h"

static void plain_rewind(struct foreign_source *s)
{
    s->file = 0;
    s->at = 0;
}

static int plain_next(struct foreign_source *s, uint8_t *buf, struct foreign_item *item, struct errtext *err)
{
    if (s->file == s->n_files) {
        item->thing = FOREIGN_END;
        return 0;
    }
    const struct foreign_file *f = &s->files[s->file];
    uint64_t left = f->size - s->at;
    if (!left) {
        item->thing = FOREIGN_FILEMARK;
        s->file++;
        s->at = 0;
        return 0;
    }
    item->thing = FOREIGN_BLOCK;
    item->len = left < s->options.block ? (uint32_t)left : s->options.block;
    int rc = foreign_check_length(f, s->at, item->len, err);
    if (!rc && buf)
        rc = foreign_file_read(f, s->at, buf, item->len, "a block: it became shorter meanwhile", err);
    s->at += item->len;
    return rc;
}

const struct foreign_ops plain_ops = {.kind = "plain files", .next = plain_next, .rewind = plain_rewind};
