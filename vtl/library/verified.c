/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verified.c: what a scrub found, kept with the cartridge: in its row, its heads, its MAM, and as a TapeAlert flag. */
#include <errno.h>
#include <string.h>

#include "base/event.h"
#include "base/lock.h"
#include "vtl/library/tapes.h"
#include "vtl/state/chunk_index.h"

struct found {
    uint64_t objects, lost, from;
};

/* Tells the drive that it is in, too. */
static void alert(struct library *lib, const char *barcode)
{
    lock_take(&lib->lock);
    const struct element *e = library_place(lib, barcode);
    struct drive *d = e ? library_drive_at(lib, e) : NULL;
    lock_release(&lib->lock);
    if (d)
        drive_tape_ops.alert(d, ALERT_MEDIA);
}

static bool get_number(const json_t *request, const char *key, uint64_t *n)
{
    const json_t *j = json_object_get(request, key);
    *n = (uint64_t)json_integer_value(j);
    return json_is_integer(j) && json_integer_value(j) >= 0;
}

/* Another cartridge may have got the barcode since. */
static bool is_it(const struct cartridge *c, const char *id)
{
    char hex[33];
    for (int i = 0; i < 16; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", cartridge_id(c)[i]);
    return id && !strcmp(id, hex);
}

static int add_hurt(void *arg, const char *barcode)
{
    json_t *hurt = arg;
    return json_object_set_new(hurt, barcode, json_true()) ? -ENOMEM : 0;
}

/* Each cartridge that leans on one of these segments: an array of barcodes. NULL with *err. */
static json_t *hurt_by(struct library *lib, const char *barcode, const json_t *keys, struct errtext *err)
{
    json_t *hurt = json_object(), *list = json_array(), *key;
    char prefix[DB_KEY_SIZE];
    const char *b;
    size_t i;
    int rc = hurt && list ? 0 : -ENOMEM;
    (void)snprintf(prefix, sizeof(prefix), "tapes/%.40s/seg/", barcode);
    json_array_foreach(keys, i, key)
    {
        const char *text = json_string_value(key);
        struct seg_id id;
        if (!rc && text && object_name_at(text, prefix, &id))
            rc = db_leaners_of(lib->eng.db, barcode, &id, add_hurt, hurt);
    }
    json_object_foreach(hurt, b, key) json_array_append_new(list, json_string(b));
    json_decref(hurt);
    if (!rc)
        return list;
    json_decref(list);
    errtext_set(err, rc, "%s: state: %s", barcode, db_error(lib->eng.db));
    return NULL;
}

static int record(struct library *lib, struct cartridge *c, const struct found *f, struct errtext *err)
{
    const char *barcode = cartridge_barcode(c);
    int rc = cartridge_load(c, err);
    if (rc)
        return rc;
    bool ours = tapes_may_be_theirs(lib, c) == OBJ_NO; /* to claim it would take it from whoever has imported it */
    rc = cartridge_set_verified(c, f->objects, f->lost, f->from, &ours);
    if (rc)
        return errtext_set(err, rc, "%s: state: %s", barcode, db_error(lib->eng.db));
    if (f->lost)
        alert(lib, barcode);
    if (f->lost && lib->eng.workers) /* else verify's own message is all that there is a reader for */
        log_event(EVENT_DAMAGE, "%s: verify: %llu objects cannot be read back, from object %llu on", barcode,
                  (unsigned long long)f->lost, (unsigned long long)f->from);
    if (ours)
        tapes_commit_row(c);
    cartridge_unload_if_clean(c);
    return 0;
}

/* Nothing is copied from what is damaged: not once the tape is written over and counts as whole either, while those who lean
 * on it keep it there. With an empty list the segment is known, and nobody lists it again. */
static void hide_damaged(struct library *lib, const struct cartridge *c, const json_t *keys)
{
    char prefix[DB_KEY_SIZE];
    struct seg_source s = {.size = 0};
    const json_t *key;
    size_t i;
    if (!lib->eng.chunks)
        return;
    (void)snprintf(s.barcode, sizeof(s.barcode), "%s", cartridge_barcode(c));
    (void)snprintf(prefix, sizeof(prefix), "tapes/%.40s/seg/", s.barcode);
    memcpy(s.cartridge, cartridge_id(c), sizeof(s.cartridge));
    json_array_foreach(keys, i, key)
    {
        const char *text = json_string_value(key);
        if (text && object_name_at(text, prefix, &s.id))
            (void)chunk_index_put(lib->eng.chunks, &s, 0, "", 0);
    }
}

json_t *tapes_verified(struct library *lib, const json_t *request, struct errtext *err)
{
    const char *barcode = json_string_value(json_object_get(request, "barcode"));
    const char *id = json_string_value(json_object_get(request, "cartridge"));
    struct found f;
    if (!barcode || !id || !get_number(request, "objects", &f.objects) || !get_number(request, "lost", &f.lost) ||
        !get_number(request, "from", &f.from)) {
        errtext_set(err, -EINVAL, "tape-verified: barcode, cartridge, objects, lost and from are needed");
        return NULL;
    }
    struct cartridge *c = library_cartridge(lib, barcode);
    bool is = c && is_it(c, id);
    if (is && record(lib, c, &f, err))
        return NULL;
    if (is && f.lost)
        hide_damaged(lib, c, json_object_get(request, "keys"));
    json_t *hurt = hurt_by(lib, barcode, json_object_get(request, "keys"), err);
    return hurt ? json_pack("{s:s, s:b, s:o}", "barcode", barcode, "recorded", (int)is, "hurt", hurt) : NULL;
}
