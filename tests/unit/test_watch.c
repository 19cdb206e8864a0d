/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_watch.c: trouble is told once, neither too early nor too late, and its end once, if it is true. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "vtl/cmd/unsaved.h"
#include "vtl/cmd/watch.h"

enum { START = 1000000, LOOK_S = 15, DAY = 24 * 3600 };

static struct watch_sign sign_of(bool bad)
{
    struct watch_sign s = {.is = bad ? WATCH_BAD : WATCH_GOOD};
    (void)snprintf(s.text, sizeof(s.text), "why");
    return s;
}

/* How often each was said from now until then, when the trouble is as it is. */
struct said {
    unsigned begins, goes_on, over;
    uint64_t began_at, over_at; /* of the last ones */
};

static void go_on(struct watch_trouble *t, enum watch_kind kind, bool bad, uint64_t *now, uint64_t seconds,
                  struct said *said)
{
    for (uint64_t until = *now + seconds; *now < until; *now += LOOK_S) {
        const struct watch_sign s = sign_of(bad);
        switch (watch_step(t, kind, &s, *now, DAY)) {
        case WATCH_BEGINS:
            said->begins++;
            said->began_at = *now;
            break;
        case WATCH_GOES_ON:
            said->goes_on++;
            break;
        case WATCH_IS_OVER:
            said->over++;
            said->over_at = *now;
            watch_clear(t);
            break;
        case WATCH_SAYS_NOTHING:
            break;
        }
    }
}

/* Whenever the first call fails between two looks. */
static void a_store_that_is_down_is_told_after_one_minute_and_within_two(void **state)
{
    (void)state;
    for (uint64_t before = 0; before < LOOK_S; before++) {
        struct watch_trouble t = {0};
        struct said said = {0};
        uint64_t now = START;
        for (; !said.begins; now += LOOK_S) {
            struct watch_sign s = sign_of(true);
            s.since = START - before;
            said.begins += watch_step(&t, WATCH_STORE, &s, now, DAY) == WATCH_BEGINS;
            said.began_at = now;
        }
        assert_int_equal(t.began, before ? START - before : START);
        assert_in_range(said.began_at - t.began, 60, 90);
    }
}

static void what_is_over_soon_is_never_told(void **state)
{
    (void)state;
    struct watch_trouble t = {0};
    struct said said = {0};
    uint64_t now = START;
    for (int i = 0; i < 100; i++) {
        go_on(&t, WATCH_STORE, true, &now, 45, &said);
        go_on(&t, WATCH_STORE, false, &now, 60, &said);
    }
    assert_int_equal(said.begins + said.goes_on + said.over, 0);
}

static void a_flapping_store_is_told_once_and_its_end_once(void **state)
{
    (void)state;
    struct watch_trouble t = {0};
    struct said said = {0};
    uint64_t now = START;
    for (int i = 0; i < 100; i++) {
        go_on(&t, WATCH_STORE, true, &now, 90, &said);
        go_on(&t, WATCH_STORE, false, &now, 90, &said);
    }
    assert_int_equal(said.begins, 1);
    assert_int_equal(said.over, 0);
    uint64_t good = now - 90;
    go_on(&t, WATCH_STORE, false, &now, 3600, &said);
    assert_int_equal(said.begins, 1);
    assert_int_equal(said.over, 1);
    assert_in_range(said.over_at - good, 120, 150);
    assert_int_equal(said.goes_on, 0);
}

static void trouble_that_stays_is_told_again_once_a_day(void **state)
{
    (void)state;
    struct watch_trouble t = {0};
    struct said said = {0};
    uint64_t now = START;
    go_on(&t, WATCH_STORE, true, &now, 5 * DAY + 200, &said);
    assert_int_equal(said.begins, 1);
    assert_int_equal(said.goes_on, 5);
}

static void what_gets_worse_is_told_at_once_and_what_gets_better_is_not(void **state)
{
    (void)state;
    static const struct {
        uint64_t weight;
        enum watch_says want;
    } looks[] = {{1, WATCH_BEGINS},       {1, WATCH_SAYS_NOTHING}, {3, WATCH_GOES_ON},
                 {3, WATCH_SAYS_NOTHING}, {2, WATCH_SAYS_NOTHING}, {4, WATCH_GOES_ON}};
    struct watch_trouble t = {0};
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        struct watch_sign s = sign_of(true);
        s.weight = looks[i].weight;
        assert_int_equal(watch_step(&t, WATCH_DAMAGE, &s, START + i * LOOK_S, DAY), looks[i].want);
    }
}

