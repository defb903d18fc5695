/* The history's connection: opening, statements, transactions. */
#include "store/history_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define BUSY_TRIES 15000 /* of about a millisecond: a quarter of a minute */
#define BUSY_TRIES_AGAIN 1000 /* once that was not enough */
/* Pages between checkpoints. A small log is soon written in place instead of grown, which spares the file
 * system a journal commit with each of ours. */
#define CHECKPOINT_PAGES 256
#define LOG_LIMIT "1048576"
#define SMALL_FILE (512 * 1024) /* octets; up to here a whole check costs no time that anybody notices */

int history_error(struct history *history, const char *doing, struct fault *fault)
{
    int code = sqlite3_extended_errcode(history->db);
    int error = sqlite3_system_errno(history->db);
    const char *why = sqlite3_errmsg(history->db);
    char damage[256];

    history->code = code;
    switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        (void)snprintf(damage, sizeof(damage), "is damaged (%s)", why);
        return history_unusable(fault, history->path, damage);
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        break;
    default:
        error = 0; /* a stale one */
    }
    return fault_set(fault, FAULT_OF_RUN, FAULT_STATE, "history", "cannot %s %s: %s%s%s%s", doing,
                     history->path, why, error != 0 ? " (" : "", error != 0 ? strerror(error) : "",
                     error != 0 ? ")" : "");
}

sqlite3_stmt *history_statement(struct history *history, enum history_sql which, struct fault *fault)
{
    sqlite3_stmt **statement = &history->statements[which];

    if (*statement == NULL && sqlite3_prepare_v3(history->db, history_sql[which], -1,
                                                 SQLITE_PREPARE_PERSISTENT, statement, NULL) != SQLITE_OK) {
        (void)history_error(history, "read", fault);
        return NULL;
    }
    (void)sqlite3_reset(*statement);
    (void)sqlite3_clear_bindings(*statement);
    return *statement;
}

int history_step(struct history *history, sqlite3_stmt *statement, struct fault *fault)
{
    int failed;

    if (statement == NULL)
        return -1;
    failed = sqlite3_step(statement) != SQLITE_DONE ? history_error(history, "write", fault) : 0;
    (void)sqlite3_reset(statement);
    return failed;
}

void history_bind_text(sqlite3_stmt *statement, int at, const char *text, size_t most)
{
    if (text != NULL)
        (void)sqlite3_bind_text(statement, at, text, (int)strnlen(text, most), SQLITE_STATIC);
}

static int transaction(struct history *history,
                       int (*work)(struct history *history, void *context, struct fault *fault),
                       void *context, struct fault *fault)
{
    struct fault ignored;
    int code;

    history->code = SQLITE_OK;
    if (history_step(history, history_statement(history, SQL_BEGIN, fault), fault) == 0 &&
        work(history, context, fault) == 0 &&
        history_step(history, history_statement(history, SQL_COMMIT, fault), fault) == 0)
        return 0;
    code = history->code;
    if (!sqlite3_get_autocommit(history->db)) /* a grave error may have rolled back already */
        (void)history_step(history, history_statement(history, SQL_ROLLBACK, &ignored), &ignored);
    history->code = code;
    return -1;
}

/* SQLite says FULL where a write found no room, but IOERR where the index of the log (-shm) could not
 * grow. */
static bool lacks_room(int code)
{
    return (code & 0xFF) == SQLITE_FULL || (code & 0xFF) == SQLITE_IOERR;
}

int history_commit(struct history *history,
                   int (*work)(struct history *history, void *context, struct fault *fault), void *context,
                   struct fault *fault)
{
    int result;

    (void)pthread_mutex_lock(&history->lock);
    result = transaction(history, work, context, fault);
    (void)pthread_mutex_unlock(&history->lock);
    return result;
}

int history_commit_at_last(struct history *history,
                           int (*work)(struct history *history, void *context, struct fault *fault),
                           void *context, struct fault *fault)
{
    int result;

    (void)pthread_mutex_lock(&history->lock);
    result = transaction(history, work, context, fault);
    if (result < 0 && lacks_room(history->code) && !atomic_exchange(&history->exhausted, true)) {
        (void)unlink(history->reserve);
        result = transaction(history, work, context, fault);
    }
    (void)pthread_mutex_unlock(&history->lock);
    return result;
}

