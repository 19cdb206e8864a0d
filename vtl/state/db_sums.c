/* SPDX-License-Identifier: GPL-2.0-or-later */
/* db_sums.c: a checksum in each row of the state, so that a flipped bit makes no other tape (db_private.h). */
#include "vtl/state/db_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/le.h"

#define MOST_SQL 4000

static const struct {
    const char *table;
    const char *is_new; /* finds the row that a trigger is about */
    bool owned;         /* its column cartridge says by which */
} summed[DB_N_SUMMED] = {
    [DB_ELEMENT] = {"element", "address=NEW.address", false},
    [DB_CARTRIDGE] = {"cartridge", "rowid=NEW.rowid", false},
    [DB_SEGMENT] = {"segment",
                    "cartridge=NEW.cartridge AND epoch=NEW.epoch AND writer=NEW.writer AND number=NEW.number", true},
    [DB_MAP] = {"map", "cartridge=NEW.cartridge AND pos=NEW.pos", true},
    [DB_GARBAGE] = {"garbage", "cartridge=NEW.cartridge AND key=NEW.key", true},
    [DB_WRITTEN] = {"written", "id=NEW.id AND began=NEW.began AND run=NEW.run", false},
    [DB_HAPPENING] = {"happening", "number=NEW.number", false},
    [DB_LEAN] = {"lean",
                 "cartridge=NEW.cartridge AND epoch=NEW.epoch AND writer=NEW.writer AND number=NEW.number AND"
                 " s_barcode=NEW.s_barcode AND s_epoch=NEW.s_epoch AND s_writer=NEW.s_writer AND s_number=NEW.s_number",
                 true},
    [DB_LEANER] = {"leaner", "cartridge=NEW.cartridge AND barcode=NEW.barcode AND id=NEW.id", true},
};

/* ---- the function ---- */

/* A value's type, and its bytes behind their number: no two rows of other values give the same bytes. */
static uint32_t add_value(uint32_t crc, sqlite3_value *v)
{
    uint8_t head[9] = {(uint8_t)sqlite3_value_type(v)};
    const void *bytes = NULL;
    size_t n = 0;
    if (head[0] == SQLITE_INTEGER) {
        put_le64(head + 1, (uint64_t)sqlite3_value_int64(v));
    } else if (head[0] != SQLITE_NULL) {
        bytes = sqlite3_value_blob(v);
        n = (size_t)sqlite3_value_bytes(v);
        put_le64(head + 1, n);
    }
    crc = crc32c(crc, head, sizeof(head));
    return bytes ? crc32c(crc, bytes, n) : crc;
}

/* rowsum(name of the table, values ...) */
static void rowsum(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    uint32_t crc = 0;
    for (int i = 0; i < n; i++)
        crc = add_value(crc, v[i]);
    sqlite3_result_int64(ctx, crc);
}

int db_sums_begin(struct db *db)
{
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
    int rc = sqlite3_create_function(db->sql, "rowsum", -1, flags, NULL, rowsum, NULL, NULL);
    return rc ? db_fail(db, -ENOMEM, sqlite3_errmsg(db->sql)) : 0;
}

/* ---- which columns ---- */

/* All columns of the table but sum, in order of their names, each behind prefix. malloc'd, or NULL. */
static char *columns(struct db *db, enum db_summed t, const char *prefix)
{
    char sql[300];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT group_concat('%s'||name) FROM (SELECT name FROM pragma_table_info('%s') WHERE name<>'sum'"
                   " ORDER BY name)",
                   prefix, summed[t].table);
    DB_STMT st = db_prepare(db, sql);
    const char *text = db_row(db, st) > 0 ? (const char *)sqlite3_column_text(st, 0) : NULL;
    return text ? strdup(text) : NULL;
}

int db_sums_know(struct db *db)
{
    for (int t = 0; t < DB_N_SUMMED; t++) {
        char *c = columns(db, (enum db_summed)t, "");
        if (!c || asprintf(&db->sums[t], "rowsum('%s',%s)", summed[t].table, c) < 0)
            db->sums[t] = NULL;
        free(c);
        if (!db->sums[t])
            return db_fail(db, -EIO, "the columns of a table cannot be read");
    }
    return 0;
}

void db_sums_end(struct db *db)
{
    for (int t = 0; t < DB_N_SUMMED; t++)
        free(db->sums[t]);
}

/* ---- keeping ---- */

static int exec_format(struct db *db, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int exec_format(struct db *db, const char *format, ...)
{
    char *sql = NULL;
    va_list ap;
    va_start(ap, format);
    int n = vasprintf(&sql, format, ap);
    va_end(ap);
    int rc = n < 0 ? db_fail(db, -ENOMEM, "out of memory") : db_exec(db, sql);
    if (n >= 0)
        free(sql);
    return rc;
}

static int drop_triggers(struct db *db, enum db_summed t)
{
    static const char *const names[] = {"made", "changing", "changed", "summed", "gone"};
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof(names) / sizeof(names[0]); i++)
        rc = exec_format(db, "DROP TRIGGER IF EXISTS %s_%s", summed[t].table, names[i]);
    return rc;
}

