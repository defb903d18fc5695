#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/stop.h"
#include "poll/connect.h"
#include "poll/mailbox_private.h"
#include "report/log.h"

#define WINDOW_MESSAGES 512       /* RETRs under way at most */
#define SPILLED_MEMORY (64 * 1024) /* what a message in a temporary file still costs in memory */
#define JOB_EXTRAS 1024 /* a job's names, trace header and the rest */
#define UNLISTED_OCTETS (32 * 1024) /* taken for the size of a message that LIST gives none */
#define ROOM_FOR_ERROR (16 * 1024)  /* a message may be so much, or by half, larger than listed and still stay in memory */
#define REAL_OCTETS_MIN (128ULL * 1024 * 1024) /* a message may really bring this much, or 4 times what was listed */
#define EMPTY_DOUBTED 64 /* an empty message that was listed with so many octets is not believed */
#define DELETIONS_AT_ONCE 1000
#define OUTBOX_WAIT_MS 250

static const struct pop3_entry *entry_of(const struct mailbox *mailbox, size_t item)
{
    return mailbox->plan.items[item].entry;
}

const char *mailbox_uid(const struct mailbox *mailbox, size_t item)
{
    const char *uid = entry_of(mailbox, item)->uid;

    return uid != NULL ? uid : "(without UID)";
}

/* The octets that a message of this plan may hold in memory before it goes to a temporary file. */
static size_t memory_limit(const struct mailbox *mailbox)
{
    size_t limit = mailbox->params->window / 2;

    return limit > MESSAGE_MEMORY ? MESSAGE_MEMORY : limit;
}

/* What a message of so many octets costs in memory. */
static uint64_t memory_cost(const struct mailbox *mailbox, uint64_t octets, bool in_file)
{
    return (in_file ? SPILLED_MEMORY : octets) + sizeof(struct delivery_job) + JOB_EXTRAS +
           mailbox->account->recipients.count * sizeof(struct smtp_rcpt);
}

static bool charge(struct mailbox *mailbox, size_t index)
{
    struct mailbox_item *item = &mailbox->items[index];
    const struct pop3_entry *entry = entry_of(mailbox, index);
    uint64_t octets = entry->has_octets ? entry->octets : UNLISTED_OCTETS;
    bool large = octets > memory_limit(mailbox);
    uint64_t memory = memory_cost(mailbox, octets, large);
    uint64_t file = large ? octets : 0;

    if (mailbox->under_way > 0 &&
        (mailbox->under_way >= WINDOW_MESSAGES || mailbox->memory + memory > mailbox->params->window ||
         mailbox->file + file > mailbox->params->file_window))
        return false;
    item->memory = memory;
    item->file = file;
    item->has_charge = true;
    mailbox->memory += memory;
    mailbox->file += file;
    mailbox->under_way++;
    return true;
}

/* It has come, and may be larger than it was listed. */
static void charge_the_rest(struct mailbox *mailbox, size_t index, const struct message *message)
{
    struct mailbox_item *item = &mailbox->items[index];
    struct message_part parts[2];
    bool in_file = message_parts(message, parts) < 0;
    uint64_t octets = message_stuffed_octets(message);
    uint64_t memory = memory_cost(mailbox, octets, in_file);
    uint64_t file = in_file ? octets : 0;

    if (memory > item->memory) {
        mailbox->memory += memory - item->memory;
        item->memory = memory;
    }
    if (file > item->file) {
        mailbox->file += file - item->file;
        item->file = file;
    }
}

void mailbox_release(struct mailbox *mailbox, size_t index)
{
    struct mailbox_item *item = &mailbox->items[index];

    if (!item->has_charge)
        return;
    item->has_charge = false;
    mailbox->memory -= item->memory;
    mailbox->file -= item->file;
    mailbox->under_way--;
}

/* A fault of this message: it stays, the others go on. */
void mailbox_leave(struct mailbox *mailbox, size_t item, const struct fault *fault)
{
    struct fault store;

    mailbox->items[item].state = ITEM_LEFT;
    mailbox_fault(mailbox, fault, mailbox_uid(mailbox, item));
    mailbox_release(mailbox, item);
    if (mailbox->items[item].row != 0 &&
        history_stumble(mailbox->params->history, mailbox->items[item].row, fault->text, &store) < 0)
        mailbox_fault(mailbox, &store, NULL);
}

static int push_question(struct mailbox *mailbox, enum pop3_verb verb, size_t item)
{
    if (mailbox->question_count == mailbox->question_size) {
        size_t size = mailbox->question_size == 0 ? 64 : mailbox->question_size * 2;
        struct mailbox_question *grown = malloc(size * sizeof(*grown));
        size_t i;
        if (grown == NULL)
            return -1;
        for (i = 0; i < mailbox->question_count; i++)
            grown[i] = mailbox->questions[(mailbox->question_first + i) % mailbox->question_size];
        free(mailbox->questions);
        mailbox->questions = grown;
        mailbox->question_size = size;
        mailbox->question_first = 0;
    }
    mailbox->questions[(mailbox->question_first + mailbox->question_count++) % mailbox->question_size] =
        (struct mailbox_question){verb, item};
    return 0;
}

