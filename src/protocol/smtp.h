/* An SMTP (RFC 5321) or LMTP (RFC 2033) session that hands over one message after another.
 *
 * A mail transaction is driven in four steps, so that the caller can put the commit of a receipt between two of them and
 * let the next transaction's commands ride behind the final dot:
 *     smtp_begin(next)  ->  smtp_ready(next)  ->  smtp_send(current, next)  ->  smtp_finish(current)
 * Where PIPELINING was announced (RFC 2920) MAIL, RCPT... and DATA are one batch; elsewhere each waits for its reply.
 *
 * Ownership: smtp_open() gives the session to the caller, smtp_close() ends it without QUIT. A transaction belongs to the caller and must
 * stay in place until it is finished. Threads: one at a time. Errors: -1 means that the session is lost; a
 * refusal is no error but a reply in the transaction. */
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
    const char *username; /* NULL: no login; else a session without a 235 is a fault */
    const char *password;
    unsigned final_timeout; /* seconds for the reply to the final dot (RFC 5321 4.5.3.2.6) */
    bool chunking;          /* use BDAT (RFC 3030) where announced */
    bool no_notify;         /* DSN NOTIFY=NEVER (RFC 3461) where announced */
};

/* Connect, EHLO (HELO when refused; LHLO for LMTP), TLS, AUTH. */
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

/* Write MAIL, RCPT... and DATA into the output, not sent yet; on a server without PIPELINING nothing. A session that is in an unfinished
 * transaction gets RSET first. A message over the server's SIZE, an address that needs an absent SMTPUTF8: refused here
 * (result SMTP_REFUSED, code 552 or 553, "SIZE"/"SMTPUTF8" stage), nothing is written. */
int smtp_begin(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault);

/* Send and read the replies. 0: transaction->result says READY, REFUSED or NO_RCPT. All RCPTs refused and yet
 * a 354: -1, the connection must go. Octets behind the 354: -1, FAULT_PROTOCOL. 421: the reply is told and -1 returned. */
int smtp_ready(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault);

/* Send trace, message and the final dot of a READY transaction, with `next` (begun here; NULL: none) behind it in the same write
 * where the server pipelines. A reply that comes before the dot is written ends the transaction: the dot is never
 * sent and the session is lost (-1), with a refusal told in the transaction if it was one. */
int smtp_send(struct smtp *smtp, struct smtp_transaction *transaction, struct smtp_transaction *next,
              struct fault *fault);

/* Read the reply to the final dot (LMTP: one for each accepted recipient), within final_timeout. */
int smtp_finish(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault);

/* Single commands: the reply is told, -1 only when the session is lost. verb: "NOOP", "RSET", "VRFY thomas", "XCLIENT ...". After
 * an accepted XCLIENT the greeting and EHLO again are done in here. */
int smtp_command(struct smtp *smtp, struct smtp_reply *reply, struct fault *fault, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int smtp_xclient(struct smtp *smtp, const char *attributes, struct smtp_reply *reply, struct fault *fault);

/* QUIT and its reply; whatever comes, the session is over then. */
void smtp_quit(struct smtp *smtp);

#endif
