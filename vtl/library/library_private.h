/* SPDX-License-Identifier: GPL-2.0-or-later */
/* library_private.h: the one library object, shared by the files of its room. */
#ifndef S3VTL_LIBRARY_PRIVATE_H
#define S3VTL_LIBRARY_PRIVATE_H

#include "base/lock.h"
#include "vtl/cartridge/worker.h"
#include "vtl/drive/drive.h"
#include "vtl/library/library.h"

struct element {
    uint16_t address, source; /* source 0: none */
    enum element_type type;
    char barcode[33]; /* "": empty */
    bool by_operator;
};

/* store_health.c: how the store's service is, as it told last. */
struct store_health {
    pthread_t thread;
    bool runs;
    atomic_bool stop, soon;
    struct lock lock;       /* a leaf; guards the rest */
    bool told;              /* there is somebody to ask */
    uint64_t asked;         /* seconds since 1970: when it answered last; 0: never */
    struct errtext trouble; /* why it could not be asked last; "": it could */
    json_t *findings;       /* [{"severity":, "text":}]; NULL: it never answered */
};

/* blanks.c: cartridges that are made by themselves. */
struct blanks {
    pthread_t thread;
    bool runs;
    atomic_bool stop;
    char next[CONFIG_MAX_BLANKS][33]; /* of each rule; the thread's: blank_names.h */
    struct lock lock;                 /* a leaf; guards the rest */
    unsigned n;
    struct blanks_rule {
        struct config_blanks wanted;
        unsigned free; /* as counted last */
        bool counted;
        struct errtext trouble; /* why there are fewer; "": nothing hinders */
    } rules[CONFIG_MAX_BLANKS];
};

/* released.c: what is on a shelf that is shared, and not given up yet. The inventory's thread's, but for seen. */
struct shelf {
    atomic_bool seen; /* false: to be looked at from the beginning */
    char (*barcodes)[33];
    size_t n, at;      /* at: of these, which one is looked at, */
    uint64_t until;    /* or being given up: clock_ms() when the next one waits no longer; 0: it is not */
    uint64_t again_at; /* the store failed: not before */
};

/* ARCHITECTURE.md has the order of the locks. */
struct library {
    const struct vtl_config *cfg;
    int lock_fd;
    struct engine eng;
    struct objstore *gate; /* eng.store, while it serves: gate.h */
    char id[37];           /* the library's, in the bucket's format object */
    char changer_serial[33];

    struct lock reload_lock;
    struct vtl_config *taken; /* by the last reload, guarded by reload_lock: for what it says next. NULL: cfg still */
    struct rwlock tapes_lock; /* written to make or remove a cartridge, read by who walks over them */
    atomic_uint n_changing;   /* who waits to write it: library_begin_change */
    struct lock move_lock;    /* held through a move, and through making or removing */
    struct lock lock;         /* elements and cartridges, for readers: who changes them holds move_lock too, and has
                               * changed the state's rows first */
    struct element *elements; /* in order of address: transport, drives, import/export, storage; it never moves */
    atomic_size_t n_elements; /* only grows: those before are as they were */
    struct cartridge **cartridges; /* in order of barcode */
    size_t n_cartridges, room_cartridges;
    atomic_uint n_reloads; /* that took something, or found nothing new */
    atomic_bool door_locked;
    struct drive **drives;
    unsigned n_drives;

    bool elements_new;       /* see library_elements_are_new; set before anybody knows the library */
    uint32_t elements_begin; /* what was in the elements when it was opened, without serving */

