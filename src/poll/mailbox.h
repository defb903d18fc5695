/* One mailbox, told as a story: connect, list, plan, retrieve, hand over, record, delete, quit.
 *
 * Ownership: everything in the parameters is borrowed. Threads: one thread a mailbox; the history, the
 * delivery and the progress are shared. Errors: noted in the outcome and told once; never more than this
 * mailbox is stopped. */
#ifndef POPFERRY_POLL_MAILBOX_H
#define POPFERRY_POLL_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "poll/delivery.h"
#include "report/outcome.h"
#include "report/progress.h"
#include "store/history.h"

struct mailbox_params {
    const struct config *config;
    const struct config_account *account;
    const char *state_dir;
    struct history *history;
    struct delivery *delivery;   /* NULL: --dry-run */
    struct progress *progress;
    size_t window;       /* octets in memory that this mailbox may have under way */
    uint64_t file_window; /* octets in temporary files */
    bool named;     /* on the command line: tried even while it is left alone */
    bool all_sizes; /* --all-sizes */
};

/* A fault that is not this mailbox's alone: its destination's, or the run's. It counts in the outcome
 * already; whoever sees all mailboxes tells it once. */
struct mailbox_shared_fault {
    bool met;
    struct fault fault;
};

/* Poll it. The outcome's account and identity are set by the caller. */
void mailbox_poll(const struct mailbox_params *params, struct outcome *outcome,
                  struct mailbox_shared_fault *shared);

#endif
