/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status.c: s3vtl status: the summary first, then drives and elements, in 80 columns. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vtl/library/element.h"
#include "vtl/cmd/cmd.h"
#include "vtl/cmd/members.h"
#include "vtl/cmd/verify_due.h"
#include "vtl/cmd/escrow.h"

#define USAGE "status [--only drives|slots|backlog]"

/* What is shown. */
enum part { PART_SUMMARY = 1, PART_DRIVES = 2, PART_SLOTS = 4, PART_BACKLOG = 8 };
#define ALL_PARTS (PART_SUMMARY | PART_DRIVES | PART_SLOTS)

static const json_t *cartridge_of(const json_t *status, const char *barcode)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(status, "cartridges"), i,
                       c) if (!strcmp(json_words(c, "barcode"), barcode)) return c;
    return NULL;
}

/* ---- the summary ---- */

static void print_left(json_int_t left, json_int_t rate)
{
    char size[HUMAN_ROOM], time[HUMAN_ROOM], speed[HUMAN_ROOM];
    if (!left) {
        printf("sent, not confirmed yet");
        return;
    }
    printf("%s to store, ", human_size((uint64_t)left, size));
    if (rate)
        printf("%s left at %s/s", human_duration((uint64_t)(left / rate), time), human_size((uint64_t)rate, speed));
    else
        printf("time left unknown");
}

/* In 80 columns: what does not fit goes on in the next line. */
static void print_wrapped(const char *begin, const char *text)
{
    size_t at = strlen(begin);
    printf("%s", begin);
    while (*text) {
        size_t n = strcspn(text, " ");
        if (at > 4 && at + n > 80) {
            printf("\n    ");
            at = 4;
        }
        printf("%.*s", (int)n, text);
        at += n;
        text += n;
        if (*text && at < 80)
            putchar(' ');
        at++;
        text += *text == ' ';
    }
    putchar('\n');
}

static void print_store(const json_t *store)
{
    size_t i;
    json_t *line;
    char time[HUMAN_ROOM];
    if (json_is_string(json_object_get(store, "trouble")))
        printf("the store is in trouble, for %s: %s\n",
               human_duration((uint64_t)json_number(store, "since_ms") / 1000, time), json_words(store, "trouble"));
    json_array_foreach(json_object_get(store, "advice"), i, line) print_wrapped("note: ", json_string_value(line));
}

/* The third state, where the store tells; why it is not all. */
static void print_offsite(const json_t *s)
{
    char size[HUMAN_ROOM];
    const json_t *told = json_object_get(json_object_get(s, "store"), "offsite");
    if (!json_object_get(s, "offsite_bytes"))
        return;
    const char *kind = json_words(json_object_get(s, "store"), "kind");
    bool tells = !strcmp(kind, "renterd") || !strcmp(kind, "s3d");
    printf("off-site               %s%s%s%s\n", json_size(s, "offsite_bytes", size), tells ? ", as " : "",
           tells ? kind : "", tells ? " tells" : "");
    if (json_is_string(json_object_get(told, "trouble")))
        print_wrapped("    ", json_words(told, "trouble"));
    else if (json_is_string(json_object_get(told, "why")))
        print_wrapped("    ", json_words(told, "why"));
}

/* How the store's service is, where it tells. */
static void print_health(const json_t *store)
{
    const json_t *h = json_object_get(store, "health"), *worst = json_object_get(h, "worst");
    json_int_t weak = json_number(h, "weak_cartridges");
    size_t i;
    json_t *f;
    if (json_is_number(worst)) {
        printf("health                 %.3g at worst, as %s tells", json_number_value(worst),
               json_words(store, "kind"));
        if (weak)
            printf("; %lld cartridge%s below %.3g", (long long)weak, weak == 1 ? "" : "s",
                   json_number_value(json_object_get(h, "limit")));
        putchar('\n');
    }
    if (json_is_string(json_object_get(h, "trouble")))
        print_wrapped("WARNING: the state of the store's service cannot be found out: ", json_words(h, "trouble"));
    json_array_foreach(json_object_get(h, "findings"), i, f) print_wrapped(
        strcmp(json_words(f, "severity"), "critical") ? "WARNING: " : "CRITICAL: ", json_words(f, "text"));
}

