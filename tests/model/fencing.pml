/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fencing.pml: the order of puts, lists and deletes that keeps two gateways from both owning a cartridge (vtl/FORMAT.md,
 * "Fencing"; vtl/cartridge/commit.c), for spin: every interleaving of GATEWAYS gateways, with a crash at any step and puts that land late.
 *
 * What is checked, in every state that can be reached:
 *   1. A commit that was acknowledged is in the state of every head that is committed or taken over later.
 *   2. No key is ever put with two contents (I2).
 *   3. What the winning head names is never deleted.
 * A gateway holds no state over a crash: it takes over what it finds, as one does after a rebuild. The program is stricter: it
 * takes over only a head that it knows.
 *
 * With COPIES, gateways have disks, which outlive a crash: the state, the head that it is of, and the head that is about to be
 * put. At any time a disk may be copied, and at any start a gateway may find that copy on its disk: a machine cloned, or a snapshot
 * reverted to. Then the rules are that each run draws a new writer id, and that a disk is trusted only if the bucket's head is one
 * that it knows; else the bucket's state is taken. In addition it is checked:
 *   4. A disk that is trusted holds the state of the bucket's head.
 *
 * BREAK=n leaves one of the orders out; each must be found (tests/model/run):
 *   1  no look at the heads after a commit's put
 *   2  the claim holds state, read before it is put
 *   3  lower heads are deleted before the own one is put
 *   4  garbage is deleted before the head that drops it was seen as the highest
 *   5  garbage is deleted before the head that drops it is put
 * and of COPIES:
 *   6  the writer id is the disk's, and a head of that writer is taken for one's own
 *   7  each run has a writer id, but the disk is trusted whatever the bucket's head is
 *   8  heads are compared, but the writer id is the disk's
 */
#ifndef GATEWAYS
#define GATEWAYS 2
#endif
#ifndef EPOCHS
#define EPOCHS 3 /* claims that can be made in all */
#endif
#ifndef HEADS
#define HEADS 4 /* heads of one claim: n = 0 .. HEADS-1 */
#endif
#ifndef BREAK
#define BREAK 0
#endif

#ifndef COPIES
#define COPIES 0
#endif
#if !COPIES
#define WRITERS GATEWAYS
#elif BREAK == 6 || BREAK == 8
#define WRITERS 1
#elif !defined(WRITERS)
#define WRITERS 3 /* runs in all */
#endif

#define KEYS (EPOCHS * WRITERS * HEADS)
#define NONE 255
/* The index of head/<epoch>-<writer>-<n>, epoch from 1: in order of the names. */
#define KEY(e, w, n) ((((e) - 1) * WRITERS + (w)) * HEADS + (n))
#define EPOCH_OF(k) ((k) / (WRITERS * HEADS) + 1)
#define IS_CLAIM(k) ((k) % HEADS == 0)

/* The bucket. A head's content: how many commits its state has seen, and the object it names (the index of the commit that
 * stored it). */
bit there[KEYS];
bit used[KEYS]; /* put at least once, with this content: */
byte commits[KEYS];
byte names[KEYS];
bit object_gone[KEYS];
/* A put of each gateway whose answer was lost: it lands some time, or never. */
byte late[GATEWAYS] = NONE;

#if COPIES
byte putter[KEYS]; /* who put a commit with that content: two hosts never write the same */
byte runs;         /* that began */
/* A disk: the head that the state is of, the state, and the same of the head that is about to be put. */
typedef disk_t {
    byte head, count, object;
    byte next, next_count, next_object
};
disk_t copy;
bit copied;
#define MAY_BE_COPIED \
    if \
    :: skip \
    :: d_step { !copied -> copied = 1; to_disk(copy, disk) } \
    fi
inline to_disk(to, from)
{
    to.head = from.head;
    to.count = from.count;
    to.object = from.object;
    to.next = from.next;
    to.next_count = from.next_count;
    to.next_object = from.next_object
}
/* Of this moment's state. */
#define WRITE_DISK d_step { disk.head = mine; disk.count = count; disk.object = object; disk.next = NONE; disk.next_count = 0; disk.next_object = NONE }
#define WRITE_NEXT d_step { disk.next = mine; disk.next_count = count; disk.next_object = object }
#else
#define MAY_BE_COPIED
#define WRITE_DISK
#define WRITE_NEXT
#endif

/* What no gateway knows: the most commits that were acknowledged. */
byte acknowledged;

byte i; /* of d_steps only */

/* The highest head, and the highest complete one below a limit. LIST sees every put that returned before it. */
inline list(top, complete, limit)
{
    d_step {
        top = NONE;
        complete = NONE;
        i = 0;
        do
        :: i < KEYS && there[i] ->
            top = i;
            if
            :: i < limit && !IS_CLAIM(i) -> complete = i
            :: else
            fi;
            i++
        :: i < KEYS && !there[i] -> i++
        :: else -> break
        od;
        i = 0
    }
}

inline put(key, c, o)
{
    atomic {
        d_step {
            assert(!used[key] || (commits[key] == c && names[key] == o));
            used[key] = 1;
            commits[key] = c;
            names[key] = o;
#if COPIES
            assert(key % HEADS < 2 || putter[key] == 0 || putter[key] == me + 1);
            if
            :: key % HEADS >= 2 -> putter[key] = me + 1
            :: else
            fi
#endif
        }
        if
        :: there[key] = 1; answered = 1
        :: late[me] == NONE -> late[me] = key; answered = 0
        fi
    }
}

inline delete_object(o)
{
    d_step {
        object_gone[o] = 1;
        i = KEYS; /* the winner is the highest complete head */
        do
        :: i > 0 && !(there[i - 1] && !IS_CLAIM(i - 1)) -> i--
        :: else -> break
        od;
        assert(i == 0 || names[i - 1] == NONE || !object_gone[names[i - 1]]);
        i = 0
    }
}

