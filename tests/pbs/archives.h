/* SPDX-License-Identifier: GPL-2.0-or-later */
/* archives.h: what Proxmox Backup Server writes in tape files: labels, chunk archives, snapshots, catalogs; with
 * content that can be told from any other by its number. */
#ifndef S3VTL_PBS_ARCHIVES_H
#define S3VTL_PBS_ARCHIVES_H

#include "tests/pbs/inventory.h"
#include "tests/pbs/stream.h"

/* ---- labels: files 0 and 1 (labels.c) ---- */
bool label_write(struct drive *d, const struct medium *m);
bool set_label_write(struct drive *d, const struct medium *m);

struct labels {
    bool encrypted;        /* the set has a key, and the drive now too */
    bool labelled, in_set; /* blank without the first */
    char label[33], pool[17];
    uint8_t uuid[16], set[16];
    unsigned sequence;
};
/* READ-LABEL: REWIND, both labels, then the key of the set, or none. Ends at file 2, or at the end of data behind file
 * 0. */
bool labels_read(struct drive *d, struct labels *l);

/* ---- archives: files from 2 (archives.c) ---- */
/* The 48 bytes each file begins with, and its JSON. */
struct content {
    uint8_t magic[8];
    uint8_t uuid[16];
    char json[1024];
};
bool content_put(struct writer *w, const uint8_t magic[8], const char *json);
bool content_get(struct reader *r, struct content *c);
bool content_is(const struct content *c, const uint8_t magic[8]);
bool json_text(const char *json, const char *key, char *to, size_t size);
bool json_number(const char *json, const char *key, unsigned *to);
bool json_uuid(const char *json, const char *key, uint8_t uuid[16]);
void uuid_text(const uint8_t uuid[16], char text[37]);
extern const uint8_t magic_label[8], magic_set_label[8], magic_chunks[8], magic_snapshot[8], magic_catalog[8];

/* Chunks *next .. end - 1, as many as fit: *next is the first that is not whole on the tape. */
bool chunks_write(struct drive *d, uint64_t *next, uint64_t end, bool *leom);
/* Early warning on the way stops it: the file is marked as incomplete. */
bool snapshot_write(struct drive *d, const struct entry *e, bool *incomplete, bool *leom);
/* The catalog of a tape as of now. padding: bytes more, as from many chunks. LEOM stops nothing. */
bool catalog_write(struct drive *d, const struct medium *of, uint64_t padding, bool *leom);

/* What a file holds, all of it checked. Chunks: cut: the last chunk is not whole (LEOM). Catalog: entries are put into
 * m if it is not NULL. incomplete: a snapshot that goes on another tape from its beginning. */
struct found {
    enum kind kind;
    uint64_t first, count, id;
    bool cut, incomplete;
    uint8_t catalog_of[16];
    uint64_t blocks;
};
/* SG_GOOD, SG_EOD, or SG_ERROR with problem_text(). */
int archive_read(struct drive *d, struct found *f, struct medium *m);
/* The same of a catalog; of anything else just the first block is read, and f->kind is NOTHING. */
int catalog_read(struct drive *d, struct found *f, struct medium *m);
/* From the file at hand, until chunk `want` has been seen; leaves in the middle of the file. */
bool chunks_read_until(struct drive *d, uint64_t want);

#endif
