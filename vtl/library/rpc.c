/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rpc.c: the operations of the command, asked and answered in JSON: one table. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/human.h"
#include "base/jsontext.h"
#include "base/lock.h"
#include "base/many.h"
#include "vtl/format/barcode.h"
#include "vtl/format/cleaning.h"
#include "vtl/format/mam.h"
#include "vtl/library/library_private.h"
#include "vtl/library/names.h"
#include "vtl/library/reload.h"
#include "vtl/library/report.h"
#include "vtl/library/tapes.h"

#define FLUSH_WAIT_MS 10000

static json_t *integer(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *text_or_null(const char *s)
{
    return s && s[0] ? json_text(s) : json_null();
}

static json_t *elements_json(struct library *lib)
{
    json_t *list = json_array();
    size_t n;
    struct element *now = library_elements_now(lib, &n);
    for (size_t i = 0; now && i < n; i++) {
        const struct element *e = &now[i];
        json_array_append_new(list, json_pack("{s:i, s:s, s:o, s:o}", "address", (int)e->address, "type",
                                              element_type_name(e->type), "barcode", text_or_null(e->barcode), "source",
                                              e->source ? json_integer(e->source) : json_null()));
    }
    free(now);
    return list;
}

static const char *state_name(const struct tape_status *st, uint64_t flush_left)
{
    if (st->medium == TAPE_MEDIUM_NONE)
        return "empty";
    if (flush_left)
        return "flushing";
    if (st->activity == TAPE_IDLE && st->medium == TAPE_MEDIUM_UNLOADED)
        return "unloaded";
    if (st->activity == TAPE_IDLE && st->medium == TAPE_MEDIUM_CLEANING)
        return "cleaned";
    return activity_name(st->activity);
}

static struct element element_of_drive(struct library *lib, unsigned i)
{
    lock_take(&lib->lock);
    struct element e = *library_element(lib, (uint16_t)(ELEMENT_FIRST_DRIVE + i));
    lock_release(&lib->lock);
    return e;
}

static json_t *drives_json(struct library *lib)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < lib->n_drives; i++) {
        struct tape_status st;
        drive_tape_ops.status(lib->drives[i], &st);
        bool in = st.medium != TAPE_MEDIUM_NONE;
        uint64_t left = drive_flush_left(lib->drives[i]);
        struct tape_statistics sums;
        drive_tape_ops.statistics(lib->drives[i], &sums);
        struct element e = element_of_drive(lib, i);
        bool asleep = !lib->eng.workers && e.barcode[0]; /* nobody serves: it is in the drive, and not threaded */
        json_array_append_new(
            list,
            json_pack("{s:i, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "lun", (int)i + 2, "serial",
                      drive_serial(lib->drives[i]), "barcode", text_or_null(asleep ? e.barcode : st.barcode), "state",
                      asleep ? "unloaded" : state_name(&st, left), "file", in ? integer(st.file) : json_null(), "block",
                      in ? integer(st.object) : json_null(), "unsynced_bytes", integer(st.bytes_in_buffer),
                      "flush_left_bytes", integer(left), "written_bytes", integer(sums.drive.written_bytes),
                      "read_bytes", integer(sums.drive.read_bytes)));
    }
    return list;
}

/* Where it is; 0: on no element. */
static uint16_t address_of(struct library *lib, const char *barcode)
{
    lock_take(&lib->lock);
    const struct element *e = library_place(lib, barcode);
    uint16_t address = e ? e->address : 0;
    lock_release(&lib->lock);
    return address;
}

/* What only a listing of cartridges shows. */
static void add_details(struct library *lib, struct cartridge *c, const struct cartridge_view *v, json_t *j)
{
    uint16_t address = address_of(lib, cartridge_barcode(c));
    char *counters = usage_encode(&v->usage);
    struct tape_mam mam;
    cartridge_get_mam(c, &mam);
    json_object_set_new(j, "address", address ? json_integer(address) : json_null());
    if (v->loaded) {
        json_object_set_new(j, "segments", integer(v->segments));
        json_object_set_new(j, "files", integer(v->end_file));
        json_object_set_new(j, "objects", integer(v->end_object));
    }
    json_object_set_new(j, "modified", integer(v->modified));
    json_object_set_new(j, "mam", mam_show(&mam));
    json_object_set_new(j, "counters", json_loads(counters ? counters : "{}", 0, NULL));
    free(counters);
}

