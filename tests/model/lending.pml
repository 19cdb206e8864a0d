/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lending.pml: a tape (B) copies out of a segment (X) of another (A), and X must stay as long as a head of B needs it, though two
 * gateways may write each (vtl/cartridge/lend.c, commit_kept.c), for spin: every interleaving, with a crash at any step and
 * puts that land late.
 *
 * What is checked, in every state that can be reached:
 *   what the winning head of B names in A exists.
 *
 * Of the heads of a tape only the winner counts: a put that is below it changes nothing. How a gateway becomes the one that writes a
 * tape is what fencing.pml is about; here a claim is one step, which starts from the winner. A gateway's disk outlives a crash: what
 * its state says of both tapes, and a copy in the spool that no head names yet. It goes on from a head that it knows, else (a
 * claim by force) it takes what the bucket has.
 *
 * Not in it: a second tape that leans on what is garbage already, which it may where a first one does. Whoever deletes asks for leans
 * when it is garbage; if there is none then, there is no first one ever after (vtl/state/db_leans.c).
 *
 * BREAK=n leaves one of the orders out; each must be found (tests/model/run):
 *   1  a copy is made before the head of A that lists B is seen as the highest
 *   2  garbage is deleted without asking who leans on it
 *   3  behind a head at rest B copies without being listed anew
 *   4  the first head of a run does not tell what waits in the spool
 *   5  a copy is made of what is garbage
 *   6  a tape that may be copying is not waited for
 *   7  the rows of the state are believed though another gateway has written B since
 *   8  B is listed no more since it needed nothing when it was asked for, though it copies by now
 */
#ifndef EPOCHS
#define EPOCHS 3 /* claims that there can be of A, and of B, with the one that made it */
#endif
#ifndef EPOCHS_B
#define EPOCHS_B EPOCHS
#endif
#ifndef HEADS
#define HEADS 4 /* heads of one claim: n = 1 .. HEADS */
#endif
#ifndef BREAK
#define BREAK 0
#endif

typedef head_t {
    byte e, n;    /* its key */
    bit x;        /* it names X; of B: a segment that copies out of it */
    bit pending;  /* B: it does not, but its writer holds such a segment */
    bit rest;     /* B: nothing else was there when it was made */
    byte le, ln   /* A: B is listed, as of that run and head; le 0: not */
};
head_t a, b; /* the winners */
bit x_gone;

/* A put of each gateway whose answer was lost lands some time, or never. */
typedef late_t { bit is, of_b; head_t h };
late_t late[2];

#define ABOVE(p, q) (p.e > q.e || (p.e == q.e && p.n > q.n)) /* a structure may not be in parentheses */
#define SAME(p, q) (p.e == q.e && p.n == q.n)
inline copy_head(dst, src)
{
    dst.e = src.e; dst.n = src.n; dst.x = src.x; dst.pending = src.pending; dst.rest = src.rest;
    dst.le = src.le; dst.ln = src.ln
}
#define GOOD assert(!(x_gone && b.x))

inline lands(is_b, it)
{
    if
    :: is_b && ABOVE(it, b) -> copy_head(b, it)
    :: !is_b && ABOVE(it, a) -> copy_head(a, it)
    :: else
    fi;
    GOOD
}

active proctype network()
{
end:
    do
    :: late[0].is -> d_step { lands(late[0].of_b, late[0].h); late[0].is = 0 }
    :: late[1].is -> d_step { lands(late[1].of_b, late[1].h); late[1].is = 0 }
    od
}

inline put(is_b)
{
    atomic {
        if
        :: d_step { lands(is_b, h) ; answered = 1 }
        :: d_step { !late[me].is -> late[me].is = 1; late[me].of_b = is_b; copy_head(late[me].h, h); answered = 0 }
        fi
    }
}

#define LIVE 1
#define GARBAGE 2
#define WAITS 1 /* in the spool */
#define NAMED 2
#define CUT 3 /* overwritten: the next head does not name it, the last one may */

#if BREAK == 3
#define IN_TIME true
#else
#define IN_TIME (listed_n >= rested)
#endif
#if BREAK == 5
#define IS_SOURCE (x != 0)
#else
#define IS_SOURCE (x == LIVE)
#endif

#define MAY_COPY own_b && !copy && listed_e == own_b && IN_TIME && IS_SOURCE

/* Does B need X, or may it? */
inline ask()
{
#if BREAK == 2
    keep = 0;
#else
    keep = (copy != 0); /* the state's rows */
    if
#if BREAK == 7
    :: !keep && listed_e && !copy && know_b.e -> skip
    :: !keep && listed_e && !know_b.e ->
#else
    :: !keep && listed_e && b.e == next_b.e -> skip /* all of B is this gateway's */
    :: !keep && listed_e && b.e != next_b.e ->
#endif
        d_step {
            keep = b.x || b.pending;
#if BREAK != 6
            keep = keep || (b.e == listed_e && !(b.rest && b.n > listed_n))
#endif
        }
    :: else
    fi;
#endif
}

inline meanwhile() /* another thread of this gateway */
{
    if
    :: skip
    :: atomic { MAY_COPY -> copy = WAITS }
    fi
}

