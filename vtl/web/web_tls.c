/* SPDX-License-Identifier: GPL-2.0-or-later */
/* web_tls.c: the certificate and key for TLS, looked at before they are used, as libmicrohttpd says not what is wrong. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/secret.h"
#include "vtl/web/web_private.h"

enum { PEM_MAX = 65536 };

/* ---- are they right? ---- */

/* Nobody is here who could type one. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static int judge(const struct vtl_config *cfg, X509 *certificate, EVP_PKEY *key, struct errtext *err)
{
    const char *file = cfg->web.tls_certificate;
    if (!certificate)
        return errtext_set(err, -EINVAL, "[web] tls_certificate = %s: must be a certificate in PEM", file);
    if (!key)
        return errtext_set(err, -EINVAL, "[web] tls_key = %s: must be a private key in PEM, without a passphrase",
                           cfg->web.tls_key);
    if (X509_check_private_key(certificate, key) != 1)
        return errtext_set(err, -EINVAL, "[web] tls_key = %s: is not the key of tls_certificate = %s", cfg->web.tls_key,
                           file);
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        return errtext_set(err, -EINVAL, "[web] tls_certificate = %s: it has expired", file);
    return 0;
}

static X509 *certificate_of(const struct web_tls *t)
{
    BIO *b = BIO_new_mem_buf(t->certificate, -1);
    X509 *certificate = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
    BIO_free(b);
    return certificate;
}

static int check(const struct vtl_config *cfg, const struct web_tls *t, struct errtext *err)
{
    BIO *k = BIO_new_mem_buf(t->key, -1);
    X509 *certificate = certificate_of(t);
    EVP_PKEY *key = k ? PEM_read_bio_PrivateKey(k, NULL, no_passphrase, NULL) : NULL;
    int rc = judge(cfg, certificate, key, err);
    ERR_clear_error();
    EVP_PKEY_free(key);
    X509_free(certificate);
    BIO_free(k);
    return rc;
}

uint64_t web_tls_until(const struct web_tls *t)
{
    X509 *certificate = certificate_of(t);
    struct tm tm;
    bool known = certificate && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) == 1;
    time_t until = known ? timegm(&tm) : 0;
    ERR_clear_error();
    X509_free(certificate);
    return until > 0 ? (uint64_t)until : 0;
}

/* ---- the files ---- */

/* No stdio: its buffer would keep a copy. */
int web_read_file(const char *file, char *to, size_t max, struct stat *st, struct errtext *err)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 || fstat(fd, st) ? -1 : read(fd, to, max + 1);
    int rc = n < 0 ? errtext_set(err, -errno, "%s: %s", file, strerror(errno)) : 0;
    if (fd >= 0)
        close(fd);
    if (!rc && (size_t)n > max)
        rc = errtext_set(err, -EFBIG, "%s: it has more than %zu bytes", file, max);
    to[rc ? 0 : n] = '\0';
    return rc;
}

static int read_both(const struct vtl_config *cfg, struct web_tls *t, struct errtext *err)
{
    struct stat st = {0};
    if (!t->certificate || !t->key)
        return errtext_set(err, -ENOMEM, "[web] tls_key = %s: it must be in locked memory, and there is none",
                           cfg->web.tls_key);
    int rc = web_read_file(cfg->web.tls_certificate, t->certificate, PEM_MAX, &st, err);
    if (!rc)
        rc = web_read_file(cfg->web.tls_key_path, t->key, PEM_MAX, &st, err);
    if (!rc && (st.st_mode & 077) && !config_is_systemd(cfg->web.tls_key)) /* as at the start, by config_load */
        rc = errtext_set(err, -EINVAL, "[web] tls_key = %s: its mode is %04o, must be 0600 (chmod 600)",
                         cfg->web.tls_key, (unsigned)st.st_mode & 07777);
    return rc ? rc : check(cfg, t, err);
}

int web_tls_read(const struct vtl_config *cfg, struct web_tls *out, struct errtext *err)
{
    *out = (struct web_tls){calloc(1, PEM_MAX + 2), secret_new(PEM_MAX + 2)};
    int rc = read_both(cfg, out, err);
    if (rc)
        web_tls_free(out);
    return rc;
}

void web_tls_free(struct web_tls *t)
{
    secret_free(t->key, PEM_MAX + 2);
    free(t->certificate);
    *t = (struct web_tls){NULL, NULL};
}

void web_tls_look(const struct vtl_config *cfg, struct web_tls_mark *out)
{
    const char *const files[2] = {cfg->web.tls_certificate, cfg->web.tls_key_path};
    struct stat st;
    *out = (struct web_tls_mark){{{0}}};
    for (int i = 0; i < 2; i++) {
        if (stat(files[i], &st)) /* of a link: what it leads to, which is what is exchanged */
            continue;
        uint64_t now[6] = {st.st_dev,
                           st.st_ino,
                           (uint64_t)st.st_size,
                           (uint64_t)st.st_mtim.tv_sec,
                           (uint64_t)st.st_ctim.tv_sec, /* of chmod and chown, too */
                           (uint64_t)st.st_mtim.tv_nsec ^ (uint64_t)st.st_ctim.tv_nsec << 32};
        memcpy(out->of[i], now, sizeof(now));
    }
}

bool web_tls_same(const struct web_tls_mark *a, const struct web_tls_mark *b)
{
    return !memcmp(a, b, sizeof(*a));
}
