/* SPDX-License-Identifier: GPL-2.0-or-later */
/* place.c: cartridges that were removed while others leaned on them: their places in the bucket, without a row in the state. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static int doom_kept(struct library *lib, const struct head *h, int64_t rowid)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < h->n_kept; i++) {
        char key[DB_KEY_SIZE];
        const char *keys[] = {key};
        object_key(key, h->barcode, "seg", &h->kept[i]);
        rc = db_garbage_add(lib->eng.db, rowid, keys, 1);
    }
    return rc;
}

int place_take(struct library *lib, const struct head *h, uint16_t address, struct db_cartridge *row)
{
    struct tape_index none;
    tape_index_init(&none);
    row->head = h->id;
    row->next_segment = h->next_segment;
    row->next_map = h->next_map;
    int rc = db_cartridge_restore(lib->eng.db, 0, row, address, &none, h);
    return rc ? rc : doom_kept(lib, h, row->rowid);
}

json_t *place_show(const struct head *h)
{
    json_t *list = json_array();
    for (size_t i = 0; i < h->n_leaners; i++)
        json_array_append_new(list, json_string(h->leaners[i].barcode));
    return list;
}
