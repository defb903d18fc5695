#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/talk_private.h"
#include "protocol/pop3_reply.h"
#include "protocol/smtp_reply.h"
#include "report/log.h"

#define COMMAND_MAX                                                                                          \
    12288 /* octets of a command: RFC 4954 section 4; servers may take fewer (512 RFC 5321, 255 RFC 2449) */
#define SECRET_LEAST 3 /* octets of a secret that is looked for in an answer */

enum state {
    AT_COMMAND,
    AT_SECRET, /* the server has asked within AUTH */
    AT_TEXT,   /* behind 354 */
    AT_NO_TEXT, /* the text of a refused DATA, from a pipe */
    AT_END,
};

struct dialogue {
    const struct talk *talk;
    struct typed typed;
    enum state state;
    const struct talk_verb *verb; /* the last command */
    bool alone;              /* it had no argument */
    bool piped;              /* what follows was written without knowing the answers */
    bool no_auth;            /* AUTH was refused: its secrets may follow from a pipe */
    unsigned long long skip; /* octets of a BDAT that are still to come from a pipe */
    unsigned recipients;     /* accepted so far: LMTP answers the text once for each */
    struct buf secret;       /* the last one, which an answer might repeat */
    int status;
};

static bool is_verb(const struct dialogue *dialogue, const char *name)
{
    return strcmp(dialogue->verb->name, name) == 0;
}

/* ---- the end of a session ---- */

static void note(const struct dialogue *dialogue, const char *text)
{
    (void)fflush(stdout);
    log_line(LOG_LEVEL_WARNING, dialogue->talk->title, "%s", text);
}

static int end(struct dialogue *dialogue, int status)
{
    dialogue->state = AT_END;
    dialogue->status = status;
    return -1;
}

static int fail(struct dialogue *dialogue, const struct fault *fault)
{
    (void)fflush(stdout);
    log_fault(dialogue->talk->title, fault);
    return end(dialogue, fault_exit_status(fault->class));
}

static int broken(struct dialogue *dialogue, const char *text)
{
    struct fault fault;

    (void)fault_set(&fault, dialogue->talk->scope, FAULT_RETRY, "talk", "%s %s", dialogue->talk->host, text);
    return fail(dialogue, &fault);
}

/* ---- answers ---- */

/* A server that does not know a command may repeat it, and a secret with it. */
static void show_answer(struct dialogue *dialogue, const char *line, size_t len, bool cut)
{
    const struct buf *secret = &dialogue->secret;
    const char *found;

    while (secret->len >= SECRET_LEAST && (found = memmem(line, len, secret->data, secret->len)) != NULL) {
        show_text(line, (size_t)(found - line));
        show_text("***", 3);
        len -= (size_t)(found - line) + secret->len;
        line = found + secret->len;
    }
    show_line(line, len, cut);
}

static int read_line(struct dialogue *dialogue, char **line, size_t *len, unsigned timeout)
{
    struct fault fault;
    bool cut;

    if (wire_line(dialogue->talk->wire, line, len, &cut, timeout, &fault) < 0)
        return fail(dialogue, &fault);
    show_answer(dialogue, *line, *len, cut);
    return 0;
}

/* Where the end of a long answer is: CRLF.CRLF, in a message nothing else. Lists may come from servers that
 * end lines with LF. */
enum place { LINE_START, DOT, DOT_CR, WITHIN, WITHIN_CR };

static size_t scan(enum place *place, bool message, const char *data, size_t len, bool *ended)
{
    size_t i;

    for (i = 0; i < len && !*ended; i++) {
        char c = data[i];
        if (c == '\n') {
            *ended = *place == DOT_CR || (*place == DOT && !message);
            *place = !message || *place == WITHIN_CR ? LINE_START : WITHIN;
        } else if (c == '\r') {
            *place = *place == DOT ? DOT_CR : WITHIN_CR;
        } else {
            *place = *place == LINE_START && c == '.' ? DOT : WITHIN;
        }
    }
    return i;
}

static int read_long_answer(struct dialogue *dialogue)
{
    struct wire *wire = dialogue->talk->wire;
    bool message = is_verb(dialogue, "RETR") || is_verb(dialogue, "TOP");
    enum place place = LINE_START;
    struct show show = {.held_len = 0};
    bool ended = false;
    struct fault fault;

    wire_mark(wire);
    while (!ended) {
        const char *data;
        size_t len;
        if (wire_peek(wire, &data, &len, &fault) < 0)
            return fail(dialogue, &fault);
        len = scan(&place, message, data, len, &ended);
        show_chunk(&show, data, len);
        wire_take(wire, len);
    }
    return 0;
}

