#include "config/loading.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mistake_note(struct loading *loading, unsigned file, int line, const char *fmt, ...)
{
    struct mistake *mistakes;
    va_list args;
    char *text;
    int len;

    /* Twice as large at each power of two. */
    if ((loading->mistake_count & (loading->mistake_count - 1)) == 0) {
        size_t size = loading->mistake_count == 0 ? 1 : loading->mistake_count * 2;
        mistakes = reallocarray(loading->mistakes, size, sizeof(*mistakes));
        if (mistakes == NULL) {
            loading->out_of_memory = true;
            return;
        }
        loading->mistakes = mistakes;
    }
    va_start(args, fmt);
    len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0) {
        loading->out_of_memory = true;
        return;
    }
    loading->mistakes[loading->mistake_count] =
        (struct mistake){.file = file, .line = line, .order = loading->mistake_count, .text = text};
    loading->mistake_count++;
}

static int in_file_order(const void *a, const void *b)
{
    const struct mistake *left = a;
    const struct mistake *right = b;

    if (left->file != right->file)
        return left->file < right->file ? -1 : 1;
    if (left->line != right->line)
        return left->line < right->line ? -1 : 1;
    return left->order < right->order ? -1 : 1;
}

void mistakes_sort(struct loading *loading)
{
    if (loading->mistake_count > 1)
        qsort(loading->mistakes, loading->mistake_count, sizeof(*loading->mistakes), in_file_order);
}

void mistakes_free(struct loading *loading)
{
    size_t i;

    for (i = 0; i < loading->mistake_count; i++)
        free(loading->mistakes[i].text);
    free(loading->mistakes);
}

/* Where a quote is missing a value may hold what was meant to stand behind it, secrets too: no further than
 * the line, and than the blank before a "=". */
static size_t quotable(const char *value, size_t len)
{
    const char *end = memchr(value, '\n', len);
    const char *blank, *equals;

    if (end != NULL)
        len = (size_t)(end - value);
    blank = memchr(value, ' ', len);
    equals = memrchr(value, '=', len);
    return blank != NULL && equals > blank ? (size_t)(blank - value) : len;
}

const char *mistake_quote(char *dst, const char *value, size_t len)
{
    size_t whole = quotable(value, len);

    dst[0] = '"';
    (void)fault_quote(dst + 1, QUOTED_MAX - 5, value, whole);
    (void)strcat(dst, whole < len ? "...\"" : "\"");
    return dst;
}
