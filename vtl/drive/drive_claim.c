/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_claim.c: claims a cartridge for this gateway before a drive writes it. */
#include "vtl/drive/drive_private.h"

#include "base/clock.h"

#define CLAIM_WAIT_MS 10000

/* Before the first write of this run. A store that does not answer stops nothing: then the claim is made before the
 * first upload. */
enum tape_result drive_claim(struct drive *d, const atomic_bool *cancel)
{
    struct engine *e = d->eng;
    uint64_t until = clock_ms() + CLAIM_WAIT_MS;
    bool asked = false;
    lock_assert_held(&d->op_lock);
    for (;;) {
        uint64_t seen = progress_now(&e->progress);
        bool failing = false;
        enum cartridge_owner owner = cartridge_want_claim(d->c, &failing);
        if (owner == CARTRIDGE_FENCED) {
            d->fence_told = true;
            return TAPE_NOT_OWNED;
        }
        if (owner == CARTRIDGE_OWNED || d->claim_asked || failing || clock_ms() >= until)
            break;
        if (atomic_load(cancel))
            return TAPE_CANCELLED;
        if (!asked) {
            cartridge_poke(d->c); /* which posts progress itself */
            asked = true;
            continue;
        }
        progress_wait(&e->progress, seen, 500);
    }
    d->claim_asked = true;
    return TAPE_OK;
}
