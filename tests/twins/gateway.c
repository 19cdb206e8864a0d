/* SPDX-License-Identifier: GPL-2.0-or-later */
/* gateway.c: one gateway and its host, a process that does what it is told, a line for each command:
 *   load | unload | claim | write ID | mark | at OBJECT (locate) | erase | sync | flush | read | close
 *   spoil ID, seize ID (the lender is written over; after it was claimed) | readlender
 *   hook WHAT PART NTH (store.h)
 * and answers in one line: "0 ...", or a number and what went wrong. */
#include "tests/twins/gateway.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/twins/block.h"
#include "tests/twins/store.h"
#include "vtl/library/library.h"

static const atomic_bool never = false;
static struct library *lib;
static struct vtl_config *config;
static FILE *out;

static void answer(int code, const char *text)
{
    fprintf(out, "%d %s\n", code, text);
    (void)fflush(out);
}

static bool in_drive(void)
{
    struct changer_element e;
    return library_changer_ops()->elements(lib, ELEMENT_DRIVE, 0, 1, &e) == 1 && e.full;
}

static uint16_t where(const char *barcode)
{
    struct changer_element e[32];
    size_t n = library_changer_ops()->elements(lib, 0, 0, 32, e);
    for (size_t i = 0; i < n; i++)
        if (e[i].full && !strcmp(e[i].barcode, barcode))
            return e[i].address;
    return 0;
}

static int move_tape(const char *barcode, uint16_t to)
{
    uint16_t from = where(barcode);
    return from == to ? 0 : (int)library_changer_ops()->move(lib, 0, from, to, &never);
}

static int move(uint16_t to)
{
    return move_tape(BARCODE, to);
}

/* The first may tell that what is on the tape is nobody's. */
static int unload(void)
{
    return in_drive() && move(ELEMENT_FIRST_STORAGE) ? move(ELEMENT_FIRST_STORAGE) : 0;
}

static int call(json_t *q, bool *remote, struct errtext *err)
{
    json_t *r = library_call(lib, q, err);
    int rc = r ? 0 : 1;
    if (remote && r && !(*remote = json_is_true(json_object_get(r, "remote")))) {
        const char *why = json_string_value(json_object_get(r, "waiting"));
        (void)snprintf(err->text, sizeof(err->text), "%s", why ? why : "");
    }
    json_decref(q);
    json_decref(r);
    return rc;
}

static int claim_tape(const char *barcode, struct errtext *err)
{
    return call(json_pack("{s:s, s:s, s:b}", "op", "tape-claim", "barcode", barcode, "force", 1), NULL, err);
}

static int claim(struct errtext *err)
{
    int rc = unload();
    return rc ? rc : claim_tape(BARCODE, err);
}

static int flush(struct errtext *err)
{
    bool remote = false;
    int rc = call(json_pack("{s:s, s:b, s:i}", "op", "flush", "remote", 1, "timeout_ms", 8000), &remote, err);
    return rc ? rc : !remote;
}

static int sync_remote(void *d, struct errtext *err)
{
    int rc = (int)library_drive_ops()->write_filemarks(d, 0, false, &never);
    return rc || config->spool.durability == DURABILITY_REMOTE ? rc : flush(err);
}

/* All of the tape: "0 ID ID 0 ..." or what is wrong with it. The position is then at the end of data. */
static void read_all(void *d)
{
    static uint8_t got[MAX_BLOCK + 1], want[MAX_BLOCK];
    static char line[GATEWAY_LINE];
    size_t used = 0, at = 0;
    int r = (int)library_drive_ops()->rewind(d, &never);
    line[0] = '\0';
    for (; r == TAPE_OK && used < sizeof(line) - 200; at++) {
        uint32_t len = sizeof(got);
        uint64_t id = 0;
        r = (int)library_drive_ops()->read(d, got, &len, NULL, &never);
        if (r == TAPE_OK) {
            id = block_id(got, len);
            block_fill(id, want);
            if (len != block_length(id) || memcmp(got, want, len)) {
                (void)snprintf(line, sizeof(line), "object %zu holds bytes that nobody wrote", at);
                answer(GATEWAY_WRONG_BYTES, line);
                return;
            }
        } else if (r != TAPE_FILEMARK) {
            break;
        }
        used += (size_t)snprintf(line + used, sizeof(line) - used, "%llu ", (unsigned long long)id);
        r = TAPE_OK;
    }
    if (r != TAPE_EOD)
        (void)snprintf(line, sizeof(line), "at object %zu", at);
    answer(r == TAPE_EOD ? 0 : r, line);
}

