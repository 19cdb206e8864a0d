/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ssc_security.c: SECURITY PROTOCOL IN and OUT: tape data encryption (SSC-5 8.5; SPC-5 6.44, 6.45, 7.7). */
#include <string.h>

#include "base/be.h"
#include "scsi/ssc_keys.h"
#include "scsi/ssc_private.h"

#define PROTOCOL_INFORMATION 0x00
#define PROTOCOL_TAPE 0x20
#define ALGORITHM_INDEX 1
#define AES_256_GCM 0x00010014u /* SPC-5 table 656 */
#define MAX_UKAD 32
#define MAX_AKAD 12

enum tape_page {
    PAGE_IN_SUPPORT = 0x0000,
    PAGE_OUT_SUPPORT = 0x0001,
    PAGE_CAPABILITIES = 0x0010, /* out: Set Data Encryption */
    PAGE_KEY_FORMATS = 0x0011,
    PAGE_MANAGEMENT = 0x0012,
    PAGE_STATUS = 0x0020,
    PAGE_NEXT_BLOCK = 0x0021,
};

static uint64_t medium_now(struct ssc_lun *ssc, bool *loaded)
{
    struct tape_status st;
    ssc_status(ssc, &st);
    *loaded = st.medium == TAPE_MEDIUM_LOADED;
    return st.medium_changes;
}

/* A page's header; returns the whole length. */
static size_t page(uint8_t *b, enum tape_page code, size_t len)
{
    put_be16(b, (uint16_t)code);
    put_be16(b + 2, (uint16_t)(len - 4));
    return len;
}

/* ---- SECURITY PROTOCOL IN ---- */

static size_t protocol_list(uint8_t *b)
{
    put_be16(b + 6, 2);
    b[8] = PROTOCOL_INFORMATION;
    b[9] = PROTOCOL_TAPE;
    return 10;
}

static size_t out_support(struct ssc_lun *ssc, struct scsi_request *rq, uint8_t *b)
{
    (void)ssc;
    (void)rq;
    put_be16(b + 4, PAGE_CAPABILITIES);
    return page(b, PAGE_OUT_SUPPORT, 6);
}

/* 8.5.2.4, with one algorithm */
static size_t capabilities(struct ssc_lun *ssc, struct scsi_request *rq, uint8_t *b)
{
    bool loaded;
    (void)rq;
    (void)medium_now(ssc, &loaded);
    uint8_t *d = b + 20;
    d[0] = ALGORITHM_INDEX;
    put_be16(d + 2, 20); /* DESCRIPTOR LENGTH */
    /* AVFMV (valid for the mounted volume), MAC_C, DED_C; DECRYPT_C and ENCRYPT_C 2: in the device itself */
    d[4] = (uint8_t)((loaded ? 0x80 : 0) | 0x20 | 0x10 | 0x08 | 0x02);
    d[5] = 0x10;               /* NONCE_C 1: the device makes it; UKADF, AKADF 0: any length up to the maximum */
    put_be16(d + 6, MAX_UKAD); /* MAXIMUM UNAUTHENTICATED KEY-ASSOCIATED DATA BYTES */
    put_be16(d + 8, MAX_AKAD); /* MAXIMUM AUTHENTICATED */
    put_be16(d + 10, TAPE_KEY_SIZE);
    d[12] = 0x1E; /* EEMC_C 1: no external encryption mode; RDMC_C 7: raw reads of all blocks, in any case */
    put_be32(d + 20, AES_256_GCM);
    return page(b, PAGE_CAPABILITIES, 44);
}

static size_t key_formats(struct ssc_lun *ssc, struct scsi_request *rq, uint8_t *b)
{
    (void)ssc;
    (void)rq;
    b[4] = 0x00; /* a plain key */
    return page(b, PAGE_KEY_FORMATS, 5);
}

static size_t management(struct ssc_lun *ssc, struct scsi_request *rq, uint8_t *b)
{
    (void)ssc;
    (void)rq;
    b[4] = 0x01; /* LOCK_C */
    b[5] = 0x04; /* CKOD_C */
    b[7] = 0x07; /* AITN_C, LOCAL_C, PUBLIC_C */
    return page(b, PAGE_MANAGEMENT, 16);
}

static size_t encryption_status(struct ssc_lun *ssc, struct scsi_request *rq, uint8_t *b)
{
    bool loaded;
    struct ssc_params p;
    enum key_scope scope, of;
    ssc_keys_get(ssc->keys, rq->nexus, medium_now(ssc, &loaded), &p, &scope, &of);
    b[4] = (uint8_t)(scope << 5 | of); /* I_T NEXUS SCOPE, KEY SCOPE */
    b[5] = p.encryption;
    b[6] = p.decryption;
    b[7] = of != SCOPE_PUBLIC ? ALGORITHM_INDEX : 0;
    put_be32(b + 8, p.counter); /* KEY INSTANCE COUNTER */
    memcpy(b + 24, p.kad, p.kad_len);
    return page(b, PAGE_STATUS, 24u + p.kad_len);
}

