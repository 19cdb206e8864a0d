/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mail.c: see mail.h. */
#include "vtl/cmd/mail.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vtl/cmd/spawn.h"

bool mail_address_ok(const char *address)
{
    size_t n = strlen(address);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)address[i]) && !strchr("@.!#$%&'*+/=?^_`{|}~-", address[i]))
            return false;
    const char *at = strchr(address, '@');
    return n && n < 255 && address[0] != '-' && address[0] != '@' && (!at || (at[1] && !strchr(at + 1, '@')));
}

/* The subject has no line end (RFC 5322 2.2), and what is not ASCII would need another form. */
static void put_subject(FILE *f, const char *subject)
{
    fputs("Subject: ", f);
    for (const char *p = subject; *p && p - subject < 200; p++)
        fputc(*p >= ' ' && *p <= '~' ? *p : '?', f);
    fputc('\n', f);
}

static void put_message(FILE *f, const char *to, const char *subject, const char *text)
{
    fprintf(f, "To: %s\n", to);
    put_subject(f, subject);
    fputs("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
          "Auto-Submitted: auto-generated\n\n",
          f);
    fputs(text, f);
}

int mail_send(const char *to, const char *subject, const char *text, struct errtext *err)
{
    const char *given = getenv("S3VTL_SENDMAIL"), *program = given && given[0] ? given : "/usr/sbin/sendmail";
    char *argv[] = {(char *)(uintptr_t)program, "-oi", "-t", NULL};
    pid_t pid = 0;
    int in = -1, status = 0;
    if (access(program, X_OK))
        return errtext_set(err, -ENOENT,
                           "%s: %s: no mail can be sent: install a mail system that has it, such as postfix, or let "
                           "what reads this command's output send it",
                           program, strerror(errno));
    int rc = spawn_with_input(argv, NULL, &pid, &in);
    FILE *f = rc ? NULL : fdopen(in, "w");
    if (rc)
        return errtext_set(err, rc, "%s: %s", program, strerror(-rc));
    (void)signal(SIGPIPE, SIG_IGN); /* it may end before it has read all: its exit status tells then */
    bool wrote = f != NULL;
    if (f) {
        put_message(f, to, subject, text);
        wrote = !ferror(f);
        wrote = !fclose(f) && wrote;
    } else {
        close(in);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (wrote && WIFEXITED(status) && !WEXITSTATUS(status))
        return 0;
    return errtext_set(err, -EIO, "%s: the mail to %s is not sent: it ended with %s %d", program, to,
                       WIFSIGNALED(status) ? "signal" : "status",
                       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}
