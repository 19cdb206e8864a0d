/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drive.c: a drive's cartridge, status, flushing and moving the tape; writing and reading are elsewhere. */
#include "vtl/drive/drive_private.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/lto.h"
#include "vtl/format/barcode.h"

/* A flush that cannot end answers before the initiator gives up (PBS: 600 s). */
#define FLUSH_TELL_MS 30000 /* a line to the log while a flush waits for the store */
#define FLUSH_LIMIT_MS 540000
/* The same for a MOVE MEDIUM out of the drive (PBS: 300 s). */
#define REMOVE_LIMIT_MS 280000

void drive_init(struct drive *d, struct engine *eng, unsigned number, const char *serial)
{
    memset(d, 0, sizeof(*d));
    d->eng = eng;
    d->number = number;
    (void)snprintf(d->serial, sizeof(d->serial), "%s", serial);
    d->flush_limit_ms = FLUSH_LIMIT_MS;
    d->remove_limit_ms = REMOVE_LIMIT_MS;
    lock_init(&d->op_lock, LOCK_DRIVE);
    lock_init(&d->st_lock, LOCK_DRIVE_STATUS);
    reader_init(&d->reader);
}

void drive_fini(struct drive *d)
{
    behind_free(d->behind);
    seg_packer_free(d->packer);
    reader_fini(&d->reader);
    lock_fini(&d->op_lock);
    lock_fini(&d->st_lock);
}

/* ---- status ---- */

static bool drive_cleans(const struct drive *d)
{
    return barcode_is_cleaning(d->c->row.barcode);
}

void drive_publish(struct drive *d, enum tape_activity activity)
{
    struct tape_status st = {.activity = activity, .medium_changes = d->medium_changes};
    struct tape_statistics statistics;
    struct cartridge *c = d->c;
    if (c) {
        const struct lto_generation *g = lto_generation(c->row.generation);
        st.medium = d->loaded ? TAPE_MEDIUM_LOADED : drive_cleans(d) ? TAPE_MEDIUM_CLEANING : TAPE_MEDIUM_UNLOADED;
        memcpy(st.barcode, c->row.barcode, sizeof(st.barcode));
        st.density = g ? g->density : 0;
        lock_take(&c->lock);
        st.write_protected = c->row.write_protected;
        st.worm = c->row.worm;
        st.capacity = c->row.capacity;
        st.object = d->pos;
        st.file = tape_index_file_of(&c->live, d->pos);
        st.end_object = tape_index_end_object(&c->live);
        st.end_file = tape_index_end_file(&c->live);
        drive_usage_fill(d, &statistics);
        lock_release(&c->lock);
        st.used = d->used;
        st.blocks_in_buffer = d->unsynced_blocks;
        st.bytes_in_buffer = d->unsynced_bytes;
        st.past_early_warning = d->loaded && d->pos == st.end_object && d->used >= st.capacity;
    }
    if (!c)
        drive_usage_fill(d, &statistics);
    lock_take(&d->st_lock);
    st.alerts = atomic_load(&d->alerts);
    d->st = st;
    d->statistics = statistics;
    d->stored_shown = d->appended;
    lock_release(&d->st_lock);
}

static void drive_status(void *self, struct tape_status *out)
{
    struct drive *d = self;
    lock_take(&d->st_lock);
    *out = d->st;
    lock_release(&d->st_lock);
    if (out->activity == TAPE_IDLE && behind_bytes(d->behind))
        out->activity = TAPE_WRITING;
}

static void drive_wake(void *self)
{
    struct drive *d = self;
    progress_post(&d->eng->progress);
}

enum tape_result drive_enter(struct drive *d, enum tape_activity activity)
{
    lock_take(&d->op_lock);
    if (!d->c || !d->loaded) {
        enum tape_result why = d->c && drive_cleans(d) ? TAPE_CLEANS : TAPE_NOT_PRESENT;
        lock_release(&d->op_lock);
        return why;
    }
    lock_take(&d->st_lock);
    d->st.activity = activity;
    lock_release(&d->st_lock);
    return TAPE_OK;
}

