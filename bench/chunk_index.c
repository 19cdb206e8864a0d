/* SPDX-License-Identifier: GPL-2.0-or-later */
/* chunk_index.c: the index of chunks with as many as a large library has: how long they take to put and to find, and how
 * much disk and memory they take.
 *   chunk_index FILE [CHUNKS] [MEMORY]     50000000 and 64 MiB; FILE is made, and stays */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "vtl/state/chunk_index.h"

enum { PER_SEGMENT = 27, BLOCK = 262144 - 16, MEAN = 1500000 };

static struct chunk_index *x;
static double cpu_began;

static uint64_t start(void)
{
    cpu_began = (double)clock() / CLOCKS_PER_SEC;
    return clock_us();
}

static void id_of(uint64_t chunk, uint8_t id[SEG_CHUNK_ID])
{
    for (size_t i = 0; i < SEG_CHUNK_ID; i += 8) {
        chunk = (chunk + i) * UINT64_C(0x9E3779B97F4A7C15);
        chunk = (chunk ^ chunk >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        chunk = (chunk ^ chunk >> 27) * UINT64_C(0x94D049BB133111EB);
        chunk ^= chunk >> 31;
        memcpy(id + i, &chunk, 8);
    }
}

static uint32_t length_of(uint64_t chunk)
{
    return MEAN / 2 + (uint32_t)(chunk * 2654435761u % MEAN);
}

/* As PBS's chunks lie in blocks. */
static void put_segment(uint64_t n)
{
    struct chunk_list *l = chunk_list_new(n * 200);
    const struct seg_source s = {
        .cartridge = {(uint8_t)(n >> 16)}, .barcode = "BENCH1L8", .id = {1, 1, n}, .size = 40u << 20, .crc = 1};
    uint64_t object = n * 200;
    uint32_t at = 0;
    size_t len;
    for (uint64_t i = 0; i < PER_SEGMENT; i++) {
        struct seg_chunk_part p = {.chunk_length = length_of(n * PER_SEGMENT + i)};
        id_of(n * PER_SEGMENT + i, p.id);
        while (p.from < p.chunk_length) {
            p.offset = 16 + at;
            p.length = p.chunk_length - p.from < BLOCK - at ? p.chunk_length - p.from : BLOCK - at;
            if (chunk_list_add(l, object, &p, 1))
                abort();
            p.from += p.length;
            at = (at + p.length) % BLOCK;
            object += !at;
        }
    }
    const void *list = chunk_list_bytes(l, &len);
    if (chunk_index_put(x, &s, n * 200, list, len))
        exit(1);
    chunk_list_free(l);
}

static unsigned find(uint64_t chunk)
{
    struct chunk_places p = {0};
    uint8_t id[SEG_CHUNK_ID];
    id_of(chunk, id);
    chunk_index_find(x, id, length_of(chunk), false, &p);
    unsigned n = p.n;
    chunk_places_free(&p);
    return n;
}

static void say(const char *what, uint64_t began, uint64_t n)
{
    struct chunk_index_figures f;
    uint64_t took = clock_us() - began;
    double cpu = (double)clock() / CLOCKS_PER_SEC - cpu_began;
    long pages = 0, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm) {
        if (fscanf(statm, "%ld %ld", &pages, &resident) != 2)
            resident = 0;
        (void)fclose(statm);
    }
    chunk_index_figures(x, &f);
    printf("%-34s %8.1f s, %7.2f us each (%.2f of the processor); %" PRIu64 " segments, %" PRIu64
           " hooks, level %u; disk %.0f MB, memory %.1f MB, "
           "process %.1f MB; %" PRIu64 " lists loaded\n",
           what, (double)took / 1e6, (double)took / (double)n, cpu * 1e6 / (double)n, f.segments, f.hooks, f.level,
           (double)f.disk / 1e6, (double)f.memory / 1e6, (double)resident * 4096 / 1e6, f.loaded);
    (void)fflush(stdout);
}

static void look(const char *what, uint64_t first, uint64_t step, uint64_t n, uint64_t all)
{
    uint64_t began = start(), found = 0;
    for (uint64_t i = 0; i < n; i++)
        found += find(all ? (first + i * step) % all : first + i * step) > 0;
    char text[60];
    (void)snprintf(text, sizeof(text), "%s: %.1f %% found", what, 100.0 * (double)found / (double)n);
    say(text, began, n);
}

int main(int argc, char **argv)
{
    struct errtext err = {""};
    if (argc < 2 || chunk_index_open(argv[1], argc > 3 ? strtoull(argv[3], NULL, 10) : 64u << 20, &x, &err)) {
        (void)fprintf(stderr, "usage: chunk_index FILE [CHUNKS] [MEMORY] %s\n", err.text);
        return 2;
    }
    uint64_t segments = (argc > 2 ? strtoull(argv[2], NULL, 10) : 50000000) / PER_SEGMENT, began = start();
    for (uint64_t n = 0; n < segments; n++) {
        put_segment(n);
        if (n && !(n & (n - 1)) && n >= 1 << 15)
            say("put so far, each segment", began, n);
    }
    say("put, each segment", began, segments);
    uint64_t all = segments * PER_SEGMENT, many = all < 1000000 ? all : 1000000;
    look("in the order of the tapes", all / 3, 1, many < all / 2 ? many : all / 2, all);
    look("not there", all, 1, many, 0);
    look("anywhere", 7, 15485863, many / 20, all);
    chunk_index_close(x);
    return 0;
}
