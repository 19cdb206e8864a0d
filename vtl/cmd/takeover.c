/* SPDX-License-Identifier: GPL-2.0-or-later */
/* takeover.c: s3vtl handover and takeover: the library goes from one gateway to another of the same configuration. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vtl/cmd/cmd.h"
#include "vtl/library/control.h"
#include "vtl/library/library.h"

#define ASK_MS 10000
#define STEP_MS 1000
#define STEPS_IN_VAIN 5

/* ---- handover ---- */

/* Ends serve, which hands the library over at its end, and waits for that. */
static int end_serve(pid_t pid, struct errtext *err)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (fd < 0 && errno == ESRCH)
        return 0;
    if (fd < 0 || kill(pid, SIGTERM)) {
        int rc = -errno;
        if (fd >= 0)
            close(fd);
        return errtext_set(err, rc, "process %ld, which serves the library: %s", (long)pid, strerror(-rc));
    }
    while (poll(&p, 1, -1) < 0)
        ;
    close(fd);
    return 0;
}

/* A step of it; *left: bytes that are still to be stored. 1: none. */
static int store_step(const struct vtl_config *cfg, uint64_t *left, struct errtext *err)
{
    json_t *request = json_pack("{s:s, s:b, s:i}", "op", "flush", "remote", 1, "timeout_ms", STEP_MS), *r = NULL;
    int rc = control_call(cfg, request, 0, &r, err);
    *left = (uint64_t)json_number(r, "local_only_bytes");
    if (!rc && json_is_true(json_object_get(r, "remote")))
        rc = 1;
    json_decref(request);
    json_decref(r);
    return rc;
}

/* The long part while jobs go on, so that the pause is short: until nothing is left, or they bring as much as the store
 * takes. */
static int store_most(const struct vtl_config *cfg, bool quiet, struct errtext *err)
{
    struct progress *progress = progress_start("handover", quiet, NULL, NULL);
    uint64_t left = 0, least = UINT64_MAX, most = 0;
    int rc = 0;
    for (unsigned in_vain = 0; !rc && in_vain < STEPS_IN_VAIN; in_vain = left < least ? 0 : in_vain + 1) {
        least = left && left < least ? left : least;
        rc = store_step(cfg, &left, err);
        most = left > most ? left : most;
        const struct progress_state s = {.bytes = most - left, .of_bytes = most};
        progress_set(progress, &s);
    }
    progress_end(progress);
    return rc < 0 ? rc : 0;
}

/* Hosts are not to lose their library for nothing. */
static int check_store(const struct vtl_config *cfg, struct errtext *err)
{
    char trouble[PROGRESS_TROUBLE];
    int owing_fd = -1;
    json_decref(ask_trouble(cfg, &owing_fd, trouble));
    control_ask_end(&owing_fd);
    return trouble[0] ? errtext_set(err, -EIO, "not handed over, and served on here: %s", trouble) : 0;
}

static int hand_over_served(const struct vtl_config *cfg, bool quiet, struct errtext *err)
{
    int rc = check_store(cfg, err);
    /* With remote and offsite there is never more than the store takes in a short time. */
    if (!rc && cfg->spool.durability == DURABILITY_LOCAL)
        rc = store_most(cfg, quiet, err);
    if (!rc)
        rc = check_store(cfg, err);
    if (rc)
        return rc;
    json_t *request = json_pack("{s:s}", "op", "handover"), *r = NULL;
    rc = control_call(cfg, request, ASK_MS, &r, err);
    if (!rc)
        rc = end_serve((pid_t)json_number(r, "serve"), err);
    json_decref(request);
    json_decref(r);
    if (!rc && library_may_serve(cfg, err) != -EPERM)
        rc = errtext_set(err, -EIO, "not handed over: what serve said at its end says why");
    return rc;
}

static int hand_over(const struct vtl_config *cfg, bool quiet, struct errtext *err)
{
    json_t *request = json_pack("{s:s}", "op", "pulse"), *r = NULL;
    int rc = control_call(cfg, request, ASK_MS, &r, err);
    json_decref(request);
    json_decref(r);
    if (!rc)
        return hand_over_served(cfg, quiet, err);
    return rc == -ENOENT || rc == -ECONNREFUSED ? library_hand_over(cfg, err) : rc;
}

int cmd_handover(const struct command_line *cl)
{
    if (!check_arguments(cl, 0, false, "handover"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(cl);
    if (!cfg)
        return EXIT_FAILED;
    struct errtext err = {""};
    int rc = hand_over(cfg, cl->quiet || cl->json, &err);
    if (rc)
        fail("%s", err.text);
    else if (!cl->quiet)
        printf("library %s is handed over, and all of it is in the store. On the other host: s3vtl takeover, and start "
               "it. "
               "Here it serves again after s3vtl takeover.\n",
               cfg->library.name);
    config_free(cfg);
    return rc ? EXIT_FAILED : EXIT_DONE;
}

/* ---- takeover ---- */

static void show_count(void *arg, uint64_t done, uint64_t total)
{
    const struct progress_state s = {.pieces = done, .of_pieces = total};
    progress_set(arg, &s);
}

static void print_taken(const json_t *r)
{
    if (json_is_true(json_object_get(r, "had_it")))
        printf("library %s: this gateway has it%s\n", json_words(r, "name"),
               json_is_true(json_object_get(r, "back")) ? " again" : " already");
    else
        printf("library %s: %zu cartridges, %lld claimed, taken over from %s\n", json_words(r, "name"),
               json_array_size(json_object_get(r, "cartridges")), (long long)json_number(r, "claimed"),
               json_is_string(json_object_get(r, "from")) ? json_words(r, "from") : "nobody");
}

/* What is wrong with some cartridges keeps none of the others from being served. */
static void tell_problems(const json_t *r)
{
    size_t i;
    json_t *t;
    if (json_array_size(json_object_get(r, "backlog"))) {
        fprintf(stderr, "s3vtl: warning: this disk has what is in no store; it is kept as spool/*/*.bad:\n");
        print_only_here(stderr, json_object_get(r, "backlog"));
    }
    json_array_foreach(json_object_get(r, "failed"), i, t)
        fail("%s was not taken over: %s", json_words(t, "barcode"), json_words(t, "error"));
    (void)vanished_tell(json_object_get(r, "vanished"));
}

int cmd_takeover(const struct command_line *given)
{
    struct command_line cl = *given;
    struct takeover_options o = {.force = take_flag(&cl, "--force"), .count = show_count};
    if (!check_arguments(&cl, 0, false, "takeover [--force]"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    json_t *r = NULL;
    struct errtext err = {""};
    struct progress *progress = o.arg = progress_start("takeover", cl.json || cl.quiet, NULL, NULL);
    int rc = library_take_over(cfg, &o, &r, &err);
    progress_end(progress);
    if (rc)
        fail("%s", err.text);
    else if (cl.json)
        print_json(r);
    else if (!cl.quiet)
        print_taken(r);
    tell_problems(r);
    json_decref(r);
    config_free(cfg);
    return rc ? EXIT_FAILED : EXIT_DONE;
}
