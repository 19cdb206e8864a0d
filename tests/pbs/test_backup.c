/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_backup.c: backup jobs and restores: the sequences that write and read tapes. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/pbs/tests.h"

#define TAPES(...)                                                                                                     \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        __VA_ARGS__, NULL                                                                                              \
    }

static const uint8_t *set_of(struct site *s, const char *label)
{
    return inventory_find(&s->inventory, label)->set;
}

/* ---- one drive ---- */

static bool a_job_begins_a_media_set(struct site *s)
{
    struct backup b = {.pool = "daily", .tapes = TAPES("PBS001L8"), .new_set = true, .snapshots = 2, .chunks = 12};
    TRY(job_backup(s, &b) && job_restore_set(s, 0, b.set));
    EXPECT(inventory_find(&s->inventory, "PBS001L8")->n == 2 * 3 + 1);
    return true;
}

static bool later_jobs_append(struct site *s)
{
    struct backup b = {.pool = "daily", .tapes = TAPES("PBS001L8"), .snapshots = 1, .chunks = 7};
    for (int i = 0; i < 3; i++)
        TRY(job_backup(s, &b));
    EXPECT(inventory_find(&s->inventory, "PBS001L8")->n == 7 + 3 * 3);
    return job_restore_set(s, 0, b.set);
}

/* The catalog is not synced, and counts all the same. What compresses takes the room of what was written. */
static bool used_capacity_is_told_with_what_is_buffered(struct site *s)
{
    struct backup b = {.pool = "daily", .tapes = TAPES("PBS001L8"), .snapshots = 1, .chunks = 30};
    struct drive_status st;
    TRY(job_backup(s, &b) && job_drive_status(s, 0, &st));
    EXPECT(st.ready && st.statistics.present && st.statistics.mounts && st.statistics.capacity_mb > 1000000);
    uint64_t mb = ((st.position.object - st.position.file) * BLOCK + 999999) / 1000000;
    return st.statistics.used_mb == mb ||
           problem("%llu MB are used, %llu written", (unsigned long long)st.statistics.used_mb, (unsigned long long)mb);
}

static bool single_snapshots_come_back_by_locate(struct site *s)
{
    const uint8_t *set = set_of(s, "PBS001L8");
    return job_restore_snapshot(s, 0, set, 4) && job_restore_snapshot(s, 0, set, 1) &&
           job_restore_snapshot(s, 0, set, 5);
}

static bool the_newest_catalog_is_found_fast(struct site *s)
{
    return job_catalog(s, 0, "PBS001L8", false);
}

static bool the_newest_catalog_is_found_by_scanning(struct site *s)
{
    return job_catalog(s, 0, "PBS001L8", true);
}

static bool a_job_spans_tapes_from_early_warning_on(struct site *s)
{
    struct backup b = {.pool = "small",
                       .tapes = TAPES("SMALL1L8", "SMALL2L8", "SMALL3L8", "SMALL4L8"),
                       .new_set = true,
                       .snapshots = 3,
                       .chunks = 25};
    TRY(job_backup(s, &b));
    EXPECT(b.tapes_used >= 3);
    for (unsigned i = 0; i < b.tapes_used; i++) {
        const struct medium *m = inventory_of_set(&s->inventory, b.set, i);
        EXPECT(m->full == (i + 1 < b.tapes_used) && m->n > i); /* the catalogs of all tapes before are on it */
    }
    return job_restore_set(s, 0, b.set);
}

static bool a_snapshot_over_several_tapes_comes_back(struct site *s)
{
    const uint8_t *set = set_of(s, "SMALL1L8");
    uint64_t last = s->next_snapshot - 1;
    for (uint64_t id = last - 2; id <= last; id++)
        TRY(job_restore_snapshot(s, 0, set, id));
    return true;
}

/* Early warning stops no catalog; the job after it finds the tape full at its first archive. */
static bool a_catalog_goes_on_behind_early_warning(struct site *s)
{
    struct backup b = {.pool = "catalog",
                       .tapes = TAPES("SMALL5L8"),
                       .new_set = true,
                       .snapshots = 1,
                       .chunks = 5,
                       .padding = 12000000};
    TRY(job_backup(s, &b));
    EXPECT(b.leom_in_catalog);
    TRY(job_restore_set(s, 0, b.set) && job_catalog(s, 0, "SMALL5L8", false));
    struct backup next = {.pool = "catalog", .tapes = TAPES("SMALL5L8"), .snapshots = 1, .chunks = 2};
    EXPECT(!job_backup(s, &next) && strstr(problem_text(), "no more tapes"));
    EXPECT(inventory_find(&s->inventory, "SMALL5L8")->full);
    return job_restore_set(s, 0, next.set);
}

