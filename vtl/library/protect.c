/* SPDX-License-Identifier: GPL-2.0-or-later */
/* protect.c: the write protect tab of a cartridge. */
#include <errno.h>
#include <string.h>

#include "base/lock.h"
#include "base/log.h"
#include "vtl/cartridge/cartridge_private.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/tapes.h"

static const struct obj_call impatient = {.max_tries = 3}; /* somebody waits at a terminal */

static int set_tab(struct cartridge *c, bool on, struct errtext *err)
{
    int rc = 0;
    lock_take(&c->lock);
    struct db_cartridge row = c->row;
    row.write_protected = on;
    if (c->users) /* as with a real one: nobody reaches the tab in a drive */
        rc = errtext_set(err, -EBUSY, "%s: it is in a drive: move it to a slot first", c->row.barcode);
    else if (c->row.write_protected != on && (rc = cartridge_change_row(c, &row)))
        errtext_set(err, rc, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
    lock_release(&c->lock);
    return rc;
}

void tapes_commit_row(struct cartridge *c)
{
    struct errtext err = {""};
    if (c->eng->workers) {
        workers_add(c->eng->workers, c);
        return;
    }
    int rc = commit_head(c, &impatient, &err);
    if (rc && rc != -EAGAIN)
        log_line("%s", err.text);
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
    if (cartridge_load(c, err) || set_tab(c, json_is_true(on), err))
        return NULL;
    tapes_commit_row(c);
    cartridge_unload_if_clean(c);
    lock_take(&c->lock);
    json_t *answer = json_pack("{s:s, s:b, s:b}", "barcode", barcode, "write_protected", (int)c->row.write_protected,
                               "committed", (int)(c->changes == c->committed));
    lock_release(&c->lock);
    return answer;
}
