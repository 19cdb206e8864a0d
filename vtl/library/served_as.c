/* SPDX-License-Identifier: GPL-2.0-or-later */
/* served_as.c: by what hosts know this library, as it was served last, and what they lose when that changes. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsontext.h"
#include "vtl/library/library_private.h"

/* In the state, as JSON; "": never served, or by a version that did not note it. */
#define SERVED_AS "served_as"
#define SERVED_AS_SIZE 1200

json_t *served_as_json(const struct vtl_config *c)
{
    return json_pack("{s:s, s:s, s:i, s:i}", "serial_prefix", c->library.serial_prefix, "target", c->iscsi.target,
                     "drives", (int)c->library.drives, "generation", c->library.generation);
}

int served_as_take(struct library *lib, const json_t *j, struct errtext *err)
{
    char *text = json_is_object(j) ? json_dumps(j, JSON_COMPACT) : strdup("");
    bool fits = text && strlen(text) < SERVED_AS_SIZE; /* else it is no word of ours */
    int rc = !text ? -ENOMEM : fits ? db_meta_set(lib->eng.db, SERVED_AS, text) : 0;
    free(text);
    return rc ? errtext_set(err, rc, "%s/state.db: %s", lib->cfg->library.state_dir, db_error(lib->eng.db)) : 0;
}

int library_accept(struct library *lib, struct errtext *err)
{
    json_t *j = served_as_json(lib->cfg);
    int rc = j ? served_as_take(lib, j, err) : errtext_set(err, -ENOMEM, "library: out of memory");
    json_decref(j);
    return rc;
}

__attribute__((format(printf, 2, 3))) static void add(struct errtext *out, const char *fmt, ...)
{
    size_t at = strlen(out->text);
    va_list ap;
    if (at)
        at += (size_t)snprintf(out->text + at, sizeof(out->text) - at, "; ");
    if (at >= sizeof(out->text))
        return;
    va_start(ap, fmt);
    (void)vsnprintf(out->text + at, sizeof(out->text) - at, fmt, ap);
    va_end(ap);
}

static void lost_names(const struct vtl_config *c, const char *prefix, const char *target, struct errtext *out)
{
    if (strcmp(prefix, c->library.serial_prefix) != 0)
        add(out,
            "[library] serial_prefix = %s (was %s): hosts know the changer and each drive by its serial number, and "
            "lose "
            "all of them",
            c->library.serial_prefix, prefix);
    if (strcmp(target, c->iscsi.target) != 0)
        add(out, "[iscsi] target = %.100s (was %.100s): initiators log in to the old name", c->iscsi.target, target);
}

/* Cartridges that no drive of the new type takes. */
static void lost_cartridges(struct library *lib, struct errtext *out)
{
    size_t n = 0;
    const char *first = "";
    for (size_t i = 0; i < lib->n_cartridges; i++)
        if (cartridge_generation(lib->cartridges[i]) > lib->cfg->library.generation && !n++)
            first = cartridge_barcode(lib->cartridges[i]);
    if (n)
        add(out, "of a later type, and cannot be loaded: %zu cartridge%s, the first %s", n, n == 1 ? "" : "s", first);
}

int library_losses(struct library *lib, struct errtext *out, struct errtext *err)
{
    const struct vtl_config *c = lib->cfg;
    char text[SERVED_AS_SIZE] = "";
    out->text[0] = '\0';
    int rc = db_meta_get(lib->eng.db, SERVED_AS, text, sizeof(text));
    if (rc)
        return errtext_set(err, rc, "%s/state.db: %s", c->library.state_dir, db_error(lib->eng.db));
    json_t *j = json_loads(text[0] ? text : "{}", 0, NULL);
    const char *prefix = NULL, *target = NULL;
    int drives = 0, generation = 0;
    if (!json_unpack(j, "{s:s, s:s, s:i, s:i}", "serial_prefix", &prefix, "target", &target, "drives", &drives,
                     "generation", &generation)) {
        lost_names(c, prefix, target, out);
        if (drives > (int)c->library.drives)
            add(out, "[library] drives = %u (was %d): drive %u (serial number %s%03u) and those after it are gone",
                c->library.drives, drives, c->library.drives, prefix, c->library.drives + 1);
        if (generation != c->library.generation) {
            add(out, "[library] drive_type = LTO-%d (was LTO-%d): hosts see other drives", c->library.generation,
                generation);
            lost_cartridges(lib, out);
        }
    }
    json_decref(j);
    return 0;
}
