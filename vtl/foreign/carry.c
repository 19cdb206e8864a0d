/* SPDX-License-Identifier: GPL-2.0-or-later */
/* carry.c: carries what is on a tape between a drive of the library and a file. The drive is operated as a host does it, so
 * that what is written goes the way of every block: spool, segments, commit. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/human.h"
#include "scsi/tape_ops.h"
#include "vtl/format/barcode.h"
#include "vtl/foreign/source.h"
#include "vtl/library/element.h"

#define MOST_ELEMENTS 65535
#define WRITER "s3vtl tape import-file"

static const atomic_bool never = false;

/* A cartridge in a drive of ours. */
struct carry {
    struct library *lib;
    const char *barcode;
    const struct tape_ops *ops;
    void *drive;
    uint16_t from; /* where it was; 0: it is in that drive since before */
    const struct foreign_watch *watch;
    uint8_t *block; /* TAPE_MAX_BLOCK bytes */
};

/* ---- into a drive, and back ---- */

static int move(const struct carry *c, uint16_t address, struct errtext *err)
{
    json_t *request = json_pack("{s:s, s:s, s:i}", "op", "tape-move", "barcode", c->barcode, "address", (int)address);
    json_t *r = library_call(c->lib, request, err);
    json_decref(request);
    json_decref(r);
    return r ? 0 : -EIO;
}

/* Where it is, and a drive for it: that in which it is, or else an empty one. */
static int find_drive(struct carry *c, uint16_t *drive, struct errtext *err)
{
    struct changer_element *e = calloc(MOST_ELEMENTS, sizeof(*e));
    if (!e)
        return errtext_set(err, -ENOMEM, "%s: out of memory", c->barcode);
    size_t n = library_changer_ops()->elements(c->lib, 0, 0, MOST_ELEMENTS, e);
    const struct changer_element *at = NULL, *empty = NULL;
    for (size_t i = 0; i < n; i++) {
        at = !strcmp(e[i].barcode, c->barcode) ? &e[i] : at;
        empty = e[i].type == ELEMENT_DRIVE && !e[i].full && !empty ? &e[i] : empty;
    }
    *drive = at && at->type == ELEMENT_DRIVE ? at->address : empty ? empty->address : 0;
    c->from = at && at->type != ELEMENT_DRIVE ? at->address : 0;
    bool is_somewhere = at != NULL;
    free(e);
    if (!is_somewhere)
        return errtext_set(err, -ENOENT, "%s: no cartridge of that barcode is in a slot or a drive of this library",
                           c->barcode);
    return *drive ? 0 : errtext_set(err, -EBUSY, "%s: no drive is empty: move a cartridge out of one", c->barcode);
}

static int thread(struct carry *c, struct errtext *err)
{
    if (c->ops->load(c->drive, c->watch->cancel))
        return errtext_set(err, -EIO, "%s: it cannot be loaded: see above", c->barcode);
    return 0;
}

/* A move flushes, and waits for the store no longer than the library may. */
static void put_back(struct carry *c, int *rc, struct errtext *err)
{
    struct errtext why = {""};
    if (!c->from)
        (void)c->ops->rewind(c->drive, &never);
    else if (move(c, c->from, &why) && !*rc)
        *rc = errtext_set(err, -EIO, "%.500s", why.text);
}

static void end(struct carry *c, int *rc, struct errtext *err)
{
    put_back(c, rc, err);
    free(c->block);
}

static int begin(struct carry *c, struct library *lib, const char *barcode, const struct foreign_watch *w,
                 struct errtext *err)
{
    uint16_t drive = 0;
    *c = (struct carry){.lib = lib, .barcode = barcode, .ops = library_drive_ops(), .watch = w};
    if (barcode_is_cleaning(barcode)) /* which a drive would use up */
        return errtext_set(err, -EINVAL, "%s: it is a cleaning cartridge", barcode);
    int rc = find_drive(c, &drive, err);
    if (rc)
        return rc;
    c->drive = library_drive(lib, drive - ELEMENT_FIRST_DRIVE);
    if (c->from && (rc = move(c, drive, err)))
        return rc;
    if (!(c->block = malloc(TAPE_MAX_BLOCK)))
        rc = errtext_set(err, -ENOMEM, "%s: out of memory", barcode);
    if (!rc)
        rc = thread(c, err);
    if (rc)
        end(c, &rc, err);
    return rc;
}

