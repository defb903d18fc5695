/* Text that others wrote, made fit to be shown: valid UTF-8 (RFC 3629) without control characters (C0, DEL,
 * C1), so that no peer moves the cursor of a terminal and every JSON reader takes it.
 * Ownership: the caller's memory throughout. Threads: any. Errors: see utf8_clean(). */
#ifndef POPFERRY_BASE_UTF8_H
#define POPFERRY_BASE_UTF8_H

#include <stddef.h>

#include "base/buf.h"

/* Octets of the character at `text`, of which `len` >= 1 octets are there; 0: it is a control character or
 * none at all. */
size_t utf8_printable(const char *text, size_t len);

/* Append `len` octets, each of those that are no printable character as '?'. Returns -1 when `out` is full;
 * what fits stands there then. */
int utf8_clean(struct buf *out, const char *text, size_t len);

#endif
