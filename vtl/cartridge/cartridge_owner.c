/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cartridge_owner.c: who holds a cartridge and works on its heads, whether it is fenced, and its trouble. */
#include "vtl/cartridge/cartridge_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/event.h"

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
    c->in_use = false;
    lock_release(&c->lock);
}

bool cartridge_has_work(struct cartridge *c)
{
    lock_take(&c->lock);
    bool work = c->row.unstored_rows || c->row.dirty || c->row.garbage;
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

void cartridge_want_release(struct cartridge *c, bool on)
{
    lock_take(&c->lock);
    c->release = on;
    lock_release(&c->lock);
    if (on)
        engine_poke(c->eng, c);
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

bool cartridge_knows_head(const struct cartridge *c, const struct seg_id *head)
{
    const struct seg_id *known = &c->row.head, *tried = &c->row.tried;
    lock_assert_held(&c->lock);
    if (!seg_id_compare(head, known) || !seg_id_compare(head, tried))
        return true;
    /* Tries before the last one: each was noted before it was put, and any of them may have been, unheard. */
    bool same = head->epoch == tried->epoch && head->writer == tried->writer && head->number < tried->number;
    bool later = known->epoch != tried->epoch || known->writer != tried->writer || head->number > known->number;
    return same && later && head->number;
}

bool cartridge_goes_on_from(struct cartridge *c, const struct seg_id *head)
{
    lock_take(&c->lock);
    bool so = c->owner != CARTRIDGE_FENCED && cartridge_knows_head(c, head);
    lock_release(&c->lock);
    return so;
}

/* What a rebuild took from the bucket is another's until this gateway has written it. */
bool cartridge_is_ours(struct cartridge *c, struct seg_id *head)
{
    lock_take(&c->lock);
    bool ours = c->owner == CARTRIDGE_OWNED || (c->owner == CARTRIDGE_UNCLAIMED && !c->row.rebuilt);
    *head = c->row.head;
    lock_release(&c->lock);
    return ours;
}

enum obj_known cartridge_given_up(struct cartridge *c)
{
    lock_take(&c->lock);
    bool released = c->row.released, sure = seg_id_compare(&c->row.tried, &c->row.head) <= 0;
    lock_release(&c->lock);
    return !released ? OBJ_NO : sure ? OBJ_YES : OBJ_UNKNOWN;
}

int cartridge_note_given_up(struct cartridge *c)
{
    lock_take(&c->lock);
    bool was = c->row.released;
    c->row.released = true;
    int rc = was ? 0 : db_cartridge_update(c->eng->db, &c->row);
    lock_release(&c->lock);
    return rc;
}

void cartridge_disown(struct cartridge *c)
{
    lock_take(&c->lock);
    if (c->owner == CARTRIDGE_OWNED)
        c->owner = CARTRIDGE_UNCLAIMED;
    lock_release(&c->lock);
}

uint64_t cartridge_highest_epoch(struct cartridge *c)
{
    lock_take(&c->lock);
    uint64_t n = c->row.head.epoch > c->row.tried.epoch ? c->row.head.epoch : c->row.tried.epoch;
    n = n > c->claim_epoch ? n : c->claim_epoch;
    lock_release(&c->lock);
    return n;
}

void cartridge_fence(struct cartridge *c, enum db_fence fenced)
{
    lock_assert_held(&c->lock);
    if (c->owner != CARTRIDGE_FENCED)
        atomic_fetch_add(&c->eng->fences, 1);
    c->owner = CARTRIDGE_FENCED;
    atomic_store(&c->fenced_flag, true);
    cartridge_uncount(c);
    cartridge_stop_failing(c);
    if (c->row.fenced == fenced)
        return;
    c->row.fenced = fenced;
    if (db_cartridge_update(c->eng->db, &c->row)) /* the next look finds it out again */
        log_event(EVENT_STATE_FAILED, "%s: state: %s", c->row.barcode, db_error(c->eng->db));
}

const atomic_bool *cartridge_fenced_flag(const struct cartridge *c)
{
    return &c->fenced_flag;
}

/* ---- looking before it is used ---- */

void cartridge_want_look(struct cartridge *c)
{
    lock_take(&c->lock);
    c->due |= DUE_LOOK;
    c->look_failed = false;
    c->backoff_until = 0;
    lock_release(&c->lock);
    engine_poke(c->eng, c);
}

void cartridge_begin_use(struct cartridge *c)
{
    lock_take(&c->lock);
    c->in_use = true;
    lock_release(&c->lock);
}

void cartridge_end_use(struct cartridge *c)
{
    lock_take(&c->lock);
    c->in_use = false;
    lock_release(&c->lock);
}

/* ---- trouble ---- */

void cartridge_set_trouble(struct cartridge *c, const char *text)
{
    lock_take(&c->lock);
    (void)snprintf(c->trouble, sizeof(c->trouble), "%s", text);
    lock_release(&c->lock);
}

void cartridge_tell(struct cartridge *c, const struct errtext *err)
{
    cartridge_set_trouble(c, err->text);
    log_event(EVENT_FENCED, "%s", err->text);
}

void cartridge_note_failure(struct cartridge *c, unsigned kind, const struct errtext *err)
{
    lock_take(&c->lock);
    bool speak = strcmp(c->trouble, err->text) != 0 || (c->failures & (c->failures + 1)) == 0;
    (void)snprintf(c->trouble, sizeof(c->trouble), "%s", err->text);
    if (!c->counted_failing && c->owner != CARTRIDGE_FENCED)
        engine_failing(c->eng, c->counted_failing = true);
    c->failing |= kind;
    if (c->backoff_until <= clock_ms()) { /* transfers that fail side by side are one failure */
        unsigned shift = c->failures < 6 ? c->failures : 6;
        uint64_t wait = (uint64_t)BACKOFF_FIRST_MS << shift;
        c->backoff_until = clock_ms() + (wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS);
        c->failures++;
    }
    lock_release(&c->lock);
    if (speak)
        log_event(EVENT_UPLOAD_FAILED, "%s", err->text);
}

void cartridge_stop_failing(struct cartridge *c)
{
    lock_assert_held(&c->lock);
    if (c->counted_failing)
        engine_failing(c->eng, c->counted_failing = false);
}

void cartridge_try_again(struct cartridge *c)
{
    lock_take(&c->lock);
    c->failures = 0;
    c->backoff_until = c->lock_again = 0;
    lock_release(&c->lock);
}

void cartridge_end_trouble(struct cartridge *c)
{
    lock_assert_held(&c->lock);
    c->failing = c->failures = 0;
    c->backoff_until = 0;
    c->trouble[0] = '\0';
    cartridge_stop_failing(c);
}

void cartridge_note_success(struct cartridge *c, unsigned kind)
{
    lock_take(&c->lock);
    bool failed = c->failing & kind;
    c->failing &= ~kind;
    if (failed && !c->failing)
        cartridge_end_trouble(c);
    lock_release(&c->lock);
}
