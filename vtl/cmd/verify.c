/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify.c: s3vtl verify: reads whole cartridges from the store and reports what is damaged. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/many.h"
#include "vtl/format/barcode.h"
#include "vtl/cartridge/engine.h"
#include "vtl/scrub/verify.h"
#include "vtl/cmd/cmd.h"
#include "vtl/cmd/verify_due.h"

#define PATH_SIZE 4200
#define MOST_BAD 1000 /* with more bad segments than this, the saved place moves no further */

static atomic_bool interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    atomic_store(&interrupted, true);
}

/* ---- where an interrupted run was: <state_dir>/verify/<barcode>; what begins with a dot there is of no cartridge ---- */

struct place {
    const struct vtl_config *cfg;
    const char *barcode;
    struct seg_id again[MOST_BAD]; /* bad segments, to be read once more */
};

static void place_path(const struct place *w, char path[PATH_SIZE], const char *before)
{
    (void)snprintf(path, PATH_SIZE, "%s/verify/%s%s", w->cfg->library.state_dir, before, w->barcode);
}

static bool place_read(struct place *w, struct verify_options *o)
{
    char path[PATH_SIZE];
    unsigned long long object, epoch, number;
    unsigned writer;
    place_path(w, path, "");
    FILE *f = fopen(path, "re");
    bool is = f && fscanf(f, "object %llu written %llu %x %llu", &object, &epoch, &writer, &number) == 4;
    if (is) {
        o->from_object = object;
        o->from_written = (struct seg_id){epoch, writer, number};
        o->again = w->again;
    }
    while (is && o->n_again < MOST_BAD && fscanf(f, " again %llu %x %llu", &epoch, &writer, &number) == 3)
        w->again[o->n_again++] = (struct seg_id){epoch, writer, number};
    if (f)
        fclose(f);
    return is;
}

static bool place_is(void *arg, const char *barcode)
{
    char path[PATH_SIZE];
    const struct place w = {.cfg = arg, .barcode = barcode};
    place_path(&w, path, "");
    return !access(path, F_OK);
}

/* Failures are ignored: a place that cannot be saved costs --resume, and is not worth a complaint each second. */
static void place_write(const struct place *w, const struct verify_progress *p)
{
    char path[PATH_SIZE], next[PATH_SIZE];
    if (p->n_bad > MOST_BAD)
        return;
    (void)snprintf(path, sizeof(path), "%s/verify", w->cfg->library.state_dir);
    (void)mkdir(path, 0700);
    place_path(w, path, "");
    place_path(w, next, ".new.");
    FILE *f = fopen(next, "we");
    if (!f)
        return;
    fprintf(f, "object %llu written %llu %x %llu\n", (unsigned long long)p->verified,
            (unsigned long long)p->written.epoch, p->written.writer, (unsigned long long)p->written.number);
    for (size_t i = 0; i < p->n_bad; i++)
        fprintf(f, "again %llu %x %llu\n", (unsigned long long)p->bad[i].epoch, p->bad[i].writer,
                (unsigned long long)p->bad[i].number);
    if (!fclose(f))
        (void)rename(next, path);
}

static void place_forget(const struct place *w)
{
    char path[PATH_SIZE];
    place_path(w, path, "");
    (void)unlink(path);
}

/* ---- one cartridge, on a thread of its own ---- */

struct results;
struct run {
    struct place place;
    uint64_t told; /* clock_ms() */
    struct results *all;
    bool counted; /* its bytes are in all->far */
    uint64_t done, total, read;
    json_t *problems;
    struct verify_options o;
    struct verify_result result;
    struct errtext err;
    bool resumed;
    int rc;
};

