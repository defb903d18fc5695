#include "protocol/smtp_private.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

#define COMMAND_MAX 1024   /* octets of a single command */
#define QUIT_SECONDS_MAX 5 /* nothing hangs on QUIT's reply */

int smtp_lost(struct smtp *smtp, const char *stage, struct fault *fault)
{
    smtp->lost = true;
    fault->stage = stage;
    return -1;
}

int smtp_lost_by(struct smtp *smtp, enum fault_class class, const char *stage, const char *what,
                 const struct smtp_reply *reply, struct fault *fault)
{
    smtp->lost = true;
    return fault_set(fault, smtp->scope, class, stage, "%s %s %s: %s", smtp->peer, what, stage, reply->text);
}

int smtp_broke_protocol(struct smtp *smtp, const char *stage, const struct smtp_reply *reply,
                        struct fault *fault)
{
    return smtp_lost_by(smtp, FAULT_PROTOCOL, stage, "broke the protocol with its reply at", reply, fault);
}

int smtp_misused(struct smtp *smtp, const char *stage, const char *what, struct fault *fault)
{
    smtp->lost = true;
    return fault_set(fault, smtp->scope, FAULT_INTERNAL, stage, "SMTP session with %s: %s", smtp->peer, what);
}

/* Seconds that are left until `deadline`, at least one while it has not passed. */
static unsigned seconds_left(int64_t deadline)
{
    int64_t left = deadline - clock_ms();

    return left <= 0 ? 0 : (unsigned)((left + 999) / 1000);
}

static int nonsense(struct smtp *smtp, const char *stage, const char *line, size_t len, struct fault *fault)
{
    char quoted[200];

    smtp->lost = true;
    return fault_set(fault, smtp->scope, FAULT_PROTOCOL, stage,
                     "%s sent something that is no SMTP reply at %s: %s", smtp->peer, stage,
                     fault_quote(quoted, sizeof(quoted), line, len));
}

/* The next line of a reply. lines, octets: what it has brought so far. */
static int read_line(struct smtp *smtp, char **line, size_t *len, unsigned lines, size_t *octets,
                     const char *stage, unsigned timeout, struct fault *fault)
{
    bool cut;

    if (wire_line(smtp->wire, line, len, &cut, timeout, fault) < 0)
        return smtp_lost(smtp, stage, fault);
    *octets += *len;
    if (!cut && lines < SMTP_REPLY_LINES_MAX && *octets <= SMTP_REPLY_OCTETS_MAX)
        return 0;
    smtp->lost = true;
    return fault_set(fault, smtp->scope, FAULT_PROTOCOL, stage, "%s sent an over-long reply at %s",
                     smtp->peer, stage);
}

int smtp_read_reply(struct smtp *smtp, struct smtp_reply *reply, struct smtp_extensions *extensions,
                    const char *stage, unsigned timeout, struct fault *fault)
{
    int64_t deadline = clock_ms() + (int64_t)(timeout > 0 ? timeout : smtp->timeout) * 1000;
    size_t octets = 0;
    unsigned lines;
    bool last = false;

    smtp_reply_clear(reply);
    wire_waiting_for(smtp->wire, stage, 0);
    for (lines = 0; !last; lines++) {
        char *line;
        size_t len;

        /* The reply must be whole in time, not just each of its lines. */
        if (lines > 0 && (timeout = seconds_left(deadline)) == 0) {
            smtp->lost = true;
            return fault_set(fault, smtp->scope, FAULT_RETRY, stage, "%s did not end its reply at %s in time",
                             smtp->peer, stage);
        }
        if (read_line(smtp, &line, &len, lines, &octets, stage, timeout, fault) < 0)
            return -1;
        if (!smtp_reply_add(reply, line, len, &last))
            return nonsense(smtp, stage, line, len, fault);
        if (extensions != NULL && lines > 0 && len > 4)
            smtp_parse_extension(line + 4, len - 4, extensions);
    }
    /* RFC 5321 section 3.8: it may come at any time, and the server closes behind it. */
    if (reply->code == 421)
        return smtp_lost_by(smtp, FAULT_RETRY, stage, "closed the session at", reply, fault);
    return 0;
}

