#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/stop.h"
#include "poll/mailbox_private.h"
#include "report/log.h"

#define USUAL_TRACE 300 /* octets of a trace header, more seldom */
#define OWED_MAX (1024 * 1024) /* octets of recipients of one message */

static const struct config_destination *destination_of(const struct mailbox *mailbox)
{
    return mailbox->account->destination;
}

static void write_trace(struct mailbox *mailbox, struct delivery_job *job)
{
    const struct wire *wire = pop3_wire(mailbox->pop3);
    char id[48];
    struct envelope_trace trace = {.pop3_host = mailbox->account->peer.host,
                                   .pop3_address = wire_peer_address(wire),
                                   .here = destination_of(mailbox)->helo,
                                   .tls = wire_encrypted(wire),
                                   .id = id,
                                   .recipient = job->transaction.rcpt_count == 1 ? job->rcpt[0].address
                                                                                 : NULL,
                                   .when = (time_t)mailbox->limits.now};

    (void)snprintf(id, sizeof(id), "%llx.%llx", (unsigned long long)mailbox->limits.now,
                   (unsigned long long)job->row);
    /* A trace header that has no room is left out: the message matters more. */
    if (buf_reserve(&job->trace, USUAL_TRACE) < 0 || envelope_trace_header(&job->trace, &trace) < 0)
        buf_clear(&job->trace);
}

static void write_xclient(struct mailbox *mailbox, struct delivery_job *job)
{
    const struct config_list *trusted = &mailbox->account->trusted_hosts;
    struct envelope_client client;
    char name[512];
    char helo[512];
    const char *header;
    size_t len;

    if (!destination_of(mailbox)->xclient)
        return;
    header = message_header(job->message, &len);
    if (!envelope_client(header, len, (const char *const *)trusted->items, trusted->count, &client)) {
        log_line(LOG_LEVEL_WARNING, mailbox->account->peer.title, "message %s: no XCLIENT: %s", job->uid,
                 client.reason);
        return;
    }
    if (!envelope_xtext(client.name, name, sizeof(name)) || !envelope_xtext(client.helo, helo, sizeof(helo)))
        return;
    if (buf_printf(&job->xclient, "ADDR=%s NAME=%s HELO=%s", client.address, name, helo) < 0)
        buf_clear(&job->xclient);
}

/* Of an oversize message: whether its notice was delivered. The row remembers that until the message itself
 * is. */
static bool notice_came(const struct plan_item *item)
{
    return item->row != NULL && item->row->state == HISTORY_NOTICED && !plan_another(item->entry, item->row);
}

/* Give the message to the delivery. Takes the message. */
static void submit(struct mailbox *mailbox, size_t item, struct message *message, const char *owed)
{
    const struct config_destination *to = destination_of(mailbox);
    struct delivery_job *job;
    struct fault fault;

    job = delivery_job_new(owed, to->protocol == CONFIG_SMTP ? to->recipient_domain : NULL);
    if (job == NULL) {
        message_free(message);
        (void)fault_set(&fault, FAULT_OF_MESSAGE, FAULT_INTERNAL, "delivery", "out of memory");
        mailbox_leave(mailbox, item, &fault);
        return;
    }
    job->outbox = &mailbox->outbox;
    job->account = mailbox->account->peer.title;
    job->uid = mailbox_uid(mailbox, item);
    job->row = mailbox->items[item].row;
    job->recorded_state = mailbox->plan.items[item].action == PLAN_NOTICE ? HISTORY_NOTICED : HISTORY_RECORDED;
    if (notice_came(&mailbox->plan.items[item]))
        job->waiting_state = HISTORY_NOTICED;
    job->octets = mailbox->plan.items[item].entry->octets;
    job->item = item;
    job->message = message;
    envelope_sender(mailbox->account->sender, message_return_path(message), job->sender);
    write_trace(mailbox, job);
    write_xclient(mailbox, job);
    mailbox->items[item].state = ITEM_DELIVERING;
    mailbox->delivering++;
    delivery_submit(mailbox->params->delivery, job);
}

/* A row of its own for a message that is new, committed before its MAIL. */
static int make_row(struct mailbox *mailbox, size_t item, const struct message *message, const char *owed,
                    struct fault *fault)
{
    char uid[sizeof(PLAN_DIGEST_UID) + 2 * MESSAGE_DIGEST_SIZE] = PLAN_DIGEST_UID;
    const unsigned char *digest = message_digest(message);
    struct history_new fresh = {.uid = uid, .octets = mailbox->plan.items[item].entry->octets, .owed = owed};
    struct history_plan plan = {.fresh = &fresh, .fresh_count = 1};

