/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_admin.c: which service is behind an S3 port, and its admin interface: address, password, requests. */
#include "s3backend/s3.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/secret.h"

enum { MAX_PASSWORD = 256, ADMIN_CONNECT_MS = 5000, ADMIN_ANSWER_MS = 10000, ADMIN_TEXT = 4 << 20 };

#define BASIC "Authorization: Basic "

static const struct s3_admin_api *const apis[] = {&s3d_admin_api, &renterd_admin_api};
#define N_APIS (sizeof(apis) / sizeof(apis[0]))

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

/* The file's first line is the password. Basic wants a user, whom neither service looks at. */
static int make_header(struct s3_admin *a, int fd, struct errtext *err)
{
    struct {
        char file[1 + MAX_PASSWORD + 2];
    } *plain = secret_new(sizeof(*plain));
    a->header_size = sizeof(BASIC) + (sizeof(*plain) + 2) / 3 * 4 + 1;
    a->header = secret_new(a->header_size);
    int rc = plain && a->header
                 ? 0
                 : errtext_set(err, -ENOMEM,
                               "the password of the store's admin interface must be in locked memory, and "
                               "there is none: %s (ulimit -l; LimitMEMLOCK= in a service)",
                               strerror(errno));
    ssize_t n = rc ? 0 : read(fd, plain->file + 1, MAX_PASSWORD + 1);
    if (n < 0)
        rc = errtext_set(err, -EINVAL, "store option admin_password_file: can't read %s: %s", a->file, strerror(errno));
    if (!rc) {
        plain->file[0] = ':';
        size_t len = strcspn(plain->file, "\r\n");
        if (len < 2 || len > MAX_PASSWORD)
            rc = errtext_set(err, -EINVAL,
                             "store option admin_password_file: the first line of %s must be a password, at most %d "
                             "characters",
                             a->file, MAX_PASSWORD);
        memcpy(a->header, BASIC, strlen(BASIC));
        (void)EVP_EncodeBlock((unsigned char *)a->header + strlen(BASIC), (const unsigned char *)plain->file, (int)len);
    }
    secret_free(plain, sizeof(*plain));
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

int s3_admin_call(struct s3_store *s, const char *method, const char *path, unsigned answer_ms, json_t **out,
                  const struct obj_call *c, struct errtext *err)
{
    const struct s3_admin *a = &s->admin;
    const char *const headers[] = {a->header, "Accept: application/json"};
    const struct obj_source nothing = {.mem = "", .fd = -1};
    struct http_response r = {0};
    struct strbuf url = {0};
    strbuf_addf(&url, "%s%s", a->url, path);
    const unsigned most = s->tuning.reply_ms < ADMIN_ANSWER_MS ? s->tuning.reply_ms : ADMIN_ANSWER_MS;
    const struct http_request q = {.method = method,
                                   .url = strbuf_str(&url),
                                   .headers = headers,
                                   .n_headers = 2,
                                   .body = strcmp(method, "GET") ? &nothing : NULL,
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

/* ---- which service ---- */

/* The name of its software, where that is told: what is none of Sia's keeps an object where it puts it. What is not in
 * this list may stand before one of them. */
static bool is_plain(const char *server)
{
    static const char *const names[] = {"MinIO", "SeaweedFS", "VERSITYGW", "Ceph"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!strncasecmp(server, names[i], strlen(names[i])))
            return true;
    return false;
}

static bool is_amazons(const char *host)
{
    static const char domain[] = ".amazonaws.com";
    size_t n = strcspn(host, ":"), d = strlen(domain);
    return n > d && !strncmp(host + n - d, domain, d);
}

void s3_admin_note(struct s3_store *s, const char *server)
{
    struct s3_admin *a = &s->admin;
    if (!server[0] || a->given || a->url || atomic_load(&a->service) != OBJ_SERVICE_UNKNOWN)
        return;
    bool amazon = !strcmp(server, "AmazonS3");
    if (is_plain(server) || (amazon && is_amazons(s->host)))
        atomic_store(&a->service, OBJ_SERVICE_S3);
    else if (amazon)
        atomic_store(&a->poses, true);
}

void s3_admin_facts(struct s3_store *s, struct obj_facts *out)
{
    const struct s3_admin *a = &s->admin;
    out->service = (enum obj_service)atomic_load(&a->service);
    out->tells_offsite = a->url || out->service == OBJ_SERVICE_S3;
    if (out->service == OBJ_SERVICE_UNKNOWN && atomic_load(&a->poses) && out->creates == OBJ_NO)
        out->service = OBJ_SERVICE_RENTERD;
}

/* Asks as each of the services would be asked. 0 and *found. */
static int find_api(struct s3_store *s, const struct s3_admin_api **found, const struct obj_call *c,
                    struct errtext *err)
{
    enum obj_service service = (enum obj_service)atomic_load(&s->admin.service);
    for (size_t i = 0; i < N_APIS; i++) {
        json_t *j = NULL;
        int rc = 0;
        *found = apis[i];
        if (service == apis[i]->service)
            return 0;
        if (service != OBJ_SERVICE_UNKNOWN)
            continue;
        rc = s3_admin_call(s, "GET", apis[i]->path, 0, &j, c, err);
        bool is = rc == 0 && apis[i]->is_answer(j);
        json_decref(j);
        if (is)
            atomic_store(&s->admin.service, apis[i]->service);
        if (is || (rc && rc != -ENOENT))
            return rc;
    }
    return errtext_set(err, -EIO, "the store's admin interface, %s, is neither s3d's nor renterd's", s->admin.url);
}

int s3_offsite(struct objstore *o, struct obj_offsite *out, const struct obj_call *c, struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    const struct s3_admin_api *api;
    uint64_t begin = clock_ms();
    *out = (struct obj_offsite){.why = ""};
    if (atomic_load(&s->admin.service) == OBJ_SERVICE_S3) {
        out->before_ms = begin;
        return 0;
    }
    if (!s->admin.url)
        return errtext_set(err, -ENOTSUP, "what of it is off-site is not known without [store] kind or admin_url");
    int rc = find_api(s, &api, c, err);
    return rc ? rc : api->ask(s, begin, out, c, err);
}

int s3_hurry(struct objstore *o, const struct obj_call *c, struct errtext *err)
{
    struct s3_store *s = (struct s3_store *)o;
    const struct s3_admin_api *api;
    if (!s->admin.url)
        return 0;
    int rc = find_api(s, &api, c, err);
    return rc ? rc : api->hurry(s, c, err);
}
