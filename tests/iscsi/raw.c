/* SPDX-License-Identifier: GPL-2.0-or-later */
/* raw.c: iSCSI PDUs by hand (RFC 7143). */
#include "tests/iscsi/raw.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/be.h"
#include "base/crc32c.h"

void raw_connect(struct raw *r)
{
    *r = (struct raw){.cmdsn = 1, .itt = 1};

    const char *portal = getenv("S3VTL_TEST_PORTAL");
    char host[128];
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM};
    assert_non_null(portal);
    (void)snprintf(host, sizeof(host), "%s", portal);
    char *port = strrchr(host, ':');
    assert_non_null(port);
    *port++ = '\0';
    assert_int_equal(getaddrinfo(host, port, &hints, &found), 0);
    r->fd = socket(found->ai_family, SOCK_STREAM, 0);
    assert_true(r->fd >= 0);
    assert_int_equal(connect(r->fd, found->ai_addr, found->ai_addrlen), 0);
    freeaddrinfo(found);
    setsockopt(r->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    const struct timeval limit = {.tv_sec = 30};
    setsockopt(r->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static void put_all(int fd, const void *p, size_t len)
{
    for (const char *at = p; len;) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            fail_msg("the connection does not take data");
        at += n;
        len -= (size_t)n;
    }
}

/* False: closed. */
static bool get_all(int fd, void *p, size_t len)
{
    for (char *at = p; len;) {
        ssize_t n = recv(fd, at, len, 0);
        if (n < 0)
            fail_msg("no answer in 30 s");
        if (!n)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* Digests travel lowest byte first. */
static void put_digest(int fd, uint32_t crc)
{
    const uint8_t d[4] = {(uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16), (uint8_t)(crc >> 24)};
    put_all(fd, d, 4);
}

static bool check_digest(int fd, uint32_t crc, const char *what)
{
    uint8_t d[4];
    if (!get_all(fd, d, 4))
        return false;
    uint32_t got = (uint32_t)d[0] | (uint32_t)d[1] << 8 | (uint32_t)d[2] << 16 | (uint32_t)d[3] << 24;
    if (got != crc)
        fail_msg("%s digest is %08x, the content's %08x", what, got, crc);
    return true;
}

void raw_send(struct raw *r, const uint8_t bhs[BHS], const void *data, uint32_t len)
{
    uint8_t header[BHS];
    static const uint8_t zero[4] = {0};
    uint32_t pad = -len & 3;
    memcpy(header, bhs, BHS);
    put_be24(header + 5, len); /* DataSegmentLength */
    put_all(r->fd, header, BHS);
    if (r->digests)
        put_digest(r->fd, crc32c(0, header, BHS));
    if (!len)
        return;
    put_all(r->fd, data, len);
    put_all(r->fd, zero, pad);
    if (r->digests) {
        uint32_t crc = crc32c(crc32c(0, data, len), zero, pad);
        put_digest(r->fd, r->wrong_data_digest ? ~crc : crc);
        r->wrong_data_digest = false;
    }
}

static bool receive_one(struct raw *r, struct pdu *p)
{
    if (!get_all(r->fd, p->bhs, BHS) || (r->digests && !check_digest(r->fd, crc32c(0, p->bhs, BHS), "header")))
        return false;
    assert_int_equal(p->bhs[4], 0); /* no additional header segments come from a target */
    p->len = get_be24(p->bhs + 5);
    if (!p->len)
        return true;
    size_t padded = (p->len + 3u) & ~3u;
    p->data = realloc(p->data, padded);
    assert_non_null(p->data);
    return get_all(r->fd, p->data, padded) && (!r->digests || check_digest(r->fd, crc32c(0, p->data, padded), "data"));
}

bool raw_receive(struct raw *r, struct pdu *p)
{
    for (;;) {
        if (!receive_one(r, p))
            return false;
        if ((p->bhs[0] & 0x3f) != 0x20 || get_be32(p->bhs + 16) != 0xffffffff) /* an answer to our own ping is kept */
            return true;
        if (get_be32(p->bhs + 20) != 0xffffffff) { /* NOP-In that wants an answer */
            uint8_t out[BHS] = {0x40, 0x80};
            memcpy(out + 8, p->bhs + 8, 8);
            put_be32(out + 16, 0xffffffff);
            memcpy(out + 20, p->bhs + 20, 4);
            put_be32(out + 24, r->cmdsn);
            raw_send(r, out, NULL, 0);
        }
    }
}

static uint32_t add_key(char *out, size_t size, uint32_t at, const char *key, const char *value)
{
    assert_true(at + strlen(key) + strlen(value) + 2 <= size);
    return at + (uint32_t)sprintf(out + at, "%s=%s", key, value) + 1; /* each ends with its NUL */
}

/* Of the security stage: who talks to whom. */
static uint32_t names(char *out, size_t size, const char *name)
{
    char iqn[100];
    const char *target = getenv("S3VTL_TEST_TARGET");
    (void)snprintf(iqn, sizeof(iqn), "iqn.2026-11.s3vtl.test:%s", name);
    uint32_t at = add_key(out, size, 0, "InitiatorName", iqn);
    at = add_key(out, size, at, "TargetName", target ? target : "");
    at = add_key(out, size, at, "SessionType", "Normal");
    return add_key(out, size, at, "AuthMethod", "None");
}

static uint32_t parameters(char *out, size_t size, const struct raw_options *o)
{
    char first_burst[16], max_data[16];
    (void)snprintf(first_burst, sizeof(first_burst), "%u", o->first_burst ? o->first_burst : 1048576);
    (void)snprintf(max_data, sizeof(max_data), "%u", o->max_data ? o->max_data : 262144);
    const char *digest = o->digests ? "CRC32C" : "None";
    const char *const keys[][2] = {{"HeaderDigest", digest},
                                   {"DataDigest", digest},
                                   {"InitialR2T", o->initial_r2t ? "Yes" : "No"},
                                   {"ImmediateData", o->no_immediate_data ? "No" : "Yes"},
                                   {"MaxRecvDataSegmentLength", max_data},
                                   {"FirstBurstLength", first_burst},
                                   {"MaxBurstLength", "4194304"},
                                   {"MaxOutstandingR2T", "1"},
                                   {"DefaultTime2Wait", "0"},
                                   {"DefaultTime2Retain", "0"},
                                   {"ErrorRecoveryLevel", "0"}};
    uint32_t at = 0;
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        at = add_key(out, size, at, keys[i][0], keys[i][1]);
    return at;
}

enum { STAGE_SECURITY = 0, STAGE_OPERATIONAL = 1, STAGE_FULL = 3, TRANSIT = 0x80 };

static void pass_stage(struct raw *r, uint32_t isid, uint8_t from, uint8_t to, const char *keys, uint32_t len)
{
    struct pdu p = {.data = NULL};
    for (int step = 0; step < 4; step++) { /* the target may want to say something more before it lets us pass */
        uint8_t login[BHS] = {0x43, (uint8_t)(TRANSIT | from << 2 | to)}; /* a login request is immediate */
        put_be32(login + 8, 0x80000000u | isid);                          /* ISID, random; its last two bytes 0 */
        put_be32(login + 24, r->cmdsn);
        raw_send(r, login, keys, step ? 0 : len);
        assert_true(raw_receive(r, &p));
        assert_int_equal(p.bhs[0], 0x23);
        assert_int_equal(get_be16(p.bhs + 36), 0); /* Status-Class, Status-Detail */
        if (p.bhs[1] & TRANSIT)
            break;
    }
    assert_int_equal(p.bhs[1] & (TRANSIT | 3), TRANSIT | to);
    pdu_free(&p);
}

void raw_open_with(struct raw *r, const struct raw_options *o)
{
    char keys[1024];
    uint32_t isid = o->isid ? o->isid : 0x10000u + (uint32_t)getpid();
    raw_connect(r);
    pass_stage(r, isid, STAGE_SECURITY, STAGE_OPERATIONAL, keys, names(keys, sizeof(keys), o->name ? o->name : "raw"));
    pass_stage(r, isid, STAGE_OPERATIONAL, STAGE_FULL, keys, parameters(keys, sizeof(keys), o));
    r->digests = o->digests;
}

void raw_open_as(struct raw *r, bool digests, const char *name, uint32_t isid)
{
    raw_open_with(r, &(struct raw_options){.digests = digests, .name = name, .isid = isid});
}

void raw_open(struct raw *r, bool digests)
{
    raw_open_with(r, &(struct raw_options){.digests = digests});
}

void raw_close(struct raw *r)
{
    close(r->fd);
}

uint32_t raw_command(struct raw *r, int lun, const uint8_t *cdb, size_t cdb_len, uint8_t flags, uint32_t expected,
                     const void *data, uint32_t len)
{
    uint8_t bhs[BHS] = {PDU_COMMAND, flags};
    bhs[9] = (uint8_t)lun; /* single level LUN structure, peripheral device addressing */
    put_be32(bhs + 16, r->itt);
    put_be32(bhs + 20, expected);
    put_be32(bhs + 24, r->cmdsn++);
    memcpy(bhs + 32, cdb, cdb_len);
    raw_send(r, bhs, data, len);
    return r->itt++;
}

void raw_data_out(struct raw *r, int lun, uint32_t itt, uint32_t ttt, const uint8_t *base, uint32_t offset,
                  uint32_t len)
{
    uint32_t sn = 0;
    do {
        uint32_t n = len < 262144 ? len : 262144;
        uint8_t bhs[BHS] = {PDU_DATA_OUT, len == n ? FLAG_FINAL : 0};
        if (ttt != NO_TAG) /* else the LUN is reserved */
            bhs[9] = (uint8_t)lun;
        put_be32(bhs + 16, itt);
        put_be32(bhs + 20, ttt);
        put_be32(bhs + 36, sn++);
        put_be32(bhs + 40, offset);
        raw_send(r, bhs, base + offset, n);
        offset += n;
        len -= n;
    } while (len);
}

uint32_t raw_task_request(struct raw *r, uint8_t function, int lun, uint32_t referenced)
{
    uint8_t bhs[BHS] = {PDU_IMMEDIATE | PDU_TASK_REQUEST, (uint8_t)(FLAG_FINAL | function)};
    bhs[9] = (uint8_t)lun;
    put_be32(bhs + 16, r->itt);
    put_be32(bhs + 20, referenced);
    put_be32(bhs + 24, r->cmdsn);
    raw_send(r, bhs, NULL, 0);
    return r->itt++;
}

bool raw_finish(struct raw *r, uint32_t itt, const uint8_t *data, void *buf, size_t room, struct pdu *p)
{
    while (raw_receive(r, p)) {
        uint8_t op = p->bhs[0] & 0x3f;
        if (get_be32(p->bhs + 16) != itt)
            fail_msg("PDU %02x is of task %u", op, get_be32(p->bhs + 16));
        if (op == PDU_R2T) {
            assert_non_null(data);
            raw_data_out(r, p->bhs[9], itt, get_be32(p->bhs + 20), data, get_be32(p->bhs + 40), get_be32(p->bhs + 44));
        } else if (op == PDU_DATA_IN) {
            uint32_t offset = get_be32(p->bhs + 40);
            assert_true(offset <= room && p->len <= room - offset);
            memcpy((uint8_t *)buf + offset, p->data, p->len);
            if (p->bhs[1] & 1) /* S: this is the status too */
                return true;
        } else {
            assert_int_equal(op, PDU_RESPONSE);
            return true;
        }
    }
    return false;
}

void pdu_free(struct pdu *p)
{
    free(p->data);
    p->data = NULL;
}