    if (mailbox->plan.items[item].entry->uid != NULL)
        fresh.uid = mailbox->plan.items[item].entry->uid;
    hex_write(uid + strlen(PLAN_DIGEST_UID), digest, MESSAGE_DIGEST_SIZE);
    if (history_plan(mailbox->params->history, mailbox->record.id, &plan, fault) < 0)
        return -1;
    mailbox->items[item].row = fresh.id;
    return 0;
}

/* Known under another name, or none: from now on under the one that it has. */
static int adopt(struct mailbox *mailbox, size_t item, const struct message *message, struct fault *fault)
{
    struct history_receipt receipt = {.state = HISTORY_RECORDED,
                                      .digest = message_digest(message),
                                      .octets = mailbox->plan.items[item].entry->octets,
                                      .delivered = true};

    if (mailbox->items[item].row == 0 && make_row(mailbox, item, message, "", fault) < 0)
        return -1;
    receipt.id = mailbox->items[item].row;
    return history_receipt(mailbox->params->history, &receipt, fault);
}

/* A message that is where it belongs already. Takes the message. */
static void known(struct mailbox *mailbox, size_t item, struct message *message,
                  const struct history_row *row)
{
    const struct plan_item *planned = &mailbox->plan.items[item];
    uint64_t octets = planned->entry->octets;
    struct fault fault;
    int result = 0;

    if (planned->entry->uid != NULL && row != planned->row)
        result = adopt(mailbox, item, message, &fault);
    else
        mailbox->items[item].row = row->id;
    message_free(message);
    if (result == 0 && (row->absent || row->returned || octets != row->octets))
        result = history_compared(mailbox->params->history, row->id, octets, &fault);
    if (result < 0) {
        mailbox_leave(mailbox, item, &fault);
        return;
    }
    mailbox_release(mailbox, item);
    mailbox->retrieved_only--;
    mailbox->items[item].state = ITEM_KNOWN;
    if (plan_may_delete(row, &mailbox->limits))
        mailbox_may_delete(mailbox, item);
    else
        mailbox->outcome->kept++;
}

/* The message turned out to be another one than the row remembers: new mail under a reused UID. */
static int reuse_row(struct mailbox *mailbox, size_t item, const char *owed, struct fault *fault)
{
    return history_reused(mailbox->params->history, mailbox->items[item].row,
                          mailbox->plan.items[item].entry->octets, owed, fault);
}

static bool same_message(const struct history_row *row, const struct message *message)
{
    return row->has_digest && memcmp(row->digest, message_digest(message), MESSAGE_DIGEST_SIZE) == 0;
}

static bool row_is_owed(const struct history_row *row)
{
    return row->state == HISTORY_LISTED;
}

/* What the row owes is owed of this very message. */
static bool speaks_of(const struct history_row *row, const struct message *message)
{
    return row != NULL && row_is_owed(row) && (!row->has_digest || same_message(row, message));
}

/* Have a row that is right, before anything is delivered: a new one for what is new, and for new mail under a
 * reused UID the old one without its past. */
static int settle_row(struct mailbox *mailbox, size_t item, const struct message *message,
                      const struct history_row *row, const char *owed, struct fault *fault)
{
    struct mailbox_item *mine = &mailbox->items[item];

    mine->refused_before = row != NULL && row->refusals > 0;
    mine->refused_at = row != NULL ? history_refused_at(row) : 0;
    if (mine->row == 0)
        return make_row(mailbox, item, message, owed, fault);
    if (row == NULL || notice_came(&mailbox->plan.items[item]) || speaks_of(row, message))
        return 0;
    mine->refused_before = false;
    return reuse_row(mailbox, item, owed, fault);
}

/* Decide who gets the message, and hand it over. Takes the message. */
static void deliver(struct mailbox *mailbox, size_t item, struct message *message,
                    const struct history_row *row)
{
    struct buf owed;
    struct fault fault;
    int result;

    buf_init(&owed, OWED_MAX);
    if (speaks_of(row, message) && row->owed != NULL)
        (void)buf_puts(&owed, row->owed);
    if (owed.len == 0)
        mailbox_recipients(mailbox, message, &owed);
    if (owed.len == 0)
        result = fault_set(&fault, FAULT_OF_MESSAGE, FAULT_INTERNAL, "RCPT", "has no recipient");
    else
        result = settle_row(mailbox, item, message, row, owed.data, &fault);
    if (result == 0) {
        submit(mailbox, item, message, owed.data);
    } else {
        message_free(message);
        mailbox_leave(mailbox, item, &fault);
    }
    buf_free(&owed);
}

