/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_keys.c: every configuration key: section, name, default, check. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vtl/config/config_private.h"

/* ---- values ---- */

static bool only(const char *s, const char *more, size_t min, size_t max)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr(more, s[i]))
            return false;
    return n >= min && n <= max;
}

static const char *set_text(char **field, const char *value)
{
    char *copy = strdup(value);
    if (!copy)
        return "out of memory";
    free(*field);
    *field = copy;
    return NULL;
}

static const char *set_number(unsigned *field, const char *value, unsigned min, unsigned max, const char *right)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end || n < min || n > max)
        return right;
    *field = (unsigned)n;
    return NULL;
}

/* Is it "name:port", "address:port" or "[v6-address]:port"? The port may be left out unless it is needed. */
static bool host_ok(const char *text, bool port_needed)
{
    char host[256];
    struct in6_addr v6;
    unsigned port = 0;
    bool v6_form = text[0] == '[';
    size_t n = strcspn(text += v6_form, v6_form ? "]" : ":");
    if (!n || n >= sizeof(host) || (v6_form && !text[n]))
        return false;
    (void)snprintf(host, sizeof(host), "%.*s", (int)n, text);
    if (v6_form ? inet_pton(AF_INET6, host, &v6) != 1 : !only(host, ".-", 1, 255))
        return false;
    const char *rest = text + n + v6_form;
    return *rest ? *rest == ':' && !set_number(&port, rest + 1, 1, 65535, "") : !port_needed;
}

static const char *absolute_path(char **field, const char *value)
{
    return value[0] == '/' ? set_text(field, value) : "must be an absolute path";
}

static const char *optional_path(char **field, const char *value)
{
    return value[0] ? absolute_path(field, value) : set_text(field, value);
}

#define TEXT(section, name)                                                                                            \
    static void show_##section##_##name(const struct vtl_config *c, char *buf, size_t room)                            \
    {                                                                                                                  \
        (void)snprintf(buf, room, "%s", c->section.name);                                                              \
    }                                                                                                                  \
    static const char *set_##section##_##name(struct vtl_config *c, const char *value)
#define NUMBER(section, name, min, max, right)                                                                         \
    static void show_##section##_##name(const struct vtl_config *c, char *buf, size_t room)                            \
    {                                                                                                                  \
        (void)snprintf(buf, room, "%u", c->section.name);                                                              \
    }                                                                                                                  \
    static const char *set_##section##_##name(struct vtl_config *c, const char *value)                                 \
    {                                                                                                                  \
        return set_number(&c->section.name, value, min, max, right);                                                   \
    }
#define SIZE(section, name, min, right)                                                                                \
    static void show_##section##_##name(const struct vtl_config *c, char *buf, size_t room)                            \
    {                                                                                                                  \
        show_size(c->section.name, buf, room);                                                                         \
    }                                                                                                                  \
    static const char *set_##section##_##name(struct vtl_config *c, const char *value)                                 \
    {                                                                                                                  \
        return set_size(&c->section.name, value, min, right);                                                          \
    }

static const char *set_size(uint64_t *field, const char *value, uint64_t min, const char *right)
{
    uint64_t n;
    if (!config_parse_size(value, &n) || n < min)
        return right;
    *field = n;
    return NULL;
}

/* n as the shortest exact text: "40M", or "2TB" where that is shorter. */
static void show_size(uint64_t n, char *buf, size_t room)
{
    static const char units[][2] = {"", "K", "M", "G", "T", "P"};
    uint64_t binary = n, decimal = n;
    unsigned b = 0, d = 0;
    for (; binary && binary % 1024 == 0 && b < 5; b++)
        binary /= 1024;
    for (; decimal && decimal % 1000 == 0 && d < 5; d++)
        decimal /= 1000;
    if (decimal < binary)
        (void)snprintf(buf, room, "%" PRIu64 "%sB", decimal, units[d]);
    else
        (void)snprintf(buf, room, "%" PRIu64 "%s", binary, units[b]);
}

/* ---- [library] ---- */

TEXT(library, name)
{
    return only(value, "._-", 1, 32) ? set_text(&c->library.name, value) : "must be 1 to 32 of A-Z a-z 0-9 . _ -";
}
TEXT(library, state_dir)
{
    return absolute_path(&c->library.state_dir, value);
}
NUMBER(library, drives, 1, 64, "must be a number from 1 to 64")
NUMBER(library, slots, 1, CONFIG_MAX_SLOTS, "must be a number from 1 to 60000")
NUMBER(library, import_export, 0, 250, "must be a number from 0 to 250")
static void show_library_drive_type(const struct vtl_config *c, char *buf, size_t room)
{
    (void)snprintf(buf, room, "LTO-%d", c->library.generation);
}
static const char *set_library_drive_type(struct vtl_config *c, const char *value)
{
    if (strncmp(value, "LTO-", 4) || value[4] < '5' || value[4] > '9' || value[5])
        return "must be LTO-5, LTO-6, LTO-7, LTO-8 or LTO-9";
    c->library.generation = value[4] - '0';
    return NULL;
}
TEXT(library, serial_prefix)
{
    return only(value, "", 1, 7) ? set_text(&c->library.serial_prefix, value) : "must be 1 to 7 of A-Z a-z 0-9";
}

/* ---- [iscsi] ---- */