/* A library that does not answer says nothing of its store: neither that it is down, nor that it is well. */
static void what_is_not_known_changes_nothing(void **state)
{
    (void)state;
    struct watch_trouble t = {0};
    struct said said = {0};
    const struct watch_sign unknown = {.is = WATCH_NOT_KNOWN};
    uint64_t now = START;
    go_on(&t, WATCH_STORE, true, &now, 90, &said);
    assert_int_equal(said.begins, 1);
    for (; now < START + 2 * DAY; now += LOOK_S)
        assert_int_equal(watch_step(&t, WATCH_STORE, &unknown, now, DAY), WATCH_SAYS_NOTHING);
    assert_int_equal(t.good_since, 0);
}

static void what_an_earlier_run_told_is_not_told_again_and_its_end_is(void **state)
{
    (void)state;
    struct watch_trouble t = {.began = START, .told = START + 60, .number = 7, .weight = WATCH_WEIGHT_UNKNOWN};
    struct said said = {0};
    uint64_t now = START + 3600;
    struct watch_sign s = sign_of(true);
    s.weight = 5;
    assert_int_equal(watch_step(&t, WATCH_DAMAGE, &s, now, DAY), WATCH_SAYS_NOTHING);
    s.weight = 6;
    assert_int_equal(watch_step(&t, WATCH_DAMAGE, &s, now, DAY), WATCH_GOES_ON);
    go_on(&t, WATCH_DAMAGE, false, &now, 300, &said);
    assert_int_equal(said.over, 1);
}

/* A clock that is set back makes no time go by. */
static void a_clock_that_is_set_back_tells_nothing(void **state)
{
    (void)state;
    struct watch_trouble t = {0};
    struct said said = {0};
    uint64_t now = START;
    go_on(&t, WATCH_STORE, true, &now, 90, &said);
    now = START - DAY;
    go_on(&t, WATCH_STORE, true, &now, 3600, &said);
    assert_int_equal(said.begins, 1);
    assert_int_equal(said.goes_on, 0);
}

/* It was a day ahead when the trouble began, and is set right: from then on time goes by as ever. */
static void trouble_that_began_with_a_clock_ahead_is_told_and_its_end_too(void **state)
{
    (void)state;
    struct watch_trouble t = {0};
    struct said said = {0};
    uint64_t now = START, set = START - DAY;
    go_on(&t, WATCH_STORE, true, &now, 30, &said);
    now = set;
    go_on(&t, WATCH_STORE, true, &now, 90, &said);
    assert_int_equal(said.begins, 1);
    assert_in_range(said.began_at - set, 60, 75);
    now += DAY; /* and ahead once more as it ends */
    go_on(&t, WATCH_STORE, false, &now, 30, &said);
    now -= DAY;
    set = now;
    go_on(&t, WATCH_STORE, false, &now, 180, &said);
    assert_int_equal(said.over, 1);
    assert_in_range(said.over_at - set, 120, 135);
}

/* As told by an earlier run, whose clock was ahead. */
static void trouble_that_was_told_with_a_clock_ahead_is_told_again_a_day_later(void **state)
{
    (void)state;
    struct watch_trouble t = {.began = START + 300 * DAY, .told = START + 300 * DAY};
    struct said said = {0};
    uint64_t now = START;
    go_on(&t, WATCH_STORE, true, &now, DAY, &said);
    assert_int_equal(said.goes_on, 0);
    go_on(&t, WATCH_STORE, true, &now, 60, &said);
    assert_int_equal(said.goes_on, 1);
}

/* ---- what the library does not take ---- */

struct taken {
    bool takes;
    int64_t n;
    char text[200]; /* "began-ended ", of each */
};

static int take(void *arg, const json_t *record, int64_t *number)
{
    struct taken *t = arg;
    size_t at = strlen(t->text);
    if (!t->takes)
        return -1;
    *number = ++t->n;
    (void)snprintf(t->text + at, sizeof(t->text) - at, "%d-%d ",
                   (int)json_integer_value(json_object_get(record, "began")),
                   (int)json_integer_value(json_object_get(record, "ended")));
    return 0;
}