static bool looped(struct mailbox *mailbox, size_t item, const struct message *message)
{
    struct fault fault;
    const char *header;
    size_t len;

    header = message_header(message, &len);
    if (!envelope_looped(header, len, destination_of(mailbox)->helo, mailbox->account->max_hops))
        return false;
    (void)fault_set(&fault, FAULT_OF_MESSAGE, FAULT_REFUSED, "loop",
                    "came through this host more than %u times: a mail loop", mailbox->account->max_hops);
    mailbox_leave(mailbox, item, &fault);
    return true;
}

bool mailbox_has_enough(const struct mailbox *mailbox)
{
    const struct plan_limits *limits = &mailbox->limits;
    size_t counted = mailbox->plan.actions[PLAN_RETRIEVE];

    return limits->max_messages > 0 && (limits->keep || limits->keep_days > 0) &&
           mailbox->fresh + counted >= limits->max_messages;
}

/* What the plan could not know of a message before its digest was known: it is refused and waits, or beyond
 * max_messages. */
static bool may_not_come_yet(struct mailbox *mailbox, size_t item, const struct history_row *row)
{
    if (row != NULL && plan_waits(row, mailbox->limits.now)) {
        mailbox->outcome->refused++;
        mailbox->plan.actions[PLAN_WAIT]++;
    } else if (mailbox_has_enough(mailbox)) {
        mailbox->unlooked = true;
        mailbox->outcome->waiting_messages++;
    } else {
        mailbox->fresh++;
        if (row != NULL)
            mailbox->items[item].row = row->id;
        return false;
    }
    mailbox->items[item].state = ITEM_LEFT;
    mailbox_release(mailbox, item);
    return true;
}

/* The row of what turns out to be known under another name, or none. -1: left, for nobody knows. */
static int look_up(struct mailbox *mailbox, size_t item, const struct message *message,
                   struct history_rows *found, const struct history_row **row)
{
    const struct plan_item *planned = &mailbox->plan.items[item];
    struct fault fault;
    int result = 0;

    *row = planned->row;
    if (planned->action == PLAN_IDENTIFY)
        result = mailbox_identified(mailbox, message, found, row, &fault);
    else if (planned->action == PLAN_RETRIEVE && planned->row == NULL)
        result = mailbox_named_since(mailbox, message, row, &fault);
    if (result < 0)
        mailbox_leave(mailbox, item, &fault);
    return result;
}

void mailbox_hand_over(struct mailbox *mailbox, size_t item, struct message *message)
{
    const struct plan_item *planned = &mailbox->plan.items[item];
    const struct history_row *row;
    struct history_rows found = {0};

    if (looped(mailbox, item, message)) {
        message_free(message);
        return;
    }
    if (planned->action == PLAN_COMPARE && same_message(planned->row, message)) {
        known(mailbox, item, message, planned->row);
        return;
    }
    if (look_up(mailbox, item, message, &found, &row) < 0) {
        message_free(message);
        return;
    }
    if (row != NULL && row != planned->row && !row_is_owed(row)) {
        known(mailbox, item, message, row);
        history_rows_free(&found);
        return;
    }
    /* What was compared is another message than the row's. */
    if ((planned->action == PLAN_IDENTIFY && may_not_come_yet(mailbox, item, row)) ||
        (planned->action == PLAN_COMPARE && may_not_come_yet(mailbox, item, NULL))) {
        message_free(message);
        history_rows_free(&found);
        return;
    }
    if (planned->action == PLAN_NOTICE)
        message = mailbox_notice(mailbox, item, message);
    if (message != NULL)
        deliver(mailbox, item, message, row);
    history_rows_free(&found);
}

void mailbox_take_back(struct mailbox *mailbox, struct delivery_job *job)
{
    struct mailbox_item *item = &mailbox->items[job->item];
    bool kept = mailbox->limits.keep || mailbox->limits.keep_days > 0;
    bool notice = job->recorded_state == HISTORY_NOTICED;

    item->state = ITEM_LEFT;
    if (job->outcome == DELIVERY_DONE || job->outcome == DELIVERY_UNRECORDED) {
        item->state = ITEM_DELIVERED;
        mailbox->retrieved_only--;
        mailbox->outcome->delivered++;
        mailbox->outcome->octets += job->delivered_octets;
        if (!kept && !notice)
            mailbox_may_delete(mailbox, job->item);
        else
            mailbox->outcome->kept++;
    } else if (job->outcome == DELIVERY_REFUSED && job->fault.scope == FAULT_OF_MESSAGE) {
        mailbox_refused(mailbox, job);
        return;
    } else {
        mailbox->outcome->waiting_messages++;
    }
    /* What a signal left untried is told once, when the poll ends. */
    if (job->outcome != DELIVERY_DONE && !(job->outcome == DELIVERY_UNTRIED && stop_requested()))
        mailbox_fault(mailbox, &job->fault, job->fault.scope == FAULT_OF_MESSAGE ? job->uid : NULL);
}
