#include <stdio.h>
#include <stdlib.h>

#include "mail/lines.h"
#include "poll/mailbox_private.h"
#include "poll/quarantine.h"
#include "report/log.h"

#define WRAPPER_MEMORY (256 * 1024)
#define CHUNK 65536
#define FORWARD_WAIT_MS 250

void mailbox_refused(struct mailbox *mailbox, const struct delivery_job *job)
{
    struct mailbox_item *item = &mailbox->items[job->item];

    mailbox->outcome->refused++;
    /* A notice may be refused for what it is: the message itself was never offered. */
    if (item->refused_before && mailbox->account->on_reject != CONFIG_REJECT_KEEP &&
        mailbox->plan.items[job->item].action != PLAN_NOTICE)
        item->rejection = malloc(sizeof(*item->rejection));
    if (item->rejection == NULL) {
        mailbox_fault(mailbox, &job->fault, job->uid);
        return;
    }
    *item->rejection = (struct mailbox_rejection){job->fault, job->transaction.reply};
    item->state = ITEM_REJECTED;
    mailbox->rejected++;
}

/* A refusal means the message, not the server: something else fares otherwise in this run, or has been
 * delivered since the message was refused before. */
static bool means_the_message(const struct mailbox *mailbox, size_t item)
{
    int64_t before = mailbox->items[item].refused_at;

    return !delivery_refuses_all(mailbox->params->delivery) ||
           (before != 0 && mailbox->record.newest_receipt > before);
}

static const char *words_of(const struct mailbox *mailbox, size_t item)
{
    const struct mailbox_rejection *rejection = mailbox->items[item].rejection;

    return rejection->reply.text[0] != '\0' ? rejection->reply.text : rejection->fault.text;
}

/* The message itself, line ends as in mail, without stuffing. */
static int copy_message(struct message *to, const struct message *from, struct fault *fault)
{
    char chunk[CHUNK];
    uint64_t offset = 0;
    bool line_start = true;
    long got;

    while ((got = message_read(from, offset, chunk, sizeof(chunk), fault)) > 0) {
        size_t len = lines_unstuff(chunk, (size_t)got, &line_start);
        offset += (uint64_t)got;
        if (message_write(to, chunk, len, fault) < 0)
            return -1;
    }
    return got < 0 ? -1 : 0;
}

/* A mail to reject_recipient with the message as message/rfc822 and the server's words. NULL: the fault is
 * filled. */
static struct message *wrap(const struct mailbox *mailbox, size_t item, const struct message *refused,
                            struct fault *fault)
{
    const struct config_account *account = mailbox->account;
    long long when = (long long)mailbox->limits.now;
    long long row = (long long)mailbox->items[item].row;
    struct message *wrapper = message_new(message_octets(refused), WRAPPER_MEMORY, UINT64_MAX);
    char text[4096];
    int n = snprintf(
        text, sizeof(text),
        "From: popferry <postmaster@%s>\r\nTo: <%s>\r\nSubject: Refused mail of account %s\r\n"
        "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=\"popferry-%llx-%llx\"\r\n\r\n"
        "--popferry-%llx-%llx\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        "The server %s refused this message (UID %.100s) of account %s:\r\n\r\n    %.500s\r\n\r\n"
        "It is attached and will be deleted from %s.\r\n\r\n"
        "--popferry-%llx-%llx\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n"
        "Content-Disposition: attachment\r\n\r\n",
        account->destination->helo, account->reject_recipient, account->peer.title, when, row, when, row,
        account->destination->peer.title, mailbox_uid(mailbox, item), account->peer.title,
        words_of(mailbox, item), account->peer.host, when, row);
    char tail[96];
    int t = snprintf(tail, sizeof(tail), "\r\n--popferry-%llx-%llx--\r\n", when, row);

    if (wrapper == NULL || n < 0 || (size_t)n >= sizeof(text)) {
        message_free(wrapper);
        (void)fault_set(fault, FAULT_OF_MESSAGE, FAULT_INTERNAL, "forward", "out of memory");
        return NULL;
    }
    if (message_write(wrapper, text, (size_t)n, fault) == 0 && copy_message(wrapper, refused, fault) == 0 &&
        message_write(wrapper, tail, (size_t)t, fault) == 0 && message_finish(wrapper, fault) == 0)
        return wrapper;
    message_free(wrapper);
    return NULL;
}

