/* SPDX-License-Identifier: GPL-2.0-or-later */
/* db.c: the gateway's state in SQLite: opening, its versions, elements and cartridges. */
#include "vtl/state/db_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lock.h"

#define BUSY_MS 10000
#define MODE 0600u /* of all that the state is */

/* ---- opening ---- */

/* The one number of a query. */
static int number(struct db *db, const char *sql, uint64_t *n)
{
    DB_STMT st = db_prepare(db, sql);
    int rc = db_row(db, st);
    if (rc > 0)
        *n = (uint64_t)sqlite3_column_int64(st, 0);
    return rc < 0 ? rc : 0;
}

static const char tables[] =
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS element(address INTEGER PRIMARY KEY, barcode TEXT NOT NULL UNIQUE, source INTEGER NOT "
    "NULL);"
    "CREATE TABLE IF NOT EXISTS cartridge(rowid INTEGER PRIMARY KEY, barcode TEXT NOT NULL UNIQUE, id BLOB NOT NULL,"
    " generation INTEGER NOT NULL, capacity INTEGER NOT NULL, worm INTEGER NOT NULL, write_protected INTEGER NOT NULL,"
    " created INTEGER NOT NULL, modified INTEGER NOT NULL, next_segment INTEGER NOT NULL, next_map INTEGER NOT NULL,"
    " head_epoch INTEGER NOT NULL, head_writer INTEGER NOT NULL, head_n INTEGER NOT NULL, commit_segs INTEGER NOT NULL,"
    " floor INTEGER NOT NULL, dirty INTEGER NOT NULL, mam TEXT, counters TEXT);"
    "CREATE TABLE IF NOT EXISTS segment(cartridge INTEGER NOT NULL, epoch INTEGER NOT NULL, writer INTEGER NOT NULL,"
    " number INTEGER NOT NULL, state INTEGER NOT NULL, first_object INTEGER NOT NULL, first_file INTEGER NOT NULL,"
    " objects INTEGER NOT NULL, filemarks INTEGER NOT NULL, size INTEGER NOT NULL, plain_bytes INTEGER NOT NULL, fms "
    "BLOB,"
    " PRIMARY KEY(cartridge, epoch, writer, number)) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS segment_order ON segment(cartridge, first_object);"
    "CREATE TABLE IF NOT EXISTS map(cartridge INTEGER NOT NULL, pos INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " writer INTEGER NOT NULL, number INTEGER NOT NULL, n_segs INTEGER NOT NULL, first_object INTEGER NOT NULL,"
    " size INTEGER NOT NULL, PRIMARY KEY(cartridge, pos)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS garbage(cartridge INTEGER NOT NULL, key TEXT NOT NULL, PRIMARY KEY(cartridge, key))"
    " WITHOUT ROWID;";

static int make_tables(struct db *db)
{
    return db_exec(db, tables);
}

/* Adds a column, if the table has none of that name. */
static int add_column(struct db *db, const char *table, const char *column, const char *definition)
{
    char text[200];
    (void)snprintf(text, sizeof(text), "SELECT count(*) FROM pragma_table_info('%s') WHERE name='%s'", table, column);
    uint64_t n = 0;
    int rc = number(db, text, &n);
    if (rc || n)
        return rc;
    (void)snprintf(text, sizeof(text), "ALTER TABLE %s ADD COLUMN %s %s", table, column, definition);
    return db_exec(db, text);
}

/* States of version 1 are there with and without them. */
static int add_columns(struct db *db)
{
    int rc = add_column(db, "cartridge", "full_capacity", "INTEGER NOT NULL DEFAULT 0");
    return rc ? rc : add_column(db, "cartridge", "rebuilt", "INTEGER NOT NULL DEFAULT 0");
}

/* What binds the objects that a segment's or a map's row names; 0: not known, as of all that an older s3vtl stored. */
static int add_crcs(struct db *db)
{
    int rc = add_column(db, "segment", "crc", "INTEGER NOT NULL DEFAULT 0");
    return rc ? rc : add_column(db, "map", "crc", "INTEGER NOT NULL DEFAULT 0");
}

/* What tells this gateway's heads from those of its copies. */
static int add_identity(struct db *db)
{
    static const char *const columns[] = {"tried_epoch", "tried_writer", "tried_n", "fenced"};
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof(columns) / sizeof(columns[0]); i++)
        rc = add_column(db, "cartridge", columns[i], "INTEGER NOT NULL DEFAULT 0");
    return rc;
}

