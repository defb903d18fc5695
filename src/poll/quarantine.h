/* The quarantine: a Maildir in the state directory for messages that were refused for good.
 * Threads: any. Ownership: the message stays the caller's. Errors: FAULT_OF_RUN, FAULT_STATE. */
#ifndef POPFERRY_POLL_QUARANTINE_H
#define POPFERRY_POLL_QUARANTINE_H

#include <stdint.h>

#include "base/fault.h"
#include "mail/message.h"

/* Write the message to quarantine/new, synced: when 0 is returned it survives a power cut. id: unique in the
 * history. */
int quarantine_put(const char *state_dir, const struct message *message, int64_t id, struct fault *fault);

#endif
