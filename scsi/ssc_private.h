/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_private.h: what the files of the tape drive share. */
#ifndef S3VTL_SSC_PRIVATE_H
#define S3VTL_SSC_PRIVATE_H

#include "base/lto.h"
#include "scsi/spc.h"
#include "scsi/tape_ops.h"

struct ssc_lun;
struct ssc_keys;

/* The work that an IMMED command does after its answer. */
struct ssc_work {
    atomic_int asc;    /* of the NOT READY that commands meet meanwhile (enum scsi_asc); 0: there is no work */
    atomic_int failed; /* enum tape_result of work that failed, until a command reported it */
    enum tape_result (*run)(struct ssc_lun *ssc, const atomic_bool *cancel);
    enum tape_activity activity; /* set before asc, read after it */
    bool long_erase;             /* for ERASE */
    uint16_t proportion;         /* for SET CAPACITY */
};

/* Only the executor reads and writes the options (also for MODE SENSE, so that it comes after an earlier MODE SELECT),
 * and the transport's thread while the executor is idle. */
struct ssc_lun {
    struct scsi_lun lun; /* first */
    const struct tape_ops *ops;
    void *self;
    const struct lto_generation *drive;
    uint32_t block_length; /* of the mode block descriptor; 0: variable */
    uint8_t buffered_mode; /* 0 or 1 */
    bool compress;         /* DCE */
    bool algorithm_given;  /* during a MODE SELECT: its page 10h changes compress */
    bool append_only;      /* WRITE MODE */
    atomic_ushort pews; /* programmable early warning size, megabytes; 0: none. READ POSITION reads it on any thread */
    bool in_pews;       /* the last write ended in the zone, so the warning was given */
    uint64_t pews_medium; /* medium_changes then */
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

/* Makes a result's sense; OK has none. residual: INFORMATION, for results that have it. */
void ssc_end(struct scsi_request *rq, enum tape_result r, int64_t residual);
/* If no medium is loaded, makes the sense: 2/3A/00, 2/04/01 or 2/30/03. */
bool ssc_medium_ready(struct scsi_lun *lun, struct scsi_request *rq);

/* ssc_work.c */
/* Calls run, after the answer if immed allows it; then asc is what other commands meet until it ends. */
void ssc_work_do(struct ssc_lun *ssc, struct scsi_request *rq, bool immed, enum scsi_asc asc,
                 enum tape_activity activity, enum tape_result (*run)(struct ssc_lun *ssc, const atomic_bool *cancel));
/* Is such work going on? Makes NOT READY with progress if so. Any thread. */
bool ssc_work_goes_on(struct scsi_lun *lun, struct scsi_request *rq);
/* What the drive does, such work included. Any thread. */
enum tape_activity ssc_activity(struct ssc_lun *ssc, const struct tape_status *st);
/* Did such work fail? Makes the deferred error if so, once. */
bool ssc_work_failed(struct ssc_lun *ssc, struct scsi_request *rq);

/* ssc_append.c */
/* Is nothing but filemarks, which may go, between the position and end of data? See mode page 1Dh. */
bool ssc_at_end(const struct tape_status *st);
/* A command moves the tape: what held for one position is over. */
void ssc_moved(struct ssc_lun *ssc);
/* Does append-only mode let a command write at the position, or (format) a format begin? If not, makes the sense, with
 * residual as INFORMATION. */
bool ssc_may_overwrite(struct ssc_lun *ssc, struct scsi_request *rq, bool format, int64_t residual);
/* Is the position in the programmable early warning zone? */
bool ssc_in_pews(const struct ssc_lun *ssc, const struct tape_status *st);
/* After a write: makes the warning's sense if it entered the zone, unless there is sense already. */
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
/* The cartridge's id, which no other has. */
void ssc_medium_serial(const struct tape_statistics *s, char hex[33]);
void ssc_read_attribute(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_write_attribute(struct scsi_lun *lun, struct scsi_request *rq);
/* ssc_mode.c, ssc_log.c */
void ssc_mode_sense(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_mode_select(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_log_sense(struct scsi_lun *lun, struct scsi_request *rq);
void ssc_log_select(struct scsi_lun *lun, struct scsi_request *rq);
/* ssc_log_volume.c: pages for the table in ssc_log.c */
size_t ssc_log_device(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf);      /* 14h */
size_t ssc_log_volume(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf);      /* 17h */
size_t ssc_log_usage(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf);       /* 30h */
size_t ssc_log_capacity(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf);    /* 31h */
size_t ssc_log_compression(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf); /* 1Bh, 32h */

#endif
