/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_log_volume.c: the log pages about the life of a drive and its cartridge. MB are 10^6 bytes. */
#include "base/be.h"
#include "scsi/ssc_private.h"

#define MB 1000000u

/* Hundredths: 100 when nothing was compressed, 0 when nothing was there. */
static uint64_t ratio(uint64_t plain, uint64_t stored)
{
    double r = stored ? (double)plain / (double)stored * 100 + 0.5 : 0;
    return r < UINT16_MAX ? (uint64_t)r : UINT16_MAX;
}

/* How much of the capacity is used. A tape goes on behind early warning, where the capacity ends: what is written there
 * is part of neither. */
static uint64_t used(const struct tape_status *st)
{
    uint64_t n = st->used / MB + (st->used % MB != 0); /* with what is only buffered so far */
    return n < st->capacity / MB ? n : st->capacity / MB;
}

/* 14h Device Statistics, SSC-5 8.2.5: the drive's life */
size_t ssc_log_device(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf)
{
    (void)nexus;
    struct tape_statistics s;
    ssc_statistics(ssc_of(lun), &s);
    uint8_t *p = buf;
    p = log_number(p, 0x0000, LOG_BINARY, 4, s.drive_loads);          /* lifetime media loads */
    p = log_number(p, 0x0001, LOG_BINARY, 4, s.drive_cleanings);      /* lifetime cleaning operations */
    p = log_number(p, 0x0002, LOG_BINARY, 4, s.drive_seconds / 3600); /* lifetime power on hours */
    p = log_number(p, 0x000E, LOG_BINARY, 4, s.drive.write_errors);   /* hard write errors since it was switched on */
    p = log_number(p, 0x000F, LOG_BINARY, 4, s.drive.read_errors);    /* hard read errors, likewise */
    p = log_text(p, 0x0040, 12, lun->id.serial);                      /* drive manufacturer's serial number */
    return (size_t)(p - buf);
}

/* A partition record, SSC-5 8.2.7.5: length of what follows, partition, counter. */
static uint8_t *partition(uint8_t *p, uint16_t code, uint64_t value)
{
    uint8_t *end = log_number(p, code, LOG_BINARY, 8, 0);
    p[4] = 7; /* PARTITION RECORD DATA LENGTH */
    spc_put_number(p + 8, 4, value);
    return end;
}

/* The serial number in MAM attribute 0401h too. */
static uint8_t *volume_serial(uint8_t *p, const struct tape_statistics *s)
{
    char hex[33];
    ssc_medium_serial(s, hex);
    return log_text(p, 0x0040, 32, hex);
}

/* 17h Volume Statistics, SSC-5 8.2.7. A data set is a block. Each mount passes the beginning of medium once; there
 * is no tape whose middle could wear. Without a cartridge only the first parameter is there. */
size_t ssc_log_volume(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf)
{
    (void)nexus;
    struct tape_statistics s;
    struct tape_status st;
    ssc_statistics(ssc_of(lun), &s);
    ssc_status(ssc_of(lun), &st);
    bool loaded = st.medium == TAPE_MEDIUM_LOADED;
    uint8_t *p = log_number(buf, 0x0000, LOG_BINARY, 1, loaded); /* page valid */
    if (!loaded)
        return (size_t)(p - buf);
    p = log_number(p, 0x0001, LOG_BINARY, 4, s.mounts);
    p = log_number(p, 0x0002, LOG_BINARY, 8, s.life.written_blocks);
    p = log_number(p, 0x0003, LOG_BINARY, 4, 0); /* recovered write data errors */
    p = log_number(p, 0x0004, LOG_BINARY, 4, s.life.write_errors);
    p = log_number(p, 0x0005, LOG_BINARY, 4, 0); /* write servo errors */
    p = log_number(p, 0x0006, LOG_BINARY, 4, 0); /* unrecovered */
    p = log_number(p, 0x0007, LOG_BINARY, 8, s.life.read_blocks);
    p = log_number(p, 0x0008, LOG_BINARY, 4, 0); /* recovered read errors */
    p = log_number(p, 0x0009, LOG_BINARY, 4, s.life.read_errors);
    p = log_number(p, 0x000C, LOG_BINARY, 4, s.mount.write_errors);
    p = log_number(p, 0x000D, LOG_BINARY, 4, s.mount.read_errors);
    p = log_number(p, 0x000E, LOG_BINARY, 4, s.mount.written_bytes / MB);
    p = log_number(p, 0x000F, LOG_BINARY, 4, s.mount.read_bytes / MB);
    p = log_number(p, 0x0010, LOG_BINARY, 8, s.life.written_bytes / MB);
    p = log_number(p, 0x0011, LOG_BINARY, 8, s.life.read_bytes / MB);
    p = log_number(p, 0x0012, LOG_BINARY, 2, ratio(s.mount.written_bytes, s.mount.stored_bytes));
    p = log_number(p, 0x0013, LOG_BINARY, 2, ratio(s.mount.read_bytes, s.mount.fetched_bytes));
    p = log_number(p, 0x0014, LOG_BINARY, 6, s.mounted_ms);
    p = log_number(p, 0x0015, LOG_BINARY, 6, s.ready_ms);
    p = log_number(p, 0x0016, LOG_BINARY, 4, st.capacity / MB); /* up to early warning */
    p = log_number(p, 0x0017, LOG_BINARY, 4, used(&st));
    p = volume_serial(p, &s);
    p = log_text(p, 0x0042, 32, st.barcode);
    p = log_number(p, 0x0080, LOG_BINARY, 1, st.write_protected);
    p = log_number(p, 0x0081, LOG_BINARY, 1, st.worm);
    p = log_number(p, 0x0101, LOG_BINARY, 4, s.mounts); /* beginning of medium passes */
    p = log_number(p, 0x0102, LOG_BINARY, 4, 0);        /* middle of medium passes */
    p = partition(p, 0x0202, st.capacity / MB);
    p = partition(p, 0x0203, used(&st));
    p = partition(p, 0x0204, ssc_left(&st) / MB);
    return (size_t)(p - buf);
}

