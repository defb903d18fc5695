/* Receipts, and the other notes about single messages. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "store/history_private.h"

#define PATIENCE_US 10000 /* the longest wait for others who may share a commit */

static int missing(struct fault *fault)
{
    return fault_set(fault, FAULT_OF_MESSAGE, FAULT_STATE, "history",
                     "the message is no longer in the history: it was taken out while it was delivered");
}

static int write_receipt(struct history *history, const struct history_receipt *receipt, int64_t now,
                         struct fault *fault)
{
    sqlite3_stmt *statement = history_statement(history, SQL_RECEIPT, fault);

    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_int64(statement, 1, receipt->id);
    (void)sqlite3_bind_int(statement, 2, (int)receipt->state);
    if (receipt->owed != NULL && receipt->owed[0] != '\0')
        (void)sqlite3_bind_text(statement, 3, receipt->owed, -1, SQLITE_STATIC);
    if (receipt->digest != NULL)
        (void)sqlite3_bind_blob(statement, 4, receipt->digest, 32, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 5, (int64_t)receipt->octets);
    if (receipt->delivered)
        (void)sqlite3_bind_int64(statement, 6, now);
    (void)sqlite3_bind_int(statement, 7, receipt->refused);
    (void)sqlite3_bind_int64(statement, 8, now);
    (void)sqlite3_bind_int(statement, 9, receipt->stumbled);
    history_bind_text(statement, 10, receipt->reply, HISTORY_REPLY_MAX);
    if (history_step(history, statement, fault) < 0)
        return -1;
    if (sqlite3_changes(history->db) == 0)
        return missing(fault);
    if (receipt->state != HISTORY_QUARANTINED)
        return 0;
    statement = history_statement(history, SQL_HOUR_QUARANTINED, fault);
    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_int64(statement, 1, receipt->id);
    (void)sqlite3_bind_int64(statement, 2, now / 3600);
    return history_step(history, statement, fault);
}

int64_t history_refused_at(const struct history_row *row)
{
    unsigned doublings = row->refusals < 2 ? 0 : row->refusals - 2 < 5 ? row->refusals - 2 : 5;
    int64_t wait = row->refusals < 2 ? 0 : 3600LL << doublings;

    if (row->refusals == 0 || row->retry_at == 0)
        return 0;
    return row->retry_at - (wait < 86400 ? wait : 86400);
}

/* What fails for its own sake must not fail the receipts that share the commit. */
static bool of_one_receipt(const struct history *history, const struct fault *fault)
{
    int code = history->code & 0xFF;

    return fault->scope == FAULT_OF_MESSAGE || code == SQLITE_CONSTRAINT || code == SQLITE_TOOBIG ||
           code == SQLITE_MISMATCH;
}

static int write_group(struct history *history, void *context, struct fault *fault)
{
    struct history_waiting *waiting;
    int64_t now = time(NULL);

    for (waiting = context; waiting != NULL; waiting = waiting->next) {
        waiting->result = write_receipt(history, waiting->receipt, now, &waiting->fault);
        if (waiting->result < 0 && !of_one_receipt(history, &waiting->fault)) {
            *fault = waiting->fault;
            return -1;
        }
        waiting->fault.scope = FAULT_OF_MESSAGE;
    }
    return 0;
}

/* All that wait, in one transaction. If it fails, it fails for all of them. */
static void commit_group(struct history *history, struct history_waiting *group)
{
    struct history_waiting *waiting;
    struct fault fault;
    long long now = time(NULL);

    if (history_commit_at_last(history, write_group, group, &fault) < 0) {
        for (waiting = group; waiting != NULL; waiting = waiting->next) {
            waiting->result = -1;
            waiting->fault = fault;
        }
        return;
    }
    if (now > atomic_load(&history->newest))
        atomic_store(&history->newest, now);
}

/* Give those a moment who shared the last commit, or came while it was made: on a disk that is slow one commit
 * for all is worth more than the wait. Called with the gate held. */
static void gather(struct history *history)
{
    int64_t patience = history->took_us / 2 < PATIENCE_US ? history->took_us / 2 : PATIENCE_US;
    int64_t until = clock_us() + patience;

    while (history->waiting < history->expected &&
           clock_wait(&history->gathered, &history->gate, until) != ETIMEDOUT)
        continue;
}

