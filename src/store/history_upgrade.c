/* Histories of older schemas. */
#include "store/history_private.h"

/* To each version from the one before it. */
static const char *const steps[HISTORY_VERSION + 1] = {
    /* A seen message with a receipt was one whose notice had been delivered. */
    [2] = "UPDATE message SET state = 5 WHERE state = 3 AND delivered <> 0;"
          "ALTER TABLE message ADD COLUMN returned INTEGER NOT NULL DEFAULT 0;"
          "PRAGMA user_version = 2",
};

static int execute(struct history *history, const char *sql, struct fault *fault)
{
    return sqlite3_exec(history->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
                                                                         : history_error(history, "write", fault);
}

/* Within a transaction: another process may have been quicker. */
static int take_steps(struct history *history, void *context, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    int64_t version = HISTORY_VERSION;

    (void)context;
    if (sqlite3_prepare_v2(history->db, "PRAGMA user_version", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        version = sqlite3_column_int64(statement, 0);
    else
        (void)history_error(history, "read", fault);
    if (sqlite3_finalize(statement) != SQLITE_OK)
        return -1;
    while (version < HISTORY_VERSION) {
        if (execute(history, steps[++version], fault) < 0)
            return -1;
    }
    return 0;
}

int history_upgrade(struct history *history, struct fault *fault)
{
    return history_commit(history, take_steps, NULL, fault);
}

int history_upgrade_copy(struct history *history, struct fault *fault)
{
    sqlite3 *copy = NULL;
    sqlite3_backup *backup = NULL;
    int rc = sqlite3_open_v2(":memory:", &copy,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc == SQLITE_OK)
        backup = sqlite3_backup_init(copy, "main", history->db, "main");
    if (backup != NULL) {
        (void)sqlite3_backup_step(backup, -1);
        rc = sqlite3_backup_finish(backup);
    }
    if (backup == NULL || rc != SQLITE_OK) {
        (void)fault_set(fault, FAULT_OF_RUN, FAULT_STATE, "history", "cannot read %s: %s", history->path,
                        sqlite3_errmsg(copy));
        (void)sqlite3_close(copy);
        return -1;
    }
    (void)sqlite3_close(history->db);
    history->db = copy;
    return history_upgrade(history, fault);
}
