/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify.c: s3vtl verify: reads whole cartridges from the store and reports what is damaged. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "vtl/format/barcode.h"
#include "vtl/cartridge/engine.h"
#include "vtl/scrub/verify.h"
#include "vtl/cmd/cmd.h"

#define PATH_SIZE 4200
#define MOST_BAD 1000 /* with more bad segments than this, the saved place moves no further */

static atomic_bool interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    atomic_store(&interrupted, true);
}

/* ---- where an interrupted run was: <state_dir>/verify/<barcode> ---- */

struct place {
    const struct vtl_config *cfg;
    const char *barcode;
    struct seg_id again[MOST_BAD]; /* bad segments, to be read once more */
};

static void place_path(const struct place *w, char path[PATH_SIZE], const char *suffix)
{
    (void)snprintf(path, PATH_SIZE, "%s/verify/%s%s", w->cfg->library.state_dir, w->barcode, suffix);
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
    if (!is)
        return false;
    return true;
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
    place_path(w, next, ".new");
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

/* ---- one cartridge ---- */

struct run {
    struct place place;
    bool json, bar;
    uint64_t began, told, first; /* began, told: clock_ms(); first: bytes that a resumed run skipped */
    bool started;
    json_t *problems;
};

static void on_problem(void *arg, const struct verify_problem *p)
{
    struct run *r = arg;
    if (r->json) {
        json_array_append_new(r->problems, json_pack("{s:s, s:I, s:I, s:I, s:s}", "key", p->key, "object",
                                                     (json_int_t)p->first_object, "objects", (json_int_t)p->objects,
                                                     "file", (json_int_t)p->file, "error", p->what));
        return;
    }
    if (p->objects)
        printf("%s: file %llu, objects %llu to %llu: %s: %s\n", r->place.barcode, (unsigned long long)p->file,
               (unsigned long long)p->first_object, (unsigned long long)(p->first_object + p->objects - 1), p->key,
               p->what);
    else
        printf("%s: file %llu: %s: %s\n", r->place.barcode, (unsigned long long)p->file, p->key, p->what);
}

static void print_bar(struct run *r, const struct verify_progress *p, uint64_t ms)
{
    char rate[32];
    uint64_t per_second = ms ? (p->done - r->first) * 1000 / ms : 0;
    uint64_t left = per_second ? (p->total - p->done) / per_second : 0;
    progress_bar(r->place.barcode, p->done, p->total);
    fprintf(stderr, "%s/s  %02llu:%02llu:%02llu left ", human_size((json_int_t)per_second, rate),
            (unsigned long long)(left / 3600), (unsigned long long)(left / 60 % 60), (unsigned long long)(left % 60));
}

static void on_progress(void *arg, const struct verify_progress *p)
{
    struct run *r = arg;
    uint64_t now = clock_ms();
    if (!r->started) {
        r->started = true;
        r->first = p->done;
    }
    if (now < r->told + 500 && p->done < p->total)
        return;
    r->told = now;
    place_write(&r->place, p);
    if (r->bar)
        print_bar(r, p, now - r->began);
}

/* Records the result with the cartridge, where PBS finds it, if this host has the library's state. */
static void record(const struct vtl_config *cfg, const char *barcode, const struct verify_result *result)
{
    char path[PATH_SIZE], id[33];
    (void)snprintf(path, sizeof(path), "%s/state.db", cfg->library.state_dir);
    if (access(path, F_OK))
        return;
    for (int i = 0; i < 16; i++)
        (void)snprintf(id + 2 * i, 3, "%02x", result->cartridge[i]);
    json_t *r = call_library(cfg, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "op", "tape-verified", "barcode", barcode,
                                            "cartridge", id, "objects", (json_int_t)result->end_object, "lost",
                                            (json_int_t)result->lost_objects, "from", (json_int_t)result->lost_from));
    json_decref(r);
}

