/* SPDX-License-Identifier: GPL-2.0-or-later */
/* whose.c: may a cartridge be changed here, or is it a neighbour's, who shares the shelf? */
#include <errno.h>

#include "vtl/cartridge/commit.h"
#include "vtl/library/tapes.h"
#include "vtl/library/turn.h"

/* A head that a rebuild found is known here, and whoever put it may be writing behind it: to claim it would take that away. */
int tapes_check_whose(struct library *lib, struct cartridge *c, struct errtext *err)
{
    const struct obj_call call = library_impatient(lib);
    const char *barcode = cartridge_barcode(c);
    char who[COMMIT_WHO_SIZE];
    struct seg_id last;
    struct head h;
    if (library_place(lib, barcode) || cartridge_is_ours(c, &last) || turn_shared(lib) == OBJ_NO)
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
