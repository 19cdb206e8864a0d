/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vanished.c: what the state or an inventory names, and the bucket has no more, or only as it once was. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/jsontext.h"
#include "base/many.h"
#include "vtl/cartridge/commit.h"
#include "vtl/format/barcode.h"
#include "vtl/library/tapes.h"
#include "vtl/library/vanished.h"

#define PATH_SIZE 4200

struct named {
    char barcode[33];
    struct seg_id known; /* its head as the state knows it; epoch 0: only an inventory names it */
    bool in_inventory;
    bool seen; /* the bucket has it */
    int rc;
    struct errtext text; /* what is wrong, when rc is 0; "": nothing */
};

struct vanished {
    struct objstore *store;
    unsigned parallel;
    const atomic_bool *cancel;
    json_t *only;  /* barcodes as keys; NULL: all */
    json_t *index; /* barcode: number in v */
    json_t *blank; /* barcodes as keys: of the state, and never committed, so the bucket need not have them */
    struct named *v;
    size_t n, room;
};

struct vanished *vanished_new(const struct vtl_config *cfg, struct objstore *store, const json_t *only,
                              const atomic_bool *cancel)
{
    struct vanished *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    *w = (struct vanished){.store = store,
                           .parallel = config_requests(cfg),
                           .cancel = cancel,
                           .only = json_is_array(only) ? json_object() : NULL,
                           .index = json_object(),
                           .blank = json_object()};
    size_t i;
    const json_t *b;
    json_array_foreach(only, i, b) if (json_is_string(b))
        json_object_set_new(w->only, json_string_value(b), json_true());
    return w;
}

void vanished_free(struct vanished *w)
{
    if (!w)
        return;
    json_decref(w->only);
    json_decref(w->index);
    json_decref(w->blank);
    free(w->v);
    free(w);
}

static struct named *find(struct vanished *w, const char *barcode)
{
    const json_t *at = json_object_get(w->index, barcode);
    return at ? &w->v[json_integer_value(at)] : NULL;
}

/* *out: NULL when it is not asked for. */
static int add(struct vanished *w, const char *barcode, struct named **out)
{
    *out = NULL;
    if ((w->only && !json_object_get(w->only, barcode)) || (*out = find(w, barcode)))
        return 0;
    if (w->n == w->room && !array_grow(&w->v, &w->room, sizeof(*w->v)))
        return -ENOMEM;
    if (json_object_set_new(w->index, barcode, json_integer((json_int_t)w->n)))
        return -ENOMEM;
    *out = &w->v[w->n++];
    **out = (struct named){.rc = 0};
    (void)snprintf((*out)->barcode, sizeof((*out)->barcode), "%s", barcode);
    return 0;
}

/* ---- who names it ---- */

static int add_of_state(struct vanished *w, const char *barcode, const struct seg_id *head)
{
    struct named *n;
    if (!head->epoch)
        return json_object_set_new(w->blank, barcode, json_true()) ? -ENOMEM : 0;
    int rc = add(w, barcode, &n);
    if (n)
        n->known = *head;
    return rc;
}

int vanished_add_library(struct vanished *w, struct library *lib)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < lib->n_cartridges; i++) {
        struct seg_id head;
        (void)cartridge_is_ours(lib->cartridges[i], &head);
        rc = add_of_state(w, cartridge_barcode(lib->cartridges[i]), &head);
    }
    return rc;
}

static int add_row(void *arg, const struct db_cartridge *row)
{
    return add_of_state(arg, row->barcode, &row->head);
}

int vanished_add_state(struct vanished *w, const struct vtl_config *cfg)
{
    char path[PATH_SIZE];
    struct db *db = NULL;
    (void)snprintf(path, sizeof(path), "%s/state.db", cfg->library.state_dir);
    if (access(path, F_OK) || db_open(path, false, &db, NULL))
        return 0;
    int rc = db_cartridges(db, add_row, w);
    db_close(db);
    return rc == -ENOMEM ? rc : 0; /* what cannot be read names nothing */
}

