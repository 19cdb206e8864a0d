/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_keys.c: see ssc_keys.h. */
#include "scsi/ssc_keys.h"

#include <string.h>

#include "base/lock.h"
#include "base/secret.h"
#include "scsi/lun.h"

struct keyed {
    struct ssc_params p;
    uint8_t key[TAPE_KEY_SIZE];
};

struct nexus_keys {
    uint64_t nexus; /* 0: free */
    enum key_scope scope;
    bool locked;
    uint32_t locked_counter;
    struct keyed local;
};

/* All of it is in locked memory. */
struct ssc_keys {
    struct lock lock;
    uint32_t counter; /* key instance counter, SSC-5 4.2.21.8 */
    struct keyed all;
    struct nexus_keys nexus[SCSI_MAX_NEXUS];
    struct keyed in_use; /* of the command that runs */
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

static bool same(const struct keyed *a, const struct ssc_params *p, const uint8_t *key)
{
    return a->p.encryption == p->encryption && a->p.decryption == p->decryption && a->p.has_key == p->has_key &&
           (!p->has_key || secret_equal(a->key, key, TAPE_KEY_SIZE));
}

static void put(struct keyed *to, const struct ssc_params *p, const uint8_t *key)
{
    explicit_bzero(to, sizeof(*to));
    to->p = *p;
    if (p->has_key)
        secret_copy(to->key, key, TAPE_KEY_SIZE);
}

bool ssc_keys_set(struct ssc_keys *k, uint64_t nexus, enum key_scope scope, bool lock, const struct ssc_params *p,
                  const uint8_t *key, bool *changed)
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
    struct keyed *to = scope == SCOPE_LOCAL ? &n->local : &k->all;
    if (scope != SCOPE_PUBLIC) {
        *changed = scope == SCOPE_ALL_I_T_NEXUS && !same(to, p, key);
        put(to, p, key);
        to->p.counter = ++k->counter;
    }
    n->locked = lock;
    n->locked_counter = to->p.counter;
    if (scope == SCOPE_PUBLIC && !lock)
        wipe(n);
    lock_release(&k->lock);
    return true;
}

/* With CKOD, parameters end with the volume for which they were set. */
static void expire(struct keyed *k, uint64_t medium)
{
    if (k->p.clear_on_demount && k->p.medium != medium)
        explicit_bzero(k, sizeof(*k));
}

static const struct keyed *in_force(struct ssc_keys *k, const struct nexus_keys *n, uint64_t medium)
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
    *out = in_force(k, n, medium)->p;
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
    const struct keyed *now = in_force(k, n, medium);
    bool good = !n || !n->locked || n->locked_counter == now->p.counter;
    put(&k->in_use, &now->p, now->key);
    lock_release(&k->lock);
    const struct ssc_params *p = &k->in_use.p;
    out->key = p->has_key ? k->in_use.key : NULL;
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
