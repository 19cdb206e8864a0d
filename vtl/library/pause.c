/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pause.c: how long is waited: by threads between two looks at the library, and by operations for the store. */
#include "base/clock.h"
#include "vtl/library/library_private.h"

void library_pause(struct library *lib, const atomic_bool *stop, unsigned reloads, unsigned ms)
{
    uint64_t until = clock_ms() + ms, now;
    while (!atomic_load(stop) && atomic_load(&lib->n_reloads) == reloads && (now = clock_ms()) < until) {
        uint64_t seen = progress_now(&lib->eng.progress);
        if (!atomic_load(stop))
            progress_wait(&lib->eng.progress, seen, (unsigned)(until - now));
    }
}

struct obj_call library_impatient(const struct library *lib)
{
    return (struct obj_call){.cancel = &lib->no_waiting, .max_tries = 3, .patience_ms = OBJ_PATIENCE_MS};
}
