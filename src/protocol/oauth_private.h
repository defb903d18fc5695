/* What the oauth files share: forms, answers, the token file, HTTPS. For them and their tests only.
 *
 * Threads: any; nothing is shared but the token file, which the lock guards. Ownership
 * and errors: as in oauth.h, but where a function says otherwise. */
#ifndef POPFERRY_PROTOCOL_OAUTH_PRIVATE_H
#define POPFERRY_PROTOCOL_OAUTH_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/fault.h"
#include "protocol/oauth.h"

#define OAUTH_ANSWER_MAX (64 * 1024) /* octets of an HTTP answer's body */
#define OAUTH_RANDOM_SIZE 44         /* 32 random octets in base64url, and a NUL */

/* ---- oauth_answer.c: pure ---- */

/* A form (application/x-www-form-urlencoded) and the secrets in it, which no fault may quote. */
struct oauth_form {
    struct buf text;
    const char *secrets[4]; /* the caller's; they outlive the form */
    size_t secret_count;
    bool broken; /* memory was short */
};

void oauth_form_init(struct oauth_form *form);
/* value NULL: left out. */
void oauth_form_add(struct oauth_form *form, const char *name, const char *value);
void oauth_form_add_secret(struct oauth_form *form, const char *name, const char *value);
void oauth_form_free(struct oauth_form *form);

/* A token endpoint's answer (RFC 6749 sections 5.1 and 5.2). */
struct oauth_answer {
    char *access_token;  /* NULL with an error */
    char *refresh_token; /* NULL: none */
    int64_t expires_in;  /* seconds, 0: not said */
    char error[64];      /* "": none */
    char *description;   /* as the server wrote it; NULL: none */
};

/* Read one. Returns 0, or -1 with *why: what is wrong with it. */
int oauth_answer_parse(const char *data, size_t len, struct oauth_answer *answer, const char **why);
/* Wipes. */
void oauth_answer_free(struct oauth_answer *answer);

/* A device authorization endpoint's answer (RFC 8628 section 3.2). */
struct oauth_device {
    char *device_code;
    char user_code[64];
    char uri[512];
    char uri_complete[1024]; /* "": not given */
    int64_t expires_in;      /* seconds */
    int64_t interval;        /* seconds, at least 1 */
};

int oauth_device_parse(const char *data, size_t len, struct oauth_device *device, const char **why);
void oauth_device_free(struct oauth_device *device);

/* A string that is wiped before it is given back. NULL is nothing. */
void oauth_free_secret(char *secret);

/* Put "***" in place of `secret` wherever it stands in `text`, percent-encoded or not. */
void oauth_mask(char *text, const char *secret);

/* 32 random octets in base64url: PKCE verifier (RFC 7636 section 4.1) and state. Returns -1 without
 * randomness. */
int oauth_random(char out[OAUTH_RANDOM_SIZE]);

/* S256 (RFC 7636 section 4.2). */
void oauth_pkce_challenge(const char *verifier, char out[OAUTH_RANDOM_SIZE]);

/* SHA-256 of text in lower-case hex. */
void oauth_digest(const char *text, char out[65]);

/* What came back from the browser: a request line, the whole redirect URL, or the bare code as a person
 * pasted it. */
enum oauth_redirect {
    OAUTH_REDIRECT_NONE,   /* no code in it, or one that answers another request (state) */
    OAUTH_REDIRECT_CODE,   /* `value` is the authorization code */
    OAUTH_REDIRECT_DENIED, /* `value` is the error (RFC 6749 section 4.1.2.1) */
};
/* bare: text may be a code alone. */
enum oauth_redirect oauth_redirect_parse(const char *text, const char *state, bool bare, char *value,
                                         size_t size);

/* Whether a token or code is made of printable ASCII without spaces: it goes into a SASL message. */
bool oauth_token_ok(const char *token);

/* ---- oauth_store.c ---- */

/* The token file. NULL strings: not in it. */
struct oauth_file {
    char *token_endpoint; /* whom the tokens belong to: they are sent nowhere else */
    char *client_id;
    char *origin; /* SHA-256 of the configured refresh token that these replaced; NULL: from `authorize` */
    char *refresh_token;
    char *previous; /* the one before, until refresh_token has served */
    char *access_token;
    int64_t obtained_at; /* seconds since the epoch */
    int64_t expires_at;  /* 0: unknown, not to be cached */
};

void oauth_file_free(struct oauth_file *file);

/* Its name: the readable part of the identity, and a hash. */
void oauth_file_name(const char *identity, char *dst, size_t size);

/* Read it. A missing one leaves `file` empty. */
int oauth_file_load(const struct oauth_params *params, struct oauth_file *file, struct fault *fault);

/* Room on the disk for the next token file, taken before a refresh is asked for: what the answer brings can
 * be stored even if the disk fills up meanwhile. The lock must be held. */
struct oauth_slot {
    int dir;
    int fd;
    char name[128];
    char temp[136];
};
int oauth_slot_open(const struct oauth_params *params, struct oauth_slot *slot, struct fault *fault);
/* Durable when 0 is returned: fsync, rename, fsync of the directory. Closes the slot either way. */
int oauth_slot_commit(struct oauth_slot *slot, const struct oauth_file *file, struct fault *fault);
void oauth_slot_close(struct oauth_slot *slot);

/* The lock of an identity's token file; waits for another run, at most three timeouts. Returns it, or -1. */
int oauth_lock(const struct oauth_params *params, struct fault *fault);

/* ---- oauth_http.c ---- */

/* The host of an address, for messages. Returns dst. */
char *oauth_host(const char *url, char *dst, size_t size);

/* POST a form. Redirects are never followed. Returns 0 with body and HTTP status (200, or 400 and above), or
 * -1. */
int oauth_post(const struct oauth_params *params, const char *endpoint, const struct oauth_form *form,
               struct buf *body, long *status, struct fault *fault);

/* ---- oauth.c ---- */

/* Ask the token endpoint. Returns 0 with an answer that holds tokens or an `error`; -1 for network, malformed
 * answers, 5xx. */
int oauth_ask(const struct oauth_params *params, const struct oauth_form *form, struct oauth_answer *answer,
              struct fault *fault);

/* Tell an answer's error as a fault: FAULT_LOGIN, or FAULT_RETRY where it passes. */
int oauth_refused(const struct oauth_params *params, const char *endpoint, const struct oauth_form *form,
                  const struct oauth_answer *answer, struct fault *fault);

/* Take the tokens of an answer into the file. */
int oauth_file_take(const struct oauth_params *params, struct oauth_file *file, struct oauth_answer *answer);

/* ---- oauth_loopback.c ---- */

/* The listener that a browser's redirect reaches (RFC 8252 section 7.3), and the terminal where its address
 * can be pasted. */
struct oauth_loopback;

int oauth_loopback_open(struct oauth_loopback **loopback, unsigned *port, struct fault *fault);
void oauth_loopback_close(struct oauth_loopback *loopback);
/* Wait, at most `seconds`, for the redirect that carries `state`. in: a descriptor to read pasted lines from,
 * or -1. Returns 0 with the authorization code, or -1. */
int oauth_loopback_wait(struct oauth_loopback *loopback, int in, const char *state, int64_t seconds,
                        char *code, size_t size, struct fault *fault);

#endif
