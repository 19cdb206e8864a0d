/* SPDX-License-Identifier: GPL-2.0-or-later */
/* array.h: arrays that grow. */
#ifndef S3VTL_ARRAY_H
#define S3VTL_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Doubles the room of an array that is full. array: the address of the pointer to it, which may be NULL with *room 0; size: of an
 * element. False: out of memory, and all is as it was. So one more comes to v of n elements by
 *     if (n == room && !array_grow(&v, &room, sizeof(*v)))
 *         return -ENOMEM;
 *     v[n++] = ...
 */
bool array_grow(void *array, size_t *room, size_t size);

#endif
