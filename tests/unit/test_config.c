/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_config.c: what the configuration accepts, what is in force then, and the one line for each mistake. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "vtl/config/config_private.h"

/* A directory of its own for each test, with the file that is read and a secret. */
struct place {
    char dir[64], conf[80], secret[80];
};

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/s3vtl-config-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    (void)snprintf(p->conf, sizeof(p->conf), "%s/conf", p->dir);
    (void)snprintf(p->secret, sizeof(p->secret), "%s/secret", p->dir);
    write_file(p->secret, "correct-horse-1\n", 0600);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    unlink(p->conf);
    unlink(p->secret);
    rmdir(p->dir);
    free(p);
    return 0;
}

/* Every "@" in text stands for the secret's path. */
static struct vtl_config *load(const struct place *p, const char *text, struct errtext *err)
{
    char full[8000] = "";
    size_t n = 0;
    for (; *text; text++)
        n +=
            (size_t)snprintf(full + n, sizeof(full) - n, *text == '@' ? "%s" : "%.1s", *text == '@' ? p->secret : text);
    write_file(p->conf, full, 0644);
    struct vtl_config *c = NULL;
    err->text[0] = '\0';
    int rc = config_load(p->conf, &c, err);
    assert_int_equal(rc == 0, c != NULL);
    assert_int_equal(rc == 0, err->text[0] == '\0');
    return c;
}

static struct vtl_config *good(const struct place *p, const char *text)
{
    struct errtext err;
    struct vtl_config *c = load(p, text, &err);
    if (!c)
        fail_msg("refused: %s", err.text);
    return c;
}

/* The file is refused by a line that begins with its name and goes on with what is expected. */
static void bad(const struct place *p, const char *text, const char *expected)
{
    struct errtext err;
    struct vtl_config *c = load(p, text, &err);
    if (c)
        fail_msg("accepted: %s", text);
    size_t n = strlen(p->conf);
    if (strncmp(err.text, p->conf, n) || strncmp(err.text + n, expected, strlen(expected)) || strchr(err.text, '\n'))
        fail_msg("expected \"FILE%s...\", got \"%s\"", expected, err.text);
}

#define DIR_STORE "[library]\nstate_dir = /s\n[store]\npath = /p\n"
#define S3_STORE                                                                                                       \
    "[library]\nstate_dir = /s\n[store]\ntype = s3\nurl = http://127.0.0.1:1\nbucket = tapes\ncredentials_file = @\n"

/* ---- what is in force ---- */

static void defaults_are_those_of_the_documentation(void **state)
{
    struct vtl_config *c = good(*state, DIR_STORE);
    assert_string_equal(c->library.name, "s3vtl");
    assert_string_equal(c->library.state_dir, "/s");
    assert_int_equal(c->library.drives, 2);
    assert_int_equal(c->library.slots, 40);
    assert_int_equal(c->library.import_export, 4);
    assert_int_equal(c->library.generation, 8);
    assert_string_equal(c->iscsi.portal, "127.0.0.1:3260");
    assert_string_equal(c->iscsi.target, "iqn.2026-11.s3vtl:s3vtl");
    assert_string_equal(c->iscsi.chap_user, "");
    assert_string_equal(c->iscsi.initiators, "");
    assert_string_equal(c->store.type, "dir");
    assert_string_equal(c->store.region, "us-east-1");
    assert_string_equal(c->store.style, "path");
    assert_int_equal(c->store.parallel, 4);
    assert_int_equal(c->spool.durability, DURABILITY_LOCAL);
    assert_int_equal(c->spool.max_dirty, 8ull << 30);
    assert_int_equal(c->spool.cache_size, 16ull << 30);
    assert_int_equal(c->spool.segment_size, 40ull << 20);
    assert_int_equal(c->spool.idle_seal, 30000);
    assert_string_equal(c->metrics.listen, "");
    assert_string_equal(c->notify.command, "");
    assert_string_equal(c->notify.url, "");
    assert_int_equal(c->notify.repeat, 86400000);
    assert_int_equal(c->notify.backlog_age, 86400000);
    assert_int_equal(c->notify.disk_free, UINT64_C(2) << 30);
    config_free(c);
}

static void every_key_of_the_file_is_taken(void **state)
{
    struct place *p = *state;
    struct vtl_config *c = good(
        p,
        "[library]\nname = vault_1\nstate_dir = /s\ndrives = 3\nslots = 7\nimport_export = 0\ndrive_type = LTO-9\n"
        "serial_prefix = ABC\n[iscsi]\nportal = [::1]:99\ntarget = iqn.2001-04.com.example:x\nchap_user = u\n"
        "chap_password_file = @\nmutual_user = m\nmutual_password_file = @\ninitiators = iqn.a, eui.b\n"
        "[store]\ntype = s3\nurl = https://h\nbucket = tapes\nprefix = a/b\nregion = eu-1\ncredentials_file = @\n"
        "ca_file = @\nstyle = virtual\nparallel = 9\nkind = s3d\nadmin_url = http://h:8001\nadmin_password_file = @\n"
        "[spool]\ndurability = offsite\nmax_dirty = 1T\ncache_size = 0\n"
        "segment_size = 80M\nidle_seal = 1500ms\n[metrics]\nlisten = [::1]:9117\n"
        "[notify]\ncommand = /bin/tell\nurl = HTTPS://h/x?y=z\nrepeat = 2d\nbacklog_age = 90m\ndisk_free = 0\n");
    assert_string_equal(c->library.name, "vault_1");
    assert_int_equal(c->library.drives, 3);
    assert_int_equal(c->library.slots, 7);
    assert_int_equal(c->library.import_export, 0);
    assert_int_equal(c->library.generation, 9);
    assert_string_equal(c->library.serial_prefix, "ABC");
    assert_string_equal(c->iscsi.portal, "[::1]:99");
    assert_string_equal(c->iscsi.target, "iqn.2001-04.com.example:x");
    assert_string_equal(c->iscsi.chap_user, "u");
    assert_string_equal(c->iscsi.chap_password_file, p->secret);
    assert_string_equal(c->iscsi.mutual_user, "m");
    assert_string_equal(c->iscsi.mutual_password_file, p->secret);
    assert_string_equal(c->iscsi.initiators, "iqn.a eui.b");
    assert_int_equal(c->spool.durability, DURABILITY_OFFSITE);
    assert_int_equal(c->spool.max_dirty, 1ull << 40);
    assert_int_equal(c->spool.cache_size, 0);
    assert_int_equal(c->spool.segment_size, 80ull << 20);
    assert_int_equal(c->spool.idle_seal, 1500);
    assert_string_equal(c->metrics.listen, "[::1]:9117");
    assert_string_equal(c->notify.command, "/bin/tell");
    assert_string_equal(c->notify.url, "HTTPS://h/x?y=z");
    assert_int_equal(c->notify.repeat, 172800000);
    assert_int_equal(c->notify.backlog_age, 5400000);
    assert_int_equal(c->notify.disk_free, 0);
    struct objstore_config o;
    config_store(c, &o);
    assert_string_equal(o.type, "s3");
    assert_string_equal(o.url, "https://h");
    assert_string_equal(o.bucket, "tapes");
    assert_string_equal(o.prefix, "a/b");
    assert_string_equal(o.region, "eu-1");
    assert_string_equal(o.credentials_file, p->secret);
    assert_string_equal(o.ca_file, p->secret);
    assert_string_equal(o.style, "virtual");
    assert_int_equal(o.parallel, 9);
    assert_string_equal(o.kind, "s3d");
    assert_string_equal(o.admin_url, "http://h:8001");
    assert_string_equal(o.admin_password_file, p->secret);
    assert_false(o.admin_password_by_systemd);
    config_free(c);
}

