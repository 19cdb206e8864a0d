/* SPDX-License-Identifier: GPL-2.0-or-later */
/* before_store.c: is the store there and this library's, as far as can be found out in a few seconds? */
#include "vtl/cmd/before.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"
#include "s3backend/objstore.h"
#include "vtl/library/library.h"

#define STORE_CHECK_MS 4000 /* serve is to be ready within 10 s, whatever the store does */

struct store_check {
    const struct vtl_config *cfg;
    struct objstore *store;
    atomic_bool cancel;
    int rc;
    struct errtext err;
};

static void *check_thread(void *arg)
{
    struct store_check *s = arg;
    const struct obj_call call = {.max_tries = 2, .cancel = &s->cancel};
    s->rc = s->store->ops->check(s->store, &call, &s->err);
    if (!s->rc && !atomic_load(&s->cancel)) /* who gave up may have freed cfg */
        s->rc = library_check_format(s->cfg, s->store, &call, &s->err);
    if (!s->rc && !atomic_load(&s->cancel))
        s->rc = library_check_turn(s->cfg, s->store, &call, &s->err);
    s->store->ops->close(s->store);
    return NULL;
}

/* On a thread, as a name that is not resolved cannot be given up. That one is then left, with what it uses. */
static int ask_store(struct store_check *s, bool *left, struct errtext *err)
{
    pthread_t thread;
    int rc = thread_start(&thread, "check", check_thread, s);
    if (rc) {
        s->store->ops->close(s->store);
        return errtext_set(err, rc, "cannot start a thread: %s", strerror(-rc));
    }
    if (!thread_join_within(thread, STORE_CHECK_MS)) {
        atomic_store(&s->cancel, true);
        if ((*left = !thread_join_within(thread, STORE_CHECK_MS / 4)))
            (void)pthread_detach(thread);
        return errtext_set(err, -EIO, "the store did not answer within %d s", STORE_CHECK_MS / 1000);
    }
    *err = s->err;
    return s->rc;
}

/* A store that is away, or refuses, stops nothing: the library works from spool and cache, and the module asks again
 * before it changes anything there (vtl/library/gate.c). One that is there and another's is a mistake. */
int before_store(const struct vtl_config *cfg, struct errtext *err)
{
    struct objstore_config oc;
    struct store_check *s = calloc(1, sizeof(*s));
    bool left = false;
    if (!s)
        return errtext_set(err, -ENOMEM, "out of memory");
    s->cfg = cfg;
    config_store(cfg, &oc);
    int rc = objstore_open(&oc, &s->store, err);
    if (!rc)
        rc = ask_store(s, &left, err);
    if (!left)
        free(s);
    if (rc != -EIO && rc != -EACCES)
        return rc;
    log_warn("warning: %s; serving from the spool and the cache until the store takes data", err->text);
    return 0;
}
