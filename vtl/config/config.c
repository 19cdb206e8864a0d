/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config.c: reads the configuration file and checks it as a whole. */
#include "vtl/config/config_private.h"

#include <errno.h>
#include <fnmatch.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ini.h>

#define CREDENTIALS_DIRECTORY "CREDENTIALS_DIRECTORY" /* systemd's name for it */
#define SERVICE_CREDENTIALS "/run/credentials/s3vtl.service"
#define TEXT_OF(macro) TEXT_OF_(macro)
#define TEXT_OF_(value) #value

struct loader {
    struct vtl_config *c;
    FILE *f;
    int line;
    int line_of[CONFIG_MAX_KEYS]; /* the line that sets each key; 0: none */
    char values[CONFIG_MAX_KEYS][256];
    struct errtext *err;
    bool failed;
    bool console;   /* it reads the files of [web], and those of no other section */
    int read_error; /* errno */
};

/* ---- reading ---- */

/*
 * libinih calls the handler after it has read the line, so the count read here is the handler's line. libinih would
 * take the rest of a line longer than its buffer for a line of its own, and an indented line for a continuation of the
 * value before. So a long line is refused, and indents are removed.
 */
static char *read_line(char *buf, int room, void *stream)
{
    struct loader *l = stream;
    if (l->failed || !fgets(buf, room, l->f)) {
        l->read_error = ferror(l->f) ? errno : 0;
        return NULL;
    }
    l->line++;
    size_t n = strlen(buf), indent = strspn(buf, " \t");
    if (n == (size_t)room - 1 && buf[n - 1] != '\n') {
        errtext_set(l->err, 0,
                    "%s:%d: line too long: must be at most %d characters (initiators and addresses may be repeated)",
                    l->c->file, l->line, room - 2);
        l->failed = true;
        return NULL;
    }
    memmove(buf, buf + indent, n - indent + 1);
    return buf;
}

