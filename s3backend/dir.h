/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dir.h: the embedded store, objects as files of a directory; private to s3backend/. */
#ifndef S3VTL_DIR_H
#define S3VTL_DIR_H

#include "s3backend/objstore.h"

/* Name of the directory for half-written objects, at the top of the store and never listed. */
#define DIR_TMP ".tmp"

struct dir_store {
    struct objstore base;
    char *path; /* as configured, for messages */
    int root;   /* path/prefix */
    int tmp;    /* path/prefix/.tmp: on the same file system as the objects, so that rename works */
    atomic_ulong serial;
    atomic_bool two_steps; /* the file system can't refuse an existing name in one */
};

/* Opens the store below path/prefix (options already checked) and makes what is missing, but for path's parent. */
int dir_open(const char *path, const char *prefix, struct objstore **out, struct errtext *err);
/* The list operation (dir_list.c). */
int dir_list(struct objstore *s, const char *prefix, const char *start_after, bool slash, obj_list_fn fn, void *arg,
             const struct obj_call *c, struct errtext *err);

#endif
