#include "mail/envelope.h"

#include <stdio.h>
#include <string.h>

#include "mail/received.h"

static const char unavailable[] = "[UNAVAILABLE]";

/* `rule`: a host's name, ".domain" for all below it, or an IP address with or without brackets. */
static bool rule_covers(const char *rule, const char *host, const struct ip_address *address)
{
    size_t rule_len = strlen(rule);
    size_t len = strlen(host);
    size_t bracket = rule[0] == '[' && rule[rule_len - 1] == ']';
    struct ip_address ruled;

    if (address != NULL && ip_address_parse(rule + bracket, rule_len - 2 * bracket, &ruled) &&
        ip_address_equal(&ruled, address))
        return true;
    if (rule[0] == '.')
        return len > rule_len && header_equal(host + len - rule_len, rule_len, rule);
    return len > 0 && header_equal(host, len, rule);
}

static bool is_trusted(const char *host, const struct ip_address *address, const char *const *trusted,
                       size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (trusted[i][0] != '\0' && rule_covers(trusted[i], host, address))
            return true;
    }
    return false;
}

static bool by_trusted(const struct received *received, const char *const *trusted, size_t count)
{
    struct ip_address address;
    size_t len = strlen(received->by);
    size_t bracket = len > 2 && received->by[0] == '[' && received->by[len - 1] == ']';
    bool literal = ip_address_parse(received->by + bracket, len - 2 * bracket, &address);

    return is_trusted(received->by, literal ? &address : NULL, trusted, count);
}

static bool from_trusted(const struct received *received, const char *const *trusted, size_t count)
{
    return is_trusted(received->verified ? received->name : "", &received->address, trusted, count);
}

static bool refuse(struct envelope_client *client, const char *reason)
{
    client->reason = reason;
    return false;
}

static bool take_client(const struct received *received, struct envelope_client *client)
{
    enum ip_address_reach reach = ip_address_reach(&received->address);

    if (reach == IP_ADDRESS_LOOPBACK)
        return refuse(client, "the first untrusted hop has a loopback address");
    if (reach == IP_ADDRESS_PRIVATE)
        return refuse(client, "the first untrusted hop has a private address");
    ip_address_print(&received->address, "IPV6:", client->address);
    /* An unverified name is the client's own word, and servers take XCLIENT's for a verified one. */
    (void)snprintf(client->name, sizeof(client->name), "%s",
                   received->verified ? received->name : unavailable);
    (void)snprintf(client->helo, sizeof(client->helo), "%s",
                   received->helo[0] != '\0' ? received->helo : unavailable);
    return true;
}

bool envelope_client(const char *header, size_t len, const char *const *trusted, size_t trusted_count,
                     struct envelope_client *client)
{
    struct header_field field;
    size_t at = 0;

    *client = (struct envelope_client){.reason = NULL};
    while (header_next(header, len, &at, &field)) {
        struct received received;

        if (!header_is(&field, "Received"))
            continue;
        received_parse(&field, &received);
        if (!by_trusted(&received, trusted, trusted_count))
            return refuse(client,
                          "a Received field was written by no trusted host before a client was found");
        if (!received.readable)
            return refuse(client, "the Received field of the first hop cannot be read");
        if (!received.has_from)
            continue;
        if (!received.has_address)
            return refuse(client, "the Received field of the first hop tells no address");
        if (!from_trusted(&received, trusted, trusted_count))
            return take_client(&received, client);
    }
    return refuse(client, "no Received field tells an untrusted hop");
}