/* ---- what a drive answers, in words ---- */

static int tape_failed(const struct carry *c, enum tape_result r, const char *doing, struct errtext *err)
{
    static const struct {
        int rc;
        const char *text;
    } words[] = {[TAPE_OVERFLOW] = {-ENOSPC, "the cartridge is full, or the quota of the store is"},
                 [TAPE_NOT_PRESENT] = {-EIO, "it is not loaded"},
                 [TAPE_WRITE_PROTECTED] = {-EROFS, "it is write protected (s3vtl tape protect)"},
                 [TAPE_WORM_OVERWRITE] = {-EROFS, "it can only be appended to"},
                 [TAPE_READ_ERROR] = {-EIO, "what is stored there is missing or damaged: see s3vtl verify"},
                 [TAPE_NOT_OWNED] = {-EPERM, "another gateway owns it: s3vtl tape claim"},
                 [TAPE_ENCRYPTED] = {-ENOKEY, "the block is encrypted: only a host with its key can read it"},
                 [TAPE_CANCELLED] = {-ECANCELED, "interrupted"}};
    struct tape_status st;
    c->ops->status(c->drive, &st);
    const char *text = (size_t)r < sizeof(words) / sizeof(words[0]) ? words[r].text : NULL;
    return errtext_set(err, text ? words[r].rc : -EIO, "%s: %s at object %" PRIu64 ": %s", c->barcode, doing, st.object,
                       text ? text : "the drive failed: see above");
}

static void tell(const struct carry *c, uint64_t bytes, uint64_t of_bytes)
{
    if (c->watch->progress)
        c->watch->progress(c->watch->arg, bytes, of_bytes);
}

/* ---- import ---- */

static int check_blank(const struct carry *c, const struct foreign_totals *totals, struct errtext *err)
{
    struct tape_status st;
    char need[HUMAN_ROOM], has[HUMAN_ROOM];
    c->ops->status(c->drive, &st);
    if (st.end_object)
        return errtext_set(err, -ENOTEMPTY,
                           "%s: it is not blank: it holds %" PRIu64 " objects; only a blank cartridge is imported into",
                           c->barcode, st.end_object);
    if (st.write_protected)
        return errtext_set(err, -EROFS, "%s: it is write protected (s3vtl tape protect)", c->barcode);
    return totals->bytes <= st.capacity
               ? 0
               : errtext_set(err, -ENOSPC, "%s: it holds %s, and what is to be imported has %s", c->barcode,
                             human_size(st.capacity, has), human_size(totals->bytes, need));
}

static bool is_written(enum tape_result r)
{
    return r == TAPE_OK || r == TAPE_EARLY_WARNING;
}

static int write_item(struct carry *c, const struct foreign_item *item, struct errtext *err)
{
    enum tape_result r = item->thing == FOREIGN_BLOCK
                             ? c->ops->write(c->drive, c->block, item->len, true, NULL, c->watch->cancel)
                             : c->ops->write_filemarks(c->drive, 1, true, c->watch->cancel);
    return is_written(r) ? 0 : tape_failed(c, r, "writing", err);
}

/* All of it is there, and as safe as the durability asks for (I1). */
static int sync_all(struct carry *c, const struct foreign_totals *totals, struct errtext *err)
{
    struct tape_status st;
    enum tape_result r = c->ops->write_filemarks(c->drive, 0, false, c->watch->cancel);
    if (!is_written(r))
        return tape_failed(c, r, "making it safe", err);
    c->ops->status(c->drive, &st);
    return st.end_object == totals->blocks + totals->filemarks
               ? 0
               : errtext_set(err, -EIO,
                             "%s: it has %" PRIu64 " objects, and %" PRIu64 " were to be written: the files "
                             "changed meanwhile",
                             c->barcode, st.end_object, totals->blocks + totals->filemarks);
}

