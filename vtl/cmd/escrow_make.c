/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * escrow_make.c: makes an escrow: the store's catalogue, copied to a second place.
 *
 * A copy is worth as much as the objects that it names: those that were on the service's own disk only when it was made
 * are lost with that disk, and a catalogue that names them answers 500. So first everything is brought off-site, then the
 * copy is made, and then it is asked again whether something came in between; if so, once more, a few times. What was
 * accepted after the copy is not in it, in any case: that is what the age of an escrow says.
 *
 * That nothing is on the service's disk after the copy proves little: what came in while it was made may have left the
 * disk since, and the copy has it there. So the library is asked, too, before all is brought off-site and after the copy.
 * If no head is another one, those in the copy were off-site with all that they name; other segments nobody reads. A head
 * that is put already and that the library does not know yet takes nothing away: the one before it is deleted later.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"
#include "vtl/cmd/cmd.h"
#include "vtl/cmd/escrow.h"
#include "vtl/library/library.h"

enum { TRIES = 3, POLL_FIRST_MS = 200, POLL_MOST_MS = 2000, STEP_MS = 100, MOST_MS = 1200000 };

struct making {
    struct escrow_making *x;
    struct objstore *store, *place;
    struct obj_facts facts;
    struct obj_call call;
    char id[ESCROW_ID_SIZE];
    char path[4200]; /* the file that the store writes */
    uint8_t to[ESCROW_KEY_SIZE];
};

/* False: it is to end. */
static bool pause_for(const struct making *m, unsigned pause_ms)
{
    for (unsigned ms = 0; ms < pause_ms && !obj_canceled(&m->call); ms += STEP_MS)
        nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
    return !obj_canceled(&m->call);
}

static void say_trouble(const struct making *m, const char *text)
{
    if (m->x->trouble)
        m->x->trouble(m->x->arg, text);
}

/* All that was accepted up to now is off-site, or the reason why not. *o: as the service tells then. */
static int wait_offsite(struct making *m, struct obj_offsite *o, struct errtext *err)
{
    const uint64_t begin = clock_ms();
    unsigned pause_ms = POLL_FIRST_MS;
    int rc = objstore_hurry(m->store, &m->call, err);
    for (;;) {
        struct errtext why = {""};
        int asked = objstore_offsite(m->store, o, &m->call, &why);
        if (!asked && o->before_ms >= begin)
            return 0;
        say_trouble(m, asked ? why.text : o->why);
        if (clock_ms() - begin > MOST_MS)
            return errtext_set(err, -EIO, "no escrow is made, as not everything is off-site after %d minutes: %s%s%s",
                               MOST_MS / 60000, asked ? why.text : o->why, rc ? "; asked to hurry: " : "",
                               rc ? err->text : "");
        if (!pause_for(m, pause_ms))
            return errtext_set(err, -ECANCELED, "interrupted");
        pause_ms = pause_ms < POLL_MOST_MS / 2 ? 2 * pause_ms : POLL_MOST_MS;
    }
}

/* The file is the store's user's, and this one must be able to read it. */
static int open_copy(const struct making *m, struct errtext *err)
{
    int fd = open(m->path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 && errno == ENOENT)
        return errtext_set(
            err, -ENOENT,
            "the store says that it wrote %s, and it is not here: [escrow] exchange must be one directory "
            "for both",
            m->path);
    if (fd < 0)
        return errtext_set(err, -errno,
                           "%s, which the store wrote: %s: its user and this one need a group in common, the directory "
                           "belongs to it with mode 2770, and the store runs with UMask=0027",
                           m->path, strerror(errno));
    if (fstat(fd, &st) || !st.st_size) {
        close(fd);
        return errtext_set(err, -EIO, "%s, which the store wrote, is empty", m->path);
    }
    return fd;
}

