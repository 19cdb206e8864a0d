/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_pdu.c: requests that are wrong as iSCSI PDUs, by name and at random, before and after the login: the library
 * answers the next session all the same, and nothing is written where it does not belong. */
#include "tests/iscsi/library.h"
#include "tests/iscsi/raw.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/be.h"

#define D LUN_DRIVE0
enum { OUT = FLAG_FINAL | FLAG_WRITE | ATTR_SIMPLE, IN = FLAG_FINAL | FLAG_READ | ATTR_SIMPLE, DATA_ROOM = 1 << 20 };
static uint8_t data[DATA_ROOM];

static void raw_settle(struct raw *r)
{
    struct pdu p = {.data = NULL};
    do
        assert_true(raw_finish(r, raw_command(r, D, CDB(0, 0, 0, 0, 0, 0), FLAG_FINAL | ATTR_SIMPLE, 0, NULL, 0), NULL,
                               NULL, 0, &p));
    while (p.bhs[3] == 2 && p.len > 4 && (p.data[4] & 0x0f) == 6);
    pdu_free(&p);
}

static void open_settled(struct raw *r, bool digests)
{
    raw_open(r, digests);
    raw_settle(r);
}

static void blank(void)
{
    struct session *s = session_open(NULL);
    settle_all(s);
    load_blank(s, 0, "TEST01L8");
    session_close(s);
}

static void assert_blocks_on_tape(uint64_t object)
{
    struct session *s = session_open(NULL);
    settle_all(s);
    assert_position(s, D, object, 0);
    session_close(s);
}

/* Whatever the target says before it is that the connection ended. */
static void assert_closed(struct raw *r)
{
    uint8_t byte;
    ssize_t n;
    while ((n = recv(r->fd, &byte, 1, 0)) > 0)
        ;
    if (n < 0 && errno != ECONNRESET)
        fail_msg("the connection stays open");
    raw_close(r);
}

static void assert_serves(void)
{
    struct session *s =
        session_open(getenv("S3VTL_TEST_USER") ? &(struct session_options){.user = getenv("S3VTL_TEST_USER"),
                                                                           .password = getenv("S3VTL_TEST_PASSWORD")}
                                               : NULL);
    struct reply r;
    uint8_t buf[36];
    command(s, LUN_CHANGER, CDB(0x12, 0, 0, 0, 36, 0), DATA_IN, buf, sizeof(buf), &r);
    assert_good(&r);
    session_close(s);
}

static void header(struct raw *r, uint8_t bhs[BHS], uint8_t opcode)
{
    memset(bhs, 0, BHS);
    bhs[0] = opcode;
    bhs[1] = FLAG_FINAL;
    put_be32(bhs + 16, r->itt++);
    put_be32(bhs + 24, r->cmdsn);
}

/* ---- by name ---- */

static void data_with_a_request_that_has_none_ends_the_connection(void **state)
{
    (void)state;
    static const uint8_t opcodes[] = {PDU_LOGOUT, PDU_TASK_REQUEST, PDU_IMMEDIATE | PDU_LOGOUT};
    static const uint32_t lengths[] = {40000, 4, 1 << 20};
    for (size_t i = 0; i < sizeof(opcodes); i++)
        for (size_t j = 0; j < sizeof(lengths) / sizeof(*lengths); j++) {
            struct raw r;
            uint8_t bhs[BHS];
            open_settled(&r, false);
            header(&r, bhs, opcodes[i]);
            put_be24(bhs + 5, lengths[j]);
            assert_int_equal(send(r.fd, bhs, BHS, MSG_NOSIGNAL), BHS);
            (void)send(r.fd, data, lengths[j], MSG_NOSIGNAL); /* it may be closed already */
            assert_closed(&r);
        }
    assert_serves();
}

