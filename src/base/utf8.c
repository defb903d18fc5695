#include "base/utf8.h"

size_t utf8_printable(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t need, i;

    if (p[0] < 0x80)
        return p[0] >= 0x20 && p[0] != 0x7F ? 1 : 0;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;
    need = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (len < need)
        return 0;
    for (i = 1; i < need; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if (p[0] == 0xC2 && p[1] < 0xA0)
        return 0; /* C1 */
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F))
        return 0; /* over-long, surrogate */
    if ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
        return 0; /* over-long, beyond U+10FFFF */
    return need;
}

int utf8_clean(struct buf *out, const char *text, size_t len)
{
    size_t at = 0, run = 0;

    while (at < len) {
        size_t n = utf8_printable(text + at, len - at);
        if (n > 0) {
            at += n;
            continue;
        }
        if (buf_append(out, text + run, at - run) || buf_append(out, "?", 1))
            return -1;
        run = ++at;
    }
    return buf_append(out, text + run, at - run);
}
