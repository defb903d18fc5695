#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "commands/talk_private.h"

#define PIECE 4096

/* Printable, or nothing that a terminal would obey. `text` holds neither TAB nor line ends. */
static void put_clean(const char *text, size_t len)
{
    struct buf clean;

    buf_init(&clean, PIECE);
    if (utf8_clean(&clean, text, len) == 0 && clean.len > 0)
        (void)fwrite(clean.data, 1, clean.len, stdout);
    buf_free(&clean);
}

static bool is_control(const char *text, size_t at)
{
    unsigned char c = (unsigned char)text[at];

    if (c < 0x20 || c == 0x7F)
        return true;
    return c >= 0x80 && c < 0xA0 && at > 0 && (unsigned char)text[at - 1] == 0xC2; /* C1 in UTF-8 */
}

static void put_octets(const char *text, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++)
        (void)putchar(is_control(text, i) ? '?' : text[i]);
}

/* Octets at the end that may be the beginning of a UTF-8 character. */
static size_t open_end(const char *text, size_t len)
{
    size_t back;

    for (back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = (unsigned char)text[len - back];
        if (c >= 0xC0)
            return back < (c >= 0xF0 ? 4U : c >= 0xE0 ? 3U : 2U) ? back : 0;
        if (c < 0x80)
            return 0;
    }
    return 0;
}

static void put_run(const char *text, size_t len)
{
    bool terminal = isatty(STDOUT_FILENO) == 1;

    while (len > 0) {
        size_t piece = len < PIECE ? len : PIECE - open_end(text, PIECE);
        if (terminal)
            put_clean(text, piece);
        else
            put_octets(text, piece);
        text += piece;
        len -= piece;
    }
}

void show_text(const char *text, size_t len)
{
    while (len > 0) {
        const char *tab = memchr(text, '\t', len);
        size_t run = tab != NULL ? (size_t)(tab - text) : len;

        put_run(text, run);
        if (tab == NULL)
            return;
        (void)putchar('\t');
        text += run + 1;
        len -= run + 1;
    }
}

void show_line(const char *line, size_t len, bool cut)
{
    show_text(line, len);
    (void)fputs(cut ? " [...]\n" : "\n", stdout);
}

/* What may be shown now: no more than a line, and no character or CRLF in part. */
static size_t complete(const char *data, size_t len)
{
    const char *end = memchr(data, '\n', len);

    if (end != NULL)
        return (size_t)(end - data) + 1;
    if (len > 0 && data[len - 1] == '\r')
        return len - 1;
    return len - open_end(data, len);
}

static void put_piece(const char *data, size_t len)
{
    bool line = len > 0 && data[len - 1] == '\n';
    size_t text = line ? len - 1 : len;

    if (line && text > 0 && data[text - 1] == '\r')
        text--;
    show_text(data, text);
    if (line)
        (void)putchar('\n');
}

void show_chunk(struct show *show, const char *data, size_t len)
{
    /* What was held is completed octet by octet. */
    while (show->held_len > 0 && len > 0) {
        size_t whole;
        show->held[show->held_len++] = *data++;
        len--;
        whole = complete(show->held, show->held_len);
        if (whole == 0 && show->held_len == sizeof(show->held))
            whole = show->held_len;
        put_piece(show->held, whole);
        memmove(show->held, show->held + whole, show->held_len - whole);
        show->held_len -= whole;
    }
    while (len > 0) {
        size_t whole = complete(data, len);
        if (whole == 0) {
            memcpy(show->held, data, len);
            show->held_len = len;
            return;
        }
        put_piece(data, whole);
        data += whole;
        len -= whole;
    }
}