static void id_text(const uint8_t id[16], char text[33])
{
    for (int i = 0; i < 16; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", id[i]);
}

static json_t *source_json(const struct verify_problem *p)
{
    char id[33];
    id_text(p->source->cartridge, id);
    return json_pack("{s:s, s:s, s:s}", "key", p->source_key, "barcode", p->source->barcode, "cartridge", id);
}

static void on_problem(void *arg, const struct verify_problem *p)
{
    struct run *r = arg;
    json_t *j = json_pack("{s:s, s:I, s:I, s:I, s:s}", "key", p->key, "object", (json_int_t)p->first_object, "objects",
                          (json_int_t)p->objects, "file", (json_int_t)p->file, "error", p->what);
    if (p->source)
        json_object_set_new(j, "source", source_json(p));
    json_array_append_new(r->problems, j);
}

static void print_problem(const char *barcode, const json_t *p)
{
    long long object = json_integer_value(json_object_get(p, "object"));
    long long objects = json_integer_value(json_object_get(p, "objects"));
    long long file = json_integer_value(json_object_get(p, "file"));
    const char *key = json_string_value(json_object_get(p, "key"));
    const char *what = json_string_value(json_object_get(p, "error"));
    if (objects)
        printf("%s: file %lld, objects %lld to %lld: %s: %s\n", barcode, file, object, object + objects - 1, key, what);
    else
        printf("%s: file %lld: %s: %s\n", barcode, file, key, what);
}

/* All of them. */
struct results {
    const struct vtl_config *cfg;
    struct objstore *store;
    uint64_t rate;
    uint64_t budget;         /* bytes a day; 0: any */
    uint64_t spent, unsaved; /* today, by runs with a budget, as it was saved, and since then; guarded by lock */
    bool over_budget;        /* likewise: it ends early, and that is no failure */
    struct errtext unkept;   /* likewise: why what is spent could not be written, which ends it; "": it could */
    bool all_in_store;       /* --all: the barcodes are what the store lists */
    bool due;                /* --older: they are what the library lists */
    bool resume, json, quiet, state; /* state: this host has the library's, to keep the results in */
    char (*barcodes)[33];
    struct run **runs;
    struct verify_gate *gate;
    json_t *all, *records; /* for --json; requests to be made */
    const json_t *vanished;
    struct progress *progress;
    struct lock lock; /* guards far and known, for several threads count */
    struct progress_state far;
    size_t known; /* cartridges whose size is known, as their head was read */
    size_t n;
    bool bad;
};

/* Between two looks at it more than the budget may be read, but never by more than is under way. */
static void spend(struct results *v, uint64_t bytes)
{
    lock_assert_held(&v->lock);
    v->unsaved += bytes;
    if (!v->budget || v->spent + v->unsaved < v->budget || v->over_budget)
        return;
    v->over_budget = !atomic_load(&interrupted);
    atomic_store(&interrupted, true);
}

static void count_bytes(struct run *r, uint64_t done, uint64_t total, uint64_t read)
{
    struct results *v = r->all;
    lock_take(&v->lock);
    spend(v, read > r->read ? read - r->read : 0);
    r->read = read;
    v->known += !r->counted;
    r->counted = true;
    v->far.bytes += done - r->done;
    v->far.of_bytes += total - r->total;
    r->done = done;
    r->total = total;
    v->far.more = v->known < v->n;
    progress_set(v->progress, &v->far);
    lock_release(&v->lock);
}

/* What nobody knows of would be spent again and again, and is paid for. */
static void save_spent(struct results *v)
{
    uint64_t all;
    lock_take(&v->lock);
    if (!v->unkept.text[0] && !verify_spend(v->cfg, v->unsaved, &all, &v->unkept)) {
        v->spent = all; /* of the new day, once there is one */
        v->unsaved = 0;
    } else {
        atomic_store(&interrupted, true);
    }
    lock_release(&v->lock);
}

static void on_progress(void *arg, const struct verify_progress *p)
{
    struct run *r = arg;
    uint64_t now = clock_ms();
    count_bytes(r, p->done, p->total, p->read);
    if (now < r->told + 500 && p->done < p->total)
        return;
    r->told = now;
    place_write(&r->place, p);
    if (r->all->budget)
        save_spent(r->all);
}

/* ---- the results, in order ---- */

/* Other tapes, which hold copies out of what cannot be read. */
static void tell_hurt(const json_t *result)
{
    const json_t *hurt = json_object_get(result, "hurt");
    size_t i;
    json_t *h;
    json_array_foreach(hurt, i, h)
        fail("%s: leans on objects of %s that cannot be read back", json_string_value(json_object_get(h, "barcode")),
             json_string_value(json_object_get(h, "of")));
}

/* False: the library could not take it, and that was told. */
static bool was_taken(const json_t *answer)
{
    if (json_is_true(json_object_get(answer, "ok")))
        return true;
    fail("%s", json_string_value(json_object_get(answer, "error")));
    return false;
}

/* What is due stays so, if another cartridge was read in its place. */
static bool was_recorded(const struct results *v, const char *barcode, const json_t *result)
{
    if (!v->due || json_is_true(json_object_get(result, "recorded")))
        return true;
    fail("%s: what the store has there is another cartridge than the library's: it counts as not verified", barcode);
    return false;
}

/* Kept with the cartridges, where PBS finds it. Of what is not, the place stays, so that --resume need not read it again. */
static void record(struct results *v)
{
    size_t i, n = json_array_size(v->records), kept = 0;
    json_t *request, *asked = json_incref(v->records);
    json_t *answers = n ? call_each(v->cfg, v->records) : NULL; /* takes them over */
    json_array_foreach(asked, i, request)
    {
        const struct place w = {.cfg = v->cfg, .barcode = json_string_value(json_object_get(request, "barcode"))};
        const json_t *answer = json_array_get(answers, i), *result = json_object_get(answer, "result");
        if (!answers || !was_taken(answer))
            continue;
        place_forget(&w);
        tell_hurt(result);
        kept += was_recorded(v, w.barcode, result);
    }
    if (n && !answers)
        fail("what was found of %zu cartridge%s is not kept: verify --resume hands it over again", n, n > 1 ? "s" : "");
    v->bad = v->bad || kept < n;
    if (n)
        v->records = json_array();
    json_decref(asked);
    json_decref(answers);
}

/* The cartridge's own segments in which something is lost, or (name "source") those of others. */
static json_t *lost_of(const json_t *problems, const char *name)
{
    json_t *all = json_array(), *p;
    size_t i;
    json_array_foreach(problems, i, p)
    {
        bool own = !strcmp(name, "key"), of_source = json_object_get(p, "source") != NULL;
        if (json_integer_value(json_object_get(p, "objects")) && own != of_source)
            json_array_append(all, json_object_get(p, name));
    }
    return all;
}

static void add_record(struct results *v, const struct run *r)
{
    const struct verify_result *result = &r->result;
    const char *barcode = r->place.barcode;
    char id[33];
    id_text(result->cartridge, id);
    json_array_append_new(v->records,
                          json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:o}", "op", "tape-verified", "barcode",
                                    barcode, "cartridge", id, "objects", (json_int_t)result->end_object, "lost",
                                    (json_int_t)result->lost_objects, "from", (json_int_t)result->lost_from, "keys",
                                    lost_of(r->problems, "key"), "sources", lost_of(r->problems, "source")));
}

