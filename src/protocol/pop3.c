#include "protocol/pop3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mail/lines.h"
#include "protocol/pop3_private.h"

#define DROP_MAX (256 * 1024 * 1024) /* octets of an answer that nobody wants */

static const char *const verb_names[] = {
    [POP3_RETR] = "RETR", [POP3_TOP] = "TOP",   [POP3_DELE] = "DELE",
    [POP3_NOOP] = "NOOP", [POP3_RSET] = "RSET", [POP3_QUIT] = "QUIT",
};

/* ---- opening ---- */

/* The next line of the NUL-terminated text at *at, without its line end. Returns false at the end. */
static bool next_text_line(const char **at, const char **line, size_t *len)
{
    const char *end = strchr(*at, '\n');

    if (end == NULL)
        return false;
    *line = *at;
    *len = (size_t)(end - *at);
    if (*len > 0 && (*line)[*len - 1] == '\r')
        (*len)--;
    *at = end + 1;
    return true;
}

/* The greeting, and the capabilities that libcurl asked for behind it. */
static void read_early_lines(struct pop3 *pop3, const char **greeting, size_t *greeting_len)
{
    const char *at = wire_early_lines(pop3->wire);
    const char *line;
    size_t len;

    *greeting = "";
    *greeting_len = 0;
    if (!next_text_line(&at, greeting, greeting_len))
        return;
    if (!next_text_line(&at, &line, &len) || len < 3 || memcmp(line, "+OK", 3) != 0)
        return;
    while (next_text_line(&at, &line, &len)) {
        if (len == 1 && line[0] == '.') {
            pop3->capabilities.known = true;
            return;
        }
        pop3_parse_capability(line, len, &pop3->capabilities);
    }
}

/* What a failed wire_open() says about the login, which was libcurl's. */
static void note_refusal(const struct pop3_params *params, const char *refusal, const struct fault *fault)
{
    const char *text;

    if (params->login == NULL || refusal[0] == '\0')
        return;
    (void)snprintf(params->login->text, sizeof(params->login->text), "%s", refusal);
    /* A challenge: XOAUTH2's way to refuse a token. */
    if (pop3_parse_status(refusal, strlen(refusal), &text, &params->login->code) == POP3_ERR ||
        strncmp(refusal, "+ ", 2) == 0)
        params->login->refused = strcmp(fault->stage, "login") == 0;
}

/* libcurl goes on without a login where it finds no way to log in. */
static int check_libcurl_login(const struct pop3 *pop3, struct fault *fault)
{
    if (strncmp(wire_last_early_line(pop3->wire), "+OK", 3) == 0)
        return 0;
    return fault_set(fault, pop3->scope, FAULT_LOGIN, "login",
                     "%s does not offer the login mechanism asked for", pop3->host);
}

static int open_wire(struct pop3 *pop3, const struct pop3_params *params, struct fault *fault)
{
    struct wire_params wire = params->wire;
    char refusal[WIRE_REFUSAL_MAX];

    wire.login_options = params->no_login ? NULL : pop3_login_options(params);
    wire.username = wire.login_options != NULL ? params->username : NULL;
    wire.password = wire.login_options != NULL ? params->password : NULL;
    wire.bearer = wire.login_options != NULL ? params->bearer : NULL;
    wire.refusal = refusal;
    if (wire_open(&pop3->wire, &wire, fault) < 0) {
        note_refusal(params, refusal, fault);
        return -1;
    }
    return wire.login_options != NULL ? check_libcurl_login(pop3, fault) : 0;
}

static int open_session(struct pop3 *pop3, const struct pop3_params *params, struct fault *fault)
{
    const char *greeting;
    size_t greeting_len;

    if (open_wire(pop3, params, fault) < 0)
        return -1;
    read_early_lines(pop3, &greeting, &greeting_len);
    if (params->login != NULL)
        params->login->login_delay = pop3->capabilities.login_delay;
    if (params->no_login || pop3_login_options(params) != NULL)
        return 0;
    return pop3_login(pop3, params, greeting, greeting_len, fault);
}

int pop3_open(struct pop3 **out, const struct pop3_params *params, struct fault *fault)
{
    struct pop3 *pop3 = calloc(1, sizeof(*pop3));

    *out = NULL;
    if (params->login != NULL)
        *params->login = (struct pop3_login){0};
    if (pop3 == NULL || (pop3->host = strdup(params->wire.host)) == NULL) {
        free(pop3);
        return fault_set(fault, params->wire.scope, FAULT_INTERNAL, "connect", "memory is short");
    }
    pop3->scope = params->wire.scope;
    pop3->wish = params->pipelining;
    if (open_session(pop3, params, fault) < 0) {
        pop3_close(pop3);
        return -1;
    }
    *out = pop3;
    return 0;
}