bool history_exhausted(struct history *history)
{
    return atomic_load(&history->exhausted);
}

/* The integer that a PRAGMA tells. */
static int pragma(struct history *history, const char *sql, int64_t *value, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    int result = 0;

    if (sqlite3_prepare_v2(history->db, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW)
        result = history_error(history, "read", fault);
    else
        *value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return result;
}

/* sql: a PRAGMA that says "ok" or what is damaged. */
static int check_whole(struct history *history, const char *sql, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    char damage[256] = "";
    int rc = sqlite3_prepare_v2(history->db, sql, -1, &statement, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0) {
        size_t len = (size_t)snprintf(damage, sizeof(damage), "is damaged (");
        (void)fault_quote(damage + len, sizeof(damage) - len - 1,
                          (const char *)sqlite3_column_text(statement, 0),
                          (size_t)sqlite3_column_bytes(statement, 0));
        (void)strcat(damage, ")");
    } else if (rc != SQLITE_ROW) {
        (void)history_error(history, "read", fault);
    }
    (void)sqlite3_finalize(statement);
    if (damage[0] != '\0')
        return history_unusable(fault, history->path, damage);
    return rc == SQLITE_ROW ? 0 : -1;
}

static int quick_check(struct history *history, struct fault *fault)
{
    struct stat st;

    if (stat(history->path, &st) < 0 || st.st_size > SMALL_FILE)
        return 0;
    return check_whole(history, "PRAGMA quick_check(1)", fault);
}

int history_examine(struct history *history, struct fault *fault)
{
    return check_whole(history, "PRAGMA integrity_check(1)", fault);
}

/* Whether what was opened is ours, of our time, and whole. */
static int examine(struct history *history, struct fault *fault)
{
    int64_t application;

    if (pragma(history, "PRAGMA application_id", &application, fault) < 0 ||
        pragma(history, "PRAGMA user_version", &history->version, fault) < 0)
        return -1;
    if (application != HISTORY_APPLICATION || history->version < 1)
        return history_unusable(fault, history->path, "was not made by popferry");
    if (history->version > HISTORY_VERSION)
        return history_unusable(fault, history->path, "was written by a newer popferry than this one");
    return quick_check(history, fault);
}

/* Another process commits: that takes it well below a millisecond, but SQLite's own handler sleeps up to a
 * tenth of a second, and whoever sleeps longest comes last. */
static int await_other(void *context, int tries)
{
    const struct timespec pause = {.tv_nsec = tries < 20 ? 100 * 1000 : 1000 * 1000};
    struct history *history = context;

    if (tries >= (history->blocked ? BUSY_TRIES_AGAIN : BUSY_TRIES)) {
        history->blocked = true; /* whoever holds it for so long hangs: no commit waits so long again */
        return 0;
    }
    (void)nanosleep(&pause, NULL);
    return 1;
}

static int connect_to(struct history *history, const char *name, int flags)
{
    (void)sqlite3_close(history->db);
    history->db = NULL;
    /* NOMUTEX: our own mutex stands before the connection. */
    if (sqlite3_open_v2(name, &history->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return -1;
    (void)sqlite3_extended_result_codes(history->db, 1);
    (void)sqlite3_busy_handler(history->db, await_other, history);
    return 0;
}

static int open_writing(struct history *history, struct fault *fault)
{
    int keep = 1;

    if (connect_to(history, history->path, SQLITE_OPEN_READWRITE) < 0)
        return history_error(history, "open", fault);
    if (sqlite3_db_readonly(history->db, "main") == 1)
        return fault_set(fault, FAULT_OF_RUN, FAULT_STATE, "history", "cannot write %s: it is read-only",
                         history->path);
    /* The log stays, emptied, when the last process leaves: who may only read needs it there. */
    (void)sqlite3_file_control(history->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
    if (examine(history, fault) < 0)
        return -1;
    if (sqlite3_exec(
            history->db,
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -256;"
            "PRAGMA journal_size_limit = " LOG_LIMIT,
            NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_wal_autocheckpoint(history->db, CHECKPOINT_PAGES) != SQLITE_OK)
        return history_error(history, "open", fault);
    if (history->version < HISTORY_VERSION && history_upgrade(history, fault) < 0)
        return -1;
    return history_reserve_keep(history->reserve, fault);
}

/* "file:...?immutable=1": for a directory that we may not write to, and in which nobody left anything in the
 * log. */
static int connect_immutable(struct history *history)
{
    char *log = NULL, *uri = NULL;
    struct stat st;
    int result = -1;

    if (strpbrk(history->path, "?#%") == NULL && asprintf(&log, "%s-wal", history->path) >= 0 &&
        (stat(log, &st) < 0 || st.st_size == 0) && asprintf(&uri, "file:%s?immutable=1", history->path) >= 0)
        result = connect_to(history, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
    free(log);
    free(uri);
    return result;
}

static int open_existing(struct history *history, struct fault *fault)
{
    if (connect_to(history, history->path, SQLITE_OPEN_READONLY) == 0 && examine(history, fault) == 0)
        return 0;
    if ((history->code & 0xFF) != SQLITE_CANTOPEN && (history->code & 0xFF) != SQLITE_READONLY)
        return -1;
    return connect_immutable(history) == 0 ? examine(history, fault) : -1;
}

static int open_reading(struct history *history, struct fault *fault)
{
    if (open_existing(history, fault) < 0)
        return -1;
    return history->version < HISTORY_VERSION ? history_upgrade_copy(history, fault) : 0;
}

/* A history that is not there reads as one without rows. */
static int open_nothing(struct history *history, struct fault *fault)
{
    if (connect_to(history, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) < 0 ||
        sqlite3_exec(history->db, history_schema, NULL, NULL, NULL) != SQLITE_OK)
        return history_error(history, "open", fault);
    return 0;
}

static int open_files(struct history *history, const char *dir, struct fault *fault)
{
    int there = history_file_look(history->path, fault);

    if (there < 0)
        return -1;
    if (history->mode == HISTORY_READ)
        return there ? open_reading(history, fault) : open_nothing(history, fault);
    if (!there && history_file_create(dir, history->path, fault) < 0)
        return -1;
    return open_writing(history, fault);
}

static struct history *new_history(const char *dir, enum history_mode mode)
{
    struct history *history = calloc(1, sizeof(*history));

    if (history == NULL)
        return NULL;
    history->mode = mode;
    history->last = &history->first;
    (void)pthread_mutex_init(&history->lock, NULL);
    (void)pthread_mutex_init(&history->gate, NULL);
    (void)pthread_cond_init(&history->committed, NULL);
    (void)clock_condition(&history->gathered);
    if (asprintf(&history->path, "%s/history.db", dir) < 0)
        history->path = NULL;
    if (asprintf(&history->reserve, "%s/history.reserve", dir) < 0)
        history->reserve = NULL;
    if (history->path != NULL && history->reserve != NULL)
        return history;
    history_close(history);
    return NULL;
}

int history_open(struct history **opened, const char *dir, enum history_mode mode, struct fault *fault)
{
    struct history *history = new_history(dir, mode);

    *opened = NULL;
    if (history == NULL)
        return fault_set(fault, FAULT_OF_RUN, FAULT_INTERNAL, "history", "out of memory");
    if (open_files(history, dir, fault) < 0) {
        history_close(history);
        return -1;
    }
    *opened = history;
    return 0;
}

void history_close(struct history *history)
{
    size_t i;

    if (history == NULL)
        return;
    for (i = 0; i < SQL_COUNT; i++)
        (void)sqlite3_finalize(history->statements[i]);
    (void)sqlite3_close(history->db);
    (void)pthread_cond_destroy(&history->gathered);
    (void)pthread_cond_destroy(&history->committed);
    (void)pthread_mutex_destroy(&history->gate);
    (void)pthread_mutex_destroy(&history->lock);
    free(history->path);
    free(history->reserve);
    free(history);
}