/* A sum in each row, from the values that are there now. */
static int add_sums(struct db *db)
{
    static const char *const summed[] = {"element", "cartridge", "segment", "map", "garbage"};
    int rc = add_column(db, "cartridge", "content", "INTEGER NOT NULL DEFAULT 0");
    for (size_t i = 0; !rc && i < sizeof(summed) / sizeof(summed[0]); i++)
        rc = add_column(db, summed[i], "sum", "INTEGER NOT NULL DEFAULT 0");
    return rc ? rc : db_sums_make(db);
}

/* Until when a cartridge is locked. */
static int add_retention(struct db *db)
{
    int rc = add_column(db, "cartridge", "retention", "INTEGER NOT NULL DEFAULT 0");
    if (!rc)
        rc = add_column(db, "cartridge", "retain_until", "INTEGER NOT NULL DEFAULT 0");
    return rc ? rc : db_sums_make(db);
}

/* Which cartridges have nothing in common with others, whatever [dedup] says. */
static int add_no_dedup(struct db *db)
{
    int rc = add_column(db, "cartridge", "no_dedup", "INTEGER NOT NULL DEFAULT 0");
    return rc ? rc : db_sums_make(db);
}

/* How the store itself locks a cartridge's objects. */
static int add_object_lock(struct db *db)
{
    int rc = add_column(db, "cartridge", "object_lock", "INTEGER NOT NULL DEFAULT 0");
    if (!rc)
        rc = add_column(db, "cartridge", "object_lock_until", "INTEGER NOT NULL DEFAULT 0");
    return rc ? rc : db_sums_make(db);
}

/* Which cartridges somebody else may have by now. */
static int add_released(struct db *db)
{
    int rc = add_column(db, "cartridge", "released", "INTEGER NOT NULL DEFAULT 0");
    return rc ? rc : db_sums_make(db);
}

/* steps[n] makes version n + 1 of version n. To change the state, add one; never change those that are there.
 * One that adds a column to a table with sums ends by db_sums_make. */
static int (*const steps[])(struct db *db) = {make_tables,  add_columns,       add_identity,    add_crcs,
                                              add_sums,     db_history_tables, db_leans_tables, add_retention,
                                              add_no_dedup, add_object_lock,   add_released,    db_damaged_table};
#define STATE_VERSION (sizeof(steps) / sizeof(steps[0]))

/* A step and its stamp are one transaction: after a crash the state is of the version that it says. Another process may
 * have taken it meanwhile. */
static int take_step(struct db *db, uint64_t *version)
{
    char stamp[60];
    int rc = db_exec(db, "BEGIN IMMEDIATE");
    if (rc)
        return rc;
    rc = number(db, "PRAGMA user_version", version);
    if (!rc && *version < STATE_VERSION) {
        rc = steps[*version](db);
        (void)snprintf(stamp, sizeof(stamp), "PRAGMA user_version=%" PRIu64, ++*version);
        if (!rc)
            rc = db_exec(db, stamp);
    }
    return db_settle(db, rc);
}

/* Before anything else, as a newer s3vtl's state is left as it is. */
static int check_version(struct db *db, const char *path, uint64_t *version, struct errtext *err)
{
    int rc = number(db, "PRAGMA user_version", version);
    if (!rc && *version > STATE_VERSION)
        rc = errtext_set(err, -EINVAL,
                         "%s is of a newer s3vtl: state version %" PRIu64 ", this one knows up to %zu: install that "
                         "s3vtl again",
                         path, *version, STATE_VERSION);
    return rc;
}

