/* SPDX-License-Identifier: GPL-2.0-or-later */
/* log.h: the log: lines on standard error, which the service manager keeps, each with its level. */
#ifndef S3VTL_LOG_H
#define S3VTL_LOG_H

#include <stdbool.h>

/* Those of syslog that are used. */
enum log_level {
    LOG_LEVEL_ERROR = 3,   /* something failed for good, or somebody has to act */
    LOG_LEVEL_WARNING = 4, /* it goes on, or is tried again: worth a look if it stays */
    LOG_LEVEL_NOTICE = 5,  /* what an operator will want to know later */
    LOG_LEVEL_INFO = 6     /* how it goes on */
};

/* In the environment of a process whose standard error somebody reads who passes its lines on: levels are wanted. */
#define LOG_LEVELS_WANTED "S3VTL_LOG_LEVELS"

/* One line: "s3vtl: ...", cut at 900 characters. Any thread. */
void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same of a whole text: for who wants to be told what the operator might want to know. */
void log_note(enum log_level level, const char *line);
/* Not log_error and log_warning: those are tgt's. */
#define log_err(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)

/* What stands before a line on standard error: "<3>" as systemd's sd-daemon(3) has it when that is the journal, or
 * levels are wanted; else "". */
const char *log_prefix(enum log_level level);
/* Takes the level off the front of a line: returns what follows. No level: *level stays. */
const char *log_take_level(const char *line, enum log_level *level);
/* Standard error is the stream that the service manager keeps in the journal. */
bool log_is_journal(void);

#endif
