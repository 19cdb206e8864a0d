/* SPDX-License-Identifier: GPL-2.0-or-later */
/* config.h: reads and checks the configuration file. Every mistake gets one line with file, line, key, value and what
 * would be right. */
#ifndef S3VTL_CONFIG_H
#define S3VTL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errtext.h"
#include "base/name_range.h"
#include "s3backend/objstore.h"

/* There are UNIX sockets below state_dir, and a sockaddr_un has room for 107 characters. */
#define CONFIG_MAX_STATE_DIR 88
#define CONFIG_MAX_SLOTS 60000
#define CONFIG_MAX_PARALLEL 64
#define CONFIG_MAX_KEYS 96

/* What a sync waits for; each holds what those before it do. */
enum durability { DURABILITY_LOCAL, DURABILITY_REMOTE, DURABILITY_OFFSITE };

/* The struct owns all strings; none is NULL ("" = not set). Defaults are in brackets. */
struct vtl_config {
    char *file;                  /* the path it was read from */
    bool given[CONFIG_MAX_KEYS]; /* the file sets the i-th key (config_show); otherwise its default applies */
    struct {
        char *name;             /* [s3vtl] [A-Za-z0-9._-]{1,32} */
        char *state_dir;        /* absolute, at most CONFIG_MAX_STATE_DIR characters; no default */
        unsigned drives;        /* [2] 1..64 */
        unsigned slots;         /* [40] 1..60000 */
        unsigned import_export; /* [4] 0..250 */
        int generation;         /* drive_type = LTO-5 .. LTO-9 [LTO-8] */
        /* [hash of name: "S3" + 5 characters] [A-Za-z0-9]{1,7}: serials are prefix + 3 digits, at most 10
         * characters (DVCID): changer prefix + "000", drive i prefix + "001".. */
        char *serial_prefix;
        char *blanks; /* [""] = none: config_blanks */
    } library;
    struct {
        char *portal; /* [127.0.0.1:3260] address:port, [v6]:port */
        char *target; /* [iqn.2026-11.s3vtl:<name>] */
        char *chap_user, *chap_password_file;
        char *mutual_user, *mutual_password_file;
        char *chap_password_path, *mutual_password_path; /* as credentials_path */
        char *initiators; /* [""] = ALL: initiator names, separated by blanks or commas; may be repeated */
        char *addresses;  /* [""] = ALL: addresses or networks, likewise. Not both: tgt admits whoever is in either */
    } iscsi;
    struct {
        char *type; /* [dir] dir | s3 */
        char *path;
        char *url, *bucket, *prefix, *region, *credentials_file, *ca_file, *style;
        char *profile;                                   /* [default] which part of a credentials file of AWS's */
        char *kind;                                      /* [auto] auto | s3 | renterd | s3d */
        char *admin_url;                                 /* [""] = none: of renterd's or s3d's admin interface */
        char *admin_password_file, *admin_password_path; /* as credentials_path */
        char *credentials_path;  /* where credentials_file is, also when it is systemd:NAME; "": in the environment */
        unsigned parallel;       /* [4] 1..64 */
        unsigned health_warning; /* [0.5] in thousandths */
        char *upload_limit, *download_limit; /* [unlimited] as the file has them, */
        struct obj_rates upload, download;   /* and what they say */
        char *proxy;                         /* [""] = none: http://host[:port] */
        char *no_proxy;                      /* [""] hosts that are reached without it, separated by blanks */
        char *proxy_user, *proxy_password_file;
        char *proxy_password_path; /* as credentials_path */
    } store;
    struct {
        enum durability durability; /* [local] */
        uint64_t max_dirty;         /* [8G] largest backlog; then WRITE waits */
        uint64_t cache_size;        /* [16G] bytes of stored segments kept on the local disk */
        uint64_t segment_size;      /* [40M] 1M..1G */
        uint64_t write_buffer;      /* [32M] acknowledged blocks of one drive that are not in the spool yet; 0: none */
        uint64_t idle_seal;         /* [30s] in milliseconds */
    } spool;
    struct {
        char *tapes;     /* [off] off, or patterns of barcodes separated by blanks: * for all */
        char *cut;       /* [off] the same: of which of these what is not PBS's is cut into chunks by its content */
        unsigned sets;   /* [12] 1..1000: how many cartridges may copy from one segment */
        uint64_t memory; /* [64M] 1M..4G of the index of chunks */
    } dedup;
    struct {
        uint64_t every;        /* [off] in milliseconds; 0: serve verifies nothing */
        char *window;          /* [unlimited] as the file has it: rates, and when */
        struct obj_rates when; /* and what it says; none: always, at any rate */
        uint64_t budget;       /* [off] bytes a day; 0: any */
    } verify;
    struct {
        uint64_t library; /* [off] bytes that all cartridges may take; 0: no limit */
        char *pools;      /* [""] = none: config_quotas */
    } quota;
    struct {
        char *tapes;      /* [""] = none: config_retention */
        bool object_lock; /* [on] the store locks the objects of a locked cartridge too, where it can */
    } retention;
    struct {
        char *listen; /* [""] = off: address:port on loopback */
    } metrics;
    struct {
        char *listen;          /* [""] = off: address:port; elsewhere than on loopback with the next two */
        char *tls_certificate; /* [""] = none: a file, PEM */
        char *tls_key;         /* [""] */
        char *tls_key_path;    /* where that is */
        char *token_file;      /* [""] */
        char *token_path;      /* where that is */
    } web;
    struct {
        char *command;        /* [""] = none: an absolute path */
        char *url;            /* [""] = none */
        uint64_t repeat;      /* [24h] in milliseconds, as the next one */
        uint64_t backlog_age; /* [24h] */
        uint64_t disk_free;   /* [2G] */
    } notify;
    struct {
        enum log_level level; /* [info] what is less than this is not logged by serve */
    } log;
    struct {        /* the second place, by keys of the same names and meaning as the store's; config_has_escrow */
        char *type; /* [dir] dir | s3 */
        char *path; /* [""] = none: a directory on another disk or host */
        char *url;  /* [""] = none: another S3 service */
        char *bucket, *prefix, *region, *credentials_file, *profile, *ca_file, *style;
        char *credentials_path; /* as the store's */
        char *proxy, *no_proxy, *proxy_user, *proxy_password_file, *proxy_password_path;
        char *public_key; /* "escrow-public:..." */
        char *exchange;   /* a directory into which the store writes and from which we read */
        unsigned keep;    /* [24] 1..1000 */
        uint64_t every;   /* [off] in milliseconds; 0: serve makes none */
    } escrow;
};

