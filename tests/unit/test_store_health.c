/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_store_health.c: what the store's service tells of its objects and of itself, as a cartridge's and a drive's. */
#include <errno.h>

#include "tests/unit/library_rig.h"
#include "vtl/drive/drive_private.h"
#include "vtl/library/gate.h"
#include "vtl/library/library_private.h"

/* ---- a service, and what a test has it say ---- */

static struct obj_finding script[8];
static size_t n_script;
static double asked_below;
static int answer;

static int tell(struct objstore *s, const struct obj_findings *q, const struct obj_call *c, struct errtext *err)
{
    (void)s;
    (void)c;
    assert_string_equal(q->prefix, "tapes/");
    asked_below = q->below;
    for (size_t i = 0; i < n_script; i++)
        q->found(q->arg, &script[i]);
    return errtext_set(err, answer, "%s", answer ? "database is locked" : "");
}

static void facts(struct objstore *s, struct obj_facts *out)
{
    (void)s;
    *out = (struct obj_facts){.service = OBJ_SERVICE_RENTERD, .tells_health = true};
}

static void leave(struct objstore *s)
{
    (void)s;
}

static const struct objstore_ops telling = {.type = "telling", .findings = tell, .facts = facts, .close = leave};

/* Asked by the test alone. */
static struct library *telling_library(struct vtl_config **c)
{
    *c = config("one", "local", "64M");
    struct library *lib = new_library(*c, "HEA001L8");
    store_health_stop(lib);
    offsite_watch_stop(lib); /* nobody else looks at the gate then */
    n_script = 0;
    answer = 0;
    return lib;
}

static void say(struct library *lib, const struct obj_finding *f, size_t n)
{
    if (n)
        memcpy(script, f, n * sizeof(*f));
    n_script = n;
    struct objstore service = {&telling}, *own = lib->gate;
    struct errtext err = {""};
    assert_int_equal(gate_open(lib->cfg, lib->id, &service, &lib->gate, &err), 0);
    store_health_ask(lib);
    lib->gate->ops->close(lib->gate);
    lib->gate = own;
}
#define SAY(lib, ...)                                                                                                  \
    say(lib, (const struct obj_finding[]){__VA_ARGS__},                                                                \
        sizeof((const struct obj_finding[]){__VA_ARGS__}) / sizeof(struct obj_finding))

static json_t *status_of(struct library *lib)
{
    return call(lib, json_pack("{s:s}", "op", "status"));
}

static json_t *health_of(json_t *s)
{
    return json_object_get(json_object_get(s, "store"), "health");
}

static double real(const json_t *j, const char *key)
{
    assert_true(json_is_number(json_object_get(j, key)));
    return json_number_value(json_object_get(j, key));
}

/* ---- what is shown ---- */

static void a_cartridge_has_the_health_of_its_worst_object(void **state)
{
    struct vtl_config *c;
    struct library *lib = telling_library(&c);
    (void)state;
    SAY(lib, {.key = "tapes/HEA001L8/", .health = 0.25, .weak = 7}, {.key = "tapes/OTHER1L8/", .health = 0, .weak = 1},
        {.key = "tapes/", .health = 0}, {.key = "tapes//", .health = 0}, {.key = "fill/", .health = 0});
    assert_true(asked_below == 0.5);
    json_t *s = status_of(lib), *one = json_array_get(json_object_get(s, "cartridges"), 0);
    assert_true(real(one, "health") == 0.25);
    assert_int_equal(json_integer_value(json_object_get(one, "weak_objects")), 7);
    assert_null(json_object_get(one, "weak_or_more"));
    assert_true(real(health_of(s), "worst") == 0.25);
    assert_true(real(health_of(s), "limit") == 0.5);
    assert_int_equal(json_integer_value(json_object_get(health_of(s), "weak_cartridges")), 1);
    assert_true(json_integer_value(json_object_get(health_of(s), "asked")) > 0);
    json_decref(s);
    /* What is not told of is whole. */
    say(lib, NULL, 0);
    s = status_of(lib);
    one = json_array_get(json_object_get(s, "cartridges"), 0);
    assert_true(real(one, "health") == 1);
    assert_int_equal(json_integer_value(json_object_get(one, "weak_objects")), 0);
    json_decref(s);
    close_library(lib);
    config_free(c);
}

