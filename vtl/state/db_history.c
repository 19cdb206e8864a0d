/* SPDX-License-Identifier: GPL-2.0-or-later */
/* db_history.c: the gateway's state in SQLite: who wrote what, and what trouble there was, for the report. Nothing here
 * is needed to read or write a tape: a damaged row of it is told, and is in nobody's way. */
#include <string.h>
#include <time.h>

#include "base/lock.h"
#include "vtl/state/db_private.h"

int db_history_tables(struct db *db)
{
    static const char tables[] =
        "CREATE TABLE IF NOT EXISTS written(id BLOB NOT NULL, began INTEGER NOT NULL, run INTEGER NOT NULL,"
        " barcode TEXT NOT NULL,"
        " host TEXT NOT NULL, address TEXT NOT NULL, last INTEGER NOT NULL, bytes INTEGER NOT NULL,"
        " synced INTEGER NOT NULL, accepted INTEGER NOT NULL, sum INTEGER NOT NULL DEFAULT 0,"
        " PRIMARY KEY(id, began, run)) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS happening(number INTEGER PRIMARY KEY, event TEXT NOT NULL, text TEXT NOT NULL,"
        " began INTEGER NOT NULL, told INTEGER NOT NULL, ended INTEGER NOT NULL, sum INTEGER NOT NULL DEFAULT 0);";
    int rc = db_exec(db, tables);
    return rc ? rc : db_sums_make(db);
}

static void copy_text(sqlite3_stmt *st, int col, char *out, size_t room)
{
    const char *text = (const char *)sqlite3_column_text(st, col);
    (void)snprintf(out, room, "%s", text ? text : "");
}

static uint64_t number_at(sqlite3_stmt *st, int col)
{
    return (uint64_t)sqlite3_column_int64(st, col);
}

/* ---- who wrote ---- */

/* In place of the row that there is, and not by changing it: a damaged one stops no sync. */
int db_written_put(struct db *db, const struct db_written *w)
{
    if (!w || !w->bytes)
        return 0;
    DB_STMT st = db_prepare(
        db, "INSERT OR REPLACE INTO written(id, began, barcode, host, address, last, bytes, synced, accepted, run)"
            " VALUES(?,?,?,?,?,?,?,?,?,?)");
    if (st) {
        sqlite3_bind_blob(st, 1, w->id, sizeof(w->id), SQLITE_STATIC);
        sqlite3_bind_int64(st, 2, (int64_t)w->began);
        sqlite3_bind_text(st, 3, w->barcode, -1, SQLITE_STATIC);
        sqlite3_bind_text(st, 4, w->host, -1, SQLITE_STATIC);
        sqlite3_bind_text(st, 5, w->address, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 6, (int64_t)w->last);
        sqlite3_bind_int64(st, 7, (int64_t)w->bytes);
        sqlite3_bind_int64(st, 8, (int64_t)w->synced);
        sqlite3_bind_int64(st, 9, (int64_t)w->accepted);
        sqlite3_bind_int64(st, 10, w->run);
    }
    return db_step(db, st);
}

int db_written_accepted(struct db *db, const struct db_cartridge *c)
{
    DB_STMT st =
        db_prepare_summed(db, DB_WRITTEN, "UPDATE written SET accepted=? WHERE id=? AND accepted=0 AND sum IS %s");
    if (st) {
        sqlite3_bind_int64(st, 1, (int64_t)time(NULL));
        sqlite3_bind_blob(st, 2, c->id, sizeof(c->id), SQLITE_STATIC);
    }
    return db_step(db, st);
}

static int each_written(struct db *db, uint64_t since, int (*fn)(void *arg, const struct db_written *w), void *arg)
{
    DB_STMT st = db_prepare_summed(db, DB_WRITTEN,
                                   "SELECT id, began, barcode, host, address, last, bytes, synced, accepted, sum IS %s"
                                   " FROM written WHERE last>=? ORDER BY began, last, barcode");
    int rc;
    if (st)
        sqlite3_bind_int64(st, 1, (int64_t)since);
    while ((rc = db_row(db, st)) > 0) {
        struct db_written w = {.began = number_at(st, 1),
                               .last = number_at(st, 5),
                               .bytes = number_at(st, 6),
                               .synced = number_at(st, 7),
                               .accepted = number_at(st, 8),
                               .damaged = !sqlite3_column_int(st, 9)};
        if (sqlite3_column_bytes(st, 0) == sizeof(w.id))
            memcpy(w.id, sqlite3_column_blob(st, 0), sizeof(w.id));
        copy_text(st, 2, w.barcode, sizeof(w.barcode));
        copy_text(st, 3, w.host, sizeof(w.host));
        copy_text(st, 4, w.address, sizeof(w.address));
        if ((rc = fn(arg, &w)))
            break;
    }
    return rc;
}

