/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_secrets.c: how much of a value may be told: the log has other readers than the file. */
#include <string.h>
#include <strings.h>

#include "vtl/config/config_private.h"

size_t config_url_host(const char *url)
{
    const char *p = strstr(url, "://");
    p = p ? p + 3 : url;
    const char *at = strchr(p, '@');
    size_t n = strcspn(p, "/?#");
    if (at && (size_t)(at - p) < n)
        return (size_t)(p - url); /* a user's name, and a password: nothing of it */
    return (size_t)(p - url) + n;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* Of what no webhook can be, nothing: it may be all secret. */
static size_t webhook(const char *value)
{
    return strstr(value, "://") ? config_url_host(value) : 0;
}

static bool is_file_with_secrets(const char *name)
{
    return ends_with(name, "password_file") || !strcmp(name, "credentials_file") || !strcmp(name, "token_file");
}

size_t config_tellable(const char *section, const char *name, const char *value)
{
    static const char public_key[] = "escrow-public:";
    size_t all = strlen(value);
    if (!strcmp(section, "notify") && !strcmp(name, "url"))
        return webhook(value);
    if (!strcmp(section, "notify") && !strcmp(name, "command"))
        return strcspn(value, " \t"); /* what follows would be for a shell */
    if (ends_with(name, "url") || !strcmp(name, "proxy"))
        return strchr(value, '@') ? 0 : all; /* a password may stand before it */
    if (!strcmp(name, "proxy_user"))
        return strcspn(value, ":"); /* and here behind it */
    if (is_file_with_secrets(name)) /* the secret itself, it may be */
        return value[0] == '/' || config_is_systemd(value) ? all : 0;
    if (!strcmp(name, "public_key")) /* the secret one, it may be */
        return strncasecmp(value, public_key, strlen(public_key)) ? 0 : all;
    return all;
}
