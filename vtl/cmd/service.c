/* SPDX-License-Identifier: GPL-2.0-or-later */
/* service.c: what systemd is told of a library that serves: ready, alive, how it is. */
#include "vtl/cmd/service.h"

#include <stdio.h>
#include <time.h>

#include <jansson.h>
#include <systemd/sd-daemon.h>

#include "vtl/cmd/cmd.h"
#include "vtl/library/control.h"

void service_ready(const struct vtl_config *cfg)
{
    printf("ready %s at %s, changer LUN 1, drives LUN 2 to %u\n", cfg->iscsi.target, cfg->iscsi.portal,
           cfg->library.drives + 1);
    fflush(stdout);
    sd_notifyf(0, "READY=1\nSTATUS=serving %s at %s", cfg->iscsi.target, cfg->iscsi.portal);
}

static json_t *ask_pulse(const struct vtl_config *cfg, const char *op, struct service_pulse *p, struct errtext *err)
{
    json_t *request = json_pack("{s:s}", "op", op), *r = NULL;
    if (!control_call(cfg, request, SERVICE_ASK_MS, &r, err))
        *p = (struct service_pulse){.log_level = (int)json_number(r, "log_level"),
                                    .reloads = (uint64_t)json_number(r, "reloads")};
    json_decref(request);
    return r;
}

bool service_end(const struct vtl_config *cfg, struct service_pulse *p)
{
    struct errtext err = {""};
    json_t *r = ask_pulse(cfg, "end", p, &err);
    bool answered = r;
    json_decref(r);
    return answered;
}

bool service_pulse(const struct vtl_config *cfg, struct service_pulse *p)
{
    struct errtext err = {""};
    char size[HUMAN_ROOM];
    json_t *r = ask_pulse(cfg, "pulse", p, &err);
    bool answered = r;
    if (answered) {
        const char *trouble = json_string_value(json_object_get(r, "trouble"));
        json_int_t dirty = json_number(r, "dirty_bytes");
        sd_notifyf(0, "WATCHDOG=1\nSTATUS=serving %s at %s; %s to store%s%s", cfg->iscsi.target, cfg->iscsi.portal,
                   dirty ? json_size(r, "dirty_bytes", size) : "nothing", trouble ? "; store: " : "",
                   trouble ? trouble : "");
    } else {
        sd_notifyf(0, "STATUS=the library does not answer: %s", err.text);
    }
    json_decref(r);
    return answered;
}

void service_reloading(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void service_reloaded(void)
{
    sd_notify(0, "READY=1");
}

void service_stopping(void)
{
    sd_notify(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=600000000\nSTATUS=making everything written safe");
}

void service_stopped(const char *text)
{
    fprintf(stderr, "s3vtl: %s\n", text);
    sd_notifyf(0, "STATUS=%s", text);
}
