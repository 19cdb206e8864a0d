/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * renterd_admin.c: renterd's admin interface: how its slab buffers are filled up, and its catalogue.
 *
 * To fill one up, an object of the missing size is put: it goes into the first buffer that is not full. What is deleted
 * of a buffer leaves with it all the same, so the object is deleted at once.
 *
 * A renterd that is killed as it makes a buffer leaves one that is empty, and comes first from then on. Nothing is in
 * it, so nothing is missing for it; and an object of a whole slab would go into no buffer at all, so it is filled to
 * the last byte but one, which is full enough.
 */
#include "s3backend/s3.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of one hurry: others that write may take what a buffer lacks, and leave us another. */
enum { MOST_FILLS = 16, FILL_KEY = 48, FILL_DIGITS = 16 };

#define SETTINGS "/api/bus/settings/upload"

/* Is it one of ours? Whatever else is there is none of our business. */
static bool is_fill(const char *key)
{
    size_t n = strlen(OBJ_FILL);
    return !strncmp(key, OBJ_FILL, n) && strlen(key + n) == FILL_DIGITS &&
           strspn(key + n, "0123456789abcdef") == FILL_DIGITS;
}

struct fills {
    char keys[MOST_FILLS + 1][FILL_KEY];
    size_t n;
};

static int note_left(void *arg, const struct obj_entry *e)
{
    struct fills *f = arg;
    if (is_fill(e->key))
        (void)snprintf(f->keys[f->n++], FILL_KEY, "%s", e->key);
    return f->n > MOST_FILLS; /* the others another time */
}

static int remove_fills(struct s3_store *s, const struct fills *f, struct errtext *err)
{
    const char *keys[MOST_FILLS + 1];
    const struct obj_call few = {.max_tries = 3};
    for (size_t i = 0; i < f->n; i++)
        keys[i] = f->keys[i];
    return f->n ? s3_delete(&s->base, keys, f->n, &few, err) : 0;
}

/* What an earlier run left: it ended between put and delete. */
static int sweep(struct s3_store *s, const struct obj_call *c, struct errtext *err)
{
    struct fills f = {.n = 0};
    lock_take(&s->admin.lock);
    bool swept = s->admin.swept;
    lock_release(&s->admin.lock);
    int rc = swept ? 0 : s3_list(&s->base, OBJ_FILL, NULL, false, note_left, &f, c, err);
    rc = rc < 0 ? rc : remove_fills(s, &f, err);
    lock_take(&s->admin.lock);
    s->admin.swept = !rc && f.n <= MOST_FILLS;
    lock_release(&s->admin.lock);
    return rc;
}

/* An empty object goes into no buffer, but each put makes renterd look for full ones. */
static int put_fill(struct s3_store *s, struct fills *f, uint64_t size, const struct obj_call *c, struct errtext *err)
{
    char *key = f->keys[f->n];
    (void)snprintf(key, FILL_KEY, OBJ_FILL "%08" PRIx32 "%08" PRIx32, s3_chance(), s3_chance());
    int fd = memfd_create("fill", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size)) {
        int rc = errtext_set(err, -errno, "an object to fill a slab up: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return rc;
    }
    f->n++; /* a put that fails may have stored it */
    const struct obj_source src = {.mem = size ? NULL : "", .fd = fd, .len = size};
    int rc = s3_put(&s->base, key, &src, c, err);
    close(fd);
    return rc;
}

/* How the names of buffers begin that a put of today goes into. */
static int get_prefix(struct s3_store *s, char prefix[32], const struct obj_call *c, struct errtext *err)
{
    json_t *j = NULL;
    int rc = s3_admin_call(s, "GET", SETTINGS, 0, &j, c, err);
    const json_t *r = json_object_get(j, "redundancy");
    json_int_t min = json_integer_value(json_object_get(r, "minShards")),
               total = json_integer_value(json_object_get(r, "totalShards"));
    if (!rc && (min <= 0 || total < min))
        rc = errtext_set(err, -EIO, "the store's admin interface, %s" SETTINGS ": the answer is not renterd's",
                         s->admin.url);
    (void)snprintf(prefix, 32, "%lld-%lld-", (long long)min, (long long)total);
    json_decref(j);
    return rc;
}

/* How much the first buffer lacks that a put would go into; 0: there is none, or nothing in any. *full: there are some
 * to be uploaded. */
static uint64_t lacking(const json_t *list, const char *prefix, bool *full)
{
    size_t i;
    const json_t *one;
    uint64_t lack = 0;
    bool any = false;
    *full = false;
    json_array_foreach(list, i, one)
    {
        struct renterd_buffer b;
        renterd_get_buffer(one, &b);
        *full = *full || (b.complete && !b.locked);
        if (b.complete || b.size >= b.max || strncmp(b.name, prefix, strlen(prefix)) != 0)
            continue;
        if (!lack)
            lack = b.size ? b.max - b.size : b.max - 1;
        any = any || b.size;
    }
    return any ? lack : 0;
}

static int fill_all(struct s3_store *s, const char *prefix, struct fills *f, const struct obj_call *c,
                    struct errtext *err)
{
    bool full = false;
    int rc = 0;
    while (!rc && f->n < MOST_FILLS) {
        json_t *list = NULL;
        rc = renterd_get_buffers(s, &list, c, err);
        uint64_t lack = rc ? 0 : lacking(list, prefix, &full);
        json_decref(list);
        if (!lack)
            break;
        rc = put_fill(s, f, lack, c, err);
    }
    return rc || !full ? rc : put_fill(s, f, 0, c, err);
}

static int hurry(struct s3_store *s, const struct obj_call *c, struct errtext *err)
{
    char prefix[32];
    struct fills f = {.n = 0};
    int rc = sweep(s, c, err);
    if (!rc)
        rc = get_prefix(s, prefix, c, err);
    if (!rc)
        rc = fill_all(s, prefix, &f, c, err);
    int removed = remove_fills(s, &f, rc ? NULL : err);
    if (removed) { /* the next sweep has them */
        lock_take(&s->admin.lock);
        s->admin.swept = false;
        lock_release(&s->admin.lock);
    }
    return rc ? rc : removed;
}
/* The main database: objects, contracts, settings. The other one holds statistics. */
static int backup(struct s3_store *s, const char *path, const struct obj_call *c, struct errtext *err)
{
    json_t *body = json_pack("{s:s, s:s}", "database", "main", "path", path);
    int rc = s3_admin_post(s, "/api/bus/system/sqlite3/backup", body, ADMIN_BACKUP_MS, c, err);
    json_decref(body);
    return rc == -ENOENT
               ? errtext_set(err, -ENOTSUP, "renterd keeps its catalogue in MySQL: back that up with its own tools")
               : rc;
}

const struct s3_admin_api renterd_admin_api = {.service = OBJ_SERVICE_RENTERD,
                                               .path = RENTERD_BUFFERS,
                                               .is_answer = renterd_is_buffers,
                                               .ask = renterd_ask,
                                               .hurry = hurry,
                                               .findings = renterd_findings,
                                               .backup = backup};
