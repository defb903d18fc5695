/* Where passwords and tokens come from; wiped after use.
 *
 * Ownership: the caller gives a struct buf and frees it with buf_free(), which wipes. Threads: any; password
 * commands run one at a time. Errors: FAULT_OF_MAILBOX, stage "secret". FAULT_LOGIN (exit 77): no secret, or
 * a command that failed, with the first line of its stderr (never its stdout). FAULT_RETRY: a signal has
 * asked the run to end. */
#ifndef POPFERRY_CONFIG_SECRET_H
#define POPFERRY_CONFIG_SECRET_H

#include "base/buf.h"
#include "config/config.h"

/* Fetch the secret into out, in place of what is there (NUL-terminated; one trailing newline, and a CR before
 * it, is cut; an empty one or a control character within it is a fault). Room for SECRET_MAX octets at most
 * is used. timeout: seconds for a password_command, which is then ended with its children. Nothing is printed
 * on or read from the terminal by us. */
#define SECRET_MAX (64u << 10)
int secret_get(const struct config_secret *secret, unsigned timeout, struct buf *out, struct fault *fault);

/* Run a command of the user's (sh -c) and take its standard output, as above. Not held back by the gate. */
int secret_command(const char *command, unsigned timeout, struct buf *out, struct fault *fault);

/* The access token that the account's token_command prints; commands run one at a time, as in
 * secret_get(). */
int secret_token(const struct config_account *account, unsigned timeout, struct buf *out,
                 struct fault *fault);

/* Whether any source is set. */
bool secret_is_set(const struct config_secret *secret);

#endif
