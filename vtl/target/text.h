/* SPDX-License-Identifier: GPL-2.0-or-later */
/* text.h: the answer to a TEXT request of the full feature phase. */
#ifndef S3VTL_TEXT_H
#define S3VTL_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text_target {
    const char *name;
    const char *address; /* of this connection's portal, with the portal group's tag */
};

/*
 * text is "key=value" pairs, each ended by a NUL (RFC 7143 6.1). SendTargets of a normal session tells of its own target
 * only (appendix C); MaxRecvDataSegmentLength is a declaration, goes to *max_data, and has no answer; whatever else may
 * be negotiated belongs to the login. Returns the answer's length in out; -1: it is no such text, or the answer has no room.
 */
int text_answer(const char *text, size_t len, const struct text_target *target, char *out, size_t room,
                uint32_t *max_data);

#endif
