/* SPDX-License-Identifier: GPL-2.0-or-later */
/* live.c: which settings may change while the library serves, and why the others may not. */
#include "vtl/config/live.h"

#include <string.h>

void live_settings_take(struct live_settings *l, const struct vtl_config *c)
{
    atomic_store(&l->max_dirty, c->spool.max_dirty);
    atomic_store(&l->cache_size, c->spool.cache_size);
    atomic_store(&l->idle_seal, c->spool.idle_seal);
    atomic_store(&l->durability, (int)c->spool.durability);
    atomic_store(&l->slots, c->library.slots);
    atomic_store(&l->parallel, c->store.parallel);
    atomic_store(&l->health_warning, (int)c->store.health_warning);
    atomic_store(&l->verify_every, c->verify.every / 1000);
    atomic_store(&l->log_level, (int)c->log.level);
    atomic_store(&l->object_lock, c->retention.object_lock);
}

const char *live_settings_refuse(const struct vtl_config *was, const struct vtl_config *now, const char *section,
                                 const char *name)
{
    static const struct {
        const char *section, *name; /* NULL: every other of the section */
        const char *why;            /* NULL: it may */
    } rules[] = {
        {"store", "credentials_file", NULL},
        {"store", "profile", NULL},
        {"store", "parallel", NULL},
        {"store", "health_warning", NULL},
        {"store", "upload_limit", NULL},
        {"store", "download_limit", NULL},
        {"store", "proxy", NULL},
        {"store", "no_proxy", NULL},
        {"store", "proxy_user", NULL},
        {"store", "proxy_password_file", NULL},
        {"store", "kind", "the store is open with it"},
        {"store", "admin_url", "the store is open with it"},
        {"store", "admin_password_file", "the store is open with it"},
        {"store", NULL, "what is written belongs to this store"},
        {"spool", "max_dirty", NULL},
        {"spool", "cache_size", NULL},
        {"spool", "idle_seal", NULL},
        {"spool", "durability", NULL},
        {"spool", NULL, "what is being written has it"},
        {"library", "state_dir", "the state is open"},
        {"library", "blanks", NULL},
        {"library", NULL, "hosts know the library by it"},
        {"log", "level", NULL},
        {"metrics", NULL, "its port is open"},
        {"web", NULL, NULL}, /* serve has nothing of it */
        {"notify", NULL, "what is being watched has it"},
        {"escrow", NULL, NULL},
        {"quota", NULL, NULL},
        {"retention", NULL, NULL},
        {"verify", NULL, NULL},
        {"dedup", NULL, "what is being written has it"},
        {"iscsi", NULL, "tgtd was started with it"},
    };
    if (!strcmp(name, "slots") && now->library.slots > was->library.slots)
        return NULL; /* hosts are told, and have lost nothing */
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (!strcmp(rules[i].section, section) && (!rules[i].name || !strcmp(rules[i].name, name)))
            return rules[i].why;
    return "it is new";
}
