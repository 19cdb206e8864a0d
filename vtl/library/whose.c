/* SPDX-License-Identifier: GPL-2.0-or-later */
/* whose.c: may a cartridge be changed here, or is it a neighbour's, who shares the shelf? */
#include <errno.h>

#include "base/lock.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/tapes.h"
#include "vtl/library/turn.h"

static bool has_place(struct library *lib, const char *barcode)
{
    lock_take(&lib->lock);
    bool has = library_place(lib, barcode) != NULL;
    lock_release(&lib->lock);
    return has;
}

enum obj_known tapes_may_be_theirs(struct library *lib, struct cartridge *c)
{
    if (has_place(lib, cartridge_barcode(c)))
        return OBJ_NO;
    return cartridge_given_up(c) != OBJ_NO ? OBJ_YES : turn_shared(lib);
}

bool tapes_head_is_ours(struct library *lib, struct cartridge *c, const struct head *h)
{
    struct seg_id last;
    return cartridge_goes_on_from(c, &h->id) && (cartridge_is_ours(c, &last) || h->gateway == lib->eng.gateway);
}

/* A head that a rebuild found is known here, and whoever put it may be writing behind it: to claim it would take that away. So it
 * would what this gateway gave up, and another one imported. */
int tapes_check_whose(struct library *lib, struct cartridge *c, struct errtext *err)
{
    const struct obj_call call = library_impatient(lib);
    const char *barcode = cartridge_barcode(c);
    char who[COMMIT_WHO_SIZE];
    struct seg_id last;
    struct head h;
    if (library_place(lib, barcode))
        return 0;
    bool given_up = cartridge_given_up(c) != OBJ_NO, sure = cartridge_is_ours(c, &last) && !given_up;
    enum obj_known shared = turn_shared(lib);
    if (shared == OBJ_NO ? !given_up : shared == OBJ_UNKNOWN && sure)
        return 0;
    int rc = commit_read_head(lib->eng.store, barcode, NULL, &h, &call, err);
    if (rc)
        return rc == -ENOENT ? 0 : rc;
    if (!h.released && h.gateway != lib->eng.gateway) {
        commit_who(&lib->eng, &h, who);
        rc = errtext_set(err, -EPERM,
                         "%s: owned by %s, which has not given it up: it is changed there; if that gateway is gone, "
                         "\"s3vtl tape claim %s --force\" first",
                         barcode, who, barcode);
    }
    head_free(&h);
    return rc;
}
