/* The unlinked temporary file of a message that is too large for memory: gone when its descriptor is closed,
 * however the process ends.
 *
 * Ownership: the descriptor is the caller's to close. Threads: one at a time for one file. Errors:
 * FAULT_OF_RUN, FAULT_STATE, since the next message would meet the same disk. */
#ifndef POPFERRY_MAIL_SPILL_H
#define POPFERRY_MAIL_SPILL_H

#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"

/* A new file in $TMPDIR, else in /tmp, mode 0600. Returns its descriptor, or -1. */
int spill_open(struct fault *fault);

/* Write all `len` octets behind what was written before. */
int spill_write(int fd, const char *data, size_t len, struct fault *fault);

/* Read up to `size` octets from `offset`. Returns how many, 0 at the end, -1 on a fault. */
long spill_read(int fd, uint64_t offset, char *data, size_t size, struct fault *fault);

#endif
