/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_private.h: the table of configuration keys, by which config_load fills a configuration. */
#ifndef S3VTL_CONFIG_PRIVATE_H
#define S3VTL_CONFIG_PRIVATE_H

#include "vtl/config/config.h"

#define CONFIG_MAX_PATTERNS 1024
struct config_key {
    const char *section, *name;
    const char *preset;    /* the default, as a file would say it; NULL: none ("": unset) */
    const char *otherwise; /* of a key without default: what the documentation says in its place, or NULL */
    const char *meaning;   /* for the documentation, README's too; words of the file are between backquotes */
    bool list;             /* may be repeated: set appends */
    /* Stores the value. NULL, or what would be right. */
    const char *(*set)(struct vtl_config *c, const char *value);
    /* Writes the value in force. */
    void (*show)(const struct vtl_config *c, char *buf, size_t room);
};
/* Before the name of a credential of systemd's. */
#define CONFIG_SYSTEMD "systemd:"

/* A limit of rate as the file has it. NULL, or what would be right. */
const char *config_parse_rates(const char *value, struct obj_rates *out);
/* The same, but a time without a rate is any rate then, and what is in none of them is none at all. */
const char *config_parse_window(const char *value, struct obj_rates *out);

/* A pattern of barcodes. False: it has what no barcode has, or no room. */
bool config_copy_pattern(const char *word, char *out, size_t room);

extern const struct config_key config_keys[];
extern const size_t config_n_keys;

#endif
