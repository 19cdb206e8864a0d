/* SPDX-License-Identifier: GPL-2.0-or-later */
/* control.h: the control socket <state_dir>/control.sock (mode 0660): one JSON object a line, one JSON answer a line.
 */
#ifndef S3VTL_CONTROL_H
#define S3VTL_CONTROL_H

#include "vtl/library/library.h"

struct control_server;
/* In the environment of the process that starts a server: the descriptor of a connected stream socket. Whoever holds the
 * other end has a place of his own, however many others ask: serve, for the flush at its stop. */
#define CONTROL_STOP_FD "S3VTL_STOP_FD"
/* Answers each line {"op":...} by {"ok":true,"result":...} or {"ok":false,"error":"..."} from library_call. Own
 * threads; bounded number of clients and line length. Who waits, or may have to (library_call_waits), takes no place from
 * those who need not. */
int control_server_start(struct library *lib, const struct vtl_config *cfg, struct control_server **out,
                         struct errtext *err);
void control_server_stop(struct control_server *s);
/* Asks a running library. *result is a new reference. -ENOENT or -ECONNREFUSED: none is running. -EREMOTEIO: it
 * answered with an error, *err has its text. timeout_ms 0: wait as long as it takes. */
int control_call(const struct vtl_config *cfg, const json_t *request, unsigned timeout_ms, json_t **result,
                 struct errtext *err);
/* A connection to the library, for control_call_over: its descriptor, which the caller closes, or a negative errno as
 * above. timeout_ms holds for each answer, too. */
int control_connect(const struct vtl_config *cfg, unsigned timeout_ms, struct errtext *err);
/* The same over a connection that is open already, fd, which stays open. -ECONNRESET or -EPIPE: nobody answers there. */
int control_call_over(int fd, const struct vtl_config *cfg, const json_t *request, json_t **result,
                      struct errtext *err);
/* control_call for one who asks again and again. *owing_fd, -1 at first: a connection on which the library owes an answer
 * that came too late. While it does nothing more is asked, as each question takes a place, and keeps it when its client has
 * gone: -EAGAIN. */
int control_ask(int *owing_fd, const struct vtl_config *cfg, const json_t *request, unsigned timeout_ms,
                json_t **result, struct errtext *err);
void control_ask_end(int *owing_fd);

#endif
