/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_step.c: a line of what s3vtl doctor finds, and a step that never waits silently. */
#include "vtl/cmd/doctor_step.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/jsontext.h"
#include "base/thread.h"

#define TELL_MS 5000  /* how often a step that gets on says so */
#define GRACE_MS 2000 /* for a step that was told to end */

static const char *const words[] = {
    [FINDING_GOOD] = "good", [FINDING_NOTE] = "note", [FINDING_WRONG] = "wrong", [FINDING_SKIPPED] = "skipped"};

void doctor_say(struct doctor *d, enum finding finding, const char *name, const char *mend, const char *fmt, ...)
{
    char text[1200];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    d->n_wrong += finding == FINDING_WRONG;
    if (d->json) {
        json_t *line = json_pack("{s:s, s:s, s:o}", "name", name, "is", words[finding], "text", json_text(text));
        if (line && mend)
            json_object_set_new(line, "mend", json_text(mend));
        json_array_append_new(d->lines, line);
        return;
    }
    if (d->quiet && finding != FINDING_WRONG)
        return;
    printf("%-7s %-12s %s\n", words[finding], name, text);
    if (mend)
        printf("%-7s %-12s mend: %s\n", "", "", mend);
    fflush(stdout);
}

/* ---- steps ---- */

/* On the heap: a step that is left behind still uses it. */
struct step {
    int (*fn)(void *arg);
    void *arg;
    int rc, done_fd;
};

static void *run_step(void *arg)
{
    struct step *s = arg;
    s->rc = s->fn(s->arg);
    (void)eventfd_write(s->done_fd, 1);
    return NULL;
}

static void tell_progress(const struct doctor *d, const char *name, uint64_t seconds)
{
    char size[32];
    uint64_t moved = atomic_load(&d->moved);
    if (d->quiet)
        return;
    if (moved)
        fprintf(stderr, "s3vtl: %s: %s in %llu s\n", name, human_size(moved, size), (unsigned long long)seconds);
    else
        fprintf(stderr, "s3vtl: %s: no answer for %llu s\n", name, (unsigned long long)seconds);
}

/* Waits until the step is done. 0, or why it is to end before. */
static int wait_for_step(struct doctor *d, const struct step *s, const char *name, uint64_t limit_ms)
{
    uint64_t began = clock_ms(), got_on = began, told = began, seen = atomic_load(&d->moved);
    for (;;) {
        struct pollfd fds[] = {{.fd = s->done_fd, .events = POLLIN}, {.fd = d->signals, .events = POLLIN}};
        (void)poll(fds, 2, 500);
        uint64_t now = clock_ms(), moved = atomic_load(&d->moved);
        if (fds[0].revents)
            return 0;
        if (fds[1].revents) {
            struct signalfd_siginfo taken;
            (void)!read(d->signals, &taken, sizeof(taken));
            return -EINTR;
        }
        if (moved != seen)
            got_on = now;
        seen = moved;
        if (now - got_on >= limit_ms || now - began >= DOCTOR_TRANSFER_MS)
            return -ETIMEDOUT;
        if (now - told >= TELL_MS) {
            told = now;
            tell_progress(d, name, (now - began) / 1000);
        }
    }
}

static bool ends_in_time(const struct step *s)
{
    struct pollfd fd = {.fd = s->done_fd, .events = POLLIN};
    return poll(&fd, 1, GRACE_MS) == 1;
}

int doctor_step(struct doctor *d, const char *name, int (*fn)(void *arg), void *arg)
{
    pthread_t thread = 0;
    struct step *s = d->left ? NULL : calloc(1, sizeof(*s));
    if (!s)
        return d->left ? -ETIMEDOUT : -ENOMEM;
    d->step = s;
    s->fn = fn;
    s->arg = arg;
    s->done_fd = eventfd(0, EFD_CLOEXEC);
    atomic_store(&d->cancel, false);
    atomic_store(&d->moved, 0);
    int rc = s->done_fd < 0 ? -errno : thread_start(&thread, "doctor", run_step, s);
    if (rc) {
        d->step = NULL;
        free(s);
        return rc;
    }
    rc = wait_for_step(d, s, name, DOCTOR_LIMIT_MS);
    d->interrupted = d->interrupted || rc == -EINTR;
    if (rc) {
        atomic_store(&d->cancel, true);
        d->left = !ends_in_time(s);
    }
    if (d->left) {
        pthread_detach(thread);
        return rc;
    }
    pthread_join(thread, NULL);
    rc = rc ? rc : s->rc;
    close(s->done_fd);
    d->step = NULL;
    free(s);
    return rc;
}