static int ask(struct mailbox *mailbox, enum pop3_verb verb, size_t item, struct fault *fault)
{
    if (push_question(mailbox, verb, item) < 0)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_INTERNAL, "RETR", "out of memory");
    return pop3_ask(mailbox->pop3, verb, entry_of(mailbox, item)->number, 0, fault);
}

/* What came is so much larger than listed that the messages on their way must wait in the socket until a
 * delivery makes room. A server that counts line ends as one octet lists a little less than it sends. */
static bool overfull(const struct mailbox *mailbox)
{
    enum pop3_verb verb;

    if (mailbox->delivering == 0 || mailbox->question_count == 0 ||
        (mailbox->file <= mailbox->params->file_window / 8 * 9 &&
         mailbox->memory <= mailbox->params->window * 2))
        return false;
    verb = mailbox->questions[mailbox->question_first].verb;
    return verb == POP3_RETR || verb == POP3_TOP;
}

static struct mailbox_question pop_question(struct mailbox *mailbox)
{
    struct mailbox_question question = mailbox->questions[mailbox->question_first];

    mailbox->question_first = (mailbox->question_first + 1) % mailbox->question_size;
    mailbox->question_count--;
    return question;
}

/* A message that may be what broke the session is tried last in the next run. */
static void blame(struct mailbox *mailbox, size_t item, const struct fault *fault)
{
    struct fault store;

    if (mailbox->items[item].row != 0 && !stop_requested())
        (void)history_stumble(mailbox->params->history, mailbox->items[item].row, fault->text, &store);
}

/* The POP3 session is gone, and with it every answer that was awaited. */
static void lose(struct mailbox *mailbox, const struct fault *fault, bool blame_first)
{
    if (mailbox->pop3 == NULL)
        return;
    while (mailbox->question_count > 0) {
        struct mailbox_question question = pop_question(mailbox);
        if (question.verb != POP3_RETR && question.verb != POP3_TOP) {
            if (blame_first)
                mailbox->poison = question.item + 1;
            blame_first = false;
            continue;
        }
        mailbox_release(mailbox, question.item);
        mailbox->items[question.item].state = ITEM_LEFT;
        if (blame_first)
            blame(mailbox, question.item, fault);
        blame_first = false;
    }
    pop3_close(mailbox->pop3);
    mailbox->pop3 = NULL;
    mailbox_fault(mailbox, fault, NULL);
}

void mailbox_lost(struct mailbox *mailbox, const struct fault *fault)
{
    lose(mailbox, fault, true);
}

void mailbox_may_delete(struct mailbox *mailbox, size_t item)
{
    mailbox->deletable[mailbox->deletable_count++] = item;
}

int mailbox_ask_deletions(struct mailbox *mailbox, bool last)
{
    struct fault fault;

    /* In a pipeline the DELEs cost nothing with QUIT; elsewhere they fill the time until the next
     * delivery. */
    if (mailbox->pop3 == NULL || (pop3_pipelining(mailbox->pop3) && !last))
        return 0;
    while (mailbox->deletable_first < mailbox->deletable_count &&
           mailbox->question_count < DELETIONS_AT_ONCE) {
        if (ask(mailbox, POP3_DELE, mailbox->deletable[mailbox->deletable_first++], &fault) < 0) {
            mailbox_lost(mailbox, &fault);
            return -1;
        }
    }
    return 0;
}

static bool wants_retrieval(const struct mailbox *mailbox, size_t item)
{
    enum plan_action action = mailbox->plan.items[item].action;

    return action == PLAN_RETRIEVE || action == PLAN_COMPARE || action == PLAN_IDENTIFY ||
           action == PLAN_NOTICE;
}

/* A full window is asked for more when a quarter of it is free: RETRs go out in batches, not one by one. */
static bool has_room_again(const struct mailbox *mailbox)
{
    return mailbox->under_way <= WINDOW_MESSAGES / 4 * 3 &&
           mailbox->memory <= mailbox->params->window / 4 * 3 &&
           mailbox->file <= mailbox->params->file_window / 4 * 3;
}

