/* What the end of a mail transaction means: for the history, for the mailbox, and for the person who reads
 * it. Pure.
 *
 * 4xx: stays, again in the next run. 5xx to a recipient that the fetchrc names: a fault of the account, which
 * marks no message. Any other 5xx: a fault of the message. Threads: any. Errors: -1 when memory is
 * short. */
#ifndef POPFERRY_POLL_VERDICT_H
#define POPFERRY_POLL_VERDICT_H

#include "poll/delivery.h"

struct verdict {
    enum delivery_outcome outcome;
    struct history_receipt receipt; /* owed points to `owed` */
    char *owed;                     /* newly allocated: who is still owed, separated by '\n' */
};

/* Judge job->transaction, whose result is decided. Fills job->outcome and job->fault. -1 if memory is
 * short. */
int verdict_of(struct delivery_job *job, const char *destination, struct verdict *verdict);

/* Judge a transaction whose session was lost (`lost` says how). Fills the same. -1 if memory is short. */
int verdict_of_lost(struct delivery_job *job, const struct fault *lost, struct verdict *verdict);

#endif
