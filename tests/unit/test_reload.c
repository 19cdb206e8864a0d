/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_reload.c: which settings change while a library serves, all or none of them, and nobody reads half of one. */
#include "tests/unit/library_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>

#include "tests/unit/s3_stand_in.h"
#include "vtl/library/library_private.h"

struct rig {
    struct vtl_config *cfg;
    struct library *lib;
};

static const char *file_of_one(void)
{
    static char file[100];
    (void)snprintf(file, sizeof(file), "%s/one.conf", dir);
    return file;
}

static struct rig begin(void)
{
    struct rig r = {.cfg = config("one", "local", "64M")};
    init_library(r.cfg);
    r.lib = open_library(r.cfg);
    return r;
}

static void end(struct rig *r)
{
    close_library(r->lib);
    config_free(r->cfg);
}

/* The file from now on. */
static void write_config(const char *durability, const char *cache, const char *more)
{
    config_free(config_more("one", durability, cache, more));
}

static json_t *reload(struct library *lib)
{
    return call(lib, json_pack("{s:s}", "op", "reload"));
}

static void assert_refused(struct library *lib, const char *part)
{
    struct errtext err = {""};
    json_t *request = json_pack("{s:s}", "op", "reload");
    assert_null(library_call(lib, request, &err));
    json_decref(request);
    if (strncmp(err.text, "nothing is changed: ", 20) || !strstr(err.text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, err.text);
}

static void what_may_change_is_taken_and_told_once(void **state)
{
    struct rig r = begin();
    (void)state;
    write_config("remote", "8M", "");
    json_t *answer = reload(r.lib), *changed = json_object_get(answer, "changed");
    assert_int_equal(json_array_size(changed), 2);
    const json_t *first = json_array_get(changed, 0);
    assert_string_equal(json_string_value(json_object_get(first, "key")), "[spool] durability");
    assert_string_equal(json_string_value(json_object_get(first, "was")), "local");
    assert_string_equal(json_string_value(json_object_get(first, "now")), "remote");
    assert_false(json_is_true(json_object_get(answer, "new_keys")));
    json_decref(answer);
    assert_int_equal(atomic_load(&r.lib->eng.live.durability), DURABILITY_REMOTE);
    assert_int_equal(atomic_load(&r.lib->eng.live.cache_size), 8 << 20);
    answer = reload(r.lib);
    assert_int_equal(json_array_size(json_object_get(answer, "changed")), 0);
    json_decref(answer);
    write_config("local", "64M", ""); /* what it began with is a change too */
    answer = reload(r.lib);
    assert_int_equal(json_array_size(json_object_get(answer, "changed")), 2);
    json_decref(answer);
    end(&r);
}

static void all_is_taken_or_nothing(void **state)
{
    struct rig r = begin();
    (void)state;
    write_config("remote", "8M", "write_buffer = 1M\n[library]\ndrive_type = LTO-7\n");
    assert_refused(r.lib, "[library] drive_type = LTO-7 (was LTO-8): hosts know the library by it; [spool] "
                          "write_buffer = 1M (was 32M): what is being written has it; that needs a restart");
    assert_int_equal(atomic_load(&r.lib->eng.live.durability), DURABILITY_LOCAL);
    assert_int_equal(atomic_load(&r.lib->eng.live.cache_size), 64 << 20);
    end(&r);
}

/* What is logged meanwhile; the caller frees it. */
static char *logged_by_reload(struct library *lib, struct errtext *err)
{
    char path[100], *text = calloc(1, 4000);
    (void)snprintf(path, sizeof(path), "%s/log", dir);
    fflush(stderr);
    int old = dup(2), fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
    assert_true(text && old >= 0 && fd >= 0 && dup2(fd, 2) == 2);
    json_t *request = json_pack("{s:s}", "op", "reload");
    assert_null(library_call(lib, request, err));
    json_decref(request);
    fflush(stderr);
    assert_int_equal(dup2(old, 2), 2);
    assert_true(pread(fd, text, 3999, 0) > 0);
    close(fd);
    close(old);
    return text;
}

/* Of a webhook's address part is a secret, and the log has other readers than the file. */
static void a_webhook_that_is_refused_is_told_by_its_host(void **state)
{
    static const char told[] = "[notify] url = https://ntfy.sh... (was https://hooks.example.com...): what is being";
    struct rig r = {.cfg = config_more("one", "local", "64M", "\n[notify]\nurl = https://hooks.example.com/HUSH\n")};
    struct errtext err = {""};
    (void)state;
    init_library(r.cfg);
    r.lib = open_library(r.cfg);
    write_config("local", "64M", "\n[notify]\nurl = https://ntfy.sh/HUSH\n");
    char *log = logged_by_reload(r.lib, &err);
    assert_non_null(strstr(err.text, told));
    assert_non_null(strstr(log, told));
    assert_null(strstr(err.text, "HUSH"));
    assert_null(strstr(log, "HUSH"));
    free(log);
    end(&r);
}

/* The rig's library has 8. */
static void write_slots(struct library *lib, const char *slots)
{
    char command[300];
    (void)snprintf(command, sizeof(command), "sed -i 's/^slots = .*/slots = %s/' %s", slots, lib->cfg->file);
    assert_int_equal(system(command), 0);
}

/* A list may be longer than what is shown of it. */
static void a_long_list_that_differs_at_its_end_has_changed(void **state)
{
    char first[9000] = "\n[iscsi]\n", second[9000];
    size_t n = strlen(first);
    for (int i = 0; i < 100; i++)
        n += (size_t)snprintf(first + n, sizeof(first) - n,
                              "initiators = iqn.2026-11.com.example:host-of-a-long-name-"
                              "%03d\n",
                              i);
    (void)snprintf(second, sizeof(second), "%s", first);
    first[n - 2] = 'x';
    struct rig r = {.cfg = config_more("one", "local", "64M", first)};
    (void)state;
    init_library(r.cfg);
    r.lib = open_library(r.cfg);
    write_config("local", "64M", second);
    assert_refused(r.lib, "[iscsi] initiators = iqn.2026-11.com.example:host-of-a-long-name-000");
    end(&r);
}

static void slots_are_added_and_never_taken_away(void **state)
{
    struct rig r = begin();
    struct changer_layout layout;
    (void)state;
    write_slots(r.lib, "9");
    json_decref(reload(r.lib));
    library_changer_ops()->layout(r.lib, &layout);
    assert_int_equal(layout.slots, 9);
    json_t *status = call(r.lib, json_pack("{s:s}", "op", "status")), *elements = json_object_get(status, "elements");
    assert_int_equal(json_array_size(elements), 1 + 2 + 4 + 9);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(elements, 15), "address")),
                     ELEMENT_FIRST_STORAGE + 8);
    json_decref(status);
    /* All of them can be filled. */
    json_decref(
        call(r.lib, json_pack("{s:s, s:[sssssssss]}", "op", "tape-create", "barcodes", "T00001L8", "T00002L8",
                              "T00003L8", "T00004L8", "T00005L8", "T00006L8", "T00007L8", "T00008L8", "T00009L8")));
    struct errtext no = {""};
    json_t *request =
        json_pack("{s:s, s:s, s:i}", "op", "tape-move", "barcode", "T00001L8", "address", ELEMENT_FIRST_STORAGE + 9);
    assert_null(library_call(r.lib, request, &no));
    json_decref(request);
    assert_non_null(strstr(no.text, "the library has no slot 10: slots = 9, ")); /* as they are now */
    write_slots(r.lib, "8");
    assert_refused(r.lib, "[library] slots = 8 (was 9): hosts know the library by it");
    write_slots(r.lib, "9");
    close_library(r.lib);
    struct errtext err = {""};
    config_free(r.cfg);
    assert_int_equal(config_load(file_of_one(), &r.cfg, &err), 0);
    r.lib = open_library(r.cfg);
    assert_false(library_elements_are_new(r.lib)); /* they were told */
    end(&r);
}

