/* SPDX-License-Identifier: GPL-2.0-or-later */
/* reservation.c: the commands that persistent reservations keep out, per device type. */
#include "vtl/target/reservation.h"

struct rule {
    uint8_t opcode;
    uint8_t class; /* enum reservation_class */
};

/*
 * Not listed and so allowed: TEST UNIT READY, REQUEST SENSE, INQUIRY, LOG SENSE, REPORT LUNS, PERSISTENT RESERVE IN and
 * OUT (which checks its keys itself), READ BLOCK LIMITS, REPORT DENSITY SUPPORT. Two rows of the tables depend on more
 * than the opcode: PREVENT ALLOW MEDIUM REMOVAL, in conflict only when it prevents, is taken for preventing; READ
 * ELEMENT STATUS, allowed when it takes current data, moves nothing here and is allowed.
 */
static const struct rule primary[] = {
    {0x15, RESERVATION_CONFLICT}, /* MODE SELECT(6) */
    {0x1A, RESERVATION_READS},    /* MODE SENSE(6) */
    {0x1D, RESERVATION_CONFLICT}, /* SEND DIAGNOSTIC */
    {0x1E, RESERVATION_CONFLICT}, /* PREVENT ALLOW MEDIUM REMOVAL */
    {0x4C, RESERVATION_CONFLICT}, /* LOG SELECT */
    {0x55, RESERVATION_CONFLICT}, /* MODE SELECT(10) */
    {0x5A, RESERVATION_READS},    /* MODE SENSE(10) */
    {0x8C, RESERVATION_READS},    /* READ ATTRIBUTE */
    {0x8D, RESERVATION_CONFLICT}, /* WRITE ATTRIBUTE */
    {0xA2, RESERVATION_READS},    /* SECURITY PROTOCOL IN */
    {0xA3, RESERVATION_READS},    /* MAINTENANCE IN: REPORT SUPPORTED OPERATION CODES */
    {0xB5, RESERVATION_CONFLICT}, /* SECURITY PROTOCOL OUT */
};
static const struct rule tape[] = {
    {0x01, RESERVATION_CONFLICT}, /* REWIND */
    {0x04, RESERVATION_CONFLICT}, /* FORMAT MEDIUM */
    {0x08, RESERVATION_CONFLICT}, /* READ(6): it moves the medium */
    {0x0A, RESERVATION_CONFLICT}, /* WRITE(6) */
    {0x0B, RESERVATION_CONFLICT}, /* SET CAPACITY */
    {0x10, RESERVATION_CONFLICT}, /* WRITE FILEMARKS(6) */
    {0x11, RESERVATION_CONFLICT}, /* SPACE(6) */
    {0x13, RESERVATION_CONFLICT}, /* VERIFY(6) */
    {0x19, RESERVATION_CONFLICT}, /* ERASE(6) */
    {0x1B, RESERVATION_CONFLICT}, /* LOAD UNLOAD */
    {0x2B, RESERVATION_CONFLICT}, /* LOCATE(10) */
    {0x34, RESERVATION_CONFLICT}, /* READ POSITION */
    {0x80, RESERVATION_CONFLICT}, /* WRITE FILEMARKS(16) */
    {0x82, RESERVATION_CONFLICT}, /* ALLOW OVERWRITE */
    {0x88, RESERVATION_CONFLICT}, /* READ(16) */
    {0x8A, RESERVATION_CONFLICT}, /* WRITE(16) */
    {0x91, RESERVATION_CONFLICT}, /* SPACE(16) */
    {0x92, RESERVATION_CONFLICT}, /* LOCATE(16) */
    {0x93, RESERVATION_CONFLICT}, /* ERASE(16) */
};
static const struct rule changer[] = {
    {0x07, RESERVATION_CONFLICT}, /* INITIALIZE ELEMENT STATUS */
    {0x2B, RESERVATION_CONFLICT}, /* POSITION TO ELEMENT */
    {0x37, RESERVATION_CONFLICT}, /* INITIALIZE ELEMENT STATUS WITH RANGE */
    {0xA5, RESERVATION_CONFLICT}, /* MOVE MEDIUM */
    {0xA6, RESERVATION_CONFLICT}, /* EXCHANGE MEDIUM */
};

static enum reservation_class find(const struct rule *rules, size_t n, uint8_t opcode)
{
    for (size_t i = 0; i < n; i++)
        if (rules[i].opcode == opcode)
            return (enum reservation_class)rules[i].class;
    return RESERVATION_ALLOWED;
}

enum reservation_class reservation_class(enum scsi_device_type type, uint8_t opcode)
{
    enum reservation_class c = find(primary, sizeof(primary) / sizeof(*primary), opcode);
    if (c != RESERVATION_ALLOWED)
        return c;
    return type == SCSI_TYPE_TAPE ? find(tape, sizeof(tape) / sizeof(*tape), opcode)
                                  : find(changer, sizeof(changer) / sizeof(*changer), opcode);
}