/* As they hold now. */
static void print_limits(const json_t *store)
{
    char size[HUMAN_ROOM];
    json_int_t up = json_number(store, "upload_limit"), down = json_number(store, "download_limit");
    if (up || down)
        printf("limits                 ");
    if (up)
        printf("upload limited to %s/s", json_size(store, "upload_limit", size));
    if (down)
        printf("%sdownload limited to %s/s", up ? ", " : "", json_size(store, "download_limit", size));
    if (up || down)
        putchar('\n');
}

/* NULL: the configuration has none. */
static void print_dedup(const json_t *dedup)
{
    char host[HUMAN_ROOM], own[HUMAN_ROOM];
    json_int_t written = json_number(dedup, "host_bytes"), kept = json_number(dedup, "own_bytes");
    if (!written || !kept)
        return;
    printf("dedup                  %s of hosts in %s: %lld.%lld to 1\n", json_size(dedup, "host_bytes", host),
           json_size(dedup, "own_bytes", own), (long long)(written / kept), (long long)(written * 10 / kept % 10));
}

/* NULL: none are wanted. */
static void print_blanks(const json_t *blanks)
{
    size_t i;
    json_t *b;
    json_array_foreach(blanks, i, b)
    {
        json_int_t have = json_number(b, "free"), keep = json_number(b, "keep");
        printf("blank cartridges       %lld of %s to %s, %lld wanted\n", (long long)have, json_words(b, "first"),
               json_words(b, "last"), (long long)keep);
        if (have < keep && json_is_string(json_object_get(b, "trouble")))
            printf("WARNING: no more can be made: %s\n", json_words(b, "trouble"));
    }
}

static void print_verified(const json_t *s)
{
    struct verify_ages ages;
    char every[HUMAN_ROOM], age[HUMAN_ROOM];
    uint64_t within = member_number(s, "verify_every");
    verify_ages(json_object_get(s, "cartridges"), (uint64_t)time(NULL), within, &ages);
    if (!within || !ages.stored)
        return;
    printf("verified               every %s: %zu of %zu are due, the longest ago %s, %s ago\n",
           human_duration(within, every), ages.due, ages.stored, ages.barcode, human_duration(ages.oldest, age));
    if (ages.late)
        printf("WARNING: %zu cartridge%s later than that\n", ages.late, ages.late == 1 ? " is" : "s are");
}

/* NULL: there are none. */
static void print_quotas(const json_t *quotas)
{
    char used[HUMAN_ROOM], limit[HUMAN_ROOM], day[HUMAN_ROOM];
    size_t i;
    json_t *q;
    json_array_foreach(quotas, i, q)
    {
        printf("quota of %-13s %s of %s", json_words(q, "cartridges"), json_size(q, "used_bytes", used),
               json_size(q, "limit_bytes", limit));
        if (json_number(q, "full_on"))
            printf("; as it grows, all of it on %s", human_time((uint64_t)json_number(q, "full_on"), day));
        putchar('\n');
        if (json_is_true(json_object_get(q, "near")))
            printf("WARNING: tapes of %s are full: what is left of their quota is for jobs that run to end in\n",
                   json_words(q, "cartridges"));
    }
}

static void print_locks(const json_t *locks)
{
    char day[HUMAN_ROOM];
    json_int_t n = json_number(locks, "locked"), waiting = json_number(locks, "object_lock_waiting");
    if (n)
        printf("locked                 %lld cartridge%s; the %s ends on %s", (long long)n, n == 1 ? "" : "s",
               n == 1 ? "lock" : "first lock", human_time((uint64_t)json_number(locks, "next_end"), day));
    if (n && json_is_true(json_object_get(locks, "object_lock")) && !waiting)
        printf("; the store locks %s too", n == 1 ? "it" : "them");
    if (waiting)
        printf("; the store is still to lock %lld", (long long)waiting);
    if (n)
        putchar('\n');
    if (json_is_string(json_object_get(locks, "object_lock_trouble")))
        printf("WARNING: the store does not lock what is to be locked: %s\n", json_words(locks, "object_lock_trouble"));
}

/* NULL: the configuration has none. */
static void print_escrow(const json_t *escrow)
{
    char when[HUMAN_ROOM];
    if (json_number(escrow, "created"))
        printf("catalogue in escrow    %s\n", human_time((uint64_t)json_number(escrow, "created"), when));
    if (json_is_string(json_object_get(escrow, "trouble")))
        printf("WARNING: %s\n", json_words(escrow, "trouble"));
}

