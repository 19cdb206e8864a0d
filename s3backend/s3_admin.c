/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_admin.c: the admin interface of the service behind an S3 port: options, password, requests. */
#include "s3backend/s3.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/secret.h"

enum { MAX_PASSWORD = 256, ADMIN_CONNECT_MS = 5000, ADMIN_ANSWER_MS = 10000, ADMIN_TEXT = 4 << 20 };

#define BASIC "Authorization: Basic "

/* ---- the options ---- */

static int set_service(struct s3_admin *a, const char *kind, struct errtext *err)
{
    static const struct {
        const char *kind;
        enum obj_service service;
    } kinds[] = {{"auto", OBJ_SERVICE_UNKNOWN},
                 {"s3", OBJ_SERVICE_S3},
                 {"renterd", OBJ_SERVICE_RENTERD},
                 {"s3d", OBJ_SERVICE_S3D}};
    kind = kind && *kind ? kind : "auto";
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(kind, kinds[i].kind)) {
            atomic_store(&a->service, kinds[i].service);
            a->given = kinds[i].service != OBJ_SERVICE_UNKNOWN;
            return 0;
        }
    return errtext_set(err, -EINVAL, "store option kind: \"%.100s\" must be auto, s3, renterd or s3d", kind);
}

static int check_file(int fd, const struct objstore_config *cfg, struct errtext *err)
{
    struct stat st;
    const char *file = cfg->admin_password_file;
    if (fd < 0 || fstat(fd, &st))
        return errtext_set(err, -EINVAL, "store option admin_password_file: %s: %s", file, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return errtext_set(err, -EINVAL, "store option admin_password_file: %s is not a regular file", file);
    if (st.st_mode & 077 && !cfg->admin_password_by_systemd)
        return errtext_set(err, -EINVAL,
                           "store option admin_password_file: %s has mode %04o, others may read it; it must be 0600 "
                           "(chmod 600 %s)",
                           file, (unsigned)(st.st_mode & 07777), file);
    return 0;
}

/* The file after a colon, where Basic has a user, whom neither service looks at. */
struct plain {
    char text[1 + MAX_PASSWORD + 2];
};

/* The file's first line is the password. */
static int read_plain(struct plain *p, int fd, const char *file, struct errtext *err)
{
    ssize_t n = read(fd, p->text + 1, MAX_PASSWORD + 1);
    if (n < 0)
        return errtext_set(err, -EINVAL, "store option admin_password_file: can't read %s: %s", file, strerror(errno));
    p->text[0] = ':';
    size_t len = strcspn(p->text, "\r\n");
    if (len < 2 || len > MAX_PASSWORD)
        return errtext_set(err, -EINVAL,
                           "store option admin_password_file: the first line of %s must be a password, at most %d "
                           "characters",
                           file, MAX_PASSWORD - 1);
    p->text[len] = '\0';
    return 0;
}

static int make_header(struct s3_admin *a, int fd, struct errtext *err)
{
    struct plain *p = secret_new(sizeof(*p));
    a->header_size = sizeof(BASIC) + (sizeof(*p) + 2) / 3 * 4 + 1;
    a->header = secret_new(a->header_size);
    int rc = p && a->header ? read_plain(p, fd, a->file, err)
                            : errtext_set(err, -ENOMEM,
                                          "the password of the store's admin interface must be in locked memory, and "
                                          "there is none: %s (ulimit -l; LimitMEMLOCK= in a service)",
                                          strerror(errno));
    if (!rc && p && a->header) { /* rc says so, too */
        memcpy(a->header, BASIC, strlen(BASIC));
        (void)EVP_EncodeBlock((unsigned char *)a->header + strlen(BASIC), (const unsigned char *)p->text,
                              (int)strlen(p->text));
    }
    secret_free(p, sizeof(*p));
    return rc;
}

static int read_password(struct s3_admin *a, const struct objstore_config *cfg, struct errtext *err)
{
    if (!cfg->admin_password_file || !*cfg->admin_password_file)
        return errtext_set(err, -EINVAL, "store option admin_password_file: missing, required with admin_url");
    a->file = strdup(cfg->admin_password_file);
    if (!a->file)
        return errtext_set(err, -ENOMEM, "no memory for the store's options");
    int fd = open(a->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int rc = check_file(fd, cfg, err);
    if (rc == 0)
        rc = make_header(a, fd, err);
    if (fd >= 0)
        close(fd);
    return rc;
}

int s3_admin_configure(struct s3_admin *a, const struct objstore_config *cfg, struct errtext *err)
{
    int rc = set_service(a, cfg->kind, err);
    if (rc || !cfg->admin_url || !*cfg->admin_url)
        return rc;
    if (atomic_load(&a->service) == OBJ_SERVICE_S3)
        return errtext_set(err, -EINVAL, "store option admin_url: only renterd and s3d have one, and kind is s3");
    size_t n = strlen(cfg->admin_url);
    while (n && cfg->admin_url[n - 1] == '/')
        n--;
    a->url = strndup(cfg->admin_url, n);
    if (!a->url)
        return errtext_set(err, -ENOMEM, "no memory for the store's options");
    if (strncmp(a->url, "http://", 7) != 0 && strncmp(a->url, "https://", 8) != 0)
        return errtext_set(err, -EINVAL, "store option admin_url: \"%.200s\" must be http(s)://host[:port]",
                           cfg->admin_url);
    return read_password(a, cfg, err);
}

void s3_admin_free(struct s3_admin *a)
{
    free(a->url);
    free(a->file);
    free(a->buffers);
    secret_free(a->header, a->header_size);
}

/* ---- a request ---- */

static int judge(const struct s3_admin *a, const char *path, const struct http_response *r, struct errtext *err)
{
    char said[200] = "";
    if (r->outcome == HTTP_CANCELED)
        return errtext_set(err, -ECANCELED, "%s: canceled", a->url);
    if (r->outcome != HTTP_ANSWERED)
        return errtext_set(err, -EIO, "the store's admin interface, %s%s: %s", a->url, path, r->reason);
    if (r->status >= 200 && r->status < 300)
        return 0;
    if (r->status == 401 || r->status == 403)
        return errtext_set(err, -EACCES, "the store's admin interface, %s, refuses the password of %s (status %ld)",
                           a->url, a->file, r->status);
    s3_scrub(said, sizeof(said), strbuf_str(&r->text));
    return errtext_set(err, r->status == 404 ? -ENOENT : -EIO, "the store's admin interface, %s%s: status %ld%s%s",
                       a->url, path, r->status, said[0] ? ": " : "", said);
}

/* body: NULL for a GET. */
static int exchange(struct s3_store *s, const char *path, const char *body, unsigned answer_ms, json_t **out,
                    const struct obj_call *c, struct errtext *err)
{
    const struct s3_admin *a = &s->admin;
    const char *const headers[] = {a->header, "Accept: application/json", "Content-Type: application/json"};
    const struct obj_source src = {.mem = body, .fd = -1, .len = body ? strlen(body) : 0};
    struct http_response r = {0};
    struct strbuf url = {0};
    strbuf_addf(&url, "%s%s", a->url, path);
    const unsigned most = s->tuning.reply_ms < ADMIN_ANSWER_MS ? s->tuning.reply_ms : ADMIN_ANSWER_MS;
    const struct http_request q = {.method = body ? "POST" : "GET",
                                   .url = strbuf_str(&url),
                                   .headers = headers,
                                   .n_headers = body && *body ? 3 : 2,
                                   .body = body ? &src : NULL,
                                   .ca_file = s->ca_file,
                                   .text_limit = ADMIN_TEXT,
                                   .connect_ms = ADMIN_CONNECT_MS,
                                   .stall_ms = answer_ms ? answer_ms : most,
                                   .answer_ms = answer_ms ? answer_ms : most,
                                   .cancel = c ? c->cancel : NULL,
                                   .secret = true,
                                   .once = true};
    http_run(s->http, &q, &r);
    int rc = judge(a, path, &r, err);
    *out = rc ? NULL : json_loadb(strbuf_str(&r.text), r.text.len, JSON_DECODE_ANY, NULL);
    strbuf_free(&url);
    strbuf_free(&r.text);
    return rc;
}

int s3_admin_call(struct s3_store *s, const char *method, const char *path, unsigned answer_ms, json_t **out,
                  const struct obj_call *c, struct errtext *err)
{
    return exchange(s, path, strcmp(method, "GET") ? "" : NULL, answer_ms, out, c, err);
}

int s3_admin_post(struct s3_store *s, const char *path, const json_t *body, unsigned answer_ms,
                  const struct obj_call *c, struct errtext *err)
{
    json_t *out = NULL;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    int rc = text ? exchange(s, path, text, answer_ms, &out, c, err) : -ENOMEM;
    json_decref(out);
    free(text);
    return text ? rc : errtext_set(err, rc, "no memory for a request to the store's admin interface");
}

/* ---- what it says ---- */

void s3_admin_found(const struct obj_findings *q, enum obj_severity severity, const char *fmt, ...)
{
    char said[500], text[500];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(said, sizeof(said), fmt, ap);
    va_end(ap);
    s3_scrub(text, sizeof(text), said);
    for (size_t n = strlen(text); n && text[n - 1] == ' '; n--) /* its line ended there */
        text[n - 1] = '\0';
    q->found(q->arg, &(struct obj_finding){.severity = severity, .text = text});
}
