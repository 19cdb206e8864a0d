/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_store.c: what s3vtl doctor looks at on the way to the store and in it: name, TLS, clock, keys, bucket, neighbours. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "vtl/library/library.h"
#include "vtl/cmd/doctor_step.h"

#define CLOCK_WRONG_S 60 /* stores refuse from 5 or 15 minutes on; a clock that is kept is off by far less */
#define ADMIN_PORTS                                                                                                    \
    "s3d's S3 port is 8000 (8001: its admin interface), renterd's 8080 (9980: its API and web interface)"

#define PROXY_MEND                                                                                                     \
    "is [store] proxy the proxy's address and port, and does it let this host through? proxy_user and "                \
    "proxy_password_file, if it asks; no_proxy for a store that needs none"

static bool is_s3(const struct vtl_config *cfg)
{
    return !strcmp(cfg->store.type, "s3");
}

static const char *host_of(const struct vtl_config *cfg)
{
    return strstr(cfg->store.url, "://") + 3;
}

static bool is_tls(const struct vtl_config *cfg)
{
    return !strncasecmp(cfg->store.url, "https", 5);
}

static void skip(struct doctor *d, const char *why)
{
    doctor_say(d, FINDING_SKIPPED, "store", NULL, "keys, bucket, neighbours, PUT, GET, range, LIST, DELETE, rate: %s",
               why);
}

/* ---- the name ---- */

/* On the heap: a resolver that waits for a name server cannot be told to end. */
struct lookup {
    char name[300];
    char addresses[400];
    int bad; /* of getaddrinfo */
};

static int resolve(void *arg)
{
    struct lookup *l = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    char one[INET6_ADDRSTRLEN];
    l->bad = getaddrinfo(l->name, NULL, &hints, &list);
    if (l->bad)
        return -EIO;
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        size_t n = strlen(l->addresses);
        if (!getnameinfo(a->ai_addr, a->ai_addrlen, one, sizeof(one), NULL, 0, NI_NUMERICHOST))
            (void)snprintf(l->addresses + n, sizeof(l->addresses) - n, "%s%s", n ? ", " : "", one);
    }
    freeaddrinfo(list);
    return 0;
}

static bool is_address(const char *host)
{
    char name[INET_ADDRSTRLEN + 1];
    struct in_addr v4;
    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(host, ":/"), host);
    return host[0] == '[' || inet_pton(AF_INET, name, &v4) == 1;
}

/* libcurl takes these for this host by itself. */
static bool is_localhost(const char *name)
{
    size_t n = strlen(name), m = strlen(".localhost");
    return n > m && !strcasecmp(name + n - m, ".localhost");
}

static bool look_at_name(struct doctor *d)
{
    const struct vtl_config *cfg = d->cfg;
    struct lookup *l = calloc(1, sizeof(*l));
    bool virtual_style = !strcmp(cfg->store.style, "virtual");
    const char *host = host_of(cfg);
    if (!l)
        return true;
    (void)snprintf(l->name, sizeof(l->name), "%s%s%.*s", virtual_style ? cfg->store.bucket : "",
                   virtual_style ? "." : "", (int)strcspn(host, ":/"), host);
    if (is_address(host) || is_localhost(l->name)) {
        free(l);
        return true;
    }
    int rc = doctor_step(d, "host", resolve, l);
    bool proxied = cfg->store.proxy[0];
    if (!rc)
        doctor_say(d, FINDING_GOOD, "host", NULL, "%s is %s", l->name, l->addresses);
    else if (rc != -EINTR && proxied)
        doctor_say(d, FINDING_NOTE, "host", NULL, "%s has no address here; the proxy may know it", l->name);
    else if (rc != -EINTR)
        doctor_say(d, FINDING_WRONG, "host", "correct the host in [store] url, or /etc/resolv.conf", "%s: %s", l->name,
                   rc == -ETIMEDOUT ? "no name server answers" : gai_strerror(l->bad));
    if (!d->left)
        free(l);
    return !rc || (proxied && rc != -EINTR);
}

/* ---- who answers ---- */

struct exam {
    struct doctor *d;
    struct objstore *store;
    struct obj_peer peer;
    struct errtext err;
    struct obj_offsite offsite;
    json_t *around;
};

static struct obj_call once(struct exam *e)
{
    return (struct obj_call){.cancel = &e->d->cancel, .max_tries = 1};
}