/* vanished: what the library knows of it and the bucket lacks; NULL: nothing. */
static json_t *json_of(const struct run *r, const char *vanished)
{
    const struct verify_result *result = &r->result;
    const char *error = vanished ? vanished : r->rc ? r->err.text : NULL;
    return json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:O, s:s*}", "barcode", r->place.barcode, "good",
                     !error && !result->problems, "segments", (json_int_t)result->segments, "bytes",
                     (json_int_t)result->bytes, "objects", (json_int_t)result->end_object, "lost_objects",
                     (json_int_t)result->lost_objects, "from_object", (json_int_t)r->o.from_object, "problems",
                     r->problems, "error", error);
}

static void print_run(const struct run *r, const char *vanished)
{
    const struct verify_result *result = &r->result;
    const char *barcode = r->place.barcode;
    char size[HUMAN_ROOM];
    size_t i;
    json_t *p;
    json_array_foreach(r->problems, i, p) print_problem(barcode, p);
    if (r->rc == -ECANCELED)
        printf("%s: %s\n", barcode,
               r->all->over_budget ? "begun; today's budget is spent" : "interrupted; continue with --resume");
    else if (r->rc && !(vanished && r->rc == -ENOENT)) /* which says more */
        fail("%s", r->err.text);
    else if (!r->rc)
        printf("%s: %s: %llu files, %llu objects in %llu segments, %s%s\n", barcode,
               result->problems ? result->lost_objects ? "DAMAGED" : "no data lost, but see above" : "good",
               (unsigned long long)result->filemarks, (unsigned long long)result->end_object,
               (unsigned long long)result->segments, human_size(result->bytes, size), r->resumed ? " (resumed)" : "");
    if (!r->rc && result->lost_objects)
        fail("%s: %llu objects cannot be read back", barcode, (unsigned long long)result->lost_objects);
    if (vanished)
        fail("%s", vanished);
}

