/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_keys.c: see ssc_keys.h. */
#include "scsi/ssc_keys.h"

#include <string.h>

#include "base/lock.h"
#include "base/secret.h"
#include "scsi/lun.h"

struct nexus_keys {
    uint64_t nexus; /* 0: free */
    enum key_scope scope;
    bool locked;
    uint32_t locked_counter;
    struct ssc_params local;
};

/* All of it is in locked memory. */
struct ssc_keys {
    struct lock lock;
    uint32_t counter; /* key instance counter, SSC-5 4.2.21.8 */
    struct ssc_params all;
    struct nexus_keys nexus[SCSI_MAX_NEXUS];
    struct ssc_params in_use; /* of the command that runs */
};

struct ssc_keys *ssc_keys_new(void)
{
    struct ssc_keys *k = secret_new(sizeof(*k));
    if (!k)
        return NULL;
    lock_init(&k->lock, LOCK_KEYS);
    return k;
}

void ssc_keys_free(struct ssc_keys *k)
{
    if (!k)
        return;
    lock_fini(&k->lock);
    secret_free(k, sizeof(*k));
}

static struct nexus_keys *find(struct ssc_keys *k, uint64_t nexus)
{
    lock_assert_held(&k->lock);
    for (size_t i = 0; i < SCSI_MAX_NEXUS; i++)
        if (k->nexus[i].nexus == nexus)
            return &k->nexus[i];
    return NULL;
}

static void wipe(struct nexus_keys *n)
{
    explicit_bzero(n, sizeof(*n));
}

static bool same(const struct ssc_params *a, const struct ssc_params *b)
{
    return a->encryption == b->encryption && a->decryption == b->decryption && a->has_key == b->has_key &&
           (!a->has_key || !memcmp(a->key, b->key, sizeof(a->key)));
}

bool ssc_keys_set(struct ssc_keys *k, uint64_t nexus, enum key_scope scope, bool lock, const struct ssc_params *p,
                  bool *changed)
{
    *changed = false;
    lock_take(&k->lock);
    struct nexus_keys *n = find(k, nexus);
    if (!n)
        n = find(k, 0);
    if (!n) {
        lock_release(&k->lock);
        return false;
    }
    wipe(n);
    n->nexus = nexus;
    n->scope = scope;
    struct ssc_params *to = scope == SCOPE_LOCAL ? &n->local : &k->all;
    if (scope != SCOPE_PUBLIC) {
        *changed = scope == SCOPE_ALL_I_T_NEXUS && !same(to, p);
        explicit_bzero(to, sizeof(*to));
        *to = *p;
        to->counter = ++k->counter;
    }
    n->locked = lock;
    n->locked_counter = to->counter;
    if (scope == SCOPE_PUBLIC && !lock)
        wipe(n);
    lock_release(&k->lock);
    return true;
}

/* With CKOD, parameters end with the volume for which they were set. */
static void expire(struct ssc_params *p, uint64_t medium)
{
    if (p->clear_on_demount && p->medium != medium)
        explicit_bzero(p, sizeof(*p));
}

static const struct ssc_params *in_force(struct ssc_keys *k, const struct nexus_keys *n, uint64_t medium)
{
    lock_assert_held(&k->lock);
    expire(&k->all, medium);
    for (size_t i = 0; i < SCSI_MAX_NEXUS; i++)
        expire(&k->nexus[i].local, medium);
    return n && n->scope == SCOPE_LOCAL ? &n->local : &k->all;
}

void ssc_keys_get(struct ssc_keys *k, uint64_t nexus, uint64_t medium, struct ssc_params *out, enum key_scope *scope,
                  enum key_scope *of)
{
    lock_take(&k->lock);
    const struct nexus_keys *n = nexus ? find(k, nexus) : NULL;
    *out = *in_force(k, n, medium);
    explicit_bzero(out->key, sizeof(out->key)); /* nobody needs it */
    out->counter = out->counter ? out->counter : k->counter;
    *scope = n ? n->scope : SCOPE_PUBLIC;
    bool any = out->encryption || out->decryption;
    *of = !any ? SCOPE_PUBLIC : n && n->scope == SCOPE_LOCAL ? SCOPE_LOCAL : SCOPE_ALL_I_T_NEXUS;
    lock_release(&k->lock);
}

bool ssc_keys_use(struct ssc_keys *k, uint64_t nexus, uint64_t medium, struct tape_crypt *out)
{
    lock_take(&k->lock);
    const struct nexus_keys *n = nexus ? find(k, nexus) : NULL;
    const struct ssc_params *p = in_force(k, n, medium);
    bool good = !n || !n->locked || n->locked_counter == p->counter;
    explicit_bzero(&k->in_use, sizeof(k->in_use));
    k->in_use = *p;
    lock_release(&k->lock);
    p = &k->in_use;
    out->key = p->has_key ? p->key : NULL;
    out->encrypt = p->encryption == ENCRYPTION_ENCRYPT;
    out->decrypt = p->decryption >= DECRYPTION_DECRYPT;
    out->raw = p->decryption == DECRYPTION_RAW;
    out->mixed = p->decryption == DECRYPTION_MIXED;
    out->kad_len = p->kad_len;
    memcpy(out->kad, p->kad, p->kad_len);
    return good;
}

void ssc_keys_done(struct ssc_keys *k)
{
    lock_take(&k->lock);
    explicit_bzero(&k->in_use, sizeof(k->in_use));
    lock_release(&k->lock);
}

void ssc_keys_nexus_gone(struct ssc_keys *k, uint64_t nexus)
{
    lock_take(&k->lock);
    struct nexus_keys *n = nexus ? find(k, nexus) : NULL;
    if (n)
        wipe(n);
    lock_release(&k->lock);
}

void ssc_keys_reset(struct ssc_keys *k)
{
    lock_take(&k->lock);
    explicit_bzero(&k->all, sizeof(k->all));
    explicit_bzero(&k->in_use, sizeof(k->in_use));
    for (size_t i = 0; i < SCSI_MAX_NEXUS; i++)
        wipe(&k->nexus[i]);
    lock_release(&k->lock);
}
