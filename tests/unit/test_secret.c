/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_secret.c: where keys and passwords are, and that they are nowhere else in the process (I9). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/secret.h"
#include "s3backend/objstore.h"
#include "vtl/cmd/escrow.h"
#include "vtl/cmd/password.h"
#include "vtl/dedup/chunk_hash.h"

/* The sanitizers' mlock does nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MLOCK_IS_NOTHING true
#else
#define MLOCK_IS_NOTHING false
#endif

/* ---- the process's own memory ---- */

struct region {
    unsigned long from, to;
    bool writable, locked, no_dump, wiped;
};

/* The next region of smaps. */
static bool next_region(FILE *f, struct region *r)
{
    char line[1000], mode[8];
    *r = (struct region){0};
    while (fgets(line, sizeof(line), f)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) == 3) {
            r->from = from;
            r->to = to;
            r->writable = mode[0] == 'r' && mode[1] == 'w';
        }
        if (strncmp(line, "VmFlags:", 8) != 0)
            continue;
        r->locked = MLOCK_IS_NOTHING || strstr(line, " lo");
        r->no_dump = strstr(line, " dd");
        r->wiped = strstr(line, " wf");
        return true;
    }
    return false;
}

static bool region_of(const void *p, struct region *r)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    bool found = false;
    assert_non_null(f);
    while (!found && next_region(f, r))
        found = r->from <= (unsigned long)p && (unsigned long)p < r->to;
    fclose(f);
    return found;
}

/* A secret is known to this test only with each byte turned over, so that what is looked for is not found here. */
#define TURN 0x5A
static const unsigned char *needle;
static size_t needle_len;

static bool is_here(const unsigned char *p)
{
    size_t i = 0;
    while (i < needle_len && (p[i] ^ TURN) == needle[i])
        i++;
    return i == needle_len;
}

/* How often it is in memory that is written to; *kept: of these, in memory for secrets. */
static unsigned search(unsigned *kept)
{
    static unsigned char page[1 << 16];
    FILE *f = fopen("/proc/self/smaps", "r"), *mem = fopen("/proc/self/mem", "r");
    struct region r;
    unsigned found = 0;
    assert_true(f && mem);
    setvbuf(mem, NULL, _IONBF, 0);
    *kept = 0;
    while (next_region(f, &r)) {
        if (!r.writable || r.to - r.from > 1ul << 32) /* a sanitizer's shadow */
            continue;
        for (unsigned long at = r.from; at < r.to; at += sizeof(page) - 64) {
            if ((unsigned long)page <= at + sizeof(page) && at < (unsigned long)page + sizeof(page))
                continue; /* what is found is here too */
            size_t want = r.to - at < sizeof(page) ? r.to - at : sizeof(page);
            ssize_t n = pread(fileno(mem), page, want, (off_t)at);
            ssize_t places = n - (ssize_t)needle_len + 1;
            if (places > (ssize_t)sizeof(page) - 64)
                places = (ssize_t)sizeof(page) - 64;
            /* Byte by byte, ThreadSanitizer takes two minutes for it. */
            const unsigned char *p = page, *end = page + (places > 0 ? places : 0);
            for (; p < end && (p = memchr(p, needle[0] ^ TURN, (size_t)(end - p))); p++)
                if (is_here(p)) {
                    found++;
                    *kept += r.locked && r.no_dump && r.wiped;
                }
        }
    }
    fclose(f);
    fclose(mem);
    return found;
}

/* Writes a file with before, a secret of 16 characters, and after it a newline. The secret is then in no buffer here.
 */
static void write_secret(const char *path, const char *before, unsigned char turned[16])
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    setvbuf(f, NULL, _IONBF, 0);
    fputs(before, f);
    for (int i = 0; i < 16; i++) {
        turned[i] = (unsigned char)('A' + (rand() & 15)) ^ TURN;
        fputc(turned[i] ^ TURN, f);
    }
    fputc('\n', f);
    fclose(f);
    assert_int_equal(chmod(path, 0600), 0);
    needle = turned;
    needle_len = 16;
}

/* ---- tests ---- */