bool config_is_systemd(const char *value)
{
    return !strncmp(value, CONFIG_SYSTEMD, strlen(CONFIG_SYSTEMD));
}

static const char *secret_file(char **field, const char *value)
{
    if (!config_is_systemd(value))
        return optional_path(field, value);
    const char *name = value + strlen(CONFIG_SYSTEMD);
    return only(name, "._-@", 1, 200) && name[0] != '.'
               ? set_text(field, value)
               : "must be systemd:NAME, where the service's unit has LoadCredential=NAME:FILE";
}

static bool iscsi_name(const char *s)
{
    return (!strncmp(s, "iqn.", 4) || !strncmp(s, "eui.", 4) || !strncmp(s, "naa.", 4)) && only(s, ".:-_", 5, 223);
}

/* Nothing but an address and a port may pass: the text becomes part of tgtd's options. */
TEXT(iscsi, portal)
{
    return host_ok(value, true) ? set_text(&c->iscsi.portal, value)
                                : "must be address:port or [v6-address]:port, such as 127.0.0.1:3260";
}
TEXT(iscsi, target)
{
    bool ok = iscsi_name(value) && !strchr(value, '_');
    return ok ? set_text(&c->iscsi.target, value) : "must be an iSCSI name: iqn.YYYY-MM.reversed.domain:name";
}
TEXT(iscsi, chap_user)
{
    return only(value, "._-:@", 0, 63) ? set_text(&c->iscsi.chap_user, value)
                                       : "must be at most 63 of A-Z a-z 0-9 . _ - : @";
}
TEXT(iscsi, chap_password_file)
{
    return secret_file(&c->iscsi.chap_password_file, value);
}
TEXT(iscsi, mutual_user)
{
    return only(value, "._-:@", 0, 63) ? set_text(&c->iscsi.mutual_user, value)
                                       : "must be at most 63 of A-Z a-z 0-9 . _ - : @";
}
TEXT(iscsi, mutual_password_file)
{
    return secret_file(&c->iscsi.mutual_password_file, value);
}
/* Appends the words of value to those of *field, separated by blanks, if ok accepts each. */
static const char *add_words(char **field, const char *value, bool (*ok)(const char *word), const char *right)
{
    char *copy = strdup(value), *save = NULL;
    size_t n = *field ? strlen(*field) : 0, room = n + strlen(value) + 2;
    char *all = malloc(room); /* fits: the separators in value were at least as long as ours */
    const char *wrong = copy && all ? NULL : "out of memory";
    if (all)
        (void)snprintf(all, room, "%s", *field ? *field : "");
    for (char *w = wrong ? NULL : strtok_r(copy, ", \t", &save); w && !wrong; w = strtok_r(NULL, ", \t", &save)) {
        n += (size_t)snprintf(all + n, room - n, "%s%s", n ? " " : "", w);
        wrong = ok(w) ? NULL : right;
    }
    free(copy);
    if (wrong) {
        free(all);
        return wrong;
    }
    free(*field);
    *field = all;
    return NULL;
}

/* What tgt can match: an address, or a network whose bits after the prefix are zero. */
static bool address_or_network(const char *s)
{
    char text[64];
    unsigned char a[16];
    unsigned bits = 0;
    const char *slash = strchr(s, '/');
    size_t n = slash ? (size_t)(slash - s) : strlen(s);
    if (n >= sizeof(text))
        return false;
    (void)snprintf(text, sizeof(text), "%.*s", (int)n, s);
    bool v6 = strchr(text, ':');
    if (inet_pton(v6 ? AF_INET6 : AF_INET, text, a) != 1)
        return false;
    if (!slash)
        return true;
    unsigned width = v6 ? 128 : 32;
    if (set_number(&bits, slash + 1, 1, width - 1, ""))
        return false;
    for (unsigned i = bits; i < width; i++)
        if (a[i / 8] & 0x80 >> i % 8)
            return false;
    return true;
}

TEXT(iscsi, initiators)
{
    return add_words(&c->iscsi.initiators, value, iscsi_name,
                     "must be initiator names (iqn...., eui...., naa....), separated by blanks or commas");
}
TEXT(iscsi, addresses)
{
    return add_words(&c->iscsi.addresses, value, address_or_network,
                     "must be addresses, or networks such as 10.1.2.0/24 with zeros after the prefix, separated by "
                     "blanks or commas");
}

/* ---- [store] ---- */

#define URL_RULE "must be http://host[:port] or https://host[:port]"
#define ADMIN_URL_RULE "must be http://host[:port] or https://host[:port], without a path, user or password"

/* What [store] and [escrow] have both. */
static const char *set_type(char **field, const char *value)
{
    return !strcmp(value, "dir") || !strcmp(value, "s3") ? set_text(field, value) : "must be dir or s3";
}
TEXT(store, type)
{
    return set_type(&c->store.type, value);
}
TEXT(store, path)
{
    return optional_path(&c->store.path, value);
}
/* What is wrong with what follows the scheme; NULL: nothing. */
static const char *wrong_host(const char *host)
{
    char text[300];
    if (strchr(host, '@'))
        return "has a user or password: those go into the file that credentials_file names";
    size_t n = strlen(host);
    if (n >= sizeof(text))
        return URL_RULE;
    memcpy(text, host, n + 1);
    if (n && text[n - 1] == '/')
        text[n - 1] = '\0';
    if (text[strcspn(text, "/?#")])
        return "has a path: " URL_RULE "; a bucket goes into bucket = ..., and what follows it into prefix = ...";
    return host_ok(text, false) ? NULL : URL_RULE;
}

