/* Live lines on a terminal, one a mailbox: `gmx  312/2048  15%  41 MB  8.2 MB/s  ETA 00:40`. Nothing where
 * standard error is no terminal. Without colours, so that NO_COLOR is kept anyhow.
 *
 * Threads: any; drawn under the log's lock, at most ten times a second, by whoever reports something.
 * Ownership: progress_new() gives it, progress_free() clears the lines and takes it back. Errors: none. */
#ifndef POPFERRY_REPORT_PROGRESS_H
#define POPFERRY_REPORT_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress;

/* quiet: never draw. NULL is a progress that draws nothing, and all functions take it. */
struct progress *progress_new(bool quiet);
void progress_free(struct progress *progress);

/* A mailbox begins; returns its slot. */
size_t progress_begin(struct progress *progress, const char *account);
/* What it is doing: "connecting", "listing", "retrieving", "waiting for delivery", "deleting". Static
 * text. */
void progress_stage(struct progress *progress, size_t slot, const char *stage);
void progress_total(struct progress *progress, size_t slot, uint64_t messages, uint64_t octets);
void progress_add(struct progress *progress, size_t slot, uint64_t messages, uint64_t octets);
void progress_end(struct progress *progress, size_t slot);

#endif
