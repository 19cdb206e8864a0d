/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * offsite_watch.c: asks the store what of the accepted data is off-site, and to hurry.
 *
 * Two threads, as a request to hurry may take minutes, and how it gets on is of interest meanwhile. Both only work while
 * something that the store took is not known to be off-site. It is asked soon after it took something, then ever more
 * seldom; it is asked to hurry when somebody waits for it, or once nothing more was stored for a while: a job is over.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "vtl/library/gate.h"
#include "vtl/library/library_private.h"

enum {
    ASK_FIRST_MS = 10000, /* between two questions: at first, and at most, */
    ASK_MOST_MS = 300000,
    ASK_WANTED_MS = 1000, /* and while somebody waits */
    ASK_FREE_MS = 5,      /* where it takes no request */
    QUIET_MS = 60000,     /* nothing was stored for so long: hurry without being asked */
    HURRY_FIRST_MS = 60000,
    HURRY_MOST_MS = 3600000,
    HURRY_WANTED_MS = 5000, /* the same while somebody waits */
    HURRY_WANTED_MOST_MS = 60000,
};

/* When the store took something last that may not be off-site. */
static uint64_t newest(struct library *lib)
{
    uint64_t put = gate_last_put(lib->gate), counted = atomic_load(&lib->eng.offsite.newest_ms);
    return put > counted ? put : counted;
}

static bool is_missing(struct library *lib)
{
    return !offsite_has(&lib->eng.offsite, newest(lib));
}

bool library_is_offsite(struct library *lib)
{
    bool all = inventory_is_stored(lib) && !atomic_load(&lib->offsite_hurries) && !is_missing(lib);
    for (size_t i = 0; all && i < lib->n_cartridges; i++) {
        struct cartridge_backlog b;
        cartridge_backlog(lib->cartridges[i], &b);
        all = b.offsite;
    }
    return all;
}

/* ---- asking ---- */

struct asking {
    uint64_t newest, last_ms, next_ms;
    unsigned pause_ms;
    bool failed;
    enum obj_service told;
};

static bool ask_is_due(struct library *lib, struct asking *a)
{
    struct obj_facts facts;
    uint64_t now = clock_ms(), latest = newest(lib);
    objstore_facts(gate_inner(lib->gate), &facts);
    if (facts.tells_offsite)
        atomic_store(&lib->eng.offsite.told, true);
    if (!facts.tells_offsite || !is_missing(lib))
        return false;
    if (facts.service == OBJ_SERVICE_S3)
        return now >= a->last_ms + ASK_FREE_MS;
    bool hurried = atomic_exchange(&lib->offsite_now, false);
    if (latest != a->newest || hurried) {
        uint64_t soon = hurried ? now : now + ASK_FIRST_MS;
        a->newest = latest;
        a->pause_ms = ASK_FIRST_MS;
        a->next_ms = a->next_ms < soon ? a->next_ms : soon;
    }
    bool wanted = offsite_is_wanted(&lib->eng.offsite, now) && now >= a->last_ms + ASK_WANTED_MS;
    return wanted || now >= a->next_ms;
}

static void tell(struct asking *a, enum obj_service service, const struct errtext *err)
{
    if (err && !a->failed)
        log_warn("what of the data is off-site cannot be found out: %s", err->text);
    if (!err && a->failed)
        log_notice("what of the data is off-site is known again");
    bool sias = service == OBJ_SERVICE_RENTERD || service == OBJ_SERVICE_S3D;
    if (!err && sias && service != a->told)
        log_notice("the store is %s: its admin interface tells what of the data is off-site",
                   obj_service_name(service));
    a->failed = err != NULL;
    a->told = err ? a->told : service;
}

static void ask(struct library *lib, struct asking *a)
{
    const struct obj_call once = {.cancel = &lib->offsite_stop, .max_tries = 1};
    struct obj_offsite answer;
    struct obj_facts facts;
    struct errtext err = {""};
    uint64_t begin = clock_ms();
    offsite_ask(&lib->eng.offsite, begin);
    int rc = objstore_offsite(gate_inner(lib->gate), &answer, &once, &err);
    if (rc == -ECANCELED)
        return;
    offsite_answer(&lib->eng.offsite, &answer, rc ? &err : NULL, clock_ms());
    if (!rc)
        atomic_store(&lib->offsite_asked_ms, begin);
    objstore_facts(gate_inner(lib->gate), &facts);
    tell(a, facts.service, rc ? &err : NULL);
    a->last_ms = clock_ms();
    a->next_ms = a->last_ms + a->pause_ms;
    a->pause_ms = a->pause_ms < ASK_MOST_MS / 2 ? 2 * a->pause_ms : ASK_MOST_MS;
    progress_post(&lib->eng.progress);
}