static void additional_headers_that_lie_end_the_connection(void **state)
{
    (void)state;
    static const uint8_t opcodes[] = {PDU_LOGOUT, PDU_TASK_REQUEST, PDU_NOP_OUT, PDU_COMMAND};
    for (size_t i = 0; i < sizeof(opcodes); i++) {
        struct raw r;
        uint8_t pdu[BHS + 255 * 4] = {0};
        open_settled(&r, false);
        header(&r, pdu, opcodes[i]);
        pdu[4] = 255;
        pdu[9] = D;
        pdu[BHS + 2] = 1; /* extended CDB, of length 0 */
        (void)send(r.fd, pdu, sizeof(pdu), MSG_NOSIGNAL);
        assert_closed(&r);
    }
    assert_serves();
}

static void more_data_than_a_write_has_ends_the_connection(void **state)
{
    (void)state;
    static const uint32_t expected[] = {0, 512, 0xffffffff, 0x80000000};
    blank();
    for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
        struct raw r;
        open_settled(&r, false);
        raw_command(&r, D, RW6(0x0A, 0, 4096), OUT, expected[i], data, 4096);
        assert_closed(&r);
    }
    struct raw r;
    open_settled(&r, false);
    raw_command(&r, D, CDB(0, 0, 0, 0, 0, 0), FLAG_FINAL | ATTR_SIMPLE, 0, data, 4096);
    assert_closed(&r);
    assert_blocks_on_tape(0);
}

static void a_segment_longer_than_declared_ends_the_connection(void **state)
{
    (void)state;
    struct raw r;
    uint8_t bhs[BHS];
    open_settled(&r, false);
    header(&r, bhs, PDU_NOP_OUT);
    put_be24(bhs + 5, (1 << 20) + 1);
    assert_int_equal(send(r.fd, bhs, BHS, MSG_NOSIGNAL), BHS);
    assert_closed(&r);
    assert_serves();
}

/* A write of 64 KiB that was asked for its data. */
static uint32_t asked_write(struct raw *r, uint32_t *ttt)
{
    struct pdu p = {.data = NULL};
    open_settled(r, false);
    uint32_t itt = raw_command(r, D, RW6(0x0A, 0, 65536), OUT, 65536, NULL, 0);
    assert_true(raw_receive(r, &p));
    assert_int_equal(p.bhs[0], PDU_R2T);
    *ttt = get_be32(p.bhs + 20);
    pdu_free(&p);
    return itt;
}

static void data_that_nobody_asked_for_ends_the_connection(void **state)
{
    (void)state;
    struct raw r;
    uint32_t ttt, itt;
    blank();
    itt = asked_write(&r, &ttt);
    raw_data_out(&r, D, itt, ttt, data, 512, 512); /* out of order */
    assert_closed(&r);
    itt = asked_write(&r, &ttt);
    raw_data_out(&r, D, itt, ttt, data, 0, 65540);
    assert_closed(&r);
    itt = asked_write(&r, &ttt);
    raw_data_out(&r, D, itt, ttt ^ 4, data, 0, 65536);
    assert_closed(&r);
    itt = asked_write(&r, &ttt);
    raw_data_out(&r, D, itt, NO_TAG, data, 0, 65536);
    assert_closed(&r);
    assert_blocks_on_tape(0);
}

/* tgt would take the newest of that tag for it, and write far behind its buffer. */
static void data_for_a_tag_that_a_newer_command_has_is_passed_over(void **state)
{
    (void)state;
    struct raw r;
    uint32_t ttt, itt;
    blank();
    itt = asked_write(&r, &ttt);
    r.itt = itt;
    raw_command(&r, D, CDB(0x5A, 0, 0x3f, 0, 0, 0, 0, 0, 16, 0), FLAG_FINAL | FLAG_READ | ATTR_SIMPLE, 16, NULL, 0);
    raw_data_out(&r, D, itt, ttt, data, 0, 65536);
    assert_serves();
    raw_close(&r);
    assert_blocks_on_tape(0);
}

