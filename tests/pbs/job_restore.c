/* SPDX-License-Identifier: GPL-2.0-or-later */
/* job_restore.c: restore of a whole media set and of one snapshot, and catalogs read back; all compared with what was
 * backed up. */
#include "tests/pbs/jobs.h"

#include <stdlib.h>
#include <string.h>

static bool same(const struct found *f, const struct entry *e, const struct medium *m)
{
    enum kind kind = f->incomplete && f->kind == SNAPSHOT ? INCOMPLETE_SNAPSHOT : f->kind;
    unsigned long long file = e->file;
    if (kind != e->kind)
        return problem("%s, file %llu: kind %d, not %d", m->label, file, kind, e->kind);
    if (f->cut && !m->full)
        return problem("%s, file %llu: a chunk is cut, but the tape is not full", m->label, file);
    if (kind == CHUNKS && (f->count != e->count || (f->count && f->first != e->first)))
        return problem("%s, file %llu: %llu chunks from %llu, not %llu from %llu", m->label, file,
                       (unsigned long long)f->count, (unsigned long long)f->first, (unsigned long long)e->count,
                       (unsigned long long)e->first);
    if (kind == SNAPSHOT && (f->id != e->id || f->first != e->first || f->count != e->count))
        return problem("%s, file %llu: snapshot %llu, not %llu", m->label, file, (unsigned long long)f->id,
                       (unsigned long long)e->id);
    return true;
}

/* From file 2 to the end of data; have (n of them) are the chunks seen. */
static bool restore_tape(struct drive *d, const struct medium *m, uint8_t *have, uint64_t n)
{
    struct found f;
    struct position p;
    for (size_t i = 0;; i++) {
        TRY(drive_position(d, &p));
        int r = archive_read(d, &f, NULL);
        if (r == SG_EOD)
            return i == m->n || problem("%s ends after %zu of %zu files", m->label, i, m->n);
        TRY(r == SG_GOOD);
        if (i == m->n || p.file != m->entry[i].file)
            return problem("%s: file %llu is unknown", m->label, (unsigned long long)p.file);
        TRY(same(&f, &m->entry[i], m));
        for (uint64_t c = f.first; f.kind == CHUNKS && c < f.first + f.count && c < n; c++)
            have[c] = 1;
    }
}

static bool restore_tapes(struct site *s, unsigned drive, const uint8_t set[16], uint8_t *have)
{
    const struct medium *m;
    unsigned i = 0;
    for (; (m = inventory_of_set(&s->inventory, set, i)); i++) {
        struct drive d;
        TRY(open_medium(s, &d, drive, m));
        bool good = restore_tape(&d, m, have, s->next_chunk);
        TRY(drive_close(&d) && good);
    }
    return i || problem("no tape belongs to the set");
}

bool job_restore_set(struct site *s, unsigned drive, const uint8_t set[16])
{
    uint8_t *have = calloc(1, s->next_chunk + 1);
    const struct medium *m;
    bool good = restore_tapes(s, drive, set, have);
    for (unsigned i = 0; good && (m = inventory_of_set(&s->inventory, set, i)); i++)
        for (size_t k = 0; good && k < m->n; k++)
            for (uint64_t c = 0; good && m->entry[k].kind == SNAPSHOT && c < m->entry[k].count; c++)
                if (!have[m->entry[k].first + c])
                    good = problem("snapshot %llu misses chunk %llu", (unsigned long long)m->entry[k].id,
                                   (unsigned long long)(m->entry[k].first + c));
    free(have);
    return good;
}

/* ---- one snapshot ---- */

static bool go_to(struct drive *d, uint64_t file)
{
    struct position p;
    TRY(drive_position(d, &p));
    if (p.file == file && p.object)
        return true;
    TRY(drive_locate_file(d, file) && drive_position(d, &p));
    return p.file == file || problem("at file %llu, not %llu", (unsigned long long)p.file, (unsigned long long)file);
}

