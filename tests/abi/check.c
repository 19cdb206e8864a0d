/* SPDX-License-Identifier: GPL-2.0-or-later */
/* check.c: our facts about tgt against its own headers. It compiles, or names the fact that is wrong. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "list.h"
#include "tgtd.h"
#include "target.h"
#include "driver.h"
#include "tgtadm.h"
#include "iscsi/iscsid.h"

/* tgt's list.h has one that is no constant. */
#undef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)

#define ABI_CHECKED
#include "vtl/target/tgt_abi.h"
#include "vtl/cmd/tgtadm_abi.h"

#define KEY_SIZE(name, size) _Static_assert(sizeof(#name) && (size) > 0, #name);
TGT_DATA(KEY_SIZE)
_Static_assert(sizeof(struct iscsi_key) == 32, "session_keys");
