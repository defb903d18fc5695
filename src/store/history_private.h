/* What the files of the history share. Not for others.
 *
 * Locks: `lock` guards the connection and its statements; `gate` guards the queue of receipts and is never
 * held while `lock` is. Every function here but the two commits wants `lock` held by its caller. */
#ifndef POPFERRY_STORE_HISTORY_PRIVATE_H
#define POPFERRY_STORE_HISTORY_PRIVATE_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "store/history.h"

#define HISTORY_REPLY_MAX 512 /* octets of a server's words that are kept */

/* One row a prepared statement; the SQL stands in history_sql.c. */
enum history_sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_MAILBOX_GET,
    SQL_MAILBOX_BY_ID,
    SQL_MAILBOX_ADD,
    SQL_MAILBOX_ATTEMPT,
    SQL_MAILBOX_FINISH,
    SQL_MAILBOX_NEWEST,
    SQL_MAILBOX_ALL,
    SQL_LOAD_PRESENT,
    SQL_LOAD_ABSENT,
    SQL_FIND_DIGEST,
    SQL_MESSAGE_ADD,
    SQL_MESSAGE_PRESENT,
    SQL_MESSAGE_RETURNED,
    SQL_MESSAGE_VANISH,
    SQL_MESSAGE_ABSENT,
    SQL_MESSAGE_FORGET,
    SQL_RECEIPT,
    SQL_STUMBLE,
    SQL_GONE,
    SQL_COMPARED,
    SQL_REUSED,
    SQL_HOUR_ADD,
    SQL_HOUR_QUARANTINED,
    SQL_HOUR_FORGET,
    SQL_HOURS,
    SQL_EACH,
    SQL_MESSAGE_COUNT,
    SQL_MOVE_YIELD,
    SQL_MOVE_MESSAGES,
    SQL_MOVE_HOURS,
    SQL_MOVE_RENAME,
    SQL_DROP_MESSAGES,
    SQL_DROP_HOURS,
    SQL_DROP_MAILBOX,
    SQL_SEEN_ADD,
    SQL_SEEN_SET,
    SQL_RETRY_MESSAGES,
    SQL_RETRY_MAILBOXES,
    SQL_PRUNE,
    SQL_RECOUNT,
    SQL_COUNT,
};
extern const char *const history_sql[SQL_COUNT];
extern const char history_schema[];
#define HISTORY_APPLICATION 0x504F5046 /* "POPF", the application_id of our files */
#define HISTORY_VERSION 2              /* user_version of the schema */

/* A receipt that waits for its commit. */
struct history_waiting {
    const struct history_receipt *receipt;
    struct history_waiting *next;
    bool done;
    int result;
    struct fault fault;
};

struct history {
    pthread_mutex_t lock;
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_COUNT];
    char *path;    /* of history.db */
    char *reserve; /* of history.reserve */
    enum history_mode mode;
    int64_t version;         /* of the schema on disk, when it was opened */
    int code;                /* SQLite's extended code of the last error */
    bool blocked;            /* another process has held the history for too long once */
    atomic_bool exhausted;   /* the reserve was given up */
    atomic_llong newest;     /* time of the newest receipt committed here */
    pthread_mutex_t gate;
    pthread_cond_t committed;
    struct history_waiting *first;
    struct history_waiting **last;
    unsigned waiting; /* receipts in the queue */
    bool leading;     /* somebody commits, or gathers */
    /* Sessions that have their receipts at the same time come back at the same time. */
    pthread_cond_t gathered;
    unsigned expected; /* receipts that one commit may take; 0 while it is made */
    int64_t took_us;   /* how long the last one took */
};

/* The prepared statement, reset and without bindings. NULL with a fault. */
sqlite3_stmt *history_statement(struct history *history, enum history_sql which, struct fault *fault);

/* Step a statement that returns no rows, and reset it. */
int history_step(struct history *history, sqlite3_stmt *statement, struct fault *fault);

/* Describe the connection's last error. doing: "read" or "write". Returns -1. */
int history_error(struct history *history, const char *doing, struct fault *fault);

/* Run `work` in one transaction, with the lock taken in here. All or nothing. */
int history_commit(struct history *history,
                   int (*work)(struct history *history, void *context, struct fault *fault), void *context,
                   struct fault *fault);

/* The same for what has happened already and must be noted: on a full disk the reserve is given up and `work`
 * is run once more. Plans have no claim on the reserve: what is not planned is not delivered. */
int history_commit_at_last(struct history *history,
                           int (*work)(struct history *history, void *context, struct fault *fault),
                           void *context, struct fault *fault);

/* Parameters of statements; NULL text binds NULL. */
void history_bind_text(sqlite3_stmt *statement, int at, const char *text, size_t most);

/* history_file.c: the files themselves. */

/* Look at history.db without opening it. Returns 1 if it is there, 0 if it is missing, -1 with a fault if it
 * is nothing that could be a history. */
int history_file_look(const char *path, struct fault *fault);

/* Make it, whole or not at all; whoever else makes one at the same time is as welcome. */
int history_file_create(const char *dir, const char *path, struct fault *fault);

/* Have the reserve on disk. */
int history_reserve_keep(const char *path, struct fault *fault);

/* "X; restore it from a backup or move it aside with ...": what to do about a history that cannot be used.
 * Returns -1. */
int history_unusable(struct fault *fault, const char *path, const char *why);

/* history_upgrade.c: bring an older schema up to HISTORY_VERSION, all of it or nothing: in the file, or (READ) in
 * a copy in memory that takes the file's place. */
int history_upgrade(struct history *history, struct fault *fault);
int history_upgrade_copy(struct history *history, struct fault *fault);

/* history_rows.c: as the public functions, with the lock held. rows start empty. */
int history_rows_take(struct history_rows *rows, sqlite3_stmt *statement);
int history_rows_load(struct history *history, int64_t mailbox, const char *const *uids, size_t count,
                      struct history_rows *rows, struct fault *fault);

/* history_mailbox.c: id 0 when there is none; history_mailbox_need() makes it then. */
int history_mailbox_find(struct history *history, const char *identity, struct history_mailbox *mailbox,
                         struct fault *fault);
int history_mailbox_need(struct history *history, const char *identity, struct history_mailbox *mailbox,
                         struct fault *fault);
void history_mailbox_read(struct history_mailbox *mailbox, sqlite3_stmt *statement);

#endif
