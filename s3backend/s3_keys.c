/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_keys.c: reads the pair of keys from a file of ours, one of AWS's, or the environment; no key gets into a message. */
#include "s3backend/s3_keys.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "s3backend/sigv4.h"

enum { MAX_CREDENTIALS = 8192 };

struct form {
    const char *access, *secret; /* how a file calls the keys */
};
static const struct form ours = {"access_key", "secret_key"}, of_aws = {"aws_access_key_id", "aws_secret_access_key"};

struct reading {
    struct s3_keys *k;
    const char *file, *profile;
    const struct form *form; /* of_aws from the first [section] on */
    unsigned line;
    bool inside, found; /* the profile's part: is this line of it, was there one */
    struct errtext *err;
};

static int bad_line(const struct reading *r, const char *what)
{
    return errtext_set(
        r->err, -EINVAL,
        "credentials file %s line %u: %s; it must have two lines, access_key = ... and secret_key = ..., "
        "or be one of AWS's, with [%s], aws_access_key_id and aws_secret_access_key",
        r->file, r->line, what, r->profile);
}

static char *trim(char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    size_t n = strlen(s);
    while (n && isspace((unsigned char)s[n - 1]))
        s[--n] = 0;
    return s;
}

/* ---- a key ---- */

static bool printable(const char *v, const char *except)
{
    for (; *v; v++)
        if (*v <= ' ' || *v > '~' || strchr(except, *v))
            return false;
    return true;
}

/* No store gives out a key that begins and ends so. */
static bool in_quotes(const char *v)
{
    size_t n = strlen(v);
    return n > 1 && (v[0] == '"' || v[0] == '\'') && v[n - 1] == v[0];
}

static int no_secret(struct errtext *err)
{
    return errtext_set(err, -ENOMEM,
                       "the credentials must be in locked memory, and there is none: %s (ulimit -l; LimitMEMLOCK= in a "
                       "service)",
                       strerror(errno));
}

static int keep_secret(struct s3_keys *k, const char *value, struct errtext *err)
{
    k->aws4_size = strlen(SIGV4_BEFORE_SECRET) + strlen(value) + 1;
    k->aws4_secret = secret_new(k->aws4_size);
    if (!k->aws4_secret)
        return no_secret(err);
    memcpy(k->aws4_secret, SIGV4_BEFORE_SECRET, strlen(SIGV4_BEFORE_SECRET));
    memcpy(k->aws4_secret + strlen(SIGV4_BEFORE_SECRET), value, strlen(value)); /* no printf: it may keep a copy */
    return 0;
}

static int keep_access_key(struct s3_keys *k, const char *value, struct errtext *err)
{
    k->access_key = strdup(value);
    return k->access_key ? 0 : errtext_set(err, -ENOMEM, "no memory for the store's keys");
}

/* NULL, or what is wrong with it. */
static const char *wrong_value(const char *value, bool access)
{
    if (!*value)
        return "is empty";
    if (in_quotes(value))
        return "is in quotes: write it without";
    /* ',' and '=' have a meaning in the Authorization header. */
    return printable(value, access ? ",=" : "") ? NULL : "has a character that a key can't have";
}

/* ---- a file ---- */

/* "[NAME]": from here on it is a file of AWS's. */
static int take_section(struct reading *r, char *text)
{
    char *end = strchr(text, ']');
    if (!end || end[1])
        return bad_line(r, "no ']' at its end");
    if (r->form == &ours && (r->k->access_key || r->k->aws4_secret))
        return bad_line(r, "a [section] behind keys that are in none");
    *end = 0;
    r->form = &of_aws;
    r->inside = !strcmp(trim(text + 1), r->profile);
    r->found = r->found || r->inside;
    return 0;
}

static int take_key(struct reading *r, bool access, const char *value)
{
    char what[120];
    const char *name = access ? r->form->access : r->form->secret, *wrong = wrong_value(value, access);
    if (access ? r->k->access_key : r->k->aws4_secret)
        wrong = "a second time";
    if (!wrong)
        return access ? keep_access_key(r->k, value, r->err) : keep_secret(r->k, value, r->err);
    (void)snprintf(what, sizeof(what), "%s %s", name, wrong);
    return bad_line(r, what);
}

/* AWS's files hold more than keys, which is none of our business. */
static int take_other(const struct reading *r, const char *name)
{
    if (r->form == &ours)
        return bad_line(r, "an unknown name before '='");
    if (!strcmp(name, "aws_session_token"))
        return bad_line(r, "aws_session_token: keys that end by themselves are not supported");
    return 0;
}

static int take_line(struct reading *r, char *text)
{
    text = trim(text);
    if (!*text || *text == '#' || *text == ';')
        return 0;
    if (*text == '[')
        return take_section(r, text);
    if (r->form == &of_aws && !r->inside)
        return 0;
    char *eq = strchr(text, '=');
    if (!eq)
        return bad_line(r, "no '='");
    *eq = 0;
    const char *name = trim(text), *value = trim(eq + 1);
    bool access = !strcmp(name, r->form->access);
    return access || !strcmp(name, r->form->secret) ? take_key(r, access, value) : take_other(r, name);
}

static int check_whole(const struct reading *r)
{
    char what[120];
    bool whole = r->k->access_key && r->k->aws4_secret;
    if (r->form == &ours && strcmp(r->profile, "default") != 0)
        return errtext_set(r->err, -EINVAL, "store option profile: \"%.64s\" is not in %s: it has no [sections]",
                           r->profile, r->file);
    if (r->form == &of_aws && !r->found)
        return errtext_set(r->err, -EINVAL, "store option profile: %s has no [%.64s]", r->file, r->profile);
    (void)snprintf(what, sizeof(what), "no %s", r->k->access_key ? r->form->secret : r->form->access);
    return whole ? 0 : bad_line(r, what);
}

