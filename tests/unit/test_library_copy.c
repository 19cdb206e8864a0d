/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_library_copy.c: the cached copy of a segment: what a read makes of it that has no key, or that finds it damaged.
 */
#include "tests/unit/library_rig.h"

#include <dirent.h>
#include <fcntl.h>

#define BARCODE "COPY01L8"
#define PATH_SIZE 500

static uint8_t right[TAPE_KEY_SIZE] = {1}, wrong[TAPE_KEY_SIZE] = {2};

/* Files of the spool that hold segments: of a cartridge that is all stored they are cache. */
static unsigned copies(char path[PATH_SIZE])
{
    char at[200];
    unsigned n = 0;
    (void)snprintf(at, sizeof(at), "%s/one/spool/" BARCODE, dir);
    DIR *d = opendir(at);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.') {
            (void)snprintf(path, PATH_SIZE, "%s/%s", at, e->d_name);
            n++;
        }
    if (d)
        closedir(d);
    return n;
}

static struct library *with_an_encrypted_block(struct vtl_config *c)
{
    struct tape_crypt crypt = {.key = right, .encrypt = true};
    struct library *lib = new_library(c, BARCODE);
    void *d = library_drive(lib, 0);
    move(lib, SLOT, DRIVE);
    fill(1);
    assert_int_equal(library_drive_ops()->write(d, block, 1000, true, &crypt, &never), TAPE_OK);
    assert_int_equal(library_drive_ops()->write_filemarks(d, 1, false, &never), TAPE_OK);
    flush_remote(lib);
    return lib;
}

static enum tape_result read_with(void *d, uint8_t *key)
{
    struct tape_crypt crypt = {.key = key, .decrypt = key != NULL};
    uint32_t len = sizeof(back);
    assert_int_equal(library_drive_ops()->rewind(d, &never), TAPE_OK);
    return library_drive_ops()->read(d, back, &len, key ? &crypt : NULL, &never);
}

/* The log goes to standard error: it is a file from here to log_end. */
static int log_begin(void)
{
    char path[100];
    (void)snprintf(path, sizeof(path), "%s/log", dir);
    fflush(stderr);
    int old = dup(2), fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_true(old >= 0 && fd >= 0 && dup2(fd, 2) == 2);
    close(fd);
    return old;
}

static bool log_end(int old, const char *word)
{
    char path[100], text[10000];
    fflush(stderr);
    assert_int_equal(dup2(old, 2), 2);
    close(old);
    (void)snprintf(path, sizeof(path), "%s/log", dir);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    return strstr(text, word) != NULL;
}

static void reading_without_the_right_key_is_no_damage(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_an_encrypted_block(c);
    void *d = library_drive(lib, 0);
    assert_int_equal(copies(path), 1);
    int log = log_begin();
    enum tape_result none = read_with(d, NULL), other = read_with(d, wrong);
    bool told = log_end(log, "damaged");
    assert_int_equal(none, TAPE_ENCRYPTED);
    assert_int_equal(other, TAPE_WRONG_KEY);
    assert_false(told);
    assert_int_equal(copies(path), 1);
    assert_int_equal(read_with(d, right), TAPE_OK);
    assert_memory_equal(back, block, 1000);
    close_library(lib);
    config_free(c);
}

static void a_copy_that_is_damaged_goes_and_the_store_is_read(void **state)
{
    (void)state;
    char path[PATH_SIZE];
    struct vtl_config *c = config("one", "local", "16M");
    struct library *lib = with_an_encrypted_block(c);
    void *d = library_drive(lib, 0);
    assert_int_equal(copies(path), 1);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "damage", 6, SEG_HEADER_SIZE + 100), 6);
    close(fd);
    int log = log_begin();
    enum tape_result got = read_with(d, right);
    bool told = log_end(log, "damaged, reading the store's");
    assert_int_equal(got, TAPE_OK);
    assert_true(told);
    assert_memory_equal(back, block, 1000);
    close_library(lib);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reading_without_the_right_key_is_no_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(a_copy_that_is_damaged_goes_and_the_store_is_read, setup, teardown),
    };
    return cmocka_run_group_tests_name("library_copy", tests, NULL, NULL);
}