static void what_the_service_lacks_is_shown_in_its_words(void **state)
{
    struct vtl_config *c;
    struct library *lib = telling_library(&c);
    (void)state;
    SAY(lib, {.severity = OBJ_CRITICAL, .text = "no hosts"}, {.severity = OBJ_WARNING, .text = "an alert"});
    json_t *s = status_of(lib), *want = json_pack("[{s:s, s:s}, {s:s, s:s}]", "severity", "critical", "text",
                                                  "no hosts", "severity", "warning", "text", "an alert");
    assert_true(json_equal(json_object_get(health_of(s), "findings"), want));
    assert_true(json_is_null(json_object_get(health_of(s), "trouble")));
    json_decref(s);
    json_decref(want);
    close_library(lib);
    config_free(c);
}

static void what_cannot_be_found_out_changes_nothing_and_is_told(void **state)
{
    struct vtl_config *c;
    struct library *lib = telling_library(&c);
    (void)state;
    SAY(lib, {.key = "tapes/HEA001L8/", .health = 0.25, .weak = 7}, {.severity = OBJ_CRITICAL, .text = "no hosts"});
    answer = -EIO;
    SAY(lib, {.key = "tapes/HEA001L8/", .health = -1, .weak = 1}); /* the rest did not come */
    json_t *s = status_of(lib), *one = json_array_get(json_object_get(s, "cartridges"), 0);
    assert_true(real(one, "health") == 0.25);
    assert_int_equal(json_array_size(json_object_get(health_of(s), "findings")), 1);
    assert_string_equal(json_string_value(json_object_get(health_of(s), "trouble")), "database is locked");
    json_decref(s);
    answer = 0;
    say(lib, NULL, 0);
    s = status_of(lib);
    assert_true(real(json_array_get(json_object_get(s, "cartridges"), 0), "health") == 1);
    assert_true(json_is_null(json_object_get(health_of(s), "trouble")));
    json_decref(s);
    close_library(lib);
    config_free(c);
}

static void where_nobody_tells_nothing_is_shown(void **state)
{
    struct vtl_config *c = config("one", "local", "64M");
    struct library *lib = new_library(c, "HEA001L8");
    (void)state;
    store_health_stop(lib);
    store_health_ask(lib);
    json_t *s = status_of(lib);
    assert_null(health_of(s));
    assert_null(json_object_get(json_array_get(json_object_get(s, "cartridges"), 0), "health"));
    json_decref(s);
    close_library(lib);
    config_free(c);
}

/* ---- TapeAlert ---- */

static uint64_t alerts(struct library *lib)
{
    struct tape_status st;
    library_drive_ops()->status(library_drive(lib, 0), &st);
    return st.alerts;
}

#define LIFE TAPE_ALERT_BIT(ALERT_MEDIA_LIFE)
#define WARNING TAPE_ALERT_BIT(ALERT_READ_WARNING)
static void a_loaded_cartridge_of_low_health_has_its_flags_as_long_as_it_is_so(void **state)
{
    struct vtl_config *c;
    struct library *lib = telling_library(&c);
    (void)state;
    SAY(lib, {.key = "tapes/HEA001L8/", .health = 0.499, .weak = 1});
    assert_int_equal(alerts(lib), 0); /* not in the drive */
    move(lib, SLOT, DRIVE);
    assert_int_equal(alerts(lib), LIFE);
    SAY(lib, {.key = "tapes/HEA001L8/", .health = 0, .weak = 1});
    assert_int_equal(alerts(lib), LIFE | WARNING);
    SAY(lib, {.key = "tapes/HEA001L8/", .health = 0.5, .weak = 0});
    assert_int_equal(alerts(lib), 0);
    atomic_store(&lib->eng.live.health_warning, 501); /* by a reload */
    assert_int_equal(alerts(lib), LIFE);
    SAY(lib, {.key = "tapes/HEA001L8/", .health = -0.5, .weak = 1});
    assert_true(asked_below == 0.501);
    assert_int_equal(alerts(lib), LIFE | WARNING);
    assert_int_equal(library_drive_ops()->unload(library_drive(lib, 0), &never), TAPE_OK);
    assert_int_equal(alerts(lib), 0);
    assert_int_equal(library_drive_ops()->load(library_drive(lib, 0), &never), TAPE_OK);
    assert_int_equal(alerts(lib), LIFE | WARNING);
    move(lib, DRIVE, SLOT);
    assert_int_equal(alerts(lib), 0);
    move(lib, SLOT, DRIVE);
    say(lib, NULL, 0);
    assert_int_equal(alerts(lib), 0);
    close_library(lib);
    config_free(c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_cartridge_has_the_health_of_its_worst_object),
        T(what_the_service_lacks_is_shown_in_its_words),
        T(what_cannot_be_found_out_changes_nothing_and_is_told),
        T(where_nobody_tells_nothing_is_shown),
        T(a_loaded_cartridge_of_low_health_has_its_flags_as_long_as_it_is_so),
    };
    return cmocka_run_group_tests_name("store health", tests, NULL, NULL);
}