static void put_unsaved(struct unsaved *u, int began, int ended)
{
    json_t *record = json_pack("{s:i, s:i}", "began", began, "ended", ended);
    unsaved_put(u, WATCH_DISK, record);
    json_decref(record);
}

/* Else the first one would stay open in the report for ever. */
static void the_end_of_trouble_is_kept_although_the_next_one_begins(void **state)
{
    (void)state;
    struct unsaved u = {{NULL}};
    struct taken t = {.takes = false};
    int64_t number = 0;
    put_unsaved(&u, 10, 0);
    put_unsaved(&u, 10, 0); /* goes on */
    put_unsaved(&u, 10, 20);
    put_unsaved(&u, 30, 0);
    unsaved_try(&u, WATCH_DISK, take, &t, &number);
    assert_string_equal(t.text, "");
    t.takes = true;
    unsaved_try(&u, WATCH_DISK, take, &t, &number);
    assert_string_equal(t.text, "10-20 30-0 ");
    assert_int_equal(number, 2); /* of the present one */
    unsaved_try(&u, WATCH_DISK, take, &t, &number);
    assert_int_equal(t.n, 2);
    put_unsaved(&u, 30, 0);
    unsaved_put(&u, WATCH_DISK, NULL); /* a later one was taken at once */
    put_unsaved(&u, 30, 40);
    unsaved_put(&u, WATCH_DISK, NULL);
    unsaved_try(&u, WATCH_DISK, take, &t, &number);
    assert_string_equal(t.text, "10-20 30-0 30-40 ");
    assert_int_equal(number, 2);
    unsaved_free(&u);
}

/* ---- what a look means ---- */

static json_t *cartridge(const char *barcode, json_int_t local, json_int_t since, const char *flag)
{
    json_t *c = json_pack("{s:s, s:I, s:I, s:n}", "barcode", barcode, "local_only_bytes", local, "backlog_since", since,
                          "trouble");
    if (flag && !strcmp(flag, "lost_objects"))
        json_object_set_new(c, flag, json_integer(3));
    else if (flag)
        json_object_set_new(c, flag, json_true());
    return c;
}

static void look(json_t *figures, json_t *status, uint64_t disk_free, struct watch_sign signs[WATCH_KINDS])
{
    const struct watch_seen seen = {.now = START,
                                    .figures = figures,
                                    .status = status,
                                    .disk_free = disk_free,
                                    .disk_size = 1000,
                                    .least_free = 100,
                                    .backlog_age = 600,
                                    .escrow = ""};
    watch_look(&seen, signs);
    json_decref(figures);
    json_decref(status);
}

static void a_library_that_is_well_shows_nothing_bad(void **state)
{
    (void)state;
    struct watch_sign signs[WATCH_KINDS];
    look(json_pack("{s:b, s:i, s:i}", "trouble", 0, "failing_cartridges", 0, "trouble_ms", 0),
         json_pack("{s:[o, o]}", "cartridges", cartridge("AAA001L8", 0, 0, NULL),
                   cartridge("AAA002L8", 5, START - 600, NULL)),
         500, signs);
    for (unsigned k = 0; k < WATCH_KINDS; k++)
        assert_int_equal(signs[k].is, WATCH_GOOD);
}

static void each_trouble_is_seen_and_names_its_cartridge(void **state)
{
    (void)state;
    struct watch_sign signs[WATCH_KINDS];
    look(json_pack("{s:b, s:s, s:i}", "trouble", 1, "trouble_text", "PUT: 503", "trouble_ms", 42000),
         json_pack("{s:[o, o, o, o], s:i}", "cartridges", cartridge("OLD001L8", 5, START - 601, NULL),
                   cartridge("DAM001L8", 0, 0, "lost_objects"), cartridge("FEN001L8", 0, 0, "fenced"),
                   cartridge("LOS001L8", 0, 0, "lost"), "local_only_bytes", 5),
         99, signs);
    static const char *const names[WATCH_KINDS] = {
        [WATCH_STORE] = "PUT: 503",  [WATCH_BACKLOG] = "OLD001L8", [WATCH_DISK] = "99 B free",
        [WATCH_DAMAGE] = "DAM001L8", [WATCH_FENCED] = "FEN001L8",  [WATCH_LOST] = "LOS001L8"};
    for (unsigned k = 0; k < WATCH_HEALTH; k++) {
        assert_int_equal(signs[k].is, WATCH_BAD);
        assert_non_null(strstr(signs[k].text, names[k]));
    }
    assert_int_equal(signs[WATCH_SILENT].is, WATCH_GOOD);
    assert_int_equal(signs[WATCH_STORE].since, START - 42);
    assert_int_equal(signs[WATCH_DAMAGE].weight, 3);
}

