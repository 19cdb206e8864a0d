/* SPDX-License-Identifier: GPL-2.0-or-later */
/* db_segments.c: the gateway's state in SQLite: segments, maps, commits and garbage. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "vtl/state/db_private.h"

void object_key(char out[DB_KEY_SIZE], const char *barcode, const char *kind, const struct seg_id *id)
{
    char name[SEG_NAME_SIZE];
    seg_id_format(id, name);
    (void)snprintf(out, DB_KEY_SIZE, "tapes/%s/%s/%s", barcode, kind, name);
}

bool object_name_at(const char *key, const char *prefix, struct seg_id *id)
{
    size_t n = strlen(prefix);
    return !strncmp(key, prefix, n) && seg_id_parse(key + n, id);
}

static struct seg_id id_at(sqlite3_stmt *st, int col)
{
    return (struct seg_id){(uint64_t)sqlite3_column_int64(st, col), (uint32_t)sqlite3_column_int64(st, col + 1),
                           (uint64_t)sqlite3_column_int64(st, col + 2)};
}

static int each_segment(struct db *db, int64_t cartridge, db_segment_fn fn, void *arg)
{
    DB_STMT st = db_prepare_summed(
        db, DB_SEGMENT,
        "SELECT state, epoch, writer, number, first_object, first_file, objects, filemarks, size,"
        " plain_bytes, fms, crc, sum IS %s FROM segment WHERE cartridge=? ORDER BY state=0, first_object");
    int rc;
    if (st)
        sqlite3_bind_int64(st, 1, cartridge);
    while ((rc = db_row(db, st)) > 0) {
        struct seg_ref r = {
            .id = id_at(st, 1),
            .first_object = (uint64_t)sqlite3_column_int64(st, 4),
            .first_file = (uint64_t)sqlite3_column_int64(st, 5),
            .objects = (uint64_t)sqlite3_column_int64(st, 6),
            .filemarks = (uint64_t)sqlite3_column_int64(st, 7),
            .size = (uint64_t)sqlite3_column_int64(st, 8),
            .plain_bytes = (uint64_t)sqlite3_column_int64(st, 9),
            .crc = (uint32_t)sqlite3_column_int64(st, 11),
        };
        const struct seg_fm_run *fms = sqlite3_column_blob(st, 10);
        size_t n = (size_t)sqlite3_column_bytes(st, 10) / sizeof(*fms);
        char name[SEG_NAME_SIZE];
        seg_id_format(&r.id, name);
        if ((rc = db_check_row(db, st, 12, DB_SEGMENT, name)) ||
            (rc = fn(arg, (enum seg_state)sqlite3_column_int(st, 0), &r, fms, n)))
            break;
    }
    return rc;
}

int db_segments(struct db *db, int64_t cartridge, db_segment_fn fn, void *arg)
{
    db_enter(db);
    return db_leave(db, each_segment(db, cartridge, fn, arg));
}

static void bind_id(sqlite3_stmt *st, int p, int64_t cartridge, const struct seg_id *id)
{
    sqlite3_bind_int64(st, p, cartridge);
    db_bind_id(st, p + 1, id);
}

/* For one segment_insert or many: to prepare it, with all that its triggers do, takes longer than to run it. */
static sqlite3_stmt *prepare_segment_insert(struct db *db)
{
    return db_prepare(db, "INSERT INTO segment(cartridge, epoch, writer, number, state, first_object, first_file,"
                          " objects, filemarks, size, plain_bytes, fms, crc) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)");
}

static int segment_insert(struct db *db, sqlite3_stmt *st, int64_t cartridge, enum seg_state state,
                          const struct seg_ref *r, const struct seg_fm_run *fms, size_t n_fms)
{
    if (st) {
        bind_id(st, 1, cartridge, &r->id);
        sqlite3_bind_int(st, 5, (int)state);
        sqlite3_bind_int64(st, 6, (int64_t)r->first_object);
        sqlite3_bind_int64(st, 7, (int64_t)r->first_file);
        sqlite3_bind_int64(st, 8, (int64_t)r->objects);
        sqlite3_bind_int64(st, 9, (int64_t)r->filemarks);
        sqlite3_bind_int64(st, 10, (int64_t)r->size);
        sqlite3_bind_int64(st, 11, (int64_t)r->plain_bytes);
        sqlite3_bind_blob64(st, 12, n_fms ? (const void *)fms : "", n_fms * sizeof(*fms), SQLITE_STATIC);
        sqlite3_bind_int64(st, 13, r->crc);
    }
    return db_step_again(db, st);
}

