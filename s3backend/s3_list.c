/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * s3_list.c: lists keys by ListObjectsV2, page by page, in byte order.
 *
 * Not trusted: that a page's keys and common prefixes come sorted together (they come as two runs), that keys lie
 * inside the prefix, that start-after is honoured, that keys come as they were asked for (URL-encoded: XML 1.0 has no way
 * to write a control character, and one foreign key with one would spoil the list), that the pages come to an end, and that an empty list means an
 * existing bucket (trap 13).
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

enum { MAX_PAGE = 8 << 20 };

struct entry {
    char *key; /* as the store names it, with the store's prefix */
    uint64_t size;
    bool is_prefix;
};

struct page {
    struct entry *v;
    size_t n, room;
    bool truncated, no_memory, encoded;
    char *token;       /* of the next page, or NULL */
    struct entry item; /* the object that is being read */
};

static void page_reset(struct page *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->v[i].key);
    free(p->v);
    free(p->token);
    free(p->item.key);
    *p = (struct page){0};
}

/* The key becomes the page's; NULL: there was no memory for it, or the store named none. */
static void page_add(struct page *p, struct entry e)
{
    if (!e.key || (p->n == p->room && !array_grow(&p->v, &p->room, sizeof(*p->v)))) {
        free(e.key);
        p->no_memory = true;
        return;
    }
    p->v[p->n++] = e;
}

static void keep(char **to, const char *text)
{
    free(*to);
    *to = strdup(text);
}

