/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rig.h: a library on a real S3 server behind proxy.py, for the tests of a store that fails. The store is told by its
 * environment: S3_BUCKET, S3_CREDENTIALS. Whatever must work and does not ends the process, with a line. */
#ifndef S3VTL_FAULTS_RIG_H
#define S3VTL_FAULTS_RIG_H

#include "vtl/library/library.h"

#define SLOT ELEMENT_FIRST_STORAGE
#define DRIVE ELEMENT_FIRST_DRIVE

struct rig {
    const char *proxy; /* the directory of the proxy: port, rule, hits */
    const char *work;  /* a directory for states and configurations */
};

extern const atomic_bool never;

void must(int rc, const char *what, const struct errtext *err);
/* The fault in force from now on, in proxy.py's words. "-": none. */
void rig_rule(const struct rig *r, const char *text);
/* Grows with each request that a rule hit. */
long rig_hits(const struct rig *r);
/* State and configuration are called name; prefix is where in the bucket; more: lines of the configuration. The
 * caller's. */
struct vtl_config *rig_config(const struct rig *r, const char *name, const char *prefix, const char *more);
/* A new library with cartridges FLT001L8 and so on in its first slots; it serves. */
struct library *rig_make(const struct vtl_config *c, unsigned tapes);
struct library *rig_open(const struct vtl_config *c);
/* From the bucket alone, opened. */
struct library *rig_rebuild(const struct vtl_config *c);
void rig_close(struct library *lib);
/* The cartridge of slot i into drive i. */
void rig_load(struct library *lib, unsigned i);
/* Takes the work directory away with all that is in it, and makes it anew. */
void rig_clean(const struct rig *r);

#endif