static void what_the_file_gives_is_told_from_defaults(void **state)
{
    struct vtl_config *c = good(*state, DIR_STORE "[spool]\nidle_seal = 30s\n");
    struct config_shown k;
    size_t n = 0;
    for (; config_show(c, n, &k); n++) {
        bool given = !strcmp(k.name, "state_dir") || !strcmp(k.name, "idle_seal") ||
                     (!strcmp(k.name, "path") && !strcmp(k.section, "store"));
        assert_int_equal(k.given, given);
    }
    assert_int_equal(n, config_n_keys);
    config_free(c);
}

static void what_is_shown_reads_back_the_same(void **state)
{
    const struct place *p = *state;
    char text[8000] = "";
    struct config_shown shown, again;
    size_t n = 0;
    struct vtl_config *c =
        good(p, S3_STORE "[iscsi]\naddresses = 10.0.0.0/8 ::1\n[spool]\nsegment_size = 1536K\n"
                         "idle_seal = 2m\nmax_dirty = 33554433\ncache_size = 64 GB\nwrite_buffer = 1536 kB\n");
    for (size_t i = 0; config_show(c, i, &shown); i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "[%s]\n%s = %s\n", shown.section, shown.name, shown.value);
    struct vtl_config *d = good(p, text);
    for (size_t i = 0; config_show(c, i, &shown); i++) {
        assert_true(config_show(d, i, &again));
        assert_string_equal(shown.value, again.value);
    }
    config_free(c);
    config_free(d);
}

static void defaults_that_follow_from_the_name_differ_between_names(void **state)
{
    struct vtl_config *a = good(*state, DIR_STORE "[library]\nname = vault_A\n");
    struct vtl_config *b = good(*state, DIR_STORE "[library]\nname = vault_B\n");
    struct vtl_config *again = good(*state, DIR_STORE "[library]\nname = vault_A\n");
    assert_string_equal(a->iscsi.target, "iqn.2026-11.s3vtl:vault-A");
    assert_string_not_equal(a->iscsi.target, b->iscsi.target);
    assert_string_not_equal(a->library.serial_prefix, b->library.serial_prefix);
    assert_string_equal(a->library.serial_prefix, again->library.serial_prefix);
    assert_int_equal(strlen(a->library.serial_prefix), 7);
    assert_memory_equal(a->library.serial_prefix, "S3", 2);
    config_free(a);
    config_free(b);
    config_free(again);
}

static void a_file_may_have_comments_blanks_indents_and_dos_lines(void **state)
{
    struct vtl_config *c = good(*state, "; a comment\r\n# another\r\n\r\n[library] ; here\r\n  state_dir=/s\r\n"
                                        "\tdrives  =  5   ; five\r\n  slots = 6\r\n[store]\r\npath: /p");
    assert_string_equal(c->library.state_dir, "/s");
    assert_int_equal(c->library.drives, 5);
    assert_int_equal(c->library.slots, 6);
    assert_string_equal(c->store.path, "/p");
    config_free(c);
}

static void lists_may_be_repeated(void **state)
{
    struct vtl_config *c = good(*state, DIR_STORE "[iscsi]\ninitiators = iqn.a:1,iqn.b:2\ninitiators = iqn.c:3\n");
    assert_string_equal(c->iscsi.initiators, "iqn.a:1 iqn.b:2 iqn.c:3");
    config_free(c);
}

/* ---- sizes and times ---- */

static void sizes_are_binary_but_with_a_B_alone(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } right[] = {{"0", 0},
                 {"512", 512},
                 {"1K", 1 << 10},
                 {"40M", 40 << 20},
                 {"8g", 8ull << 30},
                 {"12T", 12ull << 40},
                 {"1P", 1ull << 50},
                 {"3MiB", 3 << 20},
                 {"3MB", 3000000},
                 {"2TB", 2000000000000},
                 {"2TiB", 2ull << 40},
                 {"2T", 2ull << 40},
                 {"64 GB", 64000000000},
                 {"64  GiB", 64ull << 30},
                 {"1 M", 1 << 20},
                 {"1kB", 1000},
                 {"7B", 7},
                 {"9223372036854775807", INT64_MAX}};
    static const char *const wrong[] = {"",
                                        "M",
                                        "-1",
                                        "1.5G",
                                        "1 ",
                                        "1 X",
                                        "1MBi",
                                        "1Bi",
                                        "9223372037GB",
                                        "1X",
                                        "1MiBs",
                                        "+1",
                                        "0x1",
                                        "8192P",
                                        " 1",
                                        "1Mi ",
                                        "99999999999999999999",
                                        "9223372036854775808"};
    (void)state;
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        uint64_t n = ~0ull;
        assert_true(config_parse_size(right[i].text, &n));
        assert_int_equal(n, right[i].bytes);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint64_t n;
        if (config_parse_size(wrong[i], &n))
            fail_msg("accepted: %s", wrong[i]);
    }
}

static void times_need_a_unit(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } right[] = {{"500ms", 500}, {"5s", 5000}, {"2m", 120000}, {"1h", 3600000}, {"7d", 604800000}, {"0s", 0}};
    static const char *const wrong[] = {
        "", "5", "s", "5 s", "-5s", "1.5s", "5w", "5sec", "99999999999999999999s", "18446744073709551615h"};
    (void)state;
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        uint64_t n = ~0ull;
        assert_true(config_parse_time(right[i].text, &n));
        assert_int_equal(n, right[i].ms);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint64_t n;
        if (config_parse_time(wrong[i], &n))
            fail_msg("accepted: %s", wrong[i]);
    }
}

static void a_fraction_has_three_decimals_at_most_and_is_shown_as_short_as_can_be(void **state)
{
    static const struct {
        const char *text, *shown;
        unsigned thousandths;
    } right[] = {{"0", "0", 0},           {"1", "1", 1000},      {"0.5", "0.5", 500},  {"0.50", "0.5", 500},
                 {"0.125", "0.125", 125}, {"0.001", "0.001", 1}, {"1.000", "1", 1000}, {"0.0", "0", 0}};
    static const char *const wrong[] = {"",     ".5",     "0.",  "1.001", "2",    "-0.5",
                                        "0.5x", "0.0005", "0,5", "00.5",  " 0.5", "50%"};
    char shown[8];
    (void)state;
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        unsigned n = 9999;
        assert_true(config_parse_fraction(right[i].text, &n));
        assert_int_equal(n, right[i].thousandths);
        config_show_fraction(n, shown, sizeof(shown));
        assert_string_equal(shown, right[i].shown);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        unsigned n;
        if (config_parse_fraction(wrong[i], &n))
            fail_msg("accepted: %s", wrong[i]);
    }
}

