/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * db_leans.c: the gateway's state in SQLite: which segments copy out of which, and who may lean on whom (db.h).
 *
 *  1. A lean row is there before the first copy is in a file, and goes with the last of what could name the segment that
 *     leans: its row, and the garbage row of its object, which the last head may still name. Of garbage that stays, as others
 *     lean on it, it goes as soon as a head that does not name it is the highest: they copy out of what that holds itself.
 *  2. A lean is added only to a segment with a live STORED row, or to garbage that somebody leans on already. So whoever
 *     deletes garbage, and looks at the leans behind the transaction that made it garbage, deletes only what nobody will
 *     ever lean on: without a first lean there is no second.
 *  3. What verify found damaged is leaned on by nobody else, also once its tape is written over and counts as whole again
 *     (db_damaged.c).
 *  4. Rows of a fenced cartridge tell what this gateway had, and hold nothing up: its leans are those of its heads.
 */
#include <errno.h>
#include <string.h>

#include "vtl/format/barcode.h"
#include "vtl/state/db_private.h"

int db_leans_tables(struct db *db)
{
    static const char tables[] =
        "CREATE TABLE IF NOT EXISTS lean(cartridge INTEGER NOT NULL, epoch INTEGER NOT NULL, writer INTEGER NOT NULL,"
        " number INTEGER NOT NULL, s_barcode TEXT NOT NULL, s_epoch INTEGER NOT NULL, s_writer INTEGER NOT NULL,"
        " s_number INTEGER NOT NULL, s_cartridge BLOB NOT NULL, size INTEGER NOT NULL, crc INTEGER NOT NULL,"
        " sum INTEGER NOT NULL DEFAULT 0,"
        " PRIMARY KEY(cartridge, epoch, writer, number, s_barcode, s_epoch, s_writer, s_number)) WITHOUT ROWID;"
        "CREATE INDEX IF NOT EXISTS lean_source ON lean(s_barcode, s_epoch, s_writer, s_number);"
        "CREATE TABLE IF NOT EXISTS leaner(cartridge INTEGER NOT NULL, barcode TEXT NOT NULL, id BLOB NOT NULL,"
        " epoch INTEGER NOT NULL, writer INTEGER NOT NULL, n INTEGER NOT NULL, named_epoch INTEGER NOT NULL,"
        " named_writer INTEGER NOT NULL, named_n INTEGER NOT NULL, sum INTEGER NOT NULL DEFAULT 0,"
        " PRIMARY KEY(cartridge, barcode, id)) WITHOUT ROWID;";
    int rc = db_exec(db, tables);
    return rc ? rc : db_sums_make(db);
}

static uint64_t number_at(sqlite3_stmt *st, int col)
{
    return (uint64_t)sqlite3_column_int64(st, col);
}

static struct seg_id id_at(sqlite3_stmt *st, int col)
{
    return (struct seg_id){number_at(st, col), (uint32_t)number_at(st, col + 1), number_at(st, col + 2)};
}

/* A barcode and the id of its cartridge. */
static void bind_whose(sqlite3_stmt *st, int p, const char *barcode, const uint8_t id[16])
{
    sqlite3_bind_text(st, p, barcode, -1, SQLITE_STATIC);
    sqlite3_bind_blob(st, p + 1, id, 16, SQLITE_STATIC);
}

static int whose_at(sqlite3_stmt *st, int col, char barcode[33], uint8_t id[16])
{
    const char *text = (const char *)sqlite3_column_text(st, col);
    const void *blob = sqlite3_column_blob(st, col + 1);
    if (!text || !blob)
        return -ENOMEM;
    (void)snprintf(barcode, 33, "%s", text);
    if (sqlite3_column_bytes(st, col + 1) == 16)
        memcpy(id, blob, 16);
    return 0;
}

/* ---- a lean is added ---- */

/* Who is about to lean, as its row says. */
struct leaner {
    char barcode[33];
    uint8_t id[16];
    struct seg_id head;
};

