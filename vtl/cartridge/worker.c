/* SPDX-License-Identifier: GPL-2.0-or-later */
/* worker.c: the background threads that store, commit and clean up; fetching ahead is in fetch.c. */
#include "vtl/cartridge/worker_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/human.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/thread.h"
#include "vtl/cartridge/object_lock.h"

#define COMMIT_EVERY_MS 60000 /* a long backup is committed on the way */
#define COMMIT_EVERY_SEGS 64

/* ---- the list of cartridges that there may be work for ---- */

static struct active *find_active(struct workers *w, const struct cartridge *c)
{
    for (size_t i = 0; i < w->n_active; i++)
        if (w->active[i].c == c)
            return &w->active[i];
    return NULL;
}

/* engine.poke */
static void poke(struct workers *w, struct cartridge *c)
{
    lock_take(&w->lock);
    struct active *a = find_active(w, c);
    if (!a && (w->n_active < w->room_active || array_grow(&w->active, &w->room_active, sizeof(*w->active)))) {
        a = &w->active[w->n_active++];
        *a = (struct active){.c = c};
    }
    if (a)
        a->pokes++;
    else
        log_err("%s: out of memory: its upload waits", cartridge_barcode(c));
    lock_release(&w->lock);
    progress_post(&w->eng->progress);
}

void workers_forget(struct workers *w, struct cartridge *c)
{
    if (!w || !c)
        return;
    fetch_forget(w, c);
    lock_take(&w->lock);
    struct active *a;
    while ((a = find_active(w, c)) && a->refs)
        cond_wait(&w->cond, &w->lock);
    if (a)
        *a = w->active[--w->n_active];
    lock_release(&w->lock);
}

/* Where a search begins: behind the cartridge that the last one found a job for, so that one with more to store than goes
 * through the line does not keep the others waiting. */
static size_t first_place(struct workers *w)
{
    lock_take(&w->lock);
    size_t first = w->next < w->n_active ? w->next : 0;
    lock_release(&w->lock);
    return first;
}

static void found_at(struct workers *w, size_t i)
{
    lock_take(&w->lock);
    w->next = i + 1;
    lock_release(&w->lock);
}

/* The i-th cartridge of the list, held; NULL behind the last. *pokes: for release. */
static struct cartridge *hold(struct workers *w, size_t i, uint64_t *pokes)
{
    struct cartridge *c = NULL;
    lock_take(&w->lock);
    if (i < w->n_active) {
        c = w->active[i].c;
        w->active[i].refs++;
        *pokes = w->active[i].pokes;
    }
    lock_release(&w->lock);
    return c;
}

/* done: whoever held it found that there is nothing to do. That holds only if it was not poked since it was held, by
 * whoever else looked at it meanwhile. */
static void release(struct workers *w, struct cartridge *c, bool done, uint64_t pokes)
{
    lock_take(&w->lock);
    struct active *a = find_active(w, c);
    a->refs--;
    if (done && !a->refs && a->pokes == pokes)
        *a = w->active[--w->n_active];
    cond_broadcast(&w->cond);
    lock_release(&w->lock);
}

/* ---- which job is next ---- */

enum job_kind {
    JOB_NONE,
    JOB_LOOK,
    JOB_CLAIM,
    JOB_COMMIT,
    JOB_UPLOAD,
    JOB_SWEEP,
    JOB_GARBAGE,
    JOB_LOCK,
    JOB_RELEASE,
    JOB_TIDY
};
struct job {
    enum job_kind kind;
    struct cartridge *c;
    struct pending seg;
};

static bool commit_due(const struct cartridge *c)
{
    lock_assert_held(&c->lock);
    if (!cartridge_can_commit(c))
        return false;
    if (c->due & DUE_LIST) /* a drive waits for it */
        return true;
    size_t prefix = cartridge_stored_prefix(c);
    if (prefix == c->live.n_segs || cartridge_rest_is_lost(c)) /* nothing better comes */
        return c->due & DUE_COMMIT || clock_ms() - c->committed_at >= COMMIT_EVERY_MS;
    return prefix - c->row.commit_segs >= COMMIT_EVERY_SEGS || clock_ms() - c->committed_at >= COMMIT_EVERY_MS;
}

