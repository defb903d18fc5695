#include "mail/envelope.h"

#include <stdio.h>
#include <string.h>

#include "mail/header.h"
#include "mail/received.h"

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

bool envelope_address_ok(const char *address, bool bare)
{
    size_t local = local_part(address);

    /* Angle brackets only end a path outside quotes, but there are servers that look no closer. */
    if (local == 0 || strlen(address) > ENVELOPE_PATH_MAX - 3 || strpbrk(address, "<>") != NULL ||
        !utf8_ok(address))
        return false;
    if (address[local] == '\0')
        return bare;
    return address[local] == '@' && domain_ok(address + local + 1);
}

bool envelope_address_utf8(const char *address)
{
    for (; *address != '\0'; address++) {
        if ((unsigned char)*address > 0x7F)
            return true;
    }
    return false;
}

void envelope_sender(const char *sender, const char *return_path, char *dst)
{
    bool from_path = header_equal(sender, strlen(sender), "return-path");
    const char *address = from_path ? return_path : sender;
    const char *route_end;

    dst[0] = '\0';
    if (address == NULL)
        return;
    if (address[0] == '@' && (route_end = strchr(address, ':')) != NULL)
        address = route_end + 1;
    if (envelope_address_ok(address, !from_path))
        (void)snprintf(dst, ENVELOPE_PATH_MAX, "%s", address);
}

bool envelope_looped(const char *header, size_t len, const char *here, unsigned max_hops)
{
    struct header_field field;
    size_t at = 0;
    unsigned hops = 0;

    if (here[0] == '\0')
        return false;
    while (hops <= max_hops && header_next(header, len, &at, &field)) {
        struct received received;

        if (!header_is(&field, "Received"))
            continue;
        received_parse(&field, &received);
        hops += header_equal(received.by, strlen(received.by), here);
    }
    return hops > max_hops;
}

bool envelope_xtext(const char *text, char *dst, size_t size)
{
    size_t len = 0;

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = c > ' ' && c < 0x7F && c != '+' && c != '=';

        if (size < (plain ? 2u : 4u) || len > size - (plain ? 2u : 4u))
            return false;
        if (plain)
            dst[len++] = (char)c;
        else
            len += (size_t)snprintf(dst + len, 4, "+%02X", c);
    }
    if (size == 0)
        return false;
    dst[len] = '\0';
    return true;
}