    bool inventory_dirty;     /* guarded by lock */
    bool inventory_put;       /* likewise: one is being put */
    json_t *rules;            /* likewise: rules.c */
    struct errtext warning;   /* likewise: what an admin must know of the whole library; "": nothing */
    atomic_bool hand_over;    /* asked for: the flush at the end of serve says so */
    uint64_t turn;            /* turn.h; set before anybody knows the library, or without serving */
    bool handed_over;         /* likewise */
    atomic_bool shared;       /* a library of another name has this prefix, too: they share the shelf */
    atomic_bool taken_over;   /* another one's turn came */
    uint64_t turn_next_ms;    /* clock_ms(); the inventory thread's, as are the next two */
    bool turn_failed;         /* the last look failed, and was told of */
    unsigned turn_fences;     /* engine.fences at the last look: one more is a reason to look again */
    json_t *inventories_seen; /* by key: others' that were read; NULL: none */
    uint64_t inventory_n;     /* put in this run; the inventory thread's, or move_lock */
    pthread_t inventory_thread;
    bool inventory_runs;
    struct shelf shelf;
    pthread_t offsite_threads[2]; /* offsite_watch.c */
    unsigned n_offsite_threads;
    atomic_bool offsite_stop;
    atomic_bool offsite_now;           /* the store is to be asked without delay */
    atomic_bool offsite_hurries;       /* the store is being asked to hurry: what that puts itself is to leave, too */
    _Atomic uint64_t offsite_asked_ms; /* when the last question began that the store answered; 0: none */
    struct store_health health;
    struct blanks blanks;
    pthread_t quota_thread; /* quota_watch.c */
    bool quota_runs;
    atomic_bool quota_stop;
    pthread_t chunks_thread; /* chunk_watch.c */
    bool chunks_run;
    _Atomic uint64_t lend_hasty_until; /* lend.c: ticks */
    atomic_bool chunks_stop;
    atomic_bool stop;
    atomic_bool locks_seen; /* cartridges were looked at for what the store is to lock */
    atomic_bool no_waiting; /* library_stop_waiting */

    library_event_fn listener;
    void *listener_arg;
};

/* lend.c: struct engine's may_copy; opens the index of chunks, if the configuration wants it. */
bool library_may_copy(void *lib, struct cartridge *c, const struct seg_source *s);
void lend_open(struct library *lib);
/* lent_cache.c: the spool's files of what tapes here lean on, of tapes that are not here, are cache. At the start. */
void library_find_lent_cache(struct library *lib);
/* chunk_watch.c: the index of chunks is made anew where it lacks segments. */
int chunk_watch_start(struct library *lib, struct errtext *err);
void chunk_watch_stop(struct library *lib);

/* To make or remove cartridges: takes tapes_lock, written, and move_lock. What reads for long ends, or waits, before that. While
 * it waits for a move it holds neither. */
void library_begin_change(struct library *lib);
void library_end_change(struct library *lib);
struct element *library_element(struct library *lib, uint16_t address); /* lock held; NULL: no such address */
/* A copy of all elements as they are now, malloc'd; NULL when out of memory. Slow work is done on the copy: the
 * transport's thread takes the lock too (I5). */
struct element *library_elements_now(struct library *lib, size_t *n);
/* From now on there are so many slots, more than before; hosts are told. Not with lock held. */
void library_add_slots(struct library *lib, unsigned slots);
/* The place of a barcode in the list of cartridges, or where it would go. lock held, or move_lock. */
size_t library_position(const struct library *lib, const char *barcode);
/* NULL: unknown. The same. */
struct cartridge *library_cartridge(struct library *lib, const char *barcode);
/* The barcodes of all, malloc'd, for who does one after the other without the lock; NULL, and *n 0: out of memory. */
typedef char barcode_text[33];
barcode_text *library_barcodes(struct library *lib, size_t *n);
int library_add_cartridge(struct library *lib, struct cartridge *c);
void library_drop_cartridge(struct library *lib, struct cartridge *c); /* only from the list */
void library_inventory_changed(struct library *lib);
struct drive *library_drive_at(struct library *lib, const struct element *e); /* NULL: not a drive element */
struct element *library_place(struct library *lib, const char *barcode); /* NULL: in none. lock or move_lock held */
/* Where a new cartridge goes: the first that is empty, and that no drive's cartridge came from; 0: none. move_lock held */
uint16_t library_free_slot(struct library *lib);
/* How many slots are empty. *kept: how many cartridges in drives need one to go back to. lock held, or move_lock. */
size_t library_free_slots(struct library *lib, size_t *kept);
/* Nobody else opens the library, or is it served, while *fd is open, or a copy of it. -EBUSY: somebody has it; *fd is -1 then, as
 * on any error. */
