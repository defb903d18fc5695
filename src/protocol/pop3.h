/* A POP3 session (RFC 1939, 2449, 5034): login, listing, and commands in a pipelined window.
 *
 * The caller asks (pop3_ask) and then reads the replies in the order in which it asked (pop3_reply,
 * pop3_body). Where the server announced PIPELINING the commands go out together; elsewhere each waits, in
 * here, for the reply to the one before. So the caller reads the same either way.
 *
 * Ownership: pop3_open() gives the session to the caller, pop3_close() ends it; closing sends no QUIT.
 * Threads: one at a time. Errors: -1 means that the session is lost; a -ERR is no error but an answer. */
#ifndef POPFERRY_PROTOCOL_POP3_H
#define POPFERRY_PROTOCOL_POP3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/fault.h"
#include "base/terms.h"
#include "mail/message.h"
#include "protocol/pop3_reply.h"
#include "protocol/wire.h"

struct pop3;

enum pop3_pipelining { POP3_PIPELINING_AUTO, POP3_PIPELINING_ON, POP3_PIPELINING_OFF };

/* How the server took the login. */
struct pop3_login {
    bool refused;         /* it answered the login with -ERR */
    enum pop3_code code;  /* with this response code: POP3_CODE_AUTH is a sure refusal */
    unsigned login_delay; /* seconds between logins as CAPA announced (RFC 2449 section 6.5), 0: unknown */
    char text[WIRE_REFUSAL_MAX]; /* its line, quoted; "" if none */
};

struct pop3_params {
    struct wire_params wire; /* its login fields are set here, not by the caller */
    enum auth_mechanism auth;
    const char *username;
    const char *password; /* wiped by its owner; not kept here */
    const char *bearer;   /* for OAUTHBEARER and XOAUTH2 */
    enum pop3_pipelining pipelining;
    bool no_login;            /* `talk --no-login` */
    struct pop3_login *login; /* filled also when pop3_open() fails; may be NULL */
};

/* Connect and log in. Never USER and PASS in one flight. A login that auto chose and the server refused is
 * not tried with another mechanism: accounts get locked that way. Fault classes as wire_open(); stage
 * "connect", "greeting", "TLS" or "login". */
int pop3_open(struct pop3 **pop3, const struct pop3_params *params, struct fault *fault);
void pop3_close(struct pop3 *pop3);

/* What the session knows: capabilities after the listing, else those before login. */
const struct pop3_capabilities *pop3_capabilities(const struct pop3 *pop3);
bool pop3_pipelining(const struct pop3 *pop3);
struct wire *pop3_wire(struct pop3 *pop3);

/* A mailbox listing: STAT, UIDL, LIST (and CAPA again). */
struct pop3_entry {
    unsigned number; /* good for this POP3 session only */
    uint64_t octets; /* as listed, 0 if not */
    bool has_octets;
    const char *uid; /* NUL-terminated, in `uids`; NULL: none usable */
};
struct pop3_listing {
    struct pop3_entry *entries; /* in the order of their numbers, each number once */
    size_t count;
    struct buf uids;
    uint64_t stat_count;
    uint64_t stat_octets;
    bool has_uidl; /* the server answered UIDL */
    unsigned last; /* LAST (RFC 1225), asked for only without UIDL; 0: none */
};
/* Where PIPELINING was announced in one batch, else one by one. A message is what LIST or UIDL names; STAT is
 * only a hint. Of a number that LIST names twice the first line counts; one that UIDL gives two different
 * UIDs has none. More than 1,000,000 messages, 64 MiB of UIDs or 128 MiB of answer are FAULT_PROTOCOL. A
 * refused LIST is a fault, and so is a refused UIDL where CAPA announced it or the server calls the refusal
 * passing: taking that for "no UIDL" would bring kept mail again. Nothing may be owed. */
int pop3_list(struct pop3 *pop3, struct pop3_listing *listing, struct fault *fault);
void pop3_listing_free(struct pop3_listing *listing);

enum pop3_verb {
    POP3_RETR, /* multi-line */
    POP3_TOP,  /* multi-line; argument: body lines */
    POP3_DELE,
    POP3_NOOP,
    POP3_RSET,
    POP3_QUIT,
};

/* Ask. Sent at once with the others that wait when pop3_send() is called, or the next reply is read. */
int pop3_ask(struct pop3 *pop3, enum pop3_verb verb, unsigned number, unsigned lines, struct fault *fault);
int pop3_send(struct pop3 *pop3, struct fault *fault);

/* NOOP and its reply, ahead of what was asked and has not gone out yet. Nothing is sent where a reply is on
 * its way: the server is not idle. */
int pop3_noop(struct pop3 *pop3, struct fault *fault);

/* How many replies are still to be read. */
size_t pop3_owed(const struct pop3 *pop3);

struct pop3_reply {
    enum pop3_verb verb;
    unsigned number;
    bool ok;
    enum pop3_code code;
    char text[512]; /* the status line, quoted for people (fault_quote), "-ERR ..." and all */
};

/* Read the next status line. A RETR or TOP that is ok must be followed by pop3_body(). Garbage instead of +OK
 * or -ERR: -1, FAULT_PROTOCOL. */
int pop3_reply(struct pop3 *pop3, struct pop3_reply *reply, struct fault *fault);

/* Read the answer that follows into `message`, which is finished then. -1: the session is lost, also when the
 * message itself is at fault (too large, no room): scope and class say so. message NULL: read and drop it. */
int pop3_body(struct pop3 *pop3, struct message *message, struct fault *fault);

#endif
