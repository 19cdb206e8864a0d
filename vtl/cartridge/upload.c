/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * upload.c: one sealed segment from the spool into the store.
 *
 * What waits in the spool may wait for days, on a disk that may change it. What the file must be, to the byte, follows
 * from little of it: the footer that the row has had since it was sealed binds the records' headers, these their blocks,
 * and header, index and footer follow from these (FORMAT.md, "Footer"). So a walk over the headers tells the CRC32C of
 * the whole, and the put lets nothing pass that has another. Nothing else need be kept for this: it holds after a
 * restart, and for a segment that was open during a crash.
 *
 * Only where the walk finds damage, or the put another sum, is all of the file read and checked, to say what is lost; and
 * where the records are so small that walking costs as much. If no block suffers, the file goes as it is.
 */
#include "vtl/cartridge/worker_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "vtl/cartridge/object_lock.h"
#include "vtl/format/segment_check.h"

#define CHUNK (UINT64_C(1) << 20)

/* A look through a file. */
struct look {
    struct cartridge *c;
    const struct pending *seg;
    int fd;
    bool is_known; /* what its bytes together are, or should be: crc */
    uint32_t crc;
    uint64_t summed;                /* bytes from the beginning that crc is of, while it is read */
    int failed;                     /* the disk's error */
    uint64_t lost, first;           /* objects that cannot be read back, the first of them */
    char what[120];                 /* why that one */
    char fault[SEGMENT_FAULT_SIZE]; /* what is wrong with the file; "": nothing */
    char harmless[300];             /* the same, where no block suffers by it */
};

static int read_file(void *arg, uint64_t offset, uint64_t len, void *buf, struct errtext *err)
{
    struct look *l = arg;
    uint8_t *p = buf;
    for (uint64_t done = 0; done < len;) {
        ssize_t n = pread(l->fd, p + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            l->failed = n ? -errno : -EIO;
            return errtext_set(err, l->failed, "spool: %s", n ? strerror(errno) : "the file is cut short");
        }
        done += (uint64_t)n;
    }
    if (offset == l->summed) {
        l->crc = crc32c(l->crc, buf, len);
        l->summed += len;
    }
    return 0;
}

static void found(void *arg, uint64_t first_object, uint64_t objects, const char *what)
{
    struct look *l = arg;
    if (objects && !l->lost) {
        l->first = first_object;
        (void)snprintf(l->what, sizeof(l->what), "%s", what);
    }
    if (!objects)
        (void)snprintf(l->harmless, sizeof(l->harmless), "%s", what);
    l->lost += objects;
}

/* What the tape knows of the segment. False: it was overwritten meanwhile, and nobody will name it. */
static bool find_ref(struct cartridge *c, const struct seg_id *id, struct seg_ref *ref)
{
    bool is_there = false;
    lock_take(&c->lock);
    for (size_t i = c->live.n_segs; i-- > 0 && !is_there;)
        if (!seg_id_compare(&c->live.segs[i].id, id)) {
            *ref = c->live.segs[i];
            is_there = true;
        }
    lock_release(&c->lock);
    return is_there;
}

/* The bytes behind the last window: index and footer, which were checked first. */
static int sum_rest(struct look *l, struct errtext *err)
{
    uint8_t buf[65536];
    int rc = 0;
    while (!rc && l->summed < l->seg->size) {
        uint64_t left = l->seg->size - l->summed;
        rc = read_file(l, l->summed, left < sizeof(buf) ? left : sizeof(buf), buf, err);
    }
    return rc;
}

/* True if what all its bytes together must be is known without reading them. If not, l->fault says what is wrong with
 * the file, or "" where only reading it tells. */
static bool expect(struct look *l, const struct seg_ref *ref)
{
    const struct seg_bytes bytes = {read_file, l, l->seg->size};
    struct errtext why = {""};
    uint32_t footer = 0, crc = 0;
    l->failed = 0;
    int rc = ref->crc ? seg_sum(&bytes, &footer, &crc, &why) : -E2BIG;
    if (!rc && footer != ref->crc)
        rc = errtext_set(&why, -EBADMSG, "its records are those of another segment");
    l->is_known = !rc;
    l->crc = crc;
    if (l->failed)
        (void)snprintf(l->fault, sizeof(l->fault), "cannot be read (%s)", strerror(-l->failed));
    else if (rc == -EBADMSG)
        (void)snprintf(l->fault, sizeof(l->fault), "is damaged (%.180s)", why.text);
    return l->is_known;
}

/* Every byte. 0, whatever it found, or a negative errno: this says nothing about the file. */
static int look_through(struct look *l, const struct seg_ref *ref, struct errtext *err)
{
    struct seg_check check = {.bytes = {read_file, l, l->seg->size},
                              .chunk = CHUNK,
                              .cartridge = l->c->row.id,
                              .barcode = l->c->row.barcode,
                              .ref = ref,
                              .found = found,
                              .arg = l};
    l->summed = l->lost = 0;
    l->crc = 0;
    l->failed = 0;
    l->is_known = false;
    l->fault[0] = l->harmless[0] = '\0';
    int rc = seg_check(&check, err);
    if (!rc)
        rc = sum_rest(l, err);
    l->is_known = !rc && l->summed == l->seg->size;
    if (l->failed)
        (void)snprintf(l->fault, sizeof(l->fault), "cannot be read (%s)", strerror(-l->failed));
    else if (!rc && l->lost)
        (void)snprintf(l->fault, sizeof(l->fault), "is damaged (%llu objects, the first is %llu: %s)",
                       (unsigned long long)l->lost, (unsigned long long)l->first, l->what);
    return l->failed ? 0 : rc;
}

