/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tape.c: a drive and its tape in memory: blocks, filemarks, position, WORM, write protection, early warning, end. */
#include "tests/fuzz/tape.h"

#include "tests/fuzz/fuzz.h"

#define MAX_BLOCK 8388608u

/* ---- what follows from the objects ---- */

static void at(struct tape *t, uint64_t object)
{
    struct tape_status *st = &t->st;
    must(object <= st->end_object);
    st->object = object;
    st->file = 0;
    for (uint64_t i = 0; i < object; i++)
        st->file += !t->object[i].data;
    t->moves++;
}

static void count_end(struct tape *t)
{
    struct tape_status *st = &t->st;
    st->end_file = st->used = 0;
    for (uint64_t i = 0; i < st->end_object; i++) {
        st->end_file += !t->object[i].data;
        st->used += t->object[i].len;
    }
    st->past_early_warning = st->used >= st->capacity;
}

static void cut(struct tape *t, uint64_t object)
{
    for (uint64_t i = object; i < t->st.end_object; i++)
        free(t->object[i].data);
    if (object < t->st.end_object)
        t->st.end_object = object;
    count_end(t);
    t->moves++;
}

static void flush(struct tape *t)
{
    t->st.blocks_in_buffer = t->st.bytes_in_buffer = 0;
}

void tape_remove(struct tape *t)
{
    uint64_t changes = t->st.medium_changes;
    cut(t, 0);
    t->st = (struct tape_status){.medium = TAPE_MEDIUM_NONE, .medium_changes = changes + 1};
    t->mam.n = 0;
}

void tape_insert(struct tape *t, uint8_t density, bool write_protected, bool worm)
{
    tape_remove(t);
    t->st.medium = TAPE_MEDIUM_LOADED;
    t->st.density = density;
    t->st.write_protected = write_protected;
    t->st.worm = worm;
    t->st.capacity = TAPE_CAPACITY;
    (void)snprintf(t->st.barcode, sizeof(t->st.barcode), "FUZZ01L8");
}

/* Why an operation is not done; OK: it is. */
static enum tape_result hindered(struct tape *t, const atomic_bool *cancel)
{
    enum tape_result r = t->next;
    must(t->st.medium == TAPE_MEDIUM_LOADED);
    t->next = TAPE_OK;
    return atomic_load(cancel) ? TAPE_CANCELLED : r;
}

/* Filemarks just before end of data may go from a WORM tape, but for the first of them. */
static enum tape_result may_write(const struct tape *t)
{
    const struct tape_status *st = &t->st;
    bool marks_only = st->file > 0 && st->end_object - st->object == st->end_file - st->file;
    if (st->write_protected)
        return TAPE_WRITE_PROTECTED;
    return st->worm && st->object != st->end_object && !marks_only ? TAPE_WORM_OVERWRITE : TAPE_OK;
}

/* ---- operations ---- */

static void status(void *self, struct tape_status *out)
{
    *out = ((struct tape *)self)->st;
}

static void statistics(void *self, struct tape_statistics *out)
{
    *out = ((struct tape *)self)->statistics;
}

static void alert(void *self, enum tape_alert flag)
{
    must(flag >= 1 && flag <= 64);
    ((struct tape *)self)->st.alerts |= TAPE_ALERT_BIT(flag);
}

static void mam_get(void *self, struct tape_mam *out)
{
    *out = ((struct tape *)self)->mam;
}

static void wake(void *self)
{
    (void)self;
}

static void prevent(void *self, bool prevented)
{
    ((struct tape *)self)->prevented = prevented;
}

/* One object behind the position, and nothing else behind it. */
static void append(struct tape *t, uint8_t *data, uint32_t len)
{
    t->object[t->st.object] = (struct tape_object){.data = data, .len = len};
    t->st.end_object = t->st.object + 1;
    count_end(t);
    at(t, t->st.end_object);
    t->st.blocks_in_buffer++;
    t->st.bytes_in_buffer += len;
}

/* A key that is meant to be used is there. */
static void check_crypt(const struct tape_crypt *crypt)
{
    must(crypt && crypt->kad_len <= TAPE_KAD_MAX);
    must(crypt->key || (!crypt->encrypt && !crypt->decrypt));
}

static void encrypt(struct tape_object *o, const struct tape_crypt *crypt)
{
    o->encrypted = true;
    memcpy(o->key, crypt->key, sizeof(o->key));
    o->kad_len = crypt->kad_len;
    memcpy(o->kad, crypt->kad, sizeof(o->kad));
}