static int read_leaner(struct db *db, int64_t rowid, struct leaner *l)
{
    DB_STMT st = db_prepare_summed(
        db, DB_CARTRIDGE,
        "SELECT barcode, id, head_epoch, head_writer, head_n, fenced, sum IS %s FROM cartridge WHERE rowid=?");
    if (st)
        sqlite3_bind_int64(st, 1, rowid);
    int rc = db_row(db, st);
    if (rc <= 0)
        return rc ? rc : -ESTALE;
    rc = whose_at(st, 0, l->barcode, l->id);
    l->head = id_at(st, 2);
    if (!rc)
        rc = db_check_row(db, st, 6, DB_CARTRIDGE, l->barcode);
    return !rc && sqlite3_column_int(st, 5) ? -ESTALE : rc;
}

/* The cartridge that is leaned on, and how many of its segments its head names. */
static int find_source(struct db *db, const struct seg_source *s, int64_t *rowid, uint64_t *named)
{
    DB_STMT st = db_prepare_summed(
        db, DB_CARTRIDGE, "SELECT rowid, commit_segs, fenced, sum IS %s FROM cartridge WHERE barcode=? AND id=?");
    if (st)
        bind_whose(st, 1, s->barcode, s->cartridge);
    int rc = db_row(db, st);
    if (rc <= 0)
        return rc ? rc : -ESTALE;
    *rowid = sqlite3_column_int64(st, 0);
    *named = number_at(st, 1);
    rc = db_check_row(db, st, 3, DB_CARTRIDGE, s->barcode);
    return !rc && sqlite3_column_int(st, 2) ? -ESTALE : rc;
}

/* Does the last committed head of the source list the leaner, in this run of its gateway, and since it was last at rest? */
static int check_listed(struct db *db, int64_t source, const struct leaner *l, uint64_t rested)
{
    DB_STMT st = db_prepare_summed(db, DB_LEANER,
                                   "SELECT named_epoch, named_writer, named_n, sum IS %s FROM leaner WHERE "
                                   "cartridge=? AND barcode=? AND id=?");
    if (st) {
        sqlite3_bind_int64(st, 1, source);
        bind_whose(st, 2, l->barcode, l->id);
    }
    int rc = db_row(db, st);
    if (rc <= 0)
        return rc ? rc : -ESTALE;
    rc = db_check_row(db, st, 3, DB_LEANER, l->barcode);
    struct seg_id named = id_at(st, 0);
    bool listed =
        number_at(st, 3) && named.epoch == l->head.epoch && named.writer == l->head.writer && named.number >= rested;
    return rc ? rc : listed ? 0 : -ESTALE;
}

static int check_segment(struct db *db, int64_t source, uint64_t named, const struct seg_source *s)
{
    DB_STMT st = db_prepare_summed(
        db, DB_SEGMENT,
        "SELECT state, size, crc, (SELECT count(*) FROM segment b WHERE b.cartridge=s.cartridge AND b.state<>0 AND"
        " b.first_object<s.first_object), sum IS %s FROM segment s WHERE cartridge=? AND epoch=? AND writer=? AND "
        "number=?");
    if (st) {
        sqlite3_bind_int64(st, 1, source);
        db_bind_id(st, 2, &s->id);
    }
    int rc = db_row(db, st);
    if (rc <= 0)
        return rc ? rc : -ESTALE;
    char name[SEG_NAME_SIZE];
    seg_id_format(&s->id, name);
    rc = db_check_row(db, st, 4, DB_SEGMENT, name);
    bool is = sqlite3_column_int(st, 0) == SEG_STORED && number_at(st, 1) == s->size && number_at(st, 2) == s->crc &&
              number_at(st, 3) < named;
    return rc ? rc : is ? 0 : -ESTALE;
}

/* What a fenced cartridge's rows say does not count. */
#define COUNTS " NOT EXISTS (SELECT 1 FROM cartridge f WHERE f.rowid=l.cartridge AND f.fenced<>0)"