/* Taking the heads goes before uploads only where uploads need it, or where a commit is due. */
static enum job_kind first_head_job(const struct cartridge *c)
{
    if (c->due & DUE_LOOK)
        return JOB_LOOK;
    if (c->owner == CARTRIDGE_UNCLAIMED)
        return JOB_CLAIM;
    return commit_due(c) ? JOB_COMMIT : JOB_NONE;
}

static enum job_kind last_head_job(const struct cartridge *c, bool all_stored)
{
    if (c->doomed)
        return JOB_GARBAGE;
    if (all_stored && (c->due & (DUE_GARBAGE | DUE_SWEEP)))
        return JOB_SWEEP;
    if (all_stored && object_lock_may_try(c)) /* before it is given up: later it may not */
        return JOB_LOCK;
    if (all_stored && c->release)
        return JOB_RELEASE;
    return all_stored && (c->due & DUE_HEADS) ? JOB_TIDY : JOB_NONE;
}

/* *idle: there is nothing more to do for it. A job on the heads takes them. */
static enum job_kind choose(struct cartridge *c, struct job *job, bool *idle)
{
    lock_assert_held(&c->lock);
    bool owned = c->owner == CARTRIDGE_OWNED, fenced = c->owner == CARTRIDGE_FENCED;
    bool all_stored = !c->n_pending && cartridge_is_committed(c);
    bool clean_up = (c->due & DUE_GARBAGE) || ((c->due & (DUE_SWEEP | DUE_HEADS)) && owned);
    bool look = c->due & DUE_LOOK, work = !all_stored || c->doomed || ((c->due & DUE_CLAIM) && !owned) || clean_up ||
                                          c->release || object_lock_is_work(c);
    *idle = !look && (fenced || (!work && !c->users && c->open.state == OPEN_CLOSED));
    if (c->failing && !look && !work && !fenced) /* of a job that another kind did, or that nothing is left for */
        cartridge_end_trouble(c);
    if (!c->loaded || (!look && (fenced || !work)) || c->backoff_until > clock_ms())
        return JOB_NONE;
    enum job_kind kind = c->heads_taken ? JOB_NONE : first_head_job(c);
    if (kind == JOB_NONE && owned && cartridge_pick_pending(c, &job->seg))
        return JOB_UPLOAD;
    if (kind == JOB_NONE && owned && !c->heads_taken)
        kind = last_head_job(c, all_stored);
    c->heads_taken = c->heads_taken || kind != JOB_NONE;
    return kind;
}

/* From one place of the list to another one, or its end. The cartridge of a job stays held. */
static bool find_between(struct workers *w, size_t from, size_t to, struct job *job)
{
    struct cartridge *c;
    uint64_t pokes;
    for (size_t i = from; i < to && (c = hold(w, i, &pokes)); i++) {
        bool idle = false;
        lock_take(&c->lock);
        job->kind = choose(c, job, &idle);
        lock_release(&c->lock);
        job->c = c;
        if (job->kind != JOB_NONE) {
            found_at(w, i);
            return true;
        }
        if (idle)
            cartridge_unload_if_clean(c);
        release(w, c, idle, pokes);
    }
    return false;
}

static bool find_job(struct workers *w, struct job *job)
{
    size_t first = first_place(w);
    return find_between(w, first, SIZE_MAX, job) || find_between(w, 0, first, job);
}

/* ---- running it ---- */

