/* SPDX-License-Identifier: GPL-2.0-or-later */
/* notify_post.c: a message by a webhook. */
#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/jsontext.h"
#include "base/version.h"
#include "vtl/cmd/notify.h"

static int look_at_stop(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return arg && atomic_load((const atomic_bool *)arg);
}

static size_t take_nothing(char *data, size_t size, size_t n, void *arg)
{
    (void)data;
    (void)arg;
    return size * n;
}

static char *body_of(const struct vtl_config *cfg, const struct notify_message *m)
{
    char line[NOTIFY_LINE], host[65] = "?";
    (void)gethostname(host, sizeof(host) - 1);
    notify_line(cfg, m, line);
    json_t *j = json_pack("{s:s, s:o, s:s, s:s, s:s, s:I, s:o, s:o, s:o}", "library", cfg->library.name, "host",
                          json_text(host), "event", m->event, "state", notify_state_name(m->state), "severity",
                          notify_severity(m), "began", (json_int_t)m->began, "ended",
                          m->ended ? json_integer((json_int_t)m->ended) : json_null(), "detail", json_text(m->text),
                          "text", json_text(line));
    char *body = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    return body;
}

static CURLcode set_options(CURL *curl, const struct vtl_config *cfg, const char *body, struct curl_slist *headers,
                            unsigned limit_ms, const atomic_bool *stop, char error[CURL_ERROR_SIZE])
{
    CURLcode rc = curl_easy_setopt(curl, CURLOPT_URL, cfg->notify.url);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "s3vtl/" S3VTL_VERSION);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)limit_ms);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_nothing);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_at_stop);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)(uintptr_t)stop);
    return rc;
}

int notify_post(const struct vtl_config *cfg, const struct notify_message *m, unsigned limit_ms,
                const atomic_bool *stop, struct errtext *err)
{
    const char *url = cfg->notify.url;
    char error[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    char *body = body_of(cfg, m);
    CURLcode rc =
        curl && headers && body ? set_options(curl, cfg, body, headers, limit_ms, stop, error) : CURLE_OUT_OF_MEMORY;
    if (rc == CURLE_OK)
        rc = curl_easy_perform(curl);
    if (rc == CURLE_OK)
        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    free(body);
    if (rc != CURLE_OK)
        return errtext_set(err, -EIO, "POST %.*s: %s", (int)config_url_host(url), url,
                           error[0] ? error : curl_easy_strerror(rc));
    if (status / 100 != 2)
        return errtext_set(err, -EIO, "POST %.*s: answered %ld, must be 2xx", (int)config_url_host(url), url, status);
    return 0;
}
