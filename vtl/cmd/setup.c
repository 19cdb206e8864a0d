/* SPDX-License-Identifier: GPL-2.0-or-later */
/* setup.c: s3vtl setup: hands over to the script beside this program, which asks, writes the configuration and serves. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vtl/cmd/cmd.h"

/* Beside this program, or where a build tree or a package has it. */
static bool find_script(char path[PATH_MAX], char self[PATH_MAX - 32])
{
    ssize_t n = readlink("/proc/self/exe", self, PATH_MAX - 33);
    if (n <= 0) /* no /proc */
        n = snprintf(self, PATH_MAX - 32, "/usr/lib/s3vtl/s3vtl");
    self[n] = '\0';
    int dir = (int)(strrchr(self, '/') - self);
    (void)snprintf(path, PATH_MAX, "%.*s/setup", dir, self);
    if (access(path, X_OK))
        (void)snprintf(path, PATH_MAX, "%.*s/../packaging/setup", dir, self);
    return !access(path, X_OK);
}

int cmd_setup(const struct command_line *given)
{
    struct command_line cl = *given;
    const char *answers = NULL;
    char path[PATH_MAX], self[PATH_MAX - 32];
    if (!take_value(&cl, "--answers", &answers) || !check_arguments(&cl, 0, false, "setup [--answers FILE]"))
        return EXIT_USAGE;
    if (!find_script(path, self))
        return fail("setup: its script is not beside this program: install s3vtl whole");
    (void)execl(path, path, self, cl.config_file, answers, (char *)NULL);
    return fail("%s: %s", path, strerror(errno));
}
