/* SPDX-License-Identifier: GPL-2.0-or-later */
/* seeds_scsi.c: every command that Proxmox Backup Server sends, and what else the tables have, alone and in sequences.
 */
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/requests.h"
#include "tests/fuzz/seeds.h"

struct seed {
    const char *name;
    uint8_t cdb[16];
    uint16_t room, out_len;
    uint8_t out[32];
};

static const struct seed drive[] = {
    /* as PBS sends them: commands without data take 16 bytes of data-in */
    {"inquiry", {0x12, 0, 0, 0, 36}, 36, 0, {0}},
    {"inquiry-serial", {0x12, 1, 0x80, 0, 252}, 252, 0, {0}},
    {"inquiry-id", {0x12, 1, 0x83, 0, 252}, 252, 0, {0}},
    {"test-unit-ready", {0x00}, 16, 0, {0}},
    {"request-sense", {0x03, 0, 0, 0, 252}, 252, 0, {0}},
    {"sense-compression", {0x5A, 0, 0x0F, 0, 0, 0, 0, 0x10, 0}, 4096, 0, {0}},
    {"sense-medium", {0x5A, 0, 0x1D, 0, 0, 0, 0, 0x10, 0}, 4096, 0, {0}},
    {"sense-6", {0x1A, 0, 0x0F, 0, 0xFF}, 4096, 0, {0}},
    {"sense-all", {0x5A, 0, 0x3F, 0xFF, 0, 0, 0, 0x10, 0}, 4096, 0, {0}},
    {"sense-changeable", {0x5A, 0, 0x50, 0x01, 0, 0, 0, 0x10, 0}, 4096, 0, {0}},
    {"select-10", {0x55, 0x10, 0, 0, 0, 0, 0, 0, 32}, 0, 32, {0, 0, 0,    0x10, 0,    0,    0, 8, 0x5E, 0, 0, 0, 0, 0,
                                                              0, 0, 0x0F, 0x0E, 0x40, 0x80, 0, 0, 0,    1, 0, 0, 0, 1}},
    {"select-6", {0x15, 0x10, 0, 0, 28}, 0, 28, {0,    0,    0x10, 8,    0x5E, 0, 0, 0, 0, 0, 0, 0,
                                                 0x0F, 0x0E, 0xC0, 0x80, 0,    0, 0, 1, 0, 0, 0, 1}},
    {"select-fixed", {0x15, 0x10, 0, 0, 12}, 0, 12, {0, 0, 0x10, 8, 0, 0, 0, 0, 0, 0, 2, 0}},
    {"select-unbuffered", {0x15, 0x10, 0, 0, 4}, 0, 4, {0}},
    {"rewind", {0x01}, 16, 0, {0}},
    {"read", {0x08, 2, 0, 0x80, 0}, 32768, 0, {0}},
    {"read-512", {0x08, 2, 0, 2, 0}, 512, 0, {0}},
    {"read-fixed", {0x08, 1, 0, 0, 2}, 1024, 0, {0}},
    {"write", {0x0A, 0, 0, 0x80, 0}, 0, 32768, {1, 2, 3}},
    {"write-512", {0x0A, 0, 0, 2, 0}, 0, 512, {1, 2, 3}},
    {"write-fixed", {0x0A, 1, 0, 0, 2}, 0, 1024, {1, 2, 3}},
    {"filemark-immed", {0x10, 1, 0, 0, 1}, 16, 0, {0}},
    {"filemarks-0", {0x10}, 16, 0, {0}},
    {"filemarks-2", {0x10, 0, 0, 0, 2}, 16, 0, {0}},
    {"space-filemarks", {0x11, 1, 0, 0, 1}, 16, 0, {0}},
    {"space-back", {0x11, 0, 0xFF, 0xFF, 0xFF}, 16, 0, {0}},
    {"space-marks-back", {0x11, 1, 0xFF, 0xFF, 0xFE}, 16, 0, {0}},
    {"space-end", {0x11, 3}, 16, 0, {0}},
    {"space-16", {0x91, 1, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE}, 16, 0, {0}},
    {"locate-file", {0x92, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 16, 0, {0}},
    {"locate-16", {0x92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}, 16, 0, {0}},
    {"locate-end", {0x92, 0x18}, 16, 0, {0}},
    {"locate-10", {0x2B, 0, 0, 0, 0, 0, 1}, 16, 0, {0}},
    {"position-long", {0x34, 6}, 32, 0, {0}},
    {"position-short", {0x34}, 20, 0, {0}},
    {"position-extended", {0x34, 8, 0, 0, 0, 0, 0, 0, 32}, 32, 0, {0}},
    {"unload", {0x1B}, 16, 0, {0}},
    {"load", {0x1B, 0, 0, 0, 1}, 16, 0, {0}},
    {"erase", {0x19}, 16, 0, {0}},
    {"erase-long", {0x19, 1}, 16, 0, {0}},
    {"erase-immed", {0x19, 2}, 16, 0, {0}},
    {"format", {0x04}, 16, 0, {0}},
    {"format-immed", {0x04, 1}, 16, 0, {0}},
    {"prevent", {0x1E, 0, 0, 0, 1}, 16, 0, {0}},
    {"allow", {0x1E}, 16, 0, {0}},
    {"log-status", {0x4D, 0, 0x51, 0, 0, 0, 0, 0x20, 0}, 8192, 0, {0}},
    {"log-alerts", {0x4D, 0, 0x52, 0, 0, 0, 0, 2, 0}, 512, 0, {0}},
    {"log-volume", {0x4D, 0, 0x57, 0, 0, 0, 0, 0x20, 0}, 8192, 0, {0}},
    {"log-alert", {0x4D, 0, 0x6E, 0, 0, 0, 0, 0x20, 0}, 8192, 0, {0}},
    {"log-pages", {0x4D, 0, 0x40, 0xFF, 0, 0, 0, 0x20, 0}, 8192, 0, {0}},
    {"log-pointer", {0x4D, 0, 0x42, 0, 0, 0, 5, 0x20, 0}, 8192, 0, {0}},
    {"log-reset", {0x4C, 2, 0xC0}, 0, 0, {0}},
    {"log-list", {0x4C, 0, 0x42, 0, 0, 0, 0, 0, 8}, 0, 8, {2, 0, 0, 4}},
    {"read-attribute", {0x8C, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0}, 32768, 0, {0}},
    {"write-attribute", {0x8D, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 13}, 0, 13, {0, 0, 0, 9, 8, 6, 0, 0, 4, 't'}},
    {"spin-capabilities", {0xA2, 0x20, 0, 0x10, 0, 0, 0, 0, 0x20, 4}, 8196, 0, {0}},
    {"spin-status", {0xA2, 0x20, 0, 0x20, 0, 0, 0, 0, 0x20, 4}, 8196, 0, {0}},
    {"spin-00", {0xA2, 0x20, 0, 0x00, 0, 0, 0, 0, 0x20, 4}, 8196, 0, {0}},
    {"spin-01", {0xA2, 0x20, 0, 0x01, 0, 0, 0, 0, 0x20, 4}, 8196, 0, {0}},
    {"spin-11", {0xA2, 0x20, 0, 0x11, 0, 0, 0, 0, 0x20, 4}, 8196, 0, {0}},
    {"spin-12", {0xA2, 0x20, 0, 0x12, 0, 0, 0, 0, 0x20, 4}, 8196, 0, {0}},
    {"spin-21", {0xA2, 0x20, 0, 0x21, 0, 0, 0, 0, 0x20, 4}, 8196, 0, {0}},
    {"spin-30", {0xA2, 0x20, 0, 0x30, 0, 0, 0, 0, 0x20, 4}, 8196, 0, {0}},
    {"spin-31", {0xA2, 0x20, 0, 0x31, 0, 0, 0, 0, 0x20, 4}, 8196, 0, {0}},
    {"spin-protocols", {0xA2, 0, 0, 0, 0, 0, 0, 0, 0x20, 4}, 8196, 0, {0}},
    {"spout-clear", {0xB5, 0x20, 0, 0x10, 0, 0, 0, 0, 0, 20}, 0, 20, {0, 0x10, 0, 16, 0x40}},
    {"spout-key", {0xB5, 0x20, 0, 0x10, 0, 0, 0, 0, 0, 52}, 0, 52, {0, 0x10, 0, 48, 0x40, 0, 2, 2, 1, [19] = 32}},
    {"density", {0x44, 0, 0, 0, 0, 0, 0, 0x20, 0}, 8192, 0, {0}},
    {"density-media", {0x44, 3, 0, 0, 0, 0, 0, 0x20, 0}, 8192, 0, {0}},
    /* what others send */
    {"limits", {0x05}, 6, 0, {0}},
    {"verify", {0x13, 0, 0, 2, 0}, 0, 0, {0}},
    {"verify-fixed", {0x13, 1, 0, 0, 3}, 0, 0, {0}},
    {"capacity", {0x0B, 0, 0, 0x80, 0}, 0, 0, {0}},
    {"allow-overwrite", {0x82, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 0, 0, {0}},
    {"append-only",
     {0x55, 0x10, 0, 0, 0, 0, 0, 0, 40},
     0,
     40,
     {0, 0, 0, 0x10, 0, 0, 0, 0, 0x50, 1, 0, 0x1C, 0, 0x12, 0, 1}},
    {"diagnostic", {0x1D, 4}, 0, 0, {0}},
    {"opcodes", {0xA3, 0x0C, 0x80, 0, 0, 0, 0, 0, 0x20, 0}, 8192, 0, {0}},
    {"opcode", {0xA3, 0x0C, 3, 0x5E, 0, 1, 0, 0, 0x20, 0}, 8192, 0, {0}},
    {"read-keys", {0x5E, 0, 0, 0, 0, 0, 0, 0, 8}, 8, 0, {0}},
};

static const struct seed changer[] = {
    {"inquiry", {0x12, 0, 0, 0, 36}, 36, 0, {0}},
    {"test-unit-ready", {0x00}, 16, 0, {0}},
    {"request-sense", {0x03, 0, 0, 0, 252}, 252, 0, {0}},
    {"addresses", {0x1A, 8, 0x1D, 0, 0xFF}, 255, 0, {0}},
    {"sense-all", {0x5A, 8, 0x3F, 0xFF, 0, 0, 0, 0x10, 0}, 4096, 0, {0}},
    {"slots", {0xB8, 0x12, 4, 0, 3, 0xE8, 0, 0, 0xFF, 0xFF}, 65535, 0, {0}},
    {"slots-next", {0xB8, 0x12, 4, 16, 3, 0xE8, 0, 0, 0xFF, 0xFF}, 65535, 0, {0}},
    {"drives", {0xB8, 0x14, 1, 0, 3, 0xE8, 1, 0, 0xFF, 0xFF}, 65535, 0, {0}},
    {"doors", {0xB8, 0x13, 3, 0, 3, 0xE8, 0, 0, 0xFF, 0xFF}, 65535, 0, {0}},
    {"transport", {0xB8, 0x11, 0, 1, 3, 0xE8, 0, 0, 0xFF, 0xFF}, 65535, 0, {0}},
    {"all", {0xB8, 0x10, 0, 0, 0xFF, 0xFF, 1, 0, 0xFF, 0xFF}, 65535, 0, {0}},
    {"move", {0xA5, 0, 0, 1, 4, 0, 1, 0}, 64, 0, {0}},
    {"move-back", {0xA5, 0, 0, 1, 1, 0, 4, 0}, 64, 0, {0}},
    {"exchange", {0xA6, 0, 0, 1, 4, 0, 1, 0, 4, 0}, 64, 0, {0}},
    {"position", {0x2B, 0, 0, 1, 4, 0}, 0, 0, {0}},
    {"initialize", {0x07}, 64, 0, {0}},
    {"initialize-range", {0x37, 1, 4, 0, 0, 0, 0, 4}, 0, 0, {0}},
    {"prevent", {0x1E, 0, 0, 0, 1}, 0, 0, {0}},
    {"log", {0x4D, 0, 0x40, 0, 0, 0, 0, 1, 0}, 256, 0, {0}},
    {"select", {0x55, 0x10, 0, 0, 0, 0, 0, 0, 12}, 0, 12, {0, 0, 0, 0, 0, 0, 0, 0, 0x1E, 2}},
    {"diagnostic", {0x1D, 4}, 0, 0, {0}},
    {"opcodes", {0xA3, 0x0C, 0x80, 0, 0, 0, 0, 0, 0x20, 0}, 8192, 0, {0}},
};

struct text {
    uint8_t b[16384];
    size_t n;
};

static void put_step(struct text *t, const struct seed *s, uint8_t bits)
{
    size_t cdb = cdb_length(s->cdb[0]);
    uint8_t given = (uint8_t)(s->out_len < sizeof(s->out) ? s->out_len : sizeof(s->out));
    const uint8_t lengths[] = {(uint8_t)(s->room >> 8), (uint8_t)s->room, (uint8_t)(s->out_len >> 8),
                               (uint8_t)s->out_len, given};
    t->b[t->n++] = bits;
    memcpy(t->b + t->n, s->cdb, cdb);
    memcpy(t->b + t->n + cdb, lengths, sizeof(lengths));
    memcpy(t->b + t->n + cdb + sizeof(lengths), s->out, given);
    t->n += cdb + sizeof(lengths) + given;
}

static void put_named(struct text *t, const char *name, uint8_t bits)
{
    for (size_t i = 0; i < sizeof(drive) / sizeof(drive[0]); i++)
        if (!strcmp(drive[i].name, name))
            put_step(t, &drive[i], bits);
}

/* A tape with two files, at its beginning. */
static void put_tape(struct text *t)
{
    static const char *const steps[] = {"write-512",   "filemark-immed", "write",      "write-512",
                                        "filemarks-2", "space-back",     "locate-file"};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        put_named(t, steps[i], 0);
}

static void write_all(const char *fuzzer, const struct seed *seeds, size_t n)
{
    static const uint8_t kinds[] = {0, 1, 2, 4, 32}; /* of the device behind: see the fuzzers' first byte */
    struct text t;
    char name[64];
    for (size_t kind = 0; kind < sizeof(kinds); kind++) {
        t = (struct text){.b = {kinds[kind]}, .n = 1};
        for (size_t i = 0; i < n; i++)
            put_step(&t, &seeds[i], STEP_DEFER | (i % 2 ? STEP_FINISH : 0));
        (void)snprintf(name, sizeof(name), "all-%zu", kind);
        seed_write(fuzzer, name, t.b, t.n);
    }
    for (size_t i = 0; i < n; i++) {
        t = (struct text){.n = 1};
        if (seeds == drive)
            put_tape(&t);
        put_step(&t, &seeds[i], STEP_DEFER);
        put_step(&t, &seeds[0], 1);
        seed_write(fuzzer, seeds[i].name, t.b, t.n);
    }
}

/* Fixed blocks, append-only mode, a tape that fills up. */
static void write_sequences(void)
{
    static const char *const fixed[] = {"select-fixed", "write-fixed", "write-fixed", "filemarks-2", "rewind",
                                        "read-fixed",   "read-fixed",  "read-fixed",  "rewind",      "verify-fixed"};
    static const char *const append[] = {"append-only",     "rewind",    "write-512",
                                         "allow-overwrite", "write-512", "format"};
    static const char *const encrypted[] = {"spout-key", "write-512",   "write-512",   "rewind",
                                            "read-512",  "spin-21",     "spin-status", "spout-clear",
                                            "read-512",  "spin-status", "spin-21"};
    struct text t = {.n = 1};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        put_named(&t, fixed[i], 0);
    seed_write("drive", "fixed", t.b, t.n);
    t = (struct text){.n = 1};
    for (size_t i = 0; i < sizeof(encrypted) / sizeof(encrypted[0]); i++)
        put_named(&t, encrypted[i], 0);
    seed_write("drive", "encrypted", t.b, t.n);
    t = (struct text){.n = 1};
    put_tape(&t);
    for (size_t i = 0; i < sizeof(append) / sizeof(append[0]); i++)
        put_named(&t, append[i], 0);
    seed_write("drive", "append", t.b, t.n);
    t = (struct text){.n = 1};
    for (int i = 0; i < 12; i++)
        put_named(&t, i % 6 ? "write" : "filemark-immed", 0);
    seed_write("drive", "full", t.b, t.n);
    for (uint8_t what = 0; what < 8; what++) { /* an event between two sequences */
        t = (struct text){.n = 1};
        put_tape(&t);
        const uint8_t event[] = {STEP_EVENT, what, 1};
        memcpy(t.b + t.n, event, sizeof(event));
        t.n += sizeof(event);
        put_tape(&t);
        char name[16];
        (void)snprintf(name, sizeof(name), "event-%u", what);
        seed_write("drive", name, t.b, t.n);
    }
}

void seeds_scsi(void)
{
    write_all("drive", drive, sizeof(drive) / sizeof(drive[0]));
    write_all("changer", changer, sizeof(changer) / sizeof(changer[0]));
    write_sequences();
}
