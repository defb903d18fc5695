/* What popferry says: to standard error, as text, JSON lines or journal lines, tagged with the account.
 *
 * Threads: any; one lock (one of the two mutable globals) keeps lines whole and away from the progress lines.
 * Ownership: none.
 * Errors: none; a log that cannot be written is no reason to stop ferrying. Secrets never come here. */
#ifndef POPFERRY_REPORT_LOG_H
#define POPFERRY_REPORT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/fault.h"

enum log_level {
    LOG_LEVEL_ERROR,   /* faults; told even with -q */
    LOG_LEVEL_WARNING, /* told unless -q */
    LOG_LEVEL_NOTICE,  /* told on a terminal or with -v (summary, recovery) */
    LOG_LEVEL_INFO,    /* -v */
    LOG_LEVEL_DEBUG,   /* -vv: the dialogue */
};

/* LOG_TEXT:    popferry: gmx: sentence
 * LOG_JOURNAL: <3>gmx: sentence (priorities of sd-daemon(3))
 * LOG_JSON:    one object a line, with these keys in this order, absent ones left out:
 *              time (RFC 3339, UTC, milliseconds), level ("error" "warning" "notice" "info" "debug"),
 *              account, event, text, class and stage (of faults), uidl, size (octets), recipients (array),
 *              smtp_reply, queue_id, duration (milliseconds). event is "fault", "note" (log_line), "sent" or
 *              "received" (the dialogue), or what struct log_event says.
 * In all of them a control character, and what is no UTF-8, is shown as '?', and a line is one write(2). */
enum log_format { LOG_TEXT, LOG_JSON, LOG_JOURNAL };

/* LOG_JOURNAL where standard error is the journal's ($JOURNAL_STREAM names its device and inode,
 * systemd.exec(5)), else LOG_TEXT. */
enum log_format log_default_format(void);

/* Once, before any thread starts. most: the least grave level that is told. Without it: LOG_TEXT,
 * LOG_LEVEL_WARNING. */
void log_open(enum log_format format, enum log_level most);
bool log_tells(enum log_level level);

/* Whether a line may name one account only: the JSON form's are read by programs. */
bool log_singles_out(void);

/* A sentence. account NULL: the run as a whole. Text form: "popferry: gmx: sentence". */
void log_line(enum log_level level, const char *account, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A fault, told at LOG_LEVEL_ERROR. */
void log_fault(const char *account, const struct fault *fault);

/* An event with the stable keys of the JSON form; members that are NULL or negative are left out. */
struct log_event {
    const char *event; /* "delivered", "notice", "refused", "deferred", "deleted", "oversize", "skipped",
                        * "kept", "quarantined", "forwarded", "polled", "recovered", "summary" */
    const char *uidl;
    int64_t size; /* octets */
    const char *recipients; /* separated by ',' */
    const char *smtp_reply;
    const char *queue_id;
    int64_t duration; /* milliseconds */
    const char *text; /* the sentence of the text form; NULL: told in the JSON form only */
};
void log_event(enum log_level level, const char *account, const struct log_event *event);

/* One line of dialogue, -vv only. direction: '>' sent, '<' received. */
void log_dialogue(const char *account, char direction, const char *line, size_t len);

/* For live lines: `clear` is called with the lock held before a line is written, `redraw` after it. NULL for
 * both: none any more. Whoever draws holds the lock (log_lock) and must not log meanwhile. */
void log_set_live(void (*clear)(void *context), void (*redraw)(void *context), void *context);
void log_lock(void);
void log_unlock(void);

#endif
