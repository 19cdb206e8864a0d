/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reload.c: s3vtl reload: has the serving library read its configuration again. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vtl/cmd/cmd.h"
#include "vtl/library/control.h"

static void print_changes(const json_t *r)
{
    size_t i;
    json_t *c;
    bool keys = json_is_true(json_object_get(r, "new_keys")), proxy = json_is_true(json_object_get(r, "new_proxy"));
    json_array_foreach(json_object_get(r, "changed"), i, c)
        printf("%s = %s (was %s)\n", json_string_value(json_object_get(c, "key")),
               json_string_value(json_object_get(c, "now")), json_string_value(json_object_get(c, "was")));
    if (keys)
        printf("new keys for the store\n");
    if (proxy)
        printf("new proxy for the store\n");
    if (!keys && !proxy && !json_array_size(json_object_get(r, "changed")))
        printf("%s: nothing has changed\n", json_string_value(json_object_get(r, "file")));
}

int cmd_reload(const struct command_line *cl)
{
    if (!check_arguments(cl, 0, false, "reload"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(cl);
    if (!cfg)
        return EXIT_FAILED;
    struct errtext err = {""};
    json_t *request = json_pack("{s:s}", "op", "reload"), *r = NULL;
    int rc = control_call(cfg, request, RELOAD_ASK_MS, &r, &err);
    if (rc == -ENOENT || rc == -ECONNREFUSED)
        fail("no library serves from %s: it reads its configuration when it starts", cfg->library.state_dir);
    else if (rc)
        fail("%s", err.text);
    else if (cl->json)
        print_json(r);
    else if (!cl->quiet)
        print_changes(r);
    const char *warning = json_string_value(json_object_get(r, "warning"));
    if (!rc && warning)
        fprintf(stderr, "s3vtl: warning: %s\n", warning);
    json_decref(request);
    json_decref(r);
    config_free(cfg);
    return rc ? EXIT_FAILED : EXIT_DONE;
}
