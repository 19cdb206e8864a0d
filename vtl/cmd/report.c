/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report.c: s3vtl report: what was written, by whom, and how safe it is; for a person, a program, or a mail. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/jsontext.h"
#include "base/strbuf.h"
#include "vtl/cmd/cmd.h"
#include "vtl/cmd/escrow.h"
#include "vtl/cmd/mail.h"
#include "vtl/cmd/report_judge.h"

#define USAGE "report [--since TIME] [--mail ADDRESS]"
enum { LINE = 1000 };

static const json_t *cartridge_of(const json_t *r, const char *barcode)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(r, "cartridges"), i, c) if (!strcmp(json_words(c, "barcode"), barcode)) return c;
    return NULL;
}

static const char *when(const json_t *j, const char *key, char buf[HUMAN_ROOM])
{
    return human_time((uint64_t)json_number(j, key), buf);
}

/* What a host says of itself may be anything, and this goes to a terminal or into a mail: one line, without escapes. */
static void add_words(struct strbuf *out, const char *s)
{
    for (; *s; s++)
        strbuf_add(out, (unsigned char)*s < ' ' || *s == 0x7f ? "?" : s, 1);
}

/* ---- what was written ---- */

static void add_verified(struct strbuf *out, const json_t *c)
{
    char time[HUMAN_ROOM];
    json_int_t lost = json_number(c, "lost_objects");
    if (!json_number(c, "verified") && !lost)
        strbuf_adds(out, "    never verified\n");
    else if (lost)
        strbuf_addf(out, "    verified %s: DAMAGED, %lld objects cannot be read\n", when(c, "verified", time),
                    (long long)lost);
    else
        strbuf_addf(out, "    verified %s, all good\n", when(c, "verified", time));
}

/* Where the store tells of it. What it has on its own disk only may be of this entry or of another on the same tape. */
static void add_offsite(struct strbuf *out, const json_t *r, const json_t *c)
{
    char size[HUMAN_ROOM];
    if (!json_object_get(r, "offsite_bytes"))
        return;
    if (json_number(c, "accepted_bytes"))
        strbuf_addf(out, "; %s of the tape not off-site yet", json_size(c, "accepted_bytes", size));
    else
        strbuf_adds(out, "; off-site");
}

static void add_written(struct strbuf *out, const json_t *r, const json_t *w)
{
    char size[HUMAN_ROOM], a[HUMAN_ROOM], b[HUMAN_ROOM];
    const char *host = json_string_value(json_object_get(w, "host")), *barcode = json_words(w, "barcode");
    const char *address = json_string_value(json_object_get(w, "address"));
    strbuf_addf(out, "%s  %s by ", barcode, json_size(w, "bytes", size));
    add_words(out, host && host[0] ? host : "an unknown host");
    if (address && address[0])
        strbuf_addf(out, " (%s)", address);
    strbuf_addf(out, "\n    written %s to %s\n", when(w, "began", a), when(w, "last_written", b));
    if (json_number(w, "synced"))
        strbuf_addf(out, "    acknowledged %s; ", when(w, "synced", a));
    else
        strbuf_adds(out, "    no sync came behind it; ");
    if (json_number(w, "accepted"))
        strbuf_addf(out, "accepted by the store %s", when(w, "accepted", a));
    else
        strbuf_adds(out, "not accepted by the store yet");
    if (json_number(w, "accepted") && json_is_true(json_object_get(w, "in_library")))
        add_offsite(out, r, cartridge_of(r, barcode));
    strbuf_adds(out, "\n");
    if (json_is_true(json_object_get(w, "in_library")))
        add_verified(out, cartridge_of(r, barcode));
    else
        strbuf_adds(out, "    no longer in this library: removed, or on the shelf\n");
}

static void add_all_written(struct strbuf *out, const json_t *r)
{
    size_t i;
    json_t *w;
    strbuf_adds(out, "\nWRITTEN\n");
    json_array_foreach(json_object_get(r, "written"), i, w) add_written(out, r, w);
    if (!json_array_size(json_object_get(r, "written")))
        strbuf_adds(out, "nothing\n");
}

/* ---- what is only on this disk, and what is wrong ---- */

static void add_local(struct strbuf *out, const json_t *r)
{
    size_t i, n = 0;
    json_t *c;
    char size[HUMAN_ROOM], time[HUMAN_ROOM], age[HUMAN_ROOM];
    strbuf_adds(out, "\nONLY ON THIS DISK\n");
    json_array_foreach(json_object_get(r, "cartridges"), i, c)
    {
        json_int_t since = json_number(c, "backlog_since"), now = json_number(r, "now");
        if (!json_number(c, "local_only_bytes"))
            continue;
        n++;
        strbuf_addf(out, "%s  %s since %s (%s)\n", json_words(c, "barcode"), json_size(c, "local_only_bytes", size),
                    when(c, "backlog_since", time), human_duration(now > since ? (uint64_t)(now - since) : 0, age));
    }
    if (!n)
        strbuf_adds(out, "nothing\n");
}

