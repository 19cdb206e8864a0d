/* SPDX-License-Identifier: GPL-2.0-or-later */
/* db_private.h: what the files of the SQLite state share; nobody else includes it. */
#ifndef S3VTL_DB_PRIVATE_H
#define S3VTL_DB_PRIVATE_H

#include <sqlite3.h>

#include "base/lock.h"
#include "vtl/state/db.h"

struct db {
    sqlite3 *sql;
    struct lock lock; /* one transaction or query at a time */
};

/* A statement that ends with its block. */
#define DB_STMT __attribute__((cleanup(db_finalize))) sqlite3_stmt *

sqlite3_stmt *db_prepare(struct db *db, const char *sql); /* NULL on failure: db_step then says -EIO */
void db_finalize(sqlite3_stmt **st);
int db_exec(struct db *db, const char *sql);
int db_errno(int sqlite_rc);
int db_step(sqlite3_stmt *st); /* 0 or a negative errno */
/* Takes the lock and begins; on failure the lock is not held. */
int db_begin(struct db *db);
/* Commits if rc is 0, else rolls back; releases the lock; returns the first error. */
int db_end(struct db *db, int rc);
/* Within a transaction: */
int db_cartridge_write(struct db *db, const struct db_cartridge *c);
int db_cartridge_insert(struct db *db, struct db_cartridge *c, uint16_t address);
int db_cartridge_delete(struct db *db, int64_t rowid, const char *barcode);

#endif
