/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * escrow_run.c: s3vtl escrow run: the store's catalogue, copied to a second place.
 *
 * A copy is worth as much as the objects that it names: those that were on the service's own disk only when it was made
 * are lost with that disk, and a catalogue that names them answers 500. So first everything is brought off-site, then the
 * copy is made, and then it is asked again whether something came in between; if so, once more, a few times. What was
 * accepted after the copy is not in it, in any case: that is what the age of an escrow says.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

enum { TRIES = 3, POLL_MS = 2000, MOST_MS = 1200000 };

static atomic_bool interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    atomic_store(&interrupted, true);
}

struct run {
    const struct vtl_config *cfg;
    struct objstore *store, *place;
    struct obj_facts facts;
    struct obj_call call;
    char id[ESCROW_ID_SIZE];
    char path[4200]; /* the file that the store writes */
    uint8_t to[ESCROW_KEY_SIZE];
    uint64_t created; /* of what is in it */
    uint64_t missing; /* bytes that were on the service's disk only at that moment */
    struct progress *progress;
    struct escrow_entry made;
    struct escrow_last last; /* this one, once it is made */
};

/* All that was accepted up to now is off-site, or the reason why not. */
static int wait_offsite(struct run *r, struct errtext *err)
{
    const uint64_t begin = clock_ms();
    struct obj_offsite o = {0};
    int rc = objstore_hurry(r->store, &r->call, err);
    for (;;) {
        struct errtext why = {""};
        int asked = objstore_offsite(r->store, &o, &r->call, &why);
        if (!asked && o.before_ms >= begin)
            return 0;
        if (atomic_load(&interrupted))
            return errtext_set(err, -ECANCELED, "interrupted");
        progress_trouble(r->progress, asked ? why.text : o.why);
        if (clock_ms() - begin > MOST_MS)
            return errtext_set(err, -EIO, "no escrow is made, as not everything is off-site after %d minutes: %s%s%s",
                               MOST_MS / 60000, asked ? why.text : o.why, rc ? "; asked to hurry: " : "",
                               rc ? err->text : "");
        nanosleep(&(struct timespec){.tv_sec = POLL_MS / 1000}, NULL);
    }
}

/* The file is the store's user's, and this one must be able to read it. */
static int open_copy(const struct run *r, struct errtext *err)
{
    int fd = open(r->path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 && errno == ENOENT)
        return errtext_set(
            err, -ENOENT,
            "the store says that it wrote %s, and it is not here: [escrow] exchange must be one directory "
            "for both",
            r->path);
    if (fd < 0)
        return errtext_set(err, -errno,
                           "%s, which the store wrote: %s: its user and this one need a group in common, the directory "
                           "belongs to it with mode 2770, and the store runs with UMask=0027",
                           r->path, strerror(errno));
    if (fstat(fd, &st) || !st.st_size) {
        close(fd);
        return errtext_set(err, -EIO, "%s, which the store wrote, is empty", r->path);
    }
    return fd;
}

static char *make_manifest(const struct run *r)
{
    const struct vtl_config *c = r->cfg;
    json_t *j = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "escrow", 1, "library", r->id, "name",
                          c->library.name, "service", obj_service_name(r->facts.service), "url", c->store.url, "bucket",
                          c->store.bucket, "prefix", c->store.prefix, "created", (json_int_t)r->created, "missing",
                          (json_int_t)r->missing);
    char *text = NULL;
    if (j && !json_object_set_new(j, "s3vtl", json_string(S3VTL_VERSION)))
        text = json_dumps(j, JSON_INDENT(1));
    json_decref(j);
    return text;
}

