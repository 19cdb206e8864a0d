/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow.h: what the commands of an escrow share. */
#ifndef S3VTL_CMD_ESCROW_H
#define S3VTL_CMD_ESCROW_H

#include <stdbool.h>

#include "vtl/config/config.h"
#include "vtl/escrow/escrow.h"

/* The second place that the configuration names, which must be there. 0; or a negative errno with *err, and *place may be
 * there all the same. The caller ends it by close. */
int escrow_open_place(const struct vtl_config *cfg, struct objstore **place, struct errtext *err);

/* Those of this library, as far as its last escrow says which it is, else all that are there; as escrow_list. */
int escrow_list_own(const struct vtl_config *cfg, struct objstore *place, struct escrow_entry **out, size_t *n,
                    struct errtext *err);

/* ---- escrow_state.c ---- */
/* The last one that was made from this state: <state_dir>/escrow.json. */
struct escrow_last {
    char id[ESCROW_ID_SIZE]; /* of the library; "": not known */
    uint64_t created;        /* 0: none */
    uint64_t missing;        /* bytes that it names and that were not off-site */
    uint32_t content;        /* of what */
};
/* Which commits there are, as a sum: another one is another content. 0, or -EIO after a message. */
int escrow_content(const struct vtl_config *cfg, uint32_t *out);
void escrow_last_read(const struct vtl_config *cfg, struct escrow_last *out);
int escrow_last_write(const struct vtl_config *cfg, const struct escrow_last *last, struct errtext *err);
/* True: there should be a newer one, and text says why. */
bool escrow_is_old(const struct escrow_last *last, uint32_t content, uint64_t now, char *text, size_t room);
/* The same for what is here now. */
bool escrow_tell_age(const struct vtl_config *cfg, char *text, size_t room);

#endif
