/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow.c: s3vtl escrow key, list, check, restore: what needs neither the store nor a served library. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "vtl/cmd/cmd.h"
#include "vtl/cmd/escrow.h"

/* ---- escrow key ---- */

/* On standard output the secret key stands once, for the admin's eyes or printer. */
int cmd_escrow_key(const struct command_line *cl)
{
    if (!check_arguments(cl, 0, false, "escrow key"))
        return EXIT_USAGE;
    struct errtext err = {""};
    return escrow_write_keys(STDOUT_FILENO, &err) ? fail("%s", err.text) : EXIT_DONE;
}

/* ---- escrow list, check ---- */

static json_t *entry_json(const struct escrow_entry *e)
{
    return json_pack("{s:s, s:I, s:I}", "name", e->key, "created", (json_int_t)e->created, "bytes",
                     (json_int_t)e->size);
}

static void print_entry(const struct escrow_entry *e, const char *verdict)
{
    char size[HUMAN_ROOM], when[HUMAN_ROOM];
    printf("%s  %10s  %s%s\n", human_time(e->created, when), human_size(e->size, size), e->key, verdict);
}

struct entries {
    const struct command_line *cl;
    const struct vtl_config *cfg;
    bool check, all; /* check: read them; all: not only the newest of this library */
    struct objstore *place;
    struct escrow_entry *v;
    size_t n;
};

/* True: one of them is not good. */
static bool show_entries(const struct entries *x)
{
    bool bad = false;
    json_t *list = json_array();
    for (size_t i = x->check && !x->all && x->n ? x->n - 1 : 0; i < x->n; i++) {
        struct errtext err = {""};
        if (x->check && escrow_get(x->place, &x->v[i], -1, NULL, &err))
            bad = fail("%s", err.text);
        else if (x->cl->json)
            json_array_append_new(list, entry_json(&x->v[i]));
        else
            print_entry(&x->v[i], x->check ? "  good" : "");
    }
    if (x->cl->json)
        print_json(list);
    json_decref(list);
    return bad;
}

static int each_entry(struct entries *x)
{
    struct errtext err = {""};
    char old[500], where[ESCROW_WHERE];
    int rc = escrow_open_place(x->cfg, &x->place, NULL, &err);
    if (!rc)
        rc = x->check && !x->all ? escrow_list_own(x->cfg, x->place, &x->v, &x->n, &err)
                                 : escrow_list(x->place, NULL, &x->v, &x->n, NULL, &err);
    bool bad = rc ? fail("%s", err.text) : show_entries(x);
    escrow_where(x->cfg, where);
    if (!rc && !x->n && x->check)
        bad = fail("there is no escrow in %s: \"s3vtl escrow run\" makes one", where);
    else if (!rc && x->check && escrow_tell_age(x->cfg, old, sizeof(old)))
        bad = fail("%s", old);
    else if (!rc && !x->n && !x->cl->json && !x->cl->quiet)
        printf("There is no escrow in %s yet.\n", where);
    free(x->v);
    if (x->place)
        x->place->ops->close(x->place);
    return bad ? EXIT_FAILED : EXIT_DONE;
}

