#include "mail/lines.h"

#include <string.h>

/* Where the answer stands between two octets. */
enum {
    AT_START,     /* behind CRLF, or at the very beginning: a POP3 line begins here */
    IN_TEXT,      /* anywhere else, also behind a bare LF */
    AFTER_DOT,    /* a dot began the line: stuffing, or the end */
    AFTER_DOT_CR, /* and a CR followed */
    AFTER_CR,     /* `crs` CRs: a line end if an LF follows, else spaces */
    AT_END,
};

/* The octets at hand. The next CR and LF are looked for once each and kept: a chunk full of the one without
 * the other would otherwise be searched to its end for every octet. */
struct scan {
    const char *at;
    const char *end;
    const char *cr; /* the next CR, or end */
    const char *lf; /* the next LF, or end */
};

static const char *find(const char *from, const char *end, int c)
{
    const char *found = memchr(from, c, (size_t)(end - from));

    return found != NULL ? found : end;
}

static bool has_eightbit(const char *data, size_t len)
{
    uint64_t word[4];
    uint64_t all = 0;

    for (; len >= sizeof(word); data += sizeof(word), len -= sizeof(word)) {
        memcpy(word, data, sizeof(word));
        all |= word[0] | word[1] | word[2] | word[3];
    }
    for (; len > 0; data++, len--)
        all |= (unsigned char)*data;
    return (all & UINT64_C(0x8080808080808080)) != 0;
}

static int emit(struct lines *lines, const char *data, size_t len, lines_sink sink, void *context)
{
    lines->out += len;
    return sink(context, data, len) < 0 ? -1 : 0;
}

static int emit_line_end(struct lines *lines, lines_sink sink, void *context)
{
    lines->line_start = true;
    return emit(lines, "\r\n", 2, sink, context);
}

static int emit_spaces(struct lines *lines, lines_sink sink, void *context)
{
    static const char spaces[] = "                                ";

    while (lines->crs > 0) {
        size_t n = lines->crs < sizeof(spaces) - 1 ? (size_t)lines->crs : sizeof(spaces) - 1;

        if (emit(lines, spaces, n, sink, context) < 0)
            return -1;
        lines->crs -= n;
    }
    lines->line_start = false;
    return 0;
}

/* The longest run that reads alike in POP3's and in SMTP's form: whole lines with CRLF, a dot at their start
 * doubled. It ends before a CR that has no LF behind it (yet), a bare LF, or a dot that may be the end. */
static const char *clean_run(struct lines *lines, struct scan *scan)
{
    const char *at = scan->at;

    for (;;) {
        if (lines->state == AT_START && at < scan->end && *at == '.') {
            if (lines->plain || scan->end - at < 2 || at[1] != '.')
                return at;
            lines->unstuffed++;
            lines->stuffed++;
            lines->state = IN_TEXT;
            at += 2;
        }
        if (scan->cr < at)
            scan->cr = find(at, scan->end, '\r');
        if (scan->lf < at)
            scan->lf = find(at, scan->end, '\n');
        if (scan->lf == scan->end || scan->lf != scan->cr + 1)
            break;
        at = scan->lf + 1;
        lines->state = AT_START;
    }
    if (scan->cr > at && scan->lf > at) {
        at = scan->cr < scan->lf ? scan->cr : scan->lf;
        lines->state = IN_TEXT;
    }
    return at;
}

static int pass_run(struct lines *lines, struct scan *scan, lines_sink sink, void *context)
{
    const char *from = scan->at;
    size_t len;

    /* A dot that POP3 did not stuff, but SMTP must. */
    if (*from == '.' && lines->line_start && (lines->plain || lines->state == IN_TEXT)) {
        lines->state = IN_TEXT;
        lines->stuffed++;
        if (emit(lines, ".", 1, sink, context) < 0)
            return -1;
    }
    scan->at = clean_run(lines, scan);
    len = (size_t)(scan->at - from);
    if (len == 0)
        return 0;
    lines->line_start = lines->state == AT_START;
    if (!lines->eightbit)
        lines->eightbit = has_eightbit(from, len);
    return emit(lines, from, len, sink, context);
}

