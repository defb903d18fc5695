#include "poll/verdict.h"

#include <stdlib.h>
#include <string.h>

static bool permanent(const struct smtp_reply *reply)
{
    return reply->code >= 500;
}

static bool has_it(const struct smtp_rcpt *rcpt)
{
    return rcpt->state == SMTP_RCPT_DELIVERED;
}

/* The names of those that the message still owes, separated by '\n'. NULL if memory is short. */
static char *still_owed(const struct delivery_job *job)
{
    size_t size = 1;
    const char *name = job->names;
    char *owed;
    char *end;
    size_t i;

    for (i = 0; i < job->transaction.rcpt_count; i++, name += strlen(name) + 1)
        size += strlen(name) + 1;
    owed = malloc(size);
    if (owed == NULL)
        return NULL;
    end = owed;
    for (i = 0, name = job->names; i < job->transaction.rcpt_count; i++, name += strlen(name) + 1) {
        if (has_it(&job->rcpt[i]))
            continue;
        if (end != owed)
            *end++ = '\n';
        end = stpcpy(end, name);
    }
    *end = '\0';
    return owed;
}

/* The recipient whose reply decides: one refused for good before one to be tried again. NULL: none was
 * refused. */
static const struct smtp_rcpt *worst_rcpt(const struct smtp_transaction *transaction)
{
    const struct smtp_rcpt *worst = NULL;
    size_t i;

    for (i = 0; i < transaction->rcpt_count; i++) {
        const struct smtp_rcpt *rcpt = &transaction->rcpt[i];
        if (rcpt->state != SMTP_RCPT_REFUSED && rcpt->state != SMTP_RCPT_FAILED)
            continue;
        if (worst == NULL || (permanent(&rcpt->reply) && !permanent(&worst->reply)))
            worst = rcpt;
    }
    return worst;
}

/* Nobody who has not got it is only put off. Whoever got no reply of his own shares the message's. */
static bool all_for_good(const struct smtp_transaction *transaction)
{
    size_t i;

    for (i = 0; i < transaction->rcpt_count; i++) {
        const struct smtp_rcpt *rcpt = &transaction->rcpt[i];
        bool own = rcpt->state == SMTP_RCPT_REFUSED || rcpt->state == SMTP_RCPT_FAILED;
        if (!has_it(rcpt) && !permanent(own ? &rcpt->reply : &transaction->reply))
            return false;
    }
    return true;
}

/* Some recipients, or all, did not get it. */
static void judge_recipients(struct delivery_job *job, const char *destination, struct verdict *verdict)
{
    const struct smtp_rcpt *worst = worst_rcpt(&job->transaction);

    if (worst == NULL) { /* the session ended before their turn came */
        (void)fault_set(&job->fault, FAULT_OF_MESSAGE, FAULT_RETRY, "RCPT",
                        "%s took the message for some recipients only", destination);
        return;
    }
    verdict->receipt.reply = worst->reply.text;
    /* LMTP tells after the body what it thinks of the message; RCPT only tells what it thinks of the
     * recipient. */
    verdict->receipt.refused = worst->state == SMTP_RCPT_FAILED && all_for_good(&job->transaction);
    (void)fault_set(&job->fault, worst->state == SMTP_RCPT_FAILED ? FAULT_OF_MESSAGE : FAULT_OF_MAILBOX,
                    permanent(&worst->reply) ? FAULT_REFUSED : FAULT_RETRY,
                    worst->state == SMTP_RCPT_FAILED ? "final dot" : "RCPT", "%s %s %s <%s>: %s", destination,
                    permanent(&worst->reply) ? "refused" : "put off",
                    worst->state == SMTP_RCPT_FAILED ? "the message for" : "the recipient", worst->address,
                    worst->reply.text);
}

static void judge_refusal(struct delivery_job *job, const char *destination, struct verdict *verdict)
{
    struct smtp_transaction *transaction = &job->transaction;
    const struct smtp_rcpt *worst = worst_rcpt(transaction);
    bool refused;

    if (worst != NULL && worst->state == SMTP_RCPT_FAILED) /* LMTP: the worst word, not the first */
        transaction->reply = worst->reply;
    refused = permanent(&transaction->reply);
    verdict->receipt.reply = transaction->reply.text;
    /* on_reject must not take it from those who are only put off. */
    verdict->receipt.refused = refused && all_for_good(transaction);
    job->outcome = verdict->receipt.refused ? DELIVERY_REFUSED : DELIVERY_DEFERRED;
    (void)fault_set(&job->fault, FAULT_OF_MESSAGE, refused ? FAULT_REFUSED : FAULT_RETRY, transaction->stage,
                    "%s %s the message (%s): %s", destination, refused ? "refused" : "put off",
                    transaction->stage, transaction->reply.text);
}

int verdict_of(struct delivery_job *job, const char *destination, struct verdict *verdict)
{
    *verdict = (struct verdict){.owed = still_owed(job)};
    if (verdict->owed == NULL)
        return -1;
    verdict->receipt = (struct history_receipt){
        .id = job->row, .state = job->waiting_state, .owed = verdict->owed};
    if (job->message != NULL)
        verdict->receipt.digest = message_digest(job->message);
    verdict->receipt.octets = job->octets;
    switch (job->transaction.result) {
    case SMTP_DELIVERED:
        verdict->receipt.delivered = true;
        verdict->receipt.reply = job->transaction.reply.text;
        job->outcome = DELIVERY_DONE;
        if (verdict->owed[0] == '\0') {
            verdict->receipt.state = job->recorded_state;
        } else {
            /* A notice comes once, even if some did not get it. */
            verdict->receipt.state = job->recorded_state == HISTORY_NOTICED ? HISTORY_NOTICED : HISTORY_LISTED;
            job->outcome = DELIVERY_OWED;
            judge_recipients(job, destination, verdict);
        }
        break;
    case SMTP_NO_RCPT:
        judge_recipients(job, destination, verdict);
        job->outcome = job->fault.class == FAULT_REFUSED ? DELIVERY_REFUSED : DELIVERY_DEFERRED;
        break;
    case SMTP_REFUSED:
        judge_refusal(job, destination, verdict);
        break;
    case SMTP_UNDECIDED:
    case SMTP_READY:
        job->outcome = DELIVERY_UNTRIED;
        (void)fault_set(&job->fault, FAULT_OF_DESTINATION, FAULT_RETRY, "delivery",
                        "%s: the mail transaction was not finished", destination);
        break;
    }
    verdict->receipt.stumbled = job->outcome != DELIVERY_DONE && job->outcome != DELIVERY_UNTRIED;
    verdict->outcome = job->outcome;
    return 0;
}

int verdict_of_lost(struct delivery_job *job, const struct fault *lost, struct verdict *verdict)
{
    *verdict = (struct verdict){.outcome = DELIVERY_DEFERRED, .owed = still_owed(job)};
    if (verdict->owed == NULL)
        return -1;
    job->outcome = DELIVERY_DEFERRED;
    verdict->receipt = (struct history_receipt){.id = job->row,
                                                .state = job->waiting_state,
                                                .owed = verdict->owed,
                                                .octets = job->octets,
                                                .stumbled = true};
    (void)fault_set(&job->fault, FAULT_OF_MESSAGE, lost->class, lost->stage, "%s%s", lost->text,
                    job->transaction.dot_sent ? "; the message may have been taken and come once more" : "");
    verdict->receipt.reply = job->fault.text;
    return 0;
}