/* 30h Tape Usage, as LTO drives have it. */
size_t ssc_log_usage(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf)
{
    (void)nexus;
    struct tape_statistics s;
    ssc_statistics(ssc_of(lun), &s);
    uint8_t *p = buf;
    p = log_number(p, 0x0001, LOG_BINARY, 4, s.mounts); /* thread count */
    p = log_number(p, 0x0002, LOG_BINARY, 8, s.life.written_blocks);
    p = log_number(p, 0x0003, LOG_BINARY, 4, 0); /* write retries */
    p = log_number(p, 0x0004, LOG_BINARY, 2, s.life.write_errors);
    p = log_number(p, 0x0005, LOG_BINARY, 2, 0); /* suspended writes */
    p = log_number(p, 0x0006, LOG_BINARY, 2, 0); /* fatal suspended writes */
    p = log_number(p, 0x0007, LOG_BINARY, 8, s.life.read_blocks);
    p = log_number(p, 0x0008, LOG_BINARY, 4, 0); /* read retries */
    p = log_number(p, 0x0009, LOG_BINARY, 2, s.life.read_errors);
    p = log_number(p, 0x000A, LOG_BINARY, 2, 0); /* suspended reads */
    p = log_number(p, 0x000B, LOG_BINARY, 2, 0); /* fatal suspended reads */
    return (size_t)(p - buf);
}

/* 31h Tape Capacity, as LTO drives have it: mebibytes; main and alternate partition remaining, then maximum. */
size_t ssc_log_capacity(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf)
{
    (void)nexus;
    struct tape_status st;
    ssc_status(ssc_of(lun), &st);
    uint8_t *p = log_number(buf, 0x0001, LOG_BINARY, 4, ssc_left(&st) >> 20);
    p = log_number(p, 0x0002, LOG_BINARY, 4, 0);
    p = log_number(p, 0x0003, LOG_BINARY, 4, st.capacity >> 20);
    p = log_number(p, 0x0004, LOG_BINARY, 4, 0);
    return (size_t)(p - buf);
}

/* Megabytes, and the bytes left over. */
static uint8_t *megabytes(uint8_t *p, uint16_t code, uint64_t bytes)
{
    p = log_number(p, code, LOG_BINARY, 4, bytes / MB);
    return log_number(p, (uint16_t)(code + 1), LOG_BINARY, 4, bytes % MB);
}

/* 1Bh Data Compression, SSC-5 8.2.8, of this mount; also 32h, its number in older LTO drives. */
size_t ssc_log_compression(struct scsi_lun *lun, uint64_t nexus, uint8_t *buf)
{
    (void)nexus;
    struct tape_statistics s;
    ssc_statistics(ssc_of(lun), &s);
    const struct tape_usage *u = &s.mount;
    uint8_t *p = log_number(buf, 0x0000, LOG_BINARY, 2, ratio(u->read_bytes, u->fetched_bytes));
    p = log_number(p, 0x0001, LOG_BINARY, 2, ratio(u->written_bytes, u->stored_bytes));
    p = megabytes(p, 0x0002, u->read_bytes);    /* to the initiator */
    p = megabytes(p, 0x0004, u->fetched_bytes); /* from the tape */
    p = megabytes(p, 0x0006, u->written_bytes); /* from the initiator */
    p = megabytes(p, 0x0008, u->stored_bytes);  /* to the tape */
    return (size_t)(p - buf);
}