static int check_leaned_on(struct db *db, const struct seg_source *s, const char *name)
{
    DB_STMT st = db_prepare_summed(db, DB_LEAN,
                                   "SELECT sum IS %s FROM lean l WHERE s_barcode=? AND s_cartridge=? AND s_epoch=? AND "
                                   "s_writer=? AND s_number=? AND size=? AND crc=? AND" COUNTS " LIMIT 1");
    if (st) {
        bind_whose(st, 1, s->barcode, s->cartridge);
        db_bind_id(st, 3, &s->id);
        sqlite3_bind_int64(st, 6, (int64_t)s->size);
        sqlite3_bind_int64(st, 7, s->crc);
    }
    int rc = db_row(db, st);
    return rc <= 0 ? rc ? rc : -ESTALE : db_check_row(db, st, 0, DB_LEAN, name);
}

/* What was cut or written over, and stays as somebody leans on it: so it does for one more. */
static int check_kept(struct db *db, int64_t source, const struct seg_source *s)
{
    char name[SEG_NAME_SIZE], key[DB_KEY_SIZE];
    seg_id_format(&s->id, name);
    (void)snprintf(key, sizeof(key), "tapes/%s/seg/%s", s->barcode, name);
    DB_STMT st = db_prepare_summed(db, DB_GARBAGE, "SELECT sum IS %s FROM garbage WHERE cartridge=? AND key=?");
    if (st) {
        sqlite3_bind_int64(st, 1, source);
        sqlite3_bind_text(st, 2, key, -1, SQLITE_STATIC);
    }
    int rc = db_row(db, st);
    if (rc <= 0)
        return rc ? rc : -ESTALE;
    rc = db_check_row(db, st, 0, DB_GARBAGE, key);
    return rc ? rc : check_leaned_on(db, s, name);
}

static int check_usable(struct db *db, int64_t source, uint64_t named, const struct seg_source *s)
{
    int rc = db_damaged(db, s->cartridge, &s->id);
    if (rc)
        return rc < 0 ? rc : -ESTALE;
    rc = check_segment(db, source, named, s);
    return rc == -ESTALE ? check_kept(db, source, s) : rc;
}

int db_is_source(struct db *db, const struct seg_source *s)
{
    int64_t source = 0;
    uint64_t named = 0;
    db_enter(db);
    int rc = find_source(db, s, &source, &named);
    return db_leave(db, rc ? rc : check_usable(db, source, named, s));
}

int db_lean_insert(struct db *db, int64_t cartridge, const struct seg_id *segment, const struct seg_source *s)
{
    DB_STMT st = db_prepare(db, "INSERT OR IGNORE INTO lean(cartridge, epoch, writer, number, s_barcode, s_cartridge,"
                                " s_epoch, s_writer, s_number, size, crc) VALUES(?,?,?,?,?,?,?,?,?,?,?)");
    if (st) {
        sqlite3_bind_int64(st, 1, cartridge);
        db_bind_id(st, 2, segment);
        bind_whose(st, 5, s->barcode, s->cartridge);
        db_bind_id(st, 7, &s->id);
        sqlite3_bind_int64(st, 10, (int64_t)s->size);
        sqlite3_bind_int64(st, 11, s->crc);
    }
    return db_step(db, st);
}

int db_lean_add(struct db *db, int64_t leaner, const struct seg_id *segment, uint64_t rested,
                const struct seg_source *s)
{
    struct leaner l = {.barcode = ""};
    int64_t source = 0;
    uint64_t named = 0;
    int rc = db_begin(db);
    if (rc)
        return rc;
    rc = read_leaner(db, leaner, &l);
    if (!rc)
        rc = find_source(db, s, &source, &named);
    if (!rc && source != leaner) /* whoever takes a tape over knows what it leans on itself */
        rc = check_listed(db, source, &l, rested);
    if (!rc)
        rc = check_usable(db, source, named, s);
    if (!rc)
        rc = db_lean_insert(db, leaner, segment, s);
    return db_end(db, rc);
}

/* ---- and goes ---- */