static const char *set_url(char **field, const char *value)
{
    bool http = !strncasecmp(value, "http://", 7), https = !strncasecmp(value, "https://", 8);
    if (value[0] && !http && !https)
        return URL_RULE;
    const char *wrong = value[0] ? wrong_host(value + (https ? 8 : 7)) : NULL;
    return wrong ? wrong : set_text(field, value);
}
TEXT(store, url)
{
    return set_url(&c->store.url, value);
}
static const char *set_bucket(char **field, const char *value)
{
    bool ok = !value[0] || only(value, ".-", 3, 63);
    for (const char *p = value; *p; p++)
        ok = ok && !isupper((unsigned char)*p);
    return ok ? set_text(field, value) : "must be a bucket name: 3 to 63 of a-z 0-9 . -";
}
TEXT(store, bucket)
{
    return set_bucket(&c->store.bucket, value);
}
static const char *set_prefix(char **field, const char *value)
{
    /* The rules for store keys: leaves room for the rest of a key, and has no "." or ".." between slashes. */
    bool ok = !value[0] || (only(value, "._-/", 1, 200) && objstore_key_ok(value));
    return ok ? set_text(field, value)
              : "must be A-Z a-z 0-9 . _ - and single slashes, with no slash at either end and no . or .. between";
}
TEXT(store, prefix)
{
    return set_prefix(&c->store.prefix, value);
}
static const char *set_region(char **field, const char *value)
{
    return only(value, "-", 1, 40) ? set_text(field, value) : "must be a region such as us-east-1";
}
TEXT(store, region)
{
    return set_region(&c->store.region, value);
}
TEXT(store, credentials_file)
{
    return secret_file(&c->store.credentials_file, value);
}
static const char *set_profile(char **field, const char *value)
{
    return only(value, "._-@+:", 1, 64) ? set_text(field, value) : "must be 1 to 64 of A-Z a-z 0-9 . _ - @ + :";
}
TEXT(store, profile)
{
    return set_profile(&c->store.profile, value);
}
TEXT(store, ca_file)
{
    return optional_path(&c->store.ca_file, value);
}
static const char *set_style(char **field, const char *value)
{
    return !strcmp(value, "path") || !strcmp(value, "virtual") ? set_text(field, value) : "must be path or virtual";
}
TEXT(store, style)
{
    return set_style(&c->store.style, value);
}
TEXT(store, kind)
{
    bool known = !strcmp(value, "auto") || !strcmp(value, "s3") || !strcmp(value, "renterd") || !strcmp(value, "s3d");
    return known ? set_text(&c->store.kind, value) : "must be auto, s3, renterd or s3d";
}
TEXT(store, admin_url)
{
    bool http = !strncasecmp(value, "http://", 7), https = !strncasecmp(value, "https://", 8);
    if (value[0] && !http && !https)
        return ADMIN_URL_RULE;
    return value[0] && wrong_host(value + (https ? 8 : 7)) ? ADMIN_URL_RULE : set_text(&c->store.admin_url, value);
}
TEXT(store, admin_password_file)
{
    return secret_file(&c->store.admin_password_file, value);
}
NUMBER(store, parallel, 1, 64, "must be a number from 1 to 64")
static void show_store_health_warning(const struct vtl_config *c, char *buf, size_t room)
{
    config_show_fraction(c->store.health_warning, buf, room);
}
static const char *set_store_health_warning(struct vtl_config *c, const char *value)
{
    return config_parse_fraction(value, &c->store.health_warning)
               ? NULL
               : "must be a number from 0 to 1 with at most three decimals, such as 0.5";
}
TEXT(store, upload_limit)
{
    const char *wrong = config_parse_rates(value, &c->store.upload);
    return wrong ? wrong : set_text(&c->store.upload_limit, value);
}
TEXT(store, download_limit)
{
    const char *wrong = config_parse_rates(value, &c->store.download);
    return wrong ? wrong : set_text(&c->store.download_limit, value);
}
static const char *set_proxy(char **field, const char *value)
{
    if (strchr(value, '@'))
        return "has a user or password: those go into proxy_user and proxy_password_file";
    bool ok = !value[0] || (!strncasecmp(value, "http://", 7) && host_ok(value + 7, false));
    return ok ? set_text(field, value) : "must be http://host[:port], which is how the proxy is spoken to";
}
TEXT(store, proxy)
{
    return set_proxy(&c->store.proxy, value);
}
static bool host_or_network(const char *s)
{
    return !strcmp(s, "*") || only(s, ".-:/[]", 1, 255);
}
static const char *add_no_proxy(char **field, const char *value)
{
    return add_words(field, value, host_or_network,
                     "must be names, ends of names such as .example.com, addresses or networks, separated by blanks or "
                     "commas");
}
TEXT(store, no_proxy)
{
    return add_no_proxy(&c->store.no_proxy, value);
}
static const char *set_proxy_user(char **field, const char *value)
{
    return only(value, "._-@+\\", 0, 128) ? set_text(field, value) : "must be at most 128 of A-Z a-z 0-9 . _ - @ + \\";
}
TEXT(store, proxy_user)
{
    return set_proxy_user(&c->store.proxy_user, value);
}
TEXT(store, proxy_password_file)
{
    return secret_file(&c->store.proxy_password_file, value);
}

