/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge_health.c: how much redundancy the store's service has left for a cartridge's objects. */
#include "vtl/cartridge/cartridge_private.h"

void cartridge_health_add(struct cartridge *c, int health, size_t weak, bool or_more)
{
    struct cartridge_health *n = &c->health_next;
    n->health = health < n->health ? health : n->health;
    n->weak += weak;
    n->weak_or_more = n->weak_or_more || or_more;
}

void cartridge_health_end(struct cartridge *c, bool answered)
{
    if (answered) {
        atomic_store(&c->health, c->health_next.health);
        atomic_store(&c->weak, c->health_next.weak);
        atomic_store(&c->weak_or_more, c->health_next.weak_or_more);
    }
    c->health_next = (struct cartridge_health){.health = CARTRIDGE_WHOLE};
}

void cartridge_get_health(const struct cartridge *c, struct cartridge_health *out)
{
    *out = (struct cartridge_health){.health = atomic_load(&c->health),
                                     .weak = atomic_load(&c->weak),
                                     .weak_or_more = atomic_load(&c->weak_or_more)};
}

const atomic_int *cartridge_health_flag(const struct cartridge *c)
{
    return &c->health;
}
