/* SPDX-License-Identifier: GPL-2.0-or-later */
/* process.c: see process.h. */
#include "tests/twins/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/twins/gateway.h"

static _Noreturn void give_up(const char *what)
{
    perror(what);
    exit(2);
}

int process_run(const char *file, char *const argv[])
{
    int status = 0;
    pid_t pid = fork();
    if (!pid) {
        int fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
            _exit(127);
        execvp(argv[0], argv);
        _exit(127);
    }
    if (waitpid(pid, &status, 0) != pid)
        give_up(argv[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void log_path(const struct round *r, unsigned i, char path[PATH_ROOM])
{
    (void)snprintf(path, PATH_ROOM, "%s/%u.log", r->root, i);
}

static _Noreturn void become(const struct round *r, unsigned i, bool rebuild, int in, int out)
{
    char conf[PATH_ROOM], log[PATH_ROOM], fd[16];
    log_path(r, i, log);
    int to = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (to < 0 || dup2(to, 2) < 0 || dup2(in, 0) < 0 || fcntl(out, F_SETFD, 0))
        _exit(2);
    (void)snprintf(conf, sizeof(conf), "%s/%u.conf", r->root, i);
    (void)snprintf(fd, sizeof(fd), "%d", out);
    execl("/proc/self/exe", "twins", "--gateway", conf, rebuild ? "rebuild" : "state", fd, (char *)NULL);
    _exit(2);
}

void process_start(struct round *r, unsigned i, bool rebuild)
{
    int to[2], from[2];
    char log[PATH_ROOM];
    struct stat st;
    log_path(r, i, log);
    r->g[i].log_from = stat(log, &st) ? 0 : (long)st.st_size;
    /* Closed in all children: a gateway must not hold another's pipe open. */
    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
        give_up("pipe");
    pid_t pid = fork();
    if (!pid)
        become(r, i, rebuild, to[0], from[1]);
    (void)close(to[0]);
    (void)close(from[1]);
    r->g[i].pid = pid;
    r->g[i].to = to[1];
    r->g[i].from = from[0];
    r->g[i].out = false;
}

void process_send(struct round *r, unsigned i, const char *fmt, ...)
{
    char line[200];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
    va_end(ap);
    line[n++] = '\n';
    r->g[i].asked_at = clock_ms();
    if (write(r->g[i].to, line, (size_t)n) != n)
        round_fault(r, FAULT_DAMAGE, "gateway %u is gone: it did not take \"%.*s\"", i, n - 1, line);
}

int process_answer(struct round *r, unsigned i, unsigned timeout_ms, char *text)
{
    static char line[GATEWAY_LINE + 20];
    struct gateway *g = &r->g[i];
    size_t n = 0;
    uint64_t until = clock_ms() + timeout_ms;
    while (n == 0 || line[n - 1] != '\n') {
        struct pollfd p = {.fd = g->from, .events = POLLIN};
        uint64_t now = clock_ms();
        ssize_t got =
            now < until && poll(&p, 1, (int)(until - now)) == 1 ? read(g->from, line + n, sizeof(line) - 1 - n) : -1;
        if (got <= 0) {
            if (got == 0)
                round_fault(r, FAULT_DAMAGE, "gateway %u ended without an answer", i);
            round_kill(r, i);
            return -1;
        }
        n += (size_t)got;
    }
    line[n - 1] = '\0';
    char *rest = strchr(line, ' ');
    (void)snprintf(text, GATEWAY_LINE, "%s", rest ? rest + 1 : "");
    return abs(atoi(line));
}

bool process_complained(const struct round *r, unsigned i)
{
    static const char *const words[] = {"older than", "second copy", "owned by", "another gateway", "other gateway"};
    char path[PATH_ROOM], line[2000];
    bool found = false;
    log_path(r, i, path);
    FILE *f = fopen(path, "re");
    if (!f || fseek(f, r->g[i].log_from, SEEK_SET))
        give_up(path);
    while (!found && fgets(line, sizeof(line), f))
        for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++)
            found = found || strstr(line, words[w]);
    (void)fclose(f);
    return found;
}