/* RFC 7143 4.2.2.1: outside its window a command is ignored, with its data. */
static void commands_outside_the_window_are_ignored(void **state)
{
    (void)state;
    static const uint32_t off[] = {(uint32_t)-1, (uint32_t)-1000, 1000, 0x7fffffff};
    for (int digests = 0; digests < 2; digests++) {
        struct raw r;
        struct pdu p = {.data = NULL};
        blank();
        open_settled(&r, digests);
        uint32_t right = r.cmdsn, itt;
        for (size_t i = 0; i < sizeof(off) / sizeof(*off); i++) {
            r.cmdsn = right + off[i];
            raw_command(&r, D, RW6(0x0A, 0, 70001), OUT, 70001, data, 70001);
            r.cmdsn = right + off[i];
            raw_command(&r, D, CDB(0x10, 0, 0, 0, 1, 0), FLAG_FINAL | ATTR_SIMPLE, 0, NULL, 0);
        }
        r.cmdsn = right;
        itt = raw_command(&r, D, RW6(0x0A, 0, 1000), OUT, 1000, data, 1000);
        assert_true(raw_finish(&r, itt, data, NULL, 0, &p));
        assert_int_equal(p.bhs[3], 0);
        raw_close(&r);
        pdu_free(&p);
        assert_blocks_on_tape(1);
    }
}

static void pings_of_any_length_are_echoed(void **state)
{
    (void)state;
    for (int digests = 0; digests < 2; digests++) {
        struct raw r;
        struct pdu p = {.data = NULL};
        open_settled(&r, digests);
        fill(data, 8192, 3);
        for (uint32_t len = 0; len < 8192; len = len * 3 + 1) {
            uint8_t bhs[BHS];
            header(&r, bhs, PDU_IMMEDIATE | PDU_NOP_OUT);
            put_be32(bhs + 20, NO_TAG);
            raw_send(&r, bhs, data, len);
            assert_true(raw_receive(&r, &p));
            assert_int_equal(p.bhs[0], PDU_NOP_IN);
            assert_int_equal(p.len, len);
            if (len)
                assert_memory_equal(p.data, data, len);
        }
        raw_close(&r);
        pdu_free(&p);
    }
}

/* All in one segment, so that the second command finds the first one active. */
static void an_ordered_command_of_unit_0_can_be_aborted(void **state)
{
    (void)state;
    struct raw r;
    struct pdu p = {.data = NULL};
    uint32_t request = 0;
    open_settled(&r, false);
    setsockopt(r.fd, IPPROTO_TCP, TCP_CORK, &(int){1}, sizeof(int));
    for (int i = 0; i < 8; i++) {
        raw_command(&r, 0, CDB(0x12, 0, 0, 0, 36, 0), FLAG_FINAL | FLAG_READ | ATTR_ORDERED, 36, NULL, 0);
        uint32_t itt = raw_command(&r, 0, CDB(0, 0, 0, 0, 0, 0), FLAG_FINAL | ATTR_ORDERED, 0, NULL, 0);
        request = raw_task_request(&r, TASK_ABORT, 0, itt);
    }
    setsockopt(r.fd, IPPROTO_TCP, TCP_CORK, &(int){0}, sizeof(int));
    do
        assert_true(raw_receive(&r, &p));
    while (get_be32(p.bhs + 16) != request);
    raw_close(&r);
    pdu_free(&p);
    assert_serves();
}

/* ---- TEXT in the full feature phase ---- */

static void ask(struct raw *r, uint8_t flags, const char *text, uint32_t len, struct pdu *p)
{
    uint8_t bhs[BHS];
    header(r, bhs, PDU_TEXT);
    bhs[1] = flags;
    put_be32(bhs + 20, NO_TAG);
    r->cmdsn++;
    raw_send(r, bhs, text, len);
    assert_true(raw_receive(r, p));
}

