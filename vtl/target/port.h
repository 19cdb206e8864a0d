/* SPDX-License-Identifier: GPL-2.0-or-later */
/* port.h: initiator ports, which iSCSI names by initiator name and ISID (RFC 7143 4.4.2): what is theirs over their
 * sessions, where tgt knows only sessions. On the transport's thread. */
#ifndef S3VTL_PORT_H
#define S3VTL_PORT_H

struct scsi_cmd;
struct scsi_lu;

/* The first command of a new session: ends an older one of the same port (session reinstatement, RFC 7143 6.3.5), which
 * tgt does only if the login has a security stage. From now on ended is called after the end of any session, of which tgt
 * tells nobody. */
void port_begin_session(struct scsi_cmd *cmd, void (*ended)(void));
/* Before tgt looks at a command: gives its nexus what the port registered for persistent reservations in a session
 * before, and sees to it that a reservation keeps a holder. */
void port_keep_registration(struct scsi_cmd *cmd);
/* The logical unit ends. */
void port_forget(const struct scsi_lu *lu);

/* Who sent it: the initiator's name, and its address. On the transport's thread. */
enum { PORT_NAME = 224, PORT_ADDRESS = 64 };
void port_describe(struct scsi_cmd *cmd, char name[PORT_NAME], char address[PORT_ADDRESS]);

#endif
