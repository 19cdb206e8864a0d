/* SPDX-License-Identifier: GPL-2.0-or-later */
/* metrics_text.c: every metric: its name, its kind, and where in the library's answers its figure is. docs/monitoring.md
 * lists them. */
#include "vtl/cmd/metrics_text.h"

#include <string.h>

#include "base/version.h"

/* ---- the format ---- */

static void family(struct strbuf *out, const char *name, const char *type, const char *help)
{
    strbuf_addf(out, "# HELP s3vtl_%s %s\n# TYPE s3vtl_%s %s\n", name, help, name, type);
}

/* A label's value, with what would end it escaped. */
static void add_label(struct strbuf *out, const char *name, const char *value)
{
    strbuf_addf(out, "%s=\"", name);
    for (const char *p = value ? value : ""; *p; p++)
        switch (*p) {
        case '\\':
        case '"':
            strbuf_addf(out, "\\%c", *p);
            break;
        case '\n':
            strbuf_adds(out, "\\n");
            break;
        default:
            strbuf_add(out, p, 1);
        }
    strbuf_adds(out, "\"");
}

static void sample(struct strbuf *out, const char *name, double value)
{
    strbuf_addf(out, "s3vtl_%s %.15g\n", name, value);
}

static void labelled(struct strbuf *out, const char *name, const char *label, const char *of, double value)
{
    strbuf_addf(out, "s3vtl_%s{", name);
    add_label(out, label, of);
    strbuf_addf(out, "} %.15g\n", value);
}

static double number(const json_t *j, const char *key)
{
    return (double)json_integer_value(json_object_get(j, key));
}

static const char *text(const json_t *j, const char *key)
{
    return json_string_value(json_object_get(j, key));
}

static void one(struct strbuf *out, const char *name, const char *help, double value)
{
    family(out, name, "gauge", help);
    sample(out, name, value);
}

/* ---- the store, the spool, the cache ---- */

static void add_requests(struct strbuf *out, const json_t *list)
{
    static const struct {
        const char *name, *help, *key;
        double unit;
    } counters[] = {
        {"store_requests_total", "Requests sent to the store, each try counted.", "requests", 1},
        {"store_request_seconds_total", "Time that these requests took.", "microseconds", 1e6},
        {"store_sent_bytes_total", "Bytes of objects that the store took.", "sent_bytes", 1},
        {"store_received_bytes_total", "Bytes of objects that came from the store.", "received_bytes", 1},
    };
    size_t n;
    const json_t *r, *count;
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        family(out, counters[i].name, "counter", counters[i].help);
        json_array_foreach(list, n, r) labelled(out, counters[i].name, "request", text(r, "request"),
                                                number(r, counters[i].key) / counters[i].unit);
    }
    family(out, "store_request_failures_total", "counter", "Requests that failed, by what went wrong.");
    json_array_foreach(list, n, r)
    {
        const char *kind;
        json_t *failures = json_object_get(r, "failures");
        json_object_foreach(failures, kind, count)
        {
            strbuf_adds(out, "s3vtl_store_request_failures_total{");
            add_label(out, "request", text(r, "request"));
            strbuf_adds(out, ",");
            add_label(out, "failure", kind);
            strbuf_addf(out, "} %.15g\n", (double)json_integer_value(count));
        }
    }
}

/* Where the store does not tell, there is none of it. */
static void add_offsite(struct strbuf *out, const json_t *o)
{
    if (!o)
        return;
    one(out, "store_missing_bytes", "What the store's service has on its own disk only, of all that it stores.",
        number(o, "missing_bytes"));
    one(out, "store_offsite_trouble", "1 while what is off-site cannot be found out, or the store fails to hurry.",
        text(o, "trouble") != NULL);
}

/* Each family is there always; where the service does not tell, there is none of it. */
static void add_health(struct strbuf *out, const json_t *h)
{
    static const char *const severities[] = {"warning", "critical"};
    const json_t *worst = json_object_get(h, "worst"), *f;
    family(out, "store_health", "gauge",
           "Health of the worst object, as the store's service tells: 1 is as it should be.");
    if (json_is_number(worst))
        sample(out, "store_health", json_number_value(worst));
    family(out, "store_health_trouble", "gauge", "1 while the state of the store's service cannot be found out.");
    if (h)
        sample(out, "store_health_trouble", text(h, "trouble") != NULL);
    family(out, "store_findings", "gauge", "What the store's service lacks to keep data, or to take more.");
    for (size_t i = 0; h && i < sizeof(severities) / sizeof(severities[0]); i++) {
        size_t k, n = 0;
        json_array_foreach(json_object_get(h, "findings"), k, f) n +=
            text(f, "severity") && !strcmp(text(f, "severity"), severities[i]);
        labelled(out, "store_findings", "severity", severities[i], (double)n);
    }
}

