#include "protocol/smtp_reply.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/fault.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool smtp_parse_line(const char *line, size_t len, int *code, bool *last, const char **text, size_t *text_len)
{
    if (len < 3 || line[0] < '2' || line[0] > '5' || !is_digit(line[1]) || !is_digit(line[2]))
        return false;
    if (len > 3 && line[3] != ' ' && line[3] != '-')
        return false;
    if (memchr(line, '\0', len) != NULL)
        return false;
    *code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    *last = len == 3 || line[3] == ' ';
    *text = line + (len > 3 ? 4 : 3);
    *text_len = len > 3 ? len - 4 : 0;
    return true;
}

void smtp_reply_clear(struct smtp_reply *reply)
{
    reply->code = 0;
    reply->enhanced[0] = '\0';
    reply->text[0] = '\0';
}

/* The octets of "5.1.1" (RFC 3463 section 2) at the start of text, 0 if there is no such thing. */
static size_t enhanced_len(const char *text, size_t len, int class)
{
    size_t at = 1;
    int part;

    if (len < 5 || text[0] != '0' + class)
        return 0;
    for (part = 0; part < 2; part++) {
        size_t digits = 0;

        if (at >= len || text[at++] != '.')
            return 0;
        while (at < len && digits < 4 && is_digit(text[at])) {
            digits++;
            at++;
        }
        if (digits < 1 || digits > 3)
            return 0;
    }
    return at == len || text[at] == ' ' ? at : 0;
}

static void append_text(struct smtp_reply *reply, const char *text, size_t len)
{
    size_t used = strlen(reply->text);
    size_t room = sizeof(reply->text) - used;

    /* Less room than this would hold a cut mark and nothing else. */
    if (len == 0 || room < 8)
        return;
    if (used > 0) {
        reply->text[used++] = ' ';
        room--;
    }
    (void)fault_quote(reply->text + used, room, text, len);
}

bool smtp_reply_add(struct smtp_reply *reply, const char *line, size_t len, bool *last)
{
    const char *text;
    size_t text_len;
    size_t enhanced;
    int code;

    if (!smtp_parse_line(line, len, &code, last, &text, &text_len))
        return false;
    enhanced = enhanced_len(text, text_len, code / 100);
    if (reply->code == 0) {
        reply->code = code;
        memcpy(reply->text, line, 3);
        reply->text[3] = '\0';
        memcpy(reply->enhanced, text, enhanced);
        reply->enhanced[enhanced] = '\0';
    } else if (code != reply->code) {
        return false;
    } else if (enhanced > 0 && strlen(reply->enhanced) == enhanced &&
               memcmp(reply->enhanced, text, enhanced) == 0) {
        /* Servers repeat it on every line; people need it once. */
        enhanced += enhanced < text_len;
        text += enhanced;
        text_len -= enhanced;
    }
    append_text(reply, text, text_len);
    return true;
}

struct keyword {
    const char *name;
    size_t flag; /* offset of a bool in struct smtp_extensions */
};

#define FLAG(field) offsetof(struct smtp_extensions, field)

static const struct keyword extension_keywords[] = {
    {"PIPELINING", FLAG(pipelining)},               /* RFC 2920 */
    {"8BITMIME", FLAG(eightbitmime)},               /* RFC 6152 */
    {"SMTPUTF8", FLAG(smtputf8)},                   /* RFC 6531 */
    {"CHUNKING", FLAG(chunking)},                   /* RFC 3030 */
    {"ENHANCEDSTATUSCODES", FLAG(enhanced_status)}, /* RFC 2034 */
    {"DSN", FLAG(dsn)},                             /* RFC 3461 */
    {"STARTTLS", FLAG(starttls)},                   /* RFC 3207 */
    {"SIZE", FLAG(size)},                           /* RFC 1870 */
    {"XCLIENT", FLAG(xclient)},                     /* Postfix XCLIENT_README */
    {NULL, 0},
};

static const struct keyword auth_keywords[] = {
    {"PLAIN", FLAG(auth_plain)},
    {"LOGIN", FLAG(auth_login)},
    {"CRAM-MD5", FLAG(auth_cram_md5)},
    {"EXTERNAL", FLAG(auth_external)},
    {"OAUTHBEARER", FLAG(auth_oauthbearer)},
    {"XOAUTH2", FLAG(auth_xoauth2)},
    {NULL, 0},
};

