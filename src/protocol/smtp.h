/* An SMTP (RFC 5321) or LMTP (RFC 2033) session that hands over one message after another.
 *
 * A mail transaction is driven in four steps, so that the caller can put the commit of a receipt between two
 * of them and let the next transaction's commands ride behind the final dot:
 *     smtp_begin(next)  ->  smtp_ready(next)  ->  smtp_send(current, next)  ->  smtp_finish(current)
 * Where PIPELINING was announced (RFC 2920) MAIL, RCPT... and DATA are one batch. Elsewhere each waits for
 * its reply, and the next message's commands wait for the reply to the dot. With CHUNKING, if it was asked
 * for, BDAT (RFC 3030) takes the place of DATA and of the dot; "the dot" below is then the last octet of the
 * chunk.
 *
 * Ownership: smtp_open() gives the session to the caller, smtp_close() ends it without QUIT. A transaction
 * belongs to the caller and must stay in place until it is finished or the session is closed.
 * Threads: one at a time.
 * Errors: -1 means that the session is lost (the fault has the scope of the wire's parameters): close it. A
 * refusal is no error but a reply in the transaction. Whatever a transaction tells holds with -1 too: a 421
 * that answered the body or the dot is told as SMTP_REFUSED, LMTP recipients that were DELIVERED before the
 * connection went stay so. SMTP_UNDECIDED with dot_sent: nobody knows. */
#ifndef POPFERRY_PROTOCOL_SMTP_H
#define POPFERRY_PROTOCOL_SMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"
#include "base/terms.h"
#include "mail/message.h"
#include "protocol/smtp_reply.h"
#include "protocol/wire.h"

struct smtp;

struct smtp_params {
    struct wire_params wire; /* its login fields are set here */
    enum auth_mechanism auth;
    const char *username; /* NULL: no login; else a session without a 235 is a fault (LMTP: not used) */
    const char *password; /* for OAUTHBEARER and XOAUTH2 the access token */
    unsigned final_timeout; /* seconds for the reply to the final dot (RFC 5321 4.5.3.2.6) */
    bool chunking;          /* use BDAT (RFC 3030) where announced */
    bool no_notify;         /* DSN NOTIFY=NEVER (RFC 3461) where announced */
};

/* Connect, EHLO (HELO when refused; LHLO for LMTP), TLS, AUTH. Fault classes: as wire_open(); FAULT_REFUSED
 * and FAULT_RETRY for a 5xx and a 4xx of an LMTP greeting or LHLO; FAULT_LOGIN when there is a username and
 * the server offers no AUTH. */
int smtp_open(struct smtp **smtp, const struct smtp_params *params, struct fault *fault);
void smtp_close(struct smtp *smtp);
const struct smtp_extensions *smtp_extensions(const struct smtp *smtp);
struct wire *smtp_wire(struct smtp *smtp);

enum smtp_rcpt_state {
    SMTP_RCPT_PENDING,   /* no reply yet, or the transaction ended before */
    SMTP_RCPT_ACCEPTED,  /* RCPT was accepted */
    SMTP_RCPT_DELIVERED, /* and so was the message */
    SMTP_RCPT_REFUSED,   /* RCPT got `reply`, 4xx or 5xx */
    SMTP_RCPT_FAILED,    /* LMTP: the message got `reply` for this recipient, 4xx or 5xx */
};

struct smtp_rcpt {
    const char *address; /* without <> */
    enum smtp_rcpt_state state;
    struct smtp_reply reply;
};

enum smtp_result {
    SMTP_UNDECIDED,
    SMTP_READY,     /* 354: the body may be sent */
    SMTP_DELIVERED, /* 2xx to the final dot, for SMTP_RCPT_DELIVERED recipients (LMTP: at least one) */
    SMTP_REFUSED,   /* `reply` refused the message; see stage */
    SMTP_NO_RCPT,   /* no recipient was accepted; see each */
};

struct smtp_transaction {
    /* given */
    const struct message *message;
    const char *trace; /* header fields on top, CRLF line ends */
    size_t trace_len;
    const char *sender; /* "" for <> */
    struct smtp_rcpt *rcpt;
    size_t rcpt_count;
    /* told */
    enum smtp_result result;
    const char *stage;       /* "MAIL", "DATA", "SIZE", "body", "final dot", ...: where `reply` came */
    struct smtp_reply reply; /* what decided the result */
    bool dot_sent;           /* the point of no return: without a reply the message may have been taken */
};

/* Write MAIL, RCPT... and DATA into the output, not sent yet; on a server without PIPELINING nothing. A
 * session that is in an unfinished transaction gets RSET first. MAIL has SIZE (RFC 1870), BODY=8BITMIME (RFC
 * 6152; a server without it gets 8-bit text as it is) and SMTPUTF8 (RFC 6531) where announced and needed. A
 * message over the server's SIZE, an address that needs an absent SMTPUTF8: refused here (result
 * SMTP_REFUSED, code 552 or 553, "SIZE"/"SMTPUTF8" stage), nothing is written. -1: octets have arrived that
 * nobody asked for (FAULT_PROTOCOL), the server has gone (FAULT_RETRY), an address that cannot stand between
 * < and > (FAULT_INTERNAL). While another transaction is READY this only looks whether the next one is
 * refused here; smtp_send(current, next) begins it. */
int smtp_begin(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault);

/* Send and read the replies. 0: transaction->result says READY, REFUSED or NO_RCPT. All RCPTs (or MAIL)
 * refused and yet a 354: -1 (FAULT_RETRY) with the result told: the connection must go, a dot would deliver
 * something. 421: the reply is told, the result is not, and -1 returned (FAULT_RETRY): another session may
 * try. */
int smtp_ready(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault);

/* Send trace, message and the final dot of a READY transaction, with `next` (begun in here, whether or not
 * smtp_begin() has looked at it; NULL: none) behind it in the same write where the server pipelines. A reply
 * that comes before the dot is written ends the transaction: the dot is never sent and the session is lost
 * (-1), with a refusal told in the transaction if it was one (stage "body"), else FAULT_PROTOCOL. */
int smtp_send(struct smtp *smtp, struct smtp_transaction *transaction, struct smtp_transaction *next,
              struct fault *fault);

/* Read the reply to the final dot (LMTP: one for each accepted recipient), each within final_timeout. 0:
 * result is DELIVERED or REFUSED (stage "final dot"), and the session is good for the next message. */
int smtp_finish(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault);

/* Single commands, while no transaction is begun or READY: the reply is told, -1 only when the session is
 * lost. fmt: one line without CRLF: "NOOP", "RSET", "VRFY thomas". */
int smtp_command(struct smtp *smtp, struct smtp_reply *reply, struct fault *fault, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* XCLIENT (Postfix XCLIENT_README); attributes: "ADDR=192.0.2.1 NAME=...", values in xtext. Where it is
 * accepted (220, the new greeting) EHLO again is done in here, with the HELO attribute's name if there is
 * one, and the extensions are learned anew; where that EHLO is refused the session is lost (-1) and the reply
 * is EHLO's. */
int smtp_xclient(struct smtp *smtp, const char *attributes, struct smtp_reply *reply, struct fault *fault);

/* QUIT and its reply; whatever comes, the session is over then. */
void smtp_quit(struct smtp *smtp);

#endif
