/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz_control.c: any lines as requests to a library, which is in $FUZZ_TMP (/tmp), small, and the same for all inputs.
 */
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "vtl/library/library.h"

static struct library *open_library(void)
{
    char dir[200], path[256];
    struct errtext err = {""};
    struct library *lib = NULL;
    struct vtl_config *cfg = NULL;
    json_t *report = NULL;
    const char *tmp = getenv("FUZZ_TMP");
    (void)snprintf(dir, sizeof(dir), "%s/s3vtl-fuzz.XXXXXX", tmp ? tmp : "/tmp");
    must(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/conf", dir);
    FILE *f = fopen(path, "we");
    must(f);
    (void)fprintf(f,
                  "[library]\nstate_dir = %s/state\ndrives = 1\nslots = 4\nimport_export = 1\n[store]\ntype = dir\n"
                  "path = %s/store\n",
                  dir, dir);
    must(!fclose(f));
    if (config_load(path, &cfg, &err) || library_init(cfg, &report, &err) || library_open(cfg, 0, &lib, &err)) {
        (void)fprintf(stderr, "%s\n", err.text);
        abort();
    }
    json_decref(report);
    return lib;
}

static void ask(struct library *lib, const uint8_t *line, size_t n)
{
    struct errtext err = {""};
    char *p = (char *)exactly(n);
    memcpy(p, line, n);
    json_t *request = json_loadb(p, n, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(request)) { /* the server answers anything else itself */
        json_t *result = library_call(lib, request, &err);
        must(result || err.text[0]);
        char *text = result ? json_dumps(result, JSON_COMPACT) : NULL;
        must(!result || text);
        free(text);
        json_decref(result);
    }
    json_decref(request);
    free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct library *lib;
    if (!lib)
        lib = open_library();
    while (size) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t n = end ? (size_t)(end - data) + 1 : size;
        ask(lib, data, n);
        data += n;
        size -= n;
    }
    return 0;
}
