/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test_pdu.c: which request headers pass, are ignored, or end the connection; and what a TEXT request is told. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "vtl/target/pdu.h"
#include "vtl/target/text.h"

static const struct pdu_session session = {.max_data = 1 << 20, .exp_cmdsn = 0xfffffff0, .max_cmdsn = 0x10};

struct bhs {
    uint8_t b[PDU_BHS];
};

static struct bhs request(uint8_t opcode, uint32_t len)
{
    struct bhs h = {{opcode, 0x80}};
    put_be24(h.b + 5, len);
    put_be32(h.b + 16, 7);
    put_be32(h.b + 24, session.exp_cmdsn);
    return h;
}

static struct bhs write_of(uint32_t expected, uint32_t len)
{
    struct bhs h = request(0x01, len);
    h.b[1] |= 0x20;
    put_be32(h.b + 20, expected);
    return h;
}

static enum pdu_verdict judge(struct bhs h, const struct pdu_write *w)
{
    const struct pdu_write none = {.waits = false};
    const char *why = NULL;
    enum pdu_verdict v = pdu_judge(h.b, &session, w ? w : &none, &why);
    assert_true((v == PDU_REFUSE) == (why != NULL));
    return v;
}

static void requests_carry_what_they_may(void **state)
{
    (void)state;
    static const uint8_t without_data[] = {0x02, 0x06, 0x42, 0x46};
    for (size_t i = 0; i < sizeof(without_data); i++) {
        assert_int_equal(judge(request(without_data[i], 0), NULL), PDU_PASS);
        assert_int_equal(judge(request(without_data[i], 1), NULL), PDU_REFUSE);
        assert_int_equal(judge(request(without_data[i], 40000), NULL), PDU_REFUSE);
    }
    assert_int_equal(judge(request(0x00, 8192), NULL), PDU_PASS);
    assert_int_equal(judge(request(0x40, 1 << 20), NULL), PDU_PASS);
    assert_int_equal(judge(request(0x40, (1 << 20) + 1), NULL), PDU_REFUSE);
    assert_int_equal(judge(request(0x04, 100), NULL), PDU_PASS);
}

static void opcodes_of_another_phase_end_the_connection(void **state)
{
    (void)state;
    for (unsigned opcode = 0; opcode < 0x40; opcode++) {
        bool known = opcode <= 2 || opcode == 4 || opcode == 5 || opcode == 6;
        assert_int_equal(judge(request((uint8_t)opcode, 0), NULL) != PDU_REFUSE, known);
    }
}

static void a_command_has_no_more_data_than_it_expects(void **state)
{
    (void)state;
    assert_int_equal(judge(write_of(4096, 4096), NULL), PDU_PASS);
    assert_int_equal(judge(write_of(4096, 0), NULL), PDU_PASS);
    assert_int_equal(judge(write_of(4096, 4097), NULL), PDU_REFUSE);
    assert_int_equal(judge(write_of(0, 4), NULL), PDU_REFUSE);
    assert_int_equal(judge(write_of(0x7ffffffc, 0), NULL), PDU_PASS);
    assert_int_equal(judge(write_of(0x7ffffffd, 0), NULL), PDU_REFUSE);
    assert_int_equal(judge(write_of(0xffffffff, 0), NULL), PDU_REFUSE);
    struct bhs read = request(0x01, 0);
    put_be32(read.b + 20, 0xffffffff); /* tgt gives it no buffer */
    assert_int_equal(judge(read, NULL), PDU_PASS);
    assert_int_equal(judge(request(0x01, 4), NULL), PDU_REFUSE);
}

static void only_commands_have_additional_headers(void **state)
{
    (void)state;
    static const uint8_t opcodes[] = {0x00, 0x02, 0x04, 0x05, 0x06};
    for (size_t i = 0; i < sizeof(opcodes); i++) {
        struct bhs h = request(opcodes[i], 0);
        h.b[4] = 1;
        assert_int_equal(judge(h, NULL), PDU_REFUSE);
    }
    struct bhs command = request(0x01, 0);
    command.b[4] = 255;
    assert_int_equal(judge(command, NULL), PDU_PASS);
}

static void outside_the_window_commands_are_ignored(void **state)
{
    (void)state;
    static const uint8_t opcodes[] = {0x00, 0x01, 0x02, 0x04, 0x06};
    for (size_t i = 0; i < sizeof(opcodes); i++) {
        struct bhs h = request(opcodes[i], 0);
        put_be32(h.b + 24, session.max_cmdsn);
        assert_int_equal(judge(h, NULL), PDU_PASS);
        put_be32(h.b + 24, session.max_cmdsn + 1);
        assert_int_equal(judge(h, NULL), PDU_IGNORE);
        put_be32(h.b + 24, session.exp_cmdsn - 1);
        assert_int_equal(judge(h, NULL), PDU_IGNORE);
        h.b[0] |= 0x40;
        assert_int_equal(judge(h, NULL), PDU_PASS);
    }
}

static struct bhs data_out(uint32_t ttt, uint32_t offset, uint32_t len)
{
    struct bhs h = request(0x05, len);
    put_be32(h.b + 20, ttt);
    put_be32(h.b + 40, offset);
    return h;
}