/* A new file of SQLite is of mode 0644 less the umask (which is the whole process's: not ours to change), and the other
 * two take its mode over. So it is made here, empty. What prevents that prevents SQLite too, which says it. */
static void make_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
    if (fd < 0)
        return;
    (void)fchmod(fd, MODE);
    close(fd);
}

/* A state that is open to others, as earlier ones were, is closed to them. */
static int set_modes(const char *path, struct errtext *err)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char file[PATH_MAX];
        struct stat st;
        (void)snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
        if (!stat(file, &st) && (st.st_mode & 07777) != MODE && chmod(file, MODE) && errno != ENOENT)
            return errtext_set(err, -errno, "%s: its mode is %04o, must be %04o, and cannot be changed: %s", file,
                               st.st_mode & 07777, MODE, strerror(errno));
    }
    return 0;
}

/* The names of SQLite's files are safe. SQLite sees to that too, but not to whether it works. */
static int sync_names(const char *path, struct errtext *err)
{
    char dir[PATH_MAX];
    (void)snprintf(dir, sizeof(dir), "%s", path);
    char *slash = strrchr(dir, '/');
    if (!slash)
        (void)snprintf(dir, sizeof(dir), ".");
    else
        slash[slash == dir] = '\0';
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return rc ? errtext_set(err, rc, "%s: cannot be made safe: %s", dir, strerror(-rc)) : 0;
}

/* SQLite's file as it is to be; *err only where it says more than db_error. */
static int open_state(struct db *db, const char *path, bool create, struct errtext *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
    if (create)
        make_file(path);
    int opened = sqlite3_open_v2(path, &db->sql, flags, NULL), rc = db_result(db, opened);
    if (rc)
        return opened == SQLITE_CANTOPEN ? -ENOENT : rc;
    uint64_t version = 0;
    sqlite3_busy_timeout(db->sql, BUSY_MS);
    rc = db_sums_begin(db);
    if (!rc)
        rc = check_version(db, path, &version, err);
    if (!rc)
        rc = set_modes(path, err);
    if (!rc)
        rc = db_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
    while (!rc && version < STATE_VERSION)
        rc = take_step(db, &version);
    if (!rc)
        rc = db_sums_know(db);
    return rc ? rc : sync_names(path, err);
}

int db_open(const char *path, bool create, struct db **out, struct errtext *err)
{
    struct errtext why = {""};
    *out = NULL;
    struct db *db = calloc(1, sizeof(*db));
    if (!db)
        return errtext_set(err, -ENOMEM, "%s: out of memory", path);
    lock_init(&db->lock, LOCK_DB);
    db_enter(db);
    int rc = db_leave(db, open_state(db, path, create, &why));
    if (rc) {
        if (why.text[0])
            errtext_set(err, rc, "%s", why.text);
        else
            errtext_set(err, rc, "%s: %s", path, db_error(db));
        db_close(db);
        return rc;
    }
    *out = db;
    return 0;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    sqlite3_close(db->sql);
    db_sums_end(db);
    lock_fini(&db->lock);
    free(db);
}

/* ---- what it is about ---- */

/* -ENOMEM: SQLite had no memory for the text. What may be NULL is "". */
static int column_text(sqlite3_stmt *st, int col, char *buf, size_t room)
{
    const unsigned char *t = sqlite3_column_text(st, col);
    (void)snprintf(buf, room, "%s", t ? (const char *)t : "");
    return t || sqlite3_column_type(st, col) == SQLITE_NULL ? 0 : -ENOMEM;
}

static int meta_get(struct db *db, const char *key, char *buf, size_t room)
{
    DB_STMT st = db_prepare(db, "SELECT value FROM meta WHERE key=?");
    if (st)
        sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
    int rc = db_row(db, st);
    return rc > 0 ? column_text(st, 0, buf, room) : rc;
}

