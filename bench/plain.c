/* SPDX-License-Identifier: GPL-2.0-or-later */
/* plain.c: as many threads as told put or get whole objects with libcurl, and do nothing else: what the store can do.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "s3backend/sigv4.h"

static const char usage[] =
    "usage: plain put|get URL BUCKET CREDENTIALS PARALLEL SIZE [TRACE] <KEYS\n"
    "put: an object of SIZE bytes of noise for each line of KEYS. get: reads each, SIZE is ignored.\n"
    "Prints \"MB/S BYTES\". TRACE: a file for lines \"BEGIN END BYTES\", one an object.\n";

static struct {
    const char *url, *bucket, *host;
    bool put;
    char access[130], secret[140]; /* as it is signed with */
    uint8_t *noise;
    size_t size;
    char **keys;
    size_t n_keys;
    atomic_size_t next;
    _Atomic uint64_t bytes;
    pthread_mutex_t lock; /* trace */
    FILE *trace;
} p = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "plain: %s: %s\n", what, why);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- one object ---- */

struct body {
    size_t at;
    uint64_t received;
    uint64_t mark; /* in the first 8 bytes sent: no two objects are the same */
};

static size_t send_body(char *to, size_t size, size_t n, void *arg)
{
    struct body *b = arg;
    size_t len = size * n < p.size - b->at ? size * n : p.size - b->at;
    memcpy(to, p.noise + b->at, len);
    if (!b->at && len >= sizeof(b->mark))
        memcpy(to, &b->mark, sizeof(b->mark));
    b->at += len;
    return len;
}

static size_t take_body(char *from, size_t size, size_t n, void *arg)
{
    struct body *b = arg;
    (void)from;
    b->received += size * n;
    return size * n;
}

static struct curl_slist *add(struct curl_slist *l, const char *name, const char *value)
{
    char line[1024];
    (void)snprintf(line, sizeof(line), "%s: %s", name, value);
    l = curl_slist_append(l, line);
    return l ? l : (fail("memory", "not enough"), NULL);
}

/* The body is not hashed: a plain client need not, and no other is faster. */
static struct curl_slist *sign(const char *path)
{
    char date[SIGV4_DATE_SIZE];
    sigv4_date(time(NULL), date);
    const char *hash = p.put ? SIGV4_UNSIGNED_PAYLOAD : SIGV4_EMPTY_SHA256;
    const struct sigv4_pair headers[] = {{"host", p.host}, {"x-amz-content-sha256", hash}, {"x-amz-date", date}};
    const struct sigv4_keys keys = {p.access, p.secret, "us-east-1", "s3"};
    const struct sigv4_request q = {
        .method = p.put ? "PUT" : "GET", .path = path, .headers = headers, .n_headers = 3, .payload_hash = hash};
    struct strbuf auth = {0};
    if (sigv4_authorization(&auth, &keys, &q, date))
        fail(path, "cannot be signed");
    struct curl_slist *l = add(NULL, "x-amz-content-sha256", hash);
    l = add(l, "x-amz-date", date);
    l = add(l, "Authorization", auth.data);
    l = add(l, "Expect", "");
    strbuf_free(&auth);
    return l;
}

static void transfer(CURL *c, size_t i)
{
    char path[900], url[1200], why[CURL_ERROR_SIZE] = "";
    struct body b = {.mark = i + 1};
    long status = 0;
    (void)snprintf(path, sizeof(path), "/%s/%s", p.bucket, p.keys[i]);
    (void)snprintf(url, sizeof(url), "%s%s", p.url, path);
    struct curl_slist *headers = sign(path);
    double began = now();
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &b);
    if (p.put) {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)p.size);
        curl_easy_setopt(c, CURLOPT_READFUNCTION, send_body);
        curl_easy_setopt(c, CURLOPT_READDATA, &b);
    }
    if (curl_easy_perform(c) != CURLE_OK)
        fail(url, why);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        fail(url, status == 403 ? "403: refused" : "the answer is not 200");
    curl_slist_free_all(headers);
    uint64_t bytes = p.put ? p.size : b.received;
    atomic_fetch_add(&p.bytes, bytes);
    if (!p.trace)
        return;
    pthread_mutex_lock(&p.lock);
    fprintf(p.trace, "%.6f %.6f %llu\n", began, now(), (unsigned long long)bytes);
    pthread_mutex_unlock(&p.lock);
}

static void *work(void *arg)
{
    (void)arg;
    CURL *c = curl_easy_init(); /* keeps its connection */
    if (!c)
        fail("memory", "not enough");
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 512L << 10);
    for (size_t i; (i = atomic_fetch_add(&p.next, 1)) < p.n_keys;)
        transfer(c, i);
    curl_easy_cleanup(c);
    return NULL;
}

/* ---- start ---- */

static void read_credentials(const char *file)
{
    char secret[130];
    FILE *f = fopen(file, "r");
    if (!f || fscanf(f, "access_key = %128s secret_key = %128s", p.access, secret) != 2)
        fail(file, f ? "no credentials" : strerror(errno));
    fclose(f);
    (void)snprintf(p.secret, sizeof(p.secret), "%s%s", SIGV4_BEFORE_SECRET, secret);
}

static void read_keys(void)
{
    char *line = NULL;
    size_t room = 0;
    for (ssize_t n; (n = getline(&line, &room, stdin)) > 0; line = NULL, room = 0) {
        line[strcspn(line, "\n")] = '\0';
        p.keys = realloc(p.keys, (p.n_keys + 1) * sizeof(*p.keys));
        if (!p.keys)
            fail("memory", "not enough");
        p.keys[p.n_keys++] = line;
    }
    free(line);
    if (!p.n_keys)
        fail("KEYS", "none");
}

static void make_noise(void)
{
    uint64_t x = 88172645463325252u;
    p.noise = malloc(p.size + 8);
    if (!p.noise)
        fail("memory", "not enough");
    for (size_t i = 0; i < p.size; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(p.noise + i, &x, 8);
    }
}

int main(int argc, char **argv)
{
    pthread_t threads[64];
    if (argc < 7 || argc > 8 || (strcmp(argv[1], "put") != 0 && strcmp(argv[1], "get") != 0)) {
        fputs(usage, stderr);
        return 2;
    }
    p.put = !strcmp(argv[1], "put");
    p.url = argv[2];
    p.bucket = argv[3];
    p.host = strncmp(p.url, "http://", 7) != 0 ? (fail(p.url, "must begin with http://"), NULL) : p.url + 7;
    read_credentials(argv[4]);
    unsigned long n = strtoul(argv[5], NULL, 10);
    p.size = strtoull(argv[6], NULL, 10);
    if (!n || n > 64 || p.size < 8 || p.size > 1ull << 30)
        fail("PARALLEL, SIZE", usage);
    if (argc == 8 && !(p.trace = fopen(argv[7], "w")))
        fail(argv[7], strerror(errno));
    read_keys();
    if (p.put)
        make_noise();
    curl_global_init(CURL_GLOBAL_ALL);
    double began = now();
    for (unsigned long i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, work, NULL))
            fail("threads", "not enough");
    for (unsigned long i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    uint64_t bytes = atomic_load(&p.bytes);
    printf("%.1f %llu\n", (double)bytes / 1e6 / (now() - began), (unsigned long long)bytes);
    if (p.trace && fclose(p.trace))
        fail(argv[7], strerror(errno));
    return 0;
}