/* The tape's part of it: its snapshot archive, and all of the chunks from *next on that are here. */
static bool restore_part(struct drive *d, const struct medium *m, const struct entry *snapshot, uint64_t *restored)
{
    struct found f;
    for (size_t i = 0; i < m->n; i++)
        if (m->entry[i].kind == SNAPSHOT && m->entry[i].id == snapshot->id)
            TRY(go_to(d, m->entry[i].file) && archive_read(d, &f, NULL) == SG_GOOD && same(&f, &m->entry[i], m));
    for (size_t i = 0; i < m->n; i++) {
        const struct entry *e = &m->entry[i];
        uint64_t from = e->first > snapshot->first ? e->first : snapshot->first;
        uint64_t to = e->first + e->count;
        if (to > snapshot->first + snapshot->count)
            to = snapshot->first + snapshot->count;
        if (e->kind != CHUNKS || from >= to)
            continue;
        TRY(go_to(d, e->file) && chunks_read_until(d, to - 1));
        *restored += to - from;
    }
    return true;
}

static const struct entry *find_snapshot(struct site *s, const uint8_t set[16], uint64_t id)
{
    const struct medium *m;
    for (unsigned i = 0; (m = inventory_of_set(&s->inventory, set, i)); i++)
        for (size_t k = 0; k < m->n; k++)
            if (m->entry[k].kind == SNAPSHOT && m->entry[k].id == id)
                return &m->entry[k];
    return NULL;
}

bool job_restore_snapshot(struct site *s, unsigned drive, const uint8_t set[16], uint64_t snapshot)
{
    const struct entry *e = find_snapshot(s, set, snapshot);
    const struct medium *m;
    uint64_t restored = 0;
    TRY(e || problem("snapshot %llu is not in the set", (unsigned long long)snapshot));
    for (unsigned i = 0; (m = inventory_of_set(&s->inventory, set, i)); i++) {
        struct drive d;
        TRY(open_medium(s, &d, drive, m));
        bool good = restore_part(&d, m, e, &restored);
        TRY(drive_close(&d) && good);
    }
    return restored == e->count ||
           problem("%llu of %llu chunks are restored", (unsigned long long)restored, (unsigned long long)e->count);
}

/* ---- catalogs ---- */

/* Catalogs from file 2 on (those of the tapes before), then once to the last file. The newest of this tape counts. */
static bool catalog_fast(struct drive *d, const struct medium *m, struct medium *got)
{
    struct found f;
    struct position p;
    TRY(drive_position(d, &p));
    EXPECT(p.file == 2);
    do
        TRY(catalog_read(d, &f, NULL) == SG_GOOD);
    while (f.kind == CATALOG);
    TRY(drive_move_to_last_file(d) && catalog_read(d, &f, got) == SG_GOOD);
    return (f.kind == CATALOG && !memcmp(f.catalog_of, m->uuid, 16)) || problem("the last file is not its catalog");
}

static bool catalog_scan(struct drive *d, const struct medium *m, struct medium *got)
{
    struct found f;
    bool found = false;
    for (;;) {
        struct medium one = {.n = 0};
        int r = archive_read(d, &f, &one);
        if (r == SG_GOOD && f.kind == CATALOG && !memcmp(f.catalog_of, m->uuid, 16)) {
            medium_clear(got);
            got->entry = one.entry;
            got->n = one.n;
            found = true;
        } else {
            medium_clear(&one);
        }
        if (r == SG_EOD)
            return found || problem("no catalog of its own is on it");
        TRY(r == SG_GOOD);
    }
}

/* A catalog knows all archives before itself. */
static bool catalog_is_inventory(const struct medium *got, const struct medium *m)
{
    if (got->n + 1 != m->n)
        return problem("the catalog of %s has %zu archives, the inventory %zu", m->label, got->n, m->n);
    for (size_t i = 0; i < got->n; i++) {
        const struct entry *a = &got->entry[i], *b = &m->entry[i];
        if (a->kind != b->kind || a->file != b->file || a->first != b->first || a->count != b->count || a->id != b->id)
            return problem("the catalog of %s differs at archive %zu", m->label, i);
    }
    return true;
}

bool job_catalog(struct site *s, unsigned drive, const char *label, bool scan)
{
    struct drive d;
    struct medium got = {.n = 0};
    const struct medium *m = inventory_find(&s->inventory, label);
    TRY(m || problem("%s is not in the inventory", label));
    TRY(open_medium(s, &d, drive, m));
    bool good = scan ? catalog_scan(&d, m, &got) : catalog_fast(&d, m, &got);
    good = good && catalog_is_inventory(&got, m);
    medium_clear(&got);
    return drive_close(&d) && good;
}
