/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tables.c: s3vtl --tables, of which help does not tell: it is for the build, which makes the manual pages from it. */
#include "vtl/cmd/tables.h"

#include "base/event.h"
#include "base/version.h"

static json_t *options(const struct tables *t)
{
    json_t *all = json_array();
    for (size_t i = 0; i < t->n_options; i++) {
        const struct general_option *o = &t->options[i];
        json_array_append_new(all,
                              json_pack("{s:s, s:s?, s:s}", "name", o->name, "argument", o->argument, "help", o->help));
    }
    return all;
}

static json_t *commands(const struct tables *t)
{
    json_t *all = json_array();
    for (size_t i = 0; i < t->n_commands; i++) {
        const struct subcommand *s = &t->commands[i];
        json_array_append_new(all, json_pack("{s:s?, s:s, s:s, s:s}", "group", s->group, "name", s->name, "arguments",
                                             s->arguments, "help", s->help));
    }
    return all;
}

static json_t *keys(void)
{
    json_t *all = json_array();
    struct config_described k;
    for (size_t i = 0; config_describe(i, &k); i++)
        json_array_append_new(all, json_pack("{s:s, s:s, s:s?, s:s?, s:s}", "section", k.section, "name", k.name,
                                             "preset", k.preset, "otherwise", k.otherwise, "meaning", k.meaning));
    return all;
}

static const char *priority(enum log_level level)
{
    static const char *const names[] = {
        [LOG_LEVEL_ERROR] = "err", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_NOTICE] = "notice", "info"};
    return names[level];
}

static json_t *events(void)
{
    json_t *all = json_array();
    for (unsigned e = 0; e < EVENT_COUNT; e++) {
        const struct event_described *d = event_describe((enum event)e);
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s}", "id", d->id, "priority", priority(d->level),
                                             "meaning", d->meaning, "mend", d->mend));
    }
    return all;
}

void print_tables(const struct tables *t)
{
    json_t *all = json_pack("{s:s, s:o, s:o, s:o, s:o}", "version", S3VTL_VERSION, "options", options(t), "commands",
                            commands(t), "keys", keys(), "events", events());
    print_json(all);
    json_decref(all);
}
