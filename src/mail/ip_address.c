#include "mail/ip_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "mail/header.h"

#define PREFIX_LEN 5 /* "IPv6:" */

struct range {
    unsigned char first[4];
    unsigned bits;
    enum ip_address_reach reach;
};

/* RFC 6890, what no peer on the Internet has. */
static const struct range v4_ranges[] = {
    {{127, 0, 0, 0}, 8, IP_ADDRESS_LOOPBACK},   {{0, 0, 0, 0}, 8, IP_ADDRESS_PRIVATE},
    {{10, 0, 0, 0}, 8, IP_ADDRESS_PRIVATE},     {{100, 64, 0, 0}, 10, IP_ADDRESS_PRIVATE},
    {{169, 254, 0, 0}, 16, IP_ADDRESS_PRIVATE}, {{172, 16, 0, 0}, 12, IP_ADDRESS_PRIVATE},
    {{192, 168, 0, 0}, 16, IP_ADDRESS_PRIVATE}, {{224, 0, 0, 0}, 3, IP_ADDRESS_PRIVATE},
};
static const struct range v6_ranges[] = {
    {{0xFE, 0x80, 0, 0}, 10, IP_ADDRESS_PRIVATE},
    {{0xFC, 0, 0, 0}, 7, IP_ADDRESS_PRIVATE},
    {{0xFE, 0xC0, 0, 0}, 10, IP_ADDRESS_PRIVATE},
    {{0xFF, 0, 0, 0}, 8, IP_ADDRESS_PRIVATE},
};

bool ip_address_parse(const char *text, size_t len, struct ip_address *address)
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    char copy[INET6_ADDRSTRLEN];

    memset(address, 0, sizeof(*address));
    if (len > PREFIX_LEN && header_equal(text, PREFIX_LEN, "IPv6:")) {
        text += PREFIX_LEN;
        len -= PREFIX_LEN;
        address->v6 = true;
    }
    if (len == 0 || len >= sizeof(copy) || memchr(text, '\0', len) != NULL)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (!address->v6 && inet_pton(AF_INET, copy, address->octets) == 1)
        return true;
    address->v6 = true;
    if (inet_pton(AF_INET6, copy, address->octets) != 1)
        return false;
    if (memcmp(address->octets, mapped, sizeof(mapped)) == 0) {
        address->v6 = false;
        memmove(address->octets, address->octets + 12, 4);
        memset(address->octets + 4, 0, 12);
    }
    return true;
}

bool ip_address_equal(const struct ip_address *a, const struct ip_address *b)
{
    return a->v6 == b->v6 && memcmp(a->octets, b->octets, sizeof(a->octets)) == 0;
}

static bool within(const unsigned char *octets, const struct range *range)
{
    unsigned i;

    for (i = 0; i < range->bits; i++) {
        if (((octets[i / 8] ^ range->first[i / 8]) >> (7 - i % 8) & 1) != 0)
            return false;
    }
    return true;
}

enum ip_address_reach ip_address_reach(const struct ip_address *address)
{
    static const unsigned char zeros[15];
    const struct range *ranges = address->v6 ? v6_ranges : v4_ranges;
    size_t count =
        address->v6 ? sizeof(v6_ranges) / sizeof(v6_ranges[0]) : sizeof(v4_ranges) / sizeof(v4_ranges[0]);
    size_t i;

    /* "::1", and "::", which is no address of a peer. */
    if (address->v6 && memcmp(address->octets, zeros, sizeof(zeros)) == 0 && address->octets[15] <= 1)
        return address->octets[15] == 1 ? IP_ADDRESS_LOOPBACK : IP_ADDRESS_PRIVATE;
    for (i = 0; i < count; i++) {
        if (within(address->octets, &ranges[i]))
            return ranges[i].reach;
    }
    return IP_ADDRESS_GLOBAL;
}

void ip_address_print(const struct ip_address *address, const char *prefix, char *dst)
{
    char text[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(address->v6 ? AF_INET6 : AF_INET, address->octets, text, sizeof(text));
    (void)snprintf(dst, 64, "%s%s", address->v6 ? prefix : "", text);
}
