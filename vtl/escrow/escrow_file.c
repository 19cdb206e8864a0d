/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow_file.c: the file of an escrow, written and read piece by piece; see escrow_file.h. */
#include "vtl/escrow/escrow_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zstd.h>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/le.h"

enum { LEVEL = 3, INPUT = 1 << 18 };

/* ---- files ---- */

/* As many bytes as there are, up to len; or a negative errno. */
static ssize_t read_full(int fd, uint8_t *p, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = read(fd, p + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (!n)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* ---- writing ---- */

struct sealing {
    struct escrow_box *box;
    ZSTD_CCtx *zstd;
    int out;
    const atomic_bool *cancel;
    uint8_t *plain, *coded; /* a chunk, compressed; and encrypted */
    size_t held;            /* bytes in plain */
    struct escrow_sealed *sealed;
};

static int put_bytes(struct sealing *s, const uint8_t *p, size_t len)
{
    int rc = file_write_all(s->out, p, len);
    s->sealed->crc = crc32c(s->sealed->crc, p, len);
    s->sealed->size += len;
    return rc;
}

static int put_chunk(struct sealing *s, bool last)
{
    int rc = escrow_box_encrypt(s->box, last, s->plain, s->held, s->coded);
    if (!rc)
        rc = put_bytes(s, s->coded, s->held + BOX_TAG);
    s->held = 0;
    return rc;
}

/* A full chunk stays until it is known not to be the last. */
static int put_plain(struct sealing *s, const void *data, size_t len, bool end)
{
    ZSTD_inBuffer in = {data, len, 0};
    for (;;) {
        int rc = s->held == BOX_CHUNK ? put_chunk(s, false) : 0;
        if (rc)
            return rc;
        ZSTD_outBuffer out = {s->plain, BOX_CHUNK, s->held};
        size_t left = ZSTD_compressStream2(s->zstd, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return -EIO;
        s->held = out.pos;
        if (end ? !left : in.pos == in.size)
            return 0;
    }
}

static int put_content(struct sealing *s, const char *manifest, int in)
{
    uint8_t length[8], *buf = malloc(INPUT);
    put_le64(length, strlen(manifest));
    int rc = buf ? put_plain(s, length, sizeof(length), false) : -ENOMEM;
    if (!rc)
        rc = put_plain(s, manifest, strlen(manifest), false);
    ssize_t n = INPUT;
    while (!rc && n == INPUT) {
        n = s->cancel && atomic_load(s->cancel) ? -ECANCELED : read_full(in, buf, INPUT);
        rc = n < 0 ? (int)n : put_plain(s, buf, (size_t)n, n < INPUT);
    }
    free(buf);
    return rc ? rc : put_chunk(s, true);
}

static int set_up(struct sealing *s)
{
    s->zstd = ZSTD_createCCtx();
    s->plain = malloc(BOX_CHUNK);
    s->coded = malloc(BOX_CHUNK + BOX_TAG);
    if (!s->zstd || !s->plain || !s->coded)
        return -ENOMEM;
    (void)ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel, LEVEL);
    (void)ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_checksumFlag, 1);
    return 0;
}

int escrow_file_seal(const struct escrow_header *h, const char *manifest, int in, int out, const atomic_bool *cancel,
                     struct escrow_sealed *sealed, struct errtext *err)
{
    *sealed = (struct escrow_sealed){0};
    struct sealing s = {.out = out, .cancel = cancel, .sealed = sealed, .box = escrow_box_to(h, err)};
    if (!s.box)
        return -EIO;
    int rc = set_up(&s);
    if (!rc)
        rc = put_bytes(&s, s.box->header, ESCROW_HEADER_SIZE);
    if (!rc && lseek(in, 0, SEEK_SET) < 0)
        rc = -errno;
    if (!rc)
        rc = put_content(&s, manifest, in);
    if (!rc && fdatasync(out))
        rc = -errno;
    ZSTD_freeCCtx(s.zstd);
    free(s.plain);
    free(s.coded);
    escrow_box_free(s.box);
    return rc ? errtext_set(err, rc, "escrow: can't write its file: %s", strerror(-rc)) : 0;
}

/* ---- reading ---- */

struct opening {
    struct escrow_box *box;
    ZSTD_DCtx *zstd;
    int in, out;
    uint8_t *coded, *plain, *text; /* a chunk, encrypted; compressed; what it holds */
    uint8_t length[8];
    uint64_t taken; /* bytes of length and manifest so far */
    uint64_t manifest_len;
    char *manifest;
    bool ended; /* the frame of zstd is complete */
};

/* What was compressed: length, manifest, catalogue. */
static int take_text(struct opening *o, const uint8_t *p, size_t len)
{
    for (; len && o->taken < 8; len--)
        o->length[o->taken++] = *p++;
    if (o->taken == 8 && !o->manifest) {
        o->manifest_len = get_le64(o->length);
        if (o->manifest_len > ESCROW_MAX_MANIFEST)
            return -EBADMSG;
        if (!(o->manifest = calloc(1, o->manifest_len + 1)))
            return -ENOMEM;
    }
    uint64_t left = o->manifest ? 8 + o->manifest_len - o->taken : 0;
    size_t n = len < left ? len : (size_t)left;
    if (n)
        memcpy(o->manifest + o->taken - 8, p, n);
    o->taken += n;
    return file_write_all(o->out, p + n, len - n);
}

static int take_plain(struct opening *o, size_t len)
{
    ZSTD_inBuffer in = {o->plain, len, 0};
    while (in.pos < in.size) {
        ZSTD_outBuffer out = {o->text, INPUT, 0};
        size_t left = o->ended ? (size_t)-1 : ZSTD_decompressStream(o->zstd, &out, &in);
        if (ZSTD_isError(left))
            return -EBADMSG;
        o->ended = left == 0;
        int rc = take_text(o, o->text, out.pos);
        if (rc)
            return rc;
    }
    return 0;
}

static int take_chunks(struct opening *o)
{
    bool last = false;
    for (;;) {
        ssize_t n = read_full(o->in, o->coded, BOX_CHUNK + BOX_TAG);
        if (n < 0)
            return (int)n;
        if (n == 0)
            return last && o->ended && o->manifest && o->taken == 8 + o->manifest_len ? 0 : -EBADMSG;
        if (last || n < BOX_TAG)
            return -EBADMSG;
        size_t len = (size_t)n - BOX_TAG;
        last = len < BOX_CHUNK;
        if (!last && escrow_box_decrypt(o->box, false, o->coded, len, o->plain)) {
            last = true; /* a full one may be the last too */
            o->box->n--;
        }
        if (last && escrow_box_decrypt(o->box, true, o->coded, len, o->plain))
            return -EBADMSG;
        int rc = take_plain(o, len);
        if (rc)
            return rc;
    }
}

static int open_box(struct opening *o, const uint8_t secret[ESCROW_KEY_SIZE], struct errtext *err)
{
    uint8_t header[ESCROW_HEADER_SIZE];
    ssize_t n = lseek(o->in, 0, SEEK_SET) < 0 ? -errno : read_full(o->in, header, sizeof(header));
    if (n < 0)
        return errtext_set(err, (int)n, "it cannot be read: %s", strerror((int)-n));
    if (n < ESCROW_HEADER_SIZE)
        return errtext_set(err, -EBADMSG, "it is no escrow");
    int rc = 0;
    o->box = escrow_box_from(secret, header, &rc, err);
    return rc;
}

int escrow_file_open(const uint8_t secret[ESCROW_KEY_SIZE], int in, int out, char **manifest, struct errtext *err)
{
    struct opening o = {.in = in, .out = out};
    *manifest = NULL;
    int rc = open_box(&o, secret, err);
    if (rc)
        return rc;
    o.zstd = ZSTD_createDCtx();
    o.coded = malloc(BOX_CHUNK + BOX_TAG);
    o.plain = malloc(BOX_CHUNK);
    o.text = malloc(INPUT);
    rc = o.zstd && o.coded && o.plain && o.text ? take_chunks(&o) : -ENOMEM;
    if (!rc && fdatasync(out) && errno != EINVAL) /* EINVAL: it is no file */
        rc = -errno;
    ZSTD_freeDCtx(o.zstd);
    free(o.coded);
    free(o.plain);
    free(o.text);
    escrow_box_free(o.box);
    if (rc)
        free(o.manifest);
    else
        *manifest = o.manifest;
    return !rc              ? 0
           : rc == -EBADMSG ? errtext_set(err, rc, "it is damaged or cut short")
                            : errtext_set(err, rc, "it cannot be read: %s", strerror(-rc));
}
