/* A look over the text of a fetchrc before libconfuse 3.3 reads it, which stops at the first unknown name,
 * expands an unset variable to nothing, takes a comment without an end for the end of the file, and cuts
 * values at a NUL. Here each of these is noted; unknown options and sections are blanked, so that the reading
 * goes on behind them; at a syntax error the text is cut. Nothing of a value is ever quoted: it may be a
 * secret. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config/loading.h"

enum token_kind { END, BROKEN, WORD, STRING, OPEN, CLOSE, LEFT, RIGHT, EQUALS, APPEND, COMMA };

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
};

#define note(scan, at_line, ...)                                                                             \
    mistake_note((scan)->loading, (scan)->loading->source->file, at_line, __VA_ARGS__)

/* A syntax error: told; items() cuts the text before it. */
#define stop(scan, at_line, ...) (note(scan, at_line, __VA_ARGS__), give_up(scan))

static bool give_up(struct scan *scan)
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

static void add_line(struct scan *scan, int **lines, size_t *count, int line)
{
    bool failed = false;

    *lines = grown(*lines, *count, sizeof(**lines), &failed);
    if (failed)
        scan->loading->out_of_memory = true;
    else
        (*lines)[(*count)++] = line;
}

static void note_unset(struct scan *scan, const char *name, size_t len)
{
    char quote[QUOTED_MAX];

    add_line(scan, &scan->loading->source->unset_lines, &scan->loading->source->unset_count, scan->line);
    note(scan, scan->line, "the environment has no variable %s; set it, or write ${NAME:-DEFAULT}",
         quoted(quote, name, len));
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

/* The lines stay. */
static void blank(struct scan *scan, size_t start)
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
    blank(scan, start);
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

static struct token next(struct scan *scan)
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

static bool is_value(struct token token)
{
    return token.kind == WORD || token.kind == STRING;
}

/* Behind an opening mark: on to the one that closes it. */
static bool skip_nested(struct scan *scan, enum token_kind open, enum token_kind close, int line)
{
    unsigned depth = 1;

    while (depth > 0) {
        struct token token = next(scan);
        if (token.kind == BROKEN)
            return false;
        if (token.kind == END)
            return stop(scan, line, "what is opened here is not closed: a %c is missing",
                        close == CLOSE ? '}' : ')');
        if (token.kind == open)
            depth++;
        else if (token.kind == close)
            depth--;
    }
    return true;
}

/* What was noted, from its name on, is not for libconfuse to see. */
static void hide(struct scan *scan, struct token name)
{
    blank(scan, name.start - (name.kind == STRING)); /* with its quote */
}

static bool skip_value(struct scan *scan, int line)
{
    struct token token = next(scan);

    if (token.kind == OPEN)
        return skip_nested(scan, OPEN, CLOSE, line);
    return is_value(token) ||
           (token.kind != BROKEN && stop(scan, line, "a value is missing behind the \"=\""));
}

static void unknown_option(struct scan *scan, enum option_section section, struct token name)
{
    const char *text = scan->text + name.start;
    size_t len = name.end - name.start;
    const struct option_row *nearest = option_nearest(section, text, len);
    char quote[QUOTED_MAX];
    enum option_section other;

    (void)quoted(quote, text, len);
    for (other = SECTION_COUNT; other-- > SECTION_TOP;) {
        if (option_find(other, text, len) < 0)
            continue;
        if (other == SECTION_TOP)
            note(scan, name.line, "%s belongs before the sections, not into one", quote);
        else
            note(scan, name.line, "%s belongs into a section, such as %s \"TITLE\" { ... }", quote,
                 option_tables[other].name);
        return;
    }
    note(scan, name.line, "unknown option %s; the nearest known one is \"%s\" (%s)", quote, nearest->name,
         nearest->help);
}

/* Whether others than the user learn a secret from this file: it stands there itself, not as "${VARIABLE}".
 */
static bool spelled_out(const struct scan *scan, struct token value)
{
    const char *text = scan->text + value.start;
    size_t len = value.end - value.start;

    return len < 4 || text[0] != '$' || text[1] != '{' || text[len - 1] != '}' ||
           memchr(text, '}', len - 1) != NULL || memmem(text, len, ":-", 2) != NULL ||
           scan->text[value.start - 1] == '\'';
}

static bool list(struct scan *scan, struct token name)
{
    struct token token;

    do {
        token = next(scan);
        if (is_value(token))
            token = next(scan);
        else if (token.kind != CLOSE)
            break;
    } while (token.kind == COMMA);
    if (token.kind == CLOSE)
        return true;
    return token.kind != BROKEN && stop(scan, token.line,
                                        "the list of %.*s is wrong: {\"A\", \"B\"}, its values in quotes "
                                        "with commas between, is right",
                                        (int)(name.end - name.start), scan->text + name.start);
}

static bool known_value(struct scan *scan, const struct option_row *row, struct token name, bool append)
{
    bool listed = row->type == OPTION_LIST || row->type == OPTION_MAP;
    struct token value = next(scan);
    bool ok = true;

    if (value.kind == BROKEN)
        return false;
    if (value.kind == OPEN && listed)
        return list(scan, name);
    if (value.kind == OPEN)
        ok = skip_nested(scan, OPEN, CLOSE, value.line);
    else if (!is_value(value))
        return stop(scan, name.line, "%s has no value; write %s = VALUE", row->name, row->name);
    if (!listed && (value.kind == OPEN || append)) {
        note(scan, name.line, "%s takes one value; write %s = VALUE", row->name, row->name);
        hide(scan, name);
        return ok;
    }
    /* password_command is a secret to logs, yet no password. */
    if (row->secret && row->check != NULL && scan->loading->source->exposed && spelled_out(scan, value))
        note(scan, name.line,
             "a %s stands in a file that others can read; chmod 600 is needed, or password_command",
             row->name);
    return ok;
}

static bool option(struct scan *scan, enum option_section section, struct token name, bool append)
{
    int row = option_find(section, scan->text + name.start, name.end - name.start);

    if (row >= 0)
        return known_value(scan, &option_tables[section].rows[row], name, append);
    if (name.kind == STRING)
        return stop(scan, name.line, "a value stands where the name of an option is expected");
    unknown_option(scan, section, name);
    if (!skip_value(scan, name.line))
        return false;
    hide(scan, name);
    return true;
}

static bool items(struct scan *scan, enum option_section section, int line);

/* Behind the opening brace of a section that stands within `outer`. */
static bool section(struct scan *scan, enum option_section outer, struct token name, bool titled)
{
    const char *text = scan->text + name.start;
    size_t len = name.end - name.start;
    enum option_section kind = option_section_find(text, len);
    char quote[QUOTED_MAX];

    if (outer == SECTION_TOP && kind != SECTION_COUNT && titled) {
        add_line(scan, &scan->loading->source->section_lines, &scan->loading->source->section_count,
                 name.line);
        return items(scan, kind, name.line);
    }
    (void)quoted(quote, text, len);
    if (outer != SECTION_TOP)
        note(scan, name.line, "a section %s stands within a section; is a } missing before it?", quote);
    else if (kind == SECTION_COUNT)
        note(scan, name.line, "unknown section %s; the nearest known one is \"%s\"", quote,
             option_tables[option_section_nearest(text, len)].name);
    else
        note(scan, name.line, "a section needs a title: %s \"TITLE\" {", option_tables[kind].name);
    if (!skip_nested(scan, OPEN, CLOSE, name.line))
        return false;
    hide(scan, name);
    return true;
}

static bool call(struct scan *scan, enum option_section section, struct token name)
{
    size_t len = name.end - name.start;
    bool known = len == 7 && memcmp(scan->text + name.start, "include", 7) == 0;
    struct token file;

    if (known && section == SECTION_TOP) {
        file = next(scan);
        if (is_value(file) && next(scan).kind == RIGHT)
            return true;
        return file.kind != BROKEN && stop(scan, name.line, "include(\"FILE\") is right, with one file");
    }
    if (known)
        note(scan, name.line, "include(\"FILE\") belongs before or behind the sections, not into one");
    else
        note(scan, name.line, "the one thing that is written with parentheses is include(\"FILE\")");
    if (!skip_nested(scan, LEFT, RIGHT, name.line))
        return false;
    hide(scan, name);
    return true;
}

/* What begins with a name. */
static bool item(struct scan *scan, enum option_section outer, struct token name)
{
    struct token token = next(scan);
    bool titled = is_value(token);

    if (titled)
        token = next(scan);
    if (token.kind == BROKEN)
        return false;
    if (token.kind == OPEN)
        return section(scan, outer, name, titled);
    if (!titled && (token.kind == EQUALS || token.kind == APPEND))
        return option(scan, outer, name, token.kind == APPEND);
    if (!titled && token.kind == LEFT)
        return call(scan, outer, name);
    return stop(
        scan, name.line,
        "NAME = VALUE or a section, NAME \"TITLE\" { ... }, is expected; a value with spaces needs quotes");
}

/* One item, or what stands where one should. False at the section's end, and at a syntax error. */
static bool next_item(struct scan *scan, enum option_section section, int line, bool *ok)
{
    struct token token = next(scan);

    *ok = true;
    switch (token.kind) {
    case WORD:
    case STRING:
        *ok = item(scan, section, token);
        return *ok;
    case CLOSE:
        *ok = section != SECTION_TOP || stop(scan, token.line, "this } closes no section");
        return false;
    case END:
        *ok = section == SECTION_TOP ||
              stop(scan, line, "the section that begins here is not closed: a } is missing");
        return false;
    case BROKEN:
        *ok = false;
        return false;
    default:
        *ok = stop(scan, token.line,
                   "NAME = VALUE is expected; a value with special characters needs quotes");
        return false;
    }
}

static bool items(struct scan *scan, enum option_section section, int line)
{
    size_t start;
    bool ok;

    do {
        start = scan->at;
    } while (next_item(scan, section, line, &ok));
    if (!ok && !scan->cut) {
        scan->text[start] = '\0';
        scan->cut = true;
        scan->loading->source->unclosed = section != SECTION_TOP;
    }
    return ok;
}

void scan_text(struct loading *loading, char *text, size_t len)
{
    struct scan scan = {.loading = loading, .text = text, .len = strlen(text), .line = 1};

    if (strncmp(text, "\xEF\xBB\xBF", 3) == 0) /* a byte order mark is no part of the first name */
        memset(text, ' ', 3);
    if (items(&scan, SECTION_TOP, 1) && scan.len < len)
        (void)stop(&scan, scan.line, "a NUL octet stands here; a fetchrc is text");
}