int db_meta_get(struct db *db, const char *key, char *buf, size_t room)
{
    buf[0] = '\0';
    db_enter(db);
    return db_leave(db, meta_get(db, key, buf, room));
}

static int each_meta(struct db *db, const char *prefix, db_meta_fn fn, void *arg)
{
    DB_STMT st = db_prepare(db, "SELECT key, value FROM meta WHERE substr(key, 1, length(?1))=?1 ORDER BY key");
    int rc;
    if (st)
        sqlite3_bind_text(st, 1, prefix, -1, SQLITE_STATIC);
    while ((rc = db_row(db, st)) > 0) {
        const char *key = (const char *)sqlite3_column_text(st, 0);
        const char *value = (const char *)sqlite3_column_text(st, 1);
        if ((rc = key && value ? fn(arg, key, value) : -ENOMEM))
            break;
    }
    return rc;
}

int db_meta_each(struct db *db, const char *prefix, db_meta_fn fn, void *arg)
{
    db_enter(db);
    return db_leave(db, each_meta(db, prefix, fn, arg));
}

static int meta_set(struct db *db, const char *key, const char *value)
{
    DB_STMT st = db_prepare(db, "INSERT INTO meta VALUES(?,?) ON CONFLICT(key) DO UPDATE SET value=excluded.value");
    if (st) {
        sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
        sqlite3_bind_text(st, 2, value, -1, SQLITE_STATIC);
    }
    return db_step(db, st);
}

int db_meta_set(struct db *db, const char *key, const char *value)
{
    int rc = db_begin(db);
    return rc ? rc : db_end(db, meta_set(db, key, value));
}

static int each_element(struct db *db, int (*fn)(void *arg, const struct db_element *e), void *arg)
{
    DB_STMT st =
        db_prepare_summed(db, DB_ELEMENT, "SELECT address, source, barcode, sum IS %s FROM element ORDER BY address");
    int rc;
    while ((rc = db_row(db, st)) > 0) {
        struct db_element e = {.address = (uint16_t)sqlite3_column_int(st, 0),
                               .source = (uint16_t)sqlite3_column_int(st, 1),
                               .damaged = !sqlite3_column_int(st, 3)};
        rc = column_text(st, 2, e.barcode, sizeof(e.barcode));
        if (rc || (rc = fn(arg, &e)))
            break;
    }
    return rc;
}

int db_elements(struct db *db, int (*fn)(void *arg, const struct db_element *e), void *arg)
{
    db_enter(db);
    return db_leave(db, each_element(db, fn, arg));
}

static int element_clear(struct db *db, uint16_t address)
{
    DB_STMT st = db_prepare(db, "DELETE FROM element WHERE address=?");
    if (st)
        sqlite3_bind_int(st, 1, address);
    return db_step(db, st);
}

/* A damaged row says of no element what is in it: it is not in the way of one that does. */
static int element_forget_damaged(struct db *db, const char *barcode)
{
    DB_STMT st = db_prepare_summed(db, DB_ELEMENT, "DELETE FROM element WHERE barcode=? AND sum IS NOT %s");
    if (st)
        sqlite3_bind_text(st, 1, barcode, -1, SQLITE_STATIC);
    return db_step(db, st);
}

static int element_fill(struct db *db, const struct db_element *e)
{
    DB_STMT st = db_prepare(db, "INSERT INTO element(address, barcode, source) VALUES(?,?,?)");
    if (st) {
        sqlite3_bind_int(st, 1, e->address);
        sqlite3_bind_text(st, 2, e->barcode, -1, SQLITE_STATIC);
        sqlite3_bind_int(st, 3, e->source);
    }
    return db_step(db, st);
}

int db_elements_set(struct db *db, const struct db_element *e, size_t n)
{
    int rc = db_begin(db);
    if (rc)
        return rc;
    for (size_t i = 0; !rc && i < n; i++)
        rc = element_clear(db, e[i].address);
    for (size_t i = 0; !rc && i < n; i++)
        if (e[i].barcode[0] && !(rc = element_forget_damaged(db, e[i].barcode)))
            rc = element_fill(db, &e[i]);
    return db_end(db, rc);
}

