/* SPDX-License-Identifier: GPL-2.0-or-later */
/* target_preload.c: the module makes itself known to the tgtd that it was preloaded into. */
#include <dlfcn.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vtl/target/guard.h"
#include "vtl/target/tgt_abi.h"

/*
 * tgtd looks for modules in one directory only, which is compiled into it and root's. Preloaded, the module needs
 * neither that directory nor root, and the host's own tgtd does not see it. Its list of backing stores is a static one,
 * so that this may be before main. No program that tgtd starts is to have the module, too. Where LD_PRELOAD is not set,
 * it was loaded in the other way, and tgtd registers it itself; but then it is too late for the guard, and no logical
 * unit is opened.
 *
 * A program on the way to tgtd (a shell, a debugger) is preloaded too, knows nothing of backing stores, and hands
 * LD_PRELOAD on: for that the module is bound lazily. So what a tgtd lacks would show in the middle of its work, and structs that
 * are not what they were would not show at all: both are looked for here, as far as symbols tell. serve has asked for the
 * version before.
 */
void register_bs_module(void);

#define NAME(result, name, parameters) #name,
#define DATA(name, size) {#name, size},
static const char *const functions[] = {TGT_FUNCTIONS(NAME)};
static const struct {
    const char *name;
    size_t size;
} data[] = {TGT_DATA(DATA)};

__attribute__((noreturn, format(printf, 1, 2))) static void refuse(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)fputs("s3vtl: ", stderr);
    (void)vfprintf(stderr, fmt, ap);
    (void)fputs(": the module was built for another one\n", stderr);
    va_end(ap);
    _exit(1);
}

static void check_size(const char *name, size_t size)
{
    Dl_info info;
    const ElfW(Sym) *symbol = NULL;
    void *at = dlsym(RTLD_DEFAULT, name);
    if (!at || !dladdr1(at, &info, (void **)&symbol, RTLD_DL_SYMENT) || !symbol)
        refuse("this tgtd has no %s", name);
    if (symbol->st_size != size)
        refuse("%s of this tgtd has %zu bytes, not %zu", name, (size_t)symbol->st_size, size);
}

static void check_tgtd(void)
{
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        if (!dlsym(RTLD_DEFAULT, functions[i]))
            refuse("this tgtd has no %s", functions[i]);
    for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++)
        check_size(data[i].name, data[i].size);
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