static void a_file_with_a_mistake_changes_nothing(void **state)
{
    struct rig r = begin();
    (void)state;
    FILE *f = fopen(r.cfg->file, "a");
    assert_non_null(f);
    fprintf(f, "idle_seal = never\n");
    assert_int_equal(fclose(f), 0);
    assert_refused(r.lib, "[spool] idle_seal: already set in line");
    assert_int_equal(unlink(r.cfg->file), 0);
    assert_refused(r.lib, "No such file");
    end(&r);
}

/* The number of threads of that name. */
static unsigned threads(const char *name)
{
    char path[300], comm[20] = "";
    unsigned n = 0;
    DIR *d = opendir("/proc/self/task");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
        FILE *f = fopen(path, "re");
        if (f && fgets(comm, sizeof(comm), f))
            n += !strncmp(comm, name, strlen(name));
        if (f)
            fclose(f);
    }
    closedir(d);
    return n;
}

static void more_transfers_get_their_threads(void **state)
{
    struct rig r = begin();
    struct errtext err = {""};
    (void)state;
    close_library(r.lib);
    if (library_open(r.cfg, LIBRARY_SERVE, &r.lib, &err))
        fail_msg("%s", err.text);
    assert_int_equal(threads("upload"), 5);
    assert_int_equal(threads("fetch"), 4);
    write_config("local", "64M", "[store]\nparallel = 7\n[log]\nlevel = warning\n");
    json_decref(reload(r.lib));
    assert_int_equal(threads("upload"), 8);
    assert_int_equal(threads("fetch"), 7);
    assert_int_equal(atomic_load(&r.lib->eng.live.parallel), 7);
    json_t *pulse = call(r.lib, json_pack("{s:s}", "op", "pulse"));
    assert_int_equal(json_integer_value(json_object_get(pulse, "log_level")), LOG_LEVEL_WARNING);
    json_decref(pulse);
    write_config("local", "64M", "[store]\nparallel = 2\n");
    json_decref(reload(r.lib));
    assert_int_equal(atomic_load(&r.lib->eng.live.parallel), 2);
    write_config("local", "64M", "[store]\nparallel = 6\n");
    json_decref(reload(r.lib));
    assert_int_equal(threads("upload"), 8); /* those that waited */
    assert_int_equal(threads("fetch"), 7);
    end(&r);
}