static int write_all(struct carry *c, struct foreign_source *s, const struct foreign_totals *totals,
                     struct errtext *err)
{
    struct foreign_item item = {.thing = FOREIGN_BLOCK};
    uint64_t done = 0;
    s->ops->rewind(s);
    for (;;) {
        if (atomic_load(c->watch->cancel))
            return errtext_set(err, -ECANCELED, "%s: interrupted", c->barcode);
        int rc = s->ops->next(s, c->block, &item, err);
        if (rc)
            return rc;
        if (item.thing == FOREIGN_END)
            return sync_all(c, totals, err);
        if ((rc = write_item(c, &item, err)))
            return rc;
        done += item.thing == FOREIGN_BLOCK ? item.len : 0;
        tell(c, done, totals->bytes);
    }
}

/* All or nothing: what was written of it goes again. */
static void blank_again(struct carry *c, struct errtext *err)
{
    struct errtext why = *err;
    struct tape_status st;
    (void)c->ops->rewind(c->drive,
                         &never); /* what waits to be written may be lost, and the first to hear of it is this */
    enum tape_result r = c->ops->rewind(c->drive, &never);
    if (!r)
        r = c->ops->erase(c->drive, false, &never);
    c->ops->status(c->drive, &st);
    if (r || st.end_object)
        errtext_set(err, 0, "%.400s. %s could not be made blank again: %" PRIu64 " objects stay on it", why.text,
                    c->barcode, st.end_object);
    else
        errtext_set(err, 0, "%.500s. %s is blank again", why.text, c->barcode);
}

int foreign_import(struct library *lib, const char *barcode, struct foreign_source *s,
                   const struct foreign_totals *totals, const struct foreign_watch *w, struct errtext *err)
{
    struct carry c;
    int rc = begin(&c, lib, barcode, w, err);
    if (rc)
        return rc;
    rc = check_blank(&c, totals, err);
    if (!rc) {
        c.ops->written_by(c.drive, WRITER, "");
        rc = write_all(&c, s, totals, err);
        if (rc == -ECANCELED) /* whoever is impatient does not wait for a store that is away, either */
            library_stop_waiting(lib);
        if (rc)
            blank_again(&c, err);
    }
    end(&c, &rc, err);
    return rc;
}

/* ---- export ---- */

static int read_all(struct carry *c, struct simh_out *o, struct errtext *err)
{
    struct tape_status st;
    c->ops->status(c->drive, &st);
    for (;;) {
        uint32_t len = TAPE_MAX_BLOCK;
        if (atomic_load(c->watch->cancel)) /* what is on this disk is read without waiting for anything */
            return errtext_set(err, -ECANCELED, "interrupted");
        enum tape_result r = c->ops->read(c->drive, c->block, &len, NULL, c->watch->cancel);
        int rc;
        if (r == TAPE_EOD)
            return 0;
        if (r == TAPE_FILEMARK)
            rc = simh_out_filemark(o, err);
        else if (r)
            rc = tape_failed(c, r, "reading", err);
        else
            rc = simh_out_block(o, c->block, len, err);
        if (rc)
            return rc;
        tell(c, o->totals.bytes, st.used);
    }
}

int foreign_export(struct library *lib, const char *barcode, int fd, const char *path, const struct foreign_watch *w,
                   struct foreign_totals *totals, struct errtext *err)
{
    struct carry c;
    struct simh_out o = {.f = NULL};
    int rc = begin(&c, lib, barcode, w, err);
    if (rc)
        return rc;
    enum tape_result r = c.ops->rewind(c.drive, w->cancel);
    rc = r ? tape_failed(&c, r, "rewinding", err) : simh_out_begin(&o, fd, path, err);
    if (!rc) {
        struct errtext why = {""};
        rc = read_all(&c, &o, err);
        int ended = simh_out_end(&o, !rc, &why);
        if (!rc && ended)
            rc = errtext_set(err, ended, "%.500s", why.text);
        *totals = o.totals;
    }
    end(&c, &rc, err);
    return rc;
}
