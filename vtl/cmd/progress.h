/* SPDX-License-Identifier: GPL-2.0-or-later */
/* progress.h: how far a long command is, on standard error: a bar on a terminal, else a line every few seconds. */
#ifndef S3VTL_CMD_PROGRESS_H
#define S3VTL_CMD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* What is done of what there is to do. */
struct progress_state {
    uint64_t pieces, of_pieces; /* cartridges; of_pieces 0: they are not counted */
    uint64_t bytes, of_bytes;   /* of_bytes 0: bytes are not counted */
    bool more;                  /* there is more to do than is known so far */
};

/* How fast it goes, by what was done in the last half a minute. Plain figures: any clock, one thread at a time. */
enum { PACE_SAMPLES = 32 };
struct pace {
    struct pace_sample {
        uint64_t ms, done;
    } samples[PACE_SAMPLES]; /* a ring: the last ones, a second apart at least */
    unsigned n;              /* taken so far */
    uint64_t done, moved_ms; /* the last news, and when that was */
    uint64_t longest_ms;     /* between two news */
};
void pace_note(struct pace *p, uint64_t done, uint64_t now_ms);
/* A second; 0: unknown, as nothing moved yet, or nothing did for longer than it ever took. */
double pace_get(const struct pace *p, uint64_t now_ms);

/* "3 of 16 cartridges, 45.2 MB of 114.5 MB, 12.5 MB/s, 6 s left"; rate 0: "time left unknown". Returns buf. */
#define PROGRESS_ROOM 200
const char *progress_text(const struct progress_state *s, double rate, char buf[PROGRESS_ROOM]);

/*
 * Begins to show, on a thread of its own, so that it goes on while a call waits for the store. name is borrowed. poll
 * (may be NULL) is called on that thread every two seconds and fills in what is wrong with the store, or "": told once
 * for each text. NULL without memory, which all the others take for nothing to show.
 */
struct progress;
#define PROGRESS_TROUBLE 700
struct progress *progress_start(const char *name, bool quiet, void (*poll)(void *arg, char text[PROGRESS_TROUBLE]),
                                void *arg);
/* Any thread. */
void progress_set(struct progress *p, const struct progress_state *s);
/* Segments of one cartridge, shown behind the rest until they are done. Any thread. */
void progress_part(struct progress *p, const char *barcode, uint64_t done, uint64_t total);
/* The store is in trouble ("": it is not): told, and the time left is unknown meanwhile. Any thread. */
void progress_trouble(struct progress *p, const char *text);
/* Around output of the caller's: the bar is out of its way. */
void progress_pause(struct progress *p);
void progress_resume(struct progress *p);
/* Shows how far it came, if anything was shown before, and frees it. */
void progress_end(struct progress *p);

#endif
