/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_index_rows.c: the index of chunks in SQLite: segments with their lists, and hooks. */
#include "vtl/state/chunk_index_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/le.h"

#define VERSION 1
#define BUSY_MS 10000
/* With those that 50 million chunks have in any case, two for a segment of 40 MiB: 120 MB. */
#define MOST_WIDE (INT64_C(1) << 20)

static const char tables[] =
    "CREATE TABLE segment(row INTEGER PRIMARY KEY, cartridge BLOB NOT NULL, epoch INTEGER NOT NULL, writer INTEGER NOT"
    " NULL, number INTEGER NOT NULL, barcode TEXT NOT NULL, size INTEGER NOT NULL, crc INTEGER NOT NULL, first_object"
    " INTEGER NOT NULL, sum INTEGER NOT NULL, list BLOB NOT NULL);"
    "CREATE UNIQUE INDEX segment_name ON segment(cartridge, epoch, writer, number);"
    "CREATE TABLE hook(h INTEGER, segment INTEGER, kept INTEGER NOT NULL, PRIMARY KEY(h, segment)) WITHOUT ROWID;"
    "CREATE TABLE counts(segments INTEGER NOT NULL, kept INTEGER NOT NULL, wide INTEGER NOT NULL, level INTEGER NOT"
    " NULL);"
    "INSERT INTO counts VALUES(0,0,0,0);"
    "PRAGMA user_version=1;";
_Static_assert(VERSION == 1, "as in the tables");

#define SEGMENT                                                                                                        \
    "SELECT row, cartridge, epoch, writer, number, barcode, size, crc, first_object, sum, list FROM segment "
#define NAME "cartridge, epoch, writer, number"
#define NAMES "SELECT " NAME " FROM segment "
static const char *const text[CHUNK_N_STATEMENTS] = {
    [CHUNK_BEGIN] = "BEGIN IMMEDIATE",
    [CHUNK_COMMIT] = "COMMIT",
    [CHUNK_COUNTS] = "SELECT segments, kept, wide, level FROM counts",
    [CHUNK_SET_COUNTS] = "UPDATE counts SET segments=?, kept=?, wide=?, level=?",
    [CHUNK_BY_ROW] = SEGMENT "WHERE row=?",
    [CHUNK_BY_NAME] = SEGMENT "WHERE cartridge=? AND epoch=? AND writer=? AND number=?",
    [CHUNK_OF_CARTRIDGE] = SEGMENT "WHERE cartridge=? LIMIT 1",
    [CHUNK_NAMES] = NAMES "WHERE (cartridge, epoch, writer, number) > (?,?,?,?) ORDER BY " NAME " LIMIT ?",
    [CHUNK_ADD] = "INSERT INTO segment VALUES(NULL,?,?,?,?,?,?,?,?,?,?)",
    [CHUNK_DELETE] = "DELETE FROM segment WHERE row=?",
    [CHUNK_HOOK_ADD] = "INSERT OR IGNORE INTO hook VALUES(?,?,?)",
    [CHUNK_HOOK_DELETE] = "DELETE FROM hook WHERE h=? AND segment=?",
    [CHUNK_HOOK_FIND] = "SELECT segment FROM hook WHERE h=? LIMIT ?",
    [CHUNK_HOOK_THIN] = "DELETE FROM hook WHERE h>=? AND NOT kept",
};

/* ---- SQLite ---- */

static int to_errno(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* a table is not as it should be */
    case SQLITE_CONSTRAINT:
        return -EUCLEAN;
    default:
        return -EIO;
    }
}

/* Ready to be bound; NULL with *rc. */
static sqlite3_stmt *statement(struct chunk_tables *t, enum chunk_statement n, int *rc)
{
    if (!t->sql) {
        *rc = -EIO;
        return NULL;
    }
    if (!t->statement[n])
        *rc = to_errno(sqlite3_prepare_v3(t->sql, text[n], -1, SQLITE_PREPARE_PERSISTENT, &t->statement[n], NULL));
    else
        *rc = 0;
    return *rc ? NULL : t->statement[n];
}