static void add_trouble(struct strbuf *out, const json_t *r)
{
    size_t i;
    json_t *j;
    char a[HUMAN_ROOM], b[HUMAN_ROOM], weak[100];
    strbuf_adds(out, "\nTROUBLE\n");
    size_t empty = out->len;
    const json_t *store = json_object_get(r, "store");
    if (json_is_string(json_object_get(r, "warning")))
        strbuf_addf(out, "%s\n", json_words(r, "warning"));
    if (json_is_string(json_object_get(json_object_get(r, "escrow"), "trouble")))
        strbuf_addf(out, "%s\n", json_words(json_object_get(r, "escrow"), "trouble"));
    if (json_is_string(json_object_get(json_object_get(r, "locks"), "object_lock_trouble")))
        strbuf_addf(out, "the store does not lock what is to be locked: %s\n",
                    json_words(json_object_get(r, "locks"), "object_lock_trouble"));
    if (json_is_string(json_object_get(store, "trouble")))
        strbuf_addf(out, "the store, for %s: %s\n", human_duration((uint64_t)json_number(store, "since_ms") / 1000, a),
                    json_words(store, "trouble"));
    json_array_foreach(json_object_get(r, "cartridges"), i, j) if (json_is_string(json_object_get(j, "trouble")))
        strbuf_addf(out, "%s: %s\n", json_words(j, "barcode"), json_words(j, "trouble"));
    json_array_foreach(json_object_get(json_object_get(store, "health"), "findings"), i, j)
        strbuf_addf(out, "%s: %s\n", json_words(j, "severity"), json_words(j, "text"));
    json_array_foreach(json_object_get(r, "cartridges"), i, j) if (weak_text(j, weak, sizeof(weak)))
        strbuf_addf(out, "%s: %s\n", json_words(j, "barcode"), weak);
    json_array_foreach(json_object_get(r, "cartridges"), i, j) if (json_number(j, "lost_objects"))
        strbuf_addf(out, "%s: damaged: %lld objects cannot be read, as found %s\n", json_words(j, "barcode"),
                    (long long)json_number(j, "lost_objects"), when(j, "verified", a));
    json_array_foreach(json_object_get(r, "happenings"), i, j) strbuf_addf(
        out, "%s to %s: %s [%s]\n", when(j, "began", a), json_number(j, "ended") ? when(j, "ended", b) : "now",
        json_words(j, "text"), json_words(j, "event"));
    if (out->len == empty)
        strbuf_adds(out, "none\n");
}

static void compose(struct strbuf *out, const json_t *r, const char *line)
{
    char a[HUMAN_ROOM], b[HUMAN_ROOM];
    strbuf_addf(out, "%s\n", line);
    strbuf_addf(out, "library %s, from %s to %s\n", json_words(r, "name"), when(r, "since", a), when(r, "now", b));
    strbuf_addf(out, "only on this disk      %s\n", json_size(r, "local_only_bytes", a));
    strbuf_addf(out, "accepted by the store  %s\n", json_size(r, "accepted_bytes", a));
    if (json_object_get(r, "offsite_bytes"))
        strbuf_addf(out, "off-site               %s\n", json_size(r, "offsite_bytes", a));
    if (json_number(json_object_get(r, "escrow"), "created"))
        strbuf_addf(out, "catalogue in escrow    %s\n", when(json_object_get(r, "escrow"), "created", a));
    add_all_written(out, r);
    add_local(out, r);
    add_trouble(out, r);
}

/* ---- the command ---- */

static int unknown(const char *why)
{
    printf("S3VTL %s - %s\n", report_level_name(REPORT_UNKNOWN), why);
    return REPORT_UNKNOWN;
}

static int print_report(const json_t *r, const char *line, enum report_level level, bool json)
{
    char figures[LINE];
    struct strbuf text = {.data = NULL};
    if (json) {
        json_t *all = json_copy((json_t *)(uintptr_t)r);
        json_object_set_new(all, "level", json_string(report_level_name(level)));
        json_object_set_new(all, "summary", json_text(line));
        print_json(all);
        json_decref(all);
        return (int)level;
    }
    compose(&text, r, line);
    report_figures(r, figures, sizeof(figures));
    size_t first = strcspn(strbuf_str(&text), "\n");
    printf("%.*s | %s%s", (int)first, strbuf_str(&text), figures, strbuf_str(&text) + first);
    strbuf_free(&text);
    return (int)level;
}

/* Its exit status is that of the report, too: a timer's unit that failed says so without a mail. */
static int mail_report(const json_t *r, const char *line, enum report_level level, const char *to)
{
    struct errtext err = {""};
    struct strbuf text = {.data = NULL};
    compose(&text, r, line);
    int rc = mail_send(to, line, strbuf_str(&text), &err);
    strbuf_free(&text);
    if (!rc)
        return (int)level;
    (void)fail("%s", err.text);
    return REPORT_UNKNOWN;
}

int cmd_report(const struct command_line *given)
{
    struct command_line cl = *given;
    const char *since = NULL, *to = NULL;
    uint64_t ms = 0;
    char line[LINE];
    if (!take_value(&cl, "--since", &since) || !take_value(&cl, "--mail", &to) ||
        !check_arguments(&cl, 0, false, USAGE))
        return REPORT_UNKNOWN;
    if (!config_parse_time(since ? since : "24h", &ms) || ms < 1000 || ms / 1000 > (uint64_t)time(NULL)) {
        (void)usage_error("--since %s: must be a time such as 24h or 7d", since);
        return REPORT_UNKNOWN;
    }
    if (to && !mail_address_ok(to)) {
        (void)usage_error("--mail %s: must be one address, such as admin@example.com", to);
        return REPORT_UNKNOWN;
    }
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return unknown("the configuration cannot be read");
    json_int_t from = (json_int_t)((uint64_t)time(NULL) - ms / 1000);
    json_t *r = call_library(cfg, json_pack("{s:s, s:I}", "op", "report", "since", from));
    uint64_t age = cfg->notify.backlog_age / 1000;
    if (r)
        escrow_add(cfg, r);
    config_free(cfg);
    if (!r)
        return unknown("the library could not be asked");
    enum report_level level = report_judge(r, age, line, sizeof(line));
    int status = to ? mail_report(r, line, level, to) : print_report(r, line, level, cl.json);
    json_decref(r);
    return status;
}
