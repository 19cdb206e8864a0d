/* SPDX-License-Identifier: GPL-2.0-or-later */
/* crc32c.h: the sum of all stored formats; it lives with the store's client, which sends it along. */
#ifndef S3VTL_VTL_CRC32C_H
#define S3VTL_VTL_CRC32C_H

#include "s3backend/crc32c.h"

#endif
