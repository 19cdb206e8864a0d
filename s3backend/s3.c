/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3.c: the S3 store: open and close. */
#include "s3backend/s3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"

/* Exchanges at a time for each of the `parallel` big bodies: a commit's few short requests need not wait for one of
 * them to end, and a command that has thousands makes many at a time. */
enum { EXCHANGES_PER_BODY = 4 };

const struct s3_tuning s3_default_tuning = {
    .connect_ms = 15000,
    .stall_ms = 90000,
    .answer_ms = 150000, /* s3d holds a PUT for 120 s when its disk is full, its body unread, then says so */
    .reply_ms = 90000,
    .quiet_ms = 8000, /* told within 12 s: what moved in the first half is no trouble yet */
    .quiet_bytes = 10240,
    .retry = {.first_ms = 250, .most_ms = 20000, .total_ms = 120000, .last_ms = 140000},
    .multipart_over = UINT64_C(512) << 20,
    .part_size = UINT64_C(80) << 20, /* two slabs of renterd's usual 10-of-30 */
    .max_keys = 1000,
    .delete_batch = 1000,
    .idle_pages = 10000, /* where versions are kept, a page may be full of keys that are deleted */
};

static void s3_close(struct objstore *o)
{
    struct s3_store *s = (struct s3_store *)o;
    if (s->lanes)
        http_lanes_free(s->lanes);
    if (s->http)
        http_engine_free(s->http);
    s3_pace_fini(&s->pace);
    s3_health_fini(&s->health);
    free(s->host);
    free(s->bucket);
    free(s->prefix);
    free(s->region);
    free(s->ca_file);
    s3_keys_free(&s->keys);
    s3_admin_free(&s->admin);
    lock_fini(&s->admin.lock);
    s3_proxy_release(s->proxy);
    s3_rate_fini(&s->upload);
    s3_rate_fini(&s->download);
    lock_fini(&s->keys_lock);
    free(s);
}

static enum obj_known known(int state, int yes, int no)
{
    return state == yes ? OBJ_YES : state == no ? OBJ_NO : OBJ_UNKNOWN;
}

static void s3_facts(struct objstore *o, struct obj_facts *out)
{
    struct s3_store *s = (struct s3_store *)o;
    *out = (struct obj_facts){.creates = known(atomic_load(&s->create), S3_CREATE_HONOURED, S3_CREATE_IGNORED),
                              .versioned = (enum obj_known)atomic_load(&s->versioned),
                              .locked = (enum obj_known)atomic_load(&s->locked),
                              .lockable = (enum obj_known)atomic_load(&s->lockable),
                              .compares = known(atomic_load(&s->checksum), S3_CHECKSUM_COMPARED, S3_CHECKSUM_UNUSED)};
    s3_admin_facts(s, out);
    lock_take(&s->keys_lock);
    (void)snprintf(out->credentials, sizeof(out->credentials), "%s", s->keys.from);
    lock_release(&s->keys_lock);
}

static void s3_set_limits(struct objstore *o, const struct objstore_config *cfg)
{
    struct s3_store *s = (struct s3_store *)o;
    s3_pace_set_most(&s->pace, cfg->parallel);
    http_engine_set_parallel(s->http, EXCHANGES_PER_BODY * cfg->parallel);
    s3_rate_set(&s->upload, cfg->upload);
    s3_rate_set(&s->download, cfg->download);
}

static int s3_time(struct objstore *o, uint64_t *now)
{
    int64_t clock = atomic_load(&((struct s3_store *)o)->clock);
    *now = clock ? (uint64_t)(clock + clock_boot_s()) : 0;
    return clock ? 0 : -EAGAIN;
}

static uint64_t s3_upload_limit(struct objstore *o)
{
    return s3_rate_now(&((struct s3_store *)o)->upload);
}

static uint64_t s3_download_limit(struct objstore *o)
{
    return s3_rate_now(&((struct s3_store *)o)->download);
}

static void s3_health(struct objstore *o, struct obj_health *out)
{
    s3_health_get(&((struct s3_store *)o)->health, out);
}

static void s3_stats(struct objstore *o, struct obj_stats *out)
{
    s3_counters_get(&((struct s3_store *)o)->counters, out);
}

static const struct objstore_ops s3_ops = {
    .type = "s3",
    .put = s3_put,
    .get = s3_get,
    .stream = s3_stream,
    .head = s3_head,
    .list = s3_list,
    .del = s3_delete,
    .versions = s3_versions,
    .drop_version = s3_drop_version,
    .lockable = s3_lockable,
    .lock = s3_lock,
    .check = s3_check,
    .facts = s3_facts,
    .learn = s3_learn,
    .same_keys = s3_same_keys,
    .same_proxy = s3_same_proxy,
    .swap_access = s3_swap_access,
    .set_limits = s3_set_limits,
    .time = s3_time,
    .upload_limit = s3_upload_limit,
    .download_limit = s3_download_limit,
    .look = s3_look,
    .offsite = s3_offsite,
    .hurry = s3_hurry,
    .findings = s3_findings,
    .backup = s3_backup,
    .health = s3_health,
    .stats = s3_stats,
    .close = s3_close,
};

int s3_open(const struct objstore_config *cfg, const struct s3_tuning *tuning, struct objstore **out,
            struct errtext *err)
{
    struct s3_store *s = calloc(1, sizeof(*s));
    if (!s)
        return errtext_set(err, -ENOMEM, "no memory for the S3 store");
    s->base.ops = &s3_ops;
    s->tuning = tuning ? *tuning : s3_default_tuning;
    s->patience_ms = cfg->patience_ms;
    s3_pace_init(&s->pace, cfg->parallel, cfg->note);
    s3_health_init(&s->health, cfg->note);
    lock_init(&s->keys_lock, LOCK_S3_KEYS);
    lock_init(&s->admin.lock, LOCK_S3_ADMIN);
    s3_rate_init(&s->upload, cfg->upload);
    s3_rate_init(&s->download, cfg->download);
    int rc = s3_configure(s, cfg, err);
    if (rc == 0)
        rc = http_engine_new(EXCHANGES_PER_BODY * cfg->parallel, &s->http, err);
    if (rc == 0 && !(s->lanes = http_lanes_new()))
        rc = errtext_set(err, -ENOMEM, "no memory for the S3 store");
    if (rc) {
        s3_close(&s->base);
        return rc;
    }
    *out = &s->base;
    return 0;
}
