/* Parsers of POP3 replies (RFC 1939, 2449, 3206). Pure: octets in, plain values out; hostile input expected.
 * Ownership: pointers point into the line. Threads: any. Errors: false, or the value that says so. */
#ifndef POPFERRY_PROTOCOL_POP3_REPLY_H
#define POPFERRY_PROTOCOL_POP3_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fault.h"

enum pop3_status { POP3_OK, POP3_ERR, POP3_GARBAGE };

/* Response codes of RFC 2449 section 8 and RFC 3206. */
enum pop3_code {
    POP3_CODE_NONE,
    POP3_CODE_AUTH,
    POP3_CODE_IN_USE,
    POP3_CODE_LOGIN_DELAY,
    POP3_CODE_SYS_TEMP,
    POP3_CODE_SYS_PERM,
    POP3_CODE_OTHER,
};

/* A status line. *text: what stands behind "+OK " or "-ERR ". *code: the response code in
 * [brackets], if any. */
enum pop3_status pop3_parse_status(const char *line, size_t len, const char **text, enum pop3_code *code);

/* What a -ERR line means where it refuses a session: to the greeting (login false) or to the login. [AUTH] is
 * FAULT_LOGIN, [SYS/PERM] FAULT_PROTOCOL, other known codes FAULT_RETRY. Without a code: FAULT_RETRY for a
 * greeting and for a login that was plainly refused for a passing reason (locked, in use, try again), else
 * FAULT_LOGIN. No -ERR line: FAULT_PROTOCOL. */
enum fault_class pop3_refusal_class(const char *line, size_t len, bool login);

/* "12 3456" -> number and octets. STAT's answer text and LIST's lines. false: malformed. A line
 * with a number alone: *has_octets false. */
bool pop3_parse_pair(const char *line, size_t len, uint64_t *number, uint64_t *octets, bool *has_octets);

/* "12 whqtswO00WBw418f9t5JxYwZ" -> number and UID. Octets 0x21 to 0x7E are what RFC 1939 allows in a UID, 1
 * to 70 of them; more and others are taken as they are, up to 1000 octets without NUL, space or control
 * characters. false: no usable UID. */
bool pop3_parse_uid(const char *line, size_t len, uint64_t *number, const char **uid, size_t *uid_len);

/* CAPA. */
struct pop3_capabilities {
    bool known; /* CAPA was answered */
    bool top, user, uidl, pipelining, stls, resp_codes, auth_resp_code, utf8;
    bool sasl_plain, sasl_login, sasl_cram_md5, sasl_xoauth2, sasl_oauthbearer, sasl_external;
    bool login_delay_given;
    unsigned login_delay; /* seconds */
    bool expire_given;
    bool expire_never;
    unsigned expire_days; /* EXPIRE 0: the server deletes what was retrieved */
    char implementation[128];
};
void pop3_parse_capability(const char *line, size_t len, struct pop3_capabilities *capabilities);

/* EXPIRE 0 (RFC 2449 section 6.6): at QUIT the server may delete whatever was retrieved, delivered or not. */
bool pop3_expires_at_once(const struct pop3_capabilities *capabilities);

/* The APOP timestamp "<...@...>" of a greeting (RFC 1939 section 7). false: none. */
bool pop3_parse_timestamp(const char *greeting, size_t len, const char **stamp, size_t *stamp_len);

#endif
