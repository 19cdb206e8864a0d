/* SPDX-License-Identifier: GPL-2.0-or-later */
/* retention.c: until when a tape is locked, in its head; see head.h. */
#include <string.h>

#include "vtl/format/head_private.h"

static const char *const names[] = {"", "governance", "compliance"};

bool retention_holds(const struct retention *r, uint64_t now)
{
    return r->mode && now < r->until;
}

void retention_keep_compliance(const struct retention *ours, struct retention *r)
{
    if (ours->mode == RETENTION_COMPLIANCE && (r->mode != RETENTION_COMPLIANCE || r->until < ours->until))
        *r = *ours;
}

const char *retention_name(enum retention_mode mode)
{
    return names[mode];
}

bool retention_parse(const char *name, enum retention_mode *mode)
{
    for (int m = RETENTION_GOVERNANCE; name && m <= RETENTION_COMPLIANCE; m++)
        if (!strcmp(name, names[m])) {
            *mode = (enum retention_mode)m;
            return true;
        }
    return false;
}

const char *retention_wrong(const struct retention *r)
{
    bool possible = r->mode <= RETENTION_COMPLIANCE && r->until <= SEG_MAX_NUMBER && !r->mode == !r->until;
    return possible ? NULL : "retention";
}

bool retention_put(json_t *j, const char *name, const struct retention *r)
{
    return !json_object_set_new(j, name,
                                json_pack("{s:s, s:I}", "mode", names[r->mode], "until", (json_int_t)r->until));
}

bool retention_get(const json_t *j, const char *name, struct retention *r)
{
    const json_t *o = json_object_get(j, name), *until = json_object_get(o, "until");
    if (!retention_parse(json_string_value(json_object_get(o, "mode")), &r->mode) || !json_is_integer(until) ||
        json_integer_value(until) <= 0)
        return false;
    r->until = (uint64_t)json_integer_value(until);
    return true;
}