int db_lean_forget(struct db *db, int64_t cartridge, const struct seg_id *segment, bool unnamed)
{
    DB_STMT st = db_prepare(
        db,
        "DELETE FROM lean WHERE cartridge=?1 AND epoch=?2 AND writer=?3 AND number=?4"
        " AND NOT EXISTS (SELECT 1 FROM segment s WHERE s.cartridge=?1 AND s.epoch=?2 AND s.writer=?3 AND s.number=?4)"
        " AND (?6 OR NOT EXISTS (SELECT 1 FROM garbage g, cartridge c WHERE c.rowid=?1 AND g.cartridge=?1 AND"
        " g.key='tapes/'||c.barcode||'/seg/'||?5))");
    char name[SEG_NAME_SIZE];
    seg_id_format(segment, name);
    if (st) {
        sqlite3_bind_int64(st, 1, cartridge);
        db_bind_id(st, 2, segment);
        sqlite3_bind_text(st, 5, name, -1, SQLITE_STATIC);
        sqlite3_bind_int(st, 6, unnamed);
    }
    return db_step(db, st);
}

int db_lean_rename(struct db *db, int64_t cartridge, const struct seg_id *from, const struct seg_id *to)
{
    DB_STMT st = db_prepare(db, "UPDATE lean SET epoch=?5, writer=?6, number=?7"
                                " WHERE cartridge=?1 AND epoch=?2 AND writer=?3 AND number=?4");
    if (st) {
        sqlite3_bind_int64(st, 1, cartridge);
        db_bind_id(st, 2, from);
        db_bind_id(st, 5, to);
    }
    return db_step(db, st);
}

/* ---- asking ---- */

static int each_lean(struct db *db, int64_t cartridge, const struct seg_id *segment, db_lean_fn fn, void *arg)
{
    static const char all[] = "SELECT epoch, writer, number, s_barcode, s_cartridge, s_epoch, s_writer, s_number, size,"
                              " crc, sum IS %s FROM lean WHERE cartridge=? ORDER BY epoch, writer, number";
    static const char one[] = "SELECT epoch, writer, number, s_barcode, s_cartridge, s_epoch, s_writer, s_number, size,"
                              " crc, sum IS %s FROM lean WHERE cartridge=? AND epoch=? AND writer=? AND number=?";
    DB_STMT st = db_prepare_summed(db, DB_LEAN, segment ? one : all);
    int rc;
    if (st) {
        sqlite3_bind_int64(st, 1, cartridge);
        if (segment)
            db_bind_id(st, 2, segment);
    }
    while ((rc = db_row(db, st)) > 0) {
        struct seg_id leaner = id_at(st, 0);
        struct seg_source s = {.id = id_at(st, 5), .size = number_at(st, 8), .crc = (uint32_t)number_at(st, 9)};
        char name[SEG_NAME_SIZE];
        seg_id_format(&leaner, name);
        if ((rc = whose_at(st, 3, s.barcode, s.cartridge)) || (rc = db_check_row(db, st, 10, DB_LEAN, name)) ||
            (fn && (rc = fn(arg, &leaner, &s))))
            break;
    }
    return rc;
}

int db_check_leans(struct db *db, int64_t cartridge)
{
    int rc = each_lean(db, cartridge, NULL, NULL, NULL);
    return rc ? rc : db_each_leaner(db, cartridge, NULL, NULL);
}

int db_leans(struct db *db, int64_t cartridge, const struct seg_id *segment, db_lean_fn fn, void *arg)
{
    db_enter(db);
    return db_leave(db, each_lean(db, cartridge, segment, fn, arg));
}

