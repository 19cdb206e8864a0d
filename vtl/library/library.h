/* SPDX-License-Identifier: GPL-2.0-or-later */
/* library.h: the tape library: its elements, drives and cartridges, opened from a configuration. What target.c and the
 * command use. */
#ifndef S3VTL_LIBRARY_H
#define S3VTL_LIBRARY_H

#include <jansson.h>

#include "scsi/changer_ops.h"
#include "scsi/tape_ops.h"
#include "vtl/config/config.h"

struct library;

#define LIBRARY_VENDOR "S3VTL" /* INQUIRY vendor of every logical unit, and in DVCID */

/* What happened to the medium of a drive or at the import/export elements: target.c turns it into unit attentions.
 * Called on any thread but the transport's; must not block. */
enum library_event { LIBRARY_DRIVE_MEDIUM_CHANGED, LIBRARY_IMPORT_EXPORT_ACCESSED, LIBRARY_ELEMENTS_CHANGED };
typedef void (*library_event_fn)(void *arg, enum library_event ev, unsigned drive);

/* Flags of library_open. */
enum {
    LIBRARY_SERVE = 1,  /* start the background work: uploads, idle seal, prefetch (else only the state is opened) */
    LIBRARY_CREATE = 2, /* make the state if there is none (library init) */
};

/* Opens (and recovers) the state below state_dir; one process at a time holds it (lock file: -EBUSY, the text names the
 * process). cfg is borrowed and must outlive the library. May block; not on the transport's thread once initiators are
 * served. */
int library_open(const struct vtl_config *cfg, unsigned flags, struct library **out, struct errtext *err);
/* Flushes every drive (to the configured durability at least) and closes. 0, or the first error, with everything closed
 * all the same. */
int library_close(struct library *lib, struct errtext *err);
/* From now on no operation waits for the store: any that does ends with an error, and library_close makes everything
 * safe on the local disk only, whatever the durability. Any thread. */
void library_stop_waiting(struct library *lib);
/* How far a clean stop is: the control socket's "flush" with "stop" begins it, "end" ends it. Any thread, at once. */
enum library_stop {
    LIBRARY_GOES_ON,
    LIBRARY_FLUSHES, /* what is written is made safe; no drive takes anything more */
    LIBRARY_ENDS,    /* library_stop_waiting: hosts wait for nothing any more, either */
};
enum library_stop library_stop_of(const struct library *lib);
/* They may again: who stopped them is alone with the library, and has to clean up. */
void library_wait_again(struct library *lib);
/* Have elements changed since the library was served last, or was it never? If not, an initiator knows them as they are,
 * whatever runs there were. Any thread, never blocks. */
bool library_elements_are_new(const struct library *lib);
/* What hosts lose when the library is served as its configuration says and no more as it was served last; "": nothing. 0, or
 * the state's error. */
int library_losses(struct library *lib, struct errtext *out, struct errtext *err);
/* From now on that is how it was served last. Serving does the same. */
int library_accept(struct library *lib, struct errtext *err);
void library_set_listener(struct library *lib, library_event_fn fn, void *arg);

/* For the logical units. Pointers live as long as the library. i < drives of the configuration. */
const struct tape_ops *library_drive_ops(void);
void *library_drive(struct library *lib, unsigned i);
const char *library_drive_serial(struct library *lib, unsigned i);
const char *library_changer_serial(struct library *lib);
const struct changer_ops *library_changer_ops(void); /* self is the struct library */

/*
 * One operation of the command, asked in JSON and answered in JSON, whether over the control socket or in the same
 * process:
 *   {"op":"status"}                                -> {"elements":[...],"drives":[...],"cartridges":[...], ...}
 *   {"op":"tape-list"} {"op":"tape-show","barcode":B} {"op":"tape-create","barcodes":[..],"capacity":N,"worm":false,"no_dedup":false}
 *   {"op":"tape-remove","barcode":B,"force":false} {"op":"tape-protect","barcode":B,"on":true}
 *   {"op":"tape-lock","barcode":B,"mode":"compliance","until":N,"bypass":false}
 *   {"op":"tape-verified", ...}                    -> vtl/library/tapes.h
 *   {"op":"tape-move","barcode":B,"address":N}
 *   {"op":"vanished"}                              -> {"vanished":[{"barcode","state","inventory","head","error"}]}: what the
 *                                                     bucket has no more; with "barcodes", of these only
 *   {"op":"flush"}                                 -> {"hand_over":BOOL}: every drive is at the configured durability; is
 *                                                     the library to be handed over when it is stopped
 *   {"op":"handover"}                              -> {"serve":PID}: SIGTERM to that process hands the library over
 *   {"op":"flush","remote":true,"timeout_ms":N}    -> {"remote":bool,"waiting":text}: is all of it in the store; what
 *                                                     was not when the time (10 s at most) was over
 *   {"op":"flush","offsite":true,"timeout_ms":N}   -> the same, and {"offsite":bool}: is all of it off-site, too
 *   {"op":"pulse"}                                 -> "trouble" (the store's, or null), "dirty_bytes", "log_level"; at once, whatever
 *                                                     else goes on
 *   {"op":"report","since":SECONDS}, {"op":"happenings", ...}, {"op":"happened", ...}   -> vtl/library/report.h
 *   {"op":"reload"}                                -> vtl/library/reload.h
 *   {"op":"each","requests":[...]}                 -> {"answers":[{"ok":true,"result":...} or {"ok":false,"error":text}]}: in
 *                                                     the order of requests, which are done side by side, and neither
 *                                                     make nor remove a cartridge
 * Returns a new reference, or NULL and *err (one line). Any thread but the transport's; may block.
 */