/* Edit distance of short texts, for "did you mean". */
static unsigned distance(const char *a, const char *b)
{
    size_t n = strlen(b);
    unsigned row[64];
    if (n >= 63)
        return 99;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; *a; a++, i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= n; j++) {
            unsigned above = row[j], best = diagonal + (*a != b[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[n];
}

static void unknown_section(struct loader *l, const char *section, const char *name)
{
    const char *nearest = config_keys[0].section;
    for (size_t i = 1; i < config_n_keys; i++)
        if (distance(section, config_keys[i].section) < distance(section, nearest))
            nearest = config_keys[i].section;
    if (!section[0])
        errtext_set(l->err, 0,
                    "%s:%d: %s: key before any section; must follow [library], [iscsi], [store], [spool], [metrics], "
                    "[web], [log], [notify], [escrow], [dedup], [quota], [retention] or [verify]",
                    l->c->file, l->line, name);
    else
        errtext_set(l->err, 0,
                    "%s:%d: [%s]: unknown section; did you mean [%s]? Sections are library, iscsi, store, spool, "
                    "metrics, web, log, notify, escrow, dedup, quota, retention and verify",
                    l->c->file, l->line, section, nearest);
}

static void unknown(struct loader *l, const char *section, const char *name)
{
    const struct config_key *nearest = NULL;
    unsigned best = 99;
    bool section_ok = false;
    for (size_t i = 0; i < config_n_keys; i++) {
        const struct config_key *k = &config_keys[i];
        bool same = !strcmp(k->section, section);
        section_ok = section_ok || same;
        unsigned d = distance(name, k->name) + (same ? 0 : 2);
        if (d < best) {
            best = d;
            nearest = k;
        }
    }
    l->failed = true;
    if (!section_ok)
        unknown_section(l, section, name);
    else
        errtext_set(l->err, 0, "%s:%d: [%s] %s: unknown key; did you mean [%s] %s?", l->c->file, l->line, section, name,
                    nearest ? nearest->section : "", nearest ? nearest->name : "");
}

/* No value may hold a quote, so these are none of it. */
static bool in_quotes(const char *value)
{
    size_t n = strlen(value);
    return n > 1 && (value[0] == '"' || value[0] == '\'') && value[n - 1] == value[0];
}

static int take(void *user, const char *section, const char *name, const char *value)
{
    struct loader *l = user;
    if (l->failed)
        return 1;
    size_t i = 0;
    while (i < config_n_keys && (strcmp(config_keys[i].section, section) || strcmp(config_keys[i].name, name)))
        i++;
    if (i == config_n_keys) {
        unknown(l, section, name);
        return 1;
    }
    if (l->line_of[i] && !config_keys[i].list) {
        errtext_set(l->err, 0, "%s:%d: [%s] %s: already set in line %d", l->c->file, l->line, section, name,
                    l->line_of[i]);
        l->failed = true;
        return 1;
    }
    l->line_of[i] = l->line;
    l->c->given[i] = true;
    (void)snprintf(l->values[i], sizeof(l->values[i]), "%s", value);
    const char *right = in_quotes(value) ? "is in quotes: write it without" : config_keys[i].set(l->c, value);
    if (right) {
        size_t n = config_tellable(section, name, value);
        errtext_set(l->err, 0, "%s:%d: [%s] %s = %.*s%s: %s", l->c->file, l->line, section, name, (int)n, value,
                    value[n] ? "..." : "", right);
        l->failed = true;
    }
    return 1;
}

/* ---- the file as a whole ---- */

static size_t key_number(const char *section, const char *name)
{
    size_t i = 0;
    while (strcmp(config_keys[i].section, section) || strcmp(config_keys[i].name, name))
        i++;
    return i;
}

/* Complains about a key that is set (naming its line) or missing. */
static int complain(struct loader *l, const char *section, const char *name, const char *right)
{
    size_t i = key_number(section, name);
    if (l->line_of[i])
        return errtext_set(l->err, -EINVAL, "%s:%d: [%s] %s = %s: %s", l->c->file, l->line_of[i], section, name,
                           l->values[i], right);
    return errtext_set(l->err, -EINVAL, "%s: [%s] %s is not set: %s", l->c->file, section, name, right);
}

/* A file with secrets must be regular and readable by its owner only. Who reads systemd's is its own affair (mode 0440
 * and an access list), and other commands than serve are given none. */
static int check_secret(struct loader *l, const char *section, const char *name, const char *value, const char *path)
{
    struct stat st;
    char right[200];
    if (l->console != !strcmp(section, "web")) /* it is no affair of whoever reads this */
        return 0;
    if (!path[0] || (config_is_systemd(value) && (!getenv(CREDENTIALS_DIRECTORY) || !access(path, R_OK))))
        return 0;
    if (config_is_systemd(value))
        (void)snprintf(right, sizeof(right), "%s: the service's unit needs LoadCredential=%.100s:FILE", strerror(errno),
                       value + strlen(CONFIG_SYSTEMD));
    else if (stat(path, &st))
        (void)snprintf(right, sizeof(right), "%s", strerror(errno));
    else if (!S_ISREG(st.st_mode))
        (void)snprintf(right, sizeof(right), "must be a regular file");
    else if (st.st_mode & 077)
        (void)snprintf(right, sizeof(right), "its mode is %04o, must be 0600 (chmod 600)",
                       (unsigned)st.st_mode & 07777);
    else
        return 0;
    return complain(l, section, name, right);
}

static int check_pair(struct loader *l, const char *user, const char *user_key, const char *file, const char *file_key,
                      const char *path)
{
    if (user[0] && !file[0])
        return complain(l, "iscsi", file_key, "required with the user: a file with the password, 12 to 16 characters");
    if (file[0] && !user[0])
        return complain(l, "iscsi", user_key, "required with the password file");
    return check_secret(l, "iscsi", file_key, file, path);
}

static int check_readable(struct loader *l, const char *section, const char *name, const char *path)
{
    char right[200];
    if (l->console || !path[0] || !access(path, R_OK)) /* as check_secret: of no section but [store] and [escrow] */
        return 0;
    (void)snprintf(right, sizeof(right), "%s", strerror(errno));
    return complain(l, section, name, right);
}

/* Whoever left out type may not know that there is a default. */
static int no_path(struct loader *l)
{
    const struct vtl_config *c = l->c;
    if (l->line_of[key_number("store", "type")])
        return complain(l, "store", "path", "must be a directory with type = dir");
    if (!c->store.url[0] && !c->store.bucket[0])
        return complain(l, "store", "path",
                        "type is not set either, and is dir by default: give path = a directory, or type = s3 with "
                        "url, bucket and credentials_file");
    return complain(l, "store", c->store.url[0] ? "url" : "bucket",
                    "needs type = s3 in [store]: type is not set, and is dir by default");
}

static int check_web_tls(struct loader *l)
{
    const struct vtl_config *c = l->c;
    bool certificate = c->web.tls_certificate[0], key = c->web.tls_key[0];
    if (certificate && !key)
        return complain(l, "web", "tls_key", "required with tls_certificate: a file with its key");
    if (key && !certificate)
        return complain(l, "web", "tls_certificate", "required with tls_key: a file with the certificate of that key");
    if (c->web.listen[0] && !config_on_loopback(c->web.listen) && !certificate)
        return complain(l, "web", "listen",
                        "is not on loopback, so that the token could be read on its way: set tls_certificate and "
                        "tls_key, or listen on 127.0.0.1");
    /* Only the console need be able to read it. */
    if (l->console && certificate && access(c->web.tls_certificate, F_OK) && errno != EACCES)
        return complain(l, "web", "tls_certificate", strerror(errno));
    return key ? check_secret(l, "web", "tls_key", c->web.tls_key, c->web.tls_key_path) : 0;
}

static int check_web(struct loader *l)
{
    const struct vtl_config *c = l->c;
    if (c->web.listen[0] && !c->web.token_file[0])
        return complain(l, "web", "token_file", "required with listen: a file with what a browser must know");
    if (!c->web.listen[0] && c->web.token_file[0])
        return complain(l, "web", "listen", "required with token_file, such as 127.0.0.1:8098");
    int rc = c->web.listen[0] ? check_secret(l, "web", "token_file", c->web.token_file, c->web.token_path) : 0;
    return rc ? rc : check_web_tls(l);
}

/* Only what has a name has names below it. */
static int check_style(struct loader *l, const char *section, const char *url, const char *style)
{
    const char *host = strstr(url, "://") + 3;
    if (strcmp(style, "virtual") != 0 ||
        (host[0] != '[' && strpbrk(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")))
        return 0;
    return complain(l, section, "style", "needs a host name in url, not an address: the bucket goes before it");
}

static int check_admin(struct loader *l)
{
    const struct vtl_config *c = l->c;
    bool s3 = !strcmp(c->store.type, "s3"), plain = !strcmp(c->store.kind, "s3");
    if (!c->store.admin_url[0])
        return c->store.admin_password_file[0]
                   ? complain(l, "store", "admin_url",
                              "required with admin_password_file, such as http://127.0.0.1:8001")
                   : 0;
    if (!s3)
        return complain(l, "store", "admin_url", "needs type = s3");
    if (plain)
        return complain(l, "store", "admin_url", "only renterd and s3d have one: must not be set with kind = s3");
    if (!c->store.admin_password_file[0])
        return complain(l, "store", "admin_password_file", "required with admin_url: a file with its password");
    return check_secret(l, "store", "admin_password_file", c->store.admin_password_file, c->store.admin_password_path);
}

/* What nobody can tell cannot be waited for. */
static int check_offsite(struct loader *l)
{
    const struct vtl_config *c = l->c;
    bool told = !strcmp(c->store.type, "s3") && (c->store.admin_url[0] || !strcmp(c->store.kind, "s3"));
    if (c->spool.durability != DURABILITY_OFFSITE || told)
        return 0;
    return complain(
        l, "spool", "durability",
        "needs [store] type = s3 and, for renterd or s3d, admin_url; or kind = s3, if what the store accepted "
        "is where it is to be");
}

static int check_proxy(struct loader *l, const char *section, const struct objstore_config *at, const char *file)
{
    if (!at->proxy[0] && (at->proxy_user[0] || file[0] || at->no_proxy[0]))
        return complain(l, section, "proxy", "required with proxy_user, proxy_password_file and no_proxy");
    if (at->proxy_user[0] && !file[0])
        return complain(l, section, "proxy_password_file", "required with the user: a file with the password");
    if (file[0] && !at->proxy_user[0])
        return complain(l, section, "proxy_user", "required with the password file");
    return check_secret(l, section, "proxy_password_file", file, at->proxy_password_file);
}

/* What only type = s3 has, and would do nothing else. */
static int check_only_s3(struct loader *l)
{
    const struct vtl_config *c = l->c;
    const char *name = c->store.upload.n     ? "upload_limit"
                       : c->store.download.n ? "download_limit"
                       : c->store.proxy[0]   ? "proxy"
                                             : NULL;
    return name ? complain(l, "store", name, "needs type = s3") : 0;
}

static int check_store(struct loader *l)
{
    const struct vtl_config *c = l->c;
    struct objstore_config at;
    if (!strcmp(c->store.type, "dir") && !strcmp(c->store.path, c->library.state_dir))
        return complain(l, "store", "path", "must not be the state_dir: give the store a directory of its own");
    if (!strcmp(c->store.type, "dir"))
        return c->store.path[0] ? check_only_s3(l) : no_path(l);
    if (!c->store.url[0])
        return complain(l, "store", "url", "required with type = s3, such as http://127.0.0.1:8080");
    int rc = check_style(l, "store", c->store.url, c->store.style);
    if (rc)
        return rc;
    if (!c->store.bucket[0])
        return complain(l, "store", "bucket", "required with type = s3");
    /* Without credentials_file they are in the environment: of serve, but not of every command. */
    rc = check_secret(l, "store", "credentials_file", c->store.credentials_file, c->store.credentials_path);
    config_store(c, &at);
    if (!rc)
        rc = check_proxy(l, "store", &at, c->store.proxy_password_file);
    return rc ? rc : check_readable(l, "store", "ca_file", c->store.ca_file);
}

static int check_access(struct loader *l)
{
    const struct vtl_config *c = l->c;
    int rc = check_pair(l, c->iscsi.chap_user, "chap_user", c->iscsi.chap_password_file, "chap_password_file",
                        c->iscsi.chap_password_path);
    if (!rc)
        rc = check_pair(l, c->iscsi.mutual_user, "mutual_user", c->iscsi.mutual_password_file, "mutual_password_file",
                        c->iscsi.mutual_password_path);
    if (!rc && c->iscsi.mutual_user[0] && !c->iscsi.chap_user[0])
        rc = complain(l, "iscsi", "chap_user", "required with mutual_user: mutual CHAP is CHAP in both directions");
    if (!rc && c->iscsi.mutual_user[0] && !strcmp(c->iscsi.mutual_user, c->iscsi.chap_user))
        rc = complain(l, "iscsi", "mutual_user", "must differ from chap_user");
    /* tgt admits whoever is in either list, but two lists in one file read as if both had to match. */
    if (!rc && c->iscsi.initiators[0] && c->iscsi.addresses[0])
        rc = complain(l, "iscsi", "addresses",
                      "must not be set together with initiators: tgt admits whoever is in either list; use one (and "
                      "CHAP)");
    return rc;
}

/* What is kept with the store goes with it. */
static int check_escrow_is_elsewhere(struct loader *l)
{
    const struct vtl_config *c = l->c;
    bool s3 = !strcmp(c->escrow.type, "s3");
    if (strcmp(c->escrow.type, c->store.type) != 0)
        return 0;
    if (s3 ? strcasecmp(c->escrow.url, c->store.url) != 0 : strcmp(c->escrow.path, c->store.path) != 0)
        return 0;
    return complain(l, "escrow", s3 ? "url" : "path", "must not be the store itself: it would be lost with it");
}

static int check_escrow_s3(struct loader *l)
{
    const struct vtl_config *c = l->c;
    struct objstore_config at;
    if (!c->escrow.url[0])
        return complain(l, "escrow", "url", "required with type = s3, such as https://s3.example.com");
    if (!c->escrow.bucket[0])
        return complain(l, "escrow", "bucket", "required with type = s3");
    if (!c->escrow.credentials_file[0])
        return complain(l, "escrow", "credentials_file", "required with type = s3: a file with the keys");
    int rc = check_style(l, "escrow", c->escrow.url, c->escrow.style);
    if (!rc)
        rc = check_secret(l, "escrow", "credentials_file", c->escrow.credentials_file, c->escrow.credentials_path);
    config_escrow(c, &at);
    if (!rc)
        rc = check_proxy(l, "escrow", &at, c->escrow.proxy_password_file);
    return rc ? rc : check_readable(l, "escrow", "ca_file", c->escrow.ca_file);
}

/* All of it, or none. */
static int check_escrow(struct loader *l)
{
    const struct vtl_config *c = l->c;
    bool s3 = !strcmp(c->escrow.type, "s3");
    bool used = s3 || c->escrow.path[0] || c->escrow.url[0] || c->escrow.bucket[0] || c->escrow.public_key[0] ||
                c->escrow.exchange[0] || c->escrow.every;
    if (!used)
        return 0;
    if (!s3 && (c->escrow.url[0] || c->escrow.bucket[0]))
        return complain(l, "escrow", c->escrow.url[0] ? "url" : "bucket",
                        "needs type = s3 in [escrow]: type is dir, by default too");
    if (!s3 && !c->escrow.path[0])
        return complain(l, "escrow", "path",
                        "required: a directory on another disk or host; or type = s3 with url, bucket and "
                        "credentials_file");
    int rc = s3 ? check_escrow_s3(l) : 0;
    if (!rc)
        rc = check_escrow_is_elsewhere(l);
    if (rc)
        return rc;
    if (!c->escrow.public_key[0])
        return complain(l, "escrow", "public_key", "required: \"s3vtl escrow key\" makes a pair");
    if (!c->escrow.exchange[0])
        return complain(l, "escrow", "exchange",
                        "required: a directory into which the store writes and from which s3vtl reads");
    return 0;
}

static int check_whole(struct loader *l)
{
    const struct vtl_config *c = l->c;
    if (!c->library.state_dir[0])
        return complain(l, "library", "state_dir", "must be a directory for the library's state and spool");
    if (strlen(c->library.state_dir) > CONFIG_MAX_STATE_DIR)
        return complain(l, "library", "state_dir",
                        "must be at most " TEXT_OF(CONFIG_MAX_STATE_DIR) " characters: there are sockets below it");
    int rc = check_store(l);
    if (!rc)
        rc = check_admin(l);
    if (!rc)
        rc = check_offsite(l);
    if (!rc)
        rc = check_access(l);
    if (!rc)
        rc = check_escrow(l);
    if (!rc)
        rc = check_web(l);
    if (!rc && c->spool.segment_size > 1ull << 30)
        rc = complain(l, "spool", "segment_size", "must be a size from 1M to 1G, such as 40M");
    if (!rc && c->spool.write_buffer > 1ull << 30)
        rc = complain(l, "spool", "write_buffer", "must be a size up to 1G, such as 32M; 0: none");
    if (!rc && (c->dedup.memory < 1u << 20 || c->dedup.memory > UINT64_C(4) << 30))
        rc = complain(l, "dedup", "memory", "must be a size from 1M to 4G, such as 64M");
    if (!rc && c->spool.max_dirty < 4 * c->spool.segment_size)
        rc = complain(l, "spool", "max_dirty", "must be at least four times segment_size");
    return rc;
}

static int make_defaults(struct vtl_config *c)
{
    for (size_t i = 0; i < config_n_keys; i++)
        if (config_keys[i].preset && config_keys[i].set(c, config_keys[i].preset))
            return -ENOMEM;
    c->library.state_dir = strdup("");
    c->library.serial_prefix = strdup("");
    c->iscsi.target = strdup("");
    return c->library.state_dir && c->library.serial_prefix && c->iscsi.target ? 0 : -ENOMEM;
}

/* Derives from the name a target name, and serial numbers that differ from those of other libraries on the same host.
 */
static int make_derived(struct vtl_config *c)
{
    static const char digits[] = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    char text[300];
    if (!c->iscsi.target[0]) {
        (void)snprintf(text, sizeof(text), "iqn.2026-11.s3vtl:%s", c->library.name);
        for (char *p = text; *p; p++)
            if (*p == '_')
                *p = '-';
        free(c->iscsi.target);
        if (!(c->iscsi.target = strdup(text)))
            return -ENOMEM;
    }
    if (!c->library.serial_prefix[0]) {
        uint64_t h = 0xcbf29ce484222325u;
        for (const char *p = c->library.name; *p; p++)
            h = (h ^ (unsigned char)*p) * 0x100000001b3u;
        (void)snprintf(text, sizeof(text), "S3");
        for (int i = 0; i < 5; i++, h /= sizeof(digits) - 1)
            text[2 + i] = digits[h % (sizeof(digits) - 1)];
        text[7] = '\0';
        free(c->library.serial_prefix);
        if (!(c->library.serial_prefix = strdup(text)))
            return -ENOMEM;
    }
    return 0;
}

/* A command that the service manager did not start finds its credentials where those of the service are while it runs. */
static int resolve(const char *value, char **path)
{
    const char *dir = getenv(CREDENTIALS_DIRECTORY);
    int n = config_is_systemd(value)
                ? asprintf(path, "%s/%s", dir ? dir : SERVICE_CREDENTIALS, value + strlen(CONFIG_SYSTEMD))
                : asprintf(path, "%s", value);
    if (n < 0)
        *path = NULL;
    return n < 0 ? -ENOMEM : 0;
}

static int make_paths(struct vtl_config *c)
{
    int rc = resolve(c->store.credentials_file, &c->store.credentials_path);
    if (!rc)
        rc = resolve(c->store.admin_password_file, &c->store.admin_password_path);
    if (!rc)
        rc = resolve(c->store.proxy_password_file, &c->store.proxy_password_path);
    if (!rc)
        rc = resolve(c->escrow.credentials_file, &c->escrow.credentials_path);
    if (!rc)
        rc = resolve(c->escrow.proxy_password_file, &c->escrow.proxy_password_path);
    if (!rc)
        rc = resolve(c->iscsi.chap_password_file, &c->iscsi.chap_password_path);
    if (!rc)
        rc = resolve(c->web.token_file, &c->web.token_path);
    if (!rc)
        rc = resolve(c->web.tls_key, &c->web.tls_key_path);
    return rc ? rc : resolve(c->iscsi.mutual_password_file, &c->iscsi.mutual_password_path);
}

static int load(const char *file, bool console, struct vtl_config **out, struct errtext *err)
{
    *out = NULL;
    struct errtext own;
    struct loader *l = calloc(1, sizeof(*l));
    struct vtl_config *c = calloc(1, sizeof(*c));
    if (!l || !c || !(c->file = strdup(file)) || make_defaults(c)) {
        free(l);
        config_free(c);
        return errtext_set(err, -ENOMEM, "%s: out of memory", file);
    }
    l->c = c;
    l->console = console;
    l->err = err ? err : &own;
    l->f = fopen(file, "re");
    int rc = l->f ? 0 : errtext_set(err, -errno, "%s: %s", file, strerror(errno));
    if (!rc) {
        int bad = ini_parse_stream(read_line, l, take, l);
        if (l->failed)
            rc = -EINVAL;
        else if (l->read_error)
            rc = errtext_set(err, -l->read_error, "%s: cannot be read: %s", file, strerror(l->read_error));
        else if (bad)
            rc = errtext_set(err, -EINVAL, "%s:%d: must be [section], key = value or a comment", file, bad);
    }
    if (!rc && (make_derived(c) || make_paths(c)))
        rc = errtext_set(err, -ENOMEM, "%s: out of memory", file);
    if (!rc)
        rc = check_whole(l);
    if (l->f)
        fclose(l->f);
    free(l);
    if (rc) {
        config_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

int config_load(const char *file, struct vtl_config **out, struct errtext *err)
{
    return load(file, false, out, err);
}

int config_load_console(const char *file, struct vtl_config **out, struct errtext *err)
{
    return load(file, true, out, err);
}

static void free_all(char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
}

static void free_store(struct vtl_config *c)
{
    char *const texts[] = {
        c->store.type,
        c->store.path,
        c->store.url,
        c->store.bucket,
        c->store.prefix,
        c->store.region,
        c->store.credentials_file,
        c->store.credentials_path,
        c->store.profile,
        c->store.kind,
        c->store.admin_url,
        c->store.admin_password_file,
        c->store.admin_password_path,
        c->store.ca_file,
        c->store.style,
        c->store.upload_limit,
        c->store.download_limit,
        c->store.proxy,
        c->store.no_proxy,
        c->store.proxy_user,
        c->store.proxy_password_file,
        c->store.proxy_password_path,
    };
    free_all(texts, sizeof(texts) / sizeof(texts[0]));
}

static void free_escrow(struct vtl_config *c)
{
    char *const texts[] = {
        c->escrow.type,
        c->escrow.path,
        c->escrow.url,
        c->escrow.bucket,
        c->escrow.prefix,
        c->escrow.region,
        c->escrow.credentials_file,
        c->escrow.credentials_path,
        c->escrow.profile,
        c->escrow.ca_file,
        c->escrow.style,
        c->escrow.proxy,
        c->escrow.no_proxy,
        c->escrow.proxy_user,
        c->escrow.proxy_password_file,
        c->escrow.proxy_password_path,
        c->escrow.public_key,
        c->escrow.exchange,
    };
    free_all(texts, sizeof(texts) / sizeof(texts[0]));
}

void config_free(struct vtl_config *c)
{
    if (!c)
        return;
    char *const texts[] = {
        c->file,
        c->library.name,
        c->library.state_dir,
        c->library.serial_prefix,
        c->library.blanks,
        c->iscsi.portal,
        c->iscsi.target,
        c->iscsi.chap_user,
        c->iscsi.chap_password_file,
        c->iscsi.mutual_user,
        c->iscsi.mutual_password_file,
        c->iscsi.chap_password_path,
        c->iscsi.mutual_password_path,
        c->iscsi.initiators,
        c->iscsi.addresses,
        c->dedup.tapes,
        c->dedup.cut,
        c->quota.pools,
        c->retention.tapes,
        c->verify.window,
        c->metrics.listen,
        c->web.listen,
        c->web.tls_certificate,
        c->web.tls_key,
        c->web.tls_key_path,
        c->web.token_file,
        c->web.token_path,
        c->notify.command,
        c->notify.url,
    };
    free_store(c);
    free_escrow(c);
    free_all(texts, sizeof(texts) / sizeof(texts[0]));
    free(c);
}

/* Off, or patterns, the last one that matches counts. */
static bool is_among(const char *patterns, const char *barcode)
{
    char words[CONFIG_MAX_PATTERNS], *save = NULL;
    (void)snprintf(words, sizeof(words), "%s", patterns);
    bool among = false;
    for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        bool not = w[0] == '!';
        if (strcmp(w, "off") != 0 && !fnmatch(w + not, barcode, 0))
            among = !not ;
    }
    return among;
}

bool config_dedups(const struct vtl_config *c, const char *barcode)
{
    return is_among(c->dedup.tapes, barcode);
}

bool config_cuts(const struct vtl_config *c, const char *barcode)
{
    return is_among(c->dedup.cut, barcode);
}

void config_store(const struct vtl_config *c, struct objstore_config *out)
{
    *out = (struct objstore_config){
        .type = c->store.type,
        .path = c->store.path,
        .url = c->store.url,
        .bucket = c->store.bucket,
        .prefix = c->store.prefix,
        .region = c->store.region,
        .credentials_file = c->store.credentials_path,
        .credentials_by_systemd = config_is_systemd(c->store.credentials_file),
        .profile = c->store.profile,
        .ca_file = c->store.ca_file[0] ? c->store.ca_file : NULL,
        .style = c->store.style,
        .kind = c->store.kind,
        .admin_url = c->store.admin_url,
        .admin_password_file = c->store.admin_password_path,
        .admin_password_by_systemd = config_is_systemd(c->store.admin_password_file),
        .parallel = c->store.parallel,
        .upload = &c->store.upload,
        .download = &c->store.download,
        .proxy = c->store.proxy,
        .no_proxy = c->store.no_proxy,
        .proxy_user = c->store.proxy_user,
        .proxy_password_file = c->store.proxy_password_path,
        .proxy_password_by_systemd = config_is_systemd(c->store.proxy_password_file),
    };
}

bool config_has_escrow(const struct vtl_config *c)
{
    return c->escrow.path[0] || c->escrow.url[0];
}

/* One transfer at a time, of what is no service with a catalogue of its own. */
void config_escrow(const struct vtl_config *c, struct objstore_config *out)
{
    *out = (struct objstore_config){
        .type = c->escrow.type,
        .path = c->escrow.path,
        .url = c->escrow.url,
        .bucket = c->escrow.bucket,
        .prefix = c->escrow.prefix,
        .region = c->escrow.region,
        .credentials_file = c->escrow.credentials_path,
        .credentials_by_systemd = config_is_systemd(c->escrow.credentials_file),
        .profile = c->escrow.profile,
        .ca_file = c->escrow.ca_file[0] ? c->escrow.ca_file : NULL,
        .style = c->escrow.style,
        .kind = "s3",
        .parallel = 1,
        .proxy = c->escrow.proxy,
        .no_proxy = c->escrow.no_proxy,
        .proxy_user = c->escrow.proxy_user,
        .proxy_password_file = c->escrow.proxy_password_path,
        .proxy_password_by_systemd = config_is_systemd(c->escrow.proxy_password_file),
    };
}

#define REQUESTS_PER_TRANSFER 4
#define MOST_REQUESTS 64

unsigned config_requests(const struct vtl_config *c)
{
    unsigned n = REQUESTS_PER_TRANSFER * c->store.parallel;
    return n < MOST_REQUESTS ? n : MOST_REQUESTS;
}