int db_segment_open(struct db *db, const struct db_cartridge *c, const struct seg_ref *ref)
{
    struct seg_ref r = {.id = ref->id, .first_object = ref->first_object, .first_file = ref->first_file};
    int rc = db_begin(db);
    if (rc)
        return rc;
    sqlite3_stmt *st = prepare_segment_insert(db);
    rc = segment_insert(db, st, c->rowid, SEG_OPEN, &r, NULL, 0);
    sqlite3_finalize(st);
    if (!rc)
        rc = db_cartridge_write(db, c);
    return db_end(db, rc);
}

static int segment_statement(struct db *db, const char *sql, int64_t cartridge, const struct seg_id *id)
{
    DB_STMT st = db_prepare(db, sql);
    if (st)
        bind_id(st, 1, cartridge, id);
    return db_step(db, st);
}

int db_segment_drop(struct db *db, int64_t cartridge, const struct seg_id *id)
{
    int rc = db_begin(db);
    if (rc)
        return rc;
    rc = segment_statement(db, "DELETE FROM segment WHERE cartridge=? AND epoch=? AND writer=? AND number=?", cartridge,
                           id);
    return db_end(db, rc ? rc : db_lean_forget(db, cartridge, id, false));
}

int db_segment_stored(struct db *db, int64_t cartridge, const struct seg_id *id)
{
    int rc = db_begin(db);
    if (rc)
        return rc;
    return db_end(
        db, segment_statement(
                db, "UPDATE segment SET state=2 WHERE cartridge=? AND epoch=? AND writer=? AND number=? AND state=1",
                cartridge, id));
}

static int rename_open(struct db *db, int64_t cartridge, const struct seg_id *from, const struct seg_id *to)
{
    DB_STMT st = db_prepare(db, "UPDATE segment SET epoch=?5, writer=?6, number=?7"
                                " WHERE cartridge=?1 AND epoch=?2 AND writer=?3 AND number=?4 AND state=0");
    if (st) {
        bind_id(st, 1, cartridge, from);
        sqlite3_bind_int64(st, 5, (int64_t)to->epoch);
        sqlite3_bind_int64(st, 6, to->writer);
        sqlite3_bind_int64(st, 7, (int64_t)to->number);
    }
    return db_step(db, st);
}

int db_segment_rename(struct db *db, const struct db_cartridge *c, const struct seg_id *from, const struct seg_id *to)
{
    int rc = db_begin(db);
    if (rc)
        return rc;
    rc = rename_open(db, c->rowid, from, to);
    if (!rc)
        rc = db_lean_rename(db, c->rowid, from, to);
    if (!rc)
        rc = db_cartridge_write(db, c);
    return db_end(db, rc);
}

static int set_open_size(struct db *db, int64_t cartridge, const struct seg_id *id, uint64_t bytes)
{
    DB_STMT st = db_prepare(
        db, "UPDATE segment SET size=?5 WHERE cartridge=?1 AND epoch=?2 AND writer=?3 AND number=?4 AND state=0");
    if (st) {
        bind_id(st, 1, cartridge, id);
        sqlite3_bind_int64(st, 5, (int64_t)bytes);
    }
    return db_step(db, st);
}

int db_segment_synced(struct db *db, const struct db_cartridge *c, const struct seg_id *id, uint64_t bytes)
{
    int rc = db_begin(db);
    if (rc)
        return rc;
    rc = set_open_size(db, c->rowid, id, bytes);
    return db_end(db, rc ? rc : db_written_put(db, c->written));
}

