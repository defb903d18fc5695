#include "base/address.h"

#include <stddef.h>
#include <string.h>

/* RFC 5322 section 3.2.3; UTF-8 as in RFC 6531. Dots stand where they like: such addresses exist. */
static bool is_local_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c > 0x7F ||
           (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", c) != NULL);
}

static bool is_domain_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c > 0x7F ||
           c == '-' || c == '_';
}

/* Octets of the well-formed UTF-8 character at `at` (RFC 3629), 0 if it is none. */
static size_t utf8_size(const unsigned char *at)
{
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    size_t size = at[0] < 0x80   ? 1
                  : at[0] < 0xC2 ? 0
                  : at[0] < 0xE0 ? 2
                  : at[0] < 0xF0 ? 3
                  : at[0] < 0xF5 ? 4
                                 : 0;
    size_t i;

    if (at[0] == 0xE0)
        low = 0xA0;
    else if (at[0] == 0xF0)
        low = 0x90;
    else if (at[0] == 0xED)
        high = 0x9F;
    else if (at[0] == 0xF4)
        high = 0x8F;
    for (i = 1; i < size; i++) {
        if (at[i] < low || at[i] > high)
            return 0;
        low = 0x80;
        high = 0xBF;
    }
    return size;
}

static bool utf8_ok(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at != '\0') {
        size_t size = utf8_size(at);

        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

/* Octets of the local part at the beginning of `address`, 0 if there is none. */
static size_t local_part(const char *address)
{
    size_t len = 0;

    if (address[0] != '"') {
        while (is_local_char((unsigned char)address[len]))
            len++;
        return len;
    }
    for (len = 1; address[len] != '"'; len++) {
        if (address[len] == '\\')
            len++;
        if ((unsigned char)address[len] < ' ' || address[len] == 0x7F)
            return 0;
    }
    return len + 1;
}

static bool domain_ok(const char *domain)
{
    size_t len = strlen(domain);
    size_t i;

    if (domain[0] == '[') {
        for (i = 1; i < len - 1; i++) {
            if (domain[i] <= ' ' || domain[i] >= 0x7F || strchr("[]\\<>", domain[i]) != NULL)
                return false;
        }
        return len > 2 && domain[len - 1] == ']';
    }
    for (i = 0; i < len; i++) {
        if (domain[i] == '.' ? i == 0 || i == len - 1 || domain[i - 1] == '.'
                             : !is_domain_char((unsigned char)domain[i]))
            return false;
    }
    return len > 0;
}

bool address_ok(const char *address, bool bare)
{
    size_t local = local_part(address);

    /* Angle brackets only end a path outside quotes, but there are servers that look no closer. */
    if (local == 0 || strlen(address) > ADDRESS_MAX || strpbrk(address, "<>") != NULL || !utf8_ok(address))
        return false;
    if (address[local] == '\0')
        return bare;
    return address[local] == '@' && domain_ok(address + local + 1);
}

bool address_fits_brackets(const char *address)
{
    for (; *address != '\0'; address++) {
        if ((unsigned char)*address < ' ' || *address == '<' || *address == '>')
            return false;
    }
    return true;
}