static json_t *cartridge_json(struct library *lib, struct cartridge *c, bool details)
{
    struct cartridge_view v;
    char head[SEG_NAME_SIZE] = "";
    cartridge_view(c, &v);
    if (v.head.epoch)
        seg_id_format(&v.head, head);
    /* What is written behind early warning, where the capacity ends, is part of neither. */
    uint64_t used = v.used_bytes < v.capacity ? v.used_bytes : v.capacity;
    json_t *j = json_pack("{s:s, s:o, s:o, s:i, s:b, s:b, s:b, s:o}", "barcode", cartridge_barcode(c), "used_bytes",
                          integer(used), "capacity_bytes", integer(v.capacity), "generation", cartridge_generation(c),
                          "worm", (int)v.worm, "write_protected", (int)v.write_protected, "committed",
                          (int)v.backlog.remote, "trouble", text_or_null(v.backlog.trouble));
    if (j) {
        library_amounts_json(lib, &v.backlog.amounts, j);
        json_object_set_new(j, "head", text_or_null(head));
        store_health_of(c, j);
        json_object_set_new(j, "fenced", json_boolean(v.backlog.fenced));
        json_object_set_new(j, "lost", json_boolean(v.backlog.spool_lost));
        json_object_set_new(j, "created", integer(v.created));
        json_object_set_new(j, "dedup", json_boolean(cartridge_dedups(c)));
        json_object_set_new(j, "retention", text_or_null(retention_name(v.retention.mode)));
        json_object_set_new(j, "retain_until", v.retention.mode ? integer(v.retention.until) : json_null());
        json_object_set_new(j, "locked", json_boolean(v.locked));
        json_object_set_new(j, "object_lock", text_or_null(retention_name(v.object_lock.mode)));
        json_object_set_new(j, "object_lock_until", v.object_lock.mode ? integer(v.object_lock.until) : json_null());
        json_object_set_new(j, "object_lock_due", json_boolean(v.object_lock_due));
    }
    if (j && v.usage.first_written)
        json_object_set_new(j, "first_written", integer(v.usage.first_written));
    if (j && v.backlog.since)
        json_object_set_new(j, "backlog_since", integer(v.backlog.since));
    if (j && v.usage.verified) {
        json_object_set_new(j, "lost_objects", integer(v.usage.lost_objects));
        json_object_set_new(j, "verified", integer(v.usage.verified));
    }
    if (j && barcode_is_cleaning(cartridge_barcode(c)))
        json_object_set_new(j, "cleanings_left", integer(cleaning_uses_left(&v.usage)));
    if (j && details)
        add_details(lib, c, &v, j);
    return j;
}

/* tapes_lock held: no cartridge is freed meanwhile. */
static json_t *cartridges_json(struct library *lib)
{
    json_t *list = json_array();
    for (size_t i = 0; i < lib->n_cartridges; i++)
        json_array_append_new(list, cartridge_json(lib, lib->cartridges[i], false));
    return list;
}

static void add_offsite(struct library *lib, json_t *j)
{
    struct obj_offsite last;
    struct errtext trouble;
    if (!atomic_load(&lib->eng.offsite.told))
        return;
    offsite_last(&lib->eng.offsite, &last, &trouble);
    json_object_set_new(j, "offsite",
                        json_pack("{s:o, s:o, s:o}", "missing_bytes", integer(last.missing), "why",
                                  text_or_null(last.why), "trouble", text_or_null(trouble.text)));
}

/* Bytes a second; null: none. */
static json_t *limit_json(uint64_t limit)
{
    return limit ? integer(limit) : json_null();
}

static json_t *store_json(struct library *lib)
{
    struct obj_health health;
    json_t *service = store_health_json(lib);
    struct obj_facts facts;
    json_t *advice = json_array();
    const char *line;
    objstore_health(lib->eng.store, &health);
    objstore_facts(lib->eng.store, &facts);
    for (unsigned i = 0; (line = objstore_advice(&facts, i)); i++)
        json_array_append_new(advice, json_string(line));
    json_t *j = json_pack("{s:o, s:o, s:o, s:s, s:o, s:o}", "trouble", text_or_null(health.text), "since_ms",
                          integer(health.since_ms), "advice", advice, "kind", obj_service_name(facts.service),
                          "upload_limit", limit_json(objstore_upload_limit(lib->eng.store)), "download_limit",
                          limit_json(objstore_download_limit(lib->eng.store)));
    if (j)
        add_offsite(lib, j);
    if (j && service)
        json_object_set(j, "health", service);
    json_decref(service);
    return j;
}

