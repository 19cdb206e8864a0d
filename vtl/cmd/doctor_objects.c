/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_objects.c: s3vtl doctor puts objects below doctor/, reads, lists, measures and deletes them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "vtl/cmd/doctor_step.h"

#define SMALL 4096
#define BIG_LIMIT (64u << 20) /* of the object whose rate is measured; else it has segment_size */
#define RANGE_AT 1000
#define RANGE_LEN 500
#define LOOKS 5    /* for the latency */
#define OLD_S 3600 /* what another run left is deleted after this */
#define MOST_OLD 16
#define KEY_ROOM 80
#define LOCK_S 60

enum { KEY_SMALL, KEY_BIG, KEYS };

struct objects {
    struct doctor *d;
    struct objstore *store;
    const char *folder;
    char keys[KEYS][KEY_ROOM];
    char old[MOST_OLD][KEY_ROOM];
    size_t n_old;
    unsigned char *data, *back;
    uint64_t big, at; /* of the big object; how much of it came back */
    unsigned listed;  /* how many of ours a list showed */
    uint64_t us;      /* what was measured */
    struct errtext err;
};

static struct obj_call once(struct objects *o)
{
    return (struct obj_call){.cancel = &o->d->cancel, .max_tries = 1};
}

/* ---- the steps, each on a thread of its own ---- */

static int put_small(void *arg)
{
    struct objects *o = arg;
    struct obj_call c = once(o);
    const struct obj_source src = {.mem = o->data, .fd = -1, .len = SMALL};
    c.if_none_match = true;
    return o->store->ops->put(o->store, o->keys[KEY_SMALL], &src, &c, &o->err);
}

/* Bytes [offset, offset + len) of the small one, compared. */
static int get(struct objects *o, uint64_t offset, uint64_t len)
{
    const struct obj_call c = once(o);
    memset(o->back, 0, SMALL);
    int rc = o->store->ops->get(o->store, o->keys[KEY_SMALL], offset, len, o->back, &c, &o->err);
    if (!rc && memcmp(o->back, o->data + offset, len) != 0)
        return errtext_set(&o->err, -EBADMSG, "%s: what came back is not what was put", o->keys[KEY_SMALL]);
    return rc;
}

static int get_whole(void *arg)
{
    return get(arg, 0, SMALL);
}

static int get_range(void *arg)
{
    return get(arg, RANGE_AT, RANGE_LEN);
}

/* Made by another run that was killed, and more than OLD_S ago as far as the name tells? Nobody but the doctor has
 * anything below doctor/, and the store's own probes are there for moments. */
static bool is_old(const char *name)
{
    if (!strncmp(name, "create-probe-", 13) || !strcmp(name, "checksum-probe"))
        return true;
    unsigned long long made = 0;
    unsigned random;
    char rest[16];
    return sscanf(name, "doctor-%llu-%8x-%15s", &made, &random, rest) == 3 &&
           made + OLD_S < (unsigned long long)time(NULL);
}

static int see(void *arg, const struct obj_entry *e)
{
    struct objects *o = arg;
    const char *slash = strrchr(e->key, '/');
    o->listed += !strcmp(e->key, o->keys[KEY_SMALL]);
    o->listed += !strcmp(e->key, o->keys[KEY_BIG]);
    if (o->n_old < MOST_OLD && strlen(e->key) < KEY_ROOM && is_old(slash ? slash + 1 : e->key))
        memcpy(o->old[o->n_old++], e->key, strlen(e->key) + 1);
    return 0;
}

static int list(void *arg)
{
    struct objects *o = arg;
    const struct obj_call c = once(o);
    o->listed = 0;
    o->n_old = 0;
    return o->store->ops->list(o->store, o->folder, NULL, false, see, o, &c, &o->err);
}

static int list_it(void *arg)
{
    struct objects *o = arg;
    int rc = list(o);
    return rc || o->listed ? rc : errtext_set(&o->err, -EBADMSG, "%s: put, and in no list", o->keys[KEY_SMALL]);
}

static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int look_often(void *arg)
{
    struct objects *o = arg;
    const struct obj_call c = once(o);
    uint64_t size, took[LOOKS];
    for (int i = 0; i < LOOKS; i++) {
        uint64_t began = clock_us();
        int rc = o->store->ops->head(o->store, o->keys[KEY_SMALL], &size, &c, &o->err);
        if (rc)
            return rc;
        took[i] = clock_us() - began;
    }
    qsort(took, LOOKS, sizeof(took[0]), by_size);
    o->us = took[LOOKS / 2];
    return 0;
}

static int put_big(void *arg)
{
    struct objects *o = arg;
    struct obj_call c = once(o);
    const struct obj_source src = {.mem = o->data, .fd = -1, .len = o->big};
    c.sent = &o->d->moved;
    uint64_t began = clock_us();
    int rc = o->store->ops->put(o->store, o->keys[KEY_BIG], &src, &c, &o->err);
    o->us = clock_us() - began;
    return rc;
}

