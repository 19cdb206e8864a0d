/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow_age.c: see escrow_age.h. */
#include "vtl/cmd/escrow_age.h"

#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/human.h"
#include "vtl/cmd/members.h"

enum {
    TOO_OLD_S = 24 * 3600,
    PATIENCE_S = 6 * 3600, /* so long a job may keep everything from being off-site */
};

/* Each commit has a head of its own. Nothing written needs no escrow, to whatever key. */
uint32_t escrow_content_of(const json_t *cartridges, const char *key, const char *where)
{
    uint32_t sum = 0;
    json_t *c;
    size_t i;
    if (json_array_size(cartridges))
        sum = crc32c(crc32c(sum, key, strlen(key) + 1), where, strlen(where) + 1);
    json_array_foreach(cartridges, i, c)
    {
        const char *barcode = member_text(c, "barcode"), *head = member_text(c, "head");
        sum = crc32c(crc32c(sum, barcode, strlen(barcode) + 1), head, strlen(head) + 1);
    }
    return sum;
}

uint32_t escrow_names_of(const json_t *cartridges)
{
    uint32_t sum = escrow_content_of(cartridges, "", "");
    json_t *c;
    size_t i;
    json_array_foreach(cartridges, i, c)
    {
        uint64_t address = member_number(c, "address");
        sum = crc32c(sum, &address, sizeof(address));
    }
    return sum;
}

/* Where nobody noted it, since the last one at most. */
uint64_t escrow_waits_since(const struct escrow_last *last, uint32_t content)
{
    return last->content == content ? 0 : last->changed ? last->changed : last->created;
}

bool escrow_is_old(const struct escrow_last *last, uint32_t content, uint64_t now, char *text, size_t room)
{
    char age[HUMAN_ROOM], missing[HUMAN_ROOM];
    uint64_t since = escrow_waits_since(last, content);
    text[0] = '\0';
    if (last->failed)
        (void)snprintf(text, room, "no escrow could be made for %s: %s",
                       human_duration(now > last->failed ? now - last->failed : 0, age), last->why);
    else if (!last->created && content)
        (void)snprintf(text, room, "no escrow has been made from here yet: \"s3vtl escrow run\" makes one");
    else if (since && now > since + TOO_OLD_S)
        (void)snprintf(text, room,
                       "the newest escrow is %s old, and cartridges were written since, or its key or place is another "
                       "one: run \"s3vtl escrow run\"",
                       human_duration(now > last->created ? now - last->created : 0, age));
    else if (last->created && !last->whole)
        (void)snprintf(text, room, "the newest escrow names %s that were not off-site yet: run \"s3vtl escrow run\"",
                       last->missing ? human_size(last->missing, missing) : "objects");
    return text[0];
}

/* A moment to come was noted by a clock that was ahead: nobody knows how long ago it was. */
static bool has_gone_by(uint64_t now, uint64_t since, uint64_t seconds)
{
    return since > now || now - since >= seconds;
}

bool escrow_is_due(const struct escrow_due *d, const struct escrow_last *last, uint32_t content)
{
    uint64_t since = escrow_waits_since(last, content);
    bool wanted = content != last->content || (last->created && !last->whole);
    if (!wanted || d->waits || !has_gone_by(d->now, last->created, d->every))
        return false;
    return d->offsite || (since && has_gone_by(d->now, since, d->every > PATIENCE_S ? d->every : PATIENCE_S));
}
