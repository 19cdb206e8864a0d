/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_health.c: asks the store's service how it is, and how much redundancy the objects of each cartridge have left.
 *
 * One thread, as the answer may take seconds: about once a minute, and sooner when something happened that may have
 * changed it. What cannot be found out is no news: what was known stays, and why it is not known is told.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/jsontext.h"
#include "base/log.h"
#include "base/thread.h"
#include "vtl/library/gate.h"
#include "vtl/library/library_private.h"

#define TAPES "tapes/"

enum {
    PAUSE_MS = 50000,      /* between an answer and the next question, */
    PAUSE_SOON_MS = 10000, /* and when there is a reason to ask; */
    PAUSE_TIMES = 10,      /* but the service is not busy with it for more than a tenth of the time */
    LOOK_MS = 500,
};

void store_health_init(struct store_health *h)
{
    lock_init(&h->lock, LOCK_STORE_HEALTH);
    h->findings = NULL;
}

void store_health_fini(struct store_health *h)
{
    json_decref(h->findings);
    lock_fini(&h->lock);
}

void store_health_soon(struct library *lib)
{
    atomic_store(&lib->health.soon, true);
    progress_post(&lib->eng.progress);
}

/* ---- what is found ---- */

struct finding {
    struct library *lib;
    json_t *of_service;
};

/* "tapes/BARCODE/" */
static struct cartridge *cartridge_of(struct library *lib, const char *key)
{
    static const char before[] = TAPES;
    char barcode[33];
    size_t n = strlen(before), len = strlen(key);
    if (len < n + 2 || len - n > sizeof(barcode) || strncmp(key, before, n) != 0 || key[len - 1] != '/')
        return NULL;
    (void)snprintf(barcode, sizeof(barcode), "%.*s", (int)(len - n - 1), key + n);
    return library_cartridge(lib, barcode);
}

static int thousandths(double health)
{
    double n = health * CARTRIDGE_WHOLE;
    return (int)(n < 0 ? n - 0.5 : n + 0.5);
}

/* A cartridge is freed only once it is not in the list, which lock guards. */
static void take_finding(void *arg, const struct obj_finding *f)
{
    struct finding *t = arg;
    if (!f->key) {
        json_array_append_new(t->of_service,
                              json_pack("{s:s, s:o}", "severity", f->severity == OBJ_CRITICAL ? "critical" : "warning",
                                        "text", json_text(f->text)));
        return;
    }
    lock_take(&t->lib->lock);
    struct cartridge *c = cartridge_of(t->lib, f->key);
    if (c)
        cartridge_health_add(c, thousandths(f->health), f->weak, f->weak_or_more);
    lock_release(&t->lib->lock);
}

static void end_all(struct library *lib, bool answered)
{
    lock_take(&lib->lock);
    for (size_t i = 0; i < lib->n_cartridges; i++)
        cartridge_health_end(lib->cartridges[i], answered);
    lock_release(&lib->lock);
}

/* findings is taken over. */
static void keep(struct store_health *h, json_t *findings, int rc, const struct errtext *err)
{
    lock_take(&h->lock);
    bool failed = h->trouble.text[0];
    h->trouble = *err;
    h->told = true;
    json_t *old = rc ? findings : h->findings;
    if (!rc) {
        h->findings = findings;
        h->asked = (uint64_t)time(NULL);
    }
    lock_release(&h->lock);
    json_decref(old);
    if (rc && !failed)
        log_warn("the state of the store's service cannot be found out: %s", err->text);
    if (!rc && failed)
        log_notice("the state of the store's service is known again");
}

