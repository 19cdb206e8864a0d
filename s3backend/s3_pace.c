/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_pace.c: see s3_pace.h. */
#include "s3backend/s3_pace.h"

#include <stdio.h>
#include <time.h>

#include "base/lock.h"

enum { POLL_MS = 100 };

void s3_pace_init(struct s3_pace *p, unsigned most, void (*note)(enum log_level level, const char *line))
{
    *p = (struct s3_pace){.most = most, .limit = most, .note = note};
    lock_init(&p->lock, LOCK_S3_PACE);
    cond_init(&p->changed);
}

void s3_pace_fini(struct s3_pace *p)
{
    cond_fini(&p->changed);
    lock_fini(&p->lock);
}

static bool canceled(const atomic_bool *cancel)
{
    return cancel && atomic_load(cancel);
}

/* Nobody tells that *cancel changed. */
static void wait_a_little(struct s3_pace *p)
{
    lock_assert_held(&p->lock);
    (void)cond_wait_ms(&p->changed, &p->lock, POLL_MS);
}

bool s3_pace_enter(struct s3_pace *p, const atomic_bool *cancel, unsigned long *ticket)
{
    lock_take(&p->lock);
    while (p->running >= p->limit && !canceled(cancel))
        wait_a_little(p);
    bool in = !canceled(cancel);
    if (in)
        p->running++;
    *ticket = p->halved;
    lock_release(&p->lock);
    return in;
}

/* What to tell goes to line. */
static void fall(struct s3_pace *p, char *line, size_t room)
{
    lock_assert_held(&p->lock);
    p->good = 0;
    p->halved++;
    if (p->limit < 2)
        return;
    p->limit /= 2;
    if (!p->told)
        snprintf(line, room, "the store does not keep up: %u uploads at a time instead of %u, more when it does",
                 p->limit, p->most);
    p->told = true;
}

static void rise(struct s3_pace *p, char *line, size_t room)
{
    lock_assert_held(&p->lock);
    if (p->limit == p->most || ++p->good < p->limit)
        return;
    p->good = 0;
    p->limit++;
    if (p->limit == p->most && p->told) {
        snprintf(line, room, "the store keeps up again: %u uploads at a time", p->limit);
        p->told = false;
    }
}

void s3_pace_leave(struct s3_pace *p, unsigned long ticket, enum s3_pace_end end)
{
    char line[120] = "";
    lock_take(&p->lock);
    p->running--;
    if (end == S3_PACE_TAKEN)
        rise(p, line, sizeof(line));
    else if (end == S3_PACE_TOO_MUCH && ticket == p->halved)
        fall(p, line, sizeof(line));
    cond_broadcast(&p->changed);
    lock_release(&p->lock);
    if (line[0] && p->note)
        p->note(end == S3_PACE_TAKEN ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, line);
}

void s3_pace_set_most(struct s3_pace *p, unsigned most)
{
    lock_take(&p->lock);
    bool whole = p->limit == p->most;
    p->most = most;
    if (whole || p->limit >= most) {
        p->limit = most;
        p->told = false;
    }
    cond_broadcast(&p->changed);
    lock_release(&p->lock);
}

unsigned s3_pace_limit(struct s3_pace *p)
{
    lock_take(&p->lock);
    unsigned n = p->limit;
    lock_release(&p->lock);
    return n;
}
