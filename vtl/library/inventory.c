/* SPDX-License-Identifier: GPL-2.0-or-later */
/* inventory.c: which cartridge is in which element, kept in the store after every change. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/thread.h"
#include "vtl/library/library_private.h"

#define RETRY_MS 5000
#define MAX_INVENTORY (32u << 20)

static int by_barcode(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* The cartridges that are in none of the elements. Looked for without the lock: they may be many (I5). NULL: out of
 * memory. */
static json_t *on_the_shelf(struct library *lib, const struct element *now)
{
    typedef char name[33];
    size_t n_full = 0, n = 0;
    name *full = calloc(lib->n_elements, sizeof(*full)), *all = NULL;
    json_t *list = NULL;
    lock_take(&lib->lock);
    if (full && (all = calloc(lib->n_cartridges + 1, sizeof(*all))))
        for (n = 0; n < lib->n_cartridges; n++)
            (void)snprintf(all[n], sizeof(all[n]), "%s", cartridge_barcode(lib->cartridges[n]));
    lock_release(&lib->lock);
    for (size_t i = 0; full && i < lib->n_elements; i++)
        if (now[i].barcode[0])
            memcpy(full[n_full++], now[i].barcode, sizeof(full[0]));
    if (all) {
        list = json_array();
        qsort(full, n_full, sizeof(*full), by_barcode);
        for (size_t i = 0; i < n; i++)
            if (!bsearch(all[i], full, n_full, sizeof(*full), by_barcode))
                json_array_append_new(list, json_string(all[i]));
    }
    free(full);
    free(all);
    return list;
}

static json_t *describe(struct library *lib)
{
    json_t *list = json_array();
    lock_take(&lib->lock);
    lib->inventory_dirty = false;
    lock_release(&lib->lock);
    struct element *now = library_elements_now(lib);
    for (size_t i = 0; now && i < lib->n_elements; i++) {
        const struct element *e = &now[i];
        if (e->barcode[0])
            json_array_append_new(list, json_pack("{s:i, s:s, s:i}", "address", (int)e->address, "barcode", e->barcode,
                                                  "source", (int)e->source));
    }
    json_t *shelf = now ? on_the_shelf(lib, now) : NULL;
    free(now);
    if (!shelf) {
        json_decref(list);
        return NULL;
    }
    return json_pack("{s:i, s:s, s:s, s:I, s:o, s:o}", "format", 1, "library", lib->id, "name", lib->cfg->library.name,
                     "time", (json_int_t)engine_time(), "elements", list, "shelf", shelf);
}

/* A number that no inventory of this gateway has had yet (I2). */
static int next_number(struct library *lib, uint64_t *n, struct errtext *err)
{
    char text[32];
    int rc = db_meta_get(lib->eng.db, "inventory", text, sizeof(text));
    *n = strtoull(text, NULL, 10) + 1;
    (void)snprintf(text, sizeof(text), "%" PRIu64, *n);
    if (!rc)
        rc = db_meta_set(lib->eng.db, "inventory", text);
    return rc ? errtext_set(err, rc, "state: %s", db_error(lib->eng.db)) : 0;
}

int inventory_put(struct library *lib, const struct obj_call *call, struct errtext *err)
{
    uint64_t n = 0;
    char key[DB_KEY_SIZE];
    int rc = next_number(lib, &n, err);
    if (rc)
        return rc;
    json_t *j = describe(lib);
    (void)snprintf(key, sizeof(key), "gateways/%08x/inventory/%010" PRIu64, lib->eng.writer, n);
    rc = j ? store_write_json(lib->eng.store, key, j, call, err) : errtext_set(err, -ENOMEM, "%s: out of memory", key);
    json_decref(j);
    if (rc) {
        library_inventory_changed(lib);
        return rc;
    }
    /* The one before is superseded; earlier ones went the same way. */
    (void)snprintf(key, sizeof(key), "gateways/%08x/inventory/%010" PRIu64, lib->eng.writer, n - 1);
    const char *keys[] = {key};
    return n > 1 ? lib->eng.store->ops->del(lib->eng.store, keys, 1, call, err) : 0;
}

void library_inventory_changed(struct library *lib)
{
    lock_take(&lib->lock);
    lib->inventory_dirty = true;
    lock_release(&lib->lock);
    progress_post(&lib->eng.progress);
}

static bool is_dirty(struct library *lib)
{
    lock_take(&lib->lock);
    bool dirty = lib->inventory_dirty;
    lock_release(&lib->lock);
    return dirty;
}

static void *inventory_thread(void *arg)
{
    struct library *lib = arg;
    struct obj_call call = {.cancel = &lib->stop};
    uint64_t not_before = 0;
    bool told = false;
    while (!atomic_load(&lib->stop)) {
        uint64_t seen = progress_now(&lib->eng.progress);
        struct errtext err = {""};
        if (!is_dirty(lib) || clock_ms() < not_before) {
            progress_wait(&lib->eng.progress, seen, 1000);
            continue;
        }
        int rc = inventory_put(lib, &call, &err);
        not_before = rc ? clock_ms() + RETRY_MS : 0;
        if (rc && rc != -ECANCELED && !told)
            log_line("inventory: %s", err.text);
        told = rc != 0;
    }
    return NULL;
}

int inventory_start(struct library *lib, struct errtext *err)
{
    lib->inventory_dirty = true;
    int rc = thread_start(&lib->inventory_thread, "inventory", inventory_thread, lib);
    lib->inventory_runs = !rc;
    return rc ? errtext_set(err, rc, "inventory: cannot start its thread: %s", strerror(-rc)) : 0;
}

void inventory_stop(struct library *lib)
{
    if (!lib->inventory_runs)
        return;
    atomic_store(&lib->stop, true);
    progress_post(&lib->eng.progress);
    pthread_join(lib->inventory_thread, NULL);
    lib->inventory_runs = false;
    struct obj_call once = {.max_tries = 1};
    struct errtext err = {""};
    if (is_dirty(lib) && inventory_put(lib, &once, &err))
        log_line("inventory: %s", err.text);
}

/* ---- for a rebuild ---- */

struct newest {
    struct objstore *store;
    json_t *best;
    json_int_t time;
    struct errtext *err;
};

static int look_at(void *arg, const struct obj_entry *e)
{
    struct newest *n = arg;
    if (e->is_prefix || !strstr(e->key, "/inventory/"))
        return 0;
    json_t *j = NULL;
    struct errtext why = {""};
    if (store_read_json(n->store, e->key, MAX_INVENTORY, &j, &why)) {
        log_line("%s: passed over", why.text); /* an older one will do */
        return 0;
    }
    json_int_t t = json_integer_value(json_object_get(j, "time"));
    if (!n->best || t >= n->time) {
        json_decref(n->best);
        n->best = j;
        n->time = t;
    } else {
        json_decref(j);
    }
    return 0;
}

json_t *inventory_newest(struct objstore *store, struct errtext *err)
{
    struct newest n = {.store = store, .err = err};
    err->text[0] = '\0';
    if (store->ops->list(store, "gateways/", NULL, false, look_at, &n, NULL, err)) {
        json_decref(n.best);
        return NULL;
    }
    return n.best;
}
