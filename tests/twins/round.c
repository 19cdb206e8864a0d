/* SPDX-License-Identifier: GPL-2.0-or-later */
/* round.c: see round.h. */
#include "tests/twins/round.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/twins/block.h"
#include "tests/twins/gateway.h"
#include "tests/twins/process.h"

#define TOLD_WITHIN_MS 10000
#define PATIENCE_MS 12000 /* for an answer; then the gateway is killed */

const char *const fault_names[FAULTS] = {"wrong", "stale", "lost", "silent", "twice", "damage", "slow", "stuck"};
static char reply[GATEWAY_LINE];

uint64_t round_draw(struct round *r, uint64_t below)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return (r->random >> 11) % below;
}

void round_fault(struct round *r, enum fault f, const char *fmt, ...)
{
    size_t used = strlen(r->text);
    r->faults |= 1u << f;
    (void)snprintf(r->text + used, sizeof(r->text) - used, "#   %s: ", fault_names[f]);
    used = strlen(r->text);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(r->text + used, sizeof(r->text) - used - 1, fmt, ap);
    va_end(ap);
    used = strlen(r->text);
    (void)snprintf(r->text + used, sizeof(r->text) - used, "\n");
}

static void make_dir(const struct round *r, const char *name)
{
    char path[PATH_ROOM];
    (void)snprintf(path, sizeof(path), "%s/%s", r->root, name);
    if (mkdir(path, 0700))
        perror(path);
}

/* ---- gateways ---- */

bool round_serves(const struct round *r, unsigned i)
{
    return r->g[i].pid && !r->g[i].out;
}

static void forget(struct gateway *g)
{
    (void)close(g->to);
    (void)close(g->from);
    g->pid = 0;
}

static void reap(struct round *r, unsigned i)
{
    int status = 0;
    (void)waitpid(r->g[i].pid, &status, 0);
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
        round_fault(r, FAULT_DAMAGE, "gateway %u died of signal %d", i, WTERMSIG(status));
    forget(&r->g[i]);
}

void round_kill(struct round *r, unsigned i)
{
    if (!r->g[i].pid)
        return;
    (void)kill(r->g[i].pid, SIGKILL);
    reap(r, i);
}

/* The answer to what was sent; a gateway that gives none in time is killed. */
static int answered(struct round *r, unsigned i, const char *what)
{
    if (!r->g[i].pid)
        return -1;
    int rc = process_answer(r, i, PATIENCE_MS, reply);
    uint64_t ms = clock_ms() - r->g[i].asked_at;
    if (rc < 0 || ms > TOLD_WITHIN_MS)
        round_fault(r, FAULT_SLOW, "gateway %u: %s was not answered in %llu ms", i, what, (unsigned long long)ms);
    return rc;
}

static int ask(struct round *r, unsigned i, const char *what)
{
    process_send(r, i, "%s", what);
    return answered(r, i, what);
}

void round_close(struct round *r, unsigned i)
{
    if (!r->g[i].pid)
        return;
    (void)ask(r, i, "close"); /* one that lost has something to complain of */
    if (r->g[i].pid)
        reap(r, i);
}

bool round_start(struct round *r, unsigned i, bool rebuild)
{
    process_start(r, i, rebuild);
    r->g[i].asked_at = clock_ms();
    if (rebuild)
        r->g[i].at = HISTORY_NONE;
    int rc = answered(r, i, "the start");
    if (rc > 0)
        reap(r, i);
    if (rc > 0 && i == LOOKER)
        round_fault(r, FAULT_DAMAGE, "nothing can be made of the bucket: %.300s", reply);
    return rc == 0;
}

static void parse(struct content *c)
{
    c->n = 0;
    for (char *p = reply, *end; c->n < MAX_OBJECTS; p = end) {
        uint64_t id = strtoull(p, &end, 10);
        if (p == end)
            break;
        c->object[c->n++] = id;
    }
}

static void describe(const struct content *c, char *text, size_t room)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < c->n && used + 32 < room; i++)
        used += (size_t)(c->object[i] ? snprintf(text + used, room - used, " %u.%llu", BLOCK_HOST(c->object[i]),
                                                 (unsigned long long)(c->object[i] & 0xffff))
                                      : snprintf(text + used, room - used, " |"));
}

/* What gateway i reads is what some host's operations made, whole; just loaded, also what is stored is in it, and it can
 * be read. The version, or HISTORY_NONE. */