static char *make_manifest(const struct making *m)
{
    const struct vtl_config *c = m->x->cfg;
    json_t *j = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:b}", "escrow", 1, "library", m->id, "name",
                          c->library.name, "service", obj_service_name(m->facts.service), "url", c->store.url, "bucket",
                          c->store.bucket, "prefix", c->store.prefix, "created", (json_int_t)m->x->created, "missing",
                          (json_int_t)m->x->missing, "whole", (int)m->x->whole);
    char *text = NULL;
    if (j && !json_object_set_new(j, "s3vtl", json_string(S3VTL_VERSION)))
        text = json_dumps(j, JSON_INDENT(1));
    json_decref(j);
    return text;
}

/* Encrypted, into a file without a name below state_dir; then into the second place. */
static int seal_and_put(struct making *m, int copy, struct errtext *err)
{
    struct escrow_header h = {.created = m->x->created};
    struct escrow_put put = {.id = m->id, .created = m->x->created};
    memcpy(h.to, m->to, sizeof(h.to));
    put.fd = open(m->x->cfg->library.state_dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (put.fd < 0)
        return errtext_set(err, -errno, "a file in %s: %s", m->x->cfg->library.state_dir, strerror(errno));
    char *manifest = make_manifest(m);
    int rc = manifest ? escrow_file_seal(&h, manifest, copy, put.fd, m->call.cancel, &put.sealed, err)
                      : errtext_set(err, -ENOMEM, "escrow: out of memory");
    if (!rc)
        rc = escrow_put(m->place, &put, &m->x->made, &m->call, err);
    free(manifest);
    close(put.fd);
    return rc;
}

/* escrow_names_of and escrow_content_now, as of now. */
static int ask_names(const struct making *m, uint32_t *names, uint32_t *content, struct errtext *err)
{
    json_t *list = m->x->cartridges(m->x->arg);
    if (!list)
        return obj_canceled(&m->call)
                   ? errtext_set(err, -ECANCELED, "interrupted")
                   : errtext_set(err, -EIO, "no escrow is made, as the library does not say what is committed");
    *names = escrow_names_of(list);
    *content = escrow_content_now(m->x->cfg, list);
    json_decref(list);
    return 0;
}

/* s3d may have all bytes off-site, and objects that no indexer keeps yet: then nothing is off-site up to any moment. It also
 * counts what it brought off-site, whoever put it; renterd does not. */
static int try_copy(struct making *m, struct errtext *err)
{
    struct obj_offsite before = {0}, after = {0};
    uint32_t names = 0, names_after = 0, content_after;
    (void)unlink(m->path);
    int rc = ask_names(m, &names, &m->x->content, err);
    if (!rc)
        rc = wait_offsite(m, &before, err);
    m->x->created = (uint64_t)time(NULL);
    if (!rc)
        rc = objstore_backup(m->store, m->path, &m->call, err);
    if (!rc)
        rc = objstore_offsite(m->store, &after, &m->call, err);
    if (!rc)
        rc = ask_names(m, &names_after, &content_after, err);
    m->x->missing = after.missing;
    m->x->whole = !rc && after.before_ms && !after.missing && names_after == names && after.brought == before.brought;
    return rc;
}

/* One copy that is as whole as the store can make it now. */
static int make_copy(struct making *m, struct errtext *err)
{
    int rc = 0;
    for (int i = 0; !rc && !m->x->whole && i < TRIES; i++)
        rc = try_copy(m, err);
    return rc;
}

#define COPY_END ".sqlite"

/* What a run that was killed left there is not encrypted. Who makes one holds the lock, so none of this library's is in use. */
static void remove_left(const struct making *m)
{
    const char *exchange = m->x->cfg->escrow.exchange;
    char begin[64];
    size_t n = (size_t)snprintf(begin, sizeof(begin), "s3vtl-%s-", m->id);
    DIR *d = opendir(exchange);
    for (const struct dirent *e; d && (e = readdir(d));) {
        size_t len = strlen(e->d_name);
        if (strncmp(e->d_name, begin, n) != 0 || len < n + strlen(COPY_END) ||
            strcmp(e->d_name + len - strlen(COPY_END), COPY_END) != 0)
            continue;
        if (unlinkat(dirfd(d), e->d_name, 0))
            log_warn("%s/%s, a copy of the store's catalogue that is not encrypted, cannot be removed: %s", exchange,
                     e->d_name, strerror(errno));
    }
    if (d)
        closedir(d);
}

/* The older ones: what was just made is good without that. */
static void prune(struct making *m)
{
    const struct escrow_prune how = {.keep = m->x->cfg->escrow.keep, .but = m->x->made.key};
    if (escrow_prune(m->place, m->id, &how, &m->call, &m->x->unpruned))
        return;
    m->x->unpruned.text[0] = '\0';
}

static int copy_and_keep(struct making *m, struct errtext *err)
{
    const struct vtl_config *cfg = m->x->cfg;
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
        return errtext_set(err, -EIO, "no random name for a file in %s: %s", cfg->escrow.exchange, strerror(errno));
    (void)snprintf(m->path, sizeof(m->path), "%.4000s/s3vtl-%s-%08x" COPY_END, cfg->escrow.exchange, m->id,
                   (unsigned)chance);
    remove_left(m);
    int rc = make_copy(m, err);
    int fd = rc ? rc : open_copy(m, err);
    rc = fd < 0 ? fd : seal_and_put(m, fd, err);
    if (fd >= 0)
        close(fd);
    if (unlink(m->path) && errno != ENOENT && !rc)
        rc =
            errtext_set(err, -errno, "the escrow is made, but %s cannot be removed: %s; it is not encrypted: remove it",
                        m->path, strerror(errno));
    if (!rc)
        prune(m);
    return rc;
}

static int open_both(struct making *m, struct errtext *err)
{
    struct objstore_config oc;
    config_store(m->x->cfg, &oc);
    oc.note = log_note;
    oc.patience_ms = OBJ_PATIENCE_MS;
    int rc = escrow_key_parse(ESCROW_PUBLIC, m->x->cfg->escrow.public_key, m->to, err);
    if (!rc)
        rc = escrow_open_place(m->x->cfg, &m->place, &m->call, err);
    if (!rc)
        rc = objstore_open(&oc, &m->store, err);
    if (!rc)
        rc = library_id(m->store, &m->call, m->id, err);
    if (!rc)
        rc = objstore_learn(m->store, &m->call, err);
    if (!rc)
        objstore_facts(m->store, &m->facts);
    return rc;
}

/* What the next one, status and monitoring go by. Nobody else changes it meanwhile: the lock is held. */
static int note_end(const struct making *m, int rc, struct errtext *err)
{
    const struct escrow_making *x = m->x;
    struct escrow_last last;
    struct errtext why = *err;
    if (rc == -ECANCELED)
        return rc;
    escrow_last_read(x->cfg, &last);
    if (rc) {
        last.failed = last.failed ? last.failed : (uint64_t)time(NULL);
        (void)snprintf(last.why, sizeof(last.why), "%.*s", (int)sizeof(last.why) - 1, why.text);
        (void)escrow_last_write(x->cfg, &last, &why);
        return rc;
    }
    last = (struct escrow_last){.created = x->created, .missing = x->missing, .whole = x->whole, .content = x->content};
    memcpy(last.id, m->id, sizeof(last.id));
    return escrow_last_write(x->cfg, &last, err);
}

int escrow_make(struct escrow_making *x, struct errtext *err)
{
    struct making m = {.x = x, .call = {.cancel = x->cancel}};
    x->needless = x->whole = false;
    int lock = escrow_lock(x->cfg, err);
    if (lock < 0)
        return lock;
    int rc = open_both(&m, err);
    x->needless = !rc && m.facts.service == OBJ_SERVICE_S3;
    if (!rc && !x->needless)
        rc = copy_and_keep(&m, err);
    if (!x->needless)
        rc = note_end(&m, rc, err);
    if (m.store)
        m.store->ops->close(m.store);
    if (m.place)
        m.place->ops->close(m.place);
    close(lock);
    return rc;
}