void drive_leave(struct drive *d)
{
    lock_take(&d->st_lock);
    d->st.activity = TAPE_IDLE;
    lock_release(&d->st_lock);
    lock_release(&d->op_lock);
}

enum tape_result drive_begin(struct drive *d, enum tape_activity activity)
{
    enum tape_result result = drive_enter(d, activity);
    if (result)
        return result;
    drive_settle(d);
    result = drive_tell_loss(d);
    if (result)
        return drive_end(d, result);
    if (activity == TAPE_LOCATING || activity == TAPE_REWINDING)
        d->place_lost = false;
    return TAPE_OK;
}

enum tape_result drive_end(struct drive *d, enum tape_result result)
{
    drive_publish(d, TAPE_IDLE);
    lock_release(&d->op_lock);
    return result;
}

uint64_t drive_end_object(struct drive *d)
{
    lock_take(&d->c->lock);
    uint64_t n = tape_index_end_object(&d->c->live);
    lock_release(&d->c->lock);
    return n;
}

/* ---- flush ---- */

/* Why the store did not take everything: for the operator. */
static int not_remote(struct drive *d, int rc, struct errtext *err)
{
    struct cartridge *c = d->c;
    lock_take(&c->lock);
    uint64_t left = cartridge_not_remote(c);
    errtext_set(err, rc, "drive %u, %s: %llu bytes are still only local: %s", d->number, c->row.barcode,
                (unsigned long long)left, c->trouble[0] ? c->trouble : "the upload takes too long");
    lock_release(&c->lock);
    return rc;
}

static void log_flush(struct drive *d, uint64_t left)
{
    uint64_t rate = upload_rate_get(&d->eng->upload_rate, clock_ms());
    if (rate)
        log_line("drive %u, %s: flushing: %llu MB are not in the store yet, about %llu s at %llu MB/s", d->number,
                 d->c->row.barcode, (unsigned long long)left / 1000000, (unsigned long long)(left / rate),
                 (unsigned long long)rate / 1000000);
    else
        log_line("drive %u, %s: flushing: %llu MB are not in the store yet", d->number, d->c->row.barcode,
                 (unsigned long long)left / 1000000);
}

static int wait_remote(struct drive *d, uint64_t limit_ms, const atomic_bool *cancel, struct errtext *err)
{
    struct engine *e = d->eng;
    uint64_t now = clock_ms(), until = now + limit_ms, tell = now + FLUSH_TELL_MS;
    if (!e->workers)
        return errtext_set(err, -EIO, "no background work runs");
    for (;;) {
        uint64_t seen = progress_now(&e->progress);
        if (cartridge_is_remote(d->c))
            return 0;
        lock_take(&d->c->lock);
        bool fenced = d->c->fenced;
        uint64_t left = cartridge_not_remote(d->c);
        lock_release(&d->c->lock);
        atomic_store(&d->flush_left, left ? left : 1);
        if (fenced)
            return not_remote(d, -EPERM, err);
        if (atomic_load(cancel))
            return not_remote(d, -ECANCELED, err);
        now = clock_ms();
        if (now >= until)
            return not_remote(d, -ETIMEDOUT, err);
        if (now >= tell) {
            log_flush(d, left);
            tell = now + FLUSH_TELL_MS;
        }
        progress_wait(&e->progress, seen, 1000);
    }
}

/* I1: what was acknowledged is at the configured level when this returns 0. seal: also start its upload. op_lock held.
 */
static int make_safe(struct drive *d, bool seal, uint64_t limit_ms, const atomic_bool *cancel, struct errtext *err)
{
    bool remote = d->eng->cfg->spool.durability == DURABILITY_REMOTE;
    int rc = seal || remote ? cartridge_flush(d->c) : cartridge_sync(d->c);
    if (rc)
        return errtext_set(err, rc, "drive %u, %s: spool: %s", d->number, d->c->row.barcode, strerror(-rc));
    if (remote)
        rc = wait_remote(d, limit_ms, cancel, err);
    atomic_store(&d->flush_left, 0);
    if (rc)
        return rc;
    d->unsynced_blocks = d->unsynced_bytes = 0;
    return 0;
}

int drive_make_safe(struct drive *d, bool seal, const atomic_bool *cancel, struct errtext *err)
{
    return make_safe(d, seal, d->flush_limit_ms, cancel, err);
}

