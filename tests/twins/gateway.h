/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gateway.h: what the process of a gateway and the referee say to each other. */
#ifndef S3VTL_TWINS_GATEWAY_H
#define S3VTL_TWINS_GATEWAY_H

#include <stdbool.h>

#define GATEWAY_LINE 16000
#define GATEWAY_WRONG_BYTES 99 /* instead of a tape_result: a block came that is none */

/* The gateway of a configuration, made from the bucket first if rebuild. Commands come from standard input. */
int gateway_main(const char *file, bool rebuild, int to_referee);

/* Writes the lender of a blank library. */
int gateway_fill(const char *file);

#endif
