/* SPDX-License-Identifier: GPL-2.0-or-later */
/* main.c: runs groups of tests as a backup server whose inventory is a file.
 *   pbs INVENTORY GROUP...      GROUP: media, backup, restore, worm, lto9, in this order, restarted, changed; TAP on stdout
 * The library is found by S3VTL_TEST_PORTAL and S3VTL_TEST_TARGET, or by S3VTL_PBS_SG in the build for /dev/sg. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/pbs/tests.h"

static const struct {
    const char *name;
    const struct test *tests;
} groups[] = {
    {"media", media_tests},         {"backup", backup_tests},   {"restore", restore_tests},
    {"worm", worm_tests},           {"lto9", lto9_tests},       {"encryption", encryption_tests},
    {"restarted", restarted_tests}, {"changed", changed_tests},
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned run(struct site *s, const struct test *tests)
{
    unsigned failed = 0;
    for (const struct test *t = tests; t->name; t++) {
        double began = now();
        bool good = t->fn(s);
        printf("%s - %s # %.1f s\n", good ? "ok" : "not ok", t->name, now() - began);
        if (!good)
            printf("#   %s\n", problem_text());
        fflush(stdout);
        failed += !good;
    }
    return failed;
}

static const struct test *find(const char *name)
{
    for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++)
        if (!strcmp(groups[i].name, name))
            return groups[i].tests;
    return NULL;
}

int main(int argc, char **argv)
{
    struct site s;
    unsigned failed = 0;
    if (argc < 3) {
        fprintf(stderr, "usage: pbs INVENTORY GROUP...\n");
        return 2;
    }
    if (!site_open(&s, argv[1])) {
        printf("not ok - the backup server finds its library\n#   %s\n", problem_text());
        return 1;
    }
    for (int i = 2; i < argc; i++) {
        const struct test *tests = find(argv[i]);
        if (!tests) {
            fprintf(stderr, "pbs: no group %s\n", argv[i]);
            return 2;
        }
        failed += run(&s, tests);
    }
    if (!inventory_save(&s.inventory, argv[1])) {
        printf("not ok - the inventory is kept\n#   %s\n", problem_text());
        failed++;
    }
    site_close(&s);
    return failed != 0;
}
