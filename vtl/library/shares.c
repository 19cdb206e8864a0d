/* SPDX-License-Identifier: GPL-2.0-or-later */
/* shares.c: for "tape show": on whom a cartridge leans, who leans on it, and what its removal frees; for status: what that
 * saves. */
#include <errno.h>
#include <string.h>

#include "base/jsontext.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/library_private.h"
#include "vtl/state/chunk_index.h"

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

static uint64_t own_bytes(struct cartridge *c)
{
    struct cartridge_view v;
    cartridge_view(c, &v);
    return v.backlog.amounts.local + v.backlog.amounts.accepted + v.backlog.amounts.offsite;
}

int shares_after_removal(struct library *lib, struct cartridge *c, json_t *j, struct errtext *err)
{
    uint64_t own = own_bytes(c), live = 0, kept = 0;
    int rc = add_shares(lib, cartridge_barcode(c), true, j);
    if (!rc)
        rc = db_needed_by_others(lib->eng.db, cartridge_rowid(c), cartridge_barcode(c), &live, &kept);
    if (rc)
        return errtext_set(err, rc, "%s: state: %s", cartridge_barcode(c), db_error(lib->eng.db));
    json_object_set_new(j, "freed_by_removal_bytes", json_integer((json_int_t)(live < own ? own - live : 0)));
    json_object_set_new(j, "needed_by_others_bytes", json_integer((json_int_t)kept));
    return 0;
}

void shares_of_removed(struct cartridge *c, const struct kept *kept, json_t *j)
{
    struct kept_sums stays = kept_sums(kept);
    uint64_t own = own_bytes(c);
    json_object_set_new(j, "kept", json_boolean(kept != NULL));
    json_object_set_new(j, "freed_by_removal_bytes",
                        json_integer((json_int_t)(stays.live_bytes < own ? own - stays.live_bytes : 0)));
    json_object_set_new(j, "needed_by_others_bytes", json_integer((json_int_t)stays.bytes));
    if (!kept) /* the store has lost it, or who leaned by this state's rows does so no more */
        json_object_del(j, "lends_to");
}

void shares_add_sums(struct library *lib, json_t *j)
{
    struct chunk_index_figures f;
    uint64_t host = 0, own = 0;
    if (!lib->eng.chunks)
        return;
    for (size_t i = 0; i < lib->n_cartridges; i++) {
        struct cartridge_view v;
        cartridge_view(lib->cartridges[i], &v);
        host += v.used_bytes;
        own += own_bytes(lib->cartridges[i]);
    }
    chunk_index_figures(lib->eng.chunks, &f);
    json_object_set_new(j, "dedup",
                        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "host_bytes", (json_int_t)host, "own_bytes",
                                  (json_int_t)own, "listed_segments", (json_int_t)f.segments, "index_bytes",
                                  (json_int_t)f.disk, "chunks_found", (json_int_t)f.found, "lists_loaded",
                                  (json_int_t)f.loaded));
}

int shares_add(struct library *lib, struct cartridge *c, json_t *j, struct errtext *err)
{
    char why[CARTRIDGE_WHY_SIZE];
    int rc = shares_after_removal(lib, c, j, err);
    if (rc)
        return rc;
    if ((rc = add_shares(lib, cartridge_barcode(c), false, j)))
        return errtext_set(err, rc, "%s: state: %s", cartridge_barcode(c), db_error(lib->eng.db));
    cartridge_kept_why(c, why);
    if (why[0])
        json_object_set_new(j, "kept_for_now", json_text(why));
    return 0;
}