static int look(void *arg)
{
    struct exam *e = arg;
    const struct obj_call c = once(e);
    return objstore_look(e->store, &e->peer, &c, &e->err);
}

static int ignore(void *arg, const struct obj_entry *entry)
{
    (void)arg;
    (void)entry;
    return 0;
}

/* A web server may say yes to a HEAD of whatever: where one answers, a list has to be one. */
static int check(void *arg)
{
    struct exam *e = arg;
    const struct obj_call c = once(e);
    int rc = e->store->ops->check(e->store, &c, &e->err);
    if (!rc && e->peer.kind != OBJ_PEER_SERVICE)
        rc = e->store->ops->list(e->store, "", NULL, false, ignore, NULL, &c, &e->err);
    return rc;
}

static void nobody_answers(struct exam *e, int rc)
{
    static const char *const mends[] = {
        [OBJ_STAGE_NAME] = "correct the host in [store] url, or /etc/resolv.conf",
        [OBJ_STAGE_CONNECT] =
            "is the store running, is [store] url its address and port, does a firewall let it through?",
        [OBJ_STAGE_TLS] =
            "[store] ca_file = the certificate of the store's CA (PEM), or url with the name that it is for",
        [OBJ_STAGE_ANSWER] = "see the store's log: it takes connections, and does not answer as HTTP does",
    };
    if (rc != -ETIMEDOUT && e->peer.stage == OBJ_STAGE_PROXY)
        doctor_say(e->d, FINDING_WRONG, "proxy", PROXY_MEND, "%s", e->err.text);
    else if (rc == -ETIMEDOUT)
        doctor_say(e->d, FINDING_WRONG, "answer", mends[OBJ_STAGE_CONNECT], "%s: no answer in %d s",
                   e->d->cfg->store.url, DOCTOR_LIMIT_MS / 1000);
    else
        doctor_say(e->d, FINDING_WRONG, e->peer.stage == OBJ_STAGE_TLS ? "tls" : "answer", mends[e->peer.stage], "%s",
                   e->err.text);
}

static void say_clock(struct doctor *d, const struct obj_peer *p)
{
    long long off = p->ahead_s < 0 ? -(long long)p->ahead_s : (long long)p->ahead_s;
    if (!p->has_clock)
        doctor_say(d, FINDING_NOTE, "clock", NULL, "the store does not tell its time");
    else if (off >= CLOCK_WRONG_S)
        doctor_say(d, FINDING_WRONG, "clock", "keep it by NTP: timedatectl set-ntp true",
                   "this host's clock is %lld s %s the store's; stores refuse requests from 300 or 900 s on", off,
                   p->ahead_s < 0 ? "behind" : "ahead of");
    else
        doctor_say(d, FINDING_GOOD, "clock", NULL, "within %lld s of the store's", off < 1 ? 1 : off);
}

/* The port of the address that is known to be no S3 port of Sia's services. */
static const char *known_port(const char *host)
{
    const char *colon = strrchr(host, ':');
    return !colon                    ? ""
           : !strcmp(colon, ":8001") ? " (8001 is s3d's admin port)"
           : !strcmp(colon, ":9980") ? " (9980 is renterd's API)"
                                     : "";
}

/* False: what answers is no S3 service, or by the other scheme. */
static bool say_who(struct exam *e, bool keys_good)
{
    struct doctor *d = e->d;
    const char *url = d->cfg->store.url, *host = host_of(d->cfg);
    char mend[400];
    switch (keys_good ? OBJ_PEER_SERVICE : e->peer.kind) {
    case OBJ_PEER_TLS:
        (void)snprintf(mend, sizeof(mend), "[store] url = https://%.200s", host);
        doctor_say(d, FINDING_WRONG, "tls", mend, "%s: the port speaks TLS, and the URL says http", url);
        return false;
    case OBJ_PEER_PLAIN:
        (void)snprintf(mend, sizeof(mend), "[store] url = http://%.200s, or the port of its TLS", host);
        doctor_say(d, FINDING_WRONG, "tls", mend, "%s: the port speaks HTTP without TLS, and the URL says https", url);
        return false;
    case OBJ_PEER_PASSWORD:
        doctor_say(d, FINDING_WRONG, "answer", "[store] url with the port of the S3 service: " ADMIN_PORTS,
                   "%s asks for a user and a password (%s%s%s), as an admin interface does and no S3 service%s", url,
                   e->peer.realm[0] ? "realm \"" : "status 401", e->peer.realm, e->peer.realm[0] ? "\"" : "",
                   known_port(host));
        return false;
    case OBJ_PEER_PAGE:
        doctor_say(d, FINDING_WRONG, "answer", "[store] url with the port of the S3 service: " ADMIN_PORTS,
                   "%s answers with a web page (status %ld), as no S3 service does%s", url, e->peer.status,
                   known_port(host));
        return false;
    default:
        doctor_say(d, FINDING_GOOD, "answer", NULL, "%s answers", url);
        return true;
    }
}