int library_lock(const struct vtl_config *cfg, int *fd, struct errtext *err);
/* library_open under that lock, of which the library keeps a copy; lock_fd -1: under its own. */
int library_open_locked(const struct vtl_config *cfg, unsigned flags, int lock_fd, struct library **out,
                        struct errtext *err);
/* A key of the state, not "" while a rebuild has begun and not ended: cartridges are missing. */
#define REBUILDING "rebuilding"
/* A key of the state: the inventories that it put, and may have left: inventory_keys.h. */
#define INVENTORY_KEYS "inventory_keys"
/* rebuild.c: puts a cartridge as the bucket has it into the state, in place of the one with rowid old (0: none), and
 * into an element (0: none). The caller frees row->mam and row->counters then. */
int rebuild_row(struct library *lib, int64_t old, const struct head *h, const struct tape_index *x, uint16_t address,
                struct db_cartridge *row, struct errtext *err);
/* rebuild_read.c: what the store has of a cartridge. Any thread; NULL when out of memory. */
struct rebuild_reading {
    int rc; /* 0, -ENOENT or -EBADMSG: the head, or a map that it names, is gone or damaged; or the store's error */
    struct errtext why;
    bool with_head;      /* h is the winning head, whole */
    bool whole;          /* and x all that it names: rc is 0 */
    bool no_head;        /* there is none */
    bool nothing;        /* nor any segment: a claim that came to nothing */
    struct head h;       /* head_free, if with_head */
    struct tape_index x; /* tape_index_free, if whole */
};
struct rebuild_reading *rebuild_read(struct objstore *store, const char *barcode, const atomic_bool *cancel);
void rebuild_reading_free(struct rebuild_reading *c); /* NULL is fine */
/* ---- shares.c: who copies from whom ---- */
/* Adds "dedup", {"host_bytes","own_bytes","listed_segments","index_bytes","chunks_found","lists_loaded"}, with [dedup]
 * only; the last two since the start. tapes_lock held. */
void shares_add_sums(struct library *lib, json_t *j);
/* What its removal would free: adds "freed_by_removal_bytes" and "needed_by_others_bytes", which stay in the store; and
 * "lends_to", [{"barcode","segments","bytes"}...], for whom, if there is any. */
int shares_after_removal(struct library *lib, struct cartridge *c, json_t *j, struct errtext *err);
struct kept;
/* The same of one whose objects are gone, but for what was kept: what came of it, and "kept": did anything stay? */
void shares_of_removed(struct cartridge *c, const struct kept *kept, json_t *j);
/* That, and "leans_on", likewise, and "kept_for_now", why nothing is deleted; each only if there is any. */
int shares_add(struct library *lib, struct cartridge *c, json_t *j, struct errtext *err);

/* ---- place.c: what a cartridge leaves that is removed while others lean on it ---- */
/* The head of such a place. -ENOENT: the bucket has none of that barcode. */
int place_read(struct library *lib, const char *barcode, struct head *h, const struct obj_call *call,
               struct errtext *err);
/* Makes the row of a new cartridge at that place: it goes on from its head, and what is kept there becomes its garbage. */
int place_take(struct library *lib, const struct head *h, uint16_t address, struct db_cartridge *row);
json_t *place_show(const struct head *h); /* whom it is kept for: barcodes; new reference */

/* rebuild_backlog.c: by barcode, [{"barcode":, "segments":, "bytes":}] of what was acknowledged and no head names: as the
 * state says, or without one, as the spool's files do. New reference, also on error. */
int rebuild_backlog(const struct vtl_config *cfg, struct objstore *store, const atomic_bool *cancel, json_t **list,
                    struct errtext *err);
