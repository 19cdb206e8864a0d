/* SPDX-License-Identifier: GPL-2.0-or-later */
/* seeds.c: seeds DIRECTORY: writes what each fuzzer begins with to DIRECTORY/FUZZER. */
#include "tests/fuzz/seeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void seed_write(const char *fuzzer, const char *name, const void *data, size_t len)
{
    char path[256];
    (void)mkdir(fuzzer, 0777);
    (void)snprintf(path, sizeof(path), "%s/%s", fuzzer, name);
    FILE *f = fopen(path, "we");
    if (!f || fwrite(data, 1, len, f) != len || fclose(f)) {
        perror(path);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2 || (mkdir(argv[1], 0777) && access(argv[1], W_OK)) || chdir(argv[1])) {
        (void)fprintf(stderr, "usage: seeds DIRECTORY\n");
        return 2;
    }
    seeds_scsi();
    seeds_stored();
    seeds_text();
    seeds_foreign();

    return 0;
}
