/* SPDX-License-Identifier: GPL-2.0-or-later */
/* lib.c: see lib.h. */
#include "tests/crash/lib.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/chunked.h"

bool lib_remote(void)
{
    const char *durability = getenv("CRASH_DURABILITY");
    return durability && !strcmp(durability, "remote");
}

struct vtl_config *lib_config(const char *root)
{
    char path[4200];
    struct errtext err = {""};
    struct vtl_config *c = NULL;
    (void)snprintf(path, sizeof(path), "%s.conf", root);
    FILE *f = fopen(path, "w");
    if (!f) {
        perror(path);
        return NULL;
    }
    const char *cache = getenv("CRASH_CACHE"), *buffer = getenv("CRASH_WRITE_BUFFER");
    fprintf(f,
            "[library]\nname = crash\nstate_dir = %s/state\nslots = 8\ndrives = 1\n[store]\npath = %s/" LIB_STORE "\n"
            "[spool]\nsegment_size = 1M\nmax_dirty = 64M\nidle_seal = 1h\ncache_size = %s\ndurability = %s\n"
            "write_buffer = %s\n%s",
            root, root, cache ? cache : "0", lib_remote() ? "remote" : "local", buffer ? buffer : "32M",
            chunked() ? CHUNKED_CONFIG : "");
    if (fclose(f) || config_load(path, &c, &err))
        fprintf(stderr, "%s: %s\n", path, err.text);
    return c;
}

struct library *lib_open(const struct vtl_config *c)
{
    struct library *lib = NULL;
    struct errtext err = {""};
    if (library_open(c, LIBRARY_SERVE, &lib, &err))
        fprintf(stderr, "open: %s\n", err.text);
    return lib;
}

uint16_t lib_slot(unsigned tape)
{
    return (uint16_t)(ELEMENT_FIRST_STORAGE + tape);
}

const char *lib_barcode(unsigned tape)
{
    static const char *const names[TAPES] = {"CRA001L8", "CRA002L8", "CRA003L8"};
    return names[tape];
}

struct library *lib_make(const struct vtl_config *c)
{
    struct errtext err = {""};
    json_t *r = NULL;
    if (library_init(c, &r, &err)) {
        fprintf(stderr, "init: %s\n", err.text);
        return NULL;
    }
    json_decref(r);
    struct library *lib = lib_open(c);
    for (unsigned i = 0; lib && i < TAPES; i++) {
        json_t *q = json_pack("{s:s, s:[s], s:i}", "op", "tape-create", "barcodes", lib_barcode(i), "capacity", 0);
        r = library_call(lib, q, &err);
        json_decref(q);
        json_decref(r);
        if (!r) {
            fprintf(stderr, "create: %s\n", err.text);
            return NULL;
        }
    }
    return lib;
}

int lib_write(void *drive, const void *block, uint32_t len)
{
    static const atomic_bool never = false;
    return (int)library_drive_ops()->write(drive, block, len, true, NULL, &never);
}

bool lib_drain(struct library *lib)
{
    char waiting[1000] = "?";
    for (int i = 0; i < 6; i++) {
        json_t *q = json_pack("{s:s, s:b, s:i}", "op", "flush", "remote", 1, "timeout_ms", 10000);
        struct errtext err = {""};
        json_t *r = library_call(lib, q, &err);
        bool remote = json_is_true(json_object_get(r, "remote"));
        const char *why = json_string_value(json_object_get(r, "waiting"));
        (void)snprintf(waiting, sizeof(waiting), "%s", r ? why ? why : "" : err.text);
        json_decref(q);
        json_decref(r);
        if (remote)
            return true;
    }
    fprintf(stderr, "not stored in a minute: %s\n", waiting);
    return false;
}