static size_t read_tape(struct round *r, unsigned i, bool loaded)
{
    static struct content c;
    char text[600];
    int rc = ask(r, i, "read");
    if (rc) {
        r->g[i].out = true;
        /* Who lost the cartridge between its load and this read may refuse to read, if it says why. */
        bool excused = rc != GATEWAY_WRONG_BYTES && process_complained(r, i);
        if (!excused && (rc == GATEWAY_WRONG_BYTES || (rc > 0 && loaded)))
            round_fault(r, rc == GATEWAY_WRONG_BYTES ? FAULT_WRONG : FAULT_DAMAGE, "gateway %u: read: %d %.200s", i, rc,
                        reply);
        return HISTORY_NONE;
    }
    parse(&c);
    size_t v = history_find(&r->h, &c);
    describe(&c, text, sizeof(text));
    r->g[i].out = v == HISTORY_NONE;
    if (v == HISTORY_NONE)
        round_fault(r, FAULT_WRONG, "gateway %u reads a tape that nobody made:%s", i, text);
    else if (loaded && !history_is_current(&r->h, v))
        round_fault(r, i == LOOKER ? FAULT_LOST : FAULT_STALE,
                    "gateway %u reads a tape without what a host was told is stored:%s", i, text);
    return v;
}

/* The thread that finds it out says so when it has let go of the tape, which may be read by then. */
static bool complains_soon(const struct round *r, unsigned i)
{
    for (unsigned ms = 0; ms < 2000; ms += 10) {
        if (process_complained(r, i))
            return true;
        (void)usleep(10000);
    }
    return false;
}

void round_load(struct round *r, unsigned i)
{
    struct gateway *g = &r->g[i];
    bool old = g->at != HISTORY_NONE && !history_is_current(&r->h, g->at);
    if (!round_serves(r, i))
        return;
    if (ask(r, i, "load")) {
        g->out = true;
        g->at = HISTORY_NONE;
    } else {
        g->at = read_tape(r, i, true);
    }
    if (old && g->pid && !complains_soon(r, i))
        round_fault(r, FAULT_SILENT, "gateway %u is older than the bucket, and does not say so", i);
}

void round_claim(struct round *r, unsigned i)
{
    struct gateway *g = &r->g[i];
    if (!g->pid)
        return;
    if (ask(r, i, "claim")) {
        round_fault(r, FAULT_STUCK, "gateway %u cannot take the tape over: %.300s", i, reply);
        g->out = true;
        return;
    }
    g->out = false;
    g->at = HISTORY_NONE;
    round_load(r, i);
}

static void run_cp(struct round *r, unsigned from, unsigned to)
{
    char a[PATH_ROOM], b[PATH_ROOM], log[PATH_ROOM];
    (void)snprintf(a, sizeof(a), "%s/%u", r->root, from);
    (void)snprintf(b, sizeof(b), "%s/%u", r->root, to);
    (void)snprintf(log, sizeof(log), "%s/cp.log", r->root);
    char *rm[] = {"rm", "-rf", b, NULL}, *cp[] = {"cp", "-a", a, b, NULL};
    if (process_run(log, rm) || process_run(log, cp)) {
        fprintf(stderr, "%s: cannot be copied\n", a);
        exit(2);
    }
}

void round_copy(struct round *r, unsigned from, unsigned to)
{
    int status = 0;
    pid_t pid = r->g[from].pid;
    if (pid && (kill(pid, SIGSTOP) || waitpid(pid, &status, WUNTRACED) != pid))
        perror("stop");
    run_cp(r, from, to);
    if (pid)
        (void)kill(pid, SIGCONT);
    r->g[to].at = r->g[from].at;
}

/* ---- operations ---- */

static uint64_t new_id(struct round *r, unsigned i)
{
    return BLOCK_ID(r->number, i, ++r->next_id);
}

static bool go_to(struct round *r, unsigned i, size_t object)
{
    process_send(r, i, "at %zu", object);
    if (answered(r, i, "locate") == 0)
        return true;
    r->g[i].out = true;
    return false;
}

static size_t some_object(struct round *r, unsigned i)
{
    size_t n = r->h.v[r->g[i].at].c.n;
    return n ? (size_t)round_draw(r, n) : 0;
}

void round_send_write(struct round *r, unsigned i, bool overwrite)
{
    struct gateway *g = &r->g[i];
    size_t at = overwrite ? some_object(r, i) : r->h.v[g->at].c.n;
    uint64_t id = round_draw(r, 6) && !overwrite ? new_id(r, i) : overwrite ? new_id(r, i) : 0;
    g->syncs = false;
    if (overwrite && !go_to(r, i, at))
        return;
    g->next = history_add(&r->h, g->at, at, &id);
    if (id)
        process_send(r, i, "write %llu", (unsigned long long)id);
    else
        process_send(r, i, "mark");
}

