/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gc.c: library gc: objects that no head names, cartridge by cartridge, and what is in the bucket but in no library. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/jsontext.h"
#include "vtl/format/barcode.h"
#include "vtl/cartridge/commit.h"
#include "vtl/library/tapes.h"

#define WAIT_MS 60000 /* for a commit that is under way */

int tapes_take_heads(struct library *lib, struct cartridge *c, struct errtext *err)
{
    uint64_t until = clock_ms() + WAIT_MS;
    for (;;) {
        uint64_t seen = progress_now(&lib->eng.progress);
        if (cartridge_take_heads(c))
            return 0;
        if (clock_ms() >= until || atomic_load(&lib->no_waiting))
            return errtext_set(err, -EAGAIN, "%s: it is being committed: try again", cartridge_barcode(c));
        progress_wait(&lib->eng.progress, seen, 200);
    }
}

/* A cartridge whose last head is another gateway's may be in use there: nothing of it is deleted, and nothing is wrong. What a rebuild or a claim by force took from the
 * bucket is this one's again once a head says so. */
/* who: "", or who wrote it last. */
static int check_ours(struct cartridge *c, char who[COMMIT_WHO_SIZE], const struct obj_call *call, struct errtext *err)
{
    const struct engine *e = cartridge_engine(c);
    struct seg_id head;
    struct head h;
    who[0] = '\0';
    if (cartridge_is_ours(c, &head))
        return 0;
    int rc = commit_read_one(e->store, cartridge_barcode(c), &head, &h, call, err);
    if (rc)
        return rc;
    if (h.gateway != e->gateway)
        commit_who(e, &h, who);
    head_free(&h);
    return 0;
}

static int collect(struct library *lib, struct cartridge *c, bool dry_run, char who[COMMIT_WHO_SIZE],
                   struct sweep *found, struct errtext *err)
{
    const struct obj_call call = library_impatient(lib);
    int rc = cartridge_load(c, err);
    if (!rc && !dry_run)
        rc = check_ours(c, who, &call, err);
    if (!rc && who[0])
        return 0;
    if (!rc && !dry_run)
        rc = commit_claim(c, &call, err);
    if (!rc)
        rc = commit_sweep(c, true, dry_run, found, &call, err);
    while (!rc && !dry_run && (rc = commit_garbage(c, &call, err)) > 0)
        rc = 0;
    return rc;
}

json_t *tapes_gc(struct library *lib, const json_t *request, struct errtext *err)
{
    const char *barcode = json_string_value(json_object_get(request, "barcode"));
    bool dry_run = json_is_true(json_object_get(request, "dry_run"));
    char who[COMMIT_WHO_SIZE] = "";
    struct cartridge *c = barcode ? library_cartridge(lib, barcode) : NULL;
    struct sweep found = {0};
    if (!c) {
        errtext_set(err, -ENOENT, "%s: no such cartridge in this library", barcode ? barcode : "(no barcode)");
        return NULL;
    }
    if (tapes_take_heads(lib, c, err))
        return NULL;
    /* To claim it would take it from whoever has imported it. */
    enum obj_known theirs = dry_run ? OBJ_NO : tapes_may_be_theirs(lib, c);
    int rc = 0;
    if (theirs == OBJ_UNKNOWN)
        rc =
            errtext_set(err, -EAGAIN, "%s: whether another library has it cannot be found out now: try again", barcode);
    else if (theirs == OBJ_NO)
        rc = collect(lib, c, dry_run, who, &found, err);
    cartridge_give_heads(c);
    cartridge_unload_if_clean(c);
    return rc ? NULL
              : json_pack("{s:s, s:I, s:I, s:s*, s:b}", "barcode", barcode, "objects", (json_int_t)found.objects,
                          "bytes", (json_int_t)found.bytes, "written_by", who[0] ? who : NULL, "on_shared_shelf",
                          theirs == OBJ_YES);
}

/* ---- what is in no library ---- */

struct strangers {
    struct library *lib;
    json_t *list;
};

static int count_object(void *arg, const struct obj_entry *e)
{
    uint64_t *n = arg;
    *n += !e->is_prefix;
    return 0;
}

static int take_stranger(void *arg, const struct obj_entry *e)
{
    struct strangers *s = arg;
    const char *name = e->key + strlen("tapes/");
    size_t n = strlen(name);
    char barcode[33];
    if (!e->is_prefix || n < 3 || n > 33)
        return 0;
    memcpy(barcode, name, n - 1);
    barcode[n - 1] = '\0';
    if (!barcode_ok(barcode) || library_cartridge(s->lib, barcode))
        return 0;
    return json_array_append_new(s->list, json_pack("{s:s}", "barcode", barcode)) ? -ENOMEM : 0;
}

/* The place of a cartridge that was removed: whom it is kept for; without anybody it goes. */
static int look_at_place(struct library *lib, struct head *h, bool tidy, json_t *stranger, struct errtext *err)
{
    const struct obj_call call = library_impatient(lib);
    bool is_free = false;
    int rc = commit_look_at_place(&lib->eng, h, tidy, &is_free, &call, err);
    json_object_set_new(stranger, "kept_for", place_show(h));
    head_free(h);
    return rc == -EAGAIN ? 0 : rc;
}

static int look_at(struct library *lib, json_t *stranger, bool tidy, struct errtext *err)
{
    const struct obj_call call = library_impatient(lib);
    const char *barcode = json_string_value(json_object_get(stranger, "barcode"));
    char prefix[DB_KEY_SIZE];
    struct head head;
    struct errtext why = {""};
    uint64_t objects = 0;
    int rc = commit_read_head(lib->eng.store, barcode, NULL, &head, &call, &why);
    bool complete = !rc && !head.removed, unreadable = rc == -EBADMSG || rc == -EPROTONOSUPPORT;
    if (!rc && head.removed)
        rc = look_at_place(lib, &head, tidy, stranger, err);
    else if (complete)
        head_free(&head);
    else if (unreadable || rc == -ENOENT)
        rc = 0;
    else
        *err = why;
    (void)snprintf(prefix, sizeof(prefix), "tapes/%s/", barcode);
    if (!rc)
        rc = lib->eng.store->ops->list(lib->eng.store, prefix, NULL, false, count_object, &objects, &call, err);
    json_object_set_new(stranger, "objects", json_integer((json_int_t)objects));
    json_object_set_new(stranger, "head", json_boolean(complete));
    if (unreadable)
        json_object_set_new(stranger, "error", json_text(why.text));
    return rc;
}

json_t *tapes_strangers(struct library *lib, const json_t *request, struct errtext *err)
{
    const struct obj_call call = library_impatient(lib);
    bool tidy = json_is_true(json_object_get(request, "tidy"));
    struct strangers s = {lib, json_array()};
    int rc = lib->eng.store->ops->list(lib->eng.store, "tapes/", NULL, true, take_stranger, &s, &call, err);
    for (size_t i = json_array_size(s.list); !rc && i-- > 0;) {
        rc = look_at(lib, json_array_get(s.list, i), tidy, err);
        if (!rc && !json_integer_value(json_object_get(json_array_get(s.list, i), "objects")))
            json_array_remove(s.list, i); /* SeaweedFS lists a directory that it keeps with nothing in it */
    }
    if (rc) {
        json_decref(s.list);
        return NULL;
    }
    return json_pack("{s:o}", "strangers", s.list);
}