static int compare(void *arg, const void *piece, size_t len)
{
    struct objects *o = arg;
    if (len > o->big - o->at || memcmp(o->data + o->at, piece, len) != 0)
        return -EBADMSG;
    o->at += len;
    atomic_store(&o->d->moved, o->at);
    return 0;
}

static int get_big(void *arg)
{
    struct objects *o = arg;
    const struct obj_call c = once(o);
    const struct obj_sink sink = {compare, o};
    o->at = 0;
    uint64_t began = clock_us();
    int rc = o->store->ops->stream(o->store, o->keys[KEY_BIG], 0, o->big, &sink, &c, &o->err);
    o->us = clock_us() - began;
    return rc;
}

static int learn(void *arg)
{
    struct objects *o = arg;
    const struct obj_call c = once(o);
    return objstore_learn(o->store, &c, &o->err);
}

/* For a minute. What is deleted then stays as long as a version. */
static int lock_small(void *arg)
{
    struct objects *o = arg;
    const struct obj_call c = once(o);
    struct obj_lock l = {.until = (uint64_t)time(NULL)};
    uint64_t now;
    if (!objstore_time(o->store, &now))
        l.until = now;
    l.until += LOCK_S;
    return objstore_lock(o->store, o->keys[KEY_SMALL], &l, &c, &o->err);
}

/* Ours, whether or not a PUT is known to have ended well, and what is old. Then none of ours may be there. */
static int delete_all(void *arg)
{
    struct objects *o = arg;
    const struct obj_call c = {.cancel = &o->d->cancel, .max_tries = 2};
    const char *names[KEYS + MOST_OLD];
    size_t n = 0;
    for (; n < KEYS; n++)
        names[n] = o->keys[n];
    for (size_t i = 0; i < o->n_old; i++)
        names[n++] = o->old[i];
    int rc = o->store->ops->del(o->store, names, n, &c, &o->err);
    if (!rc)
        rc = list(o);
    return rc || !o->listed ? rc : errtext_set(&o->err, -EIO, "%u objects are still listed after DELETE", o->listed);
}

/* ---- what they say ---- */

static void went_wrong(struct objects *o, const char *name, const char *right, int rc)
{
    char mend[300];
    size_t n;
    if (rc == -EINTR)
        return;
    (void)snprintf(mend, sizeof(mend),
                   rc == -EACCES      ? "let this key do %s below the prefix"
                   : rc == -EBADMSG   ? "do not store anything there before you know why (%s)"
                   : rc == -ETIMEDOUT ? "see the store's log and load, and the network (%s)"
                                      : "see what the store says, and its log (%s)",
                   right);
    n = strlen(mend);
    if (!strcmp(name, "DELETE"))
        (void)snprintf(mend + n, sizeof(mend) - n, "; what is left below doctor/, a run an hour later deletes");
    if (rc == -ETIMEDOUT)
        doctor_say(o->d, FINDING_WRONG, name, mend, "no answer in %d s", DOCTOR_LIMIT_MS / 1000);
    else if (rc == -EBADMSG && !o->err.text[0])
        doctor_say(o->d, FINDING_WRONG, name, mend, "what came back is not what was put");
    else
        doctor_say(o->d, FINDING_WRONG, name, mend, "%s", o->err.text);
}

/* A step; says the line for it. False: it failed. */
static bool does(struct objects *o, const char *name, const char *right, int (*fn)(void *arg), const char *good)
{
    o->err.text[0] = '\0';
    int rc = doctor_step(o->d, name, fn, o);
    if (rc)
        went_wrong(o, name, right, rc);
    else if (good)
        doctor_say(o->d, FINDING_GOOD, name, NULL, "%s", good);
    return !rc;
}

/* Bytes a second, also of a transfer that was ended since it took too long. False: it failed. */
static bool measure(struct objects *o, const char *name, const char *right, int (*fn)(void *arg), uint64_t *rate)
{
    char size[32], per_second[32];
    o->err.text[0] = '\0';
    int rc = doctor_step(o->d, name, fn, o);
    uint64_t moved = rc ? atomic_load(&o->d->moved) : o->big;
    bool slow = rc == -ETIMEDOUT && !o->d->left && moved && o->us >= DOCTOR_TRANSFER_MS * 900ull;
    *rate = rc && !slow ? 0 : o->us ? moved * 1000000 / o->us : moved;
    if (slow)
        doctor_say(o->d, FINDING_NOTE, name, NULL, "%s/s: slow; ended after %d s", human_size(*rate, per_second),
                   DOCTOR_TRANSFER_MS / 1000);
    else if (rc)
        went_wrong(o, name, right, rc);
    else
        doctor_say(o->d, FINDING_GOOD, name, NULL, "%s in %.1f s: %s/s", human_size(o->big, size),
                   (double)o->us / 1000000, human_size(*rate, per_second));
    return !rc;
}