/* ---- mistakes ---- */

static void an_unknown_key_is_named_with_the_nearest_known(void **state)
{
    bad(*state, DIR_STORE "[spool]\ndurabilty = local\n",
        ":6: [spool] durabilty: unknown key; did you mean [spool] durability?");
    bad(*state, DIR_STORE "bukcet = x\n", ":5: [store] bukcet: unknown key; did you mean [store] bucket?");
    bad(*state, DIR_STORE "drives = 2\n", ":5: [store] drives: unknown key; did you mean [library] drives?");
}

static void a_window_is_times_with_a_rate_or_without(void **state)
{
    struct errtext err = {""};
    struct vtl_config *c = load(
        *state, DIR_STORE "[verify]\nevery = 30d\nwindow = 20M mon-fri 01:00-06:00, sat-sun\nbudget = 200G\n", &err);
    assert_non_null(c);
    assert_int_equal(c->verify.every, 30ull * 86400000);
    assert_int_equal(c->verify.budget, 200ull << 30);
    assert_int_equal(c->verify.when.n, 2);
    assert_int_equal(c->verify.when.of[0].bytes, 20u << 20);
    assert_int_equal(c->verify.when.of[1].bytes, 0);
    config_free(c);
    bad(*state, DIR_STORE "[verify]\nwindow = at night\n",
        ":6: [verify] window = at night: must be unlimited, or times");
    bad(*state, DIR_STORE "[verify]\nwindow = 25:00-26:00\n",
        ":6: [verify] window = 25:00-26:00: must be unlimited, or times");
    bad(*state, DIR_STORE "[verify]\nevery = 5s\n", ":6: [verify] every = 5s: must be off, or a time from 1m to 365d");
    bad(*state, DIR_STORE "[verify]\nbudget = 10K\n", ":6: [verify] budget = 10K: must be off, or a size from 1M");
}

static void quotas_say_patterns_and_sizes(void **state)
{
    struct errtext err = {""};
    struct config_quota all[CONFIG_MAX_QUOTAS];
    struct vtl_config *c = load(*state, DIR_STORE "[quota]\nlibrary = 20TB\npools = PBS*:15T\tWEEK[01]?L8:16M\n", &err);
    assert_non_null(c);
    assert_int_equal(config_quotas(c->quota.library, c->quota.pools, all), 3);
    assert_string_equal(all[0].pattern, "*");
    assert_int_equal(all[0].bytes, 20000000000000);
    assert_string_equal(all[2].pattern, "WEEK[01]?L8");
    assert_int_equal(all[2].bytes, CONFIG_MIN_QUOTA);
    config_free(c);
    const char *wrong[] = {"PBS*", "PBS*:", ":5T", "PBS*:15M", "PBS*:x", "PBS/*:5T", "PBS*:5T,WEEK*:2T"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[200], line[200];
        (void)snprintf(text, sizeof(text), DIR_STORE "[quota]\npools = %s\n", wrong[i]);
        (void)snprintf(line, sizeof(line), ":6: [quota] pools = %s: must be patterns of barcodes and a size", wrong[i]);
        bad(*state, text, line);
    }
    bad(*state, DIR_STORE "[quota]\nlibrary = 1M\n", ":6: [quota] library = 1M: must be off, or a size from 16M");
}

static void retention_says_patterns_modes_and_days(void **state)
{
    struct errtext err = {""};
    struct config_retention all[CONFIG_MAX_RETENTION];
    struct vtl_config *c =
        load(*state, DIR_STORE "[retention]\ntapes = PBS*:governance:90d\tYEAR[01]?L8:compliance:36500d\n", &err);
    assert_non_null(c);
    assert_int_equal(config_retention(c->retention.tapes, all), 2);
    assert_string_equal(all[0].pattern, "PBS*");
    assert_false(all[0].compliance);
    assert_int_equal(all[0].seconds, 90 * 86400);
    assert_string_equal(all[1].pattern, "YEAR[01]?L8");
    assert_true(all[1].compliance);
    assert_int_equal(all[1].seconds, UINT64_C(36500) * 86400);
    config_free(c);
    c = load(*state, DIR_STORE, &err);
    assert_int_equal(config_retention(c->retention.tapes, all), 0);
    config_free(c);
    const char *wrong[] = {"PBS*",          "PBS*:90d",          "PBS*:governance",       ":governance:90d",
                           "PBS*:worm:90d", "PBS*:governance:",  "PBS*:governance:0d",    "PBS*:governance:-1d",
                           "PBS*::90d",     "PBS*:governance:9", "PBS*:compliance:36501d"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[200], line[200];
        (void)snprintf(text, sizeof(text), DIR_STORE "[retention]\ntapes = %s\n", wrong[i]);
        (void)snprintf(line, sizeof(line), ":6: [retention] tapes = %s: must be patterns of barcodes, with", wrong[i]);
        bad(*state, text, line);
    }
}

static void blanks_say_names_and_how_many(void **state)
{
    struct errtext err = {""};
    struct config_blanks all[CONFIG_MAX_BLANKS];
    struct vtl_config *c =
        load(*state, DIR_STORE "[library]\nblanks = PBS{001..999}L8:5\tWEEK{01..52}L8:52 ONE:1\n", &err);
    assert_non_null(c);
    assert_int_equal(config_blanks(c->library.blanks, all, &err), 3);
    assert_int_equal(all[0].keep, 5);
    assert_string_equal(all[1].names.before, "WEEK");
    assert_int_equal(all[1].keep, 52);
    assert_int_equal(name_range_count(&all[2].names), 1);
    config_free(c);
    const char *wrong[] = {"PBS{001..999}L8",        "PBS{001..999}L8:",   "PBS{001..999}L8:0",
                           "PBS{001..999}L8:x",      "PBS{001..999}L8:+5", "PBS{1..3}L8:4",
                           "PBS{0001..9999}L8:1001", "PBS/{1..3}:1",       "PBS{1..3:1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[200], line[200];
        (void)snprintf(text, sizeof(text), DIR_STORE "[library]\nblanks = %s\n", wrong[i]);
        (void)snprintf(line, sizeof(line), ":6: [library] blanks = %s: must be names that count up and how many",
                       wrong[i]);
        bad(*state, text, line);
    }
}

static void dedup_is_for_cartridges_of_the_patterns(void **state)
{
    static const struct {
        const char *tapes;
        bool pbs, week;
    } cases[] = {{"", false, false},
                 {"tapes = off\n", false, false},
                 {"tapes = *\n", true, true},
                 {"tapes = PBS*\n", true, false},
                 {"tapes = * !WEEK*\n", true, false},
                 {"tapes = WEEK?01* PBS00[23]L8\n", false, true},
                 {"tapes = !WEEK* *\n", true, true}}; /* what comes last counts */
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[400];
        (void)snprintf(text, sizeof(text), DIR_STORE "[dedup]\n%s", cases[i].tapes);
        struct vtl_config *c = good(*state, text);
        assert_int_equal(config_dedups(c, "PBS001L8"), cases[i].pbs);
        assert_int_equal(config_dedups(c, "WEEK001L8"), cases[i].week);
        config_free(c);
    }
    bad(*state, DIR_STORE "[dedup]\ntapes = PBS*,WEEK*\n", ":6: [dedup] tapes = PBS*,WEEK*: must be off, or patterns");
    bad(*state, DIR_STORE "[dedup]\ncut = TAR*,X\n", ":6: [dedup] cut = TAR*,X: must be off, or patterns");
    bad(*state, DIR_STORE "[dedup]\nmemory = 5\n", ":6: [dedup] memory = 5: must be a size from 1M to 4G");
    bad(*state, DIR_STORE "[dedup]\nsets = 0\n", ":6: [dedup] sets = 0: must be a number from 1 to 1000");
}