static int parse(struct s3_keys *k, char *text, const struct objstore_config *cfg, struct errtext *err)
{
    struct reading r = {.k = k,
                        .file = cfg->credentials_file,
                        .profile = cfg->profile && cfg->profile[0] ? cfg->profile : "default",
                        .form = &ours,
                        .err = err};
    int rc = 0;
    for (char *rest = text; rest && rc == 0;) {
        char *one = strsep(&rest, "\n");
        r.line++;
        rc = take_line(&r, one);
    }
    if (rc == 0)
        rc = check_whole(&r);
    (void)snprintf(k->from, sizeof(k->from), "%.200s%s%.64s%s", r.file, r.form == &of_aws ? " [" : "",
                   r.form == &of_aws ? r.profile : "", r.form == &of_aws ? "]" : "");
    return rc;
}

static int check_file(int fd, const struct objstore_config *cfg, struct errtext *err)
{
    struct stat st;
    const char *file = cfg->credentials_file;
    if (fstat(fd, &st))
        return errtext_set(err, -EINVAL, "store option credentials_file: %s: %s", file, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return errtext_set(err, -EINVAL, "store option credentials_file: %s is not a regular file", file);
    if (st.st_mode & 077 && !cfg->credentials_by_systemd)
        return errtext_set(err, -EINVAL,
                           "store option credentials_file: %s has mode %04o, others may read it; it must be 0600 "
                           "(chmod 600 %s)",
                           file, (unsigned)(st.st_mode & 07777), file);
    if (st.st_size >= MAX_CREDENTIALS)
        return errtext_set(err, -EINVAL, "store option credentials_file: %s is too long to be one", file);
    return 0;
}

static int cannot_open(const struct objstore_config *cfg, int error, struct errtext *err)
{
    const char *file = cfg->credentials_file, *name = strrchr(file, '/');
    if (!cfg->credentials_by_systemd)
        return errtext_set(err, -EINVAL, "store option credentials_file: can't open %s: %s", file, strerror(error));
    return errtext_set(
        err, -EINVAL,
        "store option credentials_file: can't open %s: %s; systemd puts it there while the service runs "
        "(LoadCredential= in its unit). Before that: systemd-run -qP --uid=s3vtl -p LoadCredential=%s:FILE s3vtl ...",
        file, strerror(error), name ? name + 1 : file);
}

static int from_file(struct s3_keys *k, const struct objstore_config *cfg, struct errtext *err)
{
    char *text = NULL;
    const char *file = cfg->credentials_file;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return cannot_open(cfg, errno, err);
    int rc = check_file(fd, cfg, err);
    if (rc == 0 && !(text = secret_new(MAX_CREDENTIALS + 1)))
        rc = no_secret(err);
    if (rc == 0) {
        ssize_t n = read(fd, text, MAX_CREDENTIALS);
        if (n < 0)
            rc = errtext_set(err, -EINVAL, "store option credentials_file: can't read %s: %s", file, strerror(errno));
        text[n < 0 ? 0 : n] = 0;
        if (rc == 0)
            rc = parse(k, text, cfg, err);
    }
    secret_free(text, MAX_CREDENTIALS + 1);
    close(fd);
    return rc;
}

/* ---- the environment ---- */

#define ENV_ACCESS "AWS_ACCESS_KEY_ID"
#define ENV_SECRET "AWS_SECRET_ACCESS_KEY"

static int from_environment(struct s3_keys *k, struct errtext *err)
{
    const char *access = getenv(ENV_ACCESS), *secret = getenv(ENV_SECRET), *token = getenv("AWS_SESSION_TOKEN");
    bool has_access = access && *access, has_secret = secret && *secret;
    if (!has_access && !has_secret)
        return errtext_set(err, -EINVAL,
                           "store option credentials_file: missing, and the environment has no " ENV_ACCESS
                           " and " ENV_SECRET " in its place");
    if (!has_access || !has_secret)
        return errtext_set(err, -EINVAL, "environment: %s without %s (no credentials_file is set)",
                           has_access ? ENV_ACCESS : ENV_SECRET, has_access ? ENV_SECRET : ENV_ACCESS);
    if (token && *token)
        return errtext_set(err, -EINVAL,
                           "environment: AWS_SESSION_TOKEN: keys that end by themselves are not supported");
    const char *wrong = wrong_value(access, true), *name = wrong ? ENV_ACCESS : ENV_SECRET;
    if (wrong || (wrong = wrong_value(secret, false)))
        return errtext_set(err, -EINVAL, "environment: %s %s", name, wrong);
    (void)snprintf(k->from, sizeof(k->from), "the environment (" ENV_ACCESS ", " ENV_SECRET ")");
    int rc = keep_access_key(k, access, err);
    return rc ? rc : keep_secret(k, secret, err);
}

/* ---- both ---- */

int s3_keys_read(struct s3_keys *k, const struct objstore_config *cfg, struct errtext *err)
{
    return cfg->credentials_file && *cfg->credentials_file ? from_file(k, cfg, err) : from_environment(k, err);
}

void s3_keys_free(struct s3_keys *k)
{
    free(k->access_key);
    secret_free(k->aws4_secret, k->aws4_size);
    *k = (struct s3_keys){.aws4_size = 0};
}

bool s3_keys_same(const struct s3_keys *a, const struct s3_keys *b)
{
    return !strcmp(a->access_key, b->access_key) && !strcmp(a->aws4_secret, b->aws4_secret);
}