int smtp_quiet(struct smtp *smtp, const char *stage, struct fault *fault)
{
    int early = wire_early_octets(smtp->wire, fault);

    if (early == 0)
        return 0;
    if (early < 0)
        return smtp_lost(smtp, stage, fault);
    if (smtp_read_reply(smtp, &smtp->scratch, NULL, stage, 0, fault) < 0)
        return -1;
    return smtp_lost_by(smtp, FAULT_PROTOCOL, stage, "sent a reply that nothing had asked for before",
                        &smtp->scratch, fault);
}

/* The class of a reply that ended the session before it began. */
static int refuse_session(struct smtp *smtp, const char *stage, const struct smtp_reply *reply,
                          struct fault *fault)
{
    int kind = reply->code / 100;
    enum fault_class class = kind == 4 ? FAULT_RETRY : kind == 5 ? FAULT_REFUSED : FAULT_PROTOCOL;

    return smtp_lost_by(smtp, class, stage, "refused the session at", reply, fault);
}

/* EHLO or LHLO, and what it offers; HELO where EHLO is refused. */
static int hello(struct smtp *smtp, const char *name, struct fault *fault)
{
    const char *verb = smtp->lmtp ? "LHLO" : "EHLO";

    smtp->extensions = (struct smtp_extensions){.esmtp = false};
    if (wire_command(smtp->wire, fault, "%s %s", verb, name) < 0)
        return smtp_lost(smtp, verb, fault);
    if (smtp_read_reply(smtp, &smtp->scratch, &smtp->extensions, verb, 0, fault) < 0)
        return -1;
    smtp->extensions.esmtp = true;
    if (smtp->scratch.code / 100 == 5 && !smtp->lmtp) {
        if (wire_command(smtp->wire, fault, "HELO %s", name) < 0)
            return smtp_lost(smtp, "HELO", fault);
        if (smtp_read_reply(smtp, &smtp->scratch, NULL, "HELO", 0, fault) < 0)
            return -1;
        smtp->extensions = (struct smtp_extensions){.esmtp = false};
        verb = "HELO";
    }
    return smtp->scratch.code / 100 == 2 ? 0 : refuse_session(smtp, verb, &smtp->scratch, fault);
}

static int greet_lmtp(struct smtp *smtp, struct fault *fault)
{
    if (smtp_read_reply(smtp, &smtp->scratch, NULL, "greeting", 0, fault) < 0)
        return -1;
    if (smtp->scratch.code != 220)
        return refuse_session(smtp, "greeting", &smtp->scratch, fault);
    return hello(smtp, smtp->helo, fault);
}

/* Learn from what libcurl has read: the extensions of the last EHLO (the one behind STARTTLS counts), none if
 * only HELO was accepted. Returns whether a 235 was among it. */
static bool learn(struct smtp *smtp, const char *lines)
{
    bool logged_in = false;
    bool refused = false;
    bool last = true;

    while (*lines != '\0') {
        size_t whole = strcspn(lines, "\n");
        size_t len = whole > 0 && lines[whole - 1] == '\r' ? whole - 1 : whole;
        bool first = last;
        const char *text;
        size_t text_len;
        int code;

        if (smtp_parse_line(lines, len, &code, &last, &text, &text_len)) {
            if (code == 250 && first)
                smtp->extensions = (struct smtp_extensions){.esmtp = !refused};
            else if (code == 250 && smtp->extensions.esmtp)
                smtp_parse_extension(text, text_len, &smtp->extensions);
            refused = refused || code >= 500;
            logged_in = logged_in || code == 235;
        }
        lines += whole + (lines[whole] == '\n');
    }
    return logged_in;
}

