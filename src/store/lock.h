/* One poll at a time for one mailbox: flock(2) on a file in the state directory. The kernel lets go of it when a
 * process dies, so a killed run never blocks the next one. Errors: FAULT_OF_RUN, FAULT_STATE. Threads: any. */
#ifndef POPFERRY_STORE_LOCK_H
#define POPFERRY_STORE_LOCK_H

#include "base/fault.h"

/* Take the lock of `name` (a mailbox identity, or "oauth:TITLE"; hashed into a file name). Returns its descriptor, or -1 with
 * *busy true if another process holds it, or -1 with *busy false and a fault. wait true: wait for it. */
int lock_take(const char *dir, const char *name, int wait, int *busy, struct fault *fault);
void lock_release(int lock);

#endif
