/* SPDX-License-Identifier: GPL-2.0-or-later */
/* version.h: the version, for the command and for INQUIRY. */
#ifndef S3VTL_VERSION_H
#define S3VTL_VERSION_H

#define S3VTL_VERSION "0.1.0"
#define S3VTL_REVISION "0010" /* PRODUCT REVISION LEVEL, four characters: the version's digits */

#endif
