/* SPDX-License-Identifier: GPL-2.0-or-later */
/* target_engine.h: what the target module runs: configuration, library and control socket, and the logical units made
 * of them. */
#ifndef S3VTL_TARGET_ENGINE_H
#define S3VTL_TARGET_ENGINE_H

#include "scsi/lun.h"
#include "vtl/library/control.h"
#include "vtl/library/library.h"

struct target_engine {
    struct vtl_config *cfg; /* NULL: not open */
    struct library *lib;
    struct control_server *control;
};

/* A logical unit and what implements it. The last four may be called from the transport's thread: they never block. */
struct target_unit {
    struct scsi_lun *lun; /* ended by lun->destroy(lun), before target_engine_close */
    int drive;            /* its number, or TARGET_CHANGER */
    void *self;
    void (*wake)(void *self);
    void (*prevent)(void *self, bool prevented);
    void (*written_by)(void *self, const char *name, const char *address); /* NULL: of a changer */
};
enum { TARGET_CHANGER = -1 };

/* Reads the configuration that the environment variable S3VTL_CONFIG names, opens the library and its control socket. 0
 * or a negative errno with *err, and then nothing is open. May block: call it before initiators are served. */
int target_engine_open(struct target_engine *e, struct errtext *err);
/* Flushes and closes; what fails is logged. May block. */
void target_engine_close(struct target_engine *e);
/* Makes the logical unit that path names: "changer" or "drive<i>". 0 or a negative errno with *err. */
int target_engine_unit(struct target_engine *e, const char *path, struct target_unit *out, struct errtext *err);

#endif