proctype gateway(byte me)
{
    /* in memory: the epoch that it owns the tape by, 0: not */
    byte own_a, own_b, tried_a, tried_b, rested;
    bit answered, keep, cut; /* cut: the head of A that is its own does not name X */
    head_t h;
    /* on disk */
    head_t know_a, know_b, next_a, next_b; /* the heads that the state is of, and those that were about to be put */
    byte x;     /* X in A: LIVE, GARBAGE, or 0 */
    byte copy;  /* B's copy of it: WAITS, NAMED, CUT, or 0 */
    byte listed_e, listed_n; /* how A's last committed head lists B */

    do
    /* ---- claims ---- */
    :: atomic { !own_a && a.e < EPOCHS ->
        d_step {
            if
            :: SAME(a, know_a) || SAME(a, next_a) -> skip
            :: else -> x = (a.x -> LIVE : (x_gone -> 0 : GARBAGE)) /* what no head names is swept */
            fi;
            cut = !a.x;
            listed_e = a.le; listed_n = a.ln;
            a.e++; a.n = 1; own_a = a.e; tried_a = 1;
            copy_head(know_a, a); copy_head(next_a, a)
        } }
    :: atomic { !own_b && b.e < EPOCHS_B ->
        d_step {
            if
            :: !(SAME(b, know_b) || SAME(b, next_b)) -> copy = (b.x -> NAMED : 0)
            :: else ->
                if
                :: copy == WAITS && b.x -> copy = NAMED
                :: else
                fi
            fi;
            b.e++; b.n = 1; own_b = b.e; tried_b = 1; rested = 0;
#if BREAK == 4
            b.pending = 0;
#else
            b.pending = (copy == WAITS);
            b.rest = b.rest && !b.pending;
#endif
            copy_head(know_b, b); copy_head(next_b, b)
        } }

    /* ---- A lists B ---- */
    :: own_a && own_b && x == LIVE && tried_a < HEADS ->
        d_step {
            tried_a++; h.e = own_a; h.n = tried_a; h.x = 1; h.pending = 0; h.rest = 0; h.le = own_b; h.ln = tried_b;
            copy_head(next_a, h)
        }
#if BREAK == 1
        d_step { listed_e = h.le; listed_n = h.ln }
#endif
        put(0);
        if
        :: answered ->
            atomic {
                if
                :: SAME(a, h) -> d_step { listed_e = h.le; listed_n = h.ln; copy_head(know_a, h) }
                :: else -> own_a = 0; x = 0 /* fenced */
                fi
            }
        :: else
        fi

    /* ---- B copies ---- */
    :: atomic { MAY_COPY -> copy = WAITS }

    :: own_b && copy -> copy = CUT

    /* ---- commits of B: with the copy, or without it as it waits, or was overwritten ---- */
    :: own_b && tried_b < HEADS ->
        atomic {
            tried_b++; h.e = own_b; h.n = tried_b; h.le = 0; h.ln = 0;
            if
            :: copy == WAITS || copy == NAMED -> h.x = 1; h.pending = 0; h.rest = 1
            :: copy == WAITS -> h.x = 0; h.pending = 1; h.rest = 0
            :: !copy || copy == CUT -> h.x = 0; h.pending = 0; h.rest = 1
            fi;
            if
            :: h.rest -> rested = tried_b
            :: h.rest -> h.rest = 0 /* something else is open */
            :: else
            fi;
            copy_head(next_b, h)
        }
        put(1);
        if
        :: answered ->
            atomic {
                if
                :: SAME(b, h) ->
                    d_step {
                        copy_head(know_b, h);
                        if
                        :: h.x -> copy = NAMED
                        :: !h.x && copy == CUT -> copy = 0 /* and its object is deleted */
                        :: else
                        fi
                    }
                :: else -> own_b = 0; copy = 0 /* fenced: what waits is never merged */
                fi
            }
        :: else
        fi

    /* ---- other garbage of A is deleted: B is asked for, and listed no more if it needs nothing ---- */
    :: own_a && x == LIVE && listed_e ->
        ask();
        meanwhile();
        if
#if BREAK == 8
        :: !keep -> d_step { listed_e = 0; listed_n = 0 }
#else
        :: !keep && !copy -> d_step { listed_e = 0; listed_n = 0 }
#endif
        :: else
        fi

    /* ---- A is overwritten, and what was there deleted ---- */
    :: own_a && x == LIVE -> x = GARBAGE
    :: own_a && x == GARBAGE && !cut && tried_a < HEADS ->
        d_step {
            tried_a++; h.e = own_a; h.n = tried_a; h.x = 0; h.pending = 0; h.rest = 0; h.le = listed_e; h.ln = listed_n;
            copy_head(next_a, h)
        }
        put(0);
        if
        :: answered ->
            atomic {
                if
                :: SAME(a, h) -> d_step { cut = 1; copy_head(know_a, h) }
                :: else -> own_a = 0; x = 0
                fi
            }
        :: else
        fi
    :: own_a && x == GARBAGE && cut ->
        ask();
        meanwhile();
        if
        :: !keep ->
            atomic {
                if
                :: SAME(a, know_a) -> x_gone = 1; x = 0; GOOD
                :: else -> own_a = 0; x = 0
                fi
            }
        :: else
        fi

    /* ---- a crash ---- */
    :: own_a || own_b -> d_step { own_a = 0; own_b = 0; tried_a = 0; tried_b = 0; rested = 0; cut = 0 }
    :: a.e >= EPOCHS && b.e >= EPOCHS_B && !own_a && !own_b -> break /* the model's epochs are used up */
    od
}

init
{
    atomic {
        d_step { a.e = 1; a.n = 1; a.x = 1; b.e = 1; b.n = 1; b.rest = 1 }
        run gateway(0);
        run gateway(1)
    }
}
