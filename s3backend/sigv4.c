/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sigv4.c: AWS Signature Version 4 on OpenSSL's HMAC-SHA256.
 *
 * Our own, and not libcurl's: libcurl 7.88 signs the URL and the headers as they are given, without the canonical order
 * that servers compare with. Rules: "Create a signed AWS API request" (AWS IAM User Guide) and "Signature Calculations
 * for the Authorization Header" (Amazon S3 API Reference). S3's variant: the path is encoded once and not normalized.
 */
#include "s3backend/sigv4.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define ALGORITHM "AWS4-HMAC-SHA256"

void sigv4_date(time_t when, char out[SIGV4_DATE_SIZE])
{
    struct tm tm;
    gmtime_r(&when, &tm);
    if (!strftime(out, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm))
        out[0] = 0;
}

void sigv4_hex(const unsigned char *data, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * n] = 0;
}

int sigv4_sha256_hex(const void *data, size_t len, char out[SIGV4_HEX_SIZE])
{
    unsigned char md[32];
    if (EVP_Digest(data, len, md, NULL, EVP_sha256(), NULL) != 1)
        return -EIO;
    sigv4_hex(md, sizeof(md), out);
    return 0;
}

static bool unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

static void encode(struct strbuf *out, const char *s, bool keep_slash)
{
    for (; *s; s++) {
        if (unreserved(*s) || (*s == '/' && keep_slash))
            strbuf_add(out, s, 1);
        else
            strbuf_addf(out, "%%%02X", (unsigned)(unsigned char)*s);
    }
}

void sigv4_encode_path(struct strbuf *out, const char *path)
{
    encode(out, path, true);
}

struct encoded {
    struct strbuf name, value;
};

static int by_name_then_value(const void *a, const void *b)
{
    const struct encoded *x = a, *y = b;
    int c = strcmp(strbuf_str(&x->name), strbuf_str(&y->name));
    return c ? c : strcmp(strbuf_str(&x->value), strbuf_str(&y->value));
}

void sigv4_encode_query(struct strbuf *out, const struct sigv4_pair *query, size_t n)
{
    if (n == 0)
        return;
    struct encoded *e = calloc(n, sizeof(*e));
    if (!e) {
        out->overflow = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        encode(&e[i].name, query[i].name, false);
        encode(&e[i].value, query[i].value ? query[i].value : "", false);
    }
    qsort(e, n, sizeof(*e), by_name_then_value);
    for (size_t i = 0; i < n; i++) {
        strbuf_addf(out, "%s%s=%s", i ? "&" : "", strbuf_str(&e[i].name), strbuf_str(&e[i].value));
        if (e[i].name.overflow || e[i].value.overflow)
            out->overflow = true;
        strbuf_free(&e[i].name);
        strbuf_free(&e[i].value);
    }
    free(e);
}

/* A header's value as it is signed: without spaces at the ends, and runs of spaces inside as one. */
static void add_trimmed(struct strbuf *out, const char *v)
{
    bool gap = false, begun = false;
    for (; *v; v++) {
        if (*v == ' ' || *v == '\t') {
            gap = true;
            continue;
        }
        if (gap && begun)
            strbuf_add(out, " ", 1);
        gap = false;
        begun = true;
        strbuf_add(out, v, 1);
    }
}

static void add_lower(struct strbuf *out, const char *s)
{
    for (; *s; s++) {
        char c = *s >= 'A' && *s <= 'Z' ? (char)(*s - 'A' + 'a') : *s;
        strbuf_add(out, &c, 1);
    }
}

/* Ties keep the order given: values of one name are joined in that order. */
static int by_header_name(const void *a, const void *b)
{
    const struct sigv4_pair *const *x = a, *const *y = b;
    int c = strcasecmp((*x)->name, (*y)->name);
    return c ? c : (*x > *y) - (*x < *y);
}

/* The headers in canonical order; the caller frees. NULL: no memory. */
static const struct sigv4_pair **sorted_headers(const struct sigv4_request *r)
{
    const struct sigv4_pair **h = calloc(r->n_headers + 1, sizeof(*h));
    if (!h)
        return NULL;
    for (size_t i = 0; i < r->n_headers; i++)
        h[i] = &r->headers[i];
    qsort(h, r->n_headers, sizeof(*h), by_header_name);
    return h;
}

static bool same_as_before(const struct sigv4_pair **h, size_t i)
{
    return i > 0 && strcasecmp(h[i]->name, h[i - 1]->name) == 0;
}