static void verify_one(void *arg, size_t i)
{
    struct results *v = arg;
    struct run *r = atomic_load(&interrupted) ? NULL : calloc(1, sizeof(*r));
    if (!r)
        return;
    v->runs[i] = r;
    r->place.cfg = v->cfg;
    r->place.barcode = v->barcodes[i];
    r->all = v;
    r->problems = json_array();
    r->o = (struct verify_options){.gate = v->gate,
                                   .parallel = v->cfg->store.parallel,
                                   .bytes_per_second = v->rate,
                                   .cancel = &interrupted,
                                   .problem = on_problem,
                                   .progress = on_progress,
                                   .arg = r};
    r->resumed = v->resume && place_read(&r->place, &r->o);
    r->rc = verify_cartridge(v->store, r->place.barcode, &r->o, &r->result, &r->err);
    if (r->rc == -ECANCELED)
        r->err.text[0] = '\0';
    else if (r->rc ? r->rc != -EIO && r->rc != -EACCES : !v->state) /* else once the library has it */
        place_forget(&r->place);
}

static int end_run(struct results *v, size_t i)
{
    json_decref(v->runs[i]->problems);
    free(v->runs[i]);
    v->runs[i] = NULL;
    return 0;
}

static int any(void *arg, const struct obj_entry *e)
{
    (void)e;
    *(bool *)arg = true;
    return 1;
}

/* SeaweedFS lists a directory that it keeps with nothing in it: that is no cartridge. */
static bool is_phantom(const struct results *v, const char *barcode)
{
    const struct obj_call call = {.cancel = &interrupted};
    char prefix[DB_KEY_SIZE];
    bool has = false;
    (void)snprintf(prefix, sizeof(prefix), "tapes/%s/", barcode);
    return v->store->ops->list(v->store, prefix, NULL, false, any, &has, &call, NULL) >= 0 && !has;
}

/* Then the others would only wait as long for the same. */
static void end_if_store_is_gone(const struct results *v, int rc)
{
    const struct obj_call once = {.cancel = &interrupted, .max_tries = 1};
    if ((rc != -EIO && rc != -EACCES) || atomic_load(&interrupted) || !v->store->ops->check(v->store, &once, NULL))
        return;
    fail("the store gives nothing more: verify ends here, and --resume continues it");
    atomic_store(&interrupted, true);
}

static int take_run(void *arg, size_t i)
{
    struct results *v = arg;
    struct run *r = v->runs[i];
    if (!r) { /* interrupted before its turn, or no memory */
        v->bad = v->bad || !v->over_budget;
        return 0;
    }
    const char *vanished = vanished_text(v->vanished, r->place.barcode);
    if (!r->counted) /* nothing of it could be read */
        count_bytes(r, 0, 0, 0);
    if (v->all_in_store && !vanished && r->rc == -ENOENT && is_phantom(v, r->place.barcode))
        return end_run(v, i);
    progress_pause(v->progress);
    if (v->json)
        json_array_append_new(v->all, json_of(r, vanished));
    else
        print_run(r, vanished);
    end_if_store_is_gone(v, r->rc);
    progress_resume(v->progress);
    if (!r->rc && v->state)
        add_record(v, r);
    if (json_array_size(v->records) >= BATCH)
        record(v);
    v->bad = v->bad || (r->rc && !(r->rc == -ECANCELED && v->over_budget)) || r->result.problems || vanished;
    return end_run(v, i);
}

static void show(void *arg, size_t so_far)
{
    struct results *v = arg;
    lock_take(&v->lock);
    v->far.pieces = so_far;
    progress_set(v->progress, &v->far);
    lock_release(&v->lock);
}

static bool was_verified(const struct results *v, const char *barcode)
{
    for (size_t i = 0; i < v->n; i++)
        if (!strcmp(v->barcodes[i], barcode))
            return true;
    return false;
}

/* Those of which the bucket has nothing that could be read. */
static void add_vanished(struct results *v)
{
    size_t i;
    json_t *j;
    json_array_foreach(v->vanished, i, j)
    {
        const char *barcode = json_string_value(json_object_get(j, "barcode"));
        const char *error = json_string_value(json_object_get(j, "error"));
        if (was_verified(v, barcode))
            continue;
        v->bad = true;
        if (v->json)
            json_array_append_new(v->all, json_pack("{s:s, s:b, s:s}", "barcode", barcode, "good", 0, "error", error));
        else
            fail("%s", error);
    }
}