/* Ask for as many messages as there is room for. */
static int ask_messages(struct mailbox *mailbox)
{
    struct fault fault;

    if (mailbox->pop3 == NULL || (mailbox->full && !has_room_again(mailbox)))
        return 0;
    mailbox->full = false;
    for (; mailbox->cursor < mailbox->plan.count; mailbox->cursor++) {
        size_t item = mailbox->cursor;
        bool notice = mailbox->plan.items[item].action == PLAN_NOTICE;
        if (!wants_retrieval(mailbox, item))
            continue;
        if (mailbox->plan.items[item].action == PLAN_IDENTIFY && mailbox_has_enough(mailbox)) {
            mailbox->unlooked = true;
            mailbox->outcome->waiting_messages++;
            continue;
        }
        if (delivery_down(mailbox->params->delivery))
            return 0;
        if (!charge(mailbox, item)) {
            mailbox->full = true;
            return 0;
        }
        mailbox->items[item].state = ITEM_ASKED;
        if (ask(mailbox, notice ? POP3_TOP : POP3_RETR, item, &fault) < 0) {
            mailbox_lost(mailbox, &fault);
            return -1;
        }
    }
    return 0;
}

/* The body of a RETR or TOP answer. NULL: it was dropped, or the session is lost (noted). */
static struct message *read_body(struct mailbox *mailbox, size_t item, bool wanted)
{
    const struct pop3_entry *entry = entry_of(mailbox, item);
    uint64_t half_more = entry->octets + entry->octets / 2 + ROOM_FOR_ERROR;
    size_t limit = memory_limit(mailbox);
    uint64_t cap = entry->octets * 4 > REAL_OCTETS_MIN ? entry->octets * 4 : REAL_OCTETS_MIN;
    struct message *message = NULL;
    struct fault fault;

    if (wanted) {
        message = message_new(entry->octets, half_more < limit ? (size_t)half_more : limit, cap);
        if (message == NULL) {
            (void)fault_set(&fault, FAULT_OF_MESSAGE, FAULT_INTERNAL, "RETR", "out of memory");
            mailbox_fault(mailbox, &fault, mailbox_uid(mailbox, item));
        }
    }
    if (pop3_body(mailbox->pop3, message, &fault) == 0)
        return message;
    message_free(message);
    mailbox->items[item].state = ITEM_LEFT;
    mailbox_release(mailbox, item);
    blame(mailbox, item, &fault);
    lose(mailbox, &fault, false);
    return NULL;
}

static const char *host_of(const struct mailbox *mailbox)
{
    return mailbox->account->peer.host;
}

/* A body that begins with a status line, or is empty where much was listed, is the answer to another
 * question: one reply too many or too few came. Going on would deliver each message under its neighbour's
 * UID, and delete the last one unread. */
static bool out_of_step(const struct pop3_entry *entry, const struct message *message)
{
    size_t len;
    const char *header;

    if (!entry->has_octets || message_received(message) == entry->octets)
        return false;
    header = message_header(message, &len);
    return (len >= 3 && memcmp(header, "+OK", 3) == 0) || (len >= 4 && memcmp(header, "-ERR", 4) == 0) ||
           (message_received(message) == 0 && entry->octets >= EMPTY_DOUBTED);
}

/* It was asked for, but its destination has gone down since. What a signal left is told when the poll
 * ends. */
static void on_dropped(struct mailbox *mailbox, size_t item)
{
    struct fault fault;

    mailbox->retrieved_only++;
    mailbox->outcome->waiting_messages++;
    mailbox->items[item].state = ITEM_LEFT;
    mailbox_release(mailbox, item);
    if (!stop_requested() && delivery_obstacle(mailbox->params->delivery, &fault))
        mailbox_fault(mailbox, &fault, NULL);
}

static void on_retrieved(struct mailbox *mailbox, size_t item, const struct pop3_reply *reply)
{
    struct message *message;
    struct fault fault;

    if (!reply->ok && mailbox->plan.items[item].action == PLAN_NOTICE) {
        /* No TOP: it is left as if no notice had been wished for. */
        log_line(LOG_LEVEL_NOTICE, mailbox->account->peer.title, "message %s: no notice of its size: %s",
                 mailbox_uid(mailbox, item), reply->text);
        mailbox->items[item].state = ITEM_LEFT;
        mailbox_release(mailbox, item);
        return;
    }
    if (!reply->ok) {
        (void)fault_set(&fault, FAULT_OF_MESSAGE, FAULT_RETRY, "RETR", "%s refused to hand it over: %s",
                        host_of(mailbox), reply->text);
        mailbox_leave(mailbox, item, &fault);
        return;
    }
    message = read_body(mailbox, item, !delivery_down(mailbox->params->delivery));
    if (message != NULL && out_of_step(entry_of(mailbox, item), message)) {
        message_free(message);
        mailbox->items[item].state = ITEM_LEFT;
        mailbox_release(mailbox, item);
        (void)fault_set(&fault, FAULT_OF_MAILBOX, FAULT_PROTOCOL, "RETR", "%s answered RETR %u out of step",
                        host_of(mailbox), entry_of(mailbox, item)->number);
        blame(mailbox, item, &fault);
        lose(mailbox, &fault, false);
    } else if (message != NULL) {
        mailbox->retrieved_only++;
        progress_add(mailbox->params->progress, mailbox->slot, 1, entry_of(mailbox, item)->octets);
        charge_the_rest(mailbox, item, message);
        mailbox_hand_over(mailbox, item, message);
    } else if (mailbox->items[item].state == ITEM_ASKED) {
        on_dropped(mailbox, item);
    }
}