static int segment_update(struct db *db, int64_t cartridge, const char *sql, const struct seg_ref *r,
                          const struct seg_fm_run *fms, size_t n_fms)
{
    DB_STMT st = db_prepare(db, sql);
    if (st) {
        bind_id(st, 1, cartridge, &r->id);
        sqlite3_bind_int64(st, 5, (int64_t)r->objects);
        sqlite3_bind_int64(st, 6, (int64_t)r->filemarks);
        sqlite3_bind_int64(st, 7, (int64_t)r->size);
        sqlite3_bind_int64(st, 8, (int64_t)r->plain_bytes);
        sqlite3_bind_blob64(st, 9, n_fms ? (const void *)fms : "", n_fms * sizeof(*fms), SQLITE_STATIC);
        sqlite3_bind_int64(st, 10, r->crc);
    }
    return db_step(db, st);
}

#define SEGMENT_FIGURES "objects=?5, filemarks=?6, size=?7, plain_bytes=?8, fms=?9, crc=?10"
#define SEGMENT_IS " WHERE cartridge=?1 AND epoch=?2 AND writer=?3 AND number=?4"

/* As above. */
static sqlite3_stmt *prepare_garbage_insert(struct db *db)
{
    return db_prepare(db, "INSERT OR IGNORE INTO garbage(cartridge, key) VALUES(?,?)");
}

/* With a statement of garbage that has these two parameters. */
static int garbage_step(struct db *db, sqlite3_stmt *st, int64_t cartridge, const char *key)
{
    if (st) {
        sqlite3_bind_int64(st, 1, cartridge);
        sqlite3_bind_text(st, 2, key, -1, SQLITE_STATIC);
    }
    return db_step_again(db, st);
}

/* Everything at object and behind it goes, but the OPEN row. Stored objects become garbage, and so do sealed ones: an
 * upload of them may have begun, and a crash now would leave nobody who knows. */
static int truncate_rows(struct db *db, const struct db_cartridge *c, uint64_t object)
{
    DB_STMT st =
        db_prepare(db, "SELECT epoch, writer, number FROM segment WHERE cartridge=? AND first_object>=? AND state<>0");
    DB_STMT insert = prepare_garbage_insert(db);
    if (!st)
        return -EIO;
    sqlite3_bind_int64(st, 1, c->rowid);
    sqlite3_bind_int64(st, 2, (int64_t)object);
    int rc;
    while ((rc = db_row(db, st)) > 0) {
        struct seg_id id = id_at(st, 0);
        char key[DB_KEY_SIZE];
        object_key(key, c->barcode, "seg", &id);
        if ((rc = garbage_step(db, insert, c->rowid, key)))
            break;
    }
    if (rc)
        return rc;
    DB_STMT del = db_prepare(db, "DELETE FROM segment WHERE cartridge=? AND first_object>=? AND state<>0");
    if (del) {
        sqlite3_bind_int64(del, 1, c->rowid);
        sqlite3_bind_int64(del, 2, (int64_t)object);
    }
    return db_step(db, del);
}

int db_change(struct db *db, const struct db_cartridge *c, const struct db_change *ch)
{
    int rc = db_begin(db);
    if (rc)
        return rc;
    if (ch->truncate)
        rc = truncate_rows(db, c, ch->object);
    if (!rc && ch->cut)
        rc = segment_update(db, c->rowid, "UPDATE segment SET " SEGMENT_FIGURES SEGMENT_IS, ch->cut, ch->cut_fms,
                            ch->n_cut_fms);
    if (!rc && ch->sealed && !ch->sealed_stays_open)
        rc = segment_update(db, c->rowid, "UPDATE segment SET state=1, " SEGMENT_FIGURES SEGMENT_IS, ch->sealed,
                            ch->sealed_fms, ch->n_sealed_fms);
    if (!rc)
        rc = db_cartridge_write(db, c);
    return db_end(db, rc);
}