static int add_of_inventory(struct vanished *w, const char *barcode)
{
    struct named *n;
    if (!barcode || !barcode_ok(barcode) || json_object_get(w->blank, barcode))
        return 0;
    int rc = add(w, barcode, &n);
    if (n)
        n->in_inventory = true;
    return rc;
}

int vanished_add_inventory(struct vanished *w, const json_t *inventory)
{
    size_t i;
    json_t *j;
    int rc = 0;
    json_array_foreach(json_object_get(inventory, "elements"), i, j) if (!rc) rc =
        add_of_inventory(w, json_string_value(json_object_get(j, "barcode")));
    json_array_foreach(json_object_get(inventory, "shelf"), i, j) if (!rc) rc =
        add_of_inventory(w, json_string_value(j));
    return rc;
}

void vanished_seen(struct vanished *w, const char *barcode, const struct seg_id *head)
{
    struct named *n = find(w, barcode);
    if (n)
        n->seen = !head || seg_id_compare(head, &n->known) >= 0;
}

static const char *who_names(const struct named *n)
{
    return !n->known.epoch   ? "the newest inventory names it"
           : n->in_inventory ? "the state and the newest inventory name it"
                             : "the state names it";
}

void vanished_removed(struct vanished *w, const char *barcode)
{
    struct named *n = find(w, barcode);
    if (!n)
        return;
    n->seen = true;
    errtext_set(
        &n->text, 0,
        "%s: %s, but its newest head in the bucket says that it was removed, and that its place is kept for tapes "
        "that lean on it",
        barcode, who_names(n));
}

/* ---- does the bucket have it? ---- */

static int any(void *arg, const struct obj_entry *e)
{
    (void)e;
    *(bool *)arg = true;
    return 1;
}

static int has_objects(struct vanished *w, const char *barcode, const char *kind, bool *has, struct errtext *err)
{
    char prefix[DB_KEY_SIZE];
    const struct obj_call call = {.cancel = w->cancel, .max_tries = 3, .patience_ms = OBJ_PATIENCE_MS};
    *has = false;
    (void)snprintf(prefix, sizeof(prefix), "tapes/%s/%s", barcode, kind);
    int rc = w->store->ops->list(w->store, prefix, NULL, false, any, has, &call, err);
    return rc > 0 ? 0 : rc;
}

static void tell_older(struct named *n, const struct seg_id *newest)
{
    char known[SEG_NAME_SIZE], there[SEG_NAME_SIZE];
    seg_id_format(&n->known, known);
    seg_id_format(newest, there);
    errtext_set(&n->text, 0,
                "%s: the state knows head %s, but the newest in the bucket is %s: the bucket is older than this state "
                "(was it restored?)",
                n->barcode, known, there);
}

static int tell_gone(struct vanished *w, struct named *n, struct errtext *err)
{
    bool has = false, segments = false;
    int rc = has_objects(w, n->barcode, "", &has, err);
    if (!rc && has)
        rc = has_objects(w, n->barcode, "seg/", &segments, err);
    if (rc)
        return rc;
    if (!has)
        errtext_set(&n->text, 0, "%s: %s, but the bucket has no object of it (a lifecycle rule? a deleted prefix?)",
                    n->barcode, who_names(n));
    else
        errtext_set(&n->text, 0, "%s: %s, but the bucket has no head of it%s", n->barcode, who_names(n),
                    segments ? ", only segments: \"s3vtl library rebuild --force --deep\" makes a head from them"
                             : " and no segment (a lifecycle rule? a deleted prefix?)");
    return 0;
}

