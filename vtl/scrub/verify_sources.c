/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify_sources.c: what a cartridge copies from and no head names any more, as it was cut or written over; see verify.h. */
#include "vtl/scrub/verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "vtl/cartridge/commit.h"

#define AT_OBJECTS 24 /* in a footer (FORMAT.md) */

/* The segments that the head of a cartridge names, which are verified with it. */
struct named {
    char barcode[33];
    uint8_t cartridge[16];
    struct seg_id *ids; /* in order */
    size_t n;
};

struct looking {
    const struct verify_io *io;
    const struct tape_index *x; /* of the cartridge that copies */
    const struct verify_sources *out;
    struct named *named;
    size_t n_named;
};

static int take_ids(struct named *n, const struct tape_index *x)
{
    n->ids = malloc((x->n_segs + 1) * sizeof(*n->ids));
    if (!n->ids)
        return -ENOMEM;
    for (; n->n < x->n_segs; n->n++)
        n->ids[n->n] = x->segs[n->n].id;
    if (n->n)
        qsort(n->ids, n->n, sizeof(*n->ids), seg_id_order);
    return 0;
}

/* What cannot be read names nothing: so all that is copied from is checked here. */
static int read_named(struct looking *l, const struct seg_source *s, struct named *n, struct errtext *err)
{
    struct head h;
    struct tape_index x;
    *n = (struct named){.n = 0};
    memcpy(n->barcode, s->barcode, sizeof(n->barcode));
    memcpy(n->cartridge, s->cartridge, sizeof(n->cartridge));
    bool with_head;
    int rc = commit_read_tape(l->io->store, s->barcode, &h, &x, &with_head, &l->io->call, err);
    if (!rc) {
        if (!h.removed && !memcmp(h.cartridge, s->cartridge, sizeof(h.cartridge)) && (rc = take_ids(n, &x)))
            errtext_set(err, rc, "%s: out of memory", s->barcode);
        tape_index_free(&x);
    }
    if (with_head)
        head_free(&h);
    return rc == -ENOENT || rc == -EBADMSG || rc == -EPROTONOSUPPORT ? 0 : rc;
}

static int named_of(struct looking *l, const struct seg_source *s, const struct named **out, struct errtext *err)
{
    for (size_t i = 0; i < l->n_named; i++)
        if (!strcmp(l->named[i].barcode, s->barcode) && !memcmp(l->named[i].cartridge, s->cartridge, 16)) {
            *out = &l->named[i];
            return 0;
        }
    struct named *more = realloc(l->named, (l->n_named + 1) * sizeof(*more));
    if (!more)
        return errtext_set(err, -ENOMEM, "%s: out of memory", s->barcode);
    l->named = more;
    int rc = read_named(l, s, &more[l->n_named], err);
    *out = &more[l->n_named];
    l->n_named += !rc;
    return rc;
}

static bool is_named(const struct named *n, const struct seg_source *s)
{
    return n->n && bsearch(&s->id, n->ids, n->n, sizeof(*n->ids), seg_id_order);
}

static int by_source(const void *a, const void *b)
{
    const struct seg_source *x = *(const struct seg_source *const *)a, *y = *(const struct seg_source *const *)b;
    int order = strcmp(x->barcode, y->barcode);
    if (!order)
        order = seg_id_compare(&x->id, &y->id);
    if (!order)
        order = memcmp(x->cartridge, y->cartridge, sizeof(x->cartridge));
    return order;
}

static void first_found(void *arg, uint64_t first, uint64_t objects, const char *what)
{
    struct errtext *e = arg;
    (void)first;
    if (objects && !e->text[0])
        errtext_set(e, 0, "%s", what);
}

/* What of it is there is told by its header and footer: nobody else knows it any more. *bad: what is wrong, or "". */
static int check(struct looking *l, const struct seg_source *s, struct errtext *bad, struct errtext *err)
{
    char key[DB_KEY_SIZE];
    uint8_t header[SEG_HEADER_SIZE], footer[SEG_FOOTER_SIZE];
    struct seg_header h;
    struct head whose;
    uint64_t blocks = 0, size = 0;
    const struct objstore_ops *ops = l->io->store->ops;
    object_key(key, s->barcode, "seg", &s->id);
    int rc = ops->head(l->io->store, key, &size, &l->io->call, err);
    if (!rc && (size != s->size || size < sizeof(header) + sizeof(footer)))
        return errtext_set(bad, 0, "the object has %llu bytes, should have %llu", (unsigned long long)size,
                           (unsigned long long)s->size);
    if (!rc)
        rc = ops->get(l->io->store, key, 0, sizeof(header), header, &l->io->call, err);
    if (!rc)
        rc = ops->get(l->io->store, key, size - sizeof(footer), sizeof(footer), footer, &l->io->call, err);
    if (rc)
        return rc;
    if (seg_header_decode(header, sizeof(header), &h, bad))
        return 0;
    head_init(&whose);
    memcpy(whose.barcode, s->barcode, sizeof(whose.barcode));
    memcpy(whose.cartridge, s->cartridge, sizeof(whose.cartridge));
    const struct seg_ref ref = {.id = s->id,
                                .first_object = h.first_object,
                                .first_file = h.first_file,
                                .objects = get_le64(footer + AT_OBJECTS),
                                .size = size,
                                .crc = s->crc};
    return verify_segment(l->io, key, &ref, &whose, first_found, bad, &blocks, err);
}

static void tell(const struct looking *l, const struct seg_source *s, const char *what)
{
    char name[SEG_NAME_SIZE];
    struct errtext text;
    seg_id_format(&s->id, name);
    errtext_set(&text, 0, "blocks of it are copies out of tapes/%s/seg/%s: %.300s", s->barcode, name, what);
    for (size_t i = 0; i < l->x->leans.n; i++)
        if (seg_source_same(&l->x->leans.v[i].source, s))
            l->out->found(l->out->arg, l->x->leans.v[i].segment, s, text.text);
}

static int look_at(struct looking *l, const struct seg_source *s, struct errtext *err)
{
    const struct named *n = NULL;
    struct errtext bad = {""};
    int rc = named_of(l, s, &n, err);
    if (rc || is_named(n, s))
        return rc;
    rc = check(l, s, &bad, err);
    if (rc && (rc == -ECANCELED || rc == -ENOMEM || l->out->is_gone(l->out->arg, rc)))
        return rc;
    if (rc || bad.text[0])
        tell(l, s, rc ? err->text : bad.text);
    return 0;
}

int verify_sources(const struct verify_io *io, const struct tape_index *x, const struct verify_sources *out,
                   struct errtext *err)
{
    struct looking l = {.io = io, .x = x, .out = out};
    size_t n = x->leans.n;
    const struct seg_source **v = malloc((n + 1) * sizeof(*v));
    int rc = v ? 0 : errtext_set(err, -ENOMEM, "verify: out of memory");
    for (size_t i = 0; v && i < n; i++)
        v[i] = &x->leans.v[i].source;
    if (v && n)
        qsort(v, n, sizeof(*v), by_source);
    for (size_t i = 0; !rc && i < n; i++) /* each once */
        if (!i || by_source(&v[i - 1], &v[i]))
            rc = look_at(&l, v[i], err);
    for (size_t i = 0; i < l.n_named; i++)
        free(l.named[i].ids);
    free(l.named);
    free(v);
    return rc;
}
