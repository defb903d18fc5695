#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

void buf_init(struct buf *buf, size_t cap)
{
    *buf = (struct buf){.cap = cap};
}

int buf_reserve(struct buf *buf, size_t more)
{
    size_t need;
    size_t size;
    char *data;

    if (more > buf->cap || buf->len > buf->cap - more)
        return -1;
    need = buf->len + more + 1;
    if (need <= buf->size)
        return 0;
    size = buf->size < 64 ? 64 : buf->size;
    while (size < need)
        size *= 2;
    if (size > buf->cap + 1)
        size = buf->cap + 1;
    /* Not realloc(): a buffer may hold a secret, whose old copy must not stay behind. */
    data = malloc(size);
    if (data == NULL)
        return -1;
    if (buf->len > 0)
        memcpy(data, buf->data, buf->len);
    data[buf->len] = '\0';
    if (buf->data != NULL) {
        OPENSSL_cleanse(buf->data, buf->len);
        free(buf->data);
    }
    buf->data = data;
    buf->size = size;
    return 0;
}

int buf_append(struct buf *buf, const void *data, size_t len)
{
    if (buf_reserve(buf, len) < 0)
        return -1;
    if (len > 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return 0;
}

int buf_puts(struct buf *buf, const char *text)
{
    return buf_append(buf, text, strlen(text));
}

int buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0 || buf_reserve(buf, (size_t)len) < 0)
        return -1;
    va_start(args, fmt);
    (void)vsnprintf(buf->data + buf->len, (size_t)len + 1, fmt, args);
    va_end(args);
    buf->len += (size_t)len;
    return 0;
}

void buf_consume(struct buf *buf, size_t n)
{
    if (n >= buf->len) {
        buf_clear(buf);
        return;
    }
    memmove(buf->data, buf->data + n, buf->len - n);
    buf->len -= n;
    buf->data[buf->len] = '\0';
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

void buf_wipe(struct buf *buf)
{
    if (buf->data != NULL)
        OPENSSL_cleanse(buf->data, buf->size);
    buf->len = 0;
}

void buf_free(struct buf *buf)
{
    buf_wipe(buf);
    free(buf->data);
    buf_init(buf, buf->cap);
}