static void a_text_request_is_answered(void **state)
{
    (void)state;
    for (int digests = 0; digests < 2; digests++) {
        struct raw r;
        struct pdu p = {.data = NULL};
        char want[600];
        open_settled(&r, digests);
        ask(&r, FLAG_FINAL, "SendTargets=\0X-what=1", 22, &p);
        assert_int_equal(p.bhs[0], PDU_TEXT_RESPONSE);
        assert_int_equal(p.bhs[1], FLAG_FINAL);
        assert_int_equal(get_be32(p.bhs + 16), r.itt - 1);
        assert_int_equal(get_be32(p.bhs + 20), NO_TAG);
        assert_int_equal(get_be32(p.bhs + 28), r.cmdsn); /* ExpCmdSN */
        int len = snprintf(want, sizeof(want), "TargetName=%s%cTargetAddress=%s,1%cX-what=NotUnderstood",
                           getenv("S3VTL_TEST_TARGET"), 0, getenv("S3VTL_TEST_PORTAL"), 0);
        assert_int_equal(p.len, len + 1);
        assert_memory_equal(p.data, want, p.len);
        raw_settle(&r);
        raw_close(&r);
        pdu_free(&p);
    }
}

static void a_text_request_in_parts_is_rejected(void **state)
{
    (void)state;
    struct raw r;
    struct pdu p = {.data = NULL};
    open_settled(&r, false);
    ask(&r, 0x40, "SendTa", 6, &p);
    assert_int_equal(p.bhs[0], PDU_REJECT);
    assert_int_equal(p.bhs[2], 5); /* command not supported */
    assert_int_equal(get_be32(p.bhs + 16), NO_TAG);
    assert_int_equal(p.len, BHS);
    assert_int_equal(p.data[0], PDU_TEXT);
    raw_settle(&r);
    raw_close(&r);
    pdu_free(&p);
}

/* ---- at random ---- */

/* A connection on which anything is sent, and what comes is only looked at for the last R2T. */
struct fuzz {
    struct raw r;
    uint64_t random;
    uint8_t in[BHS];
    size_t in_got, skip;
    uint32_t r2t_itt, r2t_ttt, r2t_offset, r2t_len;
    bool closed;
    bool chap; /* goes through it */
    uint32_t step;
};

static uint32_t pick(struct fuzz *f, uint32_t n)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return (uint32_t)(f->random >> 11) % n;
}

static void look_at(struct fuzz *f, const uint8_t *p, size_t n)
{
    while (n) {
        size_t part = f->skip ? f->skip : BHS - f->in_got;
        if (part > n)
            part = n;
        if (f->skip) {
            f->skip -= part;
        } else {
            memcpy(f->in + f->in_got, p, part);
            if ((f->in_got += part) == BHS) {
                f->in_got = 0;
                f->skip = (get_be24(f->in + 5) + 3u) & ~3u;
                if ((f->in[0] & 0x3f) == PDU_R2T) {
                    f->r2t_itt = get_be32(f->in + 16);
                    f->r2t_ttt = get_be32(f->in + 20);
                    f->r2t_offset = get_be32(f->in + 40);
                    f->r2t_len = get_be32(f->in + 44);
                }
            }
        }
        p += part;
        n -= part;
    }
}

