/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive_loss.c: what a failure is for the host, and acknowledged blocks that could not be written. */
#include "vtl/drive/drive_private.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/event.h"
#include "base/human.h"
#include "base/log.h"

enum tape_result drive_failed(struct drive *d, int rc, const struct errtext *err, enum tape_result otherwise)
{
    if (rc == -ECANCELED)
        return TAPE_CANCELLED;
    if (err && err->text[0] && rc == -EPERM)
        log_event(EVENT_FENCED, "%s", err->text);
    else if (err && err->text[0])
        log_err("%s", err->text);
    if (rc == -EPERM) {
        d->fence_told = true;
        return TAPE_NOT_OWNED;
    }
    bool write = otherwise == TAPE_WRITE_ERROR, read = otherwise == TAPE_READ_ERROR;
    if (write || read) {
        atomic_fetch_or(&d->alerts, TAPE_ALERT_BIT(ALERT_HARD_ERROR) |
                                        TAPE_ALERT_BIT(write ? ALERT_WRITE_FAILURE : ALERT_READ_FAILURE));
        drive_count(d, &(struct tape_usage){.write_errors = write, .read_errors = read});
    }
    if (otherwise == TAPE_INTERNAL)
        atomic_fetch_or(&d->alerts, TAPE_ALERT_BIT(ALERT_HARDWARE_A));
    return otherwise;
}

enum tape_result drive_write_failed(struct drive *d, int rc)
{
    struct errtext err;
    errtext_set(&err, rc, "drive %u, %s: spool %s/spool: %s", d->number, cartridge_barcode(d->c),
                d->eng->cfg->library.state_dir, strerror(-rc));
    return drive_failed(d, rc, &err, TAPE_WRITE_ERROR);
}

/* "3 blocks", "3 blocks and 1 filemarks". */
static const char *how_many(const struct behind_loss *loss, char text[64])
{
    int n = snprintf(text, 64, "%llu blocks", (unsigned long long)loss->blocks);
    if (loss->filemarks)
        (void)snprintf(text + n, 64 - (size_t)n, " and %llu filemarks", (unsigned long long)loss->filemarks);
    return text;
}

static void keep_for_report(struct drive *d, const struct behind_loss *loss)
{
    uint64_t now = engine_time();
    char what[64];
    struct db_happening h = {.began = now, .ended = now};
    (void)snprintf(h.event, sizeof(h.event), "%s", event_id(EVENT_WRITE_LOST));
    (void)snprintf(h.text, sizeof(h.text), "%s: %s were acknowledged and could not be written: %s; the host was told",
                   cartridge_barcode(d->c), how_many(loss, what), strerror(-loss->rc));
    if (db_happening_put(d->eng->db, &h))
        log_event(EVENT_STATE_FAILED, "drive %u: state: %s", d->number, db_error(d->eng->db));
}

static void forget_lost(struct drive *d, const struct behind_loss *loss)
{
    uint64_t objects = loss->blocks + loss->filemarks;
    struct tape_usage *n = &d->streamed;
    INVARIANT(loss->object <= d->pos && d->used >= loss->bytes);
    INVARIANT(d->unsynced_blocks >= objects && d->unsynced_bytes >= loss->bytes);
    INVARIANT(n->written_blocks >= loss->blocks && n->written_bytes >= loss->bytes);
    INVARIANT(n->written_filemarks >= loss->filemarks);
    d->pos = loss->object;
    d->used -= loss->bytes;
    d->unsynced_blocks -= objects;
    d->unsynced_bytes -= loss->bytes;
    n->written_blocks -= loss->blocks;
    n->written_bytes -= loss->bytes;
    n->written_filemarks -= loss->filemarks;
    d->lost_rc = loss->rc;
    char size[HUMAN_ROOM], what[64];
    log_event(EVENT_WRITE_LOST,
              "drive %u, %s: %s (%s) from object %llu on were acknowledged and could not be written: "
              "%s; the host is told",
              d->number, cartridge_barcode(d->c), how_many(loss, what), human_size(loss->bytes, size),
              (unsigned long long)loss->object,
              loss->rc == -EPERM ? "another gateway owns the cartridge" : strerror(-loss->rc));
    if (loss->rc != -EPERM) /* which stays as long as it is so */
        keep_for_report(d, loss);
}

void drive_drain(struct drive *d)
{
    struct behind_loss loss;
    if (!d->behind || !d->c)
        return;
    d->streaming = false;
    behind_drain(d->behind, &loss);
    if (loss.rc)
        forget_lost(d, &loss);
    if (d->streamed.written_blocks || d->streamed.written_filemarks)
        drive_count(d, &d->streamed);
    d->streamed = (struct tape_usage){0};
    INVARIANT(!behind_bytes(d->behind));
}

/* ---- lost by the spool: a file that is gone or damaged before it was stored ---- */

bool drive_has_written(const struct drive *d)
{
    const struct tape_usage *m = &d->mount;
    return m->written_blocks || m->written_filemarks || d->streamed.written_blocks;
}

/* Not to who only reads: it did not write what is lost. Who begins to write is told by each sync. */
bool drive_spool_loss(const struct drive *d)
{
    return !d->spool_told && d->c && atomic_load(cartridge_lost_flag(d->c)) && drive_has_written(d);
}

int drive_spool_error(struct drive *d, struct errtext *err)
{
    struct cartridge_backlog b;
    if (!atomic_load(cartridge_lost_flag(d->c)))
        return 0;
    cartridge_backlog(d->c, &b);
    return errtext_set(err, -ENODATA, "drive %u: %s: what was written before is not safe, and the store never gets it",
                       d->number, b.trouble);
}

/* The loss that the host is to be told of now. */
static int untold(struct drive *d)
{
    struct errtext err = {""};
    int rc = d->lost_rc;
    if (rc || !drive_spool_loss(d) || !(rc = drive_spool_error(d, &err)))
        return rc;
    d->spool_told = true;
    log_event(EVENT_SPOOL_LOST, "%s; the host is told", err.text);
    return rc;
}

enum tape_result drive_tell_loss(struct drive *d)
{
    int rc = untold(d);
    if (!rc)
        return TAPE_OK;
    d->lost_rc = 0;
    d->place_lost = rc != -EPERM; /* fenced: nothing more is written anyway */
    enum tape_result r = drive_failed(d, rc, NULL, TAPE_WRITE_ERROR);
    return r == TAPE_WRITE_ERROR ? TAPE_WRITE_LOST : r;
}

int drive_loss_error(struct drive *d, struct errtext *err)
{
    return d->lost_rc
               ? errtext_set(err, d->lost_rc, "drive %u, %s: blocks that were acknowledged could not be written: %s",
                             d->number, cartridge_barcode(d->c), strerror(-d->lost_rc))
               : 0;
}