/* Renames the files of what the list above has by the state's word to *.bad, so that they are no cache. */
int rebuild_set_aside(const struct vtl_config *cfg, struct errtext *err);
/* -EBUSY with the line for it. */
int rebuild_refuse_backlog(const json_t *list, struct errtext *err);
json_t *rebuild_sorted(json_t *list); /* by barcode; takes list over */
/* rebuild_deep.c: makes head and index of a cartridge from its segments and, but for a dry run, puts that head. old:
 * the winning head, which is taken over, when only a map is gone; else NULL. *report: what is missing; new
 * reference. */
int rebuild_deep(struct library *lib, struct head *old, const char *barcode, const struct rebuild_options *o,
                 struct head *h, struct tape_index *x, json_t **report, struct errtext *err);
/* MOVE MEDIUM of the cartridge from wherever it is; CHANGER_SOURCE_EMPTY: it is in no element. May wait as long. */
enum changer_result library_move(struct library *lib, const char *barcode, uint16_t destination,
                                 const atomic_bool *cancel);
void library_tell(struct library *lib, enum library_event ev, unsigned drive);

/* amounts.c: the sums over all cartridges: what every listing, message and stop shows. tapes_lock held. */
struct library_amounts {
    struct cartridge_amounts all;
    size_t local;  /* cartridges of which something is only on this disk */
    uint64_t sent; /* of all.unsent: bytes of uploads under way */
};
void library_amounts(struct library *lib, struct library_amounts *out);
/* The fields of every answer that has these figures: local_only_bytes, stored_bytes, and what these are: accepted_bytes,
 * and offsite_bytes if the store tells. */
void library_amounts_json(const struct library *lib, const struct cartridge_amounts *a, json_t *j);

/* figures.c: what monitoring wants to know often: no lock that an operation may hold. */
json_t *library_figures(struct library *lib, const json_t *request, struct errtext *err);

/* offsite_watch.c: asks the store what of the accepted data is off-site, and to hurry. */
int offsite_watch_start(struct library *lib, struct errtext *err);
void offsite_watch_stop(struct library *lib);
/* All that the store took up to now is off-site, and nothing is on its way there. tapes_lock held. */
bool library_is_offsite(struct library *lib);

/* store_health.c: asks the store's service how it is, and of the redundancy that cartridges have left. */
void store_health_init(struct store_health *h);
void store_health_fini(struct store_health *h);
int store_health_start(struct library *lib, struct errtext *err);
void store_health_stop(struct library *lib);
/* By its thread, or without one: asks now. */
void store_health_ask(struct library *lib);
/* Something happened that may have changed the answer: it is asked soon. Any thread, at once. */
void store_health_soon(struct library *lib);
/* What of it is shown, with the library: NULL where nobody tells (tapes_lock held); with a cartridge. */
json_t *store_health_json(struct library *lib);
void store_health_of(const struct cartridge *c, json_t *j);

/* pause.c: until so many ms are over, *stop is set or n_reloads is another than reloads, as it was before the last look: for threads
 * that look at the library now and then. Whoever sets stop posts progress. */
void library_pause(struct library *lib, const atomic_bool *stop, unsigned reloads, unsigned ms);
/* How an operation calls the store: somebody waits for it at a terminal, and library_stop_waiting ends it. */
struct obj_call library_impatient(const struct library *lib);
/* blanks.c: keeps as many blank cartridges as the configuration wants. */
void blanks_init(struct library *lib);
int blanks_start(struct library *lib, struct errtext *err);
void blanks_stop(struct library *lib);
/* A new configuration: what it wants holds from now on. */
void blanks_take(struct library *lib, const struct vtl_config *c);
/* [{"first","last","keep","free","trouble"}...]; NULL: none are wanted, or nobody has counted. */
json_t *blanks_json(struct library *lib);

