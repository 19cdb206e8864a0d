/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_index.c: see chunk_index.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "vtl/state/chunk_index_private.h"

/* Of the memory: SQLite's pages. */
#define PAGES 8
#define LEAST_MEMORY (UINT64_C(1) << 20)
#define MOST_HOOKS 8 /* of one chunk that are followed */
#define BATCH 1000
#define LOG_EVERY_MS 60000

struct chunk_index {
    struct lock lock;
    char *path;
    uint64_t pages;
    struct chunk_tables tables;
    struct chunk_memory *memory;
    uint64_t found, loaded, logged_at;
    bool logged;
};

/* ---- opening, and what becomes of a damaged file ---- */

static void name_of(const char *path, const char *suffix, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s%s", path, suffix);
}

static void put_aside(const char *path)
{
    char bad[PATH_MAX], other[PATH_MAX];
    name_of(path, ".bad", bad);
    if (rename(path, bad) && errno != ENOENT)
        (void)unlink(path);
    static const char *const suffixes[] = {"-wal", "-shm"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        name_of(path, suffixes[i], other);
        (void)unlink(other);
    }
    log_warn("%s could not be used: it is now %s, and a new one is begun; what only it knew is stored once more", path,
             bad);
}

/* At most twice: a new one is not damaged. */
static int open_tables(struct chunk_index *x)
{
    int rc = chunk_tables_open(&x->tables, x->path, x->pages);
    if (rc != -EUCLEAN)
        return rc;
    put_aside(x->path);
    return chunk_tables_open(&x->tables, x->path, x->pages);
}

int chunk_index_open(const char *path, uint64_t memory, struct chunk_index **out, struct errtext *err)
{
    struct chunk_index *x = calloc(1, sizeof(*x));
    *out = NULL;
    if (!x)
        return errtext_set(err, -ENOMEM, "%s: out of memory", path);
    if (memory < LEAST_MEMORY)
        memory = LEAST_MEMORY;
    lock_init(&x->lock, LOCK_CHUNKS);
    x->pages = memory / PAGES;
    x->path = strdup(path);
    x->memory = chunk_memory_new(memory - x->pages);
    int rc = x->path && x->memory ? open_tables(x) : -ENOMEM;
    if (rc) {
        chunk_index_close(x);
        return errtext_set(err, rc, "%s: %s", path, strerror(-rc));
    }
    *out = x;
    return 0;
}

void chunk_index_close(struct chunk_index *x)
{
    if (!x)
        return;
    chunk_tables_close(&x->tables);
    chunk_memory_free(x->memory);
    lock_fini(&x->lock);
    free(x->path);
    free(x);
}

/* What a call came to; a damaged file is put aside, and all that was in memory is of no use. */
static int settle(struct chunk_index *x, int rc)
{
    if (rc == -EUCLEAN) {
        chunk_tables_close(&x->tables);
        chunk_memory_drop_all(x->memory);
        put_aside(x->path);
        (void)chunk_tables_open(&x->tables, x->path, x->pages);
    }
    uint64_t now = clock_ms();
    bool quiet = !rc || rc == -EINVAL || (x->logged && now - x->logged_at < LOG_EVERY_MS);
    if (!quiet) {
        log_warn("%s: %s; what it does not know is stored once more", x->path, strerror(-rc));
        x->logged = true;
        x->logged_at = now;
    }
    lock_release(&x->lock);
    return rc;
}

/* ---- changes ---- */

static int drop_row(struct chunk_index *x, const uint8_t cartridge[16], const struct seg_id *id)
{
    int64_t row;
    int rc =
        id ? chunk_tables_drop(&x->tables, cartridge, id, &row) : chunk_tables_drop_one(&x->tables, cartridge, &row);
    if (!rc)
        chunk_memory_drop(x->memory, row);
    return rc;
}

static bool is_list(const void *list, size_t len)
{
    struct chunk_entry e;
    size_t at = 0;
    int rc;
    do
        rc = chunk_list_next(list, len, &at, &e);
    while (rc > 0);
    return !rc && len <= CHUNK_LIST_MAX;
}

int chunk_index_put(struct chunk_index *x, const struct seg_source *s, uint64_t first_object, const void *list,
                    size_t len)
{
    if (!is_list(list, len))
        return -EINVAL;
    const struct chunk_row r = {.s = *s, .first_object = first_object, .list = len ? list : "", .len = len};
    lock_take(&x->lock);
    int rc = chunk_tables_begin(&x->tables);
    if (!rc) {
        rc = drop_row(x, s->cartridge, &s->id);
        if (rc == -ENOENT)
            rc = 0;
        if (!rc)
            rc = chunk_tables_add(&x->tables, &r);
        rc = chunk_tables_end(&x->tables, rc);
    }
    return settle(x, rc);
}

