#include <string.h>
#include <strings.h>

#include "commands/talk_private.h"

static const struct talk_verb verbs[] = {
    {"USER", ONE_LINE, false},         {"PASS", ONE_LINE, true},          {"APOP", ONE_LINE, true},
    {"AUTH", MULTI_LINE_ALONE, true},  {"CAPA", MULTI_LINE, false},       {"STAT", ONE_LINE, false},
    {"LIST", MULTI_LINE_ALONE, false}, {"UIDL", MULTI_LINE_ALONE, false}, {"RETR", MULTI_LINE, false},
    {"TOP", MULTI_LINE, false},        {"LANG", MULTI_LINE_ALONE, false}, {"DELE", ONE_LINE, false},
    {"RSET", ONE_LINE, false},         {"NOOP", ONE_LINE, false},         {"LAST", ONE_LINE, false},
    {"QUIT", ONE_LINE, false},         {"STLS", ONE_LINE, false},         {"STARTTLS", ONE_LINE, false},
    {"HELO", ONE_LINE, false},         {"EHLO", ONE_LINE, false},         {"LHLO", ONE_LINE, false},
    {"MAIL", ONE_LINE, false},         {"RCPT", ONE_LINE, false},         {"DATA", ONE_LINE, false},
    {"BDAT", ONE_LINE, false},         {"SEND", ONE_LINE, false},         {"SOML", ONE_LINE, false},
    {"SAML", ONE_LINE, false},         {"VRFY", ONE_LINE, false},         {"EXPN", ONE_LINE, false},
    {"HELP", ONE_LINE, false},         {"TURN", ONE_LINE, false},         {"ETRN", ONE_LINE, false},
};
static const struct talk_verb unknown_verb = {"command", ONE_LINE, false};

const struct talk_verb *talk_verb(const char *line)
{
    size_t len = strcspn(line, " \t");
    size_t i;

    for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strlen(verbs[i].name) == len && strncasecmp(verbs[i].name, line, len) == 0)
            return &verbs[i];
    }
    return &unknown_verb;
}

bool talk_verb_known(const struct talk_verb *verb)
{
    return verb != &unknown_verb;
}

size_t talk_secret_at(const struct talk_verb *verb, const char *line)
{
    size_t at = strcspn(line, " \t");

    at += strspn(line + at, " \t");
    if (verb->secret && strcmp(verb->name, "PASS") != 0) {
        at += strcspn(line + at, " \t");
        at += strspn(line + at, " \t");
    }
    return verb->secret ? at : strlen(line);
}
