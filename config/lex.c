#include "config/lex.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool lex_give_up(struct scan *scan)
{
    scan->loading->source->broken = true;
    scan->loading->broken = true;
    return false;
}

static char peek(const struct scan *scan, size_t ahead)
{
    return scan->at + ahead < scan->len ? scan->text[scan->at + ahead] : '\0';
}

static void step(struct scan *scan)
{
    if (scan->text[scan->at++] == '\n')
        scan->line++;
}

void lex_add_line(struct scan *scan, int **lines, size_t *count, int line)
{
    bool failed = false;

    *lines = take_grown(*lines, *count, sizeof(**lines), &failed);
    if (failed)
        scan->loading->out_of_memory = true;
    else
        (*lines)[(*count)++] = line;
}

static void note_unset(struct scan *scan, const char *name, size_t len)
{
    char quote[QUOTED_MAX];

    lex_add_line(scan, &scan->loading->source->unset_lines, &scan->loading->source->unset_count, scan->line);
    note(scan, scan->line, "the environment has no variable %s; set it, or write ${NAME:-DEFAULT}",
         mistake_quote(quote, name, len));
}

/* At "${": is the variable set, or does ":-" give a default? Returns its length, or 0 if no "}" follows. */
static size_t variable(struct scan *scan)
{
    const char *begin = scan->text + scan->at;
    const char *close = memchr(begin, '}', scan->len - scan->at);
    const char *colon;
    char name[128] = "";
    size_t len;

    if (close == NULL)
        return 0;
    len = (size_t)(close - begin) - 2;
    colon = memchr(begin + 2, ':', len);
    if (colon == NULL || colon[1] != '-') {
        if (len < sizeof(name))
            memcpy(name, begin + 2, len);
        if (getenv(name) == NULL)
            note_unset(scan, begin + 2, len);
    }
    return (size_t)(close - begin) + 1;
}

/* A backslash in double quotes: \8, \9 and octals above \377 make libconfuse stop. */
static bool escape(struct scan *scan)
{
    const char *p = scan->text + scan->at + 1;
    size_t left = scan->len - scan->at - 1;
    size_t digits = 0;

    while (digits < left && isdigit((unsigned char)p[digits]))
        digits++;
    if (digits > 0 && (digits > 3 || p[0] > '7' || memchr(p, '8', digits) || memchr(p, '9', digits) ||
                       (digits == 3 && p[0] > '3')))
        return stop(scan, scan->line,
                    "a backslash in double quotes begins an escape such as \\n or \\101; write \\\\ for "
                    "the character itself, or use single quotes");
    step(scan);
    if (scan->at < scan->len)
        step(scan);
    return true;
}

static bool string(struct scan *scan, struct token *token)
{
    char quote = scan->text[scan->at++];
    size_t len;

    token->kind = STRING;
    token->start = scan->at;
    while (scan->at < scan->len && scan->text[scan->at] != quote) {
        if (quote == '"' && peek(scan, 0) == '$' && peek(scan, 1) == '{' && (len = variable(scan)) > 0) {
            scan->at += len;
        } else if (peek(scan, 0) != '\\') {
            step(scan);
        } else if (quote == '"') {
            if (!escape(scan))
                return false;
        } else {
            step(scan);
            if (scan->at < scan->len)
                step(scan);
        }
    }
    if (scan->at >= scan->len)
        return stop(scan, token->line, "the string that begins here has no end: a %c is missing", quote);
    token->end = scan->at++;
    return true;
}

static void word(struct scan *scan, struct token *token)
{
    size_t len = 0;

    token->kind = WORD;
    token->start = scan->at;
    if (peek(scan, 0) == '$' && peek(scan, 1) == '{')
        len = variable(scan);
    if (len > 0)
        scan->at += len;
    else
        scan->at += strcspn(scan->text + scan->at, " #\"'\t\n\r={}()+,*");
    token->end = scan->at;
}

void lex_blank(struct scan *scan, size_t start)
{
    for (; start < scan->at; start++) {
        if (scan->text[start] != '\n')
            scan->text[start] = ' ';
    }
}

/* Comments are blanked too, since libconfuse counts a line too many at the end of each. */
static bool skip_comment(struct scan *scan)
{
    bool one_line = peek(scan, 1) != '*' || peek(scan, 0) == '#';
    const char *begin = scan->text + scan->at;
    const char *end = one_line ? strchr(begin, '\n') : strstr(begin + 2, "*/");
    size_t start = scan->at;

    if (end == NULL && !one_line)
        return stop(scan, scan->line, "the comment that begins here has no end: a */ is missing");
    if (end == NULL)
        end = scan->text + scan->len;
    else if (!one_line)
        end += 2;
    while (scan->text + scan->at < end)
        step(scan);
    lex_blank(scan, start);
    return true;
}

/* Blanks, comments, and the characters that libconfuse passes over. */
static bool skip_blanks(struct scan *scan)
{
    while (scan->at < scan->len) {
        char c = peek(scan, 0);
        if (c == '#' || (c == '/' && (peek(scan, 1) == '/' || peek(scan, 1) == '*'))) {
            if (!skip_comment(scan))
                return false;
        } else if (strchr(" \t\r\n*", c) != NULL || (c == '+' && peek(scan, 1) != '=')) {
            step(scan);
        } else {
            break;
        }
    }
    return true;
}

struct token token_next(struct scan *scan)
{
    static const char marks[] = "{}()=,";
    static const enum token_kind kinds[] = {OPEN, CLOSE, LEFT, RIGHT, EQUALS, COMMA};
    struct token token = {.kind = BROKEN};
    const char *mark;
    char c;

    if (!skip_blanks(scan))
        return token;
    token.line = scan->line;
    token.start = token.end = scan->at;
    c = peek(scan, 0);
    if (scan->at >= scan->len) {
        token.kind = END;
    } else if ((mark = strchr(marks, c)) != NULL) {
        token.kind = kinds[mark - marks];
        scan->at++;
    } else if (c == '+') {
        token.kind = APPEND;
        scan->at += 2;
    } else if (c == '"' || c == '\'') {
        if (!string(scan, &token))
            token.kind = BROKEN;
    } else {
        word(scan, &token);
    }
    return token;
}
