/* The monotonic clock, for every deadline: setting the time of day moves none of them. What must outlive the
 * process waits by the time of day.
 * Ownership: a condition is its caller's, who destroys it. Threads: any. Errors: -1 where memory is short. */
#ifndef POPFERRY_BASE_CLOCK_H
#define POPFERRY_BASE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Milliseconds since some fixed moment. Never goes back. */
int64_t clock_ms(void);

/* The same in microseconds. */
int64_t clock_us(void);

/* Make a condition for clock_wait(). Returns 0 or -1. */
int clock_condition(pthread_cond_t *condition);

/* pthread_cond_timedwait() on this clock, until clock_us() is `until`. Returns 0, or ETIMEDOUT. */
int clock_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until);

/* Whether, at `now`, `until` is still to be waited for (both seconds since the epoch). No wait lasts longer than
 * a day: what was noted under a clock that was wrong, and has been set back since, is over. */
bool clock_waits(int64_t until, int64_t now);

#endif
