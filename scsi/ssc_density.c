/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_density.c: REPORT DENSITY SUPPORT (SSC-5): the densities and media that the drive takes. */
#include <stdio.h>
#include <string.h>

#include "base/be.h"
#include "base/lto.h"
#include "scsi/ssc_private.h"

#define DENSITY_LEN 52
#define MEDIUM_LEN 56

/* Density support data block descriptor, SSC-5 table 66. */
static size_t density_descriptor(uint8_t *d, const struct lto_generation *g, bool is_default)
{
    char text[24];
    memset(d, 0, DENSITY_LEN);
    d[0] = d[1] = g->density;                            /* PRIMARY, SECONDARY DENSITY CODE */
    d[2] = (uint8_t)(0x80 | (is_default ? 0x20 : 0));    /* WRTOK, DEFLT */
    put_be24(d + 5, g->bits_per_mm);                     /* BITS PER MM */
    put_be16(d + 8, LTO_MEDIA_WIDTH);                    /* MEDIA WIDTH */
    put_be16(d + 10, g->tracks);                         /* TRACKS */
    put_be32(d + 12, (uint32_t)(g->capacity / 1000000)); /* CAPACITY, megabytes */
    spc_put_text(d + 16, 8, LTO_ORGANIZATION);           /* ASSIGNING ORGANIZATION */
    spc_put_text(d + 24, 8, g->name);                    /* DENSITY NAME */
    (void)snprintf(text, sizeof(text), "%s/16T", g->description);
    spc_put_text(d + 32, 20, text); /* DESCRIPTION */
    return DENSITY_LEN;
}

/* Medium type descriptor, table 68. */
static size_t medium_descriptor(uint8_t *d, const struct lto_generation *g, bool worm)
{
    char text[24];
    memset(d, 0, MEDIUM_LEN);
    d[0] = lto_medium_type(g, worm);           /* MEDIUM TYPE, as in the mode parameter header */
    put_be16(d + 2, MEDIUM_LEN - 4);           /* DESCRIPTOR LENGTH */
    d[4] = 1;                                  /* NUMBER OF DENSITY CODES */
    d[5] = g->density;                         /* PRIMARY DENSITY CODE */
    put_be16(d + 14, LTO_MEDIA_WIDTH);         /* MEDIA WIDTH */
    put_be16(d + 16, g->meters);               /* MEDIUM LENGTH, meters */
    spc_put_text(d + 20, 8, LTO_ORGANIZATION); /* ASSIGNING ORGANIZATION */
    (void)snprintf(text, sizeof(text), "%s%s", g->name, worm ? " WORM" : "");
    spc_put_text(d + 28, 8, text); /* MEDIUM TYPE NAME */
    (void)snprintf(text, sizeof(text), "%s %s", g->description, worm ? "WORM" : "Data");
    spc_put_text(d + 36, 20, text); /* DESCRIPTION */
    return MEDIUM_LEN;
}

void ssc_report_density_support(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    bool media = rq->cdb[1] & 0x01, types = rq->cdb[1] & 0x02; /* MEDIA: the mounted one only; MEDIUM TYPE */
    uint8_t b[4 + LTO_GENERATIONS * 2 * MEDIUM_LEN] = {0};
    size_t at = 4;
    struct tape_status st;
    ssc_status(ssc, &st);
    if (media && st.medium != TAPE_MEDIUM_LOADED) {
        (void)ssc_medium_ready(lun, rq);
        return;
    }
    /* Unlike a real drive, this one reads and writes every generation up to its own. */
    for (int g = LTO_FIRST; g <= ssc->drive->generation; g++) {
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
