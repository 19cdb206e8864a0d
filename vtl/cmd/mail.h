/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mail.h: hands a message to the host's own mail system. */
#ifndef S3VTL_MAIL_H
#define S3VTL_MAIL_H

#include <stdbool.h>

#include "base/errtext.h"

/* May it stand in a header, as one address? "admin@example.com" or a local user's name. */
bool mail_address_ok(const char *address);
/* Pipes it to sendmail ($S3VTL_SENDMAIL, else /usr/sbin/sendmail), which adds From, Date and Message-ID. text is UTF-8 and of
 * whole lines. 0, or a negative errno and *err: there is none (-ENOENT), or it failed. Waits for its end. */
int mail_send(const char *to, const char *subject, const char *text, struct errtext *err);

#endif
