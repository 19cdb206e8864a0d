/* SPDX-License-Identifier: GPL-2.0-or-later */
/* members.h: members of the library's JSON, for what judges it and prints nothing. */
#ifndef S3VTL_CMD_MEMBERS_H
#define S3VTL_CMD_MEMBERS_H

#include <stdint.h>

#include <jansson.h>

/* 0 where there is none, or less. */
static inline uint64_t member_number(const json_t *j, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(j, key));
    return n > 0 ? (uint64_t)n : 0;
}

static inline double member_real(const json_t *j, const char *key)
{
    return json_number_value(json_object_get(j, key));
}

/* "" where there is none. Valid as long as j. */
static inline const char *member_text(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

#endif
