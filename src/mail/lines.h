/* From the octets of a POP3 multi-line answer to the octets of SMTP DATA, safe at every chunk border.
 *
 * One pass does three things that must not be done apart:
 *  - an answer ends with CRLF.CRLF (or .CRLF as its first line) and nothing else: a bare "\n.\n" is text;
 *  - POP3's dot-stuffing is undone (RFC 1939 section 3);
 *  - line ends are repaired *before* SMTP's dot-stuffing is done (RFC 5321 section 4.5.2): any run of CRs
 *    before an LF, and a bare LF, become CRLF; a CR elsewhere becomes a space; text that does not end with a
 *    line end gets one. So no bare line end can smuggle a command into an SMTP server (CVE-2023-51764).
 * Clean text (CRLF only) passes as whole runs, found with memchr.
 *
 * Ownership: plain state, nothing to free. Threads: one at a time. Errors: none but the sink's. */
#ifndef POPFERRY_MAIL_LINES_H
#define POPFERRY_MAIL_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes octets in the SMTP form (CRLF, dot-stuffed, without the final dot). Returns 0, or -1 to stop. */
typedef int (*lines_sink)(void *context, const char *data, size_t len);

struct lines {
    int state;
    bool plain;         /* text made here: any line ends, no POP3 framing, no end but lines_finish() */
    bool line_start;    /* the next octet out begins a line */
    bool eightbit;      /* an octet above 127 was seen */
    uint64_t crs;       /* CRs that wait for what follows them */
    uint64_t in;        /* octets of the answer so far, as they came */
    uint64_t unstuffed; /* dots among them that POP3's stuffing had added */
    uint64_t out;       /* octets handed to the sink, dot-stuffed */
    uint64_t stuffed;   /* dots among them that SMTP's stuffing added: the message has out - stuffed octets */
};

/* Begin a POP3 multi-line answer. */
void lines_init(struct lines *lines);

/* Begin a text without POP3 framing: a dot is a dot, and lines_finish() ends it. */
void lines_init_plain(struct lines *lines);

/* Pass on the `len` octets that came next. Sets *used to how many belong to this answer (all of
 * them before its end; behind the end stand the octets of the next reply).
 * Returns 1 at the answer's end, 0 if more must come, -1 if the sink stopped. */
int lines_feed(struct lines *lines, const char *data, size_t len, size_t *used, lines_sink sink,
               void *context);

/* End a plain text: CRs that wait, and text without a line end, become one. Returns 0, or -1 if the sink
 * stopped. */
int lines_finish(struct lines *lines, lines_sink sink, void *context);

/* The message's octets as they came so far: without POP3's stuffing, and without the final dot's line or what
 * may become it. This is what a server lists (RFC 1939 section 11) if it counts rightly. */
uint64_t lines_received(const struct lines *lines);

/* The way back, for BDAT, Maildir and digests: undo the stuffing of `len` octets in SMTP form, in
 * place. *line_start carries over from chunk to chunk, true before the first. Returns the new length. */
size_t lines_unstuff(char *data, size_t len, bool *line_start);

#endif
