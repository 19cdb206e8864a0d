/* SPDX-License-Identifier: GPL-2.0-or-later */
/* web_private.h: what the files of the console share. */
#ifndef S3VTL_WEB_PRIVATE_H
#define S3VTL_WEB_PRIVATE_H

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>

#include "vtl/web/web.h"

enum { WEB_TOKEN_MIN = 32, WEB_TOKEN_MAX = 128, WEB_ASK_MS = 5000, WEB_ACTION_MS = 600000 };

/* Nothing in it changes while MHD's threads run. */
struct web {
    const struct vtl_config *cfg;
    char *token;       /* secret_new */
    char *certificate; /* PEM; NULL: no TLS, */
    char *key;         /* and no key. secret_new; the TLS library copies it */
    int stop_fd;       /* an eventfd: readable once the process is to end */
};

/* ---- web_tls.c ---- */
/* Do certificate and key belong together, and hold today? -EINVAL with what is wrong. */
int web_tls_check(const struct web *w, struct errtext *err);

/* ---- web_http.c ---- */
/* A request came in, or more of its body: MHD's access handler; arg is the struct web. On the connection's thread. */
enum MHD_Result web_request(void *arg, struct MHD_Connection *c, const char *url, const char *method,
                            const char *version, const char *upload, size_t *upload_size, void **context);
void web_request_ended(void *arg, struct MHD_Connection *c, void **context, enum MHD_RequestTerminationCode why);

/* ---- web_answer.c ---- */
/* Answers with r, under the headers that every answer has; r is used up. NULL: MHD_NO. */
enum MHD_Result web_respond(struct MHD_Connection *c, unsigned code, const char *type, struct MHD_Response *r);
/* The same with j, which is used up. */
enum MHD_Result web_respond_json(struct MHD_Connection *c, unsigned code, json_t *j);
/* {"error": text} */
enum MHD_Result web_respond_error(struct MHD_Connection *c, unsigned code, const char *text);

/* ---- web_api.c ---- */
enum MHD_Result web_status(const struct web *w, struct MHD_Connection *c);
/* name: what follows /api/actions/; body: its JSON, of len bytes. */
enum MHD_Result web_action(const struct web *w, struct MHD_Connection *c, const char *name, const char *body,
                           size_t len);
/* The trouble of the last week: a list, and a new reference; NULL where none is to be had. */
json_t *web_ask_happenings(const struct vtl_config *cfg);
/* The status of a library, with those, or {"serving": false, "error": text} where none answers. A new reference. */
json_t *web_ask_status(const struct vtl_config *cfg, json_t *happenings);

/* ---- web_events.c ---- */
enum MHD_Result web_events(const struct web *w, struct MHD_Connection *c);

/* ---- web_page.c ---- */
struct web_file {
    const char *url, *type;
    const char *begin, *end;
};
/* NULL: there is none at that URL. */
const struct web_file *web_file(const char *url);

#endif
