/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stray.h: looks for objects of the crash tests' cartridges that nobody will ever delete. */
#ifndef S3VTL_CRASH_STRAY_H
#define S3VTL_CRASH_STRAY_H

#include "vtl/config/config.h"

/* Nothing is left in the store that no head names and that does not wait to be deleted. The library is closed. Prints
 * what is. */
bool nothing_is_orphaned(const struct vtl_config *c);

#endif
