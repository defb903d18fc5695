/* What comes back from the browser. Pure. */
#include <string.h>

#include <openssl/crypto.h>

#include "protocol/oauth_private.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undo percent-encoding. Returns false if it does not fit, is malformed or hides a control character. */
static bool decode(const char *text, size_t len, char *dst, size_t size)
{
    size_t out = 0;
    size_t i;

    for (i = 0; i < len; i++) {
        char c = text[i] == '+' ? ' ' : text[i];
        if (c == '%') {
            if (len - i < 3 || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0)
                return false;
            c = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        }
        if (out + 1 >= size || c < 0x20 || c == 0x7F)
            return false;
        dst[out++] = c;
    }
    dst[out] = '\0';
    return true;
}

/* The value of `name` in a query, decoded. */
static bool query_value(const char *query, const char *name, char *dst, size_t size)
{
    size_t name_len = strlen(name);

    while (*query != '\0') {
        size_t len = strcspn(query, "& #\r\n");
        if (len > name_len && strncmp(query, name, name_len) == 0 && query[name_len] == '=')
            return decode(query + name_len + 1, len - name_len - 1, dst, size);
        query += len;
        if (*query != '&')
            return false;
        query++;
    }
    return false;
}

static enum oauth_redirect parse_query(const char *query, const char *state, char *value, size_t size)
{
    char got[OAUTH_RANDOM_SIZE];

    /* Another page in the same browser could send a code of its own here: the state tells (RFC 6749
     * section 10.12). */
    if (!query_value(query, "state", got, sizeof(got)) || strlen(got) != strlen(state) ||
        CRYPTO_memcmp(got, state, strlen(state)) != 0)
        return OAUTH_REDIRECT_NONE;
    if (query_value(query, "error", value, size))
        return OAUTH_REDIRECT_DENIED;
    if (query_value(query, "code", value, size) && oauth_token_ok(value))
        return OAUTH_REDIRECT_CODE;
    return OAUTH_REDIRECT_NONE;
}

enum oauth_redirect oauth_redirect_parse(const char *text, const char *state, bool bare, char *value,
                                         size_t size)
{
    const char *query = strchr(text, '?');
    size_t len;

    if (query != NULL)
        return parse_query(query + 1, state, value, size);
    if (!bare)
        return OAUTH_REDIRECT_NONE;
    text += strspn(text, " \t");
    if (strncmp(text, "code=", 5) == 0)
        text += 5;
    len = strcspn(text, " \t\r\n&");
    /* A code that was copied out of an address is still percent-encoded; '+' is no space in it. */
    if (memchr(text, '+', len) != NULL && memchr(text, '%', len) == NULL) {
        if (len >= size)
            return OAUTH_REDIRECT_NONE;
        memcpy(value, text, len);
        value[len] = '\0';
    } else if (!decode(text, len, value, size)) {
        return OAUTH_REDIRECT_NONE;
    }
    return oauth_token_ok(value) ? OAUTH_REDIRECT_CODE : OAUTH_REDIRECT_NONE;
}
