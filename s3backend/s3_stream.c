/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_stream.c: reading a range of an object piece by piece; after a break it goes on where it was. */
#include "s3backend/s3.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

/* A try that moved as much was no failure of the store's: the next one has all its tries and time again. A trickle of
 * bytes at each try is none. */
enum { PROGRESS = 1 << 20 };

struct stream {
    const struct obj_sink *sink;
    int refused; /* the sink's own error */
};

static int take(void *arg, const void *data, size_t len)
{
    struct stream *st = arg;
    st->refused = st->sink->take(st->sink->arg, data, len);
    return st->refused;
}

static int stream_range(struct s3_store *s, const char *key, uint64_t offset, uint64_t len, struct stream *st,
                        const struct obj_call *c, struct errtext *err)
{
    const struct retry_limits *l = &s->tuning.retry;
    const struct obj_sink sink = {take, st};
    struct http_response r = {0};
    struct s3_verdict v = {.code = 0};
    struct s3_request q;
    unsigned most = c ? c->max_tries : 0, tries = 0;
    uint64_t begin = clock_ms(), done = 0;
    for (;;) {
        tries++;
        q = s3_range_request(key, offset + done, len - done);
        q.sink = &sink;
        r.received = 0; /* of the try before, should this one not come as far as an exchange */
        s3_try(s, &q, c, &r, &v);
        done += r.received;
        if (done == len) /* and then the connection broke */
            v.code = 0;
        if (!v.code || !v.retry)
            break;
        if (!most && r.received >= PROGRESS) {
            tries = 1;
            begin = clock_ms();
        }
        unsigned pause = s3_backoff(l, tries, s3_chance(), v.retry_after_ms);
        if (!s3_is_patient(s, c) || !s3_may_retry(l, most, tries, clock_ms() - begin, pause)) {
            s3_health_gave_up(&s->health, S3_KIND_READ);
            break;
        }
        if (s3_wait(pause, c)) {
            v = (struct s3_verdict){.code = -ECANCELED, .reason = "canceled"};
            break;
        }
    }
    strbuf_free(&r.text);
    if (st->refused)
        return st->refused;
    return v.code ? s3_fail(s, &q, &v, v.retry ? tries : 0, err) : 0;
}

int s3_stream(struct objstore *o, const char *key, uint64_t offset, uint64_t len, const struct obj_sink *sink,
              const struct obj_call *c, struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    struct stream st = {.sink = sink};
    if (len == 0 || offset > INT64_MAX || len > INT64_MAX - offset || !objstore_key_ok(key))
        return s3_get(o, key, offset, len, NULL, c, err); /* without a byte: its errors are these */
    int rc = stream_range(s, key, offset, len, &st, c, err);
    if (st.refused)
        return errtext_set(err, rc, "get %s: what arrived could not be kept: %s", key, strerror(-rc));
    return rc == -ENOENT ? s3_confirm_gone(s, "get", key, c, err) : rc;
}