/* What is behind the media-set label goes: the restore would find it before the end of data. */
static bool an_expired_tape_is_overwritten_at_file_1(struct site *s)
{
    struct backup b = {.pool = "daily", .tapes = TAPES("PBS002L8"), .new_set = true, .snapshots = 2, .chunks = 10};
    TRY(job_backup(s, &b));
    b.snapshots = 1;
    b.chunks = 3;
    TRY(job_backup(s, &b));
    EXPECT(inventory_find(&s->inventory, "PBS002L8")->n == 3);
    return job_restore_set(s, 0, b.set);
}

static bool a_job_ejects_its_tape(struct site *s)
{
    struct backup b = {.pool = "daily", .tapes = TAPES("PBS002L8"), .snapshots = 1, .chunks = 3, .after = EJECT};
    struct changer_status st;
    TRY(job_backup(s, &b) && job_status(s, &st));
    bool empty = !st.drive[0].full;
    changer_status_free(&st);
    EXPECT(empty);
    return job_restore_set(s, 0, b.set);
}

/* All its tapes, wherever they are: the last one from the drive, the others from their slots. */
static bool a_job_exports_its_media_set(struct site *s)
{
    struct backup b = {.pool = "vault",
                       .tapes = TAPES("SMALL1L8", "SMALL2L8", "SMALL3L8"),
                       .new_set = true,
                       .snapshots = 1,
                       .chunks = 50,
                       .after = EXPORT};
    struct changer_status st;
    TRY(job_backup(s, &b) && job_status(s, &st));
    bool out = b.tapes_used >= 2 && !st.drive[0].full;
    for (unsigned i = 0; i < b.tapes_used; i++)
        out = out && status_slot_of(&st, b.tapes[i]) > st.storage;
    changer_status_free(&st);
    EXPECT(out);
    for (unsigned i = 0; i < b.tapes_used; i++)
        TRY(job_import(s, b.tapes[i]));
    return job_restore_set(s, 0, b.set);
}

/* ---- at once ---- */

struct worker {
    struct site *s;
    struct backup b;
    bool good;
    char why[300];
};

static void *run_backup(void *arg)
{
    struct worker *w = arg;
    w->good = job_backup(w->s, &w->b) && job_restore_set(w->s, w->b.drive, w->b.set);
    (void)snprintf(w->why, sizeof(w->why), "drive %u: %s", w->b.drive, problem_text());
    return NULL;
}

static bool two_drives_back_up_at_once(struct site *s)
{
    struct worker w[2] = {
        {s,
         {.drive = 0, .pool = "a", .tapes = TAPES("PBS003L8"), .new_set = true, .snapshots = 3, .chunks = 12},
         0,
         ""},
        {s,
         {.drive = 1, .pool = "b", .tapes = TAPES("PBS004L8"), .new_set = true, .snapshots = 3, .chunks = 12},
         0,
         ""},
    };
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        EXPECT(!pthread_create(&t[i], NULL, run_backup, &w[i]));
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < 2; i++)
        TRY(w[i].good || problem("%s", w[i].why));
    return job_unload(s, 1);
}

/* What the GUI does every five seconds, here all the time: from the same nexus and from another. */
struct poller {
    struct host *host;
    atomic_bool stop;
    unsigned asked, busy;
    bool good;
    char why[300];
};

static void *poll_status(void *arg)
{
    struct poller *p = arg;
    const struct timespec pause = {.tv_nsec = 20000000};
    struct unit *u = unit_open(p->host, 0), *c = unit_open(p->host, CHANGER);
    struct drive d = {.unit = u};
    p->good = u && c;
    while (p->good && !p->stop) {
        struct changer_status st;
        unsigned activity = 0;
        p->good = drive_activity(&d, &activity) && (p->asked % 10 || changer_status(c, &st));
        if (p->good && !(p->asked % 10))
            changer_status_free(&st);
        p->asked++;
        p->busy += activity != 0;
        nanosleep(&pause, NULL);
    }
    (void)snprintf(p->why, sizeof(p->why), "%s", problem_text());
    if (u)
        unit_close(u);
    if (c)
        unit_close(c);
    return NULL;
}