/* Deletes the heads below a key, one at a time in any order that matters: from the lowest, as the program does. */
inline delete_below(key)
{
    k = 0;
    do
    :: k < key && !there[k] -> k++
    :: k < key && there[k] -> atomic { there[k] = 0; k++ }
    :: else -> k = 0; break
    od
}

active proctype network()
{
end:
    do
    :: late[0] != NONE -> d_step { there[late[0]] = 1; late[0] = NONE }
    :: late[1] != NONE -> d_step { there[late[1]] = 1; late[1] = NONE }
#if GATEWAYS > 2
    :: late[2] != NONE -> d_step { there[late[2]] = 1; late[2] = NONE }
#endif
    od
}

/* A crash: everything in memory is gone. */
#define MAY_CRASH if :: skip :: goto start fi

proctype gateway(byte me)
{
    byte mine, top, found, k;
    byte count, object; /* the state: how many commits it has seen, and what it names */
    byte garbage;
    bit answered;
#if COPIES
    byte writer;
    disk_t disk;
    d_step { disk.head = NONE; disk.object = NONE; disk.next = NONE; disk.next_object = NONE }
#else
#define writer me
#endif

start:
    skip;
    d_step { mine = 0; top = 0; found = 0; k = 0; count = 0; object = NONE; garbage = NONE; answered = 0 }
#if COPIES
    if
    :: skip
    :: copied -> to_disk(disk, copy)
    fi;
#if WRITERS > 1
    atomic {
        if
        :: runs < WRITERS -> writer = runs; runs++
        :: else -> goto done /* the model's runs are used up */
        fi
    }
#endif
#endif

    /* ---- claim ---- */
    list(top, found, KEYS);
    d_step {
        if
        :: top == NONE -> mine = KEY(1, writer, 0)
        :: else -> mine = KEY(EPOCH_OF(top) + 1, writer, 0)
        fi
    }
    if
    :: mine >= KEYS -> goto done /* the model's epochs are used up */
    :: else
    fi;
#if BREAK == 2
    atomic {
        if
        :: found != NONE -> count = commits[found]; object = names[found]
        :: else
        fi
    }
    put(mine, count, object);
#else
    put(mine, 0, NONE);
#endif
    MAY_CRASH;
    if
    :: !answered -> goto start
    :: else
    fi;
    list(top, found, mine);
    if
    :: top != mine -> there[mine] = 0; goto start /* owned elsewhere: the claim is deleted */
    :: else
    fi;
    MAY_CRASH;

    /* ---- the state, only now ---- */
#if BREAK != 2
again:
    list(top, found, mine);
    if
    :: found == NONE -> count = 0; object = NONE
    :: else ->
        atomic {
            if
            :: there[found] -> count = commits[found]; object = names[found]
            :: else -> goto again /* gone by the time it is got */
            fi
        }
    fi;
#if COPIES
    d_step {
        if
#if BREAK == 6 || BREAK == 7
        :: true -> count = disk.count; object = disk.object
#else
        :: found == disk.head ->
            assert(disk.count == count && disk.object == object); /* 4 */
            count = disk.count;
            object = disk.object
        :: found != disk.head && found == disk.next ->
            assert(disk.next_count == count && disk.next_object == object); /* 4 */
            count = disk.next_count;
            object = disk.next_object
        :: else /* this state is older than the bucket: the bucket's is taken */
#endif
        fi
    }
#endif
#endif
    d_step { mine++; found = NONE }
#if BREAK == 3
    delete_below(mine);
#endif
    MAY_CRASH;
    put(mine, count, object);
    MAY_CRASH;
    if
    :: !answered -> goto start
    :: else
    fi;
    atomic {
        list(top, found, mine);
        found = NONE;
        if
        :: top != mine -> goto start
        :: else
        fi;
        assert(count >= acknowledged) /* 1 */
    }
    WRITE_DISK;
    MAY_BE_COPIED;
    delete_below(mine);
    MAY_CRASH;

    /* ---- commits: each overwrites what was there, so the object before it becomes garbage ---- */
    do
    :: (mine % HEADS) + 1 < HEADS ->
        d_step { mine++; garbage = object; object = mine; count++ }
        WRITE_NEXT;
        MAY_BE_COPIED;
#if BREAK == 5
        if
        :: garbage != NONE -> delete_object(garbage)
        :: else
        fi;
#endif
        put(mine, count, object);
        MAY_CRASH;
        if
        :: !answered -> goto start
        :: else
        fi;
#if BREAK == 4
        if
        :: garbage != NONE -> delete_object(garbage)
        :: else
        fi;
#endif
        atomic {
#if BREAK != 1
            list(top, found, mine);
            found = NONE;
            if
            :: top != mine -> goto start
            :: else
            fi;
#endif
            assert(count > acknowledged); /* 1 */
            acknowledged = count
        }
        WRITE_DISK;
        MAY_BE_COPIED;
        delete_below(mine);
        MAY_CRASH;
        if
        :: garbage != NONE ->
            list(top, found, mine);
            d_step { found = NONE }
            if
            :: top != mine -> goto start
            :: else
            fi;
            MAY_CRASH;
            delete_object(garbage);
            garbage = NONE
        :: else
        fi
    :: goto start /* it ends, and another run begins */
    od;
done:
    skip;
    d_step { mine = 0; top = 0; found = 0; k = 0; count = 0; object = 0; garbage = 0; answered = 0 }
}

init
{
    byte g = 0;
    atomic {
        do
        :: g < GATEWAYS -> run gateway(g); g++
        :: else -> break
        od
    }
}