enum tape_result drive_failed(struct drive *d, int rc, const struct errtext *err, enum tape_result otherwise)
{
    if (rc == -ECANCELED)
        return TAPE_CANCELLED;
    if (err && err->text[0])
        log_line("%s", err->text);
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

/* The drive may be busy for long: whoever waits may give up, and must within limit_ms. */
static int wait_for_drive(struct drive *d, uint64_t limit_ms, const atomic_bool *cancel, struct errtext *err)
{
    int rc = lock_take_until(&d->op_lock, clock_ms() + limit_ms, cancel);
    if (rc == -ECANCELED)
        return errtext_set(err, rc, "drive %u: what waited for it was cancelled", d->number);
    return rc ? errtext_set(err, rc, "drive %u: it has been busy for %llu s", d->number,
                            (unsigned long long)limit_ms / 1000)
              : 0;
}

int drive_flush(struct drive *d, const atomic_bool *cancel, struct errtext *err)
{
    int rc = wait_for_drive(d, d->flush_limit_ms, cancel, err);
    if (rc)
        return rc;
    drive_settle(d);
    rc = drive_loss_error(d, err);
    if (!rc && d->c)
        rc = drive_make_safe(d, true, cancel, err);
    drive_usage_save(d);
    drive_publish(d, TAPE_IDLE);
    lock_release(&d->op_lock);
    return rc;
}

/* ---- the cartridge ---- */

/* Threads the cartridge at BOP. op_lock held. */
static int thread_tape(struct drive *d, struct errtext *err)
{
    int rc = cartridge_load(d->c, err);
    if (rc)
        return rc;
    lock_take(&d->c->lock);
    d->used = tape_index_plain_bytes(&d->c->live);
    d->capacity = d->c->row.capacity;
    lock_release(&d->c->lock);
    d->loaded = true;
    d->pos = 0;
    atomic_store(&d->alerts, 0);
    d->claim_asked = d->fence_told = d->place_lost = false;
    reader_set(&d->reader, d->c);
    drive_usage_threaded(d);
    drive_mam_publish(d);
    return 0;
}

int drive_insert(struct drive *d, struct cartridge *c, struct errtext *err)
{
    lock_take(&d->op_lock);
    d->c = c;
    d->loaded = false;
    d->medium_changes++;
    lock_take(&c->lock);
    c->users++;
    lock_release(&c->lock);
    workers_add(d->eng->workers, c);
    int rc = 0;
    if (drive_cleans(d)) {
        atomic_store(&d->alerts, TAPE_ALERT_BIT(ALERT_CLEANING_MEDIA));
    } else {
        drive_publish(d, TAPE_LOADING);
        rc = thread_tape(d, err);
    }
    drive_publish(d, TAPE_IDLE);
    lock_release(&d->op_lock);
    return rc;
}

/* op_lock held. */
static int unthread(struct drive *d, uint64_t limit_ms, const atomic_bool *cancel, struct errtext *err)
{
    bool told = d->fence_told;
    int rc = d->loaded ? make_safe(d, true, limit_ms, cancel, err) : 0;
    if (rc == -EPERM) /* told once; then it need not stay for ever */
        d->fence_told = true;
    if (rc && !(rc == -EPERM && told))
        return rc;
    d->counting = false;
    if (d->loaded)
        drive_usage_save(d);
    d->loaded = false;
    d->pos = 0;
    reader_set(&d->reader, NULL);
    drive_mam_publish(d);
    return 0;
}

int drive_remove(struct drive *d, const atomic_bool *cancel, struct errtext *err)
{
    if (atomic_load(&d->prevented))
        return -EBUSY;
    uint64_t began = clock_ms(), limit = d->remove_limit_ms;
    int rc = wait_for_drive(d, limit, cancel, err);
    if (rc)
        return rc;
    uint64_t waited = clock_ms() - began;
    drive_publish(d, TAPE_UNLOADING);
    struct cartridge *c = d->c;
    drive_settle(d);
    rc = drive_loss_error(d, err);
    if (rc) /* told by this; the next one takes it out */
        (void)drive_tell_loss(d);
    if (!rc && c)
        rc = unthread(d, limit > waited ? limit - waited : 0, cancel, err);
    if (!rc && c) {
        lock_take(&c->lock);
        c->users--;
        lock_release(&c->lock);
        d->c = NULL;
        atomic_fetch_and(&d->alerts, TAPE_ALERT_BIT(ALERT_EXPIRED_CLEANING));
        d->medium_changes++;
    }
    drive_publish(d, TAPE_IDLE);
    lock_release(&d->op_lock);
    return rc;
}

static enum tape_result drive_load(void *self, const atomic_bool *cancel)
{
    (void)cancel;
    struct drive *d = self;
    struct errtext err = {""};
    lock_take(&d->op_lock);
    drive_settle(d);
    enum tape_result result = drive_tell_loss(d);
    if (result)
        return drive_end(d, result);
    result = TAPE_NOT_PRESENT;
    if (d->c && d->loaded) {
        d->pos = 0;
        d->place_lost = false;
        result = TAPE_OK;
    } else if (d->c && drive_cleans(d)) {
        result = TAPE_CLEANS;
    } else if (d->c) {
        drive_publish(d, TAPE_LOADING);
        d->medium_changes++;
        int rc = thread_tape(d, &err);
        result = rc ? drive_failed(d, rc, &err, TAPE_READ_ERROR) : TAPE_OK;
    }
    return drive_end(d, result);
}

static enum tape_result drive_unload(void *self, const atomic_bool *cancel)
{
    struct drive *d = self;
    struct errtext err = {""};
    lock_take(&d->op_lock);
    if (!d->c) {
        lock_release(&d->op_lock);
        return TAPE_NOT_PRESENT;
    }
    drive_settle(d);
    enum tape_result lost = drive_tell_loss(d);
    if (lost)
        return drive_end(d, lost);
    drive_publish(d, TAPE_UNLOADING);
    bool was = d->loaded;
    int rc = unthread(d, d->flush_limit_ms, cancel, &err);
    if (!rc && was)
        d->medium_changes++;
    return drive_end(d, rc ? drive_failed(d, rc, &err, TAPE_WRITE_ERROR) : TAPE_OK);
}

static void drive_prevent(void *self, bool prevented)
{
    struct drive *d = self;
    atomic_store(&d->prevented, prevented);
}

/* ---- moving the tape ---- */

/* Away from the end of data: the open segment is sealed and goes to the store, as nobody may sync it (PBS's last
 * catalog). */
static enum tape_result leave_end(struct drive *d)
{
    int rc = cartridge_flush(d->c);
    struct errtext err = {""};
    errtext_set(&err, rc, "drive %u, %s: spool: %s", d->number, d->c->row.barcode, strerror(-rc));
    return rc ? drive_failed(d, rc, &err, TAPE_WRITE_ERROR) : TAPE_OK;
}

/* The same after a SPACE, which says only when it has ended where that is. */
static enum tape_result spaced(struct drive *d, enum tape_result result)
{
    enum tape_result failed = d->pos < drive_end_object(d) ? leave_end(d) : TAPE_OK;
    return drive_end(d, failed ? failed : result);
}

static enum tape_result drive_rewind(void *self, const atomic_bool *cancel)
{
    (void)cancel;
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_REWINDING);
    if (result)
        return result;
    result = leave_end(d);
    if (!result)
        d->pos = 0;
    return drive_end(d, result);
}

