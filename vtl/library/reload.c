/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reload.c: the configuration is read again, and what may change while the library serves is taken: all of it, or nothing. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/jsontext.h"
#include "base/event.h"
#include "base/log.h"
#include "base/thread.h"
#include "vtl/library/library_private.h"
#include "vtl/library/reload.h"

#define ASK_MS 10000

/* What differs between the configuration taken last and the new one. */
struct difference {
    json_t *changed; /* {"key":, "was":, "now":} each */
    struct errtext refused;
    unsigned n_refused;
};

enum { TOLD = 60 }; /* characters of a value */

static const char *value_of(const struct config_shown *k, char buf[TOLD + 4])
{
    size_t n = config_tellable(k->section, k->name, k->value);
    n = n < TOLD ? n : TOLD;
    (void)snprintf(buf, TOLD + 4, "%.*s%s", (int)n, k->value, k->value[n] ? "..." : "");
    return k->value[0] ? buf : "(unset)";
}

static void refuse(struct difference *d, const struct config_shown *was, const struct config_shown *now,
                   const char *why)
{
    char value[TOLD + 4], before[TOLD + 4];
    size_t at = strlen(d->refused.text);
    (void)snprintf(d->refused.text + at, sizeof(d->refused.text) - at, "%s[%s] %s = %s (was %s): %s",
                   d->n_refused++ ? "; " : "", now->section, now->name, value_of(now, value), value_of(was, before),
                   why);
}

static int compare(const struct vtl_config *before, const struct vtl_config *next, struct difference *d)
{
    struct config_shown was, now;
    for (size_t i = 0; config_show(before, i, &was) && config_show(next, i, &now); i++) {
        if (config_same(before, next, i))
            continue;
        const char *why = live_settings_refuse(before, next, now.section, now.name);
        if (why)
            refuse(d, &was, &now, why);
        else if (json_array_append_new(d->changed, json_pack("{s:o, s:o, s:o}", "key",
                                                             json_sprintf("[%s] %s", now.section, now.name), "was",
                                                             json_text(was.value), "now", json_text(now.value))))
            return -ENOMEM;
    }
    return 0;
}

/* ---- keys and proxy ---- */

struct asking {
    struct library *lib;
    struct objstore *store;
    atomic_bool cancel, done;
    int rc;
    struct errtext why;
};

static void *ask_thread(void *arg)
{
    struct asking *a = arg;
    const struct obj_call call = {.max_tries = 1, .cancel = &a->cancel};
    a->rc = a->store->ops->check(a->store, &call, &a->why);
    atomic_store(&a->done, true);
    progress_post(&a->lib->eng.progress);
    return NULL;
}

/* On a thread, as a person waits for the answer no longer than ASK_MS. */
static int ask(struct library *lib, struct objstore *store, struct errtext *why)
{
    struct asking a = {.lib = lib, .store = store};
    uint64_t until = clock_ms() + ASK_MS;
    pthread_t thread;
    int rc = thread_start(&thread, "keys", ask_thread, &a);
    if (rc)
        return errtext_set(why, rc, "cannot start a thread: %s", strerror(-rc));
    while (!atomic_load(&a.done) && !atomic_load(&lib->no_waiting) && clock_ms() < until) {
        uint64_t seen = progress_now(&lib->eng.progress);
        if (!atomic_load(&a.done))
            progress_wait(&lib->eng.progress, seen, 200);
    }
    atomic_store(&a.cancel, true);
    pthread_join(thread, NULL);
    return errtext_set(why, a.rc, "%s", a.rc == -ECANCELED ? "no answer in time" : a.why.text);
}

/* What gives access to the store, if something of it is new. */
struct access {
    struct objstore *store; /* with it; NULL: nothing is new */
    bool keys, proxy;       /* which of it */
    struct errtext warning; /* "": none */
};

static const char *what_is_new(const struct access *a)
{
    return a->keys && a->proxy ? "the new keys and proxy" : a->keys ? "the new keys" : "the new proxy";
}

/* Opens a store with keys and proxy as they are now, if they differ from those in use and the store, if it answers, takes
 * them. A store that is away refuses nobody: a warning then. */
static int try_access(struct library *lib, const struct vtl_config *next, struct access *a, struct errtext *err)
{
    struct objstore_config oc;
    struct errtext why = {""};
    config_store(next, &oc);
    int rc = strcmp(oc.type, "s3") != 0 ? 0 : objstore_open(&oc, &a->store, err);
    if (rc || !a->store)
        return rc;
    a->keys = !objstore_same_keys(lib->eng.store, a->store);
    a->proxy = !objstore_same_proxy(lib->eng.store, a->store);
    rc = a->keys || a->proxy ? ask(lib, a->store, &why) : 0;
    if (rc == -EACCES)
        errtext_set(err, rc, "the store refuses %s: %.400s", what_is_new(a), why.text);
    else if (rc)
        errtext_set(&a->warning, 0, "the store did not say whether it takes %s: %.400s", what_is_new(a), why.text);
    if ((!a->keys && !a->proxy) || rc == -EACCES) {
        a->store->ops->close(a->store);
        a->store = NULL;
    }
    return rc == -EACCES ? rc : 0;
}

