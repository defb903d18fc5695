/* Changes to the history that people make by hand: `history` and `import`. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/history_private.h"

/* Run a statement with one or two integers (0: not bound); add what it touched to *touched, unless NULL. */
static int run_ids(struct history *history, enum history_sql which, int64_t first, int64_t second,
                   uint64_t *touched, struct fault *fault)
{
    sqlite3_stmt *statement = history_statement(history, which, fault);

    if (statement == NULL)
        return -1;
    if (first != 0)
        (void)sqlite3_bind_int64(statement, 1, first);
    if (second != 0)
        (void)sqlite3_bind_int64(statement, 2, second);
    if (history_step(history, statement, fault) < 0)
        return -1;
    if (touched != NULL)
        *touched += (uint64_t)sqlite3_changes(history->db);
    return 0;
}

static int count_messages(struct history *history, int64_t mailbox, uint64_t *count, struct fault *fault)
{
    sqlite3_stmt *statement = history_statement(history, SQL_MESSAGE_COUNT, fault);
    int result = 0;

    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_int64(statement, 1, mailbox);
    if (sqlite3_step(statement) == SQLITE_ROW)
        *count = (uint64_t)sqlite3_column_int64(statement, 0);
    else
        result = history_error(history, "read", fault);
    (void)sqlite3_reset(statement);
    return result;
}

struct change {
    const char *identity;
    const char *to;
    const char *uid;
    const char *const *uids;
    const uint64_t *octets;
    size_t count;
    int64_t before;
    uint64_t changed;
    uint64_t logins;
};

static int change(struct history *history, int (*work)(struct history *, void *, struct fault *),
                  struct change *what, uint64_t *changed, struct fault *fault)
{
    int result = history_commit(history, work, what, fault);

    if (changed != NULL)
        *changed = result == 0 ? what->changed : 0;
    return result;
}

static int rename_mailbox(struct history *history, int64_t id, const char *to, struct fault *fault)
{
    sqlite3_stmt *statement = history_statement(history, SQL_MOVE_RENAME, fault);

    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_int64(statement, 1, id);
    (void)sqlite3_bind_text(statement, 2, to, -1, SQLITE_STATIC);
    return history_step(history, statement, fault);
}

static int merge_mailboxes(struct history *history, int64_t from, int64_t to, uint64_t *changed,
                           struct fault *fault)
{
    if (run_ids(history, SQL_MOVE_YIELD, from, to, NULL, fault) < 0 ||
        run_ids(history, SQL_MOVE_MESSAGES, from, to, changed, fault) < 0 ||
        run_ids(history, SQL_DROP_MESSAGES, from, 0, NULL, fault) < 0 ||
        run_ids(history, SQL_MOVE_HOURS, from, to, NULL, fault) < 0 ||
        run_ids(history, SQL_DROP_HOURS, from, 0, NULL, fault) < 0)
        return -1;
    return run_ids(history, SQL_DROP_MAILBOX, from, 0, NULL, fault);
}

static int move(struct history *history, void *context, struct fault *fault)
{
    struct change *what = context;
    struct history_mailbox from, to;

    what->changed = 0;
    if (history_mailbox_find(history, what->identity, &from, fault) < 0 ||
        history_mailbox_find(history, what->to, &to, fault) < 0)
        return -1;
    if (from.id == 0 || from.id == to.id)
        return 0;
    if (to.id != 0)
        return merge_mailboxes(history, from.id, to.id, &what->changed, fault);
    if (count_messages(history, from.id, &what->changed, fault) < 0)
        return -1;
    return rename_mailbox(history, from.id, what->to, fault);
}

int history_move(struct history *history, const char *from, const char *to, uint64_t *changed,
                 struct fault *fault)
{
    struct change what = {.identity = from, .to = to};

    return change(history, move, &what, changed, fault);
}

static int forget(struct history *history, void *context, struct fault *fault)
{
    struct change *what = context;
    struct history_mailbox mailbox;
    sqlite3_stmt *statement;

    what->changed = 0;
    if (history_mailbox_find(history, what->identity, &mailbox, fault) < 0)
        return -1;
    if (mailbox.id == 0)
        return 0;
    statement = history_statement(history, SQL_DROP_MESSAGES, fault);
    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_int64(statement, 1, mailbox.id);
    if (what->uid != NULL)
        (void)sqlite3_bind_text(statement, 2, what->uid, -1, SQLITE_STATIC);
    if (history_step(history, statement, fault) < 0)
        return -1;
    what->changed = (uint64_t)sqlite3_changes(history->db);
    return run_ids(history, SQL_RECOUNT, mailbox.id, 0, NULL, fault);
}

int history_forget(struct history *history, const char *identity, const char *uid, uint64_t *changed,
                   struct fault *fault)
{
    struct change what = {.identity = identity, .uid = uid};

    return change(history, forget, &what, changed, fault);
}

/* A UID to be marked, with its place in the caller's arrays. */
struct mark {
    const char *uid;
    size_t at;
};

