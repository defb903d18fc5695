/* The form of one log line: text, JSON or journal. Pure but for memory; the writing is log.c's.
 * Ownership: the caller's buffer takes it. Threads: any. Errors: -1 when memory is short. */
#ifndef POPFERRY_REPORT_LOG_FORM_H
#define POPFERRY_REPORT_LOG_FORM_H

#include "base/buf.h"
#include "report/log.h"

#define LOG_TEXT_MAX (16 * 1024)  /* octets of a sentence; the rest of a longer one is cut */
#define LOG_LINE_MAX (256 * 1024) /* octets of a line, whatever its form */

struct log_record {
    int64_t time_ms; /* since the epoch */
    enum log_level level;
    const char *account; /* NULL: the run as a whole */
    const char *text;
    size_t len; /* of text, at most LOG_TEXT_MAX */
    const char *class; /* of a fault, or NULL */
    const char *stage; /* likewise */
    const struct log_event *event; /* never NULL */
};

/* Append the line with its '\n'. Returns 0, or -1 when memory is short. */
int log_form(struct buf *out, enum log_format format, const struct log_record *record);

#endif
