/* The monotonic clock, for every deadline: setting the time of day moves none of them.
 * Threads: any. Errors: none. */
#ifndef POPFERRY_BASE_CLOCK_H
#define POPFERRY_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds since some fixed moment. Never goes back. */
int64_t clock_ms(void);

#endif
