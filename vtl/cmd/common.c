/* SPDX-License-Identifier: GPL-2.0-or-later */
/* common.c: what the subcommands share: messages, argument parsing and calls to the library. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "vtl/library/control.h"
#include "vtl/cmd/cmd.h"
#include "vtl/cmd/owner.h"

#define COUNTER_BAR_MS 200
#define COUNTER_LINE_MS 10000

static void message(const char *fmt, va_list ap)
{
    fputs("s3vtl: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

int fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    message(fmt, ap);
    va_end(ap);
    return EXIT_FAILED;
}

int usage_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    message(fmt, ap);
    va_end(ap);
    return EXIT_USAGE;
}

struct vtl_config *load_config(const struct command_line *cl)
{
    struct vtl_config *cfg = NULL;
    struct errtext err = {""};
    if (config_load(cl->config_file, &cfg, &err)) {
        fail("%s", err.text);
    } else if (owner_become(cfg, &err)) {
        fail("%s", err.text);
        config_free(cfg);
        cfg = NULL;
    }
    secret_no_core_dumps(); /* from here on there may be keys and passwords */
    return cfg;
}

static json_t *call_here(const struct vtl_config *cfg, const json_t *request)
{
    struct library *lib = NULL;
    struct errtext err = {""};
    if (library_open(cfg, 0, &lib, &err)) {
        fail("%s", err.text);
        return NULL;
    }
    json_t *result = library_call(lib, request, &err);
    if (!result)
        fail("%s", err.text);
    if (library_close(lib, &err) && result) {
        fail("%s", err.text);
        json_decref(result);
        result = NULL;
    }
    return result;
}

json_t *call_library(const struct vtl_config *cfg, json_t *request)
{
    json_t *result = NULL;
    struct errtext err = {""};
    int rc = control_call(cfg, request, 0, &result, &err);
    if (rc == -ENOENT || rc == -ECONNREFUSED)
        result = call_here(cfg, request);
    else if (rc)
        fail("%s", err.text);
    json_decref(request);
    return result;
}

json_t *call_each(const struct vtl_config *cfg, json_t *requests)
{
    json_t *r = call_library(cfg, json_pack("{s:s, s:o}", "op", "each", "requests", requests));
    json_t *answers = json_incref(json_object_get(r, "answers"));
    json_decref(r);
    return answers;
}

void print_json(const json_t *j)
{
    json_dumpf(j, stdout, JSON_INDENT(2));
    putchar('\n');
}

const char *human_size(json_int_t bytes, char buf[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double n = (double)bytes;
    int u = 0;
    while (n >= 1024 && u < 5) {
        n /= 1024;
        u++;
    }
    (void)snprintf(buf, 32, u ? "%.1f %s" : "%.0f %s", n, units[u]);
    return buf;
}

void progress_bar(const char *name, uint64_t done, uint64_t total)
{
    char bar[31];
    memset(bar, '.', 30);
    memset(bar, '#', total ? (size_t)(done * 30 / total) : 30);
    bar[30] = '\0';
    fprintf(stderr, "\r%-16s [%s] %3u %%  ", name, bar, total ? (unsigned)(done * 100 / total) : 100);
}

void counter_init(struct counter *c, const char *name, bool quiet)
{
    *c = (struct counter){
        .name = name, .terminal = isatty(STDERR_FILENO), .quiet = quiet, .began = clock_ms(), .told = clock_ms()};
}

void counter_show(struct counter *c, uint64_t done, uint64_t total)
{
    uint64_t now = clock_ms(), every = c->terminal ? COUNTER_BAR_MS : COUNTER_LINE_MS;
    if (c->quiet || (now - c->told < every && (done < total || !c->shown)))
        return;
    c->told = now;
    c->shown = true;
    double seconds = (double)(now - c->began) / 1000, rate = seconds > 0 ? (double)done / seconds : 0;
    if (c->terminal)
        progress_bar(c->name, done, total);
    else
        fprintf(stderr, "s3vtl: %s: ", c->name);
    fprintf(stderr, "%" PRIu64 " of %" PRIu64 " cartridges, %.1f/s", done, total, rate);
    if (rate > 0 && done < total)
        fprintf(stderr, ", %.0f s left", (double)(total - done) / rate);
    fputs(!c->terminal ? "\n" : done < total ? "\033[K" : "\r\033[K", stderr);
}

const char *used_of_cartridge(const json_t *c, char buf[USED_ROOM])
{
    char used[32], capacity[32];
    const json_t *left = json_object_get(c, "cleanings_left");
    if (left)
        (void)snprintf(buf, USED_ROOM, "%12d uses left    ", (int)json_integer_value(left));
    else
        (void)snprintf(buf, USED_ROOM, "%12s of %-10s",
                       human_size(json_integer_value(json_object_get(c, "used_bytes")), used),
                       human_size(json_integer_value(json_object_get(c, "capacity_bytes")), capacity));
    return buf;
}

static void drop(struct command_line *cl, int i, int n)
{
    memmove(&cl->argv[i], &cl->argv[i + n], (size_t)(cl->argc - i - n) * sizeof(*cl->argv));
    cl->argc -= n;
}

bool take_flag(struct command_line *cl, const char *name)
{
    for (int i = 0; i < cl->argc; i++)
        if (!strcmp(cl->argv[i], name)) {
            drop(cl, i, 1);
            return true;
        }
    return false;
}

bool take_value(struct command_line *cl, const char *name, const char **value)
{
    size_t n = strlen(name);
    *value = NULL;
    for (int i = 0; i < cl->argc; i++) {
        const char *a = cl->argv[i];
        if (!strncmp(a, name, n) && a[n] == '=') {
            *value = a + n + 1;
            drop(cl, i, 1);
            return true;
        }
        if (strcmp(a, name))
            continue;
        if (i + 1 == cl->argc) {
            usage_error("%s: missing value", name);
            return false;
        }
        *value = cl->argv[i + 1];
        drop(cl, i, 2);
        return true;
    }
    return true;
}

bool check_arguments(const struct command_line *cl, int n, bool more, const char *usage)
{
    for (int i = 0; i < cl->argc; i++)
        if (cl->argv[i][0] == '-') {
            usage_error("%s: unknown option; usage: s3vtl %s", cl->argv[i], usage);
            return false;
        }
    if (cl->argc == n || (more && cl->argc > n))
        return true;
    usage_error("usage: s3vtl %s", usage);
    return false;
}
