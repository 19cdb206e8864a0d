/* SPDX-License-Identifier: GPL-2.0-or-later */
/* main.c: the s3vtl command: its table of subcommands, help, and dispatch. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "vtl/cmd/tables.h"

/* One line for each option of a subcommand, below its description. */
#define OPTION(name, text) "\n      " name "  " text

static const struct subcommand table[] = {
    {NULL, "serve", "[--yes]",
     "run the library in the foreground; prints \"ready ...\" when initiators can log in, also while the store is "
     "away" OPTION("--yes", "although hosts lose what they knew of it (another serial_prefix, fewer drives ...)"),
     cmd_serve},
    {NULL, "status", "[--only drives|slots|backlog]",
     "show what is only on this disk, drives and elements; exit status 3: nobody serves the library" OPTION(
         "--only WHAT", "one table: backlog has the cartridges of which something is only on this disk"),
     cmd_status},
    {NULL, "report", "[--since TIME] [--mail ADDRESS]",
     "what was written, by which host, and how safe it is; what is only on this disk; what trouble there was. The "
     "first "
     "line and the status are those of a Nagios plugin: 0 OK, 1 WARNING, 2 CRITICAL, 3 not known" OPTION(
         "--since TIME  ", "how far back, such as 24h (the default) or 7d")
         OPTION("--mail ADDRESS", "send it by the host's sendmail instead of printing it"),
     cmd_report},
    {NULL, "notify", "--test", "try [notify] command and url" OPTION("--test", "send a test message to both, now"),
     cmd_notify},
    {NULL, "flush", "[--remote|--offsite]",
     "make everything written safe at the configured durability" OPTION("--remote",
                                                                        "wait until nothing is only on this disk")
         OPTION("--offsite", "and until the store has nothing on its own disk only; it is asked to hurry"),
     cmd_flush},
    {NULL, "handover", "",
     "make all of it safe in the store, stop serving and give the library up, for another gateway of the same "
     "configuration to take over",
     cmd_handover},
    {NULL, "takeover", "[--force]",
     "take the library over from another gateway of the same configuration, as the store has it; then \"serve\". "
     "Harmless if this one has it" OPTION("--force", "although the other has not handed it over: it must be gone"),
     cmd_takeover},
    {NULL, "reload", "",
     "have the serving library read its configuration and keys again; sessions go on, and either all is taken or "
     "nothing",
     cmd_reload},
    {NULL, "web", "",
     "show the library in a browser, at [web] listen: a process of its own in the foreground, which asks the one that "
     "serves over its control socket and has no other rights. A renewed certificate is taken within seconds, by SIGHUP "
     "at once",
     cmd_web},
    {NULL, "setup", "[--answers FILE]",
     "on a new host: ask for the store and its keys, write the configuration, try everything, make the library and ten "
     "cartridges, and serve" OPTION("--answers FILE", "of mode 0600, instead of questions; see s3vtl-setup(1)"),
     cmd_setup},
    {"library", "init", "", "create the state and claim the store's prefix; harmless if already done",
     cmd_library_init},
    {"library", "rebuild", "[--force] [--deep] [--discard-backlog] [--shelf] [--dry-run]",
     "recreate the state from the store alone" OPTION("--force  ", "set an existing state aside")
         OPTION("--deep   ", "read all segments of cartridges whose heads or maps are lost")
             OPTION("--discard-backlog", "set aside what is only on this disk") OPTION(
                 "--shelf  ", "put every cartridge on the shelf, which this gateway shares with one of another name")
                 OPTION("--dry-run", "only report what would be found"),
     cmd_library_rebuild},
    {"library", "undelete", "--since TIME [--newer-heads] [--dry-run]",
     "bring back what somebody deleted or wrote over since then, in a bucket that keeps versions" OPTION(
         "--since TIME", "3h, or 2026-11-20T14:30 (UTC): the bucket as it was then")
         OPTION("--newer-heads", "delete heads that came since then: cartridges go back to that time")
             OPTION("--dry-run", "only count"),
     cmd_library_undelete},
    {"library", "gc", "[--dry-run]",
     "delete objects that no head names, and list what is in the bucket but not in this library" OPTION(
         "--dry-run", "only list what would be deleted"),
     cmd_library_gc},
    {"tape", "create", "BARCODE... [--capacity SIZE] [--worm] [--no-dedup]",
     "create cartridges in the first free slots, all or none; PBS{001..100}L8 is a hundred" OPTION(
         "--capacity SIZE", "such as 2TB; default: that of the drive type")
         OPTION("--worm         ", "can be appended to, but neither overwritten nor erased")
             OPTION("--no-dedup     ", "a copy of its own: shares nothing with others, whatever [dedup] says"),
     cmd_tape_create},
    {"tape", "list", "", "list all cartridges", cmd_tape_list},
    {"tape", "show", "BARCODE", "show everything about one cartridge", cmd_tape_show},
    {"tape", "protect", "BARCODE on|off", "set the write protect tab of a cartridge that is in no drive",
     cmd_tape_protect},
    {"tape", "lock", "BARCODE governance|compliance|off [UNTIL] [--bypass-governance]",
     "let a cartridge that is in no drive only be appended to, until the end of a day (2031-12-31, UTC) or for so many "
     "days (400d)" OPTION("--bypass-governance", "shorten a governance lock that holds, or take it off"),
     cmd_tape_lock},
    {"tape", "move", "BARCODE slot|drive|import/export NUMBER",
     "move a cartridge as an initiator would; drives count from 0, as in \"status\"", cmd_tape_move},
    {"tape", "export", "BARCODE...|--all",
     "move cartridges from the import/export elements to the shelf, with all their data" OPTION(
         "--all", "every cartridge in an import/export element"),
     cmd_tape_export},
    {"tape", "import", "BARCODE...", "move cartridges from the shelf into free import/export elements",
     cmd_tape_import},
    {"tape", "import-file", "BARCODE FILE... [--create] [--block SIZE] [--keep-errors]",
     "write another program's tape onto a blank cartridge, all of it or nothing, while the library is not served: a "
     ".tap "
     "of SIMH's, a directory of mhVTL's, or plain files" OPTION("--create     ", "make the cartridge first")
         OPTION("--block SIZE ", "plain files, each a file of the tape: cut into blocks of SIZE, such as 256K")
             OPTION("--keep-errors", "take records of a .tap that were read with an error for good ones"),
     cmd_tape_import_file},
    {"tape", "export-file", "BARCODE FILE.tap",
     "write all of a cartridge to a new file, as a .tap of SIMH's, while the library is not served",
     cmd_tape_export_file},
    {"tape", "claim", "BARCODE [--force]",
     "take over a cartridge as the bucket has it" OPTION("--force", "even from another gateway, which must be gone"),
     cmd_tape_claim},
    {"tape", "remove", "BARCODE [--force]",
     "delete a cartridge and its objects" OPTION("--force", "even if it holds data"), cmd_tape_remove},
    {NULL, "verify", "BARCODE...|--all|--older TIME [--rate SIZE] [--budget SIZE] [--resume]",
     "read cartridges whole from the store and report what is damaged; neither needs nor disturbs a running "
     "library" OPTION("--all      ", "every cartridge in the store")
         OPTION("--rate SIZE", "read at most SIZE bytes a second, such as 20M; default: no limit")
             OPTION("--resume   ", "continue an interrupted run") OPTION(
                 "--older TIME", "those that are due, if each is to be verified once in so long, such as 30d: the "
                                 "longest ago first, and as with --resume")
                 OPTION("--budget SIZE", "read no more than that a day, with all of today's runs that have one"),
     cmd_verify},
    {"escrow", "key", "", "make the pair of keys of an escrow, and print it once", cmd_escrow_key},
    {"escrow", "run", "[--force]",
     "copy the catalogue of renterd or s3d, encrypted, to the second place that [escrow] names, and read it "
     "back; serve does so by itself with [escrow] every" OPTION(
         "--force", "even if no cartridge was committed since the last one"),
     cmd_escrow_run},
    {"escrow", "list", "", "list what is in the second place", cmd_escrow_list},
    {"escrow", "check", "[--all]",
     "read the newest of it, and compare it with its checksum; needs no key; status 1 also if it is older than a day "
     "and "
     "cartridges were written since" OPTION("--all", "every one"),
     cmd_escrow_check},
    {"escrow", "restore", "FILE|NAME --key FILE|- --to FILE",
     "open one: a file, on whatever host, without a configuration; or one in the second place, called as \"escrow "
     "list\" "
     "shows it" OPTION("--key FILE", "holds the secret key; -: standard input")
         OPTION("--to FILE ", "becomes the store's catalogue, an SQLite database"),
     cmd_escrow_restore},
    {NULL, "kit", "", "print the page to keep on paper: what to keep where, and how to restore", cmd_kit},
    {"config", "check", "[--online]",
     "check the configuration and print the settings in force" OPTION("--online", "as \"doctor\" does"),
     cmd_config_check},
    {"config", "accept", "",
     "let the next start change what hosts know the library by: serial_prefix, target, drive_type, fewer drives",
     cmd_config_accept},
    {NULL, "doctor", "",
     "examine this host and the store: name, TLS, clock, keys, every kind of request, rates, disk room, limits, port, "
     "tgt; "
     "says what is wrong and what to do; harmless at any time, also before \"library init\"; status 1: something is "
     "wrong",
     cmd_doctor},
};
#define N_COMMANDS (sizeof(table) / sizeof(table[0]))

