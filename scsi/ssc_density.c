/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_density.c: REPORT DENSITY SUPPORT (SSC-5): the densities and the media that the drive takes. */
#include <stdio.h>
#include <string.h>

#include "base/be.h"
#include "base/lto.h"
#include "scsi/ssc_private.h"

#define DENSITY_LEN 52
#define MEDIUM_LEN 56

static void put_text(uint8_t *p, const char *s, size_t len)
{
    memset(p, ' ', len);
    memcpy(p, s, strnlen(s, len));
}

#define MEDIA_WIDTH 127 /* tenths of mm */

/* The generations' physical figures, LTO-5 to LTO-9. */
static const struct {
    uint32_t bits_per_mm;
    uint16_t tracks;
    uint16_t meters;
} physical[] = {
    {15142, 1280, 846}, {15143, 2176, 846}, {19107, 3584, 960}, {20669, 6656, 960}, {21480, 8960, 1035},
};

/* Density support data block descriptor, SSC-5 table 66. */
static size_t density_descriptor(uint8_t *d, const struct lto_generation *g, bool is_default)
{
    char name[24];
    memset(d, 0, DENSITY_LEN);
    d[0] = d[1] = g->density;                                 /* PRIMARY, SECONDARY DENSITY CODE */
    d[2] = (uint8_t)(0x80 | (is_default ? 0x20 : 0));         /* WRTOK, DEFLT */
    put_be24(d + 5, physical[g->generation - 5].bits_per_mm); /* BITS PER MM */
    put_be16(d + 8, MEDIA_WIDTH);                             /* MEDIA WIDTH */
    put_be16(d + 10, physical[g->generation - 5].tracks);     /* TRACKS */
    put_be32(d + 12, (uint32_t)(g->capacity / 1000000));      /* CAPACITY, megabytes */
    put_text(d + 16, "LTO-CVE", 8);                           /* ASSIGNING ORGANIZATION */
    (void)snprintf(name, sizeof(name), "U-%d", g->generation);
    put_text(d + 24, name, 8); /* DENSITY NAME */
    (void)snprintf(name, sizeof(name), "Ultrium %d/16T", g->generation);
    put_text(d + 32, name, 20); /* DESCRIPTION */
    return DENSITY_LEN;
}

/* Medium type descriptor, table 68. */
static size_t medium_descriptor(uint8_t *d, const struct lto_generation *g, bool worm)
{
    char name[24];
    memset(d, 0, MEDIUM_LEN);
    d[0] = lto_medium_type(g, worm);                      /* MEDIUM TYPE, as in the mode parameter header */
    put_be16(d + 2, MEDIUM_LEN - 4);                      /* DESCRIPTOR LENGTH */
    d[4] = 1;                                             /* NUMBER OF DENSITY CODES */
    d[5] = g->density;                                    /* PRIMARY DENSITY CODE */
    put_be16(d + 14, MEDIA_WIDTH);                        /* MEDIA WIDTH */
    put_be16(d + 16, physical[g->generation - 5].meters); /* MEDIUM LENGTH, meters */
    put_text(d + 20, "LTO-CVE", 8);                       /* ASSIGNING ORGANIZATION */
    (void)snprintf(name, sizeof(name), "U-%d%s", g->generation, worm ? " WORM" : "");
    put_text(d + 28, name, 8); /* MEDIUM TYPE NAME */
    (void)snprintf(name, sizeof(name), "Ultrium %d %s", g->generation, worm ? "WORM" : "Data");
    put_text(d + 36, name, 20); /* DESCRIPTION */
    return MEDIUM_LEN;
}

void ssc_report_density_support(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    bool media = rq->cdb[1] & 0x01, types = rq->cdb[1] & 0x02; /* MEDIA: the mounted one only; MEDIUM TYPE */
    uint8_t b[4 + 5 * 2 * MEDIUM_LEN] = {0};
    size_t at = 4;
    struct tape_status st;
    ssc_status(ssc, &st);
    if (media && st.medium != TAPE_MEDIUM_LOADED) {
        (void)ssc_medium_ready(lun, rq);
        return;
    }
    /* Nothing wears or shrinks here: a drive reads and writes every generation up to its own. */
    for (int g = 5; g <= ssc->drive->generation; g++) {
        const struct lto_generation *gen = lto_generation(g);
        if (media && gen->density != st.density)
            continue;
        if (!types)
            at += density_descriptor(b + at, gen, gen == ssc->drive);
        for (int worm = 0; types && worm <= 1; worm++)
            if (!media || st.worm == (worm != 0))
                at += medium_descriptor(b + at, gen, worm);
    }
    put_be16(b, (uint16_t)(at - 2)); /* AVAILABLE DENSITY SUPPORT LENGTH */
    scsi_reply(rq, b, at, get_be16(rq->cdb + 7));
}
