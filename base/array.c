/* SPDX-License-Identifier: GPL-2.0-or-later */
/* array.c: see array.h. */
#include "base/array.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool array_grow(void *array, size_t *room, size_t size)
{
    enum { FIRST = 256 }; /* bytes */
    size_t more = *room ? 2 * *room : size < FIRST ? FIRST / size : 1;
    void *p;
    if (*room > SIZE_MAX / 2 / size)
        return false;
    memcpy(&p, array, sizeof(p)); /* it is of another type: struct thing * */
    p = realloc(p, more * size);
    if (!p)
        return false;
    memcpy(array, &p, sizeof(p));
    *room = more;
    return true;
}