bool chunk_index_has(struct chunk_index *x, const uint8_t cartridge[16], const struct seg_id *id)
{
    struct chunk_row r;
    struct seg_source s = {.id = *id};
    memcpy(s.cartridge, cartridge, sizeof(s.cartridge));
    lock_take(&x->lock);
    int rc = chunk_tables_read(&x->tables, 0, &s, &r);
    chunk_tables_done(&x->tables);
    (void)settle(x, rc == -ENOENT || rc == -EBADMSG ? 0 : rc);
    return !rc;
}

int chunk_index_drop(struct chunk_index *x, const uint8_t cartridge[16], const struct seg_id *id)
{
    lock_take(&x->lock);
    int rc = chunk_tables_begin(&x->tables);
    if (!rc) {
        rc = drop_row(x, cartridge, id);
        rc = chunk_tables_end(&x->tables, rc == -ENOENT ? 0 : rc);
    }
    return settle(x, rc);
}

int chunk_index_drop_cartridge(struct chunk_index *x, const uint8_t cartridge[16])
{
    int rc = 0;
    for (bool more = true; !rc && more;) {
        lock_take(&x->lock);
        rc = chunk_tables_begin(&x->tables);
        if (!rc) {
            for (unsigned i = 0; !rc && i < BATCH; i++)
                rc = drop_row(x, cartridge, NULL);
            more = !rc;
            rc = chunk_tables_end(&x->tables, rc == -ENOENT ? 0 : rc);
        }
        rc = settle(x, rc);
    }
    return rc;
}

int chunk_index_names(struct chunk_index *x, const struct seg_source *after, struct seg_source *out, size_t room,
                      size_t *n)
{
    lock_take(&x->lock);
    return settle(x, chunk_tables_names(&x->tables, after, out, room, n));
}

void chunk_index_avoid(struct chunk_index *x, const struct seg_source *s, unsigned ms)
{
    lock_take(&x->lock);
    chunk_memory_avoid(x->memory, s, clock_ms() + ms);
    lock_release(&x->lock);
}

/* ---- lookups ---- */

/* Into memory: a segment by its row, or (row 0) by its name. */
static int load(struct chunk_index *x, int64_t row, const struct seg_source *name)
{
    struct chunk_row r;
    if (row && chunk_memory_has(x->memory, row))
        return 0;
    int rc = chunk_tables_read(&x->tables, row, name, &r);
    if (!rc && !chunk_memory_has(x->memory, r.row)) {
        rc = chunk_memory_add(x->memory, &r);
        x->loaded += !rc;
    }
    chunk_tables_done(&x->tables);
    return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
}

static int load_hooks(struct chunk_index *x, const uint8_t id[SEG_CHUNK_ID])
{
    int64_t rows[MOST_HOOKS];
    size_t n;
    int rc = chunk_tables_hooks(&x->tables, id, rows, MOST_HOOKS, &n);
    for (size_t i = 0; !rc && i < n; i++)
        rc = load(x, rows[i], NULL);
    return rc;
}

/* The segment that was written after it: the chunks that come next are there. */
static int load_next(struct chunk_index *x, const struct chunk_row *r)
{
    struct seg_source next = r->s; /* the row may go when another one comes */
    next.id.number++;
    return load(x, 0, &next);
}

void chunk_index_find(struct chunk_index *x, const uint8_t id[SEG_CHUNK_ID], uint32_t length, bool in_memory,
                      struct chunk_places *out)
{
    const struct chunk_row *fresh = NULL;
    int rc = 0;
    lock_take(&x->lock);
    chunk_memory_find(x->memory, id, length, out, in_memory ? NULL : &fresh);
    if (!in_memory && !chunk_places_cover(out, length)) {
        fresh = NULL; /* it may go when others come */
        rc = load_hooks(x, id);
        out->n = 0;
        out->n_runs = 0;
        chunk_memory_find(x->memory, id, length, out, &fresh);
    }
    if (!in_memory && !rc && fresh)
        rc = load_next(x, fresh);
    x->found += out->n > 0;
    (void)settle(x, rc);
}

static uint64_t file_size(const char *path, const char *suffix)
{
    char name[PATH_MAX];
    struct stat st;
    name_of(path, suffix, name);
    return stat(name, &st) ? 0 : (uint64_t)st.st_size;
}

void chunk_index_figures(struct chunk_index *x, struct chunk_index_figures *out)
{
    lock_take(&x->lock);
    const struct chunk_counts *c = &x->tables.counts;
    *out = (struct chunk_index_figures){.segments = (uint64_t)c->segments,
                                        .hooks = (uint64_t)(c->kept + c->wide),
                                        .level = (unsigned)c->level,
                                        .memory = chunk_memory_bytes(x->memory),
                                        .found = x->found,
                                        .loaded = x->loaded};
    lock_release(&x->lock);
    out->disk = file_size(x->path, "") + file_size(x->path, "-wal") + file_size(x->path, "-shm");
}

void chunk_index_set_most(struct chunk_index *x, int64_t wide)
{
    lock_take(&x->lock);
    x->tables.most_wide = wide;
    lock_release(&x->lock);
}
