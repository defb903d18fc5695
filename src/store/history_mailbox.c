/* Mailboxes: their rows, how their polls end, and what status shows of them. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/history_private.h"

#define LOGIN_WAIT_FIRST (15 * 60) /* seconds, doubled with each further refusal */
#define LOGIN_WAIT_MOST (24 * 3600)
#define HOURS_KEPT (8 * 24)

static void copy_column(char *dst, size_t size, sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);

    (void)snprintf(dst, size, "%s", text != NULL ? text : "");
}

void history_mailbox_read(struct history_mailbox *mailbox, sqlite3_stmt *statement)
{
    const void *settings = sqlite3_column_blob(statement, 10);

    *mailbox = (struct history_mailbox){
        .id = sqlite3_column_int64(statement, 0),
        .last_attempt = sqlite3_column_int64(statement, 1),
        .last_success = sqlite3_column_int64(statement, 2),
        .last_fault_time = sqlite3_column_int64(statement, 3),
        .failed_runs = (unsigned)sqlite3_column_int(statement, 6),
        .login_refusals = (unsigned)sqlite3_column_int(statement, 7),
        .login_retry_at = sqlite3_column_int64(statement, 8),
        .poll_not_before = sqlite3_column_int64(statement, 9),
        .newest_receipt = sqlite3_column_int64(statement, 11),
    };
    copy_column(mailbox->last_fault, sizeof(mailbox->last_fault), statement, 4);
    copy_column(mailbox->last_fault_class, sizeof(mailbox->last_fault_class), statement, 5);
    if (settings != NULL && sqlite3_column_bytes(statement, 10) == sizeof(mailbox->settings))
        memcpy(mailbox->settings, settings, sizeof(mailbox->settings));
}

/* A killed run noted no newest receipt: find it among the rows. */
static int find_newest(struct history *history, struct history_mailbox *mailbox, struct fault *fault)
{
    sqlite3_stmt *statement = history_statement(history, SQL_MAILBOX_NEWEST, fault);
    int64_t newest;

    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_int64(statement, 1, mailbox->id);
    if (sqlite3_step(statement) != SQLITE_ROW) {
        (void)history_error(history, "read", fault);
        (void)sqlite3_reset(statement);
        return -1;
    }
    newest = sqlite3_column_int64(statement, 0);
    if (newest > mailbox->newest_receipt)
        mailbox->newest_receipt = newest;
    (void)sqlite3_reset(statement);
    return 0;
}

/* The one mailbox that the statement tells; id 0 when there is none. */
static int take_mailbox(struct history *history, sqlite3_stmt *statement, struct history_mailbox *mailbox,
                        struct fault *fault)
{
    int rc = sqlite3_step(statement), result = 0;
    bool unfinished = false;

    *mailbox = (struct history_mailbox){0};
    if (rc == SQLITE_ROW) {
        history_mailbox_read(mailbox, statement);
        unfinished = sqlite3_column_int(statement, 12) != 0;
    } else if (rc != SQLITE_DONE) {
        result = history_error(history, "read", fault);
    }
    (void)sqlite3_reset(statement);
    return unfinished ? find_newest(history, mailbox, fault) : result;
}

int history_mailbox_find(struct history *history, const char *identity, struct history_mailbox *mailbox,
                         struct fault *fault)
{
    sqlite3_stmt *statement = history_statement(history, SQL_MAILBOX_GET, fault);

    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_text(statement, 1, identity, -1, SQLITE_STATIC);
    return take_mailbox(history, statement, mailbox, fault);
}

struct naming {
    const char *identity;
    struct history_mailbox *mailbox;
};

int history_mailbox_need(struct history *history, const char *identity, struct history_mailbox *mailbox,
                         struct fault *fault)
{
    sqlite3_stmt *statement = history_statement(history, SQL_MAILBOX_ADD, fault);

    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_text(statement, 1, identity, -1, SQLITE_STATIC);
    if (history_step(history, statement, fault) < 0)
        return -1;
    return history_mailbox_find(history, identity, mailbox, fault);
}

static int need(struct history *history, void *context, struct fault *fault)
{
    const struct naming *naming = context;

    return history_mailbox_need(history, naming->identity, naming->mailbox, fault);
}

int history_mailbox(struct history *history, const char *identity, struct history_mailbox *mailbox,
                    struct fault *fault)
{
    struct naming naming = {identity, mailbox};
    int result;

    (void)pthread_mutex_lock(&history->lock);
    result = history_mailbox_find(history, identity, mailbox, fault);
    (void)pthread_mutex_unlock(&history->lock);
    if (result < 0 || mailbox->id != 0 || history->mode == HISTORY_READ)
        return result;
    return history_commit(history, need, &naming, fault);
}

static int64_t login_wait(unsigned doublings)
{
    int64_t wait = (int64_t)LOGIN_WAIT_FIRST << (doublings < 7 ? doublings : 7);

    return wait < LOGIN_WAIT_MOST ? wait : LOGIN_WAIT_MOST;
}

