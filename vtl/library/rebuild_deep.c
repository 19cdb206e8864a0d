/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rebuild_deep.c: a new head for a cartridge whose own is gone or damaged, from its segments (deep.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/lto.h"
#include "scsi/lun.h"
#include "vtl/cartridge/commit.h"
#include "vtl/format/barcode.h"
#include "vtl/scrub/deep.h"
#include "vtl/library/library_private.h"

/* What the barcode says, else what the drives are. */
static int generation_of(const char *barcode, const struct vtl_config *cfg)
{
    int says = barcode_generation(barcode);
    return says ? says : cfg->library.generation;
}

/* What only a head knows is guessed, and the tape is write protected until somebody has looked at it. */
static void guess(struct head *h, const char *barcode, const struct deep *d, const struct vtl_config *cfg)
{
    (void)snprintf(h->barcode, sizeof(h->barcode), "%s", barcode);
    memcpy(h->cartridge, d->cartridge, sizeof(h->cartridge));
    h->generation = generation_of(barcode, cfg);
    h->capacity = lto_generation(h->generation)->capacity;
    h->write_protected = true;
    h->created = d->created;
    h->next_map = 1;
}

/* old: the winning head, or NULL. out takes its attributes over. */
static int make_head(struct head *old, const char *barcode, const struct deep *d, const struct vtl_config *cfg,
                     struct head *out)
{
    head_init(out);
    if (old) {
        *out = *old;
        free(old->maps);
        tape_index_free(&old->inl);
        head_init(old);
        out->maps = NULL;
        out->n_maps = 0;
        tape_index_init(&out->inl);
    } else {
        guess(out, barcode, d, cfg);
    }
    if (d->next_segment > out->next_segment)
        out->next_segment = d->next_segment;
    out->modified = engine_time();
    out->end_object = tape_index_end_object(&d->x);
    out->end_file = tape_index_end_file(&d->x);
    return tape_index_copy(&out->inl, &d->x);
}

/* from: the head that was read before its segments were; NULL: none. */
static int put_new_head(struct engine *e, struct head *h, const struct seg_id *from, uint64_t above,
                        struct errtext *err)
{
    struct seg_id *heads = NULL;
    size_t n = 0;
    int rc = commit_list_heads(e->store, h->barcode, &heads, &n, NULL, err);
    if (rc)
        return rc;
    if (n && heads[n - 1].epoch > above)
        above = heads[n - 1].epoch;
    free(heads);
    h->id = (struct seg_id){above + 1, e->writer, 1};
    commit_sign(e, engine_time(), h);
    return commit_adopt_head(e, h, from, NULL, err);
}

static json_t *report_of(const struct deep *d, bool whole_head)
{
    json_t *holes = json_array();
    for (size_t i = 0; i < d->n_holes; i++) {
        const struct deep_hole *o = &d->holes[i];
        char name[SEG_NAME_SIZE];
        seg_id_format(&o->id, name);
        json_array_append_new(holes, json_pack("{s:s, s:I, s:I, s:I, s:b}", "segment", name, "object",
                                               (json_int_t)o->first_object, "objects", (json_int_t)o->objects, "file",
                                               (json_int_t)o->file, "inferred", (int)o->inferred));
    }
    return json_pack("{s:I, s:I, s:b, s:o}", "segments", (json_int_t)d->segments, "unreadable",
                     (json_int_t)d->unreadable, "attributes_known", (int)whole_head, "missing", holes);
}

int rebuild_deep(struct library *lib, struct head *old, const char *barcode, const struct rebuild_options *o,
                 struct head *h, struct tape_index *x, json_t **report, struct errtext *err)
{
    struct deep d;
    const struct seg_id from = old ? old->id : (struct seg_id){.epoch = 0};
    const bool had = old != NULL;
    const struct deep_options deep = {
        .parallel = lib->cfg->store.parallel, .head = old, .cancel = o->cancel, .progress = o->progress, .arg = o->arg};
    int rc = deep_read(lib->eng.store, barcode, &deep, &d, err);
    if (rc)
        return rc;
    *report = report_of(&d, old != NULL);
    rc = make_head(old, barcode, &d, lib->cfg, h);
    if (rc)
        errtext_set(err, rc, "%s: out of memory", barcode);
    else if (!o->dry_run)
        rc = put_new_head(&lib->eng, h, had ? &from : NULL, d.epoch, err);
    if (rc) {
        head_free(h);
        json_decref(*report);
        *report = NULL;
    } else {
        *x = d.x;
        tape_index_init(&d.x);
    }
    deep_free(&d);
    return rc;
}