void round_send_erase(struct round *r, unsigned i)
{
    struct gateway *g = &r->g[i];
    size_t at = some_object(r, i);
    g->syncs = false;
    if (!go_to(r, i, at))
        return;
    g->next = history_add(&r->h, g->at, at, NULL);
    process_send(r, i, "erase");
}

void round_send_sync(struct round *r, unsigned i)
{
    r->g[i].syncs = true;
    r->g[i].next = r->g[i].at;
    process_send(r, i, "sync");
}

bool round_take(struct round *r, unsigned i)
{
    struct gateway *g = &r->g[i];
    if (!round_serves(r, i))
        return false;
    if (answered(r, i, g->syncs ? "a sync" : "a write")) {
        g->out = true;
        return false;
    }
    g->at = g->next;
    r->h.v[g->at].synced = r->h.v[g->at].synced || g->syncs;
    return true;
}

bool round_write(struct round *r, unsigned i, unsigned n, bool sync)
{
    bool good = round_serves(r, i);
    for (unsigned k = 0; good && k < n; k++) {
        round_send_write(r, i, false);
        good = round_take(r, i);
    }
    if (good && sync) {
        round_send_sync(r, i);
        good = round_take(r, i);
    }
    return good;
}

void round_meddle(struct round *r, unsigned i)
{
    if (!chunked() || !r->g[i].pid || round_draw(r, 3))
        return;
    uint64_t id = BLOCK_ID(r->number, 8 + i, r->next_id + 1);
    r->next_id += LENT;
    process_send(r, i, "%s %llu", round_draw(r, 2) ? "spoil" : "seize", (unsigned long long)id);
    (void)answered(r, i, "writing the lender"); /* it may be the other's */
}

void round_contest(struct round *r, unsigned steps)
{
    for (unsigned s = 0; s < steps; s++) {
        bool busy[2] = {false, false};
        for (unsigned i = 0; i < 2; i++) {
            uint64_t what = round_draw(r, 13);
            if (what > 9 || !round_serves(r, i)) /* a pause: they do not go in step */
                continue;
            busy[i] = true;
            if (what < 4)
                round_send_sync(r, i);
            else
                round_send_write(r, i, what == 9);
        }
        for (unsigned i = 0; i < 2; i++)
            if (busy[i])
                (void)round_take(r, i);
        unsigned reader = (unsigned)round_draw(r, 10);
        if (reader < 2 && round_serves(r, reader))
            r->g[reader].at = read_tape(r, reader, false);
        round_meddle(r, (unsigned)(s % 2));
    }
}

void round_hook(struct round *r, unsigned i, enum store_hook what, const char *part, unsigned nth)
{
    process_send(r, i, "hook %d %s %u", (int)what, part, nth);
    (void)answered(r, i, "a hook");
}

void round_await_stop(struct round *r, unsigned i)
{
    int status = 0;
    pid_t pid = r->g[i].pid;
    for (unsigned ms = 0; ms < 400; ms += 2) {
        if (waitpid(pid, &status, WUNTRACED | WNOHANG) == pid)
            return;
        (void)usleep(2000);
    }
    (void)kill(pid, SIGSTOP);
    (void)waitpid(pid, &status, WUNTRACED);
}

void round_continue(struct round *r, unsigned i)
{
    make_dir(r, "side/go-on");
    if (r->g[i].pid)
        (void)kill(r->g[i].pid, SIGCONT);
    r->g[i].asked_at = clock_ms(); /* its time begins now */
}

void round_land_late(struct round *r)
{
    char path[PATH_ROOM];
    struct objstore *s = NULL;
    struct errtext err = {""};
    (void)snprintf(path, sizeof(path), "%s/store", r->root);
    struct objstore_config oc = {.type = "dir", .path = path, .prefix = ""};
    if (objstore_open(&oc, &s, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(2);
    }
    (void)store_land_late(s);
    s->ops->close(s);
}

void round_flush_ends(struct round *r, unsigned i)
{
    if (!r->g[i].pid)
        return;
    (void)ask(r, i, "flush");
    uint64_t ms = clock_ms() - r->g[i].asked_at;
    if (ms > 5000)
        round_fault(r, FAULT_SLOW, "gateway %u: flush --remote took %llu ms to say: %.200s", i, (unsigned long long)ms,
                    reply);
}

/* ---- beginning and end ---- */

static void write_config(const struct round *r, unsigned i)
{
    char path[PATH_ROOM];
    (void)snprintf(path, sizeof(path), "%s/%u.conf", r->root, i);
    FILE *f = fopen(path, "we");
    if (!f ||
        fprintf(f,
                "[library]\nname = twins\nstate_dir = %s/%u\nslots = 4\ndrives = %d\n[store]\npath = %s/store\n"
                "[spool]\nsegment_size = 1M\ncache_size = %s\nidle_seal = 1h\ndurability = %s\n%s",
                r->root, i, chunked() ? 2 : 1, r->root, r->number & 16 ? "0" : "8M",
                r->number % 5 == 4 ? "local" : "remote", chunked() ? CHUNKED_CONFIG : "") < 0 ||
        fclose(f)) {
        perror(path);
        exit(2);
    }
}

static void set_number(const char *name, unsigned long n)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%lu", n);
    (void)setenv(name, text, 1);
}

