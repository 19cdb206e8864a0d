/* SPDX-License-Identifier: GPL-2.0-or-later */
/* web_answer.c: answers, and the headers that each of them has. */
#include <string.h>

#include "vtl/web/web_private.h"
#include "base/jsontext.h"

/* Nothing is loaded from elsewhere, nothing may frame the page, and no page elsewhere may read an answer. */
static const char *const headers[][2] = {
    {"Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
};

enum MHD_Result web_respond(struct MHD_Connection *c, unsigned code, const char *type, struct MHD_Response *r)
{
    if (!r)
        return MHD_NO;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        (void)MHD_add_response_header(r, headers[i][0], headers[i][1]);
    (void)MHD_add_response_header(r, "Content-Type", type);
    if (code == MHD_HTTP_UNAUTHORIZED)
        (void)MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    enum MHD_Result queued = MHD_queue_response(c, code, r);
    MHD_destroy_response(r);
    return queued;
}

enum MHD_Result web_respond_json(struct MHD_Connection *c, unsigned code, json_t *j)
{
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(j);
    if (!text)
        return MHD_NO;
    return web_respond(c, code, "application/json",
                       MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE));
}

enum MHD_Result web_respond_error(struct MHD_Connection *c, unsigned code, const char *text)
{
    return web_respond_json(c, code, json_pack("{s:o}", "error", json_text(text)));
}
