/* Text that others wrote, as a JSON value: a reply, a title or a user name need not be UTF-8, and what jansson
 * refuses would be missing where a program looks for it.
 * Ownership: the caller's. Threads: any. Errors: NULL when memory is short. */
#ifndef POPFERRY_REPORT_CLEAN_JSON_H
#define POPFERRY_REPORT_CLEAN_JSON_H

#include <jansson.h>
#include <stddef.h>

/* Octets that are no printable UTF-8 become '?', see utf8_clean(). */
json_t *clean_json(const char *text, size_t len);

#endif