/* It may be the memory that is wrong, and not the disk; or the disk failed once. That is told. */
static int look_again(struct look *l, const struct seg_ref *ref, struct errtext *err)
{
    char first[SEGMENT_FAULT_SIZE], name[SEG_NAME_SIZE];
    memcpy(first, l->fault, sizeof(first));
    (void)posix_fadvise(l->fd, 0, 0, POSIX_FADV_DONTNEED);
    int rc = look_through(l, ref, err);
    if (!rc && !l->fault[0]) {
        seg_id_format(&l->seg->id, name);
        log_warn("%s: segment %s in the spool: it %s; read again, it is good", l->c->row.barcode, name, first);
    }
    return rc;
}

/* Looks at a file of which opening gave fd, which may be an error. thoroughly: at each byte, in any case. */
static int look_at(struct look *l, bool thoroughly, struct errtext *err)
{
    struct seg_ref ref;
    struct stat st;
    if (l->fd == -ENOENT)
        (void)snprintf(l->fault, sizeof(l->fault), "is gone");
    else if (l->fd == -EACCES || l->fd == -EPERM || l->fd == -EIO || l->fd == -EISDIR)
        (void)snprintf(l->fault, sizeof(l->fault), "cannot be read (%s)", strerror(-l->fd));
    else if (l->fd < 0)
        return errtext_set(err, l->fd, "%s: spool: %s", l->c->row.barcode, strerror(-l->fd));
    else if (fstat(l->fd, &st) || (uint64_t)st.st_size < l->seg->size)
        (void)snprintf(l->fault, sizeof(l->fault), "is cut short");
    if (l->fault[0] || !find_ref(l->c, &l->seg->id, &ref))
        return 0;
    if (!thoroughly && expect(l, &ref))
        return 0;
    int rc = l->fault[0] ? 0 : look_through(l, &ref, err);
    if (rc || !l->fault[0])
        return rc;
    return look_again(l, &ref, err);
}

static int send(const struct look *l, const char *key, const struct obj_call *call, struct errtext *err)
{
    struct engine *e = l->c->eng;
    struct obj_source src = {.fd = l->fd, .len = l->seg->size, .has_crc = l->is_known, .crc32c = l->crc};
    struct upload u = {0};
    struct obj_call counted = *call;
    counted.sent = &u.sent;
    counted.if_none_match = true;
    lock_take(&l->c->lock);
    int locked = object_lock_before_put(l->c, &counted.lock);
    lock_release(&l->c->lock);
    if (locked)
        return errtext_set(err, locked, "%s: state: %s", key, db_error(e->db));
    upload_rate_begin(&e->upload_rate, &u, clock_ms());
    int rc = e->store->ops->put(e->store, key, &src, &counted, err);
    upload_rate_end(&e->upload_rate, &u, rc ? 0 : l->seg->size, clock_ms());
    if (!rc)
        offsite_take(&e->offsite, l->seg->size, clock_ms());
    return rc;
}

/* The put failed: was it the file? Then l->fault says so. Where no block suffers, the file goes as it is. */
static int after_failure(struct look *l, const char *key, const struct obj_call *call, struct errtext *err)
{
    struct errtext why = {""};
    const struct look sent = *l;
    if (look_at(l, true, &why))
        return -EIO;
    if (l->fault[0])
        return -ENODATA;
    if (!sent.is_known || !l->is_known || l->crc == sent.crc)
        return -EIO;
    return send(l, key, call, err);
}

int upload_segment(struct cartridge *c, const struct pending *seg, const struct obj_call *call, struct errtext *err)
{
    char key[DB_KEY_SIZE];
    object_key(key, c->row.barcode, "seg", &seg->id);
    struct look l = {.c = c, .seg = seg, .fd = spool_read(c->eng->spool, c->row.barcode, &seg->id)};
    int rc = look_at(&l, false, err);
    if (!rc && !l.fault[0])
        rc = send(&l, key, call, err);
    if (rc == -EIO && l.fd >= 0)
        rc = after_failure(&l, key, call, err);
    if (l.fd >= 0)
        close(l.fd);
    if (l.fault[0])
        rc = -ENODATA;
    if (!rc && l.harmless[0])
        log_warn("%s: stored, though damaged in the spool: %s", key, l.harmless);
    lock_take(&c->lock);
    if (rc == -ENODATA)
        cartridge_pending_lost(c, &seg->id, l.fault);
    int state = cartridge_pending_done(c, seg, rc == 0);
    if (!rc && state)
        rc = errtext_set(err, state, "%s: state: %s", key, db_error(c->eng->db));
    lock_release(&c->lock);
    return rc;
}
