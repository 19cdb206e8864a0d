/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tapeio.c: drives a library over iSCSI from a shell: moves, writes, reads, compares; a client without a kernel. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "base/be.h"

static const char usage[] =
    "usage: tapeio [-u USER -w PASSWORD] [-n INITIATOR] [-d DRIVE] PORTAL TARGET COMMAND...\n"
    "Each COMMAND is one argument:\n"
    "  'load BARCODE'          from its slot into the drive, and wait until it is ready\n"
    "  unload                  back to the first free slot\n"
    "  'write FILE BYTES'      the file in blocks of BYTES, the last one shorter\n"
    "  'read FILE'             blocks up to the next filemark or end of data, put behind each other\n"
    "  'fill TOTAL BYTES'      writes TOTAL bytes of noise in blocks of BYTES; prints the rate\n"
    "  'skim TOTAL BYTES'      reads TOTAL bytes and drops them; prints the rate\n"
    "  'weof N' 'weofi N'      N filemarks, with and without waiting (IMMED)\n"
    "  sync rewind eod eject erase format\n"
    "  'fsf N' 'bsf N' 'seek FILE'\n"
    "  'key LETTER'            blocks are encrypted from now on, by a key of 32 such letters; '-': they are not\n"
    "  position                prints file and object\n"
    "  alerts                  prints the drive's TapeAlert flags\n"
    "  'elements'              prints each full element and its barcode\n";

static struct iscsi_context *ctx;
static int lun = 2;
static unsigned drive;
#define CHANGER 1

struct sense {
    unsigned key, asc;
};

static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "tapeio: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    exit(1);
}

enum way { NONE, IN, OUT };

/* GOOD: true, and *got bytes of data-in. CHECK CONDITION: false, with its sense. All else ends the program. */
static bool command(int to, const char *name, const uint8_t *cdb, int cdb_len, enum way way, void *buf, uint32_t len,
                    uint32_t *got, struct sense *sense)
{
    uint8_t copy[16];
    memcpy(copy, cdb, (size_t)cdb_len);
    int dir = way == NONE ? SCSI_XFER_NONE : way == IN ? SCSI_XFER_READ : SCSI_XFER_WRITE;
    struct scsi_task *t = scsi_create_task(cdb_len, copy, dir, (int)len);
    if (!t)
        fail("%s: out of memory", name);
    if (way == IN && len)
        scsi_task_add_data_in_buffer(t, (int)len, buf);
    if (way == OUT && len)
        scsi_task_add_data_out_buffer(t, (int)len, buf);
    if (!iscsi_scsi_command_sync(ctx, to, t, NULL))
        fail("%s: %s", name, iscsi_get_error(ctx));
    bool good = t->status == SCSI_STATUS_GOOD;
    if (!good && t->status != SCSI_STATUS_CHECK_CONDITION)
        fail("%s: status %#x: %s", name, (unsigned)t->status, iscsi_get_error(ctx));
    if (sense)
        *sense = good ? (struct sense){0, 0} : (struct sense){t->sense.key, (unsigned)t->sense.ascq};
    if (got)
        *got = t->residual_status == SCSI_RESIDUAL_UNDERFLOW ? len - (uint32_t)t->residual : len;
    scsi_free_scsi_task(t);
    return good;
}

static void must(const char *name, bool good, const struct sense *s)
{
    if (!good)
        fail("%s: CHECK CONDITION %X/%02X/%02X %s", name, s->key, s->asc >> 8, s->asc & 0xff,
             scsi_sense_ascq_str((int)s->asc));
}

static void simple(const char *name, const uint8_t *cdb, int cdb_len)
{
    struct sense s;
    must(name, command(lun, name, cdb, cdb_len, NONE, NULL, 0, NULL, &s), &s);
}

/* Waits until the logical unit is ready; unit attentions pass. */
static void ready(int to)
{
    const uint8_t cdb[6] = {0};
    struct sense s;
    for (int i = 0; i < 600; i++) {
        if (command(to, "TEST UNIT READY", cdb, 6, NONE, NULL, 0, NULL, &s))
            return;
        if (s.key != 6 && !(s.key == 2 && s.asc == 0x0401))
            break;
        if (s.key == 2)
            usleep(100000);
    }
    must("TEST UNIT READY", false, &s);
}

static void take_attention(int to)
{
    const uint8_t cdb[6] = {0};
    struct sense s = {6, 0};
    for (int i = 0; i < 8 && s.key == 6; i++)
        if (command(to, "TEST UNIT READY", cdb, 6, NONE, NULL, 0, NULL, &s))
            return;
}

/* ---- changer ---- */

typedef bool (*element_fn)(void *arg, unsigned type, uint16_t address, bool full, const char *barcode);

