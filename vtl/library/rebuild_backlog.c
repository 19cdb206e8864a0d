/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rebuild_backlog.c: what was acknowledged and is only on the local disk, so that a rebuild does not pass over it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/many.h"
#include "vtl/format/barcode.h"
#include "vtl/library/library_private.h"

#define PATH_SIZE 4200

struct backlog {
    const struct vtl_config *cfg;
    struct objstore *store;
    const atomic_bool *cancel;
    const char *spool; /* set files aside there; NULL: only count */
    json_t *list;      /* [{"barcode":, "segments":, "bytes":}] */
    struct errtext *err;
};

static int add(struct backlog *b, const char *barcode, uint64_t segments, uint64_t bytes)
{
    if (!segments)
        return 0;
    json_t *j =
        json_pack("{s:s, s:I, s:I}", "barcode", barcode, "segments", (json_int_t)segments, "bytes", (json_int_t)bytes);
    return json_array_append_new(b->list, j) ? -ENOMEM : 0;
}

/* ---- as the state says ---- */

struct rows {
    uint64_t seen, committed, segments, bytes;
    const char *spool, *barcode; /* where files are to be set aside; NULL: nowhere */
};

static void rename_bad(const char *spool, const char *barcode, const struct seg_id *id)
{
    char name[SEG_NAME_SIZE], path[PATH_SIZE + 100], bad[PATH_SIZE + 110];
    seg_id_format(id, name);
    (void)snprintf(path, sizeof(path), "%s/%s/%s", spool, barcode, name);
    (void)snprintf(bad, sizeof(bad), "%s.bad", path);
    (void)rename(path, bad); /* one that is gone was told of */
}

static int count_row(void *arg, enum seg_state state, const struct seg_ref *ref, const struct seg_fm_run *fms,
                     size_t n_fms)
{
    struct rows *r = arg;
    (void)fms;
    (void)n_fms;
    bool named = r->seen++ < r->committed && state == SEG_STORED;
    if (!named && r->spool)
        rename_bad(r->spool, r->barcode, &ref->id);
    if (named || !ref->size) /* an open one of which nothing was synced */
        return 0;
    r->segments++;
    r->bytes += ref->size;
    return 0;
}

/* A cartridge whose rows differ from its last head. */
struct behind_head {
    int64_t rowid;
    char barcode[33];
    uint64_t committed;
};
struct behind_heads {
    struct behind_head *v;
    size_t n;
};

/* The state is locked meanwhile: its rows are counted afterwards. */
static int note_cartridge(void *arg, const struct db_cartridge *c)
{
    struct behind_heads *l = arg;
    if (!c->dirty && !c->unstored_rows)
        return 0;
    struct behind_head *v = realloc(l->v, (l->n + 1) * sizeof(*v));
    if (!v)
        return -ENOMEM;
    l->v = v;
    struct behind_head *h = &v[l->n++];
    *h = (struct behind_head){.rowid = c->rowid, .committed = c->commit_segs};
    memcpy(h->barcode, c->barcode, sizeof(h->barcode));
    return 0;
}

static int ask_db(struct backlog *b, struct db *db)
{
    struct behind_heads l = {0};
    int rc = db_cartridges(db, note_cartridge, &l);
    for (size_t i = 0; !rc && i < l.n; i++) {
        struct rows r = {.committed = l.v[i].committed, .spool = b->spool, .barcode = l.v[i].barcode};
        rc = db_segments(db, l.v[i].rowid, count_row, &r);
        if (!rc)
            rc = add(b, l.v[i].barcode, r.segments, r.bytes);
    }
    free(l.v);
    return rc;
}

/* -ENOENT: there is no state that can be read. */
static int ask_state(struct backlog *b)
{
    char path[PATH_SIZE];
    struct db *db = NULL;
    (void)snprintf(path, sizeof(path), "%s/state.db", b->cfg->library.state_dir);
    if (access(path, F_OK) || db_open(path, false, &db, NULL))
        return -ENOENT;
    int rc = ask_db(b, db);
    db_close(db);
    if (rc)
        json_array_clear(b->list);
    return rc ? -ENOENT : 0;
}

