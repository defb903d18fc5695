/* Reading a Received field (RFC 5321 section 4.4) as Postfix, Exim, Sendmail, qmail, Exchange and Gmail write
 * it.
 *
 * Parts of such a field are the client's own words (HELO, IDENT, an unverified reverse name). They are kept
 * apart from what the writing server found out itself, and where the two cannot be told apart the field is
 * unreadable. Pure. Threads: any. */
#ifndef POPFERRY_MAIL_RECEIVED_H
#define POPFERRY_MAIL_RECEIVED_H

#include <stdbool.h>

#include "mail/header.h"
#include "mail/ip_address.h"

#define RECEIVED_HOST_SIZE 256

struct received {
    bool readable; /* the from clause, if any, is unambiguous */
    bool has_from;
    bool has_address;
    struct ip_address address;     /* of the client, as the server saw it */
    char name[RECEIVED_HOST_SIZE]; /* its reverse name, "" if unknown */
    bool verified;                 /* the server looked that name up and back */
    char helo[RECEIVED_HOST_SIZE]; /* the client's own name for itself, "" if it has none that a host could
                                      have */
    char by[RECEIVED_HOST_SIZE];   /* the server, "" if the field has no such clause */
};

void received_parse(const struct header_field *field, struct received *received);

#endif