static void add_figures(struct strbuf *out, const json_t *f)
{
    one(out, "store_trouble", "1 while requests to the store fail or do not get on.",
        json_is_true(json_object_get(f, "trouble")));
    one(out, "store_trouble_seconds", "How long the store has been in trouble.", number(f, "trouble_ms") / 1000);
    if (text(f, "store_type") && !strcmp(text(f, "store_type"), "s3"))
        add_requests(out, json_object_get(f, "requests"));
    one(out, "spool_dirty_bytes", "Bytes in the spool that the store does not have yet.", number(f, "dirty_bytes"));
    one(out, "spool_dirty_limit_bytes", "Where WRITE waits now: max_dirty, or less with durability = remote.",
        number(f, "dirty_limit"));
    one(out, "spool_max_dirty_bytes", "The setting max_dirty.", number(f, "max_dirty"));
    one(out, "cache_bytes", "Stored segments that are kept on this disk.", number(f, "cache_bytes"));
    one(out, "cache_size_bytes", "The setting cache_size.", number(f, "cache_size"));
}

/* ---- elements, drives, cartridges ---- */

static void add_elements(struct strbuf *out, const json_t *list)
{
    static const char *const types[] = {"transport", "slot", "import_export", "drive"};
    for (int full = 0; full < 2; full++) {
        const char *name = full ? "elements_full" : "elements";
        family(out, name, "gauge", full ? "Elements that hold a cartridge." : "Elements of the library.");
        for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
            size_t i, count = 0;
            const json_t *e;
            json_array_foreach(list, i, e) count +=
                text(e, "type") && !strcmp(text(e, "type"), types[t]) && (!full || text(e, "barcode"));
            labelled(out, name, "type", types[t], (double)count);
        }
    }
}

enum kind {
    NUMBER, /* as it is */
    FLAG,   /* 1 if it is true, or a text */
    AGE,    /* of seconds since 1970: how long ago; 0 where there is none */
};

struct column {
    const char *name, *help, *key;
    enum kind kind;
};

/* False: it has none. */
static bool value_of(const json_t *j, const struct column *c, uint64_t now, double *out)
{
    const json_t *v = json_object_get(j, c->key);
    double since = json_number_value(v);
    if (c->kind == FLAG)
        *out = v && !json_is_null(v) && !json_is_false(v);
    else if (c->kind == AGE)
        *out = v && since < (double)now ? (double)now - since : 0;
    else
        *out = since;
    return c->kind != NUMBER || json_is_number(v);
}

static void add_columns(struct strbuf *out, const json_t *list, const char *label, const struct column *c, uint64_t now)
{
    size_t i;
    const json_t *j;
    double value;
    family(out, c->name, "gauge", c->help);
    json_array_foreach(list, i, j) if (value_of(j, c, now, &value))
        labelled(out, c->name, label, text(j, label), value);
}

