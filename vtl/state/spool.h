/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spool.h: the segment files on the local disk: spool of what is not stored yet, cache of what is. */
#ifndef S3VTL_SPOOL_H
#define S3VTL_SPOOL_H

#include "vtl/format/segment.h"

/*
 * A file <dir>/<barcode>/<name> is byte for byte the object of that name. Files whose object is stored are cache: the
 * least recently used ones go when the cache is larger than its limit; who has one open goes on reading it. As long as no
 * head names its object, a file goes last: another gateway that takes the cartridge over deletes what no head names. Files
 * whose object is not stored are never removed but by spool_remove, which nobody calls for what a store names. Any thread; calls touch the disk, so not on the
 * transport's thread.
 */
struct spool;

/* Scans dir (made if missing): each file found counts as the only copy until spool_stored or spool_mark_stored says
 * otherwise; unfinished downloads are deleted. What is not the spool's is left alone, and logged; what is and cannot be
 * read is an error, whose text names it. */
int spool_open(const char *dir, uint64_t cache_size, struct spool **out, struct errtext *err);
/* The limit from now on; what is over it goes. */
void spool_set_cache_size(struct spool *s, uint64_t cache_size);
void spool_close(struct spool *s);

/* A new empty file for writing and reading, its directory entry safe. Returns the fd or a negative errno. */
int spool_create(struct spool *s, const char *barcode, const struct seg_id *id);
/* Opens for reading; -ENOENT: not here. Counts as a use. */
int spool_read(struct spool *s, const char *barcode, const struct seg_id *id);
bool spool_has(struct spool *s, const char *barcode, const struct seg_id *id);
/* Opens an existing file for writing too (recovery). */
int spool_reopen(struct spool *s, const char *barcode, const struct seg_id *id);
/* The files for which fn returns true become cache: all segments of the cartridge are stored, and the rows can know this
 * one. fn runs with the spool's lock held, so it may only look at memory. */
void spool_mark_stored(struct spool *s, bool (*fn)(void *arg, const char *barcode, const struct seg_id *id), void *arg);
/* The files of a cartridge that count as the only copy, but for which fn returns false: no row names them any more, as a
 * crash or the disk prevented that they went when their rows did. Removed. One of a number from next on the rows do not
 * know yet: it stays, and is logged, if there can be a record in it. fn runs with the spool's lock held. */
void spool_drop_strays(struct spool *s, const char *barcode, uint64_t next,
                       bool (*fn)(void *arg, const struct seg_id *id), void *arg);
/* A file that is no good stays beside the others as <name>.bad, out of the way. 0, also if it is not there, or a negative
 * errno: then it may be where it was. */
int spool_set_aside(struct spool *s, const char *barcode, const struct seg_id *id);
/* The same file is <name>.bad, too, from now on, so that spool_set_aside may follow once the rows changed, and nothing is
 * lost between. 0, also if it is not there or the file system has no such names, or a negative errno. */
typedef int spool_name_fn(struct spool *s, const char *barcode, const struct seg_id *id);
spool_name_fn spool_name_bad;
/* No more. Always 0. */
spool_name_fn spool_unname_bad;
/* A copy of the file stays beside it as <name>.bad. 0 or a negative errno. */
int spool_keep_copy(struct spool *s, const char *barcode, const struct seg_id *id);
/* Its object is stored: the file, if it is here, is cache of size bytes from now on. */
void spool_stored(struct spool *s, const char *barcode, const struct seg_id *id, uint64_t size);
/* The same, but no head names it yet. From now on most bytes of such files may be here beyond the limit. */
void spool_stored_unnamed(struct spool *s, const char *barcode, const struct seg_id *id, uint64_t size, uint64_t most);
/* A head names all of these that a cartridge has, or nobody ever will, but for those of which but returns true. It runs
 * with the spool's lock held. */
void spool_named(struct spool *s, const char *barcode, bool (*but)(void *arg, const struct seg_id *id), void *arg);
/* What cannot be removed is logged; the next start tries again. */
void spool_remove(struct spool *s, const char *barcode, const struct seg_id *id);
/* The same if it is cache; whatever else has that name stays. For who knows of it what a record in the store says. */
void spool_drop_cached(struct spool *s, const char *barcode, const struct seg_id *id);
/* Removes every file of a cartridge. */
void spool_remove_all(struct spool *s, const char *barcode);

/* A download in the making: an fd to fill; then done (it becomes cache) or thrown away. -EEXIST: it is thrown away, as the
 * only copy of something has that name. */
int spool_download(struct spool *s, const char *barcode, const struct seg_id *id);
int spool_download_end(struct spool *s, const char *barcode, const struct seg_id *id, uint64_t size, bool good);

/* Removes cache until at least bytes are freed or there is no more; returns the bytes freed (a full disk). unnamed: at last
 * also what no head names yet. */
uint64_t spool_shrink(struct spool *s, uint64_t bytes, bool unnamed);
uint64_t spool_cache_bytes(struct spool *s);

#endif
