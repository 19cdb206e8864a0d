/* SPDX-License-Identifier: GPL-2.0-or-later */
/* segment_recover.c: takes up the segment that was open when the gateway died: its longest good prefix (I4). */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/le.h"
#include "vtl/format/segment_private.h"
#include "vtl/format/source.h"

#define COPY_SIZE (1u << 20)

struct scan {
    struct seg_writer *w;
    uint64_t size;   /* of the file */
    uint64_t synced; /* of these, known to have been safe */
    uint8_t *buf;    /* one record */
    size_t room;
};

/* 0, -EBADMSG (the file ends before) or the disk's error, which must never pass for a torn tail. */
static int read_at(int fd, uint8_t *p, size_t len, uint64_t offset)
{
    while (len) {
        ssize_t n = pread(fd, p, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EBADMSG;
        p += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

static int make_room(struct scan *s, size_t need)
{
    if (need <= s->room)
        return 0;
    uint8_t *buf = realloc(s->buf, need);
    if (!buf)
        return -ENOMEM;
    s->buf = buf;
    s->room = need;
    return 0;
}

/* All that can be known of a record of a block without a key and without what it copies from. */
static int check_block(const struct seg_record *r, const uint8_t *rec)
{
    uint8_t nothing;
    if ((r->flags & SEG_PIECES) && !(r->flags & SEG_AES256_GCM)) {
        struct seg_scratch s = {0};
        struct seg_pieced p;
        int rc = seg_pieces_open(r, rec, NULL, NULL, &s, &p, NULL);
        seg_scratch_free(&s);
        return rc;
    }
    int rc = seg_record_open(r, rec, &nothing, 0, NULL); /* not NULL: the plain CRC is checked too */
    return rc == -ENOKEY ? 0 : rc; /* its stored CRC is right, which is all that can be known without the key */
}

/* Reads and checks the record at the writer's end, and adds it. -EBADMSG: no good record stands there. */
static int take_record(struct scan *s)
{
    struct seg_writer *w = s->w;
    struct seg_record r;
    uint64_t left = s->size - w->end;
    int rc = left < SEG_RECORD_SIZE ? -EBADMSG : read_at(w->fd, s->buf, SEG_RECORD_SIZE, w->end);
    if (!rc)
        rc = seg_record_parse(s->buf, &r, NULL);
    if (rc)
        return rc;
    uint32_t size = seg_record_size(&r);
    if (r.object != w->runs.end_object || size > left || r.object + r.length > SEG_MAX_NUMBER)
        return -EBADMSG;
    rc = make_room(s, size);
    if (!rc)
        rc = read_at(w->fd, s->buf + SEG_RECORD_SIZE, size - SEG_RECORD_SIZE, w->end + SEG_RECORD_SIZE);
    if (!rc && r.type == SEG_BLOCK) {
        rc = check_block(&r, s->buf);
    } else if (!rc && seg_is_list(r.type)) {
        rc = seg_check_stored(&r, s->buf + SEG_RECORD_SIZE, NULL);
    }
    if (!rc)
        rc = seg_runs_reserve(&w->runs);
    if (rc)
        return rc;
    seg_runs_add(&w->runs, &r, w->end, size, get_le32(s->buf + 36));
    w->end += size;
    return 0;
}

/* Do index and footer of exactly these records follow, and nothing else? 1, 0 or a negative errno. */
static int check_sealed(struct scan *s)
{
    struct seg_writer *w = s->w;
    uint64_t len = seg_runs_tail_size(&w->runs, w->header.version);
    if (!w->runs.n || s->size - w->end != len)
        return 0;
    uint8_t *want = malloc(len);
    int rc = want ? make_room(s, len) : -ENOMEM;
    if (!rc)
        rc = read_at(w->fd, s->buf, len, w->end);
    if (!rc) {
        uint32_t crc = seg_runs_encode(&w->runs, &w->header, w->end, want);
        rc = memcmp(want, s->buf, len) == 0;
        w->crc = rc ? crc : 0;
    }
    free(want);
    return rc;
}

static int scan_file(struct scan *s)
{
    int rc = 0;
    while (!rc)
        rc = take_record(s);
    if (rc != -EBADMSG)
        return rc;
    rc = check_sealed(s);
    if (rc < 0)
        return rc;
    if (rc) {
        s->w->end = s->size;
        s->w->sealed = true;
    } else if (s->w->end < s->synced) {
        return -EUCLEAN;
    } else if (s->size > s->w->end && ftruncate(s->w->fd, (off_t)s->w->end)) {
        return -errno;
    }
    return 0;
}

int seg_writer_recover(int fd, uint64_t synced, struct seg_writer **out, bool *sealed, struct errtext *err)
{
    struct seg_header h;
    struct stat st;
    uint8_t buf[SEG_HEADER_SIZE];
    *out = NULL;
    int rc = fstat(fd, &st) ? -errno : 0;
    if (!rc)
        rc = read_at(fd, buf, sizeof(buf), 0);
    if (rc == -EBADMSG)
        return errtext_set(err, -EINVAL, "segment file: %lld bytes, shorter than a header", (long long)st.st_size);
    if (rc)
        return errtext_set(err, rc, "segment file: %s", strerror(-rc));
    if (seg_header_decode(buf, sizeof(buf), &h, err))
        return -EINVAL;
    struct scan s = {.w = seg_writer_new(fd, &h), .size = (uint64_t)st.st_size, .synced = synced};
    rc = s.w ? make_room(&s, SEG_RECORD_SIZE) : -ENOMEM;
    if (!rc)
        rc = scan_file(&s);
    free(s.buf);
    if (rc) {
        errtext_set(err, rc, "segment file, at byte %" PRIu64 ": %s", s.w ? s.w->end : 0, strerror(-rc));
        seg_writer_free(s.w);
        return rc;
    }
    *sealed = s.w->sealed;
    *out = s.w;
    return 0;
}

/* ---- elsewhere, or once more ---- */

static int copy_bytes(int from, int to, uint64_t begin, uint64_t end)
{
    uint8_t *buf = malloc(COPY_SIZE);
    int rc = buf ? 0 : -ENOMEM;
    for (uint64_t at = begin; !rc && at < end;) {
        size_t n = end - at < COPY_SIZE ? (size_t)(end - at) : COPY_SIZE;
        rc = read_at(from, buf, n, at);
        if (!rc)
            rc = seg_write_at(to, buf, n, at);
        at += n;
    }
    free(buf);
    return rc == -EBADMSG ? -EIO : rc;
}

int seg_writer_again(struct seg_writer *w)
{
    return w->sealed ? copy_bytes(w->fd, w->fd, 0, w->end) : -EINVAL;
}

int seg_writer_move(struct seg_writer *from, int fd, const struct seg_header *h, struct seg_writer **out)
{
    struct seg_writer *w = NULL;
    *out = NULL;
    if (from->sealed)
        return -EINVAL;
    int rc = seg_writer_create(fd, h, &w);
    if (!rc)
        rc = copy_bytes(from->fd, fd, SEG_HEADER_SIZE, from->end);
    if (rc) {
        seg_writer_free(w);
        return rc;
    }
    seg_runs_free(&w->runs);
    w->runs = from->runs;
    w->end = from->end;
    w->chunks = from->chunks;
    from->chunks = NULL;
    memset(&from->runs, 0, sizeof(from->runs));
    *out = w;
    return 0;
}
