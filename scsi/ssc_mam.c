/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_mam.c: medium auxiliary memory: READ ATTRIBUTE and WRITE ATTRIBUTE (SPC-5 6.19, 6.51; attributes 7.4), one table.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/be.h"
#include "base/lto.h"
#include "scsi/ssc_private.h"

enum mam_format { MAM_BINARY = 0, MAM_ASCII = 1, MAM_TEXT = 2 };

/* What values are made of. */
struct mam_now {
    struct scsi_lun *lun;
    struct tape_status st;
    struct tape_statistics s;
    struct tape_mam host;
};

#define MIB(bytes) ((bytes) >> 20)
#define MAX_VALUE TAPE_ATTRIBUTE_MAX

static void number(uint8_t *v, unsigned len, uint64_t n)
{
    for (unsigned i = 0; i < len; i++)
        v[i] = (uint8_t)(n >> 8 * (len - 1 - i));
}

static void text(uint8_t *v, unsigned len, const char *s)
{
    memset(v, ' ', len);
    memcpy(v, s, strnlen(s, len));
}

static void remaining(const struct mam_now *m, uint8_t *v)
{
    number(v, 8, m->st.capacity > m->st.used ? MIB(m->st.capacity - m->st.used) : 0);
}
static void maximum(const struct mam_now *m, uint8_t *v)
{
    number(v, 8, MIB(m->st.capacity));
}
static void alerts(const struct mam_now *m, uint8_t *v)
{
    number(v, 8, m->st.alerts);
}
static void load_count(const struct mam_now *m, uint8_t *v)
{
    number(v, 8, m->s.mounts);
}
#define MAM_CAPACITY ((uint64_t)TAPE_MAM_MAX * TAPE_ATTRIBUTE_MAX)
static void mam_space(const struct mam_now *m, uint8_t *v)
{
    uint64_t used = 0;
    for (size_t i = 0; i < m->host.n; i++)
        used += m->host.v[i].len;
    number(v, 8, MAM_CAPACITY - used);
}
static void mam_capacity(const struct mam_now *m, uint8_t *v)
{
    (void)m;
    number(v, 8, MAM_CAPACITY);
}
static void organization(const struct mam_now *m, uint8_t *v)
{
    (void)m;
    text(v, 8, "LTO-CVE");
}
static void density(const struct mam_now *m, uint8_t *v)
{
    v[0] = m->st.density;
}
static void initializations(const struct mam_now *m, uint8_t *v)
{
    number(v, 2, m->s.formats);
}
/* Changes with each write: SSC-5 4.2.22. */
static void change_reference(const struct mam_now *m, uint8_t *v)
{
    number(v, 4, m->s.life.written_blocks + m->s.life.written_filemarks + m->s.formats);
}
static void load_at(const struct mam_now *m, uint8_t *v, unsigned i)
{
    text(v, 8, m->s.last_drives[i][0] ? m->lun->id.vendor : "");
    text(v + 8, 32, m->s.last_drives[i]);
}
static void last_load(const struct mam_now *m, uint8_t *v)
{
    load_at(m, v, 0);
}
static void load_1(const struct mam_now *m, uint8_t *v)
{
    load_at(m, v, 1);
}
static void load_2(const struct mam_now *m, uint8_t *v)
{
    load_at(m, v, 2);
}
static void load_3(const struct mam_now *m, uint8_t *v)
{
    load_at(m, v, 3);
}
static void life_written(const struct mam_now *m, uint8_t *v)
{
    number(v, 8, MIB(m->s.life.written_bytes));
}
static void life_read(const struct mam_now *m, uint8_t *v)
{
    number(v, 8, MIB(m->s.life.read_bytes));
}
static void mount_written(const struct mam_now *m, uint8_t *v)
{
    number(v, 8, MIB(m->s.mount.written_bytes));
}
static void mount_read(const struct mam_now *m, uint8_t *v)
{
    number(v, 8, MIB(m->s.mount.read_bytes));
}
static void manufacturer(const struct mam_now *m, uint8_t *v)
{
    text(v, 8, m->lun->id.vendor);
}
/* The cartridge's id, which no other has. */
static void serial(const struct mam_now *m, uint8_t *v)
{
    char hex[33];
    for (int i = 0; i < 16; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", m->s.medium_id[i]);
    memcpy(v, hex, 32);
}
/* Metres and tenths of a millimetre of the real cartridges. */
static void length(const struct mam_now *m, uint8_t *v)
{
    static const uint16_t metres[] = {846, 846, 960, 960, 1035}; /* LTO-5 to LTO-9 */
    number(v, 4, 0);
    for (int g = 5; g <= 9; g++)
        if (lto_generation(g)->density == m->st.density)
            number(v, 4, metres[g - 5]);
}
static void width(const struct mam_now *m, uint8_t *v)
{
    (void)m;
    number(v, 4, 127);
}
static void made_on(const struct mam_now *m, uint8_t *v)
{
    time_t t = (time_t)m->s.created;
    struct tm tm;
    char date[16] = "19700101";
    if (gmtime_r(&t, &tm))
        (void)strftime(date, sizeof(date), "%Y%m%d", &tm);
    memcpy(v, date, 8);
}
static void medium_type(const struct mam_now *m, uint8_t *v)
{
    v[0] = m->st.worm ? 0x80 : 0x00;
}
static void medium_type_information(const struct mam_now *m, uint8_t *v)
{
    (void)m;
    number(v, 2, 0);
}

static void verified(const struct mam_now *m, uint8_t *v)
{
    number(v, 8, m->s.verified);
}
static void lost_objects(const struct mam_now *m, uint8_t *v)
{
    number(v, 8, m->s.lost_objects);
}

/* In order of identifier. value NULL: the host's, may be written. length 0: any up to TAPE_ATTRIBUTE_MAX - 1. */
static const struct attribute {
    uint16_t id;
    uint8_t length;
    enum mam_format format;
    void (*value)(const struct mam_now *m, uint8_t *v);
} table[] = {
    {0x0000, 8, MAM_BINARY, remaining},
    {0x0001, 8, MAM_BINARY, maximum},
    {0x0002, 8, MAM_BINARY, alerts},
    {0x0003, 8, MAM_BINARY, load_count},
    {0x0004, 8, MAM_BINARY, mam_space},
    {0x0005, 8, MAM_ASCII, organization},
    {0x0006, 1, MAM_BINARY, density},
    {0x0007, 2, MAM_BINARY, initializations},
    {0x0009, 4, MAM_BINARY, change_reference},
    {0x020A, 40, MAM_ASCII, last_load},
    {0x020B, 40, MAM_ASCII, load_1},
    {0x020C, 40, MAM_ASCII, load_2},
    {0x020D, 40, MAM_ASCII, load_3},
    {0x0220, 8, MAM_BINARY, life_written},
    {0x0221, 8, MAM_BINARY, life_read},
    {0x0222, 8, MAM_BINARY, mount_written},
    {0x0223, 8, MAM_BINARY, mount_read},
    {0x0400, 8, MAM_ASCII, manufacturer},
    {0x0401, 32, MAM_ASCII, serial},
    {0x0402, 4, MAM_BINARY, length},
    {0x0403, 4, MAM_BINARY, width},
    {0x0404, 8, MAM_ASCII, organization},
    {0x0405, 1, MAM_BINARY, density},
    {0x0406, 8, MAM_ASCII, made_on},
    {0x0407, 8, MAM_BINARY, mam_capacity},
    {0x0408, 1, MAM_BINARY, medium_type},
    {0x0409, 2, MAM_BINARY, medium_type_information},
    {0x0800, 8, MAM_ASCII, NULL},   /* application vendor */
    {0x0801, 32, MAM_ASCII, NULL},  /* application name */
    {0x0802, 8, MAM_ASCII, NULL},   /* application version */
    {0x0803, 160, MAM_TEXT, NULL},  /* user medium text label */
    {0x0804, 12, MAM_ASCII, NULL},  /* date and time last written */
    {0x0805, 1, MAM_BINARY, NULL},  /* text localization identifier */
    {0x0806, 32, MAM_ASCII, NULL},  /* barcode */
    {0x0807, 80, MAM_ASCII, NULL},  /* owning host textual name */
    {0x0808, 160, MAM_TEXT, NULL},  /* media pool */
    {0x080B, 16, MAM_ASCII, NULL},  /* application format version */
    {0x080C, 0, MAM_BINARY, NULL},  /* volume coherency information */
    {0x0820, 36, MAM_BINARY, NULL}, /* medium globally unique identifier */
    {0x0821, 36, MAM_BINARY, NULL}, /* media pool globally unique identifier */
    /* Ours (vendor specific, of the medium): the last scrub, in seconds since 1970, and what it could not read back. */
    {0x1100, 8, MAM_BINARY, verified},
    {0x1101, 8, MAM_BINARY, lost_objects},
};
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

/* ---- READ ATTRIBUTE ---- */

/* The attribute's value, its length in *len; false: it has none now. */
static bool get_value(const struct attribute *a, struct mam_now *m, uint8_t *v, size_t *len)
{
    if (a->value) {
        *len = a->length;
        a->value(m, v);
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

/* Identifiers only: of those that have a value, or of all that could. */
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
    if (rq->cdb[5] || rq->cdb[7]) { /* LOGICAL VOLUME NUMBER, PARTITION NUMBER: there is one of each */
        scsi_check_cdb_field(rq, rq->cdb[5] ? 5 : 7, -1);
        return;
    }
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
        b[3] = 1; /* the first is number 0, and there is 1 */
        len = 4;
        break;
    case 0x05:
        len = attribute_list(&m, true, b);
        break;
    }
    scsi_reply(rq, b, len, get_be32(rq->cdb + 10));
}

/* ---- WRITE ATTRIBUTE ---- */

/* One attribute of the list into mam. at: its offset, for the field pointer. */
static bool take(struct scsi_request *rq, const uint8_t *p, unsigned at, struct tape_mam *mam)
{
    uint16_t id = get_be16(p), len = get_be16(p + 3);
    const struct attribute *a = find(id);
    if (!a || a->value) { /* there is no such attribute, or it is not the host's */
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
    if (!len) { /* it is nonexistent from now on */
        if (h)
            *h = mam->v[--mam->n];
        return true;
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
    if (rq->cdb[5] || rq->cdb[7]) {
        scsi_check_cdb_field(rq, rq->cdb[5] ? 5 : 7, -1);
        return;
    }
    if (!len)
        return;
    if (len < 4 || len > rq->out_len || get_be32(rq->out) != len - 4) {
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