static void too_few_blank_cartridges_are_told_with_the_reason(void **state)
{
    (void)state;
    struct watch_sign signs[WATCH_KINDS];
    json_t *status = json_pack("{s:[{s:s, s:s, s:i, s:i, s:n}, {s:s, s:s, s:i, s:i, s:s}]}", "blanks", "first", "A1L8",
                               "last", "A9L8", "keep", 2, "free", 2, "trouble", "first", "B1L8", "last", "B9L8", "keep",
                               5, "free", 3, "trouble", "no free slots");
    struct watch_seen seen = {.now = START, .status = status};
    watch_look(&seen, signs);
    assert_int_equal(signs[WATCH_BLANKS].is, WATCH_BAD);
    assert_int_equal(signs[WATCH_BLANKS].weight, 2);
    assert_string_equal(signs[WATCH_BLANKS].text, "3 of 5 blank cartridges of B1L8 to B9L8: no free slots");
    json_object_set_new(json_array_get(json_object_get(status, "blanks"), 1), "free", json_integer(5));
    watch_look(&seen, signs);
    assert_int_equal(signs[WATCH_BLANKS].is, WATCH_GOOD);
    json_decref(status);
}

static void a_cartridge_that_is_verified_a_day_too_late_is_told(void **state)
{
    (void)state;
    enum { LATER = 100 * DAY };
    struct watch_sign signs[WATCH_KINDS];
    json_t *status =
        json_pack("{s:I, s:[{s:s, s:i, s:I}, {s:s, s:i, s:I}]}", "verify_every", (json_int_t)30 * DAY, "cartridges",
                  "barcode", "AAA001L8", "stored_bytes", 5, "verified", (json_int_t)(LATER - 31 * DAY), "barcode",
                  "AAA002L8", "stored_bytes", 5, "verified", (json_int_t)(LATER - 2 * DAY));
    struct watch_seen seen = {.now = LATER, .status = status};
    watch_look(&seen, signs);
    assert_int_equal(signs[WATCH_VERIFY].is, WATCH_GOOD);
    seen.now = LATER + 60;
    watch_look(&seen, signs);
    assert_int_equal(signs[WATCH_VERIFY].is, WATCH_BAD);
    assert_string_equal(signs[WATCH_VERIFY].text,
                        "AAA001L8 was not verified for 31 d 0 h (1 cartridge later than every 30 d 0 h)");
    json_object_del(status, "verify_every");
    watch_look(&seen, signs);
    assert_int_equal(signs[WATCH_VERIFY].is, WATCH_GOOD);
    json_decref(status);
}

static json_t *quota(const char *cartridges, bool near, uint64_t on)
{
    return json_pack("{s:s, s:I, s:I, s:b, s:o}", "cartridges", cartridges, "used_bytes", (json_int_t)5000000000,
                     "limit_bytes", (json_int_t)10000000000, "near", (int)near, "full_on",
                     on ? json_integer((json_int_t)on) : json_null());
}

static void a_quota_is_told_when_it_is_near_or_will_be_within_a_week(void **state)
{
    (void)state;
    struct watch_sign signs[WATCH_KINDS];
    json_t *list = json_pack("[o, o]", quota("A*", false, 0), quota("B*", false, START + 8 * DAY));
    json_t *status = json_pack("{s:O}", "quotas", list);
    struct watch_seen seen = {.now = START, .status = status};
    watch_look(&seen, signs);
    assert_int_equal(signs[WATCH_QUOTA].is, WATCH_GOOD);
    json_array_set_new(list, 1, quota("B*", false, START + 6 * DAY));
    watch_look(&seen, signs);
    assert_int_equal(signs[WATCH_QUOTA].is, WATCH_BAD);
    assert_non_null(strstr(signs[WATCH_QUOTA].text, "the quota of B*: 5 GB of 10 GB are used, all of it on "));
    uint64_t foretold = signs[WATCH_QUOTA].weight;
    json_array_append_new(list, quota("C*", true, 0));
    watch_look(&seen, signs);
    assert_string_equal(signs[WATCH_QUOTA].text, "the quota of C*: 5 GB of 10 GB are used, and tapes are full");
    assert_true(signs[WATCH_QUOTA].weight > foretold); /* so it is told again */
    json_decref(list);
    json_decref(status);
}

