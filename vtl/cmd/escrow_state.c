/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow_state.c: which escrow was made last, and whether something has changed since; see escrow.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/jsontext.h"
#include "vtl/cmd/cmd.h"
#include "vtl/cmd/escrow.h"
#include "vtl/cmd/members.h"

enum { PATH_SIZE = 4200, LOCK_TRIES = 10, LOCK_PAUSE_MS = 50 };

static void state_path(const struct vtl_config *cfg, char path[PATH_SIZE], const char *suffix)
{
    (void)snprintf(path, PATH_SIZE, "%s/escrow%s", cfg->library.state_dir, suffix);
}

/* ---- what there is ---- */

bool escrow_is_needless(const struct vtl_config *cfg, const json_t *status)
{
    const char *kind = member_text(json_object_get(status, "store"), "kind");
    return strcmp(cfg->store.type, "s3") != 0 || !strcmp(cfg->store.kind, "s3") || !strcmp(kind, "s3");
}

bool escrow_is_undecided(const struct vtl_config *cfg, const json_t *status)
{
    const char *kind = member_text(json_object_get(status, "store"), "kind");
    return !escrow_is_needless(cfg, status) && !strcmp(cfg->store.kind, "auto") && strcmp(kind, "renterd") != 0 &&
           strcmp(kind, "s3d") != 0;
}

uint32_t escrow_content_now(const struct vtl_config *cfg, const json_t *cartridges)
{
    char where[ESCROW_WHERE];
    return escrow_content_of(cartridges, cfg->escrow.public_key, escrow_where(cfg, where));
}

json_t *escrow_cartridges(const struct vtl_config *cfg)
{
    json_t *r = call_library(cfg, json_pack("{s:s}", "op", "tape-list"));
    json_t *list = json_incref(json_object_get(r, "cartridges"));
    json_decref(r);
    return list;
}

int escrow_content(const struct vtl_config *cfg, uint32_t *out)
{
    json_t *list = escrow_cartridges(cfg);
    if (!list)
        return -EIO;
    *out = escrow_content_now(cfg, list);
    json_decref(list);
    return 0;
}

/* ---- what was made ---- */

static void take_text(const json_t *j, const char *key, char *buf, size_t room)
{
    const char *s = json_string_value(json_object_get(j, key));
    (void)snprintf(buf, room, "%s", s && strlen(s) < room ? s : "");
}

void escrow_last_read(const struct vtl_config *cfg, struct escrow_last *out)
{
    char path[PATH_SIZE];
    *out = (struct escrow_last){0};
    state_path(cfg, path, ".json");
    json_t *j = json_load_file(path, 0, NULL);
    if (!j)
        return; /* whatever became of it: then one is made */
    out->created = member_number(j, "created");
    out->missing = member_number(j, "missing");
    out->whole = !out->missing && !json_is_false(json_object_get(j, "whole"));
    out->content = (uint32_t)member_number(j, "content");
    out->changed = member_number(j, "changed");
    out->failed = member_number(j, "failed");
    take_text(j, "library", out->id, sizeof(out->id));
    take_text(j, "why", out->why, sizeof(out->why));
    json_decref(j);
}

int escrow_last_write(const struct vtl_config *cfg, const struct escrow_last *last, struct errtext *err)
{
    char path[PATH_SIZE], new[PATH_SIZE];
    json_t *j = json_pack("{s:s, s:I, s:I, s:b, s:I, s:I, s:I, s:o}", "library", last->id, "created",
                          (json_int_t)last->created, "missing", (json_int_t)last->missing, "whole", (int)last->whole,
                          "content", (json_int_t)last->content, "changed", (json_int_t)last->changed, "failed",
                          (json_int_t)last->failed, "why", json_text(last->why));
    state_path(cfg, path, ".json");
    state_path(cfg, new, ".json.new");
    bool written = j && !json_dump_file(j, new, JSON_COMPACT) && !rename(new, path);
    json_decref(j);
    return written ? 0 : errtext_set(err, -EIO, "%s cannot be written: %s", path, strerror(errno));
}

/* Who only notes something holds it for a moment. */
int escrow_lock(const struct vtl_config *cfg, struct errtext *err)
{
    char path[PATH_SIZE];
    state_path(cfg, path, ".lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), failed = fd < 0 ? errno : EWOULDBLOCK;
    for (unsigned i = 0; failed == EWOULDBLOCK && i < LOCK_TRIES; i++) {
        failed = flock(fd, LOCK_EX | LOCK_NB) ? errno : 0;
        if (failed == EWOULDBLOCK)
            nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_MS * 1000000L}, NULL);
    }
    if (!failed)
        return fd;
    if (fd >= 0)
        close(fd);
    return failed == EWOULDBLOCK
               ? errtext_set(err, -EBUSY, "an escrow is being made already, by another command or by serve")
               : errtext_set(err, -failed, "%s: %s", path, strerror(failed));
}

int escrow_list_own(const struct vtl_config *cfg, struct objstore *place, struct escrow_entry **out, size_t *n,
                    struct errtext *err)
{
    struct escrow_last last;
    escrow_last_read(cfg, &last);
    return escrow_list(place, last.id[0] ? last.id : NULL, out, n, NULL, err);
}

/* ---- how old it is ---- */

static uint64_t changed_at(const struct escrow_last *last, uint32_t content, uint64_t now)
{
    return last->content == content ? 0 : last->changed ? last->changed : now;
}

void escrow_note_content(const struct vtl_config *cfg, uint32_t content, uint64_t now, struct escrow_last *last)
{
    escrow_last_read(cfg, last);
    if (changed_at(last, content, now) == last->changed)
        return;
    int lock = escrow_lock(cfg, NULL);
    if (lock < 0)
        return; /* it is noted the next time, if it is still so */
    escrow_last_read(cfg, last);
    last->changed = changed_at(last, content, now);
    (void)escrow_last_write(cfg, last, NULL);
    close(lock);
}

bool escrow_tell_age(const struct vtl_config *cfg, char *text, size_t room)
{
    struct escrow_last last;
    uint32_t content = 0;
    escrow_last_read(cfg, &last);
    if (escrow_content(cfg, &content))
        content = last.content; /* why is told already */
    return escrow_is_old(&last, content, (uint64_t)time(NULL), text, room);
}

static json_t *time_or_null(uint64_t t)
{
    return t ? json_integer((json_int_t)t) : json_null();
}

void escrow_add(const struct vtl_config *cfg, json_t *status)
{
    struct escrow_last last;
    char text[500];
    if (!config_has_escrow(cfg) || escrow_is_needless(cfg, status))
        return;
    uint32_t content = escrow_content_now(cfg, json_object_get(status, "cartridges"));
    escrow_last_read(cfg, &last);
    bool old = escrow_is_old(&last, content, (uint64_t)time(NULL), text, sizeof(text));
    json_object_set_new(status, "escrow",
                        json_pack("{s:I, s:I, s:o, s:o, s:o}", "created", (json_int_t)last.created, "missing_bytes",
                                  (json_int_t)last.missing, "waiting_since",
                                  time_or_null(escrow_waits_since(&last, content)), "failed_since",
                                  time_or_null(last.failed), "trouble", old ? json_text(text) : json_null()));
}