static int each_source(struct db *db, int64_t cartridge, const struct seg_source *after,
                       int (*fn)(void *arg, const struct seg_source *s), void *arg)
{
    static const struct seg_source first = {.barcode = ""};
    DB_STMT st = db_prepare(db, "SELECT s_barcode, s_cartridge, s_epoch, s_writer, s_number FROM lean WHERE cartridge=?"
                                " AND (s_barcode, s_epoch, s_writer, s_number) > (?,?,?,?)"
                                " GROUP BY s_barcode, s_epoch, s_writer, s_number"
                                " ORDER BY s_barcode, s_epoch, s_writer, s_number");
    int rc;
    after = after ? after : &first;
    if (st) {
        sqlite3_bind_int64(st, 1, cartridge);
        sqlite3_bind_text(st, 2, after->barcode, -1, SQLITE_STATIC);
        db_bind_id(st, 3, &after->id);
    }
    while ((rc = db_row(db, st)) > 0) {
        struct seg_source s = {.id = id_at(st, 2)};
        if ((rc = whose_at(st, 0, s.barcode, s.cartridge)) || (rc = fn(arg, &s)))
            break;
    }
    return rc;
}

int db_sources(struct db *db, int64_t cartridge, const struct seg_source *after,
               int (*fn)(void *arg, const struct seg_source *s), void *arg)
{
    db_enter(db);
    return db_leave(db, each_source(db, cartridge, after, fn, arg));
}

int db_any_lean(struct db *db, int64_t cartridge, bool *any)
{
    DB_STMT st = db_prepare(db, "SELECT 1 FROM lean WHERE cartridge=? LIMIT 1");
    if (st)
        sqlite3_bind_int64(st, 1, cartridge);
    int rc = db_row(db, st);
    *any = rc > 0;
    return rc < 0 ? rc : 0;
}

int db_has_leans(struct db *db, int64_t cartridge, bool *has)
{
    db_enter(db);
    return db_leave(db, db_any_lean(db, cartridge, has));
}

static int each_leaned_on(struct db *db, const char *barcode, int64_t but,
                          int (*fn)(void *arg, const struct seg_id *id), void *arg)
{
    DB_STMT st = db_prepare_summed(
        db, DB_LEAN,
        "SELECT s_epoch, s_writer, s_number, sum IS %s FROM lean l WHERE s_barcode=? AND cartridge<>? AND" COUNTS
        " ORDER BY s_epoch, s_writer, s_number");
    struct seg_id last = {.epoch = 0};
    int rc;
    if (st) {
        sqlite3_bind_text(st, 1, barcode, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 2, but);
    }
    while ((rc = db_row(db, st)) > 0) {
        struct seg_id id = id_at(st, 0);
        char name[SEG_NAME_SIZE];
        seg_id_format(&id, name);
        rc = db_check_row(db, st, 3, DB_LEAN, name);
        if (!rc && seg_id_compare(&id, &last))
            rc = fn(arg, &id);
        last = id;
        if (rc)
            break;
    }
    return rc;
}

int db_leaned_on(struct db *db, const char *barcode, int64_t but, int (*fn)(void *arg, const struct seg_id *id),
                 void *arg)
{
    db_enter(db);
    return db_leave(db, each_leaned_on(db, barcode, but, fn, arg));
}

static int each_leaner_of(struct db *db, const char *barcode, const struct seg_id *id,
                          int (*fn)(void *arg, const char *barcode), void *arg)
{
    DB_STMT st = db_prepare(db, "SELECT DISTINCT c.barcode FROM lean l JOIN cartridge c ON c.rowid=l.cartridge WHERE"
                                " s_barcode=? AND s_epoch=? AND s_writer=? AND s_number=? ORDER BY c.barcode");
    int rc;
    if (st) {
        sqlite3_bind_text(st, 1, barcode, -1, SQLITE_STATIC);
        db_bind_id(st, 2, id);
    }
    while ((rc = db_row(db, st)) > 0) {
        const char *text = (const char *)sqlite3_column_text(st, 0);
        if ((rc = text ? fn(arg, text) : -ENOMEM))
            break;
    }
    return rc;
}

int db_leaners_of(struct db *db, const char *barcode, const struct seg_id *id,
                  int (*fn)(void *arg, const char *barcode), void *arg)
{
    db_enter(db);
    return db_leave(db, each_leaner_of(db, barcode, id, fn, arg));
}