/* unsent_bytes falls as the store takes data; local_only_bytes in steps, whenever a head names what it took. */
static json_t *spool_json(struct library *lib, const struct library_amounts *amounts)
{
    uint64_t rate = engine_upload_rate(&lib->eng);
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o}", "unsent_bytes", integer(amounts->all.unsent - amounts->sent),
        "dirty_bytes", integer(atomic_load(&lib->eng.dirty_bytes)), "max_dirty",
        integer(atomic_load(&lib->eng.live.max_dirty)), "cache_bytes", integer(spool_cache_bytes(lib->eng.spool)),
        "cache_size", integer(atomic_load(&lib->eng.live.cache_size)), "dirty_limit",
        integer(engine_dirty_limit(&lib->eng)), "upload_rate", rate ? integer(rate) : json_null(), "durability",
        config_durability_name((enum durability)atomic_load(&lib->eng.live.durability)), "offsite_waiting_bytes",
        integer(offsite_waiting(&lib->eng.offsite)));
}

static json_t *op_status(struct library *lib, const json_t *request, struct errtext *err)
{
    (void)request;
    (void)err;
    struct library_amounts amounts;
    library_amounts(lib, &amounts);
    lock_take(&lib->lock);
    struct errtext warning = lib->warning;
    lock_release(&lib->lock);
    json_t *j = json_pack("{s:b, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "serving", lib->eng.workers != NULL,
                          "name", lib->cfg->library.name, "store", store_json(lib), "library", lib->id, "warning",
                          text_or_null(warning.text), "elements", elements_json(lib), "drives", drives_json(lib),
                          "cartridges", cartridges_json(lib), "spool", spool_json(lib, &amounts),
                          "local_only_cartridges", integer(amounts.local));
    if (j) {
        library_amounts_json(lib, &amounts.all, j);
        shares_add_sums(lib, j);
        json_t *blanks = blanks_json(lib);
        if (blanks)
            json_object_set_new(j, "blanks", blanks);
        uint64_t every = atomic_load(&lib->eng.live.verify_every);
        if (every)
            json_object_set_new(j, "verify_every", integer(every));
        json_object_set_new(j, "locks", locks_json(lib));
        json_object_set_new(j, "rules", rules_json(lib));
        json_t *quotas = quotas_json(lib);
        if (quotas)
            json_object_set_new(j, "quotas", quotas);
        json_object_set_new(j, "turn", integer(lib->turn));
        json_object_set_new(j, "handed_over", json_boolean(lib->handed_over));
        json_object_set_new(j, "taken_over", json_boolean(atomic_load(&lib->taken_over)));
    }
    return j;
}

/* All of status, and what happened since then. */
static json_t *op_report(struct library *lib, const json_t *request, struct errtext *err)
{
    json_t *j = op_status(lib, request, err);
    if (j && library_report_add(lib, request, j, err)) {
        json_decref(j);
        return NULL;
    }
    return j;
}

/* For the service manager, every few seconds: only what takes no lock that an operation of the command may hold. */
static json_t *op_pulse(struct library *lib, const json_t *request, struct errtext *err)
{
    struct obj_health health;
    (void)request;
    (void)err;
    objstore_health(lib->eng.store, &health);
    return json_pack("{s:o, s:o, s:i, s:i}", "trouble", text_or_null(health.text), "dirty_bytes",
                     integer(atomic_load(&lib->eng.dirty_bytes)), "log_level", atomic_load(&lib->eng.live.log_level),
                     "reloads", (int)atomic_load(&lib->n_reloads));
}

static json_t *op_tape_list(struct library *lib, const json_t *request, struct errtext *err)
{
    (void)request;
    (void)err;
    json_t *list = json_array();
    for (size_t i = 0; i < lib->n_cartridges; i++)
        json_array_append_new(list, cartridge_json(lib, lib->cartridges[i], true));
    return json_pack("{s:o, s:b}", "cartridges", list, "dedup", lib->eng.chunks != NULL);
}

static json_t *op_tape_show(struct library *lib, const json_t *request, struct errtext *err)
{
    const char *barcode = json_string_value(json_object_get(request, "barcode"));
    struct cartridge *c = barcode ? library_cartridge(lib, barcode) : NULL;
    if (!c) {
        errtext_set(err, -ENOENT, "%s: no such cartridge in this library", barcode ? barcode : "(no barcode)");
        return NULL;
    }
    if (cartridge_load(c, err))
        return NULL;
    json_t *j = cartridge_json(lib, c, true);
    cartridge_unload_if_clean(c);
    if (!j || !shares_add(lib, c, j, err))
        return j;
    json_decref(j);
    return NULL;
}

