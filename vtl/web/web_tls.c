/* SPDX-License-Identifier: GPL-2.0-or-later */
/* web_tls.c: the certificate and key for TLS, looked at before they are used, as libmicrohttpd says not what is wrong. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "vtl/web/web_private.h"

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

int web_tls_check(const struct web *w, struct errtext *err)
{
    BIO *c = BIO_new_mem_buf(w->certificate, -1), *k = BIO_new_mem_buf(w->key, -1);
    X509 *certificate = c ? PEM_read_bio_X509(c, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = k ? PEM_read_bio_PrivateKey(k, NULL, no_passphrase, NULL) : NULL;
    int rc = judge(w->cfg, certificate, key, err);
    ERR_clear_error();
    EVP_PKEY_free(key);
    X509_free(certificate);
    BIO_free(c);
    BIO_free(k);
    return rc;
}
