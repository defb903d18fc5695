#include "base/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/utf8.h"

int fault_set(struct fault *fault, enum fault_scope scope, enum fault_class class, const char *stage,
              const char *fmt, ...)
{
    va_list args;

    fault->scope = scope;
    fault->class = class;
    fault->stage = stage;
    va_start(args, fmt);
    (void)vsnprintf(fault->text, sizeof(fault->text), fmt, args);
    va_end(args);
    return -1;
}

char *fault_quote(char *dst, size_t size, const char *src, size_t len)
{
    static const char cut[] = "...";
    size_t keep = len;
    size_t i = 0;

    if (size == 0)
        return dst;
    if (len >= size) {
        keep = size > sizeof(cut) ? size - sizeof(cut) : 0;
        while (keep > 0 && ((unsigned char)src[keep] & 0xC0) == 0x80)
            keep--;
    }
    while (i < keep) {
        size_t n = utf8_printable(src + i, keep - i);
        if (n == 0)
            dst[i++] = '?';
        for (; n > 0; n--, i++)
            dst[i] = src[i];
    }
    dst[keep] = '\0';
    if (keep < len && size > sizeof(cut))
        memcpy(dst + keep, cut, sizeof(cut));
    return dst;
}

/* One row a class, in enum order: key, exit status, gravity (higher is graver). */
static const struct {
    const char *name;
    int status;
    int gravity;
} classes[] = {
    [FAULT_NONE] = {"none", EX_OK, 0},
    [FAULT_RETRY] = {"retry", EX_TEMPFAIL, 1},
    [FAULT_REFUSED] = {"refused", EX_DATAERR, 2},
    [FAULT_PROTOCOL] = {"protocol", EX_PROTOCOL, 3},
    [FAULT_LOGIN] = {"login", EX_NOPERM, 4},
    [FAULT_CONFIG] = {"config", EX_CONFIG, 5},
    [FAULT_STATE] = {"state", EX_IOERR, 6},
    [FAULT_INTERNAL] = {"internal", EX_SOFTWARE, 7},
    [FAULT_USAGE] = {"usage", EX_USAGE, 8},
};

int fault_exit_status(enum fault_class class)
{
    return classes[class].status;
}

enum fault_class fault_graver(enum fault_class a, enum fault_class b)
{
    return classes[a].gravity >= classes[b].gravity ? a : b;
}

const char *fault_class_name(enum fault_class class)
{
    return classes[class].name;
}