static void say_tls(struct doctor *d)
{
    const char *host = host_of(d->cfg);
    bool here = !strncmp(host, "127.", 4) || !strncmp(host, "localhost", 9) || !strncmp(host, "[::1]", 5);
    if (is_tls(d->cfg))
        doctor_say(d, FINDING_GOOD, "tls", NULL, "the certificate is valid for this name");
    else if (!here)
        doctor_say(d, FINDING_NOTE, "tls", NULL,
                   "none, and %s is another host: what is stored can be read on the way (not changed: it is signed)",
                   host);
}

/* What it refuses was told before. */
static void say_proxy(struct doctor *d)
{
    const struct vtl_config *cfg = d->cfg;
    bool user = cfg->store.proxy_user[0], except = cfg->store.no_proxy[0];
    if (cfg->store.proxy[0])
        doctor_say(d, FINDING_GOOD, "proxy", NULL, "the store answers through %s%s%s%s%s", cfg->store.proxy,
                   user ? ", as " : "", cfg->store.proxy_user,
                   except ? "; or without it, if one of these is the host: " : "", cfg->store.no_proxy);
}

/* ---- keys and bucket ---- */

static const char *keys_place(const struct vtl_config *cfg)
{
    return cfg->store.credentials_path[0] ? cfg->store.credentials_path : "the environment";
}

static void keys_are_wrong(struct exam *e, int rc)
{
    const struct vtl_config *cfg = e->d->cfg;
    const char *host = host_of(cfg);
    size_t n = strlen(cfg->store.bucket);
    bool bucket_in_host = !is_address(host) && !strncasecmp(host, cfg->store.bucket, n) && host[n] == '.' &&
                          strcmp(cfg->store.style, "virtual");
    char mend[500];
    if (bucket_in_host)
        (void)snprintf(mend, sizeof(mend),
                       "the URL seems to have the bucket in its host: [store] url = %s://%.200s, and style = virtual",
                       is_tls(cfg) ? "https" : "http", host + n + 1);
    else if (rc == -ENOENT)
        (void)snprintf(mend, sizeof(mend), "create the bucket, or correct [store] bucket");
    else if (rc == -EACCES)
        (void)snprintf(
            mend, sizeof(mend),
            "put the store's access key and secret into %.200s, and let that key list the bucket below the prefix",
            keys_place(cfg));
    else
        (void)snprintf(mend, sizeof(mend), "is [store] url that of the S3 service? " ADMIN_PORTS "; else see its log");
    if (rc == -ETIMEDOUT)
        doctor_say(e->d, FINDING_WRONG, "bucket", mend, "no answer in %d s", DOCTOR_LIMIT_MS / 1000);
    else
        doctor_say(e->d, FINDING_WRONG, rc == -EACCES ? "keys" : "bucket", mend, "%s", e->err.text);
}

/* The way to an S3 service, up to its bucket. */
static bool look_at_service(struct exam *e)
{
    struct doctor *d = e->d;
    if (!look_at_name(d))
        return false;
    int rc = doctor_step(d, "answer", look, e);
    if (rc) {
        if (rc != -EINTR)
            nobody_answers(e, rc);
        return false;
    }
    /* What looks like a web page may be an S3 service behind one: only the keys tell. */
    bool other_scheme = e->peer.kind == OBJ_PEER_TLS || e->peer.kind == OBJ_PEER_PLAIN;
    rc = other_scheme ? -EIO : doctor_step(d, "keys", check, e);
    if (rc == -EINTR || !say_who(e, !rc))
        return false;
    say_proxy(d);
    say_tls(d);
    say_clock(d, &e->peer);
    if (rc) {
        keys_are_wrong(e, rc);
        return false;
    }
    doctor_say(d, FINDING_GOOD, "keys", NULL, "the store takes those of %s", keys_place(d->cfg));
    doctor_say(d, FINDING_GOOD, "bucket", NULL, "%s", d->cfg->store.bucket);
    return true;
}

