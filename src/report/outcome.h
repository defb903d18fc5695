/* The outcome of a run: one record an account, from which come the summary and the exit status.
 *
 * Threads: an outcome belongs to its mailbox's thread until the poll has ended. Ownership: plain values; the
 * strings are the caller's. Errors: none. */
#ifndef POPFERRY_REPORT_OUTCOME_H
#define POPFERRY_REPORT_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"

struct outcome {
    const char *account;
    const char *identity; /* username@host */
    bool polled;          /* reached the end of the listing */
    bool busy;            /* an own overlapping run holds the mailbox */
    bool troubled;        /* met a fault that is more than one message's */
    bool left_alone;         /* left alone: refused login, LOGIN-DELAY */
    uint64_t delivered, deleted, kept, oversize, waiting_messages, refused, quarantined;
    uint64_t octets; /* delivered */
    int64_t last_success; /* seconds since the epoch, as history_finish() tells it; 0: never */
    int64_t duration_ms;
    int64_t connect_ms, list_ms, retrieve_ms; /* seconds by stage, for the metrics */
    enum fault_class gravest; /* of what counts in the exit status */
    uint64_t faults[FAULT_CLASSES]; /* by class, as enum fault_class */
    struct fault first;       /* the gravest fault, for `status` */
};

/* Note a fault of the account, which was or will be told once. counted false: it does not count in the exit
 * status (report_after). */
void outcome_fault(struct outcome *outcome, const struct fault *fault, bool counted);

/* The exit status over all accounts, the gravest first. */
int outcome_exit_status(const struct outcome *outcomes, size_t count);

/* The closing line: "12 messages (3.4 MB) from 3 mailboxes in 2.1 s; 1 refused". Told at LOG_LEVEL_NOTICE. */
void outcome_summary(const struct outcome *outcomes, size_t count, int64_t duration_ms);

/* Its sentence. -1 when it does not fit. */
int outcome_summary_text(const struct outcome *outcomes, size_t count, int64_t duration_ms, char *dst,
                         size_t size);

/* Prometheus textfile (mode 0644) for the accounts given, written to a temporary name beside `path` and
 * renamed over it: gauges
 * popferry_last_run_{messages,octets,deleted,waiting,refused,quarantined,oversize}{account},
 * popferry_last_run_faults{account,kind}, popferry_last_success_timestamp_seconds{account},
 * popferry_last_run_timestamp_seconds, popferry_stage_seconds{account,stage},
 * popferry_last_run_duration_seconds{account}. Fault: FAULT_OF_RUN, FAULT_STATE. */
int outcome_metrics(const struct outcome *outcomes, size_t count, const char *path, struct fault *fault);

#endif