static int each_map(struct db *db, int64_t cartridge, int (*fn)(void *arg, const struct map_ref *m), void *arg)
{
    DB_STMT st = db_prepare_summed(
        db, DB_MAP,
        "SELECT epoch, writer, number, n_segs, first_object, size, crc, sum IS %s FROM map WHERE cartridge=?"
        " ORDER BY pos");
    int rc;
    if (st)
        sqlite3_bind_int64(st, 1, cartridge);
    while ((rc = db_row(db, st)) > 0) {
        struct map_ref m = {.id = id_at(st, 0),
                            .n_segs = (uint64_t)sqlite3_column_int64(st, 3),
                            .first_object = (uint64_t)sqlite3_column_int64(st, 4),
                            .size = (uint64_t)sqlite3_column_int64(st, 5),
                            .crc = (uint32_t)sqlite3_column_int64(st, 6)};
        char name[SEG_NAME_SIZE];
        seg_id_format(&m.id, name);
        if ((rc = db_check_row(db, st, 7, DB_MAP, name)) || (rc = fn(arg, &m)))
            break;
    }
    return rc;
}

int db_maps(struct db *db, int64_t cartridge, int (*fn)(void *arg, const struct map_ref *m), void *arg)
{
    db_enter(db);
    return db_leave(db, each_map(db, cartridge, fn, arg));
}

static int map_insert(struct db *db, int64_t cartridge, size_t pos, const struct map_ref *m)
{
    DB_STMT st =
        db_prepare(db, "INSERT INTO map(cartridge, epoch, writer, number, pos, n_segs, first_object, size, crc)"
                       " VALUES(?,?,?,?,?,?,?,?,?)");
    if (st) {
        bind_id(st, 1, cartridge, &m->id);
        sqlite3_bind_int64(st, 5, (int64_t)pos);
        sqlite3_bind_int64(st, 6, (int64_t)m->n_segs);
        sqlite3_bind_int64(st, 7, (int64_t)m->first_object);
        sqlite3_bind_int64(st, 8, (int64_t)m->size);
        sqlite3_bind_int64(st, 9, m->crc);
    }
    return db_step(db, st);
}

/* Maps of the last commit that are not among the new ones. */
static int old_maps_garbage(struct db *db, const struct db_cartridge *c, const struct map_ref *maps, size_t n_maps)
{
    DB_STMT st = db_prepare(db, "SELECT epoch, writer, number FROM map WHERE cartridge=?");
    DB_STMT insert = prepare_garbage_insert(db);
    int rc;
    if (st)
        sqlite3_bind_int64(st, 1, c->rowid);
    while ((rc = db_row(db, st)) > 0) {
        struct seg_id id = id_at(st, 0);
        size_t i = 0;
        while (i < n_maps && seg_id_compare(&maps[i].id, &id))
            i++;
        if (i < n_maps)
            continue;
        char key[DB_KEY_SIZE];
        object_key(key, c->barcode, "map", &id);
        if ((rc = garbage_step(db, insert, c->rowid, key)))
            break;
    }
    return rc;
}

static int delete_maps(struct db *db, int64_t cartridge)
{
    DB_STMT st = db_prepare(db, "DELETE FROM map WHERE cartridge=?");
    if (st)
        sqlite3_bind_int64(st, 1, cartridge);
    return db_step(db, st);
}

int db_committed(struct db *db, const struct db_cartridge *c, const struct map_ref *maps, size_t n_maps,
                 const struct head_leaner *leaners, size_t n_leaners)
{
    int rc = db_begin(db);
    if (rc)
        return rc;
    rc = old_maps_garbage(db, c, maps, n_maps);
    if (!rc)
        rc = delete_maps(db, c->rowid);
    for (size_t i = 0; !rc && i < n_maps; i++)
        rc = map_insert(db, c->rowid, i, &maps[i]);
    if (!rc)
        rc = db_leaners_named(db, c->rowid, leaners, n_leaners);
    if (!rc)
        rc = db_cartridge_write(db, c);
    if (!rc && !c->dirty)
        rc = db_written_accepted(db, c);
    return db_end(db, rc);
}

static int insert_stored(struct db *db, int64_t cartridge, const struct tape_index *x)
{
    DB_STMT st = prepare_segment_insert(db);
    int rc = 0;
    for (size_t i = 0; !rc && i < x->n_segs; i++) {
        const struct seg_ref *r = &x->segs[i];
        struct seg_fm_run *runs = NULL;
        size_t n = 0;
        rc = tape_index_runs(x, r->first_object, r->first_object + r->objects, &runs, &n);
        if (!rc)
            rc = segment_insert(db, st, cartridge, SEG_STORED, r, runs, n);
        free(runs);
    }
    return rc;
}

