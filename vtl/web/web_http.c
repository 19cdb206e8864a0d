/* SPDX-License-Identifier: GPL-2.0-or-later */
/* web_http.c: which URL is what, and who may. */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/strbuf.h"
#include "vtl/web/web_private.h"

#define MOST_BODY 65536
#define ACTIONS "/api/actions/"

/* By the header only: no other site's page can send it, so there is nothing to forge. All bytes are compared, however
 * early they differ; the length is no secret. */
static bool has_token(const struct web *w, struct MHD_Connection *c)
{
    static const char scheme[] = "Bearer ";
    const char *said = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    if (!said || strncmp(said, scheme, sizeof(scheme) - 1) != 0)
        return false;
    said += sizeof(scheme) - 1;
    size_t n = strlen(w->token);
    return strlen(said) == n && !CRYPTO_memcmp(said, w->token, n);
}

static enum MHD_Result api(const struct web *w, struct MHD_Connection *c, const char *url, bool get,
                           const struct strbuf *body)
{
    if (!has_token(w, c))
        return web_respond_error(c, MHD_HTTP_UNAUTHORIZED, "the token of [web] token_file is missing or wrong");
    if (get && !strcmp(url, "/api/status"))
        return web_status(w, c);
    if (get && !strcmp(url, "/api/events"))
        return web_events(w, c);
    if (!get && !strncmp(url, ACTIONS, strlen(ACTIONS)))
        return web_action(w, c, url + strlen(ACTIONS), strbuf_str(body), body->len);
    return web_respond_error(c, MHD_HTTP_NOT_FOUND, "nothing is here; see /openapi.json");
}

static enum MHD_Result route(const struct web *w, struct MHD_Connection *c, const char *url, const char *method,
                             const struct strbuf *body)
{
    bool get = !strcmp(method, "GET"), post = !strcmp(method, "POST");
    if (!get && !post)
        return web_respond_error(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and POST are here");
    if (body->overflow)
        return web_respond_error(c, MHD_HTTP_CONTENT_TOO_LARGE, "the request has more than 64 KiB");
    if (!strncmp(url, "/api/", 5))
        return api(w, c, url, get, body);
    const struct web_file *f = get ? web_file(url) : NULL;
    if (!f)
        return web_respond_error(c, MHD_HTTP_NOT_FOUND, "nothing is here; see /openapi.json");
    return web_respond(c, MHD_HTTP_OK, f->type,
                       MHD_create_response_from_buffer((size_t)(f->end - f->begin), (void *)(uintptr_t)f->begin,
                                                       MHD_RESPMEM_PERSISTENT));
}

enum MHD_Result web_request(void *arg, struct MHD_Connection *c, const char *url, const char *method,
                            const char *version, const char *upload, size_t *upload_size, void **context)
{
    (void)version;
    struct strbuf *body = *context;
    if (!body) { /* its header is there, and perhaps a body comes */
        *context = body = calloc(1, sizeof(*body));
        if (!body)
            return MHD_NO;
        body->limit = MOST_BODY;
        return MHD_YES;
    }
    if (*upload_size) {
        strbuf_add(body, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    return route(arg, c, url, method, body);
}

void web_request_ended(void *arg, struct MHD_Connection *c, void **context, enum MHD_RequestTerminationCode why)
{
    (void)arg;
    (void)c;
    (void)why;
    if (*context)
        strbuf_free(*context);
    free(*context);
    *context = NULL;
}
