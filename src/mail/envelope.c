#include "mail/envelope.h"

#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "mail/header.h"
#include "mail/received.h"

_Static_assert(ADDRESS_MAX == ENVELOPE_PATH_MAX - 3, "an address and its angle brackets fit into a path");

bool envelope_address_ok(const char *address, bool bare)
{
    return address_ok(address, bare);
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
