/* SPDX-License-Identifier: GPL-2.0-or-later */
/* blanks.c: keeps as many cartridges that hold nothing yet as [library] blanks wants. */
#include <errno.h>
#include <string.h>

#include "base/jsontext.h"
#include "base/log.h"
#include "base/thread.h"
#include "vtl/library/blank_names.h"
#include "vtl/library/tapes.h"

#define LOOK_MS 5000
#define AGAIN_MS 60000 /* after a failure */
#define TRIES 8
#define LABEL_BYTES 262144 /* a label is one block of PBS's, and of most other software's at most that */

/* Backup software takes it as free: in an element, may be written, and holds no more than a label. */
static bool is_free(struct library *lib, struct cartridge *c)
{
    struct cartridge_view v;
    cartridge_view(c, &v);
    if (v.write_protected || v.worm || !v.capacity || v.used_bytes > LABEL_BYTES || v.backlog.fenced)
        return false;
    lock_take(&lib->lock);
    bool in = library_place(lib, cartridge_barcode(c)) != NULL;
    lock_release(&lib->lock);
    return in;
}

static unsigned count_free(struct library *lib, const struct name_range *names)
{
    unsigned n = 0;
    for (size_t i = 0; i < lib->n_cartridges; i++)
        n += name_range_has(names, cartridge_barcode(lib->cartridges[i])) && is_free(lib, lib->cartridges[i]);
    return n;
}

/* The i-th rule; false: there are fewer by now. */
static bool rule_now(struct blanks *b, unsigned i, struct config_blanks *out)
{
    lock_take(&b->lock);
    bool is = i < b->n;
    if (is)
        *out = b->rules[i].wanted;
    lock_release(&b->lock);
    return is;
}

/* A reload may want other ones, or fewer. */
static bool is_wanted_still(struct blanks *b, unsigned i, const struct config_blanks *wanted)
{
    struct config_blanks now;
    return rule_now(b, i, &now) && config_blanks_same(&now, wanted);
}

/* Counting alone does not stop others. */
static bool has_enough(struct library *lib, const struct config_blanks *wanted, unsigned *n)
{
    rwlock_read(&lib->tapes_lock);
    *n = count_free(lib, &wanted->names);
    rwlock_release(&lib->tapes_lock);
    return *n >= wanted->keep;
}

/* One, unless there are enough by now; with what "tape create" holds, and no longer than it takes to make one. */
static int make(struct library *lib, const struct config_blanks *wanted, const char *name, struct errtext *err)
{
    library_begin_change(lib);
    bool enough = count_free(lib, &wanted->names) >= wanted->keep;
    int rc = enough ? 0 : tapes_make(lib, name, err);
    library_end_change(lib);
    if (!rc && !enough)
        log_notice("%s: made, as [library] blanks wants it", name);
    return rc;
}

/* As many as are lacking. *n: how many are free then. */
static int fill_up(struct library *lib, unsigned i, const struct config_blanks *wanted, unsigned *n,
                   struct errtext *err)
{
    int rc = 0;
    unsigned late = 0;
    char name[NAME_RANGE_SIZE];
    while (!rc && !has_enough(lib, wanted, n) && !atomic_load(&lib->blanks.stop) &&
           is_wanted_still(&lib->blanks, i, wanted)) {
        rc = blank_name(lib, &wanted->names, lib->blanks.next[i], name, err);
        if (rc)
            break;
        rc = make(lib, wanted, name, err);
        if (rc == -EEXIST && late++ < TRIES) /* somebody else had it made meanwhile */
            rc = 0;
    }
    return rc;
}

/* One rule. True: all that it wants is there. */
static bool look(struct library *lib, unsigned i)
{
    struct errtext err = {""};
    struct blanks *b = &lib->blanks;
    struct config_blanks wanted;
    if (!rule_now(b, i, &wanted))
        return true;
    unsigned n;
    int rc = fill_up(lib, i, &wanted, &n, &err);
    lock_take(&b->lock);
    bool same = i < b->n && config_blanks_same(&b->rules[i].wanted, &wanted);
    if (same) {
        b->rules[i].free = n;
        b->rules[i].counted = true;
        b->rules[i].trouble = rc ? err : (struct errtext){""};
    }
    lock_release(&b->lock);
    return !rc;
}

static void *blanks_thread(void *arg)
{
    struct library *lib = arg;
    struct blanks *b = &lib->blanks;
    while (!atomic_load(&b->stop)) {
        bool well = true;
        unsigned reloads = atomic_load(&lib->n_reloads);
        for (unsigned i = 0; i < CONFIG_MAX_BLANKS && !atomic_load(&b->stop); i++)
            well = look(lib, i) && well;
        library_pause(lib, &b->stop, reloads, well ? LOOK_MS : AGAIN_MS);
    }
    return NULL;
}

void blanks_take(struct library *lib, const struct vtl_config *c)
{
    struct config_blanks wanted[CONFIG_MAX_BLANKS] = {0};
    int n = config_blanks(c->library.blanks, wanted, NULL);
    lock_take(&lib->blanks.lock);
    lib->blanks.n = n > 0 ? (unsigned)n : 0;
    for (unsigned i = 0; i < lib->blanks.n; i++)
        if (!config_blanks_same(&lib->blanks.rules[i].wanted, &wanted[i]))
            lib->blanks.rules[i] = (struct blanks_rule){.wanted = wanted[i]};
    lock_release(&lib->blanks.lock);
}

void blanks_init(struct library *lib)
{
    lock_init(&lib->blanks.lock, LOCK_BLANKS);
    blanks_take(lib, lib->cfg);
}

int blanks_start(struct library *lib, struct errtext *err)
{
    int rc = thread_start(&lib->blanks.thread, "blanks", blanks_thread, lib);
    lib->blanks.runs = !rc;
    return rc ? errtext_set(err, rc, "blanks: no thread: %s", strerror(-rc)) : 0;
}

void blanks_stop(struct library *lib)
{
    atomic_store(&lib->blanks.stop, true);
    progress_post(&lib->eng.progress);
    if (lib->blanks.runs)
        pthread_join(lib->blanks.thread, NULL);
    lib->blanks.runs = false;
}

static json_t *rule_json(const struct blanks_rule *r)
{
    char first[NAME_RANGE_SIZE], last[NAME_RANGE_SIZE];
    name_range_name(&r->wanted.names, 0, first);
    name_range_name(&r->wanted.names, name_range_count(&r->wanted.names) - 1, last);
    return json_pack("{s:s, s:s, s:i, s:i, s:o}", "first", first, "last", last, "keep", (int)r->wanted.keep, "free",
                     (int)r->free, "trouble", r->trouble.text[0] ? json_text(r->trouble.text) : json_null());
}

json_t *blanks_json(struct library *lib)
{
    json_t *list = json_array();
    lock_take(&lib->blanks.lock);
    for (unsigned i = 0; i < lib->blanks.n; i++)
        if (lib->blanks.rules[i].counted)
            json_array_append_new(list, rule_json(&lib->blanks.rules[i]));
    lock_release(&lib->blanks.lock);
    if (json_array_size(list))
        return list;
    json_decref(list);
    return NULL;
}
