/* The second half of a transaction: the text, the dot, and what the server says to it. */
#include "protocol/smtp_private.h"

#include <inttypes.h>
#include <stdlib.h>

#include "mail/lines.h"

#define RUN_OCTETS (128 * 1024) /* of a large message between two looks at what the server says */
#define TAIL_OCTETS (16 * 1024) /* of a message that wait for the final dot, to go out in one write with it */

/* A reply has come before the dot: read it and tell it. */
static int tell_early(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault)
{
    struct smtp_reply *reply = &transaction->reply;
    int read = smtp_read_reply(smtp, reply, NULL, "body", 0, fault);

    transaction->stage = "body";
    if (smtp_reply_refuses(reply) && (read == 0 || reply->code == 421))
        transaction->result = SMTP_REFUSED;
    if (read < 0)
        return -1;
    if (transaction->result != SMTP_REFUSED)
        return smtp_broke_protocol(smtp, "body", reply, fault);
    return smtp_lost_by(smtp, FAULT_RETRY, "body", "refused the message in the middle of the", reply, fault);
}

static int look_for_early(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault)
{
    int early = wire_early_octets(smtp->wire, fault);

    if (early > 0)
        return tell_early(smtp, transaction, fault);
    return early < 0 ? smtp_lost(smtp, "body", fault) : 0;
}

/* Sending failed: a server that refuses a message in the middle says why before it closes. */
static int sending_failed(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault)
{
    struct fault before = *fault;
    int read = smtp_read_reply(smtp, &smtp->scratch, NULL, "body", 1, fault);

    /* A 2xx would be the reply to a dot that may have got through: nobody knows. */
    if (!smtp_reply_refuses(&smtp->scratch) || (read < 0 && smtp->scratch.code != 421)) {
        *fault = before;
        return smtp_lost(smtp, "body", fault);
    }
    transaction->stage = "body";
    transaction->reply = smtp->scratch;
    transaction->result = SMTP_REFUSED;
    return smtp_lost_by(smtp, FAULT_RETRY, "body", "refused the message in the middle of the",
                        &transaction->reply, fault);
}

static int write_run(struct smtp *smtp, struct smtp_transaction *transaction, const char *data, size_t len,
                     struct fault *fault)
{
    if (wire_write(smtp->wire, data, len, fault) < 0)
        return sending_failed(smtp, transaction, fault);
    return 0;
}

/* Text from memory, without a copy while it is long; what is left at the end waits in the output for the
 * dot. */
static int send_text(struct smtp *smtp, struct smtp_transaction *transaction, const char *data, size_t len,
                     struct fault *fault)
{
    while (len > TAIL_OCTETS) {
        size_t run = len < RUN_OCTETS ? len : RUN_OCTETS;

        if (write_run(smtp, transaction, data, run, fault) < 0 ||
            look_for_early(smtp, transaction, fault) < 0)
            return -1;
        data += run;
        len -= run;
    }
    return write_run(smtp, transaction, data, len, fault);
}

/* Text from a file, or without its stuffing for BDAT, in runs through the session's buffer. */
static int send_runs(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault)
{
    uint64_t octets = message_octets(transaction->message);
    bool unstuff = smtp_uses_bdat(smtp);
    bool line_start = true;
    uint64_t offset = 0;
    uint64_t sent = 0;
    long got;

    if (smtp->buffer == NULL && (smtp->buffer = malloc(RUN_OCTETS)) == NULL)
        return smtp_misused(smtp, "body", "out of memory", fault);
    while ((got = message_read(transaction->message, offset, smtp->buffer, RUN_OCTETS, fault)) > 0) {
        size_t len = unstuff ? lines_unstuff(smtp->buffer, (size_t)got, &line_start) : (size_t)got;

        if (offset > 0 && look_for_early(smtp, transaction, fault) < 0)
            return -1;
        offset += (uint64_t)got;
        sent += len;
        transaction->dot_sent = unstuff && sent >= octets;
        if (write_run(smtp, transaction, smtp->buffer, len, fault) < 0)
            return -1;
    }
    if (got < 0)
        return smtp_lost(smtp, "body", fault);
    if (unstuff && sent != octets)
        return smtp_misused(smtp, "body", "the message has not the octets that were announced", fault);
    return 0;
}

static int send_bdat(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault)
{
    if (wire_command(smtp->wire, fault, "BDAT %" PRIu64 " LAST", smtp_total_octets(transaction)) < 0)
        return smtp_lost(smtp, "BDAT", fault);
    transaction->dot_sent = message_octets(transaction->message) == 0;
    if (write_run(smtp, transaction, transaction->trace, transaction->trace_len, fault) < 0)
        return -1;
    return send_runs(smtp, transaction, fault);
}

