/* SPDX-License-Identifier: GPL-2.0-or-later */
/* web_private.h: what the files of the console share. */
#ifndef S3VTL_WEB_PRIVATE_H
#define S3VTL_WEB_PRIVATE_H

#include <jansson.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "vtl/web/web.h"

enum { WEB_TOKEN_MIN = 32, WEB_TOKEN_MAX = 128, WEB_ASK_MS = 5000, WEB_ACTION_MS = 600000 };

/* Nothing in it changes while MHD's threads run. */
struct web {
    const struct vtl_config *cfg;
    char *token; /* secret_new */
    int stop_fd; /* an eventfd: readable once the process is to end */
};

/* ---- web_tls.c ---- */
/* Certificate and key, PEM. */
struct web_tls {
    char *certificate;
    char *key; /* secret_new; the TLS library copies it */
};
/* 0; or a negative errno with *err, and nothing in *out: they cannot be read, do not belong together, or do not hold
 * today. Freed by web_tls_free. */
int web_tls_read(const struct vtl_config *cfg, struct web_tls *out, struct errtext *err);
void web_tls_free(struct web_tls *t);
/* Until when the certificate holds: seconds since 1970; 0: nobody knows. */
uint64_t web_tls_until(const struct web_tls *t);
/* The bytes of a small file into to, which has room for max + 1, and a NUL behind them. No copy stays elsewhere. *st: the
 * file's. 0 or a negative errno with *err. */
int web_read_file(const char *file, char *to, size_t max, struct stat *st, struct errtext *err);
/* How the two files are: other bytes, once there are others in them. */
struct web_tls_mark {
    uint64_t of[2][6];
};
void web_tls_look(const struct vtl_config *cfg, struct web_tls_mark *out);
bool web_tls_same(const struct web_tls_mark *a, const struct web_tls_mark *b);

/* ---- web_listen.c ---- */
enum { WEB_RETIRED = 4 };
/* Who answers: a daemon of MHD's, which has its certificate from its start, and those of before, for the connections that they
 * have. Of one thread. */
struct web_listener {
    const struct web *w;
    int fd; /* listens */
    struct MHD_Daemon *now;
    struct web_retired {
        struct MHD_Daemon *daemon; /* accepts nothing any more */
        int fd;                    /* listens; of its own, to be closed when it has ended */
    } retired[WEB_RETIRED];        /* the oldest first */
    unsigned n_retired;
};
/* New connections are answered from now on, by TLS if tls is not NULL. *tls may be freed then. 0 or a negative errno: all is
 * as it was. */
int web_listen(struct web_listener *l, const struct web_tls *tls);
/* Ends the retired that have no connection any more. */
void web_listen_reap(struct web_listener *l);
/* Ends all of them, after what they are about. */
void web_listen_end(struct web_listener *l);

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
/* The status of a library, with those, or {"serving": false, "error": text} where none answers. A new reference. owing_fd:
 * control_ask. */
json_t *web_ask_status(const struct vtl_config *cfg, int *owing_fd, json_t *happenings);

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