/* The state's head was noted before the bucket is listed: a commit meanwhile makes the bucket's newer, never older. */
static void look(struct vanished *w, struct named *n)
{
    const struct obj_call call = {.cancel = w->cancel, .max_tries = 3, .patience_ms = OBJ_PATIENCE_MS};
    const struct head_search trusted = {.trusted = &n->known, .n_trusted = n->known.epoch ? 1 : 0};
    struct seg_id *heads = NULL;
    size_t n_heads = 0;
    n->rc = commit_real_heads(w->store, n->barcode, &trusted, &heads, &n_heads, NULL, &call, &n->text);
    while (n_heads && !heads[n_heads - 1].number) /* claims */
        n_heads--;
    if (!n->rc && !n_heads)
        n->rc = tell_gone(w, n, &n->text);
    else if (!n->rc && seg_id_compare(&heads[n_heads - 1], &n->known) < 0)
        tell_older(n, &heads[n_heads - 1]);
    free(heads);
}

static json_t *describe(const struct named *n)
{
    char known[SEG_NAME_SIZE];
    seg_id_format(&n->known, known);
    return json_pack("{s:s, s:b, s:b, s:o, s:o}", "barcode", n->barcode, "state", n->known.epoch != 0, "inventory",
                     (int)n->in_inventory, "head", n->known.epoch ? json_string(known) : json_null(), "error",
                     json_text(n->text.text));
}

struct finding {
    struct vanished *w;
    json_t *list;
};

static void look_at(void *arg, size_t i)
{
    const struct finding *f = arg;
    struct named *n = &f->w->v[i];
    if (!n->seen)
        look(f->w, n);
}

static int take(void *arg, size_t i)
{
    struct finding *f = arg;
    const struct named *n = &f->w->v[i];
    if (n->rc || !n->text.text[0])
        return n->rc;
    return json_array_append_new(f->list, describe(n)) ? -ENOMEM : 0;
}

int vanished_find(struct vanished *w, json_t **list, struct errtext *err)
{
    struct finding f = {w, json_array()};
    const struct many m = {.n = w->n, .parallel = w->parallel, .work = look_at, .done = take, .arg = &f};
    int rc = many_run(&m);
    if (rc == -ENOMEM)
        errtext_set(err, rc, "what the bucket lacks: out of memory");
    for (size_t i = 0; rc && rc != -ENOMEM && i < w->n; i++)
        if (w->v[i].rc == rc)
            *err = w->v[i].text;
    *list = rebuild_sorted(f.list);
    if (rc) {
        json_decref(*list);
        *list = NULL;
    }
    return rc;
}

/* ---- for the command ---- */

/* lib: NULL without a state. */
static int compare(struct vanished *w, struct library *lib, json_t **list, struct errtext *err)
{
    char key[DB_KEY_SIZE];
    bool unread;
    json_t *inventory =
        lib ? inventory_newest_other(lib, err) : inventory_newest(w->store, NULL, key, &unread, w->cancel, err);
    if (!inventory && err->text[0])
        return -EIO;
    int rc = lib ? vanished_add_library(w, lib) : 0;
    if (!rc)
        rc = vanished_add_inventory(w, inventory);
    json_decref(inventory);
    return rc ? rc : vanished_find(w, list, err);
}

json_t *tapes_vanished(struct library *lib, const json_t *request, struct errtext *err)
{
    json_t *list = NULL;
    struct vanished *w = vanished_new(lib->cfg, lib->eng.store, json_object_get(request, "barcodes"), &lib->no_waiting);
    int rc = w ? compare(w, lib, &list, err) : -ENOMEM; /* library_call says it */
    vanished_free(w);
    return rc ? NULL : json_pack("{s:o}", "vanished", list);
}

int library_vanished(const struct vtl_config *cfg, struct objstore *store, const json_t *barcodes,
                     const atomic_bool *cancel, json_t **list, struct errtext *err)
{
    struct vanished *w = vanished_new(cfg, store, barcodes, cancel);
    *list = NULL;
    int rc = w ? compare(w, NULL, list, err) : errtext_set(err, -ENOMEM, "out of memory");
    vanished_free(w);
    return rc;
}
