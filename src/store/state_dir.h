/* The state directory: made with mode 0700, and shown to be writable before anything is delivered.
 *
 * Ownership: paths are the caller's to free. Threads: called before any starts, where nothing else is said. Errors: FAULT_OF_RUN,
 * FAULT_STATE. */
#ifndef POPFERRY_STORE_STATE_DIR_H
#define POPFERRY_STORE_STATE_DIR_H

#include "base/fault.h"

/* Where the state is, in the contract's order: `option` (--state-dir), `configured` (state_dir),
 * $STATE_DIRECTORY (its first path), $XDG_STATE_HOME/popferry, ~/.local/state/popferry; for root
 * /var/lib/popferry. NULL arguments: not given. A newly allocated absolute path, or NULL with the fault. */
char *state_dir_path(const char *option, const char *configured, struct fault *fault);

/* Make it and its parents where missing. create false (check, status): a missing one is a fault. */
int state_dir_open(const char *path, int create, struct fault *fault);

/* What root makes in a directory of somebody else's is given to that owner: a service that runs under a user of
 * its own could not read what an administrator's command has left. Any thread. */

/* openat(at, path, flags, 0600) of a file that is made where missing. Returns the descriptor, or -1 with errno. */
int state_dir_file(int at, const char *path, int flags);

/* Make one directory, mode 0700, where missing. Returns 0, or -1 with errno. */
int state_dir_below(const char *path);

/* Have the names in this directory survive a power cut. Returns 0, or -1 with errno. */
int state_dir_sync(const char *path);

#endif