int db_written(struct db *db, uint64_t since, int (*fn)(void *arg, const struct db_written *w), void *arg)
{
    db_enter(db);
    return db_leave(db, each_written(db, since, fn, arg));
}

/* ---- what happened ---- */

static int put_happening(struct db *db, struct db_happening *h)
{
    DB_STMT st =
        db_prepare(db, "INSERT OR REPLACE INTO happening(number, event, text, began, told, ended) VALUES(?,?,?,?,?,?)");
    if (st) {
        if (h->number) /* NULL: SQLite chooses one */
            sqlite3_bind_int64(st, 1, h->number);
        sqlite3_bind_text(st, 2, h->event, -1, SQLITE_STATIC);
        sqlite3_bind_text(st, 3, h->text, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 4, (int64_t)h->began);
        sqlite3_bind_int64(st, 5, (int64_t)h->told);
        sqlite3_bind_int64(st, 6, (int64_t)h->ended);
    }
    int rc = db_step(db, st);
    if (!rc && !h->number)
        h->number = sqlite3_last_insert_rowid(db->sql);
    return rc;
}

int db_happening_put(struct db *db, struct db_happening *h)
{
    int rc = db_begin(db);
    return rc ? rc : db_end(db, put_happening(db, h));
}

static int each_happening(struct db *db, uint64_t since, int (*fn)(void *arg, const struct db_happening *h), void *arg)
{
    DB_STMT st = db_prepare_summed(db, DB_HAPPENING,
                                   "SELECT number, event, text, began, told, ended, sum IS %s FROM happening"
                                   " WHERE ended=0 OR ended>=? ORDER BY began, number");
    int rc;
    if (st)
        sqlite3_bind_int64(st, 1, (int64_t)since);
    while ((rc = db_row(db, st)) > 0) {
        struct db_happening h = {.number = sqlite3_column_int64(st, 0),
                                 .began = number_at(st, 3),
                                 .told = number_at(st, 4),
                                 .ended = number_at(st, 5),
                                 .damaged = !sqlite3_column_int(st, 6)};
        copy_text(st, 1, h.event, sizeof(h.event));
        copy_text(st, 2, h.text, sizeof(h.text));
        if ((rc = fn(arg, &h)))
            break;
    }
    return rc;
}

int db_happenings(struct db *db, uint64_t since, int (*fn)(void *arg, const struct db_happening *h), void *arg)
{
    db_enter(db);
    return db_leave(db, each_happening(db, since, fn, arg));
}

static int newest(struct db *db, uint64_t *out)
{
    DB_STMT st = db_prepare(db, "SELECT max((SELECT ifnull(max(last), 0) FROM written),"
                                " (SELECT ifnull(max(max(began, ended)), 0) FROM happening))");
    int rc = db_row(db, st);
    *out = rc > 0 ? number_at(st, 0) : 0;
    return rc < 0 ? rc : 0;
}

static int forget(struct db *db, const char *sql, uint64_t before)
{
    DB_STMT st = db_prepare(db, sql);
    if (st)
        sqlite3_bind_int64(st, 1, (int64_t)before);
    return db_step(db, st);
}

int db_history_forget(struct db *db, uint64_t now, uint64_t seconds)
{
    uint64_t last;
    int rc = db_begin(db);
    if (rc)
        return rc;
    rc = newest(db, &last);
    last = now < last ? now : last;
    uint64_t before = last > seconds ? last - seconds : 0;
    if (!rc)
        rc = forget(db, "DELETE FROM written WHERE last<?", before);
    return db_end(db, rc ? rc : forget(db, "DELETE FROM happening WHERE ended<>0 AND ended<?", before));
}