/* Takes what there is. */
static void listen_to(struct fuzz *f)
{
    uint8_t buf[65536];
    ssize_t n;
    while ((n = recv(f->r.fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
        look_at(f, buf, (size_t)n);
    if (!n || (errno != EAGAIN && errno != EINTR))
        f->closed = true;
}

/* The target does not read while it cannot write. */
static void say(struct fuzz *f, const void *p, size_t len)
{
    const uint8_t *at = p;
    while (len && !f->closed) {
        struct pollfd fd = {.fd = f->r.fd, .events = POLLIN | POLLOUT};
        if (poll(&fd, 1, 30000) <= 0)
            fail_msg("the target neither reads nor writes");
        if (fd.revents & (POLLIN | POLLHUP | POLLERR))
            listen_to(f);
        if (!(fd.revents & POLLOUT) || f->closed)
            continue;
        ssize_t n = send(f->r.fd, at, len < 65536 ? len : 65536, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            f->closed = true;
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
}

static void fuzz_cdb(struct fuzz *f, uint8_t bhs[BHS], uint32_t *len)
{
    static const uint8_t cdbs[][6] = {{0},
                                      {0x12, 0, 0, 0, 255, 0},
                                      {0x0A, 0, 0, 16, 0, 0},
                                      {0x0A, 0, 8, 0, 0, 0},
                                      {0x08, 2, 1, 0, 0, 0},
                                      {0x10, 0, 0, 0, 1, 0},
                                      {0x01},
                                      {0x34, 6},
                                      {0x15, 0x10, 0, 0, 12, 0},
                                      {0x1A, 0, 0x3f, 0, 255, 0},
                                      {0x5F, 0, 0, 0, 0, 0}};
    uint32_t i = pick(f, sizeof(cdbs) / sizeof(*cdbs));
    memcpy(bhs + 32, cdbs[i], 6);
    bool out = cdbs[i][0] == 0x0A || cdbs[i][0] == 0x15 || cdbs[i][0] == 0x5F;
    uint32_t expected = out ? get_be24(bhs + 34) : 65536;
    if (cdbs[i][0] == 0x15 || cdbs[i][0] == 0x5F)
        expected = 24;
    bhs[1] = (uint8_t)((pick(f, 8) ? FLAG_FINAL : 0) | (out ? FLAG_WRITE : pick(f, 2) ? FLAG_READ : 0) | pick(f, 5));
    bhs[9] = (uint8_t)pick(f, 5);
    put_be32(bhs + 20, expected);
    if (out && pick(f, 2))
        *len = expected < 65536 ? expected : pick(f, 65536);
}

/* A right request, of about any kind. */
static void fuzz_request(struct fuzz *f, uint8_t bhs[BHS], uint32_t *len)
{
    static const uint8_t opcodes[] = {PDU_COMMAND, PDU_COMMAND,  PDU_COMMAND,  PDU_NOP_OUT,  PDU_TASK_REQUEST,
                                      PDU_TEXT,    PDU_DATA_OUT, PDU_DATA_OUT, PDU_DATA_OUT, PDU_LOGOUT};
    uint8_t opcode = opcodes[pick(f, sizeof(opcodes) - (pick(f, 8) ? 1 : 0))];
    header(&f->r, bhs, opcode);
    *len = 0;
    switch (opcode) {
    case PDU_COMMAND:
        fuzz_cdb(f, bhs, len);
        break;
    case PDU_TASK_REQUEST:
        bhs[1] = (uint8_t)(FLAG_FINAL | pick(f, 10));
        bhs[9] = (uint8_t)pick(f, 5);
        put_be32(bhs + 20, pick(f, f->r.itt));
        break;
    case PDU_DATA_OUT:
        put_be32(bhs + 16, f->r2t_itt);
        put_be32(bhs + 20, pick(f, 8) ? f->r2t_ttt : NO_TAG);
        put_be32(bhs + 40, f->r2t_offset);
        *len = f->r2t_len < 65536 ? f->r2t_len : 65536;
        break;
    case PDU_TEXT:
        put_be32(bhs + 20, NO_TAG);
        *len = 13;
        break;
    default:
        put_be32(bhs + 20, NO_TAG);
        *len = pick(f, 2) ? 0 : pick(f, 10000);
    }
    if (opcode != PDU_DATA_OUT) {
        if (pick(f, 4) == 0)
            bhs[0] |= PDU_IMMEDIATE;
        else
            f->r.cmdsn++;
    }
}

/* 2 GiB of memory for one command is allowed, but not what this is about. */
static void keep_expected_small(struct fuzz *f, uint8_t bhs[BHS])
{
    if ((bhs[0] & 0x3f) == PDU_COMMAND && pick(f, 64))
        bhs[20] &= 0x01;
}

static void mutate(struct fuzz *f, uint8_t bhs[BHS], uint32_t *len)
{
    static const uint8_t places[] = {0, 1, 4, 5, 6, 7, 16, 19, 20, 21, 22, 23, 27, 40, 41, 42, 43};
    for (uint32_t n = pick(f, 3) ? 0 : 1 + pick(f, 3); n; n--) {
        uint32_t at = pick(f, 2) ? pick(f, BHS) : places[pick(f, sizeof(places))];
        bhs[at] = (uint8_t)(pick(f, 2) ? bhs[at] ^ 1u << pick(f, 8) : pick(f, 256));
        if (pick(f, 2))
            *len = get_be24(bhs + 5); /* else the header lies */
    }
    keep_expected_small(f, bhs);
}

static void fuzz_one(struct fuzz *f)
{
    uint8_t bhs[BHS], ahs[255 * 4];
    uint32_t len;
    fuzz_request(f, bhs, &len);
    put_be24(bhs + 5, len);
    if (!pick(f, 12)) {
        bhs[4] = (uint8_t)pick(f, 8);
    }
    mutate(f, bhs, &len);
    for (size_t i = 0; i < sizeof(ahs); i++)
        ahs[i] = (uint8_t)(pick(f, 3) ? 0 : pick(f, 32));
    say(f, bhs, BHS);
    say(f, ahs, bhs[4] * (size_t)4);
    if (len > DATA_ROOM - 4)
        len = DATA_ROOM - 4;
    say(f, data, (len + 3) & ~3u);
}

static uint32_t login_text(struct fuzz *f, char *out)
{
    static const char *const keys[] = {"InitiatorName=iqn.2026-11.s3vtl.test:fuzz",
                                       "SessionType=Normal",
                                       "SessionType=Discovery",
                                       "AuthMethod=None,CHAP",
                                       "AuthMethod=CHAP",
                                       "CHAP_A=7,5",
                                       "CHAP_N=backup",
                                       "CHAP_R=0x0123456789abcdef0123456789abcdef",
                                       "CHAP_I=1",
                                       "CHAP_C=0b====",
                                       "HeaderDigest=CRC32C,None",
                                       "DataDigest=None",
                                       "MaxRecvDataSegmentLength=262144",
                                       "FirstBurstLength=65536",
                                       "MaxConnections=8",
                                       "ErrorRecoveryLevel=2",
                                       "OFMarkInt=1~2",
                                       "SendTargets=",
                                       "X-nobody=knows",
                                       "InitialR2T=Yes",
                                       "ImmediateData=Maybe"};
    uint32_t at = 0;
    if (pick(f, 4))
        at = (uint32_t)sprintf(out, "TargetName=%s", getenv("S3VTL_TEST_TARGET")) + 1;
    for (uint32_t n = pick(f, 12); n; n--)
        at += (uint32_t)sprintf(out + at, "%s", keys[pick(f, sizeof(keys) / sizeof(*keys))]) + 1;
    for (uint32_t n = pick(f, 2) ? 0 : pick(f, 4); n && at; n--)
        out[pick(f, at)] = (char)pick(f, 256);
    return at;
}

/* Right up to the answer to the challenge, which is of any length. */
static uint32_t chap_text(struct fuzz *f, char *out)
{
    static const char form[2][65] = {"0123456789abcdefABCDEF0123456789abcdef0123456789abcdef0123456789",
                                     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+="};
    const char *target = getenv("S3VTL_TEST_TARGET");
    switch (f->step++) {
    case 0:
        return (uint32_t)sprintf(out, "InitiatorName=iqn.2026-11.s3vtl.test:fuzz%cTargetName=%s%cAuthMethod=CHAP", 0,
                                 target, 0) +
               1;
    case 1:
        return (uint32_t)sprintf(out, "CHAP_A=%s", pick(f, 4) ? "7,5" : "5") + 1;
    default: {
        uint32_t at = (uint32_t)sprintf(out, "CHAP_N=backup") + 1;
        for (int i = 0; i < 2; i++) {
            bool base64 = i && pick(f, 2); /* CHAP_R in base64: docs/limits.md */
            at += (uint32_t)sprintf(out + at, "CHAP_I=%u%c%s=%s", pick(f, 300), 0, i ? "CHAP_C" : "CHAP_R",
                                    base64 ? "0b" : "0x");
            for (uint32_t n = pick(f, 4) ? pick(f, 70) : pick(f, 900); n; n--)
                out[at++] = form[base64][pick(f, pick(f, 2) ? 64 : 16)];
            out[at++] = '\0';
        }
        return at;
    }
    }
}

static void fuzz_login(struct fuzz *f)
{
    uint8_t bhs[BHS];
    char text[4096];
    bool chap = f->chap && pick(f, 16);
    uint32_t len = chap ? chap_text(f, text) : login_text(f, text);
    header(&f->r, bhs, pick(f, 8) ? 0x43 : pick(f, 2) ? PDU_TEXT : (uint8_t)pick(f, 256));
    static const uint8_t stages[] = {0x81, 0x87, 0x83, 0x00, 0x04, 0x40};
    bhs[1] = pick(f, 6) ? stages[pick(f, sizeof(stages))] : (uint8_t)pick(f, 256);
    put_be32(bhs + 8, 0x80000000u | pick(f, 4));
    put_be24(bhs + 5, len);
    if (chap) {
        bhs[0] = 0x43;
        bhs[1] = pick(f, 2) ? 0x81 : 0;
    } else if (pick(f, 2))
        mutate(f, bhs, &len);
    say(f, bhs, BHS);
    say(f, data, bhs[4] * (size_t)4);
    say(f, text, len < sizeof(text) ? (len + 3) & ~3u : sizeof(text));
}

static void fuzz_connection(uint64_t seed, bool logged_in)
{
    struct fuzz f = {.random = (seed + 1) * 0x9E3779B97F4A7C15u};
    if (logged_in)
        raw_open_as(&f.r, false, "fuzz", 1 + pick(&f, 3));
    else
        raw_connect(&f.r);
    f.chap = pick(&f, 2);
    for (uint32_t n = 1 + pick(&f, 40); n && !f.closed; n--) {
        if (logged_in)
            fuzz_one(&f);
        else
            fuzz_login(&f);
        listen_to(&f);
    }
    raw_close(&f.r);
}

static void fuzz_connections(bool logged_in, uint64_t n)
{
    const char *from = getenv("PDU_SEED"), *times = getenv("PDU_CONNECTIONS");
    uint64_t seed = from ? strtoull(from, NULL, 0) : 1;
    if (times)
        n = strtoull(times, NULL, 0);
    fill(data, sizeof(data), 99);
    for (uint64_t i = 0; i < n; i++) {
        fuzz_connection(seed + i, logged_in);
        if (i % 50 == 49) {
            print_message("# seeds to %llu\n", (unsigned long long)(seed + i));
            assert_serves();
        }
    }
    assert_serves();
}

static void anything_before_the_login(void **state)
{
    (void)state;
    fuzz_connections(false, 600);
}

static void anything_after_the_login(void **state)
{
    (void)state;
    blank();
    fuzz_connections(true, 600);
}

#define T(f) cmocka_unit_test_teardown(f, sessions_end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(data_with_a_request_that_has_none_ends_the_connection),
        T(additional_headers_that_lie_end_the_connection),
        T(more_data_than_a_write_has_ends_the_connection),
        T(a_segment_longer_than_declared_ends_the_connection),
        T(data_that_nobody_asked_for_ends_the_connection),
        T(data_for_a_tag_that_a_newer_command_has_is_passed_over),
        T(commands_outside_the_window_are_ignored),
        T(pings_of_any_length_are_echoed),
        T(an_ordered_command_of_unit_0_can_be_aborted),
        T(a_text_request_is_answered),
        T(a_text_request_in_parts_is_rejected),
        T(anything_before_the_login),
        T(anything_after_the_login),
    };
    const struct CMUnitTest before_login[] = {T(anything_before_the_login)};
    if (getenv("S3VTL_TEST_USER")) /* the others do not know how to log in to that library */
        return cmocka_run_group_tests(before_login, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
