/* SPDX-License-Identifier: GPL-2.0-or-later */
/* shares.c: for "tape show": on whom a cartridge leans, and who leans on it. */
#include <errno.h>
#include <string.h>

#include "vtl/library/library_private.h"

static int add_share(void *arg, const struct db_share *s)
{
    json_t *list = arg;
    return json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "barcode", s->barcode, "segments",
                                                 (json_int_t)s->segments, "bytes", (json_int_t)s->bytes))
               ? -ENOMEM
               : 0;
}

/* Nothing is added where there is none. */
static int add_shares(struct library *lib, const char *barcode, bool lent, json_t *j)
{
    json_t *list = json_array();
    int rc = list ? db_shares(lib->eng.db, barcode, lent, add_share, list) : -ENOMEM;
    if (!rc && json_array_size(list))
        rc = json_object_set(j, lent ? "lends_to" : "leans_on", list) ? -ENOMEM : 0;
    json_decref(list);
    return rc;
}

int shares_add(struct library *lib, struct cartridge *c, json_t *j, struct errtext *err)
{
    char why[CARTRIDGE_WHY_SIZE];
    int rc = add_shares(lib, cartridge_barcode(c), true, j);
    if (!rc)
        rc = add_shares(lib, cartridge_barcode(c), false, j);
    if (rc)
        return errtext_set(err, rc, "%s: state: %s", cartridge_barcode(c), db_error(lib->eng.db));
    cartridge_kept_why(c, why);
    if (why[0])
        json_object_set_new(j, "kept_for_now", json_string(why));
    return 0;
}
