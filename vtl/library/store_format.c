/* SPDX-License-Identifier: GPL-2.0-or-later */
/* store_format.c: <prefix>/format, which says whose prefix it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vtl/library/library_private.h"

#define FORMAT_VERSION 1

int store_read_json(struct objstore *store, const char *key, uint64_t max, const struct obj_call *call, json_t **out,
                    struct errtext *err)
{
    uint64_t size = 0;
    *out = NULL;
    int rc = store->ops->head(store, key, &size, call, err);
    if (rc)
        return rc;
    if (!size || size > max)
        return errtext_set(err, -EBADMSG, "%s: %llu bytes cannot be right", key, (unsigned long long)size);
    char *buf = malloc(size);
    if (!buf)
        return errtext_set(err, -ENOMEM, "%s: out of memory", key);
    rc = store->ops->get(store, key, 0, size, buf, call, err);
    struct errtext why = {""};
    if (!rc && !(*out = json_open(buf, size, &why)))
        rc = errtext_set(err, -EBADMSG, "%s: %s", key, why.text);
    free(buf);
    return rc;
}

int store_write_json(struct objstore *store, const char *key, const json_t *j, const struct obj_call *call,
                     struct errtext *err)
{
    char *buf = NULL;
    size_t len = 0;
    int rc = json_seal(j, &buf, &len);
    if (rc)
        return errtext_set(err, rc, "%s: %s", key, strerror(-rc));
    struct obj_source src = {.mem = buf, .fd = -1, .len = len};
    struct obj_call create = call ? *call : (struct obj_call){0};
    create.if_none_match = true; /* I2 */
    rc = store->ops->put(store, key, &src, &create, err);
    free(buf);
    return rc;
}

int format_read(struct objstore *store, const struct obj_call *call, char id[37], char name[64], struct errtext *err)
{
    json_t *j = NULL;
    int rc = store_read_json(store, "format", 1u << 20, call, &j, err);
    if (rc)
        return rc;
    const char *library = json_string_value(json_object_get(j, "library"));
    const char *called = json_string_value(json_object_get(j, "name"));
    json_int_t version = json_integer_value(json_object_get(j, "format"));
    if (version != FORMAT_VERSION)
        rc =
            errtext_set(err, -EBADMSG, "format: version %lld, this s3vtl knows %d", (long long)version, FORMAT_VERSION);
    else if (!library || strlen(library) != 36 || !called)
        rc = errtext_set(err, -EBADMSG, "format: names no library");
    if (!rc) {
        (void)snprintf(id, 37, "%s", library);
        (void)snprintf(name, 64, "%s", called);
    }
    json_decref(j);
    return rc;
}

int format_is(const struct vtl_config *cfg, struct objstore *store, const char *id, const struct obj_call *call,
              struct errtext *err)
{
    char theirs[37] = "", name[64] = "";
    int rc = format_read(store, call, theirs, name, err);
    if (rc == -ENOENT)
        return errtext_set(err, rc,
                           "the store's prefix holds no library (no object \"format\"), and %s has one: is [store] in "
                           "%s the right place?",
                           cfg->library.state_dir, cfg->file);
    if (!rc && strcmp(id, theirs) != 0)
        return errtext_set(
            err, -EINVAL,
            "the store's prefix is of library \"%s\" (%s), and %s is of another one (%s): which of the two "
            "does %s mean?",
            name, theirs, cfg->library.state_dir, id, cfg->file);
    return rc;
}

int format_write(struct objstore *store, const char *id, const char *name, struct errtext *err)
{
    json_t *j = json_pack("{s:i, s:s, s:s, s:I}", "format", FORMAT_VERSION, "library", id, "name", name, "created",
                          (json_int_t)engine_time());
    int rc = j ? store_write_json(store, "format", j, NULL, err) : errtext_set(err, -ENOMEM, "format: out of memory");
    json_decref(j);
    return rc;
}

int library_id(struct objstore *store, const struct obj_call *call, char id[37], struct errtext *err)
{
    char name[64];
    return format_read(store, call, id, name, err);
}
