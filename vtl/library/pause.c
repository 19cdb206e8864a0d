/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pause.c: how threads that look at the library now and then wait between two looks. */
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
