/* SPDX-License-Identifier: GPL-2.0-or-later */
/* target_preload.c: the module makes itself known to the tgtd that it was preloaded into. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vtl/target/guard.h"

/*
 * tgtd looks for modules in one directory only, which is compiled into it and root's. Preloaded, the module needs
 * neither that directory nor root, and the host's own tgtd does not see it. Its list of backing stores is a static one,
 * so that this may be before main. No program that tgtd starts is to have the module, too. Where LD_PRELOAD is not set,
 * it was loaded in the other way, and tgtd registers it itself; but then it is too late for the guard, and no logical
 * unit is opened.
 *
 * A program on the way to tgtd (a shell, a debugger) is preloaded too, knows nothing of backing stores, and hands
 * LD_PRELOAD on: for that the module is bound lazily. So what a tgtd lacks would show in the middle of its work; it is
 * looked for here.
 */
void register_bs_module(void);

static void check_tgtd(void)
{
    static const char *const names[] = {"conn_close",      "conn_get",           "conn_read_pdu",
                                        "iscsi_free_task", "iscsi_targets_list", "iscsi_transport_register",
                                        "it_nexus_lookup", "scsi_get_devid",     "session_get",
                                        "session_put",     "target_cmd_io_done", "target_cmd_perform",
                                        "tgt_drivers",     "tgt_event_add",      "tgt_event_del",
                                        "tgt_targetname",  "ua_sense_clear",     "ua_sense_del"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!dlsym(RTLD_DEFAULT, names[i])) {
            (void)fprintf(stderr, "s3vtl: this tgtd has no %s: the module was built for another one\n", names[i]);
            _exit(1);
        }
}

__attribute__((constructor)) static void preloaded(void)
{
    if (!getenv("LD_PRELOAD") || !dlsym(RTLD_DEFAULT, "register_backingstore_template"))
        return;
    check_tgtd();
    unsetenv("LD_PRELOAD");
    register_bs_module();
    guard_register();
}
