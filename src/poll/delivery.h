/* The other shore: delivery sessions (SMTP or LMTP connections, a thread each) take messages off a
 * destination's queue, deliver them, commit their receipts, and hand the outcome back to the mailbox's
 * thread.
 *
 * The safety rules live here: a receipt is committed before its outcome is handed back, the next body on a
 * session starts only after that commit, and when a commit fails every session of the run stops. So at most
 * one message a session is ever delivered and unrecorded.
 *
 * Ownership: a job belongs to the caller until delivery_submit(), to the delivery until it stands in its
 * outbox, then to the caller again. Threads: delivery_submit() and delivery_fault() from any; new and free
 * from one. Errors: told in each job; a destination that cannot be reached is told once through
 * delivery_fault(). */
#ifndef POPFERRY_POLL_DELIVERY_H
#define POPFERRY_POLL_DELIVERY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/fault.h"
#include "config/config.h"
#include "mail/envelope.h"
#include "mail/message.h"
#include "protocol/smtp.h"
#include "store/history.h"

struct delivery;

enum delivery_outcome {
    DELIVERY_DONE,       /* nobody is owed any more, and the receipt is committed */
    DELIVERY_OWED,       /* some recipients are still owed; committed, unless `fault` says otherwise */
    DELIVERY_DEFERRED,   /* 4xx or a lost connection: again in the next run */
    DELIVERY_REFUSED,    /* 5xx */
    DELIVERY_UNRECORDED, /* accepted for all, but the commit failed */
    DELIVERY_UNTRIED,    /* the destination is down, or the run is stopping */
};

/* Where a mailbox's thread finds its finished jobs. */
struct delivery_outbox {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct delivery_job *first;
    struct delivery_job *last;
    size_t count;
    size_t wanted; /* the waiter is not woken for fewer */
};
int delivery_outbox_init(struct delivery_outbox *outbox);
void delivery_outbox_destroy(struct delivery_outbox *outbox);
/* All finished jobs as a list, in the order in which they finished. Waits up to wait_ms (0: not) until there
 * are `wanted` of them. */
struct delivery_job *delivery_outbox_take(struct delivery_outbox *outbox, unsigned wait_ms, size_t wanted);

#define DELIVERY_TRACE_MAX 1024
#define DELIVERY_XCLIENT_MAX 511

struct delivery_job {
    /* given */
    struct delivery_outbox *outbox;
    const char *account;  /* for the log */
    const char *uid;      /* for the log; borrowed */
    int64_t row;          /* the history's; 0: none is kept (an oversize notice's or a forward's wrapper) */
    enum history_state recorded_state; /* RECORDED, or NOTICED for a notice, QUARANTINED for a forward */
    enum history_state waiting_state;  /* while nobody has it: LISTED, or NOTICED */
    uint64_t octets;      /* as listed */
    size_t item;          /* its index in the plan */
    struct message *message; /* freed as soon as it is not needed any more; NULL then */
    char sender[ENVELOPE_PATH_MAX];
    struct buf trace;     /* the header fields on top */
    struct buf xclient;   /* XCLIENT attributes, empty for none; with them a session carries one message */
    char *names;          /* the recipients as the fetchrc names them, one after the other, NUL after each */
    char *addresses;      /* the same as RCPT names them; each rcpt points into it */
    /* told */
    enum delivery_outcome outcome;
    struct fault fault; /* unless DELIVERY_DONE */
    uint64_t delivered_octets;
    /* kept by the delivery */
    struct delivery_job *next;
    bool begun;    /* MAIL... ride behind another message's final dot */
    bool again;    /* its connection was lost once before the dot */
    struct smtp_transaction transaction;
    struct smtp_rcpt rcpt[]; /* transaction.rcpt_count of them */
};

/* recipients: separated by '\n'. domain: put behind a bare name, NULL: none. NULL when memory is short. */
struct delivery_job *delivery_job_new(const char *recipients, const char *domain);
void delivery_job_free(struct delivery_job *job);

/* Shared by all destinations of a run; stopped when a commit fails. */
struct delivery_stop {
    pthread_mutex_t mutex;
    bool stopped;
    struct fault fault;
};

/* stop: borrowed. No session opens before there is mail. NULL when memory is short. */
struct delivery *delivery_new(const struct config_destination *destination, const struct config *config,
                              struct history *history, struct delivery_stop *stop);

/* Ends the sessions with QUIT and waits for their threads. Every job has been handed back. */
void delivery_free(struct delivery *delivery);

/* Queue a job. It comes back through its outbox, whatever happens. */
void delivery_submit(struct delivery *delivery, struct delivery_job *job);

/* Whether the server refuses whatever it is given: two messages of this run at least, all with the same words,
 * and it has taken none. Then it is the server that is out of order, and not the mail. */
bool delivery_refuses_all(struct delivery *delivery);

/* Whether the destination is down or the run is stopping: nothing more should be retrieved for it. */
bool delivery_down(struct delivery *delivery);

/* The same, and why. */
bool delivery_obstacle(struct delivery *delivery, struct fault *fault);

/* Why the destination is down. false: it is not. */
bool delivery_fault(struct delivery *delivery, struct fault *fault);

#endif
