/* SPDX-License-Identifier: GPL-2.0-or-later */
/* s3_transfer.h: one HTTP exchange as libcurl sees it; private to s3_http.c, s3_lanes.c and s3_transfer.c, each
 * exchange on one thread only. */
#ifndef S3VTL_S3_TRANSFER_H
#define S3VTL_S3_TRANSFER_H

#include <curl/curl.h>

#include "s3backend/s3_http.h"

struct transfer {
    const struct http_request *q;
    struct http_response *r;
    struct transfer *next;
    CURL *easy;
    struct curl_slist *headers;
    char reason[CURL_ERROR_SIZE];
    uint64_t sent;                   /* bytes of the body that were read for sending */
    uint64_t skip;                   /* bytes before the range, of a whole object that came instead of it */
    curl_off_t seen_up, seen_down;   /* for stalls */
    uint64_t moved_ms;               /* when something moved last */
    uint64_t moved;                  /* bytes, up and down together */
    uint64_t watch_ms, watch_moved;  /* for quiet: when this half of its time began, and moved then */
    unsigned quiet_halves;           /* how many halves in a row were quiet */
    uint64_t turn_ns;                /* since when it has had no turn at its rate; 0: a byte moved since */
    bool held;                       /* it waits for that */
    bool connected, answered, sized; /* answered: a status line came; sized: the range was compared */
    bool enough, done;
};

/* Empties the answer. False: canceled before it began, the outcome says so. */
bool transfer_begin(struct transfer *t);
/* Prepares t->easy for t->q. */
CURLcode transfer_set_up(struct transfer *t);
void transfer_free_headers(struct transfer *t);
/* libcurl ended the exchange with this code: decides the outcome. */
void transfer_conclude(struct transfer *t, CURLcode code);
/* The exchange can't go on: outcome HTTP_BROKEN with libcurl's reason. */
void transfer_set_broken(struct transfer *t, CURLcode code);
/* True when it is to end now: canceled, or one of the request's limits is reached. Outcome and reason tell which. */
bool transfer_is_over(struct transfer *t, uint64_t now_ms);
/* How often to look at one that waits for its rate. */
enum { TRANSFER_HELD_MS = 20 };
/* It waits for its rate: false, it still does. */
bool transfer_go_on(struct transfer *t);
bool transfer_canceled(const struct transfer *t);

#endif
