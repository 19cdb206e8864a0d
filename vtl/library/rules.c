/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rules.c: what the library does by itself, as the configuration in force says: that of it which status tells nowhere else. */
#include "base/jsontext.h"
#include "vtl/library/library_private.h"

static json_t *retention_json(const struct vtl_config *c)
{
    struct config_retention rules[CONFIG_MAX_RETENTION];
    int n = config_retention(c->retention.tapes, rules);
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:o, s:s, s:I}", "cartridges", json_text(rules[i].pattern), "mode",
                                              rules[i].compliance ? "compliance" : "governance", "seconds",
                                              (json_int_t)rules[i].seconds));
    return list;
}

void rules_take(struct library *lib, const struct vtl_config *c)
{
    json_t *now =
        json_pack("{s:o, s:o, s:o, s:o, s:I}", "retention", retention_json(c), "upload_limit",
                  json_text(c->store.upload_limit), "download_limit", json_text(c->store.download_limit),
                  "verify_window", json_text(c->verify.window), "verify_budget", (json_int_t)c->verify.budget);
    lock_take(&lib->lock);
    json_t *was = lib->rules;
    lib->rules = now;
    lock_release(&lib->lock);
    json_decref(was);
}

json_t *rules_json(struct library *lib)
{
    lock_take(&lib->lock);
    json_t *copy = lib->rules ? json_deep_copy(lib->rules) : NULL; /* as counting references may be no atomic thing */
    lock_release(&lib->lock);
    return copy ? copy : json_object();
}
