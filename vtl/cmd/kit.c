/* SPDX-License-Identifier: GPL-2.0-or-later */
/* kit.c: s3vtl kit: the page to print: what to keep where, and in which order to restore. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vtl/cmd/cmd.h"
#include "vtl/cmd/escrow.h"

enum kind { PLAIN, RENTERD, S3D };

static enum kind kind_of(const struct vtl_config *c)
{
    bool s3 = !strcmp(c->store.type, "s3");
    if (s3 && !strcmp(c->store.kind, "renterd"))
        return RENTERD;
    return s3 && !strcmp(c->store.kind, "s3d") ? S3D : PLAIN;
}

static void blank(const char *what)
{
    printf("  %-28s ________________________________\n", what);
}

static void have(const char *what, const char *value)
{
    printf("  %-28s %s\n", what, value[0] ? value : "-");
}

static void print_newest(const struct vtl_config *c)
{
    struct objstore *place = NULL;
    struct escrow_entry *v = NULL;
    struct errtext err = {""};
    size_t n = 0;
    char when[HUMAN_ROOM];
    int rc = escrow_open_place(c, &place, NULL, &err);
    if (!rc)
        rc = escrow_list_own(c, place, &v, &n, &err);
    if (rc)
        have("newest escrow", err.text);
    else if (!n)
        have("newest escrow", "none yet: run \"s3vtl escrow run\"");
    else
        printf("  %-28s %s, %s\n", "newest escrow", human_time(v[n - 1].created, when), v[n - 1].key);
    free(v);
    if (place)
        place->ops->close(place);
}

/* With all that its configuration needs, should this host be gone. */
static void print_place(const struct vtl_config *c)
{
    if (!c->escrow.url[0]) {
        have("escrows are in", c->escrow.path);
        return;
    }
    have("escrows are in", c->escrow.url);
    have("  bucket", c->escrow.bucket);
    have("  prefix", c->escrow.prefix);
    have("  region", c->escrow.region);
}

/* ---- a configuration for a new host: whole, but for what serves hosts only ---- */

static bool is(const struct config_shown *k, const char *section, const char *name)
{
    return !strcmp(k->section, section) && !strcmp(k->name, name);
}

static bool is_wanted(const struct config_shown *k, enum kind kind)
{
    bool of_section = !strcmp(k->section, "library") || !strcmp(k->section, "store") ||
                      (kind != PLAIN && !strcmp(k->section, "escrow"));
    return (k->given && of_section) || is(k, "library", "name") || is(k, "library", "state_dir") ||
           is(k, "library", "serial_prefix") || is(k, "iscsi", "target");
}

/* Of the store's own service, which is not there yet: a file that is named must be. */
static bool is_for_later(const struct config_shown *k)
{
    return is(k, "store", "admin_url") || is(k, "store", "admin_password_file");
}

/* Only a service has credentials of systemd's: commands there need a file. */
static void print_setting(const struct config_shown *k)
{
    const char *name = config_is_systemd(k->value) ? strchr(k->value, ':') + 1 : NULL;
    printf("%s%s = %s%s\n", is_for_later(k) ? "; " : "", k->name, name ? "/etc/s3vtl/" : "", name ? name : k->value);
}

/* Without an empty line in it, so that it can be cut out of the page, too. */
static void print_configuration(const struct vtl_config *c, enum kind kind)
{
    const char *section = "";
    struct config_shown k;
    printf(
        "\nIts configuration on a new host, /etc/s3vtl/s3vtl.conf. The files that it names must be there, those with\n"
        "keys (access_key = ..., secret_key = ...) with mode 0600%s\n\n",
        c->store.admin_url[0] ? "; lines with \";\" are for when the\nstore's service runs again:" : ":");
    for (size_t i = 0; config_show(c, i, &k); i++) {
        if (!is_wanted(&k, kind))
            continue;
        if (strcmp(section, k.section) != 0)
            printf("[%s]\n", k.section);
        section = k.section;
        print_setting(&k);
    }
}

/* What is on no page. */
static void print_files(const struct vtl_config *c, enum kind kind)
{
    if (c->store.ca_file[0])
        have("keep a copy of", c->store.ca_file);
    if (kind != PLAIN && c->escrow.ca_file[0])
        have("keep a copy of", c->escrow.ca_file);
    if (c->store.proxy_user[0] || (kind != PLAIN && c->escrow.proxy_user[0]))
        blank("password of the proxy");
}