/* mam and counters are SQLite's, until the next row. */
static int read_cartridge(sqlite3_stmt *st, struct db_cartridge *c)
{
    *c = (struct db_cartridge){.rowid = sqlite3_column_int64(st, 0)};
    if (sqlite3_column_bytes(st, 2) == 16)
        memcpy(c->id, sqlite3_column_blob(st, 2), 16);
    c->generation = sqlite3_column_int(st, 3);
    c->capacity = (uint64_t)sqlite3_column_int64(st, 4);
    c->worm = sqlite3_column_int(st, 5) != 0;
    c->write_protected = sqlite3_column_int(st, 6) != 0;
    c->created = (uint64_t)sqlite3_column_int64(st, 7);
    c->modified = (uint64_t)sqlite3_column_int64(st, 8);
    c->next_segment = (uint64_t)sqlite3_column_int64(st, 9);
    c->next_map = (uint64_t)sqlite3_column_int64(st, 10);
    c->head = (struct seg_id){(uint64_t)sqlite3_column_int64(st, 11), (uint32_t)sqlite3_column_int64(st, 12),
                              (uint64_t)sqlite3_column_int64(st, 13)};
    c->commit_segs = (uint64_t)sqlite3_column_int64(st, 14);
    c->floor = (uint64_t)sqlite3_column_int64(st, 15);
    c->dirty = sqlite3_column_int(st, 16) != 0;
    c->mam = (char *)(uintptr_t)sqlite3_column_text(st, 17);
    c->counters = (char *)(uintptr_t)sqlite3_column_text(st, 18);
    c->used_bytes = (uint64_t)sqlite3_column_int64(st, 19);
    c->local_bytes = (uint64_t)sqlite3_column_int64(st, 20);
    c->accepted_bytes = (uint64_t)sqlite3_column_int64(st, 21) - c->local_bytes;
    c->unstored_rows = (uint64_t)sqlite3_column_int64(st, 22);
    c->full_capacity = (uint64_t)sqlite3_column_int64(st, 23);
    c->rebuilt = sqlite3_column_int(st, 24) != 0;
    c->garbage = (uint64_t)sqlite3_column_int64(st, 25);
    c->tried = (struct seg_id){(uint64_t)sqlite3_column_int64(st, 26), (uint32_t)sqlite3_column_int64(st, 27),
                               (uint64_t)sqlite3_column_int64(st, 28)};
    c->fenced = (enum db_fence)sqlite3_column_int(st, 29);
    c->retention =
        (struct retention){(enum retention_mode)sqlite3_column_int(st, 32), (uint64_t)sqlite3_column_int64(st, 33)};
    c->no_dedup = sqlite3_column_int(st, 34) != 0;
    c->object_lock =
        (struct retention){(enum retention_mode)sqlite3_column_int(st, 35), (uint64_t)sqlite3_column_int64(st, 36)};
    c->released = sqlite3_column_int(st, 37) != 0;
    c->damaged = !sqlite3_column_int(st, 30) || sqlite3_column_int64(st, 31);
    c->unstored_rows += c->damaged; /* nothing of it is known to be stored */
    return column_text(st, 1, c->barcode, sizeof(c->barcode));
}

