/* OAuth2 for mail: access tokens from refresh tokens (RFC 6749 section 6), device authorization (RFC 8628),
 * and authorization code with PKCE over a loopback redirect (RFC 8252, RFC 7636). HTTPS by libcurl, JSON by
 * jansson.
 *
 * Tokens live in the state directory (oauth/IDENTITY-HASH.json, mode 0600, written to a temporary name,
 * fsynced, renamed), one file an account. A rotated refresh token is stored durably before the access token
 * that came with it is used, and the room for it is made before it is asked for; the one before it is kept
 * until the new one has served. A file lock keeps parallel runs to one refresh. Ownership: tokens go into the
 * caller's struct buf, which wipes. Threads: any. Errors: FAULT_OF_MAILBOX; FAULT_LOGIN (invalid_grant and
 * the like, no token yet), FAULT_RETRY (network, 5xx), FAULT_PROTOCOL (malformed answers, redirects,
 * certificates), FAULT_CONFIG (endpoints), FAULT_STATE. Tokens, codes and client secrets are in no fault and
 * no log; -vv shows the endpoint and the HTTP status. */
#ifndef POPFERRY_PROTOCOL_OAUTH_H
#define POPFERRY_PROTOCOL_OAUTH_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/fault.h"

/* The cap that a caller's buffer for an access token needs. */
#define OAUTH_TOKEN_MAX (16 * 1024)

struct oauth_params {
    const char *account;  /* title, for messages ("run popferry authorize gmail again") */
    const char *identity; /* username@host: names the token file */
    const char *username; /* login hint */
    const char *state_dir;
    const char *token_endpoint;         /* https://; http:// to a loopback host only */
    const char *device_endpoint;        /* NULL: none */
    const char *authorization_endpoint; /* NULL: none */
    const char *client_id;
    const char *client_secret; /* NULL: none */
    const char *scope;         /* NULL: none */
    const char *tls_ca_file;   /* NULL: the system's */
    const char *proxy;         /* NULL: none, whatever the environment says */
    const char *refresh_token; /* from a credential or password_command; NULL: from the state directory. Those
                                  that replace it are kept in the state directory until this one changes. */
    unsigned timeout;          /* seconds, for each request */
};

/* An access token that is good for another 60 s at least (or as long as the server gives them): cached, or
 * refreshed. refuse: the one that the server has just refused (NULL: none), which is not handed out again.
 * `token` (cap: OAUTH_TOKEN_MAX) is replaced. Returns 0, or -1 with the fault. */
int oauth_token(const struct oauth_params *params, const char *refuse, struct buf *token,
                struct fault *fault);

/* The login by hand: shows address and code on `out`, waits, stores the refresh token. `in`: where a
 * pasted-back code is read (NULL: nowhere). The device flow where device_endpoint is set, else the browser
 * flow; 10 minutes at most for the latter. Returns 0, or -1 with the fault. */
int oauth_authorize(const struct oauth_params *params, FILE *in, FILE *out, struct fault *fault);

/* The tokens of a mailbox that has a new name go with it. Tokens that are there under the new name are newer,
 * and stay. from, to: identities (username@host). Returns 0, or -1 with the fault. */
int oauth_move(const char *state_dir, const char *from, const char *to, struct fault *fault);

#endif