/* Commit all that wait. Called, and left, with the gate held, which is open meanwhile. */
static void lead(struct history *history)
{
    struct history_waiting *group;
    struct history_waiting *next;
    unsigned count;
    int64_t start;

    history->leading = true;
    gather(history);
    group = history->first;
    count = history->waiting;
    history->first = NULL;
    history->last = &history->first;
    history->waiting = history->expected = 0;
    (void)pthread_mutex_unlock(&history->gate);
    start = clock_us();
    commit_group(history, group);
    (void)pthread_mutex_lock(&history->gate);
    history->took_us = clock_us() - start;
    history->expected = count + history->waiting;
    for (; group != NULL; group = next) {
        next = group->next; /* its owner may leave as soon as it is done and the gate open */
        group->done = true;
    }
    history->leading = false;
    (void)pthread_cond_broadcast(&history->committed);
}

/* Whoever comes while nobody commits, commits for all that wait; the others find theirs done, or one of them
 * commits next. */
int history_receipt(struct history *history, const struct history_receipt *receipt, struct fault *fault)
{
    struct history_waiting mine = {.receipt = receipt};

    (void)pthread_mutex_lock(&history->gate);
    *history->last = &mine;
    history->last = &mine.next;
    if (++history->waiting == history->expected)
        (void)pthread_cond_signal(&history->gathered);
    while (!mine.done && history->leading)
        (void)pthread_cond_wait(&history->committed, &history->gate);
    if (!mine.done)
        lead(history);
    (void)pthread_mutex_unlock(&history->gate);
    if (mine.result < 0)
        *fault = mine.fault;
    return mine.result;
}

/* One statement about one message. */
struct note {
    enum history_sql sql;
    int64_t id;
    int64_t octets;
    const char *text; /* parameter 2 of a stumble, 3 of a reuse */
};

static int write_note(struct history *history, void *context, struct fault *fault)
{
    const struct note *note = context;
    sqlite3_stmt *statement = history_statement(history, note->sql, fault);

    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_int64(statement, 1, note->id);
    if (note->sql == SQL_STUMBLE) {
        history_bind_text(statement, 2, note->text, HISTORY_REPLY_MAX);
        return history_step(history, statement, fault);
    }
    (void)sqlite3_bind_int64(statement, 2, note->octets);
    if (note->sql == SQL_REUSED) {
        (void)sqlite3_bind_text(statement, 3, note->text, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(statement, 4, time(NULL));
    }
    return history_step(history, statement, fault);
}

int history_stumble(struct history *history, int64_t id, const char *reply, struct fault *fault)
{
    struct note note = {.sql = SQL_STUMBLE, .id = id, .text = reply};

    return history_commit_at_last(history, write_note, &note, fault);
}

int history_compared(struct history *history, int64_t id, uint64_t octets, struct fault *fault)
{
    struct note note = {.sql = SQL_COMPARED, .id = id, .octets = (int64_t)octets};

    return history_commit_at_last(history, write_note, &note, fault);
}

int history_reused(struct history *history, int64_t id, uint64_t octets, const char *owed,
                   struct fault *fault)
{
    struct note note = {.sql = SQL_REUSED, .id = id, .octets = (int64_t)octets, .text = owed};

    return history_commit(history, write_note, &note, fault);
}

struct ids {
    const int64_t *ids;
    size_t count;
};

static int write_gone(struct history *history, void *context, struct fault *fault)
{
    const struct ids *gone = context;
    size_t i;

    for (i = 0; i < gone->count; i++) {
        sqlite3_stmt *statement = history_statement(history, SQL_GONE, fault);
        if (statement == NULL)
            return -1;
        (void)sqlite3_bind_int64(statement, 1, gone->ids[i]);
        if (history_step(history, statement, fault) < 0)
            return -1;
    }
    return 0;
}

int history_gone(struct history *history, const int64_t *ids, size_t count, struct fault *fault)
{
    struct ids gone = {ids, count};

    return count > 0 ? history_commit_at_last(history, write_gone, &gone, fault) : 0;
}