static int each_cartridge(struct db *db, int (*fn)(void *arg, const struct db_cartridge *c), void *arg)
{
    DB_STMT st = db_prepare_summed(
        db, DB_CARTRIDGE,
        "SELECT c.rowid, barcode, id, generation, capacity, worm, write_protected, created, modified, next_segment,"
        " next_map, head_epoch, head_writer, head_n, commit_segs, floor, dirty, mam, counters,"
        " (SELECT total(plain_bytes) FROM segment s WHERE s.cartridge=c.rowid),"
        " (SELECT total(size) FROM segment s WHERE s.cartridge=c.rowid AND state=0) +"
        " CASE WHEN dirty THEN (SELECT total(size) FROM (SELECT size, row_number() OVER (ORDER BY first_object) AS i"
        " FROM segment s WHERE s.cartridge=c.rowid AND state<>0) WHERE i>commit_segs) ELSE 0 END,"
        " (SELECT total(size) FROM segment s WHERE s.cartridge=c.rowid),"
        " (SELECT count(*) FROM segment s WHERE s.cartridge=c.rowid AND state<>2), full_capacity, rebuilt,"
        " (SELECT count(*) FROM garbage g WHERE g.cartridge=c.rowid), tried_epoch, tried_writer, tried_n, fenced,"
        " sum IS %s AND content=" DB_CONTENT ","
        " (SELECT count(*) FROM segment s WHERE s.cartridge=c.rowid AND s.sum IS NOT %s), retention,"
        " retain_until, no_dedup, object_lock, object_lock_until, released FROM cartridge c ORDER BY barcode");
    int rc;
    while ((rc = db_row(db, st)) > 0) {
        struct db_cartridge c;
        rc = read_cartridge(st, &c);
        if (rc || (rc = fn(arg, &c)))
            break;
    }
    return rc;
}

int db_cartridges(struct db *db, int (*fn)(void *arg, const struct db_cartridge *c), void *arg)
{
    db_enter(db);
    return db_leave(db, each_cartridge(db, fn, arg));
}

/* Binds everything but rowid, barcode and id from parameter first on; returns the next free parameter. */
static int bind_cartridge(sqlite3_stmt *st, int p, const struct db_cartridge *c)
{
    sqlite3_bind_int(st, p++, c->generation);
    sqlite3_bind_int64(st, p++, (int64_t)c->capacity);
    sqlite3_bind_int(st, p++, c->worm);
    sqlite3_bind_int(st, p++, c->write_protected);
    sqlite3_bind_int64(st, p++, (int64_t)c->created);
    sqlite3_bind_int64(st, p++, (int64_t)c->modified);
    sqlite3_bind_int64(st, p++, (int64_t)c->next_segment);
    sqlite3_bind_int64(st, p++, (int64_t)c->next_map);
    sqlite3_bind_int64(st, p++, (int64_t)c->head.epoch);
    sqlite3_bind_int64(st, p++, c->head.writer);
    sqlite3_bind_int64(st, p++, (int64_t)c->head.number);
    sqlite3_bind_int64(st, p++, (int64_t)c->commit_segs);
    sqlite3_bind_int64(st, p++, (int64_t)c->floor);
    sqlite3_bind_int(st, p++, c->dirty);
    sqlite3_bind_text(st, p++, c->mam, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, p++, c->counters, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, p++, (int64_t)c->full_capacity);
    sqlite3_bind_int(st, p++, c->rebuilt);
    sqlite3_bind_int64(st, p++, (int64_t)c->tried.epoch);
    sqlite3_bind_int64(st, p++, c->tried.writer);
    sqlite3_bind_int64(st, p++, (int64_t)c->tried.number);
    sqlite3_bind_int(st, p++, (int)c->fenced);
    sqlite3_bind_int(st, p++, (int)c->retention.mode);
    sqlite3_bind_int64(st, p++, (int64_t)c->retention.until);
    sqlite3_bind_int(st, p++, c->no_dedup);
    sqlite3_bind_int(st, p++, (int)c->object_lock.mode);
    sqlite3_bind_int64(st, p++, (int64_t)c->object_lock.until);
    sqlite3_bind_int(st, p++, c->released);
    return p;
}

