/* What the history*.c files share. For these only.
 * Ownership: the chronicle borrows what it names. Threads: one. Errors: told where they happen. */
#ifndef POPFERRY_COMMANDS_HISTORY_PRIVATE_H
#define POPFERRY_COMMANDS_HISTORY_PRIVATE_H

#include "commands/commands.h"
#include "store/history.h"

#define IDENTITY_MAX 512

struct chronicle {
    const struct options *options;
    const struct config *config;
    const char *state_dir;
    struct history *history;
};

/* history.c: the identity that ACCOUNT stands for: an account's title, or a mailbox that the history knows.
 * NULL: neither, told. */
const char *history_identity(struct chronicle *chronicle, const char *account, char identity[IDENTITY_MAX]);

/* The account with that identity, NULL if there is none. */
const struct config_account *history_account(const struct config *config, const char *identity);

/* Tell a fault; returns its exit status. */
int history_tell(const char *account, const struct fault *fault);

/* history_list.c: returns the exit status. */
int history_list(struct chronicle *chronicle);

/* history_change.c: --forget, --move, --retry, --prune, --reset; each asks first and returns the
 * exit status. */
int history_do_forget(struct chronicle *chronicle);
int history_do_move(struct chronicle *chronicle);
int history_do_retry(struct chronicle *chronicle);
int history_do_prune(struct chronicle *chronicle);
int history_do_reset(const struct options *options, const char *state_dir);

/* Take the lock of a mailbox, so that no run works on it meanwhile. -1: told, with the exit status in
 * *status. */
int history_hold(const struct chronicle *chronicle, const char *identity, int *status);

/* Whether the change may be made: asked on the terminal unless --yes. */
bool history_may(const struct options *options, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* history_seen.c: --seen */
int history_do_seen(struct chronicle *chronicle);

#endif