static void an_escrow_has_all_of_its_parts_or_none(void **state)
{
    struct vtl_config *c = good(*state, DIR_STORE "[escrow]\npath = /mnt/x\nexchange = /srv/x\nkeep = 3\n"
                                                  "public_key = escrow-public:AAAA\n");
    assert_string_equal(c->escrow.path, "/mnt/x");
    assert_int_equal(c->escrow.keep, 3);
    config_free(c);
    bad(*state, DIR_STORE "[escrow]\npath = /mnt/x\nexchange = /srv/x\n",
        ": [escrow] public_key is not set: required: \"s3vtl escrow key\"");
    bad(*state, DIR_STORE "[escrow]\npath = /mnt/x\npublic_key = escrow-public:A\n",
        ": [escrow] exchange is not set: required: a directory");
    bad(*state, DIR_STORE "[escrow]\nexchange = /srv/x\n", ": [escrow] path is not set: required");
    bad(*state, DIR_STORE "[escrow]\npublic_key = escrow-secret:A\n", ":6: [escrow] public_key = ...: must begin with");
}

#define ELSEWHERE "[escrow]\ntype = s3\nurl = https://s3.example.com/\nbucket = elsewhere\n"
#define ESCROW_KEYS "exchange = /srv/x\npublic_key = escrow-public:AAAA\n"

static void an_escrow_may_be_in_another_s3_service(void **state)
{
    char lines[600];
    const struct place *p = *state;
    struct objstore_config oc;
    (void)snprintf(lines, sizeof(lines),
                   DIR_STORE ELSEWHERE ESCROW_KEYS "credentials_file = %s\nprefix = a/b\nregion = eu-1\nprofile = "
                                                   "other\nproxy = http://proxy:3128\nno_proxy = .local\nevery = 1h\n",
                   p->secret);
    struct vtl_config *c = good(*state, lines);
    assert_true(config_has_escrow(c));
    assert_int_equal(c->escrow.every, 3600000);
    config_escrow(c, &oc);
    assert_string_equal(oc.type, "s3");
    assert_string_equal(oc.url, "https://s3.example.com/");
    assert_string_equal(oc.bucket, "elsewhere");
    assert_string_equal(oc.prefix, "a/b");
    assert_string_equal(oc.region, "eu-1");
    assert_string_equal(oc.profile, "other");
    assert_string_equal(oc.credentials_file, p->secret);
    assert_string_equal(oc.proxy, "http://proxy:3128");
    assert_string_equal(oc.no_proxy, ".local");
    assert_null(oc.admin_url);
    config_free(c);
    c = good(*state, DIR_STORE);
    assert_false(config_has_escrow(c));
    assert_int_equal(c->escrow.every, 0);
    config_free(c);
}

static void an_escrow_in_another_s3_service_has_all_that_it_needs(void **state)
{
    bad(*state, DIR_STORE "[escrow]\ntype = s3\n" ESCROW_KEYS, ": [escrow] url is not set: required with type = s3");
    bad(*state, DIR_STORE "[escrow]\ntype = s3\nurl = http://h\n" ESCROW_KEYS,
        ": [escrow] bucket is not set: required with type = s3");
    bad(*state, DIR_STORE ELSEWHERE ESCROW_KEYS, ": [escrow] credentials_file is not set: required with type = s3");
    bad(*state, DIR_STORE "[escrow]\nurl = http://h\nbucket = elsewhere\n" ESCROW_KEYS,
        ":6: [escrow] url = http://h: needs type = s3");
    bad(*state, DIR_STORE "[escrow]\nurl = ftp://h\n", ":6: [escrow] url = ftp://h: must be http://");
    bad(*state, DIR_STORE "[escrow]\nevery = 5s\n",
        ":6: [escrow] every = 5s: must be off, or a time from 1m to 365d, such as 1h");
    bad(*state, DIR_STORE "[escrow]\nevery = 1h\n", ": [escrow] path is not set: required");
}

static void an_escrow_is_not_kept_with_the_store(void **state)
{
    bad(*state,
        "[library]\nstate_dir = /var/lib/x\n[store]\ntype = dir\npath = /srv/y\n[escrow]\npath = /srv/y\n" ESCROW_KEYS,
        ":7: [escrow] path = /srv/y: must not be the store itself: it would be lost with it");
}

static void an_unknown_section_is_named_with_the_nearest_known(void **state)
{
    bad(*state, "[libary]\nname = x\n",
        ":2: [libary]: unknown section; did you mean [library]? Sections are library, iscsi, store, spool, metrics, "
        "web, log, notify, escrow, dedup, quota, retention and verify");
}

static void a_key_before_any_section_is_refused(void **state)
{
    bad(*state, "name = x\n",
        ":1: name: key before any section; must follow [library], [iscsi], [store], [spool], [metrics], [web], [log], "
        "[notify], [escrow], [dedup], [quota], [retention] or [verify]");
}

static void a_line_that_is_neither_key_nor_section_is_refused(void **state)
{
    bad(*state, "[library]\nstate_dir /s\n", ":2: must be [section], key = value or a comment");
    bad(*state, "[library\n", ":1: must be [section], key = value or a comment");
}

static void a_line_too_long_is_refused_not_cut(void **state)
{
    char text[1000] = DIR_STORE "[iscsi]\ninitiators =";
    for (int i = 0; i < 40; i++)
        strcat(text, " iqn.a:b");
    bad(*state, text, ":6: line too long: must be at most ");
}

static void a_key_set_twice_is_refused_with_both_lines(void **state)
{
    bad(*state, DIR_STORE "[library]\ndrives = 1\n\ndrives = 2\n", ":8: [library] drives: already set in line 6");
}