static void say_facts(struct objects *o)
{
    struct obj_facts f;
    const char *line;
    objstore_facts(o->store, &f);
    if (f.creates == OBJ_YES)
        doctor_say(o->d, FINDING_GOOD, "conditional", NULL, "the store honours If-None-Match: no PUT overwrites");
    if (f.compares != OBJ_UNKNOWN)
        doctor_say(o->d, FINDING_GOOD, "checksum", NULL, "%s",
                   f.compares == OBJ_YES
                       ? "the store compares what it gets with the CRC32C sent along"
                       : "the store compares no CRC32C: s3vtl compares the MD5 in its answers instead");
    else if (!strcmp(o->store->ops->type, "s3"))
        doctor_say(o->d, FINDING_GOOD, "checksum", NULL,
                   "the store tells of no CRC32C: s3vtl compares the MD5 in its answers");
    for (unsigned i = 0; (line = objstore_advice(&f, i)); i++)
        doctor_say(o->d, FINDING_NOTE, "store", NULL, "%s", line);
}

static void rates(struct objects *o)
{
    uint64_t rate = 0, ignored;
    char dirty[32];
    bool put = measure(o, "PUT rate", "PutObject", put_big, &rate);
    if (rate)
        doctor_say(o->d, FINDING_NOTE, "backlog", NULL, "a full max_dirty (%s) takes %llu s to store at that rate",
                   human_size(o->d->cfg->spool.max_dirty, dirty),
                   (unsigned long long)(o->d->cfg->spool.max_dirty / rate));
    if (put && !o->d->interrupted)
        (void)measure(o, "GET rate", "GetObject", get_big, &ignored);
}

static void examine(struct objects *o)
{
    char good[100];
    if (!does(o, "PUT", "PutObject", put_small, "an object of 4 KiB is stored"))
        return;
    (void)does(o, "GET", "GetObject", get_whole, "and comes back the same");
    if (!o->d->interrupted)
        (void)does(o, "range", "GetObject", get_range, "as does a part of it");
    if (!o->d->interrupted)
        (void)does(o, "LIST", "ListBucket", list_it, "it is listed");
    if (!o->d->interrupted && does(o, "latency", "GetObject", look_often, NULL)) {
        (void)snprintf(good, sizeof(good), "%.1f ms for a small request", (double)o->us / 1000);
        doctor_say(o->d, FINDING_GOOD, "latency", NULL, "%s", good);
    }
    if (!o->d->interrupted)
        rates(o);
    if (!o->d->interrupted && does(o, "conditional", "PutObject", learn, NULL))
        say_facts(o);
    if (!o->d->interrupted && o->d->cfg->retention.object_lock && objstore_lockable(o->store))
        (void)does(o, "object lock", "PutObjectRetention", lock_small,
                   "the bucket has S3 Object Lock: the store locks what belongs to locked cartridges");
}

/* Neither zeros nor anything that compresses. */
static void fill(unsigned char *data, uint64_t size)
{
    uint64_t x = clock_ns() | 1;
    for (uint64_t i = 0; i + sizeof(x) <= size; i += sizeof(x)) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(data + i, &x, sizeof(x));
    }
}

static void objects_free(struct objects *o)
{
    if (!o)
        return;
    free(o->data);
    free(o->back);
    free(o);
}

/* NULL: out of memory. */
static struct objects *objects_new(struct doctor *d, struct objstore *store)
{
    struct objects *o = calloc(1, sizeof(*o));
    unsigned random = 0;
    if (!o)
        return NULL;
    o->d = d;
    o->store = store;
    o->folder = !strcmp(store->ops->type, "dir") ? "doctor/" : ""; /* the others' prefix has it already */
    o->big = d->cfg->spool.segment_size < BIG_LIMIT ? d->cfg->spool.segment_size : BIG_LIMIT;
    o->data = malloc(o->big);
    o->back = malloc(SMALL);
    if (!o->data || !o->back || getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        objects_free(o);
        return NULL;
    }
    for (int i = 0; i < KEYS; i++)
        (void)snprintf(o->keys[i], KEY_ROOM, "%sdoctor-%llu-%08x-%s", o->folder, (unsigned long long)time(NULL), random,
                       i == KEY_SMALL ? "small" : "big");
    fill(o->data, o->big);
    return o;
}

void doctor_objects(struct doctor *d, struct objstore *store)
{
    struct objects *o = objects_new(d, store);
    if (!o) {
        doctor_say(d, FINDING_WRONG, "PUT", "free some memory", "no memory for an object of segment_size");
        return;
    }
    d->kept = o;
    examine(o);
    (void)does(o, "DELETE", "DeleteObject", delete_all, "nothing of it is left");
    if (d->left)
        return;
    d->kept = NULL;
    objects_free(o);
}