static void print_keep(const struct vtl_config *c, enum kind kind)
{
    printf("S3VTL: WHAT TO KEEP, AND HOW TO RESTORE\n\nWhere this library is\n");
    have("library", c->library.name);
    if (!strcmp(c->store.type, "dir")) {
        have("directory", c->store.path);
    } else {
        have("store", c->store.url);
        have("bucket", c->store.bucket);
        have("prefix", c->store.prefix);
        have("region", c->store.region);
    }
    have("serial prefix", c->library.serial_prefix);
    have("target", c->iscsi.target);
    if (kind != PLAIN) {
        print_place(c);
        have("for the key", c->escrow.public_key);
        if (config_has_escrow(c))
            print_newest(c);
    }
    print_configuration(c, kind);
    printf("\nWhat only you have: fill it in by hand, and keep this page away from that house\n");
    blank("access key of the store");
    blank("secret key of the store");
    if (kind != PLAIN && c->escrow.url[0]) {
        blank("access key of the escrows");
        blank("secret key of the escrows");
    }
    print_files(c, kind);
    if (kind != PLAIN) {
        blank("recovery phrase (12 words)");
        blank("");
        blank("escrow-secret:");
        blank("");
    }
    blank("PBS: keys of encrypted pools");
}

static void print_catalogue(const struct vtl_config *c, enum kind kind)
{
    const char *service = kind == RENTERD ? "renterd" : "s3d";
    char where[ESCROW_WHERE];
    if (c->escrow.url[0])
        printf("  1. Install s3vtl, and write the configuration above, and the files with the keys that it names.\n"
               "     s3vtl escrow list                                           (the newest is the last)\n"
               "     s3vtl escrow restore NAME --key - --to catalogue.sqlite     (type the key, then Ctrl-D)\n");
    else
        printf("  1. Get the newest escrow from %s.\n"
               "     s3vtl escrow restore FILE --key - --to catalogue.sqlite     (type the key, then Ctrl-D)\n",
               c->escrow.path[0] ? escrow_where(c, where) : "its place");
    printf("  2. Install %s, and DO NOT START IT YET: on an empty database it knows none of your objects%s.\n", service,
           kind == S3D ? ",\n     and deletes every file that waits in its uploads" : "");
    if (kind == RENTERD)
        printf("     Put catalogue.sqlite in its place: db/db.sqlite below its data directory (/var/lib/renterd).\n");
    else
        printf("     Put catalogue.sqlite in the place of its database, below its data directory.\n");
    printf(
        "  3. Start it with the recovery phrase, and wait until it is synced and has its contracts and hosts again.\n"
        "     Objects that it accepted after the escrow are not in its list; those that were on its own disk only\n"
        "     are lost.\n");
}

static void print_order(const struct vtl_config *c, enum kind kind)
{
    int n = kind == PLAIN ? 1 : 4;
    printf("\nHow to restore, in this order\n");
    if (kind != PLAIN)
        print_catalogue(c, kind);
    printf(
        "  %d. Install s3vtl on a new host, write the configuration above, and the files with the keys that it names.\n"
        "     What it lacks of the one that you had ([iscsi], [spool] ...) changes nothing in what is stored.\n",
        n);
    printf(
        "  %d. s3vtl doctor\n     s3vtl library rebuild        (brings back every cartridge as of its last commit)\n",
        n + 1);
    printf("     s3vtl verify --all           (reads everything, and names what is missing or damaged)\n");
    printf("  %d. s3vtl serve; attach it to PBS (pbs-attach); in PBS restore the keys of encrypted pools, then\n"
           "     proxmox-tape inventory, catalog, restore.\n",
           n + 2);
}

int cmd_kit(const struct command_line *cl)
{
    if (!check_arguments(cl, 0, false, "kit"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(cl);
    if (!cfg)
        return EXIT_FAILED;
    enum kind kind = kind_of(cfg);
    print_keep(cfg, kind);
    print_order(cfg, kind);
    if (escrow_is_needless(cfg, NULL))
        printf("\n%s\n", ESCROW_NEEDLESS);
    if (!strcmp(cfg->store.type, "s3") && !strcmp(cfg->store.kind, "auto"))
        printf(
            "\nNote: [store] kind is auto. If the store is renterd or s3d, set it, and print this page again: it then "
            "says\nhow to bring the store's own catalogue back.\n");
    config_free(cfg);
    return EXIT_DONE;
}
