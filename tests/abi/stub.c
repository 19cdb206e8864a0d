/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stub.c: a program that the module takes for a tgtd by the symbols that it exports. By its macros one of them is missing
 * (-DLESS), or a struct has grown (-DMORE=4). */
#include <stdio.h>

#include "vtl/target/tgt_abi.h"

#ifndef MORE
#define MORE 0
#endif

#define STUB(result, name, parameters)                                                                                 \
    void stub_of_##name(void) __asm__(#name);                                                                          \
    void stub_of_##name(void)                                                                                          \
    {                                                                                                                  \
    }
TGT_FUNCTIONS(STUB)
#ifdef LESS
__asm__(".hidden ua_sense_del");
#endif

struct list_head iscsi_targets_list;
struct tgt_driver *tgt_drivers[32];
char smc_template[sizeof(struct device_type_template) + MORE];
char session_keys[(ISCSI_PARAM_MAX + 1) * 32];

int main(void)
{
    puts("it starts");
    return 0;
}
