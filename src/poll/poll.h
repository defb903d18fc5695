/* A run: which mailbox is polled when, and by which thread.
 *
 * Up to `jobs` mailboxes at once, at most `jobs_per_host` of them on one POP3 host; delivery sessions are
 * shared by all accounts of a destination. One mailbox that hangs, refuses or breaks does not delay the
 * others.
 *
 * Ownership: everything in the parameters is borrowed. Threads: called from the main one. Errors: told; they
 * show in the exit status. */
#ifndef POPFERRY_POLL_POLL_H
#define POPFERRY_POLL_POLL_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "store/history.h"

struct poll_params {
    const struct config *config;
    const struct config_account *const *accounts;
    size_t account_count;
    const char *state_dir;
    struct history *history;
    bool named;     /* the accounts stand on the command line */
    bool all_sizes;
    bool dry_run;
    bool quiet;
};

/* Poll them all once. Returns the exit status. */
int poll_run(const struct poll_params *params);

#endif
