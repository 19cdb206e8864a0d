/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_media.c: labels, inventory, format, moves, status: the sequences that handle tapes. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/pbs/tests.h"

#define EMPTY_DRIVE 1 /* it stays empty in these tests */

static bool serials_differ(const struct changer_status *st)
{
    for (unsigned i = 0; i < st->drives; i++) {
        EXPECT(*st->drive[i].serial && !strchr(st->drive[i].serial, ' '));
        for (unsigned k = 0; k < i; k++)
            EXPECT(strcmp(st->drive[i].serial, st->drive[k].serial));
    }
    return true;
}

static bool status_of_the_changer_is_seven_commands_that_parse(struct site *s)
{
    struct changer_status st;
    TRY(job_status(s, &st));
    bool good = serials_differ(&st) && (status_slot_of(&st, "PBS001L8") || problem("PBS001L8 is in no slot"));
    changer_status_free(&st);
    return good;
}

static bool status_of_an_empty_drive_does_not_fail(struct site *s)
{
    struct drive_status st;
    struct timespec began, end;
    clock_gettime(CLOCK_MONOTONIC, &began);
    TRY(job_drive_status(s, EMPTY_DRIVE, &st));
    clock_gettime(CLOCK_MONOTONIC, &end);
    EXPECT(end.tv_sec - began.tv_sec < 3); /* with its CLOSE: the key is cleared */
    EXPECT(!st.ready && !st.activity && !st.mode.density && !st.alerts);
    return true;
}

static bool a_label_is_written_verified_and_read(struct site *s)
{
    struct labels l;
    TRY(job_load(s, 0, "PBS001L8") && job_label(s, 0, "PBS001L8", "daily") && job_read_label(s, 0, &l));
    EXPECT(l.labelled && !l.in_set && !strcmp(l.label, "PBS001L8"));
    EXPECT(!memcmp(l.uuid, inventory_find(&s->inventory, "PBS001L8")->uuid, 16));
    return true;
}

static bool a_label_is_refused_on_a_tape_that_is_not_empty(struct site *s)
{
    TRY(job_load(s, 0, "PBS001L8"));
    EXPECT(!job_label(s, 0, "OTHER1L8", "daily"));
    EXPECT(strstr(problem_text(), "not empty"));
    EXPECT(!inventory_find(&s->inventory, "OTHER1L8"));
    return true;
}

static bool barcode_label_labels_every_tape_but_cleaning_ones(struct site *s)
{
    unsigned n, again;
    TRY(job_barcode_label(s, 0, "daily", &n));
    EXPECT(n >= 3 && inventory_find(&s->inventory, "PBS002L8") && !inventory_find(&s->inventory, "CLN001L8"));
    TRY(job_barcode_label(s, 0, "daily", &again));
    EXPECT(!again);
    return true;
}

static bool update_inventory_finds_every_label_again(struct site *s)
{
    unsigned seen;
    TRY(job_unload(s, 0) && job_update_inventory(s, 0, &seen));
    EXPECT(seen == s->inventory.n);
    return true;
}

static bool status_of_a_loaded_drive_has_its_density_and_position(struct site *s)
{
    struct drive_status st;
    TRY(job_load(s, 0, "PBS001L8") && job_drive_status(s, 0, &st));
    EXPECT(st.ready && !st.activity && !st.alerts && st.mode.density == 0x5E && !st.mode.write_protect);
    EXPECT(st.mode.compression && st.mode.buffer_mode == 1 && !st.mode.block_length);
    EXPECT(st.statistics.present && st.statistics.mounts && st.usage.present);
    return true;
}

/* What labelling wrote there is read back as it was written, padded to the attribute's length; another tape has its
 * own.
 */
static bool cartridge_memory_has_the_label_and_the_pool(struct site *s)
{
    static const char *const labels[] = {"PBS003L8", "PBS002L8", "PBS003L8"};
    for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++) {
        struct drive d;
        char name[161], label[161], pool[161];
        TRY(job_load(s, 0, labels[i]) && drive_open(&d, s->host, 0));
        bool good = drive_attribute(&d, 0x0801, 32, name) && drive_attribute(&d, 0x0803, 160, label) &&
                    drive_attribute(&d, 0x0808, 160, pool);
        unsigned warnings = d.warnings;
        TRY(drive_close(&d) && good);
        EXPECT(!strcmp(name, "Proxmox Backup Server") && !strcmp(label, labels[i]) && !strcmp(pool, "daily"));
        EXPECT(!warnings);
    }
    return true;
}

