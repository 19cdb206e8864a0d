/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_encryption.c: media sets with a key: labels in the clear, archives encrypted by the drive. */
#include <string.h>

#include "tests/pbs/tests.h"

#define TAPES(...)                                                                                                     \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        __VA_ARGS__, NULL                                                                                              \
    }

static bool a_set_with_a_key_spans_tapes_and_comes_back(struct site *s)
{
    struct backup b = {.pool = "secret",
                       .tapes = TAPES("SMALL1L8", "SMALL2L8", "SMALL3L8"),
                       .new_set = true,
                       .encrypted = true,
                       .snapshots = 2,
                       .chunks = 20};
    TRY(job_backup(s, &b));
    EXPECT(b.tapes_used >= 2);
    return job_restore_set(s, 0, b.set) && job_restore_snapshot(s, 0, b.set, s->next_snapshot - 1);
}

static bool a_job_appends_with_the_key(struct site *s)
{
    struct backup b = {
        .pool = "secret", .tapes = TAPES("PBS003L8"), .new_set = true, .encrypted = true, .snapshots = 1, .chunks = 6};
    TRY(job_backup(s, &b));
    b.new_set = false;
    return job_backup(s, &b) && job_restore_set(s, 0, b.set) && job_catalog(s, 0, "PBS003L8", false);
}

/* The labels can be read, what is behind them not. */
static bool archives_are_refused(struct site *s, const uint8_t *key)
{
    struct drive d;
    struct found f;
    TRY(open_medium(s, &d, 0, inventory_find(&s->inventory, "PBS003L8")));
    bool good = key ? drive_key_on(&d, key) : drive_key_off(&d);
    bool refused = good && archive_read(&d, &f, NULL) != SG_GOOD && strstr(problem_text(), "sense 7/74/");
    TRY(drive_close(&d) && good);
    return refused || problem("encrypted data was not refused with 7/74");
}

static bool without_the_key_archives_cannot_be_read(struct site *s)
{
    return archives_are_refused(s, NULL);
}

static bool with_another_key_archives_cannot_be_read(struct site *s)
{
    uint8_t key[32];
    memset(key, 0x42, sizeof(key));
    return archives_are_refused(s, key);
}

/* PBS clears it, nothing else does. */
static bool a_key_stays_over_unload_until_it_is_cleared(struct site *s)
{
    uint8_t key[32];
    struct drive d;
    bool before = false, unloaded = false, after = false, cleared = true;
    memset(key, 0x42, sizeof(key));
    TRY(job_load(s, 0, "PBS003L8") && drive_open(&d, s->host, 0));
    bool good = drive_key_on(&d, key);
    drive_key_is_on(&d, &before);
    good = good && drive_unload(&d);
    drive_key_is_on(&d, &unloaded);
    good = good && drive_load(&d);
    drive_key_is_on(&d, &after);
    good = good && drive_key_off(&d);
    drive_key_is_on(&d, &cleared);
    TRY(drive_close(&d) && good);
    EXPECT(before && unloaded && after && !cleared);
    return true;
}

/* SECURITY PROTOCOL IN with its allocation length. */
static bool pbs_4_asks_with_an_allocation_length_of_8192(struct site *s)
{
    uint8_t b[8192];
    uint32_t got = 0;
    struct unit *u = unit_open(s->host, 0);
    bool good = u && sg_in(u, "SECURITY PROTOCOL IN", CDB(0xA2, 0x20, 0, 0x10, 0, 0, 0, 0, 0x20, 0, 0, 0), b, sizeof(b),
                           60, &got) == SG_GOOD;
    if (u)
        unit_close(u);
    TRY(good);
    EXPECT(got >= 44 && got == 4u + b[3] + 256u * b[2]);
    return true;
}

static bool a_set_without_a_key_follows_one_with(struct site *s)
{
    struct backup b = {.pool = "open", .tapes = TAPES("PBS003L8"), .new_set = true, .snapshots = 1, .chunks = 4};
    return job_backup(s, &b) && job_restore_set(s, 0, b.set);
}

const struct test encryption_tests[] = {
    {"a set with a key spans tapes and comes back", a_set_with_a_key_spans_tapes_and_comes_back},
    {"a job appends with the key", a_job_appends_with_the_key},
    {"without the key archives cannot be read", without_the_key_archives_cannot_be_read},
    {"with another key archives cannot be read", with_another_key_archives_cannot_be_read},
    {"a key stays over unload until it is cleared", a_key_stays_over_unload_until_it_is_cleared},
    {"PBS 4 asks with an allocation length of 8192", pbs_4_asks_with_an_allocation_length_of_8192},
    {"a set without a key follows one with", a_set_without_a_key_follows_one_with},
    {NULL, NULL},
};
