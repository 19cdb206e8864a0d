/* SPDX-License-Identifier: GPL-2.0-or-later */
/* simh.c: SIMH's .tap: records between two words of their length, and markers of one word. */
#include <errno.h>
#include <inttypes.h>

#include "base/le.h"
#include "vtl/foreign/simh.h"

static void simh_rewind(struct foreign_source *s)
{
    s->at = 0;
}

/* What stands there, and cannot be on a tape here. */
static int refuse(const struct foreign_source *s, uint32_t word, struct errtext *err)
{
    static const char *const names[] = {
        [1] = "a private data record",      [2] = "a private data record",   [3] = "a private data record",
        [4] = "a private data record",      [5] = "a private data record",   [6] = "a private data record",
        [7] = "a private marker",           [9] = "a reserved data record",  [10] = "a reserved data record",
        [11] = "a reserved data record",    [12] = "a reserved data record", [13] = "a reserved data record",
        [14] = "a tape description record", [15] = "a reserved marker"};
    const char *name = names[word >> SIMH_CLASS_SHIFT];
    return errtext_set(err, -ENOTSUP,
                       "%s: offset %" PRIu64 ": %s (word 0x%08" PRIX32 ", class %" PRIu32
                       "): only data, filemarks, erase gaps and the end of the medium can be imported. Is it a .tap of "
                       "SIMH's? Plain files need --block SIZE",
                       s->files[0].name, s->at, name, word, word >> SIMH_CLASS_SHIFT);
}

/* Between its two lengths; s->at is at the first, and moves behind the second. */
static int read_record(struct foreign_source *s, uint32_t word, uint8_t *buf, struct foreign_item *item,
                       struct errtext *err)
{
    const struct foreign_file *f = &s->files[0];
    uint8_t trailer[4];
    uint32_t len = word & SIMH_LENGTH;
    uint64_t padded = ((uint64_t)len + 1) & ~UINT64_C(1);
    if (word >> SIMH_CLASS_SHIFT == SIMH_BAD && !s->options.keep_errors)
        return errtext_set(err, -ENOTSUP,
                           "%s: offset %" PRIu64 ": a record of %" PRIu32
                           " bytes that was read with an error when the file was made: --keep-errors imports what "
                           "was read as good data",
                           f->name, s->at, len);
    int rc = foreign_check_length(f, s->at, len, err);
    if (!rc && f->size - s->at < 4 + padded + 4)
        rc = errtext_set(err, -EBADMSG,
                         "%s: offset %" PRIu64 ": a record of %" PRIu32
                         " bytes is not all there: the file ends at %" PRIu64,
                         f->name, s->at, len, f->size);
    if (!rc)
        rc = foreign_file_read(f, s->at + 4 + padded, trailer, sizeof(trailer), "a record", err);
    if (!rc && get_le32(trailer) != word)
        rc = errtext_set(err, -EBADMSG,
                         "%s: offset %" PRIu64 ": a record has the length word 0x%08" PRIX32
                         " before it and 0x%08" PRIX32 " behind it (offset %" PRIu64 "): they must be the same",
                         f->name, s->at, word, get_le32(trailer), s->at + 4 + padded);
    if (!rc && buf)
        rc = foreign_file_read(f, s->at + 4, buf, len, "a record", err);
    if (rc)
        return rc;
    *item = (struct foreign_item){.thing = FOREIGN_BLOCK, .len = len};
    s->at += 4 + padded + 4;
    return 0;
}

/* The next word that is no gap; *word: SIMH_END where the file ends. */
static int next_word(struct foreign_source *s, uint32_t *word, struct errtext *err)
{
    const struct foreign_file *f = &s->files[0];
    uint8_t b[4];
    for (;;) {
        if (s->at == f->size) {
            *word = SIMH_END;
            return 0;
        }
        int rc = foreign_file_read(f, s->at, b, sizeof(b), "a record's length or a marker", err);
        if (rc)
            return rc;
        *word = get_le32(b);
        if (*word == SIMH_GAP)
            s->at += 4;
        else if (*word == SIMH_HALF_GAP) /* the other half was written over: what follows begins within this word */
            s->at += 2;
        else
            return 0;
    }
}

static int simh_next(struct foreign_source *s, uint8_t *buf, struct foreign_item *item, struct errtext *err)
{
    uint32_t word = SIMH_END;
    int rc = next_word(s, &word, err);
    if (rc)
        return rc;
    if (word == SIMH_END) { /* what is behind it is not on the tape any more */
        item->thing = FOREIGN_END;
        return 0;
    }
    if (word == SIMH_FILEMARK) {
        item->thing = FOREIGN_FILEMARK;
        s->at += 4;
        return 0;
    }
    uint32_t class = word >> SIMH_CLASS_SHIFT;
    return class == SIMH_GOOD || class == SIMH_BAD ? read_record(s, word, buf, item, err) : refuse(s, word, err);
}

const struct foreign_ops simh_ops = {.kind = "SIMH .tap", .next = simh_next, .rewind = simh_rewind};