/* ---- [spool] ---- */

const char *config_durability_name(enum durability d)
{
    static const char *const names[] = {"local", "remote", "offsite"};
    return names[d];
}

static void show_spool_durability(const struct vtl_config *c, char *buf, size_t room)
{
    (void)snprintf(buf, room, "%s", config_durability_name(c->spool.durability));
}
static const char *set_spool_durability(struct vtl_config *c, const char *value)
{
    for (int d = DURABILITY_LOCAL; d <= DURABILITY_OFFSITE; d++)
        if (!strcmp(value, config_durability_name((enum durability)d))) {
            c->spool.durability = (enum durability)d;
            return NULL;
        }
    return "must be local, remote or offsite";
}
SIZE(spool, max_dirty, 32 << 20, "must be a size of at least 32M, such as 8G")
SIZE(spool, cache_size, 0, "must be a size, such as 16G")
SIZE(spool, write_buffer, 0, "must be a size up to 1G, such as 32M; 0: none")
SIZE(spool, segment_size, 1 << 20, "must be a size from 1M to 1G, such as 40M")
static void show_spool_idle_seal(const struct vtl_config *c, char *buf, size_t room)
{
    (void)snprintf(buf, room, "%" PRIu64 "%s",
                   c->spool.idle_seal % 1000 ? c->spool.idle_seal : c->spool.idle_seal / 1000,
                   c->spool.idle_seal % 1000 ? "ms" : "s");
}
static const char *set_spool_idle_seal(struct vtl_config *c, const char *value)
{
    uint64_t ms;
    if (!config_parse_time(value, &ms) || ms < 100 || ms > 24 * 3600 * 1000)
        return "must be a time from 100ms to 24h, such as 30s";
    c->spool.idle_seal = ms;
    return NULL;
}

/* ---- [metrics] ---- */

bool config_on_loopback(const char *value)
{
    struct in_addr a;
    char host[64];
    (void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(value, ":"), value);
    bool v4 = !strncmp(value, "127.", 4) && inet_aton(host, &a) && ntohl(a.s_addr) >> 24 == 127;
    return (v4 || !strncmp(value, "[::1]:", 6)) && host_ok(value, true);
}

/* On loopback, as it asks nobody who he is. */
TEXT(metrics, listen)
{
    return !value[0] || config_on_loopback(value) ? set_text(&c->metrics.listen, value)
                                                  : "must be a port on loopback, such as 127.0.0.1:9117 or [::1]:9117";
}

/* ---- [web] ---- */

/* A name may be several addresses. */
static bool is_address(const char *value)
{
    char v4[16] = "";
    struct in_addr a;
    (void)snprintf(v4, sizeof(v4), "%.*s", (int)strcspn(value, ":"), value);
    return host_ok(value, true) && (value[0] == '[' || inet_pton(AF_INET, v4, &a) == 1);
}

TEXT(web, listen)
{
    return !value[0] || is_address(value) ? set_text(&c->web.listen, value)
                                          : "must be address:port or [v6-address]:port, such as 127.0.0.1:8098";
}
TEXT(web, tls_certificate)
{
    return optional_path(&c->web.tls_certificate, value);
}
TEXT(web, tls_key)
{
    return secret_file(&c->web.tls_key, value);
}
TEXT(web, token_file)
{
    return secret_file(&c->web.token_file, value);
}

/* ---- [notify] ---- */

/* n milliseconds as the shortest exact text: "24h". */
static void show_time(uint64_t n, char *buf, size_t room)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t i = 0;
    while (n % units[i].ms)
        i++;
    (void)snprintf(buf, room, "%" PRIu64 "%s", n / units[i].ms, units[i].unit);
}

#define TIME_RIGHT "must be a time from 1m to 365d, such as 24h"
static const char *set_time(uint64_t *field, const char *value)
{
    uint64_t ms;
    if (!config_parse_time(value, &ms) || ms < 60000 || ms > UINT64_C(365) * 86400000)
        return TIME_RIGHT;
    *field = ms;
    return NULL;
}

TEXT(notify, command)
{
    return optional_path(&c->notify.command, value);
}
TEXT(notify, url)
{
    bool ok = !strncasecmp(value, "http://", 7) || !strncasecmp(value, "https://", 8);
    for (const char *p = value; *p; p++)
        ok = ok && *p > ' ' && *p <= '~';
    return !value[0] || ok ? set_text(&c->notify.url, value) : "must be http://... or https://..., without blanks";
}
static void show_notify_repeat(const struct vtl_config *c, char *buf, size_t room)
{
    show_time(c->notify.repeat, buf, room);
}
static const char *set_notify_repeat(struct vtl_config *c, const char *value)
{
    return set_time(&c->notify.repeat, value);
}
static void show_notify_backlog_age(const struct vtl_config *c, char *buf, size_t room)
{
    show_time(c->notify.backlog_age, buf, room);
}
static const char *set_notify_backlog_age(struct vtl_config *c, const char *value)
{
    return set_time(&c->notify.backlog_age, value);
}
SIZE(notify, disk_free, 0, "must be a size, such as 2G; 0: never")

/* ---- [log] ---- */

