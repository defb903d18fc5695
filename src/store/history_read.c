/* What people read of the history: `status` and `history`. */
#include <stdio.h>
#include <time.h>

#include "store/history_private.h"

/* Days since the epoch of the local calendar. */
static int64_t local_day(int64_t when)
{
    time_t seconds = (time_t)when;
    struct tm tm;

    if (localtime_r(&seconds, &tm) == NULL)
        return when / 86400;
    tm.tm_isdst = 0;
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    return (int64_t)timegm(&tm) / 86400;
}

static int add_hours(struct history *history, struct history_summary *summary, int64_t now,
                     struct fault *fault)
{
    sqlite3_stmt *statement = history_statement(history, SQL_HOURS, fault);
    int rc;

    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_int64(statement, 1, summary->mailbox.id);
    (void)sqlite3_bind_int64(statement, 2, now / 3600 - 8 * 24);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t hour = sqlite3_column_int64(statement, 0);
        uint64_t messages = (uint64_t)sqlite3_column_int64(statement, 1);
        uint64_t octets = (uint64_t)sqlite3_column_int64(statement, 2);
        int64_t age = local_day(now) - local_day(hour * 3600);
        if (hour > now / 3600 - 24) {
            summary->day_messages += messages;
            summary->day_octets += octets;
        }
        if (age < 0 || age > 6)
            continue;
        summary->week_messages[6 - age] += messages;
        summary->week_octets[6 - age] += octets;
        summary->quarantined += (uint64_t)sqlite3_column_int64(statement, 3);
    }
    rc = rc == SQLITE_DONE ? 0 : history_error(history, "read", fault);
    (void)sqlite3_reset(statement);
    return rc;
}

static void read_summary(struct history_summary *summary, sqlite3_stmt *statement)
{
    *summary = (struct history_summary){
        .run_messages = (uint64_t)sqlite3_column_int64(statement, 14),
        .run_octets = (uint64_t)sqlite3_column_int64(statement, 15),
        .waiting = (uint64_t)sqlite3_column_int64(statement, 16),
        .refused = (uint64_t)sqlite3_column_int64(statement, 17),
        .owed_deletions = (uint64_t)sqlite3_column_int64(statement, 18),
    };
    history_mailbox_read(&summary->mailbox, statement);
    (void)snprintf(summary->identity, sizeof(summary->identity), "%s",
                   (const char *)sqlite3_column_text(statement, 13));
}

static int tell_summaries(struct history *history, int64_t now,
                          int (*take)(void *context, const struct history_summary *summary), void *context,
                          struct fault *fault)
{
    sqlite3_stmt *statement = history_statement(history, SQL_MAILBOX_ALL, fault);
    struct history_summary summary;
    int rc, result = 0;

    if (statement == NULL)
        return -1;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW && result == 0) {
        read_summary(&summary, statement);
        result = add_hours(history, &summary, now, fault);
        if (result == 0)
            result = take(context, &summary);
    }
    if (result == 0 && rc != SQLITE_DONE)
        result = history_error(history, "read", fault);
    (void)sqlite3_reset(statement);
    return result;
}

int history_summaries(struct history *history, int64_t now,
                      int (*take)(void *context, const struct history_summary *summary), void *context,
                      struct fault *fault)
{
    int result;

    (void)pthread_mutex_lock(&history->lock);
    result = tell_summaries(history, now, take, context, fault);
    (void)pthread_mutex_unlock(&history->lock);
    return result;
}

static int tell_row(sqlite3_stmt *statement,
                    int (*take)(void *context, const char *identity, const struct history_row *row),
                    void *context, struct fault *fault)
{
    struct history_rows rows = {0};
    int result;

    if (history_rows_take(&rows, statement) < 0)
        result = fault_set(fault, FAULT_OF_RUN, FAULT_INTERNAL, "history", "out of memory");
    else
        result = take(context, (const char *)sqlite3_column_text(statement, 14), &rows.rows[0]);
    history_rows_free(&rows);
    return result;
}

int history_each(struct history *history, const struct history_filter *filter,
                 int (*take)(void *context, const char *identity, const struct history_row *row),
                 void *context, struct fault *fault)
{
    sqlite3_stmt *statement;
    int rc, result = 0;

    (void)pthread_mutex_lock(&history->lock);
    statement = history_statement(history, SQL_EACH, fault);
    if (statement == NULL) {
        (void)pthread_mutex_unlock(&history->lock);
        return -1;
    }
    if (filter->identity != NULL)
        (void)sqlite3_bind_text(statement, 1, filter->identity, -1, SQLITE_STATIC);
    if (filter->search != NULL)
        (void)sqlite3_bind_text(statement, 2, filter->search, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(statement, 3, filter->state);
    (void)sqlite3_bind_int(statement, 4, filter->refused_only);
    (void)sqlite3_bind_int64(statement, 5, filter->since);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW && result == 0)
        result = tell_row(statement, take, context, fault);
    if (result == 0 && rc != SQLITE_DONE)
        result = history_error(history, "read", fault);
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    (void)pthread_mutex_unlock(&history->lock);
    return result;
}
