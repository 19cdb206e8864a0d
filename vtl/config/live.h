/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live.h: the settings that may change while the library serves, in one place, for any thread at any time. All others are
 * those of the struct vtl_config that the library was opened with, which nobody changes. */
#ifndef S3VTL_LIVE_H
#define S3VTL_LIVE_H

#include <stdatomic.h>

#include "vtl/config/config.h"

/* As in struct vtl_config. Each is read for itself: nothing may depend on two of them being of the same configuration. */
struct live_settings {
    _Atomic uint64_t max_dirty;  /* bytes */
    _Atomic uint64_t cache_size; /* bytes */
    _Atomic uint64_t idle_seal;  /* ms */
    atomic_int durability;       /* enum durability */
    atomic_uint slots;           /* only grows */
    atomic_uint parallel;
    atomic_int health_warning;     /* thousandths */
    _Atomic uint64_t verify_every; /* seconds; 0: off */
    atomic_int log_level;          /* enum log_level */
    atomic_bool object_lock;
};

void live_settings_take(struct live_settings *l, const struct vtl_config *c);
/* A key that differs: may it change so while the library serves? NULL: yes. Else why not, for a sentence that ends by "needs
 * a restart". */
const char *live_settings_refuse(const struct vtl_config *was, const struct vtl_config *now, const char *section,
                                 const char *name);

#endif
