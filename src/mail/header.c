#include "mail/header.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Behind the line that begins at `line`, or end. */
static const char *line_end(const char *line, const char *end)
{
    const char *lf = memchr(line, '\n', (size_t)(end - line));

    return lf != NULL ? lf + 1 : end;
}

static const char *field_end(const char *line, const char *end)
{
    do
        line = line_end(line, end);
    while (line < end && is_blank(*line));
    return line;
}

static bool is_blank_line(const char *line, const char *end)
{
    return *line == '\n' || (end - line >= 2 && line[0] == '\r' && line[1] == '\n');
}

/* Name and colon (RFC 5322 section 2.2; white space before the colon as in section 4.5). */
static bool split(struct header_field *field, const char *end)
{
    const char *at = field->start;

    while (at<end && * at> ' ' && *at < 0x7F && *at != ':')
        at++;
    field->name = field->start;
    field->name_len = (size_t)(at - field->start);
    while (at < end && is_blank(*at))
        at++;
    if (field->name_len == 0 || at == end || *at != ':')
        return false;
    field->body = at + 1;
    field->body_len = (size_t)(end - field->body);
    if (field->body_len > 0 && field->body[field->body_len - 1] == '\n')
        field->body_len--;
    if (field->body_len > 0 && field->body[field->body_len - 1] == '\r')
        field->body_len--;
    return true;
}

bool header_next(const char *header, size_t len, size_t *at, struct header_field *field)
{
    const char *end = header + len;

    while (*at < len) {
        const char *next;

        field->start = header + *at;
        if (is_blank_line(field->start, end))
            return false;
        next = field_end(field->start, end);
        field->size = (size_t)(next - field->start);
        *at += field->size;
        if (split(field, next))
            return true;
    }
    return false;
}

bool header_equal(const char *text, size_t len, const char *word)
{
    size_t i;

    for (i = 0; i < len && word[i] != '\0'; i++) {
        if (lower(text[i]) != lower(word[i]))
            return false;
    }
    return i == len && word[i] == '\0';
}

bool header_is(const struct header_field *field, const char *name)
{
    return header_equal(field->name, field->name_len, name);
}

bool header_value(const struct header_field *field, char *dst, size_t size)
{
    size_t len = 0;
    size_t i;

    dst[0] = '\0';
    for (i = 0; i < field->body_len; i++) {
        char c = field->body[i];

        if (c == '\r' || c == '\n')
            continue;
        if (c == '\0')
            c = ' ';
        if (len == 0 && is_blank(c))
            continue;
        /* White space at the end is trimmed below, so it may overrun only if something follows. */
        if (len + 1 >= size) {
            if (is_blank(c))
                continue;
            dst[0] = '\0';
            return false;
        }
        dst[len++] = c;
    }
    while (len > 0 && is_blank(dst[len - 1]))
        len--;
    dst[len] = '\0';
    return true;
}

size_t header_count(const char *header, size_t len, const char *name)
{
    struct header_field field;
    size_t at = 0;
    size_t count = 0;

    while (header_next(header, len, &at, &field))
        count += header_is(&field, name);
    return count;
}
