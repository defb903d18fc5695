#include "store/history_private.h"

/* Costs that the schema answers for: a receipt changes no indexed column, so that it writes one page; the
 * rows of the last listing are one range of message_present, in the order in which they were listed; a UID
 * among tens of thousands that are absent is one look-up in message_absent. */
const char history_schema[] =
    "PRAGMA application_id = 1347375174;" /* HISTORY_APPLICATION */
    "PRAGMA user_version = 2;"            /* HISTORY_VERSION */
    "CREATE TABLE mailbox("
    " id INTEGER PRIMARY KEY,"
    " identity TEXT NOT NULL UNIQUE,"
    " last_attempt INTEGER NOT NULL DEFAULT 0,"
    " last_success INTEGER NOT NULL DEFAULT 0,"
    " last_fault_time INTEGER NOT NULL DEFAULT 0,"
    " last_fault TEXT NOT NULL DEFAULT '',"
    " last_fault_class TEXT NOT NULL DEFAULT '',"
    " failed_runs INTEGER NOT NULL DEFAULT 0,"
    " login_refusals INTEGER NOT NULL DEFAULT 0,"
    " login_retry_at INTEGER NOT NULL DEFAULT 0,"
    " poll_not_before INTEGER NOT NULL DEFAULT 0,"
    " settings BLOB,"
    " newest_receipt INTEGER NOT NULL DEFAULT 0,"
    " unfinished INTEGER NOT NULL DEFAULT 0," /* planned, and no end was noted */
    " run_messages INTEGER NOT NULL DEFAULT 0,"
    " run_octets INTEGER NOT NULL DEFAULT 0,"
    " waiting INTEGER NOT NULL DEFAULT 0,"
    " refused INTEGER NOT NULL DEFAULT 0,"
    " owed_deletions INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE message("
    " id INTEGER PRIMARY KEY,"
    " mailbox INTEGER NOT NULL,"
    " absent INTEGER NOT NULL DEFAULT 0," /* since when it is not listed; 0: it is */
    " uid TEXT NOT NULL,"
    " octets INTEGER NOT NULL,"
    " digest BLOB,"
    " state INTEGER NOT NULL,"
    " owed TEXT,"
    " first_seen INTEGER NOT NULL,"
    " delivered INTEGER NOT NULL DEFAULT 0,"
    " refusals INTEGER NOT NULL DEFAULT 0,"
    " retry_at INTEGER NOT NULL DEFAULT 0,"
    " stumbles INTEGER NOT NULL DEFAULT 0,"
    " reply TEXT,"
    " returned INTEGER NOT NULL DEFAULT 0);" /* listed again after an absence, and not read since */
    "CREATE INDEX message_present ON message(mailbox) WHERE absent = 0;"
    "CREATE INDEX message_absent ON message(mailbox, uid) WHERE absent <> 0;"
    "CREATE INDEX message_since ON message(mailbox, absent) WHERE absent <> 0;"
    "CREATE TABLE hour(" /* what was delivered in an hour, for a week */
    " mailbox INTEGER NOT NULL,"
    " hour INTEGER NOT NULL," /* hours since the epoch */
    " messages INTEGER NOT NULL DEFAULT 0,"
    " octets INTEGER NOT NULL DEFAULT 0,"
    " quarantined INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY(mailbox, hour)) WITHOUT ROWID;";

_Static_assert(HISTORY_APPLICATION == 1347375174 && HISTORY_VERSION == 2, "the schema says so");
_Static_assert(HISTORY_LISTED == 0 && HISTORY_RECORDED == 1 && HISTORY_GONE == 2 && HISTORY_SEEN == 3 &&
                   HISTORY_QUARANTINED == 4 && HISTORY_NOTICED == 5,
               "these numbers stand in people's files");

/* What history_mailbox_read() and history_row_read() take, in their order. */
#define MAILBOX_COLUMNS                                                                                      \
    "id, last_attempt, last_success, last_fault_time, last_fault, last_fault_class, failed_runs,"            \
    " login_refusals, login_retry_at, poll_not_before, settings, newest_receipt, unfinished"
#define ROW_COLUMNS                                                                                          \
    "message.id, uid, octets, digest, state, owed, first_seen, delivered, refusals, retry_at, stumbles,"     \
    " reply, absent, returned"

