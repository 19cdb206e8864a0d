/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz_segment.c: any bytes as a segment: taken up after a crash, read by its index, record by record. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mend.h"
#include "base/crc32c.h"
#include "vtl/format/segment_private.h"
#include "vtl/format/source.h"

#define ROOM 65536u

static int file_of(const uint8_t *p, size_t n)
{
    int fd = memfd_create("segment", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, p, n) == (ssize_t)n);
    return fd;
}

static uint8_t *whole_file(int fd, size_t *n)
{
    off_t end = lseek(fd, 0, SEEK_END);
    must(end >= 0);
    *n = (size_t)end;
    uint8_t *p = exactly(*n);
    must(pread(fd, p, *n, 0) == (ssize_t)*n);
    return p;
}

static int copy_nothing(void *arg, const struct seg_source *from, const struct seg_piece *piece, uint8_t *to,
                        struct errtext *err)
{
    (void)arg, (void)err;
    must(seg_source_possible(from) && piece->length);
    memset(to, 0, piece->length);
    return 0;
}

/* Returns what taking the pieces apart did. What they make is never accepted by luck, so it is only made. */
static int open_pieces(const struct seg_record *r, const uint8_t *rec)
{
    struct errtext err = {""};
    struct seg_scratch scratch = {0};
    struct seg_pieced p;
    int rc = seg_pieces_open(r, rec, NULL, NULL, &scratch, &p, &err);
    must(!rc || rc == -EBADMSG || rc == -ENOKEY || rc == -ENOMEM);
    if (!rc && p.length <= ROOM) {
        uint8_t *block = exactly(p.length);
        int made = seg_pieces_make(&p, copy_nothing, NULL, block, &err);
        must(!made || made == -EBADMSG);
        free(block);
    }
    seg_scratch_free(&scratch);
    return rc;
}

static void open_literals(const struct seg_record *r, const uint8_t *rec)
{
    struct errtext err = {""};
    struct seg_scratch scratch = {0};
    const uint8_t *area;
    uint32_t len;
    int rc = seg_literals(r, rec, NULL, NULL, &scratch, &area, &len, &err);
    must(!rc || rc == -EBADMSG || rc == -ENOKEY || rc == -ENOMEM);
    if (!rc)
        (void)crc32c(0, area, len);
    seg_scratch_free(&scratch);
}

/* A record that an index points to, opened in all ways. good: taking up found its CRCs right. */
static void open_record(const uint8_t *p, size_t n, uint64_t offset, uint32_t size, bool good)
{
    struct errtext err = {""};
    struct seg_record r;
    must(offset <= n && size <= n - offset);
    uint8_t *rec = exactly(size);
    memcpy(rec, p + offset, size);
    int rc = seg_record_decode(rec, size, &r, &err);
    must(!rc || !good);
    if (!rc && r.type == SEG_BLOCK) {
        must(r.length >= 1 && r.length <= TAPE_MAX_BLOCK && (size_t)SEG_RECORD_SIZE + r.ext_len + r.stored_len <= size);
        uint32_t room = r.length < ROOM ? r.length : ROOM;
        uint8_t *block = exactly(room), *little = exactly(1);
        rc = seg_record_open(&r, rec, block, room, &err);
        if (r.flags & SEG_PIECES) {
            must(rc == -EINVAL || rc == -EBADMSG || rc == -ENOKEY);
            rc = open_pieces(&r, rec);
            good = false; /* recovery checks what is stored, not what it stands for */
        }
        must(!rc || rc == -EBADMSG || rc == -ENOKEY || rc == -ENOMEM);
        must(!good || !rc || rc == -ENOKEY || rc == -ENOMEM);
        (void)seg_record_open(&r, rec, little, 1, &err);
        (void)seg_record_open(&r, rec, NULL, 0, &err);
        open_literals(&r, rec);
        free(block);
        free(little);
    }
    free(rec);
}

/* The first objects and the last one. An index that begins elsewhere than the header says is found out by its records.
 */
