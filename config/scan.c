/* A look over the text of a fetchrc before libconfuse 3.3 reads it, which stops at the first unknown name,
 * expands an unset variable to nothing, takes a comment without an end for the end of the file, and cuts
 * values at a NUL. Here each of these is noted; unknown options and sections are blanked, so that the reading
 * goes on behind them; at a syntax error the text is cut. Nothing of a value is ever quoted: it may be a
 * secret. */
#include <string.h>

#include "config/lex.h"

static bool is_value(struct token token)
{
    return token.kind == WORD || token.kind == STRING;
}

/* Behind an opening mark: on to the one that closes it. */
static bool skip_nested(struct scan *scan, enum token_kind open, enum token_kind close, int line)
{
    unsigned depth = 1;

    while (depth > 0) {
        struct token token = token_next(scan);
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
    lex_blank(scan, name.start - (name.kind == STRING)); /* with its quote */
}

static bool skip_value(struct scan *scan, int line)
{
    struct token token = token_next(scan);

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

    (void)mistake_quote(quote, text, len);
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

/* Whether others than the user learn a secret from this file: it stands there itself, not as
 * "${VARIABLE}". */
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
        token = token_next(scan);
        if (is_value(token))
            token = token_next(scan);
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
    struct token value = token_next(scan);
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
        lex_add_line(scan, &scan->loading->source->section_lines, &scan->loading->source->section_count,
                     name.line);
        return items(scan, kind, name.line);
    }
    (void)mistake_quote(quote, text, len);
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
        file = token_next(scan);
        if (is_value(file) && token_next(scan).kind == RIGHT)
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
    struct token token = token_next(scan);
    bool titled = is_value(token);

    if (titled)
        token = token_next(scan);
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
    struct token token = token_next(scan);

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