/* 8.5.2.9 */
static size_t next_block_status(struct ssc_lun *ssc, struct scsi_request *rq, uint8_t *b)
{
    struct tape_crypt crypt = {.key = NULL};
    struct tape_status st;
    enum tape_next next = TAPE_NEXT_NO_BLOCK;
    uint8_t kad[TAPE_KAD_MAX], kad_len = 0;
    if (!ssc_medium_ready(&ssc->lun, rq))
        return 0;
    ssc_status(ssc, &st);
    (void)ssc_keys_use(ssc->keys, rq->nexus, st.medium_changes, &crypt);
    enum tape_result r = ssc->ops->next_block(ssc->self, &crypt, &next, kad, &kad_len, rq->cancelled);
    ssc_keys_done(ssc->keys);
    if (r != TAPE_OK) {
        ssc_end(rq, r, 0);
        return 0;
    }
    static const uint8_t status[] = {
        [TAPE_NEXT_NO_BLOCK] = 2, [TAPE_NEXT_PLAIN] = 3, [TAPE_NEXT_READABLE] = 5, [TAPE_NEXT_UNREADABLE] = 6};
    bool encrypted = next == TAPE_NEXT_READABLE || next == TAPE_NEXT_UNREADABLE;
    put_be64(b + 4, st.object);    /* LOGICAL OBJECT NUMBER */
    b[12] = (uint8_t)status[next]; /* COMPRESSION STATUS 0: unknown; ENCRYPTION STATUS */
    b[13] = encrypted ? ALGORITHM_INDEX : 0;
    memcpy(b + 16, kad, kad_len);
    return page(b, PAGE_NEXT_BLOCK, 16u + kad_len);
}

/* The pages of the protocol. fill returns the length, or 0 if it made the sense. */
/* clang-format off */
static size_t in_support(struct ssc_lun *ssc, struct scsi_request *rq, uint8_t *b);
static const struct in_page {
    enum tape_page code;
    size_t (*fill)(struct ssc_lun *ssc, struct scsi_request *rq, uint8_t *b);
} in_pages[] = {
    {PAGE_IN_SUPPORT,   in_support},
    {PAGE_OUT_SUPPORT,  out_support},
    {PAGE_CAPABILITIES, capabilities},
    {PAGE_KEY_FORMATS,  key_formats},
    {PAGE_MANAGEMENT,   management},
    {PAGE_STATUS,       encryption_status},
    {PAGE_NEXT_BLOCK,   next_block_status},
};
/* clang-format on */
#define N_IN_PAGES (sizeof(in_pages) / sizeof(in_pages[0]))

static size_t in_support(struct ssc_lun *ssc, struct scsi_request *rq, uint8_t *b)
{
    (void)ssc;
    (void)rq;
    for (size_t i = 0; i < N_IN_PAGES; i++)
        put_be16(b + 4 + 2 * i, (uint16_t)in_pages[i].code);
    return page(b, PAGE_IN_SUPPORT, 4 + 2 * N_IN_PAGES);
}

/* ALLOCATION LENGTH of IN, TRANSFER LENGTH of OUT, in bytes. */
static uint64_t length_of(const uint8_t *cdb)
{
    return get_be32(cdb + 6) * (cdb[4] & 0x80 ? UINT64_C(512) : 1); /* INC_512 */
}

/* What a protocol answers to a code; returns its length. 0: it has no such code, or the sense is made. */
static size_t protocol_page(struct ssc_lun *ssc, struct scsi_request *rq, uint16_t code, uint8_t *b)
{
    if (rq->cdb[1] == PROTOCOL_INFORMATION)
        return code == 0 ? protocol_list(b) : code == 1 ? 4 : 0; /* 1: certificates; there are none */
    for (size_t i = 0; rq->cdb[1] == PROTOCOL_TAPE && i < N_IN_PAGES; i++)
        if (in_pages[i].code == code)
            return in_pages[i].fill(ssc, rq, b);
    return 0;
}

void ssc_security_in(struct scsi_lun *lun, struct scsi_request *rq)
{
    uint8_t b[256] = {0};
    uint64_t alloc = length_of(rq->cdb);
    size_t len = protocol_page(ssc_of(lun), rq, get_be16(rq->cdb + 2), b); /* SECURITY PROTOCOL SPECIFIC */
    bool known = rq->cdb[1] == PROTOCOL_INFORMATION || rq->cdb[1] == PROTOCOL_TAPE;
    if (len)
        scsi_reply(rq, b, len, alloc > sizeof(b) ? sizeof(b) : (size_t)alloc);
    else if (rq->status == SCSI_GOOD)
        scsi_check_cdb_field(rq, known ? 2 : 1, -1);
}

/* ---- SECURITY PROTOCOL OUT: Set Data Encryption, 8.5.3.2 ---- */

