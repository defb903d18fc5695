/* OAuth2 for mail: access tokens from refresh tokens (RFC 6749 section 6), device authorization (RFC 8628), and
 * authorization code with PKCE over a loopback redirect (RFC 8252, RFC 7636). HTTPS by libcurl, JSON by jansson.
 *
 * Tokens live in the state directory (oauth/TITLE-HASH.json, mode 0600, written to a temporary name, fsynced, renamed), one file an account. A rotated refresh
 * token is stored durably before the access token that came with it is used. A file lock keeps parallel runs to one refresh.
 * Ownership: tokens go into the caller's struct buf, which wipes. Threads: any.
 * Errors: FAULT_OF_MAILBOX; FAULT_LOGIN (invalid_grant and the like), FAULT_RETRY (network, 5xx), FAULT_PROTOCOL (malformed answers), FAULT_STATE. */
#ifndef POPFERRY_PROTOCOL_OAUTH_H
#define POPFERRY_PROTOCOL_OAUTH_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/fault.h"

struct oauth_params {
    const char *account;  /* title, for messages ("run popferry authorize gmail again") */
    const char *identity; /* username@host: names the token file */
    const char *username; /* login hint */
    const char *state_dir;
    const char *token_endpoint;
    const char *device_endpoint;
    const char *authorization_endpoint;
    const char *client_id;
    const char *client_secret; /* NULL: none */
    const char *scope;
    const char *tls_ca_file; /* NULL: the system's */
    const char *refresh_token; /* from a credential or password_command; NULL: from the state directory */
    unsigned timeout;        /* seconds */
};

/* An access token that is good for another 60 s at least: cached, or refreshed. refuse: the one that the server has just refused
 * (NULL: none), which is not handed out again. */
int oauth_token(const struct oauth_params *params, const char *refuse, struct buf *token, struct fault *fault);

/* The login by hand: shows address and code on `out`, waits, stores the refresh token. `in`: where a pasted-back code is read. */
int oauth_authorize(const struct oauth_params *params, FILE *in, FILE *out, struct fault *fault);

#endif
