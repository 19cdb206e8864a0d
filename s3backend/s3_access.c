/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_access.c: what gives access to the store, keys and proxy, and may be exchanged at any time. */
#include "s3backend/s3.h"

#include "base/lock.h"

bool s3_same_keys(struct objstore *o, struct objstore *other)
{
    struct s3_store *s = (struct s3_store *)o;
    lock_take(&s->keys_lock);
    bool same = s3_keys_same(&s->keys, &((struct s3_store *)other)->keys);
    lock_release(&s->keys_lock);
    return same;
}

bool s3_same_proxy(struct objstore *o, struct objstore *other)
{
    struct s3_store *s = (struct s3_store *)o;
    lock_take(&s->keys_lock);
    bool same = s3_proxy_same(s->proxy, ((struct s3_store *)other)->proxy);
    lock_release(&s->keys_lock);
    return same;
}

void s3_swap_access(struct objstore *o, struct objstore *other)
{
    struct s3_store *s = (struct s3_store *)o, *from = (struct s3_store *)other;
    lock_take(&s->keys_lock);
    struct s3_keys old = s->keys;
    struct s3_proxy *old_proxy = s->proxy;
    s->keys = from->keys;
    s->proxy = from->proxy;
    lock_release(&s->keys_lock);
    from->keys = old;
    from->proxy = old_proxy;
}

struct s3_proxy *s3_hold_proxy(struct s3_store *s)
{
    lock_take(&s->keys_lock);
    struct s3_proxy *p = s3_proxy_hold(s->proxy);
    lock_release(&s->keys_lock);
    return p;
}

bool s3_is_alone(struct s3_store *s)
{
    lock_take(&s->keys_lock);
    bool alone = s->loopback && !s3_proxy_is_set(s->proxy);
    lock_release(&s->keys_lock);
    return alone;
}