static int each_share(struct db *db, const char *sql, const char *barcode,
                      int (*fn)(void *arg, const struct db_share *s), void *arg)
{
    DB_STMT st = db_prepare(db, sql);
    int rc;
    if (st)
        sqlite3_bind_text(st, 1, barcode, -1, SQLITE_STATIC);
    while ((rc = db_row(db, st)) > 0) {
        struct db_share s = {.segments = number_at(st, 1), .bytes = number_at(st, 2)};
        const char *text = (const char *)sqlite3_column_text(st, 0);
        (void)snprintf(s.barcode, sizeof(s.barcode), "%s", text ? text : "");
        if ((rc = fn(arg, &s)))
            break;
    }
    return rc;
}

int db_shares(struct db *db, const char *barcode, bool lent, int (*fn)(void *arg, const struct db_share *s), void *arg)
{
    static const char lent_to[] =
        "SELECT barcode, count(*), total(size) FROM (SELECT DISTINCT c.barcode, s_epoch, s_writer, s_number, size"
        " FROM lean l JOIN cartridge c ON c.rowid=l.cartridge WHERE s_barcode=? AND c.barcode<>s_barcode) GROUP BY "
        "barcode"
        " ORDER BY barcode";
    static const char leans_on[] =
        "SELECT s_barcode, count(*), total(size) FROM (SELECT DISTINCT s_barcode, s_epoch, s_writer, s_number, size"
        " FROM lean l JOIN cartridge c ON c.rowid=l.cartridge WHERE c.barcode=?) GROUP BY s_barcode ORDER BY s_barcode";
    db_enter(db);
    return db_leave(db, each_share(db, lent ? lent_to : leans_on, barcode, fn, arg));
}

static int sum_needed(struct db *db, const char *sql, int64_t cartridge, const char *barcode, uint64_t *bytes)
{
    DB_STMT st = db_prepare(db, sql);
    if (st) {
        sqlite3_bind_int64(st, 1, cartridge);
        sqlite3_bind_text(st, 2, barcode, -1, SQLITE_STATIC);
    }
    int rc = db_row(db, st);
    *bytes = rc > 0 ? number_at(st, 0) : 0;
    return rc < 0 ? rc : 0;
}

int db_needed_by_others(struct db *db, int64_t cartridge, const char *barcode, uint64_t *live, uint64_t *all)
{
    static const char of_live[] =
        "SELECT total(size) FROM segment s WHERE cartridge=? AND EXISTS (SELECT 1 FROM lean l WHERE s_barcode=?"
        " AND s_epoch=s.epoch AND s_writer=s.writer AND s_number=s.number AND l.cartridge<>s.cartridge AND" COUNTS ")";
    static const char of_all[] =
        "SELECT total(size) FROM (SELECT DISTINCT s_epoch, s_writer, s_number, size FROM lean l WHERE l.cartridge<>?"
        " AND s_barcode=? AND" COUNTS ")";
    db_enter(db);
    int rc = sum_needed(db, of_live, cartridge, barcode, live);
    return db_leave(db, rc ? rc : sum_needed(db, of_all, cartridge, barcode, all));
}

/* ---- who is listed ---- */

int db_each_leaner(struct db *db, int64_t source, int (*fn)(void *arg, const struct db_leaner *l), void *arg)
{
    DB_STMT st = db_prepare_summed(db, DB_LEANER,
                                   "SELECT barcode, id, epoch, writer, n, named_epoch, named_writer, named_n,"
                                   " sum IS %s FROM leaner WHERE cartridge=? ORDER BY barcode, id");
    int rc;
    if (st)
        sqlite3_bind_int64(st, 1, source);
    while ((rc = db_row(db, st)) > 0) {
        struct db_leaner l = {.wanted.head = id_at(st, 2), .named = id_at(st, 5)};
        if ((rc = whose_at(st, 0, l.wanted.barcode, l.wanted.cartridge)) ||
            (rc = db_check_row(db, st, 8, DB_LEANER, l.wanted.barcode)) || (fn && (rc = fn(arg, &l))))
            break;
    }
    return rc;
}

int db_leaners(struct db *db, int64_t source, int (*fn)(void *arg, const struct db_leaner *l), void *arg)
{
    db_enter(db);
    return db_leave(db, db_each_leaner(db, source, fn, arg));
}

