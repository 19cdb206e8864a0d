/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_delete.c: deletes keys by DeleteObjects (POST ?delete).
 *
 * Not by DELETE of a key: renterd answers that with 500 for a missing object and with 204 for most failures (trap 7),
 * where DeleteObjects tells each key's fate. What the answer doesn't name as deleted or gone is asked for again, then
 * an error. Only a store that has no DeleteObjects gets a DELETE of each key.
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

enum { MAX_ANSWER = 8 << 20 };

struct batch {
    struct s3_store *s;
    const char **keys; /* those still to be deleted */
    size_t n;
    bool *gone;                 /* [i]: the store says so of keys[i] */
    struct s3_verdict per_key;  /* the first key that failed */
    const char *per_key_failed; /* its name; NULL: none */
    /* the key's fate that is being read */
    char *told_key;
    struct s3_error told;
};

static void mark_gone(struct batch *b, const char *full)
{
    size_t n = strlen(b->s->prefix);
    if (strncmp(full, b->s->prefix, n) != 0)
        return;
    for (size_t i = 0; i < b->n; i++)
        if (!strcmp(b->keys[i], full + n))
            b->gone[i] = true;
}

static void take_fate(struct batch *b, bool error)
{
    size_t n = strlen(b->s->prefix);
    if (!b->told_key)
        return;
    if (!error || s3_says_gone(&b->told)) {
        mark_gone(b, b->told_key);
        return;
    }
    for (size_t i = 0; !b->per_key_failed && i < b->n; i++) {
        if (!strncmp(b->told_key, b->s->prefix, n) && !strcmp(b->keys[i], b->told_key + n)) {
            b->per_key_failed = b->keys[i];
            s3_judge_error(&b->told, &b->per_key);
        }
    }
}

static void forget_told(struct batch *b)
{
    free(b->told_key);
    b->told_key = NULL;
    b->told = (struct s3_error){.code = ""};
}

static void take_element(void *arg, const struct xml_element *x)
{
    struct batch *b = arg;
    s3_error_take(&b->told, x);
    if (xml_is_leaf(x, "Deleted", "Key") || xml_is_leaf(x, "Error", "Key")) {
        free(b->told_key);
        b->told_key = strdup(x->text);
    } else if (!x->text && (!strcmp(x->name, "Deleted") || !strcmp(x->name, "Error"))) {
        take_fate(b, !strcmp(x->name, "Error"));
        forget_told(b);
    }
}

static void inspect_fates(void *arg, const struct http_response *r, struct s3_verdict *v)
{
    struct batch *b = arg;
    b->per_key_failed = NULL;
    bool whole = xml_read(&r->text, "Delete", take_element, b);
    forget_told(b);
    if (!whole)
        *v = (struct s3_verdict){.code = -EIO, .retry = true, .reason = "the answer is no complete DeleteResult"};
}

