/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tables.h: what help, manual pages, completions and the example configuration are made of. */
#ifndef S3VTL_TABLES_H
#define S3VTL_TABLES_H

#include <stddef.h>

#include "vtl/cmd/cmd.h"

struct subcommand {
    const char *group, *name; /* group NULL: a command of one word */
    const char *arguments;
    const char *help; /* a sentence, then a line for each option */
    int (*run)(const struct command_line *cl);
};

/* An option of every command. */
struct general_option {
    const char *name, *argument; /* name: "-q, --quiet" where there are two; argument NULL: it has none */
    const char *help;
};

struct tables {
    const struct general_option *options;
    size_t n_options;
    const struct subcommand *commands;
    size_t n_commands;
};

/* These, the configuration's keys and the log's events, as JSON, for packaging/manual. */
void print_tables(const struct tables *t);

#endif