static int leaner_put(struct db *db, int64_t source, const struct head_leaner *l, const struct seg_id *named)
{
    DB_STMT st =
        db_prepare(db, "INSERT INTO leaner(cartridge, barcode, id, epoch, writer, n, named_epoch, named_writer,"
                       " named_n) VALUES(?,?,?,?,?,?,?,?,?) ON CONFLICT(cartridge, barcode, id) DO UPDATE SET"
                       " epoch=excluded.epoch, writer=excluded.writer, n=excluded.n");
    if (st) {
        sqlite3_bind_int64(st, 1, source);
        bind_whose(st, 2, l->barcode, l->cartridge);
        db_bind_id(st, 4, &l->head);
        db_bind_id(st, 7, named);
    }
    return db_step(db, st);
}

/* Pairs of cartridges of this state: b leans on a, of which that run put the last head, and a does not list it. What an
 * earlier cartridge of that barcode left is a's. */
#define UNLISTED                                                                                                       \
    " FROM lean l, cartridge a, cartridge b WHERE b.rowid=l.cartridge AND a.barcode=l.s_barcode"                       \
    " AND a.rowid<>b.rowid AND a.head_writer=? AND NOT EXISTS (SELECT 1 FROM leaner x WHERE x.cartridge=a.rowid AND"   \
    " x.barcode=b.barcode AND x.id=b.id)"

static int run_of(struct db *db, const char *sql, uint32_t writer)
{
    DB_STMT st = db_prepare(db, sql);
    if (st)
        sqlite3_bind_int64(st, 1, writer);
    return db_step(db, st);
}

/* Each is listed as of its head, as if it had come to lean just then: what it may be copying is kept, too. */
int db_leaners_complete(struct db *db, uint32_t writer)
{
    int rc = db_begin(db);
    if (rc)
        return rc;
    rc = run_of(db, "UPDATE cartridge SET dirty=1 WHERE rowid IN (SELECT a.rowid" UNLISTED ")", writer);
    if (!rc)
        rc =
            run_of(db,
                   "INSERT INTO leaner(cartridge, barcode, id, epoch, writer, n, named_epoch, named_writer, named_n)"
                   " SELECT DISTINCT a.rowid, b.barcode, b.id, b.head_epoch, b.head_writer, b.head_n, 0, 0, 0" UNLISTED,
                   writer);
    return db_end(db, rc);
}

struct finding {
    const struct head_leaner *wanted;
    uint64_t least;
    bool listed, there;
};

static bool is_good_enough(const struct finding *f, const struct seg_id *is)
{
    const struct seg_id *want = &f->wanted->head;
    return is->epoch == want->epoch && is->writer == want->writer && is->number >= f->least;
}

static int find_leaner(void *arg, const struct db_leaner *l)
{
    struct finding *f = arg;
    if (strcmp(l->wanted.barcode, f->wanted->barcode) || memcmp(l->wanted.cartridge, f->wanted->cartridge, 16))
        return 0;
    f->there = is_good_enough(f, &l->wanted.head);
    f->listed = is_good_enough(f, &l->named);
    return 0;
}

int db_lend(struct db *db, int64_t source, const struct head_leaner *l, uint64_t least, bool *listed)
{
    static const struct seg_id none = {.epoch = 0};
    struct finding f = {.wanted = l, .least = least};
    int rc = db_begin(db);
    if (rc)
        return rc;
    rc = db_each_leaner(db, source, find_leaner, &f);
    if (!rc && !f.there)
        rc = leaner_put(db, source, l, &none);
    *listed = f.listed && f.there;
    return db_end(db, rc);
}

struct looking {
    const char *barcode;
    bool *leans;
};

static int look_at_lean(void *arg, const struct seg_id *segment, const struct seg_source *s)
{
    struct looking *l = arg;
    (void)segment;
    *l->leans = *l->leans || !strcmp(s->barcode, l->barcode);
    return 0;
}