/* ---- all of it ---- */

/* More transfers need more threads, which wait until the number is taken. */
static int prepare(struct library *lib, const struct vtl_config *next, struct errtext *err)
{
    int rc = lib->eng.workers ? workers_grow(lib->eng.workers, next->store.parallel) : 0;
    return rc ? errtext_set(err, rc, "[store] parallel = %u: cannot start threads: %s", next->store.parallel,
                            strerror(-rc))
              : 0;
}

/* Nothing here can fail. next and store are taken over. */
static void take(struct library *lib, struct vtl_config *next, struct objstore *store)
{
    struct objstore_config oc;
    if (next->library.slots > atomic_load(&lib->eng.live.slots))
        library_add_slots(lib, next->library.slots);
    live_settings_take(&lib->eng.live, next);
    blanks_take(lib, next);
    quota_take(&lib->eng.quota, next);
    retain_take(&lib->eng.retain, next);
    atomic_store(&lib->locks_seen, false);
    rules_take(lib, next);
    spool_set_cache_size(lib->eng.spool, next->spool.cache_size);
    config_store(next, &oc);
    objstore_set_limits(lib->eng.store, &oc);
    if (store) {
        objstore_swap_access(lib->eng.store, store);
        store->ops->close(store);
        if (lib->eng.workers)
            workers_try_again(lib->eng.workers);
    }
    if (lib->eng.workers)
        workers_look_again(lib->eng.workers);
    config_free(lib->taken);
    lib->taken = next;
    atomic_fetch_add(&lib->n_reloads, 1);
    store_health_soon(lib);
    progress_post(&lib->eng.progress); /* there may be room now */
}

static void tell(const struct library *lib, const json_t *changed, const struct access *a)
{
    size_t i;
    json_t *c;
    if (!json_array_size(changed) && !a->store)
        log_notice("reload: %s: nothing has changed", lib->cfg->file);
    json_array_foreach(changed, i, c)
        log_event(EVENT_RELOADED, "reload: %s = %s (was %s)", json_string_value(json_object_get(c, "key")),
                  json_string_value(json_object_get(c, "now")), json_string_value(json_object_get(c, "was")));
    if (a->store)
        log_event(EVENT_RELOADED, "reload: %s for the store%s%s", what_is_new(a) + strlen("the "),
                  a->warning.text[0] ? "; " : "", a->warning.text);
}

static json_t *reload(struct library *lib, struct errtext *err)
{
    struct vtl_config *next = NULL;
    struct access a = {.store = NULL};
    struct difference d = {.changed = json_array()};
    int rc = config_load(lib->cfg->file, &next, err);
    if (!rc)
        rc = compare(lib->taken ? lib->taken : lib->cfg, next, &d);
    if (!rc && d.n_refused)
        rc = errtext_set(err, -EINVAL, "%.550s; that needs a restart", d.refused.text);
    if (!rc)
        rc = try_access(lib, next, &a, err);
    if (!rc)
        rc = prepare(lib, next, err);
    json_t *result = rc ? NULL
                        : json_pack("{s:s, s:O, s:b, s:b, s:o}", "file", lib->cfg->file, "changed", d.changed,
                                    "new_keys", (int)(a.store && a.keys), "new_proxy", (int)(a.store && a.proxy),
                                    "warning", a.warning.text[0] ? json_text(a.warning.text) : json_null());
    if (result) {
        take(lib, next, a.store);
        tell(lib, d.changed, &a);
    } else {
        if (a.store)
            a.store->ops->close(a.store);
        config_free(next);
    }
    json_decref(d.changed);
    return result;
}

json_t *library_reload(struct library *lib, const json_t *request, struct errtext *err)
{
    struct errtext why = {""};
    (void)request;
    lock_take(&lib->reload_lock);
    json_t *result = reload(lib, &why);
    lock_release(&lib->reload_lock);
    if (result)
        return result;
    log_event(EVENT_RELOAD_REFUSED, "reload: nothing is changed: %s", why.text[0] ? why.text : "out of memory");
    errtext_set(err, -EINVAL, "nothing is changed: %.570s", why.text[0] ? why.text : "out of memory");
    return NULL;
}
