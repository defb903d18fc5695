/* A growing byte buffer whose cap is given where it is made, so that no peer decides how much
 * memory popferry uses.
 *
 * Ownership: the buffer owns `data`; buf_free() gives it back. Threads: one at a time.
 * Errors: -1 when the cap would be passed or memory is short; the contents stay as they were. */
#ifndef POPFERRY_BASE_BUF_H
#define POPFERRY_BASE_BUF_H

#include <stddef.h>

struct buf {
    char *data; /* always followed by a NUL that len does not count, once anything was added */
    size_t len;
    size_t size; /* octets allocated */
    size_t cap;  /* the most that len may reach */
};

/* An empty buffer of at most cap octets. Allocates nothing yet. */
void buf_init(struct buf *buf, size_t cap);

/* Make room for `more` octets behind len. */
int buf_reserve(struct buf *buf, size_t more);

int buf_append(struct buf *buf, const void *data, size_t len);
int buf_puts(struct buf *buf, const char *text);
int buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drop the first n octets. */
void buf_consume(struct buf *buf, size_t n);

/* Forget the contents, keep the memory. */
void buf_clear(struct buf *buf);

/* Forget the contents for good (secrets): overwritten, then kept. */
void buf_wipe(struct buf *buf);

/* Wipe and give the memory back; the buffer may be used again. */
void buf_free(struct buf *buf);

#endif
