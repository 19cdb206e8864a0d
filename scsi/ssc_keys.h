/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_keys.h: the data encryption parameters of a drive, by I_T nexus (SSC-5 4.2.21), in memory that is never swapped
 * or dumped (I9). */
#ifndef S3VTL_SSC_KEYS_H
#define S3VTL_SSC_KEYS_H

#include "scsi/tape_facts.h"

/* SSC-5 table 196 */
enum key_scope { SCOPE_PUBLIC = 0, SCOPE_LOCAL = 1, SCOPE_ALL_I_T_NEXUS = 2 };
/* Tables 198 and 199; what is not here is refused. */
enum { ENCRYPTION_DISABLE = 0, ENCRYPTION_ENCRYPT = 2 };
enum { DECRYPTION_DISABLE = 0, DECRYPTION_RAW = 1, DECRYPTION_DECRYPT = 2, DECRYPTION_MIXED = 3 };

/* Data encryption parameters but for the key, which is nowhere outside of locked memory. */
struct ssc_params {
    uint8_t encryption, decryption; /* modes */
    bool has_key;
    bool clear_on_demount; /* CKOD */
    uint64_t medium;       /* medium_changes when they were set */
    uint32_t counter;      /* key instance counter */
    uint8_t kad_len;
    uint8_t kad[TAPE_KAD_MAX];
};

struct ssc_keys;

/* NULL: there is no such memory. */
struct ssc_keys *ssc_keys_new(void);
void ssc_keys_free(struct ssc_keys *k); /* wipes everything */

/* Any of these on any thread; none blocks. */

/* Gives a nexus the parameters p (with SCOPE_PUBLIC: none of its own), with has_key the TAPE_KEY_SIZE bytes at key, and
 * the drive's next key instance counter. lock: from now on the nexus works with just these. *changed: the parameters of
 * other nexuses are different now. False: there are too many nexuses. */
bool ssc_keys_set(struct ssc_keys *k, uint64_t nexus, enum key_scope scope, bool lock, const struct ssc_params *p,
                  const uint8_t *key, bool *changed);
/* The parameters in force for a nexus; medium: medium_changes now. *scope: the nexus's. *of: the scope with which they
 * were set; PUBLIC: nobody set any. */
void ssc_keys_get(struct ssc_keys *k, uint64_t nexus, uint64_t medium, struct ssc_params *out, enum key_scope *scope,
                  enum key_scope *of);
/* The same for a READ or WRITE; the key is in locked memory, until ssc_keys_done, whatever becomes of the parameters
 * meanwhile. By one thread at a time. False: the nexus is locked to other parameters. */
bool ssc_keys_use(struct ssc_keys *k, uint64_t nexus, uint64_t medium, struct tape_crypt *out);
/* The command is over: wipes the key that it used. */
void ssc_keys_done(struct ssc_keys *k);
void ssc_keys_nexus_gone(struct ssc_keys *k, uint64_t nexus);
void ssc_keys_reset(struct ssc_keys *k);

#endif
