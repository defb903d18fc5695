/* One poll at a time for one mailbox: flock(2) on a file in the state directory. The kernel lets go of it
 * when a process dies, so a killed run never blocks the next one.
 *
 * Ownership: lock_take() gives a descriptor, lock_release() takes it back. Threads: any. Errors:
 * FAULT_OF_RUN, FAULT_STATE. */
#ifndef POPFERRY_STORE_LOCK_H
#define POPFERRY_STORE_LOCK_H

#include <stdbool.h>

#include "base/fault.h"

/* Take the lock of `name` (a mailbox identity, or "oauth:TITLE"; hashed into a file name). Returns its
 * descriptor, or -1 with *busy true if somebody else holds it (another process, or another descriptor of this
 * one), or -1 with *busy false and a fault. wait true: wait for it, until stop_requested() (then *busy is
 * true). The file stays: removing it would let two in. */
int lock_take(const char *dir, const char *name, int wait, int *busy, struct fault *fault);
void lock_release(int lock);

/* Whether anybody holds a lock in `dir`, `except` left out. */
bool lock_any_held(const char *dir, const char *except);

#endif
