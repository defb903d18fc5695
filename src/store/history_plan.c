/* The plan's rows: committed before anything is delivered. */
#include <time.h>

#include "store/history_private.h"

struct planning {
    int64_t mailbox;
    struct history_plan *plan;
    int64_t now;
};

/* A statement with one row's id and a time, for each id. */
static int for_ids(struct history *history, enum history_sql which, const int64_t *ids, size_t count,
                   int64_t now, struct fault *fault)
{
    size_t i;

    for (i = 0; i < count; i++) {
        sqlite3_stmt *statement = history_statement(history, which, fault);
        if (statement == NULL)
            return -1;
        (void)sqlite3_bind_int64(statement, 1, ids[i]);
        if (now != 0)
            (void)sqlite3_bind_int64(statement, 2, now);
        if (history_step(history, statement, fault) < 0)
            return -1;
    }
    return 0;
}

static int add_fresh(struct history *history, const struct planning *planning, struct fault *fault)
{
    size_t i;

    for (i = 0; i < planning->plan->fresh_count; i++) {
        struct history_new *fresh = &planning->plan->fresh[i];
        sqlite3_stmt *statement = history_statement(history, SQL_MESSAGE_ADD, fault);
        if (statement == NULL)
            return -1;
        (void)sqlite3_bind_int64(statement, 1, planning->mailbox);
        (void)sqlite3_bind_text(statement, 2, fresh->uid, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(statement, 3, (int64_t)fresh->octets);
        if (fresh->owed != NULL)
            (void)sqlite3_bind_text(statement, 4, fresh->owed, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(statement, 5, planning->now);
        if (history_step(history, statement, fault) < 0)
            return -1;
        fresh->id = sqlite3_last_insert_rowid(history->db);
    }
    return 0;
}

static int write_plan(struct history *history, void *context, struct fault *fault)
{
    const struct planning *planning = context;
    const struct history_plan *plan = planning->plan;

    /* The attempt is noted in any case, so that a disk that takes no writes shows now. */
    if (for_ids(history, SQL_MAILBOX_ATTEMPT, &planning->mailbox, 1, planning->now, fault) < 0)
        return -1;
    if (for_ids(history, SQL_MESSAGE_PRESENT, plan->present, plan->present_count, 0, fault) < 0 ||
        for_ids(history, SQL_MESSAGE_RETURNED, plan->another, plan->another_count, 0, fault) < 0 ||
        for_ids(history, SQL_MESSAGE_VANISH, plan->absent, plan->absent_count, 0, fault) < 0 ||
        for_ids(history, SQL_MESSAGE_ABSENT, plan->absent, plan->absent_count, planning->now, fault) < 0)
        return -1;
    if (plan->forget_before != 0 &&
        for_ids(history, SQL_MESSAGE_FORGET, &planning->mailbox, 1, plan->forget_before, fault) < 0)
        return -1;
    return add_fresh(history, planning, fault);
}

int history_plan(struct history *history, int64_t mailbox, struct history_plan *plan, struct fault *fault)
{
    struct planning planning = {mailbox, plan, time(NULL)};

    if (history_exhausted(history))
        return fault_set(fault, FAULT_OF_RUN, FAULT_STATE, "history",
                         "cannot write %s: the disk is full, and the reserve is used up", history->path);
    return history_commit(history, write_plan, &planning, fault);
}
