/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_config.c: the S3 store's options, each fault told with the option's name. */
#include "s3backend/s3.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_PARALLEL = 64 };

static int no_memory(struct errtext *err)
{
    return errtext_set(err, -ENOMEM, "no memory for the store's options");
}

static bool all_of(const char *s, size_t n, const char *more)
{
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr(more, s[i]))
            return false;
    return true;
}

static bool port_ok(const char *s)
{
    size_t n = strspn(s, "0123456789");
    unsigned long v = strtoul(s, NULL, 10);
    return n > 0 && n <= 5 && s[n] == 0 && v >= 1 && v <= 65535;
}

/* Cuts "host[:port]" at the port; false when it is neither a name, an address nor [v6]. */
static bool split_host(char *host, char **port)
{
    char *end;
    *port = NULL;
    if (host[0] == '[') {
        end = strchr(host, ']');
        if (!end || end == host + 1 || !all_of(host + 1, (size_t)(end - host - 1), ":."))
            return false;
        end++;
    } else {
        end = host + strcspn(host, ":");
        if (end == host || !all_of(host, (size_t)(end - host), ".-"))
            return false;
    }
    if (*end == 0)
        return true;
    if (*end != ':' || !port_ok(end + 1))
        return false;
    *port = end + 1;
    return true;
}

/* What is sent there doesn't leave this host. A name counts only if libcurl itself takes it for the loopback. */
static bool is_loopback(const char *host, const char *port)
{
    char name[INET6_ADDRSTRLEN + 2];
    struct in_addr v4;
    struct in6_addr v6;
    size_t n = port ? (size_t)(port - 1 - host) : strlen(host);
    if (n >= sizeof(name))
        return false;
    memcpy(name, host, n);
    name[n] = 0;
    if (name[0] == '[') {
        name[n - 1] = 0;
        return inet_pton(AF_INET6, name + 1, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    }
    return !strcmp(name, "localhost") || (inet_pton(AF_INET, name, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

static int set_url(struct s3_store *s, const char *url, struct errtext *err)
{
    if (!url || !*url)
        return errtext_set(err, -EINVAL, "store option url: missing, must be http(s)://host[:port]");
    if (strchr(url, '@'))
        return errtext_set(err, -EINVAL, "store option url: has a user or password; those go into credentials_file");
    bool http = !strncasecmp(url, "http://", 7);
    s->tls = !strncasecmp(url, "https://", 8);
    s->host = strdup(http || s->tls ? url + (s->tls ? 8 : 7) : "");
    if (!s->host)
        return no_memory(err);
    size_t n = strlen(s->host);
    if (n && s->host[n - 1] == '/')
        s->host[n - 1] = 0;
    char *port;
    if (!split_host(s->host, &port))
        return errtext_set(err, -EINVAL, "store option url: \"%.200s\" must be http(s)://host[:port] without a path",
                           url);
    for (char *c = s->host; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    s->loopback = is_loopback(s->host, port);
    /* The Host header, which is signed, has no port that is the scheme's own. */
    if (port && strtoul(port, NULL, 10) == (s->tls ? 443 : 80))
        port[-1] = 0;
    return 0;
}

static int set_bucket(struct s3_store *s, const char *bucket, struct errtext *err)
{
    if (!bucket || !*bucket)
        return errtext_set(err, -EINVAL, "store option bucket: missing");
    size_t n = strlen(bucket);
    if (n < 3 || n > 63 || !all_of(bucket, n, ".-_") || !isalnum((unsigned char)bucket[0]))
        return errtext_set(err, -EINVAL, "store option bucket: \"%.100s\" must be 3-63 of a-z 0-9 . -", bucket);
    s->bucket = strdup(bucket);
    return s->bucket ? 0 : no_memory(err);
}

static int set_style(struct s3_store *s, const char *style, struct errtext *err)
{
    if (!style || !*style || !strcmp(style, "path"))
        return 0;
    if (strcmp(style, "virtual") != 0)
        return errtext_set(err, -EINVAL, "store option style: \"%.100s\" must be path or virtual", style);
    if (s->host[0] == '[' || !strpbrk(s->host, "abcdefghijklmnopqrstuvwxyz"))
        return errtext_set(err, -EINVAL, "store option style: virtual needs a host name in url, not the address %s",
                           s->host);
    s->virtual_style = true;
    s->loopback = false; /* BUCKET.HOST is another name */
    return 0;
}

static int set_region(struct s3_store *s, const char *region, struct errtext *err)
{
    s->region = strdup(region && *region ? region : "us-east-1");
    if (!s->region)
        return no_memory(err);
    if (!all_of(s->region, strlen(s->region), "-_."))
        return errtext_set(err, -EINVAL, "store option region: \"%.100s\" must be a name like us-east-1", region);
    return 0;
}

static int set_ca_file(struct s3_store *s, const char *file, struct errtext *err)
{
    if (!file || !*file)
        return 0;
    if (access(file, R_OK))
        return errtext_set(err, -EINVAL, "store option ca_file: can't read %s: %s", file, strerror(errno));
    s->ca_file = strdup(file);
    return s->ca_file ? 0 : no_memory(err);
}

static int set_prefix(struct s3_store *s, const char *prefix, struct errtext *err)
{
    if (asprintf(&s->prefix, "%s%s", prefix ? prefix : "", prefix && *prefix ? "/" : "") < 0) {
        s->prefix = NULL;
        return no_memory(err);
    }
    return 0;
}

int s3_configure(struct s3_store *s, const struct objstore_config *cfg, struct errtext *err)
{
    if (cfg->parallel < 1 || cfg->parallel > MAX_PARALLEL)
        return errtext_set(err, -EINVAL, "store option parallel: %u must be 1 to %d", cfg->parallel, MAX_PARALLEL);
    int rc = set_url(s, cfg->url, err);
    if (rc == 0)
        rc = set_bucket(s, cfg->bucket, err);
    if (rc == 0)
        rc = set_style(s, cfg->style, err);
    if (rc == 0)
        rc = set_region(s, cfg->region, err);
    if (rc == 0)
        rc = set_prefix(s, cfg->prefix, err);
    if (rc == 0)
        rc = set_ca_file(s, cfg->ca_file, err);
    if (rc == 0)
        rc = s3_admin_configure(&s->admin, cfg, err);
    if (rc == 0)
        rc = s3_proxy_read(&s->proxy, cfg, err);
    return rc ? rc : s3_keys_read(&s->keys, cfg, err);
}
