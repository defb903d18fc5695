#include "config/values.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "base/address.h"
#include "config/config.h"

#define HOST_MAX 255 /* RFC 5321 section 4.5.3.1.2 */

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7F;
}

/* Digits, then at most one of the letters in `units`, whose factors stand beside it. */
static bool scaled(const char *text, const char *units, const uint64_t *factors, uint64_t *value)
{
    uint64_t number = 0;
    const char *unit;

    if (!isdigit((unsigned char)*text))
        return false;
    for (; isdigit((unsigned char)*text); text++) {
        if (__builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*text - '0'), &number))
            return false;
    }
    if (*text != '\0') {
        unit = strchr(units, *text);
        if (unit == NULL || text[1] != '\0' || __builtin_mul_overflow(number, factors[unit - units], &number))
            return false;
    }
    *value = number;
    return true;
}

bool value_number(const char *text, uint64_t *number)
{
    return scaled(text, "", NULL, number);
}

bool value_size(const char *text, uint64_t *octets)
{
    static const uint64_t factors[] = {1u << 10, 1u << 10, 1u << 20, 1u << 20, 1u << 30, 1u << 30};

    return scaled(text, "kKmMgG", factors, octets);
}

bool value_time(const char *text, uint64_t *seconds)
{
    static const uint64_t factors[] = {1, 60, 60 * 60, 24 * 60 * 60};

    return scaled(text, "smhd", factors, seconds);
}

bool value_switch(const char *text, bool *on)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on", "off"};
    size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *on = i % 2 == 0;
            return true;
        }
    }
    return false;
}

const char *value_text(const char *value)
{
    if (*value == '\0')
        return "some text, not empty";
    for (; *value != '\0'; value++) {
        if (is_control(*value))
            return "text without control characters";
    }
    return NULL;
}

/* Whether every octet is a letter, a digit, one of `others`, or above 127 (IDN, RFC 6531). */
static bool made_of(const char *value, const char *others)
{
    for (; *value != '\0'; value++) {
        if (!isalnum((unsigned char)*value) && (unsigned char)*value < 0x80 && strchr(others, *value) == NULL)
            return false;
    }
    return true;
}

/* Punctuation that no name of a host can hold (RFC 5892), and that is taken for ASCII: typographic quotes,
 * blanks that do not break. Joiners and the Catalan middle dot are letters. */
static bool has_punctuation(const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\xC2' && value[1] != '\xB7')
            return true;
        if (strncmp(value, "\xE2\x80", 2) == 0 && value[2] != '\x8C' && value[2] != '\x8D')
            return true;
    }
    return false;
}

/* An IP address, in brackets or not, as a host or in EHLO (RFC 5321 section 4.1.3). */
static bool is_address(const char *value)
{
    const char *close = strchr(value, ']');
    unsigned char address[sizeof(struct in6_addr)];
    char text[INET6_ADDRSTRLEN];
    size_t len;

    if ((*value == '[') != (close != NULL && close[1] == '\0'))
        return false;
    value += *value == '[';
    if (close != NULL && strncasecmp(value, "IPv6:", 5) == 0)
        value += 5;
    len = strcspn(value, "]%"); /* %: a link-local address and its interface */
    if (len >= sizeof(text))
        return false;
    memcpy(text, value, len);
    text[len] = '\0';
    return inet_pton(AF_INET6, text, address) == 1 ||
           (value[len] != '%' && inet_pton(AF_INET, text, address) == 1);
}

const char *value_host(const char *value)
{
    size_t len = strlen(value);

    if (len == 0 || len > HOST_MAX || *value == '-' || *value == '.' || !made_of(value, ".-_:[]%") ||
        has_punctuation(value))
        return "a host name or an IP address";
    if (strpbrk(value, ":[]%") == NULL || is_address(value))
        return NULL;
    return strchr(value, ':') == NULL
               ? "a host name or an IP address"
               : "a host name or an IP address; a port is an option of its own: port = NUMBER";
}