/* Side by side; with a limit of bytes a second, which holds for all of them, one after the other. */
static int verify_all(struct results *v)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/state.db", v->cfg->library.state_dir);
    v->state = !access(path, F_OK);
    unsigned parallel = v->rate ? 1 : config_requests(v->cfg);
    v->far = (struct progress_state){.of_pieces = v->n > 1 ? v->n : 0, .more = true};
    lock_init(&v->lock, LOCK_VERIFY);
    v->progress = progress_start("verify", v->json || v->quiet, NULL, NULL);
    v->runs = calloc(v->n + 1, sizeof(struct run *));
    v->gate = verify_gate_new(v->cfg->store.parallel, config_requests(v->cfg));
    v->all = json_array();
    v->records = json_array();
    const struct many m = {
        .n = v->n, .parallel = parallel, .work = verify_one, .done = take_run, .tick = show, .arg = v};
    int rc = v->runs && v->gate ? many_run(&m) : -ENOMEM;
    if (v->budget)
        save_spent(v);
    record(v);
    progress_end(v->progress);
    lock_fini(&v->lock);
    if (v->unkept.text[0])
        v->bad = fail("%s", v->unkept.text);
    if (!rc)
        add_vanished(v);
    if (!rc && v->json)
        print_json(v->all);
    json_decref(v->all);
    json_decref(v->records);
    verify_gate_free(v->gate);
    free(v->runs);
    return rc ? rc : v->bad ? -EBADMSG : 0;
}

/* ---- which cartridges ---- */

struct barcodes {
    char (*v)[33];
    size_t n, room;
};

static int add_barcode(struct barcodes *b, const char *text, size_t len)
{
    if (b->n == b->room && !array_grow(&b->v, &b->room, sizeof(*b->v)))
        return -ENOMEM;
    (void)snprintf(b->v[b->n++], sizeof(*b->v), "%.*s", (int)len, text);
    return 0;
}

static int list_tape(void *arg, const struct obj_entry *e)
{
    const char *name = e->key + strlen("tapes/");
    size_t len = strcspn(name, "/");
    return e->is_prefix && len && len <= 32 ? add_barcode(arg, name, len) : 0;
}

/* What of all cartridges is to be verified now, as an array. NULL, told: nobody knows. */
static json_t *ask_due(const struct vtl_config *cfg, uint64_t every)
{
    json_t *r = call_library(cfg, json_pack("{s:s}", "op", "tape-list"));
    json_t *list =
        r ? verify_due(json_object_get(r, "cartridges"), engine_time(), every, place_is, (void *)(uintptr_t)cfg) : NULL;
    json_decref(r);
    return list;
}

/* Named ones: as an array; all: NULL. */
static json_t *named(const struct command_line *cl, bool all)
{
    json_t *list = all ? NULL : json_array();
    for (int i = 0; list && i < cl->argc; i++)
        json_array_append_new(list, json_string(cl->argv[i]));
    return list;
}

static int collect(const json_t *only, struct objstore *store, struct barcodes *b, struct errtext *err)
{
    int rc = 0;
    struct obj_call call = {.cancel = &interrupted};
    for (size_t i = 0; !rc && i < json_array_size(only); i++) {
        const char *barcode = json_string_value(json_array_get(only, i));
        rc = add_barcode(b, barcode, strlen(barcode));
    }
    if (!rc && !only)
        rc = store->ops->list(store, "tapes/", NULL, true, list_tape, b, &call, err);
    return rc;
}

/* *store may be there after a failure, too. */
static int open_store(const struct vtl_config *cfg, struct objstore **store, struct errtext *err)
{
    const struct obj_call few = {.cancel = &interrupted, .max_tries = 2};
    struct objstore_config oc;
    config_store(cfg, &oc);
    oc.note = log_note;
    oc.patience_ms = OBJ_PATIENCE_MS;
    int rc = objstore_open(&oc, store, err);
    return rc ? rc : (*store)->ops->check(*store, &few, err);
}

/* Also what the bucket should have, and has not. Takes over only: the barcodes asked for, NULL for all. */
static int compare_and_verify(struct results *v, json_t *only)
{
    json_t *vanished = vanished_ask(v->cfg, v->store, only, &interrupted);
    v->vanished = vanished;
    v->bad = !vanished; /* and that was told */
    int bad = verify_all(v);
    json_decref(only);
    json_decref(vanished);
    return bad;
}

#define USAGE "verify BARCODE...|--all|--older TIME [--rate SIZE] [--budget SIZE] [--resume]"

