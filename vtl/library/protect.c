/* SPDX-License-Identifier: GPL-2.0-or-later */
/* protect.c: the write protect tab of a cartridge. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/tapes.h"

static const struct obj_call impatient = {.max_tries = 3, .patience_ms = OBJ_PATIENCE_MS};

void tapes_commit_row(struct cartridge *c)
{
    struct errtext err = {""};
    int rc = cartridge_load(c, &err); /* the workers may have unloaded it just before it was changed */
    if (!rc && cartridge_engine(c)->workers) {
        cartridge_poke(c);
        return;
    }
    rc = rc ? rc : commit_head(c, &impatient, &err);
    if (rc && rc != -EAGAIN)
        log_warn("%s", err.text);
}

json_t *tapes_protect(struct library *lib, const json_t *request, struct errtext *err)
{
    const char *barcode = json_string_value(json_object_get(request, "barcode"));
    const json_t *on = json_object_get(request, "on");
    struct cartridge *c = barcode ? library_cartridge(lib, barcode) : NULL;
    if (!c || !json_is_boolean(on)) {
        errtext_set(err, c ? -EINVAL : -ENOENT,
                    c ? "%s: tape-protect: on (true or false) is needed" : "%s: no such cartridge in this library",
                    barcode ? barcode : "(no barcode)");
        return NULL;
    }
    bool claimed = false;
    if (tapes_begin_change(lib, c, &claimed, err))
        return NULL;
    int rc = cartridge_set_write_protected(c, json_is_true(on), err);
    tapes_end_change(lib, c, claimed);
    if (rc)
        return NULL;
    if (!claimed)
        tapes_commit_row(c);
    cartridge_unload_if_clean(c);
    struct cartridge_view v;
    cartridge_view(c, &v);
    return json_pack("{s:s, s:b, s:b}", "barcode", barcode, "write_protected", (int)v.write_protected, "committed",
                     (int)v.backlog.remote);
}