const char *value_trusted_host(const char *value)
{
    if (value_host(value[0] == '.' ? value + 1 : value) != NULL)
        return "a host name, or .DOMAIN for all hosts below it";
    return NULL;
}

/* Nothing in it may end the path, the line or the command that it will stand in. */
static bool fits_a_path(const char *address)
{
    size_t len = strlen(address);
    const char *p;

    if (len == 0 || len > ADDRESS_MAX)
        return false;
    for (p = address; *p != '\0'; p++) {
        if (is_control(*p) || *p == ' ' || *p == '<' || *p == '>')
            return false;
    }
    return true;
}

static bool has_domain(const char *address)
{
    const char *at = strrchr(address, '@');

    return at != NULL && at != address && at[1] != '\0';
}

const char *value_recipient(const char *value)
{
    if (!fits_a_path(value) || (strchr(value, '@') != NULL && !has_domain(value)))
        return "an address, or a user's name";
    return NULL;
}

const char *value_sender(const char *value)
{
    if (strcmp(value, "return-path") == 0 || strcmp(value, "<>") == 0)
        return NULL;
    return address_ok(value, false) ? NULL : "\"return-path\", an address, or \"<>\"";
}

const char *value_header_name(const char *value)
{
    const char *p;

    for (p = value; *p != '\0'; p++) {
        if (*p <= ' ' || *p == ':' || *p == 0x7F || (unsigned char)*p > 0x7F)
            break;
    }
    return *p == '\0' && p != value && p - value < 78 ? NULL : "the name of a header field, without a colon";
}

const char *value_fingerprint(const char *value)
{
    static const char right[] = "sha256: and 64 hexadecimal digits, as `popferry check` shows them";
    size_t digits = 0;

    if (strncasecmp(value, "sha256:", 7) != 0)
        return right;
    for (value += 7; *value != '\0'; value++) {
        if (isxdigit((unsigned char)*value))
            digits++;
        else if (*value != ':')
            return right;
    }
    return digits == 64 ? NULL : right;
}

/* A URL behind one of the schemes: a host at least, no spaces, no control characters. */
static bool url_behind(const char *value, const char *scheme)
{
    size_t len = strlen(scheme);

    if (strncasecmp(value, scheme, len) != 0 || value[len] == '\0' || value[len] == '/')
        return false;
    return value_text(value) == NULL && strchr(value, ' ') == NULL;
}

const char *value_https(const char *value)
{
    /* Clear text stays on this host; whether such a name is one of its own is looked at when it is used. */
    static const char *const schemes[] = {"https://", "http://127.", "http://localhost", "http://[::1]"};
    size_t i;

    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (url_behind(value, schemes[i]))
            return NULL;
    }
    return "an https:// address";
}

const char *value_proxy(const char *value)
{
    static const char *const schemes[] = {"socks5h://", "socks5://", "socks4a://",
                                          "socks4://",  "http://",   "https://"};
    size_t i;

    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (url_behind(value, schemes[i]))
            return NULL;
    }
    return "a proxy's address, such as socks5h://127.0.0.1:9050 or http://proxy:3128";
}

const char *value_credential(const char *value)
{
    if (value_text(value) != NULL || strchr(value, '/') != NULL || strcmp(value, ".") == 0 ||
        strcmp(value, "..") == 0)
        return "a file name without a directory; it is looked for in $CREDENTIALS_DIRECTORY";
    return NULL;
}

const char *value_socket(const char *value)
{
    if (strlen(value) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return "a path of at most 107 octets";
    return NULL;
}

bool value_map(const char *rule, size_t *from_len)
{
    const char *at = rule[0] == '*' ? rule : strchr(rule, '@');
    const char *equals = at == NULL ? NULL : strchr(at, '=');

    /* A local part may hold "=", a domain never does: the first one behind the "@" is ours. */
    if (equals == NULL || value_text(rule) != NULL || strpbrk(rule, " <>") != NULL)
        return false;
    if (*at == '*' ? equals != rule + 1 : equals - at < 2)
        return false;
    *from_len = (size_t)(equals - rule);
    return true;
}
