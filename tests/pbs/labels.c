/* SPDX-License-Identifier: GPL-2.0-or-later */
/* labels.c: the label of a tape and that of its media set, each a file of one block. */
#include "tests/pbs/archives.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const uint8_t magic_label[8] = {0x2A, 0x05, 0xBF, 0x3C, 0xB0, 0x30, 0xAA, 0x39};
const uint8_t magic_set_label[8] = {0x08, 0x60, 0x63, 0xF9, 0x2F, 0x97, 0x53, 0xD8};

void uuid_text(const uint8_t u[16], char text[37])
{
    (void)snprintf(text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2],
                   u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

static const char *value_of(const char *json, const char *key)
{
    char quoted[40];
    (void)snprintf(quoted, sizeof(quoted), "\"%s\":", key);
    const char *p = strstr(json, quoted);
    return p ? p + strlen(quoted) : NULL;
}

bool json_text(const char *json, const char *key, char *to, size_t size)
{
    const char *v = value_of(json, key), *end = v && *v == '"' ? strchr(v + 1, '"') : NULL;
    if (!end || (size_t)(end - v) > size)
        return problem("no \"%s\" in %s", key, json);
    memcpy(to, v + 1, (size_t)(end - v - 1));
    to[end - v - 1] = '\0';
    return true;
}

bool json_number(const char *json, const char *key, unsigned *to)
{
    const char *v = value_of(json, key);
    return (v && sscanf(v, "%u", to) == 1) || problem("no number \"%s\" in %s", key, json);
}

bool json_uuid(const char *json, const char *key, uint8_t uuid[16])
{
    char text[40];
    const char *p = text;
    TRY(json_text(json, key, text, sizeof(text)));
    for (int i = 0; i < 16; i++) {
        unsigned b;
        p += *p == '-';
        if (sscanf(p, "%2x", &b) != 1)
            return problem("\"%s\" is no uuid: %s", key, text);
        uuid[i] = (uint8_t)b;
        p += 2;
    }
    return true;
}

bool content_put(struct writer *w, const uint8_t magic[8], const char *json)
{
    uint8_t h[48] = {0x63, 0xEE, 0x14, 0x9F, 0xCD, 0xF2, 0x9B, 0x0C};
    time_t now = time(NULL);
    size_t len = strlen(json);
    memcpy(h + 8, magic, 8);
    make_uuid(h + 16);
    for (int i = 0; i < 8; i++)
        h[32 + i] = (uint8_t)((uint64_t)now >> (8 * i));
    for (int i = 0; i < 4; i++)
        h[40 + i] = (uint8_t)(len >> (8 * i));
    return writer_put(w, h, sizeof(h)) && writer_put(w, json, len);
}

bool content_get(struct reader *r, struct content *c)
{
    static const uint8_t magic[8] = {0x63, 0xEE, 0x14, 0x9F, 0xCD, 0xF2, 0x9B, 0x0C};
    uint8_t h[48];
    TRY(reader_must(r, h, sizeof(h)));
    size_t len = h[40] | (size_t)h[41] << 8 | (size_t)h[42] << 16 | (size_t)h[43] << 24;
    if (memcmp(h, magic, 8) || h[44] || len >= sizeof(c->json))
        return problem("not a content header: %02x%02x.., part %u, %zu bytes of JSON", h[0], h[1], h[44], len);
    memcpy(c->magic, h + 8, 8);
    memcpy(c->uuid, h + 16, 16);
    TRY(reader_must(r, c->json, len));
    c->json[len] = '\0';
    return true;
}

bool content_is(const struct content *c, const uint8_t magic[8])
{
    return !memcmp(c->magic, magic, 8);
}

/* A file of one block. */
static bool write_small(struct drive *d, const uint8_t magic[8], const char *json)
{
    struct writer w;
    TRY(writer_open(&w, d));
    if (!content_put(&w, magic, json)) {
        writer_drop(&w);
        return false;
    }
    return writer_close(&w, false) && drive_sync(d);
}

bool label_write(struct drive *d, const struct medium *m)
{
    char json[300], uuid[37], pool[40] = "";
    uuid_text(m->uuid, uuid);
    if (*m->pool)
        (void)snprintf(pool, sizeof(pool), ",\"pool\":\"%s\"", m->pool);
    (void)snprintf(json, sizeof(json), "{\"uuid\":\"%s\",\"label_text\":\"%s\",\"ctime\":%lld%s}", uuid, m->label,
                   (long long)time(NULL), pool);
    return write_small(d, magic_label, json);
}

bool set_label_write(struct drive *d, const struct medium *m)
{
    char json[300], set[37];
    const char *key = m->encrypted ? ",\"encryption_key_fingerprint\":\"00:01\"" : "";
    uuid_text(m->set, set);
    (void)snprintf(json, sizeof(json), "{\"pool\":\"%s\",\"uuid\":\"%s\",\"seq_nr\":%u,\"ctime\":%lld%s}", m->pool, set,
                   m->sequence, (long long)time(NULL), key);
    return write_small(d, magic_set_label, json);
}

/* SG_GOOD: the whole file is read. */
static int read_small(struct drive *d, const uint8_t magic[8], struct content *c)
{
    struct reader r;
    uint64_t rest;
    int n = reader_open(&r, d);
    if (n != SG_GOOD)
        return n;
    bool good = content_get(&r, c) && reader_skip(&r, &rest) &&
                (!rest || problem("%llu bytes behind a label", (unsigned long long)rest)) &&
                (content_is(c, magic) || problem("not a label: %02x%02x..", c->magic[0], c->magic[1])) &&
                (r.blocks == 1 || problem("a label of %llu blocks", (unsigned long long)r.blocks));
    reader_close(&r);
    return good ? SG_GOOD : SG_ERROR;
}

bool labels_read(struct drive *d, struct labels *l)
{
    struct content c;
    memset(l, 0, sizeof(*l));
    TRY(drive_rewind(d));
    int n = read_small(d, magic_label, &c);
    if (n == SG_EOD || n == SG_FILEMARK)
        return true;
    TRY(n == SG_GOOD && json_text(c.json, "label_text", l->label, sizeof(l->label)) &&
        json_uuid(c.json, "uuid", l->uuid));
    l->labelled = true;
    n = read_small(d, magic_set_label, &c);
    if (n == SG_EOD)
        return drive_key_off(d);
    TRY(n == SG_GOOD && json_text(c.json, "pool", l->pool, sizeof(l->pool)) && json_uuid(c.json, "uuid", l->set) &&
        json_number(c.json, "seq_nr", &l->sequence));
    l->in_set = true;
    l->encrypted = strstr(c.json, "\"encryption_key_fingerprint\":");
    if (!l->encrypted)
        return drive_key_off(d);
    uint8_t key[32];
    set_key(l->set, key);
    return drive_key_on(d, key);
}