/* Takes key-associated data descriptors as they are, if they are in order of type, and types and lengths are right. */
static bool take_kad(struct scsi_request *rq, const uint8_t *list, size_t len, size_t at, struct ssc_params *p)
{
    int last = -1;
    size_t first = at;
    while (at < len) {
        size_t n = len - at >= 4 ? 4u + get_be16(list + at + 2) : 0;
        if (!n || n > len - at || at + n - first > TAPE_KAD_MAX) {
            scsi_check_param_field(rq, (unsigned)at, -1);
            return false;
        }
        unsigned most = list[at] == 0 ? MAX_UKAD : list[at] == 1 ? MAX_AKAD : 0;
        if (list[at] <= last || n - 4 > most) { /* KEY DESCRIPTOR TYPE */
            scsi_check_param_field(rq, (unsigned)at, -1);
            return false;
        }
        last = list[at];
        at += n;
    }
    p->kad_len = (uint8_t)(len - first);
    memcpy(p->kad, list + first, p->kad_len);
    return true;
}

/* All but the key, which comes last. Makes the sense if a mode cannot be. */
static bool check_modes(struct scsi_request *rq, const uint8_t *list, bool loaded)
{
    static const struct {
        uint8_t byte, mask;
        int bit;
    } unsupported[] = {
        {5, 0x80, 7}, /* CEEM 2 and 3: there is no external encryption */
        {5, 0x10, 4}, /* RDMC 1 and 3 forbid raw reads, but whoever has the bucket can read it raw */
        {5, 0x08, 3}, /* SDK: supplemental decryption keys */
        {5, 0x02, 1}, /* CKORP */
        {5, 0x01, 0}, /* CKORL: the drive does not know of reservations */
    };
    for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++)
        if (list[unsupported[i].byte] & unsupported[i].mask) {
            scsi_check_param_field(rq, unsupported[i].byte, unsupported[i].bit);
            return false;
        }
    bool encrypts = list[6] == ENCRYPTION_ENCRYPT, decrypts = list[7] >= DECRYPTION_DECRYPT;
    bool raw = list[7] == DECRYPTION_RAW;
    unsigned bad = 0;
    if ((list[5] & 0x04) && !loaded) /* CKOD without a volume */
        bad = 5;
    else if (list[6] != ENCRYPTION_DISABLE && !encrypts)
        bad = 6;
    else if (list[7] > DECRYPTION_MIXED)
        bad = 7;
    else if ((encrypts || decrypts || raw) && list[8] != ALGORITHM_INDEX)
        bad = 8;
    else if ((encrypts || decrypts) && list[9]) /* KEY FORMAT: plain only */
        bad = 9;
    else if ((encrypts || decrypts) && get_be16(list + 18) != TAPE_KEY_SIZE)
        bad = 18;
    if (bad)
        scsi_check_param_field(rq, bad, -1);
    return !bad;
}

static void set_encryption(struct ssc_lun *ssc, struct scsi_request *rq, const uint8_t *list, size_t len)
{
    struct ssc_params p = {.has_key = false};
    bool loaded, changed = false;
    uint64_t medium = medium_now(ssc, &loaded);
    unsigned scope = list[4] >> 5;
    if (scope > SCOPE_ALL_I_T_NEXUS) {
        scsi_check_param_field(rq, 4, 7);
        return;
    }
    if (scope != SCOPE_PUBLIC) { /* else only the scope and LOCK count */
        size_t key_len = get_be16(list + 18);
        if (!check_modes(rq, list, loaded))
            return;
        if (len < 20 + key_len) {
            scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
            return;
        }
        p.encryption = list[6];
        p.decryption = list[7];
        p.clear_on_demount = list[5] & 0x04;
        p.medium = medium;
        /* Without a key, what stands in its place does not count: stenc sends zeros. */
        p.has_key = p.encryption || p.decryption >= DECRYPTION_DECRYPT;
        if (p.has_key && !take_kad(rq, list, len, 20 + key_len, &p))
            return;
    }
    if (!ssc_keys_set(ssc->keys, rq->nexus, (enum key_scope)scope, list[4] & 0x01, &p, list + 20, &changed))
        scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_INSUFFICIENT_RESOURCES);
    else if (changed)
        scsi_ua_raise(&ssc->lun, 0, rq->nexus, ASC_DATA_ENCRYPTION_PARAMETERS_CHANGED_BY_ANOTHER);
}

void ssc_security_out(struct scsi_lun *lun, struct scsi_request *rq)
{
    uint64_t len = length_of(rq->cdb);
    const uint8_t *list = rq->out;
    if (rq->cdb[1] != PROTOCOL_TAPE) {
        scsi_check_cdb_field(rq, 1, -1);
        return;
    }
    if (!len) /* no data is no error: SPC-5 6.45 */
        return;
    if (get_be16(rq->cdb + 2) != PAGE_CAPABILITIES) {
        scsi_check_cdb_field(rq, 2, -1);
        return;
    }
    if (len < 20 || len > rq->out_len || get_be16(list + 2) + 4u != len) {
        scsi_check(rq, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH_ERROR);
        return;
    }
    if (get_be16(list) != PAGE_CAPABILITIES) {
        scsi_check_param_field(rq, 0, -1);
        return;
    }
    rq->out_actual = (uint32_t)len;
    set_encryption(ssc_of(lun), rq, list, (size_t)len);
}