/* Calls fn for each element of the type until it returns true. */
static bool elements(unsigned type, element_fn fn, void *arg)
{
    static uint8_t buf[65535];
    uint8_t cdb[12] = {0xB8, (uint8_t)(0x10 | type), 0, 0, 0x03, 0xE8, 0, 0, 0xFF, 0xFF};
    struct sense s;
    uint32_t got = 0, from = 0;
    for (;;) {
        put_be16(cdb + 2, (uint16_t)from);
        must("READ ELEMENT STATUS", command(CHANGER, "READ ELEMENT STATUS", cdb, 12, IN, buf, sizeof(buf), &got, &s),
             &s);
        unsigned n = got >= 8 ? get_be16(buf + 2) : 0;
        uint32_t size = got >= 16 ? get_be16(buf + 10) : 0, at = 16;
        if (!n)
            return false;
        for (unsigned i = 0; i < n && size && at + size <= got; i++, at += size) {
            const uint8_t *d = buf + at;
            char barcode[33];
            memcpy(barcode, d + 12, 32);
            barcode[32] = '\0';
            barcode[strcspn(barcode, " ")] = '\0';
            from = get_be16(d) + 1u;
            if (fn(arg, type, get_be16(d), d[2] & 1, d[2] & 1 ? barcode : ""))
                return true;
        }
        if (n < 1000)
            return false;
    }
}

struct wanted {
    const char *barcode; /* NULL: the first empty one */
    uint16_t address;
    bool found;
};

static bool match(void *arg, unsigned type, uint16_t address, bool full, const char *barcode)
{
    (void)type;
    struct wanted *w = arg;
    if (w->barcode ? full && !strcmp(barcode, w->barcode) : !full) {
        w->address = address;
        w->found = true;
    }
    return w->found;
}

static void move(uint16_t from, uint16_t to)
{
    uint8_t cdb[12] = {0xA5};
    struct sense s;
    put_be16(cdb + 4, from);
    put_be16(cdb + 6, to);
    must("MOVE MEDIUM", command(CHANGER, "MOVE MEDIUM", cdb, 12, NONE, NULL, 0, NULL, &s), &s);
}

static uint16_t drive_address(void)
{
    return (uint16_t)(0x0100 + drive);
}

static void cmd_load(char **a)
{
    struct wanted w = {.barcode = a[1]};
    if (!elements(4, match, &w) && !elements(2, match, &w) && !elements(3, match, &w))
        fail("load: no cartridge %s in the library", a[1]);
    if (w.address != drive_address())
        move(w.address, drive_address());
    ready(lun);
}

static void cmd_unload(char **a)
{
    (void)a;
    struct wanted w = {.barcode = NULL};
    if (!elements(2, match, &w))
        fail("unload: no free slot");
    move(drive_address(), w.address);
}

static bool show(void *arg, unsigned type, uint16_t address, bool full, const char *barcode)
{
    static const char *const names[] = {"", "transport", "slot", "import_export", "drive"};
    (void)arg;
    if (full)
        printf("%s %#06x %s\n", names[type], address, barcode);
    return false;
}

static void cmd_elements(char **a)
{
    (void)a;
    for (unsigned type = 1; type <= 4; type++)
        elements(type, show, NULL);
}

/* ---- drive ---- */

static void write_one(const uint8_t *block, uint32_t len)
{
    uint8_t cdb[6] = {0x0A};
    struct sense s;
    put_be24(cdb + 2, len);
    bool good = command(lun, "WRITE", cdb, 6, OUT, (void *)(uintptr_t)block, len, NULL, &s);
    if (!good && !(s.key == 0 && s.asc == 0x0002)) /* early warning: written */
        must("WRITE", false, &s);
}

/* 0: a block, *got its length. 1: filemark. 2: end of data. */
static int read_one(uint8_t *block, uint32_t room, uint32_t *got)
{
    uint8_t cdb[6] = {0x08, 0x02};
    struct sense s;
    put_be24(cdb + 2, room);
    if (command(lun, "READ", cdb, 6, IN, block, room, got, &s))
        return 0;
    if (s.key == 0 && s.asc == 0x0001)
        return 1;
    if (s.key == 8)
        return 2;
    must("READ", false, &s);
    return 2;
}

#define MAX_BLOCK (8u << 20)

static uint32_t block_size(const char *s)
{
    unsigned long n = strtoul(s, NULL, 10);
    if (!n || n > MAX_BLOCK)
        fail("block size %s: must be 1 to %u", s, MAX_BLOCK);
    return (uint32_t)n;
}

