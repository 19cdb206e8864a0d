/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_checksum.c: does the store compare a body with the CRC32C that came along (x-amz-checksum-crc32c)?
 *
 * A store that does repeats the value in its answer. But so may one that keeps what headers it gets and compares
 * nothing (and some refuse the header altogether). So the first answer that repeats it, mostly of a small object, only
 * raises the question, and the MD5 of that object is compared as ever. Before the next big one a few bytes are sent
 * under a wrong value: refused as such, and the store compares; stored, and it does not. Either way no more is asked
 * until the store is opened again.
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <stdio.h>

#define PROBE_KEY "checksum-probe"
#define PROBE_TEXT "This has another checksum than its request says. A store that compares them does not take it."
#define WRONG_CRC "AAAAAA==" /* zero, which is not the text's */

static void take_back(struct s3_store *s, const struct obj_call *c)
{
    const char *key = PROBE_KEY;
    struct errtext ignored;
    (void)s3_delete(&s->base, &key, 1, c, &ignored); /* if it stays: it says what it is, and is in nobody's way */
}

void s3_checksum_probe(struct s3_store *s, const struct obj_call *c)
{
    int repeated = S3_CHECKSUM_REPEATED;
    if (!atomic_compare_exchange_strong(&s->checksum, &repeated, S3_CHECKSUM_PROBED))
        return;
    const struct obj_call once = {.cancel = c ? c->cancel : NULL, .max_tries = 1};
    const struct obj_source text = {.mem = PROBE_TEXT, .fd = -1, .len = sizeof(PROBE_TEXT) - 1};
    const struct sigv4_pair headers[] = {{"Content-Type", "text/plain"}, {"x-amz-checksum-crc32c", WRONG_CRC}};
    char hash[SIGV4_HEX_SIZE];
    struct s3_request q = {.op = "put",
                           .what = PROBE_KEY,
                           .method = "PUT",
                           .key = PROBE_KEY,
                           .headers = headers,
                           .n_headers = 2,
                           .body = &text,
                           .payload_hash = hash};
    struct http_response r = {0};
    struct s3_verdict v = {.retry = true};
    if (sigv4_sha256_hex(text.mem, (size_t)text.len, hash) == 0)
        s3_try(s, &q, &once, &r, &v);
    int found = v.other_body ? S3_CHECKSUM_COMPARED : v.retry ? S3_CHECKSUM_REPEATED : S3_CHECKSUM_UNUSED;
    if (v.code == 0)
        take_back(s, &once);
    strbuf_free(&r.text);
    int probed = S3_CHECKSUM_PROBED; /* unless an answer without it came meanwhile */
    atomic_compare_exchange_strong(&s->checksum, &probed, v.code == -ECANCELED ? S3_CHECKSUM_REPEATED : found);
}

bool s3_checksum_refused(struct s3_store *s, const struct http_response *r)
{
    struct s3_verdict v;
    if (r->outcome != HTTP_ANSWERED || (r->status != 400 && r->status != 501) ||
        atomic_load(&s->checksum) == S3_CHECKSUM_COMPARED)
        return false;
    s3_judge(r, time(NULL), &v);
    if (v.other_body || v.retry || v.full)
        return false;
    atomic_store(&s->checksum, S3_CHECKSUM_UNUSED);
    return true;
}
