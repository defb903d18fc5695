/* What smtp_session.c, smtp_transaction.c (begin, ready) and smtp_body.c (send, finish) share; for nobody
 * else. Ownership, threads and errors: as in smtp.h. */
#ifndef POPFERRY_PROTOCOL_SMTP_PRIVATE_H
#define POPFERRY_PROTOCOL_SMTP_PRIVATE_H

#include "protocol/smtp.h"

#define SMTP_REPLY_LINES_MAX 200    /* lines of one reply */
#define SMTP_REPLY_OCTETS_MAX 65536 /* octets of one reply */

struct smtp {
    struct wire *wire;
    struct smtp_extensions extensions;
    enum fault_scope scope;
    unsigned timeout;
    unsigned final_timeout;
    bool lmtp;
    bool chunking;
    bool no_notify;
    bool lost;
    bool unfinished; /* MAIL was accepted and nothing ended it: RSET must come before the next MAIL */
    bool rset_owed;  /* the reply to that RSET comes before those of `begun` */
    /* At most one transaction in each stage; their order is that of the replies still to come:
     * final, begun. */
    struct smtp_transaction *final; /* its dot is written, its last reply owed */
    struct smtp_transaction *body;  /* READY, its body not sent */
    struct smtp_transaction *begun; /* not READY yet */
    char *buffer;                   /* for messages that must be read in runs; made when first needed */
    struct smtp_reply scratch;      /* for replies that nobody looks at */
    char peer[256];
    char helo[256];
};

/* The session is lost through what `fault` already says; stage: where. Returns -1. */
int smtp_lost(struct smtp *smtp, const char *stage, struct fault *fault);

/* The session is lost because of a reply, which the fault quotes: `what` goes between the peer's name and it
 * ("broke the protocol at"). Returns -1. */
int smtp_lost_by(struct smtp *smtp, enum fault_class class, const char *stage, const char *what,
                 const struct smtp_reply *reply, struct fault *fault);

/* The same for a reply that has no place where it came. Returns -1. */
int smtp_broke_protocol(struct smtp *smtp, const char *stage, const struct smtp_reply *reply,
                        struct fault *fault);

/* A call out of order, or an argument that its caller should have refused. Returns -1. */
int smtp_misused(struct smtp *smtp, const char *stage, const char *what, struct fault *fault);

/* Read one reply, whole within `timeout` seconds (0: the wire's own). extensions: where to note those that
 * the lines behind the first name, or NULL. -1: no reply, no valid one, or a 421 (which is told in `reply`):
 * the session is lost. */
int smtp_read_reply(struct smtp *smtp, struct smtp_reply *reply, struct smtp_extensions *extensions,
                    const char *stage, unsigned timeout, struct fault *fault);

/* Nothing is owed: what has arrived all the same would be taken for the reply to what we are about to say.
 * -1: something has (FAULT_PROTOCOL; FAULT_RETRY for a 421), or the connection is gone. */
int smtp_quiet(struct smtp *smtp, const char *stage, struct fault *fault);

/* Whether the reply code's first digit is `kind`. */
static inline bool smtp_reply_is(const struct smtp_reply *reply, int kind)
{
    return reply->code / 100 == kind;
}

static inline bool smtp_reply_refuses(const struct smtp_reply *reply)
{
    return smtp_reply_is(reply, 4) || smtp_reply_is(reply, 5);
}

/* Whether BDAT takes the place of DATA. */
static inline bool smtp_uses_bdat(const struct smtp *smtp)
{
    return smtp->chunking && smtp->extensions.chunking;
}

/* Octets of trace and message before stuffing: what SIZE and BDAT count. */
static inline uint64_t smtp_total_octets(const struct smtp_transaction *transaction)
{
    return message_octets(transaction->message) + transaction->trace_len;
}

#endif