/* ---- every key has its rule ---- */

static void each_key_that_may_change_is_one_that_is_read_live(void **state)
{
    static const char *const live[] = {"store.credentials_file",
                                       "store.profile",
                                       "store.parallel",
                                       "store.upload_limit",
                                       "store.download_limit",
                                       "store.proxy",
                                       "store.no_proxy",
                                       "store.proxy_user",
                                       "store.proxy_password_file",
                                       "store.health_warning",
                                       "spool.durability",
                                       "spool.max_dirty",
                                       "spool.cache_size",
                                       "spool.idle_seal",
                                       "log.level",
                                       "escrow.type",
                                       "escrow.path",
                                       "escrow.url",
                                       "escrow.bucket",
                                       "escrow.prefix",
                                       "escrow.region",
                                       "escrow.credentials_file",
                                       "escrow.profile",
                                       "escrow.ca_file",
                                       "escrow.style",
                                       "escrow.proxy",
                                       "escrow.no_proxy",
                                       "escrow.proxy_user",
                                       "escrow.proxy_password_file",
                                       "escrow.public_key",
                                       "escrow.exchange",
                                       "escrow.keep",
                                       "escrow.every",
                                       "library.blanks",
                                       "quota.library",
                                       "quota.pools",
                                       "retention.tapes",
                                       "retention.object_lock",
                                       "verify.every",
                                       "verify.window",
                                       "verify.budget",
                                       "web.listen",
                                       "web.tls_certificate",
                                       "web.tls_key",
                                       "web.token_file"}; /* by each command, and each of serve's */
    struct vtl_config *c = config("one", "local", "64M");
    struct config_shown k;
    size_t n = 0;
    (void)state;
    for (size_t i = 0; config_show(c, i, &k); i++) {
        char name[100];
        bool may = !live_settings_refuse(c, c, k.section, k.name), expected = false;
        (void)snprintf(name, sizeof(name), "%s.%s", k.section, k.name);
        for (size_t j = 0; j < sizeof(live) / sizeof(live[0]); j++)
            expected = expected || !strcmp(live[j], name);
        if (may != expected)
            fail_msg("%s", name);
        n += may;
    }
    assert_int_equal(n, sizeof(live) / sizeof(live[0]));
    config_free(c);
}