/* quota_watch.c: counts what the cartridges of each quota take, and foretells when it is full. */
int quota_watch_start(struct library *lib, struct errtext *err);
void quota_watch_stop(struct library *lib);
/* [{"cartridges","limit_bytes","used_bytes","left_bytes","near","full_on"}...]; NULL: there are none, or nobody has counted. */
json_t *quotas_json(struct library *lib);
/* rules.c: from now on these hold. Not with lock held, as the next. */
void rules_take(struct library *lib, const struct vtl_config *c);
/* {"retention": [{"cartridges","mode","seconds"}], "upload_limit","download_limit","verify_window": as the configuration has
 * them, "verify_budget": bytes a day, 0: any}. A new reference. */
json_t *rules_json(struct library *lib);

/* turn.c: an operation: {"op":"handover"} -> {"serve":PID}. */
json_t *library_begin_handover(struct library *lib, const json_t *request, struct errtext *err);

/* inventory.c: <prefix>/gateways/<gateway>/inventory/<n>, so that a rebuild finds every cartridge in its element. */
int inventory_start(struct library *lib, struct errtext *err);
void inventory_stop(struct library *lib);
/* Is it the key of one? */
bool inventory_is_key(const char *key);
/* The store has it as it is now. */
bool inventory_is_stored(struct library *lib);
/* released.c: gives up what is on a shelf that is shared, and was not when it came there. The inventory's thread's, while the
 * store answers. */
void shelf_look(struct library *lib);
/* Puts the inventory now. */
int inventory_put(struct library *lib, const struct obj_call *call, struct errtext *err);
/* The newest inventory in the store, and its key: of that name the one with the highest turn, before those of any other
 * name; name NULL: of whatever gateway. NULL with *err "" when there is none. One that cannot be read is passed over (*unread)
 * when there is one of that name, and a damaged one always; else it may be the one: NULL with *err. cancel may be NULL. New
 * reference. */
json_t *inventory_newest(struct objstore *store, const char *name, char key[DB_KEY_SIZE], bool *unread,
                         const atomic_bool *cancel, struct errtext *err);
/* The same, but NULL if this state put it: it says nothing that the state does not, and may be behind it. */
json_t *inventory_newest_other(struct library *lib, struct errtext *err);

/* rebuild.c: the store of a command that does not serve; it answers. */
int rebuild_open_store(const struct vtl_config *cfg, struct objstore **store, struct errtext *err);
/* rebuild.c: the id in the state, "" when there is no state. Needs no lock of the state. */
int library_state_id(const struct vtl_config *cfg, char id[37], struct errtext *err);
/* served_as.c: by what hosts know the library, as the configuration says; new reference. And from such a one, of whatever
 * gateway, into the state: by that name hosts knew it last. */
json_t *served_as_json(const struct vtl_config *c);
int served_as_take(struct library *lib, const json_t *j, struct errtext *err);
/* neighbours.c: 0, or -EEXIST when a prefix above or below this one's is another library's; or the store's error. */
int library_check_neighbours(const struct objstore_config *here, struct objstore *store, const struct obj_call *call,
                             struct errtext *err);

/* store_format.c: <prefix>/format names the library that uses the prefix. */
/* -ENOENT: there is none. id and name are filled. */
int format_read(struct objstore *store, const struct obj_call *call, char id[37], char name[64], struct errtext *err);
/* Does the prefix belong to the library called id? -ENOENT, -EINVAL or -EBADMSG, in words, if not; or the store's error. */
int format_is(const struct vtl_config *cfg, struct objstore *store, const char *id, const struct obj_call *call,
              struct errtext *err);
int format_write(struct objstore *store, const char *id, const char *name, struct errtext *err);
/* A JSON object in its envelope (head.h), from and to the store. max bounds what is read. */
int store_read_json(struct objstore *store, const char *key, uint64_t max, const struct obj_call *call, json_t **out,
                    struct errtext *err);
int store_write_json(struct objstore *store, const char *key, const json_t *j, const struct obj_call *call,
                     struct errtext *err);

#endif