/* Deliver the wrapper and wait for it: rejected messages are few. */
static int forward(struct mailbox *mailbox, size_t item, const struct message *refused, struct fault *fault)
{
    const struct config_destination *to = mailbox->account->destination;
    struct message *wrapper = wrap(mailbox, item, refused, fault);
    struct delivery_job *job;
    struct delivery_job *back;
    int result = -1;

    if (wrapper == NULL)
        return -1;
    job = delivery_job_new(mailbox->account->reject_recipient,
                           to->protocol == CONFIG_SMTP ? to->recipient_domain : NULL);
    if (job == NULL) {
        message_free(wrapper);
        return fault_set(fault, FAULT_OF_MESSAGE, FAULT_INTERNAL, "forward", "out of memory");
    }
    job->outbox = &mailbox->outbox;
    job->account = mailbox->account->peer.title;
    job->uid = mailbox_uid(mailbox, item);
    job->item = item;
    job->message = wrapper;
    delivery_submit(mailbox->params->delivery, job);
    while ((back = delivery_outbox_take(&mailbox->outbox, FORWARD_WAIT_MS, 1)) == NULL)
        mailbox_keep_alive(mailbox);
    if (back->outcome == DELIVERY_DONE)
        result = 0;
    else
        *fault = back->fault;
    delivery_job_free(back);
    return result;
}

static void tell(const struct mailbox *mailbox, size_t item, bool quarantine, const char *reply)
{
    char text[1024];
    struct log_event event = {.event = quarantine ? "quarantined" : "forwarded",
                              .uidl = mailbox_uid(mailbox, item),
                              .size = (int64_t)mailbox->plan.items[item].entry->octets,
                              .smtp_reply = reply,
                              .duration = -1,
                              .text = text};

    (void)snprintf(text, sizeof(text), "message %.200s was refused for good and %s: %.600s", event.uidl,
                   quarantine ? "put into the quarantine" : "forwarded", reply);
    log_event(LOG_LEVEL_WARNING, mailbox->account->peer.title, &event);
}

/* Put it where on_reject says, commit that, and let go of it on the server. -1: it stays there, the fault is
 * noted. */
static int deal_with(struct mailbox *mailbox, size_t item)
{
    bool quarantine = mailbox->account->on_reject == CONFIG_REJECT_QUARANTINE;
    struct message *message = mailbox_retrieve(mailbox, item);
    struct history_receipt receipt = {.id = mailbox->items[item].row,
                                      .state = HISTORY_QUARANTINED,
                                      .octets = mailbox->plan.items[item].entry->octets};
    struct fault fault;
    int result;

    if (message == NULL)
        return -1;
    receipt.digest = message_digest(message);
    receipt.reply = words_of(mailbox, item);
    result = quarantine ? quarantine_put(mailbox->params->state_dir, message, receipt.id, &fault)
                        : forward(mailbox, item, message, &fault);
    if (result == 0)
        result = history_receipt(mailbox->params->history, &receipt, &fault);
    message_free(message);
    if (result < 0) {
        mailbox_fault(mailbox, &fault, mailbox_uid(mailbox, item));
        return -1;
    }
    mailbox->items[item].state = ITEM_DELIVERED;
    mailbox->retrieved_only--;
    mailbox->outcome->quarantined++;
    mailbox->outcome->refused--;
    tell(mailbox, item, quarantine, receipt.reply);
    mailbox_may_delete(mailbox, item);
    return 0;
}

void mailbox_deal_with_rejected(struct mailbox *mailbox)
{
    size_t i;

    for (i = 0; i < mailbox->plan.count && mailbox->rejected > 0; i++) {
        const struct mailbox_item *item = &mailbox->items[i];
        if (item->state != ITEM_REJECTED)
            continue;
        mailbox->rejected--;
        if (mailbox->pop3 != NULL && !delivery_down(mailbox->params->delivery) &&
            means_the_message(mailbox, i) && deal_with(mailbox, i) == 0)
            outcome_fault(mailbox->outcome, &item->rejection->fault, true);
        else
            mailbox_fault(mailbox, &item->rejection->fault, mailbox_uid(mailbox, i));
    }
}
