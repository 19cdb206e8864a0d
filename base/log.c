/* SPDX-License-Identifier: GPL-2.0-or-later */
/* log.c: lines on standard error. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"

enum { LOG_LINE = 1000 };

/* $JOURNAL_STREAM is inherited also by who has another standard error: systemd.exec(5) says to compare. */
bool log_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && !fstat(STDERR_FILENO, &st) &&
           st.st_dev == device && st.st_ino == inode;
}

const char *log_prefix(enum log_level level)
{
    static const char *const prefixes[] = {
        [LOG_LEVEL_ERROR] = "<3>", [LOG_LEVEL_WARNING] = "<4>", [LOG_LEVEL_NOTICE] = "<5>", "<6>"};
    return getenv(LOG_LEVELS_WANTED) || log_is_journal() ? prefixes[level] : "";
}

const char *log_take_level(const char *line, enum log_level *level)
{
    if (line[0] != '<' || line[1] < '0' + LOG_LEVEL_ERROR || line[1] > '0' + LOG_LEVEL_INFO || line[2] != '>')
        return line;
    *level = (enum log_level)(line[1] - '0');
    return line + 3;
}

void log_note(enum log_level level, const char *line)
{
    char text[LOG_LINE];
    (void)snprintf(text, sizeof(text), "%s", line);
    utf8_mend(text);
    /* On a terminal a bar may be in its place. */
    (void)fprintf(stderr, "%ss3vtl: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : log_prefix(level), text);
}

void log_at(enum log_level level, const char *fmt, ...)
{
    char line[LOG_LINE];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    log_note(level, line);
}
