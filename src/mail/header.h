/* Reading the fields of a message header (RFC 5322 section 2.2), folded lines included. Pure; never writes.
 *
 * Hostile input is expected: no length is trusted, NULs are octets like others. Ownership:
 * fields point into the caller's header. Threads: any. Errors: false where there is nothing, or no room. */
#ifndef POPFERRY_MAIL_HEADER_H
#define POPFERRY_MAIL_HEADER_H

#include <stdbool.h>
#include <stddef.h>

struct header_field {
    const char *start; /* the field's first octet */
    size_t size;       /* octets up to and with its last line end */
    const char *name;
    size_t name_len;
    const char *body; /* behind the colon, folding still in it */
    size_t body_len;  /* without the last line end */
};

/* The next field at *at (an offset into header, moved on). Lines that are no field are passed over, with the
 * folded lines behind them. Returns false at the blank line, where *at stays, or at the end. */
bool header_next(const char *header, size_t len, size_t *at, struct header_field *field);

/* Whether the field is called `name`, whatever the case. */
bool header_is(const struct header_field *field, const char *name);

/* Whether `len` octets are the word `word`, whatever the case of ASCII letters, and whatever the locale. */
bool header_equal(const char *text, size_t len, const char *word);

/* The body unfolded (line ends out, white space trimmed at both ends), NUL-terminated into dst; a NUL octet
 * becomes a space. Returns false, and dst is "", if it does not fit into `size` octets (at least 1). */
bool header_value(const struct header_field *field, char *dst, size_t size);

/* How many fields are called `name`. */
size_t header_count(const char *header, size_t len, const char *name);

#endif
