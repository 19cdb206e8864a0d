/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_verifier.c: when the process that verifies is begun again, by how the last one ended. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vtl/cmd/ask.h"
#include "vtl/cmd/notify.h"
#include "vtl/cmd/spawn.h"
#include "vtl/cmd/verifier.h"

/* What the verifier does: counted, for whoever waits for it. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t more;
    unsigned looks, begun;
    const char *program; /* runs in place of s3vtl */
} seen = {.mutex = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static void count(unsigned *n)
{
    pthread_mutex_lock(&seen.mutex);
    ++*n;
    pthread_cond_broadcast(&seen.more);
    pthread_mutex_unlock(&seen.mutex);
}

static unsigned wait_for(const unsigned *n, unsigned least)
{
    pthread_mutex_lock(&seen.mutex);
    while (*n < least)
        pthread_cond_wait(&seen.more, &seen.mutex);
    unsigned is = *n;
    pthread_mutex_unlock(&seen.mutex);
    return is;
}

/* ---- in place of the command's own ---- */

/* A cartridge that was written long ago, and verified never, whatever runs. */
void ask_all(struct ask *a, json_t **figures, json_t **status)
{
    (void)a;
    *figures = NULL;
    *status = json_pack("{s:[{s:s, s:i, s:i}]}", "cartridges", "barcode", "A", "stored_bytes", 1, "created", 1);
    count(&seen.looks);
}

void ask_end(struct ask *a)
{
    (void)a;
}

int ask_reload(struct ask *a, const json_t *figures, uint64_t *reloads, struct vtl_config **cfg, struct errtext *err)
{
    (void)a, (void)figures, (void)reloads, (void)cfg, (void)err;
    return 0;
}

int spawn_with_input(char *const argv[], char *const env[], pid_t *pid, int *in)
{
    char program[32];
    (void)argv, (void)env;
    (void)snprintf(program, sizeof(program), "%s", seen.program);
    char *const own[] = {program, NULL};
    int rc = posix_spawn(pid, program, NULL, NULL, own, NULL);
    *in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    count(&seen.begun);
    return -rc;
}

/* A look each 300 ms, and 18 s after a failure. */
unsigned notify_speed(void)
{
    return 100;
}

/* ---- */

static struct verifier *start_with(const char *program, char file[])
{
    struct vtl_config *cfg = NULL;
    struct verifier *v = NULL;
    struct errtext err = {""};
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_true(
        dprintf(fd, "[library]\nstate_dir = /nowhere/state\n[store]\npath = /nowhere/store\n[verify]\nevery = 1m\n") >
        0);
    (void)close(fd);
    seen.looks = seen.begun = 0;
    seen.program = program;
    assert_int_equal(config_load(file, &cfg, &err), 0);
    assert_int_equal(verifier_start(cfg, &v), 0);
    config_free(cfg);
    return v;
}

/* One that read a cartridge and could not have that kept would read it again, for ever, and reading is paid for. */
static void one_that_failed_is_not_begun_again_at_the_next_looks(void **state)
{
    (void)state;
    char file[] = "/tmp/s3vtl-verifier-XXXXXX";
    struct verifier *v = start_with("/bin/false", file);
    (void)wait_for(&seen.begun, 1);
    unsigned looks = wait_for(&seen.looks, 1);
    (void)wait_for(&seen.looks, looks + 4);
    unsigned begun = wait_for(&seen.begun, 1);
    verifier_stop(v);
    (void)unlink(file);
    assert_int_equal(begun, 1);
}

static void one_that_ended_well_is_begun_again_while_any_is_due(void **state)
{
    (void)state;
    char file[] = "/tmp/s3vtl-verifier-XXXXXX";
    struct verifier *v = start_with("/bin/true", file);
    unsigned begun = wait_for(&seen.begun, 2);
    verifier_stop(v);
    (void)unlink(file);
    assert_true(begun >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_failed_is_not_begun_again_at_the_next_looks),
        cmocka_unit_test(one_that_ended_well_is_begun_again_while_any_is_due),
    };
    return cmocka_run_group_tests_name("verifier", tests, NULL, NULL);
}
