/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow.c: s3vtl escrow key, list, check, restore: what needs neither the store nor a served library. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
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
    uint8_t *secret = secret_new(ESCROW_KEY_SIZE), public_key[ESCROW_KEY_SIZE];
    char *text = secret_new(ESCROW_TEXT_SIZE), public_text[ESCROW_TEXT_SIZE];
    struct errtext err = {""};
    int rc = secret && text
                 ? escrow_key_make(secret, public_key, &err)
                 : errtext_set(&err, -ENOMEM, "no locked memory for the key: %s (ulimit -l)", strerror(errno));
    if (!rc) {
        escrow_key_format(ESCROW_SECRET, secret, text);
        escrow_key_format(ESCROW_PUBLIC, public_key, public_text);
        printf("Write this on paper, twice, and keep it where a fire here does not reach. It is stored nowhere, and\n"
               "without it no escrow opens:\n\n    %s\n\nPut this into the configuration:\n\n    [escrow]\n"
               "    public_key = %s\n",
               text, public_text);
    }
    secret_free(secret, ESCROW_KEY_SIZE);
    secret_free(text, ESCROW_TEXT_SIZE);
    return rc ? fail("%s", err.text) : EXIT_DONE;
}

/* ---- the second place ---- */

int escrow_open_place(const struct vtl_config *cfg, struct objstore **place, struct errtext *err)
{
    struct stat st;
    const struct objstore_config oc = {.type = "dir", .path = cfg->escrow.path, .prefix = "", .note = log_note};
    if (!cfg->escrow.path[0])
        return errtext_set(err, -EINVAL, "%s: [escrow] path is not set: there is no place for an escrow", cfg->file);
    /* A directory that is not mounted would be made anew, on this very disk. */
    if (stat(cfg->escrow.path, &st) || !S_ISDIR(st.st_mode))
        return errtext_set(err, -ENOENT, "[escrow] path %s is no directory: is it mounted?", cfg->escrow.path);
    int rc = objstore_open(&oc, place, err);
    return rc ? rc : (*place)->ops->check(*place, NULL, err);
}

int escrow_list_own(const struct vtl_config *cfg, struct objstore *place, struct escrow_entry **out, size_t *n,
                    struct errtext *err)
{
    struct escrow_last last;
    escrow_last_read(cfg, &last);
    return escrow_list(place, last.id[0] ? last.id : NULL, out, n, err);
}

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

static int each_entry(const struct command_line *cl, const struct vtl_config *cfg, bool check, bool all)
{
    struct errtext err = {""};
    struct objstore *place = NULL;
    struct escrow_entry *v = NULL;
    size_t n = 0;
    bool bad = false;
    char old[200];
    json_t *list = json_array();
    int rc = escrow_open_place(cfg, &place, &err);
    if (!rc)
        rc = check && !all ? escrow_list_own(cfg, place, &v, &n, &err) : escrow_list(place, NULL, &v, &n, &err);
    if (rc)
        fail("%s", err.text);
    for (size_t i = check && !all && n ? n - 1 : 0; !rc && i < n; i++) {
        int damaged = check ? escrow_get(place, &v[i], -1, &err) : 0;
        if (damaged)
            bad = fail("%s", err.text);
        else if (cl->json)
            json_array_append_new(list, entry_json(&v[i]));
        else
            print_entry(&v[i], check ? "  good" : "");
    }
    if (!rc && !n && check)
        bad = fail("there is no escrow in %s: \"s3vtl escrow run\" makes one", cfg->escrow.path);
    else if (!rc && check && escrow_tell_age(cfg, old, sizeof(old)))
        bad = fail("%s", old);
    else if (!rc && !n && !cl->json && !cl->quiet)
        printf("There is no escrow in %s yet.\n", cfg->escrow.path);
    if (cl->json && !rc)
        print_json(list);
    json_decref(list);
    free(v);
    if (place)
        place->ops->close(place);
    return rc || bad ? EXIT_FAILED : EXIT_DONE;
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
    int status = each_entry(&cl, cfg, check, all);
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

/* Of a file, or, as "-", of standard input: so it need not be on a disk. */
static int read_secret(const char *file, uint8_t secret[ESCROW_KEY_SIZE], struct errtext *err)
{
    enum { ROOM = 4 * ESCROW_TEXT_SIZE };
    char *text = secret_new(ROOM);
    if (!text)
        return errtext_set(err, -ENOMEM, "no locked memory for the key: %s (ulimit -l)", strerror(errno));
    int fd = strcmp(file, "-") ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    ssize_t n = 0, got = fd < 0 ? -1 : 1;
    while (got > 0 && n < ROOM - 1) {
        got = read(fd, text + n, (size_t)(ROOM - 1 - n));
        n += got > 0 ? got : 0;
    }
    int rc = got < 0 ? errtext_set(err, -errno, "%s: %s", file, strerror(errno))
                     : escrow_key_parse(ESCROW_SECRET, text, secret, err);
    if (fd > STDIN_FILENO)
        close(fd);
    secret_free(text, ROOM);
    return rc;
}

/* Into a file beside the new one, which gets its name only when all of it is right. */
static int open_to(const char *from, const uint8_t *secret, const char *to, char **manifest, struct errtext *err)
{
    char part[4200];
    struct stat st;
    if (!stat(to, &st))
        return errtext_set(err, -EEXIST, "%s exists: name a new file", to);
    (void)snprintf(part, sizeof(part), "%.4000s.part", to);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return errtext_set(err, -errno, "%s: %s", from, strerror(errno));
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
    close(in);
    return rc;
}

#define RESTORE_USAGE "escrow restore FILE --key FILE|- --to FILE"

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
    int rc = secret ? read_secret(key, secret, &err)
                    : errtext_set(&err, -ENOMEM, "no locked memory for the key: %s (ulimit -l)", strerror(errno));
    if (!rc)
        rc = open_to(cl.argv[0], secret, to, &manifest, &err);
    secret_free(secret, ESCROW_KEY_SIZE);
    if (rc)
        return fail("%s", err.text);
    if (!cl.quiet || cl.json)
        printf("%s\n", manifest);
    if (!cl.quiet)
        fprintf(stderr,
                "s3vtl: %s is the store's catalogue. \"s3vtl kit\" says what to do with it, and in which order\n", to);
    free(manifest);
    return EXIT_DONE;
}