/* Why a block cannot be read with this key. */
static enum tape_result may_read(const struct tape_object *o, const struct tape_crypt *crypt)
{
    if (!o->encrypted)
        return crypt->decrypt && !crypt->mixed ? TAPE_NOT_ENCRYPTED : TAPE_OK;
    if (!crypt->decrypt)
        return TAPE_ENCRYPTED;
    return memcmp(o->key, crypt->key, sizeof(o->key)) ? TAPE_WRONG_KEY : TAPE_OK;
}

static enum tape_result write_block(void *self, const void *block, uint32_t len, bool compress,
                                    const struct tape_crypt *crypt, const atomic_bool *cancel)
{
    struct tape *t = self;
    (void)compress;
    check_crypt(crypt);
    must(len >= 1 && len <= MAX_BLOCK);
    enum tape_result r = hindered(t, cancel);
    r = r ? r : may_write(t);
    if (r)
        return r;
    uint64_t before = 0;
    for (uint64_t i = 0; i < t->st.object; i++)
        before += t->object[i].len;
    if (t->st.object == TAPE_MAX_OBJECTS || before + len > t->st.capacity + TAPE_BEHIND_EW)
        return TAPE_OVERFLOW;
    uint8_t *copy = exactly(len);
    memcpy(copy, block, len);
    cut(t, t->st.object);
    append(t, copy, len);
    if (crypt->encrypt)
        encrypt(&t->object[t->st.object - 1], crypt);
    t->statistics.drive.written_bytes += len;
    return t->st.past_early_warning ? TAPE_EARLY_WARNING : TAPE_OK;
}

static enum tape_result write_filemarks(void *self, uint64_t count, bool immed, const atomic_bool *cancel)
{
    struct tape *t = self;
    enum tape_result r = hindered(t, cancel);
    r = r || !count ? r : may_write(t);
    if (r)
        return r;
    if (count > TAPE_MAX_OBJECTS - t->st.object)
        return TAPE_OVERFLOW;
    if (count)
        cut(t, t->st.object);
    for (uint64_t i = 0; i < count; i++)
        append(t, NULL, 0);
    if (!immed)
        flush(t);
    return count && t->st.past_early_warning ? TAPE_EARLY_WARNING : TAPE_OK;
}

static enum tape_result next_block(void *self, const struct tape_crypt *crypt, enum tape_next *next, uint8_t *kad,
                                   uint8_t *kad_len, const atomic_bool *cancel)
{
    struct tape *t = self;
    check_crypt(crypt);
    enum tape_result r = hindered(t, cancel);
    *kad_len = 0;
    *next = TAPE_NEXT_NO_BLOCK;
    if (r || t->st.object == t->st.end_object || !t->object[t->st.object].data)
        return r;
    const struct tape_object *o = &t->object[t->st.object];
    *next = !o->encrypted ? TAPE_NEXT_PLAIN : may_read(o, crypt) ? TAPE_NEXT_UNREADABLE : TAPE_NEXT_READABLE;
    *kad_len = o->kad_len;
    memcpy(kad, o->kad, o->kad_len);
    return r;
}

static enum tape_result read_block(void *self, void *buf, uint32_t *len, const struct tape_crypt *crypt,
                                   const atomic_bool *cancel)
{
    struct tape *t = self;
    uint32_t room = *len;
    check_crypt(crypt);
    enum tape_result r = hindered(t, cancel);
    must(buf || !room);
    if (r)
        return r;
    if (t->st.object == t->st.end_object)
        return TAPE_EOD;
    struct tape_object *o = &t->object[t->st.object];
    r = o->data ? may_read(o, crypt) : TAPE_OK;
    if (r)
        return r;
    at(t, t->st.object + 1);
    if (!o->data)
        return TAPE_FILEMARK;
    if (room)
        memcpy(buf, o->data, room < o->len ? room : o->len);
    *len = o->len;
    return TAPE_OK;
}

/* One object on; returns why not. */
static enum tape_result step(struct tape *t, bool forwards, bool *filemark)
{
    if (t->st.object == (forwards ? t->st.end_object : 0))
        return forwards ? TAPE_EOD : TAPE_BOP;
    uint64_t over = forwards ? t->st.object : t->st.object - 1;
    *filemark = !t->object[over].data;
    at(t, forwards ? over + 1 : over);
    return TAPE_OK;
}

static enum tape_result space(struct tape *t, int64_t *count, bool marks, const atomic_bool *cancel)
{
    enum tape_result r = hindered(t, cancel);
    must(*count);
    flush(t);
    while (!r && *count) {
        bool mark = false, forwards = *count > 0;
        r = step(t, forwards, &mark);
        if (!r && mark && !marks)
            r = TAPE_FILEMARK;
        else if (!r && mark == marks)
            *count -= forwards ? 1 : -1;
    }
    return r;
}

