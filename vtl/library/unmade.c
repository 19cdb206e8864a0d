/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unmade.c: see unmade.h.
 *
 * The note goes first, then the row, then the heads: whatever ends this in between, the barcode is either that of a
 * cartridge of the library, or can be used again. The note stays, as a head whose PUT nobody heard of may land later. It names
 * the cartridge's identity: whatever has that barcode later is not touched.
 */
#include "vtl/library/unmade.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "vtl/cartridge/commit.h"

#define ID_TEXT 33

#define NOTE "unmade "

static void note_key(char key[64], const char *barcode)
{
    (void)snprintf(key, 64, NOTE "%.33s", barcode);
}

static void id_text(const uint8_t id[16], char text[ID_TEXT])
{
    for (int i = 0; i < 16; i++)
        (void)snprintf(text + (size_t)i * 2, 3, "%02x", id[i]);
}

static int note(struct library *lib, const char *barcode, const char *text, struct errtext *err)
{
    char key[64];
    note_key(key, barcode);
    int rc = db_meta_set(lib->eng.db, key, text);
    return rc ? errtext_set(err, rc, "%s: state: %s", barcode, db_error(lib->eng.db)) : 0;
}

int unmade_keep_epoch(struct library *lib, struct cartridge *c, struct errtext *err)
{
    char floor[32];
    uint64_t highest = cartridge_highest_epoch(c);
    int rc = db_meta_get(lib->eng.db, EPOCH_FLOOR, floor, sizeof(floor));
    if (!rc && strtoull(floor, NULL, 10) < highest) {
        (void)snprintf(floor, sizeof(floor), "%" PRIu64, highest);
        rc = db_meta_set(lib->eng.db, EPOCH_FLOOR, floor);
    }
    return rc ? errtext_set(err, rc, "%s: state: %s", cartridge_barcode(c), db_error(lib->eng.db)) : 0;
}

int unmade_take_back(struct library *lib, struct cartridge *c, const struct db_cartridge *row, struct errtext *err)
{
    char id[ID_TEXT];
    struct errtext why = {""};
    const struct obj_call call = library_impatient(lib);
    id_text(row->id, id);
    int rc = unmade_keep_epoch(lib, c, err);
    if (!rc)
        rc = note(lib, row->barcode, id, err);
    if (!rc && (rc = db_cartridge_remove(lib->eng.db, row->rowid, row->barcode)))
        errtext_set(err, rc, "%s: state: %s", row->barcode, db_error(lib->eng.db));
    if (rc)
        return rc;
    if (commit_withdraw(&lib->eng, row->barcode, lib->eng.writer, &call, &why))
        log_warn("%s: it is not made, but a head of it may stay in the bucket (%s): the next \"s3vtl tape create %s\" "
                 "deletes it",
                 row->barcode, why.text, row->barcode);
    return 0;
}

/* Whose identity was noted; "": nobody's. */
static int noted_id(struct library *lib, const char *barcode, char id[ID_TEXT])
{
    char key[64];
    note_key(key, barcode);
    id[0] = '\0';
    return db_meta_get(lib->eng.db, key, id, ID_TEXT);
}

bool unmade_is_noted(struct library *lib, const char *barcode)
{
    char id[ID_TEXT];
    return !noted_id(lib, barcode, id) && id[0];
}

/* 0: what is there is what was taken back, of this writer. */
static int look(struct library *lib, const char *barcode, uint32_t *writer, const struct obj_call *call,
                struct errtext *err)
{
    char noted[ID_TEXT], id[ID_TEXT];
    struct head h;
    if (noted_id(lib, barcode, noted))
        return errtext_set(err, -EIO, "%s: state: %s", barcode, db_error(lib->eng.db));
    if (!noted[0])
        return -EEXIST;
    int rc = commit_read_head(lib->eng.store, barcode, NULL, &h, call, err);
    if (rc)
        return rc;
    id_text(h.cartridge, id);
    *writer = h.id.writer;
    bool same = !strcmp(id, noted) && !h.end_object && !h.n_maps && !h.inl.n_segs;
    head_free(&h);
    return same ? 0 : -EEXIST;
}

int unmade_look(struct library *lib, const char *barcode, const struct obj_call *call, struct errtext *err)
{
    uint32_t writer;
    return look(lib, barcode, &writer, call, err);
}

int unmade_clear(struct library *lib, const char *barcode, const struct obj_call *call, struct errtext *err)
{
    uint32_t writer;
    int rc = look(lib, barcode, &writer, call, err);
    return rc ? rc : commit_withdraw(&lib->eng, barcode, writer, call, err);
}

static int take_meta(void *arg, const char *key, const char *value)
{
    return json_object_set_new(arg, key, json_string(value)) ? -ENOMEM : 0;
}

json_t *unmade_read(struct db *db)
{
    char floor[32];
    json_t *known = json_object();
    if (known && (db_meta_get(db, EPOCH_FLOOR, floor, sizeof(floor)) || take_meta(known, EPOCH_FLOOR, floor) ||
                  db_meta_each(db, NOTE, take_meta, known)))
        log_warn("state: what it knows of removed cartridges cannot be read: %s", db_error(db));
    return known;
}

int unmade_write(struct db *db, const json_t *known)
{
    const char *key;
    json_t *value;
    int rc = 0;
    json_object_foreach((json_t *)known, key, value)
    {
        const char *text = json_string_value(value);
        if (!rc && text && text[0])
            rc = db_meta_set(db, key, text);
    }
    return rc;
}