/* ---- side by side ---- */

static void *read_always(void *arg)
{
    struct rig *r = arg;
    for (int i = 0; i < 100; i++) {
        json_t *answer = call(r->lib, json_pack("{s:s}", "op", "status")), *spool = json_object_get(answer, "spool");
        json_int_t size = json_integer_value(json_object_get(spool, "cache_size"));
        uint64_t limit = engine_dirty_limit(&r->lib->eng);
        json_decref(answer);
        if ((size != 64 << 20 && size != 8 << 20) || limit > 64 << 20)
            return "a setting that nobody made";
    }
    return NULL;
}

static void *reload_once(void *arg)
{
    struct rig *r = arg;
    json_decref(reload(r->lib));
    return NULL;
}

/* For the tsan build above all. */
static void settings_change_while_others_read_them(void **state)
{
    struct rig r = begin();
    pthread_t readers[2], both[2];
    void *wrong;
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_always, &r), 0);
    for (int i = 0; i < 10; i++) {
        write_config(i % 2 ? "local" : "remote", i % 2 ? "64M" : "8M", "");
        for (int j = 0; j < 2; j++)
            assert_int_equal(pthread_create(&both[j], NULL, reload_once, &r), 0);
        for (int j = 0; j < 2; j++)
            assert_int_equal(pthread_join(both[j], NULL), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(readers[i], &wrong), 0);
        if (wrong)
            fail_msg("%s", (const char *)wrong);
    }
    end(&r);
}

/* ---- the keys of a store ---- */

static struct objstore *other_store(const struct stand_in *s)
{
    char file[] = "/tmp/s3vtl-other-XXXXXX";
    struct errtext err = {""};
    struct objstore *o = NULL;
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "access_key = OTHER\nsecret_key = other\n") > 0);
    close(fd);
    const struct objstore_config cfg = {
        .type = "s3", .url = stand_in_url(s), .bucket = "bkt", .credentials_file = file, .parallel = 1};
    if (objstore_open(&cfg, &o, &err))
        fail_msg("%s", err.text);
    unlink(file);
    return o;
}

static void from_a_swap_on_requests_are_signed_with_the_other_keys(void **state)
{
    const struct stand_in_answer script[] = {{.expect = "HEAD", .status = 200, .headers = "Content-Length: 5\r\n"},
                                             {.expect = "HEAD", .status = 200, .headers = "Content-Length: 5\r\n"}};
    struct stand_in *s = stand_in_start(script, 2);
    struct objstore *a = stand_in_store(s, NULL, 0), *b = other_store(s);
    struct errtext err = {""};
    uint64_t size;
    (void)state;
    assert_false(objstore_same_keys(a, b));
    assert_int_equal(a->ops->head(a, "x", &size, NULL, &err), 0);
    objstore_swap_access(a, b);
    b->ops->close(b);
    assert_int_equal(a->ops->head(a, "x", &size, NULL, &err), 0);
    assert_non_null(strstr(stand_in_head(s, 0), "Credential=" STAND_IN_ACCESS "/"));
    assert_non_null(strstr(stand_in_head(s, 1), "Credential=OTHER/"));
    b = other_store(s);
    assert_true(objstore_same_keys(a, b));
    b->ops->close(b);
    a->ops->close(a);
    stand_in_stop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_may_change_is_taken_and_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(all_is_taken_or_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_webhook_that_is_refused_is_told_by_its_host, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_list_that_differs_at_its_end_has_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(slots_are_added_and_never_taken_away, setup, teardown),
        cmocka_unit_test_setup_teardown(more_transfers_get_their_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_with_a_mistake_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(each_key_that_may_change_is_one_that_is_read_live, setup, teardown),
        cmocka_unit_test_setup_teardown(settings_change_while_others_read_them, setup, teardown),
        cmocka_unit_test(from_a_swap_on_requests_are_signed_with_the_other_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
