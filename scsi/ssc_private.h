/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_private.h: what the files of the tape drive share. */
#ifndef S3VTL_SSC_PRIVATE_H
#define S3VTL_SSC_PRIVATE_H

#include "base/lto.h"
#include "scsi/spc.h"
#include "scsi/tape_ops.h"

struct ssc_lun;
struct ssc_keys;

/* What an IMMED command left to be done behind its answer. */
struct ssc_work {
    atomic_int asc;    /* of the NOT READY that commands meet meanwhile (enum scsi_asc); 0: nothing goes on */
    atomic_int failed; /* enum tape_result of what failed so, until it is told */
    enum tape_result (*run)(struct ssc_lun *ssc, const atomic_bool *cancel);
    enum tape_activity activity; /* meanwhile; set before asc, read after it */
    bool long_erase;             /* for ERASE */
    uint16_t proportion;         /* for SET CAPACITY */
};

/* options are read and written by the executor only (MODE SENSE runs there too, so that it follows a MODE SELECT before
 * it), and by the transport's thread while that has nothing to do. */
struct ssc_lun {
    struct scsi_lun lun; /* first */
    const struct tape_ops *ops;
    void *self;
    const struct lto_generation *drive;
    uint32_t block_length; /* of the mode block descriptor; 0: variable */
    uint8_t buffered_mode; /* 0 or 1 */
    bool compress;         /* DCE */
    bool algorithm_given;  /* while a MODE SELECT is checked and applied: page 10h asks for another compress */
    bool append_only;      /* WRITE MODE */
    atomic_ushort pews;    /* programmable early warning size, megabytes; 0: none. READ POSITION looks at it at once */
    bool in_pews;          /* the last write ended in the zone, and its warning was given */
    uint64_t pews_medium;  /* medium_changes then */
    struct ssc_overwrite {
        enum { OVERWRITE_NONE = 0, OVERWRITE_HERE = 1, OVERWRITE_FORMAT = 2 } allowed; /* by ALLOW OVERWRITE */
        uint64_t object, medium;
    } overwrite;
    struct ssc_work work;
    struct ssc_keys *keys;
    struct tape_usage log_base; /* the drive's counters when LOG SELECT set them to 0; the transport's thread only */
};

static inline struct ssc_lun *ssc_of(struct scsi_lun *lun)
{
    return (struct ssc_lun *)lun;
}

static inline void ssc_status(struct ssc_lun *ssc, struct tape_status *st)
{
    ssc->ops->status(ssc->self, st);
}

/* Bytes that the cartridge still takes. */
static inline uint64_t ssc_left(const struct tape_status *st)
{
    return st->capacity > st->used ? st->capacity - st->used : 0;
}

static inline void ssc_statistics(struct ssc_lun *ssc, struct tape_statistics *s)
{
    ssc->ops->statistics(ssc->self, s);
}

/* The sense of a result, in one place. OK makes none. residual goes to INFORMATION where the result has one. */
void ssc_end(struct scsi_request *rq, enum tape_result r, int64_t residual);
/* 2/3A/00, 2/04/01, 2/04/02 or 2/30/03 for a medium that is not loaded; false then. */
bool ssc_medium_ready(struct scsi_lun *lun, struct scsi_request *rq);

/* ssc_work.c */
/* Does run now, or behind the answer when immed allows it: then asc is what others are told until it ended. */
void ssc_work_do(struct ssc_lun *ssc, struct scsi_request *rq, bool immed, enum scsi_asc asc,
                 enum tape_activity activity, enum tape_result (*run)(struct ssc_lun *ssc, const atomic_bool *cancel));
/* Makes NOT READY with progress and returns true while something goes on. Any thread. */
bool ssc_work_goes_on(struct scsi_lun *lun, struct scsi_request *rq);
/* What the drive does: from the answer of an IMMED command on, that. Any thread. */
enum tape_activity ssc_activity(struct ssc_lun *ssc, const struct tape_status *st);
/* Tells, once, that it failed: a deferred error; true then. */
bool ssc_work_failed(struct ssc_lun *ssc, struct scsi_request *rq);

/* ssc_append.c */
/* End of data, but for filemarks, which may go: see mode page 1Dh. */
bool ssc_at_end(const struct tape_status *st);
/* A command of the host moved the tape, or is about to: what holds for one position only is over. */
void ssc_moved(struct ssc_lun *ssc);
/* May a command write at the position, in append-only mode? Makes the sense, with residual as INFORMATION, false.
 * format: FORMAT MEDIUM. */
bool ssc_may_overwrite(struct ssc_lun *ssc, struct scsi_request *rq, bool format, int64_t residual);
/* Is the position in the programmable early warning zone? */
bool ssc_in_pews(const struct ssc_lun *ssc, const struct tape_status *st);
/* After a write or filemarks that succeeded: makes the warning's sense when this one entered the zone, unless early
 * warning is told already. */
void ssc_note_pews(struct ssc_lun *ssc, struct scsi_request *rq);
void ssc_allow_overwrite(struct scsi_lun *lun, struct scsi_request *rq);

/* ssc_rw.c */
void ssc_read(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_write(struct scsi_lun *lun, struct scsi_request *rq);
bool ssc_write_at_once(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_verify(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_write_filemarks(struct scsi_lun *lun, struct scsi_request *rq);
/* ssc_position.c */
void ssc_rewind(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_space(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_locate(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_read_position(struct scsi_lun *lun, struct scsi_request *rq);
/* ssc_medium.c */
void ssc_test_unit_ready(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_load_unload(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_prevent_allow(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_erase(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_set_capacity(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_format_medium(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_read_block_limits(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_report_density_support(struct scsi_lun *lun, struct scsi_request *rq);
/* ssc_security.c */
void ssc_security_in(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_security_out(struct scsi_lun *lun, struct scsi_request *rq);
/* ssc_mam.c */
void ssc_read_attribute(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_write_attribute(struct scsi_lun *lun, struct scsi_request *rq);
/* ssc_mode.c, ssc_log.c */
void ssc_mode_sense(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_mode_select(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_log_sense(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_log_select(struct scsi_lun *lun, struct scsi_request *rq);
/* ssc_log_volume.c: pages of the medium, for the table in ssc_log.c */
size_t ssc_log_device(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf);      /* 14h */
size_t ssc_log_volume(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf);      /* 17h */
size_t ssc_log_usage(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf);       /* 30h */
size_t ssc_log_capacity(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf);    /* 31h */
size_t ssc_log_compression(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf); /* 1Bh, 32h */

#endif
