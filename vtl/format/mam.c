/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mam.c: see mam.h. */
#include "vtl/format/mam.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "0801": four lower-case hexadecimal digits, an attribute of the host (SPC-5 table 394). */
static bool decode_key(const char *key, uint16_t *id)
{
    unsigned n = 0;
    if (strlen(key) != 4)
        return false;
    for (int i = 0; i < 4; i++) {
        if (digit(key[i]) < 0)
            return false;
        n = n << 4 | (unsigned)digit(key[i]);
    }
    *id = (uint16_t)n;
    return n >= 0x0800 && n <= 0x0bff;
}

static bool decode_value(const json_t *j, struct tape_attribute *a)
{
    json_int_t format = json_integer_value(json_array_get(j, 0));
    const char *hex = json_string_value(json_array_get(j, 1));
    size_t n = hex ? strlen(hex) : 0;
    if (json_array_size(j) != 2 || !json_is_integer(json_array_get(j, 0)) || format < 0 || format > 2 || !n || n % 2 ||
        n / 2 >= TAPE_ATTRIBUTE_MAX)
        return false;
    a->format = (uint8_t)format;
    a->len = (uint16_t)(n / 2);
    for (size_t i = 0; i < n / 2; i++) {
        int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        a->value[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void mam_decode(const char *text, struct tape_mam *out)
{
    json_t *j = text ? json_loads(text, 0, NULL) : NULL, *v;
    const char *key;
    memset(out, 0, sizeof(*out));
    if (!json_is_object(j)) {
        json_decref(j);
        return;
    }
    json_object_foreach(j, key, v)
    {
        struct tape_attribute *a = &out->v[out->n];
        if (out->n < TAPE_MAM_MAX && decode_key(key, &a->id) && decode_value(v, a))
            out->n++;
    }
    json_decref(j);
}

json_t *mam_show(const struct tape_mam *m)
{
    static const struct {
        uint16_t id;
        const char *name;
    } names[] = {{0x0800, "application_vendor"}, {0x0801, "application_name"}, {0x0802, "application_version"},
                 {0x0803, "user_label"},         {0x0804, "last_written"},     {0x0806, "barcode"},
                 {0x0807, "owning_host"},        {0x0808, "media_pool"},       {0x080B, "format_version"}};
    json_t *j = json_object();
    for (size_t i = 0; i < m->n; i++) {
        const struct tape_attribute *a = &m->v[i];
        char key[5], value[2 * TAPE_ATTRIBUTE_MAX + 1] = "";
        const char *name = NULL;
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
            if (names[k].id == a->id)
                name = names[k].name;
        size_t n = strnlen((const char *)a->value, a->len);
        while (n && a->value[n - 1] == ' ')
            n--;
        json_t *text = name && a->format ? json_stringn((const char *)a->value, n) : NULL; /* NULL: no UTF-8 */
        (void)snprintf(key, sizeof(key), "%04x", a->id);
        for (size_t k = 0; !text && k < a->len; k++)
            (void)snprintf(value + 2 * k, 3, "%02x", a->value[k]);
        json_object_set_new(j, name ? name : key, text ? text : json_string(value));
    }
    return j;
}

char *mam_encode(const struct tape_mam *m)
{
    json_t *j = json_object();
    for (size_t i = 0; i < m->n; i++) {
        const struct tape_attribute *a = &m->v[i];
        char key[5], hex[2 * TAPE_ATTRIBUTE_MAX + 1] = "";
        (void)snprintf(key, sizeof(key), "%04x", a->id);
        for (size_t k = 0; k < a->len; k++)
            (void)snprintf(hex + 2 * k, 3, "%02x", a->value[k]);
        json_object_set_new(j, key, json_pack("[i, s]", a->format, hex));
    }
    char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(j);
    return text;
}
