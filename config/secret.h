/* Where passwords and tokens come from; wiped after use.
 *
 * Ownership: the caller gives a struct buf and frees it with buf_free(), which wipes. Threads: any; password commands run one at a time.
 * Errors: FAULT_OF_MAILBOX, FAULT_LOGIN (exit 77): no secret, or a command that failed, with its stderr (never its stdout). */
#ifndef POPFERRY_CONFIG_SECRET_H
#define POPFERRY_CONFIG_SECRET_H

#include "base/buf.h"
#include "config/config.h"

/* Fetch the secret into out (NUL-terminated; one trailing newline, and a CR before it, is cut; NUL, CR or LF within it is a fault).
 * timeout: seconds for a password_command, which is then ended with its children. Nothing is printed on or read from the terminal by us. */
int secret_get(const struct config_secret *secret, unsigned timeout, struct buf *out, struct fault *fault);

/* Run a command of the user's (sh -c) and take its standard output, as above. */
int secret_command(const char *command, unsigned timeout, struct buf *out, struct fault *fault);

/* Whether any source is set. */
bool secret_is_set(const struct config_secret *secret);

#endif
