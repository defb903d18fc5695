/* One progress line as text: pure, so that it can be read at any width. Threads: any. Errors: none. */
#ifndef POPFERRY_REPORT_PROGRESS_LINE_H
#define POPFERRY_REPORT_PROGRESS_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRESS_LINE_MAX 512 /* octets of a line, with its NUL */

struct progress_state {
    const char *account;
    const char *stage; /* "retrieving", ...; NULL: done */
    uint64_t messages, total_messages;
    uint64_t octets, total_octets; /* total_messages 0: no totals known (yet) */
    int64_t elapsed_ms;            /* since the totals are known */
};

/* The line, at most `columns` characters: the account in a column of name_columns, then as much of
 * `312/2048  15%  41 MB  8.2 MB/s  ETA 00:40` as there is room for; the stage where nothing is counted.
 * utf8: whether a cut name may end with an ellipsis. */
void progress_line(char dst[PROGRESS_LINE_MAX], const struct progress_state *state, size_t columns,
                   size_t name_columns, bool utf8);

/* Columns that a name takes: its characters, if it is UTF-8. */
size_t progress_columns(const char *text);

#endif