/* 0: nothing is damaged. */
static int verify_one(struct objstore *store, const struct vtl_config *cfg, const char *barcode, uint64_t rate,
                      bool resume, bool json, json_t *all)
{
    struct run r = {.place = {.cfg = cfg, .barcode = barcode},
                    .json = json,
                    .bar = !json && isatty(STDERR_FILENO),
                    .began = clock_ms(),
                    .problems = json_array()};
    struct verify_options o = {.parallel = cfg->store.parallel,
                               .bytes_per_second = rate,
                               .cancel = &interrupted,
                               .problem = on_problem,
                               .progress = on_progress,
                               .arg = &r};
    struct verify_result result;
    struct errtext err = {""};
    char size[32];
    bool resumed = resume && place_read(&r.place, &o);
    int rc = verify_cartridge(store, barcode, &o, &result, &err);
    if (r.bar)
        fputs("\r\033[K", stderr);
    if (!rc)
        record(cfg, barcode, &result);
    if (rc == -ECANCELED)
        err.text[0] = '\0';
    else
        place_forget(&r.place);
    if (json)
        json_array_append_new(all, json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:o*, s:s*}", "barcode", barcode,
                                             "good", !rc && !result.problems, "segments", (json_int_t)result.segments,
                                             "bytes", (json_int_t)result.bytes, "objects",
                                             (json_int_t)result.end_object, "lost_objects",
                                             (json_int_t)result.lost_objects, "from_object", (json_int_t)o.from_object,
                                             "problems", json_incref(r.problems), "error", rc ? err.text : NULL));
    else if (rc == -ECANCELED)
        printf("%s: interrupted; continue with --resume\n", barcode);
    else if (rc)
        fail("%s", err.text);
    else
        printf("%s: %s: %llu files, %llu objects in %llu segments, %s%s\n", barcode,
               result.problems ? result.lost_objects ? "DAMAGED" : "no data lost, but see above" : "good",
               (unsigned long long)result.filemarks, (unsigned long long)result.end_object,
               (unsigned long long)result.segments, human_size((json_int_t)result.bytes, size),
               resumed ? " (resumed)" : "");
    if (!json && !rc && result.lost_objects)
        fail("%s: %llu objects cannot be read back", barcode, (unsigned long long)result.lost_objects);
    json_decref(r.problems);
    return rc || result.problems ? -1 : 0;
}

/* ---- which cartridges ---- */

struct barcodes {
    char (*v)[33];
    size_t n, room;
};

static int add_barcode(struct barcodes *b, const char *text, size_t len)
{
    if (b->n == b->room) {
        size_t room = b->room ? 2 * b->room : 64;
        void *v = realloc(b->v, room * sizeof(*b->v));
        if (!v)
            return -ENOMEM;
        b->v = v;
        b->room = room;
    }
    (void)snprintf(b->v[b->n++], sizeof(*b->v), "%.*s", (int)len, text);
    return 0;
}

static int list_tape(void *arg, const struct obj_entry *e)
{
    const char *name = e->key + strlen("tapes/");
    size_t len = strcspn(name, "/");
    return e->is_prefix && len && len <= 32 ? add_barcode(arg, name, len) : 0;
}

static int collect(const struct command_line *cl, bool all, struct objstore *store, struct barcodes *b,
                   struct errtext *err)
{
    int rc = 0;
    struct obj_call call = {.cancel = &interrupted};
    for (int i = 0; !rc && i < cl->argc; i++)
        rc = add_barcode(b, cl->argv[i], strlen(cl->argv[i]));
    if (!rc && all)
        rc = store->ops->list(store, "tapes/", NULL, true, list_tape, b, &call, err);
    return rc;
}

#define USAGE "verify BARCODE...|--all [--rate SIZE] [--resume]"

int cmd_verify(const struct command_line *given)
{
    struct command_line cl = *given;
    bool all = take_flag(&cl, "--all"), resume = take_flag(&cl, "--resume");
    const char *rate_text = NULL;
    uint64_t rate = 0;
    if (!take_value(&cl, "--rate", &rate_text))
        return EXIT_USAGE;
    if (rate_text && (!config_parse_size(rate_text, &rate) || !rate))
        return usage_error("--rate %s: must be bytes a second, such as 40M or 1G", rate_text);
    if (all && cl.argc)
        return usage_error("--all cannot be combined with barcodes; usage: s3vtl " USAGE);
    if (!check_arguments(&cl, all ? 0 : 1, !all, USAGE))
        return EXIT_USAGE;
    for (int i = 0; i < cl.argc; i++)
        if (!barcode_ok(cl.argv[i]))
            return usage_error(BARCODE_RULE, cl.argv[i]);
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    struct objstore_config oc;
    struct objstore *store = NULL;
    struct errtext err = {""};
    struct obj_call few = {.max_tries = 2};
    struct barcodes b = {0};
    (void)signal(SIGINT, interrupt);
    (void)signal(SIGTERM, interrupt);
    config_store(cfg, &oc);
    int rc = objstore_open(&oc, &store, &err), bad = 0;
    if (!rc)
        rc = store->ops->check(store, &few, &err);
    if (!rc)
        rc = collect(&cl, all, store, &b, &err);
    if (rc)
        fail("%s", err.text[0] ? err.text : strerror(-rc));
    json_t *results = json_array();
    for (size_t i = 0; !rc && i < b.n && !atomic_load(&interrupted); i++)
        bad |= verify_one(store, cfg, b.v[i], rate, resume, cl.json, results);
    if (!rc && cl.json)
        print_json(results);
    json_decref(results);
    free(b.v);
    if (store)
        store->ops->close(store);
    config_free(cfg);
    return rc || bad || atomic_load(&interrupted) ? EXIT_FAILED : EXIT_DONE;
}