static void data_go_where_they_were_asked_for(void **state)
{
    (void)state;
    const struct pdu_write asked = {.waits = true, .asked = true, .ttt = {1, 2, 3, 4}, .offset = 512, .left = 1000};
    const struct pdu_write announced = {.waits = true, .unsolicited = true, .ttt = {1, 2, 3, 4}, .left = 1000};
    const struct pdu_write silent = {.waits = true, .ttt = {1, 2, 3, 4}, .left = 1000};
    assert_int_equal(judge(data_out(0x01020304, 512, 1000), &asked), PDU_PASS);
    assert_int_equal(judge(data_out(0x01020304, 512, 1001), &asked), PDU_REFUSE);
    assert_int_equal(judge(data_out(0x01020304, 513, 1), &asked), PDU_REFUSE);
    assert_int_equal(judge(data_out(0x01020304, 0xfffffffc, 1), &asked), PDU_REFUSE);
    assert_int_equal(judge(data_out(0x01020305, 512, 1), &asked), PDU_REFUSE);
    assert_int_equal(judge(data_out(0xffffffff, 512, 1), &asked), PDU_REFUSE);
    assert_int_equal(judge(data_out(0xffffffff, 0, 1000), &announced), PDU_PASS);
    assert_int_equal(judge(data_out(0x01020304, 0, 1000), &announced), PDU_REFUSE);
    assert_int_equal(judge(data_out(0x01020304, 0, 1000), &silent), PDU_REFUSE);
    assert_int_equal(judge(data_out(0x01020304, 0, 1000), NULL), PDU_IGNORE);
}

static void additional_headers_are_as_long_as_they_say(void **state)
{
    (void)state;
    assert_true(pdu_ahs_sound((const uint8_t[]){0, 1, 1, 0}, 4));
    assert_true(pdu_ahs_sound((const uint8_t[]){0, 5, 2, 0, 0, 0, 2, 0, 0, 2, 1, 0, 9, 0, 0, 0}, 16));
    assert_false(pdu_ahs_sound((const uint8_t[]){0, 0, 1, 0}, 4));
    assert_false(pdu_ahs_sound((const uint8_t[]){0, 2, 1, 0}, 4));
    assert_false(pdu_ahs_sound((const uint8_t[]){0xff, 0xff, 1, 0, 0, 0, 0, 0}, 8));
    assert_false(pdu_ahs_sound((const uint8_t[]){0, 1, 1, 0, 0, 0, 0, 0}, 8));
}

/* ---- TEXT ---- */

static int answer(const char *text, size_t len, char *out, size_t room, uint32_t *max_data)
{
    const struct text_target t = {.name = "iqn.x:y", .address = "192.0.2.1:3260,1"};
    char *copy = malloc(len ? len : 1); /* what is read beyond its end is seen */
    assert_non_null(copy);
    memcpy(copy, text, len);
    int n = text_answer(copy, len, &t, out, room, max_data);
    free(copy);
    return n;
}

#define ASSERT_ANSWER(text, want)                                                                                      \
    do {                                                                                                               \
        char out_[512];                                                                                                \
        uint32_t max_ = 0;                                                                                             \
        assert_int_equal(answer(text, sizeof(text), out_, sizeof(out_), &max_), sizeof(want));                         \
        assert_memory_equal(out_, want, sizeof(want));                                                                 \
    } while (0)

static void a_session_learns_of_its_own_target(void **state)
{
    (void)state;
    ASSERT_ANSWER("SendTargets=", "TargetName=iqn.x:y\0TargetAddress=192.0.2.1:3260,1");
    ASSERT_ANSWER("SendTargets=iqn.x:y", "TargetName=iqn.x:y\0TargetAddress=192.0.2.1:3260,1");
    ASSERT_ANSWER("SendTargets=All", "SendTargets=Reject");
    ASSERT_ANSWER("SendTargets=iqn.other\0X-a=b", "X-a=NotUnderstood");
    ASSERT_ANSWER("ImmediateData=Yes\0Nonsense=1", "ImmediateData=Reject\0Nonsense=NotUnderstood");
}

static void a_segment_length_is_declared(void **state)
{
    (void)state;
    char out[64];
    uint32_t max = 1;
    static const char text[] = "MaxRecvDataSegmentLength=8192";
    assert_int_equal(answer(text, sizeof(text), out, sizeof(out), &max), 0);
    assert_int_equal(max, 8192);
    ASSERT_ANSWER("MaxRecvDataSegmentLength=511", "MaxRecvDataSegmentLength=Reject");
}

static void what_is_no_text_is_not_answered(void **state)
{
    (void)state;
    char out[64], big[70];
    uint32_t max = 0;
    assert_int_equal(answer("", 0, out, sizeof(out), &max), 0);
    assert_int_equal(answer("SendTargets=", 12, out, sizeof(out), &max), -1); /* no NUL */
    assert_int_equal(answer("SendTargets", 12, out, sizeof(out), &max), -1);
    assert_int_equal(answer("=x", 3, out, sizeof(out), &max), -1);
    assert_int_equal(answer("\0\0", 2, out, sizeof(out), &max), -1);
    memset(big, 'k', sizeof(big));
    memcpy(big + 66, "=v", 3);
    assert_int_equal(answer(big, sizeof(big), out, sizeof(out), &max), -1);
    assert_int_equal(answer("SendTargets=", 13, out, 40, &max), -1); /* no room */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_carry_what_they_may),
        cmocka_unit_test(opcodes_of_another_phase_end_the_connection),
        cmocka_unit_test(a_command_has_no_more_data_than_it_expects),
        cmocka_unit_test(only_commands_have_additional_headers),
        cmocka_unit_test(outside_the_window_commands_are_ignored),
        cmocka_unit_test(data_go_where_they_were_asked_for),
        cmocka_unit_test(additional_headers_are_as_long_as_they_say),
        cmocka_unit_test(a_session_learns_of_its_own_target),
        cmocka_unit_test(a_segment_length_is_declared),
        cmocka_unit_test(what_is_no_text_is_not_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