static void an_escrow_is_told_once_it_was_bad_for_an_hour_or_a_day_too_late(void **state)
{
    (void)state;
    struct watch_sign signs[WATCH_KINDS];
    struct watch_trouble failing = {0}, late = {0};
    struct watch_seen seen = {.now = START};
    watch_look(&seen, signs);
    assert_int_equal(signs[WATCH_ESCROW].is, WATCH_NOT_KNOWN);
    seen.escrow = "no escrow could be made for 5 s: why";
    seen.escrow_since = START - 5;
    watch_look(&seen, signs);
    assert_int_equal(signs[WATCH_ESCROW].is, WATCH_BAD);
    assert_non_null(strstr(signs[WATCH_ESCROW].text, "5 s: why"));
    assert_int_equal(watch_step(&failing, WATCH_ESCROW, &signs[WATCH_ESCROW], START, DAY), WATCH_SAYS_NOTHING);
    assert_int_equal(watch_step(&failing, WATCH_ESCROW, &signs[WATCH_ESCROW], START + 3594, DAY), WATCH_SAYS_NOTHING);
    assert_int_equal(watch_step(&failing, WATCH_ESCROW, &signs[WATCH_ESCROW], START + 3595, DAY), WATCH_BEGINS);
    assert_string_equal(event_id(watch_event(WATCH_ESCROW, WATCH_BEGINS)), "escrow-old");
    seen.escrow_since = START - DAY - 1;
    watch_look(&seen, signs);
    assert_int_equal(watch_step(&late, WATCH_ESCROW, &signs[WATCH_ESCROW], START, DAY), WATCH_BEGINS);
    seen.escrow = "";
    watch_look(&seen, signs);
    assert_int_equal(watch_step(&late, WATCH_ESCROW, &signs[WATCH_ESCROW], START, DAY), WATCH_SAYS_NOTHING);
    assert_int_equal(watch_step(&late, WATCH_ESCROW, &signs[WATCH_ESCROW], START + 60, DAY), WATCH_IS_OVER);
    assert_string_equal(event_id(watch_event(WATCH_ESCROW, WATCH_IS_OVER)), "escrow-over");
}

static void a_library_that_does_not_answer_is_seen_and_nothing_else(void **state)
{
    (void)state;
    struct watch_sign signs[WATCH_KINDS];
    look(NULL, NULL, 105, signs);
    for (unsigned k = 0; k < WATCH_SILENT; k++)
        assert_int_equal(signs[k].is, WATCH_NOT_KNOWN); /* the disk is neither full nor well */
    assert_int_equal(signs[WATCH_SILENT].is, WATCH_BAD);
}

/* The answer of a library whose store tells so. */
static json_t *status_with(const char *trouble, json_t *findings)
{
    json_t *weak = json_pack("{s:s, s:f, s:i}", "barcode", "WEA002L8", "health", 0.25, "weak_objects", 3);
    json_t *weaker = json_pack("{s:s, s:f, s:i}", "barcode", "WEA003L8", "health", -0.5, "weak_objects", 1);
    json_t *well = json_pack("{s:s, s:f, s:i}", "barcode", "AAA001L8", "health", 0.75, "weak_objects", 0);
    return json_pack("{s:[o, o, o], s:{s:{s:f, s:s?, s:o}}}", "cartridges", well, weak, weaker, "store", "health",
                     "limit", 0.5, "trouble", trouble, "findings", findings);
}

static void a_cartridge_of_low_health_and_what_a_service_lacks_are_seen(void **state)
{
    (void)state;
    struct watch_sign signs[WATCH_KINDS];
    json_t *both = json_pack("[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}]", "severity", "warning", "text", "so what",
                             "severity", "critical", "text", "no hosts", "severity", "critical", "text", "no money");
    look(json_object(), status_with(NULL, both), 500, signs);
    assert_int_equal(signs[WATCH_HEALTH].is, WATCH_BAD);
    assert_string_equal(signs[WATCH_HEALTH].text,
                        "WEA003L8 has a health of -0.5 in the store, less than 0.5 (2 cartridges so low)");
    assert_int_equal(signs[WATCH_HEALTH].weight, 2);
    assert_int_equal(signs[WATCH_SERVICE].is, WATCH_BAD);
    assert_string_equal(signs[WATCH_SERVICE].text, "no hosts; and 1 more");
}

