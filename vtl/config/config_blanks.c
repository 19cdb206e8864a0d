/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config_blanks.c: what [library] blanks says: PBS{001..999}L8:5 WEEK{01..52}L8:2. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vtl/config/config.h"

#define TEXT_ROOM 4200

/* NAMES:COUNT. Whether the names are barcodes is looked at when they are made; here only what no barcode has. */
static int parse_one(char *word, struct config_blanks *b, struct errtext *err)
{
    char *colon = strrchr(word, ':'), *end = NULL;
    if (!colon || !strchr("123456789", colon[1]) || !colon[1])
        return errtext_set(err, -EINVAL, "%s: how many?", word);
    unsigned long keep = strtoul(colon + 1, &end, 10);
    *colon = '\0';
    int rc = *end || keep > 1000 ? errtext_set(err, -EINVAL, "%s: must keep 1 to 1000", word)
                                 : name_range_parse(word, &b->names, err);
    if (!rc &&
        (keep > name_range_count(&b->names) || word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                                                 "0123456789._-{}")]))
        rc = errtext_set(err, -EINVAL, "%s: has fewer names than %lu, or no barcode's", word, keep);
    b->keep = (unsigned)keep;
    return rc;
}

int config_blanks(const char *text, struct config_blanks out[CONFIG_MAX_BLANKS], struct errtext *err)
{
    char words[TEXT_ROOM], *save = NULL;
    struct errtext own = {""};
    int n = 0;
    if ((size_t)snprintf(words, sizeof(words), "%s", text) >= sizeof(words))
        return -1;
    for (char *w = strtok_r(words, " \t", &save); w; w = strtok_r(NULL, " \t", &save), n++)
        if (n == CONFIG_MAX_BLANKS || parse_one(w, &out[n], err ? err : &own))
            return -1;
    return n;
}

bool config_blanks_same(const struct config_blanks *a, const struct config_blanks *b)
{
    const struct name_range *x = &a->names, *y = &b->names;
    return a->keep == b->keep && x->digits == y->digits && x->first == y->first && x->last == y->last &&
           !strcmp(x->before, y->before) && !strcmp(x->after, y->after);
}
