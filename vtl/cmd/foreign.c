/* SPDX-License-Identifier: GPL-2.0-or-later */
/* foreign.c: s3vtl tape import-file and export-file. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "vtl/foreign/foreign.h"
#include "vtl/cmd/before.h"
#include "vtl/cmd/cmd.h"

#define IMPORT_USAGE "tape import-file BARCODE FILE... [--create] [--block SIZE] [--keep-errors]"
#define EXPORT_USAGE "tape export-file BARCODE FILE.tap"

static atomic_bool interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    atomic_store(&interrupted, true);
}

/* The first one ends it as an error does; a second one ends the process. */
static void heed_signals(void)
{
    struct sigaction sa = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};
    (void)sigaction(SIGINT, &sa, NULL);
    (void)sigaction(SIGTERM, &sa, NULL);
}

static void show(void *arg, uint64_t bytes, uint64_t of_bytes)
{
    const struct progress_state s = {.bytes = bytes, .of_bytes = of_bytes > bytes ? of_bytes : bytes};
    progress_set(arg, &s);
}

/* ---- the library, without a host ---- */

static int check_losses(struct library *lib, struct errtext *err)
{
    struct errtext losses;
    int rc = library_losses(lib, &losses, err);
    if (!rc && losses.text[0])
        rc = errtext_set(err, -EINVAL, "%.480s. If you mean it: \"s3vtl config accept\"", losses.text);
    return rc;
}

/* As serve would: whatever hinders it hinders this. */
static int may_serve(const struct vtl_config *cfg, struct errtext *err)
{
    struct library *lib = NULL;
    struct errtext why = {""};
    int rc = library_open(cfg, 0, &lib, &why);
    if (rc == -EBUSY)
        return errtext_set(err, rc, "%.400s: this works on a library that is not served: stop it first", why.text);
    if (rc)
        return errtext_set(err, rc, "%.500s", why.text);
    rc = check_losses(lib, err);
    int closed = library_close(lib, rc ? NULL : err);
    rc = rc ? rc : closed;
    if (!rc)
        rc = library_may_serve(cfg, err);
    if (!rc)
        rc = before_locked_memory(cfg, err);
    return rc ? rc : before_store(cfg, err);
}

static struct library *open_library(const struct vtl_config *cfg)
{
    struct library *lib = NULL;
    struct errtext err = {""};
    int rc = may_serve(cfg, &err);
    if (!rc)
        rc = library_open(cfg, LIBRARY_SERVE, &lib, &err);
    if (rc)
        fail("%s", err.text);
    return rc ? NULL : lib;
}

static int close_library(struct library *lib, int rc)
{
    struct errtext err = {""};
    int closed = library_close(lib, &err);
    if (closed)
        fail("%s", err.text);
    return rc ? rc : closed;
}

static int print_totals(const struct command_line *cl, const char *did, const struct foreign_totals *t)
{
    char size[HUMAN_ROOM];
    if (cl->json) {
        json_t *r = json_pack("{s:s, s:I, s:I, s:I}", "barcode", cl->argv[0], "blocks", (json_int_t)t->blocks,
                              "filemarks", (json_int_t)t->filemarks, "bytes", (json_int_t)t->bytes);
        print_json(r);
        json_decref(r);
    } else if (!cl->quiet) {
        printf("%s: %s: %" PRIu64 " blocks (%s), %" PRIu64 " filemarks\n", cl->argv[0], did, t->blocks,
               human_size(t->bytes, size), t->filemarks);
    }
    return EXIT_DONE;
}

/* ---- import ---- */

static int call(struct library *lib, json_t *request, struct errtext *err)
{
    json_t *r = library_call(lib, request, err);
    json_decref(request);
    json_decref(r);
    return r ? 0 : -EIO;
}

/* The store is asked also after an interrupt, which ends all other waiting for it. */
static void remove_again(struct library *lib, const char *barcode)
{
    struct errtext why = {""};
    library_wait_again(lib);
    if (call(lib, json_pack("{s:s, s:s}", "op", "tape-remove", "barcode", barcode), &why))
        fail("%s: it was made for this, and stays: %s", barcode, why.text);
    if (atomic_load(&interrupted))
        library_stop_waiting(lib);
}

