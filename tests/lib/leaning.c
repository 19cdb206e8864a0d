/* SPDX-License-Identifier: GPL-2.0-or-later */
/* leaning.c: see leaning.h. */
#include "tests/lib/leaning.h"

#include <sqlite3.h>
#include <stdio.h>

/* What a fenced cartridge had does not count. */
#define OURS "EXISTS (SELECT 1 FROM cartridge o WHERE o.rowid=l.cartridge AND o.fenced=0)"

static uint64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    uint64_t n = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        n = (uint64_t)sqlite3_column_int64(st, 0);
    (void)sqlite3_finalize(st);
    return n;
}

struct leaning leaning_of(const char *state_dir)
{
    char path[4200];
    struct leaning l = {.leans = 0};
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof(path), "%s/state.db", state_dir);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK) {
        l.leans = number(db, "SELECT count(*) FROM lean l WHERE " OURS);
        l.kept =
            number(db, "SELECT count(DISTINCT s_barcode||s_epoch||'-'||s_writer||'-'||s_number) FROM lean l WHERE " OURS
                       " AND NOT EXISTS (SELECT 1 FROM segment s JOIN cartridge c ON c.rowid=s.cartridge WHERE"
                       " c.barcode=l.s_barcode AND s.epoch=l.s_epoch AND s.writer=l.s_writer AND"
                       " s.number=l.s_number)");
    }
    (void)sqlite3_close(db);
    return l;
}

uint64_t leaning_now(struct library *lib, const char *barcode)
{
    struct errtext err = {""};
    json_t *q = json_pack("{s:s, s:s}", "op", "tape-show", "barcode", barcode), *r = library_call(lib, q, &err), *s;
    uint64_t n = 0;
    size_t i;
    json_array_foreach(json_object_get(r, "leans_on"), i, s) n +=
        (uint64_t)json_integer_value(json_object_get(s, "segments"));
    json_decref(q);
    json_decref(r);
    return n;
}
