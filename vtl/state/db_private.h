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
enum db_summed {
    DB_ELEMENT,
    DB_CARTRIDGE,
    DB_SEGMENT,
    DB_MAP,
    DB_GARBAGE,
    DB_WRITTEN,
    DB_HAPPENING,
    DB_LEAN,
    DB_LEANER,
    DB_N_SUMMED
};

struct db {
    sqlite3 *sql;
    struct lock lock;
    bool in_doubt;           /* a COMMIT failed, and may be done all the same after a restart */
    bool disk_failed;        /* since it was opened */
    char *sums[DB_N_SUMMED]; /* of each table with sums: SQL for what a row's must be */
};

#define DB_WAY_OUT "\"s3vtl library rebuild --force\" sets it aside and recreates the state from the bucket"

/* A statement that ends with its block. */
#define DB_STMT __attribute__((cleanup(db_finalize))) sqlite3_stmt *

/* Takes the lock. All that follows is called with it held, but db_begin. */
void db_enter(struct db *db);
/* Releases it, and returns rc; db_error tells the first failure since db_enter. */
int db_leave(struct db *db, int rc);
/* db_enter, and begins a transaction; on failure it has left. */
int db_begin(struct db *db);
/* Commits if rc is 0, else rolls back. Returns the first error. */
int db_settle(struct db *db, int rc);
/* db_settle, then db_leave. */
int db_end(struct db *db, int rc);

/* The errno of SQLite's result; db_error tells why. */
int db_result(struct db *db, int sqlite_rc);
sqlite3_stmt *db_prepare(struct db *db, const char *sql); /* NULL on failure: db_step and db_row then say -EIO */
void db_finalize(sqlite3_stmt **st);
int db_exec(struct db *db, const char *sql);
/* A segment's name, as three parameters from p on. */
void db_bind_id(sqlite3_stmt *st, int p, const struct seg_id *id);
int db_step(struct db *db, sqlite3_stmt *st);       /* 0 or a negative errno */
int db_step_again(struct db *db, sqlite3_stmt *st); /* the same, and it can be bound and stepped once more */
int db_row(struct db *db, sqlite3_stmt *st);        /* the next row: 1; behind the last: 0; or a negative errno */
/* Sets the error's text, if there is none yet; returns rc. */
int db_fail(struct db *db, int rc, const char *text);

/*
 * ---- db_sums.c: a checksum in each row of every table but meta and damaged ----
 *
 * sum is the CRC32C of all other columns, and a cartridge's content the sum of those of its segments, maps and garbage, so
 * that a row that is gone is missed too. Triggers keep both with every change, whoever makes it, and let no damaged row
 * be changed, as it would look good from then on. Whoever reads a row checks it.
 */
int db_sums_begin(struct db *db); /* once the connection is open */
int db_sums_make(struct db *db);  /* triggers for the columns that there are, and the sums of all rows; in a step */
int db_sums_know(struct db *db);  /* after the last step */
void db_sums_end(struct db *db);
/* %s in sql, once for each of the tables from t on, becomes the sum that its row must have. */
sqlite3_stmt *db_prepare_summed(struct db *db, enum db_summed t, const char *sql);
/* Is column col (whether the sum is right) of this row true? Else -EBADMSG, and the text names table, row and way out. */
int db_check_row(struct db *db, sqlite3_stmt *st, int col, enum db_summed t, const char *row);
/* In a query of cartridge c: what content must be. */
#define DB_CONTENT_OF(table) "(SELECT coalesce(sum(x.sum),0) FROM " table " x WHERE x.cartridge=c.rowid)"
#define DB_CONTENT_6 "(" DB_CONTENT_OF("segment") "+" DB_CONTENT_OF("map") "+" DB_CONTENT_OF("garbage") ")"
#define DB_CONTENT "(" DB_CONTENT_6 "+" DB_CONTENT_OF("lean") "+" DB_CONTENT_OF("leaner") ")"

/* ---- db_leans.c; but for the first within a transaction ---- */
int db_leans_tables(struct db *db); /* makes its tables, and the sums of all; in a step */
int db_lean_insert(struct db *db, int64_t cartridge, const struct seg_id *segment, const struct seg_source *s);
/* The segment's leans, if it has neither a row nor a garbage row any more. unnamed: no head that counts names it, so that a
 * garbage row holds up nothing. */
int db_lean_forget(struct db *db, int64_t cartridge, const struct seg_id *segment, bool unnamed);
int db_lean_rename(struct db *db, int64_t cartridge, const struct seg_id *from, const struct seg_id *to);
int db_any_lean(struct db *db, int64_t cartridge, bool *any);
int db_check_leans(struct db *db, int64_t cartridge);
int db_each_leaner(struct db *db, int64_t source, int (*fn)(void *arg, const struct db_leaner *l), void *arg);
/* A head that lists just these is committed. */
int db_leaners_named(struct db *db, int64_t source, const struct head_leaner *v, size_t n);
int db_leans_restore(struct db *db, int64_t cartridge, const struct tape_index *x, const struct head *h);

/* ---- db_damaged.c; but for the first within a transaction or query ---- */
int db_damaged_table(struct db *db);                                                 /* makes it; in a step */
int db_damaged(struct db *db, const uint8_t cartridge[16], const struct seg_id *id); /* as db_is_damaged */
/* The segment's object is gone; NULL: all that the cartridge had. */
int db_damaged_forget(struct db *db, int64_t rowid, const struct seg_id *id);

/* ---- db_history.c ---- */
int db_history_tables(struct db *db); /* makes its tables, and the sums of all; in a step */
/* Within a transaction. NULL, or nothing written: nothing is done. */
int db_written_put(struct db *db, const struct db_written *w);
/* All that was written to the cartridge is in its head. Within a transaction. */
int db_written_accepted(struct db *db, const struct db_cartridge *c);

/* Within a transaction: */
int db_cartridge_write(struct db *db, const struct db_cartridge *c);
int db_cartridge_insert(struct db *db, struct db_cartridge *c, uint16_t address);
int db_cartridge_delete(struct db *db, int64_t rowid, const char *barcode);
int db_cartridge_delete_rows(struct db *db, int64_t rowid); /* without its element */

#endif
