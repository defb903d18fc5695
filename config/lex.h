/* The tokens of a fetchrc, as libconfuse 3.3 sees them; for scan.c alone. What it would pass over in silence
 * (an unset variable, a comment without an end) is noted, and comments are blanked.
 * Ownership: the text is the caller's, and written to. Threads: one. Errors: noted as mistakes. */
#ifndef POPFERRY_CONFIG_LEX_H
#define POPFERRY_CONFIG_LEX_H

#include "config/loading.h"

enum token_kind { END, BROKEN, WORD, STRING, OPEN, CLOSE, LEFT, RIGHT, EQUALS, APPEND, COMMA, STRAY };

struct token {
    enum token_kind kind;
    size_t start, end; /* of the contents, without quotes */
    int line;
};

struct scan {
    struct loading *loading;
    char *text;
    size_t len;
    size_t at;
    int line;
    bool cut;
    bool secret;     /* the value that is read may be a secret: nothing of it is quoted */
    int secret_line; /* where the last such value stood: what follows it there may belong to it */
};

#define note(scan, at_line, ...)                                                                             \
    mistake_note((scan)->loading, (scan)->loading->source->file, at_line, __VA_ARGS__)

/* A syntax error: told; items() cuts the text before it. */
#define stop(scan, at_line, ...) (note(scan, at_line, __VA_ARGS__), lex_give_up(scan))

/* Says no, and that the reading of this file ends. */
bool lex_give_up(struct scan *scan);

/* The next token; BROKEN where a syntax error has been told. */
struct token token_next(struct scan *scan);

/* Replace the text from `start` up to where the scan is by blanks; the lines stay. */
void lex_blank(struct scan *scan, size_t start);

/* Whether what stands here may be quoted. */
bool lex_may_quote(const struct scan *scan);

/* A line is added to one of the lists in struct source. */
void lex_add_line(struct scan *scan, int **lines, size_t *count, int line);

#endif
