/* SPDX-License-Identifier: GPL-2.0-or-later */
/* changer_move.c: what Proxmox Backup Server moves, and where it decides to put it. */
#include "tests/pbs/changer.h"

#include <string.h>

static bool move(struct unit *u, const struct changer_status *s, uint16_t from, uint16_t to)
{
    return sg_none_64(u, "MOVE MEDIUM",
                      CDB(0xA5, 0, (uint8_t)(s->transport >> 8), (uint8_t)s->transport, (uint8_t)(from >> 8),
                          (uint8_t)from, (uint8_t)(to >> 8), (uint8_t)to, 0, 0, 0, 0),
                      300) == SG_GOOD;
}

/* Each move is preceded by a status of its own. */
typedef bool (*with_status)(struct unit *u, const struct changer_status *s, void *arg);
static bool after_status(struct unit *u, with_status fn, void *arg)
{
    struct changer_status s;
    TRY(changer_status(u, &s));
    bool good = fn(u, &s, arg);
    changer_status_free(&s);
    return good;
}

static bool unload(struct unit *u, const struct changer_status *s, void *arg)
{
    const struct element *d = &s->drive[*(unsigned *)arg];
    if (!d->full)
        return problem("drive %u is empty", *(unsigned *)arg);
    for (unsigned i = 0; i < s->slots; i++)
        if (d->from_known && s->slot[i].address == d->from && !s->slot[i].full)
            return move(u, s, d->address, d->from);
    for (unsigned i = 0; i < s->storage; i++)
        if (!s->slot[i].full)
            return move(u, s, d->address, s->slot[i].address);
    return problem("no free slot");
}

bool changer_unload(struct unit *u, unsigned drive)
{
    return after_status(u, unload, &drive);
}

struct load {
    const char *label;
    unsigned drive;
    bool done, unload_first;
};

static bool look(struct unit *u, const struct changer_status *s, void *arg)
{
    struct load *l = arg;
    const struct element *in = status_drive_of(s, l->label);
    unsigned slot = status_slot_of(s, l->label);
    (void)u;
    if (l->drive >= s->drives)
        return problem("there is no drive %u", l->drive);
    if (in && in != &s->drive[l->drive])
        return problem("%s is in another drive", l->label);
    l->done = in;
    l->unload_first = s->drive[l->drive].full;
    if (!in && slot > s->storage)
        return problem("%s is inside import/export slot", l->label);
    return in || slot || problem("%s is not online", l->label);
}

static bool load(struct unit *u, const struct changer_status *s, void *arg)
{
    struct load *l = arg;
    unsigned slot = status_slot_of(s, l->label);
    if (!slot)
        return problem("%s is in no slot", l->label);
    return move(u, s, s->slot[slot - 1].address, s->drive[l->drive].address);
}

bool changer_load(struct unit *u, const char *label, unsigned drive)
{
    struct load l = {.label = label, .drive = drive};
    if (!strncmp(label, "CLN", 3))
        return problem("unable to load cleaning cartridge");
    TRY(after_status(u, look, &l));
    if (l.done)
        return true;
    return (!l.unload_first || changer_unload(u, drive)) && after_status(u, load, &l);
}

static bool transfer(struct unit *u, const struct changer_status *s, void *arg)
{
    const unsigned *slots = arg;
    if (slots[0] > s->slots || slots[1] > s->slots)
        return problem("no slot %u or %u", slots[0], slots[1]);
    return move(u, s, s->slot[slots[0] - 1].address, s->slot[slots[1] - 1].address);
}

bool changer_transfer(struct unit *u, unsigned from_slot, unsigned to_slot)
{
    unsigned slots[2] = {from_slot, to_slot};
    return after_status(u, transfer, slots);
}

struct out {
    const char *label;
    unsigned drive;
    unsigned *slot;
};

static bool put_out(struct unit *u, const struct changer_status *s, void *arg)
{
    struct out *o = arg;
    const struct element *in = &s->drive[o->drive];
    unsigned slot = status_slot_of(s, o->label), door = s->storage;
    uint16_t from;
    *o->slot = 0;
    if (in->tagged && !strcmp(in->tag, o->label))
        from = in->address;
    else if (slot && slot <= s->storage)
        from = s->slot[slot - 1].address;
    else
        return true; /* not online */
    while (door < s->slots && s->slot[door].full)
        door++;
    if (door == s->slots)
        return problem("no free import/export slot");
    *o->slot = door + 1;
    return move(u, s, from, s->slot[door].address);
}

bool changer_export(struct unit *u, const char *label, unsigned drive, unsigned *slot)
{
    struct out o = {label, drive, slot};
    return after_status(u, put_out, &o);
}

static bool clean(struct unit *u, const struct changer_status *s, void *arg)
{
    unsigned drive = *(unsigned *)arg;
    for (unsigned i = 0; i < s->storage; i++)
        if (s->slot[i].tagged && !strncmp(s->slot[i].tag, "CLN", 3))
            return move(u, s, s->slot[i].address, s->drive[drive].address) &&
                   move(u, s, s->drive[drive].address, s->slot[i].address);
    return problem("unable to find cleaning cartridge");
}

bool changer_clean(struct unit *u, unsigned drive)
{
    return after_status(u, clean, &drive);
}