static void on_deleted(struct mailbox *mailbox, size_t item, const struct pop3_reply *reply)
{
    struct fault fault;

    if (reply->ok) {
        mailbox->marked++;
        mailbox->items[item].marked = true;
        if (mailbox->items[item].row != 0)
            mailbox->gone[mailbox->gone_count++] = mailbox->items[item].row;
        return;
    }
    (void)fault_set(&fault, FAULT_OF_MESSAGE, FAULT_RETRY, "DELE", "%s refused to delete it: %s",
                    host_of(mailbox), reply->text);
    mailbox_fault(mailbox, &fault, mailbox_uid(mailbox, item));
}

int mailbox_read_reply(struct mailbox *mailbox)
{
    struct pop3_reply reply;
    struct mailbox_question question;
    struct fault fault;

    if (pop3_reply(mailbox->pop3, &reply, &fault) < 0) {
        mailbox_lost(mailbox, &fault);
        return -1;
    }
    question = pop_question(mailbox);
    mailbox->noop_at = clock_ms();
    if (question.verb == POP3_DELE)
        on_deleted(mailbox, question.item, &reply);
    else
        on_retrieved(mailbox, question.item, &reply);
    return mailbox->pop3 != NULL ? 0 : -1;
}

struct message *mailbox_retrieve(struct mailbox *mailbox, size_t item)
{
    struct pop3_reply reply;
    struct fault fault;

    while (mailbox->pop3 != NULL && mailbox->question_count > 0)
        (void)mailbox_read_reply(mailbox);
    if (mailbox->pop3 == NULL)
        return NULL;
    if (pop3_ask(mailbox->pop3, POP3_RETR, entry_of(mailbox, item)->number, 0, &fault) < 0 ||
        pop3_reply(mailbox->pop3, &reply, &fault) < 0) {
        mailbox_lost(mailbox, &fault);
        return NULL;
    }
    if (reply.ok)
        return read_body(mailbox, item, true);
    (void)fault_set(&fault, FAULT_OF_MESSAGE, FAULT_RETRY, "RETR", "%s refused to hand it over: %s",
                    host_of(mailbox), reply.text);
    mailbox_leave(mailbox, item, &fault);
    return NULL;
}

/* Deliveries are slow: keep the POP3 server from hanging up. */
void mailbox_keep_alive(struct mailbox *mailbox)
{
    struct fault fault;

    if (mailbox->pop3 == NULL ||
        clock_ms() - mailbox->noop_at < connect_noop_ms(mailbox->params->config))
        return;
    if (pop3_noop(mailbox->pop3, &fault) < 0)
        mailbox_lost(mailbox, &fault);
    mailbox->noop_at = clock_ms();
}

/* How many deliveries are worth waking up for: as many as make room in a full window; where nothing more is to be
 * asked for, all. Without a pipeline each one, for its DELE goes out at once. */
static size_t worth_waking(const struct mailbox *mailbox)
{
    if (mailbox->pop3 == NULL || !pop3_pipelining(mailbox->pop3))
        return 1;
    return mailbox->full || overfull(mailbox) ? mailbox->delivering / 4 + 1 : mailbox->delivering;
}

static void collect(struct mailbox *mailbox, unsigned wait_ms)
{
    struct delivery_job *jobs;

    if (mailbox->delivering == 0)
        return;
    jobs = delivery_outbox_take(&mailbox->outbox, wait_ms, worth_waking(mailbox));
    while (jobs != NULL) {
        struct delivery_job *job = jobs;
        jobs = job->next;
        mailbox->delivering--;
        mailbox_release(mailbox, job->item);
        mailbox_take_back(mailbox, job);
        delivery_job_free(job);
    }
}

void mailbox_cross(struct mailbox *mailbox)
{
    mailbox->noop_at = clock_ms();
    for (;;) {
        collect(mailbox, 0);
        if (ask_messages(mailbox) < 0 || mailbox_ask_deletions(mailbox, false) < 0)
            continue; /* the session is lost, but what is being delivered comes back all the same */
        if (mailbox->pop3 != NULL && mailbox->question_count > 0 && !overfull(mailbox))
            (void)mailbox_read_reply(mailbox);
        else if (mailbox->delivering > 0) {
            collect(mailbox, OUTBOX_WAIT_MS);
            mailbox_keep_alive(mailbox);
        } else
            break;
    }
}
