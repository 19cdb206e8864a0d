/* SPDX-License-Identifier: GPL-2.0-or-later */
/* db_damaged.c: the gateway's state in SQLite: segments of which verify found something lost (db.h). */
#include "vtl/state/db_private.h"

/* A row is its name and nothing else, so it has no sum: one that is flipped is another name, or none. */
int db_damaged_table(struct db *db)
{
    return db_exec(db, "CREATE TABLE IF NOT EXISTS damaged(cartridge BLOB NOT NULL, epoch INTEGER NOT NULL,"
                       " writer INTEGER NOT NULL, number INTEGER NOT NULL,"
                       " PRIMARY KEY(cartridge, epoch, writer, number)) WITHOUT ROWID;"
                       "CREATE INDEX IF NOT EXISTS cartridge_id ON cartridge(id);"); /* by which it is looked for */
}

static void bind(sqlite3_stmt *st, const uint8_t cartridge[16], const struct seg_id *id)
{
    sqlite3_bind_blob(st, 1, cartridge, 16, SQLITE_STATIC);
    if (id)
        db_bind_id(st, 2, id);
}

int db_damaged(struct db *db, const uint8_t cartridge[16], const struct seg_id *id)
{
    DB_STMT st = db_prepare(db, "SELECT 1 FROM damaged WHERE cartridge=? AND epoch=? AND writer=? AND number=?");
    if (st)
        bind(st, cartridge, id);
    return db_row(db, st);
}

int db_is_damaged(struct db *db, const uint8_t cartridge[16], const struct seg_id *id)
{
    db_enter(db);
    return db_leave(db, db_damaged(db, cartridge, id));
}

static int add_all(struct db *db, const uint8_t cartridge[16], const struct seg_id *ids, size_t n)
{
    DB_STMT st = db_prepare(db, "INSERT OR IGNORE INTO damaged(cartridge, epoch, writer, number) VALUES(?,?,?,?)");
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++) {
        if (st)
            bind(st, cartridge, &ids[i]);
        rc = db_step_again(db, st);
    }
    return rc;
}

int db_damaged_add(struct db *db, const uint8_t cartridge[16], const struct seg_id *ids, size_t n)
{
    int rc = db_begin(db);
    return rc ? rc : db_end(db, add_all(db, cartridge, ids, n));
}

static int forget_held(struct db *db, const uint8_t cartridge[16])
{
    DB_STMT st = db_prepare(db, "DELETE FROM damaged WHERE cartridge=?1 AND EXISTS (SELECT 1 FROM cartridge c, segment"
                                " s WHERE c.id=?1 AND s.cartridge=c.rowid AND s.epoch=damaged.epoch AND"
                                " s.writer=damaged.writer AND s.number=damaged.number)");
    if (st)
        bind(st, cartridge, NULL);
    return db_step(db, st);
}

int db_damaged_found(struct db *db, const uint8_t cartridge[16], const struct seg_id *ids, size_t n)
{
    int rc = db_begin(db);
    if (rc)
        return rc;
    rc = forget_held(db, cartridge);
    return db_end(db, rc ? rc : add_all(db, cartridge, ids, n));
}

int db_damaged_forget(struct db *db, int64_t rowid, const struct seg_id *id)
{
    DB_STMT st = db_prepare(db, "DELETE FROM damaged WHERE cartridge=(SELECT id FROM cartridge WHERE rowid=?1) AND"
                                " (?2 OR epoch=?3 AND writer=?4 AND number=?5)");
    if (st) {
        sqlite3_bind_int64(st, 1, rowid);
        sqlite3_bind_int(st, 2, !id);
    }
    if (st && id)
        db_bind_id(st, 3, id);
    return db_step(db, st);
}