/* ---- without a state: files of which no head knows ---- */

/* The highest number of a segment that the head names, 0: none. Numbers of a cartridge's segments only go up, whichever run
 * of whichever gateway writes: what is older and not named was overwritten. */
static uint64_t newest_of(const struct rebuild_reading *c)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < c->x.n_segs; i++)
        if (c->x.segs[i].id.number > newest)
            newest = c->x.segs[i].id.number;
    return newest;
}

/* May it hold what was acknowledged and no head names? Its number is above all that the head names; or it is not below the first
 * one of a gateway that took the tape over later: then it is of one that was fenced, and had gone on by the same numbers. */
static bool is_behind(const struct rebuild_reading *c, const struct seg_id *id)
{
    bool later = id->number > newest_of(c), named = false;
    for (size_t i = 0; i < c->x.n_segs; i++) {
        const struct seg_id *v = &c->x.segs[i].id;
        named = named || !seg_id_compare(v, id);
        later = later || (v->epoch > id->epoch && v->number <= id->number);
    }
    return later && !named;
}

/* A file without a whole header holds nothing that was acknowledged. Its size, else 0. */
static uint64_t segment_size(int dir, const char *name)
{
    uint8_t header[SEG_HEADER_SIZE];
    struct seg_header h;
    struct errtext err;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 1; /* who knows */
    bool whole = pread(fd, header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
                 (!seg_header_decode(header, sizeof(header), &h, &err) ||
                  seg_header_check_version(header, sizeof(header), &err));
    off_t size = lseek(fd, 0, SEEK_END);
    close(fd);
    return whole && size > SEG_HEADER_SIZE ? (uint64_t)size : 0;
}

/* A cartridge that has files, and what of them no head names. */
struct held {
    char barcode[33];
    uint64_t segments, bytes;
    int rc;
    struct errtext why;
};
struct files {
    struct backlog *b;
    struct held *v;
    size_t n, room;
};

/* Where no head can be read, the store is asked for the segment itself: --deep finds it there. */
static bool is_stored(const struct backlog *b, const char *barcode, const struct seg_id *id, uint64_t size)
{
    char key[DB_KEY_SIZE];
    uint64_t there = 0;
    struct obj_call call = {.cancel = b->cancel};
    object_key(key, barcode, "seg", id);
    return !b->store->ops->head(b->store, key, &there, &call, NULL) && there == size;
}

static void count_file(const struct backlog *b, struct held *h, const struct rebuild_reading *c, int dir,
                       const char *name)
{
    struct seg_id id;
    if (!seg_id_parse(name, &id) || (c->whole && !is_behind(c, &id)))
        return;
    uint64_t size = segment_size(dir, name);
    if (!size || (!c->whole && is_stored(b, h->barcode, &id, size)))
        return;
    h->segments++;
    h->bytes += size;
}

static void count_files(void *arg, size_t i)
{
    struct files *f = arg;
    struct held *h = &f->v[i];
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/spool/%s", f->b->cfg->library.state_dir, h->barcode);
    struct rebuild_reading *c = rebuild_read(f->b->store, h->barcode, f->b->cancel);
    DIR *d = c ? opendir(path) : NULL;
    bool no_index = c && (c->rc == -ENOENT || c->rc == -EBADMSG || c->rc == -EPROTONOSUPPORT);
    h->rc = !c ? -ENOMEM : !d ? -errno : no_index ? 0 : c->rc;
    if (h->rc)
        errtext_set(&h->why, h->rc, "%s: %s", path, c && c->rc == h->rc ? c->why.text : strerror(-h->rc));
    for (struct dirent *e; !h->rc && d && (e = readdir(d));)
        count_file(f->b, h, c, dirfd(d), e->d_name);
    if (d)
        closedir(d);
    rebuild_reading_free(c);
}

static int take_count(void *arg, size_t i)
{
    struct files *f = arg;
    const struct held *h = &f->v[i];
    if (h->rc)
        return errtext_set(f->b->err, h->rc, "%s", h->why.text);
    return add(f->b, h->barcode, h->segments, h->bytes);
}

static int add_held(struct files *f, const char *barcode)
{
    if (f->n == f->room && !array_grow(&f->v, &f->room, sizeof(*f->v)))
        return -ENOMEM;
    struct held *h = &f->v[f->n++];
    *h = (struct held){.rc = 0};
    (void)snprintf(h->barcode, sizeof(h->barcode), "%.32s", barcode);
    return 0;
}

static bool has_files(int spool, const char *barcode)
{
    struct seg_id id;
    bool has = false;
    int fd = openat(spool, barcode, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *e; d && !has && (e = readdir(d));)
        has = seg_id_parse(e->d_name, &id);
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
    return has;
}

static int ask_files(struct backlog *b)
{
    char spool[PATH_SIZE];
    struct files f = {.b = b};
    (void)snprintf(spool, sizeof(spool), "%s/spool", b->cfg->library.state_dir);
    DIR *d = opendir(spool);
    int rc = d || errno == ENOENT ? 0 : errtext_set(b->err, -errno, "%s: %s", spool, strerror(errno));
    for (struct dirent *e; !rc && d && (e = readdir(d));)
        if (barcode_ok(e->d_name) && has_files(dirfd(d), e->d_name))
            rc = add_held(&f, e->d_name);
    if (d)
        closedir(d);
    const struct many m = {
        .n = f.n, .parallel = config_requests(b->cfg), .work = count_files, .done = take_count, .arg = &f};
    if (!rc)
        rc = many_run(&m);
    free(f.v);
    if (rc == -ENOMEM)
        errtext_set(b->err, rc, "rebuild: out of memory");
    return rc;
}

static int by_barcode(const void *a, const void *b)
{
    json_t *const *x = a, *const *y = b;
    return strcmp(json_string_value(json_object_get(*x, "barcode")), json_string_value(json_object_get(*y, "barcode")));
}

json_t *rebuild_sorted(json_t *list)
{
    size_t n = json_array_size(list);
    json_t **v = calloc(n + 1, sizeof(*v)), *sorted = json_array();
    for (size_t i = 0; v && i < n; i++)
        v[i] = json_array_get(list, i);
    if (v)
        qsort(v, n, sizeof(*v), by_barcode);
    for (size_t i = 0; v && i < n; i++)
        json_array_append(sorted, v[i]);
    free(v);
    json_decref(list);
    return sorted;
}

int rebuild_backlog(const struct vtl_config *cfg, struct objstore *store, const atomic_bool *cancel, json_t **list,
                    struct errtext *err)
{
    struct backlog b = {.cfg = cfg, .store = store, .cancel = cancel, .list = json_array(), .err = err};
    int rc = ask_state(&b);
    if (rc == -ENOENT)
        rc = ask_files(&b);
    *list = rebuild_sorted(b.list);
    return rc;
}

int rebuild_set_aside(const struct vtl_config *cfg, struct errtext *err)
{
    char spool[PATH_SIZE];
    struct backlog b = {.cfg = cfg, .spool = spool, .list = json_array()};
    (void)snprintf(spool, sizeof(spool), "%s/spool", cfg->library.state_dir);
    int rc = ask_state(&b);
    json_decref(b.list);
    return rc ? errtext_set(err, rc, "%s: its state cannot be read: \"s3vtl library rebuild --force\" sets it aside",
                            cfg->library.state_dir)
              : 0;
}

int rebuild_refuse_backlog(const json_t *list, struct errtext *err)
{
    char what[300] = "";
    json_int_t bytes = 0;
    size_t i, n = json_array_size(list), at = 0;
    json_t *j;
    json_array_foreach(list, i, j)
    {
        bytes += json_integer_value(json_object_get(j, "bytes"));
        if (i < 4)
            at += (size_t)snprintf(what + at, sizeof(what) - at, "%s%s", i ? ", " : "",
                                   json_string_value(json_object_get(j, "barcode")));
    }
    return errtext_set(
        err, -EBUSY,
        "%lld bytes of %zu cartridges (%s%s) were acknowledged, and no head in the store names them: serve "
        "stores them, if the state is whole; --discard-backlog rebuilds without them, and sets them aside",
        (long long)bytes, n, what, n > 4 ? ", ..." : "");
}