static void take_element(void *arg, const struct xml_element *x)
{
    struct page *p = arg;
    if (!x->text) {
        if (!strcmp(x->name, "Contents")) {
            page_add(p, p->item);
            p->item = (struct entry){0};
        }
    } else if (xml_is_leaf(x, "Contents", "Key"))
        keep(&p->item.key, x->text);
    else if (xml_is_leaf(x, "Contents", "Size"))
        p->item.size = strtoull(x->text, NULL, 10);
    else if (xml_is_leaf(x, "CommonPrefixes", "Prefix"))
        page_add(p, (struct entry){.key = strdup(x->text), .is_prefix = true});
    else if (x->depth == 1 && xml_is_leaf(x, x->parent, "EncodingType"))
        p->encoded = !strcmp(x->text, "url");
    else if (x->depth == 1 && xml_is_leaf(x, x->parent, "IsTruncated"))
        p->truncated = !strcmp(x->text, "true");
    else if (x->depth == 1 && xml_is_leaf(x, x->parent, "NextContinuationToken") && *x->text)
        keep(&p->token, x->text);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* In place. What would end the string, or is no code, stays as it is: a key of ours has no '%'. */
static void decode(char *key)
{
    char *to = key;
    for (const char *p = key; *p; p++) {
        int high = *p == '%' ? hex_digit(p[1]) : -1;
        int low = high >= 0 ? hex_digit(p[2]) : -1;
        if (low >= 0 && high + low > 0) {
            *to++ = (char)(high * 16 + low);
            p += 2;
        } else {
            *to++ = *p == '+' ? ' ' : *p;
        }
    }
    *to = 0;
}

static void inspect_page(void *arg, const struct http_response *r, struct s3_verdict *v)
{
    struct page *p = arg;
    page_reset(p);
    if (!xml_read(&r->text, "ListBucketResult", take_element, p))
        *v = (struct s3_verdict){.code = -EIO, .retry = true, .reason = "the answer is no complete list"};
    else if (p->no_memory)
        *v = (struct s3_verdict){.code = -ENOMEM, .reason = "no memory for the list"};
    else if (p->truncated && !p->token)
        *v = (struct s3_verdict){.code = -EIO, .reason = "the list goes on, but has no NextContinuationToken"};
    for (size_t i = 0; p->encoded && i < p->n; i++) /* asked for or not: the answer says what it is */
        decode(p->v[i].key);
}

/* One walk over all pages. */
struct listing {
    struct s3_store *s;
    const struct s3_request *q; /* for errors */
    const char *prefix, *start_after;
    obj_list_fn fn;
    void *arg;
    struct errtext *err;
    char *last;    /* the last key told */
    char *high;    /* the highest key that came, told or not */
    unsigned idle; /* pages in a row without a higher one */
};

static int bad(struct listing *l, const char *what, const char *key)
{
    struct s3_verdict v = {.code = -EIO};
    snprintf(v.reason, sizeof(v.reason), "the store's list %s: %.200s", what, key);
    return s3_fail(l->s, l->q, &v, 0, l->err);
}

static bool after_start(const struct listing *l, const struct entry *e, const char *key)
{
    if (!l->start_after)
        return true;
    /* A group may hold keys after start_after although its own name comes before. */
    if (e->is_prefix && !strncmp(l->start_after, key, strlen(key)))
        return true;
    return strcmp(key, l->start_after) > 0;
}

/* Objects that others put there, with names that can't be ours, are passed over. */
static bool ours(const struct entry *e, const char *key)
{
    size_t n = strlen(key);
    char copy[1024];
    if (!e->is_prefix)
        return objstore_key_ok(key);
    if (n == 0 || n >= sizeof(copy) || key[n - 1] != '/')
        return false;
    memcpy(copy, key, n - 1);
    copy[n - 1] = 0;
    return objstore_key_ok(copy);
}

static int tell(struct listing *l, const struct entry *e)
{
    size_t n = strlen(l->s->prefix);
    if (strncmp(e->key, l->s->prefix, n) != 0 || strncmp(e->key + n, l->prefix, strlen(l->prefix)) != 0)
        return bad(l, "has a key outside the prefix", e->key);
    const char *key = e->key + n;
    if (!ours(e, key) || !after_start(l, e, key))
        return 0;
    int order = l->last ? strcmp(key, l->last) : 1;
    if (order < 0)
        return bad(l, "is not in byte order at", key);
    if (order == 0)
        return 0; /* a group that two pages share */
    char *copy = strdup(key);
    if (!copy)
        return errtext_set(l->err, -ENOMEM, "list %s: no memory", l->prefix);
    free(l->last);
    l->last = copy;
    return l->fn(l->arg, &(struct obj_entry){.key = key, .size = e->size, .is_prefix = e->is_prefix});
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

static int tell_page(struct listing *l, struct page *p)
{
    int rc = 0;
    if (p->n > 1)
        qsort(p->v, p->n, sizeof(*p->v), by_key);
    for (size_t i = 0; rc == 0 && i < p->n; i++)
        rc = tell(l, &p->v[i]);
    return rc;
}

/* Of a page that is sorted, and not the last. A token that was given out some pages before begins a circle. */
static int note_progress(struct listing *l, const struct page *p)
{
    const char *highest = p->n ? p->v[p->n - 1].key : NULL;
    if (highest && (!l->high || strcmp(highest, l->high) > 0)) {
        free(l->high);
        l->high = strdup(highest);
        l->idle = 0;
        return l->high ? 0 : errtext_set(l->err, -ENOMEM, "list %s: no memory", l->prefix);
    }
    if (++l->idle > l->s->tuning.idle_pages)
        return bad(l, "does not get on: page after page brings nothing, up to token", p->token);
    return 0;
}

static size_t make_query(struct sigv4_pair q[7], const char *prefix, const char *max_keys, bool slash,
                         const char *start, const char *token)
{
    size_t n = 0;
    q[n++] = (struct sigv4_pair){"list-type", "2"};
    q[n++] = (struct sigv4_pair){"encoding-type", "url"}; /* renterd ignores it */
    q[n++] = (struct sigv4_pair){"max-keys", max_keys};
    q[n++] = (struct sigv4_pair){"prefix", prefix};
    if (slash)
        q[n++] = (struct sigv4_pair){"delimiter", "/"};
    if (token)
        q[n++] = (struct sigv4_pair){"continuation-token", token};
    else if (start)
        q[n++] = (struct sigv4_pair){"start-after", start};
    return n;
}

static int list_pages(struct listing *l, const char *prefix, const char *start, bool slash, const struct obj_call *c)
{
    struct page p = {0};
    struct sigv4_pair query[7];
    char max_keys[16], *token = NULL;
    int rc = 0;
    snprintf(max_keys, sizeof(max_keys), "%u", l->s->tuning.max_keys);
    for (bool first = true; rc == 0; first = false) {
        const struct s3_request q = {.op = "list",
                                     .what = l->prefix,
                                     .method = "GET",
                                     .query = query,
                                     .n_query = make_query(query, prefix, max_keys, slash, start, token),
                                     .text_limit = MAX_PAGE,
                                     .inspect = inspect_page,
                                     .arg = &p};
        l->q = &q;
        rc = s3_do(l->s, &q, c, l->err);
        if (rc == -ENOENT)
            rc = -EIO; /* a list has no object that could be missing */
        /* An empty list is also what renterd answers when there is no such bucket. */
        if (rc == 0 && first && p.n == 0)
            rc = s3_need_bucket(l->s, "list", l->prefix, c, l->err);
        if (rc == 0)
            rc = tell_page(l, &p);
        if (rc == 0 && p.truncated)
            rc = note_progress(l, &p);
        if (rc == 0 && p.truncated && token && !strcmp(token, p.token))
            rc = bad(l, "does not get on after token", token);
        if (rc || !p.truncated)
            break;
        free(token);
        token = p.token;
        p.token = NULL;
    }
    l->q = NULL;
    free(token);
    page_reset(&p);
    return rc;
}

int s3_list(struct objstore *o, const char *prefix, const char *start_after, bool slash, obj_list_fn fn, void *arg,
            const struct obj_call *c, struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    struct listing l = {.s = s, .prefix = prefix, .start_after = start_after, .fn = fn, .arg = arg, .err = err};
    struct strbuf full = {0}, start = {0};
    strbuf_addf(&full, "%s%s", s->prefix, prefix);
    strbuf_addf(&start, "%s%s", s->prefix, start_after ? start_after : "");
    int rc = full.overflow || start.overflow
                 ? errtext_set(err, -ENOMEM, "list %s: no memory", prefix)
                 : list_pages(&l, strbuf_str(&full), start_after ? strbuf_str(&start) : NULL, slash, c);
    free(l.last);
    free(l.high);
    strbuf_free(&full);
    strbuf_free(&start);
    return rc;
}
