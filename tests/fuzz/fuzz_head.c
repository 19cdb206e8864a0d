/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz_head.c: any text as a head, with a right CRC and as it is. */
#include "tests/fuzz/fuzz.h"
#include "base/crc32c.h"
#include "vtl/format/head.h"

/* What is accepted can be written, and comes back as it was. */
static void decode(const char *p, size_t n)
{
    struct head h, again;
    struct errtext err = {""};
    char *first = NULL, *second = NULL;
    size_t n_first = 0, n_second = 0;
    if (head_decode(p, n, &h, &err)) {
        must(err.text[0] && !h.maps && !h.mam && !h.inl.segs);
        return;
    }
    must(!head_encode(&h, &first, &n_first));
    must(!head_decode(first, n_first, &again, &err));
    must(!head_encode(&again, &second, &n_second));
    must(n_first == n_second && !memcmp(first, second, n_first));
    free(first);
    free(second);
    head_free(&h);
    head_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct errtext err = {""};
    char *p = (char *)exactly(size);
    if (size)
        memcpy(p, data, size);
    json_t *j = json_open(p, size, &err);
    must(j || err.text[0]);
    json_decref(j);
    decode(p, size);
    free(p);

    /* The first line is the input's; the second one is right. */
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    size_t line = end ? (size_t)(end - data) : size;
    p = malloc(line + 32);
    must(p);
    memcpy(p, size ? data : (const uint8_t *)"", line);
    p[line++] = '\n';
    int n = snprintf(p + line, 31, "{\"crc32c\":\"%08x\"}\n", crc32c(0, p, line));
    decode(p, line + (size_t)n);
    free(p);
    return 0;
}
