/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guard.h: stands between tgtd's iSCSI parser and the network. */
#ifndef S3VTL_GUARD_H
#define S3VTL_GUARD_H

#include <stdbool.h>

/* To be called before tgtd's own constructors: it takes the place when tgtd starts its transports, before its first
 * portal is open. */
void guard_register(void);
bool guard_in_place(void);

#endif