/* Unit attentions of a nexus are for its first commands. */
static void settle(struct host *h)
{
    for (int which = CHANGER; which <= 0; which++) {
        struct unit *u = unit_open(h, which);
        for (int i = 0; i < 4; i++)
            (void)OPTIONAL(sg_none(u, "TEST UNIT READY", CDB(0, 0, 0, 0, 0, 0), 30) == SG_GOOD);
        unit_close(u);
    }
}

static bool status_is_told_within_a_second_while_a_job_writes(struct site *s)
{
    struct poller p[2] = {{.host = s->host}, {.host = host_open("gui")}};
    struct backup b = {.pool = "daily", .tapes = TAPES("PBS001L8"), .snapshots = 4, .chunks = 40};
    pthread_t t[2];
    TRY(p[1].host && job_load(s, 0, "PBS001L8"));
    settle(p[0].host);
    settle(p[1].host);
    for (int i = 0; i < 2; i++)
        EXPECT(!pthread_create(&t[i], NULL, poll_status, &p[i]));
    bool good = job_backup(s, &b) && job_restore_set(s, 0, b.set);
    for (int i = 0; i < 2; i++) {
        p[i].stop = true;
        pthread_join(t[i], NULL);
    }
    host_close(p[1].host);
    for (int i = 0; good && i < 2; i++) {
        good = p[i].good || problem("status while writing: %s", p[i].why);
        if (good && p[i].asked < 5)
            good = problem("status was asked only %u times", p[i].asked);
    }
    return good;
}

const struct test backup_tests[] = {
    {"a job begins a media set", a_job_begins_a_media_set},
    {"later jobs append", later_jobs_append},
    {"the used capacity is told, with what is buffered", used_capacity_is_told_with_what_is_buffered},
    {"single snapshots come back by LOCATE", single_snapshots_come_back_by_locate},
    {"the newest catalog is found fast", the_newest_catalog_is_found_fast},
    {"the newest catalog is found by scanning", the_newest_catalog_is_found_by_scanning},
    {"a job spans tapes from early warning on", a_job_spans_tapes_from_early_warning_on},
    {"a snapshot over several tapes comes back", a_snapshot_over_several_tapes_comes_back},
    {"a catalog goes on behind early warning", a_catalog_goes_on_behind_early_warning},
    {"an expired tape is overwritten at file 1", an_expired_tape_is_overwritten_at_file_1},
    {"a job ejects its tape", a_job_ejects_its_tape},
    {"a job exports its media set", a_job_exports_its_media_set},
    {"two drives back up at once", two_drives_back_up_at_once},
    {"status is told within a second while a job writes", status_is_told_within_a_second_while_a_job_writes},
    {NULL, NULL},
};

/* ---- again, after the library was started anew or rebuilt ---- */

static bool all_media_sets_come_back_whole(struct site *s)
{
    unsigned sets = 0;
    for (size_t i = 0; i < s->inventory.n; i++) {
        const struct medium *m = &s->inventory.medium[i];
        if (uuid_is_zero(m->set) || m->sequence)
            continue;
        TRY(job_restore_set(s, 0, m->set));
        sets++;
    }
    EXPECT(sets);
    return true;
}

static bool the_catalog_is_found_again(struct site *s)
{
    return job_catalog(s, 0, "PBS002L8", false);
}

static bool a_snapshot_comes_back_by_locate_again(struct site *s)
{
    return job_restore_snapshot(s, 0, set_of(s, "PBS001L8"), 2);
}

static bool a_job_appends_again(struct site *s)
{
    struct backup b = {.pool = "daily", .tapes = TAPES("PBS001L8"), .snapshots = 1, .chunks = 4};
    return job_backup(s, &b) && job_restore_set(s, 0, b.set) && job_unload(s, 0);
}

