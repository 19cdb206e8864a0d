/* SPDX-License-Identifier: GPL-2.0-or-later */
/* jsontext.h: any text as a JSON string. */
#ifndef S3VTL_JSONTEXT_H
#define S3VTL_JSONTEXT_H

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/utf8.h"

/* A new JSON string. jansson makes none of what is not UTF-8: that is mended. NULL when out of memory. */
static inline json_t *json_text(const char *s)
{
    json_t *j = json_string(s);
    char *copy = j ? NULL : strdup(s);
    if (copy) {
        utf8_mend(copy);
        j = json_string(copy);
    }
    free(copy);
    return j;
}

#endif