struct asked {
    bool all;
    uint64_t older;        /* seconds; 0: not asked for */
    uint64_t rate, budget; /* 0: any */
    bool resume;
};

static bool take_size(struct command_line *cl, const char *name, uint64_t *bytes, const char *right)
{
    const char *text = NULL;
    if (!take_value(cl, name, &text))
        return false;
    if (text && (!config_parse_size(text, bytes) || !*bytes))
        return usage_error("%s %s: must be %s", name, text, right), false;
    return true;
}

static bool take_options(struct command_line *cl, struct asked *a)
{
    const char *older = NULL;
    uint64_t ms = 0;
    *a = (struct asked){.all = take_flag(cl, "--all"), .resume = take_flag(cl, "--resume")};
    if (!take_size(cl, "--rate", &a->rate, "bytes a second, such as 40M or 1G") ||
        !take_size(cl, "--budget", &a->budget, "bytes a day, such as 200G") || !take_value(cl, "--older", &older))
        return false;
    if (older && (!config_parse_time(older, &ms) || ms < 1000))
        return usage_error("--older %s: must be a time from 1s on, such as 30d", older), false;
    a->older = ms / 1000;
    a->resume = a->resume || older;
    if (a->all + (older != NULL) + (cl->argc > 0) > 1)
        return usage_error("%s cannot be combined with %s; usage: s3vtl " USAGE, a->all ? "--all" : "--older",
                           cl->argc ? "barcodes" : "--older"),
               false;
    if (!check_arguments(cl, a->all || older ? 0 : 1, !a->all && !older, USAGE))
        return false;
    for (int i = 0; i < cl->argc; i++)
        if (!barcode_ok(cl->argv[i]))
            return usage_error(BARCODE_RULE, cl->argv[i]), false;
    return true;
}

/* Takes over only: the barcodes asked for, NULL for all. Returns 0, or what ended it, told. */
static int verify_in(struct objstore *store, const struct vtl_config *cfg, const struct command_line *cl,
                     const struct asked *a, json_t *only)
{
    struct errtext err = {""};
    struct barcodes b = {0};
    uint64_t spent = 0;
    int rc = collect(only, store, &b, &err);
    if (!rc && a->budget)
        rc = verify_spend(cfg, 0, &spent, &err);
    if (rc) {
        fail("%s", err.text[0] ? err.text : strerror(-rc));
        json_decref(only);
        free(b.v);
        return rc;
    }
    struct results v = {.cfg = cfg,
                        .store = store,
                        .rate = a->rate,
                        .budget = a->budget,
                        .spent = spent,
                        .resume = a->resume,
                        .json = cl->json,
                        .quiet = cl->quiet,
                        .barcodes = b.v,
                        .n = b.n,
                        .all_in_store = a->all,
                        .due = a->older};
    if (a->budget && v.spent >= a->budget && v.n) {
        v.over_budget = true;
        v.n = 0;
    }
    int bad = compare_and_verify(&v, only);
    if (v.over_budget && !v.json && !v.quiet)
        puts("today's budget is spent; the rest is read tomorrow");
    free(b.v);
    return bad ? bad : atomic_load(&interrupted) && !v.over_budget ? -ECANCELED : 0;
}

static void tell_none(const struct command_line *cl)
{
    if (cl->json)
        puts("[]");
    else if (!cl->quiet)
        puts("nothing is due");
}

int cmd_verify(const struct command_line *given)
{
    struct command_line cl = *given;
    struct asked a;
    if (!take_options(&cl, &a))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    struct objstore *store = NULL;
    struct errtext err = {""};
    (void)signal(SIGINT, interrupt);
    (void)signal(SIGTERM, interrupt);
    json_t *only = a.older ? ask_due(cfg, a.older) : named(&cl, a.all);
    int rc = a.older && !only ? -EIO : 0;
    if (!rc && a.older && !json_array_size(only))
        tell_none(&cl);
    bool some = !only || json_array_size(only);
    if (!rc && some && (rc = open_store(cfg, &store, &err)))
        fail("%s", err.text[0] ? err.text : strerror(-rc));
    if (!rc && some)
        rc = verify_in(store, cfg, &cl, &a, json_incref(only));
    json_decref(only);
    if (store)
        store->ops->close(store);
    config_free(cfg);
    return rc ? EXIT_FAILED : EXIT_DONE;
}
