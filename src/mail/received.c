#include "mail/received.h"

#include <string.h>

/* A word of the field, or what stands between parentheses. */
struct token {
    enum { TOKEN_END, TOKEN_WORD, TOKEN_COMMENT, TOKEN_BROKEN } kind;
    const char *text;
    size_t len;
};

/* What the comments behind "from" told. */
struct findings {
    bool address;
    bool ambiguous;
    bool helo_marked; /* "HELO name" or "helo=name" stood there: the word behind "from" is no HELO then */
    bool helo_equals; /* Exim's form, whose word behind "from" is a verified name */
    bool forged;      /* Sendmail: "(may be forged)" */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr(".-_:[]", c) != NULL);
}

/* The comment that begins behind `at`'s parenthesis. A backslash would be read one way here and another way
 * by the server that wrote it. */
static const char *end_of_comment(const char *at, const char *end)
{
    unsigned depth = 1;

    for (; at < end && *at != '\\'; at++) {
        if (*at == '(')
            depth++;
        else if (*at == ')' && --depth == 0)
            return at;
    }
    return NULL;
}

static struct token next_token(const char **at, const char *end)
{
    struct token token = {TOKEN_END, NULL, 0};
    const char *close;

    while (*at < end && is_space(**at))
        (*at)++;
    if (*at == end || **at == ';')
        return token;
    token.text = *at;
    if (**at == '(') {
        token.text = ++*at;
        close = end_of_comment(*at, end);
        token.kind = close != NULL ? TOKEN_COMMENT : TOKEN_BROKEN;
        token.len = close != NULL ? (size_t)(close - token.text) : 0;
        *at = close != NULL ? close + 1 : end;
        return token;
    }
    token.kind = TOKEN_WORD;
    while (*at < end && !is_space(**at) && **at != '(' && **at != ';') {
        if (**at == ')' || **at == '\\')
            token.kind = TOKEN_BROKEN;
        (*at)++;
    }
    token.len = (size_t)(*at - token.text);
    return token;
}

/* A host's name into dst, "" if it is none. The root's dot is cut. */
static void copy_host(const char *text, size_t len, char *dst)
{
    size_t i;

    dst[0] = '\0';
    if (len > 0 && text[len - 1] == '.')
        len--;
    if (len >= RECEIVED_HOST_SIZE)
        return;
    for (i = 0; i < len; i++) {
        if (!is_host_char(text[i]))
            return;
    }
    memcpy(dst, text, len);
    dst[len] = '\0';
}

/* "[192.0.2.1]", also with ":port" behind; with bare, "192.0.2.1" as well. */
static bool read_address(const char *text, size_t len, bool bare, struct ip_address *address)
{
    const char *close;

    if (len > 0 && text[0] == '[') {
        close = memchr(text, ']', len);
        return close != NULL && (close + 1 == text + len || close[1] == ':') &&
               ip_address_parse(text + 1, (size_t)(close - text) - 1, address);
    }
    return bare && ip_address_parse(text, len, address);
}

static void found_address(struct received *received, struct findings *findings,
                          const struct ip_address *address)
{
    if (findings->address && !ip_address_equal(&received->address, address))
        findings->ambiguous = true;
    findings->address = true;
    received->address = *address;
}

/* One word of a comment behind "from". Returns whether the next one is a HELO name. */
static bool read_comment_word(struct received *received, struct findings *findings, const char *text,
                              size_t len)
{
    struct ip_address address;
    const char *at_sign = memrchr(text, '@', len);

    if (header_equal(text, len, "HELO") || header_equal(text, len, "EHLO"))
        return true;
    if (len > 5 && (header_equal(text, 5, "helo=") || header_equal(text, 5, "ehlo="))) {
        findings->helo_marked = findings->helo_equals = true;
        copy_host(text + 5, len - 5, received->helo);
        return false;
    }
    if (memchr(text, '=', len) != NULL)
        return false;
    /* "IDENT:user@host", "user@192.0.2.1": the user is the client's word. */
    if (at_sign != NULL) {
        len -= (size_t)(at_sign + 1 - text);
        text = at_sign + 1;
    }
    if (read_address(text, len, true, &address))
        found_address(received, findings, &address);
    else if (!findings->address)
        copy_host(text, len, received->name); /* the last word before the address is its name */
    return false;
}