static bool is_blank(struct site *s, unsigned drive)
{
    struct labels l;
    TRY(job_read_label(s, drive, &l));
    EXPECT(!l.labelled);
    return true;
}

/* The inventory knows it as blank, then labels it anew. */
static bool format_and_label(struct site *s, const char *label, bool fast)
{
    struct medium *m = inventory_find(&s->inventory, label);
    TRY(job_format(s, 0, label, fast) && is_blank(s, 0));
    medium_clear(m);
    memset(m->set, 0, sizeof(m->set));
    (void)strcpy(m->label, "-"); /* label-media refuses what the inventory knows */
    return job_label(s, 0, label, "daily");
}

static bool format_fast_makes_a_tape_blank(struct site *s)
{
    return format_and_label(s, "PBS002L8", true);
}

static bool format_slow_makes_a_tape_blank(struct site *s)
{
    return format_and_label(s, "PBS002L8", false);
}

static bool eject_media_unloads_and_moves_to_the_slot_it_came_from(struct site *s)
{
    struct changer_status st;
    TRY(job_status(s, &st));
    unsigned before = status_slot_of(&st, "PBS003L8");
    changer_status_free(&st);
    TRY(job_load(s, 0, "PBS003L8") && job_eject(s, 0) && job_status(s, &st));
    unsigned after = status_slot_of(&st, "PBS003L8");
    bool empty = !st.drive[0].full;
    changer_status_free(&st);
    EXPECT(before && before == after && empty);
    return true;
}

static bool a_tape_that_was_unloaded_in_the_drive_is_loaded_again(struct site *s)
{
    struct drive d;
    struct labels l;
    TRY(job_load(s, 0, "PBS003L8") && drive_open(&d, s->host, 0));
    bool good = drive_unload(&d);
    TRY(drive_close(&d) && good);
    TRY(job_read_label(s, 0, &l)); /* OPEN sends LOAD */
    EXPECT(l.labelled && !strcmp(l.label, "PBS003L8"));
    return true;
}

static bool load_on_a_loaded_tape_succeeds(struct site *s)
{
    struct drive d;
    TRY(job_load(s, 0, "PBS003L8") && drive_open(&d, s->host, 0));
    bool good = drive_load(&d) && drive_load(&d);
    return drive_close(&d) && good;
}

static bool a_tape_goes_out_by_an_import_export_slot_and_comes_back(struct site *s)
{
    struct changer_status st;
    unsigned slot;
    TRY(job_load(s, 0, "PBS003L8") && job_export(s, 0, "PBS003L8", &slot) && job_status(s, &st));
    bool there = slot > st.storage && status_slot_of(&st, "PBS003L8") == slot && !st.drive[0].full;
    changer_status_free(&st);
    EXPECT(there);
    EXPECT(!job_load(s, 0, "PBS003L8") && strstr(problem_text(), "inside import/export slot"));
    TRY(job_import(s, "PBS003L8"));
    return job_load(s, 0, "PBS003L8");
}

static bool a_move_to_a_full_slot_fails_with_its_sense(struct site *s)
{
    struct changer_status st;
    TRY(job_status(s, &st));
    unsigned a = status_slot_of(&st, "PBS001L8"), b = status_slot_of(&st, "PBS004L8");
    changer_status_free(&st);
    EXPECT(a && b);
    struct unit *c = unit_open(s->host, CHANGER);
    bool moved = changer_transfer(c, a, b);
    unit_close(c);
    EXPECT(!moved && strstr(problem_text(), "5/3b/0d"));
    return true;
}

static bool clean_drive_moves_the_cleaning_tape_in_and_out(struct site *s)
{
    return job_clean(s, 0);
}

static bool two_loads_of_one_tape_at_once_let_one_win(struct site *s);

static bool the_programmable_early_warning_can_be_cleared(struct site *s)
{
    struct drive d;
    TRY(job_load(s, 0, "PBS001L8") && drive_open(&d, s->host, 0));
    bool good = drive_clear_pews(&d) && drive_clear_pews(&d);
    return drive_close(&d) && good;
}

/* ---- concurrent moves ---- */

struct loader {
    struct site *s;
    unsigned drive;
    bool good;
};

static void *load_it(void *arg)
{
    struct loader *l = arg;
    l->good = job_load(l->s, l->drive, "PBS004L8");
    return NULL;
}

