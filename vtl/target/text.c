/* SPDX-License-Identifier: GPL-2.0-or-later */
/* text.c: the answer to a TEXT request of the full feature phase. */
#include "vtl/target/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct out {
    char *at;
    size_t room, len;
    bool full;
};

static void put(struct out *o, const char *p, size_t n)
{
    if (o->full || n > o->room - o->len) {
        o->full = true;
        return;
    }
    memcpy(o->at + o->len, p, n);
    o->len += n;
}

static void put_pair(struct out *o, const char *key, const char *value)
{
    put(o, key, strlen(key));
    put(o, "=", 1);
    put(o, value, strlen(value) + 1);
}

/* Keys of the login (RFC 7143 13) get "Reject", those that nobody knows "NotUnderstood". */
static bool belongs_to_login(const char *key)
{
    static const char *const keys[] = {
        "AuthMethod",         "DataDigest",       "DataPDUInOrder",   "DataSequenceInOrder", "DefaultTime2Retain",
        "ErrorRecoveryLevel", "DefaultTime2Wait", "FirstBurstLength", "HeaderDigest",        "ImmediateData",
        "InitialR2T",         "InitiatorAlias",   "InitiatorName",    "MaxBurstLength",      "MaxConnections",
        "MaxOutstandingR2T",  "SessionType",      "TargetName",
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (!strcmp(key, keys[i]))
            return true;
    return false;
}

static void answer_pair(struct out *o, const char *key, const char *value, const struct text_target *target,
                        uint32_t *max_data)
{
    if (!strcmp(key, "SendTargets")) {
        if (!strcmp(value, "All")) {
            put_pair(o, key, "Reject"); /* for discovery sessions */
        } else if (!*value || !strcmp(value, target->name)) {
            put_pair(o, "TargetName", target->name);
            put_pair(o, "TargetAddress", target->address);
        }
    } else if (!strcmp(key, "MaxRecvDataSegmentLength")) {
        unsigned long n = strtoul(value, NULL, 0);
        if (n < 512 || n > 0xffffff)
            put_pair(o, key, "Reject");
        else
            *max_data = (uint32_t)n;
    } else {
        put_pair(o, key, belongs_to_login(key) ? "Reject" : "NotUnderstood");
    }
}

int text_answer(const char *text, size_t len, const struct text_target *target, char *out, size_t room,
                uint32_t *max_data)
{
    enum { KEY_MAX = 63 }; /* RFC 7143 6.1 */
    struct out o = {.at = out, .room = room};
    while (len) {
        const char *end = memchr(text, '\0', len), *equals = end ? memchr(text, '=', (size_t)(end - text)) : NULL;
        char key[KEY_MAX + 1];
        if (!equals || equals == text || equals - text > KEY_MAX)
            return -1;
        memcpy(key, text, (size_t)(equals - text));
        key[equals - text] = '\0';
        answer_pair(&o, key, equals + 1, target, max_data);
        len -= (size_t)(end + 1 - text);
        text = end + 1;
    }
    return o.full ? -1 : (int)o.len;
}