static void print_summary(const json_t *s)
{
    const json_t *spool = json_object_get(s, "spool");
    char a[HUMAN_ROOM], b[HUMAN_ROOM];
    json_int_t n = json_number(s, "local_only_cartridges"), unsent = json_number(spool, "unsent_bytes");
    printf("library %s, durability %s\n", json_words(s, "name"), json_words(spool, "durability"));
    printf("only on this disk      %s", json_size(s, "local_only_bytes", a));
    if (n)
        printf(" in %lld cartridge%s", (long long)n, n == 1 ? "" : "s");
    if (n && json_is_true(json_object_get(s, "serving"))) {
        printf("; ");
        print_left(unsent, json_number(spool, "upload_rate"));
    }
    printf("\naccepted by the store  %s\n", json_size(s, "accepted_bytes", a));
    print_offsite(s);
    print_dedup(json_object_get(s, "dedup"));
    print_blanks(json_object_get(s, "blanks"));
    print_quotas(json_object_get(s, "quotas"));
    print_locks(json_object_get(s, "locks"));
    print_verified(s);
    if (json_is_true(json_object_get(s, "serving"))) {
        bool waits = !strcmp(json_words(spool, "durability"), "offsite") && json_number(spool, "offsite_waiting_bytes");
        printf("spool                  %s", json_size(spool, "dirty_bytes", a));
        if (waits)
            printf(", and %s not off-site,", json_size(spool, "offsite_waiting_bytes", a));
        printf(" of %s, then WRITE waits", json_size(spool, "dirty_limit", b));
        printf("; cache %s of %s\n", json_size(spool, "cache_bytes", a), json_size(spool, "cache_size", b));
        print_limits(json_object_get(s, "store"));
    }
    if (json_is_string(json_object_get(s, "warning")))
        printf("WARNING: %s\n", json_words(s, "warning"));
    print_health(json_object_get(s, "store"));
    print_store(json_object_get(s, "store"));
    print_escrow(json_object_get(s, "escrow"));
}

/* ---- drives ---- */

static void print_drives(const json_t *s)
{
    const json_t *drives = json_object_get(s, "drives");
    int width = column_width(drives, "barcode", 9);
    size_t i;
    json_t *j;
    printf("%-5s %-3s %-10s %-9s %-*s %8s %10s\n", "DRIVE", "LUN", "SERIAL", "STATE", width, "CARTRIDGE", "FILE",
           "BLOCK");
    json_array_foreach(drives, i, j)
    {
        printf("%-5zu %-3d %-10s %-9s %-*s ", i, (int)json_number(j, "lun"), json_words(j, "serial"),
               json_words(j, "state"), width, json_words(j, "barcode"));
        if (json_is_integer(json_object_get(j, "file")))
            printf("%8lld %10lld\n", (long long)json_number(j, "file"), (long long)json_number(j, "block"));
        else
            printf("%8s %10s\n", "-", "-");
        if (json_number(j, "flush_left_bytes")) {
            printf("      ");
            print_left(json_number(j, "flush_left_bytes"), json_number(json_object_get(s, "spool"), "upload_rate"));
            putchar('\n');
        }
    }
}

/* ---- elements ---- */

/* Empty slots side by side are one line: "slot 5 to 40: empty". */
struct fold {
    uint16_t first, last; /* addresses; 0: none */
};

static void end_fold(struct fold *f)
{
    char first[ELEMENT_NAME_SIZE], last[ELEMENT_NAME_SIZE];
    if (f->first == f->last && f->first)
        printf("%s: empty\n", element_name(f->first, first));
    else if (f->first)
        printf("%s to %s: empty\n", element_name(f->first, first), strrchr(element_name(f->last, last), ' ') + 1);
    *f = (struct fold){0};
}

static void fold(struct fold *f, uint16_t address)
{
    char was[ELEMENT_NAME_SIZE], is[ELEMENT_NAME_SIZE];
    element_name(f->last, was);
    element_name(address, is);
    size_t kind = strcspn(is, " ");
    if (f->first && (address != f->last + 1 || strncmp(was, is, kind) != 0))
        end_fold(f);
    f->first = f->first ? f->first : address;
    f->last = address;
}

static void print_trouble(const json_t *c)
{
    char weak[100];
    if (json_is_string(json_object_get(c, "trouble")))
        printf("    %s\n", json_words(c, "trouble"));
    if (weak_text(c, weak, sizeof(weak)))
        printf("    %s\n", weak);
}

