/* SPDX-License-Identifier: GPL-2.0-or-later */
/* amounts.c: how much is only on this disk, and how much the store accepted: the sums that are shown. */
#include "vtl/library/library_private.h"

void library_amounts(struct library *lib, struct library_amounts *out)
{
    *out = (struct library_amounts){.local = 0};
    for (size_t i = 0; i < lib->n_cartridges; i++) {
        struct cartridge_backlog b;
        cartridge_backlog(lib->cartridges[i], &b);
        out->all.local += b.amounts.local;
        out->all.unsent += b.amounts.unsent;
        out->all.accepted += b.amounts.accepted;
        out->all.offsite += b.amounts.offsite;
        out->local += b.amounts.local != 0;
    }
    /* What is under way while the store is in trouble will have to be sent again. */
    uint64_t sent = engine_upload_rate(&lib->eng) ? upload_rate_sent(&lib->eng.upload_rate) : 0;
    out->sent = sent < out->all.unsent ? sent : out->all.unsent;
}

void library_amounts_json(const struct library *lib, const struct cartridge_amounts *a, json_t *j)
{
    json_object_set_new(j, "local_only_bytes", json_integer((json_int_t)a->local));
    json_object_set_new(j, "stored_bytes", json_integer((json_int_t)a->accepted + (json_int_t)a->offsite));
    json_object_set_new(j, "accepted_bytes", json_integer((json_int_t)a->accepted));
    if (atomic_load(&lib->eng.offsite.told))
        json_object_set_new(j, "offsite_bytes", json_integer((json_int_t)a->offsite));
}