static int sweep(struct cartridge *c, const struct obj_call *call, struct errtext *err)
{
    struct sweep found;
    char size[HUMAN_ROOM];
    lock_take(&c->lock);
    bool look = c->due & DUE_SWEEP;
    lock_release(&c->lock);
    int rc = commit_sweep(c, look, false, &found, call, err);
    if (!rc && found.objects)
        log_notice("%s: %llu objects (%s) that no head names are deleted: a gateway stored and never committed "
                   "them",
                   c->row.barcode, (unsigned long long)found.objects, human_size(found.bytes, size));
    return rc == -EAGAIN ? 0 : rc;
}

static int commit(struct cartridge *c, bool release, const struct obj_call *call, bool *put, struct errtext *err)
{
    int rc = release ? commit_release(c, call, err) : commit_head(c, call, err);
    *put = !rc;
    return rc == -EAGAIN ? 0 : rc;
}

/* What came of it. put: the store took a head. */
static void end_job(struct workers *w, const struct job *job, int rc, bool put, const struct errtext *err)
{
    struct cartridge *c = job->c;
    lock_take(&c->lock);
    if (job->kind == JOB_LOOK)
        c->look_failed = rc && rc != -EPERM;
    if (job->kind != JOB_UPLOAD)
        c->heads_taken = false;
    if (cartridge_is_committed(c))
        c->due &= ~(unsigned)(DUE_COMMIT | DUE_LIST);
    lock_release(&c->lock);
    if (!rc)
        cartridge_note_success(c, 1u << job->kind);
    else if (rc == -EPERM) /* fenced: no failure of the store, and nothing to try again */
        cartridge_tell(c, err);
    else if (rc != -ECANCELED && rc != -ENODATA) /* a lost file: told already, and no reason to wait with the rest */
        cartridge_note_failure(c, 1u << job->kind, err);
    if (put)
        engine_took_head(w->eng);
    if (file_disk_full(rc)) /* of the state: the store has errors of its own. The next try finds room */
        (void)spool_shrink(w->eng->spool, CARTRIDGE_ROOM, true);
    progress_post(&w->eng->progress);
}

static void run_job(struct workers *w, struct job *job)
{
    struct cartridge *c = job->c;
    struct obj_call call = {.cancel = &w->stop};
    struct errtext err = {""};
    int rc = 0;
    bool put = false;
    switch (job->kind) {
    case JOB_LOOK:
        rc = commit_look(c, &call, &err);
        break;
    case JOB_CLAIM:
        rc = commit_claim(c, &call, &err);
        break;
    case JOB_COMMIT:
    case JOB_RELEASE:
        rc = commit(c, job->kind == JOB_RELEASE, &call, &put, &err);
        break;
    case JOB_GARBAGE:
        rc = commit_garbage(c, &call, &err);
        rc = rc > 0 ? 0 : rc;
        break;
    case JOB_TIDY:
        rc = commit_tidy(c, &call, &err);
        break;
    case JOB_UPLOAD:
        rc = upload_segment(c, &job->seg, &call, &err);
        break;
    case JOB_SWEEP:
        rc = sweep(c, &call, &err);
        break;
    case JOB_LOCK:
        object_lock_some(c, &call);
        break;
    case JOB_NONE:
        break;
    }
    end_job(w, job, rc, put, &err);
}

static void *upload_thread(void *arg)
{
    struct workers *w = arg;
    unsigned number = atomic_fetch_add(&w->n_uploads, 1);
    thread_step_back(); /* the host waits for what it writes, and for this only once it syncs */
    while (!atomic_load(&w->stop)) {
        uint64_t seen = progress_now(&w->eng->progress);
        struct job job;
        /* One more than there are transfers: while the others send, it has the next segment read and summed up, or
         * commits. The store's client itself has no more than parallel of them on the way. */
        if (number > atomic_load(&w->eng->live.parallel) || !find_job(w, &job)) {
            progress_wait(&w->eng->progress, seen, 500); /* a poke moves it */
            continue;
        }
        run_job(w, &job);
        release(w, job.c, false, 0);
    }
    return NULL;
}

