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

static void refuse(struct difference *d, const struct config_shown *was, const struct config_shown *now,
                   const char *why)
{
    size_t at = strlen(d->refused.text);
    (void)snprintf(d->refused.text + at, sizeof(d->refused.text) - at, "%s[%s] %s = %.60s (was %.60s): %s",
                   d->n_refused++ ? "; " : "", now->section, now->name, now->value[0] ? now->value : "(unset)",
                   was->value[0] ? was->value : "(unset)", why);
}

static int compare(const struct vtl_config *before, const struct vtl_config *next, struct difference *d)
{
    struct config_shown was, now;
    for (size_t i = 0; config_show(before, i, &was) && config_show(next, i, &now); i++) {
        if (!strcmp(was.value, now.value))
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

/* ---- the keys ---- */

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

/* *store: one with the keys as they are now, if they differ from those in use and the store, if it answers, takes them; else
 * NULL. A store that is away refuses nobody: *warning then. */
static int try_keys(struct library *lib, const struct vtl_config *next, struct objstore **store,
                    struct errtext *warning, struct errtext *err)
{
    struct objstore_config oc;
    struct errtext why = {""};
    *store = NULL;
    config_store(next, &oc);
    int rc = strcmp(oc.type, "s3") != 0 ? 0 : objstore_open(&oc, store, err);
    if (rc || !*store)
        return rc;
    bool same = objstore_same_keys(lib->eng.store, *store);
    rc = same ? 0 : ask(lib, *store, &why);
    if (rc == -EACCES)
        errtext_set(err, rc, "the store refuses the new keys: %.400s", why.text);
    else if (rc)
        errtext_set(warning, 0, "the store did not say whether it takes the new keys: %.400s", why.text);
    if (same || rc == -EACCES) {
        (*store)->ops->close(*store);
        *store = NULL;
    }
    return rc == -EACCES ? rc : 0;
}

/* ---- all of it ---- */

/* Nothing here can fail. next and store are taken over. */
static void take(struct library *lib, struct vtl_config *next, struct objstore *store)
{
    if (next->library.slots > atomic_load(&lib->eng.live.slots))
        library_add_slots(lib, next->library.slots);
    live_settings_take(&lib->eng.live, next);
    spool_set_cache_size(lib->eng.spool, next->spool.cache_size);
    if (store) {
        objstore_swap_keys(lib->eng.store, store);
        store->ops->close(store);
        if (lib->eng.workers)
            workers_try_again(lib->eng.workers);
    }
    config_free(lib->taken);
    lib->taken = next;
    progress_post(&lib->eng.progress); /* there may be room now */
}

static void tell(const struct library *lib, const json_t *changed, bool keys, const struct errtext *warning)
{
    size_t i;
    json_t *c;
    if (!json_array_size(changed) && !keys)
        log_notice("reload: %s: nothing has changed", lib->cfg->file);
    json_array_foreach(changed, i, c)
        log_event(EVENT_RELOADED, "reload: %s = %s (was %s)", json_string_value(json_object_get(c, "key")),
                  json_string_value(json_object_get(c, "now")), json_string_value(json_object_get(c, "was")));
    if (keys)
        log_event(EVENT_RELOADED, "reload: new keys for the store%s%s", warning->text[0] ? "; " : "", warning->text);
}

static json_t *reload(struct library *lib, struct errtext *err)
{
    struct vtl_config *next = NULL;
    struct objstore *store = NULL;
    struct errtext warning = {""};
    struct difference d = {.changed = json_array()};
    int rc = config_load(lib->cfg->file, &next, err);
    if (!rc)
        rc = compare(lib->taken ? lib->taken : lib->cfg, next, &d);
    if (!rc && d.n_refused)
        rc = errtext_set(err, -EINVAL, "%.550s; that needs a restart", d.refused.text);
    if (!rc)
        rc = try_keys(lib, next, &store, &warning, err);
    bool keys = store != NULL;
    json_t *result = rc ? NULL
                        : json_pack("{s:s, s:O, s:b, s:o}", "file", lib->cfg->file, "changed", d.changed, "new_keys",
                                    (int)keys, "warning", warning.text[0] ? json_text(warning.text) : json_null());
    if (result) {
        take(lib, next, store);
        tell(lib, d.changed, keys, &warning);
    } else {
        if (store)
            store->ops->close(store);
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