static int list_or_check(const struct command_line *given, bool check)
{
    struct command_line cl = *given;
    bool all = check && take_flag(&cl, "--all");
    if (!check_arguments(&cl, 0, false, check ? "escrow check [--all]" : "escrow list"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    struct entries x = {.cl = &cl, .cfg = cfg, .check = check, .all = all};
    bool needless = escrow_is_needless(cfg, NULL);
    if (needless && cl.json)
        puts("[]");
    else if (needless && !cl.quiet)
        puts(ESCROW_NEEDLESS);
    int status = needless ? EXIT_DONE : each_entry(&x);
    config_free(cfg);
    return status;
}

int cmd_escrow_list(const struct command_line *cl)
{
    return list_or_check(cl, false);
}

int cmd_escrow_check(const struct command_line *cl)
{
    return list_or_check(cl, true);
}

/* ---- escrow restore ---- */

/* To fd, from the second place. */
static int fetch(const struct command_line *cl, const char *name, int fd)
{
    struct objstore *place = NULL;
    struct escrow_entry e;
    struct errtext err = {""};
    struct vtl_config *cfg = load_config(cl);
    if (!cfg)
        return fail("%s: no file here, and for the second place a configuration is needed", name);
    int rc = escrow_open_place(cfg, &place, NULL, &err);
    if (!rc)
        rc = escrow_find(place, name, &e, NULL, &err);
    if (!rc)
        rc = escrow_get(place, &e, fd, NULL, &err);
    if (place)
        place->ops->close(place);
    config_free(cfg);
    return rc ? fail("%s", err.text) : EXIT_DONE;
}

/* By a process of its own: it becomes the library's owner, who may lack the right to what whoever calls this names. The
 * secret key is not in it (secret.h). After a message of its own err stays empty. */
static int fetch_apart(const struct command_line *cl, const char *name, int fd, struct errtext *err)
{
    int status = 0;
    pid_t pid = fork();
    if (!pid)
        _exit(fetch(cl, name, fd));
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0)
        return errtext_set(err, -errno, "cannot start a process: %s", strerror(errno));
    if (WIFSIGNALED(status))
        return errtext_set(err, -EIO, "%s: the process that got it was killed by signal %d", name, WTERMSIG(status));
    return WEXITSTATUS(status) == EXIT_DONE ? 0 : -EIO;
}

/* The encrypted file: one here; or, if it is called as "escrow list" shows it, from the second place, by way of a file
 * without a name beside the new one. A descriptor, or a negative errno with *err. */
static int open_sealed(const struct command_line *cl, const char *from, const char *to, struct errtext *err)
{
    char dir[4200];
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT || !escrow_is_key(from))
        return fd >= 0 ? fd : errtext_set(err, -errno, "%s: %s", from, strerror(errno));
    const char *slash = strrchr(to, '/');
    (void)snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - to) + 1 : 1, slash ? to : ".");
    fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (fd < 0)
        return errtext_set(err, -errno, "a file in %s: %s", dir, strerror(errno));
    int rc = fetch_apart(cl, from, fd, err);
    if (rc)
        close(fd);
    return rc ? rc : fd;
}

/* Into a file beside the new one, which gets its name only when all of it is right. */
static int open_to(int in, const char *from, const uint8_t *secret, const char *to, char **manifest,
                   struct errtext *err)
{
    char part[4200];
    (void)snprintf(part, sizeof(part), "%.4000s.part", to);
    int out = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct errtext why = {""};
    int rc = out < 0 ? errtext_set(err, -errno, "%s: %s", part, strerror(errno))
                     : escrow_file_open(secret, in, out, manifest, &why);
    if (out >= 0 && rc)
        errtext_set(err, rc, "%s: %s", from, why.text);
    if (out >= 0 && close(out) && !rc)
        rc = errtext_set(err, -errno, "%s: %s", part, strerror(errno));
    if (!rc && rename(part, to))
        rc = errtext_set(err, -errno, "%s: %s", to, strerror(errno));
    if (out >= 0 && rc)
        (void)unlink(part);
    return rc;
}

/* What is there is never replaced. */
static int restore(const struct command_line *cl, const uint8_t *secret, const char *to, char **manifest,
                   struct errtext *err)
{
    struct stat st;
    if (!stat(to, &st))
        return errtext_set(err, -EEXIST, "%s exists: name a new file", to);
    int in = open_sealed(cl, cl->argv[0], to, err);
    if (in < 0)
        return in;
    int rc = open_to(in, cl->argv[0], secret, to, manifest, err);
    close(in);
    return rc;
}

#define RESTORE_USAGE "escrow restore FILE|NAME --key FILE|- --to FILE"

int cmd_escrow_restore(const struct command_line *given)
{
    struct command_line cl = *given;
    const char *key = NULL, *to = NULL;
    if (!take_value(&cl, "--key", &key) || !take_value(&cl, "--to", &to) ||
        !check_arguments(&cl, 1, false, RESTORE_USAGE))
        return EXIT_USAGE;
    if (!key || !to)
        return usage_error("both --key and --to are needed; usage: s3vtl " RESTORE_USAGE);
    struct errtext err = {""};
    char *manifest = NULL;
    uint8_t *secret = secret_new(ESCROW_KEY_SIZE);
    int rc = secret ? escrow_read_secret(key, secret, &err)
                    : errtext_set(&err, -ENOMEM, "no locked memory for the key: %s (ulimit -l)", strerror(errno));
    if (!rc)
        rc = restore(&cl, secret, to, &manifest, &err);
    secret_free(secret, ESCROW_KEY_SIZE);
    if (rc)
        return err.text[0] ? fail("%s", err.text) : EXIT_FAILED;
    if (!cl.quiet || cl.json)
        printf("%s\n", manifest);
    if (!cl.quiet)
        fprintf(stderr,
                "s3vtl: %s is the store's catalogue. \"s3vtl kit\" says what to do with it, and in which order\n", to);
    free(manifest);
    return EXIT_DONE;
}
