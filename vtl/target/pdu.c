/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pdu.c: which requests of an initiator are fit for tgt's parser. */
#include "vtl/target/pdu.h"

#include <limits.h>
#include <string.h>

#include "base/be.h"

/* RFC 7143 11.1.1.2 and 11.3: opcodes, and the fields of a request. */
enum {
    NOP_OUT = 0x00,
    SCSI_COMMAND = 0x01,
    TASK_MANAGEMENT = 0x02,
    TEXT = 0x04,
    DATA_OUT = 0x05,
    LOGOUT = 0x06,
    OPCODE = 0x3f,
    IMMEDIATE = 0x40,
    COMMAND_WRITE = 0x20,
    AT_FLAGS = 1,
    AT_AHS = 4,
    AT_DATA = 5,
    AT_TTT = 20,
    AT_EXPECTED = 20, /* of a SCSI command */
    AT_CMDSN = 24,
    AT_OFFSET = 40,             /* of a Data-Out */
    MAX_EXPECTED = INT_MAX - 3, /* tgt counts, padding and all, with an int */
};

bool pdu_is_data_out(const uint8_t bhs[PDU_BHS])
{
    return (bhs[0] & OPCODE) == DATA_OUT;
}

bool pdu_is_text(const uint8_t bhs[PDU_BHS])
{
    return (bhs[0] & OPCODE) == TEXT;
}

uint32_t pdu_data_len(const uint8_t bhs[PDU_BHS])
{
    return get_be24(bhs + AT_DATA);
}

size_t pdu_ahs_len(const uint8_t bhs[PDU_BHS])
{
    return bhs[AT_AHS] * (size_t)4;
}

static enum pdu_verdict refuse(const char **why, const char *text)
{
    *why = text;
    return PDU_REFUSE;
}

/* Serial number arithmetic. A Data-Out has no CmdSN, and one for immediate delivery takes none. */
static bool in_window(const uint8_t *bhs, const struct pdu_session *s)
{
    if (bhs[0] & IMMEDIATE)
        return true;
    return get_be32(bhs + AT_CMDSN) - s->exp_cmdsn <= s->max_cmdsn - s->exp_cmdsn;
}

/* tgt makes a buffer for what is expected or what came with the command, whichever is more, but forgets where it is if
 * nothing is expected, and asks for "the rest" if less is. */
static enum pdu_verdict judge_command(const uint8_t *bhs, const char **why)
{
    uint32_t len = pdu_data_len(bhs), expected = get_be32(bhs + AT_EXPECTED);
    if (!(bhs[AT_FLAGS] & COMMAND_WRITE))
        return len ? refuse(why, "data with a command that writes none") : PDU_PASS;
    if (expected > MAX_EXPECTED)
        return refuse(why, "a write of more than 2 GiB");
    return len > expected ? refuse(why, "more data with a write than it has") : PDU_PASS;
}

/* tgt copies whatever comes to wherever it says. Data may still come for a command that was aborted, or answered early. */
static enum pdu_verdict judge_data(const uint8_t *bhs, const struct pdu_write *w, const char **why)
{
    static const uint8_t no_tag[4] = {0xff, 0xff, 0xff, 0xff};
    bool unsolicited = !memcmp(bhs + AT_TTT, no_tag, sizeof(no_tag));
    if (!w->waits)
        return PDU_IGNORE;
    if (unsolicited ? !w->unsolicited : !w->asked || memcmp(bhs + AT_TTT, w->ttt, sizeof(w->ttt)) != 0)
        return refuse(why, "data that nobody asked for");
    if (get_be32(bhs + AT_OFFSET) != w->offset) /* DataPDUInOrder and DataSequenceInOrder are always Yes */
        return refuse(why, "data out of order");
    return pdu_data_len(bhs) > w->left ? refuse(why, "more data than the write has") : PDU_PASS;
}

/* What has no room of its own tgt reads to where the data of the PDU before went, which may be freed. */
enum pdu_verdict pdu_judge(const uint8_t bhs[PDU_BHS], const struct pdu_session *s, const struct pdu_write *w,
                           const char **why)
{
    uint8_t opcode = bhs[0] & OPCODE;
    if (pdu_data_len(bhs) > s->max_data)
        return refuse(why, "a data segment longer than MaxRecvDataSegmentLength");
    if (bhs[AT_AHS] && opcode != SCSI_COMMAND)
        return refuse(why, "additional header segments where none may be");
    switch (opcode) {
    case SCSI_COMMAND: {
        enum pdu_verdict v = judge_command(bhs, why);
        return v == PDU_PASS && !in_window(bhs, s) ? PDU_IGNORE : v;
    }
    case TASK_MANAGEMENT:
    case LOGOUT:
        if (pdu_data_len(bhs))
            return refuse(why, "data with a request that has none");
        break;
    case NOP_OUT:
    case TEXT:
        break;
    case DATA_OUT:
        return judge_data(bhs, w, why);
    default:
        return refuse(why, "an opcode that is not for the full feature phase");
    }
    return in_window(bhs, s) ? PDU_PASS : PDU_IGNORE;
}

bool pdu_ahs_sound(const uint8_t *ahs, size_t len)
{
    while (len) {
        if (len < 4)
            return false;
        size_t n = get_be16(ahs); /* without itself and the type; the byte after the type is in it */
        size_t padded = (3 + n + 3) & ~(size_t)3;
        if (!n || padded > len)
            return false;
        ahs += padded;
        len -= padded;
    }
    return true;
}
