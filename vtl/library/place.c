/* SPDX-License-Identifier: GPL-2.0-or-later */
/* place.c: cartridges that were removed while others leaned on them: their places in the bucket, without a row in the state. */
#include <errno.h>

#include "vtl/cartridge/commit.h"
#include "vtl/library/library_private.h"

int place_read(struct library *lib, const char *barcode, struct head *h, const struct obj_call *call,
               struct errtext *err)
{
    int rc = commit_read_head(lib->eng.store, barcode, NULL, h, call, err);
    if (rc || h->removed)
        return rc;
    head_free(h);
    return -ENOENT;
}

int place_take(struct library *lib, const struct head *h, uint16_t address, struct db_cartridge *row)
{
    struct tape_index none;
    tape_index_init(&none);
    row->head = h->id;
    row->next_segment = h->next_segment;
    row->next_map = h->next_map;
    return db_cartridge_restore(lib->eng.db, 0, row, address, &none, h);
}

json_t *place_show(const struct head *h)
{
    json_t *list = json_array();
    for (size_t i = 0; i < h->n_leaners; i++)
        json_array_append_new(list, json_string(h->leaners[i].barcode));
    return list;
}
