/* SPDX-License-Identifier: GPL-2.0-or-later */
/* event.c: the table of events. docs/monitoring.md's is made of it ("packaging/manual readme"). */
#include "base/event.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct event_described table[EVENT_COUNT] = {
    [EVENT_STORE_DOWN] = {"store-down", LOG_LEVEL_ERROR, "requests to the store fail, or do not get on",
                          "`s3vtl status`, `s3vtl doctor`"},
    [EVENT_STORE_UP] = {"store-up", LOG_LEVEL_NOTICE, "the store is well again", ""},
    [EVENT_BACKLOG_OLD] = {"backlog-old", LOG_LEVEL_ERROR,
                           "something has been only on this disk for longer than `[notify] backlog_age`",
                           "`s3vtl status --only backlog`; a faster line, or less to back up"},
    [EVENT_BACKLOG_OVER] = {"backlog-over", LOG_LEVEL_NOTICE, "nothing is that old any more", ""},
    [EVENT_DISK_FILLING] = {"disk-filling", LOG_LEVEL_ERROR,
                            "the disk of `state_dir` has less free than `[notify] disk_free`",
                            "free some; lower `max_dirty` or `cache_size`"},
    [EVENT_DISK_FREE] = {"disk-free", LOG_LEVEL_NOTICE, "it has enough again", ""},
    [EVENT_HEALTH_LOW] = {"health-low", LOG_LEVEL_ERROR,
                          "objects of a cartridge have less redundancy in the store than `[store] health_warning`",
                          "docs/sia.md; copy what must not be lost"},
    [EVENT_HEALTH_OVER] = {"health-over", LOG_LEVEL_NOTICE, "all cartridges have enough of it again", ""},
    [EVENT_SERVICE_UNWELL] = {"service-unwell", LOG_LEVEL_ERROR,
                              "the store's service lacks something that it needs to keep data: hosts, contracts, money",
                              "`s3vtl status` has its words; docs/sia.md"},
    [EVENT_SERVICE_WELL] = {"service-well", LOG_LEVEL_NOTICE, "it lacks nothing any more", ""},
    [EVENT_DAMAGE] = {"damage", LOG_LEVEL_ERROR,
                      "`verify`, or the start after a crash, found data that are damaged or gone",
                      "`s3vtl tape show`; write those backups again"},
    [EVENT_SPOOL_LOST] = {"spool-lost", LOG_LEVEL_ERROR,
                          "a file of the spool is gone or damaged, and was not in the store yet, or in no head",
                          "bring the file back, or write those backups again"},
    [EVENT_WRITE_LOST] = {"write-lost", LOG_LEVEL_ERROR,
                          "acknowledged blocks could not be written to this disk; the host is told",
                          "look at the disk; repeat the job"},
    [EVENT_FENCED] = {"fenced", LOG_LEVEL_ERROR, "another gateway owns a cartridge, or a copy of this one does",
                      "s3vtl-tape-claim(1)"},
    [EVENT_LOCK_BYPASSED] = {"lock-bypassed", LOG_LEVEL_WARNING,
                             "somebody shortened a cartridge's governance lock, or took it off", "ask who"},
    [EVENT_OBJECT_LOCK_FAILED] = {"object-lock-failed", LOG_LEVEL_WARNING,
                                  "the store does not lock all objects of a locked cartridge (S3 Object Lock)",
                                  "let the key do PutObjectRetention and GetObjectRetention; docs/retention.md"},
    [EVENT_COPY_SEEN] = {"copy-seen", LOG_LEVEL_WARNING, "another library, or a copy of this one, uses the same prefix",
                         "s3vtl-tape-claim(1)"},
    [EVENT_TAKEN_OVER] = {"taken-over", LOG_LEVEL_ERROR,
                          "another gateway of the same name has taken the library over; this one writes no more",
                          "stop this one; s3vtl-takeover(1)"},
    [EVENT_LOAD_FAILED] = {"load-failed", LOG_LEVEL_ERROR, "a drive cannot load or give back its cartridge",
                           "the line says why"},
    [EVENT_STATE_FAILED] = {"state-failed", LOG_LEVEL_ERROR, "`state.db` cannot be read or written",
                            "look at the disk; s3vtl-library-rebuild(1)"},
    [EVENT_NO_ANSWER] = {"no-answer", LOG_LEVEL_ERROR, "the library runs, and has not answered for two minutes",
                         "`journalctl -u s3vtl`; look at the disk"},
    [EVENT_ANSWERS] = {"answers", LOG_LEVEL_NOTICE, "it answers again", ""},
    [EVENT_NOTIFY_FAILED] = {"notify-failed", LOG_LEVEL_ERROR, "a message could not be sent", "`s3vtl notify --test`"},
    [EVENT_UPLOAD_FAILED] = {"upload-failed", LOG_LEVEL_WARNING,
                             "one of a cartridge's transfers failed, and is tried again",
                             "nothing, if it does not stay"},
    [EVENT_CACHE_DAMAGED] = {"cache-damaged", LOG_LEVEL_WARNING,
                             "a local copy is damaged, and the store's is read instead", "look at the disk"},
    [EVENT_CONNECTION_ENDED] = {"connection-ended", LOG_LEVEL_WARNING, "an initiator sent what iSCSI does not allow",
                                "docs/limits.md"},
    [EVENT_RECOVERED_SEGMENT] = {"segment-recovered", LOG_LEVEL_NOTICE,
                                 "after a crash: what was being written is there", ""},
    [EVENT_RELOADED] = {"reloaded", LOG_LEVEL_NOTICE, "the configuration was read again, and a key taken", ""},
    [EVENT_RELOAD_REFUSED] = {"reload-refused", LOG_LEVEL_ERROR, "the configuration was read again, and nothing taken",
                              "the line names each key"},
    [EVENT_ESCROW_FAILED] = {"escrow-failed", LOG_LEVEL_ERROR,
                             "`[escrow] every`: no escrow could be made; it is tried again",
                             "the line says why; s3vtl-escrow-run(1)"},
    [EVENT_ESCROW_OLD] = {"escrow-old", LOG_LEVEL_ERROR,
                          "none could be made for an hour, there is none at all, or what was committed for a day is in "
                          "none",
                          "`s3vtl escrow check`, `s3vtl escrow run`"},
    [EVENT_BLANKS_FEW] = {"blanks-few", LOG_LEVEL_ERROR,
                          "there are fewer blank cartridges than `[library] blanks` wants, and none can be made",
                          "the line says why: slots, names, the store"},
    [EVENT_BLANKS_ENOUGH] = {"blanks-enough", LOG_LEVEL_NOTICE, "there are enough again", ""},
    [EVENT_QUOTA_NEAR] = {"quota-near", LOG_LEVEL_ERROR,
                          "a quota is used up but for what jobs need to end, or will be within a week as it grows",
                          "let backups expire, and format or overwrite their tapes; a larger `[quota]`"},
    [EVENT_QUOTA_OVER] = {"quota-over", LOG_LEVEL_NOTICE, "there is room again", ""},
    [EVENT_VERIFY_LATE] = {"verify-late", LOG_LEVEL_ERROR,
                           "a cartridge was not read back from the store within `[verify] every`",
                           "longer hours, a higher rate or budget; `s3vtl verify --older`"},
    [EVENT_VERIFY_OVER] = {"verify-over", LOG_LEVEL_NOTICE, "all were", ""},
    [EVENT_CERTIFICATE_TAKEN] = {"certificate-taken", LOG_LEVEL_NOTICE,
                                 "of `s3vtl web`: a renewed certificate is shown to new connections", ""},
    [EVENT_CERTIFICATE_REFUSED] = {"certificate-refused", LOG_LEVEL_ERROR,
                                   "of `s3vtl web`: the renewed certificate or key cannot be used; the one of before "
                                   "stays",
                                   "the line says why; docs/web.md"},
    [EVENT_ESCROW_OVER] = {"escrow-over", LOG_LEVEL_NOTICE, "there is one that is good enough again", ""},
};

const struct event_described *event_describe(enum event e)
{
    return &table[e];
}

enum event event_of(const char *id)
{
    unsigned e = 0;
    while (e < EVENT_COUNT && (!id || strcmp(table[e].id, id) != 0))
        e++;
    return (enum event)e;
}

void log_event(enum event e, const char *fmt, ...)
{
    char line[900];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    size_t room = sizeof(line) - strlen(table[e].id) - sizeof(" []"), n = strlen(line);
    n = n < room ? n : room;
    (void)snprintf(line + n, sizeof(line) - n, " [%s]", table[e].id);
    log_note(table[e].level, line);
}
