/* SPDX-License-Identifier: GPL-2.0-or-later */
/* element.h: what people call the elements, and their addresses. */
#ifndef S3VTL_ELEMENT_H
#define S3VTL_ELEMENT_H

#include <stdint.h>

#define ELEMENT_NAME_SIZE 32

/* "slot 3", "drive 1", "import/export 2", "transport"; address 0: "shelf". Returns buf. */
const char *element_name(uint16_t address, char buf[ELEMENT_NAME_SIZE]);
/* The address of what kind ("slot", "drive", "import/export") and number name, whether a library has it or not; 0 when
 * they name nothing. */
uint16_t element_address(const char *kind, const char *number);

#endif