static void a_value_out_of_range_says_what_would_be_right(void **state)
{
    static const struct {
        const char *line, *right;
    } t[] = {
        {"[library]\nname =", "[library] name = : must be 1 to 32 of"},
        {"[library]\nname = a b", "[library] name = a b: must be 1 to 32 of"},
        {"[library]\ndrives = 0", "[library] drives = 0: must be a number from 1 to 64"},
        {"[library]\ndrives = 65", "[library] drives = 65: must be a number from 1 to 64"},
        {"[library]\ndrives = two", "[library] drives = two: must be a number from 1 to 64"},
        {"[library]\ndrives = 2x", "[library] drives = 2x: must be a number from 1 to 64"},
        {"[library]\ndrives = -1", "[library] drives = -1: must be a number from 1 to 64"},
        {"[library]\nslots = 60001", "[library] slots = 60001: must be a number from 1 to 60000"},
        {"[library]\nslots = 4294967297", "[library] slots = 4294967297: must be a number from 1 to 60000"},
        {"[library]\nimport_export = 251", "[library] import_export = 251: must be a number from 0 to 250"},
        {"[library]\ndrive_type = LTO-4", "[library] drive_type = LTO-4: must be LTO-5, LTO-6"},
        {"[library]\ndrive_type = LTO-10", "[library] drive_type = LTO-10: must be LTO-5, LTO-6"},
        {"[library]\nserial_prefix = ABCDEFGH", "[library] serial_prefix = ABCDEFGH: must be 1 to 7 of"},
        {"[iscsi]\nportal = 127.0.0.1", "[iscsi] portal = 127.0.0.1: must be address:port"},
        {"[iscsi]\nportal = 127.0.0.1:0", "[iscsi] portal = 127.0.0.1:0: must be address:port"},
        {"[iscsi]\nportal = 127.0.0.1:65536", "[iscsi] portal = 127.0.0.1:65536: must be address:port"},
        {"[iscsi]\nportal = :3260", "[iscsi] portal = :3260: must be address:port"},
        {"[iscsi]\nportal = ::1:3260", "[iscsi] portal = ::1:3260: must be address:port"},
        {"[iscsi]\nportal = [::1:3260", "[iscsi] portal = [::1:3260: must be address:port"},
        {"[iscsi]\nportal = 1.2.3.4,portal=5.6.7.8:1",
         "[iscsi] portal = 1.2.3.4,portal=5.6.7.8:1: must be address:port"},
        {"[iscsi]\ntarget = x", "[iscsi] target = x: must be an iSCSI name"},
        {"[iscsi]\ntarget = iqn.a,b", "[iscsi] target = iqn.a,b: must be an iSCSI name"},
        {"[iscsi]\nchap_user = a,b", "[iscsi] chap_user = a,b: must be at most 63 of"},
        {"[iscsi]\ninitiators = iqn.a backup", "[iscsi] initiators = iqn.a backup: must be initiator names"},
        {"[iscsi]\naddresses = 10.0.0.1 here", "[iscsi] addresses = 10.0.0.1 here: must be addresses, or networks"},
        {"[iscsi]\naddresses = 10.0.0.1/8", "[iscsi] addresses = 10.0.0.1/8: must be addresses, or networks"},
        {"[iscsi]\naddresses = 10.0.0.0/33", "[iscsi] addresses = 10.0.0.0/33: must be addresses, or networks"},
        {"[iscsi]\naddresses = 10.0.0.256", "[iscsi] addresses = 10.0.0.256: must be addresses, or networks"},
        {"[store]\ntype = azure", "[store] type = azure: must be dir or s3"},
        {"[store]\nurl = ftp://x", "[store] url = ftp://x: must be http://host"},
        {"[store]\nurl = http://", "[store] url = http://: must be http://host"},
        {"[store]\nurl = http://h:0", "[store] url = http://h:0: must be http://host"},
        {"[store]\nurl = http://h:80x", "[store] url = http://h:80x: must be http://host"},
        {"[store]\nurl = http://[::1", "[store] url = http://[::1: must be http://host"},
        {"[store]\nurl = http://[::g]:1", "[store] url = http://[::g]:1: must be http://host"},
        {"[store]\nurl = http://a_b", "[store] url = http://a_b: must be http://host"},
        {"[store]\nurl = https://h:1/tapes", "[store] url = https://h:1/tapes: has a path: must be http://host"},
        {"[store]\nurl = http://h?x", "[store] url = http://h?x: has a path: "},
        {"[store]\nurl = \"http://h\"", "[store] url = \"http://h\": is in quotes: write it without"},
        {"[spool]\nmax_dirty = '8G'", "[spool] max_dirty = '8G': is in quotes: write it without"},
        {"[store]\nbucket = ab", "[store] bucket = ab: must be a bucket name"},
        {"[store]\nbucket = Tapes", "[store] bucket = Tapes: must be a bucket name"},
        {"[store]\nprefix = /a", "[store] prefix = /a: must be A-Z"},
        {"[store]\nprefix = a/", "[store] prefix = a/: must be A-Z"},
        {"[store]\nprefix = a/../b", "[store] prefix = a/../b: must be A-Z"},
        {"[store]\nstyle = dns", "[store] style = dns: must be path or virtual"},
        {"[store]\nkind = aws", "[store] kind = aws: must be auto, s3, renterd or s3d"},
        {"[store]\nadmin_url = h:1", "[store] admin_url = h:1: must be http://host"},
        {"[store]\nadmin_url = http://h/api", "[store] admin_url = http://h/api: must be http://host"},
        {"[store]\nadmin_password_file = pw", "[store] admin_password_file = ...: must be an absolute path"},
        {"[store]\nupload_limit = 100K", "[store] upload_limit = 100K: must be bytes a second from 128K on"},
        {"[store]\nupload_limit = 20M 8-18", "[store] upload_limit = 20M 8-18: must be bytes a second"},
        {"[store]\nupload_limit = 20M 08:00-24:01", "[store] upload_limit = 20M 08:00-24:01: must be bytes"},
        {"[store]\nupload_limit = 20M 08:00-08:00", "[store] upload_limit = 20M 08:00-08:00: must be bytes"},
        {"[store]\nupload_limit = 20M funday", "[store] upload_limit = 20M funday: must be bytes"},
        {"[store]\nupload_limit = 20M mon-", "[store] upload_limit = 20M mon-: must be bytes"},
        {"[store]\nupload_limit = mon-fri 08:00-18:00", "[store] upload_limit = mon-fri 08:00-18:00: must be bytes"},
        {"[store]\nupload_limit = 20M,", "[store] upload_limit = 20M,: must be bytes"},
        {"[store]\ndownload_limit = 20M 30M", "[store] download_limit = 20M 30M: must be bytes"},
        {"[store]\nproxy = https://p:1", "[store] proxy = https://p:1: must be http://host[:port]"},
        {"[store]\nno_proxy = a,b;c", "[store] no_proxy = a,b;c: must be names"},
        {"[log]\nlevel = debug", "[log] level = debug: must be err, warning, notice or info"},
        {"[store]\nparallel = 0", "[store] parallel = 0: must be a number from 1 to 64"},
        {"[store]\ncredentials_file = systemd:../x", "[store] credentials_file = systemd:../x: must be systemd:NAME"},
        {"[store]\ncredentials_file = systemd:", "[store] credentials_file = systemd:: must be systemd:NAME"},
        {"[store]\nprofile = a b", "[store] profile = a b: must be 1 to 64 of"},
        {"[store]\ncredentials_file = keys", "[store] credentials_file = ...: must be an absolute path"},
        {"[spool]\ndurability = both", "[spool] durability = both: must be local, remote or offsite"},
        {"[spool]\nmax_dirty = 31M", "[spool] max_dirty = 31M: must be a size of at least 32M"},
        {"[spool]\ncache_size = lots", "[spool] cache_size = lots: must be a size"},
        {"[spool]\nsegment_size = 1023K", "[spool] segment_size = 1023K: must be a size from 1M to 1G"},
        {"[spool]\nsegment_size = 1025M", "[spool] segment_size = 1025M: must be a size from 1M to 1G"},
        {"[spool]\nidle_seal = 30", "[spool] idle_seal = 30: must be a time from 100ms to 24h"},
        {"[spool]\nidle_seal = 25h", "[spool] idle_seal = 25h: must be a time from 100ms to 24h"},
        {"[metrics]\nlisten = 0.0.0.0:9117", "[metrics] listen = 0.0.0.0:9117: must be a port on loopback"},
        {"[metrics]\nlisten = 127.0.0.1", "[metrics] listen = 127.0.0.1: must be a port on loopback"},
        {"[notify]\ncommand = tell", "[notify] command = tell: must be an absolute path"},
        {"[notify]\nurl = ftp://x/y", "[notify] url = ftp://x...: must be http://... or https://..., without blanks"},
        {"[notify]\nrepeat = 30s", "[notify] repeat = 30s: must be a time from 1m to 365d, such as 24h"},
        {"[notify]\nbacklog_age = 24", "[notify] backlog_age = 24: must be a time from 1m to 365d, such as 24h"},
        {"[notify]\ndisk_free = much", "[notify] disk_free = much: must be a size, such as 2G; 0: never"},
        {"[web]\nlisten = console:8098", "[web] listen = console:8098: must be address:port"},
        {"[web]\nlisten = 127.0.0.1", "[web] listen = 127.0.0.1: must be address:port"},
        {"[web]\ntls_key = key.pem", "[web] tls_key = key.pem: must be an absolute path"},
        {"[metrics]\nlisten = 127.x:9117", "[metrics] listen = 127.x:9117: must be a port on loopback"},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        char text[600], right[300];
        (void)snprintf(text, sizeof(text), DIR_STORE "%s\n", t[i].line);
        (void)snprintf(right, sizeof(right), ":6: %s", t[i].right);
        bad(*state, text, right);
    }
}