static void walk(const struct seg_index *x, const uint8_t *p, size_t n, const struct seg_totals *t, uint64_t first)
{
    uint64_t offset;
    uint32_t size;
    for (uint64_t i = 0; i < t->objects && i < 50; i++)
        if (!seg_index_find(x, first + i, &offset, &size)) {
            open_record(p, n, offset, size, false);
            (void)seg_index_check(x, first + i, p + offset, NULL);
        }
    if (first && !seg_index_find(x, first - 1, &offset, &size))
        return;
    must(seg_index_find(x, first, &offset, &size) || seg_index_find(x, first + t->objects, &offset, &size) == -ENOENT);
}

static void read_index(const uint8_t *p, size_t n, bool must_be_good, const struct seg_totals *want)
{
    struct seg_index *x = NULL;
    struct errtext err = {""};
    const size_t lengths[] = {n, n / 2, SEG_FOOTER_SIZE, 1, 0};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        size_t len = lengths[i] < n ? lengths[i] : n;
        uint8_t *tail = exactly(len);
        uint64_t need = 0;
        memcpy(tail, p + n - len, len);
        int rc = seg_index_decode(tail, len, n, &x, &need, &err);
        must(rc == 0 || rc == -EBADMSG || rc == -ENOMEM || (rc == -EAGAIN && need > len && need <= n));
        must(!must_be_good || len < n || !rc);
        free(tail);
        if (rc)
            continue;
        struct seg_totals t;
        struct seg_header h;
        seg_index_totals(x, &t);
        must(t.stored_bytes == n && t.filemarks <= t.objects);
        if (want)
            must(t.objects == want->objects && t.filemarks == want->filemarks && t.plain_bytes == want->plain_bytes);
        if (!seg_header_decode(p, n, &h, &err))
            walk(x, p, n, &t, h.first_object);
        seg_index_free(x);
    }
}

/* What was taken up is written on, sealed, and must be the same when it is read. */
static void go_on(int fd, struct seg_writer *w)
{
    static const uint8_t block[33] = "behind what was there";
    struct seg_totals t, now;
    struct errtext err = {""};
    bool sealed = false;
    size_t n;
    int rc = seg_writer_block(w, block, sizeof(block), crc32c(0, block, sizeof(block)), true);
    if (!rc)
        rc = seg_writer_filemarks(w, 2);
    if (!rc)
        rc = seg_writer_seal(w);
    seg_writer_totals(w, &t);
    if (rc)
        return;
    struct seg_writer *again = NULL;
    must(!seg_writer_recover(fd, 0, &again, &sealed, &err) && sealed);
    seg_writer_totals(again, &now);
    must(now.objects == t.objects && now.filemarks == t.filemarks && now.plain_bytes == t.plain_bytes);
    uint8_t *p = whole_file(fd, &n);
    must(now.stored_bytes == n);
    read_index(p, n, true, &t);
    seg_writer_free(again);
    free(p);
}

static void take_up(const uint8_t *p, size_t n)
{
    struct seg_writer *w = NULL;
    struct errtext err = {""};
    struct seg_totals t;
    bool sealed = false;
    int fd = file_of(p, n);
    int rc = seg_writer_recover(fd, 0, &w, &sealed, &err);
    must(rc ? !w && err.text[0] : !!w);
    if (!rc) {
        seg_writer_totals(w, &t);
        uint64_t offset, first = t.header.first_object;
        uint32_t size;
        for (uint64_t i = 0; i < t.objects && i < 50; i++) {
            must(!seg_writer_find(w, first + i, &offset, &size));
            open_record(p, n, offset, size, true);
        }
        must(seg_writer_find(w, first + t.objects, &offset, &size) == -ENOENT);
        if (sealed)
            read_index(p, n, true, &t);
        else
            go_on(fd, w);
    }
    seg_writer_free(w);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    bool mended = take8(&in);
    uint8_t *p = exactly(in.left);
    memcpy(p, in.p, in.left);
    if (mended)
        mend_segment(p, in.left);
    take_up(p, in.left);
    read_index(p, in.left, false, NULL);
    free(p);
    return 0;
}
