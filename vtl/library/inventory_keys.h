/* SPDX-License-Identifier: GPL-2.0-or-later */
/* inventory_keys.h: which inventories in the store are this state's own, by what it keeps of their keys. */
#ifndef S3VTL_INVENTORY_KEYS_H
#define S3VTL_INVENTORY_KEYS_H

#include "vtl/state/db.h"

/*
 * Each run puts inventories under its writer's name, with numbers that go up. The state knows of one before it is put, and what
 * was answered says nothing of what the store has: so it keeps the last one that was put well, and of each run after that, which
 * had no success, the last one that it tried. What is of such a run and has no higher number is its own.
 */
#define INVENTORY_RUNS                                                                                                 \
    16 /* without one success; of more the oldest is forgotten, whose inventories pass for a copy's then */
struct inventory_keys {
    char stored[DB_KEY_SIZE]; /* "": none */
    char tried[INVENTORY_RUNS][DB_KEY_SIZE];
    size_t n_tried;
};

/* As the state keeps it, under INVENTORY_KEYS: the keys between blanks; "-": none is stored. */
#define INVENTORY_KEYS_SIZE ((INVENTORY_RUNS + 1) * DB_KEY_SIZE)
void inventory_keys_read(struct inventory_keys *k, const char *text);
void inventory_keys_write(const struct inventory_keys *k, char text[INVENTORY_KEYS_SIZE]);

/* It is about to be put. */
void inventory_keys_try(struct inventory_keys *k, const char *key);
bool inventory_keys_own(const struct inventory_keys *k, const char *key);
/* Is key of the same run as last, and not after it? */
bool inventory_key_up_to(const char *key, const char *last);
/* Where the inventories of that key's run are: "gateways/0a1b2c3d/inventory/". */
void inventory_key_folder(const char *key, char out[DB_KEY_SIZE]);

#endif