static void print_slots(const json_t *s)
{
    char where[ELEMENT_NAME_SIZE], used[USED_ROOM], local[HUMAN_ROOM];
    int width = column_width(json_object_get(s, "elements"), "barcode", 9);
    struct fold empty = {0};
    size_t i;
    json_t *e;
    printf("%-17s %-*s %21s  %17s\n", "WHERE", width, "CARTRIDGE", "USED             ", "ONLY ON THIS DISK");
    json_array_foreach(json_object_get(s, "elements"), i, e)
    {
        uint16_t address = (uint16_t)json_number(e, "address");
        const char *barcode = json_string_value(json_object_get(e, "barcode"));
        if (!barcode && (!strcmp(json_words(e, "type"), "slot") || !strcmp(json_words(e, "type"), "import_export")))
            fold(&empty, address);
        if (!barcode)
            continue; /* empty drives are in the table above */
        end_fold(&empty);
        const json_t *c = cartridge_of(s, barcode);
        printf("%-17s %-*s %s  %17s\n", element_name(address, where), width, barcode, used_of_cartridge(c, used),
               json_size(c, "local_only_bytes", local));
        print_trouble(c);
    }
    end_fold(&empty);
}

/* ---- what is only on this disk ---- */

static uint16_t address_of(const json_t *s, const char *barcode)
{
    size_t i;
    json_t *e;
    json_array_foreach(json_object_get(s, "elements"), i,
                       e) if (!strcmp(json_words(e, "barcode"), barcode)) return (uint16_t)json_number(e, "address");
    return 0;
}

static bool is_in_store(const json_t *c)
{
    return json_is_true(json_object_get(c, "committed")) && !json_number(c, "local_only_bytes") &&
           !json_is_string(json_object_get(c, "trouble"));
}

static void print_backlog(const json_t *s)
{
    const json_t *list = json_object_get(s, "cartridges");
    bool any = false;
    char where[ELEMENT_NAME_SIZE], local[HUMAN_ROOM], accepted[HUMAN_ROOM];
    int width = column_width(list, "barcode", 9);
    size_t i;
    json_t *c;
    json_array_foreach(list, i, c)
    {
        if (is_in_store(c))
            continue;
        if (!any)
            printf("%-*s %-17s %17s %21s\n", width, "CARTRIDGE", "WHERE", "ONLY ON THIS DISK", "ACCEPTED BY THE STORE");
        any = true;
        const char *barcode = json_words(c, "barcode");
        printf("%-*s %-17s %17s %21s\n", width, barcode, element_name(address_of(s, barcode), where),
               json_size(c, "local_only_bytes", local), json_size(c, "accepted_bytes", accepted));
        print_trouble(c);
    }
    if (!any)
        puts("nothing is only on this disk");
}

static void print_status(const struct vtl_config *cfg, const json_t *s, unsigned parts)
{
    bool more = false;
    if (!json_is_true(json_object_get(s, "serving")))
        printf("NOT SERVING: nobody answers at %s/control.sock; this is what is on the disk\n", cfg->library.state_dir);
    static const struct {
        enum part part;
        void (*print)(const json_t *s);
    } table[] = {{PART_SUMMARY, print_summary},
                 {PART_DRIVES, print_drives},
                 {PART_SLOTS, print_slots},
                 {PART_BACKLOG, print_backlog}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (!(parts & table[i].part))
            continue;
        if (more)
            putchar('\n');
        more = true;
        table[i].print(s);
    }
}

/* 0: no such part. */
static unsigned part_of(const char *name)
{
    return !name                      ? ALL_PARTS
           : !strcmp(name, "drives")  ? PART_DRIVES
           : !strcmp(name, "slots")   ? PART_SLOTS
           : !strcmp(name, "backlog") ? PART_BACKLOG
                                      : 0;
}

int cmd_status(const struct command_line *given)
{
    struct command_line cl = *given;
    const char *only = NULL;
    bool served = false;
    if (!take_value(&cl, "--only", &only) || !check_arguments(&cl, 0, false, USAGE))
        return EXIT_USAGE;
    unsigned parts = part_of(only);
    if (!parts)
        return usage_error("--only %s: must be drives, slots or backlog", only);
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *r = call_library_served(cfg, json_pack("{s:s}", "op", "status"), &served);
    if (r)
        escrow_add(cfg, r);
    if (r && cl.json)
        print_json(r);
    else if (r)
        print_status(cfg, r, parts);
    int status = !r ? EXIT_FAILED : served ? EXIT_DONE : EXIT_NOT_SERVING;
    json_decref(r);
    config_free(cfg);
    return status;
}
