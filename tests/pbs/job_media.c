/* SPDX-License-Identifier: GPL-2.0-or-later */
/* job_media.c: labelling, inventory, formatting and moving of tapes, command by command as Proxmox Backup Server does
 * it. */
#include "tests/pbs/jobs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool site_open(struct site *s, const char *inventory)
{
    memset(s, 0, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    s->next_snapshot = 1;
    s->host = host_open("pbs");
    if (!s->host || (inventory && !access(inventory, R_OK) && !inventory_load(&s->inventory, inventory)))
        return false;
    for (size_t i = 0; i < s->inventory.n; i++) {
        const struct medium *m = &s->inventory.medium[i];
        for (size_t k = 0; k < m->n; k++) {
            const struct entry *e = &m->entry[k];
            if (e->kind == CHUNKS && s->next_chunk < e->first + e->count)
                s->next_chunk = e->first + e->count;
            if (e->kind == SNAPSHOT && s->next_snapshot <= e->id)
                s->next_snapshot = e->id + 1;
        }
    }
    return true;
}

void site_close(struct site *s)
{
    if (s->host)
        host_close(s->host);
    inventory_free(&s->inventory);
    pthread_mutex_destroy(&s->lock);
}

/* ---- the changer, opened for each operation ---- */

bool job_status(struct site *s, struct changer_status *st)
{
    struct unit *c = unit_open(s->host, CHANGER);
    bool good = c && changer_status(c, st);
    if (c)
        unit_close(c);
    return good;
}

bool job_load(struct site *s, unsigned drive, const char *label)
{
    struct unit *c = unit_open(s->host, CHANGER);
    bool good = c && changer_load(c, label, drive);
    if (c)
        unit_close(c);
    return good;
}

bool job_unload(struct site *s, unsigned drive)
{
    struct unit *c = unit_open(s->host, CHANGER);
    bool good = c && changer_unload(c, drive);
    if (c)
        unit_close(c);
    return good;
}

bool job_export(struct site *s, unsigned drive, const char *label, unsigned *slot)
{
    struct unit *c = unit_open(s->host, CHANGER);
    bool good = c && changer_export(c, label, drive, slot);
    if (c)
        unit_close(c);
    return good;
}

bool job_import(struct site *s, const char *label)
{
    struct changer_status st;
    unsigned to = 0;
    TRY(job_status(s, &st));
    unsigned from = status_slot_of(&st, label);
    while (to < st.storage && st.slot[to].full)
        to++;
    bool good = from > st.storage || problem("%s is in no import/export slot", label);
    good = good && (to < st.storage || problem("no free slot"));
    changer_status_free(&st);
    struct unit *c = unit_open(s->host, CHANGER);
    good = good && c && changer_transfer(c, from, to + 1);
    if (c)
        unit_close(c);
    return good;
}

/* ---- drives ---- */

static bool labels_match(const struct labels *l, const struct medium *m)
{
    if (!l->labelled || strcmp(l->label, m->label) || memcmp(l->uuid, m->uuid, 16))
        return problem("%s has the label \"%s\"", m->label, l->label);
    bool in_set = !uuid_is_zero(m->set);
    if (l->in_set != in_set || (in_set && (memcmp(l->set, m->set, 16) || l->sequence != m->sequence)))
        return problem("%s has another media-set label than the inventory (%d, number %u)", m->label, l->in_set,
                       l->sequence);
    return true;
}

bool open_medium(struct site *s, struct drive *d, unsigned drive, const struct medium *m)
{
    struct labels l;
    TRY(job_load(s, drive, m->label) && drive_open(d, s->host, (int)drive));
    if (labels_read(d, &l) && labels_match(&l, m))
        return true;
    (void)unit_close(d->unit);
    return false;
}

/* Does it read as blank, at its beginning? */
static bool assert_empty(struct drive *d)
{
    uint8_t *b = malloc(BLOCK);
    TRY(drive_rewind(d));
    int r = drive_read(d, b, BLOCK);
    free(b);
    if (r == SG_GOOD)
        return problem("media is not empty (format it first)");
    return r == SG_EOD || r == SG_FILEMARK;
}

/* label_tape: key off, format, the label; then read back, and the cartridge memory. */
static bool write_label(struct drive *d, const struct medium *m)
{
    struct labels l;
    TRY(drive_key_off(d) && drive_format(d, true) && label_write(d, m) && drive_rewind(d));
    TRY(labels_read(d, &l) && labels_match(&l, m) && drive_rewind(d));
    drive_write_attributes(d, m->label, m->pool);
    return true;
}

bool job_label(struct site *s, unsigned drive, const char *label, const char *pool)
{
    struct drive d;
    if (inventory_find(&s->inventory, label))
        return problem("media labeled '%s' already exists", label);
    TRY(drive_open(&d, s->host, (int)drive));
    bool good = assert_empty(&d);
    if (good) {
        struct medium *m = inventory_add(&s->inventory, label);
        strncpy(m->pool, pool ? pool : "", sizeof(m->pool) - 1);
        good = write_label(&d, m);
    }
    return drive_close(&d) && good;
}

bool job_barcode_label(struct site *s, unsigned drive, const char *pool, unsigned *labelled)
{
    struct changer_status st;
    bool good = job_status(s, &st);
    *labelled = 0;
    for (unsigned i = 0; good && i < st.storage; i++) {
        const struct element *e = &st.slot[i];
        if (!e->tagged || !strncmp(e->tag, "CLN", 3) || inventory_find(&s->inventory, e->tag))
            continue;
        good = job_load(s, drive, e->tag) && job_label(s, drive, e->tag, pool);
        *labelled += good;
    }
    changer_status_free(&st);
    return good;
}

bool job_read_label(struct site *s, unsigned drive, struct labels *l)
{
    struct drive d;
    TRY(drive_open(&d, s->host, (int)drive));
    bool good = labels_read(&d, l);
    return drive_close(&d) && good;
}

/* The drive is closed after its tape was taken out. */
static bool inventory_one(struct site *s, unsigned drive, const char *label)
{
    struct drive d;
    struct medium *m = inventory_find(&s->inventory, label);
    TRY(m || problem("%s is not in the inventory", label));
    TRY(open_medium(s, &d, drive, m));
    bool good = job_unload(s, drive);
    return drive_close(&d) && good;
}

bool job_update_inventory(struct site *s, unsigned drive, unsigned *seen)
{
    struct changer_status st;
    bool good = job_status(s, &st);
    *seen = 0;
    for (unsigned i = 0; good && i < st.storage; i++)
        if (st.slot[i].tagged && strncmp(st.slot[i].tag, "CLN", 3)) {
            good = inventory_one(s, drive, st.slot[i].tag);
            *seen += good;
        }
    changer_status_free(&st);
    return good;
}

/* The slow way looks at the drive by a second handle first. */
bool job_format(struct site *s, unsigned drive, const char *label, bool fast)
{
    struct drive d, second;
    struct drive_status st;
    struct labels l;
    TRY(job_load(s, drive, label) && drive_open(&d, s->host, (int)drive));
    bool good = true;
    if (!fast && (good = drive_open_bare(&second, s->host, (int)drive))) {
        good = drive_get_status(&second, &st);
        good = drive_close(&second) && good;
    }
    if (good)
        (void)OPTIONAL(labels_read(&d, &l)); /* whatever is on it */
    good = good && drive_format(&d, fast);
    return drive_close(&d) && good;
}

bool job_eject(struct site *s, unsigned drive)
{
    struct drive d;
    TRY(drive_open(&d, s->host, (int)drive));
    bool good = drive_unload(&d);
    good = drive_close(&d) && good;
    return good && job_unload(s, drive);
}

bool job_drive_status(struct site *s, unsigned drive, struct drive_status *st)
{
    struct drive d;
    TRY(drive_open_bare(&d, s->host, (int)drive));
    bool good = drive_get_status(&d, st);
    return drive_close(&d) && good;
}

/* Afterwards the drive, which is empty, must not complain. */
bool job_clean(struct site *s, unsigned drive)
{
    struct changer_status st;
    struct drive d;
    TRY(job_status(s, &st));
    bool full = st.drive[drive].full;
    changer_status_free(&st);
    TRY(!full || job_unload(s, drive));
    struct unit *c = unit_open(s->host, CHANGER);
    bool good = c && changer_clean(c, drive);
    if (c)
        unit_close(c);
    TRY(good && drive_open_bare(&d, s->host, (int)drive));
    /* The first answer may be the unit attention of the tapes that came and went: PBS takes any failure for no alert.
     */
    good = OPTIONAL(drive_no_critical_alert(&d)) || drive_no_critical_alert(&d);
    struct statistics ignored;
    (void)OPTIONAL(drive_statistics(&d, &ignored)); /* optional */
    unit_close(d.unit);
    return good;
}
