/* SPDX-License-Identifier: GPL-2.0-or-later */
/* client.c: see client.h. */
#include "tests/soak/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "base/be.h"

/* Longer than any fault of the soak lasts, with the pauses that the gateway makes between its tries. */
#define COMMAND_LIMIT_S 300

struct client {
    struct iscsi_context *ctx;
    int lun;
    bool broken;
};

struct client *client_login(const char *portal, const char *target, unsigned drive, char *why, size_t room)
{
    char name[64];
    struct client *c = calloc(1, sizeof(*c));
    (void)snprintf(name, sizeof(name), "iqn.2026-11.s3vtl.test:soak%u", drive);
    if (!c || !(c->ctx = iscsi_create_context(name)))
        abort();
    c->lun = DRIVE_LUN + (int)drive;
    iscsi_set_targetname(c->ctx, target);
    iscsi_set_session_type(c->ctx, ISCSI_SESSION_NORMAL);
    iscsi_set_noautoreconnect(c->ctx, 1);
    iscsi_set_timeout(c->ctx, COMMAND_LIMIT_S);
    if (!iscsi_connect_sync(c->ctx, portal) && !iscsi_login_sync(c->ctx))
        return c;
    (void)snprintf(why, room, "%s", iscsi_get_error(c->ctx));
    iscsi_destroy_context(c->ctx);
    free(c);
    return NULL;
}

void client_logout(struct client *c)
{
    if (!c->broken)
        (void)iscsi_logout_sync(c->ctx);
    iscsi_destroy_context(c->ctx);
    free(c);
}

void client_cut(struct client *c)
{
    (void)shutdown(iscsi_get_fd(c->ctx), SHUT_RDWR);
    c->broken = true;
    client_logout(c);
}

int client_drive(const struct client *c)
{
    return c->lun;
}

/* ---- commands ---- */

static struct answer command(struct client *c, int lun, const uint8_t *cdb, int cdb_len, enum scsi_xfer_dir dir,
                             void *buf, uint32_t len)
{
    uint8_t copy[16];
    if (c->broken)
        return (struct answer){.outcome = BROKEN};
    memcpy(copy, cdb, (size_t)cdb_len);
    struct scsi_task *t = scsi_create_task(cdb_len, copy, (int)dir, (int)len);
    if (!t)
        abort();
    if (dir == SCSI_XFER_READ && len)
        scsi_task_add_data_in_buffer(t, (int)len, buf);
    if (dir == SCSI_XFER_WRITE && len)
        scsi_task_add_data_out_buffer(t, (int)len, buf);
    struct answer a = {.outcome = BROKEN};
    if (iscsi_scsi_command_sync(c->ctx, lun, t, NULL)) {
        if (t->status == SCSI_STATUS_GOOD)
            a.outcome = GOOD;
        else if (t->status == SCSI_STATUS_CHECK_CONDITION)
            a = (struct answer){.outcome = CHECK, .key = t->sense.key, .asc = (unsigned)t->sense.ascq};
        else if (t->status == SCSI_STATUS_TIMEOUT)
            printf("# command %02x of LUN %d did not end in %d s\n", cdb[0], lun, COMMAND_LIMIT_S);
        a.got = t->residual_status == SCSI_RESIDUAL_UNDERFLOW ? len - (uint32_t)t->residual : len;
    }
    c->broken = a.outcome == BROKEN;
    scsi_free_scsi_task(t);
    return a;
}

static struct answer drive(struct client *c, const uint8_t *cdb, int cdb_len)
{
    return command(c, c->lun, cdb, cdb_len, SCSI_XFER_NONE, NULL, 0);
}

struct answer client_ready(struct client *c, int lun)
{
    const uint8_t cdb[6] = {0};
    struct answer a;
    int left = 16;
    do
        a = command(c, lun, cdb, 6, SCSI_XFER_NONE, NULL, 0);
    while (a.outcome == CHECK && a.key == 6 && --left);
    return a;
}

/* ---- drive ---- */