/* What the end of a poll makes of its mailbox. */
static void judge(struct history_mailbox *mailbox, const struct history_result *result, int64_t now)
{
    unsigned suffered = result->login_surely ? 1 : 2; /* a plain -ERR may be a server's bad day, once */

    mailbox->last_attempt = now;
    mailbox->login_retry_at = 0;
    mailbox->poll_not_before = result->login_delay > 0 ? now + result->login_delay : 0;
    memcpy(mailbox->settings, result->settings, sizeof(mailbox->settings));
    if (result->success) {
        mailbox->last_success = now;
        mailbox->last_fault[0] = mailbox->last_fault_class[0] = '\0';
        mailbox->failed_runs = mailbox->login_refusals = 0;
        return;
    }
    mailbox->last_fault_time = now;
    (void)fault_quote(mailbox->last_fault, sizeof(mailbox->last_fault),
                      result->fault != NULL ? result->fault : "",
                      result->fault != NULL ? strlen(result->fault) : 0);
    (void)snprintf(mailbox->last_fault_class, sizeof(mailbox->last_fault_class), "%s",
                   fault_class_name(result->class));
    mailbox->failed_runs++;
    if (!result->login_refused && !result->login_surely)
        return;
    mailbox->login_refusals++;
    if (mailbox->login_refusals >= suffered)
        mailbox->login_retry_at = now + login_wait(mailbox->login_refusals - suffered);
}

struct finishing {
    int64_t id;
    const struct history_result *result;
    struct history_mailbox *after;
};

static int write_mailbox(struct history *history, const struct history_mailbox *mailbox,
                         const struct history_result *result, struct fault *fault)
{
    sqlite3_stmt *statement = history_statement(history, SQL_MAILBOX_FINISH, fault);

    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_int64(statement, 1, mailbox->id);
    (void)sqlite3_bind_int64(statement, 2, mailbox->last_success);
    (void)sqlite3_bind_int64(statement, 3, mailbox->last_fault_time);
    (void)sqlite3_bind_text(statement, 4, mailbox->last_fault, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 5, mailbox->last_fault_class, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 6, mailbox->failed_runs);
    (void)sqlite3_bind_int64(statement, 7, mailbox->login_refusals);
    (void)sqlite3_bind_int64(statement, 8, mailbox->login_retry_at);
    (void)sqlite3_bind_int64(statement, 9, mailbox->poll_not_before);
    (void)sqlite3_bind_blob(statement, 10, mailbox->settings, sizeof(mailbox->settings), SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 11, mailbox->newest_receipt);
    (void)sqlite3_bind_int64(statement, 12, (int64_t)result->messages);
    (void)sqlite3_bind_int64(statement, 13, (int64_t)result->octets);
    (void)sqlite3_bind_int64(statement, 14, (int64_t)result->waiting);
    (void)sqlite3_bind_int64(statement, 15, (int64_t)result->refused);
    (void)sqlite3_bind_int64(statement, 16, (int64_t)result->owed_deletions);
    (void)sqlite3_bind_int64(statement, 17, mailbox->last_attempt);
    return history_step(history, statement, fault);
}

static int write_hours(struct history *history, int64_t mailbox, const struct history_result *result,
                       int64_t now, struct fault *fault)
{
    sqlite3_stmt *statement = history_statement(history, SQL_HOUR_ADD, fault);

    if (statement == NULL || result->messages == 0)
        return statement == NULL ? -1 : 0;
    (void)sqlite3_bind_int64(statement, 1, mailbox);
    (void)sqlite3_bind_int64(statement, 2, now / 3600);
    (void)sqlite3_bind_int64(statement, 3, (int64_t)result->messages);
    (void)sqlite3_bind_int64(statement, 4, (int64_t)result->octets);
    if (history_step(history, statement, fault) < 0)
        return -1;
    statement = history_statement(history, SQL_HOUR_FORGET, fault);
    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_int64(statement, 1, mailbox);
    (void)sqlite3_bind_int64(statement, 2, now / 3600 - HOURS_KEPT);
    return history_step(history, statement, fault);
}

static int finish(struct history *history, void *context, struct fault *fault)
{
    const struct finishing *finishing = context;
    struct history_mailbox *after = finishing->after;
    sqlite3_stmt *statement = history_statement(history, SQL_MAILBOX_BY_ID, fault);
    int64_t now = time(NULL), newest = atomic_load(&history->newest);

    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_int64(statement, 1, finishing->id);
    if (take_mailbox(history, statement, after, fault) < 0)
        return -1;
    if (after->id == 0)
        return 0; /* moved or dropped by hand meanwhile: there is nothing to note it in */
    judge(after, finishing->result, now);
    if (finishing->result->messages > 0 && newest > after->newest_receipt)
        after->newest_receipt = newest;
    if (write_mailbox(history, after, finishing->result, fault) < 0)
        return -1;
    return write_hours(history, after->id, finishing->result, now, fault);
}

int history_finish(struct history *history, int64_t mailbox, const struct history_result *result,
                   struct history_mailbox *after, struct fault *fault)
{
    struct history_mailbox unasked;
    struct finishing finishing = {mailbox, result, after != NULL ? after : &unasked};

    return history_commit_at_last(history, finish, &finishing, fault);
}
