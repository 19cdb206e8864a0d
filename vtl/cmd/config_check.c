/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_check.c: s3vtl config check: prints the settings in force, and hints at those that may surprise. */
#include <stdio.h>
#include <string.h>

#include "base/jsontext.h"
#include "vtl/config/config.h"
#include "vtl/cmd/cmd.h"
#include "vtl/cmd/password.h"

static void hints(const struct vtl_config *c)
{
    bool s3 = !strcmp(c->store.type, "s3");
    if (s3 && !strncmp(c->store.url, "http://", 7) && strncmp(c->store.url, "http://127.", 11) &&
        strncmp(c->store.url, "http://localhost", 16) && strncmp(c->store.url, "http://[::1]", 12))
        fprintf(stderr, "s3vtl: hint: [store] url = %s crosses a network without TLS\n", c->store.url);
    if (s3 && c->spool.segment_size % (40u << 20))
        fprintf(stderr,
                "s3vtl: hint: [spool] segment_size is not a multiple of 40M, renterd's slab size at 10-of-30\n");
}

/* Reads the files that the configuration names, too. A dir store is not opened: that would create its directory. */
static int check_files(const struct vtl_config *cfg, struct obj_facts *facts)
{
    struct errtext err = {""};
    struct objstore_config oc;
    struct objstore *store = NULL;
    if (password_check(cfg, &err))
        return fail("%s", err.text);
    if (strcmp(cfg->store.type, "s3") != 0)
        return EXIT_DONE;
    config_store(cfg, &oc);
    if (objstore_open(&oc, &store, &err))
        return fail("%s: %s", cfg->file, err.text);
    objstore_facts(store, facts);
    store->ops->close(store);
    return EXIT_DONE;
}

static int check_console(const struct vtl_config *cfg)
{
    struct errtext err = {""};
    struct vtl_config *same = NULL;
    int rc = cfg->web.listen[0] ? config_load_console(cfg->file, &same, &err) : 0;
    config_free(same);
    return rc ? fail("%s", err.text) : EXIT_DONE;
}

/* In the format of the configuration file. */
static void print_text(const struct vtl_config *cfg, const struct obj_facts *facts)
{
    const char *section = "";
    struct config_shown k;
    for (size_t i = 0; config_show(cfg, i, &k); i++) {
        if (strcmp(section, k.section) != 0)
            printf("%s[%s]\n", section[0] ? "\n" : "", k.section);
        section = k.section;
        printf("%s = %s%s\n", k.name, k.value, k.given ? "" : " ; default");
    }
    if (facts->credentials[0])
        printf("\n; the store's keys are from %s\n", facts->credentials);
}

/* {section: {key: value}, ..., "defaults": ["section.key", ...], "credentials": where they are from, or null} */
static void print_object(const struct vtl_config *cfg, const struct obj_facts *facts)
{
    json_t *all = json_object(), *defaults = json_array();
    struct config_shown k;
    for (size_t i = 0; config_show(cfg, i, &k); i++) {
        if (!json_object_get(all, k.section))
            json_object_set_new(all, k.section, json_object());
        json_object_set_new(json_object_get(all, k.section), k.name, json_text(k.value));
        if (!k.given)
            json_array_append_new(defaults, json_sprintf("%s.%s", k.section, k.name));
    }
    json_object_set_new(all, "defaults", defaults);
    json_object_set_new(all, "credentials", facts->credentials[0] ? json_text(facts->credentials) : json_null());
    print_json(all);
    json_decref(all);
}

int cmd_config_check(const struct command_line *given)
{
    struct command_line cl = *given;
    bool online = take_flag(&cl, "--online");
    if (!check_arguments(&cl, 0, false, "config check [--online]"))
        return EXIT_USAGE;
    if (online)
        return cmd_doctor(&cl);
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    struct obj_facts facts = {.credentials = ""};
    int status = check_files(cfg, &facts);
    if (status == EXIT_DONE)
        status = check_console(cfg);
    if (status == EXIT_DONE) {
        if (cl.json)
            print_object(cfg, &facts);
        else
            print_text(cfg, &facts);
        if (!cl.quiet)
            hints(cfg);
    }
    config_free(cfg);
    return status;
}
