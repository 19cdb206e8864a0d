/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz_config.c: any text as the configuration file. */
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "vtl/config/config_private.h"

/* What is in force is what the limits say. */
static void check(const struct vtl_config *c)
{
    char text[4096];
    struct objstore_config store;
    must(c->library.name[0] && strlen(c->library.name) <= 32 && c->library.state_dir[0] == '/');
    must(strlen(c->library.state_dir) <= CONFIG_MAX_STATE_DIR && c->library.serial_prefix[0]);
    must(c->library.drives >= 1 && c->library.drives <= 64 && c->library.slots >= 1 && c->library.slots <= 60000);
    must(c->library.import_export <= 250 && c->library.generation >= 5 && c->library.generation <= 9);
    must(c->store.parallel >= 1 && c->store.parallel <= 64);
    must(c->spool.segment_size >= 1u << 20 && c->spool.segment_size <= 1u << 30);
    must(c->spool.max_dirty >= 4 * c->spool.segment_size);
    config_store(c, &store);
    for (size_t i = 0; i < config_n_keys; i++)
        config_keys[i].show(c, text, sizeof(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vtl_config *c = NULL;
    struct errtext err = {""};
    char path[64];
    int fd = memfd_create("conf", MFD_CLOEXEC);
    must(fd >= 0 && (!size || write(fd, data, size) == (ssize_t)size));
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int rc = config_load(path, &c, &err);
    must(rc ? !c && err.text[0] && !strchr(err.text, '\n') : !!c);
    if (c)
        check(c);
    config_free(c);
    close(fd);
    return 0;
}
