/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reload.h: the operation "reload". */
#ifndef S3VTL_RELOAD_H
#define S3VTL_RELOAD_H

#include "vtl/library/library.h"

/* Reads the configuration again, and the files that it names. {"file":, "changed":[{"key":,"was":,"now":}], "new_keys":bool,
 * "warning":text or null}, or NULL and *err, and nothing is changed. May ask the store; takes no lock but its own. */
json_t *library_reload(struct library *lib, const json_t *request, struct errtext *err);

#endif
