/* Which mailbox is polled next: at most so many at a time on one host, the hosts in turn. Each answer costs
 * the same, however many mailboxes there are.
 *
 * Ownership: schedule_free() gives back what schedule_make() took. Threads: the caller's lock. Errors:
 * memory.
 *
 * Whoever is told SCHEDULE_NONE may end: what is left is on hosts that have all the sessions they may have,
 * and each of those, when it is done, finds the next mailbox of its host. */
#ifndef POPFERRY_POLL_SCHEDULE_H
#define POPFERRY_POLL_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_NONE SIZE_MAX

struct schedule_host {
    size_t next, end; /* its mailboxes that have not begun, in `order` */
    unsigned busy;
};

struct schedule {
    size_t *order;   /* mailboxes, those of a host side by side */
    size_t *host_of; /* beside the mailboxes */
    struct schedule_host *hosts;
    size_t host_count;
    size_t *ready; /* ring of the hosts that may take one more and have one */
    size_t ready_first, ready_count;
    unsigned limit;
};

/* hosts: the host of each mailbox, borrowed for this call; upper and lower case are the same. limit: at a
 * time on one host, at least 1. Returns 0, or -1 when memory is short. */
int schedule_make(struct schedule *schedule, const char *const *hosts, size_t count, unsigned limit);
void schedule_free(struct schedule *schedule);

/* How many can be busy at once, at most. */
size_t schedule_width(const struct schedule *schedule);

/* The next mailbox, which counts as busy from now on; SCHEDULE_NONE: none may begin now. */
size_t schedule_next(struct schedule *schedule);

/* It is busy no more. */
void schedule_done(struct schedule *schedule, size_t mailbox);

#endif