static void keys_without_a_default_are_demanded(void **state)
{
    bad(*state, "", ": [library] state_dir is not set: must be a directory for the library's state and spool");
    bad(*state, DIR_STORE "[web]\nlisten = 127.0.0.1:8098\n", ": [web] token_file is not set: required with listen");
    bad(*state, DIR_STORE "[web]\ntoken_file = /srv/t\n", ": [web] listen is not set: required with token_file");
    bad(*state, DIR_STORE "[web]\ntls_key = /srv/t\n", ": [web] tls_certificate is not set: required with tls_key");
    bad(*state, DIR_STORE "[web]\ntls_certificate = /srv/t\n", ": [web] tls_key is not set: required with");
    bad(*state, "[library]\nstate_dir = /s\n",
        ": [store] path is not set: type is not set either, and is dir by default");
    bad(*state, "[library]\nstate_dir = /s\n[store]\ntype = dir\n",
        ": [store] path is not set: must be a directory with type = dir");
    bad(*state, "[library]\nstate_dir = /s\n[store]\nurl = http://h\n",
        ":4: [store] url = http://h: needs type = s3 in [store]: type is not set, and is dir by default");
    bad(*state, "[library]\nstate_dir = /s\n[store]\ntype = s3\n", ": [store] url is not set: ");
    bad(*state, "[library]\nstate_dir = /s\n[store]\ntype = s3\nurl = http://h\n", ": [store] bucket is not set: ");
}

#define S3 "[library]\nstate_dir = /s\n[store]\ntype = s3\nurl = http://h\nbucket = tapes\n"
static void an_admin_interface_needs_its_password_and_a_service_that_has_one(void **state)
{
    bad(*state, S3 "admin_url = http://h:1\n", ": [store] admin_password_file is not set: required with admin_url");
    bad(*state, S3 "admin_password_file = @\n", ": [store] admin_url is not set: required with admin_password_file");
    bad(*state, S3 "kind = s3\nadmin_url = http://h:1\nadmin_password_file = @\n",
        ":8: [store] admin_url = http://h:1: only renterd and s3d have one");
    bad(*state, "[library]\nstate_dir = /s\n[store]\npath = /p\nadmin_url = http://h:1\nadmin_password_file = @\n",
        ":5: [store] admin_url = http://h:1: needs type = s3");
}

static void only_what_can_be_told_may_be_waited_for(void **state)
{
    bad(*state, S3 "[spool]\ndurability = offsite\n",
        ":8: [spool] durability = offsite: needs [store] type = s3 and, ");
    bad(*state, S3 "kind = renterd\n[spool]\ndurability = offsite\n", ":9: [spool] durability = offsite: needs ");
    bad(*state, "[library]\nstate_dir = /s\n[store]\npath = /p\n[spool]\ndurability = offsite\n",
        ":6: [spool] durability = offsite: needs [store] type = s3");
    config_free(good(*state, S3 "kind = s3\n[spool]\ndurability = offsite\n"));
    config_free(good(*state, S3 "admin_url = http://h:1\nadmin_password_file = @\n[spool]\ndurability = offsite\n"));
}

/* Who only asks a running library needs no keys: the store's client says that there are none. */
static void keys_may_be_in_the_environment(void **state)
{
    struct vtl_config *c =
        good(*state, "[library]\nstate_dir = /s\n[store]\ntype = s3\nurl = http://h\nbucket = tapes\n");
    struct objstore_config o;
    config_store(c, &o);
    assert_string_equal(o.credentials_file, "");
    assert_false(o.credentials_by_systemd);
    assert_string_equal(o.profile, "default");
    config_free(c);
}

static void directories_must_be_absolute_apart_and_short_enough(void **state)
{
    char text[300];
    bad(*state, "[library]\nstate_dir = var/s3vtl\n", ":2: [library] state_dir = var/s3vtl: must be an absolute path");
    bad(*state, "[library]\nstate_dir = /a\n[store]\npath = /a\n", ":4: [store] path = /a: must not be the state_dir");
    (void)snprintf(text, sizeof(text), "[library]\nstate_dir = /%0*d\n[store]\npath = /p\n", CONFIG_MAX_STATE_DIR, 0);
    struct errtext err;
    assert_null(load(*state, text, &err));
    assert_non_null(strstr(err.text, ":2: [library] state_dir = /000"));
    assert_non_null(strstr(err.text, "must be at most 88 characters"));
    (void)snprintf(text, sizeof(text), "[library]\nstate_dir = /%0*d\n[store]\npath = /p\n", CONFIG_MAX_STATE_DIR - 1,
                   0);
    config_free(good(*state, text));
}

static void values_that_disagree_are_refused(void **state)
{
    bad(*state, DIR_STORE "[spool]\nmax_dirty = 100M\n",
        ":6: [spool] max_dirty = 100M: must be at least four times segment_size");
    bad(*state, DIR_STORE "[iscsi]\ninitiators = iqn.a\naddresses = 10.0.0.1\n",
        ":7: [iscsi] addresses = 10.0.0.1: must not be set together with initiators");
}

