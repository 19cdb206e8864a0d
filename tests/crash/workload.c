/* SPDX-License-Identifier: GPL-2.0-or-later */
/* workload.c: does the operations of ops.h with a library in a directory, and marks each before it begins and after it
 * is acknowledged. Run with record.so preloaded. With
 * $TEST_DEDUP it fails unless tapes lean on each other.    workload ROOT SEED OPERATIONS */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/crash/lib.h"
#include "tests/crash/ops.h"
#include "tests/crash/record.h"
#include "tests/lib/chunked.h"
#include "tests/lib/leaning.h"

static int marks = -1;

static void mark(char what, uint64_t number)
{
    char line[32];
    int n = snprintf(line, sizeof(line), "%c %llu\n", what, (unsigned long long)number);
    if (write(marks, line, (size_t)n) != n) {
        perror(RECORD_MARKS);
        exit(2);
    }
}

/* As many as ever were at once: what is written over later leans no more. */
static uint64_t most_leans;

static void count_leans(struct library *lib)
{
    uint64_t n = 0;
    for (unsigned t = 0; t < TAPES; t++)
        n += leaning_now(lib, lib_barcode(t));
    most_leans = n > most_leans ? n : most_leans;
}

static int run(struct library *lib, const struct op *op)
{
    static uint8_t block[MAX_BLOCK];
    static const atomic_bool never = false;
    const struct tape_ops *t = library_drive_ops();
    void *d = library_drive(lib, 0);
    switch (op->kind) {
    case OP_WRITE:
        block_fill(op->object, block);
        return lib_write(d, block, block_length(op->object));
    case OP_MARKS:
    case OP_MARKS_SYNC:
        return (int)t->write_filemarks(d, 1, op->kind == OP_MARKS, &never);
    case OP_SYNC:
        return (int)t->write_filemarks(d, 0, false, &never);
    case OP_LOCATE:
        return (int)t->locate_object(d, 0, op->object, &never);
    case OP_END:
        return (int)t->space_end_of_data(d, &never);
    case OP_ERASE:
        return (int)t->erase(d, false, &never);
    case OP_FORMAT:
        return t->rewind(d, &never) ? -1 : (int)t->format(d, &never);
    case OP_UNLOAD:
        return (int)library_changer_ops()->move(lib, 0, ELEMENT_FIRST_DRIVE, lib_slot(op->tape), &never);
    case OP_LOAD:
        return (int)library_changer_ops()->move(lib, 0, lib_slot(op->tape), ELEMENT_FIRST_DRIVE, &never);
    case OP_DRAIN:
        return lib_drain(lib) ? 0 : -1;
    }
    return -1;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: workload ROOT SEED OPERATIONS\n", stderr);
        return 2;
    }
    char path[4200];
    (void)snprintf(path, sizeof(path), "%s/" RECORD_MARKS, argv[1]);
    marks = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    struct vtl_config *c = lib_config(argv[1]);
    struct library *lib = c && marks >= 0 ? lib_make(c) : NULL;
    if (!lib)
        return 2;
    static struct model m;
    uint64_t n = strtoull(argv[3], NULL, 10);
    model_init(&m, strtoull(argv[2], NULL, 10));
    mark('a', 0); /* the library is there */
    for (uint64_t i = 1; i <= n; i++) {
        struct op op = model_step(&m);
        mark('i', i);
        int rc = run(lib, &op);
        if (rc) {
            fprintf(stderr, "operation %llu (%s): %d\n", (unsigned long long)i, op_name(op.kind), rc);
            return 1;
        }
        mark('a', i);
        if (chunked() && op.kind == OP_UNLOAD)
            count_leans(lib);
    }
    struct errtext err = {""};
    if (library_close(lib, &err)) {
        fprintf(stderr, "close: %s\n", err.text);
        return 1;
    }
    config_free(c);
    if (chunked())
        fprintf(stderr, "at most %llu leans at once\n", (unsigned long long)most_leans);
    return chunked() && !most_leans;
}