/* ---- other libraries ---- */

static const char *text(const json_t *j, const char *key)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : "";
}

static int look_around(void *arg)
{
    struct exam *e = arg;
    const struct obj_call c = once(e);
    e->around = library_look_around(e->d->cfg, &c, &e->err);
    return e->around ? 0 : -EIO;
}

static bool is_given(const struct vtl_config *cfg, const char *section, const char *name)
{
    struct config_shown k;
    for (size_t i = 0; config_show(cfg, i, &k); i++)
        if (!strcmp(k.section, section) && !strcmp(k.name, name))
            return k.given;
    return false;
}

static void say_prefix(struct doctor *d, const json_t *around)
{
    const char *state = text(around, "state"), *prefix = d->cfg->store.prefix;
    const json_t *here = json_object_get(around, "here");
    if (json_is_object(here) && state[0] && strcmp(state, text(here, "library")) != 0)
        doctor_say(d, FINDING_WRONG, "prefix", "[library] state_dir and [store] prefix of one library",
                   "\"%s\" is of library \"%s\" (%s), and %s is of another (%s)", prefix, text(here, "name"),
                   text(here, "library"), d->cfg->library.state_dir, state);
    else if (json_is_object(here) && !state[0])
        doctor_say(d, FINDING_NOTE, "prefix", NULL,
                   "\"%s\" is of library \"%s\": \"library rebuild\" brings it back here, \"library init\" refuses",
                   prefix, text(here, "name"));
    else if (!json_is_object(here) && state[0])
        doctor_say(d, FINDING_WRONG, "prefix", "[store] url, bucket and prefix of where the library was made",
                   "\"%s\" holds no library, and %s has one", prefix, d->cfg->library.state_dir);
    else
        doctor_say(d, FINDING_GOOD, "prefix", NULL, "\"%s\" is %s", prefix, state[0] ? "this library's" : "free");
}

static bool say_neighbour(struct doctor *d, const json_t *other, const char *own_id)
{
    const char *place = text(other, "place");
    bool same_name = !strcmp(text(other, "name"), d->cfg->library.name) && strcmp(text(other, "library"), own_id) != 0;
    if (strcmp(place, "beside") != 0)
        doctor_say(d, FINDING_WRONG, "neighbours", "a prefix for each library that is not within another's",
                   "prefix \"%s\", %s this one's, is of library \"%s\": what one deletes may be the other's",
                   text(other, "prefix"), place, text(other, "name"));
    if (same_name && !is_given(d->cfg, "library", "serial_prefix"))
        doctor_say(
            d, FINDING_WRONG, "serials",
            "[library] name = one of its own, before a backup server knows it; or serial_prefix",
            "the library at prefix \"%s\" is called \"%s\" too, so its serial numbers (%s...) may be the same: no "
            "backup server can tell the two apart",
            text(other, "prefix"), d->cfg->library.name, d->cfg->library.serial_prefix);
    return strcmp(place, "beside") != 0 || same_name;
}

static void look_at_libraries(struct exam *e)
{
    struct doctor *d = e->d;
    bool any = false;
    size_t i;
    json_t *other;
    int rc = doctor_step(d, "neighbours", look_around, e);
    if (rc == -EINTR)
        return;
    if (!e->around) {
        doctor_say(d, FINDING_WRONG, "prefix", "see what it says", "%s",
                   rc == -ETIMEDOUT ? "no answer in time" : e->err.text);
        return;
    }
    say_prefix(d, e->around);
    const char *state = text(e->around, "state");
    json_array_foreach(json_object_get(e->around, "others"), i, other) any = say_neighbour(d, other, state) || any;
    if (!json_is_true(json_object_get(e->around, "complete")))
        doctor_say(d, FINDING_NOTE, "neighbours", NULL,
                   "not all prefixes of the store could be looked at: the key may not list them, or they are many");
    else if (!any)
        doctor_say(d, FINDING_GOOD, "neighbours", NULL, "no library above or below this prefix, and none of this name");
    if (!is_given(d->cfg, "library", "name"))
        doctor_say(d, FINDING_NOTE, "serials", NULL,
                   "[library] name is the default, \"%s\": a second library needs another, for its serial numbers",
                   d->cfg->library.name);
    json_decref(e->around);
}

/* ---- the whole ---- */

