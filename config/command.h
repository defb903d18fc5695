/* A command of the user's, run by the shell for what it prints.
 *
 * It runs in a process group of its own, with /dev/null as standard input and none of our descriptors: an
 * agent that it leaves behind must not hold our locks or connections. Threads: any. Ownership: the caller's
 * buffer takes the output. Errors: FAULT_OF_MAILBOX, stage "secret"; FAULT_LOGIN: it failed (with the first
 * line of its standard error, never its output), printed more than the buffer's cap, or took too long, and is
 * ended with its children; FAULT_RETRY: a signal. */
#ifndef POPFERRY_CONFIG_COMMAND_H
#define POPFERRY_CONFIG_COMMAND_H

#include "base/buf.h"
#include "base/fault.h"

/* what: the option that names it, for the fault. timeout: seconds, 0: no end. */
int command_output(const char *command, const char *what, unsigned timeout, struct buf *out,
                   struct fault *fault);

#endif
