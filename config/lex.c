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

bool lex_may_quote(const struct scan *scan)
{
    return !scan->secret && scan->line != scan->secret_line;
}

static void note_unset(struct scan *scan, const char *name, size_t len)
{
    char quote[QUOTED_MAX] = "of that name";

    lex_add_line(scan, &scan->loading->source->unset_lines, &scan->loading->source->unset_count, scan->line);
    if (lex_may_quote(scan))
        (void)mistake_quote(quote, name, len);
    note(scan, scan->line, "the environment has no variable %s; set it, or write ${NAME:-DEFAULT}", quote);
}

/* At "${": is the variable set, or does ":-" give a default? libconfuse looks for the "}" in all that
 * follows. */
static bool variable(struct scan *scan)
{
    const char *begin = scan->text + scan->at + 2;
    size_t len = strcspn(begin, "}\"'\n");
    const char *colon = memchr(begin, ':', len);
    char name[128] = "";

    if (begin[len] != '}')
        return stop(
            scan, scan->line,
            "a ${ has no end: a } is missing behind the variable's name; single quotes keep a $ as it is");
    if (colon == NULL || colon[1] != '-') {
        if (len < sizeof(name))
            memcpy(name, begin, len);
        if (getenv(name) == NULL)
            note_unset(scan, begin, len);
    }
    scan->at += len + 3;
    return true;
}

/* A backslash in double quotes. libconfuse drops one that it does not know, and takes digits for octals. A
 * wrong one becomes a slash, so that the reading goes on. */
static void escape(struct scan *scan, bool *told)
{
    char *p = scan->text + scan->at + 1;
    bool hex = p[0] == 'x' && isxdigit((unsigned char)p[1]) && isxdigit((unsigned char)p[2]) &&
               (p[1] != '0' || p[2] != '0');

    step(scan);
    if (hex || (p[0] != '\0' && strchr("\\\"$nt", p[0]) != NULL)) {
        step(scan);
        return;
    }
    p[-1] = '/';
    if (!*told && p[0] != '\0' && p[0] != '\n')
        note(scan, scan->line,
             "a backslash in double quotes begins one of \\\\ \\\" \\$ \\n \\t \\x41; write \\\\ for the "
             "character itself, or use single quotes");
    *told = true;
}

static bool string(struct scan *scan, struct token *token)
{
    char quote = scan->text[scan->at++];
    bool told = false;

    token->kind = STRING;
    token->start = scan->at;
    while (scan->at < scan->len && peek(scan, 0) != quote && peek(scan, 0) != '\n') {
        if (quote == '"' && peek(scan, 0) == '$' && peek(scan, 1) == '{') {
            if (!variable(scan))
                return false;
        } else if (quote == '"' && peek(scan, 0) == '\\') {
            escape(scan, &told);
        } else {
            scan->at += peek(scan, 0) == '\\' && (peek(scan, 1) == quote || peek(scan, 1) == '\\') ? 2 : 1;
        }
    }
    if (peek(scan, 0) != quote)
        return stop(scan, token->line, "the string that begins here has no end on this line: a %c is missing",
                    quote);
    token->end = scan->at++;
    return true;
}

/* Octets of a typographic quote (“ ” „ ‘ ’ ‚ ‹ › « »), 0 if it is none. */
static size_t typographic(const char *text)
{
    if (strncmp(text, "\xE2\x80", 2) == 0 &&
        ((text[2] >= '\x98' && text[2] <= '\x9F') || text[2] == '\xB9' || text[2] == '\xBA'))
        return 3;
    return strncmp(text, "\xC2\xAB", 2) == 0 || strncmp(text, "\xC2\xBB", 2) == 0 ? 2 : 0;
}

/* A value in typographic quotes: told, and put into straight ones where that can be done. */
static bool typographic_string(struct scan *scan, struct token *token, size_t opening)
{
    char *begin = scan->text + scan->at + opening;
    char *end = begin;
    size_t closing;

    note(scan, scan->line, "typographic quotes stand here; use straight quotes, \"VALUE\" or 'VALUE'");
    while (strchr("\n\"'\\", *end) == NULL && typographic(end) == 0)
        end++;
    closing = *end == '"' || *end == '\'' ? 1 : typographic(end);
    if (closing == 0)
        return lex_give_up(scan);
    memset(begin - opening, ' ', opening);
    memset(end, ' ', closing);
    begin[-1] = *end = '\'';
    token->kind = STRING;
    token->start = (size_t)(begin - scan->text);
    token->end = (size_t)(end - scan->text);
    scan->at = token->end + 1;
    return true;
}

static bool word(struct scan *scan, struct token *token)
{
    size_t quote = typographic(scan->text + scan->at);
    bool ok = true;

    if (quote > 0)
        return typographic_string(scan, token, quote);
    token->kind = WORD;
    token->start = scan->at;
    if (peek(scan, 0) == '$' && peek(scan, 1) == '{')
        ok = variable(scan);
    else
        scan->at += strcspn(scan->text + scan->at, " #\"'\t\n\r={}()+,*");
    token->end = scan->at;
    return ok;
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

/* Blanks and comments. */
static bool skip_blanks(struct scan *scan)
{
    while (scan->at < scan->len) {
        char c = peek(scan, 0);
        if (c == '#' || (c == '/' && (peek(scan, 1) == '/' || peek(scan, 1) == '*'))) {
            if (!skip_comment(scan))
                return false;
        } else if (strchr(" \t\r\n", c) != NULL) {
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
    } else if (c == '+' && peek(scan, 1) == '=') {
        token.kind = APPEND;
        scan->at += 2;
    } else if (c == '+' || c == '*') { /* libconfuse passes over these */
        token.kind = STRAY;
        scan->at++;
    } else if (!(c == '"' || c == '\'' ? string(scan, &token) : word(scan, &token))) {
        token.kind = BROKEN;
    }
    return token;
}
