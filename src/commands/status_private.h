/* What status.c and status_show.c share.
 * Ownership: status.c's, borrowed here. Threads: one. Errors: none but those that status.c tells. */
#ifndef POPFERRY_COMMANDS_STATUS_PRIVATE_H
#define POPFERRY_COMMANDS_STATUS_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "store/history.h"

/* One account beside what the history knows of its mailbox. */
struct status_row {
    const struct config_account *account;
    struct history_summary summary;
    bool known;
    bool healthy; /* not enabled, or succeeded within stale_after */
};

struct status_table {
    const struct config *config;
    struct status_row *rows;
    struct status_row **sorted; /* by identity */
    size_t count;
    int64_t now;
};

/* For people: within the columns of a terminal, one line a fact elsewhere. stale_only: the accounts that are
 * well are passed over. */
void status_print(const struct status_table *table, bool stale_only);

/* For programs: an array with one object an account. */
void status_print_json(const struct status_table *table);

#endif