static void read_comment(struct received *received, struct findings *findings, const char *text, size_t len)
{
    const char *end = text + len;
    bool had_address = findings->address;
    bool helo_next = false;

    while (text < end) {
        const char *word = text;

        if (*text == '(') {
            const char *close = end_of_comment(text + 1, end);

            if (memmem(text, (size_t)(close - text), "may be forged", 13) != NULL)
                findings->forged = true;
            text = close + 1;
            continue;
        }
        while (text < end && !is_space(*text) && *text != '(')
            text++;
        if (text == word) {
            text++;
        } else if (helo_next) {
            findings->helo_marked = true;
            copy_host(word, (size_t)(text - word), received->helo);
            helo_next = false;
        } else {
            helo_next = read_comment_word(received, findings, word, (size_t)(text - word));
        }
    }
    /* A name counts only beside the address that it is the name of. */
    if (!findings->address || had_address)
        received->name[0] = '\0';
}

/* Settle who the client is from the word behind "from" and what the comments told. */
static void settle(struct received *received, struct findings *findings, const struct token *word)
{
    struct ip_address address;
    char host[RECEIVED_HOST_SIZE];

    copy_host(word->text, word->len, host);
    if (!findings->helo_marked)
        memcpy(received->helo, host, sizeof(host));
    received->verified = !findings->forged;
    if (read_address(word->text, word->len, findings->helo_marked, &address)) {
        /* Without a mark the word is the HELO, and a literal there the client's own, unless there is nothing
         * else. */
        if (!findings->address || findings->helo_marked)
            found_address(received, findings, &address);
    } else if (findings->helo_marked && received->name[0] == '\0') {
        memcpy(received->name, host, sizeof(host));
        received->verified = findings->helo_equals && findings->address;
    }
    if (header_equal(received->name, strlen(received->name), "unknown"))
        received->name[0] = '\0';
    received->verified = received->verified && received->name[0] != '\0';
    received->has_address = findings->address;
    received->readable = !findings->ambiguous;
}

/* "from" word comments; the next token is told. Returns false where it reads otherwise. */
static bool read_from(struct received *received, const char **at, const char *end, struct token *next)
{
    struct findings findings = {0};
    struct token word = next_token(at, end);
    char name[RECEIVED_HOST_SIZE] = "";

    if (word.kind != TOKEN_WORD)
        return false;
    while ((*next = next_token(at, end)).kind == TOKEN_COMMENT) {
        read_comment(received, &findings, next->text, next->len);
        if (received->name[0] != '\0')
            memcpy(name, received->name, sizeof(name));
        received->name[0] = '\0';
    }
    memcpy(received->name, name, sizeof(name));
    settle(received, &findings, &word);
    return true;
}

void received_parse(const struct header_field *field, struct received *received)
{
    const char *at = field->body;
    const char *end = at + field->body_len;
    struct token token = next_token(&at, end);
    bool readable = true;

    *received = (struct received){.readable = true};
    if (token.kind == TOKEN_WORD && header_equal(token.text, token.len, "from")) {
        received->has_from = true;
        readable = read_from(received, &at, end, &token) && received->readable && token.kind == TOKEN_WORD &&
                   header_equal(token.text, token.len, "by");
    }
    while (token.kind == TOKEN_COMMENT ||
           (token.kind == TOKEN_WORD && !header_equal(token.text, token.len, "by")))
        token = next_token(&at, end);
    if (token.kind == TOKEN_WORD) {
        token = next_token(&at, end);
        if (token.kind == TOKEN_WORD)
            copy_host(token.text, token.len, received->by);
    }
    /* Two of them: one is the client's word. */
    while ((token = next_token(&at, end)).kind == TOKEN_WORD || token.kind == TOKEN_COMMENT) {
        if (token.kind == TOKEN_WORD && header_equal(token.text, token.len, "by"))
            readable = false;
    }
    received->readable = readable;
}
