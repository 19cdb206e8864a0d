/* SPDX-License-Identifier: GPL-2.0-or-later */
/* serve_log.c: copies tgtd's standard error to ours: with priorities, and without what is said at each start of any tgtd. */
#include "vtl/cmd/serve_log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"

/* What tgtd says at each start as a user without rights: hardware that iSCSI does without, and limits that its parent
 * raised as far as they go. Whoever reads a log for the first time takes these for what is wrong. */
static bool is_noise(const char *text)
{
    static const char *const parts[] = {"Failed to initialize RDMA", "can't adjust oom-killer's pardon",
                                        "can't adjust nr_open"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (strstr(text, parts[i]))
            return true;
    return false;
}

/* The module puts a level before each of its lines, tgtd none. A line without the name of its writer (s3vtl or tgtd) gets
 * tgtd's. */
static void pass_line(struct serve_log *l, const char *line)
{
    enum log_level level = LOG_LEVEL_INFO;
    const char *text = log_take_level(line, &level);
    if ((text == line && is_noise(text)) || !serve_log_wants(l, level))
        return;
    bool named = !strncmp(text, "s3vtl: ", 7) || !strncmp(text, "tgtd: ", 6);
    fprintf(stderr, "%s%s%s", log_prefix(level), named ? "" : "tgtd: ", text);
}

static void *pump(void *arg)
{
    struct serve_log *l = arg;
    FILE *f = fdopen(l->fd, "r");
    char line[2000];
    while (f && fgets(line, sizeof(line), f))
        pass_line(l, line);
    if (f)
        fclose(f);
    return NULL;
}

bool serve_log_wants(struct serve_log *l, enum log_level level)
{
    return (int)level <= atomic_load(&l->level);
}

void serve_log_set_level(struct serve_log *l, int level)
{
    if (level)
        atomic_store(&l->level, level);
}

int serve_log_start(struct serve_log *l, int fd)
{
    l->fd = fd;
    int rc = fd < 0 ? -EBADF : thread_start(&l->thread, "log", pump, l);
    if (rc)
        l->fd = -1;
    return rc;
}

void serve_log_end(struct serve_log *l)
{
    if (l->fd >= 0)
        pthread_join(l->thread, NULL);
    l->fd = -1;
}