/* What is not in a head yet. */
struct not_remote {
    struct errtext waiting; /* the first cartridge of which something is not, in words; "" when there is none */
    struct errtext lost;    /* those that never will be, as their files are gone: in words */
    size_t n_waiting, n_lost;
};

static void add_lost(struct not_remote *n, const struct cartridge_backlog *b)
{
    size_t at = strlen(n->lost.text), len = strlen(b->trouble);
    const char *between = n->n_lost++ ? "; " : "";
    if (at + strlen(between) + len >= sizeof(n->lost.text))
        return; /* status has them all */
    memcpy(n->lost.text + at, between, strlen(between));
    memcpy(n->lost.text + at + strlen(between), b->trouble, len + 1);
}

static int not_remote(struct library *lib, struct not_remote *n, struct errtext *err)
{
    char size[HUMAN_ROOM];
    *n = (struct not_remote){.n_waiting = 0};
    for (size_t i = 0; i < lib->n_cartridges; i++) {
        struct cartridge *c = lib->cartridges[i];
        struct cartridge_backlog b;
        int rc = cartridge_flush(c);
        if (rc)
            return errtext_set(err, rc, "%s: spool: %s", cartridge_barcode(c), strerror(-rc));
        cartridge_backlog(c, &b);
        if (b.remote)
            continue;
        if (b.fenced)
            return errtext_set(err, -EPERM, "%s: %s can never be stored: %s", cartridge_barcode(c),
                               human_size(b.amounts.local, size), b.trouble);
        if (b.lost)
            add_lost(n, &b);
        else if (!n->n_waiting++)
            errtext_set(&n->waiting, 0, "%s: %s %s only on this disk%s%s", cartridge_barcode(c),
                        b.amounts.local ? human_size(b.amounts.local, size) : "a change",
                        b.amounts.local ? "are" : "is", b.trouble[0] ? ": " : "", b.trouble);
    }
    return 0;
}

static json_t *flush_json(struct library *lib, const struct not_remote *n, bool offsite)
{
    struct library_amounts amounts;
    struct errtext why = {""};
    library_amounts(lib, &amounts);
    if (!offsite && !n->n_waiting)
        offsite_why(&lib->eng.offsite, &why);
    json_t *j = json_pack("{s:b, s:b, s:o}", "remote", !n->n_waiting, "offsite", !n->n_waiting && offsite, "waiting",
                          text_or_null(n->n_waiting ? n->waiting.text : why.text));
    if (j)
        library_amounts_json(lib, &amounts.all, j);
    return j;
}

/* Waits only a short while, as the client may hang up and no cartridge can be made meanwhile, and not beside somebody who
 * wants to make one. The client asks again. */
static json_t *wait_all(struct library *lib, bool want_offsite, uint64_t timeout_ms, struct errtext *err)
{
    bool offsite = !want_offsite;
    uint64_t until = clock_ms() + (timeout_ms < FLUSH_WAIT_MS ? timeout_ms : FLUSH_WAIT_MS);
    struct not_remote n;
    for (;;) {
        uint64_t seen = progress_now(&lib->eng.progress);
        if (not_remote(lib, &n, err))
            return NULL;
        if (n.n_waiting && (!lib->eng.workers || atomic_load(&lib->no_waiting))) {
            errtext_set(err, -EAGAIN, "%s; only a library that serves stores it", n.waiting.text);
            return NULL;
        }
        if (!n.n_waiting && n.n_lost) {
            *err = n.lost;
            return NULL;
        }
        if (want_offsite && !n.n_waiting) {
            offsite = library_is_offsite(lib);
            offsite_want(&lib->eng.offsite);
        }
        if ((!n.n_waiting && offsite) || clock_ms() >= until || atomic_load(&lib->n_changing))
            break;
        progress_wait(&lib->eng.progress, seen, 500);
    }
    return flush_json(lib, &n, offsite);
}

/* -ENOTSUP or -EAGAIN with the line for it, where nobody can say so. */
static int may_ask_offsite(struct library *lib, struct errtext *err)
{
    if (lib->eng.workers && !atomic_load(&lib->eng.offsite.told))
        return errtext_set(
            err, -ENOTSUP,
            "what of the data is off-site is not known: renterd and s3d tell it by their admin interface, "
            "[store] admin_url; where all that the store accepted is, set kind = s3");
    if (!lib->eng.workers || atomic_load(&lib->no_waiting))
        return errtext_set(err, -EAGAIN, "what of the data is off-site only a library that serves finds out");
    return 0;
}

