/* SPDX-License-Identifier: GPL-2.0-or-later */
/* envelope.c: the two lines of every JSON object in the bucket: the JSON, and its CRC32C. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "vtl/format/head.h"

#define SEAL_SIZE 22 /* {"crc32c":"xxxxxxxx"} and its newline */

static void make_seal(uint32_t crc, char out[SEAL_SIZE + 1])
{
    (void)snprintf(out, SEAL_SIZE + 1, "{\"crc32c\":\"%08" PRIx32 "\"}\n", crc);
}

int json_seal(const json_t *j, char **buf, size_t *len)
{
    *buf = NULL;
    *len = 0;
    size_t n = json_dumpb(j, NULL, 0, JSON_COMPACT);
    if (!n)
        return -EINVAL;
    char *b = malloc(n + 1 + SEAL_SIZE + 1);
    if (!b)
        return -ENOMEM;
    if (json_dumpb(j, b, n, JSON_COMPACT) != n) {
        free(b);
        return -EINVAL;
    }
    b[n] = '\n';
    make_seal(crc32c(0, b, n + 1), b + n + 1);
    *buf = b;
    *len = n + 1 + SEAL_SIZE;
    return 0;
}

json_t *json_open(const void *buf, size_t len, struct errtext *err)
{
    const char *first_end = len ? memchr(buf, '\n', len) : NULL;
    size_t line = first_end ? (size_t)(first_end - (const char *)buf) + 1 : 0;
    if (!line || len - line != SEAL_SIZE) {
        errtext_set(err, -EBADMSG, "not two lines of JSON, the second a CRC32C");
        return NULL;
    }
    char seal[SEAL_SIZE + 1];
    make_seal(crc32c(0, buf, line), seal);
    if (memcmp(seal, first_end + 1, SEAL_SIZE) != 0) {
        errtext_set(err, -EBADMSG, "second line is %.*s, should be %.*s", SEAL_SIZE - 1, first_end + 1, SEAL_SIZE - 1,
                    seal);
        return NULL;
    }
    json_error_t why;
    json_t *j = json_loadb(buf, line, JSON_REJECT_DUPLICATES, &why);
    if (!j)
        errtext_set(err, -EBADMSG, "JSON, column %d: %s", why.column, why.text);
    return j;
}
