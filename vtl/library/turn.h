/* SPDX-License-Identifier: GPL-2.0-or-later */
/* turn.h: whose turn it is to serve, where several gateways have the same configuration: one serves, others stand by. */
#ifndef S3VTL_TURN_H
#define S3VTL_TURN_H

#include "vtl/library/inventory_keys.h"
#include "vtl/library/library_private.h"

/*
 * Gateways of one library and one [library] name stand in for each other. Each that takes over begins the next turn, and
 * says so in its inventory; the highest turn has the library. This keeps two of them from serving by mistake, and tells
 * people who has it. No data depend on it: whose a cartridge is, its heads alone say (I7).
 * Gateways of other names are neighbours: they share the shelf, and take no turns with this one.
 */
struct turn {
    uint64_t number;  /* 0: of a version that took no turns */
    uint32_t gateway; /* 0: not said */
    uint64_t time;    /* seconds since 1970 */
    bool handed_over; /* it was given up in order, with all data in the store */
    char host[65];    /* "": not said */
};

/* As an inventory says. */
void turn_of(const json_t *inventory, struct turn *out);
/* For people: "gateway 9a7e3a11 on host backup-1 (2026-01-31 12:00:00 UTC)". */
#define TURN_WHO_SIZE 160
void turn_who(const struct turn *t, char out[TURN_WHO_SIZE]);

/* All inventories of the library called id: [{"key":, "inventory":}], but for those whose keys are members of seen (NULL:
 * none), to which each that was read is added. A damaged one is logged and left out. New reference. With seen the list is
 * given on an error, too: each inventory is seen once, and one that cannot be read now keeps nobody from those behind it. */
int turns_read(struct objstore *store, const char *id, json_t *seen, json_t **list, const struct obj_call *call,
               struct errtext *err);
/* The same; so is one that the store does not give. */
int turns_read_most(struct objstore *store, const char *id, json_t **list, const struct obj_call *call,
                    struct errtext *err);
/* The entry of the list that has the highest turn of that name, the newest of several; NULL: there is none. Borrowed. */
const json_t *turns_latest(const json_t *list, const char *name);

/* What the state below state_dir says of itself. -ENOENT: there is none, or one that a rebuild has not finished. Needs no
 * lock of the state. */
struct turn_state {
    char id[37]; /* the library's */
    struct turn turn;
    struct inventory_keys inventories; /* its own */
};
int turn_of_state(const struct vtl_config *cfg, struct turn_state *out, struct errtext *err);
/* Did the state put that inventory? */
bool turn_is_own(const struct turn_state *s, const json_t *entry);

/* From the state into lib, whose warning tells of a library that was handed over. */
int turn_load(struct library *lib, struct errtext *err);
/* Into the state, and lib. handed_over: seconds since 1970; 0: it has the library. */
int turn_set(struct library *lib, uint64_t number, uint64_t handed_over, struct errtext *err);
/* Does the list have an inventory of another name? */
bool turns_have_neighbour(const json_t *list, const char *name);
/* What libraries of other names have in their elements, and with shelf on the shelf as they know it: an object whose members
 * are barcodes. New reference. */
json_t *turns_theirs(const json_t *list, const char *name, bool shelf);
/* Looks, every now and then, for a neighbour, and for a gateway that has taken over. The inventory thread's, while the store answers. */
void turn_watch(struct library *lib);
/* Does a library of another name share the shelf? Asks the store, unless it is in trouble. */
enum obj_known turn_shared(struct library *lib);

#endif
