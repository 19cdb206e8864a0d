/* SPDX-License-Identifier: GPL-2.0-or-later */
/* log.h: the log: lines on standard error, which the service manager keeps. */
#ifndef S3VTL_LOG_H
#define S3VTL_LOG_H

/* One line: "s3vtl: ...", cut at 900 characters. Any thread. */
void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same of a whole text: for who wants to be told what the operator might want to know. */
static inline void log_note(const char *line)
{
    log_line("%s", line);
}

#endif