static const struct general_option options[] = {
    {"-c", "FILE", "configuration file; default: $S3VTL_CONFIG, else /etc/s3vtl/s3vtl.conf"},
    {"--json", NULL, "print listings as JSON"},
    {"-q, --quiet", NULL, "say only what is asked for and what is wrong: no confirmations, hints or progress"},
    {"--version", NULL, "print the version, as \"s3vtl version\" does"},
    {"--help", NULL, "print this, as \"s3vtl help\" does; COMMAND --help, or help COMMAND: help on one command"},
};
#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static void print_command(FILE *to, const struct subcommand *s)
{
    fprintf(to, "  s3vtl %s%s%s%s%s\n      %s\n", s->group ? s->group : "", s->group ? " " : "", s->name,
            s->arguments[0] ? " " : "", s->arguments, s->help);
}

static void print_help(FILE *to)
{
    fputs("usage: s3vtl [-c FILE] [--json] [-q] COMMAND ...\n"
          "A virtual tape library whose cartridges are S3 objects.\n",
          to);
    for (size_t i = 0; i < N_OPTIONS; i++) {
        char said[32];
        (void)snprintf(said, sizeof(said), "%s%s%s", options[i].name, options[i].argument ? " " : "",
                       options[i].argument ? options[i].argument : "");
        fprintf(to, "  %-11s %s\n", said, options[i].help);
    }
    fputc('\n', to);
    for (size_t i = 0; i < N_COMMANDS; i++)
        print_command(to, &table[i]);
}

