/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tgtadm_abi.h: what is to be known of a tgtd to manage it: its versions, and the messages of its management socket. Facts
 * that tests/abi/run compares with the source of the tgt that the system has. */
#ifndef S3VTL_TGTADM_ABI_H
#define S3VTL_TGTADM_ABI_H

#include "base/abi.h"

/* The module knows the structs of these (vtl/target/tgt_abi.h); none of them changed in between. */
#define TGT_VERSION_FIRST 85 /* 1.0.85 */
#define TGT_VERSION_LAST 97

/* clang-format off */
ABI_CONSTANT(MODE_SYSTEM, 0)
ABI_CONSTANT(MODE_TARGET, 1)
ABI_CONSTANT(MODE_DEVICE, 2)
ABI_CONSTANT(MODE_ACCOUNT, 7)
ABI_CONSTANT(OP_NEW, 0)
ABI_CONSTANT(OP_DELETE, 1)
ABI_CONSTANT(OP_BIND, 3)
ABI_CONSTANT(OP_UPDATE, 5)
ABI_CONSTANT(ACCOUNT_TYPE_INCOMING, 0)
ABI_CONSTANT(ACCOUNT_TYPE_OUTGOING, 1)
ABI_CONSTANT(TGTADM_SUCCESS, 0)

ABI_STRUCT(tgtadm_req, 120,
    AT(0, unsigned, mode)
    AT(4, unsigned, op)
    AT(8, typeof(char[64]), lld)
    AT(72, uint32_t, len) /* with the parameters that follow it */
    AT(76, int32_t, tid)
    AT(88, uint64_t, lun)
    AT(108, uint32_t, ac_dir)
    AT(116, uint32_t, force)
)
ABI_STRUCT(tgtadm_rsp, 8,
    AT(0, uint32_t, err)
    AT(4, uint32_t, len)
)
/* clang-format on */

#endif