static const char *const levels[] = {[LOG_LEVEL_ERROR] = "err",
                                     [LOG_LEVEL_WARNING] = "warning",
                                     [LOG_LEVEL_NOTICE] = "notice",
                                     [LOG_LEVEL_INFO] = "info"};
static void show_log_level(const struct vtl_config *c, char *buf, size_t room)
{
    (void)snprintf(buf, room, "%s", levels[c->log.level]);
}
static const char *set_log_level(struct vtl_config *c, const char *value)
{
    for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_INFO; i++)
        if (!strcmp(value, levels[i])) {
            c->log.level = (enum log_level)i;
            return NULL;
        }
    return "must be err, warning, notice or info";
}

/* ---- [escrow] ---- */

TEXT(escrow, type)
{
    return set_type(&c->escrow.type, value);
}
TEXT(escrow, path)
{
    return optional_path(&c->escrow.path, value);
}
TEXT(escrow, url)
{
    return set_url(&c->escrow.url, value);
}
TEXT(escrow, bucket)
{
    return set_bucket(&c->escrow.bucket, value);
}
TEXT(escrow, prefix)
{
    return set_prefix(&c->escrow.prefix, value);
}
TEXT(escrow, region)
{
    return set_region(&c->escrow.region, value);
}
TEXT(escrow, credentials_file)
{
    return secret_file(&c->escrow.credentials_file, value);
}
TEXT(escrow, profile)
{
    return set_profile(&c->escrow.profile, value);
}
TEXT(escrow, ca_file)
{
    return optional_path(&c->escrow.ca_file, value);
}
TEXT(escrow, style)
{
    return set_style(&c->escrow.style, value);
}
TEXT(escrow, proxy)
{
    return set_proxy(&c->escrow.proxy, value);
}
TEXT(escrow, no_proxy)
{
    return add_no_proxy(&c->escrow.no_proxy, value);
}
TEXT(escrow, proxy_user)
{
    return set_proxy_user(&c->escrow.proxy_user, value);
}
TEXT(escrow, proxy_password_file)
{
    return secret_file(&c->escrow.proxy_password_file, value);
}
TEXT(escrow, public_key)
{
    static const char begin[] = "escrow-public:";
    return !value[0] || !strncasecmp(value, begin, strlen(begin))
               ? set_text(&c->escrow.public_key, value)
               : "must begin with \"escrow-public:\", as \"s3vtl escrow key\" prints it";
}
TEXT(escrow, exchange)
{
    return optional_path(&c->escrow.exchange, value);
}
NUMBER(escrow, keep, 1, 1000, "must be a number from 1 to 1000")
static void show_escrow_every(const struct vtl_config *c, char *buf, size_t room)
{
    if (c->escrow.every)
        show_time(c->escrow.every, buf, room);
    else
        (void)snprintf(buf, room, "off");
}
static const char *set_escrow_every(struct vtl_config *c, const char *value)
{
    bool off = !strcmp(value, "off");
    if (off)
        c->escrow.every = 0;
    return off || !set_time(&c->escrow.every, value) ? NULL : "must be off, or a time from 1m to 365d, such as 1h";
}

/* ---- [dedup] ---- */

static const char *set_patterns(char **field, const char *value)
{
    bool off = !strcmp(value, "off");
    return off || only(value, "!*?[]-_. ", 1, CONFIG_MAX_PATTERNS - 1)
               ? set_text(field, value)
               : "must be off, or patterns of barcodes separated by blanks, such as PBS*; * for all cartridges, !PBSX* "
                 "for not these";
}

TEXT(dedup, tapes)
{
    return set_patterns(&c->dedup.tapes, value);
}
TEXT(dedup, cut)
{
    return set_patterns(&c->dedup.cut, value);
}
NUMBER(dedup, sets, 1, 1000, "must be a number from 1 to 1000")
SIZE(dedup, memory, 1, "must be a size from 1M to 4G, such as 64M")

#define KEY(section, name, preset, otherwise, meaning) KEY_(section, name, preset, otherwise, meaning, false)
#define LIST(section, name, preset, otherwise, meaning) KEY_(section, name, preset, otherwise, meaning, true)
#define KEY_(section, name, preset, otherwise, meaning, list)                                                          \
    {                                                                                                                  \
#section, #name, preset, otherwise, meaning, list, set_##section##_##name, show_##section##_##name             \
    }

/* ---- [verify] ---- */

static void show_verify_every(const struct vtl_config *c, char *buf, size_t room)
{
    if (c->verify.every)
        show_time(c->verify.every, buf, room);
    else
        (void)snprintf(buf, room, "off");
}
static const char *set_verify_every(struct vtl_config *c, const char *value)
{
    bool off = !strcmp(value, "off");
    if (off)
        c->verify.every = 0;
    return off || !set_time(&c->verify.every, value) ? NULL : "must be off, or a time from 1m to 365d, such as 30d";
}
TEXT(verify, window)
{
    const char *wrong = config_parse_window(value, &c->verify.when);
    return wrong ? wrong : set_text(&c->verify.window, value);
}
static void show_verify_budget(const struct vtl_config *c, char *buf, size_t room)
{
    if (c->verify.budget)
        show_size(c->verify.budget, buf, room);
    else
        (void)snprintf(buf, room, "off");
}
static const char *set_verify_budget(struct vtl_config *c, const char *value)
{
    bool off = !strcmp(value, "off");
    if (off)
        c->verify.budget = 0;
    return off ? NULL : set_size(&c->verify.budget, value, 1 << 20, "must be off, or a size from 1M, such as 200G");
}

