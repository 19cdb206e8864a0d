/* SPDX-License-Identifier: GPL-2.0-or-later */
/* escrow_secret.c: the secret key of an escrow, to paper and from there; see escrow.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/secret.h"
#include "vtl/cmd/escrow.h"

static int no_memory(struct errtext *err)
{
    return errtext_set(err, -ENOMEM, "no locked memory for the key: %s (ulimit -l)", strerror(errno));
}

/* By no stream: that would have a copy in its buffer. */
static int write_text(int fd, const char *text, struct errtext *err)
{
    int rc = file_write_all(fd, text, strlen(text));
    return rc ? errtext_set(err, rc, "the keys cannot be written: %s", strerror(-rc)) : 0;
}

static int write_page(int fd, const char *secret, const char *public_key, struct errtext *err)
{
    char after[ESCROW_TEXT_SIZE + 100];
    (void)snprintf(after, sizeof(after), "\n\nPut this into the configuration:\n\n    [escrow]\n    public_key = %s\n",
                   public_key);
    int rc = write_text(
        fd,
        "Write this on paper, twice, and keep it where a fire here does not reach. It is stored nowhere, and\n"
        "without it no escrow opens:\n\n    ",
        err);
    if (!rc)
        rc = write_text(fd, secret, err);
    return rc ? rc : write_text(fd, after, err);
}

int escrow_write_keys(int fd, struct errtext *err)
{
    secret_no_core_dumps();
    uint8_t *secret = secret_new(ESCROW_KEY_SIZE), public_key[ESCROW_KEY_SIZE];
    char *text = secret_new(ESCROW_TEXT_SIZE), public_text[ESCROW_TEXT_SIZE];
    int rc = -ENOMEM;
    if (!secret || !text)
        (void)no_memory(err);
    else if (!(rc = escrow_key_make(secret, public_key, err))) {
        escrow_key_format(ESCROW_SECRET, secret, text);
        escrow_key_format(ESCROW_PUBLIC, public_key, public_text);
        rc = write_page(fd, text, public_text, err);
    }
    secret_free(secret, ESCROW_KEY_SIZE);
    secret_free(text, ESCROW_TEXT_SIZE);
    return rc;
}

int escrow_read_secret(const char *file, uint8_t secret[ESCROW_KEY_SIZE], struct errtext *err)
{
    enum { ROOM = 4 * ESCROW_TEXT_SIZE };
    secret_no_core_dumps();
    char *text = secret_new(ROOM);
    if (!text)
        return no_memory(err);
    int fd = strcmp(file, "-") ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    ssize_t n = 0, got = fd < 0 ? -1 : 1;
    while (got > 0 && n < ROOM - 1) {
        got = read(fd, text + n, (size_t)(ROOM - 1 - n));
        n += got > 0 ? got : 0;
    }
    int rc = got < 0 ? errtext_set(err, -errno, "%s: %s", file, strerror(errno))
                     : escrow_key_parse(ESCROW_SECRET, text, secret, err);
    if (fd > STDIN_FILENO)
        close(fd);
    secret_free(text, ROOM);
    return rc;
}