/* What libcurl is to log in with. */
static const char *login_options(enum auth_mechanism auth)
{
    switch (auth) {
    case AUTH_PLAIN:
        return "AUTH=PLAIN";
    case AUTH_LOGIN:
        return "AUTH=LOGIN";
    case AUTH_CRAM_MD5:
        return "AUTH=CRAM-MD5";
    case AUTH_OAUTHBEARER:
        return "AUTH=OAUTHBEARER";
    case AUTH_XOAUTH2:
        return "AUTH=XOAUTH2";
    case AUTH_EXTERNAL:
        return "AUTH=EXTERNAL";
    default:
        return "AUTH=PLAIN;AUTH=LOGIN";
    }
}

static void set_login(struct wire_params *wire, const struct smtp_params *params)
{
    bool bearer = params->auth == AUTH_OAUTHBEARER || params->auth == AUTH_XOAUTH2;
    bool login = params->username != NULL && params->wire.service == WIRE_SMTP;

    wire->username = login ? params->username : NULL;
    wire->login_options = login ? login_options(params->auth) : NULL;
    wire->password = login && !bearer ? params->password : NULL;
    wire->bearer = login && bearer ? params->password : NULL;
}

static int connect_to(struct smtp *smtp, const struct smtp_params *params, struct fault *fault)
{
    struct wire_params wire = params->wire;

    set_login(&wire, params);
    if (wire_open(&smtp->wire, &wire, fault) < 0)
        return -1;
    if (smtp->lmtp)
        return greet_lmtp(smtp, fault);
    if (!learn(smtp, wire_early_lines(smtp->wire)) && params->username != NULL)
        return fault_set(fault, smtp->scope, FAULT_LOGIN, "AUTH",
                         "%s offers no AUTH that popferry could use, but a username is set", smtp->peer);
    return 0;
}

int smtp_open(struct smtp **smtp, const struct smtp_params *params, struct fault *fault)
{
    struct smtp *made = calloc(1, sizeof(*made));

    *smtp = NULL;
    if (made == NULL)
        return fault_set(fault, params->wire.scope, FAULT_INTERNAL, "connect", "out of memory");
    made->scope = params->wire.scope;
    made->timeout = params->wire.timeout;
    made->final_timeout = params->final_timeout;
    made->lmtp = params->wire.service == WIRE_LMTP;
    made->chunking = params->chunking;
    made->no_notify = params->no_notify;
    (void)snprintf(made->peer, sizeof(made->peer), "%s",
                   params->wire.socket != NULL ? params->wire.socket : params->wire.host);
    (void)snprintf(made->helo, sizeof(made->helo), "%s",
                   params->wire.helo != NULL ? params->wire.helo : "localhost");
    if (connect_to(made, params, fault) < 0) {
        smtp_close(made);
        return -1;
    }
    *smtp = made;
    return 0;
}

void smtp_close(struct smtp *smtp)
{
    if (smtp == NULL)
        return;
    if (smtp->wire != NULL)
        wire_close(smtp->wire);
    free(smtp->buffer);
    free(smtp);
}

const struct smtp_extensions *smtp_extensions(const struct smtp *smtp)
{
    return &smtp->extensions;
}

struct wire *smtp_wire(struct smtp *smtp)
{
    return smtp->wire;
}

/* Whether a command of its own may be sent: no reply is owed, and no body. */
static bool is_idle(const struct smtp *smtp)
{
    return !smtp->lost && smtp->final == NULL && smtp->body == NULL && smtp->begun == NULL;
}

/* stage: static text, the verb if it is one that is known. */
static const char *stage_of(const char *command)
{
    static const char *const verbs[] = {"NOOP", "RSET", "VRFY", "EXPN", "HELP", "MAIL", "RCPT"};
    size_t i;

    for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strncasecmp(command, verbs[i], 4) == 0)
            return verbs[i];
    return "command";
}

