/* A look over the text of a fetchrc before libconfuse 3.3 reads it, which stops at the first unknown name,
 * expands an unset variable to nothing, takes a comment without an end for the end of the file, and cuts
 * values at a NUL. Here each of these is noted; unknown options and sections are blanked, so that the reading
 * goes on behind them; at a syntax error the text is cut. Nothing of what is or may be a secret is quoted,
 * nor of what stands behind it on its line: it may be the rest of it. */
#include <string.h>

#include "base/buf.h"
#include "config/lex.h"
#include "config/values.h"

static bool is_value(struct token token)
{
    return token.kind == WORD || token.kind == STRING;
}

/* Behind an opening mark: on to the one that closes it. What is between may be anything, secrets too. */
static bool skip_nested(struct scan *scan, enum token_kind open, enum token_kind close, int line)
{
    unsigned depth = 1;

    while (depth > 0) {
        bool secret = scan->secret;
        struct token token;
        scan->secret = true;
        token = token_next(scan);
        scan->secret = secret;
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

/* The value of an option that is not known; secret: it may be one. */
static bool skip_value(struct scan *scan, int line, bool secret)
{
    struct token token;
    bool ok;

    scan->secret = secret;
    token = token_next(scan);
    if (token.kind == OPEN)
        ok = skip_nested(scan, OPEN, CLOSE, line);
    else
        ok = is_value(token) ||
             (token.kind != BROKEN && stop(scan, line, "a value is missing behind the \"=\""));
    scan->secret = false;
    if (secret)
        scan->secret_line = scan->line;
    return ok;
}

/* The name of what is not known, in quotes; false where it may be the rest of a secret, which is told. */
static bool quote_name(struct scan *scan, struct token name, char *quote)
{
    if (name.line == scan->secret_line) {
        note(scan, name.line,
             "something unknown stands behind a value; one with blanks or special characters needs quotes");
        return false;
    }
    (void)mistake_quote(quote, scan->text + name.start, name.end - name.start);
    return true;
}

static void unknown_option(struct scan *scan, enum option_section section, struct token name,
                           const struct option_row *nearest)
{
    const char *text = scan->text + name.start;
    size_t len = name.end - name.start;
    const char *here = option_tables[section].name;
    enum option_section other;
    char quote[QUOTED_MAX];

    if (!quote_name(scan, name, quote))
        return;
    for (other = SECTION_COUNT; other-- > SECTION_TOP;) {
        if (option_find(other, text, len) < 0)
            continue;
        if (other == SECTION_TOP)
            note(scan, name.line, "%s belongs before the sections, not into one", quote);
        else if (section == SECTION_TOP)
            note(scan, name.line, "%s belongs into a section, such as %s \"TITLE\" { ... }", quote,
                 option_tables[other].name);
        else
            note(scan, name.line, "%s is an option of %s sections, not of %s", quote,
                 option_tables[other].name, here);
        return;
    }
    if (nearest != NULL)
        note(scan, name.line, "unknown option %s; the nearest known one is \"%s\" (%s)", quote, nearest->name,
             nearest->help);
    else
        note(scan, name.line, "unknown option %s; fetchrc(5) explains those %s%s", quote,
             section == SECTION_TOP ? "outside of sections" : "of ", here);
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

/* Whether a value ends where the scan is: a blank follows, or a mark of the section or list around it. */
static bool value_ends(const struct scan *scan, struct token value, bool listed)
{
    const char *next = scan->text + scan->at;

    if (value.kind == WORD && scan->text[value.end - 1] == ';')
        return false;
    if (value.kind == STRING && (*next == '#' || (*next == '/' && (next[1] == '/' || next[1] == '*'))))
        return true;
    if (listed && strchr(",}", *next) != NULL)
        return true;
    next += strspn(next, "}");
    return strchr(" \t\r\n", *next) != NULL || (next[-1] == '}' && *next == '#');
}

/* libconfuse would cut the value, or read on behind it without a word. Where nothing else can be meant it is
 * cut here, and the reading goes on. */
static bool check_end(struct scan *scan, const struct option_row *row, struct token value)
{
    size_t start = scan->at;
    size_t run;
    bool cut;

    if (value_ends(scan, value, false))
        return true;
    if (value.kind == WORD && scan->text[value.end - 1] == ';')
        start = value.end - 1;
    run = strcspn(scan->text + scan->at, " \t\r\n\"'}");
    cut = value.kind == WORD || (run == 1 && strchr(";,", scan->text[scan->at]) != NULL);
    note(
        scan, value.line,
        "what stands directly behind the value of %s does not belong there; if it is part of it, write it in "
        "quotes: %s = 'VALUE'",
        row->name, row->name);
    scan->at += run;
    if (!cut || (scan->text[scan->at] != '\0' && strchr("\"'", scan->text[scan->at]) != NULL))
        return lex_give_up(scan);
    lex_blank(scan, start);
    return true;
}

/* Steps over a comma on the same line. */
static bool comma_follows(struct scan *scan)
{
    size_t blanks = strspn(scan->text + scan->at, " \t");

    if (scan->text[scan->at + blanks] != ',')
        return false;
    scan->at += blanks + 1;
    scan->at += strspn(scan->text + scan->at, " \t");
    return true;
}

/* What recipients = thomas, anna should be. */
static bool bare_list(struct scan *scan, const struct option_row *row, struct token value)
{
    size_t start = scan->at;
    char quote[QUOTED_MAX];
    struct buf values;

    buf_init(&values, 1024);
    (void)buf_puts(&values, mistake_quote(quote, scan->text + value.start, value.end - value.start));
    while (value.kind != BROKEN && comma_follows(scan) && strchr("#\r\n", scan->text[scan->at]) == NULL) {
        value = token_next(scan);
        if (is_value(value))
            (void)buf_printf(&values, ", %s",
                             mistake_quote(quote, scan->text + value.start, value.end - value.start));
        else if (value.kind != BROKEN)
            break;
    }
    if (value.kind != BROKEN)
        note(scan, value.line, "several values stand in braces: %s = {%s}", row->name, values.data);
    if (is_value(value))
        lex_blank(scan, start);
    buf_free(&values);
    return is_value(value) || lex_give_up(scan);
}

static bool list(struct scan *scan, const struct option_row *row, bool append)
{
    struct token token;
    size_t count = 0;

    do {
        token = token_next(scan);
        if (is_value(token) && !value_ends(scan, token, true))
            break;
        if (is_value(token)) {
            token = token_next(scan);
            count++;
        } else if (token.kind != CLOSE) {
            break;
        }
    } while (token.kind == COMMA);
    if (token.kind == BROKEN)
        return false;
    if (token.kind != CLOSE)
        return stop(scan, token.line,
                    "the list of %s is wrong: {\"A\", \"B\"}, its values in quotes with commas between, is "
                    "right",
                    row->name);
    if (count == 0 && !append && row->check == value_recipient)
        note(scan, token.line,
             "%s is empty; write %s = {\"NAME\"}, or leave it out for the user who runs popferry", row->name,
             row->name);
    return true;
}

/* Behind the "=" of an option. */
static bool read_value(struct scan *scan, const struct option_row *row, struct token name, bool append)
{
    bool listed = row->type == OPTION_LIST || row->type == OPTION_MAP;
    struct token value = token_next(scan);
    bool ok = true;

    if (value.kind == BROKEN)
        return false;
    if (value.kind == OPEN && listed)
        return list(scan, row, append);
    if (value.kind == OPEN)
        ok = skip_nested(scan, OPEN, CLOSE, value.line);
    else if (value.kind == STRAY)
        return stop(scan, name.line, "the value of %s needs quotes: %s = 'VALUE'", row->name, row->name);
    else if (!is_value(value))
        return stop(scan, name.line, "%s has no value; write %s = VALUE", row->name, row->name);
    else if (listed && scan->text[scan->at + strspn(scan->text + scan->at, " \t")] == ',')
        return bare_list(scan, row, value);
    else
        ok = check_end(scan, row, value);
    if (!listed && (value.kind == OPEN || append)) {
        note(scan, name.line, "%s takes one value; write %s = VALUE", row->name, row->name);
        hide(scan, name);
        return ok;
    }
    if (row->guarded && scan->loading->source->exposed && spelled_out(scan, value))
        note(scan, name.line, "a %s stands in a file that others can read; chmod 600 is needed, or %s",
             row->name, strcmp(row->name, "password") == 0 ? "password_command" : "\"${NAME}\"");
    return ok;
}

static bool known_value(struct scan *scan, const struct option_row *row, struct token name, bool append)
{
    bool ok;

    scan->secret = row->secret;
    ok = read_value(scan, row, name, append);
    scan->secret = false;
    if (row->secret)
        scan->secret_line = scan->line;
    return ok;
}

/* Whether a password or the like was probably meant by an unknown option; nearest: NULL if none is near. */
static bool may_be_secret(const char *name, size_t len, const struct option_row *nearest)
{
    enum option_section s;
    int row;

    for (s = SECTION_TOP; s < SECTION_COUNT; s++) {
        row = option_find(s, name, len);
        if (row >= 0)
            return option_tables[s].rows[row].secret;
    }
    return nearest == NULL || nearest->secret;
}

static bool option(struct scan *scan, enum option_section section, struct token name, bool append)
{
    const char *text = scan->text + name.start;
    size_t len = name.end - name.start;
    const struct option_row *nearest;
    int row = option_find(section, text, len);

    if (row >= 0)
        return known_value(scan, &option_tables[section].rows[row], name, append);
    if (name.kind == STRING)
        return stop(scan, name.line, "a value stands where the name of an option is expected");
    nearest = option_nearest(section, text, len);
    unknown_option(scan, section, name, nearest);
    if (!skip_value(scan, name.line, may_be_secret(text, len, nearest)))
        return false;
    hide(scan, name);
    return true;
}

static bool items(struct scan *scan, enum option_section section, int line);

/* Behind the opening brace of a section that stands within `outer`. One whose title is missing, or whose name
 * is misspelt, is looked over all the same. */
static bool section(struct scan *scan, enum option_section outer, struct token name, bool titled)
{
    struct source *source = scan->loading->source;
    const char *text = scan->text + name.start;
    size_t len = name.end - name.start;
    enum option_section kind = option_section_find(text, len);
    enum option_section nearest = kind != SECTION_COUNT ? kind : option_section_nearest(text, len);
    char quote[QUOTED_MAX];

    if (outer == SECTION_TOP && kind != SECTION_COUNT && titled) {
        lex_add_line(scan, &source->section_lines, &source->section_count, name.line);
        return items(scan, kind, name.line);
    }
    if (kind != SECTION_COUNT && outer == SECTION_TOP)
        note(scan, name.line, "a section needs a title: %s \"TITLE\" {", option_tables[kind].name);
    else if (!quote_name(scan, name, quote))
        nearest = SECTION_COUNT;
    else if (outer != SECTION_TOP)
        note(scan, name.line, "a section %s stands within a section; is a } missing before it?", quote);
    else if (nearest == SECTION_COUNT)
        note(scan, name.line, "unknown section %s; account, destination and oauth are known", quote);
    else
        note(scan, name.line, "unknown section %s; the nearest known one is \"%s\"", quote,
             option_tables[nearest].name);
    if (outer != SECTION_TOP || nearest == SECTION_COUNT ? !skip_nested(scan, OPEN, CLOSE, name.line)
                                                         : !items(scan, nearest, name.line)) {
        source->unclosed = source->unclosed && outer != SECTION_TOP;
        return false;
    }
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
    struct token token;
    bool titled;

    if (name.kind == WORD && name.end - name.start == 1 && scan->text[name.start] == ';') {
        note(scan, name.line, "a ; has no place here; an option ends with its line, or at a blank");
        hide(scan, name);
        return true;
    }
    /* A title, or a value whose "=" is missing. */
    scan->secret = option_section_find(scan->text + name.start, name.end - name.start) == SECTION_COUNT;
    token = token_next(scan);
    scan->secret = false;
    titled = is_value(token);
    if (titled && (token.kind == STRING || scan->text[token.end] != '#'))
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
        "NAME = VALUE or a section, NAME \"TITLE\" { ... }, is expected; a value with spaces or special "
        "characters needs quotes");
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
        *ok =
            stop(scan, token.line, "NAME = VALUE is expected; a value with special characters needs quotes");
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

/* With a byte order mark, or by its first letter. */
static bool is_utf16(const char *text, size_t len)
{
    return len >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0 ||
                        (text[0] == '\0') != (text[1] == '\0'));
}

void scan_text(struct loading *loading, char *text, size_t len)
{
    struct scan scan = {.loading = loading, .text = text, .len = strlen(text), .line = 1};

    if (is_utf16(text, len)) {
        (void)stop(&scan, 1, "this file is not UTF-8 but UTF-16; save it as UTF-8");
        text[0] = '\0';
        return;
    }
    if (strncmp(text, "\xEF\xBB\xBF", 3) == 0) /* a byte order mark is no part of the first name */
        memset(text, ' ', 3);
    if (items(&scan, SECTION_TOP, 1) && scan.len < len)
        (void)stop(&scan, scan.line, "a NUL octet stands here; a fetchrc is text");
}