/* One that gives no rows. */
static int run(sqlite3_stmt *st)
{
    int rc = to_errno(sqlite3_step(st));
    (void)sqlite3_reset(st);
    return rc;
}

static int step(struct chunk_tables *t, enum chunk_statement n)
{
    int rc;
    sqlite3_stmt *st = statement(t, n, &rc);
    return st ? run(st) : rc;
}

/* ---- opening ---- */

static int read_counts(struct chunk_tables *t)
{
    int rc;
    sqlite3_stmt *st = statement(t, CHUNK_COUNTS, &rc);
    if (!st)
        return rc;
    int s = sqlite3_step(st);
    if (s == SQLITE_ROW)
        t->counts = (struct chunk_counts){sqlite3_column_int64(st, 0), sqlite3_column_int64(st, 1),
                                          sqlite3_column_int64(st, 2), sqlite3_column_int64(st, 3)};
    (void)sqlite3_reset(st);
    if (s == SQLITE_DONE || t->counts.level < 0 || t->counts.level > 62)
        return -EUCLEAN;
    return to_errno(s);
}

static int version(struct chunk_tables *t, int *n)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(t->sql, "PRAGMA user_version", -1, &st, NULL);
    if (!rc && (rc = sqlite3_step(st)) == SQLITE_ROW)
        *n = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return to_errno(rc);
}

/* WAL: with a journal each lookup would take and release a lock of the file, and cost twice as much. Pages of 8 KiB hold
 * three lists each, smaller ones waste a third. */
static int prepare(struct chunk_tables *t, uint64_t cache)
{
    char pragmas[200];
    int n = 0;
    (void)snprintf(
        pragmas, sizeof(pragmas),
        "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-%" PRIu64,
        cache / 1024);
    sqlite3_busy_timeout(t->sql, BUSY_MS);
    int rc = to_errno(sqlite3_exec(t->sql, pragmas, NULL, NULL, NULL));
    if (!rc)
        rc = chunk_tables_begin(t); /* another process may be about it, too */
    if (rc)
        return rc;
    rc = version(t, &n);
    if (!rc && !n)
        rc = to_errno(sqlite3_exec(t->sql, tables, NULL, NULL, NULL));
    else if (!rc && n != VERSION)
        rc = -EUCLEAN; /* of no use to this s3vtl */
    if (!rc)
        rc = read_counts(t);
    return chunk_tables_end(t, rc);
}

