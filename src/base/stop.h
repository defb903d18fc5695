/* The stop flag: SIGINT, SIGTERM or SIGHUP ask the run to end cleanly, a second one ends it at once.
 * The one mutable global beside the log's lock. Threads: any may ask. Errors: none. */
#ifndef POPFERRY_BASE_STOP_H
#define POPFERRY_BASE_STOP_H

#include <stdbool.h>

/* Install the handlers and ignore SIGPIPE and SIGXFSZ. Called once, before any thread starts. */
void stop_install(void);

/* Whether a signal has asked the run to end. Waits look here at least every 250 ms. */
bool stop_requested(void);

#endif