static int write_block(void *d, uint64_t id)
{
    static uint8_t block[MAX_BLOCK];
    block_fill(id, block);
    return (int)library_drive_ops()->write(d, block, block_length(id), true, NULL, &never);
}

/* What is on the lender is nobody's any more but of those who copied it. It has a drive of its own. */
static int spoil(uint64_t id, bool seize, struct errtext *err)
{
    void *d = library_drive(lib, 1);
    int rc = seize ? claim_tape(LENDER, err) : 0;
    if (!rc)
        rc = move_tape(LENDER, ELEMENT_FIRST_DRIVE + 1);
    for (uint64_t i = id; !rc && i < id + LENT; i++)
        rc = write_block(d, i);
    if (!rc)
        rc = sync_remote(d, err);
    int moved = move_tape(LENDER, ELEMENT_FIRST_STORAGE + 1);
    return moved && move_tape(LENDER, ELEMENT_FIRST_STORAGE + 1) ? moved : rc;
}

static void read_lender(void)
{
    int rc = move_tape(LENDER, ELEMENT_FIRST_DRIVE + 1);
    if (rc)
        answer(rc, "move");
    else
        read_all(library_drive(lib, 1));
}

static void set_hook(const char *line)
{
    static char part[16];
    unsigned what = 0, nth = 1;
    if (sscanf(line, "hook %u %15s %u", &what, part, &nth) == 3)
        store_hook((enum store_hook)what, part, nth);
}

static int obey(void *d, const char *line, struct errtext *err)
{
    const struct tape_ops *t = library_drive_ops();
    const char *number = strchr(line, ' ');
    uint64_t n = number ? strtoull(number, NULL, 10) : 0;
    if (!strcmp(line, "load"))
        return move(ELEMENT_FIRST_DRIVE);
    if (!strcmp(line, "unload"))
        return unload();
    if (!strcmp(line, "claim"))
        return claim(err);
    if (!strncmp(line, "write ", 6))
        return write_block(d, n);
    if (!strcmp(line, "mark"))
        return (int)t->write_filemarks(d, 1, true, &never);
    if (!strncmp(line, "spoil ", 6) || !strncmp(line, "seize ", 6))
        return spoil(n, !strncmp(line, "seize", 5), err);
    if (!strncmp(line, "at ", 3))
        return (int)t->locate_object(d, 0, n, &never);
    if (!strcmp(line, "erase"))
        return (int)t->erase(d, false, &never);
    if (!strcmp(line, "sync"))
        return sync_remote(d, err);
    if (!strcmp(line, "flush"))
        return flush(err);
    if (!strncmp(line, "hook ", 5))
        set_hook(line);
    return 0;
}

static int open_library(const char *file, bool rebuild, struct errtext *err)
{
    json_t *report = NULL;
    int rc = config_load(file, &config, err);
    if (!rc && rebuild)
        rc = library_rebuild(config, NULL, &report, err);
    if (!rc && report && json_array_size(json_object_get(report, "failed")))
        rc = errtext_set(err, -EIO, "rebuild: the cartridge failed");
    json_decref(report);
    return rc ? rc : library_open(config, LIBRARY_SERVE, &lib, err);
}

int gateway_main(const char *file, bool rebuild, int to_referee)
{
    char line[200];
    struct errtext err = {""};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)alarm(120);
    out = fdopen(to_referee, "w");
    if (!out)
        return 2;
    int rc = open_library(file, rebuild, &err);
    answer(rc, err.text);
    if (rc)
        return 0;
    void *d = library_drive(lib, 0);
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        err.text[0] = '\0';
        if (!strcmp(line, "close"))
            break;
        if (!strcmp(line, "read"))
            read_all(d);
        else if (!strcmp(line, "readlender"))
            read_lender();
        else {
            rc = obey(d, line, &err);
            answer(rc, err.text);
        }
    }
    err.text[0] = '\0';
    rc = library_close(lib, &err);
    answer(rc, err.text);
    return 0;
}

int gateway_fill(const char *file)
{
    struct errtext err = {""};
    int rc = open_library(file, false, &err);
    for (uint64_t i = 0; !rc && i < 6; i++) /* first all are there, then they are stored */
        rc = spoil(BLOCK_ID(0, 15, i * LENT), false, &err);
    if (!rc)
        rc = library_close(lib, &err);
    if (rc)
        fprintf(stderr, "%s: %d %s\n", file, rc, err.text);
    return rc != 0;
}