json_t *library_call(struct library *lib, const json_t *request, struct errtext *err);
/* May this request wait for the store, for a tape, or for whoever makes or removes cartridges, for seconds or minutes? Else it
 * is answered at once. */
bool library_call_waits(const json_t *request);

/* library init: makes the state and the store's format object; idempotent; refuses a prefix that another library uses.
 */
int library_init(const struct vtl_config *cfg, json_t **report, struct errtext *err);
/* Does the state belong to the library in the store? -ENOENT, -EINVAL, -EBADMSG or the store's error with *err. */
struct objstore;
struct obj_call;
int library_check_format(const struct vtl_config *cfg, struct objstore *store, const struct obj_call *call,
                         struct errtext *err);
/* May the state be served? -EPERM: it was handed over, and was not taken back. Needs no lock of the state. */
int library_may_serve(const struct vtl_config *cfg, struct errtext *err);
/* -EPERM: another gateway of this name has taken the library over since. Or the store's error. */
int library_check_turn(const struct vtl_config *cfg, struct objstore *store, const struct obj_call *call,
                       struct errtext *err);
/* Whose the store's prefix is, as its object "format" says. 0 or a negative errno with *err. */
int library_id(struct objstore *store, const struct obj_call *call, char id[37], struct errtext *err);
/* Without a state here: which cartridges of the newest inventory the bucket has no more. *list: as the operation "vanished"
 * gives it, new reference. barcodes: an array of those that count; NULL: all. cancel may be NULL. */
int library_vanished(const struct vtl_config *cfg, struct objstore *store, const json_t *barcodes,
                     const atomic_bool *cancel, json_t **list, struct errtext *err);
/* For s3vtl doctor: {"state":ID or "", "here":L or null, "others":[L...], "complete":bool}, where L is {"prefix":,
 * "name":,"library":,"place":"here"|"above"|"below"|"beside"}: the id in the state, and what libraries are where the store
 * is, as far as it lets us look. Neither the state nor the store has to be there. The caller's call bounds each request.
 * New reference, or NULL and *err. */
json_t *library_look_around(const struct vtl_config *cfg, const struct obj_call *call, struct errtext *err);
/* library rebuild: makes a new state from the bucket alone (heads and maps). Refuses when a state exists already,
 * unless force, and (-EBUSY) when the spool holds what no head names, unless discard_backlog: *report then has only
 * "backlog", a list of barcode, segments and bytes. o may be NULL: none of it. */
struct rebuild_options {
    bool force; /* an existing state is set aside */
    bool deep;  /* where a head or a map is gone or damaged, the segments are read instead, and a new head is put */
    bool discard_backlog; /* although the spool holds what was acknowledged and is not in the store: it is set aside */
    bool give_way;        /* an existing state is older than the bucket: it goes, and what only it has stays as *.bad */
    bool shelf;           /* every cartridge on the shelf: for a gateway that shares it with others */
    bool dry_run;         /* nothing is changed, neither here nor in the store */
    const int *lock_fd;   /* the lock of the state, which the caller holds; NULL: it does not */
    const atomic_bool *cancel; /* may be NULL */
    /* Of the segments of a cartridge. Called from several threads, one at a time. May be NULL. */
    void (*progress)(void *arg, const char *barcode, uint64_t done, uint64_t total);
    /* Of the cartridges, from the caller's thread. May be NULL. */
    void (*count)(void *arg, uint64_t done, uint64_t total);
    void *arg;
};
int library_rebuild(const struct vtl_config *cfg, const struct rebuild_options *o, json_t **report,
                    struct errtext *err);

/* Nobody serves it here. All of it into the store (off-site where durability says so), then the library is given up: the
 * next serve refuses, and another gateway takes over without force. 0 or a negative errno with *err; the library is then
 * as it was. */
int library_hand_over(const struct vtl_config *cfg, struct errtext *err);

/* takeover: this gateway has the library from now on, as the bucket has it. Without effect when it has it. -EPERM: another
 * one has it, has not handed it over, and force is not given. A state that another gateway's turn has made old gives way
 * (rebuild_options.give_way). *report: as library_rebuild's, with "from" and "claimed"; or {"library","name","had_it":true,
 * "back":BOOL}, back: it had been handed over from here. New reference. */
struct takeover_options {
    bool force;
    void (*count)(void *arg, uint64_t done, uint64_t total); /* as in rebuild_options, twice */
    void *arg;
};
int library_take_over(const struct vtl_config *cfg, const struct takeover_options *o, json_t **report,
                      struct errtext *err);

#endif