/* What belongs to a cartridge counts in its content. */
static int make_owned(struct db *db, enum db_summed t)
{
    const char *table = summed[t].table;
    int rc = exec_format(db,
                         "CREATE TRIGGER %s_summed AFTER UPDATE OF sum ON %s BEGIN"
                         " UPDATE cartridge SET content=content+NEW.sum-OLD.sum WHERE rowid=NEW.cartridge; END",
                         table, table);
    return rc ? rc
              : exec_format(db,
                            "CREATE TRIGGER %s_gone AFTER DELETE ON %s BEGIN"
                            " UPDATE cartridge SET content=content-OLD.sum WHERE rowid=OLD.cartridge; END",
                            table, table);
}

static int make_triggers(struct db *db, enum db_summed t, const char *now, const char *old)
{
    const char *table = summed[t].table, *is_new = summed[t].is_new;
    int rc = exec_format(db,
                         "CREATE TRIGGER %s_made AFTER INSERT ON %s BEGIN"
                         " UPDATE %s SET sum=rowsum('%s',%s) WHERE %s; END",
                         table, table, table, table, now, is_new);
    if (!rc)
        rc = exec_format(db,
                         "CREATE TRIGGER %s_changing BEFORE UPDATE OF %s ON %s WHEN OLD.sum IS NOT rowsum('%s',%s)"
                         " BEGIN SELECT RAISE(ABORT, 'state.db: a row of table %s is damaged (its checksum is wrong)');"
                         " END",
                         table, now, table, table, old, table);
    if (!rc)
        rc = exec_format(db,
                         "CREATE TRIGGER %s_changed AFTER UPDATE OF %s ON %s BEGIN"
                         " UPDATE %s SET sum=rowsum('%s',%s) WHERE %s; END",
                         table, now, table, table, table, now, is_new);
    return rc || !summed[t].owned ? rc : make_owned(db, t);
}

/* Not yet, of those that a later step makes: 0. Or a negative errno. */
static int is_there(struct db *db, enum db_summed t)
{
    DB_STMT st = db_prepare(db, "SELECT 1 FROM sqlite_master WHERE type='table' AND name=?");
    if (st)
        sqlite3_bind_text(st, 1, summed[t].table, -1, SQLITE_STATIC);
    return db_row(db, st);
}

static int fill_content(struct db *db)
{
    int leans = is_there(db, DB_LEANER);
    if (leans < 0)
        return leans;
    return db_exec(db, leans ? "UPDATE cartridge AS c SET content=" DB_CONTENT
                             : "UPDATE cartridge AS c SET content=" DB_CONTENT_6);
}

/* All triggers of all tables are away meanwhile. */
static int fill(struct db *db, enum db_summed t, const char *now)
{
    const char *table = summed[t].table;
    int rc = t == DB_CARTRIDGE ? fill_content(db) : 0;
    return rc ? rc : exec_format(db, "UPDATE %s SET sum=rowsum('%s',%s)", table, table, now);
}

static int for_columns(struct db *db, enum db_summed t, bool triggers)
{
    int there = is_there(db, t);
    if (there <= 0)
        return there;
    char *now = columns(db, t, ""), *old = columns(db, t, "OLD.");
    int rc = -EIO;
    if (now && old)
        rc = triggers ? make_triggers(db, t, now, old) : fill(db, t, now);
    free(now);
    free(old);
    return rc;
}

int db_sums_make(struct db *db)
{
    /* A cartridge's last, as it holds those of its rows. */
    static const enum db_summed order[] = {DB_ELEMENT, DB_WRITTEN, DB_HAPPENING, DB_SEGMENT,  DB_MAP,
                                           DB_GARBAGE, DB_LEAN,    DB_LEANER,    DB_CARTRIDGE};
    int rc = 0;
    for (int t = 0; !rc && t < DB_N_SUMMED; t++)
        rc = drop_triggers(db, (enum db_summed)t);
    for (int i = 0; !rc && i < DB_N_SUMMED; i++)
        rc = for_columns(db, order[i], false);
    for (int t = 0; !rc && t < DB_N_SUMMED; t++)
        rc = for_columns(db, (enum db_summed)t, true);
    return rc;
}

/* ---- checking ---- */

sqlite3_stmt *db_prepare_summed(struct db *db, enum db_summed t, const char *sql)
{
    char text[MOST_SQL];
    size_t n = 0;
    for (const char *p = sql; *p && n < sizeof(text) - 1;) {
        if (p[0] == '%' && p[1] == 's' && t < DB_N_SUMMED) {
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", db->sums[t++]);
            p += 2;
        } else {
            text[n++] = *p++;
        }
    }
    if (n >= sizeof(text) - 1) {
        (void)db_fail(db, -EIO, "a statement is too long");
        return NULL;
    }
    text[n] = '\0';
    return db_prepare(db, text);
}

int db_check_row(struct db *db, sqlite3_stmt *st, int col, enum db_summed t, const char *row)
{
    if (sqlite3_column_int(st, col))
        return 0;
    char text[300];
    (void)snprintf(text, sizeof(text), "state.db: table %s, row %s: damaged (its checksum is wrong): " DB_WAY_OUT,
                   summed[t].table, row);
    return db_fail(db, -EBADMSG, text);
}