const struct test restore_tests[] = {
    {"all media sets come back whole", all_media_sets_come_back_whole},
    {"the catalog is found again", the_catalog_is_found_again},
    {"a snapshot comes back by LOCATE again", a_snapshot_comes_back_by_locate_again},
    {"a job appends again", a_job_appends_again},
    {NULL, NULL},
};

/* ---- WORM ---- */

static bool a_worm_tape_is_labelled_filled_and_appended(struct site *s)
{
    struct backup b = {.pool = "worm", .tapes = TAPES("WORM01LY"), .new_set = true, .snapshots = 1, .chunks = 4};
    uint8_t density;
    bool worm = false;
    struct drive d;
    TRY(job_load(s, 0, "WORM01LY") && drive_open(&d, s->host, 0));
    bool good = drive_medium_configuration(&d, &density, &worm);
    TRY(drive_close(&d) && good);
    EXPECT(worm);
    TRY(inventory_find(&s->inventory, "WORM01LY") || job_label(s, 0, "WORM01LY", "worm"));
    TRY(job_backup(s, &b));
    b.new_set = false;
    return job_backup(s, &b) && job_restore_set(s, 0, b.set);
}

static bool a_worm_tape_is_neither_formatted_nor_overwritten(struct site *s)
{
    EXPECT(!job_format(s, 0, "WORM01LY", true) && strstr(problem_text(), "detected WORM media with data"));
    struct medium *m = inventory_find(&s->inventory, "WORM01LY");
    struct medium before = *m; /* a new set would forget its archives */
    m->entry = NULL;
    m->n = 0;
    struct backup b = {.pool = "worm", .tapes = TAPES("WORM01LY"), .new_set = true, .snapshots = 1, .chunks = 4};
    bool written = job_backup(s, &b);
    bool refused = strstr(problem_text(), "7/30/0c");
    medium_clear(m);
    *m = before;
    EXPECT(!written && refused);
    return job_restore_set(s, 0, m->set) && job_unload(s, 0);
}

/* ---- a tape that [retention] locks as it is written ---- */

/* barcode-label labelled it for another pool: that alone locks nothing. */
static bool a_labelled_tape_is_formatted_and_labelled_anew(struct site *s)
{
    struct medium *m = inventory_find(&s->inventory, "LOCK01L8");
    EXPECT(m && !m->n && strcmp(m->pool, "locked"));
    TRY(job_format(s, 0, "LOCK01L8", true));
    (void)strcpy(m->label, "-"); /* label-media refuses what the inventory knows */
    return job_label(s, 0, "LOCK01L8", "locked");
}

static bool a_job_begins_on_a_tape_that_it_locks(struct site *s)
{
    struct backup b = {.pool = "locked", .tapes = TAPES("LOCK01L8"), .new_set = true, .snapshots = 1, .chunks = 4};
    TRY(job_backup(s, &b));
    b.new_set = false;
    return job_backup(s, &b) && job_restore_set(s, 0, b.set);
}

static bool a_job_on_a_locked_tape_fails_as_on_worm(struct site *s)
{
    EXPECT(!job_format(s, 0, "LOCK01L8", true) && strstr(problem_text(), "7/30/0c"));
    struct medium *m = inventory_find(&s->inventory, "LOCK01L8");
    struct medium before = *m; /* a new set would forget its archives */
    m->entry = NULL;
    m->n = 0;
    struct backup b = {.pool = "locked", .tapes = TAPES("LOCK01L8"), .new_set = true, .snapshots = 1, .chunks = 4};
    bool written = job_backup(s, &b);
    bool refused = strstr(problem_text(), "7/30/0c");
    medium_clear(m);
    *m = before;
    EXPECT(!written && refused);
    return job_restore_set(s, 0, m->set) && job_unload(s, 0);
}

const struct test worm_tests[] = {
    {"a WORM tape is labelled, filled and appended to", a_worm_tape_is_labelled_filled_and_appended},
    {"a WORM tape is neither formatted nor overwritten", a_worm_tape_is_neither_formatted_nor_overwritten},
    {"a labelled tape that will be locked is formatted", a_labelled_tape_is_formatted_and_labelled_anew},
    {"a job begins on a tape that it locks", a_job_begins_on_a_tape_that_it_locks},
    {"a job on a locked tape fails as on WORM", a_job_on_a_locked_tape_fails_as_on_worm},
    {NULL, NULL},
};
