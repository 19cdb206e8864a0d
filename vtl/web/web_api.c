/* SPDX-License-Identifier: GPL-2.0-or-later */
/* web_api.c: what the page asks of the library, and which operations it may have done. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/jsontext.h"
#include "vtl/library/control.h"
#include "vtl/web/web_private.h"

enum { WEEK_S = 7 * 24 * 3600 };

/* NULL with *err. */
static json_t *ask(const struct vtl_config *cfg, json_t *request, struct errtext *err)
{
    json_t *said = NULL;
    int rc = request ? control_call(cfg, request, WEB_ASK_MS, &said, err) : -ENOMEM;
    json_decref(request);
    return rc ? NULL : said;
}

json_t *web_ask_happenings(const struct vtl_config *cfg)
{
    struct errtext err = {""};
    json_t *said =
        ask(cfg, json_pack("{s:s, s:I}", "op", "happenings", "since", (json_int_t)(time(NULL) - WEEK_S)), &err);
    json_t *list = json_incref(json_object_get(said, "happenings"));
    json_decref(said);
    return list;
}

json_t *web_ask_status(const struct vtl_config *cfg, int *owing_fd, json_t *happenings)
{
    struct errtext err = {""};
    json_t *request = json_pack("{s:s}", "op", "status"), *status = NULL;
    (void)control_ask(owing_fd, cfg, request, WEB_ASK_MS, &status, &err);
    json_decref(request);
    if (!status)
        return json_pack("{s:b, s:o}", "serving", 0, "error", json_text(err.text[0] ? err.text : "no library answers"));
    if (happenings)
        json_object_set(status, "happenings", happenings);
    return status;
}

enum MHD_Result web_status(const struct web *w, struct MHD_Connection *c)
{
    int owing_fd = -1;
    json_t *happenings = web_ask_happenings(w->cfg), *status = web_ask_status(w->cfg, &owing_fd, happenings);
    control_ask_end(&owing_fd);
    json_decref(happenings);
    return web_respond_json(c, MHD_HTTP_OK, status);
}

/* What the page may have done: what can be undone. Removing and claiming stay with the command. */
static const struct action {
    const char *name, *op;
} actions[] = {
    {"move", "tape-move"},     {"export", "tape-export"},   {"import", "tape-import"},
    {"create", "tape-create"}, {"protect", "tape-protect"},
};

static enum MHD_Result perform(const struct web *w, struct MHD_Connection *c, json_t *request)
{
    struct errtext err = {""};
    json_t *result = NULL;
    int rc = control_call(w->cfg, request, WEB_ACTION_MS, &result, &err);
    json_decref(request);
    if (!rc)
        return web_respond_json(c, MHD_HTTP_OK, json_pack("{s:o}", "result", result ? result : json_null()));
    return web_respond_error(c, rc == -EREMOTEIO ? MHD_HTTP_CONFLICT : MHD_HTTP_SERVICE_UNAVAILABLE, err.text);
}

enum MHD_Result web_action(const struct web *w, struct MHD_Connection *c, const char *name, const char *body,
                           size_t len)
{
    const struct action *a = NULL;
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (!strcmp(name, actions[i].name))
            a = &actions[i];
    if (!a)
        return web_respond_error(c, MHD_HTTP_NOT_FOUND, "there is no such action; see /openapi.json");
    json_t *request = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(request)) {
        json_decref(request);
        return web_respond_error(c, MHD_HTTP_BAD_REQUEST, "the request must be a JSON object");
    }
    json_object_set_new(request, "op", json_string(a->op)); /* whatever it said itself */
    return perform(w, c, request);
}
