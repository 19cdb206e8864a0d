/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sgraw.c: one command as Proxmox Backup Server sends it, and its status as it understands it. */
#include "tests/pbs/sgraw.h"

#define fail(...) (problem_set(__VA_ARGS__), SG_ERROR)

/* Fixed format must have 18 bytes, descriptor format 9; deferred errors (71h, 73h) fail what carried them. */
static int decode_sense(const char *what, const struct exchange *x)
{
    unsigned key, asc, ascq, code = x->sense_len ? x->sense[0] & 0x7fu : 0;
    if (!x->sense_len)
        return fail("%s: got no sense data", what);
    if (code == 0x70 && x->sense_len >= 18) {
        key = x->sense[2] & 0x0f;
        asc = x->sense[12];
        ascq = x->sense[13];
    } else if (code == 0x72 && x->sense_len >= 9) {
        key = x->sense[1] & 0x0f;
        asc = x->sense[2];
        ascq = x->sense[3];
    } else {
        return fail("%s: sense of %u bytes with response code %02x", what, x->sense_len, code);
    }
    problem_set("%s: sense %x/%02x/%02x", what, key, asc, ascq);
    return (int)(1u << 24 | key << 16 | asc << 8 | ascq);
}

static int run(struct unit *u, const char *what, struct exchange *x, uint32_t *got)
{
    transport_do(u, x);
    if (x->transport_error && x->status != 2)
        return fail("%s: transport error: %s", what, x->transport_error);
    if (x->status == 2)
        return decode_sense(what, x);
    if (x->status)
        return fail("%s: unknown scsi error - status response %02x", what, x->status);
    if (x->resid < 0 || x->resid > x->len)
        return fail("%s: strange resid %lld of %u", what, (long long)x->resid, x->len);
    if (got)
        *got = x->len - (uint32_t)x->resid;
    return SG_GOOD;
}

int sg_in(struct unit *u, const char *what, const uint8_t *cdb, size_t cdb_len, void *buf, uint32_t len,
          unsigned timeout_s, uint32_t *got)
{
    struct exchange x = {.cdb = cdb, .cdb_len = (uint8_t)cdb_len, .buf = buf, .len = len, .timeout_s = timeout_s};
    return run(u, what, &x, got);
}

int sg_out(struct unit *u, const char *what, const uint8_t *cdb, size_t cdb_len, const void *buf, uint32_t len,
           unsigned timeout_s)
{
    struct exchange x = {.cdb = cdb,
                         .cdb_len = (uint8_t)cdb_len,
                         .out = true,
                         .buf = (void *)(uintptr_t)buf,
                         .len = len,
                         .timeout_s = timeout_s};
    return run(u, what, &x, NULL);
}

/* All of the buffer is residual. (What is in it then says nothing: the kernel's sg driver fills it from its own.) */
static int without_data(struct unit *u, const char *what, const uint8_t *cdb, size_t cdb_len, uint32_t room,
                        unsigned timeout_s)
{
    uint8_t buf[64] = {0};
    uint32_t got = 0;
    int r = sg_in(u, what, cdb, cdb_len, buf, room, timeout_s, &got);
    if (r == SG_GOOD && got)
        return fail("%s: %u bytes of data came for a command that has none", what, got);
    return r;
}

int sg_none(struct unit *u, const char *what, const uint8_t *cdb, size_t cdb_len, unsigned timeout_s)
{
    return without_data(u, what, cdb, cdb_len, 16, timeout_s);
}

int sg_none_64(struct unit *u, const char *what, const uint8_t *cdb, size_t cdb_len, unsigned timeout_s)
{
    return without_data(u, what, cdb, cdb_len, 64, timeout_s);
}

bool sg_inquiry(struct unit *u, uint8_t type)
{
    uint8_t b[36];
    uint32_t got;
    TRY(sg_in(u, "INQUIRY", CDB(0x12, 0, 0, 0, 0x24, 0), b, sizeof(b), 30, &got) == SG_GOOD);
    if (got < sizeof(b) || (b[0] & 0x1f) != type)
        return problem("INQUIRY: %u bytes, type %u; 36 bytes of type %u expected", got, b[0] & 0x1fu, type);
    return true;
}
