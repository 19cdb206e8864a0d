/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_mam.c: medium auxiliary memory: the table of attributes (SPC-5 7.4), READ and WRITE ATTRIBUTE (6.19, 6.51). */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/be.h"
#include "base/lto.h"
#include "scsi/ssc_private.h"

enum mam_format { BINARY = 0, ASCII = 1, TEXT = 2 };

/* What values come from. */
struct mam_now {
    struct scsi_lun *lun;
    struct tape_status st;
    struct tape_statistics s;
    struct tape_mam host;
};

#define MIB(bytes) ((bytes) >> 20)
#define MAX_VALUE TAPE_ATTRIBUTE_MAX

/* ---- values ---- */

#define MAM_CAPACITY ((uint64_t)TAPE_MAM_MAX * TAPE_ATTRIBUTE_MAX)
static uint64_t mam_used(const struct mam_now *m)
{
    uint64_t used = 0;
    for (size_t i = 0; i < m->host.n; i++)
        used += m->host.v[i].len;
    return used;
}

static uint16_t meters(const struct mam_now *m)
{
    const struct lto_generation *g = lto_by_density(m->st.density);
    return g ? g->meters : 0;
}

/* clang-format off */
#define NUMBER(name, n)                                                                                                \
    static void name(const struct mam_now *m, uint8_t *v, unsigned len) { (void)m; spc_put_number(v, len, n); }
NUMBER(remaining,               MIB(ssc_left(&m->st)))
NUMBER(maximum,                 MIB(m->st.capacity))
NUMBER(alerts,                  m->st.alerts)
NUMBER(load_count,              m->s.mounts)
NUMBER(mam_space,               MAM_CAPACITY - mam_used(m))
NUMBER(mam_capacity,            MAM_CAPACITY)
NUMBER(density,                 m->st.density)
NUMBER(initializations,         m->s.formats)
NUMBER(change_reference,        m->s.life.written_blocks + m->s.life.written_filemarks + m->s.formats) /* SSC-5 4.2.22 */
NUMBER(life_written,            MIB(m->s.life.written_bytes))
NUMBER(life_read,               MIB(m->s.life.read_bytes))
NUMBER(mount_written,           MIB(m->s.mount.written_bytes))
NUMBER(mount_read,              MIB(m->s.mount.read_bytes))
NUMBER(medium_length,           meters(m)) /* of the real cartridge */
NUMBER(medium_width,            LTO_MEDIA_WIDTH)
NUMBER(medium_type,             m->st.worm ? 0x80 : 0x00)
NUMBER(medium_type_information, 0)
NUMBER(verified,                m->s.verified)
NUMBER(lost_objects,            m->s.lost_objects)
/* clang-format on */