/* What one request asks for: the keys that aren't gone yet. */
static void make_body(const struct batch *b, struct strbuf *body)
{
    strbuf_adds(body, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>false</Quiet>");
    for (size_t i = 0; i < b->n; i++) /* keys have no character that XML would escape */
        strbuf_addf(body, "<Object><Key>%s%s</Key></Object>", b->s->prefix, b->keys[i]);
    strbuf_adds(body, "</Delete>");
}

/* -ENOTSUP: the store has no DeleteObjects. */
static int send_list(struct batch *b, const struct s3_request *q, const struct obj_call *c, struct errtext *err)
{
    struct http_response r = {0};
    struct s3_error e = {.code = ""};
    int rc = s3_call(b->s, q, c, &r, err);
    if (rc == -EIO && r.outcome == HTTP_ANSWERED)
        (void)xml_read(&r.text, "", s3_error_take, &e);
    if (rc == -EIO && r.outcome == HTTP_ANSWERED &&
        (r.status == 501 || r.status == 405 || !strcmp(e.code, "NotImplemented") ||
         !strcmp(e.code, "MethodNotAllowed")))
        rc = -ENOTSUP;
    strbuf_free(&r.text);
    return rc;
}

static int send_batch(struct batch *b, const struct obj_call *c, struct errtext *err)
{
    struct strbuf body = {0};
    struct s3_body h;
    make_body(b, &body);
    if (body.overflow) {
        strbuf_free(&body);
        return errtext_set(err, -ENOMEM, "delete %s: no memory", b->keys[0]);
    }
    const struct obj_source src = {.mem = strbuf_str(&body), .fd = -1, .len = body.len};
    int rc = s3_body_prepare(&h, b->s, "delete", b->keys[0], &src, c, S3_BODY_LIST, err);
    if (rc == 0) {
        const struct sigv4_pair query[] = {{"delete", ""}};
        const struct sigv4_pair headers[] = {{"Content-Type", "application/xml"}, {"Content-MD5", h.md5_base64}};
        const struct s3_request q = {.op = "delete",
                                     .what = b->keys[0],
                                     .method = "POST",
                                     .query = query,
                                     .n_query = 1,
                                     .headers = headers,
                                     .n_headers = 2,
                                     .body = &src,
                                     .payload_hash = h.payload,
                                     .text_limit = MAX_ANSWER,
                                     .answer_ms = b->s->tuning.answer_ms,
                                     .inspect = inspect_fates,
                                     .arg = b};
        rc = send_list(b, &q, c, err);
    }
    strbuf_free(&body);
    return rc == -ENOENT ? -EIO : rc;
}

/* A DELETE for each key; all are tried. */
static int delete_singly(struct batch *b, const struct obj_call *c, struct errtext *err)
{
    int first = 0;
    for (size_t i = 0; i < b->n && first != -ECANCELED; i++) {
        const struct s3_request q = {.op = "delete", .what = b->keys[i], .method = "DELETE", .key = b->keys[i]};
        int rc = s3_do(b->s, &q, c, first ? NULL : err);
        if (rc && rc != -ENOENT && !first)
            first = rc;
    }
    return first;
}

/* Takes the keys that are gone out of the batch. */
static void compact(struct batch *b)
{
    size_t left = 0;
    for (size_t i = 0; i < b->n; i++)
        if (!b->gone[i])
            b->keys[left++] = b->keys[i];
    b->n = left;
    memset(b->gone, 0, left * sizeof(*b->gone));
}

static int per_key_error(const struct batch *b, struct errtext *err)
{
    struct s3_verdict v = {.code = -EIO, .reason = "the store's answer does not say that it is deleted"};
    const struct s3_request q = {.op = "delete", .what = b->per_key_failed ? b->per_key_failed : b->keys[0]};
    return s3_fail(b->s, &q, b->per_key_failed ? &b->per_key : &v, 0, err);
}

/* Deletes one batch; keys that failed for a passing reason are sent again, a few times. */
static int delete_batch(struct batch *b, const struct obj_call *c, struct errtext *err)
{
    unsigned most = c && c->max_tries && c->max_tries < 4 ? c->max_tries : 4;
    for (unsigned tries = 1; b->n; tries++) {
        int rc = atomic_load(&b->s->singly) ? -ENOTSUP : send_batch(b, c, err);
        if (rc == -ENOTSUP) {
            atomic_store(&b->s->singly, true);
            return delete_singly(b, c, err);
        }
        if (rc)
            return rc;
        compact(b);
        if (b->n == 0)
            break;
        if (tries >= most || (b->per_key_failed && !b->per_key.retry))
            return per_key_error(b, err);
        if (s3_wait(s3_backoff(&b->s->tuning.retry, tries, 1u << 31, 0), c))
            return errtext_set(err, -ECANCELED, "delete %s: canceled", b->keys[0]);
    }
    return 0;
}

/* Cuts the keys into batches. A key outside the rules is told and passed over: the others are still deleted. */
static int delete_all(struct batch *b, const char *const *keys, size_t n, const struct obj_call *c, struct errtext *err)
{
    const char **room = b->keys;
    int first = 0;
    for (size_t i = 0; i < n;) {
        struct errtext one = {""};
        int rc = 0;
        b->keys = room;
        b->n = 0;
        for (; i < n && b->n < b->s->tuning.delete_batch; i++) {
            int bad = obj_check_key("delete", keys[i], rc ? NULL : &one);
            if (bad)
                rc = bad;
            else
                b->keys[b->n++] = keys[i];
        }
        memset(b->gone, 0, b->n * sizeof(*b->gone));
        if (b->n) {
            int sent = delete_batch(b, c, rc ? NULL : &one);
            rc = rc ? rc : sent;
        }
        if (rc && !first) {
            first = rc;
            (void)errtext_set(err, rc, "%s", one.text);
        }
        if (rc == -ECANCELED)
            break;
    }
    b->keys = room;
    return first;
}

int s3_delete(struct objstore *o, const char *const *keys, size_t n, const struct obj_call *c, struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    size_t room = n < s->tuning.delete_batch ? n : s->tuning.delete_batch;
    if (n == 0)
        return 0;
    struct batch b = {.s = s, .keys = calloc(room, sizeof(*b.keys)), .gone = calloc(room, sizeof(*b.gone))};
    int rc = b.keys && b.gone ? delete_all(&b, keys, n, c, err) : errtext_set(err, -ENOMEM, "delete: no memory");
    free(b.keys);
    free(b.gone);
    return rc;
}
