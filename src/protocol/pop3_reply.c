#include "protocol/pop3_reply.h"

#include <string.h>
#include <strings.h>

#define UID_MAX 1000 /* RFC 1939 allows 70; servers with longer ones exist */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static size_t skip_blanks(const char *line, size_t len, size_t at)
{
    while (at < len && is_blank(line[at]))
        at++;
    return at;
}

/* ---- status lines ---- */

static bool begins(const char *line, size_t len, const char *word)
{
    size_t n = strlen(word);

    /* "+OKAY" is no "+OK". */
    return len >= n && memcmp(line, word, n) == 0 && (len == n || is_blank(line[n]));
}

static enum pop3_code parse_code(const char *text, size_t len)
{
    static const struct {
        const char *name;
        enum pop3_code code;
    } codes[] = {
        {"AUTH", POP3_CODE_AUTH},
        {"IN-USE", POP3_CODE_IN_USE},
        {"LOGIN-DELAY", POP3_CODE_LOGIN_DELAY},
        {"SYS/TEMP", POP3_CODE_SYS_TEMP},
        {"SYS/PERM", POP3_CODE_SYS_PERM},
    };
    const char *end;
    size_t i;

    if (len < 2 || text[0] != '[' || (end = memchr(text, ']', len)) == NULL)
        return POP3_CODE_NONE;
    for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if ((size_t)(end - text - 1) == strlen(codes[i].name) &&
            strncasecmp(text + 1, codes[i].name, strlen(codes[i].name)) == 0)
            return codes[i].code;
    return POP3_CODE_OTHER;
}

enum pop3_status pop3_parse_status(const char *line, size_t len, const char **text, enum pop3_code *code)
{
    enum pop3_status status = POP3_GARBAGE;
    size_t at = 0;

    if (begins(line, len, "+OK")) {
        status = POP3_OK;
        at = skip_blanks(line, len, 3);
    } else if (begins(line, len, "-ERR")) {
        status = POP3_ERR;
        at = skip_blanks(line, len, 4);
    }
    *text = line + at;
    *code = status == POP3_GARBAGE ? POP3_CODE_NONE : parse_code(line + at, len - at);
    return status;
}

/* Whether the refusal itself says that it will pass. Only plain words count: a wrong password that is taken
 * for a passing fault is tried again in every run, and that gets accounts locked. */
static bool sounds_passing(const char *text, size_t len)
{
    static const char *const words[] = {
        "lock",        "in use",   "busy",     "try again", "try later",
        "retry later", "temporar", "too many", "already",   "unavailable",
    };
    static const char *const lasting[] = {"account is locked", "account locked", "locked out", "permanent"};
    size_t at, i;
    bool passing = false;

    for (at = 0; at < len; at++) {
        for (i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++)
            if (len - at >= strlen(lasting[i]) && strncasecmp(text + at, lasting[i], strlen(lasting[i])) == 0)
                return false;
        for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
            if (len - at >= strlen(words[i]) && strncasecmp(text + at, words[i], strlen(words[i])) == 0)
                passing = true;
    }
    return passing;
}

enum fault_class pop3_refusal_class(const char *line, size_t len, bool login)
{
    enum pop3_code code;
    const char *text;

    if (pop3_parse_status(line, len, &text, &code) != POP3_ERR)
        return FAULT_PROTOCOL;
    switch (code) {
    case POP3_CODE_AUTH:
        return FAULT_LOGIN;
    case POP3_CODE_SYS_PERM:
        return FAULT_PROTOCOL;
    case POP3_CODE_IN_USE:
    case POP3_CODE_LOGIN_DELAY:
    case POP3_CODE_SYS_TEMP:
        return FAULT_RETRY;
    case POP3_CODE_NONE:
    case POP3_CODE_OTHER:
        break;
    }
    return !login || sounds_passing(text, len - (size_t)(text - line)) ? FAULT_RETRY : FAULT_LOGIN;
}

/* ---- listings ---- */