static void add_signed_names(struct strbuf *out, const struct sigv4_pair **h, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (same_as_before(h, i))
            continue;
        if (i)
            strbuf_adds(out, ";");
        add_lower(out, h[i]->name);
    }
}

static void add_header_lines(struct strbuf *out, const struct sigv4_pair **h, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (same_as_before(h, i)) {
            strbuf_adds(out, ",");
        } else {
            if (i)
                strbuf_adds(out, "\n");
            add_lower(out, h[i]->name);
            strbuf_adds(out, ":");
        }
        add_trimmed(out, h[i]->value);
    }
    if (n)
        strbuf_adds(out, "\n");
}

void sigv4_canonical_request(struct strbuf *out, const struct sigv4_request *r)
{
    const struct sigv4_pair **h = sorted_headers(r);
    if (!h) {
        out->overflow = true;
        return;
    }
    strbuf_addf(out, "%s\n", r->method);
    sigv4_encode_path(out, r->path);
    strbuf_adds(out, "\n");
    sigv4_encode_query(out, r->query, r->n_query);
    strbuf_adds(out, "\n");
    add_header_lines(out, h, r->n_headers);
    strbuf_adds(out, "\n");
    add_signed_names(out, h, r->n_headers);
    strbuf_addf(out, "\n%s", r->payload_hash);
    free(h);
}

static int hmac(const void *key, size_t key_len, const char *data, unsigned char out[32])
{
    unsigned int n = 32;
    if (!HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)data, strlen(data), out, &n))
        return -EIO;
    return 0;
}

/* The signing key: HMAC over HMAC of date, region, service and the fixed last word. */
static int signing_key(const struct sigv4_keys *k, const char *day, unsigned char out[32])
{
    int rc = hmac(k->aws4_secret, strlen(k->aws4_secret), day, out);
    if (rc == 0)
        rc = hmac(out, 32, k->region, out);
    if (rc == 0)
        rc = hmac(out, 32, k->service, out);
    if (rc == 0)
        rc = hmac(out, 32, "aws4_request", out);
    return rc;
}

static int signature(const struct sigv4_keys *k, const char *day, const struct strbuf *to_sign,
                     char hex[SIGV4_HEX_SIZE])
{
    unsigned char key[32], mac[32];
    int rc = to_sign->overflow ? -ENOMEM : signing_key(k, day, key);
    if (rc == 0)
        rc = hmac(key, sizeof(key), strbuf_str(to_sign), mac);
    if (rc == 0)
        sigv4_hex(mac, sizeof(mac), hex);
    OPENSSL_cleanse(key, sizeof(key));
    return rc;
}

static void string_to_sign(struct strbuf *out, const struct sigv4_request *r, const char *date, const char *scope)
{
    struct strbuf canonical = {0};
    char hash[SIGV4_HEX_SIZE];
    sigv4_canonical_request(&canonical, r);
    if (canonical.overflow || sigv4_sha256_hex(strbuf_str(&canonical), canonical.len, hash))
        out->overflow = true;
    else
        strbuf_addf(out, ALGORITHM "\n%s\n%s\n%s", date, scope, hash);
    strbuf_free(&canonical);
}

int sigv4_authorization(struct strbuf *out, const struct sigv4_keys *k, const struct sigv4_request *r, const char *date)
{
    struct strbuf scope = {0}, to_sign = {0};
    char day[9], hex[SIGV4_HEX_SIZE];
    memcpy(day, date, 8);
    day[8] = 0;
    strbuf_addf(&scope, "%s/%s/%s/aws4_request", day, k->region, k->service);
    string_to_sign(&to_sign, r, date, strbuf_str(&scope));
    int rc = scope.overflow ? -ENOMEM : signature(k, day, &to_sign, hex);
    const struct sigv4_pair **h = sorted_headers(r);
    if (rc == 0 && !h)
        rc = -ENOMEM;
    if (rc == 0) {
        strbuf_addf(out, ALGORITHM " Credential=%s/%s, SignedHeaders=", k->access_key, strbuf_str(&scope));
        add_signed_names(out, h, r->n_headers);
        strbuf_addf(out, ", Signature=%s", hex);
        rc = out->overflow ? -ENOMEM : 0;
    }
    free(h);
    strbuf_free(&scope);
    strbuf_free(&to_sign);
    return rc;
}
