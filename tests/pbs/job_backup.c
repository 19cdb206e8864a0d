/* SPDX-License-Identifier: GPL-2.0-or-later */
/* job_backup.c: a tape backup job: media-set label or append, archives, early warning and the next tape, the catalog.
 */
#include "tests/pbs/jobs.h"

#include <stdlib.h>
#include <string.h>

/* Of each chunk archive here; PBS ends one at 4 GiB. */
enum { CHUNKS_PER_ARCHIVE = 9 };

struct job {
    struct site *s;
    struct backup *b;
    struct drive d;
    struct medium *m;
    bool open;
};

static bool file_number(struct job *j, uint64_t *file)
{
    struct position p;
    TRY(drive_position(&j->d, &p));
    *file = p.file;
    return (*file >= 2 && (!j->m->n || *file > j->m->entry[j->m->n - 1].file)) ||
           problem("file %llu does not follow", (unsigned long long)*file);
}

static bool commit(struct job *j)
{
    struct statistics st;
    TRY(drive_sync(&j->d));
    if (!OPTIONAL(drive_statistics(&j->d, &st)))
        j->d.warnings++;
    return true;
}

/* The catalogs of the tapes before go on each tape of a set. */
static bool write_earlier_catalogs(struct job *j)
{
    bool leom = false;
    for (unsigned i = 0; i < j->m->sequence; i++) {
        const struct medium *earlier = inventory_of_set(&j->s->inventory, j->b->set, i);
        uint64_t file;
        TRY(earlier || problem("the set has no tape %u", i));
        TRY(file_number(j, &file) && catalog_write(&j->d, earlier, 0, &leom));
        medium_add(j->m, CATALOG, file)->id = i;
    }
    return true;
}

/* The media-set label overwrites what is behind the label. */
static bool begin_set(struct job *j)
{
    struct position p;
    bool on;
    TRY(drive_position(&j->d, &p));
    if (p.file != 1)
        TRY(drive_rewind(&j->d) && drive_space_filemarks(&j->d, 1));
    TRY(drive_position(&j->d, &p));
    EXPECT(p.file == 1);
    medium_clear(j->m);
    memcpy(j->m->set, j->b->set, 16);
    j->m->sequence = j->b->tapes_used - 1;
    j->m->encrypted = j->b->encrypted;
    strncpy(j->m->pool, j->b->pool, sizeof(j->m->pool) - 1);
    TRY(drive_key_off(&j->d) && set_label_write(&j->d, j->m));
    drive_write_attributes(&j->d, NULL, j->m->pool);
    if (j->m->encrypted) {
        uint8_t key[32];
        set_key(j->m->set, key);
        TRY(drive_key_on(&j->d, key));
    }
    drive_key_is_on(&j->d, &on);
    EXPECT(on == j->m->encrypted);
    return write_earlier_catalogs(j);
}

static bool append(struct job *j)
{
    struct position p;
    return drive_move_to_eom(&j->d, true) && drive_position(&j->d, &p) &&
           (p.file >= 2 || problem("end of data is in file %llu", (unsigned long long)p.file));
}

static bool next_tape(struct job *j)
{
    const char *label = j->b->tapes[j->b->tapes_used];
    TRY(label || problem("no more tapes"));
    j->m = inventory_find(&j->s->inventory, label);
    TRY(j->m || problem("%s is not in the inventory", label));
    TRY(open_medium(j->s, &j->d, j->b->drive, j->m));
    j->open = true;
    TRY(drive_no_critical_alert(&j->d));
    bool goes_on = !j->b->new_set && !j->b->tapes_used;
    j->b->tapes_used = goes_on ? j->m->sequence + 1 : j->b->tapes_used + 1;
    if (!goes_on)
        return begin_set(j);
    memcpy(j->b->set, j->m->set, 16);
    return append(j);
}

/* The tape is full: it is committed, unloaded and changed. */
static bool swap_tape(struct job *j)
{
    struct statistics st;
    j->m->full = true;
    TRY(commit(j));
    (void)OPTIONAL(drive_statistics(&j->d, &st));
    TRY(drive_unload(&j->d));
    j->open = false;
    TRY(drive_close(&j->d));
    return next_tape(j);
}

static bool backup_chunks(struct job *j, uint64_t first, uint64_t end)
{
    while (first < end) {
        uint64_t file, from = first;
        uint64_t to = end - first > CHUNKS_PER_ARCHIVE ? first + CHUNKS_PER_ARCHIVE : end;
        bool leom = false;
        TRY(file_number(j, &file) && chunks_write(&j->d, &first, to, &leom));
        struct entry *e = medium_add(j->m, CHUNKS, file);
        e->first = from;
        e->count = first - from;
        if (leom)
            TRY(swap_tape(j));
    }
    return true;
}

static bool backup_snapshot(struct job *j)
{
    pthread_mutex_lock(&j->s->lock);
    uint64_t first = j->s->next_chunk, id = j->s->next_snapshot++;
    j->s->next_chunk += j->b->chunks;
    pthread_mutex_unlock(&j->s->lock);
    TRY(backup_chunks(j, first, first + j->b->chunks));
    for (bool incomplete = true; incomplete;) {
        uint64_t file;
        bool leom = false;
        TRY(file_number(j, &file));
        struct entry e = {SNAPSHOT, file, first, j->b->chunks, id};
        TRY(snapshot_write(&j->d, &e, &incomplete, &leom));
        if (incomplete)
            e = (struct entry){.kind = INCOMPLETE_SNAPSHOT, .file = file};
        *medium_add(j->m, e.kind, file) = e;
        if (leom)
            TRY(swap_tape(j));
    }
    return true;
}

static bool write_catalog(struct job *j)
{
    uint64_t file;
    TRY(file_number(j, &file) && catalog_write(&j->d, j->m, j->b->padding, &j->b->leom_in_catalog));
    medium_add(j->m, CATALOG, file)->id = j->m->sequence;
    return true;
}

static bool export_set(struct job *j)
{
    TRY(drive_rewind(&j->d));
    j->open = false;
    TRY(drive_close(&j->d));
    for (unsigned i = 0; i < j->b->tapes_used; i++) {
        unsigned slot;
        const struct medium *m = inventory_of_set(&j->s->inventory, j->b->set, i);
        TRY((m || problem("the set has no tape %u", i)) && job_export(j->s, j->b->drive, m->label, &slot));
        TRY(slot || problem("%s is not online", m->label));
    }
    return true;
}

static bool end(struct job *j)
{
    if (j->b->after == EXPORT)
        return export_set(j);
    TRY(j->b->after == STAY || drive_unload(&j->d));
    j->open = false;
    TRY(drive_close(&j->d));
    return j->b->after == STAY || job_unload(j->s, j->b->drive);
}

bool job_backup(struct site *s, struct backup *b)
{
    struct job j = {.s = s, .b = b};
    struct changer_status st;
    TRY(job_status(s, &st));
    changer_status_free(&st);
    b->tapes_used = 0;
    b->leom_in_catalog = false;
    if (b->new_set)
        make_uuid(b->set);
    bool good = next_tape(&j);
    for (unsigned i = 0; good && i < b->snapshots; i++)
        good = backup_snapshot(&j);
    good = good && commit(&j) && write_catalog(&j) && end(&j);
    if (j.open)
        unit_close(j.d.unit);
    return good;
}
