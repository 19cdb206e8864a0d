/* SPDX-License-Identifier: GPL-2.0-or-later */
/* db_call.c: one call of the state at a time: its statements, its transaction, and why it failed. */
#include "vtl/state/db_private.h"

#include <errno.h>
#include <string.h>

/* ---- one call at a time, and why the last one failed ---- */

/* Of the thread, so that what others do at the same time changes nothing of it. */
static _Thread_local struct {
    const struct db *db;
    char text[300]; /* "": it did not fail */
} last;

const char *db_error(struct db *db)
{
    return last.db == db ? last.text : "";
}

void db_enter(struct db *db)
{
    lock_take(&db->lock);
    last.db = db;
    last.text[0] = '\0';
}

int db_leave(struct db *db, int rc)
{
    lock_assert_held(&db->lock);
    if (rc < 0 && !last.text[0])
        (void)snprintf(last.text, sizeof(last.text), "%s", strerror(-rc));
    lock_release(&db->lock);
    return rc;
}

static int to_errno(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return 0;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_CONSTRAINT:
        return -EEXIST;
    default:
        return -EIO;
    }
}

/* The errno of SQLite's result. The first failure is the cause, and SQLite forgets its text with the next call (a
 * ROLLBACK). */
int db_result(struct db *db, int sqlite_rc)
{
    lock_assert_held(&db->lock);
    int rc = to_errno(sqlite_rc), kind = sqlite_rc & 0xff;
    if (kind == SQLITE_CONSTRAINT && sqlite3_extended_errcode(db->sql) == SQLITE_CONSTRAINT_TRIGGER)
        rc = -EBADMSG; /* a row that was not to be trusted (db_sums.c) */
    int cause = db->sql ? sqlite3_system_errno(db->sql) : 0;
    if (kind == SQLITE_IOERR && cause == EDQUOT) /* to SQLite only ENOSPC is a full disk */
        rc = -EDQUOT;
    if (!rc || last.text[0])
        return rc;
    bool of_system = cause && (kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN);
    bool malformed = kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB;
    db->disk_failed = db->disk_failed || kind == SQLITE_IOERR;
    /* What SQLite could not read or write it may take for damage from then on. */
    const char *more = of_system ? strerror(cause)
                       : malformed && db->disk_failed
                           ? "the disk failed before that: mend it, then start the library again"
                       : malformed || rc == -EBADMSG ? DB_WAY_OUT
                                                     : "";
    (void)snprintf(last.text, sizeof(last.text), "%s%s%s", db->sql ? sqlite3_errmsg(db->sql) : "out of memory",
                   more[0] ? ": " : "", more);
    return rc;
}

sqlite3_stmt *db_prepare(struct db *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    return db_result(db, sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL)) ? NULL : st;
}

void db_finalize(sqlite3_stmt **st)
{
    sqlite3_finalize(*st);
}

int db_exec(struct db *db, const char *sql)
{
    return db_result(db, sqlite3_exec(db->sql, sql, NULL, NULL, NULL));
}

void db_bind_id(sqlite3_stmt *st, int p, const struct seg_id *id)
{
    sqlite3_bind_int64(st, p, (int64_t)id->epoch);
    sqlite3_bind_int64(st, p + 1, id->writer);
    sqlite3_bind_int64(st, p + 2, (int64_t)id->number);
}

int db_step(struct db *db, sqlite3_stmt *st)
{
    return st ? db_result(db, sqlite3_step(st)) : -EIO;
}

int db_step_again(struct db *db, sqlite3_stmt *st)
{
    int rc = db_step(db, st);
    (void)sqlite3_reset(st);
    return rc;
}

int db_row(struct db *db, sqlite3_stmt *st)
{
    int s = st ? sqlite3_step(st) : SQLITE_ERROR;
    return s == SQLITE_ROW ? 1 : st ? db_result(db, s) : -EIO;
}

/*
 * A COMMIT that fails may have left all of itself in the WAL: what failed is its sync, and whoever opens the state after a
 * crash finds it there, and does it. So it is in doubt until another transaction has taken its place in the WAL, which
 * any that changes something does.
 */
#define CHANGE_SOMETHING                                                                                               \
    "INSERT INTO meta VALUES('doubts','1') ON CONFLICT(key) DO UPDATE SET value=CAST(value AS INTEGER)+1"

int db_begin(struct db *db)
{
    db_enter(db);
    int rc = db_exec(db, "BEGIN IMMEDIATE");
    if (!rc && db->in_doubt && (rc = db_exec(db, CHANGE_SOMETHING)))
        return db_end(db, rc);
    return rc ? db_leave(db, rc) : 0;
}

int db_settle_doubt(struct db *db)
{
    db_enter(db);
    bool in_doubt = db->in_doubt;
    int rc = db_leave(db, 0);
    if (in_doubt)
        rc = db_begin(db);
    return in_doubt && !rc ? db_end(db, 0) : rc;
}

/* The end of a transaction without that of the call. */
int db_settle(struct db *db, int rc)
{
    if (!rc && (rc = db_exec(db, "COMMIT")))
        db->in_doubt = true;
    else if (!rc)
        db->in_doubt = false;
    if (rc && !sqlite3_get_autocommit(db->sql))
        (void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

int db_end(struct db *db, int rc)
{
    return db_leave(db, db_settle(db, rc));
}

int db_fail(struct db *db, int rc, const char *text)
{
    lock_assert_held(&db->lock);
    if (!last.text[0])
        (void)snprintf(last.text, sizeof(last.text), "%s", text);
    return rc;
}
