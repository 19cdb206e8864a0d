/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reader_copies.c: which copy of a stored segment is read: the local one, if it is good, or the store's. */
#include "vtl/drive/reader_private.h"

#include <errno.h>
#include <string.h>

#include "base/event.h"

/* Only of a copy whose bytes are wrong or cannot be had. A key that is missing or another one, a lack of memory or of
 * file handles say nothing about it. */
static bool is_damage(int rc)
{
    return rc == -EBADMSG || rc == -EIO;
}

/* The copy is there, and cannot be opened now: it stays, and the store has another one. */
static bool is_out_of_reach(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -EACCES || rc == -EPERM;
}

/* Drops a damaged local copy: the block is read once more, from the store. It may be none: a record can name as what it
 * copies from whatever it likes, such as what another tape has in the spool and not in the store yet. */
static void drop_copy(struct reader *r, const struct seg_ref *ref, const char *which, const struct errtext *err)
{
    log_event(EVENT_CACHE_DAMAGED, "%s: %s segment is damaged, reading the store's: %s", r->barcode, which, err->text);
    spool_drop_cached(r->eng->spool, r->barcode, &ref->id);
}

/* Once for each segment that is read on. */
static void tell_out_of_reach(struct reader *r, const struct seg_ref *ref, int rc)
{
    char name[SEG_NAME_SIZE];
    if (!seg_id_compare(&r->told, &ref->id))
        return;
    r->told = ref->id;
    seg_id_format(&ref->id, name);
    log_event(EVENT_CACHE_DAMAGED, "%s: local segment %s cannot be opened, reading the store's: %s", r->barcode, name,
              strerror(-rc));
}

int reader_from_download(struct reader *r, const struct seg_ref *ref, const struct read_job *job)
{
    int rc = reader_follow(r, ref, job);
    if (rc == -ENOENT) /* it may have ended well meanwhile */
        rc = reader_from_file(r, ref, job);
    if (rc == -EBADMSG && !r->source_failed) {
        reader_fetch_nothing(r);
        drop_copy(r, ref, "fetched", job->err);
        reader_close_segment(r);
    }
    return rc == -ENOSPC || (rc == -EBADMSG && !r->source_failed) ? -ENOENT : rc;
}

int reader_from_local(struct reader *r, const struct seg_ref *ref, const struct read_job *job)
{
    int rc = reader_from_file(r, ref, job);
    if (r->source_failed || !(is_damage(rc) || is_out_of_reach(rc)) || !reader_is_stored(r, ref))
        return rc;
    if (is_damage(rc))
        drop_copy(r, ref, "cached", job->err);
    else
        tell_out_of_reach(r, ref, rc);
    return -ENOENT;
}

int reader_read_source(struct reader *r, const struct seg_ref *ref, struct read_job *job)
{
    int rc = reader_from_local(r, ref, job);
    if (rc == -ENOENT && job->onward && r->eng->workers)
        rc = reader_from_download(r, ref, job);
    return rc == -ENOENT ? reader_from_window(r, ref, job) : rc;
}
