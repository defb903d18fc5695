/* IP addresses as they stand in header fields. Pure.
 *
 * Ownership: plain values. Threads: any. Errors: false for what is no address. */
#ifndef POPFERRY_MAIL_IP_ADDRESS_H
#define POPFERRY_MAIL_IP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

struct ip_address {
    bool v6;
    unsigned char octets[16]; /* network order; 4 of them for IPv4 */
};

enum ip_address_reach {
    IP_ADDRESS_GLOBAL, /* documentation ranges count as such */
    IP_ADDRESS_LOOPBACK,
    IP_ADDRESS_PRIVATE, /* RFC 1918, 6598, 3927, 4193, link-local, multicast, unspecified and reserved */
};

/* Read `len` octets of text: "192.0.2.1", "2001:db8::1", "IPv6:2001:db8::1", without brackets. An IPv4-mapped
 * IPv6 address is the IPv4 one. */
bool ip_address_parse(const char *text, size_t len, struct ip_address *address);

bool ip_address_equal(const struct ip_address *a, const struct ip_address *b);

enum ip_address_reach ip_address_reach(const struct ip_address *address);

/* Write it with `prefix` ("IPv6:", "IPV6:") before an IPv6 address. dst holds 64 octets. */
void ip_address_print(const struct ip_address *address, const char *prefix, char *dst);

#endif
