/* SPDX-License-Identifier: GPL-2.0-or-later */
/* notify_command.c: a message by a program of the admin's. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "vtl/cmd/notify.h"
#include "vtl/cmd/spawn.h"

extern char **environ;

const char *notify_state_name(enum notify_state state)
{
    static const char *const names[] = {"begins", "goes-on", "over", "test"};
    return names[state];
}

const char *notify_severity(const struct notify_message *m)
{
    enum event e = event_of(m->event);
    if (m->state == NOTIFY_OVER || m->state == NOTIFY_TEST)
        return "ok";
    return e == EVENT_DAMAGE || e == EVENT_FENCED || e == EVENT_SPOOL_LOST || e == EVENT_WRITE_LOST ||
                   e == EVENT_NO_ANSWER || e == EVENT_SERVICE_UNWELL
               ? "critical"
               : "warning";
}

void notify_line(const struct vtl_config *cfg, const struct notify_message *m, char line[NOTIFY_LINE])
{
    char host[65] = "?";
    (void)gethostname(host, sizeof(host) - 1);
    (void)snprintf(line, NOTIFY_LINE, "s3vtl %s on %s: %s %s: %s", cfg->library.name, host, m->event,
                   notify_state_name(m->state), m->text);
    for (char *p = line; *p; p++)
        *p = (unsigned char)*p < ' ' ? ' ' : *p;
}

/* ---- its environment ---- */

enum { VARIABLES = 8 };

/* Ours, but for what is a secret or the service manager's. */
static bool passes(const char *variable)
{
    static const char *const not [] = {"AWS_", "CREDENTIALS_DIRECTORY=", "NOTIFY_SOCKET=", "WATCHDOG_", "S3VTL_"};
    for (size_t i = 0; i < sizeof(not ) / sizeof(not [0]); i++)
        if (!strncmp(variable, not [i], strlen(not [i])))
            return false;
    return true;
}

static void free_environment(char **env, size_t n_ours)
{
    for (size_t i = 0; env && i < n_ours; i++)
        free(env[i]);
    free(env);
}

/* Ours first, n of them malloc'd. NULL when out of memory. */
static char **make_environment(const struct vtl_config *cfg, const struct notify_message *m)
{
    size_t n = 0, k = 0;
    char host[65] = "?";
    while (environ[n])
        n++;
    char **env = calloc(n + VARIABLES + 1, sizeof(*env));
    if (!env)
        return NULL;
    (void)gethostname(host, sizeof(host) - 1);
    int bad = asprintf(&env[k++], "S3VTL_EVENT=%s", m->event) < 0;
    bad |= asprintf(&env[k++], "S3VTL_STATE=%s", notify_state_name(m->state)) < 0;
    bad |= asprintf(&env[k++], "S3VTL_SEVERITY=%s", notify_severity(m)) < 0;
    bad |= asprintf(&env[k++], "S3VTL_LIBRARY=%s", cfg->library.name) < 0;
    bad |= asprintf(&env[k++], "S3VTL_HOST=%s", host) < 0;
    bad |= asprintf(&env[k++], "S3VTL_BEGAN=%" PRIu64, m->began) < 0;
    bad |= asprintf(&env[k++], "S3VTL_ENDED=%" PRIu64, m->ended) < 0;
    bad |= asprintf(&env[k++], "S3VTL_TEXT=%s", m->text) < 0;
    for (size_t i = 0; i < n; i++)
        if (passes(environ[i]))
            env[k++] = environ[i];
    if (bad) /* which of them is not known: they leak, in a process without memory */
        free(env);
    return bad ? NULL : env;
}

/* ---- its end ---- */

/* 0, or why it was not waited for: -ETIMEDOUT, -ECANCELED. */
static int wait_for_end(pid_t pid, unsigned limit_ms, int stop)
{
    int pidfd = pidfd_open(pid, 0), rc = 0;
    uint64_t until = clock_ms() + limit_ms, now;
    if (pidfd < 0)
        return -errno;
    struct pollfd p[2] = {{.fd = pidfd, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
    while (!p[0].revents && !rc) {
        now = clock_ms();
        if (p[1].revents)
            rc = -ECANCELED;
        else if (now >= until)
            rc = -ETIMEDOUT;
        else if (poll(p, 2, (int)(until - now)) < 0 && errno != EINTR)
            rc = -errno;
    }
    close(pidfd);
    return rc;
}

static int end_of(pid_t pid, unsigned limit_ms, int stop, const char *command, struct errtext *err)
{
    int status = 0, rc = wait_for_end(pid, limit_ms, stop);
    if (rc)
        (void)kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (rc == -ETIMEDOUT)
        return errtext_set(err, rc, "%s: killed: it did not end within %u s", command, limit_ms / 1000);
    if (rc)
        return errtext_set(err, rc, "%s: killed: %s", command, strerror(-rc));
    if (WIFEXITED(status) && !WEXITSTATUS(status))
        return 0;
    return errtext_set(err, -EIO, "%s: it ended with %s %d", command, WIFSIGNALED(status) ? "signal" : "status",
                       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

int notify_command(const struct vtl_config *cfg, const struct notify_message *m, unsigned limit_ms, int stop,
                   struct errtext *err)
{
    char line[NOTIFY_LINE + 1];
    char *argv[] = {cfg->notify.command, NULL};
    pid_t pid = 0;
    int in = -1;
    char **env = make_environment(cfg, m);
    if (!env)
        return errtext_set(err, -ENOMEM, "%s: out of memory", argv[0]);
    int rc = spawn_with_input(argv, env, &pid, &in);
    free_environment(env, VARIABLES);
    if (rc)
        return errtext_set(err, rc, "%s: %s", argv[0], strerror(-rc));
    notify_line(cfg, m, line);
    size_t n = strlen(line);
    line[n++] = '\n';
    (void)!write(in, line, n); /* a pipe takes that at once; who does not read it has it in its environment */
    close(in);
    return end_of(pid, limit_ms, stop, argv[0], err);
}
