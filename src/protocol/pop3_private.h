/* What the files of the POP3 session share: pop3.c (session and window), pop3_login.c, pop3_list.c.
 * Ownership, threads and errors: as in pop3.h. */
#ifndef POPFERRY_PROTOCOL_POP3_PRIVATE_H
#define POPFERRY_PROTOCOL_POP3_PRIVATE_H

#include "protocol/pop3.h"

struct pop3_asked {
    enum pop3_verb verb;
    unsigned number;
    unsigned lines;
};

struct pop3 {
    struct wire *wire;
    enum fault_scope scope;
    char *host;
    struct pop3_capabilities capabilities;
    enum pop3_pipelining wish;

    /* Asked and not yet answered, oldest first: a ring. The first `sent` of them are on their way. */
    struct pop3_asked *ring;
    size_t ring_size, first, owed, sent;
    bool in_body; /* a multi-line answer must be read first */
};

/* A status line. */
struct pop3_status_line {
    enum pop3_status status;
    enum pop3_code code;
    const char *line; /* valid until the next read */
    size_t len;
    const char *text; /* behind the status */
    size_t text_len;
};

/* Make sure that nothing has come that nobody asked for: it would be taken for the next answer. */
int pop3_quiet(struct pop3 *pop3, struct fault *fault);

/* Read a status line. Garbage is FAULT_PROTOCOL, but with a continuation allowed ("+ ", RFC 5034 section 4)
 * that is POP3_GARBAGE with a text. stage: what it answers, static text. */
int pop3_read_status(struct pop3 *pop3, const char *stage, unsigned number, bool continuation,
                     struct pop3_status_line *status, struct fault *fault);

/* A -ERR that ends what was tried: "HOST refused the WHAT: -ERR ...". Returns -1. */
int pop3_refused(const struct pop3 *pop3, const char *stage, const char *what, bool login,
                 const struct pop3_status_line *status, struct fault *fault);

/* pop3_login.c: log in, but not with libcurl's mechanisms. greeting: the server's first line. */
int pop3_login(struct pop3 *pop3, const struct pop3_params *params, const char *greeting, size_t greeting_len,
               struct fault *fault);

/* libcurl's LOGIN_OPTIONS where the mechanism is libcurl's, else NULL. */
const char *pop3_login_options(const struct pop3_params *params);

#endif
