/* SPDX-License-Identifier: GPL-2.0-or-later */
/* order.h: which commands of a session still wait for their data, and so hold up those that were sent after them. */
#ifndef S3VTL_ORDER_H
#define S3VTL_ORDER_H

#include <stdbool.h>

struct scsi_cmd;
struct tgt_driver;

/* All on tgtd's thread; nothing blocks. */

/* Does a command of this one's session and logical unit that was sent before it (a lower CmdSN) wait for its data? */
bool order_must_wait(const struct scsi_cmd *cmd);
/* Of one session, and a was sent before b? Those for immediate delivery are neither before nor after others. */
bool order_before(const struct scsi_cmd *a, const struct scsi_cmd *b);

/* Takes over the end of task management requests from tgt's iSCSI driver, which does not know of commands that wait for
 * their data: those that such a request names end then, and nobody needs to wait for them any more. */
void order_watch_aborts(struct tgt_driver *iscsi);
/* Was it aborted while its last data came? Such a command is not to be run, nor touched: order_sweep frees it. */
bool order_aborted(const struct scsi_cmd *cmd);
/* Frees the aborted commands that were in use when they were aborted, and answers task management requests that tgt has
 * lost. To be called from time to time. */
void order_sweep(void);

#endif