/* How safe all is when a flush returns: for the last line of serve. */
static json_t *amounts_json(struct library *lib)
{
    struct library_amounts amounts;
    json_t *j = json_object();
    library_amounts(lib, &amounts);
    if (j)
        library_amounts_json(lib, &amounts.all, j);
    return j;
}

/* Is the flush to go on until the store has all? */
static bool wants_store(const json_t *request)
{
    return json_is_true(json_object_get(request, "offsite")) || json_is_true(json_object_get(request, "remote"));
}

/* Serve's stop: from now on drives take nothing, so that what is flushed is all that there is, and what waits for room ends. */
static void begin_stop(struct library *lib)
{
    atomic_store(&lib->eng.stopping, true);
    progress_post(&lib->eng.progress);
}

/* What goes wrong with one tape stops none of the others: neither what its spool has lost (-ENODATA), nor that another gateway
 * has it. Only whoever waited for the store as long as may be, or is to wait no longer, ends it. Returns the first error, but
 * for a loss, which comes last. */
static int flush_drives(struct library *lib, struct errtext *err)
{
    int worst = 0;
    for (unsigned i = 0; i < lib->n_drives && worst != -ETIMEDOUT && worst != -ECANCELED; i++) {
        struct errtext why = {""};
        int rc = drive_flush(lib->drives[i], &lib->no_waiting, &why);
        if (!rc || (worst && worst != -ENODATA))
            continue;
        worst = rc;
        *err = why;
    }
    return worst;
}

static json_t *op_flush(struct library *lib, const json_t *request, struct errtext *err)
{
    if (json_is_true(json_object_get(request, "stop")))
        begin_stop(lib);
    int rc = flush_drives(lib, err);
    if (rc && rc != -ENODATA)
        return NULL;
    bool lost = rc;
    json_int_t ms = json_integer_value(json_object_get(request, "timeout_ms"));
    bool offsite = json_is_true(json_object_get(request, "offsite"));
    if (offsite && may_ask_offsite(lib, err))
        return NULL;
    if (wants_store(request))
        return wait_all(lib, offsite, ms > 0 ? (uint64_t)ms : 0, err);
    json_t *j = lost ? NULL : amounts_json(lib);
    if (j)
        json_object_set_new(j, "hand_over", json_boolean(atomic_load(&lib->hand_over)));
    return j;
}

/* Serve's, once it waits for the flush no longer. */
static json_t *op_end(struct library *lib, const json_t *request, struct errtext *err)
{
    library_stop_waiting(lib);
    return op_pulse(lib, request, err);
}

static json_t *op_each(struct library *lib, const json_t *request, struct errtext *err);

static const struct {
    const char *name;
    json_t *(*run)(struct library *lib, const json_t *request, struct errtext *err);
    bool changes; /* adds or removes cartridges: runs alone, and no move meanwhile */
    bool waits;   /* may take long by itself */
    bool alone;   /* needs no list of cartridges, and so never waits for whoever changes it */
} table[] = {
    {"pulse", op_pulse, .alone = true},
    {"figures", library_figures, .alone = true},
    {"happenings", library_happenings, .alone = true},
    {"happened", library_happened, .alone = true},
    {"status", op_status, .waits = false},
    {"report", op_report, .waits = false},
    {"tape-list", op_tape_list, .waits = false},
    {"tape-show", op_tape_show, .waits = false},
    {"flush", op_flush, .waits = true},
    {"end", op_end, .alone = true},
    {"tape-create", tapes_create, .changes = true, .waits = true},
    {"tape-remove", tapes_remove, .changes = true, .waits = true},
    {"tape-lock", tapes_lock, .changes = true, .waits = true},
    {"tape-protect", tapes_protect, .changes = true, .waits = true},
    {"tape-export", tapes_export, .changes = true, .waits = true},
    {"tape-import", tapes_import, .changes = true, .waits = true},
    {"tape-move", tapes_move, .waits = true},
    {"tape-claim", tapes_claim, .changes = true, .waits = true},
    {"tape-gc", tapes_gc, .waits = true},
    {"tape-verified", tapes_verified, .waits = true},
    {"strangers", tapes_strangers, .waits = true},
    {"vanished", tapes_vanished, .waits = true},
    {"each", op_each, .waits = true},
    {"handover", library_begin_handover, .alone = true},
    {"reload", library_reload, .waits = true, .alone = true},
};
#define N_OPS (sizeof(table) / sizeof(table[0]))

