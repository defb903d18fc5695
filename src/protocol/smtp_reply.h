/* Parsers of SMTP replies (RFC 5321 section 4.2, RFC 2034). Pure; hostile input expected.
 * Ownership: plain values, and pointers into the line. Threads: any. Errors: false. */
#ifndef POPFERRY_PROTOCOL_SMTP_REPLY_H
#define POPFERRY_PROTOCOL_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct smtp_reply {
    int code;          /* 0: none yet */
    char enhanced[16]; /* "5.1.1", "" if none */
    char text[512];    /* "550 5.1.1 no such user", lines joined with a space, quoted for people */
};

/* One line of a reply: *code, *last (a space or nothing behind the code), *text. false: not a reply line
 * (three digits 2-5, then space, hyphen or the end; no NUL). */
bool smtp_parse_line(const char *line, size_t len, int *code, bool *last, const char **text,
                     size_t *text_len);

/* Nothing read yet. Cheaper than zeroing the whole struct. */
void smtp_reply_clear(struct smtp_reply *reply);

/* Add a line to the reply that is being read. false: its code differs from the first line's, or it is no
 * reply line. An enhanced status code (RFC 2034) counts only where its class is that of the reply code. */
bool smtp_reply_add(struct smtp_reply *reply, const char *line, size_t len, bool *last);

/* EHLO's extensions. */
struct smtp_extensions {
    bool esmtp; /* EHLO was accepted */
    bool pipelining, eightbitmime, smtputf8, chunking, enhanced_status, dsn, starttls, xclient, size;
    uint64_t size_limit; /* octets, 0: none told */
    bool auth_plain, auth_login, auth_cram_md5, auth_external, auth_oauthbearer, auth_xoauth2;
    char xclient_attributes[256]; /* what XCLIENT takes, space-separated, upper case */
};
/* One EHLO line behind the code. */
void smtp_parse_extension(const char *text, size_t len, struct smtp_extensions *extensions);

/* The queue id in a final reply's text, "" if none is known or it does not fit: Postfix ("250 2.0.0 Ok:
 * queued as 4F2"), Exim ("250 OK id=1q2w-3e"), Sendmail and OpenSMTPD ("250 2.0.0 SAA02108 Message accepted
 * for delivery"), Dovecot's LMTP ("250 2.0.0 <thomas> 4F2 Saved"). */
void smtp_parse_queue_id(const char *text, char *dst, size_t size);

#endif