static void a_warning_of_the_service_alone_is_in_status_only(void **state)
{
    (void)state;
    struct watch_sign signs[WATCH_KINDS];
    look(json_object(), status_with(NULL, json_pack("[{s:s, s:s}]", "severity", "warning", "text", "so what")), 500,
         signs);
    assert_int_equal(signs[WATCH_SERVICE].is, WATCH_GOOD);
}

static void what_a_service_does_not_tell_is_neither_good_nor_bad(void **state)
{
    (void)state;
    struct watch_sign signs[WATCH_KINDS];
    look(json_object(), status_with("no answer", json_array()), 500, signs);
    assert_int_equal(signs[WATCH_HEALTH].is, WATCH_NOT_KNOWN);
    assert_int_equal(signs[WATCH_SERVICE].is, WATCH_NOT_KNOWN);
}

/* A directory has no health of its own. */
static void a_store_is_down_when_the_transfers_of_a_cartridge_fail(void **state)
{
    (void)state;
    struct watch_sign signs[WATCH_KINDS];
    look(json_pack("{s:b, s:i}", "trouble", 0, "failing_cartridges", 1), NULL, 500, signs);
    assert_int_equal(signs[WATCH_STORE].is, WATCH_BAD);
}

static void every_event_has_its_own_name(void **state)
{
    (void)state;
    for (unsigned e = 0; e < EVENT_COUNT; e++) {
        const struct event_described *d = event_describe((enum event)e);
        assert_non_null(d->id);
        assert_true(d->meaning[0] && strspn(d->id, "abcdefghijklmnopqrstuvwxyz-") == strlen(d->id));
        assert_int_equal(event_of(d->id), e);
    }
    for (unsigned k = 0; k < WATCH_KINDS; k++)
        assert_int_equal(watch_kind_of(watch_event((enum watch_kind)k, WATCH_BEGINS)), k);
    assert_int_equal(event_of("no-such"), EVENT_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_that_is_down_is_told_after_one_minute_and_within_two),
        cmocka_unit_test(what_is_over_soon_is_never_told),
        cmocka_unit_test(a_flapping_store_is_told_once_and_its_end_once),
        cmocka_unit_test(trouble_that_stays_is_told_again_once_a_day),
        cmocka_unit_test(what_gets_worse_is_told_at_once_and_what_gets_better_is_not),
        cmocka_unit_test(what_is_not_known_changes_nothing),
        cmocka_unit_test(what_an_earlier_run_told_is_not_told_again_and_its_end_is),
        cmocka_unit_test(a_clock_that_is_set_back_tells_nothing),
        cmocka_unit_test(trouble_that_began_with_a_clock_ahead_is_told_and_its_end_too),
        cmocka_unit_test(trouble_that_was_told_with_a_clock_ahead_is_told_again_a_day_later),
        cmocka_unit_test(the_end_of_trouble_is_kept_although_the_next_one_begins),
        cmocka_unit_test(a_library_that_is_well_shows_nothing_bad),
        cmocka_unit_test(each_trouble_is_seen_and_names_its_cartridge),
        cmocka_unit_test(too_few_blank_cartridges_are_told_with_the_reason),
        cmocka_unit_test(a_quota_is_told_when_it_is_near_or_will_be_within_a_week),
        cmocka_unit_test(a_cartridge_that_is_verified_a_day_too_late_is_told),
        cmocka_unit_test(an_escrow_is_told_once_it_was_bad_for_an_hour_or_a_day_too_late),
        cmocka_unit_test(a_library_that_does_not_answer_is_seen_and_nothing_else),
        cmocka_unit_test(a_cartridge_of_low_health_and_what_a_service_lacks_are_seen),
        cmocka_unit_test(a_warning_of_the_service_alone_is_in_status_only),
        cmocka_unit_test(what_a_service_does_not_tell_is_neither_good_nor_bad),
        cmocka_unit_test(a_store_is_down_when_the_transfers_of_a_cartridge_fail),
        cmocka_unit_test(every_event_has_its_own_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