/* Only a directory that is there is opened: opening would make it. */
static bool directory_is_there(struct doctor *d)
{
    const struct vtl_config *cfg = d->cfg;
    char path[4096];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s%s%s", cfg->store.path, cfg->store.prefix[0] ? "/" : "", cfg->store.prefix);
    if (!stat(path, &st) && S_ISDIR(st.st_mode))
        return true;
    doctor_say(d, FINDING_NOTE, "store", NULL, "%s is not there yet: \"s3vtl library init\" makes it", path);
    return false;
}

/* ---- what is off-site ---- */

static int ask_offsite(void *arg)
{
    struct exam *e = arg;
    const struct obj_call c = once(e);
    return objstore_offsite(e->store, &e->offsite, &c, &e->err);
}

static void admin_is_wrong(struct exam *e, int rc)
{
    const struct vtl_config *cfg = e->d->cfg;
    char mend[400];
    if (rc == -EACCES)
        (void)snprintf(mend, sizeof(mend), "put the password of %.150s into %.150s", cfg->store.admin_url,
                       cfg->store.admin_password_path);
    else
        (void)snprintf(
            mend, sizeof(mend),
            "is [store] admin_url that of renterd's API (port 9980) or of s3d's admin interface (8001), and does "
            "the service run?");
    if (rc == -ETIMEDOUT)
        doctor_say(e->d, FINDING_WRONG, "off-site", mend, "%s: no answer in %d s", cfg->store.admin_url,
                   DOCTOR_LIMIT_MS / 1000);
    else
        doctor_say(e->d, FINDING_WRONG, "off-site", mend, "%s", e->err.text);
}

/* Where it cannot be known, a note of doctor_objects says what to do. */
static void look_at_offsite(struct exam *e)
{
    struct obj_facts f;
    objstore_facts(e->store, &f);
    if (!f.tells_offsite)
        return;
    int rc = doctor_step(e->d, "off-site", ask_offsite, e);
    if (rc == -EINTR)
        return;
    objstore_facts(e->store, &f);
    const char *name = obj_service_name(f.service);
    if (rc)
        admin_is_wrong(e, rc);
    else if (e->offsite.why[0])
        doctor_say(e->d, FINDING_NOTE, "off-site", NULL, "the store is %s, and tells: %s", name, e->offsite.why);
    else
        doctor_say(e->d, FINDING_GOOD, "off-site", NULL, "the store is %s, and has nothing on its own disk only", name);
}

/* No S3 service tells its slab. */
static void say_segment_size(struct doctor *d)
{
    unsigned long long m = d->cfg->spool.segment_size >> 20;
    if (d->cfg->spool.segment_size % (40u << 20) == 0)
        doctor_say(
            d, FINDING_GOOD, "slab", NULL,
            "segment_size fills the slabs of renterd and s3d at 10-of-30 (40M; else minimum shards x 4M: not asked)");
    else
        doctor_say(
            d, FINDING_NOTE, "slab", NULL,
            "segment_size, about %lluM, is no multiple of 40M, the slab of renterd and s3d at 10-of-30 (else "
            "minimum shards x 4M): on Sia the rest of each object wastes room or waits; elsewhere any size will do",
            m);
}

void doctor_store(struct doctor *d)
{
    struct exam *e = calloc(1, sizeof(*e));
    struct objstore_config oc;
    char prefix[OBJ_MAX_PREFIX + 1];
    config_store(d->cfg, &oc);
    /* So the probes of the store's own are below it, too. */
    (void)snprintf(prefix, sizeof(prefix), "%s%sdoctor", oc.prefix, oc.prefix[0] ? "/" : "");
    if (is_s3(d->cfg))
        oc.prefix = prefix;
    if (!e || (!is_s3(d->cfg) && !directory_is_there(d))) {
        free(e);
        return;
    }
    e->d = d;
    if (objstore_open(&oc, &e->store, &e->err)) {
        doctor_say(d, FINDING_WRONG, "store", "correct what it names", "%s", e->err.text);
    } else if (is_s3(d->cfg) && !look_at_service(e)) {
        if (!d->interrupted)
            skip(d, "not looked at");
    } else {
        look_at_libraries(e);
        if (is_s3(d->cfg) && !d->interrupted && !d->left)
            look_at_offsite(e); /* before what doctor itself puts */
        if (!d->interrupted)
            doctor_objects(d, e->store);
        if (is_s3(d->cfg))
            say_segment_size(d);
    }
    if (d->left)
        return; /* it still uses them */
    if (e->store)
        e->store->ops->close(e->store);
    free(e);
}