struct answer tape_write(struct client *c, const uint8_t *block, uint32_t len)
{
    uint8_t cdb[6] = {0x0A};
    put_be24(cdb + 2, len);
    return command(c, c->lun, cdb, 6, SCSI_XFER_WRITE, (void *)(uintptr_t)block, len);
}

struct answer tape_read(struct client *c, uint8_t *block, uint32_t room)
{
    uint8_t cdb[6] = {0x08, 0x02}; /* SILI */
    put_be24(cdb + 2, room);
    return command(c, c->lun, cdb, 6, SCSI_XFER_READ, block, room);
}

struct answer tape_marks(struct client *c, unsigned n, bool immed)
{
    uint8_t cdb[6] = {0x10, immed};
    put_be24(cdb + 2, n);
    return drive(c, cdb, 6);
}

struct answer tape_locate(struct client *c, uint64_t object)
{
    uint8_t cdb[16] = {0x92};
    put_be64(cdb + 4, object);
    return drive(c, cdb, 16);
}

static struct answer space(struct client *c, uint8_t code, int n)
{
    uint8_t cdb[6] = {0x11, code};
    put_be24(cdb + 2, (uint32_t)n & 0xffffff);
    return drive(c, cdb, 6);
}

struct answer tape_space_files(struct client *c, int n)
{
    return space(c, 1, n);
}

struct answer tape_space_end(struct client *c)
{
    return space(c, 3, 0);
}

static struct answer six(struct client *c, uint8_t opcode, uint8_t byte4)
{
    const uint8_t cdb[6] = {opcode, 0, 0, 0, byte4, 0};
    return drive(c, cdb, 6);
}

struct answer tape_rewind(struct client *c)
{
    return six(c, 0x01, 0);
}

struct answer tape_erase(struct client *c)
{
    return six(c, 0x19, 0);
}

struct answer tape_format(struct client *c)
{
    return six(c, 0x04, 0);
}

struct answer tape_load(struct client *c, bool load)
{
    return six(c, 0x1B, load);
}

struct answer tape_position(struct client *c, uint64_t *object, uint64_t *file)
{
    uint8_t p[32];
    const uint8_t cdb[10] = {0x34, 0x06}; /* long form */
    struct answer a = command(c, c->lun, cdb, 10, SCSI_XFER_READ, p, sizeof(p));
    if (a.outcome == GOOD && a.got == sizeof(p)) {
        *object = get_be64(p + 8);
        *file = get_be64(p + 16);
    }
    return a;
}

/* ---- changer ---- */

static struct answer elements_of(struct client *c, enum element_type type, struct element *e, size_t room, size_t *n)
{
    static _Thread_local uint8_t buf[65535];
    const uint8_t cdb[12] = {0xB8, (uint8_t)(0x10 | type), 0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF};
    struct answer a = command(c, CHANGER_LUN, cdb, 12, SCSI_XFER_READ, buf, sizeof(buf));
    if (a.outcome != GOOD || a.got < 16)
        return a;
    uint32_t size = get_be16(buf + 10);
    for (uint32_t at = 16; size && at + size <= a.got && *n < room; at += size) {
        const uint8_t *d = buf + at;
        struct element *x = &e[(*n)++];
        *x = (struct element){.type = type, .address = get_be16(d), .full = d[2] & 1};
        if (x->full) {
            memcpy(x->barcode, d + 12, 32);
            x->barcode[strcspn(x->barcode, " ")] = '\0';
        }
    }
    return a;
}

struct answer changer_elements(struct client *c, struct element *e, size_t room, size_t *n)
{
    struct answer a = client_ready(c, CHANGER_LUN);
    *n = 0;
    for (enum element_type t = STORAGE; a.outcome == GOOD && t <= DRIVE; t++)
        a = elements_of(c, t, e, room, n);
    return a;
}

struct answer changer_move(struct client *c, uint16_t from, uint16_t to)
{
    uint8_t cdb[12] = {0xA5};
    put_be16(cdb + 4, from);
    put_be16(cdb + 6, to);
    return command(c, CHANGER_LUN, cdb, 12, SCSI_XFER_NONE, NULL, 0);
}
