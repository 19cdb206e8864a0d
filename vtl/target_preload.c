/* SPDX-License-Identifier: GPL-2.0-or-later */
/* target_preload.c: the module makes itself known to the tgtd that it was preloaded into. */
#include <stdlib.h>

/*
 * tgtd looks for modules in one directory only, which is compiled into it and root's. Preloaded, the module needs
 * neither that directory nor root, and the host's own tgtd does not see it. Its list of backing stores is a static one,
 * so that this may be before main. No program that tgtd starts is to have the module, too. Where LD_PRELOAD is not set,
 * it was loaded in the other way, and tgtd registers it itself.
 */
void register_bs_module(void);

__attribute__((constructor)) static void preloaded(void)
{
    if (!getenv("LD_PRELOAD"))
        return;
    unsetenv("LD_PRELOAD");
    register_bs_module();
}