static enum tape_result space_blocks(void *self, int64_t *count, const atomic_bool *cancel)
{
    return space(self, count, false, cancel);
}

static enum tape_result space_filemarks(void *self, int64_t *count, const atomic_bool *cancel)
{
    return space(self, count, true, cancel);
}

static enum tape_result locate_object(void *self, uint32_t partition, uint64_t object, const atomic_bool *cancel)
{
    struct tape *t = self;
    enum tape_result r = hindered(t, cancel);
    if (r)
        return r;
    if (partition)
        return TAPE_NO_SUCH_PLACE;
    flush(t);
    at(t, object < t->st.end_object ? object : t->st.end_object);
    return object > t->st.end_object ? TAPE_EOD : TAPE_OK;
}

static enum tape_result space_end_of_data(void *self, const atomic_bool *cancel)
{
    return locate_object(self, 0, ((struct tape *)self)->st.end_object, cancel);
}

static enum tape_result go_to_beginning(void *self, const atomic_bool *cancel)
{
    return locate_object(self, 0, 0, cancel);
}

static enum tape_result locate_file(void *self, uint32_t partition, uint64_t file, const atomic_bool *cancel)
{
    struct tape *t = self;
    uint64_t object = 0;
    for (uint64_t left = file; left && object < t->st.end_object; object++)
        left -= !t->object[object].data;
    bool beyond = file > t->st.end_file;
    enum tape_result r = locate_object(self, partition, object, cancel);
    return r || !beyond ? r : TAPE_EOD;
}

static enum tape_result load(void *self, const atomic_bool *cancel)
{
    struct tape *t = self;
    if (t->st.medium == TAPE_MEDIUM_NONE)
        return TAPE_NOT_PRESENT;
    if (atomic_load(cancel))
        return TAPE_CANCELLED;
    t->st.medium_changes += t->st.medium != TAPE_MEDIUM_LOADED;
    t->st.medium = TAPE_MEDIUM_LOADED;
    flush(t);
    at(t, 0);
    return TAPE_OK;
}

static enum tape_result unload(void *self, const atomic_bool *cancel)
{
    struct tape *t = self;
    if (t->st.medium == TAPE_MEDIUM_NONE)
        return TAPE_NOT_PRESENT;
    if (atomic_load(cancel))
        return TAPE_CANCELLED;
    must(!t->prevented);
    flush(t);
    at(t, 0);
    t->st.medium = TAPE_MEDIUM_UNLOADED;
    return TAPE_OK;
}

static enum tape_result erase(void *self, bool long_erase, const atomic_bool *cancel)
{
    struct tape *t = self;
    (void)long_erase;
    enum tape_result r = hindered(t, cancel);
    r = r ? r : may_write(t);
    if (!r)
        cut(t, t->st.object);
    return r;
}

static enum tape_result format(void *self, const atomic_bool *cancel)
{
    must(!((struct tape *)self)->st.object); /* the command set sees to it */
    return erase(self, false, cancel);
}

static enum tape_result set_capacity(void *self, uint16_t proportion, const atomic_bool *cancel)
{
    enum tape_result r = format(self, cancel);
    struct tape *t = self;
    if (!r)
        t->st.capacity = (uint64_t)TAPE_CAPACITY * proportion / 65535;
    count_end(t);
    return r;
}

static enum tape_result mam_set(void *self, const struct tape_mam *mam, const atomic_bool *cancel)
{
    struct tape *t = self;
    enum tape_result r = hindered(t, cancel);
    must(mam->n <= TAPE_MAM_MAX);
    for (size_t i = 0; i < mam->n; i++) {
        must(mam->v[i].len >= 1 && mam->v[i].len < TAPE_ATTRIBUTE_MAX && mam->v[i].format <= 2);
        for (size_t j = 0; j < i; j++)
            must(mam->v[j].id != mam->v[i].id);
    }
    if (!r)
        t->mam = *mam;
    t->moves++;
    return r;
}

const struct tape_ops fuzz_tape_ops = {
    .status = status,
    .statistics = statistics,
    .alert = alert,
    .mam_get = mam_get,
    .wake = wake,
    .write = write_block,
    .write_filemarks = write_filemarks,
    .read = read_block,
    .next_block = next_block,
    .space_blocks = space_blocks,
    .space_filemarks = space_filemarks,
    .space_end_of_data = space_end_of_data,
    .locate_object = locate_object,
    .locate_file = locate_file,
    .rewind = go_to_beginning,
    .load = load,
    .unload = unload,
    .erase = erase,
    .format = format,
    .set_capacity = set_capacity,
    .mam_set = mam_set,
    .prevent = prevent,
};