static enum tape_result drive_space_blocks(void *self, int64_t *count, const atomic_bool *cancel)
{
    (void)cancel;
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_LOCATING);
    if (result)
        return result;
    struct tape_index *x = &d->c->live;
    uint64_t fm = 0, n = *count < 0 ? 0 - (uint64_t)*count : (uint64_t)*count;
    lock_take(&d->c->lock);
    uint64_t end = tape_index_end_object(x), done = n;
    if (*count >= 0) {
        uint64_t limit = tape_index_next_filemark(x, d->pos, &fm) ? fm : end;
        if (n > limit - d->pos) {
            done = limit - d->pos;
            result = limit == end ? TAPE_EOD : TAPE_FILEMARK;
        }
        d->pos += done + (result == TAPE_FILEMARK);
        *count = (int64_t)(n - done);
    } else {
        bool has = tape_index_prev_filemark(x, d->pos, &fm);
        uint64_t limit = has ? fm + 1 : 0;
        if (n > d->pos - limit) {
            done = d->pos - limit;
            result = has ? TAPE_FILEMARK : TAPE_BOP;
        }
        d->pos -= done + (result == TAPE_FILEMARK);
        *count = -(int64_t)(n - done);
    }
    lock_release(&d->c->lock);
    return spaced(d, result);
}