static void add_drives(struct strbuf *out, const json_t *list, uint64_t now)
{
    static const struct column columns[] = {
        {"drive_loaded", "1 while a cartridge is in the drive.", "barcode", FLAG},
        {"drive_unsynced_bytes", "Bytes that are acknowledged and that no sync has made safe.", "unsynced_bytes",
         NUMBER},
        {"drive_flush_left_bytes", "Bytes that a flush which runs still waits for.", "flush_left_bytes", NUMBER},
    };
    size_t i;
    const json_t *d;
    for (i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        add_columns(out, list, "serial", &columns[i], now);
    family(out, "drive_info", "gauge", "1; what is in the drive, and what it does, are labels.");
    json_array_foreach(list, i, d)
    {
        strbuf_adds(out, "s3vtl_drive_info{");
        add_label(out, "serial", text(d, "serial"));
        strbuf_addf(out, ",drive=\"%zu\",", i);
        add_label(out, "barcode", text(d, "barcode"));
        strbuf_adds(out, ",");
        add_label(out, "state", text(d, "state"));
        strbuf_adds(out, "} 1\n");
    }
}

static void add_cartridges(struct strbuf *out, const json_t *list, uint64_t now)
{
    static const struct column columns[] = {
        {"cartridge_used_bytes", "What the host wrote on it.", "used_bytes", NUMBER},
        {"cartridge_capacity_bytes", "What it can hold.", "capacity_bytes", NUMBER},
        {"cartridge_stored_bytes", "Its segments that the store has.", "stored_bytes", NUMBER},
        {"cartridge_offsite_bytes", "What of these is off-site; none where the store does not tell.", "offsite_bytes",
         NUMBER},
        {"cartridge_backlog_bytes", "Bytes that no head in the store names yet.", "local_only_bytes", NUMBER},
        {"cartridge_backlog_age_seconds", "How long the oldest of them have waited.", "backlog_since", AGE},
        {"cartridge_health", "Health of its worst object in the store; none where the store does not tell.", "health",
         NUMBER},
        {"cartridge_weak_objects", "Its objects whose health is below health_warning; the same.", "weak_objects",
         NUMBER},
        {"cartridge_fenced", "1 if another gateway owns it: this one may not write it.", "fenced", FLAG},
        {"cartridge_trouble", "1 if status tells of trouble with it.", "trouble", FLAG},
        {"cartridge_damaged_objects", "Blocks and filemarks that the last verify could not read; none before a verify.",
         "lost_objects", NUMBER},
        {"cartridge_verified_timestamp_seconds", "When it was verified last; none before.", "verified", NUMBER},
    };
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        add_columns(out, list, "barcode", &columns[i], now);
}

static void add_quotas(struct strbuf *out, const json_t *list, uint64_t now)
{
    static const struct column columns[] = {
        {"quota_limit_bytes", "What cartridges of a pattern may take in the store.", "limit_bytes", NUMBER},
        {"quota_used_bytes", "What they take.", "used_bytes", NUMBER},
        {"quota_near", "1 if no more is left than jobs need to end: tapes are full.", "near", FLAG},
        {"quota_full_timestamp_seconds", "When all of it will be used, as it grows; none while nobody can say.",
         "full_on", NUMBER},
    };
    for (size_t i = 0; list && i < sizeof(columns) / sizeof(columns[0]); i++)
        add_columns(out, list, "cartridges", &columns[i], now);
}

static void add_locks(struct strbuf *out, const json_t *locks)
{
    one(out, "cartridges_locked", "Those of them that retention locks.", number(locks, "locked"));
    one(out, "cartridges_object_lock_waiting", "Those of them whose objects the store is still to lock.",
        number(locks, "object_lock_waiting"));
    one(out, "next_unlock_timestamp_seconds", "When the first of these locks ends; 0: there is none.",
        number(locks, "next_end"));
}

/* Without [dedup] there is none of it. */
static void add_dedup(struct strbuf *out, const json_t *d)
{
    if (!d)
        return;
    one(out, "dedup_host_bytes", "What hosts wrote on all cartridges.", number(d, "host_bytes"));
    one(out, "dedup_own_bytes", "What of that is kept for it, in the store or still on this disk.",
        number(d, "own_bytes"));
    one(out, "dedup_index_bytes", "Size of dedup.db.", number(d, "index_bytes"));
    one(out, "dedup_listed_segments", "Segments whose chunks are in it.", number(d, "listed_segments"));
    family(out, "dedup_chunks_found_total", "counter", "Chunks that were looked for, and are in other segments.");
    sample(out, "dedup_chunks_found_total", number(d, "chunks_found"));
    family(out, "dedup_lists_loaded_total", "counter", "Lists of chunks that were read from this disk for that.");
    sample(out, "dedup_lists_loaded_total", number(d, "lists_loaded"));
}

static void add_status(struct strbuf *out, const json_t *s, uint64_t now)
{
    one(out, "library_warning", "1 if status warns of something that concerns the whole library.",
        text(s, "warning") != NULL);
    add_offsite(out, json_object_get(json_object_get(s, "store"), "offsite"));
    add_health(out, json_object_get(json_object_get(s, "store"), "health"));
    add_elements(out, json_object_get(s, "elements"));
    add_drives(out, json_object_get(s, "drives"), now);
    one(out, "cartridges", "Cartridges, in elements and on the shelf.",
        (double)json_array_size(json_object_get(s, "cartridges")));
    add_cartridges(out, json_object_get(s, "cartridges"), now);
    add_locks(out, json_object_get(s, "locks"));
    add_quotas(out, json_object_get(s, "quotas"), now);
    add_dedup(out, json_object_get(s, "dedup"));
}

static void add_escrow(struct strbuf *out, const struct metrics_seen *s)
{
    uint64_t waits = s->escrow_waits && s->escrow_waits < s->now ? s->now - s->escrow_waits : 0;
    one(out, "escrow_timestamp_seconds", "When the newest escrow was made; 0: there is none.",
        (double)s->escrow_created);
    one(out, "escrow_waiting_seconds", "How long something is committed already that no escrow knows.", (double)waits);
    one(out, "escrow_trouble", "1 if status warns of the escrow: it is too old, or none can be made.",
        s->escrow_trouble);
}

void metrics_text(const struct metrics_seen *s, struct strbuf *out)
{
    one(out, "up", "1 if the library answered in time.", s->figures != NULL);
    one(out, "status_up", "1 if it also told of its drives and cartridges: without, their metrics are missing.",
        s->status != NULL);
    family(out, "build_info", "gauge", "1; the version is a label.");
    labelled(out, "build_info", "version", S3VTL_VERSION, 1);
    if (s->disk_size) {
        one(out, "disk_free_bytes", "Free on the file system of state_dir.", (double)s->disk_free);
        one(out, "disk_size_bytes", "Size of that file system.", (double)s->disk_size);
    }
    if (s->has_escrow)
        add_escrow(out, s);
    if (s->figures)
        add_figures(out, s->figures);
    if (s->status)
        add_status(out, s->status, s->now);
}