void pop3_close(struct pop3 *pop3)
{
    if (pop3 == NULL)
        return;
    wire_close(pop3->wire);
    free(pop3->ring);
    free(pop3->host);
    free(pop3);
}

const struct pop3_capabilities *pop3_capabilities(const struct pop3 *pop3)
{
    return &pop3->capabilities;
}

bool pop3_pipelining(const struct pop3 *pop3)
{
    if (pop3->wish != POP3_PIPELINING_AUTO)
        return pop3->wish == POP3_PIPELINING_ON;
    return pop3->capabilities.pipelining;
}

struct wire *pop3_wire(struct pop3 *pop3)
{
    return pop3->wire;
}

/* ---- status lines ---- */

int pop3_quiet(struct pop3 *pop3, struct fault *fault)
{
    int early = wire_early_octets(pop3->wire, fault);
    const char *data;
    size_t len;
    char start[1024]; /* more than is quoted: a secret at the end of the quotation is seen whole */
    char quoted[256];

    if (early <= 0)
        return early;
    if (wire_peek(pop3->wire, &data, &len, fault) < 0)
        return -1;
    len = len < sizeof(start) ? len : sizeof(start);
    memcpy(start, data, len);
    len = wire_mask(pop3->wire, start, len);
    (void)fault_quote(quoted, sizeof(quoted), start, len < 200 ? len : 200);
    /* The farewell of a server that was tired of waiting. */
    if (len >= 4 && memcmp(start, "-ERR", 4) == 0)
        return fault_set(fault, pop3->scope, FAULT_RETRY, "session", "%s ended the session: %s", pop3->host,
                         quoted);
    return fault_set(fault, pop3->scope, FAULT_PROTOCOL, "session", "%s spoke before it was asked: %s",
                     pop3->host, quoted);
}

int pop3_read_status(struct pop3 *pop3, const char *stage, unsigned number, bool continuation,
                     struct pop3_status_line *status, struct fault *fault)
{
    char quoted[256];
    char *line;

    wire_waiting_for(pop3->wire, stage, number);
    if (wire_line(pop3->wire, &line, &status->len, NULL, 0, fault) < 0)
        return -1;
    status->line = line;
    status->status = pop3_parse_status(line, status->len, &status->text, &status->code);
    status->text_len = status->len - (size_t)(status->text - line);
    if (status->status != POP3_GARBAGE)
        return 0;
    if (continuation && status->len > 0 && line[0] == '+' && (status->len == 1 || line[1] == ' '))
        return 0;
    return fault_set(fault, pop3->scope, FAULT_PROTOCOL, stage,
                     "%s answered %s with neither +OK nor -ERR: %s", pop3->host, stage,
                     fault_quote(quoted, sizeof(quoted), line, status->len));
}

int pop3_refused(const struct pop3 *pop3, const char *stage, const char *what, bool login,
                 const struct pop3_status_line *status, struct fault *fault)
{
    char quoted[WIRE_REFUSAL_MAX];

    return fault_set(fault, pop3->scope, pop3_refusal_class(status->line, status->len, login), stage,
                     "%s refused %s: %s", pop3->host, what,
                     fault_quote(quoted, sizeof(quoted), status->line, status->len));
}

/* ---- the window ---- */

static struct pop3_asked *asked_at(struct pop3 *pop3, size_t i)
{
    return &pop3->ring[(pop3->first + i) % pop3->ring_size];
}

static int grow_ring(struct pop3 *pop3, struct fault *fault)
{
    size_t size = pop3->ring_size == 0 ? 64 : pop3->ring_size * 2;
    struct pop3_asked *ring = malloc(size * sizeof(*ring));
    size_t i;

    if (ring == NULL)
        return fault_set(fault, pop3->scope, FAULT_INTERNAL, "session", "memory is short");
    for (i = 0; i < pop3->owed; i++)
        ring[i] = *asked_at(pop3, i);
    free(pop3->ring);
    pop3->ring = ring;
    pop3->ring_size = size;
    pop3->first = 0;
    return 0;
}

static int write_command(struct pop3 *pop3, const struct pop3_asked *asked, struct fault *fault)
{
    const char *name = verb_names[asked->verb];

    switch (asked->verb) {
    case POP3_RETR:
    case POP3_DELE:
        return wire_command(pop3->wire, fault, "%s %u", name, asked->number);
    case POP3_TOP:
        return wire_command(pop3->wire, fault, "%s %u %u", name, asked->number, asked->lines);
    case POP3_NOOP:
    case POP3_RSET:
    case POP3_QUIT:
        break;
    }
    return wire_command(pop3->wire, fault, "%s", name);
}

