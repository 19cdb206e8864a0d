/* SPDX-License-Identifier: GPL-2.0-or-later */
/* failure_help.h: disks and states that fail, for tests on library_rig.h, and what the program logs then. */
#ifndef S3VTL_TEST_FAILURE_HELP_H
#define S3VTL_TEST_FAILURE_HELP_H

#include "tests/unit/library_rig.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>

#include "base/log.h"

static inline struct library *with_tape(const struct vtl_config *c, const char *barcode)
{
    struct library *lib = new_library(c, barcode);
    move(lib, SLOT, DRIVE);
    return lib;
}

static inline bool sync_is_good(void *d)
{
    return library_drive_ops()->write_filemarks(d, 0, false, &never) == TAPE_OK;
}

/* ---- the disk ---- */

/* No file grows beyond size from now on: what is written behind it fails (EFBIG). */
static struct rlimit old_limit;
static inline void files_end_at(rlim_t size)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
    const struct rlimit limit = {size, old_limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static inline void disk_breaks(void)
{
    files_end_at(0);
}

static inline void disk_works(void)
{
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
}

/* ---- the state ---- */

static inline void run_sql(const char *state, const char *sql)
{
    char path[120];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof(path), "%s/%s/state.db", dir, state);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

#define STATE_ERROR "the test wants this to fail"
/* INSERT, UPDATE or DELETE of a table fails from now on, with STATE_ERROR. */
static inline void state_refuses(const char *state, const char *what, const char *table)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "CREATE TRIGGER refused BEFORE %s ON %s BEGIN SELECT RAISE(ABORT, '" STATE_ERROR "'); END", what,
                   table);
    run_sql(state, sql);
}

static inline void state_works(const char *state)
{
    run_sql(state, "DROP TRIGGER refused");
}

/* ---- the log ---- */

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static char logged[1 << 16];
static size_t logged_len;

/* These two are in place of base/log.c, which the linker leaves out then. */
void log_note(enum log_level level, const char *line)
{
    (void)fprintf(stderr, "<%d>s3vtl: %s\n", (int)level, line);
    (void)pthread_mutex_lock(&log_mutex);
    if (logged_len + strlen(line) + 2 < sizeof(logged))
        logged_len += (size_t)snprintf(logged + logged_len, sizeof(logged) - logged_len, "%s\n", line);
    (void)pthread_mutex_unlock(&log_mutex);
}

void log_at(enum log_level level, const char *fmt, ...)
{
    char line[900];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    log_note(level, line);
}

static inline void forget_log(void)
{
    (void)pthread_mutex_lock(&log_mutex);
    logged_len = 0;
    logged[0] = '\0';
    (void)pthread_mutex_unlock(&log_mutex);
}

/* How often was this logged since forget_log? */
static inline unsigned times_logged(const char *text)
{
    unsigned n = 0;
    (void)pthread_mutex_lock(&log_mutex);
    for (const char *p = logged; (p = strstr(p, text)); p++)
        n++;
    (void)pthread_mutex_unlock(&log_mutex);
    return n;
}

/* ---- the store ---- */

/* Where a directory of the store is, a file is, or no longer. */
static inline void store_lacks(const char *name, bool lacks)
{
    char path[120], aside[140];
    (void)snprintf(path, sizeof(path), "%s/store/tapes/STO001L8/%s", dir, name);
    (void)snprintf(aside, sizeof(aside), "%s.aside", path);
    if (!lacks)
        assert_int_equal(remove(path), 0);
    assert_int_equal(rename(lacks ? path : aside, lacks ? aside : path), 0);
    if (lacks)
        fclose(fopen(path, "w"));
}

#endif