/* Decimal digits at *at, moved on. false: none, or more than 64 bits. */
static bool parse_number(const char *line, size_t len, size_t *at, uint64_t *number)
{
    size_t start = *at;
    uint64_t value = 0;

    for (; *at < len && line[*at] >= '0' && line[*at] <= '9'; (*at)++) {
        unsigned digit = (unsigned)(line[*at] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return *at > start;
}

bool pop3_parse_pair(const char *line, size_t len, uint64_t *number, uint64_t *octets, bool *has_octets)
{
    size_t at = skip_blanks(line, len, 0);

    *octets = 0;
    *has_octets = false;
    if (!parse_number(line, len, &at, number) || (at < len && !is_blank(line[at])))
        return false;
    at = skip_blanks(line, len, at);
    if (at == len)
        return true;
    *has_octets = parse_number(line, len, &at, octets) && (at == len || is_blank(line[at]));
    if (!*has_octets)
        *octets = 0;
    return true;
}

bool pop3_parse_uid(const char *line, size_t len, uint64_t *number, const char **uid, size_t *uid_len)
{
    size_t at = skip_blanks(line, len, 0);
    size_t start;

    *uid = NULL;
    *uid_len = 0;
    if (!parse_number(line, len, &at, number) || at == len || !is_blank(line[at]))
        return false;
    start = skip_blanks(line, len, at);
    while (len > start && is_blank(line[len - 1]))
        len--;
    for (at = start; at < len; at++)
        if ((unsigned char)line[at] <= ' ' || line[at] == 0x7F)
            return false;
    if (at == start || at - start > UID_MAX)
        return false;
    *uid = line + start;
    *uid_len = at - start;
    return true;
}

/* ---- capabilities ---- */

/* The next word at *at, moved behind it. Returns its length, 0 at the end. */
static size_t next_word(const char *line, size_t len, size_t *at, const char **word)
{
    size_t start = skip_blanks(line, len, *at);

    for (*at = start; *at < len && !is_blank(line[*at]); (*at)++)
        ;
    *word = line + start;
    return *at - start;
}

static bool word_is(const char *word, size_t len, const char *name)
{
    return len == strlen(name) && strncasecmp(word, name, len) == 0;
}

static void parse_sasl(const char *line, size_t len, size_t at, struct pop3_capabilities *capabilities)
{
    const char *word;
    size_t n;

    while ((n = next_word(line, len, &at, &word)) > 0) {
        if (word_is(word, n, "PLAIN"))
            capabilities->sasl_plain = true;
        else if (word_is(word, n, "LOGIN"))
            capabilities->sasl_login = true;
        else if (word_is(word, n, "CRAM-MD5"))
            capabilities->sasl_cram_md5 = true;
        else if (word_is(word, n, "XOAUTH2"))
            capabilities->sasl_xoauth2 = true;
        else if (word_is(word, n, "OAUTHBEARER"))
            capabilities->sasl_oauthbearer = true;
        else if (word_is(word, n, "EXTERNAL"))
            capabilities->sasl_external = true;
    }
}

/* A count of seconds or days; absurd ones are cut. */
static bool parse_count(const char *word, size_t len, unsigned *count)
{
    uint64_t value;
    size_t at = 0;

    if (!parse_number(word, len, &at, &value) || at != len)
        return false;
    *count = value > INT32_MAX ? (unsigned)INT32_MAX : (unsigned)value;
    return true;
}

/* Capabilities with arguments: RFC 2449 section 6. */
static void parse_arguments(const char *name, size_t name_len, const char *line, size_t len, size_t at,
                            struct pop3_capabilities *capabilities)
{
    const char *word;
    size_t start = skip_blanks(line, len, at);
    size_t n;

    if (word_is(name, name_len, "SASL")) {
        parse_sasl(line, len, at, capabilities);
        return;
    }
    n = next_word(line, len, &at, &word);
    if (word_is(name, name_len, "LOGIN-DELAY")) {
        capabilities->login_delay_given = parse_count(word, n, &capabilities->login_delay);
    } else if (word_is(name, name_len, "EXPIRE")) {
        capabilities->expire_never = word_is(word, n, "NEVER");
        capabilities->expire_given =
            capabilities->expire_never || parse_count(word, n, &capabilities->expire_days);
    } else if (word_is(name, name_len, "IMPLEMENTATION")) {
        (void)fault_quote(capabilities->implementation, sizeof(capabilities->implementation), line + start,
                          len - start);
    }
}

void pop3_parse_capability(const char *line, size_t len, struct pop3_capabilities *capabilities)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"TOP", &capabilities->top},
        {"USER", &capabilities->user},
        {"UIDL", &capabilities->uidl},
        {"PIPELINING", &capabilities->pipelining},
        {"STLS", &capabilities->stls},
        {"RESP-CODES", &capabilities->resp_codes},
        {"AUTH-RESP-CODE", &capabilities->auth_resp_code},
        {"UTF8", &capabilities->utf8},
    };
    const char *name;
    size_t at = 0;
    size_t name_len = next_word(line, len, &at, &name);
    size_t i;

    for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (word_is(name, name_len, flags[i].name)) {
            *flags[i].flag = true;
            return;
        }
    }
    parse_arguments(name, name_len, line, len, at, capabilities);
}

bool pop3_parse_timestamp(const char *greeting, size_t len, const char **stamp, size_t *stamp_len)
{
    const char *start = memchr(greeting, '<', len);
    const char *end = greeting + len;
    const char *at;
    bool has_at = false;

    *stamp = NULL;
    *stamp_len = 0;
    if (start == NULL)
        return false;
    /* Only what a msg-id may hold: other octets would let a man in the middle shape the MD5 block. */
    for (at = start + 1; at < end && *at != '>'; at++) {
        if ((unsigned char)*at <= ' ' || (unsigned char)*at > '~' || *at == '<')
            return false;
        has_at = has_at || *at == '@';
    }
    if (at == end || !has_at)
        return false;
    *stamp = start;
    *stamp_len = (size_t)(at - start) + 1;
    return true;
}

bool pop3_expires_at_once(const struct pop3_capabilities *capabilities)
{
    return capabilities->expire_given && !capabilities->expire_never && capabilities->expire_days == 0;
}