/* ---- [quota] ---- */

static void show_quota_library(const struct vtl_config *c, char *buf, size_t room)
{
    if (c->quota.library)
        show_size(c->quota.library, buf, room);
    else
        (void)snprintf(buf, room, "off");
}
static const char *set_quota_library(struct vtl_config *c, const char *value)
{
    bool off = !strcmp(value, "off");
    if (off)
        c->quota.library = 0;
    return off ? NULL
               : set_size(&c->quota.library, value, CONFIG_MIN_QUOTA, "must be off, or a size from 16M, such as 20T");
}
TEXT(retention, tapes)
{
    struct config_retention all[CONFIG_MAX_RETENTION];
    return config_retention(value, all) >= 0
               ? set_text(&c->retention.tapes, value)
               : "must be patterns of barcodes, with governance or compliance and days for each, separated by blanks, "
                 "such as PBS*:governance:90d YEAR*:compliance:3650d";
}
static void show_retention_object_lock(const struct vtl_config *c, char *buf, size_t room)
{
    (void)snprintf(buf, room, "%s", c->retention.object_lock ? "on" : "off");
}
static const char *set_retention_object_lock(struct vtl_config *c, const char *value)
{
    c->retention.object_lock = !strcmp(value, "on");
    return c->retention.object_lock || !strcmp(value, "off") ? NULL : "must be on or off";
}
TEXT(quota, pools)
{
    struct config_quota all[CONFIG_MAX_QUOTAS];
    return config_quotas(1, value, all) >= 0 ? set_text(&c->quota.pools, value)
                                             : "must be patterns of barcodes and a size from 16M for each, separated "
                                               "by blanks, such as PBS*:15T WEEK*:5T";
}

/* ---- blanks ---- */

TEXT(library, blanks)
{
    struct config_blanks all[CONFIG_MAX_BLANKS];
    return config_blanks(value, all, NULL) >= 0
               ? set_text(&c->library.blanks, value)
               : "must be names that count up and how many of these to keep, separated by blanks, such as "
                 "PBS{001..999}L8:5";
}