static bool word_is(const char *word, size_t len, const char *name)
{
    return strlen(name) == len && strncasecmp(word, name, len) == 0;
}

static void set_flag(struct smtp_extensions *extensions, const struct keyword *keywords, const char *word,
                     size_t len)
{
    for (; keywords->name != NULL; keywords++)
        if (word_is(word, len, keywords->name))
            *(bool *)((char *)extensions + keywords->flag) = true;
}

/* The next word, moving *text behind it; false at the end. */
static bool next_word(const char **text, const char *end, char separator, const char **word, size_t *len)
{
    const char *at = *text;

    while (at < end && (*at == ' ' || *at == '\t' || *at == separator))
        at++;
    *word = at;
    while (at < end && *at != ' ' && *at != '\t' && *at != separator)
        at++;
    *len = (size_t)(at - *word);
    *text = at;
    return *len > 0;
}

static uint64_t parse_size(const char *word, size_t len)
{
    uint64_t size = 0;
    size_t i;

    for (i = 0; i < len; i++) {
        if (!is_digit(word[i]))
            return 0;
        if (size > (UINT64_MAX - 9) / 10)
            return UINT64_MAX;
        size = size * 10 + (uint64_t)(word[i] - '0');
    }
    return size;
}

static void add_attribute(struct smtp_extensions *extensions, const char *word, size_t len)
{
    char *dst = extensions->xclient_attributes;
    size_t used = strlen(dst);
    size_t i;

    if (used + len + 2 > sizeof(extensions->xclient_attributes))
        return;
    if (used > 0)
        dst[used++] = ' ';
    for (i = 0; i < len; i++)
        dst[used + i] = (char)toupper((unsigned char)word[i]);
    dst[used + len] = '\0';
}

void smtp_parse_extension(const char *text, size_t len, struct smtp_extensions *extensions)
{
    const char *end = text + len;
    const char *keyword;
    const char *word;
    size_t keyword_len;
    size_t word_len;

    /* "AUTH=LOGIN" is how servers wrote it before RFC 2554. */
    if (!next_word(&text, end, '=', &keyword, &keyword_len))
        return;
    set_flag(extensions, extension_keywords, keyword, keyword_len);
    while (next_word(&text, end, '=', &word, &word_len)) {
        if (word_is(keyword, keyword_len, "AUTH"))
            set_flag(extensions, auth_keywords, word, word_len);
        else if (word_is(keyword, keyword_len, "XCLIENT"))
            add_attribute(extensions, word, word_len);
        else if (word_is(keyword, keyword_len, "SIZE"))
            extensions->size_limit = parse_size(word, word_len);
    }
}

/* The word that ends at `end`; its length, 0 if it is none that a queue id could be. */
static size_t word_before(const char *text, const char *end, const char **word)
{
    const char *at = end;

    while (at > text && at[-1] != ' ')
        at--;
    *word = at;
    /* "250 Message accepted": the reply code and the enhanced code are no ids. */
    if (at == text || (size_t)(end - at) == enhanced_len(at, (size_t)(end - at), text[0] - '0'))
        return 0;
    return (size_t)(end - at);
}

static const char *last_occurrence(const char *text, const char *part)
{
    const char *found = NULL;

    for (text = strcasestr(text, part); text != NULL; text = strcasestr(text + 1, part))
        found = text;
    return found;
}

void smtp_parse_queue_id(const char *text, char *dst, size_t size)
{
    static const char *const before[] = {"queued as ", " id="};
    static const char *const behind[] = {" message accepted for delivery", " saved"};
    const char *word = NULL;
    const char *found;
    size_t len = 0;
    size_t i;

    for (i = 0; i < 2 && len == 0; i++)
        if ((found = last_occurrence(text, before[i])) != NULL) {
            word = found + strlen(before[i]);
            len = strcspn(word, " ,;)");
        }
    for (i = 0; i < 2 && len == 0; i++)
        if ((found = last_occurrence(text, behind[i])) != NULL)
            len = word_before(text, found, &word);
    if (len >= size)
        len = 0;
    if (size == 0)
        return;
    if (len > 0)
        memcpy(dst, word, len);
    dst[len] = '\0';
}