/* Write what may go out now: everything where the server pipelines, else one command once all is answered. */
static int write_waiting(struct pop3 *pop3, struct fault *fault)
{
    bool together = pop3_pipelining(pop3);

    if (!together && (pop3->in_body || pop3->sent > 0))
        return 0;
    while (pop3->sent < pop3->owed && (together || pop3->sent == 0)) {
        if (pop3->sent == 0 && !pop3->in_body && pop3_quiet(pop3, fault) < 0)
            return -1;
        if (write_command(pop3, asked_at(pop3, pop3->sent), fault) < 0)
            return -1;
        pop3->sent++;
    }
    return 0;
}

int pop3_ask(struct pop3 *pop3, enum pop3_verb verb, unsigned number, unsigned lines, struct fault *fault)
{
    if (pop3->owed == pop3->ring_size && grow_ring(pop3, fault) < 0)
        return -1;
    *asked_at(pop3, pop3->owed) = (struct pop3_asked){.verb = verb, .number = number, .lines = lines};
    pop3->owed++;
    return 0;
}

int pop3_send(struct pop3 *pop3, struct fault *fault)
{
    if (write_waiting(pop3, fault) < 0)
        return -1;
    return wire_flush(pop3->wire, fault);
}

size_t pop3_owed(const struct pop3 *pop3)
{
    return pop3->owed;
}

int pop3_reply(struct pop3 *pop3, struct pop3_reply *reply, struct fault *fault)
{
    struct pop3_status_line status;
    struct pop3_asked asked;

    if (pop3->owed == 0 || pop3->in_body)
        return fault_set(fault, pop3->scope, FAULT_INTERNAL, "session",
                         "a reply is read that was not asked for");
    if (write_waiting(pop3, fault) < 0)
        return -1;
    asked = *asked_at(pop3, 0);
    if (pop3_read_status(pop3, verb_names[asked.verb], asked.number, false, &status, fault) < 0)
        return -1;
    pop3->first = (pop3->first + 1) % pop3->ring_size;
    pop3->owed--;
    pop3->sent--;
    reply->verb = asked.verb;
    reply->number = asked.number;
    reply->ok = status.status == POP3_OK;
    reply->code = status.code;
    (void)fault_quote(reply->text, sizeof(reply->text), status.line, status.len);
    pop3->in_body = reply->ok && (asked.verb == POP3_RETR || asked.verb == POP3_TOP);
    return 0;
}

int pop3_noop(struct pop3 *pop3, struct fault *fault)
{
    struct pop3_status_line status;

    if (pop3->sent > 0 || pop3->in_body)
        return 0;
    if (pop3_quiet(pop3, fault) < 0 || wire_command(pop3->wire, fault, "NOOP") < 0)
        return -1;
    return pop3_read_status(pop3, "NOOP", 0, false, &status, fault);
}

/* ---- bodies ---- */

static int drop(void *context, const char *data, size_t len)
{
    (void)context, (void)data, (void)len;
    return 0;
}

static int drop_body(struct pop3 *pop3, struct fault *fault)
{
    struct lines lines;
    const char *data;
    size_t len;
    size_t used;
    int end = 0;

    lines_init(&lines);
    while (end == 0) {
        if (wire_peek(pop3->wire, &data, &len, fault) < 0)
            return -1;
        end = lines_feed(&lines, data, len, &used, drop, NULL);
        wire_take(pop3->wire, used);
        if (lines.in > DROP_MAX)
            return fault_set(fault, pop3->scope, FAULT_PROTOCOL, "session", "%s sent an answer without end",
                             pop3->host);
    }
    return 0;
}

int pop3_body(struct pop3 *pop3, struct message *message, struct fault *fault)
{
    const char *data;
    size_t len;
    size_t used;
    int end = 0;

    if (!pop3->in_body)
        return fault_set(fault, pop3->scope, FAULT_INTERNAL, "session",
                         "a body is read that was not asked for");
    wire_mark(pop3->wire);
    if (message == NULL)
        end = drop_body(pop3, fault) < 0 ? -1 : 1;
    while (end == 0) {
        if (wire_peek(pop3->wire, &data, &len, fault) < 0)
            return -1;
        end = message_feed(message, data, len, &used, fault);
        if (end >= 0)
            wire_take(pop3->wire, used);
    }
    pop3->in_body = false;
    return end < 0 ? -1 : 0;
}