static enum tape_result drive_space_filemarks(void *self, int64_t *count, const atomic_bool *cancel)
{
    (void)cancel;
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_LOCATING);
    if (result)
        return result;
    struct tape_index *x = &d->c->live;
    uint64_t n = *count < 0 ? 0 - (uint64_t)*count : (uint64_t)*count;
    lock_take(&d->c->lock);
    uint64_t file = tape_index_file_of(x, d->pos), last = tape_index_end_file(x), object = 0;
    if (*count >= 0) {
        if (n <= last - file) {
            if (n && tape_index_file_start(x, file + n, &object))
                d->pos = object;
            *count = 0;
        } else {
            *count = (int64_t)(n - (last - file));
            d->pos = tape_index_end_object(x);
            result = TAPE_EOD;
        }
    } else if (n <= file) {
        /* Filemark number file - n, counted from 0, is the one before the start of the file behind it. */
        if (tape_index_file_start(x, file - n + 1, &object))
            d->pos = object - 1;
        *count = 0;
    } else {
        *count = -(int64_t)(n - file);
        d->pos = 0;
        result = TAPE_BOP;
    }
    lock_release(&d->c->lock);
    return spaced(d, result);
}

static enum tape_result drive_space_end(void *self, const atomic_bool *cancel)
{
    (void)cancel;
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_LOCATING);
    if (result)
        return result;
    d->pos = drive_end_object(d);
    return drive_end(d, result);
}

static enum tape_result drive_locate_object(void *self, uint32_t partition, uint64_t object, const atomic_bool *cancel)
{
    (void)cancel;
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_LOCATING);
    if (result)
        return result;
    if (partition)
        return drive_end(d, TAPE_NO_SUCH_PLACE);
    uint64_t end = drive_end_object(d);
    if (object < end)
        result = leave_end(d);
    if (!result) {
        d->pos = object > end ? end : object;
        result = object > end ? TAPE_EOD : TAPE_OK;
    }
    return drive_end(d, result);
}

static enum tape_result drive_locate_file(void *self, uint32_t partition, uint64_t file, const atomic_bool *cancel)
{
    (void)cancel;
    struct drive *d = self;
    enum tape_result result = drive_begin(d, TAPE_LOCATING);
    if (result)
        return result;
    if (partition)
        return drive_end(d, TAPE_NO_SUCH_PLACE);
    uint64_t object = 0, end = drive_end_object(d);
    lock_take(&d->c->lock);
    bool found = tape_index_file_start(&d->c->live, file, &object);
    lock_release(&d->c->lock);
    if (found && object < end)
        result = leave_end(d);
    if (!result) {
        d->pos = found ? object : end;
        result = found ? TAPE_OK : TAPE_EOD;
    }
    return drive_end(d, result);
}

const struct tape_ops drive_tape_ops = {
    .status = drive_status,
    .statistics = drive_statistics,
    .alert = drive_alert,
    .mam_get = drive_mam_get,
    .mam_set = drive_mam_set,
    .wake = drive_wake,
    .write = drive_write,
    .write_at_once = drive_write_at_once,
    .write_filemarks = drive_write_filemarks,
    .read = drive_read,
    .next_block = drive_next_block,
    .space_blocks = drive_space_blocks,
    .space_filemarks = drive_space_filemarks,
    .space_end_of_data = drive_space_end,
    .locate_object = drive_locate_object,
    .locate_file = drive_locate_file,
    .rewind = drive_rewind,
    .load = drive_load,
    .unload = drive_unload,
    .erase = drive_erase,
    .format = drive_format,
    .set_capacity = drive_set_capacity,
    .prevent = drive_prevent,
};