void store_health_ask(struct library *lib)
{
    const struct obj_call once = {.cancel = &lib->health.stop, .max_tries = 1};
    struct finding t = {.lib = lib, .of_service = json_array()};
    const struct obj_findings q = {.prefix = TAPES,
                                   .below = atomic_load(&lib->eng.live.health_warning) / (double)CARTRIDGE_WHOLE,
                                   .found = take_finding,
                                   .arg = &t};
    struct errtext err = {""};
    struct obj_facts facts;
    int rc = objstore_findings(gate_inner(lib->gate), &q, &once, &err);
    objstore_facts(gate_inner(lib->gate), &facts);
    end_all(lib, !rc && facts.tells_health);
    if (rc == -ENOTSUP || rc == -ECANCELED) {
        json_decref(t.of_service);
        return;
    }
    if (!rc)
        err.text[0] = '\0';
    keep(&lib->health, t.of_service, rc, &err);
}

/* ---- the thread ---- */

static void *health_thread(void *arg)
{
    struct library *lib = arg;
    uint64_t next = 0, soonest = 0;
    while (!atomic_load(&lib->health.stop)) {
        uint64_t seen = progress_now(&lib->eng.progress), now = clock_ms();
        if (now < next && (now < soonest || !atomic_load(&lib->health.soon))) {
            progress_wait(&lib->eng.progress, seen, LOOK_MS);
            continue;
        }
        atomic_store(&lib->health.soon, false);
        store_health_ask(lib);
        uint64_t end = clock_ms(), rest = PAUSE_TIMES * (end - now);
        soonest = end + (rest > PAUSE_SOON_MS ? rest : PAUSE_SOON_MS);
        next = end + (rest > PAUSE_MS ? rest : PAUSE_MS);
    }
    return NULL;
}

int store_health_start(struct library *lib, struct errtext *err)
{
    int rc = thread_start(&lib->health.thread, "health", health_thread, lib);
    lib->health.runs = !rc;
    return rc ? errtext_set(err, rc, "health of the store: cannot start a thread: %s", strerror(-rc)) : 0;
}

void store_health_stop(struct library *lib)
{
    atomic_store(&lib->health.stop, true);
    progress_post(&lib->eng.progress);
    if (lib->health.runs)
        pthread_join(lib->health.thread, NULL);
    lib->health.runs = false;
}

/* ---- what is shown ---- */

/* As renterd writes it: 0.25, 1, -0.5. */
static json_t *number_json(int health)
{
    return health == CARTRIDGE_HEALTH_UNKNOWN ? json_null() : json_real(health / (double)CARTRIDGE_WHOLE);
}

void store_health_of(const struct cartridge *c, json_t *j)
{
    struct cartridge_health h;
    cartridge_get_health(c, &h);
    if (h.health == CARTRIDGE_HEALTH_UNKNOWN)
        return;
    json_object_set_new(j, "health", number_json(h.health));
    json_object_set_new(j, "weak_objects", json_integer((json_int_t)h.weak));
    if (h.weak_or_more)
        json_object_set_new(j, "weak_or_more", json_true());
}

json_t *store_health_json(struct library *lib)
{
    struct store_health *h = &lib->health;
    int worst = CARTRIDGE_HEALTH_UNKNOWN;
    size_t weak = 0;
    lock_take(&h->lock);
    bool told = h->told;
    struct errtext trouble = h->trouble;
    uint64_t asked = h->asked;
    json_t *findings = h->findings ? json_deep_copy(h->findings) : json_array();
    lock_release(&h->lock);
    for (size_t i = 0; i < lib->n_cartridges; i++) {
        struct cartridge_health one;
        cartridge_get_health(lib->cartridges[i], &one);
        worst = one.health < worst ? one.health : worst;
        weak += one.weak != 0;
    }
    if (told)
        return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "asked",
                         asked ? json_integer((json_int_t)asked) : json_null(), "trouble",
                         trouble.text[0] ? json_text(trouble.text) : json_null(), "worst", number_json(worst), "limit",
                         json_real(atomic_load(&lib->eng.live.health_warning) / (double)CARTRIDGE_WHOLE),
                         "weak_cartridges", json_integer((json_int_t)weak), "findings", findings);
    json_decref(findings);
    return NULL;
}