/* "s3vtl tape --help": all commands of a group. False: no such group. */
static bool print_group(const char *group)
{
    bool any = false;
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (table[i].group && !strcmp(group, table[i].group)) {
            print_command(stdout, &table[i]);
            any = true;
        }
    return any;
}

static bool is_help(const char *word)
{
    return !strcmp(word, "--help") || !strcmp(word, "-h");
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (is_help(argv[i]))
            return true;
    return false;
}

/* The command that the first *words arguments name. NULL after a message. */
static const struct subcommand *find(int argc, char **argv, int *words)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        const struct subcommand *s = &table[i];
        *words = s->group ? 2 : 1;
        if (!s->group && !strcmp(argv[0], s->name))
            return s;
        if (s->group && argc > 1 && !strcmp(argv[0], s->group) && !strcmp(argv[1], s->name))
            return s;
    }
    bool group = false;
    for (size_t i = 0; i < N_COMMANDS; i++)
        group = group || (table[i].group && !strcmp(argv[0], table[i].group));
    if (group && argc == 1)
        usage_error("%s: missing subcommand; see s3vtl %s --help", argv[0], argv[0]);
    else if (group)
        usage_error("%s %s: unknown command; see s3vtl %s --help", argv[0], argv[1], argv[0]);
    else
        usage_error("%s: unknown command; see s3vtl --help", argv[0]);
    return NULL;
}

/* Output that did not arrive (full disk, closed pipe) is a failure. */
static int finish(int status)
{
    bool bad = ferror(stdout) != 0;
    if (fflush(stdout))
        bad = true;
    return bad && status == EXIT_DONE ? fail("standard output: %s", strerror(errno)) : status;
}

/* "s3vtl help [COMMAND]": of all, of a group, or of one command. */
static int help(int argc, char **argv)
{
    int words;
    if (!argc)
        print_help(stdout);
    else if (argc > 1 || !print_group(argv[0])) {
        const struct subcommand *s = find(argc, argv, &words);
        if (!s)
            return EXIT_USAGE;
        print_command(stdout, s);
    }
    return finish(EXIT_DONE);
}

int main(int argc, char **argv)
{
    struct command_line cl = {.config_file = getenv("S3VTL_CONFIG")};
    if (!cl.config_file || !cl.config_file[0])
        cl.config_file = "/etc/s3vtl/s3vtl.conf";
    cl.argc = argc - 1;
    cl.argv = argv + 1;
    /* These are accepted anywhere. */
    cl.json = take_flag(&cl, "--json");
    cl.quiet = take_flag(&cl, "--quiet");
    cl.quiet = take_flag(&cl, "-q") || cl.quiet;
    const char *file = NULL;
    if (!take_value(&cl, "-c", &file))
        return EXIT_USAGE;
    if (file)
        cl.config_file = file;
    if (cl.argc && (!strcmp(cl.argv[0], "--version") || (!strcmp(cl.argv[0], "version") && cl.argc == 1))) {
        printf("s3vtl %s\n", S3VTL_VERSION);
        return EXIT_DONE;
    }
    if (cl.argc && !strcmp(cl.argv[0], "--tables")) {
        print_tables(&(struct tables){options, N_OPTIONS, table, N_COMMANDS});
        return finish(EXIT_DONE);
    }
    if (!cl.argc)
        return usage_error("missing command; see s3vtl --help");
    if (is_help(cl.argv[0]) || !strcmp(cl.argv[0], "help"))
        return help(cl.argc - 1, cl.argv + 1);
    if (cl.argc == 2 && is_help(cl.argv[1]) && print_group(cl.argv[0]))
        return finish(EXIT_DONE);
    int words = 1;
    const struct subcommand *s = find(cl.argc, cl.argv, &words);
    if (!s)
        return EXIT_USAGE;
    cl.argc -= words;
    cl.argv += words;
    if (wants_help(cl.argc, cl.argv)) {
        print_command(stdout, s);
        return finish(EXIT_DONE);
    }
    return finish(s->run(&cl));
}
