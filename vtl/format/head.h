/* SPDX-License-Identifier: GPL-2.0-or-later */
/* head.h: encodes and decodes the head (a cartridge's commit point), maps, and the envelope of all JSON objects in the
 * bucket. FORMAT.md documents the bytes. */
#ifndef S3VTL_HEAD_H
#define S3VTL_HEAD_H

#include <jansson.h>

#include "vtl/format/tapeindex.h"

/* A map object that a head names: segments [first_seg, first_seg + n_segs) of the cartridge in order. */
struct map_ref {
    struct seg_id id; /* number: a separate counter for each cartridge */
    uint64_t n_segs;
    uint64_t first_object; /* of its first segment */
    uint64_t size;         /* bytes of the map object */
    uint32_t crc;          /* its own, the last four bytes; 0: not known */
};

/* Until when nothing that is on the tape may be written over or removed. */
enum retention_mode {
    RETENTION_NONE,
    RETENTION_GOVERNANCE, /* who says so by name may shorten it or take it off */
    RETENTION_COMPLIANCE, /* nobody may */
};
struct retention {
    enum retention_mode mode;
    uint64_t until; /* seconds since 1970; 0 only without a mode */
};
bool retention_holds(const struct retention *r, uint64_t now);
/* A head that has not got it yet, or was put back from elsewhere, ends no compliance of ours: r is then what ours is. */
void retention_keep_compliance(const struct retention *ours, struct retention *r);
/* "governance", "compliance", or "" for none; the other way false: neither of the two. */
const char *retention_name(enum retention_mode mode);
bool retention_parse(const char *name, enum retention_mode *mode);

struct head {
    struct seg_id id; /* epoch, writer, n; also in the key, and checked against it */
    bool claim;       /* only announces a new writer (ARCHITECTURE.md, "Fencing"); without tape state */
    char host[65];    /* who wrote it: printable ASCII; "": not said */
    uint32_t gateway; /* id of the gateway, the same in each of its runs; 0: not said */
    bool released;    /* given up by its writer, who put all it had: whoever wants it may claim it */
    uint64_t claimed; /* seconds since 1970: when its writer claimed the cartridge; 0: not said */
    uint8_t cartridge[16];
    char barcode[33];
    int generation;         /* LTO 5..9 */
    uint64_t capacity;      /* usable bytes */
    uint64_t full_capacity; /* capacity at creation, if SET CAPACITY changed it; else 0 */
    bool worm;
    bool no_dedup; /* all of it is its own, and nobody copies from it */
    bool write_protected;
    struct retention retention; /* with a mode it makes it a head of version 4 */
    struct retention
        object_lock; /* how the store itself locks all that this names (S3 Object Lock); only with retention */
    uint64_t created, modified; /* seconds since 1970 */
    uint64_t next_segment;      /* sequence number that no segment of this cartridge has had yet */
    uint64_t next_map;
    json_t *mam;      /* object or NULL: attribute id -> value */
    json_t *counters; /* object or NULL: mounts, bytes written ... */
    /* partition 0: first the segments of the maps, then the newest ones inline. If the last map's last segment was cut,
     * the first_object of the first inline segment tells where; a map is never used beyond it. */
    struct map_ref *maps;
    size_t n_maps;
    struct tape_index inl; /* the newest segments and their filemarks; unlike a full index, may begin at any object */
    uint64_t end_object, end_file; /* end of data */
    /* All that follows makes it a head of version 3 at least, and so does inl.leans. */
    struct head_leaner *leaners; /* who may lean on this cartridge */
    size_t n_leaners;
    bool at_rest;         /* nothing was open or waited to be stored: it leans on nothing but what this head names */
    struct leans pending; /* what it leans on in segments that the head does not name yet; segment is 0 */
    bool removed;         /* a place only, without a tape: of segments that leaners need */
    struct seg_id *kept;  /* then: these */
    size_t n_kept;
};

void head_init(struct head *h);
void head_free(struct head *h);

/* As version 4 if it is locked, 3 if there is anything that only that has, else as version 2. *buf is malloc'd; the caller
 * frees it. 0, -ENOMEM, -EINVAL. */
int head_encode(const struct head *h, char **buf, size_t *len);
/* Checks the CRC line, the types, every count and range. Initialises out, which is empty on failure, with *err:
 * -EBADMSG; or -EPROTONOSUPPORT when it is whole, and of a later version: no damage, but nothing that this program
 * could read. */
int head_decode(const void *buf, size_t len, struct head *out, struct errtext *err);

/* Encodes segments x->segs[first .. first + n), their filemarks and leans as a map: of version 3 if there are leans, else 2. */
int map_encode(const uint8_t cartridge[16], const struct seg_id *id, const struct tape_index *x, size_t first, size_t n,
               void **buf, size_t *len);
/* Appends the map's segments to x, whose end must be the map's first object (else -EBADMSG). x is unchanged on failure.
 * -EPROTONOSUPPORT: as head_decode. */
int map_decode(const void *buf, size_t len, const uint8_t cartridge[16], struct tape_index *x, struct errtext *err);

/* The map's own CRC, for what names it. */
uint32_t map_crc(const void *buf, size_t len);
/* Is this the map that m names? 0, or with *err -EBADMSG or, as head_decode, -EPROTONOSUPPORT. */
int map_check(const void *buf, size_t len, const struct map_ref *m, struct errtext *err);

/* The two-line envelope of every JSON object in the bucket: the JSON on one line, then {"crc32c":"xxxxxxxx"} over the
 * first line including its newline. */
int json_seal(const json_t *j, char **buf, size_t *len);
json_t *json_open(const void *buf, size_t len, struct errtext *err); /* NULL and *err if damaged; the caller decrefs */

#endif
