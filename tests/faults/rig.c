/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rig.c: see rig.h. */
#include "tests/faults/rig.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/chunked.h"

#define PATH_ROOM 4200

const atomic_bool never = false;

void must(int rc, const char *what, const struct errtext *err)
{
    if (!rc)
        return;
    fprintf(stderr, "%s: %d %s\n", what, rc, err ? err->text : "");
    _exit(1);
}

static FILE *opened(const char *path, const char *mode)
{
    FILE *f = fopen(path, mode);
    if (!f) {
        perror(path);
        _exit(2);
    }
    return f;
}

void rig_rule(const struct rig *r, const char *text)
{
    char path[PATH_ROOM], next[PATH_ROOM];
    (void)snprintf(path, sizeof(path), "%s/rule", r->proxy);
    (void)snprintf(next, sizeof(next), "%s/rule.new", r->proxy);
    FILE *f = opened(next, "w");
    if (fprintf(f, "%s\n", text) < 0 || fclose(f) || rename(next, path)) {
        perror(path);
        _exit(2);
    }
}

long rig_hits(const struct rig *r)
{
    char path[PATH_ROOM];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/hits", r->proxy);
    return stat(path, &st) ? 0 : (long)st.st_size;
}

struct vtl_config *rig_config(const struct rig *r, const char *name, const char *prefix, const char *more)
{
    char path[PATH_ROOM], port[16] = "";
    struct errtext err = {""};
    struct vtl_config *c = NULL;
    (void)snprintf(path, sizeof(path), "%s/port", r->proxy);
    FILE *f = opened(path, "r");
    must(!fgets(port, sizeof(port), f), path, NULL);
    fclose(f);
    (void)snprintf(path, sizeof(path), "%s/%s.conf", r->work, name);
    f = opened(path, "w");
    fprintf(f,
            "[library]\nname = %s\nstate_dir = %s/%s\nslots = 2\n[store]\ntype = s3\nurl = http://127.0.0.1:%s\n"
            "bucket = %s\nprefix = %s\ncredentials_file = %s\n[spool]\nsegment_size = 1M\ncache_size = 0\n%s%s",
            name, r->work, name, port, getenv("S3_BUCKET"), prefix, getenv("S3_CREDENTIALS"), more,
            chunked() ? CHUNKED_CONFIG : "");
    must(fclose(f), path, NULL);
    must(config_load(path, &c, &err), "configuration", &err);
    return c;
}

struct library *rig_open(const struct vtl_config *c)
{
    struct library *lib = NULL;
    struct errtext err = {""};
    must(library_open(c, LIBRARY_SERVE, &lib, &err), "open", &err);
    return lib;
}

struct library *rig_make(const struct vtl_config *c, unsigned tapes)
{
    struct errtext err = {""};
    json_t *r = NULL, *barcodes = json_array();
    must(library_init(c, &r, &err), "init", &err);
    json_decref(r);
    for (unsigned i = 1; i <= tapes; i++)
        json_array_append_new(barcodes, json_sprintf("FLT%03uL8", i));
    struct library *lib = rig_open(c);
    json_t *q = json_pack("{s:s, s:o, s:i}", "op", "tape-create", "barcodes", barcodes, "capacity", 0);
    r = library_call(lib, q, &err);
    must(!r, "tape create", &err);
    json_decref(q);
    json_decref(r);
    return lib;
}

struct library *rig_rebuild(const struct vtl_config *c)
{
    struct errtext err = {""};
    json_t *r = NULL;
    must(library_rebuild(c, NULL, &r, &err), "rebuild", &err);
    json_decref(r);
    return rig_open(c);
}

void rig_close(struct library *lib)
{
    struct errtext err = {""};
    must(library_close(lib, &err), "close", &err);
}

void rig_load(struct library *lib, unsigned i)
{
    must((int)library_changer_ops()->move(lib, 0, (uint16_t)(SLOT + i), (uint16_t)(DRIVE + i), &never), "load", NULL);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st;
    (void)type;
    (void)f;
    return remove(path);
}

void rig_clean(const struct rig *r)
{
    (void)nftw(r->work, remove_one, 32, FTW_DEPTH | FTW_PHYS);
    must(mkdir(r->work, 0700), r->work, NULL);
}
