/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spawn.c: see spawn.h. */
#include "vtl/cmd/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

extern char **environ;

/* Threads here have all signals blocked, and serve ignores SIGPIPE: neither is to be inherited. */
static int set_signals(posix_spawnattr_t *attr)
{
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    int rc = posix_spawnattr_setsigmask(attr, &none);
    if (!rc)
        rc = posix_spawnattr_setsigdefault(attr, &defaults);
    if (!rc)
        rc = posix_spawnattr_setpgroup(attr, 0);
    if (!rc)
        rc = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    return rc;
}

/* All others of ours are close-on-exec, but for what this process inherited itself. */
static int set_files(posix_spawn_file_actions_t *files, int input)
{
    int rc = posix_spawn_file_actions_adddup2(files, input, STDIN_FILENO);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(files, STDERR_FILENO, STDOUT_FILENO);
    if (!rc)
        rc = posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
    return rc;
}

int spawn_with_input(char *const argv[], char *const env[], pid_t *pid, int *in)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return -errno;
    int rc = posix_spawn_file_actions_init(&files), attr_rc = posix_spawnattr_init(&attr);
    if (!rc && !attr_rc) {
        rc = set_files(&files, ends[0]);
        if (!rc)
            rc = set_signals(&attr);
        if (!rc)
            rc = posix_spawn(pid, argv[0], &files, &attr, argv, env ? env : environ);
    }
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&files);
    close(ends[0]);
    if (rc || attr_rc) {
        close(ends[1]);
        return -(rc ? rc : attr_rc);
    }
    *in = ends[1];
    return 0;
}
