/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commit_who.c: who put a head: said in each one, and told to people. */
#include "vtl/cartridge/commit_private.h"

#include <errno.h>
#include <string.h>
#include <time.h>

void commit_sign(const struct engine *e, uint64_t claimed, struct head *h)
{
    memcpy(h->host, e->host, sizeof(h->host));
    h->gateway = e->gateway;
    h->claimed = claimed;
}

void commit_who(const struct engine *e, const struct head *h, char out[COMMIT_WHO_SIZE])
{
    char name[80], since[40] = "";
    time_t t = (time_t)h->claimed;
    struct tm tm;
    if (!h->gateway)
        (void)snprintf(name, sizeof(name), "another gateway (writer %08x)", h->id.writer);
    else if (h->gateway == e->gateway)
        (void)snprintf(name, sizeof(name), "a copy of this gateway (%08x)", h->gateway);
    else
        (void)snprintf(name, sizeof(name), "gateway %08x", h->gateway);
    if (h->claimed && gmtime_r(&t, &tm))
        (void)strftime(since, sizeof(since), " since %Y-%m-%d %H:%M:%S UTC", &tm);
    (void)snprintf(out, COMMIT_WHO_SIZE, "%s%s%s%s", name, h->host[0] ? " on host " : "", h->host, since);
}

void commit_who_put(struct engine *e, const char *barcode, const struct seg_id *id, const struct obj_call *call,
                    char out[COMMIT_WHO_SIZE])
{
    struct obj_call few = call ? *call : (struct obj_call){0};
    struct head h;
    struct errtext why = {""};
    few.max_tries = 2; /* it is only for a message */
    int rc = commit_read_one(e->store, barcode, id, &h, &few, &why);
    if (!rc) {
        commit_who(e, &h, out);
        head_free(&h);
    } else if (rc == -EPROTONOSUPPORT) {
        (void)snprintf(out, COMMIT_WHO_SIZE, "a gateway with a newer s3vtl (%.250s)", why.text);
    } else {
        (void)snprintf(out, COMMIT_WHO_SIZE, "another gateway (writer %08x)", id->writer);
    }
}