/* N_OPS: there is none of that name. */
static size_t find_op(const json_t *request)
{
    const char *op = json_string_value(json_object_get(request, "op"));
    size_t i = 0;
    while (op && i < N_OPS && strcmp(op, table[i].name) != 0)
        i++;
    return op ? i : N_OPS;
}

/* ---- many of them, side by side ---- */

struct each {
    struct library *lib;
    const json_t *requests;
    json_t **answers; /* as the control socket gives them */
    json_t *list;
};

static void answer_one(void *arg, size_t n)
{
    struct each *e = arg;
    const json_t *request = json_array_get(e->requests, n);
    size_t i = find_op(request);
    struct errtext err = {"not an operation that may be one of many"};
    json_t *result = NULL;
    if (i < N_OPS && !table[i].changes && !table[i].alone && table[i].run != op_each) {
        err.text[0] = '\0';
        result = table[i].run(e->lib, request, &err);
    }
    e->answers[n] =
        result ? json_pack("{s:b, s:o}", "ok", 1, "result", result)
               : json_pack("{s:b, s:o}", "ok", 0, "error", json_text(err.text[0] ? err.text : "out of memory"));
}

static int take_answer(void *arg, size_t n)
{
    struct each *e = arg;
    json_t *answer = e->answers[n];
    e->answers[n] = NULL;
    return json_array_append_new(e->list, answer) ? -ENOMEM : 0;
}

/* With tapes_lock read, for all of them. */
static json_t *op_each(struct library *lib, const json_t *request, struct errtext *err)
{
    struct each e = {.lib = lib, .requests = json_object_get(request, "requests"), .list = json_array()};
    size_t n = json_array_size(e.requests);
    e.answers = calloc(n + 1, sizeof(json_t *));
    const struct many m = {
        .n = n, .parallel = config_requests(lib->cfg), .work = answer_one, .done = take_answer, .arg = &e};
    int rc = e.answers ? many_run(&m) : -ENOMEM;
    for (size_t i = 0; e.answers && i < n; i++)
        json_decref(e.answers[i]);
    free(e.answers);
    if (!rc)
        return json_pack("{s:o}", "answers", e.list);
    json_decref(e.list);
    errtext_set(err, rc, "each: out of memory");
    return NULL;
}

/* What walks over cartridges waits for whoever makes or removes some. */
bool library_call_waits(const json_t *request)
{
    size_t i = find_op(request);
    return i < N_OPS && (table[i].waits || !table[i].alone);
}

/* Serve's, at its end, which is not to wait for anybody's store. */
static bool is_stop(size_t i, const json_t *request)
{
    return table[i].run == op_flush && !wants_store(request);
}

/* Readers come first at that lock, so that status never waits for who only waits. What may take long comes after those: two
 * that begin in turns would keep them waiting for ever. */
static void begin_reading(struct library *lib, bool for_long)
{
    while (for_long && atomic_load(&lib->n_changing)) {
        uint64_t seen = progress_now(&lib->eng.progress);
        if (atomic_load(&lib->n_changing))
            progress_wait(&lib->eng.progress, seen, 500);
    }
    rwlock_read(&lib->tapes_lock);
}

static json_t *run(struct library *lib, size_t i, const json_t *request, struct errtext *err)
{
    if (table[i].alone)
        return table[i].run(lib, request, err);
    if (table[i].changes)
        library_begin_change(lib);
    else
        begin_reading(lib, table[i].waits && !is_stop(i, request));
    json_t *result = table[i].run(lib, request, err);
    if (table[i].changes)
        library_end_change(lib);
    else
        rwlock_release(&lib->tapes_lock);
    return result;
}

json_t *library_call(struct library *lib, const json_t *request, struct errtext *err)
{
    const char *op = json_string_value(json_object_get(request, "op"));
    struct errtext own = {""};
    size_t i = find_op(request);
    err = err ? err : &own;
    err->text[0] = '\0';
    if (i == N_OPS) {
        errtext_set(err, -EINVAL, "unknown operation %s", op ? op : "(none)");
        return NULL;
    }
    json_t *result = run(lib, i, request, err);
    if (!result && !err->text[0])
        errtext_set(err, -ENOMEM, "%s: out of memory", op);
    return result;
}
