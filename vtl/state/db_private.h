/* SPDX-License-Identifier: GPL-2.0-or-later */
/* db_private.h: what the files of the SQLite state share; nobody else includes it. */
#ifndef S3VTL_DB_PRIVATE_H
#define S3VTL_DB_PRIVATE_H

#include <sqlite3.h>

#include "base/lock.h"
#include "vtl/state/db.h"

/* lock: one transaction or query at a time, from db_enter to db_leave. It is held while a query gives its rows to its
 * caller, who may take what is below it (LOCK_RANKS: the elements, the spool), but call nothing of db.h. So a cartridge
 * of 300,000 segments is not in memory twice. */
struct db {
    sqlite3 *sql;
    struct lock lock;
};

/* A statement that ends with its block. */
#define DB_STMT __attribute__((cleanup(db_finalize))) sqlite3_stmt *

/* Takes the lock. All that follows is called with it held, but db_begin. */
void db_enter(struct db *db);
/* Releases it, and returns rc; db_error tells the first failure since db_enter. */
int db_leave(struct db *db, int rc);
/* db_enter, and begins a transaction; on failure it has left. */
int db_begin(struct db *db);
/* Commits if rc is 0, else rolls back; then db_leave. Returns the first error. */
int db_end(struct db *db, int rc);

sqlite3_stmt *db_prepare(struct db *db, const char *sql); /* NULL on failure: db_step and db_row then say -EIO */
void db_finalize(sqlite3_stmt **st);
int db_exec(struct db *db, const char *sql);
int db_step(struct db *db, sqlite3_stmt *st); /* 0 or a negative errno */
int db_row(struct db *db, sqlite3_stmt *st);  /* the next row: 1; behind the last: 0; or a negative errno */
/* Within a transaction: */
int db_cartridge_write(struct db *db, const struct db_cartridge *c);
int db_cartridge_insert(struct db *db, struct db_cartridge *c, uint16_t address);
int db_cartridge_delete(struct db *db, int64_t rowid, const char *barcode);
int db_cartridge_delete_rows(struct db *db, int64_t rowid); /* without its element */

#endif