static int compare_marks(const void *a, const void *b)
{
    return strcmp(((const struct mark *)a)->uid, ((const struct mark *)b)->uid);
}

static int add_seen(struct history *history, int64_t mailbox, const struct change *what,
                    const struct mark *mark, struct fault *fault)
{
    sqlite3_stmt *statement = history_statement(history, SQL_SEEN_ADD, fault);

    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_int64(statement, 1, mailbox);
    (void)sqlite3_bind_text(statement, 2, mark->uid, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 3, what->octets != NULL ? (int64_t)what->octets[mark->at] : 0);
    (void)sqlite3_bind_int64(statement, 4, time(NULL));
    return history_step(history, statement, fault);
}

/* Known ones are set, others added. marks and rows are sorted by UID. */
static int set_marks(struct history *history, int64_t mailbox, struct change *what, const struct mark *marks,
                     const struct history_rows *rows, struct fault *fault)
{
    size_t i, at = 0;

    for (i = 0; i < what->count; i++) {
        bool known = false;
        if (i > 0 && strcmp(marks[i].uid, marks[i - 1].uid) == 0)
            continue;
        while (at < rows->count && strcmp(rows->rows[at].uid, marks[i].uid) < 0)
            at++;
        for (; at < rows->count && strcmp(rows->rows[at].uid, marks[i].uid) == 0; at++) {
            known = true;
            if (run_ids(history, SQL_SEEN_SET, rows->rows[at].id, 0, &what->changed, fault) < 0)
                return -1;
        }
        if (known)
            continue;
        if (add_seen(history, mailbox, what, &marks[i], fault) < 0)
            return -1;
        what->changed++;
    }
    return 0;
}

static int seen(struct history *history, void *context, struct fault *fault)
{
    struct change *what = context;
    struct mark *marks = reallocarray(NULL, what->count + 1, sizeof(*marks));
    const char **uids = reallocarray(NULL, what->count + 1, sizeof(*uids));
    struct history_rows rows = {0};
    struct history_mailbox mailbox;
    size_t i, different = 0;
    int result = -1;

    what->changed = 0;
    if (marks == NULL || uids == NULL) {
        (void)fault_set(fault, FAULT_OF_RUN, FAULT_INTERNAL, "history", "out of memory");
    } else {
        for (i = 0; i < what->count; i++)
            marks[i] = (struct mark){what->uids[i], i};
        qsort(marks, what->count, sizeof(*marks), compare_marks);
        for (i = 0; i < what->count; i++)
            if (i == 0 || strcmp(marks[i].uid, marks[i - 1].uid) != 0)
                uids[different++] = marks[i].uid;
        if (history_mailbox_need(history, what->identity, &mailbox, fault) == 0 &&
            history_rows_load(history, mailbox.id, uids, different, &rows, fault) == 0)
            result = set_marks(history, mailbox.id, what, marks, &rows, fault);
        if (result == 0)
            result = run_ids(history, SQL_RECOUNT, mailbox.id, 0, NULL, fault);
    }
    history_rows_free(&rows);
    free(marks);
    free(uids);
    return result;
}

int history_seen(struct history *history, const char *identity, const char *const *uids,
                 const uint64_t *octets, size_t count, uint64_t *changed, struct fault *fault)
{
    struct change what = {.identity = identity, .uids = uids, .octets = octets, .count = count};

    return change(history, seen, &what, changed, fault);
}

static int retry(struct history *history, void *context, struct fault *fault)
{
    struct change *what = context;
    struct history_mailbox mailbox = {0};

    what->changed = what->logins = 0;
    if (what->identity != NULL && history_mailbox_find(history, what->identity, &mailbox, fault) < 0)
        return -1;
    if (what->identity != NULL && mailbox.id == 0)
        return 0;
    if (run_ids(history, SQL_RETRY_MAILBOXES, mailbox.id, 0, &what->logins, fault) < 0)
        return -1;
    return run_ids(history, SQL_RETRY_MESSAGES, mailbox.id, 0, &what->changed, fault);
}

int history_retry(struct history *history, const char *identity, uint64_t *changed, uint64_t *logins,
                  struct fault *fault)
{
    struct change what = {.identity = identity};
    int result = change(history, retry, &what, changed, fault);

    *logins = result == 0 ? what.logins : 0;
    return result;
}

static int prune(struct history *history, void *context, struct fault *fault)
{
    struct change *what = context;
    struct history_mailbox mailbox;

    what->changed = 0;
    if (history_mailbox_find(history, what->identity, &mailbox, fault) < 0)
        return -1;
    return mailbox.id == 0 ? 0
                           : run_ids(history, SQL_PRUNE, mailbox.id, what->before, &what->changed, fault);
}

int history_prune(struct history *history, const char *identity, int64_t absent_before, uint64_t *changed,
                  struct fault *fault)
{
    struct change what = {.identity = identity, .before = absent_before};

    return change(history, prune, &what, changed, fault);
}