int chunk_tables_open(struct chunk_tables *t, const char *path, uint64_t cache)
{
    /* Made here, as SQLite's own would be open to others; its other files take the mode over. */
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    close(fd);
    *t = (struct chunk_tables){.most_wide = MOST_WIDE};
    int rc = to_errno(sqlite3_open_v2(path, &t->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
    if (!rc)
        rc = prepare(t, cache);
    if (rc)
        chunk_tables_close(t);
    return rc;
}

void chunk_tables_close(struct chunk_tables *t)
{
    for (size_t i = 0; i < CHUNK_N_STATEMENTS; i++)
        sqlite3_finalize(t->statement[i]);
    sqlite3_close(t->sql);
    *t = (struct chunk_tables){0};
}

/* ---- transactions ---- */

int chunk_tables_begin(struct chunk_tables *t)
{
    return step(t, CHUNK_BEGIN);
}

static int write_counts(struct chunk_tables *t)
{
    int rc;
    sqlite3_stmt *st = statement(t, CHUNK_SET_COUNTS, &rc);
    if (!st)
        return rc;
    sqlite3_bind_int64(st, 1, t->counts.segments);
    sqlite3_bind_int64(st, 2, t->counts.kept);
    sqlite3_bind_int64(st, 3, t->counts.wide);
    sqlite3_bind_int64(st, 4, t->counts.level);
    return run(st);
}

int chunk_tables_end(struct chunk_tables *t, int rc)
{
    if (!rc)
        rc = write_counts(t);
    if (!rc)
        rc = step(t, CHUNK_COMMIT);
    if (rc && t->sql && !sqlite3_get_autocommit(t->sql)) {
        (void)sqlite3_exec(t->sql, "ROLLBACK", NULL, NULL, NULL);
        (void)read_counts(t);
    }
    return rc;
}

/* ---- hooks ---- */

/* As a number of 63 bits, of which SQLite compares what it is told to. */
static int64_t hook_of(const uint8_t *id)
{
    uint64_t h = 0;
    for (unsigned i = 0; i < 8; i++)
        h = h << 8 | id[i];
    return (int64_t)(h >> 1);
}

static int64_t limit_of(const struct chunk_tables *t)
{
    return t->counts.level ? INT64_C(1) << (63 - t->counts.level) : INT64_MAX;
}

static int compare(const void *a, const void *b)
{
    int64_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

/* How many entries a list has, and (with out) their hooks. */
static int read_hooks(const void *list, size_t len, int64_t *out, size_t *n)
{
    struct chunk_entry e;
    size_t at = 0;
    int rc;
    for (*n = 0; (rc = chunk_list_next(list, len, &at, &e)) > 0; ++*n)
        if (out)
            out[*n] = hook_of(e.id);
    return rc ? -EINVAL : 0;
}

/* The hooks of a list, smallest first, each once; free *out. */
static int hooks_of(const void *list, size_t len, int64_t **out, size_t *n)
{
    size_t all;
    int rc = read_hooks(list, len, NULL, &all);
    *n = 0;
    *out = rc ? NULL : calloc(all + 1, sizeof(**out));
    if (!*out)
        return rc ? rc : -ENOMEM;
    (void)read_hooks(list, len, *out, &all);
    qsort(*out, all, sizeof(**out), compare);
    for (size_t i = 0; i < all; i++)
        if (!*n || (*out)[i] != (*out)[*n - 1])
            (*out)[(*n)++] = (*out)[i];
    return 0;
}

static int change_hook(struct chunk_tables *t, enum chunk_statement which, int64_t h, int64_t row, bool kept)
{
    int rc;
    sqlite3_stmt *st = statement(t, which, &rc);
    if (!st)
        return rc;
    sqlite3_bind_int64(st, 1, h);
    sqlite3_bind_int64(st, 2, row);
    if (which == CHUNK_HOOK_ADD)
        sqlite3_bind_int(st, 3, kept);
    rc = run(st);
    if (!rc)
        *(kept ? &t->counts.kept : &t->counts.wide) +=
            which == CHUNK_HOOK_ADD ? sqlite3_changes(t->sql) : -sqlite3_changes(t->sql);
    return rc;
}

static int change_hooks(struct chunk_tables *t, enum chunk_statement which, const struct chunk_row *r)
{
    int64_t *h = NULL, limit = limit_of(t);
    size_t n = 0;
    int rc = hooks_of(r->list, r->len, &h, &n);
    for (size_t i = 0; !rc && i < n && (i < CHUNK_HOOKS || h[i] < limit); i++)
        rc = change_hook(t, which, h[i], r->row, i < CHUNK_HOOKS);
    free(h);
    return rc;
}

/* They are those from a number on, so that this is one stretch of the table. */
static int thin(struct chunk_tables *t)
{
    int rc = 0;
    while (!rc && t->counts.wide > t->most_wide && t->counts.level < 62) {
        sqlite3_stmt *st = statement(t, CHUNK_HOOK_THIN, &rc);
        if (!st)
            return rc;
        t->counts.level++;
        sqlite3_bind_int64(st, 1, limit_of(t));
        rc = run(st);
        if (!rc)
            t->counts.wide -= sqlite3_changes(t->sql);
    }
    return rc;
}

int chunk_tables_hooks(struct chunk_tables *t, const uint8_t id[SEG_CHUNK_ID], int64_t *rows, size_t room, size_t *n)
{
    int rc, s;
    *n = 0;
    sqlite3_stmt *st = statement(t, CHUNK_HOOK_FIND, &rc);
    if (!st)
        return rc;
    sqlite3_bind_int64(st, 1, hook_of(id));
    sqlite3_bind_int64(st, 2, (int64_t)room);
    while ((s = sqlite3_step(st)) == SQLITE_ROW && *n < room)
        rows[(*n)++] = sqlite3_column_int64(st, 0);
    (void)sqlite3_reset(st);
    return to_errno(s);
}

/* ---- segments ---- */

/* Of all that a copy is made by. */
static uint32_t sum_of(const struct chunk_row *r)
{
    uint8_t b[16 + 33 + 44] = {0};
    memcpy(b, r->s.cartridge, 16);
    (void)snprintf((char *)b + 16, 33, "%s", r->s.barcode);
    put_le64(b + 49, r->s.id.epoch);
    put_le32(b + 57, r->s.id.writer);
    put_le64(b + 61, r->s.id.number);
    put_le64(b + 69, r->s.size);
    put_le32(b + 77, r->s.crc);
    put_le64(b + 81, r->first_object);
    return crc32c(crc32c(0, b, sizeof(b)), r->list, r->len);
}

static void bind_name(sqlite3_stmt *st, const uint8_t cartridge[16], const struct seg_id *id)
{
    sqlite3_bind_blob(st, 1, cartridge, 16, SQLITE_STATIC);
    if (!id)
        return;
    sqlite3_bind_int64(st, 2, (int64_t)id->epoch);
    sqlite3_bind_int64(st, 3, id->writer);
    sqlite3_bind_int64(st, 4, (int64_t)id->number);
}

/* The statement's row; it is reset by the caller. */
static int read_row(sqlite3_stmt *st, struct chunk_row *r)
{
    int s = sqlite3_step(st);
    if (s != SQLITE_ROW)
        return s == SQLITE_DONE ? -ENOENT : to_errno(s);
    *r = (struct chunk_row){.row = sqlite3_column_int64(st, 0)};
    const void *cartridge = sqlite3_column_blob(st, 1);
    if (sqlite3_column_bytes(st, 1) == 16)
        memcpy(r->s.cartridge, cartridge, 16);
    r->s.id = (struct seg_id){(uint64_t)sqlite3_column_int64(st, 2), (uint32_t)sqlite3_column_int64(st, 3),
                              (uint64_t)sqlite3_column_int64(st, 4)};
    const unsigned char *barcode = sqlite3_column_text(st, 5);
    (void)snprintf(r->s.barcode, sizeof(r->s.barcode), "%s", barcode ? (const char *)barcode : "");
    r->s.size = (uint64_t)sqlite3_column_int64(st, 6);
    r->s.crc = (uint32_t)sqlite3_column_int64(st, 7);
    r->first_object = (uint64_t)sqlite3_column_int64(st, 8);
    r->list = sqlite3_column_blob(st, 10);
    r->len = (size_t)sqlite3_column_bytes(st, 10);
    if (!r->len)
        r->list = "";
    else if (!r->list)
        return -ENOMEM;
    return sum_of(r) == (uint32_t)sqlite3_column_int64(st, 9) ? 0 : -EBADMSG;
}

int chunk_tables_read(struct chunk_tables *t, int64_t row, const struct seg_source *name, struct chunk_row *out)
{
    int rc;
    sqlite3_stmt *st = statement(t, row ? CHUNK_BY_ROW : CHUNK_BY_NAME, &rc);
    if (!st)
        return rc;
    if (row)
        sqlite3_bind_int64(st, 1, row);
    else
        bind_name(st, name->cartridge, &name->id);
    return read_row(st, out);
}

void chunk_tables_done(struct chunk_tables *t)
{
    static const enum chunk_statement readers[] = {CHUNK_BY_ROW, CHUNK_BY_NAME, CHUNK_OF_CARTRIDGE};
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
        if (t->statement[readers[i]])
            (void)sqlite3_reset(t->statement[readers[i]]);
}

int chunk_tables_names(struct chunk_tables *t, const struct seg_source *after, struct seg_source *out, size_t room,
                       size_t *n)
{
    static const struct seg_source first = {.size = 0};
    int rc, s;
    *n = 0;
    sqlite3_stmt *st = statement(t, CHUNK_NAMES, &rc);
    if (!st)
        return rc;
    after = after ? after : &first;
    bind_name(st, after->cartridge, &after->id);
    sqlite3_bind_int64(st, 5, (int64_t)room);
    while ((s = sqlite3_step(st)) == SQLITE_ROW && *n < room) {
        struct seg_source *o = &out[(*n)++];
        *o = (struct seg_source){.id = {(uint64_t)sqlite3_column_int64(st, 1), (uint32_t)sqlite3_column_int64(st, 2),
                                        (uint64_t)sqlite3_column_int64(st, 3)}};
        if (sqlite3_column_bytes(st, 0) == 16)
            memcpy(o->cartridge, sqlite3_column_blob(st, 0), 16);
    }
    (void)sqlite3_reset(st);
    return to_errno(s);
}

int chunk_tables_add(struct chunk_tables *t, const struct chunk_row *r)
{
    int rc;
    sqlite3_stmt *st = statement(t, CHUNK_ADD, &rc);
    if (!st)
        return rc;
    bind_name(st, r->s.cartridge, &r->s.id);
    sqlite3_bind_text(st, 5, r->s.barcode, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 6, (int64_t)r->s.size);
    sqlite3_bind_int64(st, 7, r->s.crc);
    sqlite3_bind_int64(st, 8, (int64_t)r->first_object);
    sqlite3_bind_int64(st, 9, sum_of(r));
    sqlite3_bind_blob(st, 10, r->list, (int)r->len, SQLITE_STATIC);
    rc = run(st);
    (void)sqlite3_clear_bindings(st);
    if (rc)
        return rc;
    struct chunk_row added = *r;
    added.row = sqlite3_last_insert_rowid(t->sql);
    t->counts.segments++;
    rc = change_hooks(t, CHUNK_HOOK_ADD, &added);
    return rc ? rc : thin(t);
}

/* The row that the statement finds, whatever its CRC says: hooks that a damaged list no longer names stay, and lead to
 * nothing. */
static int drop_found(struct chunk_tables *t, sqlite3_stmt *found, int64_t *row)
{
    struct chunk_row r = {0};
    int rc = read_row(found, &r);
    if (!rc)
        rc = change_hooks(t, CHUNK_HOOK_DELETE, &r);
    else if (rc == -EBADMSG)
        rc = 0;
    (void)sqlite3_reset(found);
    sqlite3_stmt *st = rc ? NULL : statement(t, CHUNK_DELETE, &rc);
    if (!st)
        return rc;
    *row = r.row;
    sqlite3_bind_int64(st, 1, r.row);
    rc = run(st);
    t->counts.segments -= !rc;
    return rc;
}

int chunk_tables_drop(struct chunk_tables *t, const uint8_t cartridge[16], const struct seg_id *id, int64_t *row)
{
    int rc;
    sqlite3_stmt *st = statement(t, CHUNK_BY_NAME, &rc);
    if (!st)
        return rc;
    bind_name(st, cartridge, id);
    return drop_found(t, st, row);
}

int chunk_tables_drop_one(struct chunk_tables *t, const uint8_t cartridge[16], int64_t *row)
{
    int rc;
    sqlite3_stmt *st = statement(t, CHUNK_OF_CARTRIDGE, &rc);
    if (!st)
        return rc;
    bind_name(st, cartridge, NULL);
    return drop_found(t, st, row);
}