/* The octet at which a run ended: a CR, an LF, or a dot that begins a POP3 line. */
static int pass_special(struct lines *lines, struct scan *scan, lines_sink sink, void *context)
{
    switch (*scan->at++) {
    case '\r':
        lines->crs = 1;
        lines->state = AFTER_CR;
        return 0;
    case '\n':
        lines->state = lines->plain ? AT_START : IN_TEXT;
        return emit_line_end(lines, sink, context);
    default:
        /* In a plain text such a dot belongs to the next run. */
        if (lines->plain)
            scan->at--;
        else
            lines->state = AFTER_DOT;
        return 0;
    }
}

/* An octet behind those that wait. Where it settles only what they were, it is left for the next step. */
static int pass_waiting(struct lines *lines, struct scan *scan, lines_sink sink, void *context)
{
    char c = *scan->at;

    if (lines->state == AFTER_DOT) {
        if (c == '\r') {
            scan->at++;
            lines->state = AFTER_DOT_CR;
        } else {
            lines->unstuffed++;
            lines->state = IN_TEXT;
        }
        return 0;
    }
    if (lines->state == AFTER_DOT_CR) {
        if (c == '\n') {
            scan->at++;
            lines->state = AT_END;
        } else {
            lines->unstuffed++;
            lines->crs = 1;
            lines->state = AFTER_CR;
        }
        return 0;
    }
    if (c == '\r') {
        scan->at++;
        lines->crs++;
        return 0;
    }
    if (c == '\n') {
        scan->at++;
        lines->crs = 0;
        lines->state = AT_START;
        return emit_line_end(lines, sink, context);
    }
    lines->state = IN_TEXT;
    return emit_spaces(lines, sink, context);
}

static int pass(struct lines *lines, struct scan *scan, lines_sink sink, void *context)
{
    while (scan->at < scan->end && lines->state != AT_END) {
        if (lines->state != AT_START && lines->state != IN_TEXT) {
            if (pass_waiting(lines, scan, sink, context) < 0)
                return -1;
            continue;
        }
        if (pass_run(lines, scan, sink, context) < 0)
            return -1;
        if (scan->at < scan->end && pass_special(lines, scan, sink, context) < 0)
            return -1;
    }
    return 0;
}

void lines_init(struct lines *lines)
{
    *lines = (struct lines){.state = AT_START, .line_start = true};
}

void lines_init_plain(struct lines *lines)
{
    *lines = (struct lines){.state = AT_START, .plain = true, .line_start = true};
}

int lines_feed(struct lines *lines, const char *data, size_t len, size_t *used, lines_sink sink,
               void *context)
{
    struct scan scan = {.at = data, .end = data + len};
    int result;

    *used = 0;
    if (len == 0)
        return lines->state == AT_END;
    scan.cr = find(data, scan.end, '\r');
    scan.lf = find(data, scan.end, '\n');
    result = pass(lines, &scan, sink, context);
    *used = (size_t)(scan.at - data);
    lines->in += *used;
    if (result < 0)
        return -1;
    return lines->state == AT_END;
}

int lines_finish(struct lines *lines, lines_sink sink, void *context)
{
    bool open = lines->crs > 0 || !lines->line_start;

    lines->crs = 0;
    lines->state = AT_END;
    return open ? emit_line_end(lines, sink, context) : 0;
}

uint64_t lines_received(const struct lines *lines)
{
    uint64_t octets = lines->in - lines->unstuffed;

    switch (lines->state) {
    case AFTER_DOT:
        return octets - 1;
    case AFTER_DOT_CR:
        return octets - 2;
    case AT_END:
        return lines->plain ? octets : octets - 3;
    default:
        return octets;
    }
}

size_t lines_unstuff(char *data, size_t len, bool *line_start)
{
    char *end = data + len;
    char *from = data; /* what must still be moved up begins here */
    char *to = data;
    char *at = data;

    while (at < end) {
        if (*line_start && *at == '.') {
            if (to != from)
                memmove(to, from, (size_t)(at - from));
            to += at - from;
            from = at + 1;
        }
        at = memchr(at, '\n', (size_t)(end - at));
        *line_start = at != NULL;
        at = at != NULL ? at + 1 : end;
    }
    if (to != from)
        memmove(to, from, (size_t)(end - from));
    return (size_t)(to + (end - from) - data);
}