static bool is_long(const struct dialogue *dialogue)
{
    return dialogue->verb->pop3 == MULTI_LINE ||
           (dialogue->verb->pop3 == MULTI_LINE_ALONE && dialogue->alone);
}

static int read_pop3_answer(struct dialogue *dialogue)
{
    enum pop3_status status;
    enum pop3_code code;
    const char *text;
    char *line;
    size_t len;

    if (read_line(dialogue, &line, &len, 0) < 0)
        return -1;
    status = pop3_parse_status(line, len, &text, &code);
    dialogue->state = AT_COMMAND;
    dialogue->no_auth = is_verb(dialogue, "AUTH") && !dialogue->alone && status == POP3_ERR;
    if (is_verb(dialogue, "AUTH") && len > 0 && line[0] == '+' && (len == 1 || line[1] == ' '))
        dialogue->state = AT_SECRET;
    else if (is_verb(dialogue, "QUIT"))
        return end(dialogue, status == POP3_OK ? EX_OK : EX_TEMPFAIL);
    else if (status == POP3_GARBAGE)
        note(dialogue, "that is no answer of a POP3 server: it begins with neither +OK nor -ERR");
    return status == POP3_OK && is_long(dialogue) ? read_long_answer(dialogue) : 0;
}

/* A whole reply: its code, 0 if it is none. */
static int read_smtp_reply(struct dialogue *dialogue, int *code, unsigned timeout)
{
    bool last = false;

    *code = 0;
    while (!last) {
        const char *text;
        size_t text_len;
        char *line;
        size_t len;

        if (read_line(dialogue, &line, &len, timeout) < 0)
            return -1;
        if (!smtp_parse_line(line, len, code, &last, &text, &text_len)) {
            note(dialogue, "that is no SMTP reply");
            *code = 0;
            return 0;
        }
    }
    return 0;
}

static int read_smtp_answer(struct dialogue *dialogue, unsigned timeout)
{
    int code;

    if (read_smtp_reply(dialogue, &code, timeout) < 0)
        return -1;
    if (is_verb(dialogue, "QUIT"))
        return end(dialogue, code / 100 == 2 ? EX_OK : EX_TEMPFAIL);
    if (is_verb(dialogue, "TURN") && code / 100 == 2)
        return broken(dialogue, "has swapped the roles and is the client now, which popferry cannot serve");
    if (code / 100 == 2 && is_verb(dialogue, "RCPT"))
        dialogue->recipients++;
    else if (code / 100 == 2 &&
             (is_verb(dialogue, "MAIL") || is_verb(dialogue, "RSET") || is_verb(dialogue, "LHLO")))
        dialogue->recipients = 0;
    dialogue->state = code == 354 ? AT_TEXT : code == 334 ? AT_SECRET : AT_COMMAND;
    dialogue->no_auth = is_verb(dialogue, "AUTH") && code != 334 && code / 100 != 2;
    if (dialogue->piped && is_verb(dialogue, "DATA") && code != 354) {
        dialogue->state = AT_NO_TEXT;
        note(dialogue, "DATA was refused: the input up to a line with a dot alone is not sent");
    }
    return 0;
}

static int read_answer(struct dialogue *dialogue)
{
    wire_waiting_for(dialogue->talk->wire, dialogue->verb->name, 0);
    if (dialogue->talk->service == WIRE_POP3)
        return read_pop3_answer(dialogue);
    return read_smtp_answer(dialogue, 0);
}

/* Nothing was asked, and yet the server speaks, or has closed. Returns as struct typed wants it. */
static int on_server(void *context)
{
    struct dialogue *dialogue = context;
    struct wire *wire = dialogue->talk->wire;
    struct fault ignored;
    int spoke = 0;

    wire_waiting_for(wire, "session", 0);
    for (;;) {
        int early = wire_early_octets(wire, &ignored);
        char *line;
        size_t len;

        if (early == 0)
            break;
        if (dialogue->typed.terminal && spoke == 0)
            (void)putchar('\n');
        if (early < 0)
            return broken(dialogue, "closed the connection");
        if (read_line(dialogue, &line, &len, 0) < 0)
            return -1;
        spoke = 1;
    }
    (void)fflush(stdout);
    if (spoke > 0 && dialogue->state == AT_TEXT)
        return broken(dialogue, "answered in the middle of the text, which is not sent any further");
    return spoke;
}