/* Reads and checks the file. 0 and *out (freed by config_free), or -EINVAL/-ENOENT/... and *err. Unknown sections and
 * keys are errors. Does not read passwords and credentials, but their files must exist, be regular and have mode 0600
 * or stricter. Where they are systemd's ("systemd:NAME"), only a process that has $CREDENTIALS_DIRECTORY needs them to
 * exist. Not while another thread changes the environment. */
int config_load(const char *file, struct vtl_config **out, struct errtext *err);
/* The same for the console, which reads the files of [web] and no others. config_load lets [web] name what is not there: the
 * library serves without a console. */
int config_load_console(const char *file, struct vtl_config **out, struct errtext *err);
void config_free(struct vtl_config *c);
void config_store(const struct vtl_config *c, struct objstore_config *out); /* for objstore_open; borrows c's strings */
/* The same of the second place for escrows; is there one? */
void config_escrow(const struct vtl_config *c, struct objstore_config *out);
bool config_has_escrow(const struct vtl_config *c);
/* Is what is written to this cartridge to be stored without what others hold already? */
bool config_dedups(const struct vtl_config *c, const char *barcode);
/* Of such a one: is what is not PBS's to be cut into chunks by its content? */
bool config_cuts(const struct vtl_config *c, const char *barcode);
/* How much the cartridges whose barcodes match may take in the store. */
struct config_quota {
    char pattern[64];
    uint64_t bytes; /* at least CONFIG_MIN_QUOTA */
};
#define CONFIG_MAX_QUOTAS 17
#define CONFIG_MIN_QUOTA (16u << 20)
/* What [quota] library and pools say, that of the library first: how many are put to out; -1 if pools says nothing that can
 * be. */