static uint8_t *block_buffer(void)
{
    static uint8_t *buf;
    if (!buf && !(buf = malloc(MAX_BLOCK)))
        fail("out of memory");
    return buf;
}

static void cmd_write(char **a)
{
    uint32_t size = block_size(a[2]);
    FILE *f = fopen(a[1], "rb");
    if (!f)
        fail("%s: %s", a[1], strerror(errno));
    size_t n;
    while ((n = fread(block_buffer(), 1, size, f)))
        write_one(block_buffer(), (uint32_t)n);
    fclose(f);
}

static void cmd_read(char **a)
{
    FILE *f = fopen(a[1], "wb");
    if (!f)
        fail("%s: %s", a[1], strerror(errno));
    uint32_t got;
    while (read_one(block_buffer(), MAX_BLOCK, &got) == 0)
        if (fwrite(block_buffer(), 1, got, f) != got)
            fail("%s: %s", a[1], strerror(errno));
    if (fclose(f))
        fail("%s: %s", a[1], strerror(errno));
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void cmd_fill(char **a)
{
    uint64_t total = strtoull(a[1], NULL, 10), x = 88172645463325252u;
    uint32_t size = block_size(a[2]);
    uint8_t *b = block_buffer();
    for (uint32_t i = 0; i + 8 <= size; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(b + i, &x, 8);
    }
    double began = now();
    for (uint64_t done = 0; done < total; done += size) {
        memcpy(b, &done, size < 8 ? size : 8); /* no two blocks are the same */
        write_one(b, size);
    }
    printf("fill %.1f MB/s\n", (double)total / 1e6 / (now() - began));
}

static void cmd_skim(char **a)
{
    uint64_t total = strtoull(a[1], NULL, 10), done = 0;
    uint32_t size = block_size(a[2]), got = 0;
    double began = now();
    while (done < total && read_one(block_buffer(), size, &got) == 0)
        done += got;
    if (done < total)
        fail("skim: only %" PRIu64 " bytes there", done);
    printf("skim %.1f MB/s\n", (double)done / 1e6 / (now() - began));
}

static void filemarks(uint32_t n, bool immed)
{
    uint8_t cdb[6] = {0x10, immed};
    struct sense s;
    put_be24(cdb + 2, n);
    bool good = command(lun, "WRITE FILEMARKS", cdb, 6, NONE, NULL, 0, NULL, &s);
    if (!good && !(s.key == 0 && s.asc == 0x0002))
        must("WRITE FILEMARKS", false, &s);
}

static void cmd_weof(char **a)
{
    filemarks((uint32_t)strtoul(a[1], NULL, 10), false);
}

static void cmd_weofi(char **a)
{
    filemarks((uint32_t)strtoul(a[1], NULL, 10), true);
}

static void cmd_sync(char **a)
{
    (void)a;
    filemarks(0, false);
}

static void space(unsigned code, long n)
{
    uint8_t cdb[6] = {0x11, (uint8_t)code};
    put_be24(cdb + 2, (uint32_t)n & 0xffffff);
    simple("SPACE", cdb, 6);
}

static void cmd_fsf(char **a)
{
    space(1, strtol(a[1], NULL, 10));
}

static void cmd_bsf(char **a)
{
    space(1, -strtol(a[1], NULL, 10));
}

static void cmd_eod(char **a)
{
    (void)a;
    space(3, 0);
}

static void cmd_seek(char **a)
{
    uint8_t cdb[16] = {0x92, 0x08};
    put_be64(cdb + 4, strtoull(a[1], NULL, 10));
    simple("LOCATE", cdb, 16);
}

static void six(const char *name, uint8_t opcode, uint8_t byte1, uint8_t byte4)
{
    const uint8_t cdb[6] = {opcode, byte1, 0, 0, byte4, 0};
    simple(name, cdb, 6);
}

static void cmd_rewind(char **a)
{
    (void)a;
    six("REWIND", 0x01, 0, 0);
}

static void cmd_eject(char **a)
{
    (void)a;
    six("LOAD UNLOAD", 0x1B, 0, 0);
}

static void cmd_erase(char **a)
{
    (void)a;
    six("ERASE", 0x19, 0, 0);
}

static void cmd_format(char **a)
{
    (void)a;
    six("FORMAT MEDIUM", 0x04, 0, 0);
}

/* Set Data Encryption as Proxmox Backup Server sends it: for all nexuses, encrypt and mixed. */
static void cmd_key(char **a)
{
    const bool on = a[1][0] != '-';
    uint8_t list[52] = {0, 0x10, 0, 0, 2 << 5, 0, 0, 0, 1};
    const uint8_t len = on ? 52 : 20;
    list[3] = (uint8_t)(len - 4);
    if (on) {
        list[6] = 2;
        list[7] = 3;
        list[19] = 32;
        memset(list + 20, a[1][0], 32);
    }
    const uint8_t cdb[12] = {0xB5, 0x20, 0, 0x10, 0, 0, 0, 0, 0, len};
    struct sense s;
    must("SECURITY PROTOCOL OUT", command(lun, "SECURITY PROTOCOL OUT", cdb, 12, OUT, list, len, NULL, &s), &s);
}

static void cmd_position(char **a)
{
    (void)a;
    uint8_t buf[32];
    const uint8_t cdb[10] = {0x34, 0x06};
    struct sense s;
    must("READ POSITION", command(lun, "READ POSITION", cdb, 10, IN, buf, sizeof(buf), NULL, &s), &s);
    printf("file %" PRIu64 " object %" PRIu64 "\n", get_be64(buf + 16), get_be64(buf + 8));
}

/* By log page 12h, which clears none. */
static void cmd_alerts(char **a)
{
    (void)a;
    uint8_t buf[16];
    const uint8_t cdb[10] = {0x4D, 0, 0x52, 0, 0, 0, 0, 0, sizeof(buf)};
    struct sense s;
    must("LOG SENSE", command(lun, "LOG SENSE", cdb, 10, IN, buf, sizeof(buf), NULL, &s), &s);
    printf("alerts:");
    for (unsigned flag = 1; flag <= 64; flag++)
        if (get_be64(buf + 8) >> (64 - flag) & 1)
            printf(" %02Xh", flag);
    printf("\n");
}

static const struct {
    const char *name;
    int args;
    void (*run)(char **a);
} commands[] = {
    {"load", 1, cmd_load},   {"unload", 0, cmd_unload}, {"elements", 0, cmd_elements}, {"write", 2, cmd_write},
    {"read", 1, cmd_read},   {"fill", 2, cmd_fill},     {"skim", 2, cmd_skim},         {"weof", 1, cmd_weof},
    {"weofi", 1, cmd_weofi}, {"sync", 0, cmd_sync},     {"fsf", 1, cmd_fsf},           {"bsf", 1, cmd_bsf},
    {"eod", 0, cmd_eod},     {"seek", 1, cmd_seek},     {"rewind", 0, cmd_rewind},     {"eject", 0, cmd_eject},
    {"erase", 0, cmd_erase}, {"format", 0, cmd_format}, {"position", 0, cmd_position}, {"alerts", 0, cmd_alerts},
    {"key", 1, cmd_key},
};

static void run(char *line)
{
    char *words[4] = {0}, *save = NULL;
    int n = 0;
    for (char *w = strtok_r(line, " ", &save); w && n < 4; w = strtok_r(NULL, " ", &save))
        words[n++] = w;
    for (size_t i = 0; n && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (!strcmp(commands[i].name, words[0])) {
            if (n - 1 != commands[i].args)
                fail("%s takes %d arguments", words[0], commands[i].args);
            commands[i].run(words);
            return;
        }
    fail("unknown command %s", n ? words[0] : "(none)");
}

static const char *initiator = "iqn.2026-11.test:tapeio";

static void login(const char *portal, const char *target, const char *user, const char *password)
{
    ctx = iscsi_create_context(initiator);
    if (!ctx)
        fail("out of memory");
    iscsi_set_targetname(ctx, target);
    iscsi_set_session_type(ctx, ISCSI_SESSION_NORMAL);
    iscsi_set_noautoreconnect(ctx, 1);
    if (user && iscsi_set_initiator_username_pwd(ctx, user, password))
        fail("%s", iscsi_get_error(ctx));
    if (iscsi_connect_sync(ctx, portal) || iscsi_login_sync(ctx))
        fail("%s %s: %s", portal, target, iscsi_get_error(ctx));
}

int main(int argc, char **argv)
{
    const char *user = NULL, *password = "";
    int opt;
    while ((opt = getopt(argc, argv, "u:w:n:d:")) != -1) {
        if (opt == 'u')
            user = optarg;
        else if (opt == 'w')
            password = optarg;
        else if (opt == 'n')
            initiator = optarg;
        else if (opt == 'd')
            drive = (unsigned)strtoul(optarg, NULL, 10);
        else
            optind = argc;
    }
    if (argc - optind < 3) {
        fputs(usage, stderr);
        return 2;
    }
    lun = 2 + (int)drive;
    login(argv[optind], argv[optind + 1], user, password);
    take_attention(CHANGER);
    take_attention(lun);
    for (int i = optind + 2; i < argc; i++)
        run(argv[i]);
    iscsi_logout_sync(ctx);
    iscsi_destroy_context(ctx);
    return 0;
}