/* What a removed cartridge left at this place is garbage of the one that is made there. */
static int insert_kept(struct db *db, const struct db_cartridge *c, const struct head *h)
{
    DB_STMT insert = h->n_kept ? prepare_garbage_insert(db) : NULL;
    int rc = 0;
    for (size_t i = 0; !rc && i < h->n_kept; i++) {
        char key[DB_KEY_SIZE];
        object_key(key, c->barcode, "seg", &h->kept[i]);
        rc = garbage_step(db, insert, c->rowid, key);
    }
    return rc;
}

static int insert_whole(struct db *db, struct db_cartridge *c, uint16_t address, const struct tape_index *x,
                        const struct head *h)
{
    int rc = db_cartridge_insert(db, c, address);
    if (!rc)
        rc = insert_stored(db, c->rowid, x);
    for (size_t i = 0; !rc && i < h->n_maps; i++)
        rc = map_insert(db, c->rowid, i, &h->maps[i]);
    if (!rc)
        rc = insert_kept(db, c, h);
    return rc ? rc : db_leans_restore(db, c->rowid, x, h);
}

int db_cartridge_adopt(struct db *db, struct db_cartridge *c, const struct tape_index *x, const struct head *h)
{
    int rc = db_begin(db);
    if (rc)
        return rc;
    rc = db_cartridge_delete_rows(db, c->rowid);
    if (!rc)
        rc = insert_whole(db, c, 0, x, h);
    return db_end(db, rc);
}

int db_cartridge_restore(struct db *db, int64_t old, struct db_cartridge *c, uint16_t address,
                         const struct tape_index *x, const struct head *h)
{
    int rc = db_begin(db);
    if (rc)
        return rc;
    c->rowid = old;
    if (old)
        rc = db_cartridge_delete(db, old, c->barcode);
    if (!rc)
        rc = insert_whole(db, c, address, x, h);
    return db_end(db, rc);
}

static int each_garbage(struct db *db, int64_t cartridge, int (*fn)(void *arg, const char *key), void *arg)
{
    DB_STMT st = db_prepare_summed(db, DB_GARBAGE, "SELECT key, sum IS %s FROM garbage WHERE cartridge=? ORDER BY key");
    int rc;
    if (st)
        sqlite3_bind_int64(st, 1, cartridge);
    while ((rc = db_row(db, st)) > 0) {
        const char *key = (const char *)sqlite3_column_text(st, 0);
        rc = key ? db_check_row(db, st, 1, DB_GARBAGE, key) : -ENOMEM;
        if (rc || (rc = fn(arg, key)))
            break;
    }
    return rc;
}

int db_garbage(struct db *db, int64_t cartridge, int (*fn)(void *arg, const char *key), void *arg)
{
    db_enter(db);
    return db_leave(db, each_garbage(db, cartridge, fn, arg));
}

/* The statement ends here, before the transaction does. */
static int garbage_steps(struct db *db, sqlite3_stmt *prepared, int64_t cartridge, const char *const *keys, size_t n)
{
    DB_STMT st = prepared;
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        rc = garbage_step(db, st, cartridge, keys[i]);
    return rc;
}

int db_garbage_add(struct db *db, int64_t cartridge, const char *const *keys, size_t n)
{
    int rc = db_begin(db);
    return rc ? rc : db_end(db, garbage_steps(db, prepare_garbage_insert(db), cartridge, keys, n));
}

/* Segments among these objects lean on nothing any more. gone: and the objects are no more. */
static int forget_segments(struct db *db, int64_t cartridge, const char *const *keys, size_t n, bool gone)
{
    bool any = false;
    int rc = db_any_lean(db, cartridge, &any);
    for (size_t i = 0; !rc && i < n; i++) {
        const char *name = strstr(keys[i], "/seg/");
        struct seg_id id;
        if (!name || !seg_id_parse(name + strlen("/seg/"), &id))
            continue;
        rc = any ? db_lean_forget(db, cartridge, &id, true) : 0;
        if (!rc && gone)
            rc = db_damaged_forget(db, cartridge, &id);
    }
    return rc;
}

