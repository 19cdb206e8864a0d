/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quota.h: how much the store may hold, for all cartridges or those of a pattern: it ends tapes before the store says no. */
#ifndef S3VTL_QUOTA_H
#define S3VTL_QUOTA_H

#include <stdatomic.h>

#include "base/lock.h"
#include "vtl/config/config.h"

/*
 * used is counted from the cartridges now and then, by whoever calls quota_count. What hosts write in between is added as
 * they wrote it, before compression, so that a quota is met early rather than late.
 */
struct quota {
    atomic_uint n;     /* rules; 0: nobody is limited */
    atomic_uint taken; /* goes up with each configuration */
    struct lock lock;  /* a leaf; guards the rest */
    unsigned cutting;  /* cuts under way */
    unsigned cuts;     /* goes up with each */
    struct quota_rule {
        struct config_quota what;
        uint64_t used; /* as counted last */
        int64_t fresh; /* written since then, less what was cut */
        bool counted;
    } rules[CONFIG_MAX_QUOTAS];
};

void quota_init(struct quota *q, const struct vtl_config *c);
void quota_fini(struct quota *q);
/* From now on these limits hold. What was counted for a pattern that stays is kept. */
void quota_take(struct quota *q, const struct vtl_config *c);

/* Which rules hold for a barcode, as bits. remembered: the caller's, of this barcode, 0 at first. Any thread, at once. */
uint32_t quota_rules(struct quota *q, const char *barcode, _Atomic uint64_t *remembered);
/* What the tightest of these rules leaves, and how much of that is kept back for a job to end in, as a tape has room behind
 * early warning. UINT64_MAX and 0: no limit. At once; T. */
struct quota_room {
    uint64_t left, margin;
};
struct quota_room quota_left(struct quota *q, uint32_t rules);
/* A host wrote so many bytes. At once; T. */
void quota_written(struct quota *q, uint32_t rules, uint64_t bytes);
/* A host cuts so many bytes off. They are free from the begin on, as what takes their place is judged before they are cut;
 * end: they are, or that failed. At once; T. */
void quota_cut_begin(struct quota *q, uint32_t rules, uint64_t bytes);
void quota_cut_end(struct quota *q);

/* By who counts: begin notes what was written up to now, which the count is to hold; end takes used[i] of each rule. False:
 * it is of no use, since nobody knows if it has what was cut meanwhile; or, if exact is asked for, since more than a small
 * part of what is kept back was written meanwhile, and would count twice until the next count. */
struct quota_count {
    unsigned n, taken, cuts;
    bool cutting;
    int64_t fresh[CONFIG_MAX_QUOTAS];
    uint64_t used[CONFIG_MAX_QUOTAS];
};
void quota_count_begin(struct quota *q, struct quota_count *c);
bool quota_count_end(struct quota *q, const struct quota_count *c, bool exact);
/* Rule i as it is now; false: there are not so many. */
bool quota_get(struct quota *q, unsigned i, struct quota_rule *out);
/* What is kept back of a quota. */
uint64_t quota_margin(uint64_t bytes);

#endif
