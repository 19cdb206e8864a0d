/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cmd.h: what the subcommands of s3vtl share. */
#ifndef S3VTL_CMD_H
#define S3VTL_CMD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "base/human.h"
#include "vtl/config/config.h"
#include "vtl/cmd/progress.h"

struct command_line {
    const char *config_file; /* -c, $S3VTL_CONFIG or the default */
    bool json;               /* --json */
    bool quiet;              /* -q: neither what went well, nor progress, nor hints */
    int argc;                /* what follows the command's name */
    char **argv;
};

/* Exit statuses: 0 done; 1 failed, with one line on stderr; 2 wrong usage, and of serve, a configuration that must be
 * mended first (the unit's RestartPreventExitStatus); 3 of status: nobody serves the library. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONFIG = 2, EXIT_NOT_SERVING = 3 };

int cmd_config_accept(const struct command_line *cl);
int cmd_config_check(const struct command_line *cl);
int cmd_library_init(const struct command_line *cl);
int cmd_library_gc(const struct command_line *cl);
int cmd_library_rebuild(const struct command_line *cl);
int cmd_library_undelete(const struct command_line *cl);
/* barcodes.c: the barcodes of arguments, of which each may be a range, as a list; NULL, told: one is wrong, or there twice. */
json_t *barcodes_given(int argc, char *const argv[]);
/* Tells what may surprise: another generation's suffix, lower case. */
void barcodes_warn(const json_t *list, int generation);
int cmd_tape_create(const struct command_line *cl);
int cmd_tape_list(const struct command_line *cl);
int cmd_tape_show(const struct command_line *cl);
int cmd_tape_claim(const struct command_line *cl);
int cmd_tape_move(const struct command_line *cl);
int cmd_tape_export(const struct command_line *cl);
int cmd_tape_import(const struct command_line *cl);
int cmd_tape_import_file(const struct command_line *cl);
int cmd_tape_export_file(const struct command_line *cl);
int cmd_tape_lock(const struct command_line *cl);
int cmd_tape_protect(const struct command_line *cl);
int cmd_tape_remove(const struct command_line *cl);
int cmd_status(const struct command_line *cl);
int cmd_reload(const struct command_line *cl);
int cmd_handover(const struct command_line *cl);
int cmd_takeover(const struct command_line *cl);
int cmd_flush(const struct command_line *cl);
int cmd_web(const struct command_line *cl);
int cmd_setup(const struct command_line *cl);
int cmd_serve(const struct command_line *cl);
int cmd_doctor(const struct command_line *cl);
int cmd_verify(const struct command_line *cl);
int cmd_report(const struct command_line *cl);
int cmd_notify(const struct command_line *cl);
int cmd_escrow_key(const struct command_line *cl);
int cmd_escrow_run(const struct command_line *cl);
int cmd_escrow_list(const struct command_line *cl);
int cmd_escrow_check(const struct command_line *cl);
int cmd_escrow_restore(const struct command_line *cl);
int cmd_kit(const struct command_line *cl);

/* How long to wait for the answer to a reload, which may ask the store. */
enum { RELOAD_ASK_MS = 60000 };

/* "s3vtl: text" on stderr; returns EXIT_FAILED, or EXIT_USAGE for usage_error. */
int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* NULL after a message. The caller frees. If root calls it, the process becomes the library's owner (owner.h). */
struct vtl_config *load_config(const struct command_line *cl);
struct vtl_config *load_console_config(const struct command_line *cl); /* by config_load_console */
/* Asks the running library, or opens it here if none is running. NULL after a message. Takes over request. */
json_t *call_library(const struct vtl_config *cfg, json_t *request);
/* The same; *served: a running library answered. */
json_t *call_library_served(const struct vtl_config *cfg, json_t *request, bool *served);
/* What a running library says of its store's trouble, in text; "": none, or nobody serves. Returns its status, which
 * the caller releases, or NULL. Says nothing. owing_fd: control_ask. */
json_t *ask_trouble(const struct vtl_config *cfg, int *owing_fd, char text[PROGRESS_TROUBLE]);
/* Many at a time, none of which makes or removes a cartridge: BATCH at most. Their answers, {"ok":true,"result":...} or
 * {"ok":false,"error":text} each. The same otherwise. */
#define BATCH 64
json_t *call_each(const struct vtl_config *cfg, json_t *requests);
void print_json(const json_t *j);

/* ---- library.c ---- */
/* What a rebuild found only on this disk, a line for each cartridge. */
void print_only_here(FILE *to, const json_t *backlog);

/* ---- vanished.c ---- */
/* What the library (or, where no state is, the newest inventory) names and the bucket has no more: the operation
 * "vanished". barcodes: an array of those that count; NULL: all. store: for a host without a state; NULL: there is one.
 * NULL after a message; else a new reference. */
struct objstore;
json_t *vanished_ask(const struct vtl_config *cfg, struct objstore *store, const json_t *barcodes,
                     const atomic_bool *cancel);
/* What it says of a cartridge; NULL: nothing. */
const char *vanished_text(const json_t *list, const char *barcode);
/* A message for each. True: there is one. */
bool vanished_tell(const json_t *list);

/* From the library's JSON of a cartridge: "1.5 GB of 12 TB", or "47 uses left"; 21 columns of a table. */
#define USED_ROOM 80
const char *used_of_cartridge(const json_t *cartridge, char buf[USED_ROOM]);
/* How little redundancy the store has left for it, in words; false: enough, or nobody tells. */
bool weak_text(const json_t *cartridge, char *buf, size_t room);
/* Of a member of an object: its number or 0, its text or "-", its bytes for people. */
json_int_t json_number(const json_t *j, const char *key);
const char *json_words(const json_t *j, const char *key);
const char *json_size(const json_t *j, const char *key, char buf[HUMAN_ROOM]);
/* How wide a column with these texts is. */
int column_width(const json_t *list, const char *key, int least);
/* Removes an option without a value from the arguments; true if it was there. */
bool take_flag(struct command_line *cl, const char *name);
/* Removes "--name VALUE" or "--name=VALUE"; false after a message if the value is missing. *value NULL: not given. */
bool take_value(struct command_line *cl, const char *name, const char **value);
/* Checks that n arguments are left (with more, at least n) and that none is an option. False after a message. */
bool check_arguments(const struct command_line *cl, int n, bool more, const char *usage);

#endif
