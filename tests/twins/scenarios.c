/* SPDX-License-Identifier: GPL-2.0-or-later */
/* scenarios.c: see scenarios.h. Gateway 0 is the original, 1 the copy. */
#include "tests/twins/scenarios.h"

static unsigned some(struct round *r, unsigned most)
{
    return 1 + (unsigned)round_draw(r, most);
}

/* The original serves, and has stored something. */
static void serve(struct round *r)
{
    if (round_start(r, 0, false))
        round_load(r, 0);
    (void)round_write(r, 0, some(r, 8), true);
    round_meddle(r, 0);
}

static void copy_begins(struct round *r)
{
    if (round_start(r, 1, false))
        round_load(r, 1);
}

static void end(struct round *r, unsigned i)
{
    if (round_draw(r, 2))
        round_kill(r, i);
    else
        round_close(r, i);
}

static void commits(struct round *r, unsigned i, unsigned n)
{
    for (unsigned k = 0; k < n && round_serves(r, i); k++) {
        bool overwrite = round_draw(r, 3) == 0;
        round_send_write(r, i, overwrite);
        if (round_take(r, i))
            (void)round_write(r, i, (unsigned)round_draw(r, 3), true);
        round_meddle(r, i);
    }
}

static void clone(struct round *r)
{
    serve(r);
    round_close(r, 0);
    round_copy(r, 0, 1);
    unsigned first = (unsigned)round_draw(r, 2);
    (void)round_start(r, first, false);
    (void)round_start(r, !first, false);
    round_load(r, 0);
    round_load(r, 1);
    round_contest(r, 4 + some(r, 6));
}

static void revert(struct round *r)
{
    serve(r);
    (void)round_write(r, 0, some(r, 4), false);
    round_copy(r, 0, 1);
    (void)round_write(r, 0, some(r, 4), true);
    round_meddle(r, 0);
    end(r, 0);
    copy_begins(r);
    (void)round_write(r, 1, some(r, 3), true);
    round_meddle(r, 1);
    (void)round_write(r, 1, some(r, 3), round_draw(r, 2));
}

static void live_clone(struct round *r)
{
    serve(r);
    (void)round_write(r, 0, (unsigned)round_draw(r, 5), false);
    round_copy(r, 0, 1);
    if (round_draw(r, 2))
        (void)round_write(r, 0, some(r, 3), round_draw(r, 2));
    copy_begins(r);
    round_contest(r, 4 + some(r, 6));
}

static void erased(struct round *r)
{
    serve(r);
    (void)round_write(r, 0, some(r, 6), true);
    round_copy(r, 0, 1);
    if (round_draw(r, 3))
        round_send_erase(r, 0);
    else
        round_send_write(r, 0, true);
    (void)round_take(r, 0);
    (void)round_write(r, 0, 0, true);
    round_meddle(r, 0);
    if (round_draw(r, 2))
        end(r, 0);
    copy_begins(r);
    round_meddle(r, 1);
    (void)round_write(r, 1, some(r, 3), true);
}

static void old_state(struct round *r)
{
    serve(r);
    round_copy(r, 0, 1);
    commits(r, 0, some(r, 4));
    end(r, 0);
    copy_begins(r);
    round_flush_ends(r, 1);
    if (round_draw(r, 2))
        return;
    round_claim(r, 1);
    if (round_serves(r, 1) && !round_write(r, 1, some(r, 3), true))
        round_fault(r, FAULT_STUCK, "a tape that was taken over cannot be written");
}

static const char *some_part(struct round *r)
{
    static const char *const parts[] = {"/seg/", "/head/", "/"};
    return parts[round_draw(r, 3)];
}

/* The other that takes the tape over is a copy of the first, or a gateway that knows the bucket only. */
static void paused(struct round *r)
{
    bool honest = round_draw(r, 2);
    serve(r);
    if (!honest)
        round_copy(r, 0, 1);
    (void)round_write(r, 0, some(r, 3), false);
    round_hook(r, 0, round_draw(r, 2) ? HOOK_STOP_BEFORE : HOOK_STOP_AFTER, some_part(r), some(r, 2));
    round_send_sync(r, 0);
    round_await_stop(r, 0);
    (void)round_start(r, 1, honest);
    round_claim(r, 1);
    round_meddle(r, 1);
    (void)round_write(r, 1, some(r, 3), true);
    round_meddle(r, 1);
    round_continue(r, 0);
    (void)round_take(r, 0);
    (void)round_write(r, 1, some(r, 2), true);
}

static void late_put(struct round *r)
{
    bool honest = round_draw(r, 2), claimed = round_draw(r, 2);
    unsigned lands = (unsigned)round_draw(r, 4);
    if (claimed) /* else it is the claim's own PUT that may be late */
        serve(r);
    else if (round_start(r, 0, false))
        round_load(r, 0);
    if (!honest)
        round_copy(r, 0, 1);
    round_hook(r, 0, round_draw(r, 4) ? HOOK_LATE : HOOK_NO_ANSWER, some_part(r), some(r, 3));
    (void)round_write(r, 0, some(r, 3), round_draw(r, 2));
    if (round_draw(r, 2))
        end(r, 0);
    if (lands == 0)
        round_land_late(r);
    (void)round_start(r, 1, honest);
    if (lands == 1)
        round_land_late(r);
    round_claim(r, 1);
    if (lands == 2)
        round_land_late(r);
    (void)round_write(r, 1, some(r, 3), true);
    round_meddle(r, 1);
    round_land_late(r);
    (void)round_write(r, 1, some(r, 2), true);
    round_meddle(r, 0);
    (void)round_write(r, 0, some(r, 2), true);
}

static void delayed_list(struct round *r)
{
    if (round_draw(r, 2))
        clone(r);
    else
        live_clone(r);
}

const struct scenario scenarios[SCENARIOS] = {
    {"clone", "two copies of a stopped state never mix on one tape", 0, clone},
    {"revert", "a state from before an acknowledged sync does not undo it", 0, revert},
    {"live clone", "a copy of a running state and its original never mix", 0, live_clone},
    {"erased", "a copy from before an erase does not go on from there", 0, erased},
    {"old state", "a state older than the bucket says so and serves the bucket's view", 0, old_state},
    {"paused", "a gateway that was paused in a commit does not disturb who took over", 0, paused},
    {"late PUT", "a PUT that lands late does no harm", 0, late_put},
    {"delayed LIST", "two copies never mix while LIST is slow", 80, delayed_list},
};
