/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow_state.c: which escrow was made last, and whether something has changed since; see escrow.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "vtl/cmd/cmd.h"
#include "vtl/cmd/escrow.h"

enum { TOO_OLD_S = 24 * 3600, PATH_SIZE = 4200 };

static void state_path(const struct vtl_config *cfg, char path[PATH_SIZE], const char *suffix)
{
    (void)snprintf(path, PATH_SIZE, "%s/escrow.json%s", cfg->library.state_dir, suffix);
}

/* Each commit has a head of its own. */
int escrow_content(const struct vtl_config *cfg, uint32_t *out)
{
    json_t *r = call_library(cfg, json_pack("{s:s}", "op", "tape-list")), *c;
    size_t i;
    if (!r)
        return -EIO;
    *out = 0;
    json_array_foreach(json_object_get(r, "cartridges"), i, c)
    {
        const char *barcode = json_words(c, "barcode"), *head = json_words(c, "head");
        *out = crc32c(crc32c(*out, barcode, strlen(barcode) + 1), head, strlen(head) + 1);
    }
    json_decref(r);
    return 0;
}

void escrow_last_read(const struct vtl_config *cfg, struct escrow_last *out)
{
    char path[PATH_SIZE];
    *out = (struct escrow_last){0};
    state_path(cfg, path, "");
    json_t *j = json_load_file(path, 0, NULL);
    if (!j)
        return; /* whatever became of it: then one is made */
    out->created = (uint64_t)json_number(j, "created");
    out->missing = (uint64_t)json_number(j, "missing");
    out->content = (uint32_t)json_number(j, "content");
    const char *id = json_string_value(json_object_get(j, "library"));
    (void)snprintf(out->id, sizeof(out->id), "%s", id && strlen(id) < sizeof(out->id) ? id : "");
    json_decref(j);
}

int escrow_last_write(const struct vtl_config *cfg, const struct escrow_last *last, struct errtext *err)
{
    char path[PATH_SIZE], new[PATH_SIZE];
    json_t *j = json_pack("{s:s, s:I, s:I, s:I}", "library", last->id, "created", (json_int_t)last->created, "missing",
                          (json_int_t)last->missing, "content", (json_int_t)last->content);
    state_path(cfg, path, "");
    state_path(cfg, new, ".new");
    bool written = j && !json_dump_file(j, new, JSON_COMPACT) && !rename(new, path);
    json_decref(j);
    return written ? 0
                   : errtext_set(err, -EIO, "the escrow is made, but %s cannot be written: %s", path, strerror(errno));
}

bool escrow_is_old(const struct escrow_last *last, uint32_t content, uint64_t now, char *text, size_t room)
{
    char age[HUMAN_ROOM], missing[HUMAN_ROOM];
    text[0] = '\0';
    if (!last->created)
        (void)snprintf(text, room, "no escrow has been made from here yet: \"s3vtl escrow run\" makes one");
    else if (last->content != content && now > last->created + TOO_OLD_S)
        (void)snprintf(text, room,
                       "the newest escrow is %s old, and cartridges were written since: run \"s3vtl escrow run\"",
                       human_duration(now - last->created, age));
    else if (last->missing)
        (void)snprintf(text, room, "the newest escrow names %s that were not off-site yet: run \"s3vtl escrow run\"",
                       human_size(last->missing, missing));
    return text[0];
}

bool escrow_tell_age(const struct vtl_config *cfg, char *text, size_t room)
{
    struct escrow_last last;
    uint32_t content = 0;
    escrow_last_read(cfg, &last);
    if (last.created && escrow_content(cfg, &content))
        content = last.content; /* why is told already */
    return escrow_is_old(&last, content, (uint64_t)time(NULL), text, room);
}
