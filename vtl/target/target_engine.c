/* SPDX-License-Identifier: GPL-2.0-or-later */
/* target_engine.c: opens configuration, library and control socket for the target module, and makes the logical units.
 */
#include "vtl/target/target_engine.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/lto.h"
#include "base/secret.h"
#include "base/version.h"
#include "vtl/cartridge/engine.h"

/* Thousands of blocks a second are allocated and freed. What malloc returned to the kernel would come back as pages to
 * be cleared, so it keeps up to this much (I6: a bound). */
static void keep_memory(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

int target_engine_open(struct target_engine *e, struct errtext *err)
{
    const char *file = getenv("S3VTL_CONFIG");
    keep_memory();
    /* No core dump: initiators give this process their keys, which pass through buffers that are not ours (I9). */
    secret_no_core_dumps();
    if (!file || !*file)
        return errtext_set(err, -EINVAL, "S3VTL_CONFIG is not set: it must name the configuration file");
    int rc = config_load(file, &e->cfg, err);
    if (rc)
        return rc;
    rc = library_open(e->cfg, LIBRARY_SERVE, &e->lib, err);
    if (rc) {
        config_free(e->cfg);
        e->cfg = NULL;
        return rc;
    }
    rc = control_server_start(e->lib, e->cfg, &e->control, err);
    if (rc)
        target_engine_close(e);
    return rc;
}

static void end_badly(void)
{
    _exit(EXIT_FAILURE);
}

/* tgtd ends with status 0 whatever a backing store could not do. Serve is to know. */
static void fail_at_exit(void)
{
    if (atexit(end_badly))
        log_err("tgtd will end as if all were safe: out of memory");
}

void target_engine_close(struct target_engine *e)
{
    struct errtext err = {""};
    /* A clean stop has flushed before this, and waited as long as the operator wished. */
    library_stop_waiting(e->lib);
    if (e->control)
        control_server_stop(e->control);
    if (library_close(e->lib, &err)) {
        log_err("closing library %s: %s", e->cfg->library.name, err.text);
        fail_at_exit();
    }
    config_free(e->cfg);
    *e = (struct target_engine){NULL, NULL, NULL};
}

/* "drive0" -> 0; -1: not a drive. */
static long drive_number(const char *path)
{
    static const char prefix[] = "drive";
    if (strncmp(path, prefix, sizeof(prefix) - 1) != 0)
        return -1;
    const char *digits = path + sizeof(prefix) - 1;
    char *end;
    if (*digits < '0' || *digits > '9')
        return -1;
    errno = 0;
    long n = strtol(digits, &end, 10);
    return *end || errno ? -1 : n;
}

static void identify(struct scsi_identity *id, enum scsi_device_type type, const char *product, const char *serial)
{
    *id = (struct scsi_identity){.type = type, .removable = true, .worm_capable = type == SCSI_TYPE_TAPE};
    (void)snprintf(id->vendor, sizeof(id->vendor), "%s", LIBRARY_VENDOR);
    (void)snprintf(id->product, sizeof(id->product), "%s", product);
    (void)snprintf(id->revision, sizeof(id->revision), "%s", S3VTL_REVISION);
    (void)snprintf(id->serial, sizeof(id->serial), "%s", serial);
    id->naa = scsi_identity_naa(serial);
}

static void make_changer(struct target_engine *e, struct target_unit *out)
{
    const struct changer_ops *ops = library_changer_ops();
    struct scsi_identity id;
    identify(&id, SCSI_TYPE_CHANGER, "CHANGER", library_changer_serial(e->lib));
    *out = (struct target_unit){.lun = smc_lun_new(&id, ops, e->lib),
                                .drive = TARGET_CHANGER,
                                .self = e->lib,
                                .wake = ops->wake,
                                .prevent = ops->prevent};
}

static void make_drive(struct target_engine *e, unsigned i, struct target_unit *out)
{
    const struct tape_ops *ops = library_drive_ops();
    const struct ssc_options opt = {.generation = e->cfg->library.generation};
    struct scsi_identity id;
    identify(&id, SCSI_TYPE_TAPE, lto_generation(opt.generation)->product, library_drive_serial(e->lib, i));
    void *drive = library_drive(e->lib, i);
    *out = (struct target_unit){.lun = ssc_lun_new(&id, &opt, ops, drive),
                                .drive = (int)i,
                                .self = drive,
                                .wake = ops->wake,
                                .prevent = ops->prevent,
                                .written_by = ops->written_by};
}

int target_engine_unit(struct target_engine *e, const char *path, struct target_unit *out, struct errtext *err)
{
    long n = drive_number(path);
    if (!strcmp(path, "changer"))
        make_changer(e, out);
    else if (n >= 0 && n < (long)e->cfg->library.drives)
        make_drive(e, (unsigned)n, out);
    else
        return errtext_set(err, -ENOENT,
                           "logical unit \"%s\": there is none; \"changer\" and \"drive0\" to \"drive%u\" are", path,
                           e->cfg->library.drives - 1);
    return out->lun ? 0 : errtext_set(err, -ENOMEM, "logical unit \"%s\": out of memory", path);
}