/* README's table of them is made from this one ("packaging/manual readme"), as are s3vtl.conf(5) and the example. */
const struct config_key config_keys[] = {
    KEY(library, name, "s3vtl", NULL, "1 to 32 of `A-Z a-z 0-9 . _ -`"),
    KEY(library, state_dir, NULL, NULL, "state (SQLite) and spool, on a fast, reliable disk. At most 88 characters"),
    KEY(library, drives, "2", NULL, "1 to 64"),
    KEY(library, slots, "40", NULL, "1 to 60000"),
    KEY(library, import_export, "4", NULL, "import/export elements, 0 to 250"),
    KEY(library, drive_type, "LTO-8", NULL, "`LTO-5` to `LTO-9`"),
    KEY(library, serial_prefix, NULL, "from `name`",
        "1 to 7 letters and digits; a serial number is the prefix and 3 digits. Must differ between libraries on one "
        "PBS"),
    KEY(library, blanks, "", "none",
        "cartridges that are made by themselves: `PBS{001..999}L8:5` keeps five of these names that hold no more than "
        "a "
        "label; several are separated by blanks (docs/pbs.md)"),
    KEY(iscsi, portal, "127.0.0.1:3260", NULL, "address:port or [v6]:port to listen on"),
    KEY(iscsi, target, NULL, "`iqn.2026-11.s3vtl:<name>`", "the target's name"),
    KEY(iscsi, chap_user, "", "unset", "who may log in; required unless the portal is on loopback"),
    KEY(iscsi, chap_password_file, "", "unset",
        "the password of `chap_user`: 12 to 16 characters. The file has mode 0600 and belongs to the user that serves; "
        "or "
        "`systemd:NAME`"),
    KEY(iscsi, mutual_user, "", "unset", "as whom the target authenticates itself to the initiator"),
    KEY(iscsi, mutual_password_file, "", "unset", "the password of `mutual_user`, likewise"),
    LIST(iscsi, initiators, "", "all",
         "who may log in, by initiator name: separated by blanks or commas, or repeat the key"),
    LIST(iscsi, addresses, "", "all",
         "who may log in, by address or network (`192.0.2.0/24`), in the same form. Not together with `initiators`: "
         "tgt admits whoever is in either list"),
    KEY(store, type, "dir", NULL, "`dir` (a directory) or `s3`"),
    KEY(store, path, "", NULL, "the directory, for `dir`"),
    KEY(store, url, "", NULL, "`http://host[:port]` or `https://host[:port]`, for `s3`"),
    KEY(store, bucket, "", NULL, "must exist"),
    KEY(store, prefix, "", "empty", "key prefix: one library per prefix"),
    KEY(store, region, "us-east-1", NULL, "what requests are signed for; services other than AWS mostly ignore it"),
    KEY(store, credentials_file, "", "unset",
        "two lines, `access_key = ...` and `secret_key = ...`, or a file as AWS's tools have it (`[default]`, "
        "`aws_access_key_id`, `aws_secret_access_key`); mode 0600, belongs to the user that serves. Or `systemd:NAME`, "
        "a "
        "credential of the unit's. Unset: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` in the environment"),
    KEY(store, profile, "default", NULL, "which part of a file of AWS's"),
    KEY(store, ca_file, "", "the system's", "PEM, for `https` with your own certificate"),
    KEY(store, style, "path", NULL, "`path` or `virtual` (bucket in the host name)"),
    KEY(store, kind, "auto", "found out",
        "`s3`, `s3d` or `renterd`: what the store is, and so what of the data it accepted is off-site (docs/sia.md). "
        "With "
        "`s3` all of it"),
    KEY(store, admin_url, "", "unset",
        "`http://host[:port]` of s3d's admin interface (port 8001) or of renterd's API (9980), which tell what of the "
        "data is still on their own disk only. Without it nothing on them is called off-site"),
    KEY(store, admin_password_file, "", "unset",
        "its password, the only line of a file with mode 0600 that belongs to the user that serves; or `systemd:NAME`"),
    KEY(store, health_warning, "0.5", NULL,
        "what renterd calls the health of an object: a cartridge with one below this is told of, in `status` and to "
        "hosts "
        "(docs/sia.md). 0 to 1; `0`: only what cannot be read"),
    KEY(store, parallel, "4", NULL,
        "concurrent segment transfers in each direction, 1 to 64. When the store cannot keep up (500, 503, no answer) "
        "this drops, down to one, and rises again as it recovers; the log says so"),
    KEY(store, upload_limit, "unlimited", NULL,
        "bytes a second that all uploads of objects take together, such as `20M`, at least `128K`; for days and hours "
        "(local "
        "time): `20M mon-fri 08:00-18:00, 50M 22:00-06:00`. The first entry that holds counts; where none does there "
        "is no "
        "limit"),
    KEY(store, download_limit, "unlimited", NULL,
        "the same of what is read from the store. `serve` and a command that reads by itself (`verify`, `library "
        "rebuild`) "
        "have one each"),
    KEY(store, proxy, "", "none",
        "`http://host[:port]`: the HTTP proxy on the way to the store; `https` goes through it by CONNECT. The "
        "environment's "
        "(`http_proxy` ...) is not looked at"),
    LIST(
        store, no_proxy, "", "none",
        "what is reached without the proxy: names, ends of names (`.example.com`), addresses or networks, separated by "
        "blanks or commas"),
    KEY(store, proxy_user, "", "unset", "whom the proxy is told (Basic), if it asks"),
    KEY(store, proxy_password_file, "", "unset",
        "the password of `proxy_user` in its first line; mode 0600, belongs to the user that serves. Or "
        "`systemd:NAME`"),
    KEY(spool, durability, "local", NULL,
        "what a sync waits for: `local` (fsynced below `state_dir`), `remote` (stored and committed) or `offsite` (and "
        "no "
        "more on the store's own disk only)"),
    KEY(spool, max_dirty, "8G", NULL,
        "largest backlog; then WRITE waits for uploads. With `durability = remote` or `offsite` it waits earlier, at "
        "what the store takes in 200 s as measured, so that a sync or a MOVE ends before the host gives up"),
    KEY(spool, cache_size, "16G", NULL, "stored segments kept on the local disk for reading"),
    KEY(spool, segment_size, "40M", NULL, "size of one object: 1M to 1G"),
    KEY(spool, write_buffer, "32M", NULL,
        "acknowledged blocks of one drive that are in memory and not yet in its spool file, up to `1G`; a sync waits "
        "for them; with [dedup] 32M more are held back. `0`: none, so that a killed process loses nothing "
        "acknowledged, and "
        "[dedup] does nothing"),
    KEY(spool, idle_seal, "30s", NULL, "upload after this time without a write, even without a sync"),
    KEY(metrics, listen, "", "unset: off",
        "port on loopback, such as `127.0.0.1:9117`, where Prometheus finds `/metrics` (docs/monitoring.md)"),
    KEY(web, listen, "", "unset: off",
        "address:port, such as `127.0.0.1:8098`, where `s3vtl web` has the console (docs/web.md). Elsewhere than on "
        "loopback with `tls_certificate` and `tls_key`"),
    KEY(web, tls_certificate, "", "unset: no TLS",
        "PEM: the console's certificate, and those between it and its CA. Renewed, it is taken without a restart"),
    KEY(web, tls_key, "", "unset",
        "PEM without a passphrase: the key of `tls_certificate`, in a file with mode 0600 that belongs to the "
        "console's user; or `systemd:NAME`"),
    KEY(web, token_file, "", "unset",
        "what a browser must know: 32 to 128 characters, the only line of a file with mode 0600 that belongs to the "
        "console's user; or `systemd:NAME`. Required with `listen`"),
    KEY(notify, command, "", "unset", "program to run when there is trouble, and when it is over (docs/monitoring.md)"),
    KEY(notify, url, "", "unset",
        "webhook: where to POST the same as JSON. Part of it may be a secret: the file's mode is yours to choose"),
    KEY(notify, repeat, "24h", NULL, "trouble that stays is told again after this time"),
    KEY(notify, backlog_age, "24h", NULL, "something only on this disk for longer is trouble, to `s3vtl report` too"),
    KEY(notify, disk_free, "2G", NULL, "less free on the disk of `state_dir` is trouble; `0`: never"),
    KEY(log, level, "info", NULL,
        "what `serve` logs: `err`, `warning`, `notice` or `info`, each with those before it (docs/monitoring.md)"),
    KEY(escrow, type, "dir", NULL,
        "where copies of the catalogue of s3d or renterd go (docs/sia.md): `dir` (a directory) or `s3` (another S3 "
        "service)"),
    KEY(escrow, path, "", "unset: none", "a directory on another disk or host, such as NFS, for `dir`"),
    KEY(escrow, url, "", "unset: none",
        "for `s3`: this one and those that follow are as in [store], of another provider"),
    KEY(escrow, bucket, "", NULL, "must exist"),
    KEY(escrow, prefix, "", "empty", "key prefix: several libraries may share one"),
    KEY(escrow, region, "us-east-1", NULL, "what requests are signed for"),
    KEY(escrow, credentials_file, "", "unset",
        "the keys of that service, as in [store]. Required: those in the environment are the store's"),
    KEY(escrow, profile, "default", NULL, "which part of a file of AWS's"),
    KEY(escrow, ca_file, "", "the system's", "PEM, for `https` with your own certificate"),
    KEY(escrow, style, "path", NULL, "`path` or `virtual` (bucket in the host name)"),
    KEY(escrow, proxy, "", "none", "the HTTP proxy on the way there; the store's is not looked at"),
    LIST(escrow, no_proxy, "", "none", "what is reached without it"),
    KEY(escrow, proxy_user, "", "unset", "whom the proxy is told (Basic), if it asks"),
    KEY(escrow, proxy_password_file, "", "unset", "its password, as in [store]"),
    KEY(escrow, public_key, "", "unset", "to whom they are encrypted: `s3vtl escrow key` makes the pair of keys"),
    KEY(escrow, exchange, "", "unset",
        "a directory on the store's host that both may use: the store writes its catalogue there, and s3vtl reads and "
        "removes it"),
    KEY(escrow, keep, "24", NULL, "how many of them are kept, 1 to 1000"),
    KEY(escrow, every, "off", NULL,
        "`serve` makes one when cartridges were committed since the last and all is off-site, at most once in this "
        "time, such as `1h`. `off`: only `s3vtl escrow run` does"),
    KEY(dedup, tapes, "off", NULL,
        "`off`, or which cartridges are stored without what others of the library hold already: patterns of barcodes, "
        "separated by blanks, such as `PBS*`; `*` for all, and `!WEEK*` behind it for not these (docs/dedup.md)"),
    KEY(dedup, cut, "off", NULL,
        "the same for what is not PBS's, such as tar's: on which of these it is cut into chunks by its content, which "
        "takes "
        "a core for some 0.7 GB/s. `off`: it is stored as it comes"),
    KEY(dedup, sets, "12", NULL, "how many cartridges may copy from one stored object; then it is stored afresh"),
    KEY(dedup, memory, "64M", NULL, "memory for looking up what is stored already, 1M to 4G"),
    KEY(verify, every, "off", NULL,
        "serve reads each cartridge back from the store once in so long, such as `30d`, by itself (s3vtl-verify(1))"),
    KEY(verify, window, "unlimited", NULL,
        "when, and how fast: `20M 01:00-06:00, sat-sun`, in the form of `upload_limit`; outside of these times not at "
        "all. "
        "`unlimited`: always"),
    KEY(verify, budget, "off", NULL, "how much it reads a day at most, such as `200G`"),
    KEY(quota, library, "off", NULL,
        "how much all cartridges may take in the store; behind it tapes are full (docs/pbs.md). From 16M, such as "
        "`20T`"),
    KEY(quota, pools, "", "none", "the same for the cartridges of a pattern: `PBS*:15T WEEK*:5T`"),
    KEY(retention, tapes, "", "none",
        "cartridges that each write locks for so many days, and how: `PBS*:governance:90d YEAR*:compliance:3650d`; the "
        "first pattern that matches counts (docs/retention.md)"),
    KEY(retention, object_lock, "on", NULL,
        "the store locks a locked cartridge's objects as well, where the bucket has S3 Object Lock "
        "(docs/retention.md#in-the-store); `off`: s3vtl alone keeps the lock"),
};
const size_t config_n_keys = sizeof(config_keys) / sizeof(config_keys[0]);
_Static_assert(sizeof(config_keys) / sizeof(config_keys[0]) <= CONFIG_MAX_KEYS, "CONFIG_MAX_KEYS is too small");

bool config_show(const struct vtl_config *c, size_t i, struct config_shown *out)
{
    if (i >= config_n_keys)
        return false;
    const struct config_key *k = &config_keys[i];
    out->section = k->section;
    out->name = k->name;
    out->given = c->given[i];
    k->show(c, out->value, sizeof(out->value));
    return true;
}

/* Far more than a list of a usable file has; a longer one counts as changed. */
enum { COMPARED = 1 << 20 };

bool config_same(const struct vtl_config *a, const struct vtl_config *b, size_t i)
{
    char *x = calloc(2, COMPARED), *y = x + COMPARED;
    if (!x)
        return false;
    config_keys[i].show(a, x, COMPARED);
    config_keys[i].show(b, y, COMPARED);
    bool same = !strcmp(x, y) && strlen(x) < COMPARED - 1;
    free(x);
    return same;
}

bool config_describe(size_t i, struct config_described *out)
{
    if (i >= config_n_keys)
        return false;
    const struct config_key *k = &config_keys[i];
    *out = (struct config_described){k->section, k->name, k->preset, k->otherwise, k->meaning};
    return true;
}