int config_quotas(uint64_t library, const char *pools, struct config_quota out[CONFIG_MAX_QUOTAS]);

/* Cartridges whose barcodes match are locked so long after each write. */
struct config_retention {
    char pattern[64];
    bool compliance; /* else governance */
    uint64_t seconds;
};
#define CONFIG_MAX_RETENTION 16
/* What [retention] tapes says: how many are put to out; -1 if it says nothing that can be. */
int config_retention(const char *tapes, struct config_retention out[CONFIG_MAX_RETENTION]);

/* So many cartridges of these names are to be kept that hold nothing yet. */
struct config_blanks {
    struct name_range names;
    unsigned keep; /* 1..the names' count */
};
#define CONFIG_MAX_BLANKS 16
/* What [library] blanks = text says: how many are put to out; -1 with *err if it says nothing that can be. */
int config_blanks(const char *text, struct config_blanks out[CONFIG_MAX_BLANKS], struct errtext *err);
bool config_blanks_same(const struct config_blanks *a, const struct config_blanks *b);
/* "local", "remote", "offsite": as the file spells it. */
const char *config_durability_name(enum durability d);
/* How many small requests at a time a command makes that has thousands of them. */
unsigned config_requests(const struct vtl_config *c);
/* The setting in force for one key, as the file would spell it. */
struct config_shown {
    const char *section, *name;
    bool given; /* the file sets it; otherwise this is the default */
    char value[4200];
};
/* The i-th key, in the order in which the documentation lists them; false: there are no more. */
bool config_show(const struct vtl_config *c, size_t i, struct config_shown *out);
/* Has the i-th key the same value in both, all of it? */
bool config_same(const struct vtl_config *a, const struct vtl_config *b, size_t i);
/* How many of the first characters of a key's value may be told, in the log and in answers: of a webhook no more than its
 * host, of what may be a password nothing. */
size_t config_tellable(const char *section, const char *name, const char *value);
/* Of "https://host:1/secret" the length of "https://host:1". */
size_t config_url_host(const char *url);
/* What the documentation says of one key. */
struct config_described {
    const char *section, *name;
    const char *preset;    /* the default, as a file would say it; NULL or "": none */
    const char *otherwise; /* what holds then, in words; NULL: preset says it */
    const char *meaning;   /* words of the file are between backquotes */
};
bool config_describe(size_t i, struct config_described *out);
/* "40M", "12TiB", "2 TB", "512" to bytes: K M G T P and KiB ... are powers of 1024, KB MB GB TB PB of 1000, and there may be
 * blanks before the unit. False if s is no size. */
bool config_parse_size(const char *s, uint64_t *bytes);
/* "5s", "500ms", "2m", "1h", "7d" to milliseconds; false if s is no time. */
bool config_parse_time(const char *s, uint64_t *ms);
/* "0", "0.5", "0.125", "1": 0 to 1 with three decimals at most; false if s is none. And back, as short as can be. */
bool config_parse_fraction(const char *s, unsigned *thousandths);
void config_show_fraction(unsigned thousandths, char *buf, size_t room);
/* Is that address:port on this host's loopback? A name is on none: who knows what it resolves to. */
bool config_on_loopback(const char *value);
/* Is this value of a key that names a file with secrets "systemd:NAME", a credential that systemd gives a service? */
bool config_is_systemd(const char *value);

#endif
