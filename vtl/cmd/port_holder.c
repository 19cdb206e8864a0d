/* SPDX-License-Identifier: GPL-2.0-or-later */
/* port_holder.c: who listens on a port of this host: its socket in /proc/net, and the process that has it open. */
#include "vtl/cmd/port_holder.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LISTENING 0x0a /* TCP_LISTEN, as /proc/net/tcp has it */

static bool read_text(const char *path, char *buf, size_t room)
{
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(buf, 1, room - 1, f) : 0;
    buf[n] = '\0';
    if (f)
        fclose(f);
    return n > 0;
}

/* ---- the socket ---- */

struct wanted {
    unsigned port;
    struct in_addr v4; /* 0: any, or the portal's is no address of that kind */
};

/* Would a socket at this address keep the portal from being bound? In doubt yes: something has the port. */
static bool in_the_way(const struct wanted *w, const char *address)
{
    unsigned long a = strlen(address) == 8 ? strtoul(address, NULL, 16) : 0; /* in the order of the wire */
    return !a || !w->v4.s_addr || a == w->v4.s_addr;
}

/* The listening socket in this table; its inode, 0: none. */
static unsigned long find_socket(const char *table, const struct wanted *w, uid_t *user)
{
    FILE *f = fopen(table, "re");
    char line[400], address[64];
    unsigned port, state, uid;
    unsigned long inode, found = 0;
    while (f && !found && fgets(line, sizeof(line), f))
        if (sscanf(line, " %*d: %60[0-9A-F]:%x %*[0-9A-F:] %x %*x:%*x %*x:%*x %*x %u %*d %lu", address, &port, &state,
                   &uid, &inode) == 5 &&
            port == w->port && state == LISTENING && in_the_way(w, address)) {
            found = inode;
            *user = uid;
        }
    if (f)
        fclose(f);
    return found;
}

/* ---- the process ---- */

static bool has_open(const char *pid, unsigned long inode)
{
    char path[300], link[64], want[64];
    (void)snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    (void)snprintf(want, sizeof(want), "socket:[%lu]", inode);
    DIR *d = opendir(path);
    bool found = false;
    for (const struct dirent *e = d ? readdir(d) : NULL; e && !found; e = readdir(d)) {
        (void)snprintf(path, sizeof(path), "/proc/%.20s/fd/%.20s", pid, e->d_name);
        ssize_t n = readlink(path, link, sizeof(link) - 1);
        link[n > 0 ? n : 0] = '\0';
        found = !strcmp(link, want);
    }
    if (d)
        closedir(d);
    return found;
}

static void read_name(const char *pid, char name[32])
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
    (void)read_text(path, name, 32);
    name[strcspn(name, "\n")] = '\0';
}

/* The last part of a cgroup that ends with ".service". */
static void read_unit(const char *pid, char unit[128])
{
    char path[64], text[4096];
    (void)snprintf(path, sizeof(path), "/proc/%.20s/cgroup", pid);
    unit[0] = '\0';
    if (!read_text(path, text, sizeof(text)))
        return;
    char *end = strstr(text, ".service");
    while (end && end[strlen(".service")] != '\n' && end[strlen(".service")] != '\0')
        end = strstr(end + 1, ".service");
    if (!end)
        return;
    end[strlen(".service")] = '\0';
    const char *slash = strrchr(text, '/');
    (void)snprintf(unit, 128, "%.120s", slash ? slash + 1 : "");
}

/* A tgtd that an s3vtl runs: the command line of that, with blanks between the words. */
static void read_parent(const char *pid, struct port_holder *h)
{
    char path[64], text[1024], parent[24], name[32];
    int ppid = 0;
    (void)snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    if (!read_text(path, text, sizeof(text)) || !strrchr(text, ')') ||
        sscanf(strrchr(text, ')') + 1, " %*c %d", &ppid) != 1)
        return;
    h->parent = ppid;
    (void)snprintf(parent, sizeof(parent), "%d", ppid);
    read_name(parent, name);
    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", ppid);
    FILE *f = strcmp(name, "s3vtl") != 0 ? NULL : fopen(path, "re");
    size_t n = f ? fread(h->serves, 1, sizeof(h->serves) - 1, f) : 0;
    if (f)
        fclose(f);
    for (size_t i = 0; i + 1 < n; i++)
        if (!h->serves[i])
            h->serves[i] = ' ';
    h->serves[n] = '\0';
}

static void describe(const char *pid, struct port_holder *h)
{
    h->pid = (pid_t)strtol(pid, NULL, 10);
    read_name(pid, h->name);
    read_unit(pid, h->unit);
    read_parent(pid, h);
}

/* systemd has this link while the unit is active, for everybody to see. */
#define TGT_SERVICE_RUNS "/run/systemd/units/invocation:tgt.service"

/* Which process: by its open file. Where that cannot be seen, and root has the socket, tgt.service may be it. */
static void find_process(unsigned long inode, struct port_holder *h)
{
    struct stat st;
    DIR *d = opendir("/proc");
    for (const struct dirent *e = d ? readdir(d) : NULL; e && !h->pid; e = readdir(d))
        if (isdigit((unsigned char)e->d_name[0]) && has_open(e->d_name, inode))
            describe(e->d_name, h);
    if (d)
        closedir(d);
    h->debian_tgt = !strcmp(h->unit, "tgt.service") || (!h->pid && !h->user && !lstat(TGT_SERVICE_RUNS, &st));
}

void portal_split(const char *portal, char *host, size_t room, char *port, size_t port_room)
{
    const char *colon = strrchr(portal, ':');
    size_t n = (size_t)(colon - portal);
    if (portal[0] == '[') {
        portal++;
        n -= 2;
    }
    (void)snprintf(host, room, "%.*s", (int)n, portal);
    (void)snprintf(port, port_room, "%s", colon + 1);
}

bool port_holder_find(const char *portal, struct port_holder *out)
{
    char host[256], port[16];
    struct wanted w = {.port = 0};
    *out = (struct port_holder){.pid = 0};
    portal_split(portal, host, sizeof(host), port, sizeof(port));
    w.port = (unsigned)strtoul(port, NULL, 10);
    if (inet_pton(AF_INET, host, &w.v4) != 1)
        w.v4.s_addr = 0;
    unsigned long inode = find_socket("/proc/net/tcp", &w, &out->user);
    if (!inode)
        inode = find_socket("/proc/net/tcp6", &w, &out->user);
    if (inode)
        find_process(inode, out);
    return inode != 0;
}

const char *port_holder_text(const struct port_holder *h, char buf[PORT_HOLDER_TEXT])
{
    char user[64];
    const struct passwd *pw = getpwuid(h->user);
    (void)snprintf(user, sizeof(user), "%u", (unsigned)h->user);
    if (pw)
        (void)snprintf(user, sizeof(user), "%s", pw->pw_name);
    if (!h->pid)
        (void)snprintf(buf, PORT_HOLDER_TEXT, "%s of user %s",
                       h->debian_tgt ? "the tgtd of tgt.service, it seems," : "a program", user);
    else if (h->serves[0])
        (void)snprintf(buf, PORT_HOLDER_TEXT, "%s (process %d, of \"%s\")", h->name, (int)h->pid, h->serves);
    else
        (void)snprintf(buf, PORT_HOLDER_TEXT, "%s (process %d, user %s%s%s)", h->name, (int)h->pid, user,
                       h->unit[0] ? ", " : "", h->unit);
    return buf;
}