static bool two_loads_of_one_tape_at_once_let_one_win(struct site *s)
{
    struct loader l[2] = {{s, 0, false}, {s, 1, false}};
    struct changer_status st;
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        EXPECT(!pthread_create(&t[i], NULL, load_it, &l[i]));
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    EXPECT(l[0].good != l[1].good);
    unsigned winner = l[1].good;
    TRY(job_status(s, &st));
    bool there = st.drive[winner].full && !strcmp(st.drive[winner].tag, "PBS004L8");
    bool other = st.drive[!winner].full && !strcmp(st.drive[!winner].tag, "PBS004L8");
    bool full[2] = {st.drive[0].full, st.drive[1].full};
    changer_status_free(&st);
    EXPECT(there && !other);
    for (unsigned i = 0; i < 2; i++)
        TRY(!full[i] || job_unload(s, i));
    return true;
}

/* ---- LTO-9: erased, not formatted, when it must be fast ---- */

static bool lto_9_tapes_are_labelled_and_formatted_both_ways(struct site *s)
{
    unsigned n;
    struct drive_status st;
    TRY(job_barcode_label(s, 0, "daily", &n));
    EXPECT(n == 2);
    (void)strcpy(inventory_find(&s->inventory, "PBS001L9")->label, "-");
    TRY(job_format(s, 0, "PBS001L9", true) && is_blank(s, 0) && job_label(s, 0, "PBS001L9", "daily"));
    TRY(job_format(s, 0, "PBS001L9", false) && is_blank(s, 0) && job_drive_status(s, 0, &st));
    EXPECT(st.mode.density == 0x60 && st.position.object == 0);
    return true;
}

const struct test lto9_tests[] = {
    {"LTO-9 tapes are labelled and formatted, fast and slow", lto_9_tapes_are_labelled_and_formatted_both_ways},
    {NULL, NULL},
};

/* ---- the first that is asked of a changer that was started again ---- */

static bool changer_says(struct site *s, unsigned attentions)
{
    struct changer_status st;
    TRY(job_status(s, &st));
    unsigned n = st.attentions;
    changer_status_free(&st);
    return n == attentions || problem("%u warnings, not %u", n, attentions);
}

static bool the_changer_is_as_it_was(struct site *s)
{
    return changer_says(s, 0);
}

static bool the_changer_tells_of_what_changed_meanwhile(struct site *s)
{
    return changer_says(s, 1) && changer_says(s, 0);
}

const struct test restarted_tests[] = {
    {"after a restart the changer gives no warning", the_changer_is_as_it_was},
    {NULL, NULL},
};

const struct test changed_tests[] = {
    {"what an operator moved while nothing served is told", the_changer_tells_of_what_changed_meanwhile},
    {NULL, NULL},
};

const struct test media_tests[] = {
    {"the changer's status is seven commands that parse", status_of_the_changer_is_seven_commands_that_parse},
    {"the status of an empty drive is quick and does not fail", status_of_an_empty_drive_does_not_fail},
    {"a label is written, verified and read", a_label_is_written_verified_and_read},
    {"a label is refused on a tape that is not empty", a_label_is_refused_on_a_tape_that_is_not_empty},
    {"barcode-label labels every tape but cleaning ones", barcode_label_labels_every_tape_but_cleaning_ones},
    {"update-inventory finds every label again", update_inventory_finds_every_label_again},
    {"the status of a loaded drive has its density and defaults",
     status_of_a_loaded_drive_has_its_density_and_position},
    {"the cartridge memory has the label and the pool", cartridge_memory_has_the_label_and_the_pool},
    {"format, fast, makes a tape blank", format_fast_makes_a_tape_blank},
    {"format, slow, makes a tape blank", format_slow_makes_a_tape_blank},
    {"eject-media unloads, and moves to the slot it came from", eject_media_unloads_and_moves_to_the_slot_it_came_from},
    {"a tape that was unloaded in the drive is loaded again", a_tape_that_was_unloaded_in_the_drive_is_loaded_again},
    {"LOAD on a loaded tape succeeds", load_on_a_loaded_tape_succeeds},
    {"a tape goes out by an import/export slot and comes back",
     a_tape_goes_out_by_an_import_export_slot_and_comes_back},
    {"a move to a full slot fails with its sense", a_move_to_a_full_slot_fails_with_its_sense},
    {"clean moves the cleaning tape in and out", clean_drive_moves_the_cleaning_tape_in_and_out},
    {"the programmable early warning can be cleared, as PBS 4 does", the_programmable_early_warning_can_be_cleared},
    {"of two loads of one tape at once, one wins", two_loads_of_one_tape_at_once_let_one_win},
    {NULL, NULL},
};
