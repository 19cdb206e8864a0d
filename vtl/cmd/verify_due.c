/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify_due.c: see verify_due.h. */
#include "vtl/cmd/verify_due.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vtl/cmd/members.h"

#define PATH_SIZE 4200
#define DAY 86400u

/* A clock that was ahead noted it: it says nothing. By less than a day it is near enough. */
static bool is_to_come(uint64_t now, uint64_t then)
{
    return then > now + DAY;
}

/* When it was good last, as far as anybody knows; 0: it is not to be verified here. Of which nobody knows, that is due. */
static uint64_t since(const json_t *c, uint64_t now, uint64_t every)
{
    uint64_t verified = member_number(c, "verified"), written = member_number(c, "first_written");
    uint64_t created = written ? written : member_number(c, "created"); /* it may have been blank for long */
    bool ours = member_number(c, "stored_bytes") && !json_is_true(json_object_get(c, "fenced"));
    uint64_t then = verified && !is_to_come(now, verified) ? verified : created;
    return !ours ? 0 : is_to_come(now, then) ? now - every / 2 : then;
}

static uint64_t age(uint64_t now, uint64_t then)
{
    return now > then ? now - then : 0;
}

static bool is_due(uint64_t now, uint64_t then, uint64_t every)
{
    return then && age(now, then) >= every / 2;
}

void verify_ages(const json_t *cartridges, uint64_t now, uint64_t every, struct verify_ages *out)
{
    size_t i;
    json_t *c;
    *out = (struct verify_ages){.stored = 0};
    json_array_foreach(cartridges, i, c)
    {
        uint64_t then = since(c, now, every);
        if (!then)
            continue;
        out->stored++;
        out->due += is_due(now, then, every);
        out->late += age(now, then) > every;
        if (out->stored > 1 && age(now, then) <= out->oldest)
            continue;
        out->oldest = age(now, then);
        (void)snprintf(out->barcode, sizeof(out->barcode), "%s", member_text(c, "barcode"));
    }
}

struct due {
    const char *barcode;
    uint64_t since;
    bool begun;
};

static int in_order(const void *a, const void *b)
{
    const struct due *x = a, *y = b;
    if (x->begun != y->begun)
        return x->begun ? -1 : 1;
    if (x->since != y->since)
        return x->since < y->since ? -1 : 1;
    return strcmp(x->barcode, y->barcode);
}

json_t *verify_due(const json_t *cartridges, uint64_t now, uint64_t every,
                   bool (*begun)(void *arg, const char *barcode), void *arg)
{
    size_t i, n = 0;
    json_t *c, *list = json_array();
    struct due *v = calloc(json_array_size(cartridges) + 1, sizeof(*v));
    json_array_foreach(cartridges, i, c)
    {
        uint64_t then = since(c, now, every);
        const char *barcode = member_text(c, "barcode");
        if (v && is_due(now, then, every))
            v[n++] = (struct due){barcode, then, begun(arg, barcode)};
    }
    if (v)
        qsort(v, n, sizeof(*v), in_order);
    for (i = 0; i < n; i++)
        json_array_append_new(list, json_string(v[i].barcode));
    if (!v) {
        json_decref(list);
        list = NULL;
    }
    free(v);
    return list;
}

/* ---- a day's budget ---- */

static unsigned long today(void)
{
    time_t now = time(NULL);
    struct tm t;
    if (!localtime_r(&now, &t))
        return 0;
    return (unsigned long)(t.tm_year + 1900) * 10000 + (unsigned long)(t.tm_mon + 1) * 100 + (unsigned long)t.tm_mday;
}

static void spent_path(const struct vtl_config *cfg, const char *after, char path[PATH_SIZE])
{
    (void)snprintf(path, PATH_SIZE, "%s/verify/.spent%s", cfg->library.state_dir, after);
}

uint64_t verify_spent(const struct vtl_config *cfg)
{
    char path[PATH_SIZE];
    unsigned long day = 0;
    uint64_t bytes = 0;
    spent_path(cfg, "", path);
    FILE *f = fopen(path, "re");
    bool is = f && fscanf(f, "%lu %" SCNu64, &day, &bytes) == 2 && day == today();
    if (f)
        (void)fclose(f);
    return is ? bytes : 0;
}

static int spent_write(const struct vtl_config *cfg, uint64_t all, struct errtext *err)
{
    char path[PATH_SIZE], next[PATH_SIZE];
    spent_path(cfg, "", path);
    spent_path(cfg, ".new", next);
    FILE *f = fopen(next, "we");
    int rc = !f || fprintf(f, "%lu %" PRIu64 "\n", today(), all) < 0 ? -errno : 0;
    if (f && fclose(f) && !rc)
        rc = -errno;
    if (!rc && rename(next, path))
        rc = -errno;
    return rc ? errtext_set(err, rc, "%s: what of the budget is spent cannot be written: %s", next, strerror(-rc)) : 0;
}

/* Several runs add to the same sum, one after the other. A descriptor, or a negative errno with *err. */
static int spent_lock(const struct vtl_config *cfg, struct errtext *err)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/verify", cfg->library.state_dir);
    (void)mkdir(path, 0700);
    spent_path(cfg, ".lock", path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), rc = fd < 0 ? -errno : 0;
    while (!rc && flock(fd, LOCK_EX))
        rc = errno == EINTR ? 0 : -errno;
    if (!rc)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return errtext_set(err, rc, "%s: what of the budget is spent cannot be written: %s", path, strerror(-rc));
}

int verify_spend(const struct vtl_config *cfg, uint64_t more, uint64_t *all, struct errtext *err)
{
    int fd = spent_lock(cfg, err);
    *all = verify_spent(cfg) + more;
    int rc = fd < 0 ? fd : spent_write(cfg, *all, err);
    if (fd >= 0)
        (void)close(fd);
    return rc;
}
