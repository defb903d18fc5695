/* One connection to a POP3, SMTP or LMTP server: deadlines, lines and bytes in, bytes out.
 *
 * libcurl connects, encrypts (implicit TLS, STLS, STARTTLS), checks certificates, goes through proxies and,
 * for the mechanisms that are its own, logs in; then the dialogue is ours. Nothing here knows what a command
 * means.
 *
 * Ownership: wire_open() gives a wire to the caller, wire_close() ends it (no QUIT is sent). Threads: one
 * wire is used by one thread at a time. Errors: every function that fails fills `fault` with the scope given
 * in the parameters; after a failure the wire is only good for wire_close(), but lines that had come before a
 * failed wire_write() or wire_flush() (a refusal in the middle of a body) can still be read. Timeouts: a
 * reply line must be complete within `timeout`; a long answer must bring at least 1 KiB, or its end, within
 * it; sending likewise. Once stop_requested() says so no wait lasts longer than 5 s in all, and connecting
 * ends at once (FAULT_RETRY). Deadlock: while output waits for room, input is read, up to the buffer's cap.
 * Transcript: with -vv every command and reply line is logged; what was marked secret is logged as "***".
 * Secrets: what a server repeats of the login's secrets is replaced by "***" in every reply line, behind its
 * status, until the login has ended; wire_answer_line() and wire_peek() give octets as they came. */
#ifndef POPFERRY_PROTOCOL_WIRE_H
#define POPFERRY_PROTOCOL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/terms.h"

#define WIRE_LINE_MAX 8192   /* octets of a reply line that are kept; the rest of a longer one is dropped */
#define WIRE_REFUSAL_MAX 512 /* octets of a quoted refusal, with its NUL */

enum wire_service { WIRE_POP3, WIRE_SMTP, WIRE_LMTP };

/* What a server's certificate says, for `popferry check`; filled when the handshake got that far, even if it
 * failed. */
struct wire_certificate {
    bool seen;
    char subject[256];
    char issuer[256];
    int64_t not_after;    /* seconds since the epoch */
    char fingerprint[65]; /* SHA-256 of the certificate, lower-case hex */
    char tls_version[16];
};

struct wire_params {
    const char *tag; /* account or destination, for the transcript */
    enum fault_scope scope;
    enum wire_service service;
    const char *host;
    unsigned port;
    const char *socket; /* LMTP: a unix socket instead of host and port; NULL: none */
    enum tls_mode tls;
    const char *tls_ca_file;     /* NULL: the system's */
    const char *tls_fingerprint; /* 64 lower-case hex digits: stands in for CA and name check; NULL: none */
    const char *tls_cert_file;   /* client certificate, NULL: none */
    const char *tls_key_file;
    const char *proxy; /* NULL: none, whatever the environment says */
    const char *helo;  /* SMTP: the EHLO name */
    /* A login that is libcurl's own (all mechanisms but PLAIN, USER and APOP on POP3); NULL: no login. */
    const char *login_options; /* "AUTH=CRAM-MD5", "AUTH=PLAIN;AUTH=LOGIN", ... */
    const char *username;
    const char *password;                 /* or NULL with a bearer token */
    const char *bearer;                   /* OAuth2 access token */
    unsigned timeout;                     /* seconds */
    struct wire_certificate *certificate; /* may be NULL */
    char *refusal; /* WIRE_REFUSAL_MAX octets for the line with which the server refused, quoted, if
                    * wire_open() fails for one ("" if there was none); may be NULL */
};

struct wire;

/* Once, before any thread starts / after all have ended. */
int wire_global_init(struct fault *fault);
void wire_global_cleanup(void);

/* Connect. Fault classes: FAULT_RETRY (network, timeout, -ERR greeting, [IN-USE], [SYS/TEMP], [LOGIN-DELAY],
 * 4xx), FAULT_LOGIN (login refused), FAULT_PROTOCOL (garbage greeting, certificate, pin, missing STLS),
 * FAULT_REFUSED (5xx of an SMTP greeting). */
int wire_open(struct wire **wire, const struct wire_params *params, struct fault *fault);
void wire_close(struct wire *wire);

/* The lines that the server sent while libcurl was talking (greeting, CAPA or EHLO answers, login), each with
 * its line end; NUL-terminated. Of what came before STLS or STARTTLS only the greeting is left. LMTP: empty,
 * nothing was read yet. */
const char *wire_early_lines(const struct wire *wire);

/* The last complete reply line among them, without CRLF ("" if none). */
const char *wire_last_early_line(const struct wire *wire);

const char *wire_peer_address(const struct wire *wire); /* IP literal, "" for a unix socket */
bool wire_encrypted(const struct wire *wire);

/* What the next replies belong to, for the faults: `stage` becomes fault.stage ("RETR"; static text), and the
 * sentence says "RETR 12"; number 0: none. */
void wire_waiting_for(struct wire *wire, const char *stage, unsigned number);

/* Add a command to the output; CRLF is added here. Nothing is sent before wire_flush(), or wire_line() and
 * wire_peek(), which flush first. A command with a CR or LF in it is FAULT_INTERNAL. */
int wire_command(struct wire *wire, struct fault *fault, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, the part behind `show` kept out of the transcript ("PASS ", "secret"). */
int wire_secret_command(struct wire *wire, const char *show, const char *secret, struct fault *fault);

/* Keep a secret that a server could make out of what it is sent: the password within AUTH PLAIN's base64. What
 * wire_open() and wire_secret_command() send is kept anyway. -1: memory is short. */
int wire_hide(struct wire *wire, const char *secret, size_t len);

/* From here on lines come as they are, until the next secret command. */
void wire_login_ended(struct wire *wire);

/* Put "***" in place of every secret kept, behind the line's status. Returns the new length. */
size_t wire_mask(const struct wire *wire, char *line, size_t len);

/* Add octets to the output as they are (a message body). Large ones are sent at once. The body is not in the
 * transcript. */
int wire_write(struct wire *wire, const void *data, size_t len, struct fault *fault);

/* Send what waits. */
int wire_flush(struct wire *wire, struct fault *fault);

/* The next line, without its line end, NUL-terminated; valid until the next call. A line that is
 * longer than WIRE_LINE_MAX is cut and *cut set. `len` counts octets; a NUL may be among them. Bare LF ends a
 * line too (sloppy servers). timeout: seconds for this line from now, 0: the wire's own. cut may be NULL. */
int wire_line(struct wire *wire, char **line, size_t *len, bool *cut, unsigned timeout, struct fault *fault);

/* The same for the lines of a long answer: not each line's time counts, but the 1 KiB rule from
 * wire_mark(). */
int wire_answer_line(struct wire *wire, char **line, size_t *len, bool *cut, struct fault *fault);

/* Octets that have arrived, at least one: *data and *len stay valid until the next call. wire_take() says how
 * many of them were used. The 1 KiB rule runs from wire_mark(). */
int wire_peek(struct wire *wire, const char **data, size_t *len, struct fault *fault);
void wire_take(struct wire *wire, size_t n);

/* A new answer begins: its time starts now. */
void wire_mark(struct wire *wire);

/* Whether octets have arrived that nobody asked for, without waiting. Looked at where nothing is owed: a
 * reply before its question would be taken for the next one's. -1 if the connection is gone (fault
 * filled). */
int wire_early_octets(struct wire *wire, struct fault *fault);

/* The socket, for `talk`'s poll(2). */
int wire_socket(const struct wire *wire);

/* Octets moved so far. */
uint64_t wire_received(const struct wire *wire);

#endif