/* ---- commands ---- */

static void echo(const struct dialogue *dialogue, const char *line, size_t len, bool secret)
{
    if (!dialogue->talk->echo)
        return;
    (void)fputs("> ", stdout);
    show_text(line, len);
    (void)fputs(secret ? "***\n" : "\n", stdout);
}

static void keep_secret(struct dialogue *dialogue, const char *secret)
{
    buf_wipe(&dialogue->secret);
    (void)buf_puts(&dialogue->secret, secret);
}

static int send_command(struct dialogue *dialogue, const char *line)
{
    struct wire *wire = dialogue->talk->wire;
    size_t at = talk_secret_at(dialogue->verb, line);
    struct fault fault;
    char show[64];
    int result;

    buf_wipe(&dialogue->secret);
    if (line[at] == '\0') {
        echo(dialogue, line, strlen(line), false);
        typed_remember(&dialogue->typed, line);
        wire_login_ended(wire);
        result = wire_command(wire, &fault, "%s", line);
    } else {
        char *open = strndup(line, at);
        echo(dialogue, line, at, true);
        keep_secret(dialogue, line + at);
        (void)snprintf(show, sizeof(show), "%s", open != NULL ? open : "");
        /* A name that does not fit the log's line is sent in full all the same, as a part of what
         * is masked. */
        result = wire_secret_command(wire, show, line + strlen(show), &fault);
        free(open);
    }
    return result < 0 ? fail(dialogue, &fault) : read_answer(dialogue);
}

/* Why a command is not passed on; NULL: it is. */
static const char *objection(const struct dialogue *dialogue, const char *line, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7F)
            return "not sent: a control character is in the line";
    }
    if (len > COMMAND_MAX)
        return "not sent: no command may be that long";
    if (is_verb(dialogue, "STLS") || is_verb(dialogue, "STARTTLS"))
        return "not sent: TLS begins before the dialogue; set `tls` in the fetchrc (\"implicit\", "
               "\"starttls\" or \"none\")";
    if (is_verb(dialogue, "BDAT"))
        return "not sent: BDAT counts octets, which cannot be typed; use DATA";
    return NULL;
}

static bool is_alone(const char *line)
{
    line += strcspn(line, " \t");
    return line[strspn(line, " \t")] == '\0';
}

/* From a pipe the octets behind BDAT are there, whatever becomes of it. */
static void skip_chunk(struct dialogue *dialogue, const char *line)
{
    const char *size = line + strcspn(line, " \t");

    size += strspn(size, " \t");
    if (!dialogue->piped || *size < '0' || *size > '9')
        return;
    dialogue->skip = strtoull(size, NULL, 10);
    note(dialogue, "the octets that follow BDAT are not sent either");
}

static int on_command(struct dialogue *dialogue, const char *line, size_t len)
{
    size_t blank = strspn(line, " \t");
    const char *no;

    line += blank;
    len -= blank;
    if (len == 0)
        return 0;
    dialogue->verb = talk_verb(line);
    dialogue->alone = is_alone(line);
    if (dialogue->piped && dialogue->no_auth && !talk_verb_known(dialogue->verb)) {
        echo(dialogue, "", 0, true);
        note(dialogue, "not sent: no known command, perhaps a secret for the refused AUTH");
        return 0;
    }
    no = objection(dialogue, line, len);
    if (no == NULL)
        return send_command(dialogue, line);
    echo(dialogue, line, dialogue->verb->secret ? strlen(dialogue->verb->name) : len, dialogue->verb->secret);
    note(dialogue, no);
    if (is_verb(dialogue, "BDAT"))
        skip_chunk(dialogue, line);
    return 0;
}

/* What the server asked for within AUTH; an empty line is an answer, too. */
static int on_secret(struct dialogue *dialogue, const char *line, size_t len)
{
    struct fault fault;

    if (strlen(line) != len || strchr(line, '\r') != NULL) {
        note(dialogue, "not sent: a control character is in the line");
        return 0;
    }
    echo(dialogue, "", 0, true);
    keep_secret(dialogue, line);
    if (wire_secret_command(dialogue->talk->wire, "", line, &fault) < 0)
        return fail(dialogue, &fault);
    return read_answer(dialogue);
}

/* ---- the text of a message ---- */

