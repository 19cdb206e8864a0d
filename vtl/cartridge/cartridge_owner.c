/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge_owner.c: who holds a cartridge and works on its heads, its trouble, and how it gives way to another. */
#include "vtl/cartridge/cartridge_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

#define BACKOFF_FIRST_MS 1000
#define BACKOFF_MAX_MS 60000

void cartridge_hold(struct cartridge *c)
{
    lock_take(&c->lock);
    c->users++;
    lock_release(&c->lock);
}

void cartridge_let_go(struct cartridge *c)
{
    lock_take(&c->lock);
    c->users--;
    lock_release(&c->lock);
}

bool cartridge_has_work(struct cartridge *c)
{
    lock_take(&c->lock);
    bool work = c->row.unsettled || c->row.dirty || c->row.garbage;
    lock_release(&c->lock);
    return work;
}

void cartridge_poke(struct cartridge *c)
{
    engine_poke(c->eng, c);
}

enum cartridge_owner cartridge_want_claim(struct cartridge *c, bool *failing)
{
    lock_take(&c->lock);
    enum cartridge_owner owner = c->owner;
    *failing = c->failures != 0;
    c->due |= DUE_CLAIM;
    lock_release(&c->lock);
    return owner;
}

bool cartridge_take_heads(struct cartridge *c)
{
    lock_take(&c->lock);
    bool mine = !c->heads_taken;
    c->heads_taken = true;
    lock_release(&c->lock);
    return mine;
}

void cartridge_give_heads(struct cartridge *c)
{
    lock_take(&c->lock);
    c->heads_taken = false;
    lock_release(&c->lock);
    progress_post(&c->eng->progress);
}

bool cartridge_goes_on_from(struct cartridge *c, const struct seg_id *head)
{
    lock_take(&c->lock);
    bool so = c->owner != CARTRIDGE_FENCED && (head->writer == c->eng->writer || !seg_id_compare(head, &c->row.head));
    lock_release(&c->lock);
    return so;
}

bool cartridge_is_ours(struct cartridge *c, struct seg_id *head)
{
    lock_take(&c->lock);
    bool ours = c->owner == CARTRIDGE_OWNED || c->row.head.writer == c->eng->writer;
    *head = c->row.head;
    lock_release(&c->lock);
    return ours;
}

/* ---- trouble ---- */

void cartridge_set_trouble(struct cartridge *c, const char *text)
{
    lock_take(&c->lock);
    (void)snprintf(c->trouble, sizeof(c->trouble), "%s", text);
    lock_release(&c->lock);
}

void cartridge_note_failure(struct cartridge *c, const struct errtext *err)
{
    lock_take(&c->lock);
    bool speak = strcmp(c->trouble, err->text) != 0 || (c->failures & (c->failures + 1)) == 0;
    (void)snprintf(c->trouble, sizeof(c->trouble), "%s", err->text);
    if (c->backoff_until <= clock_ms()) { /* transfers that fail side by side are one failure */
        unsigned shift = c->failures < 6 ? c->failures : 6;
        uint64_t wait = (uint64_t)BACKOFF_FIRST_MS << shift;
        c->backoff_until = clock_ms() + (wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS);
        c->failures++;
    }
    lock_release(&c->lock);
    if (speak)
        log_line("%s", err->text);
}

void cartridge_note_success(struct cartridge *c)
{
    lock_take(&c->lock);
    bool failed = c->failures != 0;
    if (failed) {
        c->failures = 0;
        c->backoff_until = 0;
        c->trouble[0] = '\0';
    }
    lock_release(&c->lock);
    if (failed)
        log_line("%s: the store takes data again", c->row.barcode);
}

/* ---- the end ---- */

static bool is_named(const struct tape_index *x, const struct seg_id *id)
{
    for (size_t i = 0; i < x->n_segs; i++)
        if (!seg_id_compare(&x->segs[i].id, id))
            return true;
    return false;
}

uint64_t cartridge_set_aside(struct cartridge *c, const struct tape_index *bucket)
{
    struct spool *spool = c->eng->spool;
    uint64_t kept = 0;
    lock_take(&c->lock);
    /* Newest first: what is named begins where these end. */
    for (size_t i = c->live.n_segs; i-- && !is_named(bucket, &c->live.segs[i].id);) {
        const struct seg_ref *r = &c->live.segs[i];
        kept += spool_has(spool, c->row.barcode, &r->id) ? r->size : 0;
        spool_set_aside(spool, c->row.barcode, &r->id);
    }
    for (size_t i = 0; i < c->n_pending; i++)
        spool_set_aside(spool, c->row.barcode, &c->pending[i].id);
    cartridge_uncount(c);
    lock_release(&c->lock);
    return kept;
}

void cartridge_drop_backlog(struct cartridge *c)
{
    lock_take(&c->lock);
    cartridge_uncount(c);
    lock_release(&c->lock);
}
