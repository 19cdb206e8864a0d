/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow.h: what the commands of an escrow, and serve, share. */
#ifndef S3VTL_CMD_ESCROW_H
#define S3VTL_CMD_ESCROW_H

#include <stdatomic.h>
#include <stdbool.h>

#include <jansson.h>

#include "vtl/config/config.h"
#include "vtl/cmd/escrow_age.h"
#include "vtl/escrow/escrow.h"

/* ---- escrow_place.c ---- */
/* The second place that the configuration names, which must be there. 0; or a negative errno with *err, and *place may be
 * there all the same. The caller ends it by close. */
int escrow_open_place(const struct vtl_config *cfg, struct objstore **place, const struct obj_call *c,
                      struct errtext *err);
/* Where that is, for people: a path, or url/bucket/prefix. */
enum { ESCROW_WHERE = 700 };
const char *escrow_where(const struct vtl_config *cfg, char buf[ESCROW_WHERE]);
/* The line for a configuration that names none. Returns err->text. */
const char *escrow_no_place(const struct vtl_config *cfg, struct errtext *err);

/* ---- escrow_state.c ---- */
/* A store that keeps the names of its objects itself, as the configuration says, or (status not NULL) the library. */
bool escrow_is_needless(const struct vtl_config *cfg, const json_t *status);
/* It is not known yet what the store is: it is still being asked, or does not answer. */
bool escrow_is_undecided(const struct vtl_config *cfg, const json_t *status);
#define ESCROW_NEEDLESS "This store keeps the names of its objects itself: no escrow is needed, and none is made."
/* escrow_content_of, by the configuration. */
uint32_t escrow_content_now(const struct vtl_config *cfg, const json_t *cartridges);
/* The library's cartridges as they are now, as a list of them: a new reference; NULL after a message. */
json_t *escrow_cartridges(const struct vtl_config *cfg);
/* escrow_content_now, of those. 0, or -EIO after a message. */
int escrow_content(const struct vtl_config *cfg, uint32_t *out);
void escrow_last_read(const struct vtl_config *cfg, struct escrow_last *out);
int escrow_last_write(const struct vtl_config *cfg, const struct escrow_last *last, struct errtext *err);
/* Those of this library, as far as its last escrow says which it is, else all that are there; as escrow_list. */
int escrow_list_own(const struct vtl_config *cfg, struct objstore *place, struct escrow_entry **out, size_t *n,
                    struct errtext *err);
/* Whoever makes one, or notes something, holds this: a descriptor, which the caller closes. -EBUSY: another does. */
int escrow_lock(const struct vtl_config *cfg, struct errtext *err);
/* Reads it, and notes since when there is something that it does not know. *last is as it is then. */
void escrow_note_content(const struct vtl_config *cfg, uint32_t content, uint64_t now, struct escrow_last *last);
/* escrow_is_old, of what is here now. */
bool escrow_tell_age(const struct vtl_config *cfg, char *text, size_t room);
/* Puts "escrow" into the library's answer to status or report, if the configuration has one and the store needs it. */
void escrow_add(const struct vtl_config *cfg, json_t *status);

/* ---- escrow_secret.c ---- */
/* Both: from here on this process leaves no core dump. */
/* Makes a pair of keys, and writes the page that tells it. 0 or a negative errno with *err. */
int escrow_write_keys(int fd, struct errtext *err);
/* The secret key in a file, or, as "-", in what standard input has: so it need not be on a disk. secret is in memory of
 * base/secret.h. 0 or a negative errno with *err. */
int escrow_read_secret(const char *file, uint8_t secret[ESCROW_KEY_SIZE], struct errtext *err);

/* ---- escrow_make.c ---- */
struct escrow_making {
    const struct vtl_config *cfg;
    const atomic_bool *cancel;                    /* true: it ends soon, by -ECANCELED */
    json_t *(*cartridges)(void *arg);             /* those of the library as they are now; NULL: that cannot be known */
    void (*trouble)(void *arg, const char *text); /* why it waits; may be NULL */
    void *arg;
    uint32_t content;         /* escrow_content_now, of what is in it for certain; at first of what is committed */
    bool needless;            /* the store turned out to keep its names itself: nothing was done */
    struct escrow_entry made; /* the rest is of this one */
    uint64_t created;         /* of what is in it */
    uint64_t missing;         /* bytes that were on the service's disk only at that moment */
    bool whole;               /* nothing was, and nothing came in while it was made */
    struct errtext unpruned;  /* why an older one could not be deleted; "": those that were too many were */
};
/* Brings everything off-site, and copies the store's catalogue to the second place. 0 or a negative errno with *err, which
 * the state has, too. May take minutes. */
int escrow_make(struct escrow_making *x, struct errtext *err);

#endif
