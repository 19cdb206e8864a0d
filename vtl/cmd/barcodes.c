/* SPDX-License-Identifier: GPL-2.0-or-later */
/* barcodes.c: the barcodes that a command is given, PBS{001..100}L8 among them, and what about them may surprise. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/name_range.h"
#include "vtl/format/barcode.h"
#include "vtl/cmd/cmd.h"

#define MOST 60000u /* as many as a library can have slots */

static bool add(json_t *list, json_t *seen, const char *barcode)
{
    if (!barcode_ok(barcode))
        return fail(BARCODE_RULE, barcode), false;
    if (json_object_get(seen, barcode))
        return fail("barcode %s: given twice", barcode), false;
    return !json_array_append_new(list, json_string(barcode)) && !json_object_set_new(seen, barcode, json_true());
}

static bool add_word(json_t *list, json_t *seen, const char *word)
{
    struct name_range names;
    struct errtext err;
    char barcode[NAME_RANGE_SIZE];
    if (!strpbrk(word, "{}"))
        return add(list, seen, word);
    if (name_range_parse(word, &names, &err))
        return fail("%s", err.text), false;
    if (name_range_count(&names) > MOST - json_array_size(list))
        return fail("%s: more than %u cartridges", word, MOST), false;
    bool good = true;
    for (uint32_t i = 0; good && i < name_range_count(&names); i++) {
        name_range_name(&names, i, barcode);
        good = add(list, seen, barcode);
    }
    return good;
}

json_t *barcodes_given(int argc, char *const argv[])
{
    json_t *list = json_array(), *seen = json_object();
    bool good = true;
    for (int i = 0; good && i < argc; i++)
        good = add_word(list, seen, argv[i]);
    json_decref(seen);
    if (good)
        return list;
    json_decref(list);
    return NULL;
}

/* As LTO's barcodes are, of six characters and the media identifier; of others the end may mean anything. */
static int generation_of(const char *barcode)
{
    return strlen(barcode) == 8 ? barcode_generation(barcode) : 0;
}

static bool has_lower_case(const char *s)
{
    while (*s && !islower((unsigned char)*s))
        s++;
    return *s;
}

void barcodes_warn(const json_t *list, int generation)
{
    size_t i, other = 0, lower = 0;
    const char *first_other = "", *first_lower = "";
    json_t *b;
    json_array_foreach(list, i, b)
    {
        const char *barcode = json_string_value(b);
        int says = generation_of(barcode);
        if (says && says != generation && !other++)
            first_other = barcode;
        if (has_lower_case(barcode) && !lower++)
            first_lower = barcode;
    }
    if (other)
        (void)fprintf(
            stderr, "s3vtl: warning: %s%s: the barcode says LTO-%d, and it is an LTO-%d cartridge, as the drives are\n",
            first_other, other > 1 ? " and others" : "", generation_of(first_other), generation);
    if (lower)
        (void)fprintf(stderr,
                      "s3vtl: warning: %s%s: has small letters, which barcodes on tapes have not; some software "
                      "does not find it\n",
                      first_lower, lower > 1 ? " and others" : "");
}
