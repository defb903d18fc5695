/* A mailbox as a .fetchmailrc describes it. Plain data; the strings stand in the file's text.
 * Threads: one. Errors: noted in the import. */
#ifndef POPFERRY_COMMANDS_IMPORT_FETCHMAIL_H
#define POPFERRY_COMMANDS_IMPORT_FETCHMAIL_H

#include "commands/import_private.h"

#define NAMES_MAX 256
#define NOTES_MAX 4096

/* `is` and `to`: names, and pairs of them. */
struct names {
    const char *from[NAMES_MAX];
    const char *to[NAMES_MAX];
    size_t count;
};

/* What applies to a server and its user. Copied from defaults to server to user. */
struct settings {
    const char *poll; /* the name behind poll or skip; NULL: none yet */
    const char *via, *protocol, *service, *auth, *timeout, *envelope, *qvirtual, *esmtpname, *esmtppassword;
    const char *user, *password, *sslproto, *sslcert, *sslkey, *sslcertfile, *sslfingerprint, *smtphost,
        *smtpaddress, *smtpname;
    const char *limit, *fetchlimit, *mda;
    bool ssl, keep, lmtp, rewrite, sslcertck, no_envelope, skip;
    struct names names;
    bool own_names;        /* not from the defaults */
    struct names domains;  /* local domains and akas, for multidrop */
    char notes[NOTES_MAX]; /* keywords without a counterpart, each with "\n" */
};

/* Turn it into an account. */
void import_fetchmail_account(struct import *import, const struct settings *settings);

#endif
