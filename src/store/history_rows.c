/* Rows of messages, out of the history. */
#include <stdlib.h>
#include <string.h>

#include "store/history_private.h"

/* The strings of all rows stand in a few large blocks: a listing has tens of thousands of them. */
struct block {
    struct block *next;
    size_t used, size;
    char data[];
};
#define BLOCK_SIZE 65536

static char *keep_octets(struct history_rows *rows, const void *octets, size_t len)
{
    struct block *block = rows->memory;
    char *copy;

    if (block == NULL || block->size - block->used <= len) {
        size_t size = len + 1 > BLOCK_SIZE ? len + 1 : BLOCK_SIZE;
        block = malloc(sizeof(*block) + size);
        if (block == NULL)
            return NULL;
        *block = (struct block){.next = rows->memory, .size = size};
        rows->memory = block;
    }
    copy = block->data + block->used;
    if (len > 0)
        memcpy(copy, octets, len);
    copy[len] = '\0';
    block->used += len + 1;
    return copy;
}

void history_rows_free(struct history_rows *rows)
{
    struct block *block = rows->memory, *next;

    for (; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    free(rows->rows);
    *rows = (struct history_rows){0};
}

/* sqlite3_column_blob() gives text as it stands, sqlite3_column_text() would copy it to end it with a NUL. */
static int keep_text(struct history_rows *rows, sqlite3_stmt *statement, int column, char **text)
{
    const void *octets = sqlite3_column_blob(statement, column);

    *text = NULL;
    if (octets == NULL && sqlite3_column_type(statement, column) == SQLITE_NULL)
        return 0;
    *text = keep_octets(rows, octets, (size_t)sqlite3_column_bytes(statement, column));
    return *text != NULL ? 0 : -1;
}

int history_rows_take(struct history_rows *rows, sqlite3_stmt *statement)
{
    struct history_row *row;
    const void *digest;

    if (rows->count == rows->room) {
        size_t room = rows->room > 0 ? rows->room * 2 : 64;
        struct history_row *more = reallocarray(rows->rows, room, sizeof(*more));
        if (more == NULL)
            return -1;
        rows->rows = more;
        rows->room = room;
    }
    row = &rows->rows[rows->count];
    row->id = sqlite3_column_int64(statement, 0);
    row->octets = (uint64_t)sqlite3_column_int64(statement, 2);
    digest = sqlite3_column_blob(statement, 3);
    row->has_digest = digest != NULL && sqlite3_column_bytes(statement, 3) == sizeof(row->digest);
    if (row->has_digest)
        memcpy(row->digest, digest, sizeof(row->digest));
    else
        memset(row->digest, 0, sizeof(row->digest));
    row->state = (enum history_state)sqlite3_column_int(statement, 4);
    row->first_seen = sqlite3_column_int64(statement, 6);
    row->delivered = sqlite3_column_int64(statement, 7);
    row->refusals = (unsigned)sqlite3_column_int(statement, 8);
    row->retry_at = sqlite3_column_int64(statement, 9);
    row->stumbles = (unsigned)sqlite3_column_int(statement, 10);
    row->absent = sqlite3_column_int64(statement, 12) != 0;
    row->returned = sqlite3_column_int(statement, 13) != 0;
    if (keep_text(rows, statement, 1, &row->uid) || keep_text(rows, statement, 5, &row->owed) ||
        keep_text(rows, statement, 11, &row->reply) || row->uid == NULL)
        return -1;
    rows->count++;
    return 0;
}

static int no_memory(struct fault *fault)
{
    return fault_set(fault, FAULT_OF_RUN, FAULT_INTERNAL, "history", "out of memory");
}

/* All rows that the statement tells. */
static int take_all(struct history *history, sqlite3_stmt *statement, struct history_rows *rows,
                    struct fault *fault)
{
    int rc, result = 0;

    while ((rc = sqlite3_step(statement)) == SQLITE_ROW && result == 0)
        if (history_rows_take(rows, statement) < 0)
            result = no_memory(fault);
    if (result == 0 && rc != SQLITE_DONE)
        result = history_error(history, "read", fault);
    (void)sqlite3_reset(statement);
    return result;
}

static int compare(const void *a, const void *b)
{
    const struct history_row *x = a, *y = b;
    int order = strcmp(x->uid, y->uid);

    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

/* Rows come in the order of their listing, which most servers' UIDs follow. */
static void sort(struct history_rows *rows)
{
    size_t i;

    for (i = 1; i < rows->count; i++)
        if (compare(&rows->rows[i - 1], &rows->rows[i]) > 0) {
            qsort(rows->rows, rows->count, sizeof(rows->rows[0]), compare);
            return;
        }
}

/* Look up, among the absent ones, the UIDs that the first `present` rows don't have. */
static int add_absent(struct history *history, int64_t mailbox, const char *const *uids, size_t count,
                      struct history_rows *rows, struct fault *fault)
{
    sqlite3_stmt *statement = history_statement(history, SQL_LOAD_ABSENT, fault);
    size_t present = rows->count, at = 0, i;

    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_int64(statement, 1, mailbox);
    for (i = 0; i < count; i++) {
        int order = -1;
        while (at < present && (order = strcmp(rows->rows[at].uid, uids[i])) < 0)
            at++;
        if (at < present && order == 0)
            continue;
        (void)sqlite3_bind_text(statement, 2, uids[i], -1, SQLITE_STATIC);
        if (take_all(history, statement, rows, fault) < 0)
            return -1;
    }
    (void)sqlite3_clear_bindings(statement);
    return 0;
}

int history_rows_load(struct history *history, int64_t mailbox, const char *const *uids, size_t count,
                      struct history_rows *rows, struct fault *fault)
{
    sqlite3_stmt *statement = history_statement(history, SQL_LOAD_PRESENT, fault);

    if (statement == NULL)
        return -1;
    (void)sqlite3_bind_int64(statement, 1, mailbox);
    if (take_all(history, statement, rows, fault) < 0)
        return -1;
    sort(rows);
    if (add_absent(history, mailbox, uids, count, rows, fault) < 0)
        return -1;
    sort(rows);
    return 0;
}

int history_load(struct history *history, int64_t mailbox, const char *const *uids, size_t count,
                 struct history_rows *rows, struct fault *fault)
{
    int result;

    *rows = (struct history_rows){0};
    (void)pthread_mutex_lock(&history->lock);
    result = history_rows_load(history, mailbox, uids, count, rows, fault);
    (void)pthread_mutex_unlock(&history->lock);
    if (result < 0)
        history_rows_free(rows);
    return result;
}

int history_find_digest(struct history *history, int64_t mailbox, const unsigned char digest[32],
                        struct history_rows *rows, struct fault *fault)
{
    sqlite3_stmt *statement;
    int result = -1;

    *rows = (struct history_rows){0};
    (void)pthread_mutex_lock(&history->lock);
    statement = history_statement(history, SQL_FIND_DIGEST, fault);
    if (statement != NULL) {
        (void)sqlite3_bind_int64(statement, 1, mailbox);
        (void)sqlite3_bind_blob(statement, 2, digest, 32, SQLITE_STATIC);
        result = take_all(history, statement, rows, fault);
    }
    (void)pthread_mutex_unlock(&history->lock);
    if (result < 0)
        history_rows_free(rows);
    else
        sort(rows);
    return result;
}