/* Encrypted, into a file without a name below state_dir; then into the second place. */
static int seal_and_put(struct run *r, int copy, struct errtext *err)
{
    const struct escrow_header h = {.created = r->created};
    struct escrow_header to = h;
    struct escrow_sealed sealed;
    memcpy(to.to, r->to, sizeof(to.to));
    int fd = open(r->cfg->library.state_dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (fd < 0)
        return errtext_set(err, -errno, "a file in %s: %s", r->cfg->library.state_dir, strerror(errno));
    char *manifest = make_manifest(r);
    int rc = manifest ? escrow_file_seal(&to, manifest, copy, fd, &sealed, err)
                      : errtext_set(err, -ENOMEM, "escrow: out of memory");
    if (!rc)
        rc = escrow_put(r->place, r->id, r->created, fd, &sealed, &r->made, err);
    free(manifest);
    close(fd);
    return rc;
}

/* One copy that is as whole as the store can make it now. */
static int make_copy(struct run *r, struct errtext *err)
{
    int rc = 0;
    for (int i = 0; i < TRIES; i++) {
        struct obj_offsite o = {0};
        (void)unlink(r->path);
        rc = wait_offsite(r, err);
        r->created = (uint64_t)time(NULL);
        if (!rc)
            rc = objstore_backup(r->store, r->path, &r->call, err);
        if (!rc)
            rc = objstore_offsite(r->store, &o, &r->call, err);
        r->missing = o.missing;
        if (rc || !o.missing)
            return rc;
    }
    return rc;
}

static int run_all(struct run *r, struct errtext *err)
{
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
        return errtext_set(err, -EIO, "no random name for a file in %s: %s", r->cfg->escrow.exchange, strerror(errno));
    (void)snprintf(r->path, sizeof(r->path), "%.4000s/s3vtl-%08x.sqlite", r->cfg->escrow.exchange, (unsigned)chance);
    int rc = make_copy(r, err);
    int fd = rc ? rc : open_copy(r, err);
    rc = fd < 0 ? fd : seal_and_put(r, fd, err);
    if (fd >= 0)
        close(fd);
    if (unlink(r->path) && errno != ENOENT && !rc)
        rc =
            errtext_set(err, -errno, "the escrow is made, but %s cannot be removed: %s; it is not encrypted: remove it",
                        r->path, strerror(errno));
    return rc ? rc : escrow_prune(r->place, r->id, r->cfg->escrow.keep, err);
}

static int begin(struct run *r, struct errtext *err)
{
    struct objstore_config oc;
    config_store(r->cfg, &oc);
    oc.note = log_note;
    oc.patience_ms = OBJ_PATIENCE_MS;
    r->call = (struct obj_call){.cancel = &interrupted};
    int rc = escrow_key_parse(ESCROW_PUBLIC, r->cfg->escrow.public_key, r->to, err);
    if (!rc)
        rc = objstore_open(&oc, &r->store, err);
    if (!rc)
        rc = library_id(r->store, &r->call, r->id, err);
    if (!rc)
        rc = objstore_learn(r->store, &r->call, err);
    if (!rc)
        objstore_facts(r->store, &r->facts);
    return rc;
}

static void say(const struct command_line *cl, const struct run *r)
{
    char size[HUMAN_ROOM], missing[HUMAN_ROOM];
    if (cl->json) {
        json_t *j = json_pack("{s:s, s:I, s:I, s:I}", "name", r->made.key, "created", (json_int_t)r->created, "bytes",
                              (json_int_t)r->made.size, "missing", (json_int_t)r->missing);
        print_json(j);
        json_decref(j);
    } else if (!cl->quiet) {
        printf("%s: %s, read back and good\n", r->made.key, human_size(r->made.size, size));
    }
    if (r->missing)
        fail("the store was never quiet: when the catalogue was copied, %s that it names were not off-site yet; run it "
             "again after the backup",
             human_size(r->missing, missing));
}

static int make_one(const struct command_line *cl, struct run *r, struct errtext *err)
{
    int rc = escrow_open_place(r->cfg, &r->place, err);
    if (!rc)
        rc = begin(r, err);
    if (!rc) {
        r->progress = progress_start("escrow", cl->quiet, NULL, NULL);
        rc = run_all(r, err);
        progress_end(r->progress);
    }
    if (!rc) {
        memcpy(r->last.id, r->id, sizeof(r->last.id));
        r->last.created = r->created;
        r->last.missing = r->missing;
        rc = escrow_last_write(r->cfg, &r->last, err);
    }
    if (r->store)
        r->store->ops->close(r->store);
    if (r->place)
        r->place->ops->close(r->place);
    return rc;
}

/* Why there is nothing to do, or NULL. r->last.content: of what there is now. */
static const char *needless(const struct vtl_config *cfg, bool force, struct run *r)
{
    struct escrow_last last;
    if (strcmp(cfg->store.type, "s3") != 0 || !strcmp(cfg->store.kind, "s3"))
        return "This store keeps the names of its objects itself: no escrow is needed, and none is made.";
    escrow_last_read(cfg, &last);
    if (force || !last.created || last.missing || last.content != r->last.content)
        return NULL;
    return "No cartridge was committed since the last escrow: none is made.";
}

int cmd_escrow_run(const struct command_line *given)
{
    struct command_line cl = *given;
    bool force = take_flag(&cl, "--force");
    if (!check_arguments(&cl, 0, false, "escrow run [--force]"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    struct run r = {.cfg = cfg};
    struct errtext err = {""};
    (void)signal(SIGINT, interrupt);
    (void)signal(SIGTERM, interrupt);
    int status = escrow_content(cfg, &r.last.content) ? EXIT_FAILED : EXIT_DONE;
    const char *why = status ? NULL : needless(cfg, force, &r);
    if (why && !cl.quiet)
        printf("%s\n", why);
    if (!status && !why) {
        if (make_one(&cl, &r, &err))
            status = fail("%s", err.text);
        else
            say(&cl, &r);
        status = status || r.missing ? EXIT_FAILED : EXIT_DONE;
    }
    config_free(cfg);
    return status;
}