static int send_data(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault)
{
    struct message_part parts[2];
    int count = message_parts(transaction->message, parts);
    bool large = count < 0 || smtp_total_octets(transaction) > TAIL_OCTETS;
    int i;

    if (write_run(smtp, transaction, transaction->trace, transaction->trace_len, fault) < 0)
        return -1;
    if (count < 0 && send_runs(smtp, transaction, fault) < 0)
        return -1;
    for (i = 0; i < count; i++)
        if (send_text(smtp, transaction, parts[i].data, parts[i].len, fault) < 0)
            return -1;
    /* A small message went into the output since the last look; a large one took its time. */
    if (large && look_for_early(smtp, transaction, fault) < 0)
        return -1;
    transaction->dot_sent = true;
    return write_run(smtp, transaction, ".\r\n", 3, fault);
}

int smtp_send(struct smtp *smtp, struct smtp_transaction *transaction, struct smtp_transaction *next,
              struct fault *fault)
{
    if (smtp->lost || smtp->body != transaction)
        return smtp_misused(smtp, "body", "a body that nobody asked for", fault);
    smtp->body = NULL;
    transaction->result = SMTP_UNDECIDED;
    wire_waiting_for(smtp->wire, "body", 0);
    if (look_for_early(smtp, transaction, fault) < 0)
        return -1;
    if ((smtp_uses_bdat(smtp) ? send_bdat : send_data)(smtp, transaction, fault) < 0)
        return -1;
    smtp->final = transaction;
    smtp->unfinished = false;
    if (next != NULL && smtp_begin(smtp, next, fault) < 0)
        return -1;
    if (wire_flush(smtp->wire, fault) < 0)
        return sending_failed(smtp, transaction, fault);
    return 0;
}

static int read_final(struct smtp *smtp, struct smtp_reply *reply, struct fault *fault)
{
    if (smtp_read_reply(smtp, reply, NULL, "final dot", smtp->final_timeout, fault) < 0)
        return -1;
    return smtp_reply_is(reply, 3) ? smtp_broke_protocol(smtp, "final dot", reply, fault) : 0;
}

static int finish_smtp(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault)
{
    struct smtp_reply *reply = &transaction->reply;
    int read = read_final(smtp, reply, fault);
    size_t i;

    if (smtp_reply_refuses(reply) && (read == 0 || reply->code == 421))
        transaction->result = SMTP_REFUSED;
    if (read < 0 || transaction->result == SMTP_REFUSED)
        return read;
    transaction->result = SMTP_DELIVERED;
    for (i = 0; i < transaction->rcpt_count; i++)
        if (transaction->rcpt[i].state == SMTP_RCPT_ACCEPTED)
            transaction->rcpt[i].state = SMTP_RCPT_DELIVERED;
    return 0;
}

/* RFC 2033 section 4.2: one reply for each accepted recipient, in their order. */
static int finish_lmtp(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault)
{
    int read = 0;
    size_t i;

    smtp_reply_clear(&transaction->reply);
    for (i = 0; i < transaction->rcpt_count && read == 0; i++) {
        struct smtp_rcpt *rcpt = &transaction->rcpt[i];
        struct smtp_reply *reply = &rcpt->reply;

        if (rcpt->state != SMTP_RCPT_ACCEPTED)
            continue;
        read = read_final(smtp, reply, fault);
        if (read == 0 && smtp_reply_is(reply, 2))
            rcpt->state = SMTP_RCPT_DELIVERED;
        else if (smtp_reply_refuses(reply) && (read == 0 || reply->code == 421))
            rcpt->state = SMTP_RCPT_FAILED;
        else
            break;
        /* The first delivery decides, else the first refusal. */
        if (transaction->result == SMTP_DELIVERED)
            continue;
        if (rcpt->state == SMTP_RCPT_DELIVERED || transaction->reply.code == 0)
            transaction->reply = *reply;
        transaction->result = rcpt->state == SMTP_RCPT_DELIVERED ? SMTP_DELIVERED : SMTP_REFUSED;
    }
    /* A reply that is missing may have been a delivery. */
    if (i < transaction->rcpt_count && transaction->result == SMTP_REFUSED)
        transaction->result = SMTP_UNDECIDED;
    return read;
}

int smtp_finish(struct smtp *smtp, struct smtp_transaction *transaction, struct fault *fault)
{
    if (smtp->lost || smtp->final != transaction)
        return smtp_misused(smtp, "final dot", "a final reply that is not owed", fault);
    smtp->final = NULL;
    transaction->stage = "final dot";
    return (smtp->lmtp ? finish_lmtp : finish_smtp)(smtp, transaction, fault);
}
