/* The envelope: sender, recipients and the trace header of a message (RFC 5321 sections 3.3, 4.4).
 *
 * Pure functions of plain parameters; nothing is guessed from To or Cc. Ownership: results go into the
 * caller's buffers. Threads: any. Errors: as each function says; none of them has a fault of its own. */
#ifndef POPFERRY_MAIL_ENVELOPE_H
#define POPFERRY_MAIL_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/buf.h"

#define ENVELOPE_PATH_MAX 256 /* RFC 5321 section 4.5.3.1.3, with the angle brackets */

/* Whether `address` can stand between < and > of MAIL or RCPT: local-part@domain (RFC 5321 4.1.2; quoted
 * local parts and UTF-8 as in RFC 6531 allowed), or with bare true also a local part alone. No controls, no
 * spaces outside quotes, no angle brackets, at most ENVELOPE_PATH_MAX - 3 octets. */
bool envelope_address_ok(const char *address, bool bare);

/* Whether the address needs SMTPUTF8 (RFC 6531): it has octets above 127. */
bool envelope_address_utf8(const char *address);

/* MAIL FROM's address: `sender` is "return-path", an address or "<>". return_path: what the message carried,
 * or NULL. Empty or unusable: "", and so is a Return-Path without a domain, which would name a stranger here.
 * Source routes ("@a,@b:c@d", RFC 5321 appendix C) are cut off. dst holds ENVELOPE_PATH_MAX octets. */
void envelope_sender(const char *sender, const char *return_path, char *dst);

#define ENVELOPE_ADDRESSES_MAX 1000 /* addresses of one message that are looked up */

/* Multidrop: the addresses in the named header fields (the first named field that is there decides; all its
 * occurrences; comma lists, groups and comments of RFC 5322 section 3.4 included), looked up in `map` without
 * regard to case. A subaddress ("user+tag@domain") is an address like others. */
struct envelope_map {
    const char *from; /* "address", "@domain" or "*" */
    const char *to;   /* a recipient */
};
/* Calls take(context, recipient) once for each different recipient, and unknown(context, address) for each
 * well-formed address that no rule covers. Rules are tried most exact first: address, @domain, *; all rules
 * of the first kind that matches count. What cannot be read as an address is passed over. Returns how many
 * recipients were taken. */
size_t envelope_multidrop(const char *header, size_t len, const char *const *fields, size_t field_count,
                          const struct envelope_map *map, size_t map_count,
                          void (*take)(void *context, const char *recipient),
                          void (*unknown)(void *context, const char *address), void *context);

#define ENVELOPE_TRACE_MAX 1000 /* octets of the longest trace header; a usual one has 200 */

/* The trace header that goes on top (RFC 5321 section 4.4), folded, ending with CRLF:
 *   Received: from POP3HOST ([IP]) by HERE with POP3S id ID for <RCPT>; DATE
 * What no host name or id may hold becomes "-"; an address that is none, or not ASCII, is left out. Returns
 * -1 when `out` is too small. */
struct envelope_trace {
    const char *pop3_host;
    const char *pop3_address; /* IP literal, or NULL */
    const char *here;         /* this host's name */
    bool tls;                 /* POP3S, else POP3 */
    const char *id;
    const char *recipient; /* NULL where there are several: FOR names one path only */
    time_t when;
};
int envelope_trace_header(struct buf *out, const struct envelope_trace *trace);

/* Whether the message came round in a loop: more than max_hops Received fields name `here` behind "by" (RFC
 * 5321 section 6.3; case does not count). An empty `here` is never named. */
bool envelope_looped(const char *header, size_t len, const char *here, unsigned max_hops);

/* The hop that handed the message to the provider, for XCLIENT. Received is walked from the top while its
 * `by` is a trusted host (exact name, or ".domain" for all below it, or an IP address); the first `from` with
 * an address literal that belongs to no trusted hop is the client. A field without `from` (a delivery within
 * the host) is stepped over. A hop is trusted by the name that the server before it verified, or by its
 * address, never by its HELO. So nothing below the first untrusted hop is believed. Returns false with a
 * reason when there is no client: loopback, private, unreadable. */
struct envelope_client {
    char address[64]; /* "192.0.2.1" or "IPV6:2001:db8::1" */
    char name[256];   /* "[UNAVAILABLE]" if not known */
    char helo[256];
    const char *reason; /* static text, when false was returned */
};
bool envelope_client(const char *header, size_t len, const char *const *trusted, size_t trusted_count,
                     struct envelope_client *client);

/* xtext (RFC 3461 section 4) of text into dst. Returns false if it does not fit. */
bool envelope_xtext(const char *text, char *dst, size_t size);

#endif