static void limits_of_rate_have_days_and_hours(void **state)
{
    struct vtl_config *c = good(*state, S3_STORE "upload_limit = 20 MB fri-mon 08:00-18:00, unlimited 22:00-06:00 "
                                                 "sat,50M\ndownload_limit = 1M\n");
    const struct obj_rates *u = &c->store.upload;
    assert_int_equal(u->n, 3);
    assert_int_equal(u->of[0].bytes, 20000000);
    assert_int_equal(u->of[0].days, 0x63); /* sun, mon, fri, sat */
    assert_int_equal(u->of[0].from, 480);
    assert_int_equal(u->of[0].to, 1080);
    assert_int_equal(u->of[1].bytes, 0);
    assert_int_equal(u->of[1].days, 0x40);
    assert_int_equal(u->of[1].from, 1320);
    assert_int_equal(u->of[1].to, 360);
    assert_int_equal(u->of[2].bytes, 50 << 20);
    assert_int_equal(u->of[2].days, OBJ_ALL_DAYS);
    assert_int_equal(u->of[2].from, 0);
    assert_int_equal(u->of[2].to, OBJ_MINUTES);
    assert_int_equal(c->store.download.n, 1);
    config_free(c);
    c = good(*state, S3_STORE "upload_limit = unlimited\n");
    assert_int_equal(c->store.upload.n, 0);
    config_free(c);
    bad(*state, DIR_STORE "upload_limit = 20M\n", ":5: [store] upload_limit = 20M: needs type = s3");
}

static void a_proxy_has_all_of_its_parts_or_none(void **state)
{
    struct vtl_config *c = good(*state, S3_STORE "proxy = http://p:3128\nno_proxy = .a, 10.0.0.0/8\nno_proxy = b\n"
                                                 "proxy_user = me\nproxy_password_file = @\n");
    assert_string_equal(c->store.no_proxy, ".a 10.0.0.0/8 b");
    config_free(c);
    bad(*state, S3_STORE "proxy_user = me\n", ": [store] proxy is not set: required with proxy_user");
    bad(*state, S3_STORE "no_proxy = a\n", ": [store] proxy is not set: required with proxy_user");
    bad(*state, S3_STORE "proxy = http://p\nproxy_user = me\n",
        ": [store] proxy_password_file is not set: required with the user");
    bad(*state, S3_STORE "proxy = http://p\nproxy_password_file = @\n",
        ": [store] proxy_user is not set: required with the password file");
}

/* ---- accounts and secrets ---- */

static void a_user_needs_a_password_file_and_the_other_way(void **state)
{
    bad(*state, DIR_STORE "[iscsi]\nchap_user = u\n",
        ": [iscsi] chap_password_file is not set: required with the user");
    bad(*state, DIR_STORE "[iscsi]\nchap_password_file = @\n",
        ": [iscsi] chap_user is not set: required with the password file");
    bad(*state, DIR_STORE "[iscsi]\nmutual_user = m\nmutual_password_file = @\n",
        ": [iscsi] chap_user is not set: required with mutual_user");
    bad(*state, DIR_STORE "[iscsi]\nchap_user = u\nchap_password_file = @\nmutual_user = u\nmutual_password_file = @\n",
        ":8: [iscsi] mutual_user = u: must differ from chap_user");
}

static void secrets_that_others_may_read_are_refused(void **state)
{
    const struct place *p = *state;
    static const mode_t open_modes[] = {0640, 0604, 0660, 0622, 0601};
    for (size_t i = 0; i < sizeof(open_modes) / sizeof(open_modes[0]); i++) {
        struct errtext err;
        char expected[400];
        assert_int_equal(chmod(p->secret, open_modes[i]), 0);
        assert_null(load(p, S3_STORE, &err));
        (void)snprintf(expected, sizeof(expected),
                       "%s:7: [store] credentials_file = %s: its mode is %04o, must be 0600", p->conf, p->secret,
                       open_modes[i]);
        assert_memory_equal(err.text, expected, strlen(expected));
        assert_null(load(p, DIR_STORE "[iscsi]\nchap_user = u\nchap_password_file = @\n", &err));
        assert_non_null(strstr(err.text, ":7: [iscsi] chap_password_file = "));
    }
    assert_int_equal(chmod(p->secret, 0400), 0);
    config_free(good(p, S3_STORE));
}

#define SYSTEMD_STORE                                                                                                  \
    "[library]\nstate_dir = /s\n[store]\ntype = s3\nurl = http://h\nbucket = tapes\ncredentials_file = systemd:keys\n"

/* In $CREDENTIALS_DIRECTORY, of whatever mode: the one that systemd gives them is 0440. */
static void credentials_of_systemd_are_found(void **state)
{
    const struct place *p = *state;
    char path[200], text[600];
    (void)snprintf(path, sizeof(path), "%s", p->secret);
    const char *name = strrchr(path, '/') + 1;
    struct objstore_config o;
    *strrchr(path, '/') = '\0';
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", path, 1), 0);
    assert_int_equal(chmod(p->secret, 0440), 0);
    (void)snprintf(text, sizeof(text),
                   "[library]\nstate_dir = /s\n[iscsi]\nchap_user = u\nchap_password_file = systemd:%s\n[store]\n"
                   "type = s3\nurl = http://h\nbucket = tapes\ncredentials_file = systemd:%s\n",
                   name, name);
    struct vtl_config *c = good(p, text);
    config_store(c, &o);
    assert_string_equal(o.credentials_file, p->secret);
    assert_true(o.credentials_by_systemd);
    assert_string_equal(c->iscsi.chap_password_path, p->secret);
    config_free(c);
    assert_int_equal(chmod(p->secret, 0600), 0);
    bad(p, SYSTEMD_STORE,
        ":7: [store] credentials_file = systemd:keys: No such file or directory: the service's unit needs "
        "LoadCredential=keys:FILE");
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    /* A command that systemd did not start: it may only want to ask the running library. */
    c = good(p, SYSTEMD_STORE);
    assert_string_equal(c->store.credentials_path, "/run/credentials/s3vtl.service/keys");
    config_free(c);
}

#define CONSOLE                                                                                                        \
    "[web]\nlisten = 127.0.0.1:8098\ntoken_file = %s\ntls_certificate = /nonexistent/c\ntls_key = systemd:webkey\n"

static struct vtl_config *for_console(const struct place *p, const char *text, struct errtext *err)
{
    struct vtl_config *c = NULL;
    config_free(good(p, text));
    (void)config_load_console(p->conf, &c, err);
    return c;
}