static void *idle_thread(void *arg)
{
    struct workers *w = arg;
    while (!atomic_load(&w->stop)) {
        uint64_t idle = atomic_load(&w->eng->live.idle_seal);
        unsigned step = (unsigned)(idle / 4 < 100 ? 100 : idle / 4 > 2000 ? 2000 : idle / 4);
        lock_take(&w->idle_lock);
        if (!atomic_load(&w->stop))
            (void)cond_wait_ms(&w->idle_cond, &w->idle_lock, step);
        lock_release(&w->idle_lock);
        struct cartridge *c;
        uint64_t pokes;
        for (size_t i = 0; !atomic_load(&w->stop) && (c = hold(w, i, &pokes)); i++) {
            cartridge_seal_if_idle(c, idle);
            release(w, c, false, pokes);
        }
    }
    return NULL;
}

void workers_try_again(struct workers *w)
{
    struct cartridge *c;
    uint64_t pokes;
    for (size_t i = 0; (c = hold(w, i, &pokes)); i++) {
        cartridge_try_again(c);
        release(w, c, false, pokes);
    }
    progress_post(&w->eng->progress);
}

void workers_look_again(struct workers *w)
{
    progress_post(&w->eng->progress);
    fetch_look_again(w);
}

/* ---- start and stop ---- */

static void join_all(struct workers *w)
{
    for (size_t i = 0; i < w->n_threads; i++)
        pthread_join(w->threads[i], NULL);
    w->n_threads = 0;
}

static int start_thread(struct workers *w, const char *name, void *(*fn)(void *))
{
    int rc = thread_start(&w->threads[w->n_threads], name, fn, w);
    w->n_threads += !rc;
    return rc;
}

int workers_grow(struct workers *w, unsigned parallel)
{
    int rc = w->n_parallel ? 0 : start_thread(w, "upload", upload_thread);
    while (!rc && w->n_parallel < parallel) {
        rc = start_thread(w, "upload", upload_thread);
        if (!rc)
            rc = start_thread(w, "fetch", fetch_thread);
        w->n_parallel++; /* also after half of it: there is room for each pair once */
    }
    return rc;
}

static void free_workers(struct workers *w)
{
    fetch_fini(w);
    cond_fini(&w->cond);
    cond_fini(&w->idle_cond);
    lock_fini(&w->lock);
    lock_fini(&w->idle_lock);
    free(w->threads);
    free(w->active);
    free(w);
}

int workers_start(struct engine *eng, struct errtext *err)
{
    struct workers *w = calloc(1, sizeof(*w));
    if (w)
        w->threads = calloc(2 * CONFIG_MAX_PARALLEL + 2, sizeof(*w->threads));
    if (!w || !w->threads) {
        free(w);
        return errtext_set(err, -ENOMEM, "background work: out of memory");
    }
    w->eng = eng;
    cond_init(&w->cond);
    cond_init(&w->idle_cond);
    lock_init(&w->lock, LOCK_WORKERS);
    lock_init(&w->idle_lock, LOCK_IDLE);
    fetch_init(w);
    eng->poke = poke;
    eng->workers = w;
    int rc = start_thread(w, "idle", idle_thread);
    if (!rc)
        rc = workers_grow(w, atomic_load(&eng->live.parallel));
    if (rc) {
        workers_stop(eng);
        return errtext_set(err, rc, "background work: cannot start threads: %s", strerror(-rc));
    }
    return 0;
}

void workers_stop(struct engine *eng)
{
    struct workers *w = eng->workers;
    if (!w)
        return;
    atomic_store(&w->stop, true);
    lock_take(&w->idle_lock);
    cond_broadcast(&w->idle_cond);
    lock_release(&w->idle_lock);
    fetch_stop(w);
    progress_post(&eng->progress);
    join_all(w);
    eng->workers = NULL;
    free_workers(w);
}