/* A cartridge that was made for it goes again with it. */
static int import(struct library *lib, const struct command_line *cl, struct foreign_source *s, bool create,
                  const struct foreign_totals *totals)
{
    const char *barcode = cl->argv[0];
    struct errtext err = {""};
    int rc = create ? call(lib, json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", barcode, "capacity", 0),
                           &err)
                    : 0;
    bool made = create && !rc;
    if (!rc) {
        struct progress *p = progress_start("import", cl->json || cl->quiet, NULL, NULL);
        const struct foreign_watch w = {.progress = show, .arg = p, .cancel = &interrupted};
        rc = foreign_import(lib, barcode, s, totals, &w, &err);
        progress_end(p);
    }
    if (rc)
        fail("%s", err.text);
    if (rc && made)
        remove_again(lib, barcode);
    return rc;
}

static int import_checked(const struct command_line *cl, struct foreign_source *s, bool create,
                          const struct foreign_totals *totals)
{
    struct vtl_config *cfg = load_config(cl);
    if (!cfg)
        return EXIT_FAILED;
    struct library *lib = open_library(cfg);
    int rc = lib ? close_library(lib, import(lib, cl, s, create, totals)) : -EIO;
    config_free(cfg);
    return rc ? EXIT_FAILED : print_totals(cl, "imported", totals);
}

/* The files are opened, and read once, as whoever calls this: as the library's owner it may lack the right to. */
int cmd_tape_import_file(const struct command_line *given)
{
    struct command_line cl = *given;
    const char *block = NULL;
    uint64_t bytes = 0;
    struct foreign_options o = {.keep_errors = take_flag(&cl, "--keep-errors")};
    bool create = take_flag(&cl, "--create");
    if (!take_value(&cl, "--block", &block) || !check_arguments(&cl, 2, true, IMPORT_USAGE))
        return EXIT_USAGE;
    if (block && (!config_parse_size(block, &bytes) || !bytes || bytes > FOREIGN_MAX_BLOCK))
        return usage_error("--block %s: must be a size from 1 to 8M, such as 256K", block);
    o.block = (uint32_t)bytes;
    struct foreign_source *s = NULL;
    struct foreign_totals totals;
    struct errtext err = {""};
    heed_signals();
    int rc = foreign_open(cl.argv + 1, cl.argc - 1, &o, &s, &err);
    if (!rc)
        rc = foreign_check(s, &totals, &interrupted, &err);
    int status = rc ? fail("%s", err.text) : import_checked(&cl, s, create, &totals);
    foreign_close(s);
    return status;
}

/* ---- export ---- */

static int export_to(const struct command_line *cl, int fd, struct foreign_totals *totals)
{
    struct vtl_config *cfg = load_config(cl);
    if (!cfg)
        return EXIT_FAILED;
    struct library *lib = open_library(cfg);
    struct errtext err = {""};
    int rc = lib ? 0 : -EIO;
    if (lib) {
        struct progress *p = progress_start("export", cl->json || cl->quiet, NULL, NULL);
        const struct foreign_watch w = {.progress = show, .arg = p, .cancel = &interrupted};
        rc = foreign_export(lib, cl->argv[0], fd, cl->argv[1], &w, totals, &err);
        progress_end(p);
        if (rc)
            fail("%s", err.text);
        rc = close_library(lib, rc);
    }
    config_free(cfg);
    return rc ? EXIT_FAILED : EXIT_DONE;
}

int cmd_tape_export_file(const struct command_line *cl)
{
    struct foreign_totals totals = {.blocks = 0};
    if (!check_arguments(cl, 2, false, EXPORT_USAGE))
        return EXIT_USAGE;
    heed_signals();
    int fd = open(cl->argv[1], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail("%s: %s", cl->argv[1], strerror(errno));
    int status = export_to(cl, fd, &totals);
    /* A part of a tape looks like a whole one; and the library's owner may not remove what root made in its directory. */
    if (status && unlink(cl->argv[1])) {
        int why = errno;
        bool empty = !ftruncate(fd, 0);
        fail("%s: is %s, and cannot be removed: %s", cl->argv[1], empty ? "empty now" : "a part of it", strerror(why));
    }
    close(fd);
    return status ? status : print_totals(cl, "exported", &totals);
}