/* The library serves without what only the console needs, and the console starts without what only the library needs. */
static void the_console_s_files_are_the_console_s_affair(void **state)
{
    const struct place *p = *state;
    char path[200], text[900];
    struct errtext err = {""};
    (void)snprintf(path, sizeof(path), "%s", p->secret);
    *strrchr(path, '/') = '\0';
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", path, 1), 0);
    (void)snprintf(text, sizeof(text), DIR_STORE CONSOLE, "/nonexistent/t");
    assert_null(for_console(p, text, &err));
    assert_non_null(strstr(err.text, "[web] token_file = /nonexistent/t: No such file or directory"));
    (void)snprintf(text, sizeof(text), DIR_STORE CONSOLE, p->secret);
    assert_null(for_console(p, text, &err));
    assert_non_null(strstr(err.text, "[web] tls_certificate = /nonexistent/c: No such file or directory"));
    (void)snprintf(text, sizeof(text), DIR_STORE "[web]\nlisten = 127.0.0.1:8098\ntoken_file = systemd:token\n");
    assert_null(for_console(p, text, &err));
    assert_non_null(strstr(err.text, "the service's unit needs LoadCredential=token:FILE"));
    /* systemd gave it to the library's unit, not to the console's */
    (void)snprintf(text, sizeof(text),
                   SYSTEMD_STORE "ca_file = /nonexistent/ca\n[web]\nlisten = 127.0.0.1:8098\ntoken_file = %s\n"
                                 "[escrow]\n type = s3\nurl = https://h\nbucket = tapes\ncredentials_file = %s\n"
                                 "ca_file = /nonexistent/ca\n" ESCROW_KEYS,
                   p->secret, p->secret);
    write_file(p->conf, text, 0600);
    struct vtl_config *c = NULL;
    assert_int_equal(config_load_console(p->conf, &c, &err), 0);
    config_free(c);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void secrets_that_are_missing_or_no_files_are_refused(void **state)
{
    bad(*state, DIR_STORE "[iscsi]\nchap_user = u\nchap_password_file = /nonexistent/x\n",
        ":7: [iscsi] chap_password_file = /nonexistent/x: No such file or directory");
    bad(*state, DIR_STORE "[iscsi]\nchap_user = u\nchap_password_file = /tmp\n",
        ":7: [iscsi] chap_password_file = /tmp: must be a regular file");
    bad(*state, S3_STORE "ca_file = /nonexistent/ca\n", ":8: [store] ca_file = /nonexistent/ca: No such file");
}

static void a_secret_in_the_configuration_is_not_repeated(void **state)
{
    struct errtext err;
    assert_null(load(*state, DIR_STORE "[store]\nsecret_key = hunter2hunter2\n", &err));
    assert_null(strstr(err.text, "hunter2"));
}

/* What is refused may be a secret all the same: the line goes into the journal. */
static void a_value_that_may_be_a_secret_is_not_repeated(void **state)
{
    const struct place *p = *state;
    static const struct {
        const char *line, *right;
    } t[] = {
        {"[notify]\nurl = \"https://hooks.example.com/HUSH\"", "url = \"https://hooks.example.com...: is in quotes"},
        {"[notify]\nurl = https://ntfy.sh/HUSH HUSH", "url = https://ntfy.sh...: must be http://"},
        {"[notify]\nurl = ntfy.sh/HUSH", "url = ...: must be http://"},
        {"[notify]\nurl = https://me:HUSH@h/ x", "url = https://...: must be http://"},
        {"[notify]\ncommand = curl https://h/HUSH", "command = curl...: must be an absolute path"},
        {"[store]\nurl = https://me:HUSH@h", "url = ...: has a user or password"},
        {"[store]\nadmin_url = http://:HUSH@h:9980", "admin_url = ...: must be http://host"},
        {"[store]\nproxy = http://me:HUSH@h", "proxy = ...: has a user or password"},
        {"[store]\nproxy_user = me:HUSH", "proxy_user = me...: must be at most 128"},
        {"[store]\nadmin_password_file = HUSH", "admin_password_file = ...: must be an absolute path"},
        {"[store]\nproxy_password_file = 'HUSH'", "proxy_password_file = ...: is in quotes"},
        {"[store]\ncredentials_file = HUSH:HUSH", "credentials_file = ...: must be an absolute path"},
        {"[iscsi]\nchap_password_file = HUSH", "chap_password_file = ...: must be an absolute path"},
        {"[web]\ntoken_file = HUSH", "token_file = ...: must be an absolute path"},
        {"[escrow]\nurl = https://me:HUSH@h", "url = ...: has a user or password"},
        {"[escrow]\npublic_key = escrow-secret:HUSH", "public_key = ...: must begin with"},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct vtl_config *c = NULL;
        struct errtext err = {""};
        write_file(p->conf, t[i].line, 0600);
        assert_int_equal(config_load(p->conf, &c, &err), -EINVAL);
        if (!strstr(err.text, t[i].right) || strstr(err.text, "HUSH"))
            fail_msg("%s: %s", t[i].line, err.text);
    }
}

/* ---- the file itself ---- */

static void a_file_that_cannot_be_read_is_named(void **state)
{
    struct place *p = *state;
    struct vtl_config *c = NULL;
    struct errtext err = {""};
    char expected[400];
    assert_int_equal(config_load("/nonexistent/s3vtl.conf", &c, &err), -ENOENT);
    assert_string_equal(err.text, "/nonexistent/s3vtl.conf: No such file or directory");
    assert_int_equal(config_load(p->dir, &c, &err), -EISDIR);
    (void)snprintf(expected, sizeof(expected), "%s: cannot be read: Is a directory", p->dir);
    assert_string_equal(err.text, expected);
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(defaults_are_those_of_the_documentation),
        T(every_key_of_the_file_is_taken),
        T(what_the_file_gives_is_told_from_defaults),
        T(what_is_shown_reads_back_the_same),
        T(defaults_that_follow_from_the_name_differ_between_names),
        T(a_file_may_have_comments_blanks_indents_and_dos_lines),
        T(lists_may_be_repeated),
        T(sizes_are_binary_but_with_a_B_alone),
        T(times_need_a_unit),
        T(a_fraction_has_three_decimals_at_most_and_is_shown_as_short_as_can_be),
        T(an_unknown_key_is_named_with_the_nearest_known),
        T(an_unknown_section_is_named_with_the_nearest_known),
        T(a_key_before_any_section_is_refused),
        T(a_line_that_is_neither_key_nor_section_is_refused),
        T(a_line_too_long_is_refused_not_cut),
        T(a_key_set_twice_is_refused_with_both_lines),
        T(a_value_out_of_range_says_what_would_be_right),
        T(keys_without_a_default_are_demanded),
        T(directories_must_be_absolute_apart_and_short_enough),
        T(values_that_disagree_are_refused),
        T(limits_of_rate_have_days_and_hours),
        T(a_proxy_has_all_of_its_parts_or_none),
        T(a_user_needs_a_password_file_and_the_other_way),
        T(an_admin_interface_needs_its_password_and_a_service_that_has_one),
        T(only_what_can_be_told_may_be_waited_for),
        T(dedup_is_for_cartridges_of_the_patterns),
        T(an_escrow_has_all_of_its_parts_or_none),
        T(an_escrow_may_be_in_another_s3_service),
        T(an_escrow_in_another_s3_service_has_all_that_it_needs),
        T(an_escrow_is_not_kept_with_the_store),
        T(keys_may_be_in_the_environment),
        T(a_window_is_times_with_a_rate_or_without),
        T(quotas_say_patterns_and_sizes),
        T(retention_says_patterns_modes_and_days),
        T(blanks_say_names_and_how_many),
        T(credentials_of_systemd_are_found),
        T(the_console_s_files_are_the_console_s_affair),
        T(secrets_that_others_may_read_are_refused),
        T(secrets_that_are_missing_or_no_files_are_refused),
        T(a_secret_in_the_configuration_is_not_repeated),
        T(a_value_that_may_be_a_secret_is_not_repeated),
        T(a_file_that_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
