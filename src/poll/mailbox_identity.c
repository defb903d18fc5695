#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "poll/mailbox_private.h"
#include "report/log.h"

#define TOP_UID_SIZE (sizeof(PLAN_TOP_UID) + 2 * MESSAGE_DIGEST_SIZE)
#define HEADER_CAP (4ULL * 1024 * 1024)
#define TOPS_AT_ONCE 256

/* The digest of the header that a TOP answer brought. 1: uid written; 0: the server refused; -1: the session
 * is lost. */
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
        memcpy(uid, PLAN_TOP_UID, strlen(PLAN_TOP_UID));
        hex_write(uid + strlen(PLAN_TOP_UID), message_digest(message), MESSAGE_DIGEST_SIZE);
        result = 1;
    }
    message_free(message);
    return result;
}

/* TOP n 0 for each entry of `wanting`; uids has TOP_UID_SIZE octets for each. */
static int ask_tops(struct mailbox *mailbox, struct pop3_entry **wanting, size_t count, char *uids,
                    struct fault *fault)
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

    /* In delete mode every message is retrieved anyway, and its whole digest is the better identity; all but
     * those of which a notice must come once. */
    if (!kept && !mailbox->limits.notice)
        return 0;
    wanting = malloc((listing->count + 1) * sizeof(struct pop3_entry *));
    for (i = 0; wanting != NULL && i < listing->count; i++) {
        if (listing->entries[i].uid == NULL &&
            (kept || plan_oversize(&listing->entries[i], &mailbox->limits)))
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

static int by_digest(const void *a, const void *b)
{
    const struct history_row *const *x = a;
    const struct history_row *const *y = b;

    return memcmp((*x)->digest, (*y)->digest, MESSAGE_DIGEST_SIZE);
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Before its receipt brings the digest, a row that was made for a message without UID has it in its name. */
static bool has_digest(struct history_row *row)
{
    const char *digits = row->uid + strlen(PLAN_DIGEST_UID);
    size_t i;

    if (row->has_digest)
        return true;
    if (!starts_with(row->uid, PLAN_DIGEST_UID) || strlen(digits) != 2 * MESSAGE_DIGEST_SIZE)
        return false;
    for (i = 0; i < MESSAGE_DIGEST_SIZE; i++) {
        if (sscanf(digits + 2 * i, "%2hhx", &row->digest[i]) != 1)
            return false;
    }
    return true;
}

/* The rows of the last listing whose digest is known, sorted by it; made when it is needed first. Rows whose
 * UID is listed have their message. */
static int index_digests(struct mailbox *mailbox, struct fault *fault)
{
    size_t i;

    if (mailbox->row_used != NULL)
        return 0;
    free(mailbox->by_digest);
    mailbox->by_digest = malloc((mailbox->rows.count + 1) * sizeof(*mailbox->by_digest));
    mailbox->row_used = calloc(mailbox->rows.count + 1, sizeof(*mailbox->row_used));
    if (mailbox->by_digest == NULL || mailbox->row_used == NULL)
        return fault_set(fault, FAULT_OF_MESSAGE, FAULT_INTERNAL, "RETR", "out of memory");
    for (i = 0; i < mailbox->rows.count; i++) {
        if (has_digest(&mailbox->rows.rows[i]))
            mailbox->by_digest[mailbox->digest_count++] = &mailbox->rows.rows[i];
    }
    qsort(mailbox->by_digest, mailbox->digest_count, sizeof(*mailbox->by_digest), by_digest);
    for (i = 0; i < mailbox->plan.count; i++) {
        if (mailbox->plan.items[i].row != NULL)
            mailbox->row_used[mailbox->plan.items[i].row - mailbox->rows.rows] = true;
    }
    return 0;
}

static const struct history_row *find_listed(struct mailbox *mailbox, const unsigned char *digest,
                                             bool nameless)
{
    size_t low = 0;
    size_t high = mailbox->digest_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(mailbox->by_digest[middle]->digest, digest, MESSAGE_DIGEST_SIZE) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < mailbox->digest_count; low++) {
        const struct history_row *row = mailbox->by_digest[low];
        bool *used = &mailbox->row_used[row - mailbox->rows.rows];
        if (memcmp(row->digest, digest, MESSAGE_DIGEST_SIZE) != 0)
            break;
        if (!*used &&
            (!nameless || starts_with(row->uid, PLAN_DIGEST_UID) || starts_with(row->uid, PLAN_TOP_UID))) {
            *used = true;
            return row;
        }
    }
    return NULL;
}

/* Whether another message of this run has taken the row: twins with one UID and one text are two messages. */
static bool taken(const struct mailbox *mailbox, int64_t row)
{
    size_t i;

    for (i = 0; i < mailbox->plan.count; i++) {
        if (mailbox->plan.items[i].action == PLAN_IDENTIFY && mailbox->items[i].row == row)
            return true;
    }
    return false;
}

int mailbox_identified(struct mailbox *mailbox, const struct message *message, struct history_rows *rows,
                       const struct history_row **row, struct fault *fault)
{
    size_t i;

    *row = NULL;
    if (index_digests(mailbox, fault) < 0)
        return -1;
    *row = find_listed(mailbox, message_digest(message), false);
    if (*row != NULL)
        return 0;
    if (history_find_digest(mailbox->params->history, mailbox->record.id, message_digest(message), rows,
                            fault) < 0)
        return -1;
    for (i = 0; i < rows->count && *row == NULL; i++) {
        if (!taken(mailbox, rows->rows[i].id))
            *row = &rows->rows[i];
    }
    return 0;
}

int mailbox_named_since(struct mailbox *mailbox, const struct message *message,
                        const struct history_row **row, struct fault *fault)
{
    *row = NULL;
    if (index_digests(mailbox, fault) < 0)
        return -1;
    *row = find_listed(mailbox, message_digest(message), true);
    return 0;
}

void mailbox_forget_unidentified(struct mailbox *mailbox)
{
    struct history_plan change = {0};
    int64_t *absent;
    struct fault fault;
    size_t i;

    if (mailbox->pop3 == NULL || mailbox->cursor < mailbox->plan.count || mailbox->unlooked)
        return;
    absent = malloc((mailbox->rows.count + 1) * sizeof(*absent));
    if (absent == NULL)
        return;
    for (i = 0; i < mailbox->rows.count; i++) {
        const struct history_row *row = &mailbox->rows.rows[i];
        if (!row->absent && starts_with(row->uid, PLAN_DIGEST_UID) &&
            (mailbox->row_used == NULL || !mailbox->row_used[i]))
            absent[change.absent_count++] = row->id;
    }
    change.absent = absent;
    if (change.absent_count > 0 &&
        history_plan(mailbox->params->history, mailbox->record.id, &change, &fault) < 0)
        mailbox_fault(mailbox, &fault, NULL);
    free(absent);
}
