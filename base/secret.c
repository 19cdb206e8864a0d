/* SPDX-License-Identifier: GPL-2.0-or-later */
/* secret.c: see secret.h. */
#include "base/secret.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

void *secret_new(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    if (!mlock(p, size) && !madvise(p, size, MADV_DONTDUMP) && !madvise(p, size, MADV_WIPEONFORK))
        return p;
    int why = errno;
    munmap(p, size);
    errno = why;
    return NULL;
}

void secret_free(void *p, size_t size)
{
    if (!p)
        return;
    explicit_bzero(p, size);
    munlock(p, size);
    munmap(p, size);
}

void secret_copy(void *to, const void *from, size_t n)
{
    volatile uint8_t *t = to;
    const volatile uint8_t *f = from;
    for (size_t i = 0; i < n; i++)
        t[i] = f[i];
}

bool secret_equal(const void *a, const void *b, size_t n)
{
    const volatile uint8_t *p = a, *q = b;
    uint8_t differ = 0;
    for (size_t i = 0; i < n; i++)
        differ |= p[i] ^ q[i];
    return !differ;
}

void secret_no_core_dumps(void)
{
    const char *asked = getenv(SECRET_CORE_DUMPS);
    (void)prctl(PR_SET_DUMPABLE, asked && *asked);
}