static int find_here(struct db *db, const struct head_leaner *l, int64_t *rowid, struct seg_id *tried)
{
    DB_STMT st = db_prepare_summed(db, DB_CARTRIDGE,
                                   "SELECT rowid, tried_epoch, tried_writer, tried_n, fenced, sum IS %s FROM cartridge"
                                   " WHERE barcode=? AND id=?");
    if (st)
        bind_whose(st, 1, l->barcode, l->cartridge);
    int rc = db_row(db, st);
    if (rc <= 0)
        return rc;
    rc = db_check_row(db, st, 5, DB_CARTRIDGE, l->barcode);
    if (rc || sqlite3_column_int(st, 4))
        return rc;
    *rowid = sqlite3_column_int64(st, 0);
    *tried = id_at(st, 1);
    return 0;
}

int db_leaner_here(struct db *db, const struct head_leaner *l, const char *barcode, struct seg_id *tried, bool *leans)
{
    struct looking look = {barcode, leans};
    int64_t rowid = 0;
    *leans = false;
    *tried = (struct seg_id){.epoch = 0};
    db_enter(db);
    int rc = find_here(db, l, &rowid, tried);
    if (!rc && rowid)
        rc = each_lean(db, rowid, NULL, look_at_lean, &look);
    return db_leave(db, rc);
}

/* Not only marked: a head that is made without it now may be committed after it was listed anew. Nor if it has come to lean
 * since it was asked for. */
static int leaner_drop(struct db *db, int64_t source, const struct head_leaner *l)
{
    DB_STMT st = db_prepare(db, "DELETE FROM leaner WHERE cartridge=?1 AND barcode=?2 AND id=?3 AND NOT EXISTS"
                                " (SELECT 1 FROM cartridge a, cartridge b, lean l WHERE a.rowid=?1 AND b.barcode=?2 AND"
                                " b.id=?3 AND b.fenced=0 AND l.cartridge=b.rowid AND l.s_barcode=a.barcode)");
    if (st) {
        sqlite3_bind_int64(st, 1, source);
        bind_whose(st, 2, l->barcode, l->cartridge);
    }
    return db_step(db, st);
}

int db_leaner_drop(struct db *db, int64_t source, const struct head_leaner *l)
{
    int rc = db_begin(db);
    return rc ? rc : db_end(db, leaner_drop(db, source, l));
}

static int run_for(struct db *db, const char *sql, int64_t source)
{
    DB_STMT st = db_prepare(db, sql);
    if (st)
        sqlite3_bind_int64(st, 1, source);
    return db_step(db, st);
}

static int set_named(struct db *db, int64_t source, const struct head_leaner *l)
{
    DB_STMT st = db_prepare(db, "UPDATE leaner SET named_epoch=?4, named_writer=?5, named_n=?6"
                                " WHERE cartridge=?1 AND barcode=?2 AND id=?3");
    if (st) {
        sqlite3_bind_int64(st, 1, source);
        bind_whose(st, 2, l->barcode, l->cartridge);
        db_bind_id(st, 4, &l->head);
    }
    return db_step(db, st);
}

int db_leaners_named(struct db *db, int64_t source, const struct head_leaner *v, size_t n)
{
    int rc = run_for(db, "UPDATE leaner SET named_epoch=0 WHERE cartridge=? AND named_epoch<>0", source);
    for (size_t i = 0; !rc && i < n; i++)
        rc = set_named(db, source, &v[i]);
    return rc;
}

int db_lend_no_more(struct db *db, int64_t source)
{
    int rc = db_begin(db);
    return rc ? rc : db_end(db, db_leaners_named(db, source, NULL, 0));
}

int db_leans_restore(struct db *db, int64_t cartridge, const struct tape_index *x, const struct head *h)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < x->leans.n; i++)
        rc = db_lean_insert(db, cartridge, &x->segs[x->leans.v[i].segment].id, &x->leans.v[i].source);
    for (size_t i = 0; !rc && i < h->n_leaners; i++)
        rc = leaner_put(db, cartridge, &h->leaners[i], &h->leaners[i].head);
    return rc;
}