int db_garbage_done(struct db *db, int64_t cartridge, const char *const *keys, size_t n)
{
    int rc = db_begin(db);
    if (rc)
        return rc;
    sqlite3_stmt *st = db_prepare(db, "DELETE FROM garbage WHERE cartridge=? AND key=?");
    rc = garbage_steps(db, st, cartridge, keys, n);
    return db_end(db, rc ? rc : forget_segments(db, cartridge, keys, n, true));
}

int db_garbage_stays(struct db *db, int64_t cartridge, const char *const *keys, size_t n)
{
    int rc = db_begin(db);
    return rc ? rc : db_end(db, forget_segments(db, cartridge, keys, n, false));
}

static int has_segment(struct db *db, const uint8_t cartridge[16], const struct seg_id *id)
{
    char name[SEG_NAME_SIZE];
    DB_STMT st = db_prepare(
        db, "SELECT 1 FROM cartridge c WHERE id=?1 AND (EXISTS (SELECT 1 FROM segment s WHERE s.cartridge=c.rowid AND"
            " epoch=?2 AND writer=?3 AND number=?4) OR EXISTS (SELECT 1 FROM garbage g WHERE g.cartridge=c.rowid AND"
            " g.key='tapes/'||c.barcode||'/seg/'||?5))");
    seg_id_format(id, name);
    if (st) {
        sqlite3_bind_blob(st, 1, cartridge, 16, SQLITE_STATIC);
        db_bind_id(st, 2, id);
        sqlite3_bind_text(st, 5, name, -1, SQLITE_STATIC);
    }
    return db_row(db, st);
}

int db_has_segment(struct db *db, const uint8_t cartridge[16], const struct seg_id *id)
{
    db_enter(db);
    return db_leave(db, has_segment(db, cartridge, id));
}

/* ---- are they all what was written? ---- */

static int check_own_row(struct db *db, int64_t rowid)
{
    DB_STMT st = db_prepare_summed(db, DB_CARTRIDGE,
                                   "SELECT sum IS %s, content=" DB_CONTENT ", barcode FROM cartridge c WHERE rowid=?");
    if (st)
        sqlite3_bind_int64(st, 1, rowid);
    int rc = db_row(db, st);
    if (!rc)
        return db_fail(db, -EBADMSG, "state.db: the cartridge's row is gone: " DB_WAY_OUT);
    if (rc < 0)
        return rc;
    const char *barcode = (const char *)sqlite3_column_text(st, 2);
    rc = db_check_row(db, st, 0, DB_CARTRIDGE, barcode ? barcode : "");
    if (!rc && !sqlite3_column_int(st, 1))
        rc = db_fail(db, -EBADMSG,
                     "state.db: rows of this cartridge in segment, map, garbage, lean or leaner are gone, or not its "
                     "own: " DB_WAY_OUT);
    return rc;
}

static int no_map(void *arg, const struct map_ref *m)
{
    (void)arg;
    (void)m;
    return 0;
}

static int no_segment(void *arg, enum seg_state state, const struct seg_ref *r, const struct seg_fm_run *fms, size_t n)
{
    (void)arg;
    (void)state;
    (void)r;
    (void)fms;
    (void)n;
    return 0;
}

static int no_garbage(void *arg, const char *key)
{
    (void)arg;
    (void)key;
    return 0;
}

/* The rows one by one first, as they tell more than their sum. */
static int check_cartridge(struct db *db, int64_t rowid)
{
    int rc = each_segment(db, rowid, no_segment, NULL);
    if (!rc)
        rc = each_map(db, rowid, no_map, NULL);
    if (!rc)
        rc = each_garbage(db, rowid, no_garbage, NULL);
    if (!rc)
        rc = db_check_leans(db, rowid);
    return rc ? rc : check_own_row(db, rowid);
}

int db_cartridge_check(struct db *db, int64_t rowid)
{
    db_enter(db);
    return db_leave(db, check_cartridge(db, rowid));
}
