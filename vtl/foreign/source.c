/* SPDX-License-Identifier: GPL-2.0-or-later */
/* source.c: opening what is to be imported, whoever made it, and walking over it. */
#include "vtl/foreign/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- opening ---- */

static int open_files(struct foreign_source *s, char *const paths[], int n, struct errtext *err)
{
    int rc = 0;
    for (int i = 0; !rc && i < n; i++) {
        s->n_files = i + 1;
        rc = foreign_file_open(&s->files[i], AT_FDCWD, paths[i], paths[i], err);
    }
    return rc;
}

static int open_any(struct foreign_source *s, char *const paths[], int n, struct errtext *err)
{
    int dirfd = open(paths[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool directory = dirfd >= 0;
    int rc;
    if (s->options.block && directory) {
        rc = errtext_set(err, -EINVAL, "%s: is a directory: --block is for plain files", paths[0]);
    } else if (!s->options.block && n > 1) {
        rc = errtext_set(err, -EINVAL, "%s: one file or directory at a time; plain files need --block SIZE", paths[1]);
    } else if (directory) {
        s->ops = &mhvtl_ops;
        rc = mhvtl_open(s, dirfd, paths[0], err);
    } else {
        s->ops = s->options.block ? &plain_ops : &simh_ops;
        rc = open_files(s, paths, n, err);
    }
    if (directory)
        close(dirfd);
    return rc;
}

int foreign_open(char *const paths[], int n, const struct foreign_options *o, struct foreign_source **out,
                 struct errtext *err)
{
    struct foreign_source *s = calloc(1, sizeof(*s));
    int room = n < 3 ? 3 : n; /* mhVTL's are three */
    *out = NULL;
    if (!s || !(s->files = calloc((size_t)room, sizeof(*s->files)))) {
        free(s);
        return errtext_set(err, -ENOMEM, "%s: out of memory", paths[0]);
    }
    for (int i = 0; i < room; i++)
        s->files[i].fd = -1;
    s->options = *o;
    int rc = open_any(s, paths, n, err);
    if (rc)
        foreign_close(s);
    else
        *out = s;
    return rc;
}

void foreign_close(struct foreign_source *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n_files; i++) {
        if (s->files[i].fd >= 0)
            close(s->files[i].fd);
        free(s->files[i].name);
    }
    free(s->files);
    free(s->packed);
    free(s);
}

const char *foreign_kind(const struct foreign_source *s)
{
    return s->ops->kind;
}

/* ---- walking ---- */

int foreign_check(struct foreign_source *s, struct foreign_totals *totals, const atomic_bool *cancel,
                  struct errtext *err)
{
    struct foreign_item item = {.thing = FOREIGN_BLOCK};
    *totals = (struct foreign_totals){.blocks = 0};
    s->ops->rewind(s);
    while (item.thing != FOREIGN_END) {
        if (atomic_load(cancel))
            return errtext_set(err, -ECANCELED, "interrupted: nothing was written");
        int rc = s->ops->next(s, NULL, &item, err);
        if (rc)
            return rc;
        totals->blocks += item.thing == FOREIGN_BLOCK;
        totals->bytes += item.thing == FOREIGN_BLOCK ? item.len : 0;
        totals->filemarks += item.thing == FOREIGN_FILEMARK;
    }
    s->ops->rewind(s);
    return 0;
}
