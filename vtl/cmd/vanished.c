/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vanished.c: which cartridges are named and not in the bucket, for the commands that tell. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vtl/cmd/cmd.h"
#include "vtl/library/library.h"

#define PATH_SIZE 4200

static bool has_state(const struct vtl_config *cfg)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/state.db", cfg->library.state_dir);
    return !access(path, F_OK);
}

json_t *vanished_ask(const struct vtl_config *cfg, struct objstore *store, const json_t *barcodes,
                     const atomic_bool *cancel)
{
    json_t *list = NULL;
    struct errtext err = {""};
    if (!store || has_state(cfg)) {
        json_t *r = call_library(cfg, json_pack("{s:s, s:O*}", "op", "vanished", "barcodes", barcodes));
        list = json_incref(json_object_get(r, "vanished"));
        json_decref(r);
    } else if (library_vanished(cfg, store, barcodes, cancel, &list, &err)) {
        fail("%s", err.text);
    }
    return list;
}

const char *vanished_text(const json_t *list, const char *barcode)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v)
    {
        const char *b = json_string_value(json_object_get(v, "barcode"));
        if (b && !strcmp(b, barcode))
            return json_string_value(json_object_get(v, "error"));
    }
    return NULL;
}

bool vanished_tell(const json_t *list)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v) fail("%s", json_string_value(json_object_get(v, "error")));
    return json_array_size(list) > 0;
}