const char *const history_sql[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",

    [SQL_MAILBOX_GET] = "SELECT " MAILBOX_COLUMNS " FROM mailbox WHERE identity = ?1",
    [SQL_MAILBOX_BY_ID] = "SELECT " MAILBOX_COLUMNS " FROM mailbox WHERE id = ?1",
    [SQL_MAILBOX_ADD] = "INSERT INTO mailbox(identity) VALUES (?1) ON CONFLICT DO NOTHING",
    [SQL_MAILBOX_ATTEMPT] = "UPDATE mailbox SET last_attempt = ?2, unfinished = 1 WHERE id = ?1",
    [SQL_MAILBOX_FINISH] =
        "UPDATE mailbox SET last_success = ?2, last_fault_time = ?3, last_fault = ?4, last_fault_class = ?5,"
        " failed_runs = ?6, login_refusals = ?7, login_retry_at = ?8, poll_not_before = ?9, settings = ?10,"
        " newest_receipt = ?11, unfinished = 0, run_messages = ?12, run_octets = ?13, waiting = ?14,"
        " refused = ?15, owed_deletions = ?16, last_attempt = ?17 WHERE id = ?1",
    [SQL_MAILBOX_NEWEST] = "SELECT max(delivered) FROM message WHERE mailbox = ?1 AND absent = 0",
    [SQL_MAILBOX_ALL] = "SELECT " MAILBOX_COLUMNS ", identity, run_messages, run_octets, waiting, refused,"
                        " owed_deletions FROM mailbox ORDER BY identity",

    [SQL_LOAD_PRESENT] = "SELECT " ROW_COLUMNS
                         " FROM message INDEXED BY message_present WHERE mailbox = ?1 AND absent = 0",
    [SQL_LOAD_ABSENT] = "SELECT " ROW_COLUMNS " FROM message INDEXED BY message_absent"
                        " WHERE mailbox = ?1 AND uid = ?2 AND absent <> 0",
    [SQL_FIND_DIGEST] = "SELECT " ROW_COLUMNS " FROM message INDEXED BY message_since"
                        " WHERE mailbox = ?1 AND absent <> 0 AND digest = ?2",

    [SQL_MESSAGE_ADD] = "INSERT INTO message(mailbox, uid, octets, state, owed, first_seen)"
                        " VALUES (?1, ?2, ?3, 0, ?4, ?5)",
    [SQL_MESSAGE_PRESENT] = "UPDATE message SET absent = 0, returned = state IN (1, 4) WHERE id = ?1",
    [SQL_MESSAGE_RETURNED] = "UPDATE message SET absent = 0, returned = 1 WHERE id = ?1",
    [SQL_MESSAGE_VANISH] = "DELETE FROM message WHERE id = ?1 AND state = 2",
    [SQL_MESSAGE_ABSENT] = "UPDATE message SET absent = ?2 WHERE id = ?1 AND absent = 0",
    [SQL_MESSAGE_FORGET] = "DELETE FROM message WHERE mailbox = ?1 AND absent <> 0 AND absent < ?2",

    [SQL_RECEIPT] =
        "UPDATE message SET state = ?2, owed = ?3, digest = coalesce(?4, digest), octets = ?5,"
        " delivered = coalesce(?6, delivered), returned = 0,"
        " retry_at = CASE WHEN NOT ?7 THEN 0 WHEN refusals = 0 THEN ?8"
        " ELSE ?8 + min(86400, 3600 << min(refusals - 1, 5)) END," /* see history_refused_at() */
        " refusals = refusals + ?7, stumbles = stumbles + ?9, reply = coalesce(?10, reply) WHERE id = ?1",
    [SQL_STUMBLE] = "UPDATE message SET stumbles = stumbles + 1, reply = coalesce(?2, reply) WHERE id = ?1",
    [SQL_GONE] = "UPDATE message SET state = 2 WHERE id = ?1",
    [SQL_COMPARED] = "UPDATE message SET octets = ?2, absent = 0, returned = 0 WHERE id = ?1",
    [SQL_REUSED] = "UPDATE message SET octets = ?2, owed = ?3, first_seen = ?4, state = 0, absent = 0,"
                   " returned = 0, digest = NULL, delivered = 0, refusals = 0, retry_at = 0, stumbles = 0, reply = NULL"
                   " WHERE id = ?1",

    [SQL_HOUR_ADD] = "INSERT INTO hour(mailbox, hour, messages, octets) VALUES (?1, ?2, ?3, ?4)"
                     " ON CONFLICT DO UPDATE SET messages = messages + excluded.messages,"
                     " octets = octets + excluded.octets",
    [SQL_HOUR_QUARANTINED] = "INSERT INTO hour(mailbox, hour, quarantined)"
                             " SELECT mailbox, ?2, 1 FROM message WHERE id = ?1"
                             " ON CONFLICT DO UPDATE SET quarantined = quarantined + 1",
    [SQL_HOUR_FORGET] = "DELETE FROM hour WHERE mailbox = ?1 AND hour < ?2",
    [SQL_HOURS] = "SELECT hour, messages, octets, quarantined FROM hour WHERE mailbox = ?1 AND hour > ?2",

    [SQL_EACH] =
        "SELECT " ROW_COLUMNS ", identity FROM message JOIN mailbox ON mailbox.id = message.mailbox"
        " WHERE (?1 IS NULL OR identity = ?1)"
        " AND (?2 IS NULL OR instr(uid, ?2) > 0 OR instr(coalesce(reply, ''), ?2) > 0)"
        " AND (?3 < 0 OR state = ?3) AND (NOT ?4 OR (state = 0 AND refusals > 0))"
        " AND (?5 = 0 OR max(first_seen, delivered) >= ?5) ORDER BY identity, message.id",
    [SQL_MESSAGE_COUNT] = "SELECT count(*) FROM message WHERE mailbox = ?1",
    /* A mailbox that is known under both names: whichever says "delivered" is right. */
    [SQL_MOVE_YIELD] = "DELETE FROM message WHERE mailbox = ?2 AND state = 0 AND uid IN"
                       " (SELECT uid FROM message WHERE mailbox = ?1 AND state <> 0)",
    [SQL_MOVE_MESSAGES] = "UPDATE message SET mailbox = ?2 WHERE mailbox = ?1 AND uid NOT IN"
                          " (SELECT uid FROM message WHERE mailbox = ?2)",
    [SQL_MOVE_HOURS] = "INSERT INTO hour SELECT ?2, hour, messages, octets, quarantined FROM hour"
                       " WHERE mailbox = ?1"
                       " ON CONFLICT DO UPDATE SET messages = messages + excluded.messages,"
                       " octets = octets + excluded.octets, quarantined = quarantined + excluded.quarantined",
    [SQL_MOVE_RENAME] = "UPDATE mailbox SET identity = ?2 WHERE id = ?1",
    [SQL_DROP_MESSAGES] = "DELETE FROM message WHERE mailbox = ?1 AND (?2 IS NULL OR uid = ?2)",
    [SQL_DROP_HOURS] = "DELETE FROM hour WHERE mailbox = ?1",
    [SQL_DROP_MAILBOX] = "DELETE FROM mailbox WHERE id = ?1",
    [SQL_SEEN_ADD] = "INSERT INTO message(mailbox, uid, octets, state, first_seen)"
                     " VALUES (?1, ?2, ?3, 3, ?4)",
    [SQL_SEEN_SET] = "UPDATE message SET state = 3, owed = NULL, retry_at = 0, absent = 0"
                     " WHERE id = ?1 AND state IN (0, 5)",
    [SQL_RETRY_MESSAGES] = "UPDATE message SET retry_at = 0"
                           " WHERE retry_at <> 0 AND refusals > 1 AND (?1 IS NULL OR mailbox = ?1)",
    [SQL_RETRY_MAILBOXES] = "UPDATE mailbox SET login_retry_at = 0, login_refusals = 0"
                            " WHERE login_refusals > 0 AND (?1 IS NULL OR id = ?1)",
    /* What a run left undone, once it was changed by hand. */
    [SQL_RECOUNT] = "UPDATE mailbox SET waiting = (SELECT count(*) FROM message"
                    " WHERE mailbox = ?1 AND absent = 0 AND state = 0 AND refusals = 0),"
                    " refused = (SELECT count(*) FROM message"
                    " WHERE mailbox = ?1 AND absent = 0 AND state = 0 AND refusals > 0) WHERE id = ?1",
    [SQL_PRUNE] = "DELETE FROM message WHERE mailbox = ?1 AND absent <> 0 AND absent < ?2",
};
