/* SPDX-License-Identifier: GPL-2.0-or-later */
/* common.c: what the subcommands share: messages, argument parsing and calls to the library. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "vtl/library/control.h"
#include "vtl/cmd/cmd.h"
#include "vtl/cmd/owner.h"

#define ASK_MS 2000

static void message(const char *fmt, va_list ap)
{
    fprintf(stderr, "%ss3vtl: ", log_prefix(LOG_LEVEL_ERROR));
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

static struct vtl_config *load_by(const struct command_line *cl,
                                  int (*load)(const char *file, struct vtl_config **out, struct errtext *err))
{
    struct vtl_config *cfg = NULL;
    struct errtext err = {""};
    if (load(cl->config_file, &cfg, &err)) {
        fail("%s", err.text);
    } else if (owner_become(cfg, &err)) {
        fail("%s", err.text);
        config_free(cfg);
        cfg = NULL;
    }
    secret_no_core_dumps(); /* from here on there may be keys and passwords */
    return cfg;
}

struct vtl_config *load_config(const struct command_line *cl)
{
    return load_by(cl, config_load);
}

struct vtl_config *load_console_config(const struct command_line *cl)
{
    return load_by(cl, config_load_console);
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

json_t *call_library_served(const struct vtl_config *cfg, json_t *request, bool *served)
{
    json_t *result = NULL;
    struct errtext err = {""};
    int rc = control_call(cfg, request, 0, &result, &err);
    *served = rc != -ENOENT && rc != -ECONNREFUSED;
    if (!*served)
        result = call_here(cfg, request);
    else if (rc)
        fail("%s", err.text);
    json_decref(request);
    return result;
}

json_t *call_library(const struct vtl_config *cfg, json_t *request)
{
    bool served;
    return call_library_served(cfg, request, &served);
}

json_t *ask_trouble(const struct vtl_config *cfg, int *owing_fd, char text[PROGRESS_TROUBLE])
{
    json_t *request = json_pack("{s:s}", "op", "status"), *r = NULL, *c;
    struct errtext err = {""};
    size_t i;
    text[0] = '\0';
    (void)control_ask(owing_fd, cfg, request, ASK_MS, &r, &err);
    json_decref(request);
    const char *trouble = json_string_value(json_object_get(json_object_get(r, "store"), "trouble"));
    json_array_foreach(json_object_get(r, "cartridges"), i, c) if (!trouble) /* a directory says it only there */
        trouble = json_string_value(json_object_get(c, "trouble"));
    (void)snprintf(text, PROGRESS_TROUBLE, "%s", trouble ? trouble : "");
    return r;
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
    json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
}

const char *used_of_cartridge(const json_t *c, char buf[USED_ROOM])
{
    char used[HUMAN_ROOM], capacity[HUMAN_ROOM];
    const json_t *left = json_object_get(c, "cleanings_left");
    if (left)
        (void)snprintf(buf, USED_ROOM, "%9d uses left  ", (int)json_integer_value(left));
    else
        (void)snprintf(buf, USED_ROOM, "%9s of %-8s", json_size(c, "used_bytes", used),
                       json_size(c, "capacity_bytes", capacity));
    return buf;
}

bool weak_text(const json_t *c, char *buf, size_t room)
{
    json_int_t n = json_number(c, "weak_objects");
    double health = json_number_value(json_object_get(c, "health"));
    (void)snprintf(buf, room, "health %.3g in the store: %lld%s object%s below health_warning%s", health, (long long)n,
                   json_is_true(json_object_get(c, "weak_or_more")) ? " or more" : "", n == 1 ? " is" : "s are",
                   health < 0 ? ", some with too few hosts to be read" : "");
    return n;
}

json_int_t json_number(const json_t *j, const char *key)
{
    return json_integer_value(json_object_get(j, key));
}

const char *json_words(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "-";
}

const char *json_size(const json_t *j, const char *key, char buf[HUMAN_ROOM])
{
    return human_size((uint64_t)json_number(j, key), buf);
}

int column_width(const json_t *list, const char *key, int least)
{
    size_t i;
    json_t *j;
    json_array_foreach(list, i, j)
    {
        int n = (int)strlen(json_words(j, key));
        least = n > least ? n : least;
    }
    return least;
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
