#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "poll/mailbox_private.h"
#include "report/log.h"

#define TOP_UID "top:" /* the identity of a message by its header, where the server has no UIDs */
#define TOP_UID_SIZE (sizeof(TOP_UID) + 2 * MESSAGE_DIGEST_SIZE)
#define HEADER_CAP (4ULL * 1024 * 1024)
#define TOPS_AT_ONCE 256

static void write_uid(char *uid, const unsigned char *digest)
{
    size_t i;

    memcpy(uid, TOP_UID, sizeof(TOP_UID));
    for (i = 0; i < MESSAGE_DIGEST_SIZE; i++)
        (void)snprintf(uid + sizeof(TOP_UID) - 1 + 2 * i, 3, "%02x", digest[i]);
}

/* The digest of the header that a TOP answer brought. 1: uid written; 0: the server refused; -1: the session is lost. */
static int read_top(struct mailbox *mailbox, char *uid, struct fault *fault)
{
    struct pop3_reply reply;
    struct message *message;
    int result = 0;

    if (pop3_reply(mailbox->pop3, &reply, fault) < 0)
        return -1;
    if (!reply.ok)
        return 0;
    message = message_new(0, 64 * 1024, HEADER_CAP);
    if (message == NULL)
        return fault_set(fault, FAULT_OF_MAILBOX, FAULT_INTERNAL, "TOP", "out of memory");
    if (pop3_body(mailbox->pop3, message, fault) < 0)
        result = -1;
    else {
        write_uid(uid, message_digest(message));
        result = 1;
    }
    message_free(message);
    return result;
}

/* TOP n 0 for each entry of `wanting`; uids has TOP_UID_SIZE octets for each. */
static int ask_tops(struct mailbox *mailbox, struct pop3_entry **wanting, size_t count, char *uids, struct fault *fault)
{
    size_t asked = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        for (; asked < count && asked < i + TOPS_AT_ONCE; asked++) {
            if (pop3_ask(mailbox->pop3, POP3_TOP, wanting[asked]->number, 0, fault) < 0)
                return -1;
        }
        int result = read_top(mailbox, uids + i * TOP_UID_SIZE, fault);
        if (result < 0)
            return -1;
        if (result == 1)
            wanting[i]->uid = uids + i * TOP_UID_SIZE;
    }
    return 0;
}

int mailbox_identify_by_top(struct mailbox *mailbox)
{
    struct pop3_listing *listing = &mailbox->listing;
    bool kept = mailbox->limits.keep || mailbox->limits.keep_days > 0;
    struct pop3_entry **wanting;
    struct fault fault;
    size_t count = 0;
    size_t i;
    int result = 0;

    /* In delete mode every message is retrieved anyway, and its whole digest is the better identity. */
    if (!kept)
        return 0;
    wanting = malloc((listing->count + 1) * sizeof(struct pop3_entry *));
    for (i = 0; wanting != NULL && i < listing->count; i++) {
        if (listing->entries[i].uid == NULL)
            wanting[count++] = &listing->entries[i];
    }
    if (wanting != NULL && count > 0)
        mailbox->top_uids = calloc(count, TOP_UID_SIZE);
    if (wanting == NULL || (count > 0 && mailbox->top_uids == NULL))
        result = fault_set(&fault, FAULT_OF_MAILBOX, FAULT_INTERNAL, "TOP", "out of memory");
    else if (count > 0)
        result = ask_tops(mailbox, wanting, count, mailbox->top_uids, &fault);
    free(wanting);
    if (result < 0)
        mailbox_fault(mailbox, &fault, NULL);
    return result;
}

static bool used_already(const struct mailbox *mailbox, int64_t row)
{
    size_t i;

    for (i = 0; i < mailbox->plan.count; i++) {
        if (mailbox->plan.items[i].action == PLAN_IDENTIFY && mailbox->items[i].row == row)
            return true;
    }
    return false;
}

const struct history_row *mailbox_identified(struct mailbox *mailbox, const struct message *message,
                                             struct history_rows *rows, size_t item)
{
    struct fault fault;
    size_t i;

    (void)item;
    if (history_find_digest(mailbox->params->history, mailbox->record.id, message_digest(message), rows, &fault) < 0) {
        mailbox_fault(mailbox, &fault, NULL);
        return NULL;
    }
    /* Each row stands for one message: twins with one UID and one text are two messages. */
    for (i = 0; i < rows->count; i++) {
        if (!used_already(mailbox, rows->rows[i].id))
            return &rows->rows[i];
    }
    return NULL;
}

void mailbox_forget_unidentified(struct mailbox *mailbox)
{
    struct history_plan change = {0};
    int64_t *absent;
    struct fault fault;
    size_t i;

    if (mailbox->pop3 == NULL || mailbox->cursor < mailbox->plan.count)
        return;
    absent = malloc((mailbox->rows.count + 1) * sizeof(*absent));
    if (absent == NULL)
        return;
    for (i = 0; i < mailbox->rows.count; i++) {
        const struct history_row *row = &mailbox->rows.rows[i];
        if (!row->absent && strncmp(row->uid, PLAN_DIGEST_UID, strlen(PLAN_DIGEST_UID)) == 0 &&
            !used_already(mailbox, row->id))
            absent[change.absent_count++] = row->id;
    }
    change.absent = absent;
    if (change.absent_count > 0 &&
        history_plan(mailbox->params->history, mailbox->record.id, &change, &fault) < 0)
        mailbox_fault(mailbox, &fault, NULL);
    free(absent);
}