static int read_final_answers(struct dialogue *dialogue)
{
    unsigned replies =
        dialogue->talk->service == WIRE_LMTP && dialogue->recipients > 0 ? dialogue->recipients : 1;
    int code;

    wire_waiting_for(dialogue->talk->wire, "final dot", 0);
    dialogue->state = AT_COMMAND;
    dialogue->recipients = 0;
    for (; replies > 0; replies--) {
        if (read_smtp_reply(dialogue, &code, dialogue->talk->final_timeout) < 0)
            return -1;
    }
    return 0;
}

/* Taken literally: a dot goes before a leading dot, and the server takes it off again (RFC 5321
 * section 4.5.2). A CR alone must not pass for a line end anywhere. */
static int on_text(struct dialogue *dialogue, char *line, size_t len)
{
    struct wire *wire = dialogue->talk->wire;
    bool last = len == 1 && line[0] == '.';
    struct fault fault;
    char *cr;

    echo(dialogue, line, len, false);
    while ((cr = memchr(line, '\r', len)) != NULL)
        *cr = ' ';
    if ((len > 0 && line[0] == '.' && !last && wire_write(wire, ".", 1, &fault) < 0) ||
        wire_write(wire, line, len, &fault) < 0 || wire_write(wire, "\r\n", 2, &fault) < 0)
        return fail(dialogue, &fault);
    return last ? read_final_answers(dialogue) : 0;
}

/* ---- the loop ---- */

static int on_end(struct dialogue *dialogue)
{
    if (dialogue->state == AT_TEXT) {
        note(dialogue, "the input ended within the text of a message: it is dropped (a line with a dot alone "
                       "ends the text)");
        return end(dialogue, EX_USAGE);
    }
    if (dialogue->state == AT_SECRET)
        return on_secret(dialogue, "*", 1); /* takes the login back, RFC 4954 section 4 */
    if (dialogue->typed.terminal)
        (void)putchar('\n');
    return on_command(dialogue, "QUIT", strlen("QUIT"));
}

static int on_line(struct dialogue *dialogue, char *line, size_t len)
{
    size_t taken = typed_taken(&dialogue->typed);
    size_t skip;

    if (dialogue->skip >= taken && dialogue->skip > 0) {
        dialogue->skip -= taken;
        return 0;
    }
    skip = dialogue->skip < len ? (size_t)dialogue->skip : len;
    dialogue->skip = 0;
    if (dialogue->state == AT_NO_TEXT) {
        if (len == 1 && line[0] == '.')
            dialogue->state = AT_COMMAND;
        return 0;
    }
    if (dialogue->state == AT_TEXT)
        return on_text(dialogue, line, len);
    return dialogue->state == AT_SECRET ? on_secret(dialogue, line, len)
                                        : on_command(dialogue, line + skip, len - skip);
}

static int step(struct dialogue *dialogue)
{
    static const enum typed_kind kinds[] = {
        [AT_COMMAND] = TYPED_COMMAND, [AT_SECRET] = TYPED_SECRET, [AT_TEXT] = TYPED_TEXT, [AT_NO_TEXT] = TYPED_TEXT};
    char *line;
    size_t len;

    switch (typed_next(&dialogue->typed, kinds[dialogue->state], &line, &len)) {
    case TYPED_LINE:
        break;
    case TYPED_END:
        return on_end(dialogue);
    case TYPED_OVER:
        return -1;
    case TYPED_STOP:
        if (dialogue->typed.terminal)
            (void)putchar('\n');
        note(dialogue, "interrupted; no QUIT was sent, so the server takes deletion marks back");
        return end(dialogue, EX_TEMPFAIL);
    case TYPED_TOO_LONG:
        note(dialogue, "a line is longer than 1 MiB; the session ends without QUIT");
        return end(dialogue, EX_USAGE);
    }
    return on_line(dialogue, line, len);
}

int talk_dialogue(const struct talk *talk)
{
    struct dialogue dialogue = {.talk = talk, .verb = talk_verb(""), .piped = isatty(STDIN_FILENO) != 1, .status = EX_OK};

    dialogue.typed = (struct typed){
        .title = talk->title, .socket = wire_socket(talk->wire), .server = on_server, .context = &dialogue};
    buf_init(&dialogue.secret, COMMAND_MAX);
    if (typed_init(&dialogue.typed) < 0) {
        note(&dialogue, "out of memory");
        (void)end(&dialogue, EX_SOFTWARE);
    }
    while (dialogue.state != AT_END)
        (void)step(&dialogue);
    (void)fflush(stdout);
    typed_free(&dialogue.typed);
    buf_free(&dialogue.secret);
    return dialogue.status;
}
