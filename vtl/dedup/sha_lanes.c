/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sha_lanes.c: see sha_lanes.h. */
#include "vtl/dedup/sha_lanes.h"

#include <intel-ipsec-mb.h>

static IMB_MGR *manager_of(struct sha_lanes *l)
{
    return (IMB_MGR *)l;
}

struct sha_lanes *sha_lanes_new(void)
{
    IMB_MGR *m = alloc_mb_mgr(0);
    if (!m)
        return NULL;
    init_mb_mgr_auto(m, NULL);
    if (!imb_get_errno(m))
        return (struct sha_lanes *)m;
    free_mb_mgr(m);
    return NULL;
}

void sha_lanes_free(struct sha_lanes *l)
{
    if (l)
        free_mb_mgr(manager_of(l));
}

bool sha_lanes_digest(struct sha_lanes *l, const struct sha_message *messages, size_t n, uint8_t (*digests)[SHA_DIGEST])
{
    IMB_MGR *m = manager_of(l);
    IMB_JOB *job;
    size_t good = 0;
    for (size_t i = 0; i < n; i++) {
        job = IMB_GET_NEXT_JOB(m);
        *job = (IMB_JOB){.cipher_mode = IMB_CIPHER_NULL,
                         .cipher_direction = IMB_DIR_ENCRYPT,
                         .chain_order = IMB_ORDER_HASH_CIPHER,
                         .hash_alg = IMB_AUTH_SHA_256,
                         .src = messages[i].p,
                         .msg_len_to_hash_in_bytes = messages[i].n,
                         .auth_tag_output = digests[i],
                         .auth_tag_output_len_in_bytes = SHA_DIGEST};
        for (job = IMB_SUBMIT_JOB(m); job; job = IMB_GET_COMPLETED_JOB(m))
            good += job->status == IMB_STATUS_COMPLETED;
    }
    while ((job = IMB_FLUSH_JOB(m)))
        good += job->status == IMB_STATUS_COMPLETED;
    return good == n;
}
