/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow_run.c: s3vtl escrow run: makes an escrow, if there is something new. */
#include <signal.h>
#include <stdio.h>

#include "vtl/cmd/cmd.h"
#include "vtl/cmd/escrow.h"

static atomic_bool interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    atomic_store(&interrupted, true);
}

/* What escrow_make asks, and tells. */
struct run {
    const struct vtl_config *cfg;
    struct progress *progress;
};

static void show_trouble(void *arg, const char *text)
{
    progress_trouble(((struct run *)arg)->progress, text);
}

static json_t *list_cartridges(void *arg)
{
    return escrow_cartridges(((struct run *)arg)->cfg);
}

static void say(const struct command_line *cl, const struct escrow_making *x)
{
    char size[HUMAN_ROOM], missing[HUMAN_ROOM];
    if (cl->json) {
        json_t *j =
            json_pack("{s:s, s:I, s:I, s:I, s:b}", "name", x->made.key, "created", (json_int_t)x->created, "bytes",
                      (json_int_t)x->made.size, "missing", (json_int_t)x->missing, "whole", (int)x->whole);
        print_json(j);
        json_decref(j);
    } else if (!cl->quiet) {
        printf("%s: %s, read back and good\n", x->made.key, human_size(x->made.size, size));
    }
    if (x->unpruned.text[0])
        fail("it is made; older ones than [escrow] keep says stay: %s", x->unpruned.text);
    if (!x->whole)
        fail("the store was never quiet: when the catalogue was copied, %s that it names were not off-site yet; run it "
             "again after the backup",
             x->missing ? human_size(x->missing, missing) : "objects");
}

static int make_one(const struct command_line *cl, struct escrow_making *x)
{
    struct errtext err = {""};
    struct run r = {.cfg = x->cfg, .progress = progress_start("escrow", cl->quiet, NULL, NULL)};
    x->cancel = &interrupted;
    x->cartridges = list_cartridges;
    x->trouble = show_trouble;
    x->arg = &r;
    int rc = escrow_make(x, &err);
    progress_end(r.progress);
    if (rc)
        return fail("%s", err.text);
    if (x->needless && !cl->quiet)
        printf("%s\n", ESCROW_NEEDLESS);
    if (x->needless)
        return EXIT_DONE;
    say(cl, x);
    return x->whole ? EXIT_DONE : EXIT_FAILED;
}

/* Is there one already of what there is now? */
static bool has_one(const struct escrow_making *x)
{
    struct escrow_last last;
    escrow_last_read(x->cfg, &last);
    return last.created && last.whole && last.content == x->content;
}

static int run(const struct command_line *cl, const struct vtl_config *cfg, bool force)
{
    struct escrow_making x = {.cfg = cfg};
    struct errtext err = {""};
    bool needless = escrow_is_needless(cfg, NULL);
    if (!needless && !config_has_escrow(cfg))
        return fail("%s", escrow_no_place(cfg, &err));
    if (!needless && escrow_content(cfg, &x.content))
        return EXIT_FAILED;
    bool done = !needless && !force && has_one(&x);
    if ((needless || done) && !cl->quiet)
        printf("%s\n",
               needless ? ESCROW_NEEDLESS
                        : "No cartridge was committed since the last escrow, to this key in this place: none is made.");
    return needless || done ? EXIT_DONE : make_one(cl, &x);
}

int cmd_escrow_run(const struct command_line *given)
{
    struct command_line cl = *given;
    bool force = take_flag(&cl, "--force");
    if (!check_arguments(&cl, 0, false, "escrow run [--force]"))
        return EXIT_USAGE;
    struct vtl_config *cfg = load_config(&cl);
    if (!cfg)
        return EXIT_FAILED;
    (void)signal(SIGINT, interrupt);
    (void)signal(SIGTERM, interrupt);
    int status = run(&cl, cfg, force);
    config_free(cfg);
    return status;
}
