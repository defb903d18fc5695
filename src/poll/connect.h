/* Sessions as the fetchrc describes them: from an account or a destination to a logged-in POP3 or SMTP
 * session.
 *
 * Ownership: everything in the parameters is borrowed; the session is the caller's. Threads: any. Errors:
 * those of pop3_open(), smtp_open(), secret_get() and oauth_token(). */
#ifndef POPFERRY_POLL_CONNECT_H
#define POPFERRY_POLL_CONNECT_H

#include <stdbool.h>

#include "base/buf.h"
#include <stdint.h>

#include "config/config.h"
#include "protocol/oauth.h"
#include "protocol/pop3.h"
#include "protocol/smtp.h"

struct connect_params {
    const struct config *config;
    const char *state_dir;                /* where OAuth2 tokens are; connect_mailbox() only */
    bool no_login;                        /* connect and encrypt, nothing more; no secret is fetched */
    struct wire_certificate *certificate; /* told even when the session fails; may be NULL */
};

/* Fetch the account's password or token, connect, log in. A token that the server refuses is replaced once.
 * login is told also when -1 is returned. */
int connect_mailbox(struct pop3 **pop3, const struct connect_params *params,
                    const struct config_account *account, struct pop3_login *login, struct fault *fault);

/* The destination's password into `secret` (cap SECRET_MAX), which stays empty where the fetchrc has none. */
int connect_destination_secret(const struct config *config, const struct config_destination *destination,
                               struct buf *secret, struct fault *fault);

/* Connect, EHLO, log in. password: from connect_destination_secret(), NULL: none. */
int connect_destination(struct smtp **smtp, const struct connect_params *params,
                        const struct config_destination *destination, const char *password,
                        struct fault *fault);

/* What OAuth2 needs to know of an account that has an `oauth`. */
void connect_oauth_params(const struct config *config, const struct config_account *account,
                          const char *state_dir, struct oauth_params *params);

/* How long a session of either protocol may lie idle before NOOP is said, in milliseconds: a sixth of
 * `timeout`, from one second to ten. */
int64_t connect_noop_ms(const struct config *config);

#endif