static void *ask_thread(void *arg)
{
    struct library *lib = arg;
    struct asking a = {.pause_ms = ASK_FIRST_MS};
    while (!atomic_load(&lib->offsite_stop)) {
        uint64_t seen = progress_now(&lib->eng.progress);
        if (ask_is_due(lib, &a))
            ask(lib, &a);
        else
            progress_wait(&lib->eng.progress, seen, ASK_WANTED_MS / 2);
    }
    return NULL;
}

/* ---- hurrying ---- */

struct hurrying {
    uint64_t newest, next_ms;
    unsigned pause_ms;
    bool wanted, failed;
};

/* Only where an answer says that something is missing which is in the store already. */
static bool hurry_is_due(struct library *lib, struct hurrying *h)
{
    uint64_t now = clock_ms(), latest = newest(lib);
    bool wanted = offsite_is_wanted(&lib->eng.offsite, now);
    if (latest != h->newest || (wanted && !h->wanted)) {
        h->pause_ms = wanted ? HURRY_WANTED_MS : HURRY_FIRST_MS;
        h->next_ms = wanted || latest != h->newest ? 0 : h->next_ms;
    }
    h->newest = latest;
    h->wanted = wanted;
    return atomic_load(&lib->eng.offsite.told) && is_missing(lib) && atomic_load(&lib->offsite_asked_ms) > latest &&
           (wanted || now >= latest + QUIET_MS) && now >= h->next_ms;
}

static void hurry(struct library *lib, struct hurrying *h)
{
    const struct obj_call call = {.cancel = &lib->offsite_stop};
    struct errtext said = {""};
    uint64_t latest = newest(lib);
    atomic_store(&lib->offsite_hurries, true);
    int rc = gate_ask(lib->gate, &call, &said); /* it puts */
    if (!rc)
        rc = objstore_hurry(gate_inner(lib->gate), &call, &said);
    /* What it put itself may have begun another buffer: that is waited for, and is by itself no reason to hurry again. */
    bool more = newest(lib) != latest;
    latest = offsite_now(&lib->eng.offsite);
    h->newest = more ? h->newest : latest;
    atomic_store(&lib->offsite_hurries, false);
    unsigned most = h->wanted ? HURRY_WANTED_MOST_MS : HURRY_MOST_MS;
    if (rc == -ECANCELED)
        return;
    if (!rc)
        said.text[0] = '\0';
    offsite_hurried(&lib->eng.offsite, &said);
    if (rc && !h->failed)
        log_warn("the store was asked to bring what it has off-site: %s", said.text);
    h->failed = rc;
    h->next_ms = clock_ms() + h->pause_ms;
    h->pause_ms = h->pause_ms < most / 2 ? 2 * h->pause_ms : most;
    atomic_store(&lib->offsite_now, true);
    store_health_soon(lib); /* what came of it may be news */
}

static void *hurry_thread(void *arg)
{
    struct library *lib = arg;
    struct hurrying h = {.pause_ms = HURRY_FIRST_MS};
    while (!atomic_load(&lib->offsite_stop)) {
        uint64_t seen = progress_now(&lib->eng.progress);
        if (hurry_is_due(lib, &h))
            hurry(lib, &h);
        else
            progress_wait(&lib->eng.progress, seen, ASK_WANTED_MS / 2);
    }
    return NULL;
}

/* ---- both ---- */

int offsite_watch_start(struct library *lib, struct errtext *err)
{
    struct obj_facts facts;
    objstore_facts(gate_inner(lib->gate), &facts);
    atomic_store(&lib->eng.offsite.told, facts.tells_offsite);
    (void)offsite_now(&lib->eng.offsite); /* what is in the store since before */
    int rc = thread_start(&lib->offsite_threads[0], "offsite", ask_thread, lib);
    lib->n_offsite_threads += !rc;
    if (!rc)
        rc = thread_start(&lib->offsite_threads[1], "hurry", hurry_thread, lib);
    lib->n_offsite_threads += !rc;
    if (rc)
        offsite_watch_stop(lib);
    return rc ? errtext_set(err, rc, "what is off-site: cannot start a thread: %s", strerror(-rc)) : 0;
}

void offsite_watch_stop(struct library *lib)
{
    atomic_store(&lib->offsite_stop, true);
    progress_post(&lib->eng.progress);
    while (lib->n_offsite_threads)
        pthread_join(lib->offsite_threads[--lib->n_offsite_threads], NULL);
}