static void organization(const struct mam_now *m, uint8_t *v, unsigned len)
{
    (void)m;
    spc_put_text(v, len, LTO_ORGANIZATION);
}
static void manufacturer(const struct mam_now *m, uint8_t *v, unsigned len)
{
    spc_put_text(v, len, m->lun->id.vendor);
}
/* Vendor and serial number of the drive that loaded the cartridge n loads ago. */
static void load(const struct mam_now *m, uint8_t *v, unsigned len, unsigned n)
{
    spc_put_text(v, 8, m->s.last_drives[n][0] ? m->lun->id.vendor : "");
    spc_put_text(v + 8, len - 8, m->s.last_drives[n]);
}
static void load_0(const struct mam_now *m, uint8_t *v, unsigned len)
{
    load(m, v, len, 0);
}
static void load_1(const struct mam_now *m, uint8_t *v, unsigned len)
{
    load(m, v, len, 1);
}
static void load_2(const struct mam_now *m, uint8_t *v, unsigned len)
{
    load(m, v, len, 2);
}
static void load_3(const struct mam_now *m, uint8_t *v, unsigned len)
{
    load(m, v, len, 3);
}
void ssc_medium_serial(const struct tape_statistics *s, char hex[33])
{
    for (int i = 0; i < 16; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", s->medium_id[i]);
}

static void serial(const struct mam_now *m, uint8_t *v, unsigned len)
{
    char hex[33];
    ssc_medium_serial(&m->s, hex);
    spc_put_text(v, len, hex);
}
static void made_on(const struct mam_now *m, uint8_t *v, unsigned len)
{
    time_t t = (time_t)m->s.created;
    struct tm tm;
    char date[16] = "19700101";
    if (gmtime_r(&t, &tm))
        (void)strftime(date, sizeof(date), "%Y%m%d", &tm);
    spc_put_text(v, len, date);
}

/* ---- the table ---- */

/* clang-format off */
/* In order of identifier. value NULL: the host's, which it may write. length 0: any up to TAPE_ATTRIBUTE_MAX - 1.
 * Beside each: the standard, and a second source. S: sg_read_attr of sg3_utils; Q: Quantum's manual of its LTO-3 and
 * LTO-4 drives; L: what lto-info reads of real cartridges. */
static const struct attribute {
    uint16_t id;
    uint8_t length;
    enum mam_format format;
    void (*value)(const struct mam_now *m, uint8_t *v, unsigned len);
} table[] = {
    {0x0000,   8, BINARY, remaining},               /* SPC-5 7.4.2.2; S, Q */
    {0x0001,   8, BINARY, maximum},                 /* SPC-5 7.4.2.2; S, Q */
    {0x0002,   8, BINARY, alerts},                  /* SSC-5; S, Q */
    {0x0003,   8, BINARY, load_count},              /* SPC-5 7.4.2.2; S, Q */
    {0x0004,   8, BINARY, mam_space},               /* SPC-5 7.4.2.2; S, Q */
    {0x0005,   8, ASCII,  organization},            /* SSC-5; S, Q */
    {0x0006,   1, BINARY, density},                 /* SSC-5; S, Q */
    {0x0007,   2, BINARY, initializations},         /* SPC-5 7.4.2.2; S, Q */
    {0x0009,   4, BINARY, change_reference},        /* SSC-5 4.2.22; S */
    {0x020A,  40, ASCII,  load_0},                  /* SPC-5 7.4.2.2; S, Q */
    {0x020B,  40, ASCII,  load_1},                  /* SPC-5 7.4.2.2; S, Q */
    {0x020C,  40, ASCII,  load_2},                  /* SPC-5 7.4.2.2; S, Q */
    {0x020D,  40, ASCII,  load_3},                  /* SPC-5 7.4.2.2; S, Q */
    {0x0220,   8, BINARY, life_written},            /* SPC-5 7.4.2.2; S, Q */
    {0x0221,   8, BINARY, life_read},               /* SPC-5 7.4.2.2; S, Q */
    {0x0222,   8, BINARY, mount_written},           /* SPC-5 7.4.2.2; S, Q */
    {0x0223,   8, BINARY, mount_read},              /* SPC-5 7.4.2.2; S, Q */
    {0x0400,   8, ASCII,  manufacturer},            /* SPC-5 7.4.2.3; S, L */
    {0x0401,  32, ASCII,  serial},                  /* SPC-5 7.4.2.3; S, L */
    {0x0402,   4, BINARY, medium_length},           /* SSC-5; S, L */
    {0x0403,   4, BINARY, medium_width},            /* SSC-5; S, L */
    {0x0404,   8, ASCII,  organization},            /* SSC-5; S, L */
    {0x0405,   1, BINARY, density},                 /* SSC-5; S, L */
    {0x0406,   8, ASCII,  made_on},                 /* SPC-5 7.4.2.3; S, L */
    {0x0407,   8, BINARY, mam_capacity},            /* SPC-5 7.4.2.3; S, L */
    {0x0408,   1, BINARY, medium_type},             /* SPC-5 7.4.2.3; S, L */
    {0x0409,   2, BINARY, medium_type_information}, /* SPC-5 7.4.2.3; S */
    {0x0800,   8, ASCII,  NULL},                    /* application vendor: SPC-5 7.4.2.4; S */
    {0x0801,  32, ASCII,  NULL},                    /* application name: SPC-5 7.4.2.4; S */
    {0x0802,   8, ASCII,  NULL},                    /* application version: SPC-5 7.4.2.4; S */
    {0x0803, 160, TEXT,   NULL},                    /* user medium text label: SPC-5 7.4.2.4; S */
    {0x0804,  12, ASCII,  NULL},                    /* date and time last written: SPC-5 7.4.2.4; S */
    {0x0805,   1, BINARY, NULL},                    /* text localization identifier: SPC-5 7.4.2.4; S */
    {0x0806,  32, ASCII,  NULL},                    /* barcode: SPC-5 7.4.2.4; S */
    {0x0807,  80, TEXT,   NULL},                    /* owning host textual name: SPC-5 7.4.2.4; S */
    {0x0808, 160, TEXT,   NULL},                    /* media pool: SPC-5 7.4.2.4; S */
    {0x080B,  16, ASCII,  NULL},                    /* application format version: SPC-5 7.4.2.4; S */
    {0x080C,   0, BINARY, NULL},                    /* volume coherency information: SSC-5; S */
    {0x0820,  36, BINARY, NULL},                    /* medium globally unique identifier: SSC-5; S */
    {0x0821,  36, BINARY, NULL},                    /* media pool globally unique identifier: SSC-5; S */
    /* vendor-specific, of the medium: when it was last scrubbed, in seconds since 1970, and what could not be read */
    {0x1100,   8, BINARY, verified},
    {0x1101,   8, BINARY, lost_objects},
};
/* clang-format on */
#define N_ATTRIBUTES (sizeof(table) / sizeof(table[0]))
_Static_assert(TAPE_MAM_MAX >= 13, "every attribute of the host has a place");

static const struct attribute *find(uint16_t id)
{
    for (size_t i = 0; i < N_ATTRIBUTES; i++)
        if (table[i].id == id)
            return &table[i];
    return NULL;
}

static struct tape_attribute *find_host(struct tape_mam *mam, uint16_t id)
{
    for (size_t i = 0; i < mam->n; i++)
        if (mam->v[i].id == id)
            return &mam->v[i];
    return NULL;
}

/* LOGICAL VOLUME NUMBER and PARTITION NUMBER: there is only 0. Makes the sense for another. */
static bool first_volume(struct scsi_request *rq)
{
    if (!rq->cdb[5] && !rq->cdb[7])
        return true;
    scsi_check_cdb_field(rq, rq->cdb[5] ? 5 : 7, -1);
    return false;
}

/* ---- READ ATTRIBUTE ---- */

/* The value and its length; false: the attribute has none now. */
static bool get_value(const struct attribute *a, struct mam_now *m, uint8_t *v, size_t *len)
{
    if (a->value) {
        *len = a->length;
        a->value(m, v, a->length);
        return true;
    }
    const struct tape_attribute *h = find_host(&m->host, a->id);
    if (!h)
        return false;
    *len = h->len;
    memcpy(v, h->value, h->len);
    return true;
}

static size_t attribute_values(struct mam_now *m, uint16_t first, uint8_t *b)
{
    size_t at = 4;
    for (size_t i = 0; i < N_ATTRIBUTES; i++) {
        const struct attribute *a = &table[i];
        uint8_t v[MAX_VALUE];
        size_t len = 0;
        if (a->id < first || !get_value(a, m, v, &len))
            continue;
        put_be16(b + at, a->id);
        b[at + 2] = (uint8_t)((a->value ? 0x80 : 0) | a->format); /* READ ONLY, FORMAT */
        put_be16(b + at + 3, (uint16_t)len);
        memcpy(b + at + 5, v, len);
        at += 5 + len;
    }
    put_be32(b, (uint32_t)(at - 4)); /* AVAILABLE DATA */
    return at;
}

/* Identifiers of the attributes that have a value, or of all that could. */
static size_t attribute_list(struct mam_now *m, bool supported, uint8_t *b)
{
    size_t at = 4;
    for (size_t i = 0; i < N_ATTRIBUTES; i++)
        if (supported || table[i].value || find_host(&m->host, table[i].id)) {
            put_be16(b + at, table[i].id);
            at += 2;
        }
    put_be32(b, (uint32_t)(at - 4));
    return at;
}

static void look(struct scsi_lun *lun, struct mam_now *m)
{
    struct ssc_lun *ssc = ssc_of(lun);
    m->lun = lun;
    ssc_status(ssc, &m->st);
    ssc_statistics(ssc, &m->s);
    ssc->ops->mam_get(ssc->self, &m->host);
}

void ssc_read_attribute(struct scsi_lun *lun, struct scsi_request *rq)
{
    uint8_t b[4 + N_ATTRIBUTES * (5 + MAX_VALUE)] = {0};
    struct mam_now m;
    uint16_t first = get_be16(rq->cdb + 8); /* FIRST ATTRIBUTE IDENTIFIER */
    size_t len = 0;
    if (!first_volume(rq))
        return;
    look(lun, &m);
    switch (rq->cdb[1] & 0x1f) {
    case 0x00: {
        const struct attribute *a = find(first);
        uint8_t v[MAX_VALUE];
        if (!a || !get_value(a, &m, v, &len)) { /* unsupported, or nonexistent: 6.19.2 */
            scsi_check_cdb_field(rq, 8, -1);
            return;
        }
        len = attribute_values(&m, first, b);
        break;
    }
    case 0x01:
        len = attribute_list(&m, false, b);
        break;
    case 0x02: /* logical volume list */
    case 0x03: /* partition list */
        put_be16(b, 2);
        b[3] = 1; /* from number 0 on, there is 1 */
        len = 4;
        break;
    case 0x05:
        len = attribute_list(&m, true, b);
        break;
    }
    scsi_reply(rq, b, len, get_be32(rq->cdb + 10));
}

/* ---- WRITE ATTRIBUTE ---- */

/* Puts an attribute of the list into mam. at: its offset, for the field pointer. */
static bool take(struct scsi_request *rq, const uint8_t *p, unsigned at, struct tape_mam *mam)
{
    uint16_t id = get_be16(p), len = get_be16(p + 3);
    const struct attribute *a = find(id);
    if (!a || a->value) { /* there is none such, or it is not the host's */
        scsi_check_param_field(rq, at, -1);
        return false;
    }
    if (len && (p[2] & 0x03) != a->format) {
        scsi_check_param_field(rq, at + 2, 1);
        return false;
    }
    if (len && (a->length ? len != a->length : len >= TAPE_ATTRIBUTE_MAX)) {
        scsi_check_param_field(rq, at + 3, -1);
        return false;
    }
    struct tape_attribute *h = find_host(mam, id);
    if (!len) { /* it is to go */
        if (h)
            *h = mam->v[--mam->n];
        return true;
    }
    if (!h && mam->n == TAPE_MAM_MAX) { /* a head may have some that this version does not know */
        scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_AUXILIARY_MEMORY_OUT_OF_SPACE);
        return false;
    }
    if (!h)
        h = &mam->v[mam->n++];
    h->id = id;
    h->format = (uint8_t)a->format;
    h->len = len;
    memcpy(h->value, p + 5, len);
    return true;
}

void ssc_write_attribute(struct scsi_lun *lun, struct scsi_request *rq)
{
    struct ssc_lun *ssc = ssc_of(lun);
    uint32_t len = get_be32(rq->cdb + 10); /* PARAMETER LIST LENGTH */
    if (!first_volume(rq))
        return;
    if (!len)
        return;
    /* PARAMETER DATA LENGTH is not looked at: 6.51 has it ignored, as the CDB's length says it too. */
    if (len < 4 || len > rq->out_len) {
        scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
        return;
    }
    rq->out_actual = len;
    struct tape_mam mam;
    ssc->ops->mam_get(ssc->self, &mam);
    int last = -1;
    for (uint32_t at = 4; at < len;) {
        const uint8_t *p = rq->out + at;
        if (len - at < 5 || len - at - 5 < get_be16(p + 3)) {
            scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
            return;
        }
        if (get_be16(p) <= last) { /* in ascending order: 6.51 */
            scsi_check_param_field(rq, at, -1);
            return;
        }
        last = get_be16(p);
        if (!take(rq, p, at, &mam))
            return;
        at += 5u + get_be16(p + 3);
    }
    ssc_end(rq, ssc->ops->mam_set(ssc->self, &mam, rq->cancelled), 0);
}