int db_cartridge_insert(struct db *db, struct db_cartridge *c, uint16_t address)
{
    DB_STMT st =
        db_prepare(db, "INSERT INTO cartridge(barcode, id, generation, capacity, worm, write_protected, created,"
                       " modified, next_segment, next_map, head_epoch, head_writer, head_n, commit_segs, floor,"
                       " dirty, mam, counters, full_capacity, rebuilt, tried_epoch, tried_writer, tried_n, fenced,"
                       " retention, retain_until, no_dedup, object_lock, object_lock_until, released, rowid)"
                       " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    if (st) {
        sqlite3_bind_text(st, 1, c->barcode, -1, SQLITE_STATIC);
        sqlite3_bind_blob(st, 2, c->id, 16, SQLITE_STATIC);
        int p = bind_cartridge(st, 3, c);
        if (c->rowid) /* NULL: SQLite chooses one */
            sqlite3_bind_int64(st, p, c->rowid);
    }
    int rc = db_step(db, st);
    if (!rc)
        c->rowid = sqlite3_last_insert_rowid(db->sql);
    if (!rc && address) {
        struct db_element e = {.address = address};
        memcpy(e.barcode, c->barcode, sizeof(e.barcode));
        rc = element_fill(db, &e);
    }
    return rc;
}

int db_cartridge_add(struct db *db, struct db_cartridge *c, uint16_t address)
{
    c->rowid = 0;
    int rc = db_begin(db);
    return rc ? rc : db_end(db, db_cartridge_insert(db, c, address));
}

int db_cartridge_write(struct db *db, const struct db_cartridge *c)
{
    DB_STMT st =
        db_prepare(db, "UPDATE cartridge SET generation=?, capacity=?, worm=?, write_protected=?, created=?,"
                       " modified=?, next_segment=?, next_map=?, head_epoch=?, head_writer=?, head_n=?,"
                       " commit_segs=?, floor=?, dirty=?, mam=?, counters=?, full_capacity=?, rebuilt=?, tried_epoch=?,"
                       " tried_writer=?, tried_n=?, fenced=?, retention=?, retain_until=?, no_dedup=?, object_lock=?,"
                       " object_lock_until=?, released=? WHERE rowid=?");
    if (st)
        sqlite3_bind_int64(st, bind_cartridge(st, 1, c), c->rowid);
    int rc = db_step(db, st);
    return rc ? rc : db_written_put(db, c->written);
}

int db_cartridge_update(struct db *db, const struct db_cartridge *c)
{
    int rc = db_begin(db);
    return rc ? rc : db_end(db, db_cartridge_write(db, c));
}

static int delete_where(struct db *db, const char *sql, int64_t cartridge)
{
    DB_STMT st = db_prepare(db, sql);
    if (st)
        sqlite3_bind_int64(st, 1, cartridge);
    return db_step(db, st);
}

int db_cartridge_delete_rows(struct db *db, int64_t rowid)
{
    /* First, so that no sum of its rows is kept any more: one that is damaged could not be. */
    int rc = delete_where(db, "DELETE FROM cartridge WHERE rowid=?", rowid);
    if (!rc)
        rc = delete_where(db, "DELETE FROM segment WHERE cartridge=?", rowid);
    if (!rc)
        rc = delete_where(db, "DELETE FROM map WHERE cartridge=?", rowid);
    if (!rc)
        rc = delete_where(db, "DELETE FROM garbage WHERE cartridge=?", rowid);
    if (!rc)
        rc = delete_where(db, "DELETE FROM lean WHERE cartridge=?", rowid);
    if (!rc)
        rc = delete_where(db, "DELETE FROM leaner WHERE cartridge=?", rowid);
    return rc;
}

int db_cartridge_delete(struct db *db, int64_t rowid, const char *barcode)
{
    int rc = db_cartridge_delete_rows(db, rowid);
    if (!rc) {
        DB_STMT st = db_prepare(db, "DELETE FROM element WHERE barcode=?");
        if (st)
            sqlite3_bind_text(st, 1, barcode, -1, SQLITE_STATIC);
        rc = db_step(db, st);
    }
    return rc;
}

int db_cartridge_remove(struct db *db, int64_t rowid, const char *barcode)
{
    int rc = db_begin(db);
    if (rc)
        return rc;
    rc = db_damaged_forget(db, rowid, NULL);
    return db_end(db, rc ? rc : db_cartridge_delete(db, rowid, barcode));
}