int smtp_command(struct smtp *smtp, struct smtp_reply *reply, struct fault *fault, const char *fmt, ...)
{
    char command[COMMAND_MAX];
    const char *stage;
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(command, sizeof(command), fmt, args);
    va_end(args);
    stage = stage_of(command);
    if (!is_idle(smtp))
        return smtp_misused(smtp, stage, "a command out of order", fault);
    if (len < 0 || (size_t)len >= sizeof(command) || strpbrk(command, "\r\n") != NULL)
        return smtp_misused(smtp, stage, "a command that is no single line", fault);
    if (smtp_quiet(smtp, stage, fault) < 0)
        return -1;
    if (wire_command(smtp->wire, fault, "%s", command) < 0)
        return smtp_lost(smtp, stage, fault);
    if (smtp_read_reply(smtp, reply, NULL, stage, 0, fault) < 0)
        return -1;
    if (reply->code / 100 == 2 && strcmp(stage, "RSET") == 0)
        smtp->unfinished = false;
    if (reply->code / 100 == 2 && strcmp(stage, "MAIL") == 0)
        smtp->unfinished = true;
    return 0;
}

static int hex_value(char c)
{
    const char *digits = "0123456789ABCDEF";
    const char *found = strchr(digits, toupper((unsigned char)c));

    return c != '\0' && found != NULL ? (int)(found - digits) : -1;
}

/* The HELO attribute's value, its xtext (RFC 3461 section 4) undone: the server replaces what XCLIENT said by
 * the EHLO that follows, so that one must say the same. dst is left alone when there is none that could be an
 * EHLO argument. */
static void client_helo(const char *attributes, char *dst, size_t size)
{
    const char *at = strcasestr(attributes, "HELO=");
    char name[256];
    size_t len = 0;

    if (at == NULL || (at > attributes && at[-1] != ' '))
        return;
    for (at += 5; *at != '\0' && *at != ' ' && len < sizeof(name) - 1; at++) {
        int high = *at == '+' ? hex_value(at[1]) : -1;
        int low = high >= 0 ? hex_value(at[2]) : -1;

        name[len] = low >= 0 ? (char)(high * 16 + low) : *at;
        if (low >= 0)
            at += 2;
        if (name[len] <= ' ' || name[len] > '~')
            return;
        len++;
    }
    name[len] = '\0';
    if (len > 0 && len < size && strcasecmp(name, "[UNAVAILABLE]") != 0 &&
        strcasecmp(name, "[TEMPUNAVAIL]") != 0)
        memcpy(dst, name, len + 1);
}

int smtp_xclient(struct smtp *smtp, const char *attributes, struct smtp_reply *reply, struct fault *fault)
{
    char name[sizeof(smtp->helo)];
    int result;

    if (!is_idle(smtp) || strpbrk(attributes, "\r\n") != NULL)
        return smtp_misused(smtp, "XCLIENT", "a command out of order", fault);
    if (smtp_quiet(smtp, "XCLIENT", fault) < 0)
        return -1;
    if (wire_command(smtp->wire, fault, "XCLIENT %s", attributes) < 0)
        return smtp_lost(smtp, "XCLIENT", fault);
    if (smtp_read_reply(smtp, reply, NULL, "XCLIENT", 0, fault) < 0)
        return -1;
    if (reply->code / 100 != 2)
        return 0;
    /* The 220 is the new greeting: the session starts again with EHLO. */
    smtp->unfinished = false;
    memcpy(name, smtp->helo, sizeof(name));
    client_helo(attributes, name, sizeof(name));
    result = hello(smtp, name, fault);
    if (result < 0 && smtp->scratch.code >= 400)
        *reply = smtp->scratch;
    return result;
}

void smtp_quit(struct smtp *smtp)
{
    struct fault ignored;
    unsigned timeout = smtp->timeout < QUIT_SECONDS_MAX ? smtp->timeout : QUIT_SECONDS_MAX;

    /* Within a body QUIT would be text, and behind a begun transaction it would have to wait its turn. */
    if (is_idle(smtp) && wire_command(smtp->wire, &ignored, "QUIT") == 0)
        (void)smtp_read_reply(smtp, &smtp->scratch, NULL, "QUIT", timeout, &ignored);
    smtp->lost = true;
}