static void a_secret_is_locked_not_dumped_and_not_a_childs(void **state)
{
    (void)state;
    struct region r;
    char *p = secret_new(5000);
    int status = -1;
    assert_non_null(p);
    memset(p, 'x', 5000);
    for (size_t at = 0; at < 5000; at += 4999) {
        assert_true(region_of(p + at, &r));
        assert_true(r.locked && r.no_dump && r.wiped);
    }
    pid_t pid = fork();
    if (!pid)
        _exit(p[0] || p[4999]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    secret_free(p, 5000);
    secret_free(NULL, 1);
}

static void what_cannot_be_locked_is_refused(void **state)
{
    (void)state;
    if (!geteuid()) { /* root may lock what it likes: a child does without that right */
        pid_t pid = fork();
        int status = -1;
        if (!pid) {
            if (setuid(65534))
                _exit(2);
            _exit(!secret_new((size_t)1 << 40) && errno ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    } else {
        assert_null(secret_new((size_t)1 << 40));
    }
}

static void the_stores_secret_key_is_in_memory_for_secrets_alone(void **state)
{
    (void)state;
    char path[] = "/tmp/s3vtl-secret-XXXXXX";
    unsigned char turned[16];
    unsigned kept;
    struct errtext err = {""};
    struct objstore *store = NULL;
    close(mkstemp(path));
    write_secret(path, "access_key = AK\nsecret_key = ", turned);
    const struct objstore_config cfg = {
        .type = "s3", .url = "http://127.0.0.1:1", .bucket = "bucket", .credentials_file = path, .parallel = 1};
    assert_int_equal(objstore_open(&cfg, &store, &err), 0);
    struct obj_call once = {.max_tries = 1};
    assert_int_equal(store->ops->check(store, &once, &err), -EIO); /* signed, and nobody answers */
    unsigned found = search(&kept);
    assert_int_equal(kept, 1);
    assert_int_equal(found, 1);
    store->ops->close(store);
    assert_int_equal(search(&kept), 0);
    unlink(path);
}

static void a_password_is_in_memory_for_secrets_alone(void **state)
{
    (void)state;
    char path[] = "/tmp/s3vtl-secret-XXXXXX";
    unsigned char turned[16];
    unsigned kept;
    struct errtext err = {""};
    struct password *p = NULL;
    close(mkstemp(path));
    write_secret(path, "", turned);
    assert_int_equal(password_read(path, &p, &err), 0);
    assert_true(is_here((const unsigned char *)p->text));
    unsigned found = search(&kept);
    assert_true(found > 0);
    assert_int_equal(found, kept);
    password_free(p);
    assert_int_equal(search(&kept), 0);
    unlink(path);
}

/* One character of a pipe, turned over. */
static unsigned char next_turned(int fd)
{
    volatile unsigned char c;
    assert_int_equal(read(fd, (void *)(uintptr_t)&c, 1), 1);
    return c ^ TURN;
}

static void an_escrows_secret_key_is_printed_and_left_nowhere(void **state)
{
    (void)state;
    static const char before[] = "escrow-secret:";
    unsigned char turned[16];
    struct errtext err = {""};
    unsigned kept;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
    assert_int_equal(escrow_write_keys(ends[1], &err), 0);
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
    close(ends[1]);
    for (size_t n = 0; n < strlen(before);)
        n = (next_turned(ends[0]) ^ TURN) == before[n] ? n + 1 : 0;
    for (size_t i = 0; i < sizeof(turned); i++)
        turned[i] = next_turned(ends[0]);
    close(ends[0]);
    needle = turned;
    needle_len = sizeof(turned);
    assert_int_equal(search(&kept), 0);
}

static void who_reads_an_escrows_secret_key_leaves_no_core_dump(void **state)
{
    (void)state;
    char path[] = "/tmp/s3vtl-secret-XXXXXX";
    struct errtext err = {""};
    uint8_t *secret = secret_new(ESCROW_KEY_SIZE);
    assert_non_null(secret);
    close(mkstemp(path));
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
    assert_int_equal(escrow_read_secret(path, secret, &err), -EINVAL); /* nothing is in it */
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
    assert_int_equal(prctl(PR_SET_DUMPABLE, 1), 0);
    secret_free(secret, ESCROW_KEY_SIZE);
    unlink(path);
}

static void the_key_of_chunks_ids_is_in_memory_for_secrets_alone(void **state)
{
    (void)state;
    /* What HKDF makes of a key of zeros (tests/unit/test_chunk_hash.c), each byte turned over. */
    static const unsigned char turned[16] = {0x57, 0xae, 0x9d, 0x8a, 0x18, 0xe2, 0xe9, 0x19,
                                             0x12, 0x61, 0xc8, 0xa2, 0x42, 0x1b, 0xa6, 0x9b};
    const uint8_t key[TAPE_KEY_SIZE] = {0}, chunk[20000] = {0};
    uint8_t id[SEG_CHUNK_ID];
    unsigned kept;
    struct chunk_hash *h = chunk_hash_new();
    assert_non_null(h);
    needle = turned;
    needle_len = sizeof(turned);
    assert_int_equal(chunk_hash_key(h, key), 0);
    assert_int_equal(chunk_hash_id(h, &(struct chunk_bytes){chunk, sizeof(chunk)}, 1, id), 0);
    assert_true(chunk_hash_has(h, key));
    unsigned found = search(&kept);
    assert_int_equal(kept, 1);
    assert_int_equal(found, 1);
    assert_int_equal(chunk_hash_key(h, NULL), 0);
    assert_int_equal(search(&kept), 0);
    chunk_hash_free(h);
}

/* What is moved stays in the register it was moved by. */
#if defined(__x86_64__)
static const char text[] = "0123456789abcdefghijklmnopqrstuv";

static bool is_in_registers(void)
{
    static _Alignas(64) uint8_t saved[16384];
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("xsave64 %0" : "=m"(saved) : "a"(-1), "d"(-1));
    else
        __asm__ volatile("fxsave64 %0" : "=m"(saved));
    return memmem(saved, sizeof(saved), text, 16) || memmem(saved, sizeof(saved), text + 16, 16);
}

__attribute__((noinline)) static void forget_registers(void)
{
    __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm1, %%xmm1; pxor %%xmm2, %%xmm2; pxor %%xmm3, %%xmm3;"
                     "pxor %%xmm4, %%xmm4; pxor %%xmm5, %%xmm5; pxor %%xmm6, %%xmm6; pxor %%xmm7, %%xmm7"
                     :
                     :
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
}

static void a_secret_that_is_copied_or_compared_stays_in_no_register(void **state)
{
    (void)state;
    uint8_t *p = secret_new(64);
    assert_non_null(p);
    __asm__ volatile("movups %0, %%xmm3" : : "m"(text) : "xmm3");
    bool would_be_seen = is_in_registers();
    forget_registers();
    assert_true(would_be_seen);

    secret_copy(p, text, 32);
    bool copied = is_in_registers();
    bool equal = secret_equal(p, text, 32);
    bool compared = is_in_registers();
    assert_false(copied);
    assert_true(equal);
    assert_false(compared);
    assert_memory_equal(p, text, 32);
    for (size_t i = 0; i < 32; i += 31) {
        p[i] ^= 0x80;
        assert_false(secret_equal(p, text, 32));
        p[i] ^= 0x80;
    }
    assert_int_equal(p[32], 0);
    secret_free(p, 64);
}
#else
static void a_secret_that_is_copied_or_compared_stays_in_no_register(void **state)
{
    (void)state;
    skip(); /* how its registers are saved is known of x86-64 only */
}
#endif

static void there_is_no_core_dump_unless_asked(void **state)
{
    (void)state;
    secret_no_core_dumps();
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
    setenv(SECRET_CORE_DUMPS, "1", 1);
    secret_no_core_dumps();
    assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
    unsetenv(SECRET_CORE_DUMPS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_is_locked_not_dumped_and_not_a_childs),
        cmocka_unit_test(what_cannot_be_locked_is_refused),
        cmocka_unit_test(the_stores_secret_key_is_in_memory_for_secrets_alone),
        cmocka_unit_test(a_password_is_in_memory_for_secrets_alone),
        cmocka_unit_test(an_escrows_secret_key_is_printed_and_left_nowhere),
        cmocka_unit_test(who_reads_an_escrows_secret_key_leaves_no_core_dump),
        cmocka_unit_test(the_key_of_chunks_ids_is_in_memory_for_secrets_alone),
        cmocka_unit_test(a_secret_that_is_copied_or_compared_stays_in_no_register),
        cmocka_unit_test(there_is_no_core_dump_unless_asked),
    };
    srand((unsigned)getpid());
    return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