void round_begin(struct round *r, unsigned list_ms)
{
    char from[PATH_ROOM], side[PATH_ROOM], log[PATH_ROOM];
    (void)snprintf(from, sizeof(from), "%s/blank", r->work);
    (void)snprintf(log, sizeof(log), "%s/cp.log", r->work);
    (void)snprintf(side, sizeof(side), "%s/side", r->root);
    char *cp[] = {"cp", "-a", from, r->root, NULL};
    if (process_run(log, cp)) {
        fprintf(stderr, "%s: cannot be copied\n", from);
        exit(2);
    }
    make_dir(r, "side");
    make_dir(r, "side/keys");
    make_dir(r, "side/late");
    (void)setenv("TWINS_SIDE", side, 1);
    set_number("TWINS_LIST_MS", list_ms);
    if (round_draw(r, 2))
        (void)setenv("TWINS_OVERWRITES", "1", 1);
    else
        (void)unsetenv("TWINS_OVERWRITES");
    for (unsigned i = 0; i < GATEWAYS; i++)
        write_config(r, i);
    history_start(&r->h);
}

/* Whoever still believes in the tape writes once more, and is told; then what the bucket has is looked at. */
static void settle(struct round *r)
{
    unsigned first = (unsigned)round_draw(r, 2);
    round_land_late(r);
    for (unsigned k = 0; k < 2; k++)
        (void)round_write(r, first ^ k, 1, true);
    first = (unsigned)round_draw(r, 2);
    for (unsigned k = 0; k < 2; k++)
        round_close(r, first ^ k);
}

static void look(struct round *r)
{
    char conf[PATH_ROOM], log[PATH_ROOM], path[PATH_ROOM];
    if (round_start(r, LOOKER, true))
        round_load(r, LOOKER);
    if (r->g[LOOKER].out)
        round_fault(r, FAULT_DAMAGE, "the tape cannot be read from the bucket");
    if (chunked() && r->g[LOOKER].pid) {
        int rc = ask(r, LOOKER, "readlender");
        if (rc)
            round_fault(r, rc == GATEWAY_WRONG_BYTES ? FAULT_WRONG : FAULT_DAMAGE, "the lender: read: %d %.200s", rc,
                        reply);
    }
    round_close(r, LOOKER);
    (void)snprintf(conf, sizeof(conf), "%s/2.conf", r->root);
    (void)snprintf(log, sizeof(log), "%s/verify.log", r->root);
    char *verify[] = {"build/s3vtl", "-c", conf, "verify", "--all", NULL};
    if (process_run(log, verify))
        round_fault(r, FAULT_DAMAGE, "verify finds damage");
    (void)snprintf(path, sizeof(path), "%s/side/twice", r->root);
    char key[300];
    FILE *f = fopen(path, "re");
    while (f && fgets(key, sizeof(key), f))
        round_fault(r, FAULT_TWICE, "put with two contents: %.*s", (int)strcspn(key, "\n"), key);
    if (f)
        (void)fclose(f);
}

static void count_leans(struct round *r)
{
    for (unsigned i = 0; i < GATEWAYS; i++) {
        char state[PATH_ROOM];
        (void)snprintf(state, sizeof(state), "%s/%u", r->root, i);
        struct leaning l = leaning_of(state);
        r->leaning.leans += l.leans;
        r->leaning.kept += l.kept;
    }
}

/* What each state gives at its next start. */
static void look_again(struct round *r, unsigned i)
{
    if (round_start(r, i, false))
        round_load(r, i);
    round_close(r, i);
}

void round_end(struct round *r, bool keep)
{
    char path[PATH_ROOM];
    settle(r);
    look(r);
    count_leans(r);
    if (round_draw(r, 2))
        look_again(r, (unsigned)round_draw(r, 2));
    char *rm[] = {"rm", "-rf", r->root, NULL};
    (void)snprintf(path, sizeof(path), "%s/rm.log", r->work);
    if (!keep && !(r->faults && getenv("KEEP")))
        (void)process_run(path, rm);
}
